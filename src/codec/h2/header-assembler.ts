import { FRAME_HEADER_BYTES } from './frame.ts';

const NO_BUFFER = Buffer.alloc(0);

/** Puts a header block together that came in several frames (RFC 9113 section 4.3). One block is open at a time. */
export class HeaderAssembler {
  /** Stream of the open block; 0 while none is open. */
  streamId = 0;
  endStream = false;
  /** Its HEADERS frame said that the stream depends on itself. */
  selfDependent = false;
  private buffer = NO_BUFFER;
  private length = 0;
  private frames = 0;

  open(streamId: number, endStream: boolean, selfDependent: boolean, bytes: Buffer, start: number, end: number): void {
    this.streamId = streamId;
    this.endStream = endStream;
    this.selfDependent = selfDependent;
    this.frames = 0;
    this.length = 0;
    this.append(bytes, start, end);
  }

  /** Adds a CONTINUATION. False where there are more than `maxFrames` of them, or more than `maxBytes` in all. */
  add(bytes: Buffer, start: number, end: number, maxFrames: number, maxBytes: number): boolean {
    if (++this.frames > maxFrames || this.length + end - start > maxBytes) return false;
    this.append(bytes, start, end);
    return true;
  }

  /** Ends the block and hands it out; it is valid until the next `open`. */
  close(): Buffer {
    const block = this.buffer.subarray(0, this.length);
    this.buffer = NO_BUFFER;
    this.streamId = 0;
    return block;
  }

  private append(bytes: Buffer, start: number, end: number): void {
    const need = this.length + end - start;
    if (need > this.buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(need + FRAME_HEADER_BYTES, this.buffer.length * 2, 1024));
      this.buffer.copy(larger, 0, 0, this.length);
      this.buffer = larger;
    }
    bytes.copy(this.buffer, this.length, start, end);
    this.length = need;
  }
}
