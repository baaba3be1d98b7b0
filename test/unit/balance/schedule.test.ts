import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { MAX_SCHEDULE_LENGTH, buildSchedule, cycleShares } from '../../../src/balance/schedule.ts';

const letters = (weights: number[]): string =>
  Array.from(buildSchedule(weights).order, (index) => 'ABCDEFGH'.charAt(index)).join(' ');

test('the order is smooth', () => {
  assert.equal(letters([5, 1, 1]), 'A A B A C A A');
  assert.equal(letters([1, 1, 1]), 'A B C');
  assert.equal(letters([3, 2, 1]), 'A B A C B A');
  assert.equal(letters([500, 100, 100]), 'A A B A C A A');
  assert.equal(letters([4, 2]), 'A B A');
});

test('weight 0 has no place, unless all have it', () => {
  assert.equal(letters([3, 0, 1]), 'A A C A');
  assert.equal(letters([0, 0, 0]), 'A B C');
  assert.equal(letters([0]), 'A');
  assert.equal(letters([]), '');
});

/** The definition: every step adds each weight to its lead, takes the largest, subtracts the total. */
function smooth(weights: readonly number[], length: number): number[] {
  const leads = weights.map(() => 0);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return Array.from({ length }, () => {
    weights.forEach((weight, index) => (leads[index]! += weight));
    let best = -1;
    weights.forEach((weight, index) => {
      if (weight > 0 && (best < 0 || leads[index]! > leads[best]!)) best = index;
    });
    leads[best]! -= total;
    return best;
  });
}

test('equals the definition, with exact totals of one cycle', () => {
  const weight = fc.oneof(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 1, max: 60 }));
  fc.assert(
    fc.property(fc.array(weight, { minLength: 1, maxLength: 9 }), (weights) => {
      fc.pre(weights.some((each) => each > 0));
      const { order, shares } = buildSchedule(weights);
      assert.deepEqual([...order], smooth(shares, order.length));
      const counts = weights.map((_, index) => Array.from(order).filter((each) => each === index).length);
      assert.deepEqual(counts, shares);
      weights.forEach((each, index) => assert.equal(each * shares[0]!, weights[0]! * shares[index]!));
    }),
    { seed: 11, numRuns: 200 },
  );
});

test('21:11 never gives more than two in a row', () => {
  const { order } = buildSchedule([21, 11]);
  assert.equal(order.length, 32);
  assert.ok(!/0{3}/.test([...order, ...order].join('')));
});

test('too long a cycle is scaled, and who has a weight keeps a place', () => {
  const one = cycleShares([1_000_000, 1]);
  assert.deepEqual(one, { shares: [MAX_SCHEDULE_LENGTH - 1, 1], asked: 1_000_001 });
  const { shares: many } = cycleShares([1_000_000, 999_999, 0, ...Array.from({ length: 100 }, () => 1)]);
  assert.equal(
    many.reduce((sum, share) => sum + share, 0),
    MAX_SCHEDULE_LENGTH,
  );
  assert.equal(many[2], 0);
  assert.ok(many.slice(3).every((share) => share === 1));
  assert.ok(Math.abs(many[0]! - many[1]!) <= 1);
});

test('scaled shares are near the weights', () => {
  const weight = fc.oneof(fc.integer({ min: 0, max: 1_000_000 }), fc.integer({ min: 0, max: 0xffff_ffff }));
  fc.assert(
    fc.property(fc.array(weight, { minLength: 2, maxLength: 30 }), (weights) => {
      fc.pre(weights.some((each) => each > 0));
      const { shares } = cycleShares(weights);
      const total = shares.reduce((sum, share) => sum + share, 0);
      assert.ok(total <= MAX_SCHEDULE_LENGTH);
      const sum = weights.reduce((a, b) => a + b, 0);
      const raised = weights.filter((each) => each > 0 && each * total < sum).length; // given one entry, for too small
      weights.forEach((each, index) => {
        assert.equal(shares[index]! > 0, each > 0);
        assert.ok(Math.abs(shares[index]! - (each / sum) * total) <= 1 + raised);
      });
    }),
    { seed: 13, numRuns: 100 },
  );
});

test('more endpoints than entries: one place each', () => {
  const { order, shares, asked } = buildSchedule(Array.from({ length: 70_000 }, (_, index) => 1 + (index % 2)));
  assert.equal(order.length, 70_000);
  assert.equal(asked, 105_000);
  assert.ok(shares.every((share) => share === 1));
  assert.equal(order[69_999], 69_999);
});

test('weights up to 2^32 - 1 stay exact', () => {
  assert.equal(letters([1e9, 2e9, 1e9]), 'B A C B');
  assert.equal(letters([0xffff_ffff, 0, 0xffff_ffff]), 'A C');
  assert.deepEqual(cycleShares([0xffff_ffff, 0xffff_fffe]), { shares: [32_768, 32_768], asked: 0x1_ffff_fffd });
  assert.deepEqual(cycleShares([3 * 0x5555_5555, 0x5555_5555]), { shares: [3, 1], asked: 4 });
});

test('the longest cycle with the most different weights equals the definition', () => {
  const weights = Array.from({ length: 361 }, (_, index) => 1 + index);
  const { order, shares } = buildSchedule(weights);
  assert.deepEqual(shares, weights);
  assert.equal(order.length, 65_341);
  const counts = new Uint32Array(361);
  for (const index of order) counts[index]!++;
  assert.deepEqual([...counts], weights);
  assert.deepEqual([...order.subarray(0, 2_000)], smooth(weights, 2_000));
});
