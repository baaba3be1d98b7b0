import type { ByteSink } from '../../base/byte-sink.ts';
import { FLOW_CONTROL_ERROR, NO_ERROR, PROTOCOL_ERROR } from './error-code.ts';
import { DEFAULT_FRAME_BYTES, DEFAULT_WINDOW_BYTES, MAX_31_BITS, MAX_FRAME_BYTES, SETTINGS } from './frame.ts';
import { beginFrame, put32 } from './frame-writer.ts';

/** Identifiers (RFC 9113 section 6.5.2, RFC 8441, RFC 9218). */
export const HEADER_TABLE_SIZE = 0x1;
export const ENABLE_PUSH = 0x2;
export const MAX_CONCURRENT_STREAMS = 0x3;
export const INITIAL_WINDOW_SIZE = 0x4;
export const MAX_FRAME_SIZE = 0x5;
export const MAX_HEADER_LIST_SIZE = 0x6;
export const ENABLE_CONNECT_PROTOCOL = 0x8;
export const NO_RFC7540_PRIORITIES = 0x9;

/** What the peer has told of itself; the RFC's initial values until it does. */
export interface PeerSettings {
  headerTableBytes: number;
  /** The smallest table size of the last frame, which the encoder must announce too (RFC 7541 section 4.2). */
  smallestHeaderTableBytes: number;
  /** Infinity until it is told. */
  concurrentStreams: number;
  initialWindowBytes: number;
  frameBytes: number;
}

export function initialPeerSettings(): PeerSettings {
  return {
    headerTableBytes: 4096,
    smallestHeaderTableBytes: 4096,
    concurrentStreams: Infinity,
    initialWindowBytes: DEFAULT_WINDOW_BYTES,
    frameBytes: DEFAULT_FRAME_BYTES,
  };
}

/**
 * Reads the payload bytes[start..end) of a SETTINGS frame, whose length is a multiple of six, into `into`, in order.
 * Returns NO_ERROR or the error of the connection. `fromServer`: a server must not enable push.
 */
export function readSettings(
  bytes: Buffer,
  start: number,
  end: number,
  into: PeerSettings,
  fromServer: boolean,
): number {
  into.smallestHeaderTableBytes = into.headerTableBytes;
  for (let at = start; at < end; at += 6) {
    const value = bytes.readUInt32BE(at + 2);
    switch (bytes.readUInt16BE(at)) {
      case HEADER_TABLE_SIZE:
        into.headerTableBytes = value;
        into.smallestHeaderTableBytes = Math.min(into.smallestHeaderTableBytes, value);
        break;
      case ENABLE_PUSH:
        if (value > 1 || (fromServer && value === 1)) return PROTOCOL_ERROR;
        break;
      case MAX_CONCURRENT_STREAMS:
        into.concurrentStreams = value;
        break;
      case INITIAL_WINDOW_SIZE:
        if (value > MAX_31_BITS) return FLOW_CONTROL_ERROR;
        into.initialWindowBytes = value;
        break;
      case MAX_FRAME_SIZE:
        if (value < DEFAULT_FRAME_BYTES || value > MAX_FRAME_BYTES) return PROTOCOL_ERROR;
        into.frameBytes = value;
        break;
      case ENABLE_CONNECT_PROTOCOL:
      case NO_RFC7540_PRIORITIES:
        if (value > 1) return PROTOCOL_ERROR;
        break;
      default: // unknown ones, and MAX_HEADER_LIST_SIZE, which only advises
        break;
    }
  }
  return NO_ERROR;
}

/** Writes a SETTINGS frame of identifier, value, identifier, value… */
export function writeSettings(sink: ByteSink, entries: readonly number[]): void {
  let at = beginFrame(sink, (entries.length / 2) * 6, SETTINGS, 0, 0);
  for (let i = 0; i < entries.length; i += 2) {
    const identifier = entries[i] ?? 0;
    sink.buffer[at] = identifier >>> 8;
    sink.buffer[at + 1] = identifier;
    put32(sink.buffer, at + 2, entries[i + 1] ?? 0);
    at += 6;
  }
}
