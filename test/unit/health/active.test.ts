import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Rng } from '../../../src/base/rng.ts';
import { seededRng } from '../../../src/base/rng.ts';
import { ProbeSchedule } from '../../../src/health/active.ts';
import type { ProbePace } from '../../../src/health/active.ts';
import { HealthState } from '../../../src/health/machine.ts';
import { DEFAULT_ACTIVE } from '../../../src/model/defaults.ts';
import { Cells, EndpointCell } from '../../../src/model/cells.ts';

const NO_JITTER: Rng = { unit: () => 0, below: () => 0 };

function pace(healthyMs: number, unhealthyMs: number, concurrency = 10): ProbePace {
  return {
    concurrency,
    healthy: { ...DEFAULT_ACTIVE.healthy, intervalMs: healthyMs },
    unhealthy: { ...DEFAULT_ACTIVE.unhealthy, intervalMs: unhealthyMs },
  };
}

function setUp(endpoints: number, policy: ProbePace, rng = NO_JITTER) {
  const cells = new Cells();
  const slots = Array.from({ length: endpoints }, () => cells.allocate());
  const schedule = new ProbeSchedule(policy);
  schedule.update(policy, cells, slots, 0, rng);
  const start = (nowMs: number): number[] => schedule.start(cells, nowMs);
  const finish = (slot: number): boolean => schedule.finish(slot, cells.generation(slot));
  const nextMs = (): number => schedule.nextMs(cells);
  return { cells, slots, schedule, start, finish, nextMs };
}

test('the first probe goes out at once, spread a little by chance', () => {
  assert.deepEqual(setUp(3, pace(1000, 1000)).start(0), [0, 1, 2]);
  for (const [intervalMs, spreadMs] of [
    [60_000, 250],
    [1000, 250],
    [100, 25],
  ]) {
    const { start, nextMs } = setUp(100, pace(intervalMs!, 1, 1000), seededRng(3));
    assert.ok(nextMs() > 0 && nextMs() < spreadMs! / 10);
    const early = start(spreadMs! / 2).length;
    assert.ok(early > 30 && early < 70, String(early));
    assert.equal(start(spreadMs!).length, 100 - early);
  }
});

test('up endpoints go at the healthy pace, down ones at the unhealthy pace', () => {
  const { cells, start, finish, nextMs } = setUp(4, pace(5000, 1000));
  cells.set(1, EndpointCell.HealthState, HealthState.Unhealthy);
  cells.set(2, EndpointCell.HealthState, HealthState.MostlyUnhealthy);
  cells.set(3, EndpointCell.HealthState, HealthState.MostlyHealthy);
  for (const slot of start(0)) finish(slot);
  assert.equal(nextMs(), 1000);
  assert.deepEqual(start(999), []);
  assert.deepEqual(start(1000), [1, 2]);
  for (const slot of [1, 2]) finish(slot);
  assert.deepEqual(start(5000), [1, 2, 0, 3]); // longest due first
});

test('a flip changes the pace at once', () => {
  const { cells, start, finish, nextMs } = setUp(1, pace(60_000, 1000));
  start(0);
  finish(0);
  assert.equal(nextMs(), 60_000);
  cells.set(0, EndpointCell.HealthState, HealthState.Unhealthy);
  assert.equal(nextMs(), 1000);
  assert.deepEqual(start(1500), [0]);
});

test('no second probe of an endpoint while one is in flight', () => {
  const { start, finish, nextMs } = setUp(1, pace(1000, 1000));
  assert.deepEqual(start(0), [0]);
  assert.deepEqual(start(5000), []);
  assert.equal(nextMs(), Infinity);
  finish(0);
  assert.equal(nextMs(), 1000); // overdue: it goes out at once, and once
  assert.deepEqual(start(5000), [0]);
  finish(0);
  finish(0);
  assert.equal(nextMs(), 6000);
});

test('no more in flight than concurrency allows, and nobody starves', () => {
  const { start, finish, nextMs } = setUp(5, pace(100, 100, 2));
  const order: number[] = [];
  let inFlight = start(0);
  for (let nowMs = 0; order.length < 20; nowMs += 60) {
    assert.ok(inFlight.length === 2);
    assert.equal(nextMs(), Infinity);
    assert.deepEqual(start(nowMs), []);
    order.push(...inFlight);
    for (const slot of inFlight) finish(slot);
    inFlight = start(nowMs + 60);
  }
  // Equally long due, the first of the list goes first: a lead of one probe, never more.
  for (const slot of [0, 1, 2, 3, 4]) {
    const probes = order.filter((each) => each === slot).length;
    assert.ok(probes >= 3 && probes <= 5, order.join());
  }
});

test('says whether others may have waited, and when each is probed next', () => {
  const { cells, schedule, start, finish } = setUp(3, pace(5000, 1000, 2));
  cells.set(1, EndpointCell.HealthState, HealthState.Unhealthy);
  const nextOf = (slot: number): number => schedule.nextProbeMs(cells, slot);
  assert.deepEqual(start(100), [0, 1]);
  assert.equal(nextOf(0), 100);
  assert.equal(finish(1), true);
  assert.equal(finish(1), false);
  assert.equal(nextOf(1), 1100);
  assert.equal(nextOf(2), 0);
  assert.equal(finish(0), false);
  assert.equal(nextOf(0), 5100);
  assert.equal(nextOf(7), Infinity);
});

test('endpoints that stay keep their schedule, new ones are probed at once', () => {
  const policy = pace(10_000, 1000);
  const { cells, schedule, slots, start, finish, nextMs } = setUp(2, policy);
  start(0);
  finish(0);
  const added = cells.allocate();
  schedule.update(policy, cells, [...slots, added], 4000, NO_JITTER);
  assert.deepEqual(start(4000), [added]);
  finish(1);
  finish(added);
  assert.equal(nextMs(), 10_000);
  schedule.update(pace(20_000, 1000), cells, [1, added], 5000, NO_JITTER);
  assert.equal(nextMs(), 20_000);
  assert.deepEqual(start(24_000), [1, added]);
});

test('a removed endpoint gives its place free, and its late end is nobody else’s', () => {
  const policy = pace(1000, 1000, 1);
  const { cells, schedule, start, nextMs } = setUp(1, policy);
  const generation = cells.generation(0);
  start(0);
  assert.equal(nextMs(), Infinity);
  cells.release(0);
  const next = cells.allocate();
  assert.equal(next, 0);
  schedule.update(policy, cells, [next], 100, NO_JITTER);
  assert.deepEqual(start(100), [0]);
  schedule.finish(0, generation); // of the one that went
  assert.equal(nextMs(), Infinity);
  schedule.finish(0, cells.generation(0));
  assert.equal(nextMs(), 1100);
  schedule.update(policy, cells, [], 200, NO_JITTER);
  assert.equal(nextMs(), Infinity);
  assert.deepEqual(start(9000), []);
});

test('any history: bounded, one at a time, not before the interval, and repeatable', () => {
  const action = fc.oneof(
    fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 400 }) }),
    fc.record({ kind: fc.constant('finish' as const), index: fc.integer({ min: 0, max: 9 }) }),
    fc.record({ kind: fc.constant('flip' as const), slot: fc.integer({ min: 0, max: 5 }) }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), fc.integer({ min: 1, max: 4 }), (actions, concurrency) => {
      const run = (): string => {
        const { cells, start, finish, nextMs } = setUp(6, pace(300, 100, concurrency), seededRng(9));
        const lastMs = new Map<number, number>();
        const inFlight: number[] = [];
        let trace = '';
        let nowMs = 0;
        for (const each of actions) {
          if (each.kind === 'pass') nowMs += each.ms;
          else if (each.kind === 'flip') {
            const state = cells.get(each.slot, EndpointCell.HealthState);
            cells.set(each.slot, EndpointCell.HealthState, state === 0 ? 3 : 0);
          } else if (inFlight.length > 0) finish(inFlight.splice(each.index % inFlight.length, 1)[0]!);
          const expected = nextMs() <= nowMs;
          const started = start(nowMs);
          assert.equal(started.length > 0, expected);
          for (const slot of started) {
            assert.ok(!inFlight.includes(slot));
            const up = cells.get(slot, EndpointCell.HealthState) === 0;
            assert.ok(nowMs - (lastMs.get(slot) ?? -Infinity) >= (up ? 300 : 100));
            lastMs.set(slot, nowMs);
            inFlight.push(slot);
          }
          assert.ok(inFlight.length <= concurrency);
          assert.ok(nextMs() > nowMs);
          trace += `${nowMs}:${started.join()};`;
        }
        return trace;
      };
      assert.equal(run(), run());
    }),
    { seed: 23, numRuns: 100 },
  );
});
