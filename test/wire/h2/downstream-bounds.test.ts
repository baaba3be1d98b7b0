// What one caller's connection may hold here, and for how long: header bytes, bytes to be written, answers not taken,
// requests and age.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  data,
  describe,
  frame,
  headers,
  literals,
  ping,
  request,
  reset,
  settings,
  TYPE,
  valueOf,
  windowUpdate,
} from '../../support/h2-peer.ts';
import { open, reply, type Downstream } from './downstream-harness.ts';

const INITIAL_WINDOW_SIZE = 4;

// ---------------------------------------------------------------- header bytes

/** A request of four pseudo-fields, spelt out: 4 × 32, and 55 bytes of names and values. */
const PLAIN_BYTES = 4 * 32 + literals(request()).length - 12;
const ask = (id: number, extra: string[], endStream = true): Buffer => headers(id, request('/', extra), endStream);

test('a head that would hold too much is refused, one of 512 bytes never', () => {
  const value = 'v'.repeat(1000 - PLAIN_BYTES - 33);
  const { peer, requests, refused } = open({ connectionHeaderBytes: 2 * 488 });
  peer.send(ask(1, ['a', value]), ask(3, ['a', value]), ask(5, ['a', value]));
  assert.deepEqual(peer.takeWords(), ['RST_STREAM 5 7']);
  assert.equal(refused[0]?.[0], 'headers_too_large');
  peer.send(ask(7, ['a', 'v'.repeat(512 - PLAIN_BYTES - 33)]));
  assert.deepEqual(peer.takeWords(), []);
  peer.send(ask(9, ['a', 'v'.repeat(512 - PLAIN_BYTES - 32)]));
  assert.deepEqual(peer.takeWords(), ['RST_STREAM 9 7']);
  assert.equal(requests.length, 3);
});

const ENDS: readonly (readonly [string, (downstream: Downstream) => void])[] = [
  ['its answer is complete', ({ requests }) => requests[0]?.sender.sendHead(reply(200), true)],
  ['its handler aborts', ({ requests }) => requests[0]?.sender.abort('internal')],
  ['its caller resets it', ({ peer }) => peer.send(reset(1, 8))],
  ['its caller breaks a rule', ({ peer }) => peer.send(windowUpdate(1, 0))],
];

for (const [how, end] of ENDS) {
  test(`a stream holds its header bytes until it is gone: ${how}`, () => {
    const downstream = open({ connectionHeaderBytes: 500 });
    const { peer, requests } = downstream;
    const extra = ['a', 'v'.repeat(900 - PLAIN_BYTES - 33)];
    peer.send(ask(1, extra), ask(3, extra));
    assert.deepEqual(peer.takeWords(), ['RST_STREAM 3 7']);
    end(downstream);
    peer.take();
    peer.send(ask(5, extra), ask(7, extra));
    assert.deepEqual(peer.takeWords(), ['RST_STREAM 7 7']);
    assert.equal(requests.length, 2);
  });
}

test('entries of the table count 32 bytes each, whether or not the block is known', () => {
  const { peer, requests } = open({ connectionHeaderBytes: 1024 });
  peer.send(frame(TYPE.HEADERS, 5, 1, literals(request('/', ['x', 'y']), 0x40)));
  requests[0]?.sender.sendHead(reply(200), true);
  peer.take();
  const block = Buffer.concat([Buffer.from([0xc2, 0xc1, 0xc0, 0xbf]), Buffer.alloc(20, 0xbe)]); // 768, 256 beyond
  for (let id = 3; id < 15; id += 2) peer.send(frame(TYPE.HEADERS, 5, id, block));
  assert.deepEqual(peer.takeWords(), ['RST_STREAM 11 7', 'RST_STREAM 13 7']);
  assert.equal(requests.length, 5);
});

test('a refusal leaves the table in step', () => {
  const { peer, requests } = open({ connectionHeaderBytes: 0 });
  peer.send(frame(TYPE.HEADERS, 5, 1, literals(request('/known', ['x', 'y'.repeat(600)]), 0x40)));
  assert.deepEqual(peer.takeWords(), ['RST_STREAM 1 7']);
  peer.send(frame(TYPE.HEADERS, 5, 3, Buffer.from([0xc2, 0xc1, 0xc0, 0xbf])));
  assert.deepEqual([requests.length, requests[0]?.head.path], [1, '/known']);
});

test('trailers count too, and cost the stream', () => {
  const { peer, requests } = open({ connectionHeaderBytes: 1000 });
  peer.send(ask(1, ['a', 'v'.repeat(800)], false), headers(1, ['t', 'v'.repeat(800)]));
  assert.deepEqual(requests[0]?.events, ['head', 'abort headers_too_large']);
  assert.deepEqual(peer.takeWords(), ['RST_STREAM 1 11']);
});

test('a head too large is answered in the form of gRPC wherever content-type stands', () => {
  const many = Array.from({ length: 120 }, (_, i) => [`x-${i}`, 'v']).flat();
  for (const [extra, status, grpcStatus] of [
    [[...many, 'content-type', 'application/grpc+proto'], '200', '8'],
    [['x', 'v'.repeat(17_000), 'content-type', 'application/grpc'], '200', '8'],
    [[...many, 'content-type', 'application/grpc-web'], '431', undefined],
    [[...many, 'content-type', 'text/plain', 'content-type', 'application/grpc'], '431', undefined],
  ] as const) {
    const { peer, requests } = open();
    const block = literals(request('/', extra, 'POST'));
    peer.send(
      frame(TYPE.HEADERS, 1, 1, block.subarray(0, 16_000)),
      frame(TYPE.CONTINUATION, 4, 1, block.subarray(16_000)),
    );
    const [answer] = peer.take();
    assert.equal(answer?.fields[1], status);
    assert.equal(valueOf(answer?.fields ?? [], 'grpc-status'), grpcStatus);
    assert.equal(requests.length, 0);
  }
});

// ---------------------------------------------------------------- gRPC without a method

const grpc = (path: string): string[] => request(path, ['content-type', 'application/grpc', 'te', 'trailers'], 'POST');

for (const path of ['pkg.Svc/M', '*', 'http://a/pkg.Svc/M', 'x']) {
  test(`a gRPC call of ${path}, without a slash, is UNIMPLEMENTED and seen by no handler`, () => {
    const { peer, requests, refused } = open();
    peer.send(headers(1, grpc(path)), headers(3, grpc('/pkg.Svc/M')));
    const frames = peer.take();
    assert.deepEqual(frames.map(describe), ['HEADERS 1 END']);
    const fields = frames[0]?.fields ?? [];
    assert.deepEqual([fields[1], valueOf(fields, 'grpc-status')], ['200', '12']);
    assert.equal(valueOf(fields, 'content-type'), 'application/grpc');
    assert.deepEqual([requests.length, refused[0]?.[0]], [1, 'bad_request']);
  });
}

for (const path of ['', '/a b', '/a#b', 'a\u0001', '/\u0080']) {
  test(`a gRPC call of ${JSON.stringify(path)} is malformed`, () => {
    const { peer, requests } = open();
    peer.send(headers(1, grpc(path)));
    assert.deepEqual([peer.takeWords(), requests.length], [['RST_STREAM 1 1'], 0]);
  });
}

// ---------------------------------------------------------------- bytes to be written

const WRITE_LIMIT = 64 * 1024;

function answering(headBytes: number): Downstream {
  const value = 'v'.repeat(headBytes);
  return open({ writeBufferBytes: WRITE_LIMIT }, ({ sender }) => {
    sender.sendHead(reply(200, ['x', value]), true);
  });
}

test('a caller that does not read is not read from until all has left', () => {
  const { peer, transport } = answering(7000);
  transport.blocked = true;
  for (let id = 1; id < 19; id += 2) peer.send(headers(id, request()));
  assert.equal(transport.reading, true);
  peer.send(headers(19, request()));
  assert.equal(transport.reading, false);
  assert.ok(transport.length < WRITE_LIMIT + 7100);
  transport.drain();
  assert.equal(transport.reading, true);
  peer.send(headers(21, request()));
  assert.equal(transport.reading, true);
});

test('replies to PING are no way around it', () => {
  const { peer, transport } = open({ writeBufferBytes: WRITE_LIMIT, controlQueueFrames: 1e6, controlBurst: 1e6 });
  transport.blocked = true;
  const pings = Array.from({ length: 100 }, () => ping());
  for (let i = 0; transport.reading && i < 100; i++) peer.send(...pings);
  assert.ok(transport.length < WRITE_LIMIT + 1700, String(transport.length));
  assert.equal(transport.reading, false);
});

test('answers to what was asked before: at four times the bound their streams end, and who answers hears of it later', () => {
  const { peer, transport, requests, refused, clock } = open({ writeBufferBytes: WRITE_LIMIT });
  for (let id = 1; id < 160; id += 2) peer.send(headers(id, request('/', [], 'POST'), false));
  transport.blocked = true;
  for (const { sender } of requests) {
    sender.sendInformational(reply(103, ['x', 'v'.repeat(5000)]));
    sender.sendHead(reply(200, ['x', 'v'.repeat(5000)]), false);
    sender.sendData(Buffer.from('x'), false);
    sender.sendTrailers(['x', 'v'.repeat(1000)]);
  }
  assert.ok(transport.length < 4 * WRITE_LIMIT + 6000, String(transport.length));
  const before = requests.filter(({ events }) => events.length > 1).length;
  assert.equal(before, 0, 'nobody is called back from within');
  clock.advance(0);
  const cut = requests.filter(({ events }) => events.at(-1) === 'abort flush_timeout').length;
  assert.equal(cut, refused.filter(([kind]) => kind === 'flush_timeout').length);
  assert.ok(cut > 20, String(cut));
});

// ---------------------------------------------------------------- answers that are not taken

test('a complete answer of which nothing is taken for flushMs is given up', () => {
  const { peer, requests, clock, refused, wheel } = open({ flushMs: 5000 });
  const timers = wheel.size;
  peer.send(settings(INITIAL_WINDOW_SIZE, 10), headers(1, request()), headers(3, request(), false));
  for (const { sender } of requests) {
    sender.sendHead(reply(200), false);
    sender.sendData(Buffer.alloc(100), false);
  }
  clock.advance(20_000);
  assert.equal(wheel.size, timers, 'an answer that is still coming is its sender’s to watch');
  requests[0]?.sender.sendData(Buffer.alloc(1), true);
  clock.advance(3000);
  requests[1]?.sender.sendTrailers(['a', 'b']);
  peer.take();
  clock.advance(1980);
  assert.deepEqual(peer.takeWords(), []);
  clock.advance(60);
  assert.deepEqual(peer.takeWords(), ['RST_STREAM 1 8']);
  assert.deepEqual(refused.map(([kind]) => kind), ['flush_timeout']); // prettier-ignore
  peer.send(windowUpdate(3, 5)); // it moves
  assert.deepEqual(peer.takeWords(), ['DATA 3 5']);
  clock.advance(4900);
  assert.deepEqual(peer.takeWords(), []);
  clock.advance(150);
  assert.deepEqual(peer.takeWords(), ['RST_STREAM 3 8']);
  assert.deepEqual(
    requests.map(({ events }) => events.at(-1)),
    ['abort flush_timeout', 'abort flush_timeout'],
  );
  assert.equal(wheel.size, timers);
});

test('the timer runs only while complete answers wait', () => {
  const { peer, requests, wheel } = open();
  const timers = wheel.size;
  peer.send(settings(INITIAL_WINDOW_SIZE, 10), headers(1, request()), headers(3, request()), headers(5, request()));
  for (const { sender } of requests) {
    sender.sendHead(reply(200), false);
    sender.sendData(Buffer.alloc(100), true);
  }
  assert.equal(wheel.size, timers + 1);
  peer.send(windowUpdate(1, 90), reset(3, 8));
  assert.equal(wheel.size, timers + 1);
  peer.send(settings(INITIAL_WINDOW_SIZE, 100));
  assert.equal(wheel.size, timers);
});

// ---------------------------------------------------------------- requests and age

test('after so many requests a connection is drained, and serves what still comes', () => {
  const { peer, requests, transport, clock } = open({ requestsPerConnection: 3 }, ({ sender }) => {
    sender.sendHead(reply(200), true);
  });
  peer.send(headers(1, request()), headers(3, request()));
  assert.deepEqual(peer.takeWords(), ['HEADERS 1 END', 'HEADERS 3 END']);
  peer.send(headers(5, request()));
  assert.deepEqual(peer.takeWords(), ['HEADERS 5 END', 'GOAWAY 2147483647 0', 'PING']);
  peer.send(headers(7, request()));
  assert.equal(requests.length, 4);
  clock.advance(1100);
  assert.deepEqual(peer.takeWords(), ['HEADERS 7 END', 'GOAWAY 7 0']);
  assert.equal(transport.closedBy, 'linger');
});

test('at its age a connection is drained, give or take a tenth; what is in flight finishes', () => {
  const { peer, transport, clock, requests, wheel } = open({ connectionAgeMs: 600_000, idleMs: 10_000_000 });
  peer.send(headers(1, request()));
  clock.advance(539_000);
  assert.deepEqual(peer.takeWords(), []);
  clock.advance(122_000);
  assert.deepEqual(peer.takeWords(), ['GOAWAY 2147483647 0', 'PING', 'GOAWAY 1 0']);
  assert.equal(transport.closedBy, undefined);
  requests[0]?.sender.sendHead(reply(200), true);
  assert.deepEqual([transport.closedBy, wheel.size], ['linger', 0]);
});

test('an idle connection lives as long as before, whatever its age may become', () => {
  const { peer, transport, clock } = open({ idleMs: 60_000 }, ({ sender }) => sender.sendHead(reply(200), true));
  for (let i = 0; i < 10; i++) {
    peer.send(headers(2 * i + 1, request()));
    clock.advance(50_000);
  }
  assert.equal(transport.closedBy, undefined);
  clock.advance(11_000);
  assert.equal(transport.closedBy, 'linger');
});

test('the last identifier: its request is served, and the connection drained', () => {
  const { peer, requests } = open();
  const last = 2 ** 31 - 1;
  peer.send(headers(last, request()));
  assert.deepEqual([requests.length, peer.takeWords()[0]], [1, `GOAWAY ${last} 0`]);
});

// ---------------------------------------------------------------- credit and secrets

test('the window of the connection comes back with the streams that held it', () => {
  const { peer, requests } = open({ streamWindowBytes: 65_536, connectionHeldBytes: 500_000, resetBurst: 100 });
  const ids = Array.from({ length: 16 }, (_, i) => 2 * i + 1);
  for (const id of ids) {
    peer.send(headers(id, request('/', [], 'POST'), false));
    requests.at(-1)?.sender.pauseRequest();
    for (let i = 0; i < 4; i++) peer.send(data(id, Buffer.alloc(16_384)));
  }
  assert.deepEqual(peer.takeWords(), [], 'all of the window is used up, and held');
  for (const id of ids) peer.send(reset(id, 8));
  const given = peer.take().map(({ payload }) => payload.readUInt32BE(0));
  assert.equal(given.reduce((sum, bytes) => sum + bytes, 0), 16 * 65_536); // prettier-ignore
});

test('what came never indexed stays so: in heads, trailers and pseudo-fields', () => {
  const { peer, requests, transport } = open();
  const secret = (fields: string[]): Buffer => literals(fields, 0x10);
  const send = (id: number): void => {
    peer.send(
      frame(TYPE.HEADERS, 4, id, Buffer.concat([literals(request('/').slice(0, 6)), secret([':path', '/secret', 'x-a', '1'])])),
      frame(TYPE.HEADERS, 5, id, secret(['x-t', '2'])),
    ); // prettier-ignore
  };
  for (const id of [1, 3, 5]) send(id);
  for (const { head } of requests) assert.deepEqual(head.neverIndexed, [':path', 'x-a']);
  const { sender } = requests[0] ?? assert.fail();
  sender.sendHead({ ...reply(200, ['x-b', '3']), neverIndexed: ['x-b'] }, false);
  sender.sendTrailers(['x-c', '4'], ['x-c']);
  const bytes = transport.take().toString('latin1');
  assert.ok(bytes.includes('\x10\x03x-b\x013'));
  assert.ok(bytes.includes('\x10\x03x-c\x014'));
});
