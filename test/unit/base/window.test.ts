import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Window } from '../../../src/base/window.ts';

test('counts what the last buckets hold', () => {
  const window = new Window(3, 100);
  window.add(1000);
  window.add(1099, 4);
  window.add(1100);
  assert.equal(window.sum(1100), 6);
  assert.equal(window.sum(1299), 6);
  assert.equal(window.sum(1300), 1); // the bucket of 1000 to 1099 has left
  assert.equal(window.sum(1399), 1);
  assert.equal(window.sum(1400), 0);
});

test('a pause longer than the window empties it', () => {
  const window = new Window(10, 1000);
  window.add(500, 7);
  assert.equal(window.sum(10_000), 0);
  window.add(1_000_000_000, 3);
  assert.equal(window.sum(1_000_000_000), 3);
  assert.equal(window.sum(1_000_009_999), 3);
  assert.equal(window.sum(1_000_010_000), 0);
});

test('a time that went back counts as the newest', () => {
  const window = new Window(2, 100);
  window.add(1000);
  window.add(300);
  assert.equal(window.sum(0), 2);
  assert.equal(window.sum(1199), 2);
  assert.equal(window.sum(1200), 0);
});

test('equals a list of events, whatever the times', () => {
  const step = fc.record({ passMs: fc.integer({ min: 0, max: 700 }), amount: fc.integer({ min: 0, max: 5 }) });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.array(step, { maxLength: 40 }), (buckets, steps) => {
      const window = new Window(buckets, 100);
      const events: { bucket: number; amount: number }[] = [];
      let nowMs = 5_000;
      for (const { passMs, amount } of steps) {
        nowMs += passMs;
        const bucket = Math.floor(nowMs / 100);
        window.add(nowMs, amount);
        events.push({ bucket, amount });
        const expected = events.filter((event) => event.bucket > bucket - buckets);
        assert.equal(
          window.sum(nowMs),
          expected.reduce((sum, event) => sum + event.amount, 0),
        );
      }
    }),
    { seed: 7, numRuns: 100 },
  );
});
