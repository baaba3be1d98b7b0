// The order of smooth weighted round robin, computed ahead. Each step adds every endpoint's weight to its lead, gives
// the call to the largest lead (the first of equals) and takes the sum of weights from it; after Σ weights / gcd steps
// it repeats. Weights 5, 1, 1 give A A B A C A A. Of endpoints with equal weights the leads grow alike, so they take
// turns among themselves and a step only compares the *different* weights: the cost is length × different weights.

/** A schedule has no more entries, unless there are more endpoints. */
export const MAX_SCHEDULE_LENGTH = 65_536;

/** An immutable cycle of picks. */
export interface Schedule {
  /** Indexes into the weights, in the order of picks. */
  readonly order: Uint16Array | Uint32Array;
  /** How often each index stands in `order`. */
  readonly shares: readonly number[];
}

/** One group of endpoints with the same share. */
interface Turn {
  readonly share: number;
  readonly members: number[];
  /** Member whose turn it is. */
  next: number;
  /** Picks that this member has had. */
  picks: number;
}

/** Computes the cycle for `weights` (non-negative integers). Empty for no weights. */
export function buildSchedule(weights: readonly number[]): Schedule {
  const shares = cycleShares(weights);
  const length = shares.reduce((sum, share) => sum + share, 0);
  const order = shares.length <= 65_536 ? new Uint16Array(length) : new Uint32Array(length);
  const turns = groupByShare(shares);
  for (let step = 1; step <= length; step++) {
    let best: Turn | undefined;
    let bestLead = 0;
    for (const turn of turns) {
      const lead = step * turn.share - turn.picks * length;
      if (!best || lead > bestLead || (lead === bestLead && turn.members[turn.next]! < best.members[best.next]!)) {
        best = turn;
        bestLead = lead;
      }
    }
    order[step - 1] = best!.members[best!.next]!;
    if (++best!.next === best!.members.length) {
      best!.next = 0;
      best!.picks++;
    }
  }
  return { order, shares };
}

function groupByShare(shares: readonly number[]): Turn[] {
  const turns = new Map<number, Turn>();
  shares.forEach((share, index) => {
    if (share === 0) return;
    const turn = turns.get(share);
    if (turn) turn.members.push(index);
    else turns.set(share, { share, members: [index], next: 0, picks: 0 });
  });
  return [...turns.values()];
}

/**
 * Entries of each weight in one cycle: weight / gcd, which keeps their ratios exactly. Where that makes too long a
 * cycle, shares of MAX_SCHEDULE_LENGTH. All weights 0: one each.
 */
export function cycleShares(weights: readonly number[]): number[] {
  const divisor = weights.reduce(gcd, 0);
  if (divisor === 0) return weights.map(() => 1);
  const exact = weights.map((weight) => weight / divisor);
  const total = exact.reduce((sum, share) => sum + share, 0);
  return total <= MAX_SCHEDULE_LENGTH ? exact : scaleShares(exact);
}

function gcd(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}

/** Shares of MAX_SCHEDULE_LENGTH entries by largest remainder; who would get less than one entry gets one. */
function scaleShares(weights: readonly number[]): number[] {
  const shares: number[] = weights.map((weight) => (weight === 0 ? 0 : 1));
  let entries = MAX_SCHEDULE_LENGTH;
  let rest = weights.flatMap((weight, index) => (weight === 0 ? [] : [{ index, weight }]));
  let sum = rest.reduce((total, { weight }) => total + weight, 0);
  // Giving one entry to the small leaves less for the others, which may make further ones small.
  for (;;) {
    const large = rest.filter(({ weight }) => weight * entries >= sum);
    if (large.length === rest.length || large.length === 0) break;
    entries -= rest.length - large.length;
    sum = large.reduce((total, { weight }) => total + weight, 0);
    rest = large;
  }
  if (entries < rest.length) return shares; // more endpoints than entries: one each
  let left = entries;
  const remainders = rest.map(({ index, weight }) => {
    const share = (weight * entries) / sum;
    shares[index] = Math.floor(share);
    left -= Math.floor(share);
    return { index, remainder: share - Math.floor(share) };
  });
  remainders.sort((a, b) => b.remainder - a.remainder || a.index - b.index);
  for (const { index } of remainders.slice(0, left)) shares[index] = shares[index]! + 1;
  return shares;
}
