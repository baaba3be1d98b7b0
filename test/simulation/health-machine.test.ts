// Thousands of seeded events against the health machine, next to a second one that is written here straight from the rules
// of APISIX's library: numbers in plain fields, one rule a line. After each event both must stand the same.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../../src/base/rng.ts';
import { HealthState, healthCount, healthStateName, isUp, report, startTrial } from '../../src/health/machine.ts';
import type { HealthChange, ReportKind } from '../../src/health/machine.ts';
import { TimedReturn } from '../../src/health/timed-return.ts';
import { Cells, EndpointCell } from '../../src/model/cells.ts';

const KINDS = ['success', 'http', 'tcp', 'timeout'] as const;

/** The rules, without the cells. */
class Model {
  state = 'healthy';
  counts = { success: 0, http: 0, tcp: 0, timeout: 0 };

  get up(): boolean {
    return this.state === 'healthy' || this.state === 'mostly_healthy' || this.state === 'trial';
  }

  report(kind: ReportKind, limit: number): HealthChange {
    const wasUp = this.up;
    this.apply(kind, limit);
    return this.up === wasUp ? 'none' : this.up ? 'up' : 'down';
  }

  private apply(kind: ReportKind, limit: number): void {
    const success = kind === 'success';
    if (this.state === 'trial') {
      // Whatever comes first decides; only a failure that this side doesn't count says nothing.
      if (success) {
        this.state = 'healthy';
        this.counts = { success: 0, http: 0, tcp: 0, timeout: 0 };
      } else if (limit > 0) {
        this.state = 'unhealthy';
        this.counts[kind] += 1;
      }
      return;
    }
    // 1. A limit of 0 counts nothing.
    if (limit === 0) return;
    // 3. The exact end states take no more of what led to them.
    if (success && this.state === 'healthy') return;
    if (!success && this.state === 'unhealthy') return;
    // 4. Count; a success clears the failures, a failure the successes.
    this.counts[kind] = Math.min(255, this.counts[kind] + 1);
    if (success) this.counts = { success: this.counts.success, http: 0, tcp: 0, timeout: 0 };
    else this.counts.success = 0;
    // 5. The limit, or the first step away from an exact state.
    if (this.counts[kind] >= limit) this.state = success ? 'healthy' : 'unhealthy';
    else if (this.state === 'healthy') this.state = 'mostly_healthy';
    else if (this.state === 'unhealthy') this.state = 'mostly_unhealthy';
  }

  trial(): HealthChange {
    if (this.up) return 'none';
    this.state = 'trial';
    this.counts = { success: 0, http: 0, tcp: 0, timeout: 0 };
    return 'up';
  }
}

test('the machine and the rules agree after each of 200,000 events', () => {
  const rng = seededRng(108);
  const below = (bound: number): number => Math.floor(rng.unit() * bound);
  const cells = new Cells();
  const seen = new Map<string, number>();
  for (let run = 0; run < 400; run++) {
    const slot = cells.allocate();
    const model = new Model();
    // Thresholds of the two sides; low ones so that every state is visited, sometimes the largest.
    const limits = [0, 1].map(() => KINDS.map(() => (below(12) === 0 ? 254 : below(6))));
    const failing = rng.unit();
    for (let i = 0; i < 500; i++) {
      let change: HealthChange;
      let expected: HealthChange;
      if (below(40) === 0) {
        change = startTrial(cells, slot);
        expected = model.trial();
      } else {
        const which = rng.unit() < failing ? 1 + below(3) : 0;
        const kind = KINDS[which] ?? 'success';
        const limit = limits[below(2)]?.[which] ?? 0;
        change = report(cells, slot, kind, limit);
        expected = model.report(kind, limit);
      }
      const state = cells.get(slot, EndpointCell.HealthState);
      const counts = Object.fromEntries(KINDS.map((kind) => [kind, healthCount(cells, slot, kind)]));
      assert.deepEqual([change, healthStateName(state), counts], [expected, model.state, model.counts], `run ${run}`);
      assert.equal(isUp(state), model.up);
      seen.set(model.state, (seen.get(model.state) ?? 0) + 1);
    }
    if (run % 3 === 0) cells.release(slot); // the next run gets a row that had another life
  }
  for (const name of ['healthy', 'mostly_healthy', 'mostly_unhealthy', 'unhealthy', 'trial']) {
    assert.ok((seen.get(name) ?? 0) > 1000, `${name}: ${seen.get(name)}`);
  }
});

test('trials: one decision each, and the absence is the first one doubled by each failed trial, up to the longest', () => {
  const rng = seededRng(6);
  const cells = new Cells();
  const timed = new TimedReturn();
  const times = { returnAfterMs: 1000, maxReturnAfterMs: 30_000 };
  /** Per slot: out since, failed trials; undefined while up or on trial. */
  const model = new Map<number, { outSinceMs: number | undefined; failed: number }>();
  const slots = Array.from({ length: 50 }, () => cells.allocate());
  for (const slot of slots) model.set(slot, { outSinceMs: undefined, failed: 0 });
  let trials = 0;
  let longest = 0;
  for (let nowMs = 0; nowMs < 2_000_000; nowMs += Math.ceil(rng.unit() * 400)) {
    for (const slot of timed.takeDue(cells, times, nowMs)) {
      const { outSinceMs, failed } = model.get(slot) ?? assert.fail();
      assert.ok(outSinceMs !== undefined);
      const absenceMs = Math.min(30_000, 1000 * 2 ** failed);
      assert.ok(
        nowMs >= outSinceMs + absenceMs && nowMs <= outSinceMs + absenceMs + 400,
        `out for ${nowMs - outSinceMs}`,
      );
      longest = Math.max(longest, absenceMs);
      assert.equal(startTrial(cells, slot), 'up');
      model.set(slot, { outSinceMs: undefined, failed });
      trials++;
    }
    const due = [...model.values()].map(({ outSinceMs, failed }) =>
      outSinceMs === undefined ? Infinity : outSinceMs + Math.min(30_000, 1000 * 2 ** failed),
    );
    assert.equal(timed.nextMs(times), Math.min(...due));
    const slot = slots[Math.floor(rng.unit() * slots.length)] ?? 0;
    const state = cells.get(slot, EndpointCell.HealthState);
    if (!isUp(state)) continue; // no call reaches it
    const onTrial = state === HealthState.Trial;
    const success = rng.unit() < (slot % 5) / 5;
    const change = report(cells, slot, success ? 'success' : 'tcp', 1);
    const { failed } = model.get(slot) ?? assert.fail();
    assert.equal(change, success ? 'none' : 'down');
    if (success) {
      timed.forget(slot);
      model.set(slot, { outSinceMs: undefined, failed: 0 });
    } else {
      timed.add(cells, slot, nowMs, onTrial);
      model.set(slot, { outSinceMs: nowMs, failed: onTrial ? failed + 1 : 0 });
    }
    assert.equal(timed.failedTrials(cells, slot), model.get(slot)?.failed);
  }
  assert.ok(trials > 2000, `${trials} trials`);
  assert.equal(longest, 30_000);
});
