// The ring of APISIX's `chash`, written a second time from its description and in the plainest way, to compare picks
// with. It must import nothing of src/: CRC-32 comes from zlib, the order from a sort of all points.
import { crc32 } from 'node:zlib';

/** A node of the ring: `address:port` and its weight. */
export interface RingNode {
  readonly id: string;
  readonly weight: number;
}

interface Point {
  readonly hash: number;
  readonly id: string;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

/** All points: 160 × weight / gcd for each node, ascending. Equal hashes: lower id first if even, higher if odd. */
export function referencePoints(nodes: readonly RingNode[]): Point[] {
  const divisor = nodes.reduce((all, { weight }) => gcd(all, weight), 0) || 1;
  const points = nodes.flatMap(({ id, weight }) => {
    const hashes: number[] = [];
    let previous = 0;
    for (let i = 0; i < (160 * weight) / divisor; i++) {
      const bytes = Buffer.from(`${id.replace(/:/g, '\0')}____`, 'latin1');
      bytes.writeUInt32LE(previous, bytes.length - 4);
      previous = crc32(bytes);
      hashes.push(previous);
    }
    return hashes.map((hash) => ({ hash, id }));
  });
  return points.sort((a, b) => {
    if (a.hash !== b.hash) return a.hash - b.hash;
    return (a.id < b.id ? -1 : 1) * (a.hash % 2 === 0 ? 1 : -1);
  });
}

/** The node of `key`: from the first point at or after its CRC-32 on, the first that isn't skipped; undefined if none. */
export function referencePick(
  points: readonly Point[],
  key: string,
  skipped: ReadonlySet<string> = new Set(),
): string | undefined {
  const hash = crc32(Buffer.from(key, 'latin1'));
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle]!.hash < hash) low = middle + 1;
    else high = middle;
  }
  for (let step = 0; step < points.length; step++) {
    const { id } = points[(low + step) % points.length]!;
    if (!skipped.has(id)) return id;
  }
  return undefined;
}
