import { RandomHex, seededRng } from '../../src/base/rng.ts';

/** Repeatable ids: the same seed gives the same ones. */
export function seededHex(seed: number): RandomHex {
  const rng = seededRng(seed);
  return new RandomHex((count) => Buffer.from(Uint8Array.from({ length: count }, () => rng.below(256))));
}
