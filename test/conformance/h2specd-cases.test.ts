// What an HTTP/2 client must do with good and bad frames of a server: the 57 rules that the suite h2specd looks at, in its
// order and under its numbers, each written from RFC 9113. All run against an upstream channel over a scripted
// connection, each with its bytes cut in four ways.
import assert from 'node:assert/strict';
import { describe as suite, it } from 'node:test';
import { describe, ping, PREFACE, reset, settings, SETTINGS_ACK, windowUpdate } from '../support/h2-peer.ts';
import {
  checkWords,
  continuation,
  data,
  DELIVERIES,
  deliver,
  endsConnection,
  frame,
  headers,
  literals,
  openHeaders,
  paddedData,
  paddedHeaders,
  priority,
  rawHeaders,
  TYPE,
  unknownFrame,
  type Expected,
} from '../support/h2-script-cases.ts';
import { openBareChannel, openChannel } from '../support/h2-script-channel.ts';

interface Case {
  readonly id: string;
  readonly what: string;
  /** What the server sends; a call waits on stream 1. */
  readonly send: readonly Buffer[];
  readonly expected: Expected;
  /** What the call hears; nothing where it is left out. */
  readonly call?: readonly string[];
  /** SETTINGS are part of the case. */
  readonly bare?: boolean;
}

const OK = [':status', '200', 'access-control-allow-origin', '*'];
const MORE = literals(['x-more', '1']);
const MOST = 0x7fffffff;
const BROKEN = ['abort upstream_protocol_error'];
/** The head came, then the connection broke. */
const CUT = ['head 200', 'abort upstream_protocol_error'];
const WHOLE = ['head 200 end'];
const filler = Buffer.alloc(16_384, 'x');

const CASES: readonly Case[] = [
  { id: 'client/1/1', what: 'the preface of a server', bare: true, send: [settings()], expected: ['SETTINGS ACK'] },
  { id: 'client/4.1/1', what: 'a frame of unknown type', send: [unknownFrame()], expected: 'IGNORED' },
  {
    id: 'client/4.1/2',
    what: 'flags without a meaning',
    send: [frame(TYPE.PING, 0xfe, 0, Buffer.alloc(8))],
    expected: ['PING ACK'],
  },
  {
    id: 'client/4.1/3',
    what: 'the reserved bit before the stream identifier',
    send: [frame(TYPE.PING, 0, 0x80000000, Buffer.alloc(8))],
    expected: ['PING ACK'],
  },
  {
    id: 'client/4.2/1',
    what: 'DATA of 2^14 bytes',
    send: [headers(1, OK, false), data(1, filler, true)],
    expected: 'IGNORED',
    call: ['head 200', 'data 16384 end'],
  },
  {
    id: 'client/4.2/2',
    what: 'DATA of 2^14+1 bytes',
    send: [headers(1, OK, false), data(1, Buffer.alloc(16_385), true)],
    expected: 'GOAWAY FRAME_SIZE_ERROR',
    call: CUT,
  },
  {
    id: 'client/4.2/3',
    what: 'HEADERS of more than 2^14 bytes',
    send: [headers(1, [...OK, 'x-filler', 'x'.repeat(16_384)])],
    expected: 'GOAWAY FRAME_SIZE_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/4.3/1',
    what: 'a header block that is cut off',
    send: [rawHeaders(1, Buffer.from([0x40]))],
    expected: 'GOAWAY COMPRESSION_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/5.1/1',
    what: 'idle: DATA',
    send: [data(2, 'test', true)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/5.1/2',
    what: 'idle: RST_STREAM',
    send: [reset(2, 8)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/5.1/3',
    what: 'idle: WINDOW_UPDATE',
    send: [windowUpdate(2, 100)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/5.1/4',
    what: 'idle: CONTINUATION',
    send: [continuation(2, MORE)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/5.1/5',
    what: "closed by the server's RST_STREAM: DATA",
    send: [headers(1, OK, false), reset(1, 8), data(1, 'test', true)],
    expected: 'GOAWAY STREAM_CLOSED',
    call: ['head 200', 'abort upstream_reset'],
  },
  {
    id: 'client/5.1/6',
    what: "closed by the server's RST_STREAM: HEADERS",
    send: [headers(1, OK, false), reset(1, 8), headers(1, OK)],
    expected: 'GOAWAY STREAM_CLOSED',
    call: ['head 200', 'abort upstream_reset'],
  },
  {
    id: 'client/5.1/7',
    what: "closed by the server's RST_STREAM: CONTINUATION",
    send: [headers(1, OK, false), reset(1, 8), continuation(1, MORE)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: ['head 200', 'abort upstream_reset'],
  },
  {
    id: 'client/5.1/8',
    what: 'closed by both ends: DATA',
    send: [headers(1, OK), data(1, 'test', true)],
    expected: 'GOAWAY STREAM_CLOSED',
    call: WHOLE,
  },
  {
    id: 'client/5.1/9',
    what: 'closed by both ends: HEADERS',
    send: [headers(1, OK), headers(1, OK)],
    expected: 'GOAWAY STREAM_CLOSED',
    call: WHOLE,
  },
  {
    id: 'client/5.1/10',
    what: 'closed by both ends: CONTINUATION',
    send: [headers(1, OK), continuation(1, MORE)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: WHOLE,
  },
  {
    id: 'client/5.1.1/1',
    what: 'an answer to no request',
    send: [headers(101, OK)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/5.4.1/1',
    what: 'an error of the connection closes it',
    send: [frame(TYPE.PING, 0, 3, Buffer.alloc(8)), headers(1, OK), ping()],
    expected: ['GOAWAY 0 1'],
    call: BROKEN,
  },
  {
    id: 'client/5.4.1/2',
    what: 'an error of the connection is said in a GOAWAY',
    send: [frame(TYPE.PING, 0, 3, Buffer.alloc(8))],
    expected: ['GOAWAY 0 1'],
    call: BROKEN,
  },
  {
    id: 'client/5.5/1',
    what: 'a frame of an unknown extension',
    send: [unknownFrame(0, Buffer.alloc(8), 0x16)],
    expected: 'IGNORED',
  },
  {
    id: 'client/6.1/1',
    what: 'DATA on stream 0',
    send: [data(0, 'test', true)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/6.1/2',
    what: 'DATA on a stream that is over',
    send: [headers(1, OK), data(1, 'test', true)],
    expected: 'GOAWAY STREAM_CLOSED',
    call: WHOLE,
  },
  {
    id: 'client/6.1/3',
    what: 'DATA with more padding than payload',
    send: [headers(1, [...OK, 'content-length', '4'], false), paddedData(1, 'test', 0, 6, true)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: CUT,
  },
  {
    id: 'client/6.2/1',
    what: 'PRIORITY instead of CONTINUATION',
    send: [openHeaders(1, OK, false), priority(1), continuation(1, MORE)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/6.2/2',
    what: 'HEADERS on stream 0',
    send: [headers(0, OK)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/6.2/3',
    what: 'HEADERS with more padding than payload',
    send: [paddedHeaders(1, OK, 0, literals(OK).length + 1)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/6.3/1',
    what: 'PRIORITY on stream 0',
    send: [priority(0)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/6.3/2',
    what: 'PRIORITY not of 5 bytes',
    send: [headers(1, OK, false), frame(TYPE.PRIORITY, 0, 1, Buffer.alloc(4))],
    expected: 'RST_STREAM 1 FRAME_SIZE_ERROR',
    call: CUT,
  },
  {
    id: 'client/6.4/1',
    what: 'RST_STREAM on stream 0',
    send: [reset(0, 8)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/6.4/2',
    what: 'RST_STREAM on an idle stream',
    send: [reset(2, 8)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/6.4/3',
    what: 'RST_STREAM not of 4 bytes',
    send: [headers(1, OK, false), frame(TYPE.RST_STREAM, 0, 1, Buffer.alloc(3))],
    expected: 'GOAWAY FRAME_SIZE_ERROR',
    call: CUT,
  },
  {
    id: 'client/6.5/1',
    what: 'an acknowledgement of SETTINGS with a payload',
    bare: true,
    send: [settings(), frame(TYPE.SETTINGS, 1, 0, Buffer.alloc(1))],
    expected: 'GOAWAY FRAME_SIZE_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/6.5/2',
    what: 'SETTINGS on a stream',
    bare: true,
    send: [frame(TYPE.SETTINGS, 0, 1, Buffer.from('000300000064', 'hex'))],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/6.5/3',
    what: 'SETTINGS not of 6 bytes each',
    bare: true,
    send: [frame(TYPE.SETTINGS, 0, 0, Buffer.alloc(3))],
    expected: 'GOAWAY FRAME_SIZE_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/6.5.2/1',
    what: 'INITIAL_WINDOW_SIZE of 2^31',
    bare: true,
    send: [settings(4, 0x80000000)],
    expected: 'GOAWAY FLOW_CONTROL_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/6.5.2/2',
    what: 'MAX_FRAME_SIZE of 2^14-1',
    bare: true,
    send: [settings(5, 16_383)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/6.5.2/3',
    what: 'MAX_FRAME_SIZE of 2^24',
    bare: true,
    send: [settings(5, 16_777_216)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/6.5.2/4',
    what: 'an unknown setting',
    bare: true,
    send: [settings(0xff, 1)],
    expected: ['SETTINGS ACK'],
  },
  {
    id: 'client/6.5.3/1',
    what: 'SETTINGS are acknowledged',
    bare: true,
    send: [settings(3, 100)],
    expected: ['SETTINGS ACK'],
  },
  { id: 'client/6.7/1', what: 'PING is answered', send: [ping(7, 9)], expected: ['PING ACK'] },
  {
    id: 'client/6.7/2',
    what: 'an acknowledgement of a PING is not',
    send: [ping(1, 1, true), ping(7, 9)],
    expected: ['PING ACK'],
  },
  {
    id: 'client/6.7/3',
    what: 'PING on a stream',
    send: [frame(TYPE.PING, 0, 1, Buffer.alloc(8))],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/6.7/4',
    what: 'PING not of 8 bytes',
    send: [frame(TYPE.PING, 0, 0, Buffer.alloc(6))],
    expected: 'GOAWAY FRAME_SIZE_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/6.8/1',
    what: 'GOAWAY on a stream',
    send: [frame(TYPE.GOAWAY, 0, 1, Buffer.alloc(8))],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/6.9/1',
    what: 'WINDOW_UPDATE of 0, connection',
    send: [windowUpdate(0, 0)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/6.9/2',
    what: 'WINDOW_UPDATE of 0, stream',
    send: [headers(1, OK, false), windowUpdate(1, 0)],
    expected: 'RST_STREAM 1 PROTOCOL_ERROR',
    call: CUT,
  },
  {
    id: 'client/6.9/3',
    what: 'WINDOW_UPDATE not of 4 bytes',
    send: [frame(TYPE.WINDOW_UPDATE, 0, 0, Buffer.from([0, 0, 1]))],
    expected: 'GOAWAY FRAME_SIZE_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/6.9.1/1',
    what: 'a window beyond 2^31-1, connection',
    send: [windowUpdate(0, MOST), windowUpdate(0, MOST)],
    expected: 'GOAWAY FLOW_CONTROL_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/6.9.1/2',
    what: 'a window beyond 2^31-1, stream',
    send: [headers(1, OK, false), windowUpdate(1, MOST), windowUpdate(1, MOST)],
    expected: 'RST_STREAM 1 FLOW_CONTROL_ERROR',
    call: CUT,
  },
  {
    id: 'client/6.10/1',
    what: 'HEADERS and two CONTINUATION',
    send: [openHeaders(1, OK), continuation(1, MORE, false), continuation(1, MORE)],
    expected: 'IGNORED',
    call: WHOLE,
  },
  {
    id: 'client/6.10/2',
    what: 'DATA behind an unfinished CONTINUATION',
    send: [openHeaders(1, OK, false), continuation(1, MORE, false), data(1, 'test', true)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/6.10/3',
    what: 'CONTINUATION on stream 0',
    send: [openHeaders(1, OK), continuation(0, MORE)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: BROKEN,
  },
  {
    id: 'client/6.10/4',
    what: 'CONTINUATION behind HEADERS with END_HEADERS',
    send: [headers(1, OK), continuation(1, MORE)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: WHOLE,
  },
  {
    id: 'client/6.10/5',
    what: 'CONTINUATION behind CONTINUATION with END_HEADERS',
    send: [openHeaders(1, OK), continuation(1, MORE), continuation(1, MORE)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: WHOLE,
  },
  {
    id: 'client/6.10/6',
    what: 'CONTINUATION behind DATA',
    send: [openHeaders(1, OK, false), data(1, 'test', true), continuation(1, MORE)],
    expected: 'GOAWAY PROTOCOL_ERROR',
    call: BROKEN,
  },
];

function run({ send, expected, call: heard = [], bare }: Case, way: (typeof DELIVERIES)[number]): void {
  const upstream = bare === true ? openBareChannel() : openChannel();
  const { transport, peer, channel, owner, call } = upstream;
  const first = call();
  peer.take(bare === true ? PREFACE.length : 0);
  deliver(way, send, (bytes) => transport.feed(bytes));
  checkWords(
    expected,
    peer.take().map((seen) => describe(seen)),
  );
  assert.deepEqual(first.events, heard);
  if (endsConnection(expected)) {
    assert.equal(transport.closedBy, 'linger');
    assert.equal(channel.active, 0);
    assert.equal(channel.capacity, 0);
    assert.deepEqual(
      owner.filter((word) => word === 'closed'),
      ['closed'],
    );
    return;
  }
  if (bare === true) peer.send(SETTINGS_ACK);
  assert.ok(channel.capacity > 0, 'it takes calls');
  const canary = call();
  peer.send(headers(3, [':status', '204']), ping(0x63, 0x61));
  assert.deepEqual(canary.events, ['head 204 end'], 'the connection lives');
  assert.equal(describe(peer.take().at(-1)!), 'PING ACK');
  assert.equal(transport.ended, false);
}

suite('an HTTP/2 client by the rules that h2specd looks at', () => {
  it('all 57 are here, each once', () => {
    assert.equal(CASES.length, 57);
    assert.equal(new Set(CASES.map(({ id }) => id)).size, 57);
  });

  for (const one of CASES) {
    it(`${one.id} ${one.what}`, () => {
      for (const way of DELIVERIES) run(one, way);
    });
  }
});
