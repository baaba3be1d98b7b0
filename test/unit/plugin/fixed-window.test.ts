import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { countFixed } from '../../../src/plugin/fixed-window.ts';

test('a fixed window lets through what a list of all requests says', () => {
  const steps = fc.array(
    fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 1500 }), fc.double({ min: 0, max: 400, noNaN: true })),
    {
      maxLength: 60,
    },
  );
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 3 }), (gaps, limit, windowS) => {
      const window = { count: 0, endMs: 0 };
      const verdict = { isAllowed: false, remaining: 0, resetCs: 0 };
      let nowMs = 5000;
      /** When each request of the running window came. */
      let inWindow: number[] = [];
      for (const gap of gaps) {
        nowMs += gap;
        countFixed(window, limit, windowS * 1000, nowMs, verdict);
        const [first] = inWindow;
        if (first === undefined || nowMs >= first + windowS * 1000) inWindow = [];
        inWindow.push(nowMs);
        assert.equal(verdict.isAllowed, inWindow.length <= limit);
        assert.equal(verdict.remaining, Math.max(0, limit - inWindow.length));
        const left = windowS - (nowMs - (inWindow[0] ?? nowMs)) / 1000;
        assert.ok(Math.abs(verdict.resetCs / 100 - left) <= 0.0101, `${verdict.resetCs} for ${left}`);
        assert.ok(verdict.resetCs > 0 && verdict.resetCs <= windowS * 100 && Number.isInteger(verdict.resetCs));
      }
    }),
    { numRuns: 500, seed: 11 },
  );
});

test('refused requests count, and never put the end off', () => {
  const window = { count: 0, endMs: 0 };
  const verdict = { isAllowed: false, remaining: 0, resetCs: 0 };
  for (let ms = 0; ms < 10_000; ms += 100) countFixed(window, 1, 10_000, ms, verdict);
  assert.deepEqual([window.count, window.endMs, verdict.isAllowed], [100, 10_000, false]);
  countFixed(window, 1, 10_000, 10_000, verdict);
  assert.deepEqual([window.count, window.endMs, verdict.isAllowed], [1, 20_000, true]);
});
