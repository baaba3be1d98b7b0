import assert from 'node:assert/strict';
import { test } from 'node:test';
import { report, startTrial } from '../../../src/health/machine.ts';
import { TimedReturn } from '../../../src/health/timed-return.ts';
import { Cells } from '../../../src/model/cells.ts';

function setUp() {
  const cells = new Cells();
  const absent = new TimedReturn();
  const takeDown = (slot: number, nowMs: number): void => {
    assert.equal(report(cells, slot, 'tcp', 1), 'down');
    absent.add(cells, slot, nowMs);
  };
  return { cells, absent, takeDown };
}

test('gives back what was down for the time, and once', () => {
  const { cells, absent, takeDown } = setUp();
  const [a, b] = [cells.allocate(), cells.allocate()];
  assert.equal(absent.nextMs(1000), Infinity);
  takeDown(a, 100);
  takeDown(b, 400);
  assert.equal(absent.nextMs(1000), 1100);
  assert.deepEqual(absent.takeDue(cells, 1000, 1099), []);
  assert.deepEqual(absent.takeDue(cells, 1000, 1100), [a]);
  assert.deepEqual(absent.takeDue(cells, 1000, 1100), []);
  assert.equal(absent.nextMs(1000), 1400);
  assert.equal(absent.nextMs(5000), 5400); // the policy may change meanwhile
  assert.deepEqual(absent.takeDue(cells, 1000, 9000), [b]);
});

test('a failed trial waits the whole time again', () => {
  const { cells, absent, takeDown } = setUp();
  const a = cells.allocate();
  takeDown(a, 0);
  assert.deepEqual(absent.takeDue(cells, 1000, 1000), [a]);
  startTrial(cells, a);
  takeDown(a, 1001);
  assert.deepEqual(absent.takeDue(cells, 1000, 2000), []);
  assert.deepEqual(absent.takeDue(cells, 1000, 2001), [a]);
});

test('what came back by itself or was removed is forgotten', () => {
  const { cells, absent, takeDown } = setUp();
  const [a, b] = [cells.allocate(), cells.allocate()];
  takeDown(a, 0);
  takeDown(b, 0);
  report(cells, a, 'success', 1);
  cells.release(b);
  assert.equal(cells.allocate(), b); // another endpoint in the same row, down too
  report(cells, b, 'tcp', 1);
  assert.deepEqual(absent.takeDue(cells, 1000, 5000), []);
  assert.equal(absent.nextMs(1000), Infinity);
  takeDown(a, 6000);
  absent.clear();
  assert.deepEqual(absent.takeDue(cells, 1000, 9000), []);
});
