// Header blocks remembered as bytes, with what they mean. A client that repeats a request sends the same few index
// bytes each time, so decoding, checking and sorting its fields is done once. Servers that never use the table spell
// the same head out again and again: of blocks with literals the last is remembered, and compared. HpackDecoder.generation
// says when the meaning of all of them is gone. Guarded by `npm run bench -- micro hpack-decode`.

const MAX_BLOCKS = 64;
const MAX_BLOCK_BYTES = 256;
const NO_BYTES = new Uint8Array(0);
/** After so many blocks in a row that were not the last one again, only one in so many is remembered. */
const VARIED_BLOCKS = 8;

/** What blocks meant when they were last decoded; T must not be changed by who gets it. */
export class BlockCache<T> {
  private readonly known = new Map<string, T>();
  private generation = 0;
  /** The block with literals that is remembered: the first `spelledLength` bytes. */
  private spelled = NO_BYTES;
  private spelledLength = -1;
  private spelledMeaning: T | undefined = undefined;
  private varied = 0;

  /** The meaning of bytes[start..end), if it is known and the table is still of this generation. */
  get(bytes: Buffer, start: number, end: number, generation: number): T | undefined {
    if (generation !== this.generation) {
      this.generation = generation;
      this.spelledLength = -1;
      if (this.known.size > 0) this.known.clear();
      return undefined;
    }
    if (end - start === this.spelledLength && this.isSpelled(bytes, start)) {
      this.varied = 0;
      return this.spelledMeaning;
    }
    if (this.known.size === 0 || !isIndexes(bytes, start, end)) return undefined;
    return this.known.get(bytes.latin1Slice(start, end));
  }

  /** Remembers what a block means that was just decoded and found to be repeatable (HpackDecoder.isRepeatable). */
  set(bytes: Buffer, start: number, end: number, generation: number, meaning: T): void {
    const length = end - start;
    if (generation !== this.generation || length > MAX_BLOCK_BYTES) return;
    if (isIndexes(bytes, start, end)) {
      if (this.known.size >= MAX_BLOCKS) this.known.clear();
      this.known.set(bytes.latin1Slice(start, end), meaning);
    } else if (++this.varied <= VARIED_BLOCKS || this.varied % VARIED_BLOCKS === 0) {
      if (this.spelled.length === 0) this.spelled = new Uint8Array(MAX_BLOCK_BYTES);
      bytes.copy(this.spelled, 0, start, end);
      this.spelledLength = length;
      this.spelledMeaning = meaning;
    }
  }

  private isSpelled(bytes: Buffer, start: number): boolean {
    const { spelled, spelledLength } = this;
    for (let i = 0; i < spelledLength; i++) {
      if (bytes[start + i] !== spelled[i]) return false;
    }
    return true;
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
