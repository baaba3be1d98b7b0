// What an HTTP/2 server must do with good and bad frames: the 147 rules that the suite h2spec looks at, in its order and
// under its numbers, each written from RFC 9113 and RFC 7541. Where RFC 9113 leaves a choice the one that this server
// makes is pinned. All run over a scripted connection, each with its bytes cut in four ways; h2spec itself is run against
// the built program elsewhere.
import assert from 'node:assert/strict';
import { describe as suite, it } from 'node:test';
import type { WireLimits } from '../../src/codec/limits.ts';
import {
  describe,
  goaway,
  ping,
  PREFACE,
  request,
  reset,
  settings,
  SETTINGS_ACK,
  windowUpdate,
} from '../support/h2-peer.ts';
import {
  checkWords,
  continuation,
  data,
  DELIVERIES,
  deliver,
  endsConnection,
  frame,
  headers,
  headersWithPriority,
  literals,
  openHeaders,
  paddedData,
  paddedHeaders,
  priority,
  pushPromise,
  rawHeaders,
  TYPE,
  unknownFrame,
  type Expected,
} from '../support/h2-script-cases.ts';
import { open, openBare, reply, type Downstream, type SeenRequest } from '../wire/h2/downstream-harness.ts';

interface Case {
  readonly id: string;
  readonly what: string;
  readonly send: readonly Buffer[];
  readonly expected: Expected;
  /** Requests stay unanswered: their streams are still there when the next frame comes. */
  readonly holds?: boolean;
  /** The client's preface is part of the case. */
  readonly bare?: boolean;
  readonly limits?: Partial<WireLimits>;
  /** Fields that the first request must have come with. */
  readonly fields?: readonly string[];
}

/** What every answer carries. */
const BODY = 'four';
const CANARY = 2 ** 20 + 1;
const GET = request();
const POST = request('/', [], 'POST');
/** 2^31-1. */
const MOST = 0x7fffffff;

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex');
}

/** A GET and, in the same block, representations given as bytes. */
function getWith(block: string): Buffer {
  return rawHeaders(1, Buffer.concat([literals(GET), hex(block)]));
}

/** An ordinary request without the pseudo-field `name`. */
function without(name: string): string[] {
  const at = GET.indexOf(name);
  return GET.toSpliced(at, 2);
}

const filler = Buffer.alloc(16_384, 'x');

// --- the rules of RFC 9113 (numbers as in RFC 7540, which the suite goes by)

const FRAMING: readonly Case[] = [
  {
    id: 'http2/3.5/1',
    what: 'the preface: our first frame is SETTINGS',
    bare: true,
    send: [PREFACE, settings()],
    expected: ['SETTINGS', 'WINDOW_UPDATE 0 983041', 'SETTINGS ACK'],
  },
  {
    id: 'http2/3.5/2',
    what: 'something else than the preface',
    bare: true,
    send: [Buffer.from('NOT WHAT A CLIENT SAYS\r\n\r\n')],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  { id: 'http2/4.1/1', what: 'a frame of unknown type', send: [unknownFrame()], expected: 'IGNORED' },
  {
    id: 'http2/4.1/2',
    what: 'flags without a meaning',
    send: [frame(TYPE.PING, 0xfe, 0, Buffer.alloc(8))],
    expected: ['PING ACK'],
  },
  {
    id: 'http2/4.1/3',
    what: 'the reserved bit before the stream identifier',
    send: [frame(TYPE.PING, 0, 0x80000000, Buffer.alloc(8))],
    expected: ['PING ACK'],
  },
  {
    id: 'http2/4.2/1',
    what: 'DATA of 2^14 bytes',
    send: [headers(1, POST, false), data(1, filler, true)],
    expected: 'ANSWER 1',
  },
  {
    id: 'http2/4.2/2',
    what: 'DATA of 2^14+1 bytes',
    send: [headers(1, POST, false), data(1, Buffer.alloc(16_385), true)],
    expected: 'GOAWAY FRAME_SIZE_ERROR',
  },
  {
    id: 'http2/4.2/3',
    what: 'HEADERS of more than 2^14 bytes',
    send: [headers(1, [...GET, 'x-filler', 'x'.repeat(16_384)])],
    expected: 'GOAWAY FRAME_SIZE_ERROR',
  },
  {
    id: 'http2/4.3/1',
    what: 'a header block that is cut off',
    send: [rawHeaders(1, hex('40'))],
    expected: 'GOAWAY COMPRESSION_ERROR',
  },
  {
    id: 'http2/4.3/2',
    what: 'PRIORITY within a header block',
    send: [openHeaders(1, GET, false), priority(1), continuation(1, literals(['x-more', '1']))],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  {
    id: 'http2/4.3/3',
    what: 'HEADERS of another stream within a header block',
    send: [openHeaders(1, GET, false), headers(3, GET), continuation(1, literals(['x-more', '1']))],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
];

const STREAMS: readonly Case[] = [
  { id: 'http2/5.1/1', what: 'idle: DATA', send: [data(1, 'test', true)], expected: 'GOAWAY PROTOCOL_ERROR' },
  { id: 'http2/5.1/2', what: 'idle: RST_STREAM', send: [reset(1, 8)], expected: 'GOAWAY PROTOCOL_ERROR' },
  { id: 'http2/5.1/3', what: 'idle: WINDOW_UPDATE', send: [windowUpdate(1, 100)], expected: 'GOAWAY PROTOCOL_ERROR' },
  {
    id: 'http2/5.1/4',
    what: 'idle: CONTINUATION',
    send: [continuation(1, literals(GET))],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  {
    id: 'http2/5.1/5',
    what: 'half-closed (remote): DATA',
    holds: true,
    send: [headers(1, GET), data(1, 'test', true)],
    expected: 'RST_STREAM 1 STREAM_CLOSED',
  },
  {
    id: 'http2/5.1/6',
    what: 'half-closed (remote): HEADERS',
    holds: true,
    send: [headers(1, GET), headers(1, GET)],
    expected: 'RST_STREAM 1 STREAM_CLOSED',
  },
  {
    id: 'http2/5.1/7',
    what: 'half-closed (remote): CONTINUATION',
    holds: true,
    send: [headers(1, GET), continuation(1, literals(GET))],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  {
    id: 'http2/5.1/8',
    what: "closed by the peer's RST_STREAM: DATA",
    send: [headers(1, POST, false), reset(1, 8), data(1, 'test', true)],
    expected: 'GOAWAY STREAM_CLOSED',
  },
  {
    id: 'http2/5.1/9',
    what: "closed by the peer's RST_STREAM: HEADERS",
    send: [headers(1, POST, false), reset(1, 8), headers(1, POST)],
    expected: 'GOAWAY STREAM_CLOSED',
  },
  {
    id: 'http2/5.1/10',
    what: "closed by the peer's RST_STREAM: CONTINUATION",
    send: [headers(1, POST, false), reset(1, 8), continuation(1, literals(['x-more', '1']))],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  {
    id: 'http2/5.1/11',
    what: 'closed by both ends: DATA',
    send: [headers(1, GET), data(1, 'test', true)],
    expected: 'GOAWAY STREAM_CLOSED',
  },
  {
    id: 'http2/5.1/12',
    what: 'closed by both ends: HEADERS',
    send: [headers(1, GET), headers(1, GET)],
    expected: 'GOAWAY STREAM_CLOSED',
  },
  {
    id: 'http2/5.1/13',
    what: 'closed by both ends: CONTINUATION',
    send: [headers(1, GET), continuation(1, literals(['x-more', '1']))],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  {
    id: 'http2/5.1.1/1',
    what: 'a request on an even identifier',
    send: [headers(2, GET)],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  {
    id: 'http2/5.1.1/2',
    what: 'a request on an identifier below an earlier one',
    send: [headers(5, GET), headers(3, GET)],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  {
    id: 'http2/5.1.2/1',
    what: 'more streams than SETTINGS_MAX_CONCURRENT_STREAMS',
    holds: true,
    limits: { concurrentStreams: 3 },
    send: [settings(4, 0), headers(1, GET), headers(3, GET), headers(5, GET), headers(7, GET), reset(1, 8)],
    expected: 'RST_STREAM 7 REFUSED_STREAM',
  },
  {
    id: 'http2/5.3.1/1',
    what: 'HEADERS whose stream depends on itself',
    send: [headersWithPriority(1, GET, 1)],
    expected: 'RST_STREAM 1 PROTOCOL_ERROR',
  },
  {
    id: 'http2/5.3.1/2',
    what: 'PRIORITY of an idle stream that depends on itself',
    send: [priority(1, 1)],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  {
    id: 'http2/5.4.1/1',
    what: 'an error of the connection closes it',
    send: [frame(TYPE.PING, 0, 3, Buffer.alloc(8)), headers(1, GET), ping()],
    expected: ['GOAWAY 0 1'],
  },
  {
    id: 'http2/5.4.1/2',
    what: 'an error of the connection is said in a GOAWAY that names the last stream',
    send: [headers(1, GET), frame(TYPE.PING, 0, 3, Buffer.alloc(8))],
    expected: ['HEADERS 1', 'DATA 1 4 END', 'GOAWAY 1 1'],
  },
  {
    id: 'http2/5.5/1',
    what: 'a frame of an unknown extension',
    send: [unknownFrame(0, Buffer.alloc(8), 0x16)],
    expected: 'IGNORED',
  },
  {
    id: 'http2/5.5/2',
    what: 'a frame of an unknown extension within a header block',
    send: [openHeaders(1, GET), unknownFrame(), continuation(1, literals([]))],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
];

const FRAMES: readonly Case[] = [
  { id: 'http2/6.1/1', what: 'DATA on stream 0', send: [data(0, 'test', true)], expected: 'GOAWAY PROTOCOL_ERROR' },
  {
    id: 'http2/6.1/2',
    what: 'DATA on a stream whose end came',
    holds: true,
    send: [headers(1, POST), data(1, 'test', true)],
    expected: 'RST_STREAM 1 STREAM_CLOSED',
  },
  {
    id: 'http2/6.1/3',
    what: 'DATA with more padding than payload',
    send: [headers(1, [...POST, 'content-length', '4'], false), paddedData(1, 'test', 0, 6, true)],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  {
    id: 'http2/6.2/1',
    what: 'PRIORITY instead of CONTINUATION',
    send: [openHeaders(1, GET, false), priority(1), continuation(1, literals(['x-more', '1']))],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  {
    id: 'http2/6.2/2',
    what: 'HEADERS of another stream instead of CONTINUATION',
    send: [openHeaders(1, GET, false), headers(3, GET)],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  { id: 'http2/6.2/3', what: 'HEADERS on stream 0', send: [headers(0, GET)], expected: 'GOAWAY PROTOCOL_ERROR' },
  {
    id: 'http2/6.2/4',
    what: 'HEADERS with more padding than payload',
    send: [paddedHeaders(1, GET, 0, literals(GET).length + 1)],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  { id: 'http2/6.3/1', what: 'PRIORITY on stream 0', send: [priority(0)], expected: 'GOAWAY PROTOCOL_ERROR' },
  {
    id: 'http2/6.3/2',
    what: 'PRIORITY not of 5 bytes',
    holds: true,
    send: [headers(1, GET), frame(TYPE.PRIORITY, 0, 1, Buffer.alloc(4))],
    expected: 'RST_STREAM 1 FRAME_SIZE_ERROR',
  },
  { id: 'http2/6.4/1', what: 'RST_STREAM on stream 0', send: [reset(0, 8)], expected: 'GOAWAY PROTOCOL_ERROR' },
  { id: 'http2/6.4/2', what: 'RST_STREAM on an idle stream', send: [reset(1, 8)], expected: 'GOAWAY PROTOCOL_ERROR' },
  {
    id: 'http2/6.4/3',
    what: 'RST_STREAM not of 4 bytes',
    holds: true,
    send: [headers(1, GET), frame(TYPE.RST_STREAM, 0, 1, Buffer.alloc(3))],
    expected: 'GOAWAY FRAME_SIZE_ERROR',
  },
  {
    id: 'http2/6.5/1',
    what: 'an acknowledgement of SETTINGS with a payload',
    send: [frame(TYPE.SETTINGS, 1, 0, Buffer.alloc(1))],
    expected: 'GOAWAY FRAME_SIZE_ERROR',
  },
  {
    id: 'http2/6.5/2',
    what: 'SETTINGS on a stream',
    send: [frame(TYPE.SETTINGS, 0, 1, hex('0003 00000064'))],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  {
    id: 'http2/6.5/3',
    what: 'SETTINGS not of 6 bytes each',
    send: [frame(TYPE.SETTINGS, 0, 0, hex('000300'))],
    expected: 'GOAWAY FRAME_SIZE_ERROR',
  },
  { id: 'http2/6.5.2/1', what: 'ENABLE_PUSH of 2', send: [settings(2, 2)], expected: 'GOAWAY PROTOCOL_ERROR' },
  {
    id: 'http2/6.5.2/2',
    what: 'INITIAL_WINDOW_SIZE of 2^31',
    send: [settings(4, 0x80000000)],
    expected: 'GOAWAY FLOW_CONTROL_ERROR',
  },
  {
    id: 'http2/6.5.2/3',
    what: 'MAX_FRAME_SIZE of 2^14-1',
    send: [settings(5, 16_383)],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  {
    id: 'http2/6.5.2/4',
    what: 'MAX_FRAME_SIZE of 2^24',
    send: [settings(5, 16_777_216)],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  { id: 'http2/6.5.2/5', what: 'an unknown setting', send: [settings(0xff, 1)], expected: ['SETTINGS ACK'] },
  {
    id: 'http2/6.5.3/1',
    what: 'the last of two values of INITIAL_WINDOW_SIZE stands',
    send: [settings(4, 100, 4, 1), headers(1, GET)],
    expected: ['SETTINGS ACK', 'HEADERS 1', 'DATA 1 1'],
  },
  { id: 'http2/6.5.3/2', what: 'SETTINGS are acknowledged', send: [settings(2, 0)], expected: ['SETTINGS ACK'] },
  { id: 'http2/6.7/1', what: 'PING is answered', send: [ping(7, 9)], expected: ['PING ACK'] },
  {
    id: 'http2/6.7/2',
    what: 'an acknowledgement of a PING is not',
    send: [ping(1, 1, true), ping(7, 9)],
    expected: ['PING ACK'],
  },
  {
    id: 'http2/6.7/3',
    what: 'PING on a stream',
    send: [frame(TYPE.PING, 0, 1, Buffer.alloc(8))],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  {
    id: 'http2/6.7/4',
    what: 'PING not of 8 bytes',
    send: [frame(TYPE.PING, 0, 0, Buffer.alloc(6))],
    expected: 'GOAWAY FRAME_SIZE_ERROR',
  },
  {
    id: 'http2/6.8/1',
    what: 'GOAWAY on a stream',
    send: [frame(TYPE.GOAWAY, 0, 1, Buffer.alloc(8))],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  {
    id: 'http2/6.9/1',
    what: 'WINDOW_UPDATE of 0, connection',
    send: [windowUpdate(0, 0)],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  {
    id: 'http2/6.9/2',
    what: 'WINDOW_UPDATE of 0, stream',
    holds: true,
    send: [headers(1, GET), windowUpdate(1, 0)],
    expected: 'RST_STREAM 1 PROTOCOL_ERROR',
  },
  {
    id: 'http2/6.9/3',
    what: 'WINDOW_UPDATE not of 4 bytes',
    send: [frame(TYPE.WINDOW_UPDATE, 0, 0, hex('000001'))],
    expected: 'GOAWAY FRAME_SIZE_ERROR',
  },
  {
    id: 'http2/6.9.1/1',
    what: 'no more DATA than the window',
    send: [settings(4, 1), headers(1, GET)],
    expected: ['SETTINGS ACK', 'HEADERS 1', 'DATA 1 1'],
  },
  {
    id: 'http2/6.9.1/2',
    what: 'a window beyond 2^31-1, connection',
    send: [windowUpdate(0, MOST), windowUpdate(0, MOST)],
    expected: 'GOAWAY FLOW_CONTROL_ERROR',
  },
  {
    id: 'http2/6.9.1/3',
    what: 'a window beyond 2^31-1, stream',
    holds: true,
    send: [headers(1, POST, false), windowUpdate(1, MOST), windowUpdate(1, MOST)],
    expected: 'RST_STREAM 1 FLOW_CONTROL_ERROR',
  },
  {
    id: 'http2/6.9.2/1',
    what: 'INITIAL_WINDOW_SIZE moves the windows of open streams',
    send: [settings(4, 0), headers(1, GET), settings(4, 1)],
    expected: ['SETTINGS ACK', 'HEADERS 1', 'SETTINGS ACK', 'DATA 1 1'],
  },
  {
    id: 'http2/6.9.2/2',
    what: 'a window may become negative',
    send: [settings(4, 3), headers(1, GET), settings(4, 2), windowUpdate(1, 1), windowUpdate(1, 1)],
    expected: ['SETTINGS ACK', 'HEADERS 1', 'DATA 1 3', 'SETTINGS ACK', 'DATA 1 1 END'],
  },
  {
    id: 'http2/6.9.2/3',
    what: 'INITIAL_WINDOW_SIZE of 2^31 while a stream is open',
    holds: true,
    send: [headers(1, GET), settings(4, 0x80000000)],
    expected: 'GOAWAY FLOW_CONTROL_ERROR',
  },
  {
    id: 'http2/6.10/1',
    what: 'HEADERS and two CONTINUATION',
    send: [
      openHeaders(1, GET),
      continuation(1, literals(['x-a', '1']), false),
      continuation(1, literals(['x-b', '2'])),
    ],
    expected: 'ANSWER 1',
    fields: ['x-a', '1', 'x-b', '2'],
  },
  {
    id: 'http2/6.10/2',
    what: 'DATA behind an unfinished CONTINUATION',
    send: [openHeaders(1, POST, false), continuation(1, literals(['x-a', '1']), false), data(1, 'test', true)],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  {
    id: 'http2/6.10/3',
    what: 'CONTINUATION on stream 0',
    send: [openHeaders(1, GET), continuation(0, literals(['x-a', '1']))],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  {
    id: 'http2/6.10/4',
    what: 'CONTINUATION behind HEADERS with END_HEADERS',
    holds: true,
    send: [headers(1, GET), continuation(1, literals(['x-a', '1']))],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  {
    id: 'http2/6.10/5',
    what: 'CONTINUATION behind CONTINUATION with END_HEADERS',
    holds: true,
    send: [openHeaders(1, GET), continuation(1, literals(['x-a', '1'])), continuation(1, literals(['x-b', '2']))],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  {
    id: 'http2/6.10/6',
    what: 'CONTINUATION behind DATA',
    send: [openHeaders(1, POST, false), data(1, 'test', true), continuation(1, literals(['x-a', '1']))],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
  {
    id: 'http2/7/1',
    what: 'GOAWAY with an unknown code is a GOAWAY',
    send: [goaway(0, 0xff)],
    expected: ['GOAWAY 0 0'],
  },
  {
    id: 'http2/7/2',
    what: 'RST_STREAM with an unknown code is a RST_STREAM',
    send: [headers(1, POST, false), reset(1, 0xff)],
    expected: 'IGNORED',
  },
];

const MESSAGES: readonly Case[] = [
  {
    id: 'http2/8.1/1',
    what: 'trailers without END_STREAM',
    send: [headers(1, POST, false), data(1, 'test'), headers(1, ['x-test', 'ok'], false)],
    expected: 'RST_STREAM 1 PROTOCOL_ERROR',
  },
  {
    id: 'http2/8.1.2/1',
    what: 'an upper-case field name',
    send: [headers(1, [...GET, 'X-TEST', 'ok'])],
    expected: 'RST_STREAM 1 PROTOCOL_ERROR',
  },
  {
    id: 'http2/8.1.2.1/1',
    what: 'an unknown pseudo-field',
    send: [headers(1, [...GET, ':test', 'ok'])],
    expected: 'RST_STREAM 1 PROTOCOL_ERROR',
  },
  {
    id: 'http2/8.1.2.1/2',
    what: 'the pseudo-field of answers',
    send: [headers(1, [...GET, ':status', '200'])],
    expected: 'RST_STREAM 1 PROTOCOL_ERROR',
  },
  {
    id: 'http2/8.1.2.1/3',
    what: 'a pseudo-field in trailers',
    send: [headers(1, POST, false), data(1, 'test'), headers(1, [':method', 'POST'], false)],
    expected: 'RST_STREAM 1 PROTOCOL_ERROR',
  },
  {
    id: 'http2/8.1.2.1/4',
    what: 'pseudo-fields behind a regular one',
    send: [headers(1, ['x-test', 'ok', ...GET])],
    expected: 'RST_STREAM 1 PROTOCOL_ERROR',
  },
  {
    id: 'http2/8.1.2.2/1',
    what: 'a connection-specific field',
    send: [headers(1, [...GET, 'connection', 'keep-alive'])],
    expected: 'RST_STREAM 1 PROTOCOL_ERROR',
  },
  {
    id: 'http2/8.1.2.2/2',
    what: 'te with more than trailers',
    send: [headers(1, [...GET, 'te', 'trailers, deflate'])],
    expected: 'RST_STREAM 1 PROTOCOL_ERROR',
  },
  {
    id: 'http2/8.1.2.3/1',
    what: 'an empty :path',
    send: [headers(1, request(''))],
    expected: 'RST_STREAM 1 PROTOCOL_ERROR',
  },
  {
    id: 'http2/8.1.2.3/2',
    what: 'no :method',
    send: [headers(1, without(':method'))],
    expected: 'RST_STREAM 1 PROTOCOL_ERROR',
  },
  {
    id: 'http2/8.1.2.3/3',
    what: 'no :scheme',
    send: [headers(1, without(':scheme'))],
    expected: 'RST_STREAM 1 PROTOCOL_ERROR',
  },
  {
    id: 'http2/8.1.2.3/4',
    what: 'no :path',
    send: [headers(1, without(':path'))],
    expected: 'RST_STREAM 1 PROTOCOL_ERROR',
  },
  {
    id: 'http2/8.1.2.3/5',
    what: 'two :method',
    send: [headers(1, [...GET, ':method', 'GET'])],
    expected: 'RST_STREAM 1 PROTOCOL_ERROR',
  },
  {
    id: 'http2/8.1.2.3/6',
    what: 'two :scheme',
    send: [headers(1, [...GET, ':scheme', 'http'])],
    expected: 'RST_STREAM 1 PROTOCOL_ERROR',
  },
  {
    id: 'http2/8.1.2.3/7',
    what: 'two :path',
    send: [headers(1, [...GET, ':path', '/'])],
    expected: 'RST_STREAM 1 PROTOCOL_ERROR',
  },
  {
    id: 'http2/8.1.2.6/1',
    what: 'a content-length that the DATA exceeds',
    send: [headers(1, [...POST, 'content-length', '1'], false), data(1, 'test', true)],
    expected: 'RST_STREAM 1 PROTOCOL_ERROR',
  },
  {
    id: 'http2/8.1.2.6/2',
    what: "a content-length that several DATA don't add up to",
    send: [headers(1, [...POST, 'content-length', '9'], false), data(1, 'test'), data(1, 'test', true)],
    expected: 'RST_STREAM 1 PROTOCOL_ERROR',
  },
  {
    id: 'http2/8.2/1',
    what: 'PUSH_PROMISE of a client',
    send: [pushPromise(1, 3, GET)],
    expected: 'GOAWAY PROTOCOL_ERROR',
  },
];

// --- RFC 7541

const HPACK: readonly Case[] = [
  {
    id: 'hpack/2.3.3/1',
    what: 'an index beyond both tables',
    send: [getWith('c6')],
    expected: 'GOAWAY COMPRESSION_ERROR',
  },
  {
    id: 'hpack/2.3.3/2',
    what: 'a literal whose name is an index beyond both tables',
    send: [getWith('7f 07 00')],
    expected: 'GOAWAY COMPRESSION_ERROR',
  },
  {
    id: 'hpack/4.2/1',
    what: 'a table size update behind a field',
    send: [getWith('21')],
    expected: 'GOAWAY COMPRESSION_ERROR',
  },
  {
    id: 'hpack/5.2/1',
    what: 'Huffman padding of more than 7 bits',
    send: [getWith('00 03 782d61 87 a8eb10649cbfff')],
    expected: 'GOAWAY COMPRESSION_ERROR',
  },
  {
    id: 'hpack/5.2/2',
    what: 'Huffman padding of zeros',
    send: [getWith('00 03 782d61 85 aec3771a4a')],
    expected: 'GOAWAY COMPRESSION_ERROR',
  },
  {
    id: 'hpack/5.2/3',
    what: 'EOS within a Huffman string',
    send: [getWith('00 03 782d61 85 4fffffffe9')],
    expected: 'GOAWAY COMPRESSION_ERROR',
  },
  { id: 'hpack/6.1/1', what: 'index 0', send: [getWith('80')], expected: 'GOAWAY COMPRESSION_ERROR' },
  {
    id: 'hpack/6.3/1',
    what: 'a table size update beyond SETTINGS_HEADER_TABLE_SIZE',
    send: [rawHeaders(1, Buffer.concat([hex('3f e2 1f'), literals(GET)]))],
    expected: 'GOAWAY COMPRESSION_ERROR',
  },
];

// --- the good ones

const block = literals([...GET, 'x-a', '1']);
/** `custom-key: custom-value` in Huffman code (RFC 7541 appendix C.4.3). */
const HUFFMAN_NAME = '88 25a849e95ba97d7f';
const HUFFMAN_VALUE = '89 25a849e95bb8e8b4bf';
const PLAIN_NAME = '0a 637573746f6d2d6b6579';
const PLAIN_VALUE = '0c 637573746f6d2d76616c7565';
const CUSTOM = ['custom-key', 'custom-value'];
const AGENT = ['user-agent', 'custom-value'];

const GENERIC: readonly Case[] = [
  {
    id: 'generic/1/1',
    what: 'the preface and a setting',
    bare: true,
    send: [PREFACE, settings(4, 65_535)],
    expected: ['SETTINGS', 'WINDOW_UPDATE 0 983041', 'SETTINGS ACK'],
  },
  { id: 'generic/2/1', what: 'PRIORITY on an idle stream', send: [priority(1)], expected: 'IGNORED' },
  {
    id: 'generic/2/2',
    what: 'WINDOW_UPDATE on a half-closed (remote) stream',
    send: [settings(4, 0), headers(1, GET), windowUpdate(1, 1)],
    expected: ['SETTINGS ACK', 'HEADERS 1', 'DATA 1 1'],
  },
  {
    id: 'generic/2/3',
    what: 'PRIORITY on a half-closed (remote) stream',
    send: [settings(4, 0), headers(1, GET), priority(1), windowUpdate(1, 1)],
    expected: ['SETTINGS ACK', 'HEADERS 1', 'DATA 1 1'],
  },
  {
    id: 'generic/2/4',
    what: 'RST_STREAM on a half-closed (remote) stream',
    holds: true,
    send: [headers(1, GET), reset(1, 8)],
    expected: 'IGNORED',
  },
  {
    id: 'generic/2/5',
    what: 'PRIORITY on a closed stream',
    send: [headers(1, GET), priority(1)],
    expected: 'ANSWER 1',
  },
  { id: 'generic/3.1/1', what: 'DATA', send: [headers(1, POST, false), data(1, 'test', true)], expected: 'ANSWER 1' },
  {
    id: 'generic/3.1/2',
    what: 'several DATA',
    send: [headers(1, POST, false), data(1, 'test'), data(1, 'test', true)],
    expected: 'ANSWER 1',
  },
  {
    id: 'generic/3.1/3',
    what: 'padded DATA',
    send: [headers(1, [...POST, 'content-length', '4'], false), paddedData(1, 'test', 5, 5, true)],
    expected: 'ANSWER 1',
  },
  { id: 'generic/3.2/1', what: 'HEADERS', send: [headers(1, GET)], expected: 'ANSWER 1' },
  { id: 'generic/3.2/2', what: 'padded HEADERS', send: [paddedHeaders(1, GET, 5)], expected: 'ANSWER 1' },
  {
    id: 'generic/3.2/3',
    what: 'HEADERS with a priority',
    send: [headersWithPriority(1, GET, 0, 256)],
    expected: 'ANSWER 1',
  },
  {
    id: 'generic/3.3/1',
    what: 'PRIORITY with weight 1',
    send: [priority(1, 0, 1), headers(1, GET)],
    expected: 'ANSWER 1',
  },
  {
    id: 'generic/3.3/2',
    what: 'PRIORITY with weight 256',
    send: [priority(1, 0, 256), headers(1, GET)],
    expected: 'ANSWER 1',
  },
  {
    id: 'generic/3.3/3',
    what: 'PRIORITY with a dependency',
    send: [priority(3, 1), headers(1, GET)],
    expected: 'ANSWER 1',
  },
  {
    id: 'generic/3.3/4',
    what: 'exclusive PRIORITY',
    send: [priority(1, 0, 16, true), headers(1, GET)],
    expected: 'ANSWER 1',
  },
  {
    id: 'generic/3.3/5',
    what: 'PRIORITY on an idle stream closes no lower one',
    send: [priority(3), headers(1, GET)],
    expected: 'ANSWER 1',
  },
  { id: 'generic/3.4/1', what: 'RST_STREAM', send: [headers(1, POST, false), reset(1, 8)], expected: 'IGNORED' },
  {
    id: 'generic/3.5/1',
    what: 'every setting',
    send: [settings(1, 4096, 2, 1, 3, 100, 4, 65_535, 5, 16_384, 6, 100)],
    expected: ['SETTINGS ACK'],
  },
  { id: 'generic/3.7/1', what: 'PING', send: [ping()], expected: ['PING ACK'] },
  { id: 'generic/3.8/1', what: 'GOAWAY', send: [goaway(0, 0, 'bye')], expected: ['GOAWAY 0 0'] },
  { id: 'generic/3.9/1', what: 'WINDOW_UPDATE, connection', send: [windowUpdate(0, 1)], expected: 'IGNORED' },
  {
    id: 'generic/3.9/2',
    what: 'WINDOW_UPDATE, stream',
    send: [headers(1, GET), windowUpdate(1, 1)],
    expected: 'ANSWER 1',
  },
  {
    id: 'generic/3.10/1',
    what: 'a block cut into HEADERS and CONTINUATION',
    send: [frame(TYPE.HEADERS, 0x1, 1, block.subarray(0, 5)), continuation(1, block.subarray(5))],
    expected: 'ANSWER 1',
    fields: ['x-a', '1'],
  },
  {
    id: 'generic/3.10/2',
    what: 'a block cut into HEADERS and two CONTINUATION',
    send: [
      frame(TYPE.HEADERS, 0x1, 1, block.subarray(0, 5)),
      continuation(1, block.subarray(5, 10), false),
      continuation(1, block.subarray(10)),
    ],
    expected: 'ANSWER 1',
    fields: ['x-a', '1'],
  },
  { id: 'generic/4/1', what: 'GET', send: [headers(1, GET)], expected: ['HEADERS 1', 'DATA 1 4 END'] },
  { id: 'generic/4/2', what: 'HEAD', send: [headers(1, request('/', [], 'HEAD'))], expected: ['HEADERS 1 END'] },
  { id: 'generic/4/3', what: 'POST', send: [headers(1, POST, false), data(1, 'test', true)], expected: 'ANSWER 1' },
  {
    id: 'generic/4/4',
    what: 'POST with trailers',
    send: [headers(1, [...POST, 'trailer', 'x-test'], false), data(1, 'test'), headers(1, ['x-test', 'ok'])],
    expected: 'ANSWER 1',
  },
  {
    id: 'generic/5/1',
    what: 'an indexed field',
    send: [getWith('ba')],
    expected: 'ANSWER 1',
    fields: ['user-agent', ''],
  },
  {
    id: 'generic/5/2',
    what: 'a literal that is indexed, its name an index',
    send: [getWith(`7a ${PLAIN_VALUE}`)],
    expected: 'ANSWER 1',
    fields: AGENT,
  },
  {
    id: 'generic/5/3',
    what: 'the same in Huffman code',
    send: [getWith(`7a ${HUFFMAN_VALUE}`)],
    expected: 'ANSWER 1',
    fields: AGENT,
  },
  {
    id: 'generic/5/4',
    what: 'a literal that is indexed, its name new',
    send: [getWith(`40 ${PLAIN_NAME} ${PLAIN_VALUE}`)],
    expected: 'ANSWER 1',
    fields: CUSTOM,
  },
  {
    id: 'generic/5/5',
    what: 'the same in Huffman code',
    send: [getWith(`40 ${HUFFMAN_NAME} ${HUFFMAN_VALUE}`)],
    expected: 'ANSWER 1',
    fields: CUSTOM,
  },
  {
    id: 'generic/5/6',
    what: "a literal that isn't indexed, its name an index",
    send: [getWith(`0f2b ${PLAIN_VALUE}`)],
    expected: 'ANSWER 1',
    fields: AGENT,
  },
  {
    id: 'generic/5/7',
    what: 'the same in Huffman code',
    send: [getWith(`0f2b ${HUFFMAN_VALUE}`)],
    expected: 'ANSWER 1',
    fields: AGENT,
  },
  {
    id: 'generic/5/8',
    what: "a literal that isn't indexed, its name new",
    send: [getWith(`00 ${PLAIN_NAME} ${PLAIN_VALUE}`)],
    expected: 'ANSWER 1',
    fields: CUSTOM,
  },
  {
    id: 'generic/5/9',
    what: 'the same in Huffman code',
    send: [getWith(`00 ${HUFFMAN_NAME} ${HUFFMAN_VALUE}`)],
    expected: 'ANSWER 1',
    fields: CUSTOM,
  },
  {
    id: 'generic/5/10',
    what: 'a literal that must never be indexed, its name an index',
    send: [getWith(`1f2b ${PLAIN_VALUE}`)],
    expected: 'ANSWER 1',
    fields: AGENT,
  },
  {
    id: 'generic/5/11',
    what: 'the same in Huffman code',
    send: [getWith(`1f2b ${HUFFMAN_VALUE}`)],
    expected: 'ANSWER 1',
    fields: AGENT,
  },
  {
    id: 'generic/5/12',
    what: 'a literal that must never be indexed, its name new',
    send: [getWith(`10 ${PLAIN_NAME} ${PLAIN_VALUE}`)],
    expected: 'ANSWER 1',
    fields: CUSTOM,
  },
  {
    id: 'generic/5/13',
    what: 'the same in Huffman code',
    send: [getWith(`10 ${HUFFMAN_NAME} ${HUFFMAN_VALUE}`)],
    expected: 'ANSWER 1',
    fields: CUSTOM,
  },
  {
    id: 'generic/5/14',
    what: 'a table size update',
    send: [rawHeaders(1, Buffer.concat([hex('3f 61'), literals(GET)]))],
    expected: 'ANSWER 1',
  },
  {
    id: 'generic/5/15',
    what: 'two table size updates',
    send: [rawHeaders(1, Buffer.concat([hex('3f 61 3f e1 1f'), literals(GET)]))],
    expected: 'ANSWER 1',
  },
];

/** Answers a request once it is complete. */
function answer({ head, sender, events }: SeenRequest): void {
  const last = events.at(-1) ?? '';
  if (events.includes('answered') || !(last.endsWith(' end') || last.startsWith('trailers'))) return;
  events.push('answered');
  const isHead = head.method === 'HEAD';
  sender.sendHead(reply(200, ['x-answer', '1']), isHead);
  if (!isHead) sender.sendData(Buffer.from(BODY), true);
}

function run({ send, expected, holds, bare, limits, fields }: Case, way: (typeof DELIVERIES)[number]): void {
  const onRequest = (seen: SeenRequest, endStream: boolean): void => {
    if (seen.head.path === '/canary') seen.sender.sendHead(reply(204), true);
    else if (holds !== true && endStream) answer(seen);
  };
  const downstream: Downstream = (bare === true ? openBare : open)(limits, onRequest);
  const { transport, peer, requests, refused, session } = downstream;
  deliver(way, send, (bytes) => {
    transport.feed(bytes);
    if (holds !== true) for (const seen of requests) answer(seen);
  });
  checkWords(
    expected,
    peer.take().map((seen) => describe(seen)),
  );
  if (fields) assert.deepEqual(requests[0]?.head.fields, fields);
  if (endsConnection(expected)) {
    assert.equal(transport.closedBy, 'linger');
    assert.equal(session.active, 0);
    for (const { events } of requests) {
      assert.ok(events.includes('answered') || events.at(-1)?.startsWith('abort'), 'no request is left alone');
    }
  } else {
    if (bare === true) peer.send(SETTINGS_ACK);
    peer.send(ping(0x63, 0x61), headers(CANARY, request('/canary')));
    const words = peer.take().map((seen) => describe(seen));
    assert.deepEqual(words, ['PING ACK', `HEADERS ${CANARY} END`], 'the connection lives');
    assert.equal(transport.ended, false);
  }
  const isError = typeof expected === 'string' && /GOAWAY|RST_STREAM/.test(expected);
  if (typeof expected === 'string') assert.equal(refused.length, isError ? 1 : 0, 'each error is counted once');
}

const TABLES = { FRAMING, STREAMS, FRAMES, MESSAGES, HPACK, GENERIC };

suite('an HTTP/2 server by the rules that h2spec looks at', () => {
  it('all 147 are here, each once', () => {
    const ids = Object.values(TABLES).flatMap((cases) => cases.map(({ id }) => id));
    assert.equal(ids.length, 147);
    assert.equal(new Set(ids).size, 147);
  });

  for (const cases of Object.values(TABLES)) {
    for (const one of cases) {
      it(`${one.id} ${one.what}`, () => {
        for (const way of DELIVERIES) run(one, way);
      });
    }
  }
});
