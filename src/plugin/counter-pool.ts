// Counters of many limits, bounded in number for all of them together. When there are too many, the limit that holds the most gives
// one away, the one that ends soonest. So a limit whose keys callers choose can grow only as long as there is room: it takes
// nothing from those that hold less than it, and one that is full replaces counters of its own. Counters that have ended go first,
// whose they are doesn't matter.
import { ChurnTable } from './churn-table.ts';
import { RankedHeap, type Ranked } from './ranked-heap.ts';

/** Ended ones that go for each that comes: more than one, so that they become fewer. */
const REMOVED_PER_ADDITION = 2;

/** Counter of one key of one limit. The windows (fixed-window.ts, sliding-window.ts) say what its numbers mean. */
export interface LimitCounter extends Ranked {
  readonly key: string;
  /** Requests counted in the running window. */
  count: number;
  /** Those of the window before; of sliding windows only. */
  previousCount: number;
  /** Number of the running window since 1970; of sliding windows only. */
  windowIndex: number;
  /** Monotonic ms from which on it says nothing any more. Who changes it calls {@link CounterSet.moved}. */
  endMs: number;
}

/** Place of a set among the sets. */
interface SetRank extends Ranked {
  readonly set: CounterSet;
}

/** The counters of one limit. */
export class CounterSet {
  /** By end. */
  readonly heap = new RankedHeap<LimitCounter>();
  /** Undefined: there has been no counter yet. */
  table: ChurnTable<LimitCounter> | undefined = undefined;
  readonly byEnd: SetRank = { set: this, rank: 0, position: -1 };
  readonly bySize: SetRank = { set: this, rank: 0, position: -1 };
  private readonly pool: CounterPool;

  constructor(pool: CounterPool) {
    this.pool = pool;
  }

  get size(): number {
    return this.heap.size;
  }

  /** The counter of a key; it may have ended. */
  find(key: string): LimitCounter | undefined {
    return this.table?.get(key);
  }

  /** A new counter that has counted nothing, for a key (latin1) that has none. */
  add(key: string, endMs: number, nowMs: number): LimitCounter {
    return this.pool.add(this, key, endMs, nowMs);
  }

  /** Keeps the order after `endMs` of a counter changed. */
  moved(counter: LimitCounter): void {
    counter.rank = counter.endMs;
    this.heap.changed(counter);
    this.pool.reordered(this);
  }
}

/** All sets. */
export class CounterPool {
  /** Counters held now. */
  size = 0;
  /** How many were dropped before their end, since there were too many: their callers were counted from nothing again. */
  evictions = 0;
  /** Sets that hold counters: by the first end of one of them, and by size, the largest first. */
  private readonly byEnd = new RankedHeap<SetRank>();
  private readonly bySize = new RankedHeap<SetRank>();
  private readonly maxCounters: number;

  constructor(maxCounters: number) {
    this.maxCounters = Math.max(1, maxCounters);
  }

  /** An empty set. It costs the pool nothing until it has a counter. */
  open(): CounterSet {
    return new CounterSet(this);
  }

  /** Forgets a set with all that it counted. Nobody uses it from then on. */
  drop(set: CounterSet): void {
    if (set.size === 0) return;
    this.size -= set.size;
    this.byEnd.remove(set.byEnd);
    this.bySize.remove(set.bySize);
  }

  /** See {@link CounterSet.add}. */
  add(set: CounterSet, key: string, endMs: number, nowMs: number): LimitCounter {
    for (let i = 0; i < REMOVED_PER_ADDITION; i++) {
      const soonest = this.byEnd.first;
      if (soonest === undefined || soonest.rank > nowMs) break;
      this.removeFirst(soonest.set);
    }
    if (this.size >= this.maxCounters) {
      const largest = this.bySize.first!.set;
      this.removeFirst(set.size >= largest.size ? set : largest);
      this.evictions++;
    }
    const counter: LimitCounter = {
      key: ownCopy(key),
      count: 0,
      previousCount: 0,
      windowIndex: -1,
      endMs,
      rank: endMs,
      position: 0,
    };
    (set.table ??= new ChurnTable()).set(counter.key, counter);
    set.heap.add(counter);
    this.size++;
    set.bySize.rank = -set.size;
    if (set.size === 1) {
      set.byEnd.rank = endMs;
      this.byEnd.add(set.byEnd);
      this.bySize.add(set.bySize);
    } else {
      this.bySize.changed(set.bySize);
      this.reordered(set);
    }
    return counter;
  }

  /** Keeps the order after the first end of a set, which isn't empty, may have changed. */
  reordered(set: CounterSet): void {
    const { rank } = set.heap.first!;
    if (rank === set.byEnd.rank) return;
    set.byEnd.rank = rank;
    this.byEnd.changed(set.byEnd);
  }

  private removeFirst(set: CounterSet): void {
    const counter = set.heap.first!;
    set.heap.remove(counter);
    set.table!.delete(counter.key);
    this.size--;
    if (set.size === 0) {
      this.byEnd.remove(set.byEnd);
      this.bySize.remove(set.bySize);
      return;
    }
    set.bySize.rank = -set.size;
    this.bySize.changed(set.bySize);
    this.reordered(set);
  }
}

/** A key is put together of pieces of a request's head, and V8 would keep the whole head for their sake. */
function ownCopy(key: string): string {
  return Buffer.from(key, 'latin1').toString('latin1');
}
