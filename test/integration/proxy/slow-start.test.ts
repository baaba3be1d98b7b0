// Slow start through the whole data plane: what share of the calls an endpoint gets that is new or came back, in every
// balancer, and that ListEndpoints and Explain tell how warm it is.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { DEFAULT_PASSIVE } from '../../../src/model/defaults.ts';
import type { WarmUpPolicy } from '../../../src/model/policy.ts';
import { QUIET } from '../../support/outlier-scene.ts';
import { UpstreamScene, type PlayedEndpoint, type ScenePlane } from '../../support/upstream-scene.ts';

const scene = new UpstreamScene();
after(() => scene.close());

const WARM_UP: WarmUpPolicy = { windowMs: 20_000, minShare: 0.1, intervalMs: 1000, aggression: 1, graceMs: 0 };

/** How many of so many calls go to `endpoint`. */
async function part(one: ScenePlane, endpoint: PlayedEndpoint, calls: number): Promise<number> {
  return (await one.shares(calls)).get(endpoint.port) ?? 0;
}

/** Which calls pass a cold endpoint over is drawn by chance (seeded): within four standard deviations. */
function assertPart(count: number, calls: number, expected: number): void {
  const deviation = Math.sqrt(calls * expected * (1 - expected));
  assert.ok(Math.abs(count - calls * expected) <= 4 * deviation, `${count} of ${calls}, not ${calls * expected}`);
}

describe('slow start of a new endpoint', () => {
  it('its part grows along the curve up to the whole; the port itself began warm', async () => {
    const [a, b, fresh] = await scene.endpoints(3);
    assert.ok(a && b && fresh);
    const one = await scene.plane([a, b], { warmUp: WARM_UP });
    assert.deepEqual([one.endpoint(a).warmPercent, one.endpoint(b).warmPercent], [100, 100]);
    assert.equal(await part(one, a, 20), 10);
    one.clock.advance(1000);
    await one.plane.update([a.port, b.port, fresh.port]);
    const seen: [number, number][] = [[one.endpoint(fresh).warmPercent, await part(one, fresh, 300)]];
    assert.deepEqual(one.standing(fresh), [true, 'unchecked, 10 % warm']);
    for (const ms of [5000, 5000, 5000, 5000]) {
      one.clock.advance(ms);
      seen.push([one.endpoint(fresh).warmPercent, await part(one, fresh, 300)]);
    }
    assert.deepEqual(
      seen.map(([percent]) => percent),
      [10, 25, 50, 75, 100],
    );
    const counts = seen.map(([, count]) => count);
    for (const [i, share] of [0.1, 0.25, 0.5, 0.75, 1].entries()) assertPart(counts[i] ?? 0, 300, share / (2 + share));
    assert.deepEqual(
      counts,
      counts.toSorted((x, y) => x - y),
    );
    assert.equal(counts.at(-1), 100, 'exact again');
    assert.deepEqual(one.standing(fresh), [true, 'unchecked']);
    for (let i = 0; i < 12; i++) await one.callAsExplained();
  });

  for (const type of ['chash', 'ewma', 'least_conn'] as const) {
    it(`${type} gives it less than the others, then its part`, async () => {
      const [a, b, fresh] = await scene.endpoints(3);
      assert.ok(a && b && fresh);
      const one = await scene.plane([a, b], {
        warmUp: { ...WARM_UP, minShare: 0.05 },
        balancer: { type, hashOn: 'vars', key: 'uri' },
      });
      one.clock.advance(1000);
      await one.plane.update([a.port, b.port, fresh.port]);
      const calls = async (): Promise<number> => {
        const before = fresh.calls.length;
        for (let i = 0; i < 120; i++) await one.call({ path: `/${i}` });
        return fresh.calls.length - before;
      };
      const cold = await calls();
      one.clock.advance(20_000);
      const warm = await calls();
      assert.ok(cold < 20, `${type}: ${cold} of 120 while it was cold`);
      assert.ok(warm > 20, `${type}: ${warm} of 120 when it was warm`);
    });
  }

  it('all that come together with nobody else have the whole weight', async () => {
    const [old, a, b] = await scene.endpoints(3);
    assert.ok(old && a && b);
    const one = await scene.plane([old], { warmUp: WARM_UP });
    one.clock.advance(60_000);
    await one.plane.update([a.port, b.port]);
    assert.deepEqual([one.endpoint(a).warmPercent, one.endpoint(b).warmPercent], [100, 100]);
    assert.deepEqual([...(await one.shares(10)).values()], [5, 5]);
  });

  it('who comes within the grace period is warm; an edit of weights starts nothing anew', async () => {
    const [a, b, c] = await scene.endpoints(3);
    assert.ok(a && b && c);
    const one = await scene.plane([a], { warmUp: { ...WARM_UP, graceMs: 10_000 } });
    one.clock.advance(9000);
    await one.plane.update([a.port, b.port]);
    assert.equal(one.endpoint(b).warmPercent, 100);
    one.clock.advance(2000);
    await one.plane.update([a.port, b.port, c.port]);
    assert.equal(one.endpoint(c).warmPercent, 10);
    one.clock.advance(10_000);
    await one.plane.update([a.port, b.port, c.port], { warmUp: { ...WARM_UP, graceMs: 10_000 } });
    assert.equal(one.endpoint(c).warmPercent, 50);
    await one.plane.update([a.port, b.port, c.port], { warmUp: undefined });
    assert.equal(one.endpoint(c).warmPercent, 100);
  });
});

describe('slow start of an endpoint that came back', () => {
  it('after an ejection', async () => {
    const [back, other] = await scene.endpoints(2);
    assert.ok(back && other);
    const one = await scene.plane([back, other], {
      attempts: { maxAttempts: 1 },
      warmUp: WARM_UP,
      outlierDetection: { ...QUIET, consecutive5xx: 1, intervalMs: 1000, baseEjectionMs: 5000 },
    });
    back.play = 500;
    while (one.endpoint(back).outReason === '') await one.call();
    back.play = 200;
    assert.equal(await part(one, back, 10), 0);
    one.clock.advance(5000);
    assert.equal(one.endpoint(back).warmPercent, 10);
    assertPart(await part(one, back, 200), 200, 0.1 / 1.1);
    one.clock.advance(10_000);
    assertPart(await part(one, back, 200), 200, 0.5 / 1.5);
    one.clock.advance(10_000);
    assert.equal(one.endpoint(back).warmPercent, 100);
    assert.equal(await part(one, back, 20), 10);
  });

  it('after passive checks took it out: its trial comes first, then the curve from its start', async () => {
    const [back, other] = await scene.endpoints(2);
    assert.ok(back && other);
    const one = await scene.plane([back, other], {
      attempts: { maxAttempts: 1 },
      warmUp: WARM_UP,
      checks: { active: undefined, passive: { ...DEFAULT_PASSIVE, httpFailures: 1, returnAfterMs: 5000 } },
    });
    back.play = 500;
    while (one.endpoint(back).outReason === '') await one.call();
    back.play = 200;
    one.clock.advance(5000);
    // The trial.
    while (one.endpoint(back).state !== 'healthy') await one.callAsExplained();
    assert.equal(one.endpoint(back).warmPercent, 10);
    assert.deepEqual(one.standing(back), [true, 'healthy: passive: status 200 (on trial), 10 % warm']);
    one.clock.advance(10_000);
    assert.equal(one.endpoint(back).warmPercent, 50);
    assertPart(await part(one, back, 200), 200, 0.5 / 1.5);
  });

  it('an endpoint that fails while it warms up begins at the bottom when it comes back', async () => {
    const [back, other] = await scene.endpoints(2);
    assert.ok(back && other);
    const one = await scene.plane([back, other], {
      attempts: { maxAttempts: 1 },
      warmUp: WARM_UP,
      outlierDetection: { ...QUIET, consecutive5xx: 1, intervalMs: 1000, baseEjectionMs: 5000 },
    });
    for (let i = 0; i < 2; i++) {
      back.play = 500;
      while (one.endpoint(back).outReason === '') await one.call();
      back.play = 200;
      one.clock.advance(5000);
      assert.equal(one.endpoint(back).warmPercent, 10);
      one.clock.advance(10_000);
      assert.equal(one.endpoint(back).warmPercent, 50);
    }
  });
});
