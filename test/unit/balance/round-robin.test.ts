import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { seededRng } from '../../../src/base/rng.ts';
import { createRoundRobin, seedCursor } from '../../../src/balance/round-robin.ts';
import { TriedSlots } from '../../../src/balance/tried-slots.ts';
import { Cells, PortCell } from '../../../src/model/cells.ts';

const HINTS = { nowMs: 0, keyHash: 0 };
const NONE_TRIED = new TriedSlots();

function setUp(weights: number[]) {
  const endpoints = new Cells();
  const ports = new Cells();
  const live = { endpoints, ports, portSlot: ports.allocate() };
  const rows = weights.map((weight) => ({ slot: endpoints.allocate() + 100, weight }));
  const balancer = createRoundRobin();
  balancer.update(rows);
  const pick = (tried = NONE_TRIED): number => balancer.pick(live, tried, HINTS);
  const picks = (count: number): number[] => Array.from({ length: count }, () => pick());
  return { live, rows, balancer, pick, picks };
}

function counts(picks: number[], endpoints: number): number[] {
  return Array.from({ length: endpoints }, (_, index) => picks.filter((pick) => pick === index).length);
}

test('the totals of APISIX in twelve picks', () => {
  assert.deepEqual(counts(setUp([1, 1]).picks(12), 2), [6, 6]);
  assert.deepEqual(counts(setUp([1, 1, 1]).picks(12), 3), [4, 4, 4]);
  assert.deepEqual(counts(setUp([3, 2, 1]).picks(12), 3), [6, 4, 2]);
  assert.deepEqual(counts(setUp([3, 0, 1]).picks(12), 3), [9, 0, 3]);
  assert.deepEqual(counts(setUp([1, 0]).picks(12), 2), [12, 0]);
  assert.deepEqual(counts(setUp([0, 0, 0]).picks(12), 3), [4, 4, 4]);
  assert.deepEqual(counts(setUp([0]).picks(3), 1), [3]);
});

test('no endpoints, no pick', () => {
  const { pick, balancer, rows } = setUp([]);
  assert.equal(pick(), -1);
  balancer.update([{ slot: 1, weight: 1 }]);
  assert.equal(pick(), 0);
  balancer.update(rows);
  assert.equal(pick(), -1);
});

test('any whole cycle has exact totals, wherever it starts', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 0, max: 0x7fff_0000 }),
      (weights, start) => {
        fc.pre(weights.some((weight) => weight > 0));
        const { live, picks } = setUp(weights);
        live.ports.set(live.portSlot, PortCell.Cursor, start);
        const sum = weights.reduce((a, b) => a + b, 0);
        assert.deepEqual(counts(picks(sum), weights.length), weights);
      },
    ),
    { seed: 17, numRuns: 100 },
  );
});

test('the same cursor gives the same picks; the seed spreads sidecars', () => {
  const sequence = (seed: number): number[] => {
    const { live, picks } = setUp([3, 2, 1]);
    seedCursor(live.ports, live.portSlot, seededRng(seed));
    return picks(6);
  };
  assert.deepEqual(sequence(1), sequence(1));
  const firsts = counts(
    Array.from({ length: 600 }, (_, seed) => sequence(seed)[0]!),
    3,
  );
  assert.ok(firsts[0]! > 240 && firsts[1]! > 140 && firsts[2]! > 60, firsts.join());
});

test('goes on where it was when endpoints change', () => {
  const { live, pick, picks, balancer, rows } = setUp([1, 1, 1]);
  picks(4);
  balancer.update([...rows, { slot: 200, weight: 1 }]);
  assert.equal(live.ports.get(live.portSlot, PortCell.Cursor), 4);
  assert.deepEqual(picks(4), [0, 1, 2, 3]); // 4 modulo 4
  balancer.update(rows.slice(0, 2));
  assert.deepEqual([pick(), pick(), pick()], [0, 1, 0]);
  // An endpoint that comes and goes doesn't pull calls to the first one, as starting over would.
  const rng = seededRng(2);
  const seen: number[] = [];
  for (let i = 0; i < 3_000; i++) {
    balancer.update(i % 2 === 0 ? rows : rows.slice(0, 2));
    seen.push(...picks(1 + rng.below(4)));
  }
  const [first, second] = counts(seen, 3);
  assert.ok(Math.abs(first! - second!) < 0.05 * seen.length, `${first} ${second}`);
});

test('the cursor goes round its 32 bits', () => {
  const { live, picks } = setUp([1, 1]);
  live.ports.set(live.portSlot, PortCell.Cursor, 0x7fff_ffff);
  assert.deepEqual(picks(3), [1, 0, 1]);
  live.ports.set(live.portSlot, PortCell.Cursor, -1);
  assert.deepEqual(picks(3), [1, 0, 1]);
  assert.equal(live.ports.get(live.portSlot, PortCell.Cursor), 2);
});

test('a retry takes an untried endpoint and leaves the cursor', () => {
  const { live, rows, pick } = setUp([5, 1, 1, 0]);
  const tried = new TriedSlots();
  const seen = [pick()];
  tried.add(rows[seen[0]!]!.slot);
  for (let i = 0; i < 2; i++) {
    const next = pick(tried);
    tried.add(rows[next]!.slot);
    seen.push(next);
  }
  assert.deepEqual(
    seen.sort((a, b) => a - b),
    [0, 1, 2],
  );
  assert.equal(pick(tried), -1); // weight 0 isn't a last resort
  assert.equal(live.ports.get(live.portSlot, PortCell.Cursor), 1);
  tried.clear();
  assert.notEqual(pick(tried), -1);
});

test('the calls of a dead endpoint are shared by the others after their weights', () => {
  const dead = 0;
  for (const weights of [
    [1, 1, 1],
    [2, 1, 1],
    [4, 3, 2, 1],
  ]) {
    const { rows, pick } = setUp(weights);
    const tried = new TriedSlots();
    const inherited = weights.map(() => 0);
    const firsts = weights.map(() => 0);
    const sum = weights.reduce((a, b) => a + b, 0);
    const cycles = 6_000 / sum;
    for (let i = 0; i < cycles * sum; i++) {
      tried.clear();
      const first = pick(tried);
      firsts[first]!++;
      if (first !== dead) continue;
      tried.add(rows[dead]!.slot);
      inherited[pick(tried)]!++;
    }
    assert.deepEqual(
      firsts,
      weights.map((weight) => weight * cycles),
    );
    weights.forEach((weight, index) => {
      const expected = index === dead ? 0 : (firsts[dead]! * weight) / (sum - weights[dead]!);
      assert.ok(
        Math.abs(inherited[index]! - expected) <= 0.08 * firsts[dead]!,
        `${weights.join()}: ${inherited.join()}`,
      );
    });
  }
});

test('hundreds of dead endpoints are all tried once', () => {
  const { rows, pick } = setUp(Array.from({ length: 300 }, (_, index) => 1 + (index % 7)));
  const tried = new TriedSlots();
  const seen = new Set<number>();
  for (;;) {
    const next = pick(tried);
    if (next < 0) break;
    assert.ok(!seen.has(next));
    seen.add(next);
    tried.add(rows[next]!.slot);
  }
  assert.equal(seen.size, 300);
});
