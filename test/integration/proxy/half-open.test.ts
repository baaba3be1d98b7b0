// The return of an endpoint that passive checks took out, where no active check would notice that it recovered: exactly one
// call at a time until the first outcome, through the whole data plane.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { DEFAULT_PASSIVE } from '../../../src/model/defaults.ts';
import { endpointAt, type TestPolicy } from '../../support/data-plane.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { callFields, message } from '../../support/grpc-peer.ts';
import { GrpcScene } from '../../support/grpc-scene.ts';
import type { HttpAnswer } from '../../support/http-call.ts';
import { cut, ScenePlane, UpstreamScene, type PlayedEndpoint } from '../../support/upstream-scene.ts';

const scene = new UpstreamScene();
const grpc = new GrpcScene();
after(() => {
  scene.close();
  grpc.close();
});

const POLICY: TestPolicy = {
  attempts: { maxAttempts: 1 },
  checks: {
    active: undefined,
    passive: { ...DEFAULT_PASSIVE, httpFailures: 2, returnAfterMs: 10_000, maxReturnAfterMs: 30_000 },
  },
};
const hold = (): void => undefined;
const ON_TRIAL = 'on trial: one call at a time';

function replyAll({ calls }: PlayedEndpoint): void {
  for (const call of calls) call.reply(200);
}

async function takeOut(one: ScenePlane, bad: PlayedEndpoint): Promise<void> {
  bad.play = 500;
  for (let i = 0; one.endpoint(bad).outReason === ''; i++) {
    assert.ok(i < 100);
    await one.call();
  }
  assert.deepEqual(one.standing(bad), [false, 'unhealthy: passive: status 500 (2 of 2)']);
}

/** Lets its time pass, and holds the call of its trial. */
async function trial(one: ScenePlane, bad: PlayedEndpoint): Promise<Promise<HttpAnswer>[]> {
  bad.play = hold;
  one.clock.advance(10_000);
  assert.deepEqual(one.standing(bad), [true, ON_TRIAL]);
  assert.equal(one.endpoint(bad).state, 'mostly_unhealthy');
  const arrived = bad.calls.length;
  const calls: Promise<HttpAnswer>[] = [];
  for (let i = 0; bad.calls.length === arrived; i++) {
    assert.ok(i < 10, 'the trial is never begun');
    const { pick } = one.explain();
    const call = one.call();
    if (pick === bad.id) {
      calls.push(call);
      await one.until(() => bad.calls.length > arrived, 'the trial');
    } else assert.equal((await call).status, 200);
  }
  return calls;
}

describe('half-open', () => {
  it('not a moment too early; then one call, and nobody else until it has ended; a success ends it', async () => {
    const [bad, good] = await scene.endpoints(2);
    assert.ok(bad && good);
    const one = await scene.plane([bad, good], POLICY);
    await takeOut(one, bad);
    const arrived = bad.calls.length;
    one.clock.advance(9_999);
    for (let i = 0; i < 6; i++) await one.callAsExplained();
    assert.equal(bad.calls.length, arrived);
    one.clock.advance(-9_999);
    const [call] = await trial(one, bad);
    assert.deepEqual(one.standing(bad), [true, `${ON_TRIAL}, 1 of 1 calls in flight`]);
    for (let i = 0; i < 10; i++) assert.equal((await one.callAsExplained()).body.toString(), String(good.port));
    assert.equal(bad.calls.length, arrived + 1);
    bad.calls.at(-1)?.reply(200);
    assert.equal((await call)?.status, 200);
    bad.play = 200;
    assert.deepEqual(one.standing(bad), [true, 'healthy: passive: status 200 (on trial)']);
    assert.deepEqual([...(await one.shares(10)).values()], [5, 5]);
    await one.comesToRest();
  });

  it('a failure takes it out for twice as long, up to the longest; a success puts that back', async () => {
    const [bad, good] = await scene.endpoints(2);
    assert.ok(bad && good);
    const one = await scene.plane([bad, good], POLICY);
    await takeOut(one, bad);
    const lengths: number[] = [];
    const out = (): number => {
      const fromMs = one.clock.nowMs;
      while (one.endpoint(bad).outReason === 'unhealthy' && one.clock.nowMs - fromMs < 600_000) one.clock.advance(500);
      return one.clock.nowMs - fromMs;
    };
    for (let i = 0; i < 4; i++) {
      lengths.push(out());
      const arrived: number = bad.calls.length;
      for (let k = 0; one.endpoint(bad).outReason === ''; k++) {
        assert.ok(k < 10);
        await one.callAsExplained();
      }
      assert.equal(bad.calls.length, arrived + 1, 'one call decides');
    }
    assert.deepEqual(lengths, [10_000, 20_000, 30_000, 30_000]);
    assert.deepEqual(one.standing(bad), [false, 'unhealthy: passive: status 500 (on trial)']);
    out();
    bad.play = 200;
    while (one.endpoint(bad).state !== 'healthy') await one.callAsExplained();
    await takeOut(one, bad);
    assert.equal(out(), 10_000);
  });

  it('a caller who goes away leaves the trial open, and its place free', async () => {
    const [bad, good] = await scene.endpoints(2);
    assert.ok(bad && good);
    const one = await scene.plane([bad, good], POLICY);
    await takeOut(one, bad);
    bad.play = hold;
    one.clock.advance(10_000);
    while (one.explain().pick !== bad.id) await one.call();
    const caller = await scene.caller(one);
    await one.reaches({ requests: 1, attempts: 1, pending: 0 });
    cut(caller.socket);
    await one.reaches({ requests: 0, attempts: 0 });
    assert.deepEqual(one.standing(bad), [true, ON_TRIAL]);
    bad.play = 404;
    while (one.endpoint(bad).state !== 'healthy') await one.callAsExplained();
    assert.deepEqual(one.standing(bad), [true, 'healthy: passive: status 404 (on trial)']);
    await one.comesToRest();
  });

  it('with all calls at once, and of every balancer', async () => {
    for (const type of ['roundrobin', 'chash', 'ewma', 'least_conn'] as const) {
      const [bad, good] = await scene.endpoints(2);
      assert.ok(bad && good);
      const one = await scene.plane([bad, good], { ...POLICY, balancer: { type, key: 'uri' } });
      bad.play = 500;
      for (let i = 0; one.endpoint(bad).outReason === ''; i++) {
        assert.ok(i < 200, type);
        await one.call({ path: `/${i}` });
        one.clock.advance(1000); // ewma forgets
      }
      bad.play = hold;
      good.play = hold;
      one.clock.advance(10_000);
      const arrived = [bad.calls.length, good.calls.length] as const;
      const calls = Array.from({ length: 30 }, (_, i) => one.call({ path: `/${i}` }));
      await one.until(() => bad.calls.length + good.calls.length === arrived[0] + arrived[1] + 30, 'all arrived');
      if (type === 'ewma' && bad.calls.length === arrived[0]) {
        // Answers took no time while it stood still: whatever has failed once stays the slower one of two.
        assert.deepEqual(one.standing(bad), [true, ON_TRIAL]);
        replyAll(good);
        await Promise.all(calls);
        continue;
      }
      assert.equal(bad.calls.length, arrived[0] + 1, type);
      assert.deepEqual(one.standing(bad), [true, `${ON_TRIAL}, 1 of 1 calls in flight`]);
      for (const endpoint of [bad, good]) replyAll(endpoint);
      for (const call of calls) assert.equal((await call).status, 200);
      assert.equal(one.endpoint(bad).state, 'healthy');
      await one.comesToRest();
    }
  });

  it('of gRPC: the status decides, also in trailers', async () => {
    let status = '14';
    const bad = await grpc.endpoint((call) => {
      call.onEnd = () => call.answer(message('x'), status);
    });
    const good = await grpc.endpoint((call) => {
      call.onEnd = () => call.answer();
    });
    const clock = new FakeClock();
    const plane = await grpc.plane([bad, good], POLICY, { clock });
    const one = new ScenePlane(plane, clock);
    const caller = await grpc.caller(plane);
    const calls = async (count: number): Promise<number> => {
      const before = bad.calls.length;
      for (let i = 0; i < count; i++) await caller.call(callFields(), message('x')).over();
      return bad.calls.length - before;
    };
    assert.equal(await calls(10), 2);
    clock.advance(10_000);
    assert.equal(await calls(10), 1);
    clock.advance(20_000);
    status = '0';
    assert.ok((await calls(10)) >= 4);
    assert.equal(one.endpoint(bad).state, 'healthy');
  });

  it('a call from before, that lasts, does not stand in the way of the trial', async () => {
    const [bad, good] = await scene.endpoints(2);
    assert.ok(bad && good);
    const one = await scene.plane([bad, good], POLICY);
    bad.play = hold;
    while (one.explain().pick !== bad.id) await one.call();
    const lasting = await scene.caller(one);
    await one.until(() => bad.calls.length === 1, 'arrived');
    await takeOut(one, bad);
    const [call] = await trial(one, bad);
    const arrived: number = bad.calls.length;
    for (let i = 0; i < 10; i++) assert.equal((await one.callAsExplained()).body.toString(), String(good.port));
    assert.equal(bad.calls.length, arrived);
    assert.deepEqual(one.standing(bad), [true, `${ON_TRIAL}, 2 of 2 calls in flight`]);
    // The one that ends takes its own place along.
    cut(lasting.socket);
    await one.reaches({ attempts: 1 });
    assert.deepEqual(one.standing(bad), [true, `${ON_TRIAL}, 1 of 1 calls in flight`]);
    for (let i = 0; i < 4; i++) await one.callAsExplained();
    assert.equal(bad.calls.length, arrived);
    bad.calls.at(-1)?.reply(200);
    assert.equal((await call)?.status, 200);
    assert.equal(one.endpoint(bad).state, 'healthy');
    await one.comesToRest();
  });

  it('a stream that begins well leaves its place to the next call, and fail-fast names the trial', async () => {
    const [bad] = await scene.endpoints(1);
    assert.ok(bad);
    const other = await scene.endpoint();
    const one = await scene.plane([bad, other], { ...POLICY, allUnhealthy: 'fail-fast' });
    for (const endpoint of [bad, other]) await takeOut(one, endpoint);
    for (const endpoint of [bad, other]) endpoint.play = hold;
    one.clock.advance(10_000);
    const calls = [one.call(), one.call()];
    await one.until(() => one.levels.attempts === 2, 'both trials');
    const refused = await one.call();
    assert.deepEqual([refused.status, refused.headers['x-outrigger-reason']], [503, 'no_healthy_endpoint']);
    assert.ok(Number(refused.headers['retry-after']) >= 1);
    const arrived = bad.calls.length;
    bad.calls.at(-1)?.socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbe');
    await one.until(() => one.standing(bad)[1] === ON_TRIAL, 'a place');
    calls.push(one.call());
    await one.until(() => bad.calls.length === arrived + 1, 'the next call');
    bad.calls.at(-1)?.reply(200);
    await one.until(() => one.endpoint(bad).state === 'healthy', 'decided');
    bad.calls.at(-2)?.socket.write('ll');
    replyAll(other);
    for (const call of calls) assert.equal((await call).status, 200);
    await one.comesToRest();
  });

  it('a call from before that ends well decides nothing; one of the trial with a status of neither list does', async () => {
    const [bad, good] = await scene.endpoints(2);
    assert.ok(bad && good);
    const one = await scene.plane([bad, good], POLICY);
    bad.play = hold;
    while (one.explain().pick !== bad.id) await one.call();
    const lasting = await scene.caller(one);
    await one.until(() => bad.calls.length === 1, 'arrived');
    await takeOut(one, bad);
    const [call] = await trial(one, bad);
    bad.calls[0]?.reply(200);
    await lasting.until('\r\n\r\n');
    await one.reaches({ attempts: 1 });
    assert.deepEqual(one.standing(bad), [true, `${ON_TRIAL}, 1 of 1 calls in flight`]);
    bad.calls.at(-1)?.reply(502);
    assert.equal((await call)?.status, 502);
    assert.deepEqual(one.standing(bad), [false, 'unhealthy: passive: status 502 (on trial)']);
    await one.comesToRest();
  });

  it('a backup of weight 0 goes on with what the trial may not take', async () => {
    const [bad, backup] = await scene.endpoints(2);
    assert.ok(bad && backup);
    const one = await scene.plane([bad.port, endpointAt(backup.port, { weight: 0 })], POLICY);
    await takeOut(one, bad);
    assert.deepEqual(await one.shares(3), new Map([[backup.port, 3]]));
    const [call] = await trial(one, bad);
    for (let i = 0; i < 10; i++) assert.equal((await one.callAsExplained()).body.toString(), String(backup.port));
    bad.calls.at(-1)?.reply(200);
    assert.equal((await call)?.status, 200);
    bad.play = 200;
    assert.deepEqual(await one.shares(3), new Map([[bad.port, 3]]));
    await one.comesToRest();
  });
});
