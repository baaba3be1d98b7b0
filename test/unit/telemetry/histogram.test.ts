import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { BUCKET_BOUNDS_US, LatencyHistogram } from '../../../src/telemetry/histogram.ts';

test('bounds ascend from 10 µs to 100 s in steps of at most 30 %', () => {
  assert.equal(BUCKET_BOUNDS_US[0], 10);
  assert.equal(BUCKET_BOUNDS_US.at(-1), 100_000_000);
  for (let i = 1; i < BUCKET_BOUNDS_US.length; i++) {
    const ratio = BUCKET_BOUNDS_US[i]! / BUCKET_BOUNDS_US[i - 1]!;
    assert.ok(ratio > 1 && ratio <= 1.3, `bucket ${i}: ${ratio}`);
  }
});

test('every value lands in the bucket whose bounds hold it', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2_147_483_647 }), (us) => {
      const histogram = new LatencyHistogram();
      histogram.record(us);
      BUCKET_BOUNDS_US.forEach((bound, i) => assert.equal(histogram.countUpTo(i), us <= bound ? 1 : 0));
      assert.equal(histogram.count, 1);
      assert.equal(histogram.sumUs, us);
    }),
    { seed: 11, numRuns: 300 },
  );
  for (const bound of BUCKET_BOUNDS_US) {
    const histogram = new LatencyHistogram();
    histogram.record(bound);
    histogram.record(bound + 1);
    assert.equal(histogram.countUpTo(BUCKET_BOUNDS_US.indexOf(bound)), 1);
  }
});

test('odd values are counted, not thrown', () => {
  const histogram = new LatencyHistogram();
  for (const us of [-5, Number.NaN, 0.9, Number.POSITIVE_INFINITY, 2 ** 40]) histogram.record(us);
  assert.equal(histogram.count, 5);
  assert.equal(histogram.sumUs, 2 * 2_147_483_647);
});

test('quantiles are within a bucket of the truth', () => {
  const histogram = new LatencyHistogram();
  assert.equal(histogram.quantileUs(0.5), 0);
  for (let us = 1; us <= 10_000; us++) histogram.record(us * 10);
  for (const q of [0.01, 0.25, 0.5, 0.9, 0.99]) {
    const truth = q * 100_000;
    assert.ok(Math.abs(histogram.quantileUs(q) - truth) <= truth * 0.3, `${q}: ${histogram.quantileUs(q)}`);
  }
  // Evenly spread values are interpolated closely.
  assert.ok(Math.abs(histogram.quantileUs(0.5) - 50_000) < 500);
  const slow = new LatencyHistogram();
  slow.record(2_000_000_000);
  assert.equal(slow.quantileUs(0.99), 100_000_000);
});
