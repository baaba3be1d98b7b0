import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HealthState, report, startTrial } from '../../../src/health/machine.ts';
import { TimedReturn } from '../../../src/health/timed-return.ts';
import { Cells, EndpointCell } from '../../../src/model/cells.ts';

const TIMES = { returnAfterMs: 30_000, maxReturnAfterMs: 300_000 };

function setUp() {
  const cells = new Cells();
  const timed = new TimedReturn();
  const addDown = (nowMs: number, failedTrial = false, slot = cells.allocate()): number => {
    cells.set(slot, EndpointCell.HealthState, HealthState.Unhealthy);
    timed.add(cells, slot, nowMs, failedTrial);
    return slot;
  };
  return { cells, timed, addDown };
}

test('an endpoint is due when its time is over, once, and goes on trial', () => {
  const { cells, timed, addDown } = setUp();
  const first = addDown(0);
  const second = addDown(10_000);
  assert.equal(timed.nextMs(TIMES), 30_000);
  assert.deepEqual(timed.takeDue(cells, TIMES, 29_999), []);
  assert.deepEqual(timed.takeDue(cells, TIMES, 30_000), [first]);
  assert.deepEqual(timed.takeDue(cells, TIMES, 30_000), []);
  assert.equal(startTrial(cells, first), 'up');
  assert.equal(timed.nextMs(TIMES), 40_000);
  assert.deepEqual(timed.takeDue(cells, TIMES, 90_000), [second]);
  assert.equal(timed.nextMs(TIMES), Infinity);
});

test('each trial that fails doubles the time until the next, up to the longest', () => {
  const { cells, timed, addDown } = setUp();
  const slot = addDown(0);
  let nowMs = 0;
  const absences: number[] = [];
  for (let i = 0; i < 7; i++) {
    absences.push(timed.nextMs(TIMES) - nowMs);
    nowMs = timed.nextMs(TIMES);
    assert.deepEqual(timed.takeDue(cells, TIMES, nowMs), [slot]);
    startTrial(cells, slot);
    assert.equal(report(cells, slot, 'tcp', 2), 'down');
    timed.add(cells, slot, nowMs, true);
    assert.equal(timed.failedTrials(cells, slot), i + 1);
  }
  assert.deepEqual(absences, [30_000, 60_000, 120_000, 240_000, 300_000, 300_000, 300_000]);
  for (let i = 0; i < 2000; i++) timed.add(cells, slot, 0, true);
  assert.equal(timed.nextMs(TIMES), 300_000);
});

test('a success ends the account, and so does going down in service', () => {
  const { timed, addDown } = setUp();
  const slot = addDown(0);
  addDown(0, true, slot);
  assert.equal(timed.nextMs(TIMES), 60_000);
  timed.forget(slot);
  assert.equal(timed.nextMs(TIMES), Infinity);
  addDown(100, false, slot);
  assert.equal(timed.nextMs(TIMES), 30_100);
  addDown(100, true, slot);
  addDown(200, false, slot);
  assert.equal(timed.nextMs(TIMES), 30_200);
});

test('a longest absence below the first one shortens nothing', () => {
  const { cells, timed, addDown } = setUp();
  const slot = addDown(0);
  addDown(0, true, slot);
  assert.equal(timed.nextMs({ returnAfterMs: 1000, maxReturnAfterMs: 10 }), 1000);
  assert.deepEqual(timed.takeDue(cells, { returnAfterMs: 1000, maxReturnAfterMs: 1500 }, 1499), []);
  assert.deepEqual(timed.takeDue(cells, { returnAfterMs: 1000, maxReturnAfterMs: 1500 }, 1500), [slot]);
});

test('who came back by itself or was removed is not put on trial', () => {
  const { cells, timed, addDown } = setUp();
  const healed = addDown(0);
  const removed = addDown(0);
  cells.set(healed, EndpointCell.HealthState, HealthState.Healthy);
  cells.release(removed);
  assert.equal(cells.allocate(), removed); // the row's next owner
  cells.set(removed, EndpointCell.HealthState, HealthState.Unhealthy);
  assert.equal(timed.has(cells, removed), false);
  assert.equal(timed.failedTrials(cells, removed), 0);
  assert.deepEqual(timed.takeDue(cells, TIMES, 30_000), []);
  assert.equal(timed.nextMs(TIMES), Infinity);
});

test('who goes down again starts its time anew; clear forgets', () => {
  const { cells, timed, addDown } = setUp();
  const first = addDown(0);
  const second = addDown(1000);
  timed.add(cells, first, 2000);
  assert.deepEqual(timed.takeDue(cells, TIMES, 31_000), [second]);
  assert.equal(timed.nextMs(TIMES), 32_000);
  timed.clear();
  assert.equal(timed.has(cells, first), false);
  assert.equal(timed.nextMs(TIMES), Infinity);
  assert.deepEqual(timed.takeDue(cells, TIMES, 99_000), []);
});

test('an edited time holds for those who are out already', () => {
  const { cells, timed, addDown } = setUp();
  const slot = addDown(0);
  assert.deepEqual(timed.takeDue(cells, { returnAfterMs: 60_000, maxReturnAfterMs: 60_000 }, 30_000), []);
  assert.deepEqual(timed.takeDue(cells, { returnAfterMs: 20_000, maxReturnAfterMs: 60_000 }, 30_000), [slot]);
});
