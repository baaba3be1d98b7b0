// What HTTP/2 inputs are made of: whole frames, with headers, lengths, flags, identifiers and header blocks that are
// changed one at a time, so that most of an input still means something.
import type { Rng } from '../../../src/base/rng.ts';
import { FrameReader } from '../../../src/codec/h2/frame-reader.ts';
import { ByteMutator, type Mutate, partsMutate, pick } from '../../support/fuzz-mutator.ts';
import { type Cuts, forEachPiece, randomCuts, WHOLE } from '../../support/fuzz-pieces.ts';
import { broken, type FuzzTarget } from '../../support/fuzz-run.ts';
import {
  data,
  frame,
  goaway,
  headers,
  literals,
  ping,
  request,
  reset,
  settings,
  SETTINGS_ACK,
  TYPE,
  u32,
  windowUpdate,
} from '../../support/h2-peer.ts';
import { HPACK_WORDS } from './hpack.ts';

const HEADER_BYTES = 9;
const MAX_FRAME_BYTES = 16_384;

/** Cuts bytes into frames; the last one may be cut off. */
export function splitFrames(bytes: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = bytes.length - at < HEADER_BYTES ? bytes.length : at + HEADER_BYTES + bytes.readUIntBE(at, 3);
    frames.push(bytes.subarray(at, Math.min(end, bytes.length)));
    at = end;
  }
  return frames;
}

/** The frame with the length that it has. */
function withLength(part: Buffer): Buffer {
  if (part.length >= HEADER_BYTES) part.writeUIntBE(part.length - HEADER_BYTES, 0, 3);
  return part;
}

const IDS = [0, 1, 1, 3, 3, 5, 7, 9, 2, 4, 0x7fffffff, 0x80000001, 0xffffffff];
const LENGTHS = [0, 1, 4, 5, 6, 8, 9, 255, 16_383, 16_384, 16_385, 65_536, 0xffffff];

/** Changes one thing about a frame. */
function changeFrame(rng: Rng, part: Buffer, payloads: ByteMutator, corpus: readonly Buffer[]): Buffer {
  const copy = Buffer.from(part);
  if (copy.length < HEADER_BYTES) return copy;
  switch (rng.below(8)) {
    case 0:
      copy[3] = rng.below(8) === 0 ? rng.below(256) : rng.below(11);
      return copy;
    case 1:
    case 2:
      copy[4] = (copy[4] ?? 0) ^ pick(rng, [1, 4, 8, 0x20, 1 << rng.below(8)]);
      return copy;
    case 3:
    case 4:
      copy.writeUInt32BE(pick(rng, IDS), 5);
      return copy;
    case 5:
      if (rng.below(4) > 0) break;
      copy.writeUIntBE(pick(rng, LENGTHS), 0, 3);
      return copy;
    default:
      break;
  }
  const payload = payloads.change(rng, part.subarray(HEADER_BYTES), corpus);
  return withLength(Buffer.concat([part.subarray(0, HEADER_BYTES), payload]));
}

const BLOCK_REQUEST = literals(request('/'));
/** Static indexes only; then the same with literals that enter the table. */
const INDEXED = Buffer.from([0x82, 0x84, 0x86, 0x41, 0x05, ...Buffer.from('svc:1')]);
const REMEMBERED = Buffer.from([0x83, 0x84, 0x86, 0x41, 0x01, 0x61, 0x40, 0x02, 0x78, 0x79, 0x01, 0x7a]);
const FROM_TABLE = Buffer.from([0x82, 0x84, 0x86, 0xbe]);
/** Only indexes, the newest two of the table among them: another request after each block that adds two. */
const NEWEST = Buffer.from([0x82, 0x84, 0x86, 0xbf, 0xbe]);
const REPLACED = Buffer.from([0x82, 0x84, 0x86, 0x41, 0x01, 0x62, 0x40, 0x02, 0x78, 0x79, 0x01, 0x77]);
/** The same of an answer: two fields, and the newest two. */
const ANSWER = Buffer.from([0x88, 0x40, 0x01, 0x61, 0x01, 0x31, 0x40, 0x01, 0x62, 0x01, 0x32]);
const OTHER_ANSWER = Buffer.from([0x88, 0x40, 0x01, 0x61, 0x01, 0x33, 0x40, 0x01, 0x62, 0x01, 0x34]);
const NEWEST_ANSWER = Buffer.from([0x88, 0xbf, 0xbe]);
const STATUS = Buffer.from([0x88]);

/** Frames that a client might send. */
export const CLIENT_FRAMES: readonly Buffer[] = [
  ...[1, 3, 5].flatMap((id) => [
    headers(id, request('/')), headers(id, request('/echo', ['content-length', '3'], 'POST'), false), headers(id, request('/', ['te', 'trailers', 'cookie', 'a', 'cookie', 'b'], 'POST'), false),
    frame(TYPE.HEADERS, 0x5, id, INDEXED), frame(TYPE.HEADERS, 0x5, id, REMEMBERED), frame(TYPE.HEADERS, 0x5, id, FROM_TABLE), frame(TYPE.HEADERS, 0x4, id, REMEMBERED),
    frame(TYPE.HEADERS, 0x5, id, NEWEST),
    frame(TYPE.HEADERS, 0x5, id, REPLACED),
    data(id, 'abc', true), data(id, 'ab'), data(id, ''), data(id, '', true), frame(TYPE.DATA, 0x8, id, Buffer.from([2, 0x61, 0, 0])), frame(TYPE.DATA, 0x9, id, Buffer.from([9, 0])),
    headers(id, ['x-trailer', '1']), headers(id, ['grpc-status', '0'], true), reset(id, 8), reset(id, 0), windowUpdate(id, 1), windowUpdate(id, 0x7fffffff), windowUpdate(id, 0),
    frame(TYPE.HEADERS, 0x1, id, BLOCK_REQUEST.subarray(0, 11)), frame(TYPE.CONTINUATION, 0x4, id, BLOCK_REQUEST.subarray(11)), frame(TYPE.CONTINUATION, 0x0, id, BLOCK_REQUEST.subarray(11, 20)),
    frame(TYPE.HEADERS, 0x2d, id, Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 16]), BLOCK_REQUEST, Buffer.from([0])])), frame(TYPE.PRIORITY, 0, id, Buffer.from([0, 0, 0, 9, 5])),
    frame(TYPE.PRIORITY, 0, id, u32(id)), headers(id, request('/big', [], 'GET')), headers(id, request('/slow', [], 'POST'), false), headers(id, request('/early', [], 'POST'), false),
    headers(id, request('/abort', [], 'POST'), false), headers(id, request('/hints', ['grpc-timeout', '1S']), true), headers(id, [':status', '200', ':method', 'GET']),
    headers(id, request('*', ['host', 'svc'], 'OPTIONS')), headers(id, [':method', 'CONNECT', ':authority', 'a:1'], false), headers(id, request('/a b', ['X', 'y'])),
    headers(id, request('/', ['connection', 'close', 'transfer-encoding', 'chunked', '', 'x', 'a\r\nb', 'c\0'])), data(id, Buffer.alloc(9000, 0x61)), headers(id, request('/', ['x', 'v'.repeat(9000)])),
    ...[['content-length', '3', 'content-length', '3'], ['content-length', '03'], ['x', 'a\r\nb'], ['x', ' y'], ['a b', 'c'], ['te', 'gzip'], ['host', 'svc:80'], ['host', 'b'], ['x', '\x7f']]
      .map((fields) => headers(id, request('/', fields, 'POST'), false)),
    headers(id, request('/a/./b/%2e%2E/%41?c=/../d')), headers(id, request('/%00')), headers(id, request('/..')),
  ]),
  settings(), SETTINGS_ACK, settings(4, 0), settings(4, 100), settings(4, 0x7fffffff), settings(4, 0x80000000), settings(1, 0), settings(1, 64), settings(1, 65_536), settings(3, 0, 2, 0), settings(2, 1),
  settings(2, 2), settings(5, 16_384), settings(5, 16_383), settings(5, 0xffffff), settings(6, 1, 8, 1, 9, 1, 0x0a0a, 5), frame(TYPE.SETTINGS, 0, 0, Buffer.alloc(5)), frame(TYPE.SETTINGS, 1, 0, Buffer.alloc(6)),
  ping(), ping(1, 2, true), frame(TYPE.PING, 0, 0, Buffer.alloc(7)), windowUpdate(0, 1), windowUpdate(0, 0), windowUpdate(0, 100_000), windowUpdate(0, 0x7fffffff), goaway(0, 0), goaway(1, 2, 'bye'), goaway(0x7fffffff, 0),
  frame(TYPE.PUSH_PROMISE, 4, 1, u32(2)), frame(0xfe, 0xff, 0, Buffer.from('unknown')), frame(0x10, 0, 0, Buffer.from([0, 0, 0, 1, 0x75])), frame(0xc, 0, 0, Buffer.alloc(4)), frame(TYPE.SETTINGS, 0, 1),
]; // prettier-ignore

/** Frames that a server might send. */
export const SERVER_FRAMES: readonly Buffer[] = [
  ...[1, 3, 5].flatMap((id) => [
    headers(id, [':status', '200']), headers(id, [':status', '200', 'content-length', '3'], false), headers(id, [':status', '200', 'content-type', 'application/grpc'], false), headers(id, [':status', '204']),
    headers(id, [':status', '304', 'content-length', '5']), headers(id, [':status', '100'], false), headers(id, [':status', '103', 'link', '</a>'], false), headers(id, [':status', '101'], false),
    headers(id, [':status', '99']), headers(id, [':status', '2000']), headers(id, ['x', 'y', ':status', '200']), headers(id, ['grpc-status', '0', 'grpc-message', 'a']), frame(TYPE.HEADERS, 0x4, id, STATUS),
    frame(TYPE.HEADERS, 0x5, id, STATUS), frame(TYPE.HEADERS, 0x5, id, ANSWER), frame(TYPE.HEADERS, 0x5, id, OTHER_ANSWER), frame(TYPE.HEADERS, 0x5, id, NEWEST_ANSWER), headers(id, [':status', '200', 'x', 'w'.repeat(14_000)], false),
  ]),
  ...CLIENT_FRAMES,
]; // prettier-ignore

/** Blocks that are worth remembering, and whose meaning changes on the way: from a client, and from a server. */
export const CLIENT_REPEATS = Buffer.concat(
  [REMEMBERED, NEWEST, NEWEST, REPLACED, NEWEST, NEWEST].map((block, i) => frame(TYPE.HEADERS, 0x5, 2 * i + 1, block)),
);
export const SERVER_REPEATS = Buffer.concat(
  [ANSWER, NEWEST_ANSWER, OTHER_ANSWER, NEWEST_ANSWER].map((block, i) => frame(TYPE.HEADERS, 0x5, 2 * i + 1, block)),
);

/** How inputs of frames are changed. */
export function frameMutate(samples: readonly Buffer[], maxBytes: number): Mutate {
  const payloads = new ByteMutator([...HPACK_WORDS, BLOCK_REQUEST, INDEXED, REMEMBERED, FROM_TABLE, u32(0), u32(1), u32(0x7fffffff), u32(0xffffffff)], MAX_FRAME_BYTES + 20);
  const format = {
    split: splitFrames,
    samples,
    change: (rng: Rng, part: Buffer, corpus: readonly Buffer[]) => changeFrame(rng, part, payloads, corpus),
  };
  return partsMutate(format, new ByteMutator(samples, maxBytes), maxBytes);
} // prettier-ignore

// ---------------------------------------------------------------- the frame reader alone

function run(input: Buffer, cuts: Cuts): string {
  let text = '';
  let stopped = false;
  const handler = {
    onFrame(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): void {
      if (stopped) broken('nothing is read after the reader has stopped');
      text += `${type} ${flags} ${id} ${bytes.latin1Slice(start, end)}\n`;
      if (type === 0xf0) {
        stopped = true;
        reader.stop();
      }
    },
    onOversizeFrame(type: number, length: number): void {
      if (stopped) broken('nothing is read after the reader has stopped');
      stopped = true;
      text += `${type} of ${length} bytes refused\n`;
    },
  };
  const reader = new FrameReader(handler);
  forEachPiece(input, cuts, (bytes, start, end) => {
    reader.read(bytes, start, end);
    if (reader.heldBytes > HEADER_BYTES + MAX_FRAME_BYTES)
      broken('no more than a frame is held', String(reader.heldBytes));
    if (stopped && reader.heldBytes > 0) broken('a reader that has stopped holds nothing', String(reader.heldBytes));
    return true;
  });
  reader.stop(); // gives its buffer back
  return text;
}

function expectedFrames(input: Buffer): string {
  let text = '';
  for (const part of splitFrames(input)) {
    if (part.length < HEADER_BYTES) break;
    const length = part.readUIntBE(0, 3);
    const type = part[3] ?? 0;
    if (length > MAX_FRAME_BYTES) return `${text}${type} of ${length} bytes refused\n`;
    if (part.length < HEADER_BYTES + length) break;
    const id = part.readUInt32BE(5) & 0x7fffffff;
    text += `${type} ${part[4]} ${id} ${part.toString('latin1', HEADER_BYTES)}\n`;
    if (type === 0xf0) break;
  }
  return text;
}

function checkReader(input: Buffer, rng: Rng): void {
  const expected = expectedFrames(input);
  if (run(input, WHOLE) !== expected) broken('bytes are cut into frames', expected);
  const cuts = randomCuts(rng, input.length);
  if (run(input, cuts) !== expected) broken('any split gives the same frames', `cut at ${String(cuts)}\n${expected}`);
}

export const H2_FRAMES: FuzzTarget = {
  name: 'h2-frames',
  seeds: [...CLIENT_FRAMES, Buffer.concat(CLIENT_FRAMES.slice(0, 12)), frame(0, 0, 1, Buffer.alloc(MAX_FRAME_BYTES)), frame(0xf0, 0, 0), Buffer.alloc(30)],
  mutate: frameMutate([...CLIENT_FRAMES, frame(0, 0, 1, Buffer.alloc(16_385)), frame(0xf0, 0, 0)], 60_000),
  check: checkReader,
}; // prettier-ignore
