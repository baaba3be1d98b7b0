// Circuit breakers through the whole data plane: the call beyond each limit is refused as documented, and Explain,
// GetSnapshot and the metrics tell of it.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { endpointAt } from '../../support/data-plane.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { callFields, message, type GrpcPeer } from '../../support/grpc-peer.ts';
import { assertTrailersOnly, GrpcScene } from '../../support/grpc-scene.ts';
import type { HttpAnswer } from '../../support/http-call.ts';
import { ScenePlane, UpstreamScene, type PlayedEndpoint } from '../../support/upstream-scene.ts';

const scene = new UpstreamScene();
const grpc = new GrpcScene();
after(() => {
  scene.close();
  grpc.close();
});

const hold = (): void => undefined;

/** A refusal by a limit. */
function assertOverflow(answer: HttpAnswer, limit: string): void {
  assert.equal(answer.status, 503);
  assert.equal(answer.headers['x-outrigger-reason'], 'overflow');
  assert.equal(answer.body.toString(), `too many requests wait: ${limit}\n`);
}

async function overflows(one: ScenePlane, name: string, count: number): Promise<void> {
  const short = { max_pending_requests: 'pending', max_requests_per_endpoint: 'endpoints' }[name] ?? name.slice(4);
  assert.deepEqual(one.status().overflows, count === 0 ? {} : { [name]: BigInt(count) });
  assert.equal(await one.metric(`outrigger_upstream_overflow_${short}_total{`), count);
}

/** Starts calls, each after the one before has arrived, whatever becomes of them. */
async function startCalls(one: ScenePlane, endpoint: PlayedEndpoint, count: number): Promise<Promise<HttpAnswer>[]> {
  const calls: Promise<HttpAnswer>[] = [];
  for (let i = 0; i < count; i++) {
    const before = endpoint.calls.length;
    calls.push(one.call());
    await one.until(() => endpoint.calls.length > before, 'arrived');
  }
  return calls;
}

function replyAll({ calls }: PlayedEndpoint): void {
  for (const call of calls) call.reply(200);
}

describe('max_requests', () => {
  it('the call beyond it gets 503 with reason overflow at once, and reaches nobody', async () => {
    const endpoint = await scene.endpoint(hold);
    const one = await scene.plane([endpoint], { circuitBreakers: { maxRequests: 2 } });
    const calls = await startCalls(one, endpoint, 2);
    assert.equal(one.status().inFlight, 2);
    for (let i = 0; i < 3; i++) assertOverflow(await one.call(), 'max_requests is 2');
    assert.equal(one.status().inFlight, 2);
    assert.equal(endpoint.calls.length, 2);
    await overflows(one, 'max_requests', 3);
    assert.deepEqual(
      one.plane.records.map(({ error, attempts }) => [error, attempts.length]),
      [1, 2, 3].map(() => ['overflow', 0]),
    );
    replyAll(endpoint);
    for (const call of calls) assert.equal((await call).status, 200);
    endpoint.play = 200;
    assert.equal((await one.call()).status, 200);
    await one.comesToRest();
  });

  it('a gRPC caller gets RESOURCE_EXHAUSTED; the limit is of one port, over all its endpoints', async () => {
    const endpoints = [await grpc.endpoint(hold), await grpc.endpoint(hold)];
    const clock = new FakeClock();
    const plane = await grpc.plane(endpoints, { circuitBreakers: { maxRequests: 2 } }, { clock });
    const one = new ScenePlane(plane, clock);
    const caller = await grpc.caller(plane);
    const held = [caller.call(callFields(), message('a')), caller.call(callFields(), message('b'))];
    await one.until(() => endpoints.every(({ calls }) => calls.length === 1), 'arrived');
    const refused = caller.call(callFields(), message('c'));
    await refused.over();
    assertTrailersOnly(refused, 8);
    assert.equal(refused.field('x-outrigger-reason'), 'overflow');
    assert.equal(refused.field('grpc-message'), 'too many requests wait: max_requests is 2');
    for (const { calls } of endpoints) for (const call of calls) call.answer();
    for (const call of held) {
      await call.over();
      assert.equal(call.grpcStatus, '0');
    }
    await one.comesToRest();
  });

  it('an edit of the policy holds from the next call on', async () => {
    const endpoint = await scene.endpoint(hold);
    const one = await scene.plane([endpoint], { circuitBreakers: { maxRequests: 3 } });
    const calls = await startCalls(one, endpoint, 3);
    await one.plane.update([endpoint.port], { circuitBreakers: { maxRequests: 1 } });
    assertOverflow(await one.call(), 'max_requests is 1');
    await one.plane.update([endpoint.port], { circuitBreakers: { maxRequests: 4 } });
    calls.push(...(await startCalls(one, endpoint, 1)));
    assertOverflow(await one.call(), 'max_requests is 4');
    await one.plane.update([endpoint.port], { circuitBreakers: {} });
    calls.push(...(await startCalls(one, endpoint, 2)));
    replyAll(endpoint);
    for (const call of calls) assert.equal((await call).status, 200);
    await one.comesToRest();
  });
});

describe('max_connections', () => {
  it('a call beyond it waits for a connection that there is, and never opens another', async () => {
    const endpoint = await scene.endpoint(hold);
    const one = await scene.plane([endpoint], { circuitBreakers: { maxConnections: 2 } });
    const calls = await startCalls(one, endpoint, 2);
    calls.push(one.call());
    await one.reaches({ pending: 1, requests: 3, connections: 2 });
    assert.equal(one.status().pending, 1);
    await overflows(one, 'max_connections', 1);
    assert.equal(endpoint.connections.length, 2);
    endpoint.calls[0]?.reply(200);
    await one.until(() => endpoint.calls.length === 3, 'the third took over a connection');
    assert.equal(endpoint.calls[2]?.socket, endpoint.calls[0]?.socket);
    replyAll(endpoint);
    for (const call of calls) assert.equal((await call).status, 200);
    assert.equal(endpoint.connections.length, 2);
    await one.comesToRest();
  });

  it('an idle connection to another endpoint gives way', async () => {
    const [a, b] = await scene.endpoints(2);
    assert.ok(a && b);
    const one = await scene.plane([a, b], { circuitBreakers: { maxConnections: 1 } });
    for (let i = 0; i < 6; i++) assert.equal((await one.callAsExplained()).status, 200);
    assert.equal(one.levels.connections, 1);
    assert.deepEqual([a.calls.length, b.calls.length], [3, 3]);
    await one.comesToRest();
  });

  it('an endpoint without a connection may open one beyond the limit, and no second', async () => {
    const [a, b] = await scene.endpoints(2, hold);
    assert.ok(a && b);
    const one = await scene.plane([a, b], { circuitBreakers: { maxConnections: 1 } });
    const calls = [one.call(), one.call()];
    await one.until(() => a.calls.length === 1 && b.calls.length === 1, 'arrived at both');
    calls.push(one.call(), one.call());
    await one.reaches({ pending: 2 });
    assert.equal(one.levels.connections, 2);
    for (const endpoint of [a, b]) {
      replyAll(endpoint);
      await one.until(() => endpoint.calls.length === 2, 'who waited');
      replyAll(endpoint);
    }
    for (const call of calls) assert.equal((await call).status, 200);
    await one.comesToRest();
  });

  it('names, and connections that are leaving, don’t lift the limit', async () => {
    const endpoint = await scene.endpoint(hold);
    // Each connection carries one request, so each is leaving as soon as it is there.
    const one = await scene.plane([endpoint], {
      circuitBreakers: { maxConnections: 2 },
      keepalivePool: { size: 4, idleTimeoutMs: 60_000, requests: 1 },
    });
    const calls = Array.from({ length: 8 }, () => one.call());
    await one.until(() => endpoint.calls.length === 2, 'two of them');
    await one.reaches({ pending: 6 });
    assert.equal(one.levels.connections, 2);
    for (let i = 0; i < 8; i++) {
      await one.until(() => endpoint.calls.length > i, `call ${i}`);
      endpoint.calls[i]?.reply(200);
      assert.ok(one.levels.connections <= 2, String(one.levels.connections));
    }
    for (const call of calls) assert.equal((await call).status, 200);
    await one.comesToRest();
  });

  it('an idle connection gives way first', async () => {
    const [a, b] = await scene.endpoints(2);
    assert.ok(a && b);
    const one = await scene.plane([a, b], { circuitBreakers: { maxConnections: 1 } });
    for (let i = 0; i < 6; i++) {
      assert.equal((await one.call()).status, 200);
      assert.ok(one.levels.connections <= 1, String(one.levels.connections));
    }
    await one.comesToRest();
  });

  it('a limit that is raised or taken away lets those who wait go on', async () => {
    const endpoint = await scene.endpoint(hold);
    const one = await scene.plane([endpoint], { circuitBreakers: { maxConnections: 1 } });
    const calls = await startCalls(one, endpoint, 1);
    calls.push(one.call(), one.call(), one.call());
    await one.reaches({ pending: 3 });
    await one.plane.update([endpoint.port], { circuitBreakers: { maxConnections: 2 } });
    await one.until(() => endpoint.calls.length === 2, 'one more');
    assert.deepEqual([one.levels.pending, one.levels.connections], [2, 2]);
    await one.plane.update([endpoint.port], { circuitBreakers: {} });
    await one.until(() => endpoint.calls.length === 4, 'all');
    replyAll(endpoint);
    for (const call of calls) assert.equal((await call).status, 200);
    await one.comesToRest();
  });

  it('streams of one HTTP/2 connection share it', async () => {
    const endpoint = await grpc.endpoint((call) => {
      call.onEnd = () => call.answer();
    });
    const clock = new FakeClock();
    const plane = await grpc.plane([endpoint], { circuitBreakers: { maxConnections: 1 } }, { clock });
    const one = new ScenePlane(plane, clock);
    const caller: GrpcPeer = await grpc.caller(plane);
    const calls = Array.from({ length: 20 }, () => caller.call(callFields(), message('x')));
    for (const call of calls) {
      await call.over();
      assert.equal(call.grpcStatus, '0');
    }
    assert.equal(endpoint.peers.length, 1);
    await one.comesToRest();
  });
});

describe('max_pending_requests', () => {
  it('of those that wait for a connection the one beyond it is refused', async () => {
    const endpoint = await scene.endpoint(hold);
    const one = await scene.plane([endpoint], { circuitBreakers: { maxConnections: 1, maxPendingRequests: 2 } });
    const calls = await startCalls(one, endpoint, 1);
    calls.push(one.call(), one.call());
    await one.reaches({ pending: 2 });
    for (let i = 0; i < 2; i++) assertOverflow(await one.call(), 'max_pending_requests is 2');
    assert.equal(one.levels.pending, 2);
    assert.equal(one.status().overflows['max_pending_requests'], 2n);
    assert.equal(await one.metric('outrigger_upstream_overflow_pending_total{'), 2);
    for (let i = 0; i < 3; i++) {
      await one.until(() => endpoint.calls.length === i + 1, 'one after the other');
      endpoint.calls[i]?.reply(200);
    }
    for (const call of calls) assert.equal((await call).status, 200);
    await one.comesToRest();
  });

  it('gRPC: RESOURCE_EXHAUSTED', async () => {
    // One stream at a time.
    const endpoint = await grpc.endpoint(hold, { pairs: [3, 1] });
    const clock = new FakeClock();
    const circuitBreakers = { maxConnections: 1, maxPendingRequests: 1 };
    const plane = await grpc.plane([endpoint], { circuitBreakers }, { clock });
    const one = new ScenePlane(plane, clock);
    const caller = await grpc.caller(plane);
    const first = caller.call(callFields(), message('a'));
    await one.until(() => endpoint.calls.length === 1, 'arrived');
    const second = caller.call(callFields(), message('b'));
    await one.reaches({ pending: 1 });
    const refused = caller.call(callFields(), message('c'));
    await refused.over();
    assertTrailersOnly(refused, 8);
    assert.equal(refused.field('grpc-message'), 'too many requests wait: max_pending_requests is 1');
    endpoint.calls[0]?.answer();
    await one.until(() => endpoint.calls.length === 2, 'the one that waited');
    endpoint.calls[1]?.answer();
    for (const call of [first, second]) {
      await call.over();
      assert.equal(call.grpcStatus, '0');
    }
    await one.comesToRest();
  });
});

describe('max_requests_per_endpoint', () => {
  it('an endpoint at its limit is passed over; when all are, the call is refused, as Explain says', async () => {
    const [a, b] = await scene.endpoints(2, hold);
    assert.ok(a && b);
    const one = await scene.plane([endpointAt(a.port, { weight: 9 }), b], {
      circuitBreakers: { maxRequestsPerEndpoint: 2 },
    });
    const calls: Promise<HttpAnswer>[] = [];
    for (let i = 0; i < 4; i++) {
      const { pick } = one.explain();
      calls.push(one.call());
      await one.reaches({ attempts: i + 1 });
      await one.until(() => a.calls.length + b.calls.length === i + 1, 'arrived');
      const to: PlayedEndpoint | undefined = [a, b].find(({ id }) => id === pick);
      assert.equal(to?.calls.length, i === 0 ? 1 : one.endpoint(to ?? a).inFlight);
    }
    assert.deepEqual([a.calls.length, b.calls.length], [2, 2]);
    assert.deepEqual(one.standing(a), [true, 'unchecked, 2 of 2 calls in flight']);
    assert.equal(one.explain().refused, 'overflow');
    const limit = 'test/upstream/80: every endpoint has as many calls as it may';
    assertOverflow(await one.callAsExplained(), limit);
    await overflows(one, 'max_requests_per_endpoint', 1);
    a.calls[0]?.reply(200);
    await one.reaches({ attempts: 3 });
    assert.equal(one.explain().pick, a.id);
    calls.push(one.call());
    await one.until(() => a.calls.length === 3, 'the place that is free');
    replyAll(a);
    replyAll(b);
    for (const call of calls) assert.equal((await call).status, 200);
    await one.comesToRest();
  });

  for (const type of ['roundrobin', 'chash', 'ewma', 'least_conn'] as const) {
    it(`no endpoint is ever above it, with ${type}`, async () => {
      const endpoints = await scene.endpoints(3, hold);
      const one = await scene.plane(endpoints, {
        balancer: { type, key: 'remote_addr' },
        circuitBreakers: { maxRequestsPerEndpoint: 2 },
      });
      const calls = Array.from({ length: 6 }, () => one.call());
      await one.until(() => endpoints.every((endpoint) => endpoint.calls.length === 2), 'two each');
      assertOverflow(await one.call(), 'test/upstream/80: every endpoint has as many calls as it may');
      for (const endpoint of endpoints) replyAll(endpoint);
      for (const call of calls) assert.equal((await call).status, 200);
      await one.comesToRest();
    });
  }
});

describe('max_retries', () => {
  it('beyond it the answer that there is goes to the caller', async () => {
    const [bad, slow] = [await scene.endpoint(503), await scene.endpoint(hold)];
    const one = await scene.plane([bad, endpointAt(slow.port, { priority: -1 })], {
      attempts: { retryOn: ['503'] },
      circuitBreakers: { maxRetries: 1 },
    });
    const retried = one.call();
    await one.until(() => slow.calls.length === 1, 'a further attempt');
    assert.equal(one.status().retriesInFlight, 1);
    for (let i = 0; i < 2; i++) {
      const answer = await one.call();
      assert.deepEqual([answer.status, answer.body.toString()], [503, String(bad.port)]);
    }
    assert.equal(slow.calls.length, 1);
    await overflows(one, 'max_retries', 2);
    replyAll(slow);
    assert.equal((await retried).status, 200);
    slow.play = 200;
    assert.equal((await one.call()).body.toString(), String(slow.port));
    await one.comesToRest();
  });

  it('further attempts that wait for their time count: no more than that start then', async () => {
    const [bad, slow] = [await scene.endpoint(503), await scene.endpoint(hold)];
    const one = await scene.plane([bad, endpointAt(slow.port, { priority: -1 })], {
      attempts: { retryOn: ['503'], backoff: { initialMs: 1000, maxMs: 1000 } },
      circuitBreakers: { maxRetries: 2 },
    });
    const calls = Array.from({ length: 5 }, () => one.call());
    await one.reaches({ requests: 2, retries: 2 });
    one.clock.advance(1100);
    await one.until(() => slow.calls.length === 2, 'the two');
    assert.equal(one.levels.retries, 2);
    replyAll(slow);
    const statuses = (await Promise.all(calls)).map(({ status }) => status).toSorted((x, y) => x - y);
    assert.deepEqual(statuses, [200, 200, 503, 503, 503]);
    await overflows(one, 'max_retries', 3);
    await one.comesToRest();
  });

  it('the attempts of one request follow each other, so they take one place', async () => {
    const endpoints = await scene.endpoints(4, 503);
    const last = await scene.endpoint();
    const one = await scene.plane([...endpoints, endpointAt(last.port, { priority: -1 })], {
      attempts: { retryOn: ['503'] },
      circuitBreakers: { maxRetries: 1 },
    });
    assert.equal((await one.call()).body.toString(), String(last.port));
    assert.equal(one.plane.records[0]?.attempts.length, 5);
    await overflows(one, 'max_retries', 0);
    await one.comesToRest();
  });
});
