import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../../../src/base/rng.ts';
import { createChash } from '../../../src/balance/chash.ts';
import { EndpointCell, PortCell } from '../../../src/model/cells.ts';
import { BalancedPort, type Nodes } from '../../support/balanced-port.ts';
import { referencePick, referencePoints } from '../../support/reference-ring.ts';

const A = '127.0.0.1:1980';
const B = '127.0.0.1:1981';
const C = '127.0.0.1:1982';
const KEYS = Array.from({ length: 2_000 }, (_, index) => `user-${index}`);

function setUp(nodes: Nodes, hashBalanceFactor = 0): BalancedPort {
  return new BalancedPort(createChash(hashBalanceFactor), nodes);
}

/** Last digits of the ports picked for `keys`: 1980 is 0. */
function digits(port: BalancedPort, keys: readonly string[]): string {
  return keys.map((key) => port.pick(key)?.at(-1)).join('');
}

const numbered = (text: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${text}${index + 1}`);

const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((all, each) => all + each, 0);

test("picks of APISIX's tests", () => {
  const keys = ['127.0.0.1', '10.0.0.1', 'jack', 'tom', 'custom-one', 'cuscookie', 'custom-one-custom-two', ''];
  const rows: [Nodes, string, string][] = [
    [{ [A]: 1, [B]: 1 }, '00100100', '100101'],
    [{ [A]: 1, [B]: 1, [C]: 1 }, '22100102', '120222'],
    [{ [A]: 3, [B]: 2, [C]: 1 }, '21100102', '100202'],
  ];
  for (const [nodes, picks, numberedPicks] of rows) {
    assert.equal(digits(setUp(nodes), keys), picks);
    assert.equal(digits(setUp(nodes), numbered('chash_val_', 6)), numberedPicks);
  }
});

test('APISIX row 8: chash by remote_addr, two nodes: client 127.0.0.1 always goes to 1980', () => {
  assert.deepEqual(
    setUp({ [A]: 1, [B]: 1 }).counts(12, () => '127.0.0.1'),
    { [A]: 12 },
  );
});

test('APISIX row 9: with a third node it always goes to 1982', () => {
  const port = setUp({ [A]: 1, [B]: 1 });
  port.update({ [A]: 1, [B]: 1, [C]: 1 });
  assert.deepEqual(
    port.counts(12, () => '127.0.0.1'),
    { [C]: 12 },
  );
});

/** (most - least) / middle. */
function spread(counts: Record<string, number>): number {
  const [least, middle, most] = [counts[A] ?? 0, counts[B] ?? 0, counts[C] ?? 0].toSorted((a, b) => a - b);
  return (most! - least!) / middle!;
}

test('APISIX row 11: chash by query_string spreads 180 query strings evenly over three nodes', () => {
  const port = setUp({ [A]: 1, [B]: 1, [C]: 1 });
  const keys = numbered('var=2&var2=', 180);
  const counts = port.counts(180, (pick) => keys[pick]!);
  assert.equal(sum(counts), 180);
  assert.ok(spread(counts) <= 0.2, JSON.stringify(counts));
  // What an older version of that test counts for the first eighteen.
  assert.deepEqual(
    port.counts(18, (pick) => keys[pick]!),
    { [A]: 5, [B]: 8, [C]: 5 },
  );
});

test('APISIX row 12: chash by arg_device_id spreads 180 ids evenly over three nodes', () => {
  const port = setUp({ [A]: 1, [B]: 1, [C]: 1 });
  const counts = port.counts(180, (pick) => String(pick + 1));
  assert.equal(sum(counts), 180);
  assert.ok(spread(counts) <= 0.2, JSON.stringify(counts));
  assert.deepEqual(
    port.counts(18, (pick) => String(pick + 1)),
    { [A]: 6, [B]: 7, [C]: 5 },
  );
});

test('APISIX row 14: a heavy dead node, and the other is found by retry', () => {
  const dead = '127.0.0.1:1979';
  const port = setUp({ [dead]: 1_000, [A]: 1 });
  const first = port.pick('127.0.0.1');
  assert.equal(first, dead);
  assert.equal(port.pick('127.0.0.1', [dead]), A);
  assert.equal(port.pick('127.0.0.1', [dead, A]), undefined);
});

test('APISIX row 15: weights in thousands of millions', () => {
  for (const [nodes, points] of [
    [{ [A]: 1e9, [B]: 2e9, [C]: 1e9 }, 640],
    [{ [A]: 1e9, [B]: 0, [C]: 4e9 }, 800],
  ] as [Nodes, number][]) {
    const port = setUp(nodes);
    assert.equal(port.note, '');
    assert.match(port.describe(A), new RegExp(`160 of ${points} points`));
    assert.equal(port.pick('127.0.0.1'), referencePick(referencePoints(port.endpoints), '127.0.0.1'));
  }
});

test('APISIX row 17: jack and tom in turn go to 1981 and 1980', () => {
  assert.equal(digits(setUp({ [A]: 1, [B]: 1 }), ['jack', 'tom', 'jack', 'tom']), '1010');
});

test('APISIX row 18: the key custom-one and its fallback 127.0.0.1 go to 1980', () => {
  assert.equal(digits(setUp({ [A]: 1, [B]: 1 }), ['custom-one', '127.0.0.1']), '00');
});

test('APISIX row 20: chash_val_1 to 6 go three and three', () => {
  assert.equal(digits(setUp({ [A]: 1, [B]: 1 }), numbered('chash_val_', 6)), '100101');
});

test('APISIX row 21: the key custom-one-custom-two and its fallback 127.0.0.1 go to 1980', () => {
  assert.equal(digits(setUp({ [A]: 1, [B]: 1 }), ['custom-one-custom-two', '127.0.0.1']), '00');
});

test('APISIX row 23: with eight of nine nodes down everything goes to 1980', () => {
  const dead = numbered('127.0.0.1:197', 8);
  const port = setUp(Object.fromEntries([A, ...dead].map((id) => [id, 1])));
  for (const id of dead) port.setOut(id, true);
  assert.deepEqual(
    port.counts(12, () => '127.0.0.1'),
    { [A]: 12 },
  );
  assert.deepEqual(
    port.counts(100, (pick) => KEYS[pick]!),
    { [A]: 100 },
  );
});

test('equals a ring made without this code: 20 upstreams, 10,000 keys each, with nodes out and tried', () => {
  const rng = seededRng(61);
  for (let upstream = 0; upstream < 20; upstream++) {
    const nodes: Record<string, number> = {};
    const count = 1 + rng.below(24);
    const unit = 1 + rng.below(3);
    for (let i = 0; i < count; i++) {
      const host = rng.below(4) === 0 ? `[2001:db8::${rng.below(0xffff).toString(16)}]` : `10.${upstream}.0.${i}`;
      nodes[`${host}:${1 + rng.below(65_535)}`] = unit * rng.below(8);
    }
    const ids = Object.keys(nodes);
    nodes[ids[0]!] = unit * (1 + rng.below(8));
    const port = setUp(nodes);
    assert.equal(port.note, '');
    const points = referencePoints(port.endpoints);
    const some = (): string[] => ids.filter(() => rng.below(4) === 0);
    for (let i = 0; i < 10_000; i++) {
      if (i % 1_000 === 0) for (const id of ids) port.setOut(id, i >= 5_000 && rng.below(3) === 0);
      const key = `key-${upstream}-${rng.below(1_000_000)}`;
      const tried = i % 2 === 0 ? [] : some();
      const skipped = new Set([...tried, ...ids.filter((id) => port.get(id, EndpointCell.Out) !== 0)]);
      assert.equal(port.pick(key, tried), referencePick(points, key, skipped));
    }
  }
});

test('all weights 0: nobody; weight 0 among others: never', () => {
  assert.equal(setUp({}).pick('jack'), undefined);
  assert.equal(setUp({ [A]: 0, [B]: 0 }).pick('jack'), undefined);
  assert.equal(setUp({ [A]: 0, [B]: 0 }).describe(A, 'jack'), 'no points on the ring');
  const port = setUp({ [A]: 0, [B]: 1 });
  assert.deepEqual(
    port.counts(100, (pick) => KEYS[pick]!),
    { [B]: 100 },
  );
  assert.equal(port.pick('jack', [B]), undefined);
});

test('a key moves only while its endpoint is out, full or tried, and comes back', () => {
  const nodes = Object.fromEntries(numbered('10.0.0.', 10).map((host) => [`${host}:80`, 1]));
  const port = setUp(nodes);
  const before = KEYS.map((key) => port.pick(key)!);
  const second = KEYS.map((key, index) => port.pick(key, [before[index]!])!);
  const gone = '10.0.0.4:80';
  const takeAway: [string, () => void, () => void][] = [
    ['out', () => port.setOut(gone, true), () => port.setOut(gone, false)],
    [
      'full',
      () => {
        port.set(gone, EndpointCell.Cap, 3);
        port.set(gone, EndpointCell.InFlight, 3);
      },
      () => port.set(gone, EndpointCell.InFlight, 2),
    ],
  ];
  for (const [name, away, back] of takeAway) {
    away();
    const meanwhile = KEYS.map((key) => port.pick(key)!);
    assert.deepEqual(
      meanwhile,
      before.map((id, index) => (id === gone ? second[index] : id)),
      name,
    );
    // They don't all go to one neighbour.
    const heirs = new Set(meanwhile.filter((_, index) => before[index] === gone));
    assert.ok(heirs.size >= 5, `${name}: ${heirs.size}`);
    back();
    assert.deepEqual(
      KEYS.map((key) => port.pick(key)!),
      before,
      name,
    );
  }
});

test('only endpoints that are full, out or tried: nobody, however many there are', () => {
  const nodes = Object.fromEntries(numbered('10.0.0.', 200).map((host) => [`${host}:80`, 1]));
  const port = setUp(nodes);
  const ids = Object.keys(nodes);
  for (const [index, id] of ids.entries()) {
    if (index % 2 === 0) port.setOut(id, true);
    else port.set(id, EndpointCell.Cap, (port.set(id, EndpointCell.InFlight, 1), 1));
  }
  for (const key of KEYS.slice(0, 50)) assert.equal(port.pick(key), undefined);
  port.set('10.0.0.200:80', EndpointCell.InFlight, 0);
  for (const key of KEYS.slice(0, 50)) assert.equal(port.pick(key), '10.0.0.200:80');
  assert.equal(port.pick('jack', ['10.0.0.200:80']), undefined);
});

test('new slots for the same ids and weights: the same picks, other rows', () => {
  const port = setUp({ [A]: 1, [B]: 1, [C]: 1 });
  const before = KEYS.map((key) => port.pick(key));
  const slots = port.endpoints.map(() => port.cells.allocate());
  port.endpoints = port.endpoints.map((endpoint, index) => ({ ...endpoint, slot: slots[index]! }));
  port.balancer.update(port.endpoints);
  assert.deepEqual(
    KEYS.map((key) => port.pick(key)),
    before,
  );
  port.cells.set(slots[0]!, EndpointCell.Out, 1);
  assert.ok(KEYS.every((key) => port.pick(key) !== A));
});

test('slow start: keys come to the endpoint as its share grows, each once, and none leaves it', () => {
  const nodes = Object.fromEntries(numbered('10.0.0.', 5).map((host) => [`${host}:80`, 1]));
  const port = setUp(nodes);
  const cold = '10.0.0.2:80';
  const whole = KEYS.map((key) => port.pick(key)!);
  const own = whole.filter((id) => id === cold).length;
  let before: (string | undefined)[] | undefined;
  for (const share of [0.1, 0.25, 0.5, 0.75, 0.9, 1]) {
    port.setShare(cold, share);
    const picks = KEYS.map((key) => port.pick(key)!);
    picks.forEach((id, index) => {
      if (id === cold || whole[index] !== cold) assert.equal(id, whole[index]);
      if (before?.[index] === cold) assert.equal(id, cold);
    });
    const has = picks.filter((id) => id === cold).length;
    assert.ok(Math.abs(has / own - share) < 0.1, `${share}: ${has} of ${own}`);
    before = picks;
  }
  assert.deepEqual(before, whole);
});

test('slow start: used when nobody else is left', () => {
  const port = setUp({ [A]: 1, [B]: 1 });
  port.setShare(A, 0.000_1);
  const counts = port.counts(500, (pick) => KEYS[pick]!);
  assert.ok((counts[A] ?? 0) <= 2, JSON.stringify(counts));
  port.setOut(B, true);
  assert.deepEqual(
    port.counts(500, (pick) => KEYS[pick]!),
    { [A]: 500 },
  );
  port.setOut(B, false);
  assert.equal(port.pick('jack', [B]), A);
  port.setShare(B, 0.000_1);
  assert.equal(sum(port.counts(500, (pick) => KEYS[pick]!)), 500);
});

/** Sets what is in flight: of each endpoint, and of the port their sum and the request that a pick is made for. */
function load(port: BalancedPort, calls: readonly number[]): void {
  port.endpoints.forEach(({ id }, index) => port.set(id, EndpointCell.InFlight, calls[index]!));
  const all = calls.reduce((total, each) => total + each, 0);
  port.live.ports.set(port.live.portSlot, PortCell.InFlight, all + 1);
}

test('bounded load: who would have more than the factor of the mean is passed over', () => {
  const port = setUp({ [A]: 1, [B]: 1, [C]: 1 }, 150);
  // 127.0.0.1 belongs to C, then to A; the bound is ⌈1.5 × (in flight and this one) / 3⌉.
  for (const [calls, picked] of [
    [[0, 0, 0], C], // 1 call, bound ⌈0.5⌉
    [[0, 0, 1], A], // 2, ⌈1⌉
    [[1, 1, 1], C], // 2, ⌈2⌉
    [[1, 1, 2], C], // 3, ⌈2.5⌉
    [[2, 2, 4], C], // 5, ⌈4.5⌉
    [[2, 2, 5], A], // 6, ⌈5⌉
    [[5, 0, 6], A], // 7, ⌈6⌉
    [[0, 0, 100], A], // 101, ⌈50.5⌉
  ] as [number[], string][]) {
    load(port, calls);
    assert.equal(port.pick('127.0.0.1'), picked, calls.join());
  }
});

test('bounded load: the mean is of the endpoints in use', () => {
  const port = setUp({ [A]: 1, [B]: 1, [C]: 1 }, 100);
  load(port, [0, 1, 1]);
  assert.equal(port.pick('127.0.0.1'), A); // C has 2 > ⌈3 / 3⌉
  port.setOut(B, true);
  assert.equal(port.pick('127.0.0.1'), C); // and 2 > ⌈3 / 2⌉ doesn't hold
});

test('bounded load: if all are above it, the first is used', () => {
  const port = setUp({ [A]: 1, [B]: 1 }, 100);
  load(port, [3, 3]);
  port.live.ports.set(port.live.portSlot, PortCell.InFlight, 1);
  assert.equal(port.pick('jack'), B);
  assert.equal(port.pick('tom'), A);
  assert.match(port.describe(B, 'jack'), /^place 1 from the key, 160 of 320 points, above 100 % of the mean load$/);
  // An overloaded one is used before one in slow start that doesn't take this key.
  port.setShare(B, 0.000_1);
  assert.equal(port.pick('jack'), A);
});

test('bounded load: one hot key is spread as far as the bound asks', () => {
  const nodes = Object.fromEntries(numbered('10.0.0.', 10).map((host) => [`${host}:80`, 1]));
  const port = setUp(nodes, 125);
  for (let total = 0; total < 400; total++) {
    port.live.ports.set(port.live.portSlot, PortCell.InFlight, total + 1);
    const id = port.pick('hot')!;
    const calls = port.get(id, EndpointCell.InFlight) + 1;
    assert.ok(calls <= Math.ceil((1.25 * (total + 1)) / 10), `${calls} of ${total}`);
    port.set(id, EndpointCell.InFlight, calls);
  }
});

test('two calls with one key at two endpoints, 100 %: one each', () => {
  const port = setUp({ [A]: 1, [B]: 1 }, 100);
  load(port, [0, 0]);
  assert.equal(port.pick('jack'), B);
  load(port, [0, 1]);
  assert.equal(port.pick('jack'), A);
});

test('however much is out, full, tried, cold or overloaded: the first of the best on the ring', () => {
  const rng = seededRng(71);
  const seen = new Map<string, number>();
  for (let round = 0; round < 24; round++) {
    const count = [3, 40, 150][round % 3]!;
    const nodes = Object.fromEntries(
      Array.from({ length: count }, (_, i) => [`10.${round}.0.${i}:80`, rng.below(10) === 0 ? 40 : rng.below(4)]),
    );
    const port = setUp(nodes, [100, 150, 0][(round >> 2) % 3]);
    const ids = Object.keys(nodes);
    const points = referencePoints(port.endpoints);
    const weighted = (id: string): boolean => nodes[id]! > 0;
    for (let state = 0; state < 12; state++) {
      const goodOnes = [0, 0.01, 0.1, 0.7][state % 4]!;
      const coldOnes = [0, 1, 0.5][state % 3]!;
      ids.forEach((id) => {
        const good = rng.unit() < goodOnes;
        port.set(id, EndpointCell.InFlight, good ? 0 : 3 + rng.below(2));
        port.set(id, EndpointCell.Cap, !good && rng.below(2) === 0 ? 3 : 0);
        port.setShare(id, !good && rng.unit() < coldOnes ? 0.000_01 : 1);
        port.setOut(id, !good && rng.below(3) === 0);
      });
      port.live.ports.set(port.live.portSlot, PortCell.InFlight, 1 + rng.below(3 * count));
      const inUse = ids.filter((id) => weighted(id) && port.get(id, EndpointCell.Out) === 0).length;
      port.balancer.update(port.endpoints); // what is out has changed: that is told
      const asked = port.live.ports.get(port.live.portSlot, PortCell.InFlight);
      const factor = [100, 150, 0][(round >> 2) % 3]!;
      const bound = factor === 0 ? Infinity : Math.ceil((factor * asked) / (100 * Math.max(1, inUse)));
      const isOut = (id: string): boolean =>
        port.get(id, EndpointCell.Out) !== 0 ||
        (port.get(id, EndpointCell.Cap) > 0 && port.get(id, EndpointCell.InFlight) >= port.get(id, EndpointCell.Cap));
      const isCold = (id: string): boolean => port.get(id, EndpointCell.Share) !== 0;
      const isOver = (id: string): boolean => port.get(id, EndpointCell.InFlight) + 1 > bound;
      for (const key of KEYS.slice(0, 20)) {
        const tried = ids.filter(() => rng.below(20) === 0);
        const closed = ids.filter((id) => isOut(id) || tried.includes(id));
        const steps: [string, string[]][] = [
          ['free', ids.filter((id) => isCold(id) || isOver(id))],
          ['overloaded', ids.filter(isCold)],
          ['cold', []],
          ['nobody', ids],
        ];
        let expected: string | undefined;
        for (const [name, passed] of steps) {
          expected = referencePick(points, key, new Set([...closed, ...passed]));
          if (expected === undefined && name !== 'nobody') continue;
          seen.set(name, (seen.get(name) ?? 0) + 1);
          break;
        }
        assert.equal(port.pick(key, tried), expected, `round ${round}, state ${state}, ${key}`);
      }
    }
  }
  for (const name of ['free', 'overloaded', 'cold', 'nobody']) assert.ok(seen.get(name)! > 100, name);
});

test('what is scaled is said, with figures', () => {
  const port = setUp({ [A]: 1_000_000, [B]: 1 });
  assert.match(
    port.note,
    /^weights ask for 160,000,160 points on the ring; 1,000,000 are used, so .* by up to 0.0001 %/,
  );
  port.update({ [A]: 19_999, [B]: 1 });
  assert.equal(
    port.note,
    'weights ask for 3,200,000 points on the ring; 1,000,000 are used, which leaves the shares as they are',
  );
  port.update({ [A]: 19_999_999, [B]: 3 });
  assert.match(
    port.note,
    /^weights ask for 3,200,000,320 points .* differ by up to 567 %: 127\.0\.0\.1:1981 has 0\.0001 %/,
  );
  assert.equal(port.balancer.update(port.endpoints), port.note);
  port.update({ [A]: 1, [B]: 1 });
  assert.equal(port.note, '');
});

test('describe tells the place from the key, and what holds back', () => {
  const port = setUp({ [A]: 1, [B]: 1, [C]: 2 });
  const order: string[] = [];
  for (let i = 0; i < 3; i++) order.push(port.pick('jack', order)!);
  order.forEach((id, index) => {
    const points = id === C ? 320 : 160;
    assert.equal(port.describe(id, 'jack'), `place ${index + 1} from the key, ${points} of 640 points`);
  });
  port.setShare(order[0]!, 0.000_1);
  assert.match(port.describe(order[0]!, 'jack'), /, held back by slow start$/);
});
