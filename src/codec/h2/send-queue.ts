/** Small chunks share a block, the larger the more bytes wait already: one byte must not hold a block of thousands. */
const FIRST_BLOCK_BYTES = 128;
const MAX_BLOCK_BYTES = 4096;
/** Blocks for much at once; they are used again, since a long body would make garbage of its own size. */
const LARGE_BLOCK_BYTES = 16_384;
const MIN_LARGE_BYTES = 8192;
const spare: Buffer[] = [];
const MAX_SPARE = 64;

/** Body bytes that wait for window or room, copied, in order. */
export class SendQueue {
  /** Bytes that wait. */
  bytes = 0;
  private readonly blocks: Buffer[] = [];
  private readAt = 0; // in the first block
  private writeAt = 0; // in the last block

  push(chunk: Uint8Array, from: number): void {
    let at = from;
    const last = this.blocks[this.blocks.length - 1];
    if (last) {
      const fits = Math.min(last.length - this.writeAt, chunk.length - at);
      if (fits > 0) {
        last.set(chunk.subarray(at, at + fits), this.writeAt);
        this.writeAt += fits;
        this.bytes += fits;
        at += fits;
      }
    }
    while (at < chunk.length) {
      const rest = chunk.length - at;
      const block =
        rest >= MIN_LARGE_BYTES
          ? (spare.pop() ?? Buffer.allocUnsafeSlow(LARGE_BLOCK_BYTES))
          : Buffer.allocUnsafeSlow(Math.max(rest, Math.min(MAX_BLOCK_BYTES, this.bytes), FIRST_BLOCK_BYTES));
      const part = Math.min(rest, block.length);
      block.set(part === chunk.length ? chunk : chunk.subarray(at, at + part), 0);
      this.blocks.push(block);
      this.writeAt = part;
      this.bytes += part;
      at += part;
    }
  }

  /** Moves the first `length` bytes into `target` at `offset`. Needs length <= bytes. */
  take(target: Buffer, offset: number, length: number): void {
    let done = 0;
    while (done < length) {
      const block = this.blocks[0]!;
      const blockEnd = this.blocks.length === 1 ? this.writeAt : block.length;
      const part = Math.min(length - done, blockEnd - this.readAt);
      block.copy(target, offset + done, this.readAt, this.readAt + part);
      this.readAt += part;
      done += part;
      if (this.readAt < blockEnd) continue;
      this.blocks.shift();
      if (block.length === LARGE_BLOCK_BYTES && spare.length < MAX_SPARE) spare.push(block);
      this.readAt = 0;
    }
    this.bytes -= length;
  }
}
