// Header blocks remembered as bytes, with what they mean. A client that repeats a request sends the same few index
// bytes each time, so decoding, checking and sorting its fields is done once. Worth it only for blocks that refer to
// the tables; HpackDecoder.generation says when the meaning of all of them is gone. Guarded by
// `npm run bench -- micro hpack-decode`.

const MAX_BLOCKS = 64;
const MAX_BLOCK_BYTES = 128;

/** What blocks meant when they were last decoded; T must not be changed by who gets it. */
export class BlockCache<T> {
  private readonly known = new Map<string, T>();
  private generation = 0;

  /** The meaning of bytes[start..end), if it is known and the table is still of this generation. */
  get(bytes: Buffer, start: number, end: number, generation: number): T | undefined {
    if (generation !== this.generation) {
      this.generation = generation;
      if (this.known.size > 0) this.known.clear();
      return undefined;
    }
    if (this.known.size === 0 || !isIndexes(bytes, start, end)) return undefined;
    return this.known.get(bytes.latin1Slice(start, end));
  }

  /** Remembers what a block means that was just decoded and found to be only indexes (HpackDecoder.onlyIndexed). */
  set(bytes: Buffer, start: number, end: number, generation: number, meaning: T): void {
    if (generation !== this.generation || !isIndexes(bytes, start, end)) return;
    if (this.known.size >= MAX_BLOCKS) this.known.clear();
    this.known.set(bytes.latin1Slice(start, end), meaning);
  }
}

/** Whether the block is short and all of it single-byte indexes: other blocks aren't even hashed. */
function isIndexes(bytes: Buffer, start: number, end: number): boolean {
  if (end - start > MAX_BLOCK_BYTES) return false;
  for (let at = start; at < end; at++) {
    if (bytes[at]! < 0x80 || bytes[at]! === 0xff) return false;
  }
  return true;
}
