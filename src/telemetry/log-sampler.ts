// Keeps a log readable when the same thing happens a thousand times a second: the first of a kind is told, then one in a
// while with the number left out.
import type { Clock } from '../base/clock.ts';

/** Kinds remembered at once; beyond, all are forgotten and begin anew. */
const MAX_KEYS = 1000;

interface Told {
  atMs: number;
  leftOut: number;
}

/** Decides what is told. */
export class LogSampler {
  private readonly clock: Clock;
  private readonly periodMs: number;
  private readonly told = new Map<string, Told>();

  /** Each kind is told once per `periodMs`. */
  constructor(clock: Clock, periodMs: number) {
    this.clock = clock;
    this.periodMs = periodMs;
  }

  /** How many of this kind were left out before this one, which is to be told; undefined: leave this one out too. */
  take(key: string): number | undefined {
    const nowMs = this.clock.nowMs;
    const last = this.told.get(key);
    if (last && nowMs - last.atMs < this.periodMs) {
      last.leftOut++;
      return undefined;
    }
    if (!last && this.told.size >= MAX_KEYS) this.told.clear();
    this.told.set(key, { atMs: nowMs, leftOut: 0 });
    return last?.leftOut ?? 0;
  }
}
