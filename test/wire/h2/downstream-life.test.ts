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
  settings,
  SETTINGS_ACK,
  TYPE,
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
  const { peer, clock, transport, refused } = open({ firstRequestMs: 60_000 });
  peer.send(frame(TYPE.HEADERS, 1, 1, literals(request())));
  clock.advance(10_100);
  assert.deepEqual(peer.takeWords(), [`GOAWAY 0 ${CALM}`]);
  assert.equal(transport.closedBy, 'linger');
  assert.equal(refused[0]?.[0], 'request_timeout');
});
