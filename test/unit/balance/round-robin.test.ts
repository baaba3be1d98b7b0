import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { seededRng } from '../../../src/base/rng.ts';
import { createRoundRobin, seedCursor } from '../../../src/balance/round-robin.ts';
import { TriedSlots } from '../../../src/balance/tried-slots.ts';
import { Cells, EndpointCell, PortCell } from '../../../src/model/cells.ts';
import { BalancedPort } from '../../support/balanced-port.ts';

const HINTS = { nowMs: 0, keyHash: 0, spilled: false };
const NONE_TRIED = new TriedSlots();

function setUp(weights: number[]) {
  const endpoints = new Cells();
  const ports = new Cells();
  const live = { endpoints, ports, portSlot: ports.allocate() };
  endpoints.allocate(); // so that a slot is never an index
  const rows = weights.map((weight, index) => ({ slot: endpoints.allocate(), id: `10.0.0.${index}:80`, weight }));
  const balancer = createRoundRobin();
  balancer.update(rows);
  const pick = (tried = NONE_TRIED): number => balancer.pick(live, tried, HINTS);
  const picks = (count: number): number[] => Array.from({ length: count }, () => pick());
  return { live, rows, balancer, pick, picks };
}

function counts(picks: number[], endpoints: number): number[] {
  return Array.from({ length: endpoints }, (_, index) => picks.filter((pick) => pick === index).length);
}

test('APISIX row 2: 1, 1, 1 give 4, 4, 4 of twelve', () => {
  assert.deepEqual(counts(setUp([1, 1, 1]).picks(12), 3), [4, 4, 4]);
});

test('APISIX row 3: 3, 2, 1 give 6, 4, 2 of twelve', () => {
  assert.deepEqual(counts(setUp([3, 2, 1]).picks(12), 3), [6, 4, 2]);
});

test('APISIX row 5: new weights rule from the next pick on, and nothing changes before', () => {
  const port = new BalancedPort(createRoundRobin(), { a: 1, b: 1, c: 1 });
  assert.deepEqual(port.counts(12), { a: 4, b: 4, c: 4 });
  port.update({ a: 1, b: 0 });
  assert.deepEqual(port.counts(12), { a: 12 });
});

test('APISIX row 6: one node gets everything', () => {
  assert.deepEqual(counts(setUp([3]).picks(12), 1), [12]);
});

test('the totals of APISIX in twelve picks', () => {
  assert.deepEqual(counts(setUp([1, 1]).picks(12), 2), [6, 6]);
  assert.deepEqual(counts(setUp([3, 0, 1]).picks(12), 3), [9, 0, 3]);
  assert.deepEqual(counts(setUp([1, 0]).picks(12), 2), [12, 0]);
  assert.deepEqual(counts(setUp([0, 0, 0]).picks(12), 3), [4, 4, 4]);
  assert.deepEqual(counts(setUp([0]).picks(3), 1), [3]);
});

test('no endpoints, no pick', () => {
  const { pick, balancer, rows } = setUp([]);
  assert.equal(pick(), -1);
  balancer.update([{ slot: 1, id: '10.0.0.9:80', weight: 1 }]);
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
  balancer.update([...rows, { slot: 60, id: '10.0.0.9:80', weight: 1 }]);
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

test('an endpoint that is full gives its turn away, by weight, and the totals of the others hold', () => {
  const port = new BalancedPort(createRoundRobin(), { a: 3, b: 2, c: 1 });
  port.set('a', EndpointCell.Cap, 4);
  port.set('a', EndpointCell.InFlight, 4);
  const { a, b, c } = port.counts(6_000);
  assert.equal(a, undefined);
  assert.ok(Math.abs(b! - 4_000) < 150, `${b} ${c}`);
  assert.equal(port.live.ports.get(port.live.portSlot, PortCell.Cursor), 6_000);
  port.set('a', EndpointCell.InFlight, 3);
  assert.deepEqual(port.counts(6), { a: 3, b: 2, c: 1 });
  for (const id of ['a', 'b', 'c']) port.setOut(id, true);
  assert.equal(port.pick(), undefined);
  port.setOut('c', false);
  assert.equal(port.pick(), 'c');
  assert.equal(port.pick('', ['c']), undefined);
  assert.equal(port.pick('', ['a']), 'c');
});

test('the calls of a broken connection, retried at one cursor, are spread over the others', () => {
  const port = new BalancedPort(createRoundRobin(), { dead: 3, a: 1, b: 2, c: 1 });
  const cursor = port.live.ports.get(port.live.portSlot, PortCell.Cursor);
  const heirs: Record<string, number> = { a: 0, b: 0, c: 0 };
  for (let i = 0; i < 1_000; i++) heirs[port.pick('', ['dead'])!]!++;
  assert.equal(port.live.ports.get(port.live.portSlot, PortCell.Cursor), cursor);
  const { a, b, c } = heirs;
  assert.ok(Math.abs(a! - 250) < 40 && Math.abs(b! - 500) < 50 && Math.abs(c! - 250) < 40, `${a} ${b} ${c}`);
});

test('slow start: an endpoint gets its share of its weight, the others theirs exactly', () => {
  for (const share of [0.1, 0.25, 0.5, 0.9]) {
    const port = new BalancedPort(createRoundRobin(), { a: 2, b: 1, cold: 3 });
    port.setShare('cold', share);
    const { a, b, cold } = port.counts(12_000);
    assert.ok(Math.abs(a! - 2 * b!) <= 2, `${a} ${b}`);
    const expected = (12_000 * 3 * share) / (3 + 3 * share);
    assert.ok(Math.abs(cold! - expected) < 0.03 * expected + 60, `${share}: ${cold} for ${expected}`);
  }
});

test('slow start of all: everybody gets calls, by weight times share', () => {
  const port = new BalancedPort(createRoundRobin(), { a: 1, b: 1 });
  port.setShare('a', 0.1);
  port.setShare('b', 0.3);
  const { a, b } = port.counts(8_000);
  assert.ok(Math.abs(b! / a! - 3) < 0.3, `${a} ${b}`);
});

test('slow start: used when nobody else is left, and one who is full has no share', () => {
  const port = new BalancedPort(createRoundRobin(), { a: 1, cold: 1 });
  port.setShare('cold', 0.000_1);
  const { a } = port.counts(1_000);
  assert.ok(a! >= 995, `${a}`);
  assert.equal(port.pick('', ['a']), 'cold');
  port.setOut('a', true);
  assert.deepEqual(port.counts(100), { cold: 100 });
  port.setOut('a', false);
  port.setOut('cold', true);
  assert.deepEqual(port.counts(100), { a: 100 });
});

test('slow start counts in retries too', () => {
  const port = new BalancedPort(createRoundRobin(), { dead: 1, a: 1, cold: 1 });
  port.setShare('cold', 0.25);
  const heirs: Record<string, number> = {};
  for (let i = 0; i < 4_000; i++) {
    if (port.pick() !== 'dead') continue;
    const heir = port.pick('', ['dead'])!;
    heirs[heir] = (heirs[heir] ?? 0) + 1;
  }
  assert.ok(Math.abs(heirs['a']! / heirs['cold']! - 4) < 0.8, JSON.stringify(heirs));
});

test('what is scaled is said, with figures', () => {
  const port = new BalancedPort(createRoundRobin(), { '10.0.0.1:80': 1_000_000, '10.0.0.2:80': 1 });
  assert.equal(
    port.note,
    'weights ask for 1,000,001 picks in a cycle; 65,536 are used, so shares differ by up to 1,430 %: ' +
      '10.0.0.2:80 has 0.00153 % instead of 0.0001 %',
  );
  const renamed = port.endpoints.map((endpoint) => ({ ...endpoint, id: endpoint.id.replace('10.', '11.') }));
  assert.match(port.balancer.update(renamed), /11\.0\.0\.2:80 has/);
  port.update({ '10.0.0.1:80': 1_000_000, '10.0.0.2:80': 500_000 });
  assert.equal(port.note, '');
});

test('more than 65,536 endpoints: one place each, which is said if weights ask for something else', () => {
  const nodes = (weight: (index: number) => number): Record<string, number> =>
    Object.fromEntries(
      Array.from({ length: 66_000 }, (_, index) => [`10.${index >> 8}.${index & 255}.1:80`, weight(index)]),
    );
  const port = new BalancedPort(
    createRoundRobin(),
    nodes(() => 7),
  );
  assert.equal(port.note, '');
  port.update(nodes((index) => (index === 0 ? 2 : 1)));
  assert.match(
    port.note,
    /^weights ask for 66,001 picks in a cycle; 66,000 are used, so shares differ by up to 50 %: 10\.0\.0\.1:80 has/,
  );
});

test('describe tells the share, and slow start', () => {
  const port = new BalancedPort(createRoundRobin(), { a: 30, b: 20, c: 10, d: 0 });
  assert.equal(port.describe('a'), 'share 3 of 6');
  assert.equal(port.describe('d'), 'share 0 of 6');
  port.setShare('a', 0.25);
  assert.equal(port.describe('a'), 'share 3 of 6, 25.0 % of it in slow start');
});
