/** Chunks smaller than this share a block. */
const SMALL_BYTES = 1024;
const BLOCK_BYTES = 4096;
/** Most blocks that wait to be used again: 1 MiB. */
const MAX_SPARE = 256;
const spare: Buffer[] = [];

/**
 * Body bytes kept for an attempt, or for another one. Copied, since chunks are borrowed; many small chunks share a
 * block, so that a body of one-byte frames costs no more than its bytes.
 */
export class HeldBody {
  /** Bytes kept. */
  bytes = 0;
  private readonly blocks: Buffer[] = [];
  /** Bytes used of the last block, where that is one to be filled; 0 where it is full. */
  private tailBytes = 0;
  /** Blocks that others may use once this body is dropped. */
  private leased: Buffer[] | undefined = undefined;

  push(chunk: Uint8Array): void {
    const length = chunk.length;
    if (length === 0) return;
    this.bytes += length;
    const { blocks } = this;
    if (length >= SMALL_BYTES && length <= BLOCK_BYTES) {
      this.closeTail();
      const block = spare.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
      block.set(chunk);
      (this.leased ??= []).push(block);
      blocks.push(block.subarray(0, length));
      return;
    }
    if (blocks.length === 0 || length > BLOCK_BYTES) {
      this.closeTail();
      blocks.push(Buffer.from(chunk));
      return;
    }
    if (this.tailBytes === 0 || this.tailBytes + length > BLOCK_BYTES) {
      this.closeTail();
      blocks.push(Buffer.allocUnsafeSlow(BLOCK_BYTES));
    }
    blocks[blocks.length - 1]!.set(chunk, this.tailBytes);
    this.tailBytes += length;
  }

  /** What is kept, in order. */
  chunks(): readonly Buffer[] {
    this.closeTail();
    return this.blocks;
  }

  /** Forgets everything; nobody may look at {@link chunks} any more. */
  drop(): void {
    if (this.leased) for (const block of this.leased) if (spare.length < MAX_SPARE) spare.push(block);
    this.leased = undefined;
    this.blocks.length = 0;
    this.bytes = this.tailBytes = 0;
  }

  /** Nothing more is added to the last block. */
  private closeTail(): void {
    if (this.tailBytes === 0) return;
    const last = this.blocks.length - 1;
    this.blocks[last] = this.blocks[last]!.subarray(0, this.tailBytes);
    this.tailBytes = 0;
  }
}
