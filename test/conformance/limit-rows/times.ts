// Time. The clock stands still but for the rows that move it; sockets are real where a row needs the whole data plane.
import assert from 'node:assert/strict';
import { DEFAULT_LIMITS, type WireLimits } from '../../../src/codec/limits.ts';
import {
  data,
  frame,
  headers,
  literals,
  PREFACE,
  request,
  settings,
  SETTINGS_ACK,
  TYPE,
} from '../../support/h2-peer.ts';
import { timeRow, type LimitRow, type Waiting } from '../../support/limit-rows.ts';
import {
  answerWords,
  block,
  caller2,
  openCaller1,
  openScene,
  says2,
  SILENT,
  SILENT_2,
  turns,
  type Scene,
  type SceneOptions,
  type Script,
} from '../../support/limit-scene.ts';
import { selfSigned } from '../../support/certificates.ts';
import { listenerTls } from '../../support/tls-peer.ts';
import { answerHead, sessionBench, type HeldRequest, type SessionBench } from '../../support/session-bench.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const GRPC = ['content-type', 'application/grpc', 'te', 'trailers'];
const CALL = request('/a/B', GRPC, 'POST');
const GRPC_HEAD = [':status', '200', 'content-type', 'application/grpc'];

/** Timers fire less than two ticks of the wheel late. */
const LATE_MS = 20;

// ---------------------------------------------------------------- a session by itself

function session1(prepare: (bench: SessionBench) => void): () => Promise<Waiting> {
  return async () => {
    const bench = sessionBench('http1', {}, ANSWER);
    prepare(bench);
    bench.transport.take();
    return {
      advance: (ms) => bench.clock.advance(ms),
      now: () => bench.told(),
      outcome: async () => bench.told(),
    };
  };
}

const NO_ANSWER = (): void => undefined;
const ANSWER = ({ sender }: HeldRequest): void => sender.sendHead(answerHead(['content-length', '0']), true);

function session2(prepare: (bench: SessionBench) => void, onRequest = ANSWER): () => Promise<Waiting> {
  return async () => {
    const bench = sessionBench('http2', {}, onRequest);
    prepare(bench);
    const words = (): string => {
      const state = bench.state(1);
      return state === 'open' ? '' : state;
    };
    return { advance: (ms) => bench.clock.advance(ms), now: words, outcome: async () => words() };
  };
}

const hello = (bench: SessionBench): void => bench.peer.send(PREFACE, settings(), SETTINGS_ACK);

// ---------------------------------------------------------------- the whole data plane

/** What comes to a caller of the scene. */
interface Watched {
  now(): string;
  outcome(): Promise<string>;
}

/** Sets the scene up, lets `act` prepare what waits, and clears it away when it has ended. */
function staged(
  options: SceneOptions,
  act: (scene: Scene) => Promise<Watched>,
  beforeEnd: () => void = () => undefined,
): () => Promise<Waiting> {
  return async () => {
    const scene = await openScene(options);
    const watched = await act(scene);
    await turns();
    return {
      advance: (ms) => scene.clock.advance(ms),
      async now() {
        await turns();
        const words = watched.now();
        if (words !== '') scene.close();
        return words;
      },
      async outcome() {
        beforeEnd();
        const words = await watched.outcome();
        scene.close();
        return words;
      },
    };
  };
}

/** An HTTP/1 caller that sends `bytes`. */
async function caller1(scene: Scene, bytes: string): Promise<Watched> {
  const caller = await openCaller1(scene);
  if (bytes !== '') caller.send(bytes);
  return { now: () => (caller.bytes > 0 ? caller.text : ''), outcome: () => answerWords(caller, scene) };
}

/** An HTTP/2 caller that sends `frames` and looks at stream 1. */
async function stream1(scene: Scene, ...frames: Uint8Array[]): Promise<Watched> {
  const caller = await caller2(scene);
  caller.send(...frames);
  return { now: () => caller.wordsOf(1), outcome: () => caller.ended(1) };
}

// ---------------------------------------------------------------- callers that don't read

const LARGE = 24 << 20;
/** Answers more than the kernel's buffers hold. */
const ANSWERS_LARGE: Script = {
  version: 1,
  onRequest(write) {
    write(`HTTP/1.1 200 OK\r\nContent-Length: ${LARGE}\r\n\r\n`);
    for (let sent = 0; sent < LARGE; sent += 1 << 20) write('x'.repeat(1 << 20));
  },
};

/** Begins to read its answer and stops. */
async function deaf1(scene: Scene): Promise<Watched & { readOn(): void }> {
  const caller = await openCaller1(scene);
  caller.send(GET);
  await caller.until('\r\n\r\n');
  caller.socket.pause();
  await settled(() => caller.socket.bytesRead);
  return {
    now: () => scene.counted(),
    outcome: () => answerWords(caller, scene),
    readOn: () => caller.socket.resume(),
  };
}

/** Grants no window beyond the first. */
async function deaf2(scene: Scene, ...frames: Uint8Array[]): Promise<Watched> {
  const caller = await caller2(scene);
  caller.send(...frames);
  while (caller.status(1) === '') await caller.news();
  await settled(() => caller.connection.seen('DATA'));
  return { now: () => caller.wordsOf(1), outcome: () => caller.ended(1) };
}

/** Waits until a number has not changed for some turns. */
async function settled(read: () => number): Promise<void> {
  for (let before = -1, now = read(); before !== now; now = read()) {
    before = now;
    await turns(30);
  }
}

// ---------------------------------------------------------------- upstreams that fall silent

/** The upstream's end of a call that waits, and how many PINGs it has seen. */
function silentUpstream(answersPing: boolean): { options: SceneOptions; pings: () => number } {
  let pings = 0;
  const script: Script = {
    version: 2,
    onRequest(connection) {
      const before = connection.onFrame;
      connection.onFrame = (seen) => {
        if (seen.type !== 'PING') return before(seen);
        if ((seen.flags & 1) === 1) return;
        pings++;
        if (answersPing) connection.send(frame(TYPE.PING, 1, 0, seen.payload));
      };
    },
  };
  return { options: { script }, pings: () => pings };
}

function pinged(answersPing: boolean, first: boolean): () => Promise<Waiting> {
  return async () => {
    const { options, pings } = silentUpstream(answersPing);
    const scene = await openScene(options);
    const watched = await stream1(scene, block(1, CALL));
    while (scene.requests() === 0) await turns(1);
    await turns();
    const { pingAfterMs } = DEFAULT_LIMITS;
    if (!first) {
      scene.clock.advance(pingAfterMs + LATE_MS);
      while (pings() === 0) await turns(1);
      await turns();
    }
    const before = pings();
    return {
      begunMs: first ? 0 : LATE_MS,
      advance: (ms) => scene.clock.advance(ms),
      async now() {
        await turns();
        return pings() > before || watched.now() !== '' ? `too early: ${watched.now()}` : '';
      },
      async outcome() {
        if (!first && !answersPing) {
          const words = await watched.outcome();
          scene.close();
          return words;
        }
        while (pings() === before) await turns(1);
        scene.close();
        return 'PING';
      },
    };
  };
}

// ---------------------------------------------------------------- rows of their own kind

/** Nothing happens however long it takes. */
function restRow(limit: keyof WireLimits, where: string, arm: () => Promise<Waiting>): LimitRow {
  const n = DEFAULT_LIMITS[limit];
  return {
    limit,
    where,
    n,
    async check() {
      const waiting = await arm();
      waiting.advance(n + LATE_MS);
      assert.equal(await waiting.now(), '');
      await waiting.outcome();
    },
  };
}

/** Age counts between 0.9 and 1.1 of the figure, for this connection somewhere between. */
function ageRow(where: string, isDraining: (bench: SessionBench) => boolean, arm: () => SessionBench): LimitRow {
  const n = 100_000;
  return {
    limit: 'connectionAgeMs',
    where,
    n,
    async check() {
      for (const [ms, expected] of [
        [0.9 * n - LATE_MS, false],
        [1.1 * n + LATE_MS, true],
      ] as const) {
        const bench = arm();
        let drains = isDraining(bench);
        // It isn't idle: a request now and then.
        for (let left = ms; left > 0; left -= 10_000) {
          bench.clock.advance(Math.min(left, 10_000));
          drains ||= isDraining(bench);
        }
        assert.equal(drains, expected, `after ${ms} ms`);
      }
    },
  };
}

const AGE = { connectionAgeMs: 100_000 };

export const rows: readonly LimitRow[] = [
  timeRow(
    'headTimeMs',
    'an HTTP/1 head',
    '408, closed (request_timeout)',
    session1((bench) => {
      bench.transport.feed('GET / HTTP/1.1\r\nHo');
    }),
  ),
  timeRow(
    'headTimeMs',
    'an HTTP/2 head',
    'GOAWAY ENHANCE_YOUR_CALM (request_timeout)',
    session2((bench) => {
      hello(bench);
      bench.peer.send(frame(TYPE.HEADERS, 1, 1, literals(request())));
    }),
  ),
  timeRow(
    'firstRequestMs',
    'a connection that says nothing',
    'closed',
    staged({}, (scene) => caller1(scene, '')),
  ),
  timeRow(
    'firstRequestMs',
    'a part of a request line',
    '408 (request_timeout)',
    staged({}, (scene) => caller1(scene, 'GE')),
  ),
  timeRow(
    'firstRequestMs',
    'a part of the preface of HTTP/2',
    'closed',
    staged({}, (scene) => caller1(scene, 'PRI')),
  ),
  timeRow('firstRequestMs', 'HTTP/2 without a request', 'GOAWAY NO_ERROR', session2(hello)),
  timeRow(
    'idleMs',
    'HTTP/1 between two requests',
    'closed',
    session1((bench) => bench.transport.feed(GET)),
  ),
  timeRow(
    'idleMs',
    'HTTP/2 without a stream',
    'GOAWAY NO_ERROR',
    session2((bench) => {
      hello(bench);
      bench.peer.send(headers(1, request()));
    }),
  ),
  timeRow('handshakeMs', 'a TLS handshake', 'closed (tls_handshake_failure)', async () => {
    const tls = listenerTls([await selfSigned()]);
    return staged({ tls }, (scene) => caller1(scene, '\x16\x03\x01'))();
  }),
  timeRow(
    'requestIdleMs',
    'an HTTP/1 body',
    '408 (request_timeout)',
    staged({ script: SILENT }, (scene) => caller1(scene, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc')),
  ),
  timeRow(
    'requestIdleMs',
    'an HTTP/2 body',
    '408 (request_timeout)',
    staged({ script: SILENT }, (scene) => stream1(scene, headers(1, request('/', [], 'POST'), false), data(1, 'abc'))),
  ),
  restRow(
    'requestIdleMs',
    'not for a gRPC call',
    staged({ script: SILENT_2 }, async (scene) => {
      const { now } = await stream1(scene, headers(1, CALL, false), data(1, 'abc'));
      return { now, outcome: async () => '' };
    }),
  ),
  {
    limit: 'flushMs',
    where: 'an HTTP/1 answer',
    n: DEFAULT_LIMITS.flushMs,
    check: async () => {
      let readOn: () => void = () => undefined;
      const arm = staged(
        { script: ANSWERS_LARGE },
        async (scene) => {
          const watched = await deaf1(scene);
          readOn = watched.readOn;
          return watched;
        },
        () => readOn(),
      );
      await timeRow('flushMs', '', '200, cut (flush_timeout)', arm).check();
    },
  },
  timeRow(
    'flushMs',
    'an HTTP/2 answer',
    '200, RST_STREAM CANCEL (flush_timeout)',
    staged({ script: ANSWERS_LARGE }, (scene) => deaf2(scene, headers(1, request()))),
  ),
  timeRow(
    'flushMs',
    'a gRPC answer that waits whole',
    '200, RST_STREAM CANCEL (flush_timeout)',
    staged(
      {
        script: says2((id) =>
          Buffer.concat([
            headers(id, GRPC_HEAD, false),
            ...Array.from({ length: 5 }, () => data(id, Buffer.alloc(13_500))),
            headers(id, ['grpc-status', '0']),
          ]),
        ),
      },
      (scene) => deaf2(scene, block(1, CALL)),
    ),
  ),
  timeRow(
    'settingsAckMs',
    'a caller that does not acknowledge',
    'GOAWAY SETTINGS_TIMEOUT (bad_request)',
    session2((bench) => {
      bench.peer.send(PREFACE, settings(), headers(1, request(), false));
    }, NO_ANSWER),
  ),
  timeRow('pingAfterMs', 'an upstream with a call in flight', 'PING', pinged(true, true)),
  timeRow('pingAgainMs', 'one that answers PING and nothing else', 'PING', pinged(true, false)),
  timeRow('pingAckMs', 'one that does not answer', 'grpc 14 (upstream_reset)', pinged(false, false)),
  ageRow(
    'HTTP/1: the next answer is the last',
    (bench) => {
      bench.transport.feed(GET);
      return bench.transport.take().toString('latin1').includes('Connection: close');
    },
    () => sessionBench('http1', AGE, ANSWER),
  ),
  ageRow(
    'HTTP/2',
    (bench) => bench.frames().some(({ type }) => type === 'GOAWAY'),
    () => {
      const bench = sessionBench('http2', AGE);
      hello(bench);
      bench.peer.send(headers(1, CALL, false)); // a stream that stays open
      return bench;
    },
  ),
];
