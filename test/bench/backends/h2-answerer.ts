// Answers every request of HTTP/2 alike, at a few µs, so that the origin isn't what limits a run. Since all answers
// are alike it reads no header block: it waits for END_STREAM and writes frames made beforehand. It
// keeps to flow control and answers SETTINGS and PING, as proxies insist on that; it is a counterpart for benchmarks,
// not a server. (nginx's `return` doesn't wait for the request's body, and a proxy whose DATA comes in a read of
// its own then sees RST_STREAM after the answer, which some take for a failure.)
import type { Socket } from 'node:net';

/** Of the client's preface. */
export const PREFACE_BYTES = 24;
export const FRAME_HEAD_BYTES = 9;

/** Types and flags of frames (RFC 9113 section 6). */
export const DATA = 0x0;
export const HEADERS = 0x1;
export const RST_STREAM = 0x3;
export const SETTINGS = 0x4;
export const PING = 0x6;
export const WINDOW_UPDATE = 0x8;
export const END_STREAM = 0x1;
export const ACK = 0x1;
export const END_HEADERS = 0x4;
/** Settings 0x3: streams at a time. */
const MAX_CONCURRENT_STREAMS = 1_000;
/** RFC 9113 §6.9.2: the window of a connection at its start. */
const INITIAL_WINDOW = 65_535;
/** Credit is given back in pieces of this size. */
const CREDIT_BYTES = 16_384;

/** Serves one connection. A gRPC answer ends with trailers. */
export function answerRequests(socket: Socket, message: Buffer, isGrpc: boolean): void {
  const answer = isGrpc ? grpcAnswer(message) : plainAnswer(message);
  /** Bytes of DATA that the peer still takes on the connection. */
  let window = INITIAL_WINDOW;
  /** Bytes of DATA that came and were not given back. */
  let owed = 0;
  let rest: Buffer = Buffer.alloc(0);
  let sawPreface = false;
  /** Streams that wait for window, oldest first. */
  let waiting: number[] = [];
  let out: Buffer[] = [];

  function read(frameType: number, flags: number, stream: number, payload: Buffer): void {
    if (frameType === DATA) owed += payload.length;
    if ((frameType === DATA || frameType === HEADERS) && (flags & END_STREAM) !== 0) waiting.push(stream);
    else if (frameType === SETTINGS && (flags & ACK) === 0) out.push(frame(SETTINGS, ACK, 0, Buffer.alloc(0)));
    else if (frameType === PING && (flags & ACK) === 0) out.push(frame(PING, ACK, 0, Buffer.from(payload)));
    else if (frameType === WINDOW_UPDATE && stream === 0) window += payload.readUInt32BE(0) & 0x7fff_ffff;
    else if (frameType === RST_STREAM) waiting = waiting.filter((id) => id !== stream);
  }

  function flush(): void {
    const count = Math.min(waiting.length, Math.floor(window / message.length));
    for (const stream of waiting.splice(0, count)) out.push(answer(stream));
    window -= count * message.length;
    if (owed >= CREDIT_BYTES) {
      const credit = Buffer.alloc(4);
      credit.writeUInt32BE(owed);
      out.push(frame(WINDOW_UPDATE, 0, 0, credit));
      owed = 0;
    }
    if (out.length === 0) return;
    socket.write(out.length === 1 && out[0] !== undefined ? out[0] : Buffer.concat(out));
    out = [];
  }

  const settings = Buffer.alloc(6);
  settings.writeUInt16BE(0x3, 0);
  settings.writeUInt32BE(MAX_CONCURRENT_STREAMS, 2);
  out.push(frame(SETTINGS, 0, 0, settings));
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    if (!sawPreface && bytes.length >= PREFACE_BYTES) {
      sawPreface = true;
      at = PREFACE_BYTES;
    }
    while (sawPreface && bytes.length - at >= FRAME_HEAD_BYTES) {
      const end = at + FRAME_HEAD_BYTES + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      const stream = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
      read(bytes.readUInt8(at + 3), bytes.readUInt8(at + 4), stream, bytes.subarray(at + FRAME_HEAD_BYTES, end));
      at = end;
    }
    rest = Buffer.from(bytes.subarray(at));
    flush();
  });
}

/** Gives the answer to a request, with the stream's number put in. */
type Answer = (stream: number) => Buffer;

// RFC 7541: `:status: 200` is entry 8 of the static table; the others are literals that leave the table alone.
const STATUS_200 = 0x88;

function grpcAnswer(message: Buffer): Answer {
  const head = Buffer.concat([Buffer.from([STATUS_200]), literal('content-type', 'application/grpc')]);
  return makeAnswer([
    frame(HEADERS, END_HEADERS, 0, head),
    frame(DATA, 0, 0, message),
    frame(HEADERS, END_HEADERS | END_STREAM, 0, literal('grpc-status', '0')),
  ]);
}

function plainAnswer(message: Buffer): Answer {
  const head = Buffer.concat([
    Buffer.from([STATUS_200]),
    literal('content-type', 'text/plain'),
    literal('content-length', String(message.length)),
  ]);
  return makeAnswer([frame(HEADERS, END_HEADERS, 0, head), frame(DATA, END_STREAM, 0, message)]);
}

function makeAnswer(frames: readonly Buffer[]): Answer {
  const whole = Buffer.concat(frames);
  const places: number[] = [];
  let at = 0;
  for (const { length } of frames) {
    places.push(at + 5);
    at += length;
  }
  return (stream) => {
    const copy = Buffer.from(whole);
    for (const place of places) copy.writeUInt32BE(stream, place);
    return copy;
  };
}

/** A field without indexing, new name, no Huffman coding (RFC 7541 §6.2.2), for names and values below 127 bytes. */
export function literal(name: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.from([0x00, name.length]),
    Buffer.from(name, 'latin1'),
    Buffer.from([value.length]),
    Buffer.from(value, 'latin1'),
  ]);
}

/** A frame (RFC 9113 §4.1). */
export function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}
