// A sum over the last stretch of time, as a ring of buckets. Time comes in as an argument, so a test moves it by hand.
// The numbers are Int32 words, so that worker threads can share them later.

/**
 * Adds up what happened lately. `buckets` whole buckets are remembered, the running one included: the sum covers more
 * than `(buckets - 1) * bucketMs` and at most `buckets * bucketMs` milliseconds.
 */
export class Window {
  readonly bucketMs: number;
  /** One word for each bucket, then the sum, then the number of the running bucket since time 0. */
  private readonly words: Int32Array;
  private readonly buckets: number;

  constructor(buckets: number, bucketMs: number) {
    this.buckets = buckets;
    this.bucketMs = bucketMs;
    this.words = new Int32Array(buckets + 2);
  }

  /** Counts `amount` (default 1) at `nowMs`. A time before the newest seen counts as the newest. */
  add(nowMs: number, amount = 1): void {
    const at = this.advance(nowMs);
    this.words[at] = this.words[at]! + amount;
    this.words[this.buckets] = this.words[this.buckets]! + amount;
  }

  /** What was counted in the window that ends at `nowMs`. */
  sum(nowMs: number): number {
    this.advance(nowMs);
    return this.words[this.buckets]!;
  }

  /** Empties the buckets that time has passed over; returns the index of the running one. */
  private advance(nowMs: number): number {
    const { words, buckets } = this;
    const current = Math.floor(nowMs / this.bucketMs) | 0;
    const newest = words[buckets + 1]!;
    const passed = (current - newest) | 0;
    if (passed <= 0) return indexOf(newest, buckets);
    if (passed >= buckets) {
      words.fill(0, 0, buckets + 1);
    } else {
      for (let step = 1; step <= passed; step++) {
        const at = indexOf((newest + step) | 0, buckets);
        words[buckets] = words[buckets]! - words[at]!;
        words[at] = 0;
      }
    }
    words[buckets + 1] = current;
    return indexOf(current, buckets);
  }
}

function indexOf(bucket: number, buckets: number): number {
  return (bucket >>> 0) % buckets;
}
