/** Small chunks share a block, the larger the more bytes wait already: one byte must not hold a block of thousands. */
const FIRST_BLOCK_BYTES = 128;
const MAX_BLOCK_BYTES = 4096;

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
    const rest = chunk.length - at;
    if (rest === 0) return;
    const block = Buffer.allocUnsafeSlow(Math.max(rest, Math.min(MAX_BLOCK_BYTES, this.bytes), FIRST_BLOCK_BYTES));
    block.set(at === 0 ? chunk : chunk.subarray(at), 0);
    this.blocks.push(block);
    this.writeAt = rest;
    this.bytes += rest;
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
      this.readAt = 0;
    }
    this.bytes -= length;
  }
}
