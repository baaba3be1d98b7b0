// The ring of `chash`, bit for bit as APISIX makes it (nginx's `hash … consistent`): an endpoint of weight w has
// 160 × w / gcd(all weights) points; the first is the CRC-32 of its id and four zero bytes, each further one that of its
// id and the point before it, little-endian. In the id every `:` is a NUL byte. A key belongs to the first point at or
// after its own CRC-32, and to the lowest point beyond the highest.
//
// Of two points with the same hash the one whose id is lower (by code units) stands first where the hash is even, and
// the one whose id is higher where it is odd. So the order of the endpoints doesn't matter, and two ids with the same
// CRC-32, whose points are all the same, still share the keys.
//
// Building is a radix sort with one large digit: points are spread over buckets by their highest bits, about four to a
// bucket (CRC-32 spreads them evenly), then put in order by insertion. The buckets stay as the index of lookups, which
// a look at one bucket then answers.
import { apportion, reduceWeights, sumOf } from './apportion.ts';
import { crcOfWord, crcState } from './crc32.ts';

/** Points of an endpoint for each unit of weight. */
export const POINTS_PER_UNIT = 160;
/** A ring has no more points, unless there are more endpoints. Weights that ask for more are scaled. */
export const MAX_RING_POINTS = 1_000_000;

/** An immutable ring. */
export interface HashRing {
  /** Hashes of the points, ascending. */
  readonly hashes: Uint32Array;
  /** For each point, the index of its endpoint. */
  readonly owners: Uint16Array | Uint32Array;
  /** First point of each bucket; one more at the end. */
  readonly starts: Uint32Array;
  /** `hash >>> shift` is the bucket of a hash. */
  readonly shift: number;
  /** Points of each endpoint. */
  readonly points: readonly number[];
  /** CRC-32 state of each endpoint's id, which its points continue. */
  readonly states: Int32Array;
  /** Points that the weights ask for: more than the ring has where they had to be scaled. */
  readonly asked: number;
}

/** Makes the ring of endpoints with these ids and weights (integers from 0 to 2^32 - 1). All weights 0: no points. */
export function buildRing(ids: readonly string[], weights: readonly number[]): HashRing {
  const { points, asked } = ringPoints(weights);
  const total = sumOf(points);
  const bits = Math.max(1, Math.floor(Math.log2(Math.max(1, total))) - 2);
  const shift = 32 - bits;

  const states = Int32Array.from(ids, (id) => crcState(id.replaceAll(':', '\0')));
  const drawn = new Uint32Array(total);
  // While counting and spreading, starts[b + 1] belongs to bucket b: its count, then its next free place, which ends as
  // the first place of bucket b + 1.
  const starts = new Uint32Array((1 << bits) + 1);
  let next = 0;
  for (let owner = 0; owner < points.length; owner++) {
    const state = states[owner]!;
    let hash = 0;
    for (let left = points[owner]!; left > 0; left--) {
      hash = crcOfWord(state, hash);
      drawn[next++] = hash;
      starts[(hash >>> shift) + 1]!++;
    }
  }
  let free = 0;
  for (let bucket = 1; bucket < starts.length; bucket++) {
    const count = starts[bucket]!;
    starts[bucket] = free;
    free += count;
  }

  const hashes = new Uint32Array(total);
  const owners = ids.length <= 65_536 ? new Uint16Array(total) : new Uint32Array(total);
  next = 0;
  for (let owner = 0; owner < points.length; owner++) {
    for (let left = points[owner]!; left > 0; left--) {
      const hash = drawn[next++]!;
      const place = starts[(hash >>> shift) + 1]!++;
      hashes[place] = hash;
      owners[place] = owner;
    }
  }
  sortNearlySorted(hashes, owners, ids);
  return { hashes, owners, starts, shift, points, states, asked };
}

/** Index of the point that a key with this hash belongs to. The ring must have points. */
export function firstPoint(ring: HashRing, hash: number): number {
  const { hashes } = ring;
  let at = ring.starts[hash >>> ring.shift]!;
  while (at < hashes.length && hashes[at]! < hash) at++;
  return at === hashes.length ? 0 : at;
}

/**
 * How far behind `hash` the endpoint's next point is, as a difference of hashes; 2^32 if it has no points. Makes its points
 * again, so it takes as long as it has points, however many others the ring has.
 */
export function distanceToPoint(ring: HashRing, owner: number, hash: number): number {
  const state = ring.states[owner]!;
  let nearest = 0x1_0000_0000;
  let point = 0;
  for (let left = ring.points[owner]!; left > 0; left--) {
    point = crcOfWord(state, point);
    nearest = Math.min(nearest, (point - hash) >>> 0);
  }
  return nearest;
}

/** Points of each weight, exact where they fit and by largest remainder where they don't. */
function ringPoints(weights: readonly number[]): { points: number[]; asked: number } {
  const units = reduceWeights(weights);
  const asked = sumOf(units) * POINTS_PER_UNIT;
  const exact = asked <= MAX_RING_POINTS;
  return { points: exact ? units.map((unit) => unit * POINTS_PER_UNIT) : apportion(units, MAX_RING_POINTS), asked };
}

function sortNearlySorted(hashes: Uint32Array, owners: Uint16Array | Uint32Array, ids: readonly string[]): void {
  for (let i = 1; i < hashes.length; i++) {
    const hash = hashes[i]!;
    if (hash > hashes[i - 1]!) continue;
    const owner = owners[i]!;
    let place = i;
    for (; place > 0; place--) {
      const before = hashes[place - 1]!;
      if (before < hash || (before === hash && !standsFirst(ids[owner]!, ids[owners[place - 1]!]!, hash))) break;
      hashes[place] = before;
      owners[place] = owners[place - 1]!;
    }
    hashes[place] = hash;
    owners[place] = owner;
  }
}

function standsFirst(id: string, other: string, hash: number): boolean {
  return hash % 2 === 0 ? id < other : id > other;
}
