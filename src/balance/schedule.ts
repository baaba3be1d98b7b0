// The order of smooth weighted round robin, computed ahead. Each step adds every endpoint's weight to its lead, gives
// the call to the largest lead (the first of equals) and takes the sum of weights from it; after Σ weights / gcd steps
// it repeats. Weights 5, 1, 1 give A A B A C A A. Of endpoints with equal weights the leads grow alike, so they take
// turns among themselves and a step only compares the *different* weights: the cost is length × different weights, of
// which a cycle of 65,536 has room for 361.
import { apportion, reduceWeights, sumOf } from './apportion.ts';

/** A schedule has no more entries, unless there are more endpoints. */
export const MAX_SCHEDULE_LENGTH = 65_536;

/** An immutable cycle of picks. */
export interface Schedule {
  /** Indexes into the weights, in the order of picks. */
  readonly order: Uint16Array | Uint32Array;
  /** How often each index stands in `order`. */
  readonly shares: readonly number[];
  /** Entries that the exact cycle would have: more than `order` has where the weights had to be scaled. */
  readonly asked: number;
}

/** Computes the cycle for `weights` (integers from 0 to 2^32 - 1). Empty for no weights. */
export function buildSchedule(weights: readonly number[]): Schedule {
  if (areEqual(weights)) return takingTurns(weights.length);
  const { shares, asked } = cycleShares(weights);
  const length = sumOf(shares);
  const order = indexList(shares.length, length);
  const groups = groupByShare(shares);
  const groupShares = Float64Array.from(groups.keys());
  const members = [...groups.values()];
  // Of each group the member whose turn it is: its place among the members, its index, its lead. Leads are integers of
  // at most length², exact in a double.
  const turns = new Int32Array(members.length);
  const heads = Int32Array.from(members, (indexes) => indexes[0]!);
  const leads = new Float64Array(members.length);
  for (let step = 0; step < length; step++) {
    let best = 0;
    let bestLead = -Infinity;
    for (let group = 0; group < leads.length; group++) {
      const lead = leads[group]! + groupShares[group]!;
      leads[group] = lead;
      if (lead < bestLead || (lead === bestLead && heads[group]! > heads[best]!)) continue;
      best = group;
      bestLead = lead;
    }
    order[step] = heads[best]!;
    if (++turns[best]! === members[best]!.length) {
      turns[best] = 0;
      leads[best]! -= length; // the first member again, which has had one pick more
    }
    heads[best] = members[best]![turns[best]!]!;
  }
  return { order, shares, asked };
}

/** `length` indexes into a list of `count`. */
function indexList(count: number, length: number): Uint16Array | Uint32Array {
  return count <= 65_536 ? new Uint16Array(length) : new Uint32Array(length);
}

function areEqual(weights: readonly number[]): boolean {
  for (let i = 1; i < weights.length; i++) if (weights[i] !== weights[0]) return false;
  return true;
}

/** What equal weights come to, which are what most ports have. */
function takingTurns(count: number): Schedule {
  const order = indexList(count, count);
  for (let i = 0; i < count; i++) order[i] = i;
  return { order, shares: new Array<number>(count).fill(1), asked: count };
}

function groupByShare(shares: readonly number[]): Map<number, number[]> {
  const groups = new Map<number, number[]>();
  shares.forEach((share, index) => {
    if (share === 0) return;
    const members = groups.get(share);
    if (members) members.push(index);
    else groups.set(share, [index]);
  });
  return groups;
}

/**
 * Entries of each weight in one cycle: weight / gcd, which keeps their ratios exactly. Where that makes too long a
 * cycle, shares of MAX_SCHEDULE_LENGTH. All weights 0: one each. `asked` is the length of the exact cycle.
 */
export function cycleShares(weights: readonly number[]): { shares: number[]; asked: number } {
  const exact = reduceWeights(weights);
  const asked = sumOf(exact);
  if (asked === 0) return { shares: weights.map(() => 1), asked: weights.length };
  return { shares: asked <= MAX_SCHEDULE_LENGTH ? exact : apportion(exact, MAX_SCHEDULE_LENGTH), asked };
}
