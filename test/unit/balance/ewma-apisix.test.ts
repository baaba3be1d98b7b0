// The rows of APISIX's table that both formulas answer are in ewma.test.ts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createApisixEwma } from '../../../src/balance/ewma-apisix.ts';
import { recordApisixLatency } from '../../../src/balance/latency.ts';
import { seededRng } from '../../../src/base/rng.ts';
import { EndpointCell } from '../../../src/model/cells.ts';
import { BalanceScene, countPicks } from '../../support/balance-scene.ts';

function setUp(weights: readonly number[], seed = 1): BalanceScene {
  return new BalanceScene(createApisixEwma(seededRng(seed)), weights, recordApisixLatency);
}

/** A source that gives these numbers, one after the other. */
function scripted(...values: number[]) {
  return { unit: () => 0, below: () => values.shift()! };
}

test('of two the lower score wins, equal ones go to the first drawn', () => {
  // Drawn are index a, then b of the others.
  const pick = (a: number, b: number, latencies: readonly number[]): number => {
    const scene = new BalanceScene(createApisixEwma(scripted(a, b)), [1, 1, 1], recordApisixLatency);
    latencies.forEach((latency, index) => latency > 0 && scene.sample(scene.rows[index]!.slot, latency));
    return scene.pick();
  };
  assert.equal(pick(0, 0, [5, 9, 1]), 0); // 0 and 1
  assert.equal(pick(0, 1, [5, 9, 1]), 2); // 0 and 2
  assert.equal(pick(2, 1, [5, 9, 1]), 2); // 2 and 1
  assert.equal(pick(0, 0, [5, 5, 5]), 0);
  assert.equal(pick(1, 0, [5, 5, 5]), 1);
  assert.equal(pick(0, 0, [5, 0, 5]), 1); // without a score: 0
  assert.equal(pick(1, 1, [0, 0, 5]), 1);
});

test('weights and calls in flight are ignored, weight 0 too', () => {
  const scene = setUp([0, 1_000, 0]);
  scene.cells.set(scene.rows[2]!.slot, EndpointCell.InFlight, 500);
  const counts = countPicks(
    Array.from({ length: 6_000 }, () => scene.pick()),
    3,
  );
  for (const count of counts) assert.ok(Math.abs(count - 2_000) < 150, counts.join());
});

test('scores decay while nothing comes, and are forgotten after 60 s', () => {
  const scene = setUp([1, 1]);
  const [slow, fast] = scene.rows;
  scene.sample(slow!.slot, 100);
  scene.hints.nowMs = 30_000;
  scene.sample(fast!.slot, 10);
  assert.equal(scene.pick(), 0); // 100 ms after 30 s: 5 ms
  scene.sample(slow!.slot, 300);
  assert.equal(scene.pick(), 1);
  scene.hints.nowMs = 89_999;
  assert.equal(scene.pick(), 1);
  scene.hints.nowMs = 90_000;
  scene.sample(fast!.slot, 10);
  assert.equal(scene.pick(), 0);
});

test('a fast failure attracts, as in APISIX', () => {
  const rng = seededRng(5);
  const scene = setUp([1, 1, 1]);
  const broken = scene.rows[0]!.slot;
  scene.play(rng, 200, 20, (slot) => (slot === broken ? { tookMs: 1, failed: true } : { tookMs: 10 }));
  assert.ok(scene.shares()[0]! > 0.6, String(scene.shares()[0]));
});

test('tells its score', () => {
  const scene = setUp([1, 1]);
  scene.sample(scene.rows[0]!.slot, 1.25);
  assert.equal(scene.balancer.describe(scene.live, 0, scene.hints), 'score 1.25 ms');
  assert.equal(scene.balancer.describe(scene.live, 1, scene.hints), 'score 0.00 ms, not measured yet');
  scene.hints.nowMs = 10_000;
  assert.equal(scene.balancer.describe(scene.live, 0, scene.hints), 'score 0.46 ms');
});
