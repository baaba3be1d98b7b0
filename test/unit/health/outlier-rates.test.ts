import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failsAtLeast, lowerMedian, successRateThreshold } from '../../../src/health/outlier-rates.ts';
import { EndpointCell } from '../../../src/model/cells.ts';
import type { OutlierPolicy } from '../../../src/model/policy.ts';
import { OutlierScene, QUIET } from '../../support/outlier-scene.ts';

const RATES: OutlierPolicy = { ...QUIET, enforcing: { ...QUIET.enforcing, successRate: 100 } };
const FAILURES: OutlierPolicy = { ...QUIET, enforcing: { ...QUIET.enforcing, failurePercentage: 100 } };
const LATENCY: OutlierPolicy = { ...QUIET, latencyFactor: 3 };

/** Good answers of a hundred, by endpoint. */
function interval(policy: OutlierPolicy, good: readonly number[], total = 100): OutlierScene {
  const scene = new OutlierScene(good.length, policy);
  for (const [endpoint, count] of good.entries()) scene.answers(endpoint, total, count);
  return scene;
}

const causes = (scene: OutlierScene): readonly string[] => scene.sweep().detections.map(({ cause }) => cause);

test('Envoy’s vector: {50, 100, 100, 100, 100} has mean 90, deviation 20, threshold 52', () => {
  assert.deepEqual(successRateThreshold([50, 100, 100, 100, 100], 1900), { mean: 90, stdev: 20, threshold: 52 });
  const scene = interval(RATES, [50, 100, 100, 100, 100]);
  assert.deepEqual(causes(scene), ['success_rate: 50 % below 52 %']);
  assert.deepEqual(scene.ejected, [0]);
});

test('success rate: ejects below the threshold, not at it', () => {
  // With a factor of 2000 the threshold is 50, which is the rate.
  assert.equal(successRateThreshold([50, 100, 100, 100, 100], 2000).threshold, 50);
  assert.deepEqual(causes(interval({ ...RATES, successRateStdevFactor: 2000 }, [50, 100, 100, 100, 100])), []);
  assert.equal(causes(interval({ ...RATES, successRateStdevFactor: 1999 }, [50, 100, 100, 100, 100])).length, 1);
});

test('success rate: equal rates eject nobody, whatever the factor and the rounding', () => {
  for (const successRateStdevFactor of [0, 1, 500, 1900]) {
    for (const good of [0, 1, 33, 66, 99, 100]) {
      const scene = interval({ ...RATES, successRateStdevFactor }, Array<number>(7).fill(good), 101);
      assert.deepEqual(causes(scene), [], `${good} of 101 at ${successRateStdevFactor}`);
    }
  }
});

test('success rate: who has too little volume is not compared, and enough must have it', () => {
  const few = new OutlierScene(6, RATES);
  for (const endpoint of [0, 1, 2, 3]) few.answers(endpoint, 100, 100);
  few.answers(4, 99, 0);
  few.answers(5, 100, 0);
  assert.equal(causes(few).length, 1); // five have 100: the sixth doesn't count and stays in
  assert.deepEqual(few.ejected, [5]);
  assert.deepEqual(causes(interval(RATES, [0, 100, 100, 100])), []); // four of at least five
});

test('success rate: the ejected are not compared', () => {
  const scene = new OutlierScene(6, { ...RATES, consecutive5xx: 5 });
  scene.answers(0, 100, 0);
  assert.deepEqual(scene.ejected, [0]);
  for (const endpoint of [1, 2, 3, 4, 5]) scene.answers(endpoint, 100, 100);
  assert.deepEqual(causes(scene), []);
});

test('each sweep judges its own interval', () => {
  const scene = interval(RATES, [100, 100, 100, 100, 100]);
  assert.deepEqual(causes(scene), []);
  for (const endpoint of [0, 1, 2, 3, 4]) scene.answers(endpoint, 99, endpoint === 0 ? 0 : 99);
  assert.deepEqual(causes(scene), []); // 99 of at least 100, though 199 since the start
});

test('failure percentage: ejects at the threshold', () => {
  const scene = interval({ ...FAILURES, failurePercentageThreshold: 85 }, [15, 16, 100, 100, 100]);
  assert.deepEqual(causes(scene), ['failure_percentage: 85 % at or above 85 %']);
  assert.deepEqual(scene.ejected, [0]);
});

test('failure percentage: hosts, volume and enforcing', () => {
  assert.deepEqual(causes(interval(FAILURES, [0, 0, 0, 0])), []);
  assert.deepEqual(causes(interval(FAILURES, [0, 0, 0, 0, 0], 49)), []);
  assert.equal(causes(interval(FAILURES, [0, 0, 0, 0, 0], 50)).length, 5);
  assert.deepEqual(causes(interval(QUIET, [0, 0, 0, 0, 0])), []);
});

test('failure percentage in integers is Envoy’s 100 − rate ≥ threshold', () => {
  for (let total = 1; total <= 60; total++) {
    for (let ok = 0; ok <= total; ok++) {
      for (const percent of [1, 33, 50, 85, 99, 100]) {
        assert.equal(failsAtLeast(total, ok, percent), 100 - (ok * 100) / total >= percent, `${ok} of ${total}`);
      }
    }
  }
});

test('the worst go first where the cap stops the rest', () => {
  const scene = interval({ ...FAILURES, maxEjectionPercent: 40 }, [10, 0, 5, 100, 100]);
  const { detections } = scene.sweep();
  assert.deepEqual(
    detections.map(({ slot, verdict }) => [scene.slots.indexOf(slot), verdict]),
    [
      [1, 'ejected'],
      [2, 'ejected'],
      [0, 'overflow'],
    ],
  );
});

test('an endpoint that stands out twice is ejected, or refused, once', () => {
  const both = { ...FAILURES, enforcing: { ...FAILURES.enforcing, successRate: 100 } };
  const scene = interval(both, [0, 100, 100, 100, 100]);
  assert.deepEqual(causes(scene), ['success_rate: 0 % below 4 %']);
  assert.equal(scene.word(0, EndpointCell.Ejections), 1);
  assert.equal(scene.word(0, EndpointCell.EjectionMultiplier), 1);
});

test('split: connections are rated apart from answers', () => {
  const enforcing = { ...QUIET.enforcing, localOriginSuccessRate: 100, failurePercentageLocalOrigin: 100 };
  const run = (splitLocalOrigin: boolean): readonly string[] => {
    const scene = new OutlierScene(6, { ...QUIET, splitLocalOrigin, enforcing });
    for (let i = 0; i < 100; i++) {
      scene.end(0, i < 60 ? 'failed' : 200);
      scene.end(1, 500); // its connections are well
      for (const endpoint of [2, 3, 4, 5]) scene.end(endpoint, 200);
    }
    return causes(scene);
  };
  assert.deepEqual(run(true), ['success_rate_local_origin: 40 % below 47.51 %']);
  assert.deepEqual(run(false), []);
  const scene = new OutlierScene(5, { ...QUIET, splitLocalOrigin: true, enforcing });
  for (let i = 0; i < 100; i++) for (let endpoint = 0; endpoint < 5; endpoint++) scene.end(endpoint, 'failed');
  assert.equal(causes(scene).filter((cause) => cause.startsWith('failure_percentage_local_origin: 100 %')).length, 5);
});

test('latency: more than so many times the median of the means', () => {
  const scene = new OutlierScene(4, LATENCY);
  for (const [endpoint, ms] of [20, 210, 20, 60].entries()) scene.answers(endpoint, 50, 50, ms * 1000);
  assert.deepEqual(causes(scene), ['latency: 210 ms above 3 × 20 ms']); // 60 is not above 60
  assert.deepEqual(scene.ejected, [1]);
});

test('latency: good answers only, enough of them, at enough endpoints', () => {
  const slowFailures = new OutlierScene(3, LATENCY);
  for (const endpoint of [0, 1, 2]) slowFailures.answers(endpoint, 50, 50, 1000);
  for (let i = 0; i < 50; i++) slowFailures.end(0, 500, 9_000_000);
  assert.deepEqual(causes(slowFailures), []);

  const fewAnswers = new OutlierScene(4, LATENCY);
  for (const endpoint of [0, 1, 2]) fewAnswers.answers(endpoint, 50, 50, 1000);
  fewAnswers.answers(3, 49, 49, 9_000_000);
  assert.deepEqual(causes(fewAnswers), []);

  const fewHosts = new OutlierScene(2, LATENCY);
  fewHosts.answers(0, 50, 50, 1000);
  fewHosts.answers(1, 50, 50, 9_000_000);
  assert.deepEqual(causes(fewHosts), []);
  const two = new OutlierScene(2, { ...LATENCY, latencyMinimumHosts: 2 });
  two.answers(0, 50, 50, 1000);
  two.answers(1, 50, 50, 9_000_000);
  assert.deepEqual(causes(two), ['latency: 9000 ms above 3 × 1 ms']);
});

test('latency: the sum goes beyond 32 bits', () => {
  const scene = new OutlierScene(3, LATENCY);
  for (const [endpoint, seconds] of [100, 301, 100].entries()) scene.answers(endpoint, 60, 60, seconds * 1e6);
  assert.equal(scene.cells.total(scene.slots[1]!, EndpointCell.IntervalLatencyUs), 60 * 301e6);
  assert.deepEqual(causes(scene), ['latency: 301000 ms above 3 × 100000 ms']);
});

test('lower median', () => {
  assert.deepEqual(
    [[], [7], [9, 1], [9, 1, 5], [4, 3, 2, 1], [5, 4, 3, 2, 1]].map((values) => lowerMedian(values)),
    [0, 7, 1, 5, 2, 3],
  );
});
