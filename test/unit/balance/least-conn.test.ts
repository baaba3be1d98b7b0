import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLeastConn } from '../../../src/balance/least-conn.ts';
import { seededRng } from '../../../src/base/rng.ts';
import { EndpointCell } from '../../../src/model/cells.ts';
import { BalanceScene, countPicks } from '../../support/balance-scene.ts';

function setUp(weights: readonly number[], seed = 1): BalanceScene {
  return new BalanceScene(createLeastConn(seededRng(seed)), weights);
}

/** `count` endpoints of weight 1: 17 and more have a board. */
function many(count: number, seed = 1): BalanceScene {
  return setUp(
    Array.from({ length: count }, () => 1),
    seed,
  );
}

function hold(scene: BalanceScene, count: number): string {
  return Array.from({ length: count }, () => 'ABCDEF'[scene.pickAndHold()]).join(' ');
}

const SEEDS = Array.from({ length: 10 }, (_, seed) => seed);

test('weights 3:2 with calls held', () => {
  for (const seed of SEEDS) assert.equal(hold(setUp([3, 2], seed), 10), 'A B A A B A B A A B');
});

test('APISIX row 24: idle, weights 2:1, the heavier one', () => {
  for (const seed of SEEDS) {
    assert.equal(setUp([2, 1], seed).pick(), 0);
    assert.equal(setUp([1, 2], seed).pick(), 1);
  }
});

test('APISIX row 26: the heavier one is dead, the other is next', () => {
  const scene = setUp([2, 1]);
  assert.equal(scene.pickAndHold(), 0);
  scene.end(scene.rows[0]!.slot);
  scene.tried.add(scene.rows[0]!.slot);
  assert.equal(scene.pick(), 1);
});

test('APISIX row 27: of two dead ones each is tried once, however many retries there are', () => {
  const scene = setUp([1, 1]);
  const seen = [0, 1].map(() => {
    const index = scene.pickAndHold();
    scene.end(scene.rows[index]!.slot);
    scene.tried.add(scene.rows[index]!.slot);
    return index;
  });
  assert.deepEqual(
    seen.toSorted((a, b) => a - b),
    [0, 1],
  );
  assert.equal(scene.pick(), -1);
  assert.equal(scene.pick(), -1);
});

test('APISIX row 30: a new endpoint gets the next calls', () => {
  const scene = setUp([1, 1]);
  hold(scene, 4);
  scene.add(1);
  scene.update();
  assert.equal(hold(scene, 2), 'C C');
});

test('APISIX row 32: a new weight counts at once, with the calls in flight', () => {
  const scene = setUp([1, 1]);
  hold(scene, 2);
  scene.rows[0] = { ...scene.rows[0]!, weight: 10 };
  scene.update();
  assert.equal(hold(scene, 3), 'A A A');
});

test('APISIX row 33: calls that a single endpoint has are known when another comes', () => {
  const scene = setUp([1]);
  hold(scene, 4);
  scene.add(1);
  scene.update();
  const picks = Array.from({ length: 4 }, () => {
    const index = scene.pickAndHold();
    scene.end(scene.rows[index]!.slot);
    return index;
  });
  assert.deepEqual(picks, [1, 1, 1, 1]);
});

test('APISIX row 35: levels of priority have their own endpoints and counts', () => {
  const upper = setUp([1, 1]);
  const lower = setUp([1, 1]);
  hold(upper, 5);
  assert.deepEqual(countPicks([lower.pickAndHold(), lower.pickAndHold()], 2), [1, 1]);
  upper.rows.forEach(({ slot }) => upper.tried.add(slot));
  assert.equal(upper.pick(), -1);
  assert.notEqual(lower.pick(), -1);
});

test('ties of equal weight are drawn evenly (pain 10)', () => {
  for (const count of [2, 5, 40]) {
    const scene = many(count, count);
    const counts = countPicks(
      Array.from({ length: 400 * count }, () => scene.pick()),
      count,
    );
    for (const one of counts) assert.ok(one > 300 && one < 500, counts.join());
  }
});

test('weight 0 is the last resort, and the idlest of them', () => {
  for (const count of [3, 30]) {
    const scene = setUp(Array.from({ length: count }, (_, index) => (index === 1 ? 1 : 0)));
    for (let i = 0; i < 50; i++) assert.equal(scene.pickAndHold(), 1);
    scene.tried.add(scene.rows[1]!.slot);
    scene.rows.forEach(({ slot }, index) => index !== 2 && scene.cells.add(slot, EndpointCell.InFlight, 1));
    assert.equal(scene.pick(), 2);
    const zeros = setUp(Array.from({ length: count }, () => 0));
    const picks = Array.from({ length: 2 * count }, () => zeros.pickAndHold());
    assert.deepEqual(
      countPicks(picks, count),
      Array.from({ length: count }, () => 2),
    );
  }
});

test('what is full or out is passed over; a slot is free again when a call ends', () => {
  for (const count of [3, 30]) {
    const scene = many(count);
    for (const { slot } of scene.rows) scene.cells.set(slot, EndpointCell.Cap, 2);
    scene.cells.set(scene.rows[0]!.slot, EndpointCell.Out, 1);
    const picks = Array.from({ length: 2 * count - 2 }, () => scene.pickAndHold());
    assert.deepEqual(
      countPicks(picks, count),
      Array.from({ length: count }, (_, index) => (index === 0 ? 0 : 2)),
    );
    assert.equal(scene.pick(), -1);
    scene.end(scene.rows[2]!.slot);
    assert.equal(scene.pickAndHold(), 2);
    assert.equal(scene.pick(), -1);
  }
});

test('a board sees calls that begin or are counted elsewhere, and is told of ends', () => {
  const scene = many(20);
  scene.pick(); // fills the board
  scene.rows.forEach(({ slot }, index) => scene.cells.set(slot, EndpointCell.InFlight, 3 + index));
  assert.equal(scene.pick(), 0);
  const last = scene.rows.at(-1)!.slot;
  scene.cells.set(last, EndpointCell.InFlight, 3);
  scene.end(last);
  assert.equal(scene.pick(), 19);
  scene.balancer.ended?.(scene.live, 9_999); // not in the list
  assert.equal(scene.pick(), 19);
});

test('tried endpoints are passed over on a board, however many', () => {
  const scene = many(40);
  for (let left = 40; left > 0; left--) {
    const index = scene.pick();
    assert.ok(index >= 0 && !scene.tried.has(scene.rows[index]!.slot));
    scene.tried.add(scene.rows[index]!.slot);
  }
  assert.equal(scene.pick(), -1);
});

test('slow start multiplies the weight, and a board sees it grow within 250 ms', () => {
  for (const count of [2, 20]) {
    const scene = many(count);
    const [first, ...others] = scene.rows;
    for (const { slot } of others) scene.cells.set(slot, EndpointCell.InFlight, 4);
    scene.cells.set(first!.slot, EndpointCell.Share, 12_000); // idle, and yet its score is above that of the others, 5
    for (let i = 0; i < 20; i++) assert.notEqual(scene.pick(), 0);
    scene.cells.set(first!.slot, EndpointCell.Share, 0);
    scene.hints.nowMs += 250;
    for (let i = 0; i < 4; i++) assert.equal(scene.pickAndHold(), 0);
  }
});

test('counts outlive a change of the list and a new balancer', () => {
  for (const count of [2, 20]) {
    const scene = many(count);
    for (let i = 0; i < 3 * count; i++) scene.pickAndHold();
    scene.end(scene.rows[1]!.slot);
    scene.rows.reverse();
    scene.update();
    assert.equal(scene.pick(), count - 2);
    const other = createLeastConn(seededRng(2));
    other.update(scene.rows);
    assert.equal(other.pick(scene.live, scene.tried, scene.hints), count - 2);
  }
});

test('no endpoints, no pick', () => {
  const scene = setUp([]);
  assert.equal(scene.pick(), -1);
  assert.equal(scene.balancer.describe(scene.live, 0, scene.hints), '');
});

test('tells its score', () => {
  const scene = setUp([3, 0]);
  const { balancer, live, hints, cells, rows } = scene;
  cells.set(rows[0]!.slot, EndpointCell.InFlight, 2);
  assert.equal(balancer.describe(live, 0, hints), 'in flight 2, weight 3: 1.00');
  assert.equal(balancer.describe(live, 1, hints), 'in flight 0, weight 0: last resort');
  cells.set(rows[0]!.slot, EndpointCell.Share, 32_768);
  assert.equal(balancer.describe(live, 0, hints), 'in flight 2, weight 3 × 0.50: 2.00');
});
