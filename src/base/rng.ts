import { randomBytes } from 'node:crypto';

/** A source of chance. Handed in everywhere, so that tests are seeded. */
export interface Rng {
  /** Uniform in [0, 1). */
  unit(): number;
  /** Uniform integer in [0, n). */
  below(n: number): number;
}

/** Chance from the machine. */
export function systemRng(): Rng {
  return { unit: Math.random, below: (n) => Math.floor(Math.random() * n) };
}

/** A repeatable sequence (mulberry32): the same seed gives the same values. */
export function seededRng(seed: number): Rng {
  let state = seed >>> 0;
  const unit = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return { unit, below: (n) => Math.floor(unit() * n) };
}

/** Bytes that nobody can guess, for keys. */
export function secretBytes(count: number): Buffer {
  return randomBytes(count);
}
