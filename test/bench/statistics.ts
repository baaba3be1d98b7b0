/** Median and range of some measurements. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Median (of an even number: the mean of the middle two), smallest and largest value. Throws on no values. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (index: number): number => {
    const value = sorted[index];
    if (value === undefined) throw new RangeError('no measurements');
    return value;
  };
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2;
  return { median, min: at(0), max: at(sorted.length - 1) };
}

/**
 * The median of `mine[i] / theirs[i]`. The two were measured one after the other in the same round, so what slows the
 * whole machine for a while falls out of each quotient. Throws if the numbers of rounds differ.
 */
export function pairedRatio(mine: readonly number[], theirs: readonly number[]): number {
  if (mine.length !== theirs.length) throw new RangeError('the rounds of two peers differ in number');
  return spreadOf(mine.map((value, round) => value / (theirs[round] ?? Number.NaN))).median;
}

/** The smallest of the values that at least this share of them doesn't exceed, e.g. 0.99. Throws on no values. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
  if (value === undefined) throw new RangeError('no measurements');
  return value;
}
