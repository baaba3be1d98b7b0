import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffMs } from '../../../src/base/backoff.ts';
import { seededRng } from '../../../src/base/rng.ts';

const POLICY = { initialMs: 100, maxMs: 5_000, multiplier: 2, jitter: 0 };
const rng = seededRng(1);

test('grows by the multiplier up to the maximum', () => {
  const delays = [1, 2, 3, 4, 5, 6, 7, 8].map((failures) => backoffMs(POLICY, failures, rng));
  assert.deepEqual(delays, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
});

test('stays finite however many failures there were', () => {
  assert.equal(backoffMs(POLICY, 1_000_000, rng), 5_000);
  assert.equal(backoffMs(POLICY, 0, rng), 100);
});

test('a first delay over the maximum is cut', () => {
  assert.equal(backoffMs({ ...POLICY, initialMs: 9_000 }, 1, rng), 5_000);
});

test('jitter takes at most its share, and is repeatable by seed', () => {
  const policy = { ...POLICY, jitter: 0.5 };
  const delays = (seed: number): number[] => {
    const chance = seededRng(seed);
    return Array.from({ length: 200 }, () => backoffMs(policy, 3, chance));
  };
  const some = delays(5);
  assert.ok(some.every((ms) => ms > 200 && ms <= 400));
  assert.ok(Math.min(...some) < 210 && Math.max(...some) > 390);
  assert.deepEqual(some, delays(5));
  assert.notDeepEqual(some, delays(6));
});
