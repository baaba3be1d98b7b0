import type { Rng } from './rng.ts';

/** Exponential back-off with jitter. */
export interface BackoffPolicy {
  /** First delay, ms. */
  readonly initialMs: number;
  /** No delay is longer, ms. */
  readonly maxMs: number;
  /** Each delay is the one before times this. */
  readonly multiplier: number;
  /** Share of the delay that is random: 0.5 gives 50 % to 100 % of it. */
  readonly jitter: number;
}

/** Delay before try number `failures` + 1; `failures` counts from 1. Holds no timer. */
export function backoffMs(policy: BackoffPolicy, failures: number, rng: Rng): number {
  const full = Math.min(policy.maxMs, policy.initialMs * policy.multiplier ** Math.max(0, failures - 1));
  return full * (1 - policy.jitter * rng.unit());
}
