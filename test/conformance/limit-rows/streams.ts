// Streams and windows of HTTP/2, and connections.
import assert from 'node:assert/strict';
import { data, headers, PREFACE, request, settings, SETTINGS_ACK, windowUpdate } from '../../support/h2-peer.ts';
import { amountRow, type LimitRow } from '../../support/limit-rows.ts';
import { call1, caller2, inScene, openCaller1, turns, type Scene } from '../../support/limit-scene.ts';
import type { RawCaller } from '../../support/raw-caller.ts';
import { sessionBench, type SessionBench } from '../../support/session-bench.ts';
import { DEFAULT_LIMITS, type WireLimits } from '../../../src/codec/limits.ts';

/** An HTTP/2 session whose requests are all paused at once. */
function paused(limits: Partial<WireLimits> = {}): SessionBench {
  const bench = sessionBench('http2', limits, ({ sender }) => sender.pauseRequest());
  bench.peer.send(PREFACE, settings(), SETTINGS_ACK);
  return bench;
}

/** Sends `bytes` of bodies, each stream up to its window. Gives the last stream. */
function sendBodies(bench: SessionBench, bytes: number): number {
  const window = DEFAULT_LIMITS.streamWindowBytes;
  let id = -1;
  for (let left = bytes; left > 0; left -= window) {
    id += 2;
    bench.peer.send(headers(id, request('/', [], 'POST'), false));
    sendBody(bench, id, Math.min(left, window));
  }
  return id;
}

function sendBody(bench: SessionBench, id: number, bytes: number): void {
  for (let left = bytes; left > 0; left -= 16_384) bench.peer.send(data(id, Buffer.alloc(Math.min(left, 16_384))));
}

/** WINDOW_UPDATE frames of the connection so far. */
function updates(bench: SessionBench): number {
  return bench.frames().filter(({ type, id }) => type === 'WINDOW_UPDATE' && id === 0).length;
}

/**
 * Whether the connection's window is given back with `bytes` held. Whole windows are held first, so that the next half of
 * the connection's is due.
 */
function heldBodies(bytes: number): string {
  const half = DEFAULT_LIMITS.connectionWindowBytes / 2;
  const bench = paused();
  sendBodies(bench, bytes);
  const before = updates(bench);
  // Bodies that aren't held take the window down to where it is given back, unless too much is held.
  let id = 2 * Math.ceil(bytes / DEFAULT_LIMITS.streamWindowBytes) + 1;
  for (let sent = 0; sent < half; sent += 16_384, id += 2) {
    bench.peer.send(headers(id, request('/', [], 'POST'), false));
    bench.requests.at(-1)?.sender.resumeRequest();
    bench.peer.send(data(id, Buffer.alloc(16_384)));
  }
  return `${updates(bench) > before ? 'given back' : 'held back'}${bench.counted()}`;
}

/** The n-th connection asks, the others stay. */
async function connections(scene: Scene, count: number): Promise<string> {
  const callers: RawCaller[] = [];
  for (let i = 1; i < count; i++) {
    callers.push(await openCaller1(scene));
    while (scene.plane.quota.open < Math.min(i, scene.plane.quota.limit)) await turns(1);
  }
  const words = await call1(scene, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  return words;
}

/** `count` requests on one connection: how many are answered, and whether it ends. */
async function inTurn1(scene: Scene, count: number): Promise<string> {
  const caller = await openCaller1(scene);
  for (let i = 0; i < count; i++) caller.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const answers = (): number => caller.text.split('HTTP/1.1 200').length - 1;
  const closes = (): boolean => caller.text.includes('Connection: close');
  while (answers() < count && !closes()) await turns(1);
  if (closes()) await caller.ended();
  return `${answers()} answered${closes() ? ', closed' : ''}${scene.counted()}`;
}

async function inTurn2(scene: Scene, count: number): Promise<string> {
  const caller = await caller2(scene);
  let answered = 0;
  for (let i = 0; i < count; i++) {
    caller.send(headers(2 * i + 1, request()));
    if ((await caller.ended(2 * i + 1)).startsWith('200')) answered++;
  }
  await caller.roundTrip();
  const goodbye = caller.goodbye();
  return `${answered} answered${goodbye === '' ? '' : `, ${goodbye}`}`;
}

export const rows: readonly LimitRow[] = [
  amountRow(
    'connectionShare',
    '45 % of 20 file descriptors',
    ['200', '200', '503 (too_many_connections)'],
    (count) => inScene({ descriptors: 20 }, (scene) => connections(scene, count)),
    9,
  ),
  amountRow(
    'requestsPerConnection',
    'HTTP/1',
    ['2 answered', '3 answered, closed', '3 answered, closed'],
    (count) => inScene({ limits: { requestsPerConnection: 3 } }, (scene) => inTurn1(scene, count)),
    3,
  ),
  amountRow(
    'requestsPerConnection',
    'HTTP/2: those on their way are taken',
    ['2 answered', '3 answered, GOAWAY NO_ERROR', '4 answered, GOAWAY NO_ERROR'],
    (count) => inScene({ limits: { requestsPerConnection: 3 } }, (scene) => inTurn2(scene, count)),
    3,
  ),
  amountRow('concurrentStreams', 'a session', ['open', 'open', 'RST_STREAM REFUSED_STREAM (overflow)'], (count) => {
    const bench = paused();
    for (let i = 0; i < count; i++) bench.peer.send(headers(2 * i + 1, request('/', [], 'POST'), false));
    return bench.state(2 * count - 1);
  }),
  amountRow(
    'streamWindowBytes',
    'a body that nobody takes',
    ['open', 'open', 'RST_STREAM FLOW_CONTROL_ERROR (bad_request)'],
    (bytes) => {
      const bench = paused();
      bench.peer.send(headers(1, request('/', [], 'POST'), false));
      sendBody(bench, 1, bytes);
      return bench.state(1);
    },
  ),
  amountRow(
    'connectionWindowBytes',
    'bodies that nobody takes, where no more may be held',
    ['open', 'open', 'GOAWAY FLOW_CONTROL_ERROR (bad_request)'],
    (bytes) => {
      const bench = paused({ connectionHeldBytes: 0 });
      return bench.state(sendBodies(bench, bytes));
    },
  ),
  amountRow('connectionHeldBytes', 'bodies that nobody takes', ['given back', 'given back', 'held back'], heldBodies),
  amountRow('writeBufferBytes', 'answers that the caller does not read', ['reads on', 'rests', 'rests'], (bytes) => {
    const bench = paused();
    bench.transport.take();
    bench.transport.blocked = true;
    bench.transport.write(Buffer.alloc(bytes));
    bench.peer.send(windowUpdate(0, 1)); // any frame that isn't answered
    const rests = !bench.transport.reading;
    bench.transport.drain();
    assert.ok(bench.transport.reading, 'it reads again once all has left');
    return `${rests ? 'rests' : 'reads on'}${bench.counted()}`;
  }),
];
