// Latency in fixed buckets: ten a decade (preferred numbers, so that 1, 2.5 and 5 are among the bounds) from 10 µs to
// 100 s. A bucket's upper bound is at most 30 % above its lower one, and a quantile is interpolated between them.
// Guarded by `npm run bench -- micro histogram`.

const STEPS = [1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5, 6.4, 8];
const SMALLEST_US = 10;
const DECADES = 7;

/** Upper bounds of the buckets, µs, ascending; a value equal to a bound is inside. One more bucket follows for the rest. */
export const BUCKET_BOUNDS_US: readonly number[] = [
  ...Array.from({ length: DECADES * STEPS.length }, (_, i) =>
    Math.round(SMALLEST_US * 10 ** Math.floor(i / STEPS.length) * STEPS[i % STEPS.length]!),
  ),
  SMALLEST_US * 10 ** DECADES,
];

const BUCKETS = BUCKET_BOUNDS_US.length + 1;
const SUM = BUCKETS * 2;

// First bucket that a value of a given bit length can fall into: the search from there takes at most four steps.
const FIRST_BUCKET = Int32Array.from({ length: 33 }, (_, bits) => {
  const smallest = bits === 0 ? 0 : 2 ** (bits - 1);
  const found = BUCKET_BOUNDS_US.findIndex((bound) => smallest <= bound);
  return found === -1 ? BUCKETS - 1 : found;
});

/** Latencies of one upstream port. */
export class LatencyHistogram {
  /** Two words a bucket, then two of the sum in µs: low, then carry. */
  private readonly words = new Int32Array(SUM + 2);

  /** Counts one latency in µs; a fraction is cut off, negative is 0, and more than 2^31 - 1 counts as that. */
  record(latencyUs: number): void {
    const us = latencyUs >= 2147483647 ? 2147483647 : latencyUs > 0 ? Math.floor(latencyUs) : 0;
    let bucket = FIRST_BUCKET[32 - Math.clz32(us)]!;
    while (bucket < BUCKETS - 1 && us > BUCKET_BOUNDS_US[bucket]!) bucket++;
    const words = this.words;
    const at = bucket * 2;
    if ((words[at] = (words[at]! + 1) | 0) === 0) words[at + 1]!++;
    const low = (words[SUM]! >>> 0) + us;
    words[SUM] = low | 0;
    if (low > 0xffffffff) words[SUM + 1]!++;
  }

  /** Number of latencies. */
  get count(): number {
    return this.countUpTo(BUCKETS - 1);
  }

  /** Sum of the latencies, µs. */
  get sumUs(): number {
    return this.read(SUM);
  }

  /** Number of latencies in the buckets up to and with `bucket` (an index into BUCKET_BOUNDS_US, or its length). */
  countUpTo(bucket: number): number {
    let total = 0;
    for (let i = 0; i <= bucket; i++) total += this.read(i * 2);
    return total;
  }

  /**
   * Estimate of the `q`-quantile (0 to 1) in µs, interpolated inside its bucket; 0 while nothing was counted. Beyond the
   * last bound it is that bound.
   */
  quantileUs(q: number): number {
    const count = this.count;
    if (count === 0) return 0;
    const rank = Math.min(Math.max(q, 0), 1) * count;
    let below = 0;
    for (let bucket = 0; bucket < BUCKETS - 1; bucket++) {
      const inside = this.read(bucket * 2);
      if (inside > 0 && below + inside >= rank) {
        const lower = bucket === 0 ? 0 : BUCKET_BOUNDS_US[bucket - 1]!;
        return lower + (BUCKET_BOUNDS_US[bucket]! - lower) * ((rank - below) / inside);
      }
      below += inside;
    }
    return BUCKET_BOUNDS_US[BUCKETS - 2]!;
  }

  private read(at: number): number {
    return (this.words[at]! >>> 0) + this.words[at + 1]! * 4294967296;
  }
}
