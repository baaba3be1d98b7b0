// Weights as whole numbers of places, of a round-robin cycle or on a hash ring. Divided by their greatest common divisor
// they are exact; where that asks for more places than there are, they are scaled, and `scalingNote` tells by how much.
// Weights are integers up to 2^32 - 1 and places at most 2^20, so every product here is exact (below 2^53).
import type { BalancedEndpoint } from './balancer.ts';

/** The weights without their greatest common divisor, which keeps their ratios. All 0: as they are. */
export function reduceWeights(weights: readonly number[]): number[] {
  let divisor = 0;
  for (let i = 0; i < weights.length && divisor !== 1; i++) divisor = gcd(divisor, weights[i]!);
  return divisor <= 1 ? weights.slice() : weights.map((weight) => weight / divisor);
}

function gcd(a: number, b: number): number {
  while (b !== 0) {
    const rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

/** Sum of `numbers`. */
export function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0);
}

/**
 * Shares `places` out by weight, by largest remainder. Whoever has a weight gets one place at least; where there are
 * fewer places than such endpoints, each gets one and `places` is exceeded.
 */
export function apportion(weights: readonly number[], places: number): number[] {
  const shares: number[] = weights.map((weight) => (weight === 0 ? 0 : 1));
  let entries = places;
  let rest = weights.flatMap((weight, index) => (weight === 0 ? [] : [{ index, weight }]));
  let sum = rest.reduce((total, { weight }) => total + weight, 0);
  // Giving one place to the small leaves less for the others, which may make further ones small.
  for (;;) {
    const large = rest.filter(({ weight }) => weight * entries >= sum);
    if (large.length === rest.length || large.length === 0) break;
    entries -= rest.length - large.length;
    sum = large.reduce((total, { weight }) => total + weight, 0);
    rest = large;
  }
  if (entries < rest.length) return shares;
  let left = entries;
  const remainders = rest.map(({ index, weight }) => {
    const remainder = (weight * entries) % sum;
    const share = (weight * entries - remainder) / sum;
    shares[index] = share;
    left -= share;
    return { index, remainder };
  });
  if (left === 0) return shares;
  remainders.sort((a, b) => b.remainder - a.remainder || a.index - b.index);
  for (const { index } of remainders.slice(0, left)) shares[index] = shares[index]! + 1;
  return shares;
}

/**
 * For people: how far scaling goes, and what it does to the endpoint whose share it changes most in proportion. `what`
 * are the places: `points on the ring`.
 */
export function scalingNote(
  endpoints: readonly BalancedEndpoint[],
  places: readonly number[],
  asked: number,
  what: string,
): string {
  const weightSum = endpoints.reduce((sum, { weight }) => sum + weight, 0);
  const used = sumOf(places);
  let worst: BalancedEndpoint | undefined;
  let worstFactor = 0;
  let wanted = 0;
  let got = 0;
  endpoints.forEach((endpoint, index) => {
    if (endpoint.weight === 0) return;
    const want = endpoint.weight / weightSum;
    const has = places[index]! / used;
    const factor = Math.max(has / want, want / has);
    if (factor <= worstFactor) return;
    [worst, worstFactor, wanted, got] = [endpoint, factor, want, has];
  });
  const scaled = `weights ask for ${figure(asked)} ${what}; ${figure(used)} are used`;
  if (!worst || worstFactor < 1 + 1e-9) return `${scaled}, which leaves the shares as they are`;
  const off = percent(Math.abs(got - wanted) / wanted);
  return `${scaled}, so shares differ by up to ${off}: ${worst.id} has ${percent(got)} instead of ${percent(wanted)}`;
}

function figure(value: number): string {
  return value.toLocaleString('en-US');
}

function percent(ratio: number): string {
  return `${(ratio * 100).toLocaleString('en-US', { maximumSignificantDigits: 3 })} %`;
}
