import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createApisixEwma } from '../../../src/balance/ewma-apisix.ts';
import { createEwma } from '../../../src/balance/ewma.ts';
import { recordApisixLatency, recordLatency } from '../../../src/balance/latency.ts';
import { seededRng, type Rng } from '../../../src/base/rng.ts';
import { EndpointCell } from '../../../src/model/cells.ts';
import { BalanceScene, countPicks } from '../../support/balance-scene.ts';

const FORMULAS = [
  { name: 'peak', create: createEwma, record: recordLatency },
  { name: 'apisix', create: createApisixEwma, record: recordApisixLatency },
] as const;

const SEEDS = Array.from({ length: 20 }, (_, seed) => seed);

function peak(weights: readonly number[], seed = 1): BalanceScene {
  return new BalanceScene(createEwma(seededRng(seed)), weights);
}

function near(actual: number, expected: number, within: number, what = ''): void {
  assert.ok(Math.abs(actual - expected) <= within, `${what} ${actual} is not ${expected} ± ${within}`);
}

for (const { name, create, record } of FORMULAS) {
  const scene = (weights: readonly number[], seed: number): BalanceScene =>
    new BalanceScene(create(seededRng(seed)), weights, record);

  test(`APISIX row 36: of 1 ms and 5 ms the fast one gets eleven of twelve (${name})`, () => {
    for (const seed of SEEDS) {
      const picks = scene([1, 1], seed).sequence(12, (index) => ({ tookMs: index === 0 ? 1 : 5 }));
      assert.deepEqual(countPicks(picks, 2), [11, 1], `seed ${seed}: ${picks.join(' ')}`);
    }
  });

  test(`APISIX row 38: twelve at once beside a dead endpoint all end at the live one (${name})`, () => {
    for (const seed of SEEDS) {
      const started = scene([1, 1], seed);
      const first = Array.from({ length: 12 }, () => started.pickAndHold());
      started.hints.nowMs = 100; // connect timeout
      for (const index of first) {
        if (index === 0) continue;
        const dead = started.rows[1]!.slot;
        started.end(dead);
        started.sample(dead, 100, true);
        started.tried.clear();
        started.tried.add(dead);
        assert.equal(started.pickAndHold(), 0);
      }
      assert.equal(started.cells.get(started.rows[0]!.slot, EndpointCell.InFlight), 12);
    }
  });

  test(`APISIX row 39: two dead endpoints are tried once each by each of twelve (${name})`, () => {
    for (const seed of SEEDS) {
      const dead = scene([1, 1], seed);
      for (let request = 0; request < 12; request++) {
        dead.tried.clear();
        const seen = [0, 1].map(() => {
          const [index] = dead.sequence(1, () => ({ tookMs: 1, failed: true }));
          dead.tried.add(dead.rows[index!]!.slot);
          return index;
        });
        assert.deepEqual(
          seen.toSorted((a = 0, b = 0) => a - b),
          [0, 1],
        );
        assert.equal(dead.pick(), -1);
      }
    }
  });

  test(`APISIX row 44: with one endpoint a level, each level gives its own and then none (${name})`, () => {
    const levels = [1, 0, -1].map(() => scene([1], 3));
    for (const level of levels) {
      assert.equal(level.pick(), 0);
      level.tried.add(level.rows[0]!.slot);
      assert.equal(level.pick(), -1);
    }
  });

  test(`no endpoints, no pick (${name})`, () => {
    assert.equal(scene([], 1).pick(), -1);
    assert.equal(create(seededRng(1)).describe(scene([], 1).live, 0, { nowMs: 0, keyHash: 0, spilled: false }), '');
  });

  test(`what is tried, full or out is passed over, and found by looking where chance doesn't (${name})`, () => {
    for (const count of [2, 3, 12, 200]) {
      const one = scene(
        Array.from({ length: count }, () => 1),
        count,
      );
      const kept = new Set([0, count - 1]);
      one.rows.forEach(({ slot }, index) => {
        if (kept.has(index)) return;
        if (index % 3 === 0) one.cells.set(slot, EndpointCell.Out, 1);
        else if (index % 3 === 1) one.tried.add(slot);
        else {
          one.cells.set(slot, EndpointCell.Cap, 2);
          one.cells.set(slot, EndpointCell.InFlight, 2);
        }
      });
      assert.deepEqual(new Set(Array.from({ length: 60 }, () => one.pick())), kept);
      one.tried.add(one.rows[0]!.slot);
      assert.equal(one.pick(), count - 1);
      one.cells.set(one.rows[count - 1]!.slot, EndpointCell.Out, 1);
      assert.equal(one.pick(), -1);
    }
  });
}

test('equal latencies, weights 3:1, 20 calls at a time: shares are the weights', () => {
  for (const seed of SEEDS.slice(0, 5)) {
    const scene = peak([3, 1], seed);
    scene.playClosed(20, 8_000, () => ({ tookMs: 10 }));
    near(scene.shares()[0]!, 0.75, 0.015, `seed ${seed}`);
  }
});

test('shares are near the weights however many calls there are at a time', () => {
  for (const weights of [
    [1, 1],
    [3, 1],
    [3, 2, 1],
    [99, 1],
    [3, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  ]) {
    const sum = weights.reduce((a, b) => a + b, 0);
    for (const callers of [1, 2, 5, 20, 100]) {
      const rng = seededRng(callers);
      const scene = peak(weights, 7);
      scene.playClosed(callers, 10_000, () => ({ tookMs: 8 + 4 * rng.unit() }));
      scene.shares().forEach((share, index) => {
        const fair = weights[index]! / sum;
        near(share, fair, 0.3 * fair + 0.005, `${weights.join(':')}, ${callers} at a time, ${index}:`);
      });
    }
  }
});

test('a heavy endpoint that gets slow loses its share', () => {
  const rng = seededRng(3);
  const scene = peak([8, 1, 1, 1]);
  scene.play(rng, 500, 10, () => ({ tookMs: 10 }));
  near(scene.shares()[0]!, 8 / 11, 0.08);
  const before = new Map(scene.attempts);
  const [heavy] = scene.rows;
  scene.play(rng, 500, 30, (slot) => ({ tookMs: slot === heavy!.slot ? 200 : 10 }));
  assert.ok(scene.shares(before)[0]! < 0.15, String(scene.shares(before)[0]));
  const slow = new Map(scene.attempts);
  scene.play(rng, 500, 120, () => ({ tookMs: 10 }));
  const recovered = new Map(scene.attempts);
  scene.play(rng, 500, 10, () => ({ tookMs: 10 }));
  assert.ok(scene.shares(slow)[0]! > 0.3);
  near(scene.shares(recovered)[0]!, 8 / 11, 0.08);
});

test('weight 0 gets nothing, not even as a retry, unless all have it', () => {
  const scene = peak([0, 1, 1]);
  const picks = Array.from({ length: 200 }, () => scene.pick());
  assert.deepEqual(
    [...new Set(picks)].toSorted((a, b) => a - b),
    [1, 2],
  );
  scene.tried.add(scene.rows[1]!.slot);
  scene.tried.add(scene.rows[2]!.slot);
  assert.equal(scene.pick(), -1);
  const zeros = peak([0, 0, 0]);
  zeros.playClosed(3, 3_000, () => ({ tookMs: 10 }));
  for (const share of zeros.shares()) near(share, 1 / 3, 0.03);
});

test('an endpoint that fails at once gets next to nothing (pain 12)', () => {
  for (const endpoints of [2, 3, 10]) {
    const rng = seededRng(endpoints);
    const scene = peak(Array.from({ length: endpoints }, () => 1));
    const broken = scene.rows[0]!.slot;
    scene.play(rng, 200, 60, (slot) =>
      slot === broken ? { tookMs: 1, failed: true } : { tookMs: 10 + 5 * rng.unit() },
    );
    assert.ok(scene.shares()[0]! < 0.1 / endpoints, `${endpoints}: ${scene.shares()[0]}`);
  }
});

test('where answers take long, one that fails at once attracts nothing either', () => {
  const rng = seededRng(8);
  const scene = peak([1, 1, 1, 1]);
  const broken = scene.rows[0]!.slot;
  scene.play(rng, 5, 300, (slot) => (slot === broken ? { tookMs: 1, failed: true } : { tookMs: 10_000 }));
  assert.ok(scene.shares()[0]! < 0.1, String(scene.shares()[0]));
});

test('one that fails is tried again after about a minute, and has its share back when it is well', () => {
  const rng = seededRng(2);
  const scene = peak([1, 1, 1, 1]);
  const [first] = scene.rows;
  scene.play(rng, 200, 10, () => ({ tookMs: 10 }));
  scene.sample(first!.slot, 1, true);
  const failed = new Map(scene.attempts);
  scene.play(rng, 200, 30, () => ({ tookMs: 10 }));
  assert.equal(scene.attempts.get(first!.slot), failed.get(first!.slot));
  scene.play(rng, 200, 60, () => ({ tookMs: 10 }));
  const later = new Map(scene.attempts);
  scene.play(rng, 200, 20, () => ({ tookMs: 10 }));
  near(scene.shares(later)[0]!, 0.25, 0.05);
});

test('a cold endpoint is tried at once and not flooded (pain 12)', () => {
  for (const endpoints of [3, 10, 30]) {
    const rng = seededRng(endpoints);
    const scene = peak(Array.from({ length: endpoints - 1 }, () => 1));
    scene.play(rng, 200, 10, () => ({ tookMs: 20 }));
    const cold = scene.add(1);
    scene.update();
    let most = 0;
    const answer = (slot: number): { tookMs: number } => {
      most = Math.max(most, scene.cells.get(cold, EndpointCell.InFlight));
      return { tookMs: slot === cold ? 1_000 : 20 };
    };
    scene.play(rng, 200, 1, answer);
    const early = scene.attempts.get(cold) ?? 0;
    assert.ok(early >= 1 && early <= Math.ceil(400 / endpoints / 4), `${endpoints}: ${early} in the first second`);
    assert.ok(most <= 25, `${endpoints}: ${most} at once`);
    // Warm after that first second: it gets its share as trust returns.
    scene.play(rng, 200, 60, () => ({ tookMs: 20 }));
    const before = new Map(scene.attempts);
    scene.play(rng, 200, 20, () => ({ tookMs: 20 }));
    near(scene.shares(before).at(-1)!, 1 / endpoints, 0.35 / endpoints);
  }
});

test('an endpoint that takes calls and answers none holds few of them', () => {
  const rng = seededRng(6);
  const scene = peak([1, 1, 1, 1, 1]);
  const hung = scene.rows[0]!.slot;
  scene.play(rng, 200, 5, () => ({ tookMs: 10 }));
  scene.play(rng, 200, 50, (slot) => ({ tookMs: slot === hung ? 1e9 : 10 }));
  const held = scene.cells.get(hung, EndpointCell.InFlight);
  assert.ok(held >= 1 && held <= 12, String(held));
  // Also where nothing is known of anybody yet, and of two one answers nothing.
  for (const seed of [1, 2, 3]) {
    const cold = peak([1, 1]);
    const dead = cold.rows[0]!.slot;
    cold.play(seededRng(seed), 1000, 2, (slot) => ({ tookMs: slot === dead ? 1e9 : 10 }));
    assert.ok(cold.cells.get(dead, EndpointCell.InFlight) <= 60, String(cold.cells.get(dead, EndpointCell.InFlight)));
  }
});

test('an endpoint in slow start has its share of calls, and idle ones are not compared as lighter', () => {
  for (const endpoints of [2, 5]) {
    const rng = seededRng(endpoints);
    const scene = peak(Array.from({ length: endpoints }, () => 1));
    scene.cells.set(scene.rows[0]!.slot, EndpointCell.Share, 6_554); // a tenth
    scene.play(rng, 200, 60, () => ({ tookMs: 10 }));
    const fair = 0.1 / (endpoints - 0.9);
    near(scene.shares()[0]!, fair, 0.8 * fair, `${endpoints}:`);
  }
  // It is the faster one, and yet it isn't drawn more often than now and then.
  const fast = peak([1, 1]);
  fast.cells.set(fast.rows[0]!.slot, EndpointCell.Share, 6_554);
  fast.play(seededRng(4), 20, 60, (slot) => ({ tookMs: slot === fast.rows[0]!.slot ? 2 : 10 }));
  assert.ok(fast.shares()[0]! < 0.25, String(fast.shares()[0]));
  // All of them in slow start: as if none were.
  const scene = peak([1, 1, 1]);
  for (const { slot } of scene.rows) scene.cells.set(slot, EndpointCell.Share, 6_554);
  scene.playClosed(12, 6_000, () => ({ tookMs: 10 }));
  for (const share of scene.shares()) near(share, 1 / 3, 0.03);
});

test('what is known of endpoints survives a change of the list', () => {
  const scene = peak([1, 1, 1]);
  const [fast, slow] = scene.rows;
  scene.sequence(30, (index) => ({ tookMs: index === 1 ? 50 : 5 }));
  scene.rows = [slow!, fast!];
  scene.update();
  const picks = scene.sequence(20, () => ({ tookMs: 5 }));
  assert.deepEqual(countPicks(picks, 2), [0, 20]);
});

test('a pick draws two numbers, whether there are ten endpoints or a thousand', () => {
  for (const weights of [
    Array.from({ length: 10 }, () => 1),
    Array.from({ length: 1_000 }, () => 1),
    Array.from({ length: 1_000 }, (_, index) => 1 + (index % 100)),
  ]) {
    const rng = seededRng(1);
    let drawn = 0;
    const counted: Rng = {
      unit: () => (drawn++, rng.unit()),
      below: (n) => (drawn++, rng.below(n)),
    };
    const scene = new BalanceScene(createEwma(counted), weights);
    scene.playClosed(50, 1_000, () => ({ tookMs: 10 }));
    assert.equal(drawn, 2_000);
  }
});

test('tells its load', () => {
  const scene = peak([3, 1]);
  const { balancer, live, hints, cells } = scene;
  assert.equal(balancer.describe(live, 0, hints), 'load 0.00 ms, not measured yet');
  const [heavy, light] = scene.rows;
  scene.sample(heavy!.slot, 2);
  scene.sample(light!.slot, 1.25);
  assert.equal(balancer.describe(live, 0, hints), 'load 2.00 ms');
  cells.set(heavy!.slot, EndpointCell.InFlight, 3);
  cells.set(light!.slot, EndpointCell.InFlight, 1);
  assert.equal(balancer.describe(live, 0, hints), 'load 6.00 ms'); // 2 × (1 + 3 / 1.5)
  assert.equal(balancer.describe(live, 1, hints), 'load 3.75 ms'); // 1.25 × (1 + 1 / 0.5)
  assert.equal(balancer.describe(live, 2, hints), '');
});
