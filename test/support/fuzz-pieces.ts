// How the bytes of one input are handed to a parser: whole, cut somewhere, or one byte at a time. Each piece stands in
// the same read buffer with line ends around it, and is overwritten afterwards, as a shared read buffer would be.
import type { Rng } from '../../src/base/rng.ts';

/** Offsets at which the bytes are cut, rising; or every byte on its own. */
export type Cuts = readonly number[] | 'each byte';

export const WHOLE: Cuts = [];

const BEFORE = 4;
let readBuffer = Buffer.alloc(1 << 16, '\r\n');

/** Hands on the pieces until `take` says that it wants no more. */
export function forEachPiece(
  bytes: Buffer,
  cuts: Cuts,
  take: (bytes: Buffer, start: number, end: number) => boolean,
): void {
  if (readBuffer.length < bytes.length + 2 * BEFORE) readBuffer = Buffer.alloc(bytes.length * 2 + 2 * BEFORE, '\r\n');
  const shared = readBuffer;
  let from = 0;
  for (let i = 0; from < bytes.length; i++) {
    const to = cuts === 'each byte' ? from + 1 : (cuts[i] ?? bytes.length);
    if (to <= from) continue;
    const end = BEFORE + to - from;
    bytes.copy(shared, BEFORE, from, to);
    shared[end] = 0x0d;
    shared[end + 1] = 0x0a;
    const more = take(shared, BEFORE, end);
    shared.fill(0xee, BEFORE, end);
    if (!more) return;
    from = to;
  }
}

/** One to four cuts; for one input in sixteen that isn't long, a cut behind every byte. */
export function randomCuts(rng: Rng, length: number): Cuts {
  if (length < 2048 && rng.below(16) === 0) return 'each byte';
  const cuts: number[] = [];
  for (let left = 1 + rng.below(4); left > 0; left--) cuts.push(rng.below(length + 1));
  return cuts.length === 1 ? cuts : cuts.sort((a, b) => a - b);
}
