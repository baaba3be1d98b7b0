import type { ByteSink } from '../../base/byte-sink.ts';
import { FRAME_HEADER_BYTES, GOAWAY, PING, RST_STREAM, WINDOW_UPDATE } from './frame.ts';

/** Puts a frame header at `at` (RFC 9113 section 4.1). The room must be there. */
export function putFrameHeader(
  buffer: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  buffer[at] = length >>> 16;
  buffer[at + 1] = length >>> 8;
  buffer[at + 2] = length;
  buffer[at + 3] = type;
  buffer[at + 4] = flags;
  put32(buffer, at + 5, streamId);
}

/** Puts an unsigned 32-bit integer at `at`. */
export function put32(buffer: Buffer, at: number, value: number): void {
  buffer[at] = value >>> 24;
  buffer[at + 1] = value >>> 16;
  buffer[at + 2] = value >>> 8;
  buffer[at + 3] = value;
}

/** Makes room for a frame, writes its header and returns where its payload goes; `sink.length` is past it already. */
export function beginFrame(sink: ByteSink, length: number, type: number, flags: number, streamId: number): number {
  sink.ensure(FRAME_HEADER_BYTES + length);
  const at = sink.length;
  putFrameHeader(sink.buffer, at, length, type, flags, streamId);
  sink.length = at + FRAME_HEADER_BYTES + length;
  return at + FRAME_HEADER_BYTES;
}

export function writeReset(sink: ByteSink, streamId: number, code: number): void {
  const at = beginFrame(sink, 4, RST_STREAM, 0, streamId);
  put32(sink.buffer, at, code);
}

export function writeWindowUpdate(sink: ByteSink, streamId: number, increment: number): void {
  const at = beginFrame(sink, 4, WINDOW_UPDATE, 0, streamId);
  put32(sink.buffer, at, increment);
}

/** Eight opaque bytes, given as two 32-bit halves. */
export function writePing(sink: ByteSink, flags: number, high: number, low: number): void {
  const at = beginFrame(sink, 8, PING, flags, 0);
  put32(sink.buffer, at, high);
  put32(sink.buffer, at + 4, low);
}

/** `detail` is for the peer's log. */
export function writeGoaway(sink: ByteSink, lastStreamId: number, code: number, detail: string): void {
  const at = beginFrame(sink, 8 + detail.length, GOAWAY, 0, 0);
  put32(sink.buffer, at, lastStreamId);
  put32(sink.buffer, at + 4, code);
  sink.buffer.latin1Write(detail, at + 8);
}
