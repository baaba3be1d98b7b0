// A balancer with endpoints and calls in a time of its own, for tests of algorithms. `play` brings calls at random
// moments (a Poisson process) and ends each when the endpoint's own rule says.
import type { BalancedEndpoint, Balancer } from '../../src/balance/balancer.ts';
import { recordLatency, type LatencyRecorder } from '../../src/balance/latency.ts';
import { TriedSlots } from '../../src/balance/tried-slots.ts';
import type { Rng } from '../../src/base/rng.ts';
import { Cells, EndpointCell } from '../../src/model/cells.ts';

/** How an attempt at an endpoint goes. */
export interface Answer {
  readonly tookMs: number;
  readonly failed?: boolean;
}

/** An attempt in flight. */
interface Attempt {
  readonly slot: number;
  readonly beganMs: number;
  readonly endMs: number;
  readonly failed: boolean;
}

/** See the top of the file. */
export class BalanceScene {
  readonly cells = new Cells();
  readonly ports = new Cells();
  readonly live = { endpoints: this.cells, ports: this.ports, portSlot: this.ports.allocate() };
  readonly hints = { nowMs: 0, keyHash: 0, spilled: false };
  readonly tried = new TriedSlots();
  rows: BalancedEndpoint[] = [];
  /** Attempts that each slot had. */
  readonly attempts = new Map<number, number>();
  private readonly inFlight: Attempt[] = [];
  readonly balancer: Balancer;
  private readonly record: LatencyRecorder;

  constructor(balancer: Balancer, weights: readonly number[], record = recordLatency) {
    this.balancer = balancer;
    this.record = record;
    for (const weight of weights) this.add(weight);
    this.update();
  }

  /** A further endpoint; {@link update} makes it known. */
  add(weight: number): number {
    const slot = this.cells.allocate();
    this.rows.push({ slot, id: `10.0.0.1:${slot}`, weight });
    return slot;
  }

  update(): void {
    this.balancer.update(this.rows);
  }

  pick(): number {
    return this.balancer.pick(this.live, this.tried, this.hints);
  }

  /** Picks and begins an attempt that lasts until {@link end}. */
  pickAndHold(): number {
    const index = this.pick();
    if (index >= 0) this.begin(index);
    return index;
  }

  begin(index: number): void {
    const { slot } = this.rows[index]!;
    this.cells.add(slot, EndpointCell.InFlight, 1);
    this.attempts.set(slot, (this.attempts.get(slot) ?? 0) + 1);
  }

  end(slot: number): void {
    this.cells.add(slot, EndpointCell.InFlight, -1);
    this.balancer.ended?.(this.live, slot);
  }

  /** One call after the other, each ended before the next; the indexes picked. */
  sequence(count: number, answer: (index: number) => Answer): number[] {
    return Array.from({ length: count }, () => {
      const index = this.pickAndHold();
      const { slot } = this.rows[index]!;
      const { tookMs, failed = false } = answer(index);
      this.hints.nowMs += tookMs;
      this.end(slot);
      this.sample(slot, tookMs, failed);
      return index;
    });
  }

  sample(slot: number, tookMs: number, failed = false): void {
    this.record(this.cells, slot, { connectMs: 0, headMs: tookMs, totalMs: tookMs, failed }, this.hints.nowMs);
  }

  /** Calls at a mean rate, for a time. Returns how many found no endpoint. */
  play(rng: Rng, perSecond: number, seconds: number, answer: (slot: number) => Answer): number {
    const untilMs = this.hints.nowMs + seconds * 1_000;
    let nextMs = this.hints.nowMs + this.gapMs(rng, perSecond);
    let unserved = 0;
    while (nextMs < untilMs) {
      this.finishUntil(nextMs);
      this.hints.nowMs = nextMs;
      const index = this.pickAndHold();
      if (index < 0) unserved++;
      else this.hold(this.rows[index]!.slot, answer);
      nextMs += this.gapMs(rng, perSecond);
    }
    this.finishUntil(untilMs);
    this.hints.nowMs = untilMs;
    return unserved;
  }

  /** A fixed number of callers, each with its next call as soon as the last is over. */
  playClosed(callers: number, calls: number, answer: (slot: number) => Answer): void {
    for (let i = 0; i < calls; i++) {
      if (this.inFlight.length >= callers) this.finishFirst();
      const index = this.pickAndHold();
      if (index >= 0) this.hold(this.rows[index]!.slot, answer);
    }
    this.finishUntil(Infinity);
  }

  /** Part of all attempts since `since` that each endpoint had. */
  shares(since: ReadonlyMap<number, number> = new Map()): number[] {
    const counts = this.rows.map(({ slot }) => (this.attempts.get(slot) ?? 0) - (since.get(slot) ?? 0));
    const sum = counts.reduce((total, count) => total + count, 0);
    return counts.map((count) => count / sum);
  }

  private hold(slot: number, answer: (slot: number) => Answer): void {
    const { tookMs, failed = false } = answer(slot);
    const endMs = this.hints.nowMs + tookMs;
    let at = this.inFlight.length;
    while (at > 0 && this.inFlight[at - 1]!.endMs < endMs) at--;
    this.inFlight.splice(at, 0, { slot, beganMs: this.hints.nowMs, endMs, failed });
  }

  private finishUntil(timeMs: number): void {
    while (this.inFlight.length > 0 && this.inFlight.at(-1)!.endMs <= timeMs) this.finishFirst();
  }

  private finishFirst(): void {
    const attempt = this.inFlight.pop();
    if (!attempt) return;
    this.hints.nowMs = attempt.endMs;
    this.end(attempt.slot);
    this.sample(attempt.slot, attempt.endMs - attempt.beganMs, attempt.failed);
  }

  private gapMs(rng: Rng, perSecond: number): number {
    return (-Math.log(1 - rng.unit()) * 1_000) / perSecond;
  }
}

/** How often each of `endpoints` indexes stands in `picks`. */
export function countPicks(picks: readonly number[], endpoints: number): number[] {
  return Array.from({ length: endpoints }, (_, index) => picks.filter((pick) => pick === index).length);
}
