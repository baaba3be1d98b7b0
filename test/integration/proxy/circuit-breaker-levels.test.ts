// What circuit breakers count goes back to exactly 0, whatever ends a call and in which phase: its caller, the endpoint,
// a time, an edit. Each test stands in one phase, looks at the levels, and then at those that are left: none.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { issueAuthority } from '../../support/certificates.ts';
import { endpointAt, type TestPolicy } from '../../support/data-plane.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { ANSWER_HEAD, callFields, message } from '../../support/grpc-peer.ts';
import { GrpcScene } from '../../support/grpc-scene.ts';
import { headers } from '../../support/h2-peer.ts';
import { closedPort } from '../../support/raw-server.ts';
import { upstreamTls } from '../../support/tls-peer.ts';
import { cut, ScenePlane, UpstreamScene } from '../../support/upstream-scene.ts';

const scene = new UpstreamScene();
const grpc = new GrpcScene();
after(() => {
  scene.close();
  grpc.close();
});

const hold = (): void => undefined;
/** High enough to stand in nobody's way: the counting is what is looked at. */
const LIMITS = {
  maxConnections: 100,
  maxPendingRequests: 100,
  maxRequests: 100,
  maxRetries: 100,
  maxRequestsPerEndpoint: 100,
};

/** Connecting to it never ends: it accepts, and says nothing in the TLS handshake. */
async function unanswered(policy: TestPolicy): Promise<ScenePlane> {
  const mute = await scene.endpoint(hold);
  const tls = upstreamTls(await issueAuthority(), { serverName: 'localhost' });
  return scene.plane([mute], { scheme: 'https', tls, ...policy });
}

const UPGRADE =
  'GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n' +
  'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
const SWITCHED = 'HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';

describe('levels after the caller went away', () => {
  it('while it waited for a connection', async () => {
    const endpoint = await scene.endpoint(hold);
    const one = await scene.plane([endpoint], { circuitBreakers: { ...LIMITS, maxConnections: 1 } });
    const first = await scene.caller(one);
    await one.until(() => endpoint.calls.length === 1, 'arrived');
    const waiting = [await scene.caller(one), await scene.caller(one)];
    await one.reaches({ requests: 3, pending: 2, connections: 1, attempts: 3 });
    cut(waiting[0]?.socket);
    cut(waiting[1]?.socket);
    await one.reaches({ requests: 1, pending: 0, connections: 1, attempts: 1 });
    endpoint.calls[0]?.reply(200);
    await first.until(String(endpoint.port));
    assert.equal(endpoint.calls.length, 1);
    await one.comesToRest();
  });

  it('while it was being connected: that goes on for others, and its time ends it', async () => {
    const one = await unanswered({ timeout: { connectMs: 3000 }, circuitBreakers: { ...LIMITS, maxConnections: 1 } });
    const caller = await scene.caller(one);
    await one.reaches({ requests: 1, pending: 1, connections: 1, retries: 0, attempts: 1 });
    cut(caller.socket);
    await one.reaches({ requests: 0, pending: 0, connections: 1, attempts: 0 });
    one.clock.advance(3100);
    await one.comesToRest();
  });

  it('after the request was sent, and in the middle of its body', async () => {
    const endpoint = await scene.endpoint(hold);
    const one = await scene.plane([endpoint], { circuitBreakers: LIMITS });
    const whole = await scene.caller(one);
    const half = await scene.caller(one, 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf');
    await one.until(() => endpoint.calls.length === 2, 'arrived');
    assert.deepEqual(one.levels, { requests: 2, pending: 0, connections: 2, retries: 0, attempts: 2 });
    cut(whole.socket);
    half.socket.end();
    await one.comesToRest();
    assert.deepEqual(
      one.plane.records.map(({ error }) => error),
      ['downstream_reset', 'downstream_reset'],
    );
  });

  it('in the same moment in which it sent its request', async () => {
    const endpoint = await scene.endpoint(hold);
    const one = await scene.plane([endpoint], { circuitBreakers: LIMITS });
    const caller = await scene.caller(one, '');
    await one.until(() => one.plane.quota.open === 1, 'accepted');
    // Both are in the kernel before the listener looks: there it reads as bytes and an end.
    caller.send('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    cut(caller.socket);
    await one.until(() => one.plane.records.length === 1, 'noticed');
    assert.equal(one.plane.records[0]?.error, 'downstream_reset');
    assert.equal(one.plane.quota.open, 0);
    await one.comesToRest();
  });

  it('in the middle of the answer', async () => {
    const endpoint = await scene.endpoint(({ socket }) => {
      socket.write('HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\nhalf');
    });
    const one = await scene.plane([endpoint], { circuitBreakers: LIMITS });
    const caller = await scene.caller(one);
    await caller.until('half');
    assert.deepEqual(one.levels, { requests: 1, pending: 0, connections: 1, retries: 0, attempts: 1 });
    cut(caller.socket);
    await one.comesToRest();
  });

  it('while a further attempt was waited for, with an answer kept back, and while it ran', async () => {
    const bad = await scene.endpoint(({ socket }) => {
      // Its body isn't whole: the attempt whose answer is kept back is in flight still.
      socket.write('HTTP/1.1 503 X\r\ncontent-length: 10\r\n\r\nhalf');
    });
    const slow = await scene.endpoint(hold);
    const one = await scene.plane([bad, endpointAt(slow.port, { priority: -1 })], {
      attempts: { retryOn: ['503'], backoff: { initialMs: 500, maxMs: 500 } },
      circuitBreakers: LIMITS,
    });
    const waiting = await scene.caller(one);
    await one.reaches({ requests: 1, connections: 1, retries: 1, attempts: 1 });
    cut(waiting.socket);
    await one.comesToRest();
    one.clock.advance(1000);
    assert.equal(slow.calls.length, 0);

    const running = await scene.caller(one);
    await one.reaches({ retries: 1 });
    one.clock.advance(600);
    await one.until(() => slow.calls.length === 1, 'further attempt');
    assert.deepEqual(one.levels, { requests: 1, pending: 0, connections: 2, retries: 1, attempts: 2 });
    cut(running.socket);
    await one.comesToRest();
  });

  it('over HTTP/2, by RST_STREAM in each phase and by the end of its connection', async () => {
    const endpoint = await grpc.endpoint((call) => {
      call.peer.send(headers(call.id, ANSWER_HEAD, false));
    });
    const clock = new FakeClock();
    const plane = await grpc.plane([endpoint], { circuitBreakers: LIMITS }, { clock });
    const one = new ScenePlane(plane, clock);
    const caller = await grpc.caller(plane);
    const early = caller.call(callFields(), undefined, false);
    early.reset(8);
    const middle = caller.call(callFields(), message('x'), false);
    await one.until(() => middle.heads.length === 1, 'answered');
    assert.equal(one.levels.attempts, one.levels.requests);
    middle.reset(8);
    await one.reaches({ requests: 0, attempts: 0 });
    for (let i = 0; i < 5; i++) caller.call(callFields(), message('x'));
    await one.reaches({ requests: 5, attempts: 5, connections: 1 });
    caller.cut('rst');
    await one.comesToRest();
  });
});

describe('levels after the endpoint failed', () => {
  it('refused the connection, reset it before, after the head, in the middle; ended it; broke the protocol', async () => {
    const dead = await closedPort();
    const faulty = await scene.endpoint(({ socket }) => {
      const said = [
        '',
        'HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\n',
        'HTTP/1.1 200 X\r\ncontent-length: 10\r\n\r\nhalf',
        'HTTP/1.1 nonsense\r\n\r\n',
      ];
      const turn = faulty.calls.length - 1;
      if (turn === 4) socket.end();
      else socket.write(said[turn] ?? '', () => (turn === 3 ? undefined : cut(socket)));
    });
    const one = await scene.plane([endpointAt(dead, { priority: 1 }), faulty], { circuitBreakers: LIMITS });
    for (let i = 0; i < 5; i++) {
      // POST: no further attempt once it was written.
      await one.call({ method: 'POST', body: 'x' }).catch(() => undefined);
      await one.reaches({ requests: 0, retries: 0, attempts: 0, pending: 0 });
    }
    assert.equal(faulty.calls.length, 5);
    assert.equal(one.plane.records.length, 5);
    assert.ok(one.plane.records.every(({ attempts }) => attempts.length === 2));
    await one.comesToRest();
  });

  it('over HTTP/2: RST_STREAM, REFUSED_STREAM (replayed), GOAWAY, the end of the connection, no SETTINGS', async () => {
    let plays = 0;
    const endpoint = await grpc.endpoint((call) => {
      const turn = plays++;
      if (turn === 0) call.reset(2);
      else if (turn === 1 || turn === 2) call.reset(7);
      else if (turn === 3) call.peer.cut('rst');
      else if (turn === 4) {
        call.peer.send(headers(call.id, ANSWER_HEAD, false));
        call.peer.cut('fin');
      } else call.answer();
    });
    const mute = await scene.endpoint(hold);
    const clock = new FakeClock();
    const plane = await grpc.plane([endpoint], { circuitBreakers: LIMITS, attempts: { maxAttempts: 1 } }, { clock });
    const one = new ScenePlane(plane, clock);
    const caller = await grpc.caller(plane);
    for (let i = 0; i < 5; i++) {
      const call = caller.call(callFields(), message('x'));
      await one.until(() => call.isOver, 'over');
      await one.reaches({ requests: 0, attempts: 0, pending: 0, retries: 0 });
    }
    assert.ok(plays >= 6);
    await one.comesToRest();

    const silent = await grpc.plane([mute], { circuitBreakers: LIMITS, attempts: { maxAttempts: 1 } }, { clock });
    const other = new ScenePlane(silent, clock);
    const call = (await grpc.caller(silent)).call(callFields(), message('x'));
    await other.until(() => mute.connections.length === 1, 'connected');
    cut(mute.connections[0]);
    await other.until(() => call.isOver, 'over');
    await other.comesToRest();
  });
});

describe('levels after a time was over', () => {
  it('per_try_timeout, with and without a further attempt', async () => {
    const [slow, slower] = await scene.endpoints(2, hold);
    assert.ok(slow && slower);
    const one = await scene.plane([slow, endpointAt(slower.port, { priority: -1 })], {
      attempts: { perTryTimeoutMs: 200 },
      circuitBreakers: LIMITS,
    });
    const call = one.call();
    await one.until(() => slow.calls.length === 1, 'first');
    one.clock.advance(230);
    await one.until(() => slower.calls.length === 1, 'second');
    assert.deepEqual([one.levels.retries, one.levels.attempts], [1, 1]);
    one.clock.advance(230);
    const answer = await call;
    assert.deepEqual([answer.status, answer.headers['x-outrigger-reason']], [504, 'per_try_timeout']);
    await one.comesToRest();
  });

  it('timeout.total while it waited for a connection, and a deadline while it was answered', async () => {
    const endpoint = await scene.endpoint(hold);
    const one = await scene.plane([endpoint], {
      timeout: { totalMs: 300 },
      circuitBreakers: { ...LIMITS, maxConnections: 1 },
    });
    const calls = [one.call(), one.call()];
    await one.reaches({ requests: 2, pending: 1 });
    await one.until(() => endpoint.calls.length === 1, 'arrived');
    one.clock.advance(330);
    for (const call of calls) assert.equal((await call).headers['x-outrigger-reason'], 'total_timeout');
    await one.comesToRest();

    const stream = await grpc.endpoint((call) => call.peer.send(headers(call.id, ANSWER_HEAD, false)));
    const clock = new FakeClock();
    const plane = await grpc.plane([stream], { circuitBreakers: LIMITS }, { clock });
    const other = new ScenePlane(plane, clock);
    const call = (await grpc.caller(plane)).call(callFields('/a.B/C', ['grpc-timeout', '1S']), message('x'));
    await other.until(() => call.heads.length === 1, 'head');
    clock.advance(1100);
    await other.until(() => call.isOver, 'over');
    await other.comesToRest();
  });

  it('timeout.connect', async () => {
    const one = await unanswered({ timeout: { connectMs: 300 }, circuitBreakers: LIMITS });
    const call = one.call();
    await one.reaches({ requests: 1, pending: 1, connections: 1, attempts: 1 });
    one.clock.advance(330);
    assert.equal((await call).headers['x-outrigger-reason'], 'connect_timeout');
    await one.comesToRest();
  });
});

describe('levels of tunnels', () => {
  for (const [how, end] of [
    ['the caller cut it', 'caller'],
    ['the endpoint cut it', 'endpoint'],
    ['both ended it', 'both'],
    ['timeout.idle passed', 'idle'],
  ] as const) {
    it(`after ${how}`, async () => {
      const endpoint = await scene.endpoint(({ socket }) => {
        socket.removeAllListeners('data');
        socket.write(SWITCHED);
      });
      const one = await scene.plane([endpoint], { timeout: { idleMs: 5000 }, circuitBreakers: LIMITS });
      const caller = await scene.caller(one, UPGRADE);
      await caller.until('101');
      assert.deepEqual(one.levels, { requests: 1, pending: 0, connections: 1, retries: 0, attempts: 1 });
      const far = endpoint.calls[0]?.socket;
      if (end === 'caller') cut(caller.socket);
      else if (end === 'endpoint') cut(far);
      else if (end === 'both') {
        caller.socket.end();
        far?.end();
      } else one.clock.advance(5100);
      await one.reaches({ requests: 0, attempts: 0 });
      one.clock.advance(10_000); // who lingers is closed in the end
      await one.comesToRest();
    });
  }
});

describe('levels after an edit', () => {
  it('removal of an endpoint with calls in flight and waiting: they finish, and nothing is left', async () => {
    const [leaving, staying] = await scene.endpoints(2, hold);
    assert.ok(leaving && staying);
    const one = await scene.plane([leaving], { circuitBreakers: { ...LIMITS, maxConnections: 1 } });
    const calls = [one.call()];
    await one.until(() => leaving.calls.length === 1, 'arrived');
    calls.push(one.call());
    await one.reaches({ requests: 2, pending: 1 });
    await one.plane.update([staying.port]);
    await one.until(() => leaving.calls.length === 2, 'who waited goes where it was going');
    assert.deepEqual(one.levels, { requests: 2, pending: 0, connections: 2, retries: 0, attempts: 0 });
    leaving.calls[0]?.reply(200);
    leaving.calls[1]?.reply(200);
    for (const call of calls) assert.equal((await call).status, 200);
    await one.comesToRest();
    staying.play = 200;
    assert.equal((await one.call()).body.toString(), String(staying.port));
    await one.comesToRest();
  });

  it('limits taken away and set again while calls run', async () => {
    const endpoint = await scene.endpoint(hold);
    const one = await scene.plane([endpoint], { circuitBreakers: LIMITS });
    const calls = [one.call(), one.call()];
    await one.until(() => endpoint.calls.length === 2, 'arrived');
    await one.plane.update([endpoint.port], { circuitBreakers: {} });
    calls.push(one.call());
    await one.until(() => endpoint.calls.length === 3, 'arrived');
    await one.plane.update([endpoint.port], { circuitBreakers: { maxRequests: 3, maxConnections: 3 } });
    assert.equal((await one.call()).headers['x-outrigger-reason'], 'overflow');
    for (const call of endpoint.calls) call.reply(200);
    for (const call of calls) assert.equal((await call).status, 200);
    await one.comesToRest();
  });

  it('a new scheme: connections of the old one finish and are gone', async () => {
    const endpoint = await scene.endpoint(hold);
    const one = await scene.plane([endpoint], { circuitBreakers: LIMITS });
    const call = one.call();
    await one.until(() => endpoint.calls.length === 1, 'arrived');
    await one.plane.update([endpoint.port], { scheme: 'grpc' });
    assert.deepEqual(one.levels, { requests: 1, pending: 0, connections: 1, retries: 0, attempts: 1 });
    endpoint.calls[0]?.reply(200);
    assert.equal((await call).status, 200);
    await one.comesToRest();
  });

  it('many calls whose callers leave at any time', async () => {
    const endpoints = await scene.endpoints(3, (call) => {
      const lot = (call.text.length * 7 + call.socket.bytesRead) % 5;
      if (lot < 2) call.reply(200);
      else if (lot === 2) call.reply(503);
      else if (lot === 3) cut(call.socket);
    });
    const one = await scene.plane(endpoints, {
      attempts: { retryOn: ['503', 'reset', 'connect-failure'], backoff: { initialMs: 20, maxMs: 20 } },
      circuitBreakers: { maxConnections: 6, maxPendingRequests: 8, maxRequests: 20, maxRetries: 3 },
    });
    for (let round = 0; round < 8; round++) {
      const callers = await Promise.all(
        Array.from({ length: 16 }, (_, i) => scene.caller(one, `GET /${'x'.repeat(i)} HTTP/1.1\r\nhost: a\r\n\r\n`)),
      );
      for (let step = 0; step < 4; step++) {
        await delay(1);
        one.clock.advance(10);
        const { requests, pending, connections, retries } = one.levels;
        assert.ok(requests <= 20 && pending <= 8 && connections <= 6 && retries <= 3, JSON.stringify(one.levels));
        for (const [i, { socket }] of callers.entries()) if (i % 4 === step) cut(socket);
      }
    }
    await one.comesToRest();
  });
});
