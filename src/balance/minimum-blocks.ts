// Finding the least of many numbers that change one at a time, and one of the equals by chance. The numbers stand in
// blocks of about the square root of their count; each block knows its least and how many have it. Most changes touch
// three words. A heap would know the least as well, but not who else is equal; a tree that counts equals took twice as
// long with a thousand numbers, since each change climbed all of it.
import type { Rng } from '../base/rng.ts';

/** Keys with their least at hand; of the same keys the one of higher rank is less. Changes and draws allocate nothing. */
export class MinimumBlocks {
  /** The key and the rank to change to. Handed over here, since numbers with fractions are allocated as arguments. */
  readonly next = new Float64Array(2);
  private readonly count: number;
  private readonly keys: Float64Array;
  private readonly ranks: Float64Array;
  /** log2 of the length of a block. */
  private readonly shift: number;
  private readonly leastKeys: Float64Array;
  private readonly leastRanks: Float64Array;
  /** How many of the block are equal to its least. */
  private readonly equals: Int32Array;

  /** All keys are Infinity to begin with. */
  constructor(count: number) {
    this.count = count;
    this.shift = Math.max(2, Math.round(Math.log2(count) / 2));
    const blocks = Math.ceil(count / (1 << this.shift));
    this.keys = new Float64Array(count).fill(Infinity);
    this.ranks = new Float64Array(count);
    this.leastKeys = new Float64Array(blocks);
    this.leastRanks = new Float64Array(blocks);
    this.equals = new Int32Array(blocks);
    this.build();
  }

  /** Changes one key to {@link next}; false: that is what it is. */
  set(index: number): boolean {
    const key = this.next[0]!;
    const rank = this.next[1]!;
    const oldKey = this.keys[index]!;
    const oldRank = this.ranks[index]!;
    if (key === oldKey && rank === oldRank) return false;
    this.fill(index);
    const block = index >> this.shift;
    const leastKey = this.leastKeys[block]!;
    const leastRank = this.leastRanks[block]!;
    const wasLeast = oldKey === leastKey && oldRank === leastRank;
    if (key < leastKey || (key === leastKey && rank > leastRank)) {
      this.leastKeys[block] = key;
      this.leastRanks[block] = rank;
      this.equals[block] = 1;
    } else if (key === leastKey && rank === leastRank) {
      this.equals[block]!++;
    } else if (wasLeast && --this.equals[block]! === 0) {
      this.search(block);
    }
    return true;
  }

  /** Changes one key of many to {@link next}: {@link build} has to be called before anything else. */
  fill(index: number): void {
    this.keys[index] = this.next[0]!;
    this.ranks[index] = this.next[1]!;
  }

  /** Finds the least anew. */
  build(): void {
    for (let block = 0; block < this.equals.length; block++) this.search(block);
  }

  /** Index of the least key, drawn evenly among equals; -1 where all are Infinity. */
  draw(rng: Rng): number {
    const { keys, ranks, leastKeys, leastRanks, equals } = this;
    let key = Infinity;
    let rank = 0;
    let first = -1;
    let total = 0;
    for (let block = 0; block < leastKeys.length; block++) {
      const blockKey = leastKeys[block]!;
      if (blockKey > key || blockKey === Infinity) continue;
      const blockRank = leastRanks[block]!;
      if (blockKey === key && blockRank <= rank) {
        if (blockRank === rank) total += equals[block]!;
        continue;
      }
      key = blockKey;
      rank = blockRank;
      first = block;
      total = equals[block]!;
    }
    if (first < 0) return -1;
    let skip = total === 1 ? 0 : rng.below(total);
    let block = first;
    for (; ; block++) {
      if (leastKeys[block] !== key || leastRanks[block] !== rank) continue;
      if (skip < equals[block]!) break;
      skip -= equals[block]!;
    }
    let index = block << this.shift;
    for (; ; index++) if (keys[index] === key && ranks[index] === rank && skip-- === 0) return index;
  }

  private search(block: number): void {
    const { keys, ranks } = this;
    const begin = block << this.shift;
    const end = Math.min(begin + (1 << this.shift), this.count);
    let leastKey = keys[begin]!;
    let leastRank = ranks[begin]!;
    let equals = 1;
    for (let i = begin + 1; i < end; i++) {
      const key = keys[i]!;
      if (key > leastKey) continue;
      const rank = ranks[i]!;
      if (key < leastKey || rank > leastRank) {
        leastKey = key;
        leastRank = rank;
        equals = 1;
      } else if (rank === leastRank) {
        equals++;
      }
    }
    this.leastKeys[block] = leastKey;
    this.leastRanks[block] = leastRank;
    this.equals[block] = equals;
  }
}
