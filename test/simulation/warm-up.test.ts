import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../../src/base/rng.ts';
import { warmShare, WarmUp } from '../../src/health/warm-up.ts';
import { Cells, EndpointCell } from '../../src/model/cells.ts';
import type { WarmUpPolicy } from '../../src/model/policy.ts';

const WHOLE = 65_536;

for (let seed = 1; seed <= 20; seed++) {
  test(`2,000 random events, seed ${seed}: shares keep their relation and every ramp ends`, () => {
    const draw = seededRng(seed);
    const policy: WarmUpPolicy = {
      windowMs: 1000 + draw.below(60_000),
      minShare: (1 + draw.below(100)) / 100,
      intervalMs: 1000 + draw.below(3000),
      aggression: [0.3, 1, 2.5][draw.below(3)]!,
      graceMs: 0,
    };
    const cells = new Cells();
    let level = Array.from({ length: 1 + draw.below(15) }, () => ({ slot: cells.allocate(), weight: draw.below(5) }));
    const warmUp = new WarmUp(policy, 0);
    const began = new Map<number, number>();
    let nowMs = 0;
    for (let event = 0; event < 2000; event++) {
      nowMs += draw.below(700);
      const one = level[draw.below(level.length)]!;
      const dice = draw.unit();
      if (dice < 0.02) {
        warmUp.begin(cells, one.slot, nowMs);
        began.set(one.slot, nowMs);
      } else if (dice < 0.03) {
        warmUp.end(cells, one.slot);
        began.delete(one.slot);
        assert.equal(cells.get(one.slot, EndpointCell.Share), 0);
      } else if (dice < 0.04 && level.length > 1) {
        level = level.filter((other) => other !== one);
        cells.release(one.slot);
        began.delete(one.slot);
      } else if (dice < 0.05) {
        const slot = cells.allocate();
        level = [...level, { slot, weight: draw.below(5) }];
        warmUp.appeared(cells, slot, nowMs);
        began.set(slot, nowMs);
      } else if (nowMs < warmUp.nextMs && draw.below(4) > 0) {
        continue;
      }
      warmUp.step(cells, [level], nowMs);
      for (const [slot, sinceMs] of began) if (warmShare(policy, nowMs - sinceMs) === 0) began.delete(slot);
      assert.equal(warmUp.size, began.size);
      assert.equal(warmUp.nextMs === Infinity, began.size === 0);
      assert.ok(warmUp.nextMs === Infinity || warmUp.nextMs <= nowMs + policy.intervalMs);

      const rows = level.map(({ slot, weight }) => {
        const cell = cells.get(slot, EndpointCell.Share);
        assert.ok(cell >= 0 && cell < WHOLE);
        return { slot, weight, share: cell === 0 ? 1 : cell / WHOLE };
      });
      for (const { slot, share } of rows) if (!began.has(slot)) assert.equal(share, 1);
      // Whoever began earlier has at least as much.
      for (const a of rows) {
        for (const b of rows) {
          const [sinceA, sinceB] = [began.get(a.slot) ?? -Infinity, began.get(b.slot) ?? -Infinity];
          if (a.weight > 0 && b.weight > 0 && sinceA <= sinceB) assert.ok(a.share >= b.share);
        }
      }
      const weighted = rows.filter(({ weight }) => weight > 0);
      if (weighted.length === 0) continue;
      assert.equal(Math.max(...weighted.map(({ share }) => share)), 1, 'the furthest has all of its weight');
      const whole = weighted.reduce((sum, { weight }) => sum + weight, 0);
      const warm = weighted.reduce((sum, { weight, share }) => sum + weight * share, 0);
      for (const { share } of weighted)
        assert.ok(share / warm <= 4.01 / whole, 'nobody has more than four times its part');
    }
    warmUp.step(cells, [level], nowMs + policy.windowMs);
    assert.equal(warmUp.size, 0);
    for (const { slot } of level) assert.equal(cells.get(slot, EndpointCell.Share), 0);
  });
}

test('a new endpoint’s load rises without a step back to its whole part', () => {
  const policy: WarmUpPolicy = { windowMs: 30_000, minShare: 0.1, intervalMs: 1000, aggression: 1.5, graceMs: 0 };
  const cells = new Cells();
  const level = Array.from({ length: 5 }, () => ({ slot: cells.allocate(), weight: 1 }));
  const warmUp = new WarmUp(policy, 0);
  const fresh = level[4]!.slot;
  warmUp.appeared(cells, fresh, 1);
  const draw = seededRng(5);
  let before = 0;
  const picks: number[] = [];
  for (let second = 0; second < 33; second++) {
    if (1 + second * 1000 >= warmUp.nextMs) warmUp.step(cells, [level], 1 + second * 1000);
    const share = (cells.get(fresh, EndpointCell.Share) || WHOLE) / WHOLE;
    assert.ok(share >= before, `second ${second}`);
    before = share;
    let picked = 0;
    for (let call = 0; call < 5000; call++) if (draw.unit() < share / (4 + share)) picked++;
    picks.push(picked);
  }
  assert.equal(before, 1);
  assert.equal(warmUp.nextMs, Infinity);
  assert.ok(picks[0]! < 200 && picks[32]! > 900, picks.join(' '));
});
