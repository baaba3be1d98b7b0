// Buffer's fixed-encoding methods exist on every Node line but not in its types; they skip the parsing of arguments.
declare global {
  interface Buffer {
    latin1Slice(start: number, end: number): string;
    latin1Write(text: string, offset: number): number;
  }
}

/**
 * Where codecs write. The caller asks for room, then writes into `buffer` at `length` and advances `length`. The bytes
 * leave in one write at the end of the event loop's turn.
 */
export interface ByteSink {
  /** Valid until the next `ensure`. */
  buffer: Buffer;
  /** Bytes written so far. */
  length: number;
  /** Afterwards `buffer` has room for `bytes` more at `length`. */
  ensure(bytes: number): void;
  /** Takes `bytes`, which are the caller's again afterwards; `buffer` may be another one then. */
  write(bytes: Uint8Array): void;
  /** Writes a latin1 string. */
  writeLatin1(text: string): void;
}

/** A ByteSink in memory, for what is encoded ahead of time and for tests. */
export class MemorySink implements ByteSink {
  buffer = Buffer.allocUnsafe(256);
  length = 0;

  ensure(bytes: number): void {
    const need = this.length + bytes;
    if (need <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(need, this.buffer.length * 2));
    this.buffer.copy(larger, 0, 0, this.length);
    this.buffer = larger;
  }

  write(bytes: Uint8Array): void {
    this.ensure(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  writeLatin1(text: string): void {
    this.ensure(text.length);
    this.length += this.buffer.latin1Write(text, this.length);
  }

  /** A copy of what was written. */
  take(): Buffer {
    const bytes = Buffer.from(this.buffer.subarray(0, this.length));
    this.length = 0;
    return bytes;
  }
}
