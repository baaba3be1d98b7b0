import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { WeightedDraw } from '../../../src/balance/weighted-draw.ts';
import { seededRng } from '../../../src/base/rng.ts';

function counts(draw: () => number, times: number, length: number): number[] {
  const counted = Array.from({ length }, () => 0);
  for (let i = 0; i < times; i++) counted[draw()]!++;
  return counted;
}

/** A source that goes evenly through all values that `below` may give. */
function everyValue() {
  let next = 0;
  return { unit: () => 0, below: (n: number) => next++ % n };
}

/** Lists with a mean below and above the one up to which each unit of weight stands in the guide. */
const SMALL_OR_LARGE = fc.oneof(
  fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 12 }),
  fc.array(fc.integer({ min: 0, max: 250 }), { minLength: 1, maxLength: 6 }),
);

test('each whole number below the sum of weights is one draw: counts are the weights', () => {
  fc.assert(
    fc.property(SMALL_OR_LARGE, (weights) => {
      const draw = new WeightedDraw(everyValue());
      draw.update(Float64Array.from(weights));
      const effective = weights.some((weight) => weight > 0) ? weights : weights.map(() => 1);
      const sum = effective.reduce((a, b) => a + b, 0);
      // Of equal weights one value is drawn for each index, not for each point.
      const scale = effective.every((weight) => weight === effective[0]) ? effective[0]! : 1;
      assert.deepEqual(
        counts(() => draw.any(), sum / scale, weights.length),
        effective.map((weight) => weight / scale),
      );
      effective.forEach((weight, index) => {
        const others = effective.map((other, i) => (i === index ? 0 : other));
        const rest = sum - weight;
        const each = new WeightedDraw(everyValue());
        each.update(Float64Array.from(weights));
        if (rest === 0) assert.equal(each.other(index), -1);
        else {
          assert.deepEqual(
            counts(() => each.other(index), rest / scale, weights.length),
            others.map((other) => other / scale),
          );
        }
      });
    }),
    { seed: 36, numRuns: 200 },
  );
});

test('no weights, no index', () => {
  const draw = new WeightedDraw(seededRng(1));
  assert.equal(draw.any(), -1);
  draw.update(new Float64Array(0));
  assert.equal(draw.any(), -1);
  draw.update(Float64Array.of(7));
  assert.equal(draw.any(), 0);
  assert.equal(draw.other(0), -1);
});

test('the largest weights there are, many of them', () => {
  const draw = new WeightedDraw(seededRng(2));
  const weights = Float64Array.from({ length: 50_000 }, (_, i) => (i % 2 === 0 ? 4_294_967_295 : 1));
  draw.update(weights);
  for (let i = 0; i < 2_000; i++) {
    const index = draw.any();
    const other = draw.other(index);
    assert.equal(index % 2, 0);
    assert.equal(other % 2, 0);
    assert.notEqual(other, index);
  }
});
