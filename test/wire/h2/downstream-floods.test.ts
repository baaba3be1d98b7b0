// What a caller sends that costs us more than it: each is cut within 1,000 frames, in one burst, and what looks like it
// and is honest is not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrorKind } from '../../../src/base/error.ts';
import type { WireLimits } from '../../../src/codec/limits.ts';
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
import { open, reply, type Downstream } from './downstream-harness.ts';

const CALM = 11;

/** Acts until the session closes; returns how many acts it took, or `most`. */
function actUntilCut(downstream: Downstream, act: (i: number) => Buffer[], kind: ErrorKind, most: number): number {
  const { peer, transport, refused } = downstream;
  for (let i = 0; i < most; i++) {
    peer.send(...act(i));
    if (transport.closedBy === undefined) continue;
    assert.match(peer.takeWords().at(-1) ?? '', new RegExp(`^GOAWAY \\d+ ${CALM}$`));
    assert.equal(refused.at(-1)?.[0], kind);
    return i + 1;
  }
  return most;
}

/** A session that answers requests without a body at once, `before` having been sent. */
function flood(act: (i: number) => Buffer[], kind: ErrorKind = 'too_many_frames', before: Buffer[] = []): number {
  const downstream = open({}, ({ sender, head }, endStream) => {
    if (head.path === '/refused') sender.sendHead(reply(403), true);
    else if (endStream) sender.sendHead(reply(200), true);
  });
  downstream.peer.send(...before);
  return actUntilCut(downstream, act, kind, 5000);
}

const post = (i: number, extra: string[] = [], path = '/'): Buffer =>
  headers(2 * i + 1, request(path, extra, 'POST'), false);
const priority = (id: number): Buffer => frame(TYPE.PRIORITY, 0, id, Buffer.concat([u32(0), Buffer.from([1])]));
const padded = (id: number): Buffer => frame(TYPE.DATA, 0x8, id, Buffer.from([3, 0, 0, 0]));

// ---------------------------------------------------------------- resets

for (const [what, act] of [
  ['rapid reset', (i: number) => [post(i), reset(2 * i + 1, 8)]],
  [
    'rapid reset with deadlines that none could meet',
    (i: number) => [post(i, ['grpc-timeout', '1n']), reset(2 * i + 1, 8)],
  ],
  ['malformed requests', (i: number) => [headers(2 * i + 1, request('/', ['X', 'y']))]],
  ['streams that depend on themselves', (i: number) => [selfDependent(2 * i + 1)]],
  ['WINDOW_UPDATE of 0', (i: number) => [post(i), windowUpdate(2 * i + 1, 0)]],
  ['window overflow', (i: number) => [post(i), windowUpdate(2 * i + 1, 0x7fffffff)]],
  ['PRIORITY of a wrong length', (i: number) => [post(i), frame(TYPE.PRIORITY, 0, 2 * i + 1, Buffer.alloc(4))]],
  ['PRIORITY on itself', (i: number) => [post(i), frame(TYPE.PRIORITY, 0, 2 * i + 1, selfPriority(2 * i + 1))]],
  ['DATA beyond content-length', (i: number) => [post(i, ['content-length', '1']), data(2 * i + 1, 'xx')]],
  ['trailers without END_STREAM', (i: number) => [post(i), headers(2 * i + 1, ['a', 'b'], false)]],
] as const) {
  test(`${what}: cut at the bucket of resets`, () => assert.equal(flood(act, 'too_many_resets'), 501));
}

for (const [what, act] of [
  ['DATA', (id: number) => data(id, 'x')],
  ['HEADERS', (id: number) => headers(id, ['a', 'b'])],
] as const) {
  test(`${what} after END_STREAM: cut at the bucket of resets`, () => {
    const downstream = open({ concurrentStreams: 5000 });
    const acts = (i: number): Buffer[] => [headers(2 * i + 1, request()), act(2 * i + 1)];
    assert.equal(actUntilCut(downstream, acts, 'too_many_resets', 2000), 501);
  });
}

function selfPriority(id: number): Buffer {
  return Buffer.concat([u32(id), Buffer.from([1])]);
}

function selfDependent(id: number): Buffer {
  return frame(TYPE.HEADERS, 0x25, id, Buffer.concat([selfPriority(id), literals(request())]));
}

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
  for (const [timeout, afterMs] of [
    ['200m', 171],
    ['200m', 200],
    ['10m', 5],
    ['1m', 1],
  ] as const) {
    for (let i = 0; i < 10; i++, id += 2) {
      peer.send(headers(id, request('/slow', ['grpc-timeout', timeout])));
      clock.advance(afterMs);
      peer.send(reset(id, 8));
    }
  }
  assert.equal(transport.closedBy, undefined);
  assert.equal(requests.at(-1)?.events.at(-1), 'abort downstream_reset');
  for (let i = 0; i < 2; i++, id += 2) {
    peer.send(headers(id, request('/slow', ['grpc-timeout', '200m'])));
    clock.advance(160);
    peer.send(reset(id, 8));
  }
  assert.equal(transport.closedBy, 'linger');
});

test('giving up calls of a second and more, however many, is no flood', () => {
  const { peer, transport, clock } = open({ resetBurst: 1, resetPerSecond: 0, settingsAckMs: 1e9 }, () => undefined);
  const ids = Array.from({ length: 600 }, (_, i) => 2 * i + 1);
  for (const id of ids) peer.send(headers(id, request('/slow')));
  clock.advance(1000);
  for (const id of ids) peer.send(reset(id, 8));
  assert.equal(transport.closedBy, undefined);
  for (const id of [1301, 1303]) peer.send(headers(id, request('/slow')));
  clock.advance(900);
  for (const id of [1301, 1303]) peer.send(reset(id, 8));
  assert.equal(transport.closedBy, 'linger');
});

// ---------------------------------------------------------------- frames that carry nothing

const opened = [headers(1, request('/', [], 'POST'), false)];
const ended = [headers(1, request())];
/** Answered before it had come, so we reset it. */
const resetByUs = [headers(1, request('/refused', [], 'POST'), false)];

for (const [what, act, least, most, before] of [
  ['PING', () => [ping()], 500, 501, []],
  ['PING ACK', () => [ping(1, 2, true)], 500, 501, []],
  ['SETTINGS', () => [settings(4, 100)], 499, 500, []],
  ['SETTINGS ACK', () => [SETTINGS_ACK], 500, 501, []],
  ['WINDOW_UPDATE of the connection', () => [windowUpdate(0, 1)], 500, 501, []],
  ['WINDOW_UPDATE of a stream', () => [windowUpdate(1, 1)], 500, 503, opened],
  ['WINDOW_UPDATE of a closed stream', () => [windowUpdate(1, 1)], 500, 503, ended],
  ['PRIORITY', () => [priority(1)], 500, 501, []],
  ['PRIORITY of idle streams', (i: number) => [priority(2 * i + 101)], 500, 601, opened],
  ['PRIORITY_UPDATE', () => [frame(0x10, 0, 0, Buffer.concat([u32(1), Buffer.from('u=1')]))], 500, 501, []],
  ['unknown frames', () => [frame(0xbb, 0, 0, Buffer.alloc(8))], 500, 501, []],
  ['unknown frames of 16 KiB', () => [frame(0xbb, 0, 1, Buffer.alloc(16_384))], 500, 501, []],
  ['ORIGIN', () => [frame(0xc, 0, 0, Buffer.from([0, 0]))], 500, 501, []],
  ['ALTSVC', () => [frame(0xa, 0, 1, Buffer.from([0, 0]))], 500, 501, []],
  ['GOAWAY', () => [goaway(0, 0)], 500, 501, opened],
  ['RST_STREAM on a closed stream', () => [reset(1, 8)], 500, 502, ended],
  ['RST_STREAM on a stream that we reset', () => [reset(1, 8)], 500, 506, resetByUs],
  ['HEADERS on a stream that we reset', () => [headers(1, ['a', 'b'], false)], 500, 506, resetByUs],
  ['DATA of a byte on a stream that we reset', () => [data(1, 'x')], 800, 830, resetByUs],
  ['DATA of 100 bytes on a stream that we reset', () => [data(1, Buffer.alloc(100))], 655, 656, resetByUs],
  ['DATA of 16 KiB on a stream that we reset', () => [data(1, Buffer.alloc(16_384))], 4, 5, resetByUs],
  ['empty DATA on a stream that we reset', () => [data(1, '')], 500, 506, resetByUs],
  ['DATA that is only padding, on a stream that we reset', () => [padded(1)], 500, 506, resetByUs],
  ['empty DATA between single bytes', () => [data(1, ''), data(1, 'x')], 500, 502, opened],
] as const) {
  test(`a flood of ${what} is cut`, () => {
    const taken = flood(act, 'too_many_frames', [...before]);
    assert.ok(taken >= least && taken <= most, String(taken));
  });
}

for (const [what, empty] of [
  ['empty DATA', (id: number) => data(id, '')],
  ['DATA that is only padding', padded],
] as const) {
  test(`a flood of ${what} is cut, in a row and over many streams`, () => {
    const row = flood(() => [empty(1)], 'too_many_frames', opened);
    assert.equal(row, 11);
    const streams = Array.from({ length: 600 }, (_, i) => post(i));
    const spread = flood((i) => [empty(2 * (i % 600) + 1)], 'too_many_frames', streams);
    assert.ok(spread > 500 && spread <= 901, String(spread));
  });
}

test('ten empty DATA frames in a row are borne, and counted for each stream', () => {
  const { peer, transport, requests } = open();
  peer.send(headers(1, request('/', [], 'POST'), false), headers(3, request('/', [], 'POST'), false));
  for (let i = 0; i < 10; i++) peer.send(data(1, ''), data(3, ''));
  peer.send(data(1, 'x'));
  for (let i = 0; i < 10; i++) peer.send(data(1, ''));
  assert.equal(transport.closedBy, undefined);
  peer.send(data(3, ''));
  assert.equal(transport.closedBy, 'linger');
  assert.deepEqual(requests[0]?.events, ['head', 'data 1', 'abort downstream_reset']);
});

test('a flood after a long honest life is cut as soon as any other', () => {
  for (const [act, most] of [
    [() => [ping()], 501],
    [() => [settings(4, 100)], 501],
    [() => [priority(1)], 901],
    [() => [windowUpdate(0, 1)], 901],
    [() => [reset(3, 8)], 502],
  ] as const) {
    const downstream = open({}, ({ sender }) => sender.sendHead(reply(200), true));
    for (let i = 0; i < 3000; i++) downstream.peer.send(headers(2 * i + 1, request()));
    downstream.clock.advance(50_000);
    const taken = actUntilCut(downstream, act, 'too_many_frames', 5000);
    assert.ok(taken > 400 && taken <= most, String(taken));
  }
});

test('requests that come after the last GOAWAY are not served for ever', () => {
  const downstream = open();
  downstream.peer.send(...opened);
  downstream.session.drain();
  downstream.clock.advance(1100);
  const taken = actUntilCut(downstream, (i) => [headers(2 * i + 3, request())], 'too_many_frames', 2000);
  assert.equal(taken, 501);
  assert.equal(downstream.requests.length, 1);
});

test('replies that are not read are bounded', () => {
  for (const act of [() => [ping()], () => [settings()]]) {
    const downstream = open();
    downstream.transport.blocked = true;
    const taken = actUntilCut(downstream, act, 'too_many_frames', 5000);
    assert.ok(taken >= 100 && taken <= 102, String(taken));
  }
});

test('CONTINUATION floods: by number, empty ones, and by size', () => {
  const block = Buffer.alloc(16_384, 0x82);
  for (const [payload, most] of [
    [Buffer.alloc(0), 9],
    [block, 4],
  ] as const) {
    const downstream = open();
    downstream.peer.send(frame(TYPE.HEADERS, 1, 1, payload));
    const next = (): Buffer[] => [frame(TYPE.CONTINUATION, 0, 1, payload)];
    assert.equal(actUntilCut(downstream, next, 'too_many_frames', 100), most);
  }
});

test('empty CONTINUATION frames in many requests are cut too', () => {
  const acts = (i: number): Buffer[] => [
    frame(TYPE.HEADERS, 1, 2 * i + 1, literals(request())),
    ...Array.from({ length: 7 }, () => frame(TYPE.CONTINUATION, 0, 2 * i + 1)),
    frame(TYPE.CONTINUATION, 4, 2 * i + 1),
  ];
  const taken = flood(acts);
  assert.ok(taken <= 63, String(taken));
});

test('a window opened a byte at a time earns nothing', () => {
  const downstream = open({}, ({ sender }) => {
    sender.sendHead(reply(200), false);
    sender.sendData(Buffer.alloc(60_000), true);
  });
  downstream.peer.send(settings(4, 0), headers(1, request()));
  const taken = actUntilCut(downstream, () => [windowUpdate(1, 1)], 'too_many_frames', 5000);
  assert.ok(taken < 520, String(taken));
});

// ---------------------------------------------------------------- tiny DATA

test('60,000 DATA frames of a byte: cut where the receiver does not take them, else passed on', () => {
  const paused = open({}, ({ sender }) => sender.pauseRequest());
  paused.peer.send(...opened);
  const taken = actUntilCut(paused, () => [data(1, 'x')], 'too_many_frames', 60_000);
  assert.equal(taken, 826);
  const { peer, requests, transport } = open();
  peer.send(...opened);
  const hundred = Array.from({ length: 100 }, () => data(1, 'x'));
  for (let i = 0; i < 600; i++) peer.send(...hundred);
  assert.deepEqual([requests[0]?.body.length, transport.closedBy], [60_000, undefined]);
});

test('a receiver that pauses now and then is not the fault of who sends tiny frames', () => {
  const { peer, requests, transport } = open();
  peer.send(...opened);
  const some = Array.from({ length: 400 }, () => data(1, 'x'));
  for (let i = 0; i < 50; i++) {
    requests[0]?.sender.pauseRequest();
    peer.send(...some);
    requests[0]?.sender.resumeRequest();
    peer.send(...some);
  }
  assert.equal(transport.closedBy, undefined);
});

test('the smallest gRPC messages fill the window of a receiver that does not read', () => {
  const { peer, requests, transport } = open();
  for (let id = 1; id < 21; id += 2) {
    peer.send(headers(id, request('/', [], 'POST'), false));
    requests.at(-1)?.sender.pauseRequest();
    const messages = Array.from({ length: 13_107 }, () => data(id, Buffer.alloc(5)));
    peer.send(...messages);
  }
  assert.equal(transport.closedBy, undefined);
});

// ---------------------------------------------------------------- honest

test('100,000 messages of 20 bytes each way on one stream, in bursts', () => {
  const { peer, transport, requests } = open();
  peer.send(settings(4, 10 << 20), windowUpdate(0, 10 << 20), ...opened);
  const sender = requests[0]?.sender;
  sender?.sendHead(reply(200), false);
  const burst = Array.from({ length: 1000 }, () => data(1, Buffer.alloc(25)));
  for (let i = 0; i < 100; i++) {
    peer.send(...burst);
    for (let n = 0; n < 1000; n++) sender?.sendData(Buffer.alloc(25), false);
    const updates = peer.take().filter(({ type }) => type === 'DATA').flatMap(() => [windowUpdate(0, 25), windowUpdate(1, 25)]); // prettier-ignore
    peer.send(...updates, ping());
  }
  assert.equal(requests[0]?.body.length, 2_500_000);
  assert.equal(transport.closedBy, undefined);
});

for (const windowBytes of [1000, 16_384, 65_535, 4 << 20]) {
  test(`a download of 64 MiB with windows of ${windowBytes}, each frame acknowledged twice and a PING a round trip`, () => {
    const { peer, transport, requests } = open();
    peer.send(settings(4, windowBytes), ...ended);
    const sender = requests[0]?.sender;
    sender?.sendHead(reply(200), false);
    let left = windowBytes < 2000 ? 4 << 20 : 64 << 20;
    let received = 0;
    const wanted = left;
    while (received < wanted && transport.closedBy === undefined) {
      while (left > 0 && (sender?.bufferedBytes ?? 0) < 65_536) {
        sender?.sendData(Buffer.alloc(Math.min(16_384, left)), left <= 16_384);
        left -= Math.min(16_384, left);
      }
      const updates: Buffer[] = [];
      for (const { type, payload } of peer.take()) {
        if (type !== 'DATA' || payload.length === 0) continue;
        received += payload.length;
        // Half of it and then the rest, as some do; some give back a stream that is over.
        const half = payload.length >> 1;
        if (half > 0) updates.push(windowUpdate(1, half), windowUpdate(0, half));
        updates.push(windowUpdate(1, payload.length - half), windowUpdate(0, payload.length - half));
      }
      if (updates.length === 0) break;
      peer.send(...updates, ping());
    }
    assert.deepEqual([received, transport.closedBy], [wanted, undefined]);
  });
}

test('a client that raises each stream’s window, sends a PRIORITY for each and asks 10,000 times', () => {
  const { peer, transport } = open({}, ({ sender }) => sender.sendHead(reply(204), true));
  for (let i = 0; i < 10_000; i++) {
    const id = 2 * i + 1;
    peer.send(headers(id, request()), windowUpdate(id, 1 << 20), priority(id));
    peer.take();
  }
  assert.equal(transport.closedBy, undefined);
});

test('a deadline that 1,024 calls share: our answers and their resets cross', () => {
  const { peer, transport, requests } = open({}, () => undefined);
  for (let round = 0; round < 5; round++) {
    const ids = Array.from({ length: 1024 }, (_, i) => 2 * (1024 * round + i) + 1);
    peer.send(...ids.map((id) => headers(id, request('/', [], 'POST'), id % 4 === 1)));
    for (const { sender } of requests.splice(0)) sender.sendHead(reply(200, ['grpc-status', '4']), true);
    peer.send(...ids.map((id) => reset(id, 8)));
    peer.take();
  }
  assert.equal(transport.closedBy, undefined);
});

test('a call that is refused at once still gets the window of messages that its caller had sent', () => {
  const { peer, transport } = open({}, ({ sender }) => sender.sendHead(reply(200, ['grpc-status', '16']), true));
  for (let id = 1; id < 41; id += 2) {
    const messages = Array.from({ length: 2621 }, () => data(id, Buffer.alloc(25)));
    peer.send(headers(id, request('/', [], 'POST'), false), ...messages, data(id, '', true));
  }
  assert.equal(transport.closedBy, undefined);
});

test('PINGs during a long download to a slow reader: something always waits, but it moves', () => {
  const { peer, transport, clock, requests } = open();
  peer.send(settings(4, 1 << 30), windowUpdate(0, 1 << 30), ...ended);
  requests[0]?.sender.sendHead(reply(200), false);
  transport.blocked = true;
  for (let i = 0; i < 1000; i++) {
    transport.take();
    requests[0]?.sender.sendData(Buffer.alloc(20_000), false);
    clock.advance(10);
    peer.send(ping());
  }
  assert.equal(transport.closedBy, undefined);
});

test('credit that a caller gives back frame by frame never makes frames small', () => {
  const { peer, requests, transport } = open();
  peer.send(...ended);
  requests[0]?.sender.sendHead(reply(200), false);
  requests[0]?.sender.sendData(Buffer.alloc(8 << 20), true);
  let frames = 0;
  for (;;) {
    const sizes = peer.take().filter(({ type }) => type === 'DATA').map(({ payload }) => payload.length); // prettier-ignore
    frames += sizes.length;
    if (sizes.length === 0 || transport.closedBy !== undefined) break;
    for (const size of sizes) {
      peer.send(windowUpdate(1, size));
      peer.send(windowUpdate(0, size));
    }
  }
  assert.equal(requests[0]?.sender.bufferedBytes, 0);
  assert.ok(frames < 700, `${frames} frames`);
});

test('a caller that waits for the last byte of its window gets it', () => {
  const { peer, requests, clock, wheel } = open();
  const timers = wheel.size;
  peer.send(...ended);
  requests[0]?.sender.sendHead(reply(200), false);
  requests[0]?.sender.sendData(Buffer.alloc(65_000), false);
  peer.take();
  requests[0]?.sender.sendData(Buffer.alloc(2000), true);
  assert.deepEqual(peer.takeWords(), []);
  clock.advance(40);
  assert.deepEqual(peer.takeWords(), ['DATA 1 535']);
  peer.send(windowUpdate(0, 65_535), windowUpdate(1, 1000));
  clock.advance(40);
  assert.deepEqual(peer.takeWords(), ['DATA 1 1000']);
  peer.send(windowUpdate(1, 1));
  assert.deepEqual(peer.takeWords(), []);
  clock.advance(40);
  assert.deepEqual(peer.takeWords(), ['DATA 1 1']);
  peer.send(windowUpdate(1, 65_000));
  assert.deepEqual(peer.takeWords(), ['DATA 1 464 END']);
  clock.advance(40);
  assert.equal(wheel.size, timers);
});

test('limits of another size are kept to as well', () => {
  const limits: Partial<WireLimits> = { controlBurst: 5, controlPerSecond: 5, priorityPerStream: 3 };
  const downstream = open(limits);
  downstream.peer.send(...opened);
  assert.equal(
    actUntilCut(downstream, () => [priority(1)], 'too_many_frames', 50),
    8,
  ); // one went to SETTINGS
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
