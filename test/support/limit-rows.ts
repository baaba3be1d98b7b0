// Rows of the table of limits: what is seen one below a limit, at it, and one above it.
import assert from 'node:assert/strict';
import { DEFAULT_LIMITS, type WireLimits } from '../../src/codec/limits.ts';

export type LimitName = keyof WireLimits;

/**
 * What somebody sees, in words. Behind it in parentheses stand the kinds that were counted: `431 (headers_too_large)`.
 */
export type Words = string;

/** One limit in one place. */
export interface LimitRow {
  readonly limit: LimitName;
  /** Where it holds: `an HTTP/1 request`. */
  readonly where: string;
  /** The figure that is tested: the default, unless that would take long. */
  readonly n: number;
  readonly check: () => Promise<void>;
}

/** A row whose quantity can be chosen: `probe` is asked for n - 1, n and n + 1. `n` is the default's unless given. */
export function amountRow(
  limit: LimitName,
  where: string,
  [below, at, above]: readonly [below: Words, at: Words, above: Words],
  probe: (amount: number) => Words | Promise<Words>,
  n: number = DEFAULT_LIMITS[limit],
): LimitRow {
  return {
    limit,
    where,
    n,
    async check() {
      assert.equal(await probe(n - 1), below, `n - 1 = ${n - 1}`);
      assert.equal(await probe(n), at, `n = ${n}`);
      assert.equal(await probe(n + 1), above, `n + 1 = ${n + 1}`);
    },
  };
}

/** Something that ends, or is told, when its time has come. */
export interface Waiting {
  /** So much of the time may have passed before the row began, ms; 0 if left out. */
  readonly begunMs?: number;
  advance(ms: number): void;
  /** What has happened so far; empty: nothing. */
  now(): Words | Promise<Words>;
  /** Waits for what happens. */
  outcome(): Promise<Words>;
}

/** Timers fire less than two ticks of the wheel late. */
const LATE_MS = 20;

/** A row of time: nothing happens 1 ms before it is over, `expected` at its end. */
export function timeRow(
  limit: LimitName,
  where: string,
  expected: Words,
  arm: () => Promise<Waiting>,
  n: number = DEFAULT_LIMITS[limit],
): LimitRow {
  return {
    limit,
    where,
    n,
    async check() {
      const waiting = await arm();
      const { begunMs = 0 } = waiting;
      waiting.advance(n - 1 - begunMs);
      assert.equal(await waiting.now(), '', `after ${n - 1} ms`);
      waiting.advance(1 + begunMs + LATE_MS);
      assert.equal(await waiting.outcome(), expected, `after ${n} ms`);
    },
  };
}
