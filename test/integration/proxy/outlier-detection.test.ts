// Ejection of outliers through the whole data plane: what ejects an endpoint, that it gets nothing meanwhile, when it comes
// back, and that ListEndpoints, the metrics and Explain say so.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { isEjected } from '../../../src/health/outlier-ejection.ts';
import type { OutlierPolicy } from '../../../src/model/policy.ts';
import { endpointAt } from '../../support/data-plane.ts';
import { ANSWER_HEAD, callFields, message, type GrpcStream } from '../../support/grpc-peer.ts';
import { GrpcScene } from '../../support/grpc-scene.ts';
import { headers } from '../../support/h2-peer.ts';
import { QUIET } from '../../support/outlier-scene.ts';
import { closedPort } from '../../support/raw-server.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { cut, ScenePlane, UpstreamScene, type PlayedEndpoint } from '../../support/upstream-scene.ts';

const scene = new UpstreamScene();
const grpc = new GrpcScene();
after(() => {
  scene.close();
  grpc.close();
});

const ONCE = { maxAttempts: 1 } as const;

function policy(over: Partial<OutlierPolicy>): OutlierPolicy {
  return { ...QUIET, ...over };
}

/** Calls until the plane has ejected the endpoint; how many of them it had got. */
async function callsUntilEjected(one: ScenePlane, bad: PlayedEndpoint): Promise<number> {
  const before = bad.calls.length;
  for (let i = 0; i < 100 && one.endpoint(bad).outReason !== 'ejected'; i++) await one.call();
  assert.equal(one.endpoint(bad).outReason, 'ejected');
  return bad.calls.length - before;
}

/** Moves time on in steps of the interval until the ejection of `bad` is over; how long that took, ms. */
function msUntilBack(one: ScenePlane, bad: { readonly port: number }, stepMs: number): number {
  const fromMs = one.clock.nowMs;
  while (one.endpoint(bad).outReason === 'ejected' && one.clock.nowMs - fromMs < 3_600_000) one.clock.advance(stepMs);
  return one.clock.nowMs - fromMs;
}

describe('ejection by failures in a row', () => {
  it('consecutive_5xx: the third ejects, a success between counts anew, and nothing arrives until it is over', async () => {
    const [bad, good] = await scene.endpoints(2);
    assert.ok(bad && good);
    const one = await scene.plane([bad, good], {
      attempts: ONCE,
      outlierDetection: policy({ consecutive5xx: 3, baseEjectionMs: 30_000 }),
    });
    const plan = [500, 501, 200, 500, 599, 503];
    bad.play = (call) => call.reply(plan[bad.calls.length - 1] ?? 200);
    assert.equal(await callsUntilEjected(one, bad), 6);
    const shown = one.endpoint(bad);
    assert.equal(shown.usable, false);
    assert.equal(shown.state, 'unchecked');
    assert.deepEqual(
      [shown.ejection?.ejected, shown.ejection?.cause, shown.ejection?.multiplier, shown.ejection?.count],
      [true, 'consecutive_5xx: 3 in a row', 1, 1],
    );
    assert.equal(shown.ejection?.until?.getTime(), one.clock.wallMs() + 30_000);
    assert.equal(one.status().ejected, 1);
    assert.equal(await one.metric('outrigger_upstream_ejections_total{'), 1);
    assert.equal(await one.metric('outrigger_upstream_endpoints_ejected{'), 1);
    const until = shown.ejection?.until?.toISOString();
    assert.deepEqual(one.standing(bad), [false, `ejected: consecutive_5xx: 3 in a row, until ${until}`]);
    for (let i = 0; i < 20; i++) assert.equal((await one.callAsExplained()).status, 200);
    assert.equal(bad.calls.length, 6);
    assert.equal(good.calls.length, 25);

    // The sweeps are at 10, 20 and 30 s; it was ejected at the start.
    one.clock.advance(29_999);
    assert.equal(one.endpoint(bad).outReason, 'ejected');
    one.clock.advance(1);
    assert.equal(one.endpoint(bad).outReason, '');
    assert.deepEqual(one.standing(bad), [true, 'unchecked']);
    assert.equal(await one.metric('outrigger_upstream_endpoints_ejected{'), 0);
    assert.deepEqual([...(await one.shares(20)).values()], [10, 10]);
    assert.equal(one.endpoint(bad).ejection?.ejected, false);
    assert.equal(one.endpoint(bad).ejection?.count, 1);
  });

  it('the second ejection is twice as long, the longest is max_ejection_time, and quiet intervals are forgiven', async () => {
    const [bad, good] = await scene.endpoints(2);
    assert.ok(bad && good);
    bad.play = 500;
    const one = await scene.plane([bad, good], {
      attempts: ONCE,
      outlierDetection: policy({ consecutive5xx: 2, intervalMs: 1000, baseEjectionMs: 10_000, maxEjectionMs: 30_000 }),
    });
    const lengths: number[] = [];
    for (let i = 0; i < 4; i++) {
      await callsUntilEjected(one, bad);
      lengths.push(msUntilBack(one, bad, 1000));
    }
    assert.deepEqual(lengths, [10_000, 20_000, 30_000, 30_000]);
    assert.equal(one.endpoint(bad).ejection?.count, 4);
    one.clock.advance(60_000);
    assert.equal(one.endpoint(bad).ejection?.multiplier, 0);
    await callsUntilEjected(one, bad);
    assert.equal(msUntilBack(one, bad, 1000), 10_000);
  });

  it('consecutive_gateway_failure: 502, 503 and 504 count, other 5xx break the row', async () => {
    const [bad, good] = await scene.endpoints(2);
    assert.ok(bad && good);
    const plan = [502, 503, 500, 502, 503, 504];
    bad.play = (call) => call.reply(plan[bad.calls.length - 1] ?? 200);
    const one = await scene.plane([bad, good], {
      attempts: ONCE,
      outlierDetection: policy({ consecutiveGatewayFailure: 3 }),
    });
    assert.equal(await callsUntilEjected(one, bad), 6);
    assert.equal(one.endpoint(bad).ejection?.cause, 'consecutive_gateway_failure: 3 in a row');
  });

  it('consecutive_local_origin_failure: refused, reset and timed out, apart from statuses', async () => {
    const good = await scene.endpoint();
    const dead = { port: await closedPort() };
    const split = policy({ splitLocalOrigin: true, consecutive5xx: 1, consecutiveLocalOriginFailure: 3 });
    const refusing = await scene.plane([endpointAt(dead.port, { weight: 3 }), good], { outlierDetection: split });
    for (let i = 0; i < 8; i++) assert.equal((await refusing.call()).status, 200, 'carried by the other one');
    assert.equal(refusing.endpoint(dead).ejection?.cause, 'consecutive_local_origin_failure: 3 in a row');
    assert.equal(refusing.endpoint(dead).attempts, 3n);

    const mixed = await scene.endpoint((call) => {
      if (mixed.calls.length === 1) cut(call.socket);
      else if (mixed.calls.length === 2) call.socket.end();
    });
    const other = await scene.plane([mixed, endpointAt(good.port, { priority: -1 })], {
      attempts: ONCE,
      timeout: { readMs: 500, readIsSet: true },
      outlierDetection: split,
    });
    assert.deepEqual([(await other.call()).status, (await other.call()).status], [502, 502]);
    const late = other.call();
    await other.until(() => mixed.calls.length === 3, 'arrived');
    assert.equal(other.endpoint(mixed).outReason, '');
    other.clock.advance(530);
    assert.equal((await late).status, 504);
    assert.equal(other.endpoint(mixed).ejection?.cause, 'consecutive_local_origin_failure: 3 in a row');
    assert.equal((await other.callAsExplained()).body.toString(), String(good.port));
  });

  it('without split, what brings no answer counts as a 5xx', async () => {
    const good = await scene.endpoint();
    const dead = { port: await closedPort() };
    const one = await scene.plane([dead.port, good], { outlierDetection: policy({ consecutive5xx: 2 }) });
    for (let i = 0; i < 6; i++) await one.call();
    assert.equal(one.endpoint(dead).ejection?.cause, 'consecutive_5xx: 2 in a row');
    assert.equal(one.endpoint(dead).attempts, 2n);
  });

  it('a caller who goes away says nothing of the endpoint', async () => {
    const [slow, good] = await scene.endpoints(2, () => undefined);
    assert.ok(slow && good);
    const one = await scene.plane([slow, good], { outlierDetection: policy({ consecutive5xx: 1 }) });
    for (let i = 1; i <= 6; i++) {
      const caller = await scene.caller(one);
      await one.until(() => slow.calls.length + good.calls.length === i, 'arrived');
      cut(caller.socket);
      await one.reaches({ requests: 0 });
    }
    assert.equal(one.status().ejected, 0);
    await one.comesToRest();
  });

  it('an attempt that a retry followed counts too', async () => {
    const [bad, good] = await scene.endpoints(2);
    assert.ok(bad && good);
    bad.play = 503;
    const one = await scene.plane([bad, good], {
      attempts: { retryOn: ['503'] },
      outlierDetection: policy({ consecutive5xx: 3 }),
    });
    for (let i = 0; i < 12; i++) assert.equal((await one.call()).status, 200);
    assert.equal(bad.calls.length, 3);
    assert.equal(one.endpoint(bad).outReason, 'ejected');
    await one.comesToRest();
  });
});

describe('ejection by gRPC statuses', () => {
  const play =
    (where: 'head' | 'trailers' | 'after a message', status: string) =>
    (call: GrpcStream): void => {
      call.onEnd = () => {
        if (where === 'head') {
          call.peer.send(headers(call.id, [...ANSWER_HEAD, 'grpc-status', status]));
          return;
        }
        call.peer.send(headers(call.id, ANSWER_HEAD, false));
        if (where === 'after a message') call.send(message('early'));
        call.peer.send(headers(call.id, ['grpc-status', status]));
      };
    };

  for (const where of ['head', 'trailers', 'after a message'] as const) {
    it(`UNAVAILABLE counts (${where}) as 503, with HTTP status 200`, async () => {
      const bad = await grpc.endpoint(play(where, '14'));
      const good = await grpc.endpoint((call) => {
        call.onEnd = () => call.answer();
      });
      const clock = new FakeClock();
      const outlierDetection = policy({ consecutiveGatewayFailure: 3 });
      const plane = await grpc.plane([bad, good], { attempts: ONCE, outlierDetection }, { clock });
      const one = new ScenePlane(plane, clock);
      const caller = await grpc.caller(plane);
      const statuses: (string | undefined)[] = [];
      for (let i = 0; i < 12; i++) {
        const { pick } = one.explain({ method: '/test.Service/Call' });
        const calls = bad.calls.length;
        const call = caller.call(callFields(), message('ask'));
        await call.over();
        assert.equal(pick, `127.0.0.1:${bad.calls.length > calls ? bad.port : good.port}`);
        statuses.push(call.grpcStatus);
      }
      assert.equal(statuses.filter((status) => status === '14').length, 3);
      assert.deepEqual(statuses.slice(-6), ['0', '0', '0', '0', '0', '0']);
      assert.equal(bad.calls.length, 3);
      assert.equal(one.endpoint(bad).ejection?.cause, 'consecutive_gateway_failure: 3 in a row');
      assert.equal(one.standing(bad, { method: '/test.Service/Call' })[0], false);
    });
  }

  it('statuses that stand for 4xx eject nobody; INTERNAL counts as a 5xx, and not as a gateway failure', async () => {
    for (const [status, rule, ejected] of [
      ['3', { consecutive5xx: 1 }, 0],
      ['5', { consecutive5xx: 1 }, 0],
      ['8', { consecutive5xx: 1 }, 0],
      ['13', { consecutive5xx: 1 }, 1],
      ['13', { consecutiveGatewayFailure: 1 }, 0],
      ['4', { consecutiveGatewayFailure: 1 }, 1],
    ] as const) {
      const bad = await grpc.endpoint(play('trailers', status));
      const good = await grpc.endpoint(play('trailers', '0'));
      const clock = new FakeClock();
      const outlierDetection = policy(rule);
      const plane = await grpc.plane([bad, good], { attempts: ONCE, outlierDetection }, { clock });
      const caller = await grpc.caller(plane);
      for (let i = 0; i < 3; i++) await caller.call(callFields(), message('ask')).over();
      assert.equal(new ScenePlane(plane, clock).status().ejected, ejected, `${status} ${JSON.stringify(rule)}`);
    }
  });
});

describe('ejection by a sweep', () => {
  it('success_rate: who is far below the mean goes when the interval ends, not before', async () => {
    const endpoints = await scene.endpoints(5);
    const [bad] = endpoints;
    assert.ok(bad);
    // 50 % of its answers: of {50, 100, 100, 100, 100} the mean is 90 and the threshold 52.
    bad.play = (call) => call.reply(bad.calls.length % 2 === 0 ? 200 : 500);
    const one = await scene.plane(endpoints, {
      attempts: ONCE,
      outlierDetection: policy({
        successRateRequestVolume: 20,
        enforcing: { ...QUIET.enforcing, successRate: 100 },
      }),
    });
    for (let i = 0; i < 100; i++) await one.call();
    one.clock.advance(9_999);
    assert.equal(one.status().ejected, 0);
    one.clock.advance(1);
    assert.equal(one.endpoint(bad).outReason, 'ejected');
    assert.equal(one.endpoint(bad).ejection?.cause, 'success_rate: 50 % below 52 %');
    for (let i = 0; i < 12; i++) await one.callAsExplained();
    assert.equal(bad.calls.length, 20);
    one.clock.advance(30_000);
    assert.equal(one.endpoint(bad).outReason, '');
    // Too few of the others had enough calls since.
    for (let i = 0; i < 40; i++) await one.call();
    one.clock.advance(10_000);
    assert.equal(one.status().ejected, 0);
  });

  it('failure_percentage: by the bound, and only of endpoints with enough calls', async () => {
    const endpoints = await scene.endpoints(5);
    const [bad, worse] = endpoints;
    assert.ok(bad && worse);
    bad.play = (call) => call.reply(bad.calls.length % 10 === 0 ? 200 : 500);
    worse.play = (call) => call.reply(worse.calls.length % 5 === 0 ? 200 : 500);
    const one = await scene.plane(endpoints, {
      attempts: ONCE,
      outlierDetection: policy({
        failurePercentageThreshold: 85,
        failurePercentageRequestVolume: 20,
        enforcing: { ...QUIET.enforcing, failurePercentage: 100 },
      }),
    });
    for (let i = 0; i < 95; i++) await one.call();
    one.clock.advance(10_000);
    assert.equal(one.status().ejected, 0, '19 calls each are too few');
    for (let i = 0; i < 100; i++) await one.call();
    one.clock.advance(10_000);
    assert.equal(one.endpoint(bad).ejection?.cause, 'failure_percentage: 90 % at or above 85 %');
    assert.equal(one.endpoint(worse).ejection, undefined, '80 %');
  });

  it('success_rate of gRPC reads trailers', async () => {
    const endpoints = await Promise.all(
      [0, 1, 2].map((index) =>
        grpc.endpoint((call) => {
          call.onEnd = () => call.answer(message('x'), index === 0 ? '13' : '0');
        }),
      ),
    );
    const clock = new FakeClock();
    const outlierDetection = policy({
      successRateMinimumHosts: 3,
      successRateRequestVolume: 10,
      successRateStdevFactor: 1000,
      enforcing: { ...QUIET.enforcing, successRate: 100 },
    });
    const plane = await grpc.plane(endpoints, { attempts: ONCE, outlierDetection }, { clock });
    const caller = await grpc.caller(plane);
    for (let i = 0; i < 30; i++) await caller.call(callFields(), message('ask')).over();
    clock.advance(10_000);
    const one = new ScenePlane(plane, clock);
    assert.match(one.endpoint(endpoints[0] ?? { port: 0 }).ejection?.cause ?? '', /^success_rate: 0 % below 19/);
    assert.equal(one.status().ejected, 1);
  });
});

describe('the cap on ejections', () => {
  it('one of several may always go; what the cap stops is counted', async () => {
    const endpoints = await scene.endpoints(4, 500);
    const one = await scene.plane(endpoints, {
      attempts: ONCE,
      outlierDetection: policy({ consecutive5xx: 1, maxEjectionPercent: 0 }),
    });
    for (let i = 0; i < 12; i++) assert.equal((await one.callAsExplained()).status, 500);
    assert.equal(one.status().ejected, 1);
    assert.equal(await one.metric('outrigger_upstream_ejections_overflow_total{'), 11);
    const arrived = endpoints.map(({ calls }) => calls.length).sort((a, b) => a - b);
    assert.equal(arrived[0], 1);
    assert.equal(arrived[1]! + arrived[2]! + arrived[3]!, 11);
  });

  it('50 % of four are two; of one endpoint none', async () => {
    const endpoints = await scene.endpoints(4, 500);
    const one = await scene.plane(endpoints, {
      attempts: ONCE,
      outlierDetection: policy({ consecutive5xx: 1, maxEjectionPercent: 50 }),
    });
    for (let i = 0; i < 12; i++) await one.call();
    assert.equal(one.status().ejected, 2);
    const alone = await scene.plane(endpoints.slice(0, 1), {
      attempts: ONCE,
      outlierDetection: policy({ consecutive5xx: 1, maxEjectionPercent: 100 }),
    });
    for (let i = 0; i < 3; i++) assert.equal((await alone.call()).status, 500);
    assert.equal(alone.status().ejected, 0);
  });

  it('endpoints that leave bring back who is too many', async () => {
    const endpoints = await scene.endpoints(4);
    const [a, b] = endpoints;
    assert.ok(a && b);
    a.play = b.play = 500;
    const one = await scene.plane(endpoints, {
      attempts: ONCE,
      outlierDetection: policy({ consecutive5xx: 1, maxEjectionPercent: 50 }),
    });
    for (let i = 0; i < 8; i++) await one.call();
    assert.equal(one.status().ejected, 2);
    await one.plane.update(endpoints.slice(0, 3).map(({ port }) => port));
    assert.equal(one.status().ejected, 1);
    const { cluster } = one.plane;
    const usable = [...cluster.list()].filter((endpoint) => endpoint.usable);
    assert.ok(usable.every(({ slot }) => !isEjected(cluster.live.endpoints, slot)));
    assert.equal(usable.length, 2);
  });

  it('enforcing_… of 0 ejects nobody; detection that is taken away brings all back', async () => {
    const [bad, good] = await scene.endpoints(2);
    assert.ok(bad && good);
    bad.play = 500;
    const off = { ...QUIET.enforcing, consecutive5xx: 0 };
    const one = await scene.plane([bad, good], {
      attempts: ONCE,
      outlierDetection: policy({ consecutive5xx: 1, enforcing: off }),
    });
    for (let i = 0; i < 10; i++) await one.call();
    assert.equal(one.status().ejected, 0);
    await one.plane.update([bad.port, good.port], { outlierDetection: policy({ consecutive5xx: 1 }) });
    assert.equal(await callsUntilEjected(one, bad), 1);
    await one.plane.update([bad.port, good.port], { outlierDetection: undefined });
    assert.equal(one.endpoint(bad).outReason, '');
    assert.deepEqual([...(await one.shares(10)).values()], [5, 5]);
  });
});
