import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { countSliding, slidingEndMs, type SlidingWindow } from '../../../src/plugin/sliding-window.ts';

function fresh(): SlidingWindow {
  return { count: 0, previousCount: 0, windowIndex: -1, endMs: 0 };
}

const verdict = { isAllowed: false, remaining: 0, resetCs: 0 };

describe('sliding window', () => {
  test('lets through what a list of all counted requests says', () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 2500 }), { maxLength: 80 });
    fc.assert(
      fc.property(gaps, fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 4 }), (steps, limit, windowS) => {
        const windowMs = windowS * 1000;
        const window = fresh();
        const counted: number[] = [];
        let wallMs = 1_700_000_000_123;
        for (const step of steps) {
          wallMs += step;
          countSliding(window, limit, windowMs, wallMs - 1_600_000_000_000, wallMs, verdict);
          const start = wallMs - (wallMs % windowMs);
          const current = counted.filter((at) => at >= start).length;
          const previous = counted.filter((at) => at < start && at >= start - windowMs).length;
          const carried = (previous * (start + windowMs - wallMs)) / windowMs;
          assert.equal(verdict.isAllowed, current + carried < limit);
          if (verdict.isAllowed) {
            counted.push(wallMs);
            assert.equal(verdict.remaining, Math.max(0, Math.floor(limit - current - 1 - carried)));
            assert.equal(verdict.resetCs, Math.ceil((start + windowMs - wallMs) / 10));
            assert.ok(window.endMs >= start + 2 * windowMs - 1_600_000_000_000);
          } else {
            assert.equal(verdict.remaining, 0);
            assert.ok(verdict.resetCs >= 1 && verdict.resetCs <= windowS * 100);
          }
        }
      }),
      { numRuns: 500, seed: 13 },
    );
  });

  test('a refused caller that waits for as long as it was told passes, where the window is not full', () => {
    const window = fresh();
    for (let i = 0; i < 10; i++) countSliding(window, 10, 10_000, i, i, verdict);
    countSliding(window, 10, 10_000, 10_000, 10_000, verdict);
    assert.equal(verdict.isAllowed, false);
    countSliding(window, 10, 10_000, 15_000, 15_000, verdict);
    assert.equal(verdict.isAllowed, true);
    for (let i = 0; i < 5; i++) countSliding(window, 10, 10_000, 15_000, 15_000, verdict);
    assert.equal(verdict.isAllowed, false);
    const later = 15_000 + verdict.resetCs * 10 + 1;
    countSliding(window, 10, 10_000, later, later, verdict);
    assert.equal(verdict.isAllowed, true);
  });

  test('what was counted under a higher limit weighs no more than the limit of now', () => {
    const window = fresh();
    for (let i = 0; i < 10; i++) countSliding(window, 10, 1000, 0, 50_000, verdict);
    countSliding(window, 2, 1000, 600, 50_600, verdict);
    assert.deepEqual([verdict.isAllowed, verdict.resetCs], [false, 40]);
    countSliding(window, 2, 1000, 1600, 51_600, verdict);
    assert.deepEqual([verdict.isAllowed, verdict.remaining], [true, 0]);
  });

  test('a clock that is set back a little neither frees nor locks', () => {
    const window = fresh();
    countSliding(window, 1, 1000, 0, 50_000, verdict);
    countSliding(window, 1, 1000, 1, 49_999, verdict);
    assert.equal(verdict.isAllowed, false);
    assert.equal(window.count, 1);
    countSliding(window, 1, 1000, 2, 20_000, verdict);
    assert.deepEqual([verdict.isAllowed, window.windowIndex], [true, 20]);
  });

  test('a window longer than all time since 1970 works', () => {
    const window = fresh();
    const windowMs = Number.MAX_SAFE_INTEGER * 1000;
    countSliding(window, 1, windowMs, 5, 1_700_000_000_000, verdict);
    assert.equal(verdict.isAllowed, true);
    countSliding(window, 1, windowMs, 6, 1_700_000_000_001, verdict);
    assert.equal(verdict.isAllowed, false);
  });

  test('what is counted now matters until the window after the running one is over', () => {
    assert.equal(slidingEndMs(5000, 100, 12_000), 100 + 3000 + 5000);
    assert.equal(slidingEndMs(5000, 100, 10_000), 100 + 5000 + 5000);
  });
});
