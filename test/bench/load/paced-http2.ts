// HTTP/2 without a library, for the cost of one would be in the times. The first request puts its fields into the HPACK
// table, the others name them. Of answers only the frames are looked at.
import { FRAME_HEAD_BYTES, frame } from '../backends/h2-answerer.ts';
import type { Scenario } from '../scenario.ts';
import type { DialPaced } from './paced.ts';

const DATA = 0x0;
const HEADERS = 0x1;
const RST_STREAM = 0x3;
const SETTINGS = 0x4;
const PING = 0x6;
const GOAWAY = 0x7;
const WINDOW_UPDATE = 0x8;
const END_STREAM = 0x1;
const ACK = 0x1;
const END_HEADERS = 0x4;
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const DEFAULT_WINDOW = 65_535;
/** Answers never need more credit than this. */
const CREDIT = 1024 ** 3;
const OUT_BYTES = 64 * 1024;

/** As many requests at a time as the scenario has streams. */
export const connectHttp2: DialPaced = (socket, scenario, { onAnswer, onTrouble }) => {
  const [firstBlock, block] = headerBlocks(scenario);
  const [first, following] = [requestFrames(scenario, firstBlock), requestFrames(scenario, block)];
  const { requestBody, streams } = scenario;
  const bodyBytes = requestBody?.length ?? 0;
  /** When the request of each open stream was due. */
  const open = new Map<number, number>();
  let window = DEFAULT_WINDOW;
  let nextStream = 1;
  let rest: Buffer | undefined;
  const credit = Buffer.alloc(4);
  credit.writeUInt32BE(CREDIT);
  const out = Buffer.allocUnsafe(OUT_BYTES);
  let outBytes = 0;

  function put(bytes: Buffer): void {
    if (outBytes + bytes.length > out.length) flush();
    outBytes += bytes.copy(out, outBytes);
  }

  function flush(): void {
    if (outBytes > 0) socket.write(Buffer.from(out.subarray(0, outBytes)));
    outBytes = 0;
  }

  /** A frame that isn't of an answer. */
  function control(type: number, flags: number, stream: number, payload: Buffer): void {
    if (type === SETTINGS && (flags & ACK) === 0) put(frame(SETTINGS, ACK, 0, Buffer.alloc(0)));
    else if (type === PING && (flags & ACK) === 0) put(frame(PING, ACK, 0, payload));
    else if (type === WINDOW_UPDATE && stream === 0) window += payload.readUInt32BE(0) & 0x7fff_ffff;
    else if (type === RST_STREAM || type === GOAWAY) onTrouble(type === GOAWAY ? 'GOAWAY' : 'RST_STREAM');
  }

  socket.on('data', (chunk: Buffer) => {
    const nowMs = performance.now();
    const bytes = rest === undefined ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (bytes.length - at >= FRAME_HEAD_BYTES) {
      const end = at + FRAME_HEAD_BYTES + ((bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!);
      if (end > bytes.length) break;
      const type = bytes[at + 3]!;
      const flags = bytes[at + 4]!;
      const stream = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
      if (type > HEADERS) control(type, flags, stream, bytes.subarray(at + FRAME_HEAD_BYTES, end));
      else if ((flags & END_STREAM) !== 0) {
        const dueMs = open.get(stream);
        open.delete(stream);
        if (dueMs !== undefined) onAnswer(dueMs, nowMs);
      }
      at = end;
    }
    rest = at === bytes.length ? undefined : Buffer.from(bytes.subarray(at));
    flush();
  });
  socket.on('error', (error) => onTrouble(error.message)).on('close', () => onTrouble('closed connection'));
  put(Buffer.from(PREFACE, 'latin1'));
  put(frame(SETTINGS, 0, 0, Buffer.alloc(0)));
  put(frame(WINDOW_UPDATE, 0, 0, credit));
  flush();
  return {
    send: (dueMs) => {
      if (open.size >= streams || window < bodyBytes) return false;
      open.set(nextStream, dueMs);
      const { bytes, places } = nextStream === 1 ? first : following;
      for (const place of places) bytes.writeUInt32BE(nextStream, place);
      put(bytes);
      window -= bodyBytes;
      nextStream += 2;
      return true;
    },
    flush,
  };
};

/** Frames of a request, and where the number of the stream stands in them. */
interface RequestFrames {
  readonly bytes: Buffer;
  readonly places: readonly number[];
}

/** Those with one of the header blocks. */
function requestFrames({ requestBody }: Scenario, block: Buffer): RequestFrames {
  if (requestBody === undefined) {
    return { bytes: frame(HEADERS, END_HEADERS | END_STREAM, 0, block), places: [5] };
  }
  const head = frame(HEADERS, END_HEADERS, 0, block);
  return {
    bytes: Buffer.concat([head, frame(DATA, END_STREAM, 0, requestBody)]),
    places: [5, head.length + 5],
  };
}

/** The fields of a request as they are sent first, and from then on (RFC 7541 §6.1, §6.2.1; no Huffman coding). */
function headerBlocks({ path, requestBody, isGrpc }: Scenario): readonly [Buffer, Buffer] {
  /** `:method: GET` or `POST` and `:scheme: http` of the static table. */
  const known = Buffer.from([requestBody === undefined ? 0x82 : 0x83, 0x86]);
  const fields: Buffer[] = [indexed(0x44, path), indexed(0x41, '127.0.0.1')];
  if (isGrpc) {
    fields.push(indexed(0x5f, 'application/grpc'));
    fields.push(Buffer.concat([Buffer.from([0x40]), text('te'), text('trailers')]));
  }
  /** Entries of the table count from 62, the last one first. */
  const named = fields.map((_, index) => 0x80 | (62 + fields.length - 1 - index));
  return [Buffer.concat([known, ...fields]), Buffer.concat([known, Buffer.from(named)])];
}

/** A field with a name of the static table, put into the dynamic one. */
function indexed(prefix: number, value: string): Buffer {
  return Buffer.concat([Buffer.from([prefix]), text(value)]);
}

function text(value: string): Buffer {
  return Buffer.concat([Buffer.from([value.length]), Buffer.from(value, 'latin1')]);
}
