// Cuts the bytes of a connection into frames. Frames are handled where they lie in the read buffer; only one that
// spans two reads is copied together, into a buffer that is lent for that time. A frame that is announced too large is
// refused on its nine bytes of header, before anything is kept for it. Guarded by `npm run bench -- micro frame-loop`.
import { DEFAULT_FRAME_BYTES, FRAME_HEADER_BYTES } from './frame.ts';

/** Hears of frames, in order. */
export interface FrameHandler {
  /** One whole frame; its payload is bytes[start..end), borrowed for the call. */
  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void;
  /** A frame above the maximum was announced. The reader has stopped. */
  onOversizeFrame(type: number, length: number): void;
}

const BUFFER_BYTES = FRAME_HEADER_BYTES + DEFAULT_FRAME_BYTES;
const MAX_SPARE = 64;
const spare: Buffer[] = [];
const NO_BUFFER = Buffer.alloc(0);

/** The frame reader of one connection. Takes frames of up to 16,384 bytes, which is what we announce. */
export class FrameReader {
  private readonly handler: FrameHandler;
  private partial: Buffer = NO_BUFFER;
  private have = 0;
  private stopped = false;

  constructor(handler: FrameHandler) {
    this.handler = handler;
  }

  /** Bytes of an incomplete frame that are kept. */
  get heldBytes(): number {
    return this.have;
  }

  /** Nothing more is read. May be called from within a frame's handling. */
  stop(): void {
    this.stopped = true;
    if (this.have > 0) this.release();
  }

  /** Reads bytes[start..length). */
  read(bytes: Buffer, start: number, length: number): void {
    let at = start;
    if (this.have > 0) {
      at = this.complete(bytes, at, length);
      if (this.have > 0) return;
    }
    while (!this.stopped && length - at >= FRAME_HEADER_BYTES) {
      const size = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
      if (size > DEFAULT_FRAME_BYTES) return this.refuse(bytes[at + 3]!, size);
      const end = at + FRAME_HEADER_BYTES + size;
      if (end > length) break;
      this.emit(bytes, at, end);
      at = end;
    }
    if (this.stopped || at === length) return;
    this.partial = spare.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
    bytes.copy(this.partial, 0, at, length);
    this.have = length - at;
  }

  /** Adds to the frame that is kept; returns where the next one starts. */
  private complete(bytes: Buffer, start: number, length: number): number {
    const partial = this.partial;
    let at = start;
    if (this.have < FRAME_HEADER_BYTES) {
      const take = Math.min(FRAME_HEADER_BYTES - this.have, length - at);
      bytes.copy(partial, this.have, at, at + take);
      this.have += take;
      at += take;
      if (this.have < FRAME_HEADER_BYTES) return at;
    }
    const size = (partial[0]! << 16) | (partial[1]! << 8) | partial[2]!;
    if (size > DEFAULT_FRAME_BYTES) {
      this.refuse(partial[3]!, size);
      return length;
    }
    const whole = FRAME_HEADER_BYTES + size;
    const take = Math.min(whole - this.have, length - at);
    bytes.copy(partial, this.have, at, at + take);
    this.have += take;
    at += take;
    if (this.have < whole) return at;
    this.have = 0;
    this.partial = NO_BUFFER;
    this.emit(partial, 0, whole);
    if (spare.length < MAX_SPARE) spare.push(partial);
    return at;
  }

  private emit(bytes: Buffer, at: number, end: number): void {
    const streamId = ((bytes[at + 5]! & 0x7f) << 24) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 8) | bytes[at + 8]!;
    this.handler.onFrame(bytes[at + 3]!, bytes[at + 4]!, streamId, bytes, at + FRAME_HEADER_BYTES, end);
  }

  private refuse(type: number, size: number): void {
    this.stop();
    this.handler.onOversizeFrame(type, size);
  }

  private release(): void {
    if (spare.length < MAX_SPARE) spare.push(this.partial);
    this.partial = NO_BUFFER;
    this.have = 0;
  }
}
