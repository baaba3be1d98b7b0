// The counters of `limit-count`, bounded in number: found by key in a map, and in a binary heap by the time at which they end, so
// that what goes first when there are too many, those that have ended and then those nearest to it, stands on top. Memory of
// ended ones is given back as new ones come.

/** Counters held at most, unless said otherwise; with keys of the usual length some 25 MB. */
export const MAX_LIMIT_COUNTERS = 100_000;

/** Ended ones that go for each that comes: more than one, so that they become fewer. */
const REMOVED_PER_ADDITION = 2;

/** Counter of one key of one limit. The windows (fixed-window.ts, sliding-window.ts) say what its numbers mean. */
export interface LimitCounter {
  readonly key: string;
  /** Requests counted in the running window. */
  count: number;
  /** Those of the window before; of sliding windows only. */
  previousCount: number;
  /** Number of the running window since 1970; of sliding windows only. */
  windowIndex: number;
  /** Monotonic ms from which on it says nothing any more. Who changes it calls {@link LimitCounters.moved}. */
  endMs: number;
  /** Where it stands in the heap. */
  position: number;
}

/** Counters of `limit-count`, of all places together, bounded in number. */
export interface LimitCounters {
  /** Counters held now. */
  readonly size: number;
  /** How many were dropped before their end, since there were too many: their callers were counted from nothing again. */
  readonly evictions: number;
  /** The counter of a key; it may have ended. */
  find(key: string): LimitCounter | undefined;
  /** A new counter that has counted nothing, for a key (latin1) that has none. */
  add(key: string, endMs: number, nowMs: number): LimitCounter;
  /** Keeps the order after `endMs` of a counter changed. */
  moved(counter: LimitCounter): void;
}

/** Makes a store of `maxCounters` (at least 1) counters. */
export function createLimitCounters(maxCounters = MAX_LIMIT_COUNTERS): LimitCounters {
  return new CounterHeap(maxCounters);
}

class CounterHeap implements LimitCounters {
  evictions = 0;
  private readonly byKey = new Map<string, LimitCounter>();
  /** The earliest end stands first; children of i are 2 i + 1 and 2 i + 2. */
  private readonly heap: LimitCounter[] = [];
  private readonly maxCounters: number;

  constructor(maxCounters: number) {
    this.maxCounters = Math.max(1, maxCounters);
  }

  get size(): number {
    return this.heap.length;
  }

  find(key: string): LimitCounter | undefined {
    return this.byKey.get(key);
  }

  add(key: string, endMs: number, nowMs: number): LimitCounter {
    const { heap } = this;
    for (let i = 0; i < REMOVED_PER_ADDITION && heap.length > 0 && heap[0]!.endMs <= nowMs; i++) this.removeFirst();
    if (heap.length >= this.maxCounters) {
      this.removeFirst();
      this.evictions++;
    }
    const counter = { key: ownCopy(key), count: 0, previousCount: 0, windowIndex: -1, endMs, position: heap.length };
    this.byKey.set(counter.key, counter);
    heap.push(counter);
    this.siftUp(counter);
    return counter;
  }

  moved(counter: LimitCounter): void {
    // Later as a rule; earlier where the wall clock was set.
    this.siftUp(counter);
    this.siftDown(counter);
  }

  private removeFirst(): void {
    const { heap } = this;
    this.byKey.delete(heap[0]!.key);
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    last.position = 0;
    this.siftDown(last);
  }

  private siftUp(counter: LimitCounter): void {
    const { heap } = this;
    let at = counter.position;
    while (at > 0) {
      const parent = heap[(at - 1) >> 1]!;
      if (parent.endMs <= counter.endMs) break;
      heap[at] = parent;
      const above = parent.position;
      parent.position = at;
      at = above;
    }
    heap[at] = counter;
    counter.position = at;
  }

  private siftDown(counter: LimitCounter): void {
    const { heap } = this;
    const { length } = heap;
    let at = counter.position;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      if (child + 1 < length && heap[child + 1]!.endMs < heap[child]!.endMs) child++;
      const below = heap[child]!;
      if (below.endMs >= counter.endMs) break;
      heap[at] = below;
      below.position = at;
      at = child;
    }
    heap[at] = counter;
    counter.position = at;
  }
}

/** A key is put together of pieces of a request's head, and V8 would keep the whole head for their sake. */
function ownCopy(key: string): string {
  return Buffer.from(key, 'latin1').toString('latin1');
}
