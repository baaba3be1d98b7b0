import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { apportion, reduceWeights, scalingNote, sumOf } from '../../../src/balance/apportion.ts';

const MAX_WEIGHT = 0xffff_ffff;

test('the greatest common divisor is taken out, zeros aside', () => {
  assert.deepEqual(reduceWeights([4, 0, 6]), [2, 0, 3]);
  assert.deepEqual(reduceWeights([0, 0]), [0, 0]);
  assert.deepEqual(reduceWeights([7]), [1]);
  assert.deepEqual(reduceWeights([1e9, 2e9, 1e9]), [1, 2, 1]);
  assert.deepEqual(reduceWeights([MAX_WEIGHT, MAX_WEIGHT - 1]), [MAX_WEIGHT, MAX_WEIGHT - 1]);
});

test('places are shared out exactly, by whole numbers next to the exact ones', () => {
  const weight = fc.oneof(fc.integer({ min: 0, max: 10 }), fc.integer({ min: 0, max: MAX_WEIGHT }));
  fc.assert(
    fc.property(
      fc.array(weight, { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 40, max: 1_000_000 }),
      (weights, places) => {
        fc.pre(weights.some((each) => each > 0));
        const shares = apportion(weights, places);
        assert.equal(sumOf(shares), places);
        const raised = weights.map((each, index) => each > 0 && shares[index] === 1);
        const rest = weights.filter((_, index) => !raised[index]);
        const left = BigInt(places - raised.filter(Boolean).length);
        const sum = rest.reduce((total, each) => total + BigInt(each), 0n);
        weights.forEach((each, index) => {
          const share = BigInt(shares[index]!);
          assert.equal(share > 0n, each > 0);
          if (raised[index] || each === 0) return;
          const floor = (BigInt(each) * left) / sum;
          // One who has a single place by its weight isn't told from one who was raised to it.
          assert.ok(share >= floor - 1n && share <= floor + 1n, `${weights.join()} ${places}: ${shares.join()}`);
        });
      },
    ),
    { seed: 23, numRuns: 300 },
  );
});

test('fewer places than endpoints: one each', () => {
  assert.deepEqual(apportion([5, 0, 1, 9], 2), [1, 0, 1, 1]);
});

test('the note names figures and the endpoint whose share changes most', () => {
  const rows = [1_000_000, 1, 0].map((weight, slot) => ({ slot, id: `10.0.0.${slot}:80`, weight }));
  assert.equal(
    scalingNote(rows, apportion([1_000_000, 1, 0], 1_000), 1_000_001, 'picks in a cycle'),
    'weights ask for 1,000,001 picks in a cycle; 1,000 are used, so shares differ by up to 99,900 %: ' +
      '10.0.0.1:80 has 0.1 % instead of 0.0001 %',
  );
  assert.equal(
    scalingNote(rows.slice(0, 1), [10], 160, 'points on the ring'),
    'weights ask for 160 points on the ring; 10 are used, which leaves the shares as they are',
  );
});
