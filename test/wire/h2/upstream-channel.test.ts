import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_LIMITS } from '../../../src/codec/limits.ts';
import {
  data,
  describe,
  frame,
  goaway,
  headers,
  literals,
  ping,
  PREFACE,
  reset,
  settings,
  TYPE,
  windowUpdate,
} from '../../support/h2-peer.ts';
import { OK, open, openBare } from './upstream-harness.ts';

test('preface, SETTINGS and the first request leave at once', () => {
  const { transport, call, peer, channel } = openBare();
  assert.equal(channel.capacity, 1);
  assert.equal(channel.streamLimit, -1);
  const { sender } = call();
  assert.equal(sender.progress.sent, 'all');
  assert.ok(transport.buffer.subarray(0, 24).equals(PREFACE));
  const frames = peer.take(PREFACE.length);
  assert.deepEqual(frames.map(describe), ['SETTINGS', `WINDOW_UPDATE 0 ${1024 * 1024 - 65_535}`, 'HEADERS 1 END']);
  assert.equal(frames[0]?.payload.toString('hex', 0, 6), '000200000000');
});

test('one stream goes ahead of the SETTINGS; what the peer stands is known, and told, with them', () => {
  const { call, peer, channel, owner } = openBare();
  call();
  assert.equal(channel.capacity, 0);
  peer.send(settings(3, 1));
  assert.equal(channel.streamLimit, 1);
  assert.equal(channel.capacity, 0);
  assert.deepEqual(owner, ['available'], 'told although nothing can be started: who waits may look elsewhere');
  peer.send(settings(3, 4));
  assert.equal(channel.capacity, 3);
  assert.deepEqual(owner, ['available', 'available']);
  peer.send(settings(3, 2));
  assert.equal(channel.capacity, 1);
  assert.deepEqual(owner, ['available', 'available'], 'less is no news to who waits');
});

test('a connection whose window slow callers hold takes no more streams until they read', () => {
  const { call, peer, channel } = open({ limits: { connectionHeldBytes: 10 } });
  const { sender } = call();
  peer.send(headers(1, OK, false));
  sender.pauseResponse();
  peer.send(data(1, 'ten bytes.'));
  assert.equal(channel.capacity, 1023);
  peer.send(data(1, 'and more'));
  assert.equal(channel.capacity, 0);
  sender.resumeResponse();
  assert.equal(channel.capacity, 1023);
});

test('a request with body and trailers, and an answer with all its parts', () => {
  const { call, peer, channel, owner, clock } = open();
  const one = call(
    {
      method: 'POST',
      path: '/p.S/M',
      fields: [
        'Content-Type',
        'application/grpc',
        'TE',
        'trailers',
        'Host',
        'x',
        'Connection',
        'close',
        'Upgrade',
        'h2c',
      ],
    },
    false,
  );
  assert.equal(one.sender.progress.sent, 'some');
  one.sender.sendData(Buffer.from('ping'), false);
  one.sender.sendTrailers(['X-Sum', '1']);
  assert.equal(one.sender.progress.sent, 'all');
  const frames = peer.take();
  assert.deepEqual(frames.map(describe), ['HEADERS 1', 'DATA 1 4', 'HEADERS 1 END']);
  assert.deepEqual(frames[0]?.fields, [
    ...[':method', 'POST', ':scheme', 'http', ':authority', 'svc:80', ':path', '/p.S/M'],
    ...['content-type', 'application/grpc', 'te', 'trailers'],
  ]);
  assert.deepEqual(frames[2]?.fields, ['x-sum', '1']);
  peer.send(headers(1, [':status', '103', 'link', 'x'], false), headers(1, [...OK, 'a', 'b'], false), data(1, 'pong'));
  assert.equal(channel.active, 1);
  clock.advance(5);
  peer.send(headers(1, ['grpc-status', '0']));
  assert.deepEqual(one.events, ['informational 103 link x', 'head 200 a b', 'data pong', 'trailers grpc-status 0']);
  assert.deepEqual([channel.active, channel.served, channel.idleSinceMs], [0, 1, clock.nowMs]);
  assert.deepEqual(owner, ['available']);
});

test('content-length promises nothing for HEAD, 204 and 304', () => {
  const { call, peer } = open();
  const calls = [call({ method: 'HEAD' }), call(), call()];
  peer.send(
    headers(1, [...OK, 'content-length', '5']),
    headers(3, [':status', '304', 'content-length', '5'], false),
    data(3, '', true),
    headers(5, [':status', '204']),
  );
  assert.deepEqual(
    calls.map((one) => one.events),
    [['head 200 content-length 5 end'], ['head 304 content-length 5', 'data  end'], ['head 204 end']],
  );
});

const MALFORMED: readonly (readonly [string, Buffer[]])[] = [
  ['no status', [headers(1, ['a', 'b'])]],
  ['two statuses', [headers(1, [...OK, ...OK])]],
  ['status 99', [headers(1, [':status', '99'])]],
  ['status 1000', [headers(1, [':status', '1000'])]],
  ['status +20', [headers(1, [':status', '+20'])]],
  ['a pseudo-field of requests', [headers(1, [...OK, ':path', '/'])]],
  ['status behind a field', [headers(1, ['a', 'b', ...OK])]],
  ['an upper-case name', [headers(1, [...OK, 'A', 'b'])]],
  ['connection', [headers(1, [...OK, 'connection', 'close'])]],
  ['transfer-encoding', [headers(1, [...OK, 'transfer-encoding', 'chunked'])]],
  ['LF in a value', [headers(1, [...OK, 'a', 'b\nc'])]],
  ['101', [headers(1, [':status', '101'], false)]],
  ['100 with END_STREAM', [headers(1, [':status', '100'])]],
  ['eleven informational heads', Array.from({ length: 11 }, () => headers(1, [':status', '100'], false))],
  ['DATA before the head', [data(1, 'x', true)]],
  ['content-length without a body', [headers(1, [...OK, 'content-length', '1'])]],
  ['too long a body', [headers(1, [...OK, 'content-length', '1'], false), data(1, 'xx')]],
  ['too short a body', [headers(1, [...OK, 'content-length', '3'], false), data(1, 'xx', true)]],
  ['a body behind 304', [headers(1, [':status', '304'], false), data(1, 'x')]],
  ['trailers without END_STREAM', [headers(1, OK, false), headers(1, ['a', 'b'], false)]],
  ['a status in trailers', [headers(1, OK, false), headers(1, OK)]],
];

for (const [what, frames] of MALFORMED) {
  test(`an answer with ${what} is a protocol error of its stream`, () => {
    const { call, peer, channel } = open();
    const one = call();
    const other = call();
    peer.take();
    peer.send(...frames);
    assert.equal(one.events.at(-1), 'abort upstream_protocol_error');
    assert.ok(!one.events.some((event) => event.endsWith(' end')));
    assert.deepEqual(peer.takeWords(), ['RST_STREAM 1 1']);
    peer.send(data(1, 'late'), headers(3, OK));
    assert.deepEqual(other.events, ['head 200 end']);
    assert.equal(channel.capacity, DEFAULT_LIMITS.concurrentStreams);
  });
}

test('too large a head is named so', () => {
  const { call, peer } = open({ limits: { responseHeadBytes: 1000 } });
  const one = call();
  peer.send(headers(1, [...OK, 'a', 'b'.repeat(1000)]));
  assert.deepEqual(one.events, ['abort upstream_headers_too_large']);
});

test('PUSH_PROMISE, enabling push and bad first frames cost the connection', () => {
  for (const frames of [
    [settings(), frame(TYPE.PUSH_PROMISE, 4, 1, Buffer.from([0, 0, 0, 2, 0x82]))],
    [settings(2, 1)],
    [ping()],
    [settings(), headers(3, OK)],
    [settings(), headers(2, OK)],
    [Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ]) {
    const { call, peer, owner, transport, channel, wheel } = openBare();
    const one = call();
    peer.send(...frames);
    assert.deepEqual(one.events, ['abort upstream_protocol_error']);
    assert.equal(transport.closedBy, 'linger');
    assert.deepEqual([owner.at(-1), channel.capacity, wheel.size], ['closed', 0, 0]);
  }
});

test('resets: refused, other codes, and one behind a complete answer', () => {
  const { call, peer, channel, owner } = open();
  const calls = [call(), call(), call({}, false), call()];
  peer.send(reset(1, 7), reset(3, 11), headers(5, OK), reset(5, 0), headers(7, OK, false), reset(7, 7));
  assert.deepEqual(
    calls.map((one) => one.events.join()),
    ['abort upstream_refused', 'abort upstream_reset', 'head 200 end', 'head 200,abort upstream_reset'],
  );
  assert.deepEqual(calls[0]?.progress, { sent: 'all', reusedConnection: false, refusedByPeer: true, answered: false });
  assert.deepEqual(calls[1]?.progress, { sent: 'all', reusedConnection: true, refusedByPeer: false, answered: false });
  assert.deepEqual([calls[1]?.resetCode, calls[1]?.detail], [11, 'RST_STREAM ENHANCE_YOUR_CALM']);
  assert.equal(calls[3]?.progress?.answered, true);
  calls[2]?.sender.sendData(Buffer.from('ignored'), true);
  assert.deepEqual([channel.active, owner.length], [0, 4]);
});

test('an answer that is complete stays so when the connection goes', () => {
  const { call, peer, transport } = open();
  const one = call({}, false);
  peer.send(headers(1, OK, false), data(1, 'x', true));
  transport.break('ECONNRESET');
  assert.deepEqual(one.events, ['head 200', 'data x end']);
});

test('a lost connection is never a clean end', () => {
  for (const how of ['end', 'break', 'destroy'] as const) {
    const { call, peer, transport, channel, owner, wheel } = open();
    const one = call();
    peer.send(headers(1, OK, false), data(1, 'half'));
    if (how === 'end') transport.feedEnd();
    else if (how === 'break') transport.break('ECONNRESET');
    else channel.destroy();
    channel.destroy();
    assert.deepEqual(one.events, ['head 200', 'data half', 'abort upstream_reset']);
    assert.deepEqual([owner, channel.capacity, channel.draining, wheel.size], [['closed'], 0, true, 0]);
  }
});

test('abort writes RST_STREAM in the same turn, frees the slot and is final', () => {
  const { call, peer, channel, owner } = open();
  const one = call({}, false);
  one.sender.abort();
  one.sender.abort();
  one.sender.sendData(Buffer.from('x'), true);
  assert.deepEqual(peer.takeWords(), ['HEADERS 1', 'RST_STREAM 1 8']);
  assert.deepEqual([channel.active, owner], [0, ['available']]);
  peer.send(headers(1, [...OK, 'x', 'y'], false), data(1, 'late', true), windowUpdate(1, 1), reset(1, 8));
  assert.deepEqual([one.events, peer.takeWords()], [[], []]);
  const inside = call({}, true, (seen) => seen.sender.abort());
  peer.send(headers(3, OK, false), data(3, 'x', true));
  assert.deepEqual(inside.events, ['head 200']);
});

test('a storm of aborted calls whose answers come late costs nobody else', () => {
  const { call, peer, channel } = open({ maxRequests: 5000 });
  const good = call({}, false);
  for (let i = 0; i < 3000; i++) {
    call({}, true).sender.abort();
    peer.send(headers(2 * i + 3, OK, false), data(2 * i + 3, 'late', true));
    peer.take();
  }
  peer.send(headers(1, OK));
  assert.deepEqual([good.events, channel.draining], [['head 200 end'], false]);
});

test('GOAWAY: streams above are refused, the others finish', () => {
  const { call, peer, channel, owner, transport } = open();
  const calls = [call(), call(), call()];
  peer.send(goaway(0x7fffffff, 0));
  assert.deepEqual([channel.capacity, channel.draining, owner], [0, true, ['draining']]);
  assert.deepEqual(
    calls.flatMap((one) => one.events),
    [],
  );
  peer.send(goaway(3, 0, 'bye'));
  assert.deepEqual(calls[2]?.events, ['abort upstream_refused']);
  assert.equal(calls[2]?.progress?.refusedByPeer, true);
  assert.equal(calls[2]?.detail, 'GOAWAY NO_ERROR: bye');
  peer.send(headers(1, OK), headers(3, OK));
  assert.deepEqual([calls[0]?.events, calls[1]?.events], [['head 200 end'], ['head 200 end']]);
  assert.deepEqual([owner, transport.closedBy], [['draining', 'closed'], 'linger']);
});

test('drain, the request limit and the last stream id', () => {
  const drained = open();
  const one = drained.call();
  drained.channel.drain();
  drained.peer.send(headers(1, OK));
  assert.deepEqual([one.events, drained.owner], [['head 200 end'], ['draining', 'closed']]);

  for (const options of [{ maxRequests: 2 }, { firstStreamId: 2 ** 31 - 3 }]) {
    const { call, channel, owner, clock, peer } = open(options);
    call();
    assert.equal(channel.draining, false);
    call();
    assert.deepEqual([channel.capacity, channel.draining, owner], [0, true, []]);
    const third = call();
    assert.deepEqual(third.events, []);
    clock.advance(0);
    assert.deepEqual([third.events, owner], [['abort upstream_refused'], ['draining']]);
    assert.deepEqual(third.progress, {
      sent: 'nothing',
      reusedConnection: false,
      refusedByPeer: false,
      answered: false,
    });
    const first = options.firstStreamId ?? 1;
    peer.send(headers(first, OK), headers(first + 2, OK));
    assert.deepEqual(owner, ['draining', 'closed']);
  }
});

test("the peer's MAX_CONCURRENT_STREAMS rules, also when it changes", () => {
  const { call, channel, peer, owner } = open();
  peer.send(settings(3, 1));
  assert.equal(channel.capacity, 1);
  call();
  assert.equal(channel.capacity, 0);
  peer.send(settings(3, 3));
  assert.deepEqual([channel.capacity, owner], [2, ['available']]);
  peer.send(settings(3, 0));
  assert.equal(channel.capacity, 0);
  peer.send(headers(1, OK));
  assert.deepEqual([channel.capacity, owner], [0, ['available']]);
});

test('what HTTP/2 cannot carry fails in a later turn', () => {
  const { call, clock, channel } = open();
  const one = call({ protocol: 'websocket' });
  const aborted = call({ method: 'CONNECT' });
  aborted.sender.abort();
  assert.deepEqual(one.events, []);
  clock.advance(0);
  assert.deepEqual([one.events, aborted.events, channel.active], [['abort unsupported_bridge'], [], 0]);
});

test('the answer can be paused, and the request waits for windows', () => {
  const { call, peer } = open({ limits: { streamWindowBytes: 65_536 } });
  const one = call({ method: 'POST' }, false);
  one.sender.sendData(Buffer.alloc(100_000), false);
  assert.equal(one.sender.bufferedBytes, 100_000 - 65_535);
  assert.equal(one.sender.progress.sent, 'some');
  one.sender.sendData(Buffer.alloc(100_000), true);
  peer.take();
  peer.send(windowUpdate(1, 200_000), windowUpdate(0, 200_000));
  assert.deepEqual([one.events, one.sender.progress.sent], [[], 'all']);
  assert.match(peer.takeWords().at(-1) ?? '', /END$/);
  one.sender.pauseResponse();
  peer.send(headers(1, OK, false));
  for (let i = 0; i < 4; i++) peer.send(data(1, Buffer.alloc(16_384)));
  assert.deepEqual(peer.takeWords(), []);
  one.sender.resumeResponse();
  assert.deepEqual(peer.takeWords(), ['WINDOW_UPDATE 1 65536']);
});

test('repeated answers and trailers as the same bytes stay separate', () => {
  const { call, peer } = open();
  const first = literals([':status', '200', 'x-a', '1'], 0x40);
  const trailer = literals(['grpc-status', '0'], 0x40);
  for (let i = 0; i < 4; i++) {
    const one = call();
    const id = 2 * i + 1;
    peer.send(
      frame(TYPE.HEADERS, 4, id, i === 0 ? first : Buffer.from([0xc0, 0xbf])),
      frame(TYPE.HEADERS, 5, id, i === 0 ? trailer : Buffer.from([0xbe])),
    );
    assert.deepEqual(one.events, ['head 200 x-a 1', 'trailers grpc-status 0']);
  }
});
