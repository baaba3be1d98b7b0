/** Chunks smaller than this share a block. */
const SMALL_BYTES = 1024;
const BLOCK_BYTES = 4096;

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

  push(chunk: Uint8Array): void {
    const length = chunk.length;
    if (length === 0) return;
    this.bytes += length;
    const { blocks } = this;
    if (blocks.length === 0 || length >= SMALL_BYTES) {
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

  /** Nothing more is added to the last block. */
  private closeTail(): void {
    if (this.tailBytes === 0) return;
    const last = this.blocks.length - 1;
    this.blocks[last] = this.blocks[last]!.subarray(0, this.tailBytes);
    this.tailBytes = 0;
  }
}
