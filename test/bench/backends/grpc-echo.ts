// Gives back what comes on a stream while it comes, for the scenario of long calls: HEADERS at the first byte, DATA as
// flow control allows, trailers after the caller's end. Header blocks aren't read. What was given back is credited, so
// no more than a window waits here.
import type { Socket } from 'node:net';
import {
  ACK,
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_HEAD_BYTES,
  frame,
  HEADERS,
  literal,
  PING,
  PREFACE_BYTES,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from './h2-answerer.ts';

const MAX_CONCURRENT_STREAMS = 0x3;
const INITIAL_WINDOW_SIZE = 0x4;
/** RFC 9113 §6.9.2 */
const DEFAULT_WINDOW = 65_535;
/** What a caller may send ahead on each stream, as gRPC servers that care for throughput have it. */
const OWN_WINDOW = 1024 * 1024;
/** Credit is given back in pieces of this size. */
const CREDIT_BYTES = 128 * 1024;
/** RFC 9113 §4.2: the largest frame that everybody takes. */
const MAX_FRAME_BYTES = 16_384;

interface Echo {
  readonly id: number;
  /** Bytes that the caller still takes on the stream. */
  window: number;
  /** What came and isn't given back yet; `sent` bytes of the first are. */
  readonly waiting: Buffer[];
  sent: number;
  /** Bytes given back and not credited yet. */
  owed: number;
  hasEnded: boolean;
}

/** Serves one connection. */
export function echoCalls(socket: Socket): void {
  const echoes = new Map<number, Echo>();
  const head = frame(
    HEADERS,
    END_HEADERS,
    0,
    Buffer.concat([Buffer.from([0x88]), literal('content-type', 'application/grpc')]),
  );
  const trailers = frame(HEADERS, END_HEADERS | END_STREAM, 0, literal('grpc-status', '0'));
  let window = DEFAULT_WINDOW;
  let peersWindow = DEFAULT_WINDOW;
  let owed = 0;
  let rest: Buffer = Buffer.alloc(0);
  let sawPreface = false;

  const settings = Buffer.alloc(12);
  settings.writeUInt16BE(MAX_CONCURRENT_STREAMS, 0);
  settings.writeUInt32BE(1_000, 2);
  settings.writeUInt16BE(INITIAL_WINDOW_SIZE, 6);
  settings.writeUInt32BE(OWN_WINDOW, 8);
  socket.write(frame(SETTINGS, 0, 0, settings));
  writeCredit(0, 16 * OWN_WINDOW - DEFAULT_WINDOW);

  function read(type: number, flags: number, stream: number, payload: Buffer): void {
    const echo = echoes.get(stream);
    if (type === HEADERS && echo === undefined) {
      echoes.set(stream, {
        id: stream,
        window: peersWindow,
        waiting: [],
        sent: 0,
        owed: 0,
        hasEnded: (flags & END_STREAM) !== 0,
      });
      socket.write(numbered(head, stream));
    } else if ((type === DATA || type === HEADERS) && echo !== undefined) {
      if (payload.length > 0 && type === DATA) echo.waiting.push(payload);
      echo.hasEnded = (flags & END_STREAM) !== 0;
    } else if (type === SETTINGS && (flags & ACK) === 0) {
      for (let at = 0; at + 6 <= payload.length; at += 6) {
        if (payload.readUInt16BE(at) === INITIAL_WINDOW_SIZE) setInitialWindow(payload.readUInt32BE(at + 2));
      }
      socket.write(frame(SETTINGS, ACK, 0, Buffer.alloc(0)));
    } else if (type === PING && (flags & ACK) === 0) {
      socket.write(frame(PING, ACK, 0, payload));
    } else if (type === WINDOW_UPDATE) {
      const credit = payload.readUInt32BE(0) & 0x7fff_ffff;
      if (stream === 0) window += credit;
      else if (echo !== undefined) echo.window += credit;
    } else if (type === RST_STREAM) {
      echoes.delete(stream);
    }
  }

  function setInitialWindow(size: number): void {
    for (const echo of echoes.values()) echo.window += size - peersWindow;
    peersWindow = size;
  }

  /** Gives back what may go now. */
  function flush(echo: Echo): void {
    for (let next = echo.waiting[0]; next !== undefined; next = echo.waiting[0]) {
      const bytes = Math.min(next.length - echo.sent, window, echo.window, MAX_FRAME_BYTES);
      if (bytes <= 0) return;
      const frameHead = Buffer.allocUnsafe(FRAME_HEAD_BYTES);
      frameHead.writeUIntBE(bytes, 0, 3);
      frameHead.writeUInt16BE(DATA, 3);
      frameHead.writeUInt32BE(echo.id, 5);
      socket.write(frameHead);
      socket.write(next.subarray(echo.sent, echo.sent + bytes));
      echo.sent += bytes;
      window -= bytes;
      echo.window -= bytes;
      echo.owed += bytes;
      owed += bytes;
      if (echo.sent === next.length) {
        echo.waiting.shift();
        echo.sent = 0;
      }
    }
    if (!echo.hasEnded) return;
    socket.write(numbered(trailers, echo.id));
    echoes.delete(echo.id);
  }

  function writeCredit(stream: number, bytes: number): void {
    const credit = Buffer.alloc(4);
    credit.writeUInt32BE(bytes);
    socket.write(frame(WINDOW_UPDATE, 0, stream, credit));
  }

  function giveCredit(): void {
    for (const echo of echoes.values()) {
      if (echo.owed < CREDIT_BYTES || echo.hasEnded) continue;
      writeCredit(echo.id, echo.owed);
      echo.owed = 0;
    }
    if (owed < CREDIT_BYTES) return;
    writeCredit(0, owed);
    owed = 0;
  }

  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    if (!sawPreface && bytes.length >= PREFACE_BYTES) {
      sawPreface = true;
      at = PREFACE_BYTES;
    }
    socket.cork();
    while (sawPreface && bytes.length - at >= FRAME_HEAD_BYTES) {
      const end = at + FRAME_HEAD_BYTES + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      const stream = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
      read(bytes.readUInt8(at + 3), bytes.readUInt8(at + 4), stream, bytes.subarray(at + FRAME_HEAD_BYTES, end));
      at = end;
    }
    for (const echo of echoes.values()) flush(echo);
    giveCredit();
    socket.uncork();
    rest = bytes.subarray(at);
  });
}

function numbered(made: Buffer, stream: number): Buffer {
  const copy = Buffer.from(made);
  copy.writeUInt32BE(stream, 5);
  return copy;
}
