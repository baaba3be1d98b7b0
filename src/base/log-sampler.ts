// Keeps a log readable when the same thing happens a thousand times a second: a few of a kind are told, then none until
// the period is over, and the next says how many were left out.
import type { Clock } from './clock.ts';

/** Kinds remembered at once; beyond, all are forgotten and begin anew. */
const MAX_KEYS = 1000;

interface Told {
  sinceMs: number;
  count: number;
  leftOut: number;
}

/** How much of a kind is told: `count` in `periodMs`. */
export interface LogSamplerOptions {
  readonly count: number;
  readonly periodMs: number;
}

/** Decides what is told. */
export class LogSampler {
  private readonly clock: Clock;
  private readonly options: LogSamplerOptions;
  private readonly told = new Map<string, Told>();

  constructor(clock: Clock, options: LogSamplerOptions) {
    this.clock = clock;
    this.options = options;
  }

  /**
   * How many of this kind were left out before this one, which is to be told; undefined: leave this one out too. A key
   * must not hold what a caller chooses.
   */
  take(key: string): number | undefined {
    const nowMs = this.clock.nowMs;
    const { count, periodMs } = this.options;
    const last = this.told.get(key);
    if (last && nowMs - last.sinceMs < periodMs) {
      if (last.count < count) {
        last.count++;
        return 0;
      }
      last.leftOut++;
      return undefined;
    }
    if (!last && this.told.size >= MAX_KEYS) this.told.clear();
    this.told.set(key, { sinceMs: nowMs, count: 1, leftOut: 0 });
    return last?.leftOut ?? 0;
  }
}
