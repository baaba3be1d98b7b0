// What happens when checks and detection leave nobody, or few, or nobody of a priority: `all_unhealthy`, `panic_threshold` and
// the way down and up the priorities, through the whole data plane.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { DEFAULT_ACTIVE, DEFAULT_PASSIVE, TRANSPORT_ONLY_PASSIVE } from '../../../src/model/defaults.ts';
import type { ChecksPolicy } from '../../../src/model/policy.ts';
import { endpointAt, type TestPolicy } from '../../support/data-plane.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { callFields, message } from '../../support/grpc-peer.ts';
import { assertTrailersOnly, GrpcScene } from '../../support/grpc-scene.ts';
import { QUIET } from '../../support/outlier-scene.ts';
import { ScenePlane, UpstreamScene, type PlayedEndpoint } from '../../support/upstream-scene.ts';

const scene = new UpstreamScene();
const grpc = new GrpcScene();
after(() => {
  scene.close();
  grpc.close();
});

const ONCE = { maxAttempts: 1 } as const;
/** The first bad answer takes out, for long. */
const PASSIVE: ChecksPolicy = {
  active: undefined,
  passive: { ...DEFAULT_PASSIVE, httpFailures: 1, returnAfterMs: 30_000 },
};

/** Makes endpoints fail until they are out. */
async function takeOut(one: ScenePlane, ...endpoints: PlayedEndpoint[]): Promise<void> {
  const plays = endpoints.map(({ play }) => play);
  for (const endpoint of endpoints) endpoint.play = 503;
  for (let i = 0; endpoints.some((endpoint) => one.endpoint(endpoint).state === 'healthy'); i++) {
    assert.ok(i < 100);
    await one.call();
  }
  for (const [i, endpoint] of endpoints.entries()) endpoint.play = plays[i] ?? 200;
}

describe('all_unhealthy: use-all', () => {
  it('all are used as if there were no checks, and Explain says why', async () => {
    const endpoints = await scene.endpoints(3);
    const one = await scene.plane(endpoints, { attempts: ONCE, checks: PASSIVE });
    await takeOut(one, ...endpoints);
    assert.equal(one.status().ignoresHealth, true);
    const before = await one.metric('outrigger_upstream_picks_without_health_total{');
    assert.deepEqual([...(await one.shares(12)).values()], [4, 4, 4]);
    assert.equal(await one.metric('outrigger_upstream_picks_without_health_total{'), before + 12);
    const [first] = endpoints;
    assert.ok(first);
    assert.equal(one.endpoint(first).usable, true);
    assert.match(
      one.standing(first).join(),
      /^true,(mostly_)?unhealthy: passive: status 200 \(4 of 5\), used since health is ignored now$/,
    );
    assert.match(one.explain().pickReason, /health is ignored, since too few endpoints are available$/);
    for (let i = 0; i < 3; i++) assert.equal((await one.callAsExplained()).status, 200);
  });

  it('ends as soon as one is up again', async () => {
    const [dead, live] = await scene.endpoints(2);
    assert.ok(dead && live);
    const one = await scene.plane([dead, live], { attempts: ONCE, checks: PASSIVE });
    await takeOut(one, dead, live);
    dead.play = 503;
    one.clock.advance(30_000);
    // Both are on trial, which isn't up: health is ignored still, until a trial has ended well.
    for (let i = 0; one.status().ignoresHealth; i++) {
      assert.ok(i < 4);
      await one.callAsExplained();
    }
    for (let i = 0; i < 6; i++) await one.callAsExplained();
    assert.equal(one.endpoint(live).state, 'healthy');
    assert.equal(one.endpoint(dead).outReason, 'unhealthy');
  });

  it('ejected endpoints are used too when nobody else is left', async () => {
    const endpoints = await scene.endpoints(2, 500);
    const one = await scene.plane(endpoints, {
      attempts: ONCE,
      outlierDetection: { ...QUIET, consecutive5xx: 1, maxEjectionPercent: 100 },
    });
    for (let i = 0; i < 6; i++) assert.equal((await one.callAsExplained()).status, 500);
    assert.equal(one.status().ejected, 2);
    assert.equal(one.status().ignoresHealth, true);
    assert.deepEqual(
      endpoints.map(({ calls }) => calls.length),
      [3, 3],
    );
  });
});

describe('all_unhealthy: fail-fast', () => {
  const FAIL_FAST: TestPolicy = { attempts: ONCE, checks: PASSIVE, allUnhealthy: 'fail-fast' };

  it('503 with no_healthy_endpoint and the time of the next return, as Explain says; nobody hears of the call', async () => {
    const [a, b] = await scene.endpoints(2);
    assert.ok(a && b);
    const one = await scene.plane([a, b], FAIL_FAST);
    await takeOut(one, a);
    one.clock.advance(10_000);
    await takeOut(one, b);
    const arrived = a.calls.length + b.calls.length;
    const answer = await one.callAsExplained();
    assert.deepEqual(
      [answer.status, answer.headers['x-outrigger-reason'], answer.headers['retry-after']],
      [503, 'no_healthy_endpoint', '20'],
    );
    assert.equal(answer.headers['x-apisix-upstream-status'], undefined);
    assert.equal(answer.body.toString(), 'no endpoint is healthy: test/upstream/80\n');
    assert.equal(one.explain().refusedDetail, 'no endpoint is healthy: test/upstream/80');
    assert.deepEqual(one.standing(a), [false, 'unhealthy: passive: status 503 (1 of 1)']);
    one.clock.advance(18_600);
    assert.equal((await one.call()).headers['retry-after'], '2');
    assert.equal(a.calls.length + b.calls.length, arrived);
    // The first is on trial: that is somebody.
    one.clock.advance(1400);
    assert.equal((await one.callAsExplained()).body.toString(), String(a.port));
    assert.equal((await one.callAsExplained()).status, 200);
  });

  it('a gRPC caller gets UNAVAILABLE with Retry-After', async () => {
    const endpoint = await grpc.endpoint((call) => {
      call.onEnd = () => call.answer(message('x'), '14');
    });
    const clock = new FakeClock();
    const plane = await grpc.plane([endpoint], FAIL_FAST, { clock });
    const one = new ScenePlane(plane, clock);
    const caller = await grpc.caller(plane);
    const first = caller.call(callFields(), message('x'));
    await first.over();
    assert.equal(first.grpcStatus, '14');
    const { refused } = one.explain({ method: '/test.Service/Call' });
    const call = caller.call(callFields(), message('x'));
    await call.over();
    assertTrailersOnly(call, 14);
    assert.equal(call.field('x-outrigger-reason'), refused);
    assert.equal(refused, 'no_healthy_endpoint');
    assert.equal(call.field('retry-after'), '30');
    assert.equal(endpoint.calls.length, 1);
  });

  it('Retry-After with active checks is the next probe, with ejections their end at a sweep; at least 1', async () => {
    const [a] = await scene.endpoints(1);
    assert.ok(a);
    const active = {
      ...DEFAULT_ACTIVE,
      type: 'tcp' as const,
      unhealthy: { ...DEFAULT_ACTIVE.unhealthy, intervalMs: 7000, tcpFailures: 1 },
    };
    const passive = { ...TRANSPORT_ONLY_PASSIVE, httpFailures: 1, unhealthyStatuses: [503] };
    const checked = await scene.plane([a], { attempts: ONCE, checks: { active, passive }, allUnhealthy: 'fail-fast' });
    checked.clock.advance(300); // the first probe
    await checked.until(() => a.connections.length === 1, 'probed');
    await checked.until(() => checked.endpoint(a).connections === 0, 'closed');
    await takeOut(checked, a);
    assert.equal((await checked.callAsExplained()).headers['retry-after'], '7');
    checked.clock.advance(6400);
    assert.equal((await checked.call()).headers['retry-after'], '1');

    const [b, c] = await scene.endpoints(2, 500);
    assert.ok(b && c);
    const ejecting = await scene.plane([b, c], {
      attempts: ONCE,
      outlierDetection: { ...QUIET, consecutive5xx: 1, maxEjectionPercent: 100, baseEjectionMs: 15_000 },
      allUnhealthy: 'fail-fast',
    });
    for (let i = 0; i < 2; i++) await ejecting.callAsExplained();
    // Over after 15 s; sweeps are at 10 and 20 s.
    const answer = await ejecting.callAsExplained();
    assert.equal(answer.headers['x-outrigger-reason'], 'no_healthy_endpoint');
    assert.equal(answer.headers['retry-after'], '20');
    ejecting.clock.advance(19_000);
    assert.equal((await ejecting.callAsExplained()).headers['retry-after'], '1');
    ejecting.clock.advance(1000);
    assert.equal((await ejecting.callAsExplained()).status, 500, 'a caller who waits so long is served');
  });

  it('a further attempt that finds nobody gives the caller the answer that there was', async () => {
    const [a, b] = await scene.endpoints(2, 503);
    assert.ok(a && b);
    const one = await scene.plane([a, b], { ...FAIL_FAST, attempts: { retryOn: ['503'] } });
    const answer = await one.call();
    assert.equal(answer.status, 503);
    assert.equal(answer.headers['x-apisix-upstream-status'], '503, 503');
    assert.equal((await one.callAsExplained()).headers['x-outrigger-reason'], 'no_healthy_endpoint');
    await one.comesToRest();
  });
});

describe('panic_threshold', () => {
  it('below it all are used; at it, and above, only who is up', async () => {
    const endpoints = await scene.endpoints(4);
    const [a, b, c] = endpoints;
    assert.ok(a && b && c);
    const one = await scene.plane(endpoints, {
      attempts: ONCE,
      checks: PASSIVE,
      panicThreshold: 50,
      allUnhealthy: 'fail-fast',
    });
    await takeOut(one, a);
    await takeOut(one, b);
    assert.equal(one.status().ignoresHealth, false, 'half is enough');
    assert.deepEqual([...(await one.shares(10)).values()], [5, 5]);
    await takeOut(one, c);
    assert.equal(one.status().ignoresHealth, true);
    assert.deepEqual([...(await one.shares(12)).values()], [3, 3, 3, 3]);
    assert.match(one.explain().pickReason, /health is ignored/);
    for (let i = 0; i < 4; i++) await one.callAsExplained();
    await one.plane.update(
      endpoints.map(({ port }) => port),
      { panicThreshold: 25 },
    );
    assert.equal(one.status().ignoresHealth, false);
    assert.equal((await one.shares(6)).size, 1);
  });
});

describe('priorities', () => {
  it('the next one follows when nobody of the first is up, and the first is returned to', async () => {
    const [a, b, second, third] = await scene.endpoints(4);
    assert.ok(a && b && second && third);
    const specs = [a, b, endpointAt(second.port, { priority: -1 }), endpointAt(third.port, { priority: -2 })];
    const one = await scene.plane(specs, { attempts: ONCE, checks: PASSIVE });
    assert.deepEqual((await one.shares(8)).size, 2);
    const lower = 'priority -1: endpoints of a higher one are available';
    assert.deepEqual(one.standing(second), [false, lower]);
    assert.deepEqual([one.endpoint(second).outReason, one.endpoint(a).outReason], ['lower_priority', '']);
    await takeOut(one, a);
    assert.deepEqual([...(await one.shares(4)).keys()], [b.port], 'one of the first is enough');
    await takeOut(one, b);
    assert.deepEqual(one.standing(second), [true, 'healthy']);
    assert.deepEqual([...(await one.shares(4)).keys()], [second.port]);
    assert.equal((await one.callAsExplained()).body.toString(), String(second.port));
    await takeOut(one, second);
    assert.deepEqual([...(await one.shares(4)).keys()], [third.port]);
    assert.equal(third.calls.length, 4);

    // Time is over for all that are out: the first call tries one of the first priority, and that is returned to.
    one.clock.advance(30_000);
    const back = (await one.callAsExplained()).body.toString();
    assert.ok([String(a.port), String(b.port)].includes(back));
    await one.shares(3);
    assert.deepEqual([one.endpoint(a).state, one.endpoint(b).state], ['healthy', 'healthy']);
    assert.deepEqual([...(await one.shares(8)).values()], [4, 4]);
    assert.equal(one.endpoint(second).outReason, 'lower_priority');
  });

  it('within a request the next one follows when all of the first were tried', async () => {
    const [a, b, second] = await scene.endpoints(3);
    assert.ok(a && b && second);
    a.play = b.play = 503;
    const one = await scene.plane([a, b, endpointAt(second.port, { priority: -1 })], {
      attempts: { retryOn: ['503'] },
    });
    const { onFailure, pick } = one.explain();
    const other = [a, b].find(({ id }) => id !== pick)?.id;
    assert.ok(onFailure.includes(`attempt 2: ${other}`), onFailure.join('; '));
    assert.ok(onFailure.includes(`attempt 3: ${second.id}`), onFailure.join('; '));
    assert.equal((await one.call()).body.toString(), String(second.port));
    assert.deepEqual(
      one.plane.records[0]?.attempts.map(({ endpoint }) => endpoint.id),
      [pick, other, second.id],
    );
    assert.equal(one.endpoint(second).outReason, 'lower_priority');
  });

  it('ejections lead down and back too', async () => {
    const [first, second] = await scene.endpoints(2);
    assert.ok(first && second);
    const one = await scene.plane([first, endpointAt(second.port, { priority: -1 })], {
      attempts: ONCE,
      outlierDetection: { ...QUIET, consecutive5xx: 2, baseEjectionMs: 10_000 },
    });
    first.play = 502;
    assert.equal((await one.callAsExplained()).status, 502);
    assert.equal((await one.call()).status, 502);
    first.play = 200;
    for (let i = 0; i < 3; i++) assert.equal((await one.callAsExplained()).body.toString(), String(second.port));
    one.clock.advance(10_000);
    for (let i = 0; i < 3; i++) assert.equal((await one.callAsExplained()).body.toString(), String(first.port));
  });
});
