import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  data,
  frame,
  goaway,
  headers,
  literals,
  ping,
  PREFACE,
  request,
  reset,
  settings,
  SETTINGS_ACK,
  TYPE,
  u32,
  windowUpdate,
} from '../../support/h2-peer.ts';
import { open, openBare, reply } from './downstream-harness.ts';

const CALM = 11;

test('our SETTINGS come first, before any byte of the client', () => {
  const { peer } = openBare({ connectionWindowBytes: 100_000, hpackTableBytes: 1024 });
  const [first, second] = peer.take();
  assert.equal(first?.type, 'SETTINGS');
  const pairs: number[] = [];
  const payload = first?.payload ?? Buffer.alloc(0);
  for (let at = 0; at < payload.length; at += 6) pairs.push(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
  assert.deepEqual(pairs, [3, 1024, 4, 65_535, 6, 16_384, 9, 1, 1, 1024]);
  assert.deepEqual([second?.type, second?.payload.readUInt32BE(0)], ['WINDOW_UPDATE', 100_000 - 65_535]);
});

test('preface faults close the connection', () => {
  for (const bytes of [
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.concat([PREFACE.subarray(0, 20), Buffer.from('xxxx')]),
    Buffer.concat([PREFACE, ping()]),
    Buffer.concat([PREFACE, SETTINGS_ACK]),
    Buffer.concat([PREFACE, headers(1, request())]),
  ]) {
    const { peer, transport, refused } = openBare();
    peer.take();
    peer.send(bytes);
    assert.deepEqual(peer.takeWords(), ['GOAWAY 0 1']);
    assert.equal(transport.closedBy, 'linger');
    assert.equal(refused.length, 1);
  }
});

test('SETTINGS that are never acknowledged', () => {
  const { peer, clock, transport, requests } = openBare();
  peer.send(PREFACE, settings(), headers(1, request()));
  peer.take();
  clock.advance(10_100);
  assert.deepEqual(peer.takeWords(), ['GOAWAY 1 4']);
  assert.equal(transport.closedBy, 'linger');
  assert.deepEqual(requests[0]?.events, ['head end', 'abort downstream_reset']);
});

test('a connection without a request, and one idle too long', () => {
  const first = open();
  first.clock.advance(9_900);
  assert.equal(first.transport.closedBy, undefined);
  first.clock.advance(200);
  assert.deepEqual(first.peer.takeWords(), ['GOAWAY 0 0']);
  assert.equal(first.transport.closedBy, 'linger');

  const { clock, peer, requests, transport, wheel } = open();
  peer.send(headers(1, request()));
  clock.advance(300_000);
  assert.equal(transport.closedBy, undefined);
  requests[0]?.sender.sendHead(reply(200), true);
  clock.advance(59_000);
  assert.equal(transport.closedBy, undefined);
  clock.advance(61_000);
  assert.deepEqual(peer.takeWords(), ['HEADERS 1 END', 'GOAWAY 1 0']);
  assert.equal(wheel.size, 0);
});

test('drain: two GOAWAYs around a round trip, then what is in flight finishes', () => {
  const { peer, session, requests, transport, wheel } = open();
  peer.send(headers(1, request()));
  session.drain();
  session.drain();
  const [first, second] = peer.take();
  assert.deepEqual([first?.type, first?.payload.readUInt32BE(0)], ['GOAWAY', 0x7fffffff]);
  assert.equal(second?.type, 'PING');
  const payload = second?.payload ?? Buffer.alloc(8);
  const ack = ping(payload.readUInt32BE(0), payload.readUInt32BE(4), true);
  peer.send(headers(3, request()), ack, headers(5, request()));
  assert.deepEqual(peer.takeWords(), ['GOAWAY 3 0']);
  assert.equal(requests.length, 2);
  requests[0]?.sender.sendHead(reply(200), true);
  assert.equal(transport.closedBy, undefined);
  requests[1]?.sender.sendHead(reply(200), true);
  assert.deepEqual(peer.takeWords(), ['HEADERS 1 END', 'HEADERS 3 END', 'GOAWAY 3 0']);
  assert.equal(transport.closedBy, 'linger');
  assert.equal(wheel.size, 0);
});

test('drain without an answer to the PING goes on after a second; idle ones close', () => {
  const { peer, session, clock, transport } = open();
  session.drain();
  peer.take();
  clock.advance(900);
  assert.equal(transport.closedBy, undefined);
  clock.advance(200);
  assert.deepEqual(peer.takeWords(), ['GOAWAY 0 0']);
  assert.equal(transport.closedBy, 'linger');
});

test('the client leaves: at once when idle, else after its last stream', () => {
  const { peer, requests, transport } = open();
  peer.send(headers(1, request()), goaway(0, 0));
  assert.equal(transport.closedBy, undefined);
  requests[0]?.sender.sendHead(reply(200), true);
  assert.equal(transport.closedBy, 'linger');
});

test('FIN, a broken connection and destroy abort what is in flight', () => {
  for (const how of ['end', 'break', 'destroy'] as const) {
    const { peer, requests, transport, session, wheel } = open();
    peer.send(headers(1, request()), headers(3, request(), false));
    if (how === 'end') transport.feedEnd();
    else if (how === 'break') transport.break('ECONNRESET');
    else session.destroy();
    for (const seen of requests) assert.equal(seen.events.at(-1), 'abort downstream_reset');
    requests[0]?.sender.sendHead(reply(200), true);
    requests[0]?.sender.sendData(Buffer.from('x'), true);
    requests[0]?.sender.abort('internal');
    requests[0]?.sender.pauseRequest();
    requests[0]?.sender.resumeRequest();
    assert.deepEqual(peer.takeWords(), []);
    assert.deepEqual([session.active, wheel.size], [0, 0]);
  }
});

test('a frame announced too large is refused on its header', () => {
  const { peer, transport } = open();
  peer.send(Buffer.from([0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]));
  assert.deepEqual(peer.takeWords(), ['GOAWAY 0 6']);
  assert.equal(transport.closedBy, 'linger');
});

test('header blocks in several frames, and frames within them', () => {
  const block = literals(request('/long'));
  const parts = (id: number): Buffer[] => [
    frame(TYPE.HEADERS, 1, id, block.subarray(0, 3)),
    frame(TYPE.CONTINUATION, 0, id, block.subarray(3, 20)),
    frame(TYPE.CONTINUATION, 4, id, block.subarray(20)),
  ];
  const { peer, requests, wheel } = open();
  const timers = wheel.size;
  peer.send(...parts(1));
  assert.deepEqual([requests[0]?.head.path, requests[0]?.events], ['/long', ['head end']]);
  assert.equal(wheel.size, timers);
  for (const intruder of [ping(), settings(), frame(0xbb, 0, 0), frame(TYPE.CONTINUATION, 4, 5), data(1, 'x')]) {
    const other = open();
    other.peer.send(...parts(1).slice(0, 2), intruder);
    assert.deepEqual(other.peer.takeWords(), ['GOAWAY 0 1']);
  }
});

test('a header block that dawdles', () => {
  const { peer, clock, transport } = open({ firstRequestMs: 60_000 });
  peer.send(frame(TYPE.HEADERS, 1, 1, literals(request())));
  clock.advance(10_100);
  assert.deepEqual(peer.takeWords(), [`GOAWAY 0 ${CALM}`]);
  assert.equal(transport.closedBy, 'linger');
});

// ---------------------------------------------------------------- floods

/** Feeds `frames(i)` until the session closes; returns how many it took, or `most`. */
function flood(frames: (i: number) => Buffer[], most: number, blocked = false, limits = {}): number {
  const { peer, transport, refused } = open(limits, (seen, endStream) => {
    if (endStream) seen.sender.sendHead(reply(200), true);
  });
  transport.blocked = blocked;
  for (let i = 0; i < most; i++) {
    peer.send(...frames(i));
    if (transport.closedBy === undefined) continue;
    assert.match(peer.takeWords().at(-1) ?? '', new RegExp(`^GOAWAY \\d+ ${CALM}$`));
    assert.equal(refused.at(-1)?.[0], 'too_many_resets');
    return i + 1;
  }
  return most;
}

const open1 = (i: number, extra: string[] = []): Buffer => headers(2 * i + 1, request('/', extra, 'POST'), false);

test('rapid reset is cut at the bucket', () => {
  assert.equal(
    flood((i) => [open1(i), reset(2 * i + 1, 8)], 2000),
    501,
  );
});

test('the bucket is filled by time and by calls that end well', () => {
  const { peer, transport, clock } = open({ resetBurst: 2, resetPerSecond: 1 }, (seen, endStream) => {
    if (endStream) seen.sender.sendHead(reply(200), true);
  });
  let id = 1;
  const cancelled = (): void => peer.send(headers(id, request('/', [], 'POST'), false), reset(id, 8));
  for (let i = 0; i < 20; i++, id += 2) {
    cancelled();
    clock.advance(1000);
  }
  for (let i = 0; i < 20; i++, id += 4) {
    cancelled();
    peer.send(headers(id + 2, request()));
  }
  assert.equal(transport.closedBy, undefined);
  for (let i = 0; i < 3; i++, id += 2) cancelled();
  assert.equal(transport.closedBy, 'linger');
});

test('a reset behind a response head, or at the deadline of the call, is free', () => {
  const { peer, transport, clock, requests } = open({ resetBurst: 1, resetPerSecond: 0 }, (seen) => {
    if (seen.head.path === '/') seen.sender.sendHead(reply(200), false);
  });
  let id = 1;
  for (let i = 0; i < 10; i++, id += 2) peer.send(headers(id, request('/')), reset(id, 8));
  for (let i = 0; i < 10; i++, id += 2) {
    peer.send(headers(id, request('/slow', ['grpc-timeout', '200m'])));
    clock.advance(200);
    peer.send(reset(id, 8));
  }
  assert.equal(transport.closedBy, undefined);
  assert.equal(requests.at(-1)?.events.at(-1), 'abort downstream_reset');
  for (let i = 0; i < 2; i++, id += 2) {
    peer.send(headers(id, request('/slow', ['grpc-timeout', '1H'])));
    peer.send(reset(id, 8));
  }
  assert.equal(transport.closedBy, 'linger');
});

for (const [what, provoke] of [
  ['WINDOW_UPDATE of 0', (id: number) => windowUpdate(id, 0)],
  ['window overflow', (id: number) => windowUpdate(id, 0x7fffffff)],
  ['PRIORITY of a wrong length', (id: number) => frame(TYPE.PRIORITY, 0, id, Buffer.alloc(4))],
  ['PRIORITY on itself', (id: number) => frame(TYPE.PRIORITY, 0, id, Buffer.concat([u32(id), Buffer.alloc(1)]))],
  ['DATA beyond content-length', (id: number) => data(id, 'xx')],
  ['trailers without END_STREAM', (id: number) => headers(id, ['a', 'b'], false)],
] as const) {
  test(`resets that the peer provokes count too: ${what}`, () => {
    assert.equal(
      flood((i) => [open1(i, ['content-length', '1']), provoke(2 * i + 1)], 2000),
      501,
    );
  });
}

test('malformed requests count too', () => {
  assert.equal(
    flood((i) => [headers(2 * i + 1, request('/', ['X', 'y']))], 2000),
    501,
  );
});

for (const [what, frames] of [
  ['PING', () => [ping()]],
  ['PING ACK', () => [ping(1, 2, true)]],
  ['SETTINGS', () => [settings(4, 100)]],
  ['SETTINGS ACK', () => [SETTINGS_ACK]],
  ['WINDOW_UPDATE', () => [windowUpdate(0, 1)]],
  ['PRIORITY', () => [frame(TYPE.PRIORITY, 0, 1, Buffer.from([0, 0, 0, 3, 1]))]],
  ['unknown', () => [frame(0xbb, 0, 0, Buffer.alloc(8))]],
  ['unknown on a stream', () => [frame(0xbc, 0, 1)]],
] as const) {
  test(`a flood of ${what} frames is cut near the budget`, () => {
    const taken = flood(frames, 5000);
    assert.ok(taken >= 500 && taken <= 512, String(taken));
  });
}

test('replies that are not read are bounded', () => {
  const taken = flood(() => [ping()], 5000, true);
  assert.ok(taken >= 100 && taken <= 102, String(taken));
  const acks = flood(() => [settings()], 5000, true);
  assert.ok(acks >= 100 && acks <= 102, String(acks));
});

test('honest traffic earns its WINDOW_UPDATE and PING frames', () => {
  const { peer, transport } = open({ controlBurst: 5, controlPerSecond: 5 }, (seen) => {
    seen.sender.sendHead(reply(200), false);
    seen.sender.sendData(Buffer.alloc(2000), true);
  });
  for (let i = 0; i < 3000; i++) {
    peer.send(headers(2 * i + 1, request()), windowUpdate(0, 2000), ping());
    peer.take();
  }
  assert.equal(transport.closedBy, undefined);
});

test('a window opened a byte at a time earns nothing', () => {
  const { peer, transport } = open({}, (seen) => {
    seen.sender.sendHead(reply(200), false);
    seen.sender.sendData(Buffer.alloc(60_000), true);
  });
  peer.send(settings(4, 0), headers(1, request()));
  let taken = 0;
  while (transport.closedBy === undefined && taken < 5000) {
    peer.send(windowUpdate(1, 1));
    taken++;
  }
  assert.ok(taken < 1100, String(taken));
});

test('CONTINUATION floods: by number, empty ones, and by size', () => {
  const block = Buffer.alloc(16_384, 0x82);
  for (const [payload, most] of [
    [Buffer.alloc(0), 9],
    [block, 4],
  ] as const) {
    const { peer, transport } = open();
    peer.send(frame(TYPE.HEADERS, 1, 1, payload));
    let taken = 0;
    while (transport.closedBy === undefined && taken < 100) {
      peer.send(frame(TYPE.CONTINUATION, 0, 1, payload));
      taken++;
    }
    assert.equal(taken, most);
    assert.deepEqual(peer.takeWords(), [`GOAWAY 0 ${CALM}`]);
  }
});

test('empty DATA frames', () => {
  const { peer, transport, requests } = open();
  peer.send(headers(1, request('/', [], 'POST'), false));
  for (let i = 0; i < 10; i++) peer.send(data(1, ''));
  peer.send(data(1, 'x'));
  for (let i = 0; i < 10; i++) peer.send(data(1, ''));
  assert.equal(transport.closedBy, undefined);
  peer.send(data(1, ''));
  assert.equal(transport.closedBy, 'linger');
  assert.deepEqual(requests[0]?.events, ['head', 'data 1', 'abort downstream_reset']);
});

test('an HPACK bomb is refused, and its cost is bounded by the bound', () => {
  const { peer, requests } = open();
  peer.send(frame(TYPE.HEADERS, 5, 1, literals(request('/', ['x', 'y'.repeat(3900)]), 0x40)));
  for (let id = 3; id < 200; id += 2) peer.send(frame(TYPE.HEADERS, 5, id, Buffer.alloc(16_000, 0xbe)));
  const words = peer.takeWords();
  assert.equal(words.length, 99);
  assert.ok(words.every((word) => word.endsWith(' END')));
  assert.equal(requests.length, 1);
});
