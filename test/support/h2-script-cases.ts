// Tables of HTTP/2 cases: the frames that a peer sends and what must come of them, and the ways the bytes may arrive. A
// test file brings the connection; what is checked of its frames is the same for both roles.
import assert from 'node:assert/strict';
import { data, frame, headers, literals, TYPE, u32 } from './h2-peer.ts';

/** Error codes (RFC 9113 section 7). */
export const CODE = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  ENHANCE_YOUR_CALM: 11,
} as const;

export type CodeName = keyof typeof CODE;

/**
 * What must come of a case:
 *   `GOAWAY x`        the connection ends with that code;
 *   `RST_STREAM n x`  stream n ends with that code, the connection lives;
 *   `ANSWER n`        stream n is answered, the connection lives;
 *   `IGNORED`         nothing but acknowledgements;
 *   a list            exactly these frames, as h2-peer's `describe` words them.
 */
export type Expected =
  | `GOAWAY ${CodeName}`
  | `RST_STREAM ${number} ${CodeName}`
  | `ANSWER ${number}`
  | 'IGNORED'
  | readonly string[];

/** The ways in which the bytes of a case may come. */
export const DELIVERIES = ['a frame each', 'all at once', 'a byte each', 'cut at the frame header'] as const;

/** Hands `frames` to `feed` in one of the DELIVERIES. */
export function deliver(
  way: (typeof DELIVERIES)[number],
  frames: readonly Uint8Array[],
  feed: (bytes: Uint8Array) => void,
): void {
  if (way === 'all at once') return feed(Buffer.concat(frames));
  for (const bytes of frames) {
    if (way === 'a frame each' || bytes.length === 0) feed(bytes);
    else if (way === 'a byte each') for (let at = 0; at < bytes.length; at++) feed(bytes.subarray(at, at + 1));
    else {
      feed(bytes.subarray(0, 9));
      if (bytes.length > 9) feed(bytes.subarray(9));
    }
  }
}

/** Checks the frames that came of a case. Whether a connection that should live does is the test's to find out. */
export function checkWords(expected: Expected, words: readonly string[]): void {
  if (typeof expected !== 'string') return assert.deepEqual(words, expected);
  const rest = words.filter((word) => !word.endsWith(' ACK') && !word.startsWith('WINDOW_UPDATE'));
  const [what = '', ...parts] = expected.split(' ');
  const shown = words.join(', ');
  const ends = rest.filter((word) => word.startsWith('GOAWAY'));
  const resets = rest.filter((word) => word.startsWith('RST_STREAM'));
  if (what === 'GOAWAY') {
    assert.equal(ends.length, 1, `one GOAWAY, but: ${shown}`);
    assert.equal(ends[0]?.split(' ')[2], String(CODE[parts[0] as CodeName]), `${expected}, but: ${shown}`);
    assert.equal(words.at(-1), ends[0], `nothing behind it, but: ${shown}`);
    return;
  }
  assert.deepEqual(ends, [], `the connection lives, but: ${shown}`);
  if (what === 'RST_STREAM') {
    assert.deepEqual(resets, [`RST_STREAM ${parts[0]} ${CODE[parts[1] as CodeName]}`], `${expected}, but: ${shown}`);
    return;
  }
  assert.deepEqual(resets, [], `no reset, but: ${shown}`);
  if (what === 'IGNORED') return assert.deepEqual(rest, [], `nothing said, but: ${shown}`);
  const id = parts[0] ?? '';
  assert.ok(
    rest.some((word) => word === `HEADERS ${id}` || word === `HEADERS ${id} END`),
    `an answer on ${id}, but: ${shown}`,
  );
  assert.ok(
    rest.some((word) => word.endsWith(' END') && word.split(' ')[1] === id),
    `the end of ${id}, but: ${shown}`,
  );
}

/** Whether the connection is over after a case. */
export function endsConnection(expected: Expected): boolean {
  return typeof expected === 'string'
    ? expected.startsWith('GOAWAY')
    : expected.some((word) => word.startsWith('GOAWAY'));
}

// ---------------------------------------------------------------- frames that no honest peer writes

/** HEADERS of which the block isn't finished. */
export function openHeaders(id: number, fields: readonly string[], endStream = true): Buffer {
  return frame(TYPE.HEADERS, endStream ? 0x1 : 0, id, literals(fields));
}

/** A whole block, given as bytes. */
export function rawHeaders(id: number, block: Uint8Array, endStream = true): Buffer {
  return frame(TYPE.HEADERS, 0x4 | (endStream ? 0x1 : 0), id, block);
}

export function continuation(id: number, block: Uint8Array, endHeaders = true): Buffer {
  return frame(TYPE.CONTINUATION, endHeaders ? 0x4 : 0, id, block);
}

/** Padded HEADERS; `padLength` is what the frame claims. */
export function paddedHeaders(
  id: number,
  fields: readonly string[],
  padding: number,
  padLength = padding,
  endStream = true,
): Buffer {
  const payload = Buffer.concat([Buffer.from([padLength]), literals(fields), Buffer.alloc(padding)]);
  return frame(TYPE.HEADERS, 0x4 | 0x8 | (endStream ? 0x1 : 0), id, payload);
}

/** Padded DATA; `padLength` is what the frame claims. */
export function paddedData(
  id: number,
  body: Uint8Array | string,
  padding: number,
  padLength = padding,
  endStream = false,
): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const payload = Buffer.concat([Buffer.from([padLength]), bytes, Buffer.alloc(padding)]);
  return frame(TYPE.DATA, 0x8 | (endStream ? 0x1 : 0), id, payload);
}

/** HEADERS that say what the stream depends on. */
export function headersWithPriority(id: number, fields: readonly string[], dependsOn: number, weight = 16): Buffer {
  const payload = Buffer.concat([u32(dependsOn), Buffer.from([weight - 1]), literals(fields)]);
  return frame(TYPE.HEADERS, 0x4 | 0x20 | 0x1, id, payload);
}

export function priority(id: number, dependsOn = 0, weight = 16, exclusive = false): Buffer {
  return frame(
    TYPE.PRIORITY,
    0,
    id,
    Buffer.concat([u32((dependsOn | (exclusive ? 0x80000000 : 0)) >>> 0), Buffer.from([weight - 1])]),
  );
}

export function pushPromise(id: number, promised: number, fields: readonly string[]): Buffer {
  return frame(TYPE.PUSH_PROMISE, 0x4, id, Buffer.concat([u32(promised), literals(fields)]));
}

/** A frame of a type that no RFC names. */
export function unknownFrame(id = 0, payload: Uint8Array = Buffer.alloc(8), type = 0xbb): Buffer {
  return frame(type, 0, id, payload);
}

/** Only the nine bytes of a frame's header, announcing `length` bytes. */
export function frameHeader(type: number, flags: number, id: number, length: number): Buffer {
  const header = frame(type, flags, id);
  header.writeUIntBE(length, 0, 3);
  return header;
}

export { data, frame, headers, literals, TYPE, u32 };
