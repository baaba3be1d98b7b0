// Weights of endpoints that a name stands for. The name's weight is divided among its addresses, so that its share of
// the calls doesn't grow with their number. Weights are integers, so all weights of the port are first multiplied by
// the least common multiple of the numbers of addresses: shares stay exact.
import { MAX_WEIGHT } from '../model/defaults.ts';

/** A weight to be divided among `count` endpoints, 1 or more. */
export interface WeightShare {
  readonly weight: number;
  readonly count: number;
}

/**
 * What turns a share into the weight of each of its endpoints. Exact where the result stays within {@link MAX_WEIGHT};
 * beyond that all are scaled down and rounded, and what is above 0 stays so.
 */
export function weigher(shares: readonly WeightShare[]): (share: WeightShare) => number {
  let multiple = 1;
  let heaviest = 0;
  for (const { weight, count } of shares) {
    multiple = leastCommonMultiple(multiple, count);
    heaviest = Math.max(heaviest, weight / count);
  }
  if (multiple * heaviest <= MAX_WEIGHT) return ({ weight, count }) => weight * (multiple / count);
  const scale = MAX_WEIGHT / heaviest;
  return ({ weight, count }) => {
    if (weight === 0) return 0;
    return Math.min(MAX_WEIGHT, Math.max(1, Math.round((weight / count) * scale)));
  };
}

/** Infinity where it is beyond every weight. */
function leastCommonMultiple(a: number, b: number): number {
  if (a > MAX_WEIGHT) return Number.POSITIVE_INFINITY;
  let [high, low] = [a, b];
  while (low > 0) [high, low] = [low, high % low];
  return (a / high) * b;
}
