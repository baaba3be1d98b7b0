import { BlockCache } from '../../../src/codec/h2/block-cache.ts';
import { HpackDecoder, type DecodedFields } from '../../../src/codec/h2/hpack/decoder.ts';
import { copyRequestHead, readRequestHead, type ReceivedRequest } from '../../../src/codec/h2/request-head.ts';
import { copyResponseHead, readResponseHead } from '../../../src/codec/h2/response-head.ts';
import { readTrailers } from '../../../src/codec/h2/trailers.ts';
import type { Fields, ResponseHead } from '../../../src/codec/exchange.ts';
import { DEFAULT_LIMITS } from '../../../src/codec/limits.ts';
import { browserRequest, digits, GRPC_FIELDS, grpcRequest, requestHead, VARIANTS, variants } from './heads.ts';
import { HpackPeer } from './hpack-peer.ts';
import type { MicroCase, MicroGroup } from './measure.ts';

const { requestHeadBytes, headFields, hpackTableBytes } = DEFAULT_LIMITS;
/** Requests, or answers, that a peer repeats. */
const KNOWN = 8;

/** Header blocks of HTTP/2 in: bytes to a head of the caller's own, by a session's or a channel's way. */
export const hpackDecode: MicroGroup = {
  name: 'hpack-decode',
  operation: 'block',
  cases: () => [
    decoding('gRPC request seen before', REQUEST, repeated(callFields)),
    // As nghttp2 and grpc-js write: no path enters the table.
    decoding(
      'gRPC request, new path',
      REQUEST,
      following(callFields, (name) => name === ':path'),
    ),
    // As Go writes: everything enters it, and each block changes it.
    decoding('gRPC request, path and two ids enter the table', REQUEST, following(tracedFields)),
    decoding('browser request seen before', REQUEST, repeated(browserFields)),
    decoding('browser request, three new fields', REQUEST, following(browserFields)),
    decoding('browser request, first of a connection', REQUEST, () => new HpackPeer().block(browserFields(7)), true),
    decoding('gRPC answer seen before', ANSWER, repeated(answerFields)),
    decoding(
      'gRPC answer spelt out, seen before',
      ANSWER,
      following(
        () => answerFields(0),
        () => true,
      ),
    ),
    decoding(
      'gRPC answer, date is new',
      ANSWER,
      following((index) => [...answerFields(index), 'date', dateOf(index)]),
    ),
    decoding('gRPC trailers', TRAILERS, repeated(trailerFields)),
    decoding(
      'gRPC trailers with a message',
      TRAILERS,
      following((index) => ['grpc-status', '5', 'grpc-message', `no item ${digits(index)}`]),
    ),
  ],
};

function callFields(index: number): readonly string[] {
  const { method, scheme, authority, path } = grpcRequest(index);
  return [':method', method, ':scheme', scheme, ':path', path, ':authority', authority, ...GRPC_FIELDS];
}

function tracedFields(index: number): readonly string[] {
  const trace = `8f14e45fceea167a5a36dedd4be${digits(index)}`;
  return [...callFields(index), 'x-request-id', trace, 'traceparent', `00-${trace}-00f067aa0ba902b7-01`];
}

function browserFields(index: number): readonly string[] {
  const { path, authority, fields } = requestHead(browserRequest(index));
  const lower = fields.map((text, at) => (at % 2 === 0 ? text.toLowerCase() : text));
  return [':method', 'GET', ':authority', authority, ':scheme', 'http', ':path', path, ...lower];
}

function answerFields(index: number): readonly string[] {
  return [':status', '200', 'content-type', 'application/grpc', 'x-served-by', `catalogue-${index % KNOWN}`];
}

function trailerFields(index: number): readonly string[] {
  return ['grpc-status', String(index % 4)];
}

function dateOf(index: number): string {
  return `Tue, 03 Nov 2026 10:${digits(index).slice(1, 3)}:${digits(index).slice(3)} GMT`;
}

/** Blocks of one connection: those that load a decoder's table come first. */
type Blocks = (at: number) => Buffer;

/** A few messages again and again: once they are in the table, each is nothing but indexes. */
function repeated(fields: (index: number) => readonly string[]): Blocks {
  const peer = new HpackPeer();
  const first = Array.from({ length: KNOWN }, (_, index) => peer.block(fields(index)));
  const later = Array.from({ length: KNOWN }, (_, index) => peer.block(fields(index)));
  if (later.some((block) => block.some((byte) => byte < 0x80))) throw new Error('the table is too small for them all');
  return (at) => (at < KNOWN ? first : later)[at % KNOWN]!;
}

/** A message each, none as the one before. */
function following(fields: (index: number) => readonly string[], isPlain?: (name: string) => boolean): Blocks {
  const peer = new HpackPeer(isPlain);
  const blocks = variants((index) => peer.block(fields(index)));
  return (at) => blocks[at]!;
}

/** What the fields of a block are made into, and kept as; a caller gets a copy. */
interface Meaning<T> {
  /** The meaning, or what is wrong in words. */
  readonly read: (fields: DecodedFields) => T | string;
  /** Something that depends on all of the copy. */
  readonly copy: (meaning: T) => number;
}

const REQUEST: Meaning<ReceivedRequest> = {
  read: (fields) => readRequestHead(fields, 'http'),
  copy({ head }) {
    const copy = copyRequestHead(head);
    return copy.fields.length + copy.path.length;
  },
};

const ANSWER: Meaning<ResponseHead> = {
  read: readResponseHead,
  copy(head) {
    const copy = copyResponseHead(head);
    return copy.fields.length + copy.status;
  },
};

const TRAILERS: Meaning<Fields> = { read: readTrailers, copy: (fields) => fields.slice().length };

/** Decodes the blocks of one connection in their order, or each as the first of its connection. */
function decoding<T>(name: string, { read, copy }: Meaning<T>, blocks: Blocks, isFirst = false): MicroCase {
  const list = variants(blocks);
  let decoder = new HpackDecoder(hpackTableBytes);
  let cache = new BlockCache<T>();
  const begin = (): void => {
    decoder = new HpackDecoder(hpackTableBytes);
    cache = new BlockCache();
  };
  const one = (block: Buffer): number => {
    const { length } = block;
    const known = cache.get(block, 0, length, decoder.generation);
    if (known !== undefined) return copy(known);
    if (!decoder.decode(block, 0, length, requestHeadBytes, headFields)) throw new Error(`${name}: a bad block`);
    const meaning = read(decoder.fields);
    if (typeof meaning === 'string') throw new Error(`${name}: ${meaning}`);
    if (decoder.isRepeatable) cache.set(block, 0, length, decoder.generation, meaning);
    return copy(meaning);
  };
  return {
    name,
    operations: VARIANTS,
    prepare: begin,
    run() {
      let sum = 0;
      for (const block of list) {
        if (isFirst) begin();
        sum += one(block);
      }
      return sum;
    },
  };
}
