// Balancers on load against a world that moves: endpoints come, go and change their weight, latency and cap, callers retry
// what fails. After each step what must always hold is asked of the cells, not of the balancer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canTake, shareOf, type BalancedEndpoint, type Balancer } from '../../src/balance/balancer.ts';
import { createApisixEwma } from '../../src/balance/ewma-apisix.ts';
import { createEwma } from '../../src/balance/ewma.ts';
import { recordApisixLatency, recordLatency, type LatencyRecorder } from '../../src/balance/latency.ts';
import { createLeastConn } from '../../src/balance/least-conn.ts';
import { TriedSlots } from '../../src/balance/tried-slots.ts';
import { seededRng, type Rng } from '../../src/base/rng.ts';
import { Cells, EndpointCell } from '../../src/model/cells.ts';
import { BalanceScene } from '../support/balance-scene.ts';

const MAX_ATTEMPTS = 3;
const STEPS = 6_000;

/** The longest that a board of least_conn may not see a change that nobody told it of. */
const UNSEEN_MS = 250;

interface Attempt {
  readonly slot: number;
  readonly generation: number;
  readonly beganMs: number;
  readonly endMs: number;
  readonly failed: boolean;
  readonly tried: TriedSlots;
}

interface Behaviour {
  latencyMs: number;
  failsAt: number;
}

class World {
  readonly cells = new Cells();
  readonly ports = new Cells();
  readonly live = { endpoints: this.cells, ports: this.ports, portSlot: this.ports.allocate() };
  readonly hints = { nowMs: 2 ** 31 - 20_000, keyHash: 0, spilled: false }; // the low 32 bits change their sign on the way
  rows: BalancedEndpoint[] = [];
  readonly behaviours = new Map<number, Behaviour>();
  attempts: Attempt[] = [];
  picks = 0;
  /** Picks that found nobody although the oracle knew that there was nobody. */
  empty = 0;
  /** When something became better that a balancer isn't told of. */
  untoldMs = -Infinity;
  readonly rng: Rng;
  readonly balancer: Balancer;
  readonly record: LatencyRecorder;
  readonly check: (world: World, index: number, tried: TriedSlots) => void;

  constructor(seed: number, balancer: Balancer, record: LatencyRecorder, check: World['check'], endpoints: number) {
    this.rng = seededRng(seed);
    this.balancer = balancer;
    this.record = record;
    this.check = check;
    for (let i = 0; i < endpoints; i++) this.add();
    this.update();
  }

  add(): void {
    const slot = this.cells.allocate();
    this.rows.push({ slot, id: `10.0.0.1:${slot}`, weight: this.someWeight() });
    this.behaviours.set(slot, { latencyMs: 1 + 30 * this.rng.unit(), failsAt: 0 });
  }

  someWeight(): number {
    return this.rng.below(8) === 0 ? 0 : 1 + this.rng.below(5);
  }

  update(): void {
    assert.equal(this.balancer.update(this.rows), '');
  }

  /** One thing happens. */
  step(): void {
    const { rng, cells } = this;
    this.hints.nowMs += -Math.log(1 - rng.unit()) * 2;
    this.endDue();
    const row = this.rows[rng.below(this.rows.length)];
    switch (rng.below(60)) {
      case 0:
        this.add();
        return this.update();
      case 1:
        return this.remove();
      case 2:
        if (row) this.rows[this.rows.indexOf(row)] = { ...row, weight: this.someWeight() };
        return this.update();
      case 3:
        if (row) this.behaviours.get(row.slot)!.latencyMs = 1 + 10 ** (3 * rng.unit());
        return;
      case 4:
        if (row) this.behaviours.get(row.slot)!.failsAt = rng.below(3) === 0 ? 1 : 0;
        return;
      case 5:
        if (row) cells.set(row.slot, EndpointCell.Cap, rng.below(3) === 0 ? 1 + rng.below(5) : 0);
        this.untoldMs = this.hints.nowMs;
        return;
      case 6:
        if (row) cells.set(row.slot, EndpointCell.Share, rng.below(2) * (1 + rng.below(65_535)));
        this.untoldMs = this.hints.nowMs;
        return;
      case 7:
        if (row) cells.set(row.slot, EndpointCell.Out, rng.below(4) === 0 ? 1 : 0);
        this.untoldMs = this.hints.nowMs;
        return;
      default:
        this.attempt(new TriedSlots());
    }
  }

  remove(): void {
    if (this.rows.length < 3) return;
    const [gone] = this.rows.splice(this.rng.below(this.rows.length), 1);
    this.cells.release(gone!.slot);
    this.update();
  }

  attempt(tried: TriedSlots): void {
    const index = this.balancer.pick(this.live, tried, this.hints);
    this.check(this, index, tried);
    this.picks++;
    if (index < 0) {
      this.empty++;
      return;
    }
    const { slot } = this.rows[index]!;
    assert.ok(!tried.has(slot), 'a tried endpoint was picked');
    assert.ok(canTake(this.cells, slot), 'an endpoint was picked that is out or at its cap');
    const { latencyMs, failsAt } = this.behaviours.get(slot)!;
    const failed = this.rng.unit() < failsAt;
    this.cells.add(slot, EndpointCell.InFlight, 1);
    this.attempts.push({
      slot,
      generation: this.cells.generation(slot),
      beganMs: this.hints.nowMs,
      endMs: this.hints.nowMs + (failed ? 1 : latencyMs * (0.5 + this.rng.unit())),
      failed,
      tried,
    });
  }

  endDue(): void {
    const { nowMs } = this.hints;
    const due = this.attempts.filter(({ endMs }) => endMs <= nowMs);
    if (due.length === 0) return;
    this.attempts = this.attempts.filter(({ endMs }) => endMs > nowMs);
    for (const { slot, generation, beganMs, failed, tried } of due) {
      if (this.cells.holds(slot, generation)) {
        this.cells.add(slot, EndpointCell.InFlight, -1);
        this.balancer.ended?.(this.live, slot);
        const ageMs = nowMs - beganMs;
        this.record(this.cells, slot, { connectMs: 0, headMs: ageMs, totalMs: ageMs, failed }, nowMs);
      }
      tried.add(slot);
      if (failed && tried.size < MAX_ATTEMPTS) this.attempt(tried);
    }
  }

  /** The cells hold what the attempts say. */
  audit(): void {
    for (const { slot } of this.rows) {
      const counted = this.cells.get(slot, EndpointCell.InFlight);
      const held = this.attempts.filter(
        (attempt) => attempt.slot === slot && this.cells.holds(slot, attempt.generation),
      ).length;
      assert.equal(counted, held);
      assert.ok(this.cells.get(slot, EndpointCell.LatencyUs) >= 0);
    }
  }
}

/** Who could be picked at all. */
function usable({ cells, rows }: World, tried: TriedSlots): BalancedEndpoint[] {
  return rows.filter(({ slot }) => canTake(cells, slot) && !tried.has(slot));
}

function checkEwma(world: World, index: number, tried: TriedSlots): void {
  const allZero = world.rows.every(({ weight }) => weight === 0);
  const left = usable(world, tried).filter(({ weight }) => allZero || weight > 0);
  assert.equal(index < 0, left.length === 0);
  if (index >= 0) assert.ok(left.includes(world.rows[index]!), 'weight 0 was picked');
}

function checkApisixEwma(world: World, index: number, tried: TriedSlots): void {
  assert.equal(index < 0, usable(world, tried).length === 0);
}

function checkLeastConn(world: World, index: number, tried: TriedSlots): void {
  const { cells, rows, hints } = world;
  const left = usable(world, tried);
  assert.equal(index < 0, left.length === 0);
  if (index < 0 || (rows.length > 16 && hints.nowMs - world.untoldMs <= UNSEEN_MS)) return;
  const allZero = rows.every(({ weight }) => weight === 0);
  // Weight 0 comes after all others, there by calls alone.
  const measure = ({ slot, weight }: BalancedEndpoint): readonly [number, number] => {
    const rank = (allZero ? 1 : weight) * shareOf(cells, slot);
    const calls = 1 + cells.get(slot, EndpointCell.InFlight);
    return rank === 0 ? [1, calls] : [0, calls / rank];
  };
  const [level, score] = measure(rows[index]!);
  for (const other of left) {
    const [otherLevel, otherScore] = measure(other);
    assert.ok(
      level < otherLevel || (level === otherLevel && score <= otherScore),
      `${score} was picked beside ${otherScore}`,
    );
  }
}

const ALGORITHMS = [
  ['ewma', createEwma, recordLatency, checkEwma],
  ['ewma, formula apisix', createApisixEwma, recordApisixLatency, checkApisixEwma],
  ['least_conn', createLeastConn, recordLatency, checkLeastConn],
] as const;

for (const [name, create, record, check] of ALGORITHMS) {
  test(`${name}: caps hold, calls in flight add up, and each pick is a right one, whatever changes`, () => {
    for (const [seed, endpoints] of [
      [1, 4],
      [2, 12],
      [3, 60],
    ] as const) {
      const world = new World(seed, create(seededRng(seed + 100)), record, check, endpoints);
      for (let step = 0; step < STEPS; step++) {
        world.step();
        if (step % 50 === 0) world.audit();
      }
      world.audit();
      assert.ok(world.picks > STEPS * 0.8);
      assert.ok(world.empty < world.picks / 2, `${world.empty} of ${world.picks} found nobody`);
    }
  });
}

test('least_conn: a board is exact where it is told of all there is to tell', () => {
  // Only calls begin and end, on 60 endpoints: each single pick is compared with a look through all.
  const world = new World(4, createLeastConn(seededRng(5)), recordLatency, checkLeastConn, 60);
  for (let i = 0; i < 10_000; i++) {
    world.hints.nowMs += world.rng.unit();
    world.endDue();
    world.attempt(new TriedSlots());
  }
  world.audit();
  assert.equal(world.untoldMs, -Infinity);
});

test('ewma: an endpoint that turns slow loses its calls, and gets them back', () => {
  for (const seed of [1, 2, 3]) {
    const rng = seededRng(seed);
    const scene = new BalanceScene(createEwma(seededRng(seed + 50)), [1, 1, 1, 1, 1]);
    const slow = scene.rows[2]!.slot;
    const fast = (): { tookMs: number } => ({ tookMs: 5 + 10 * rng.unit() });
    scene.play(rng, 400, 10, fast);
    const before = new Map(scene.attempts);
    scene.play(rng, 400, 30, (slot) => (slot === slow ? { tookMs: 300 } : fast()));
    assert.ok(scene.shares(before)[2]! < 0.05, `seed ${seed}: ${scene.shares(before)[2]}`);
    scene.play(rng, 400, 60, fast);
    const after = new Map(scene.attempts);
    scene.play(rng, 400, 20, fast);
    for (const share of scene.shares(after)) assert.ok(Math.abs(share - 0.2) < 0.08, scene.shares(after).join());
  }
});

test('one of N endpoints fails at once each time: it stays far below its part, by ewma', () => {
  for (const endpoints of [2, 5, 20]) {
    for (const seed of [1, 2]) {
      const rng = seededRng(seed);
      const scene = new BalanceScene(
        createEwma(seededRng(seed + 70)),
        Array.from({ length: endpoints }, () => 1),
      );
      const broken = scene.rows.at(-1)!.slot;
      const answer = (slot: number) =>
        slot === broken ? { tookMs: 0.5, failed: true } : { tookMs: 5 + 10 * rng.unit() };
      scene.play(rng, 300, 120, answer);
      const share = scene.shares().at(-1)!;
      assert.ok(share < 0.1 / endpoints, `${endpoints} endpoints, seed ${seed}: ${share}`);
    }
  }
});

test('one is added among N under 200 calls a second and is slow at first: it is tried soon and not flooded', () => {
  for (const endpoints of [3, 10, 40]) {
    const rng = seededRng(endpoints);
    const scene = new BalanceScene(
      createEwma(seededRng(endpoints + 1)),
      Array.from({ length: endpoints }, () => 1),
    );
    scene.play(rng, 200, 10, () => ({ tookMs: 10 }));
    const cold = scene.add(1);
    scene.update();
    const beganMs = scene.hints.nowMs;
    let firstMs = Infinity;
    let most = 0;
    scene.play(rng, 200, 5, (slot) => {
      if (slot === cold) firstMs = Math.min(firstMs, scene.hints.nowMs - beganMs);
      most = Math.max(most, scene.cells.get(cold, EndpointCell.InFlight));
      return { tookMs: slot === cold ? 2_000 : 10 };
    });
    assert.ok(firstMs < 1_000, `${endpoints}: first call after ${firstMs} ms`);
    assert.ok(most <= 12, `${endpoints}: ${most} calls at once`);
  }
});

test('least_conn: weights are the shares of calls that take equally long, and a slow endpoint gets fewer', () => {
  const rng = seededRng(11);
  const weights = [4, 3, 2, 1];
  const scene = new BalanceScene(createLeastConn(seededRng(12)), weights);
  scene.playClosed(40, 10_000, () => ({ tookMs: 10 * (0.5 + rng.unit()) }));
  scene.shares().forEach((share, index) => assert.ok(Math.abs(share - weights[index]! / 10) < 0.03, String(share)));
  const before = new Map(scene.attempts);
  const [heavy] = scene.rows;
  scene.playClosed(40, 10_000, (slot) => ({ tookMs: (slot === heavy!.slot ? 100 : 10) * (0.5 + rng.unit()) }));
  assert.ok(scene.shares(before)[0]! < 0.1, String(scene.shares(before)[0]));
});
