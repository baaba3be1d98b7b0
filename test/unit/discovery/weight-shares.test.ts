import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { weigher, type WeightShare } from '../../../src/discovery/weight-shares.ts';

const MAX = 0xffff_ffff;
const weights = (...shares: [weight: number, count: number][]): number[] => {
  const all = shares.map(([weight, count]): WeightShare => ({ weight, count }));
  return all.map(weigher(all));
};

test('a share is divided exactly, by a common multiple', () => {
  assert.deepEqual(weights([1, 1]), [1]);
  assert.deepEqual(weights([5, 3]), [5], 'one name alone keeps its number');
  assert.deepEqual(weights([1, 1], [1, 2]), [2, 1]);
  assert.deepEqual(weights([1, 2], [1, 3], [4, 1]), [3, 2, 24]);
  assert.deepEqual(weights([0, 2], [1, 3]), [0, 2]);
});

test('beyond the largest weight all are scaled, and nothing above 0 becomes 0', () => {
  assert.deepEqual(weights([MAX, 1], [MAX, 2]), [MAX, Math.round(MAX / 2)]);
  assert.deepEqual(weights([MAX, 1], [1, 50]), [MAX, 1]);
  assert.deepEqual(weights([MAX, 1], [0, 2]), [MAX, 0]);
  assert.deepEqual(weights([0, 7919], [0, 7907], [0, 7901]), [0, 0, 0]);
});

test('sums keep their proportions', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ weight: fc.integer({ min: 0, max: 1000 }), count: fc.integer({ min: 1, max: 60 }) }), {
        minLength: 1,
        maxLength: 6,
      }),
      (shares) => {
        const weigh = weigher(shares);
        const result = shares.map(weigh);
        for (const [i, share] of shares.entries()) {
          const weight = result[i] ?? -1;
          assert.ok(Number.isInteger(weight) && weight >= 0 && weight <= MAX);
          assert.equal(weight === 0, share.weight === 0);
          for (const [j, other] of shares.entries()) {
            // weight * count / share.weight is the same for all
            const left = weight * share.count * other.weight;
            const right = (result[j] ?? -1) * other.count * share.weight;
            assert.ok(Math.abs(left - right) <= 1e-5 * Math.max(left, right), `${left} ${right}`);
          }
        }
      },
    ),
    { seed: 11, numRuns: 300 },
  );
});
