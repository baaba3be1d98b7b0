// What an upstream sends that costs us more than it, what its answers may hold here, and how we ask whether it lives.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  data,
  frame,
  goaway,
  headers,
  literals,
  ping,
  reset,
  settings,
  SETTINGS_ACK,
  TYPE,
  u32,
  windowUpdate,
} from '../../support/h2-peer.ts';
import { OK, open, openBare, type Call, type Upstream } from './upstream-harness.ts';

// ---------------------------------------------------------------- floods

const priority = (id: number): Buffer => frame(TYPE.PRIORITY, 0, id, Buffer.concat([u32(0), Buffer.from([1])]));
const padded = (id: number): Buffer => frame(TYPE.DATA, 0x8, id, Buffer.from([3, 0, 0, 0]));

/** Acts until the channel closes; what it took, and what its one call heard of it. */
function flood(upstream: Upstream, act: (i: number) => Buffer[], most = 5000): number {
  const { peer, owner, transport } = upstream;
  let taken = 0;
  while (owner.at(-1) !== 'closed' && taken < most) peer.send(...act(taken++));
  if (taken === most) return most;
  assert.equal(transport.closedBy, 'linger');
  assert.match(peer.takeWords().at(-1) ?? '', /^GOAWAY 0 11$/);
  return taken;
}

/** A call whose answer has begun. */
function answered(upstream: Upstream): Call {
  const call = upstream.call();
  upstream.peer.send(headers(1, OK, false));
  return call;
}

for (const [what, act, least, most] of [
  ['PING', () => [ping()], 490, 501],
  ['PING ACK', () => [ping(1, 2, true)], 490, 501],
  ['SETTINGS', () => [settings(4, 100)], 490, 501],
  ['SETTINGS ACK', () => [SETTINGS_ACK], 490, 501],
  ['WINDOW_UPDATE of the connection', () => [windowUpdate(0, 1)], 490, 503],
  ['WINDOW_UPDATE of a stream', () => [windowUpdate(1, 1)], 490, 503],
  ['PRIORITY', () => [priority(1)], 490, 501],
  ['PRIORITY_UPDATE', () => [frame(0x10, 0, 0, u32(1))], 490, 501],
  ['unknown frames', () => [frame(0xcc, 0, 0)], 490, 501],
  ['unknown frames of 16 KiB', () => [frame(0xcc, 0, 0, Buffer.alloc(16_384))], 490, 501],
  ['GOAWAY', () => [goaway(0x7fffffff, 0)], 490, 501],
  ['empty DATA', () => [data(1, '')], 11, 11],
  ['DATA that is only padding', () => [padded(1)], 11, 11],
  ['empty DATA between single bytes', () => [data(1, ''), data(1, 'x')], 490, 502],
] as const) {
  test(`a flood of ${what} from an upstream costs its connection`, () => {
    const upstream = open();
    const call = answered(upstream);
    const taken = flood(upstream, act);
    assert.ok(taken >= least && taken <= most, String(taken));
    assert.equal(call.events.at(-1), 'abort upstream_protocol_error');
    assert.match(call.detail, /^ENHANCE_YOUR_CALM: /);
  });
}

for (const [what, act, most] of [
  ['DATA of a byte', () => [data(1, 'x')], 830],
  ['DATA of 16 KiB', () => [data(1, Buffer.alloc(16_384))], 5],
  ['empty DATA', () => [data(1, '')], 506],
  ['HEADERS', () => [headers(1, OK, false)], 506],
  ['RST_STREAM', () => [reset(1, 8)], 503],
  ['WINDOW_UPDATE', () => [windowUpdate(1, 1)], 503],
] as const) {
  test(`a flood of ${what} on a stream that we gave up costs the connection`, () => {
    const upstream = open();
    upstream.call({}, false).sender.abort();
    const taken = flood(upstream, act);
    assert.ok(taken <= most && taken >= most - 35, String(taken));
  });
}

test('60,000 DATA frames of a byte: cut where the caller does not take them, else passed on', () => {
  const paused = open();
  answered(paused).sender.pauseResponse();
  assert.equal(
    flood(paused, () => [data(1, 'x')], 60_000),
    826,
  );
  const upstream = open();
  const call = answered(upstream);
  const hundred = Array.from({ length: 100 }, () => data(1, 'x'));
  for (let i = 0; i < 600; i++) upstream.peer.send(...hundred);
  assert.deepEqual([call.events.length, upstream.owner], [60_001, []]);
});

test('a server that ends each body by an empty DATA frame before its trailers, 1,024 calls at once', () => {
  const { call, peer, owner, channel } = open({ maxRequests: 100_000 });
  for (let round = 0; round < 5; round++) {
    const ids = Array.from({ length: 1024 }, (_, i) => 2 * (1024 * round + i) + 1);
    const calls = ids.map(() => call());
    peer.send(...ids.map((id) => headers(id, OK, false)), ...ids.map((id) => data(id, 'x')));
    peer.send(...ids.map((id) => data(id, '')), ...ids.map((id) => headers(id, ['grpc-status', '0'])));
    assert.ok(calls.every(({ events }) => events.at(-1) === 'trailers grpc-status 0'));
    peer.take();
  }
  assert.equal(channel.draining, false);
  assert.ok(!owner.includes('closed'));
});

test('3,000 calls given up at once whose answers come late, all of them, cost nobody else', () => {
  const { call, peer, channel } = open({ maxRequests: 100_000 });
  const good = call({}, false);
  const ids: number[] = [];
  for (let round = 0; round < 3; round++) {
    const calls = Array.from({ length: 1000 }, () => call());
    for (const { sender } of calls) sender.abort();
  }
  for (let id = 3; id <= 6001; id += 2) ids.push(id);
  // The last 1,024 are remembered; of older ones some late frames are borne.
  for (const id of ids.slice(-1024)) peer.send(headers(id, OK, false), data(id, 'late'), headers(id, ['grpc-status', '0']));
  for (const id of ids.slice(0, 100)) peer.send(headers(id, OK, false), data(id, 'late'), headers(id, ['a', 'b']));
  peer.send(headers(1, OK));
  assert.deepEqual([good.events, channel.draining], [['head 200 end'], false]);
}); // prettier-ignore

test('upload credit: an upstream that gives back each frame twice and sends a PING a round trip', () => {
  const { call, peer, owner } = open();
  const one = call({ method: 'POST' }, false);
  for (let i = 0; i < 5000; i++) {
    one.sender.sendData(Buffer.alloc(25), false);
    peer.send(windowUpdate(1, 25), windowUpdate(0, 25), ping());
    peer.take();
  }
  assert.deepEqual(owner, []);
});

// ---------------------------------------------------------------- header bytes

test('heads and trailers are passed on at once, and hold nothing of the connection', () => {
  const { call, peer, channel } = open({ limits: { connectionHeaderBytes: 1000 } });
  const calls = Array.from({ length: 50 }, () => call());
  const large = [...OK, 'a', 'v'.repeat(1000)];
  calls.forEach((_, i) => peer.send(headers(2 * i + 1, large, false)));
  assert.ok(calls.every(({ events }) => events.at(-1)?.startsWith('head 200')));
  assert.ok(channel.capacity > 0);
  calls.forEach((_, i) => peer.send(headers(2 * i + 1, ['t', 'v'.repeat(1000)])));
  assert.ok(calls.every(({ events }) => events.at(-1)?.startsWith('trailers t')));
});

test('a second GOAWAY that takes the last stream ends the connection', () => {
  const { call, peer, owner } = open();
  const one = call();
  peer.send(goaway(2 ** 31 - 1, 0));
  assert.deepEqual(owner, ['draining']);
  peer.send(goaway(0, 0));
  assert.equal(one.events.at(-1), 'abort upstream_refused');
  assert.deepEqual(owner, ['draining', 'closed']);
});

// ---------------------------------------------------------------- PING

test('a PING when silent with streams, and the end when it is not answered', () => {
  const { call, peer, clock, channel, owner, transport } = open({
    limits: { pingAfterMs: 10_000, pingAckMs: 5000, settingsAckMs: 1e9 },
  });
  clock.advance(60_000);
  assert.deepEqual(peer.takeWords(), []);
  const one = call();
  clock.advance(9_000);
  peer.send(headers(1, OK, false));
  clock.advance(9_900);
  assert.deepEqual(peer.takeWords(), ['HEADERS 1 END']);
  clock.advance(200);
  assert.deepEqual(peer.takeWords(), ['PING']);
  clock.advance(4_800);
  assert.equal(channel.draining, false);
  clock.advance(300);
  assert.deepEqual([one.events.at(-1), one.detail], ['abort upstream_reset', 'the upstream did not answer a PING']);
  assert.deepEqual([owner, transport.closedBy], [['closed'], 'destroy']);
});

test('the silence of a new call begins with it', () => {
  const { call, peer, clock } = open({ limits: { pingAfterMs: 10_000 } });
  call();
  peer.send(headers(1, OK));
  clock.advance(9_000);
  call();
  clock.advance(9_000);
  assert.deepEqual(peer.takeWords(), ['HEADERS 1 END', 'HEADERS 3 END']);
  clock.advance(1_100);
  assert.deepEqual(peer.takeWords(), ['PING']);
});

test('in the same silence the next PING waits, after HEADERS or DATA it does not', () => {
  const { call, peer, clock } = open({ limits: { pingAfterMs: 10_000, pingAgainMs: 300_000 } });
  call();
  const answer = (): void => {
    const [sent] = peer.take().filter(({ type }) => type === 'PING');
    assert.ok(sent, 'a PING was due');
    peer.send(frame(TYPE.PING, 1, 0, sent.payload));
  };
  clock.advance(10_100);
  answer();
  clock.advance(299_000);
  peer.send(settings(), windowUpdate(0, 1)); // no HEADERS, no DATA: a server of gRPC still counts
  peer.take();
  clock.advance(9_800);
  assert.deepEqual(peer.takeWords(), []);
  clock.advance(300);
  answer();
  peer.send(headers(1, OK, false));
  clock.advance(10_100);
  answer();
  clock.advance(290_000);
  assert.deepEqual(peer.takeWords(), []);
  peer.send(data(1, 'x'));
  clock.advance(10_100);
  answer();
});

test('any byte answers a PING', () => {
  const { call, peer, clock, channel } = open({ limits: { pingAfterMs: 10_000, pingAckMs: 5000 } });
  call();
  clock.advance(10_100);
  assert.equal(peer.takeWords().at(-1), 'PING');
  clock.advance(4_000);
  peer.send(headers(1, OK, false));
  clock.advance(8_000);
  assert.equal(channel.draining, false);
});

test('PINGs stop when no stream is left', () => {
  const { call, peer, clock, wheel } = open({ limits: { pingAfterMs: 10_000 } });
  call();
  peer.send(headers(1, OK));
  clock.advance(60_000);
  assert.deepEqual([peer.takeWords(), wheel.size], [['HEADERS 1 END'], 0]);
});

test('GOAWAY too_many_pings is told, and the next connection may be given a longer pause', () => {
  const { peer, owner } = open();
  peer.send(goaway(0, 11, 'too_many_pings'));
  assert.deepEqual(owner, ['too many pings', 'draining', 'closed']);
  const calm = open();
  calm.peer.send(goaway(0, 11, 'calm down'));
  assert.deepEqual(calm.owner, ['draining', 'closed']);

  const patient = open({ limits: { pingAfterMs: 10_000, pingAgainMs: 20_000 }, pingAgainMs: 40_000 });
  patient.call();
  clockTo(patient, 10_100);
  const [sent] = patient.peer.take().filter(({ type }) => type === 'PING');
  patient.peer.send(frame(TYPE.PING, 1, 0, sent?.payload));
  clockTo(patient, 38_000);
  assert.deepEqual(patient.peer.takeWords(), []);
  clockTo(patient, 2_500);
  assert.deepEqual(patient.peer.takeWords(), ['PING']);
});

function clockTo({ clock }: Upstream, ms: number): void {
  clock.advance(ms);
}

// ---------------------------------------------------------------- HTTP/1

for (const [what, tls, detail] of [
  ['plaintext', undefined, /HTTP\/2 over plaintext \(h2c\) here; set scheme http$/],
  ['TLS', { alpn: '', version: 'TLSv1.3', resumed: false, certificate: undefined }, /HTTP\/2 here; set scheme https$/],
] as const) {
  for (const pieces of ['whole', 'a byte at a time']) {
    test(`an upstream that answers in HTTP/1 over ${what}, ${pieces}`, () => {
      const { call, peer, owner } = openBare(tls ? { tls } : {});
      const one = call();
      const bytes = Buffer.from('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n');
      if (pieces === 'whole') peer.send(bytes);
      else for (const byte of bytes) peer.send(Buffer.from([byte]));
      assert.deepEqual([one.events, owner.at(-1)], [['abort upstream_protocol_error'], 'closed']);
      assert.match(one.detail, /^the upstream answered in HTTP\/1: /);
      assert.match(one.detail, detail);
    });
  }
}

test('the same bytes behind SETTINGS are only a frame too large', () => {
  const { call, peer } = open();
  const one = call();
  peer.send(Buffer.from('HTTP/1.1 400 Bad Request\r\n'));
  assert.match(one.detail, /^FRAME_SIZE_ERROR/);
});

// ---------------------------------------------------------------- secrets

test('what came never indexed in an answer’s head and trailers is told with them, and is written so in requests', () => {
  const { call, peer, transport } = open();
  const seen: (readonly string[] | undefined)[] = [];
  const one = call({ neverIndexed: [':path', 'x-a'], path: '/s', fields: ['X-A', '1'] }, false);
  const receiver = (one.sender as unknown as { receiver: { onTrailers: unknown; onHead: unknown } }).receiver;
  receiver.onTrailers = (_: string[], neverIndexed?: readonly string[]) => seen.push(neverIndexed);
  receiver.onHead = ({ neverIndexed }: { neverIndexed?: readonly string[] }) => seen.push(neverIndexed);
  one.sender.sendTrailers(['x-t', '2'], ['x-t']);
  const bytes = transport.take().toString('latin1');
  assert.ok(bytes.includes('\x14\x02/s'), 'the path as never-indexed literal with an indexed name');
  assert.ok(bytes.includes('\x10\x03x-a\x011'));
  assert.ok(bytes.includes('\x10\x03x-t\x012'));
  peer.send(
    frame(TYPE.HEADERS, 4, 1, Buffer.concat([literals(OK), literals(['x-b', '3'], 0x10)])),
    frame(TYPE.HEADERS, 5, 1, literals(['x-c', '4'], 0x10)),
  );
  assert.deepEqual(seen, [['x-b'], ['x-c']]);
});

test('a call that starts in a silence is worth a PING that comes early, twice', () => {
  const { call, peer, clock } = open({ limits: { settingsAckMs: 1e9 } });
  call();
  peer.takeWords();
  const pings = (): number => peer.takeWords().filter((word) => word === 'PING').length;
  clock.advance(20_100);
  assert.equal(pings(), 1);
  for (const early of [1, 1, 0]) {
    peer.send(ping(0x616c6976, 0x616c6976, true));
    clock.advance(60_000);
    assert.equal(pings(), 0, 'no further call, no PING');
    call();
    clock.advance(20_100);
    assert.equal(pings(), early);
  }
});
