import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerStatus, GrpcStatus } from '../../../src/codec/grpc/status.ts';
import { OutlierDetector } from '../../../src/health/outlier.ts';
import { EndpointCell } from '../../../src/model/cells.ts';
import { DEFAULT_OUTLIER } from '../../../src/model/defaults.ts';
import type { OutlierPolicy } from '../../../src/model/policy.ts';
import { OutlierScene, QUIET, scriptedRng } from '../../support/outlier-scene.ts';

const FIVE: OutlierPolicy = { ...QUIET, consecutive5xx: 5 };

/** Feeds events such as `500 200 f`, all to endpoint 0, and tells which of them (from 1) ejected it. */
function ejectedBy(policy: OutlierPolicy, events: string): { at: number; cause: string } | undefined {
  const scene = new OutlierScene(3, policy);
  for (const [i, event] of events.split(' ').entries()) {
    const detection = scene.end(0, event === 'f' ? 'failed' : Number(event));
    if (detection?.verdict === 'ejected') return { at: i + 1, cause: detection.cause };
  }
  return undefined;
}

test('consecutive 5xx: at the fifth in a row, any of 500 to 599', () => {
  assert.deepEqual(ejectedBy(FIVE, '500 501 502 503 599'), { at: 5, cause: 'consecutive_5xx: 5 in a row' });
  assert.equal(ejectedBy(FIVE, '500 500 500 500'), undefined);
});

test('what is not a 5xx is a success and starts the count anew', () => {
  for (const status of [101, 200, 301, 404, 429, 499, 600]) {
    assert.equal(ejectedBy(FIVE, `500 500 500 500 ${status} 500 500 500 500`), undefined, String(status));
    assert.equal(ejectedBy(FIVE, `500 500 500 500 ${status} 500 500 500 500 500`)?.at, 10);
  }
});

test('failed attempts count as 5xx and as gateway failures unless split', () => {
  assert.equal(ejectedBy(FIVE, 'f f 500 f f')?.at, 5);
  const gateway = { ...QUIET, consecutiveGatewayFailure: 3 };
  assert.deepEqual(ejectedBy(gateway, 'f 502 f'), { at: 3, cause: 'consecutive_gateway_failure: 3 in a row' });
});

test('gateway failures are 502, 503 and 504; another 5xx starts their count anew', () => {
  const gateway = { ...QUIET, consecutiveGatewayFailure: 3, consecutive5xx: 9 };
  assert.equal(ejectedBy(gateway, '502 503 504')?.at, 3);
  assert.equal(ejectedBy(gateway, '502 503 500 502 503 501 502 503'), undefined);
  assert.equal(ejectedBy(gateway, '502 503 505 502 503 504')?.at, 6);
  assert.equal(ejectedBy(gateway, '502 503 200 502 503'), undefined);
});

test('split: failed attempts have a count of their own, and answers have theirs', () => {
  const split = { ...FIVE, splitLocalOrigin: true, consecutiveLocalOriginFailure: 3, consecutiveGatewayFailure: 5 };
  assert.deepEqual(ejectedBy(split, 'f f f'), { at: 3, cause: 'consecutive_local_origin_failure: 3 in a row' });
  // An answer shows that the connection works, whatever its status.
  assert.equal(ejectedBy(split, 'f f 500 f f 500 f f 500 f f 500'), undefined);
  // Failed attempts neither count as answers in a row nor end such a row.
  assert.deepEqual(ejectedBy(split, '500 f 500 500 f 500 f 500'), { at: 8, cause: 'consecutive_5xx: 5 in a row' });
});

test('split: an answer that breaks off is an answer and a failed attempt', () => {
  const scene = new OutlierScene(2, { ...FIVE, splitLocalOrigin: true, consecutiveLocalOriginFailure: 2 });
  scene.end(0, 500);
  const broken = { status: 200, local: 'failed', latencyUs: 10 } as const;
  assert.equal(scene.report(0, broken), undefined);
  assert.equal(scene.word(0, EndpointCell.Consecutive5xx), 0);
  assert.equal(scene.report(0, broken)?.kind, 'consecutive_local_origin_failure');
});

test('a gRPC status counts as the HTTP status that stands for it', () => {
  const status = (grpcStatus: number): number => answerStatus(200, grpcStatus);
  const run = (grpcStatus: number): number | undefined =>
    ejectedBy(
      { ...QUIET, consecutiveGatewayFailure: 2, consecutive5xx: 4 },
      Array(4).fill(status(grpcStatus)).join(' '),
    )?.at;
  assert.equal(run(GrpcStatus.UNAVAILABLE), 2); // 503
  assert.equal(run(GrpcStatus.INTERNAL), 4); // 500
  assert.equal(run(GrpcStatus.OK), undefined);
  assert.equal(run(GrpcStatus.NOT_FOUND), undefined);
});

test('a count of 0 is off; enforcing 0 ejects nobody and detects nothing', () => {
  assert.equal(ejectedBy(QUIET, Array(50).fill('503').join(' ')), undefined);
  const scene = new OutlierScene(3, { ...FIVE, enforcing: { ...FIVE.enforcing, consecutive5xx: 0 } });
  for (let i = 0; i < 50; i++) assert.equal(scene.end(0, 500), undefined);
});

test('by default gateway failures are not enforced, and 5xx are', () => {
  assert.deepEqual(ejectedBy(DEFAULT_OUTLIER, '503 503 503 503 503'), { at: 5, cause: 'consecutive_5xx: 5 in a row' });
});

test('enforcing percent is drawn; a miss leaves the endpoint in and the count starts anew', () => {
  const policy = { ...QUIET, consecutive5xx: 2, enforcing: { ...QUIET.enforcing, consecutive5xx: 30 } };
  const scene = new OutlierScene(3, policy, scriptedRng([30, 29]));
  scene.end(0, 500);
  assert.equal(scene.end(0, 500)?.verdict, 'not_enforced');
  assert.deepEqual(scene.ejected, []);
  assert.equal(scene.word(0, EndpointCell.Consecutive5xx), 0);
  assert.equal(scene.end(0, 500), undefined);
  assert.equal(scene.end(0, 500)?.verdict, 'ejected');
});

test('the cap: a refusal is an overflow, and the count starts anew', () => {
  const scene = new OutlierScene(5, { ...QUIET, consecutive5xx: 2, maxEjectionPercent: 10 });
  scene.end(0, 500);
  assert.equal(scene.end(0, 500)?.verdict, 'ejected'); // Envoy would eject nobody of five at 10 %
  for (const other of [1, 2, 3, 4]) {
    assert.equal(scene.end(other, 500), undefined);
    assert.deepEqual(scene.end(other, 500), {
      slot: scene.slots[other],
      kind: 'consecutive_5xx',
      cause: 'consecutive_5xx: 2 in a row',
      verdict: 'overflow',
      forMs: 0,
    });
    assert.equal(scene.word(other, EndpointCell.Consecutive5xx), 0);
  }
  assert.deepEqual(scene.ejected, [0]);
});

test('a single endpoint is never ejected', () => {
  const scene = new OutlierScene(1, FIVE);
  for (let i = 0; i < 4; i++) scene.end(0, 500);
  assert.equal(scene.end(0, 500)?.verdict, 'overflow');
  assert.deepEqual(scene.ejected, []);
});

test('what ends while its endpoint is ejected is not counted in a row', () => {
  const scene = new OutlierScene(4, FIVE);
  for (let i = 0; i < 5; i++) scene.end(0, 500);
  for (let i = 0; i < 12; i++) assert.equal(scene.end(0, 500), undefined);
  assert.equal(scene.word(0, EndpointCell.Consecutive5xx), 0);
  assert.equal(scene.word(0, EndpointCell.Ejections), 1);
});

test('an ejection ends at the first sweep after base × multiplier, and counts in a row start anew', () => {
  const scene = new OutlierScene(3, { ...FIVE, consecutiveGatewayFailure: 9 });
  scene.end(0, 503); // at 1000.5; sweeps at 11,000.5, 21,000.5, 31,000.5
  for (let i = 0; i < 4; i++) scene.end(0, 503);
  assert.equal(scene.word(0, EndpointCell.ConsecutiveGateway), 5);
  assert.deepEqual([scene.sweep().unejected, scene.sweep().unejected], [[], []]);
  assert.deepEqual(scene.sweep().unejected, [0]);
  assert.equal(scene.nowMs, 31_000.5);
  assert.equal(scene.word(0, EndpointCell.ConsecutiveGateway), 0);
});

test('ejections in a row last 30, 60, … 300 s, no more; a quiet interval forgives one', () => {
  const scene = new OutlierScene(3, { ...QUIET, consecutive5xx: 1 });
  const lengths: number[] = [];
  for (let i = 0; i < 12; i++) {
    const detection = scene.end(0, 500);
    assert.equal(detection?.verdict, 'ejected');
    lengths.push(detection.forMs / 1000);
    const since = scene.nowMs;
    while (scene.ejected.length > 0) scene.sweep();
    assert.equal((scene.nowMs - since) / 1000, lengths.at(-1));
  }
  assert.deepEqual(lengths, [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]);
  assert.equal(scene.word(0, EndpointCell.EjectionMultiplier), 11); // as Envoy: while k × base < max + base
  scene.sweep();
  scene.sweep();
  scene.sweep();
  assert.equal(scene.word(0, EndpointCell.EjectionMultiplier), 8);
  assert.equal(scene.end(0, 500)?.forMs, 270_000);
  assert.equal(scene.word(0, EndpointCell.Ejections), 13);
});

test('jitter is drawn from 0 to its bound and adds to the longest too', () => {
  const policy = {
    ...QUIET,
    consecutive5xx: 1,
    baseEjectionMs: 10_000,
    maxEjectionMs: 10_000,
    maxEjectionJitterMs: 700,
  };
  const scene = new OutlierScene(3, policy, scriptedRng([700, 0]));
  assert.equal(scene.end(0, 500)?.forMs, 10_700);
  assert.deepEqual([scene.sweep().unejected, scene.sweep().unejected], [[], [0]]);
  assert.equal(scene.end(1, 500)?.forMs, 10_000);
  assert.deepEqual(scene.sweep().unejected, [1]);
});

test('a passing active check ends an ejection, where the policy says so', () => {
  for (const activeSuccessUnejects of [true, false]) {
    const scene = new OutlierScene(3, { ...FIVE, activeSuccessUnejects });
    const pass = (): boolean => scene.detector.onActiveSuccess(scene.cells, scene.slots[0]!, scene.nowMs);
    assert.equal(pass(), false);
    for (let i = 0; i < 5; i++) scene.end(0, 500);
    assert.equal(pass(), activeSuccessUnejects);
    assert.deepEqual(scene.ejected, activeSuccessUnejects ? [] : [0]);
    assert.equal(pass(), false);
  }
});

test('a sweep before its time does nothing; a late one keeps the phase unless an interval was lost', () => {
  const scene = new OutlierScene(2, QUIET, undefined, 0);
  const { detector, cells, slots, rng } = scene;
  scene.end(0, 200);
  detector.sweep(cells, slots, 9_999, rng);
  assert.equal(scene.word(0, EndpointCell.IntervalTotal), 1);
  assert.equal(detector.nextSweepMs, 10_000);
  detector.sweep(cells, slots, 10_400, rng);
  assert.equal(scene.word(0, EndpointCell.IntervalTotal), 0);
  assert.equal(detector.nextSweepMs, 20_000);
  detector.sweep(cells, slots, 45_000, rng);
  assert.equal(detector.nextSweepMs, 55_000);
});

test('a new policy keeps who is ejected, the counts and the phase', () => {
  const scene = new OutlierScene(3, { ...FIVE, consecutive5xx: 2 }, undefined, 0);
  const { detector, cells, slots } = scene;
  scene.end(0, 500);
  scene.end(0, 500);
  scene.end(1, 500);
  assert.deepEqual(detector.setPolicy(cells, slots, { ...FIVE, consecutive5xx: 2, intervalMs: 4000 }, 3000), []);
  assert.equal(detector.nextSweepMs, 4000);
  detector.setPolicy(cells, slots, { ...FIVE, consecutive5xx: 2, intervalMs: 1000 }, 3000);
  assert.equal(detector.nextSweepMs, 3000); // due already
  assert.deepEqual(scene.ejected, [0]);
  assert.equal(scene.end(1, 500)?.verdict, 'ejected');
});

test('a limit that falls below a count is reached by the next failure', () => {
  const scene = new OutlierScene(3, FIVE);
  for (let i = 0; i < 4; i++) scene.end(0, 500);
  scene.detector.setPolicy(scene.cells, scene.slots, { ...FIVE, consecutive5xx: 2 }, scene.nowMs);
  assert.equal(scene.end(0, 500)?.cause, 'consecutive_5xx: 2 in a row');
});

test('switched off, all come back and nothing is remembered; switched on, it begins anew', () => {
  const scene = new OutlierScene(3, FIVE, undefined, 0);
  const { detector, cells, slots } = scene;
  for (let i = 0; i < 5; i++) scene.end(0, 500);
  for (let i = 0; i < 4; i++) scene.end(1, 500);
  assert.deepEqual(detector.setPolicy(cells, slots, undefined, 500), [slots[0]]);
  assert.deepEqual(detector.setPolicy(cells, slots, undefined, 500), []);
  assert.equal(detector.nextSweepMs, Infinity);
  assert.equal(scene.end(1, 500), undefined);
  for (const endpoint of [0, 1, 2]) {
    for (const word of [EndpointCell.EjectionMultiplier, EndpointCell.Consecutive5xx, EndpointCell.IntervalTotal]) {
      assert.equal(scene.word(endpoint, word), 0);
    }
  }
  assert.equal(scene.word(0, EndpointCell.Ejections), 1);
  assert.deepEqual(scene.sweep(), { unejected: [], detections: [] });
  detector.setPolicy(cells, slots, FIVE, 7000);
  assert.equal(detector.nextSweepMs, 17_000);
  assert.equal(scene.end(1, 500), undefined);
  assert.equal(new OutlierDetector(undefined, 0).nextSweepMs, Infinity);
});

test('when endpoints are removed, the longest ejected come back until the cap holds again', () => {
  const scene = new OutlierScene(8, { ...QUIET, consecutive5xx: 1, maxEjectionPercent: 50 });
  for (const endpoint of [3, 0, 2, 1]) {
    scene.end(endpoint, 500);
    scene.nowMs += 10;
  }
  const { detector, cells, slots } = scene;
  slots.splice(4, 3);
  assert.deepEqual(detector.keepWithinCap(cells, slots, scene.nowMs), [slots[3], slots[0]]);
  assert.deepEqual(scene.ejected, [1, 2]);
  slots.splice(2);
  assert.deepEqual(detector.keepWithinCap(cells, slots, scene.nowMs), []);
  slots.splice(0, 1);
  assert.deepEqual(scene.sweep().unejected, [0]); // the only one that is left
});

test('time in cells survives the turn of its 32 bits', () => {
  const scene = new OutlierScene(3, { ...QUIET, consecutive5xx: 1 }, undefined, 2 ** 32 - 5000);
  scene.end(0, 500);
  assert.deepEqual([scene.sweep().unejected, scene.sweep().unejected, scene.sweep().unejected], [[], [], [0]]);
  scene.sweep();
  assert.equal(scene.word(0, EndpointCell.EjectionMultiplier), 0);
});
