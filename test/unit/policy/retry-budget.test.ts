import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { RetryBudget } from '../../../src/policy/retry-budget.ts';

function take(budget: RetryBudget, wanted: number, nowMs: number): number {
  let taken = 0;
  for (let i = 0; i < wanted; i++) if (budget.take(nowMs)) taken++;
  return taken;
}

test('a quiet port has the floor', () => {
  const budget = new RetryBudget();
  assert.equal(budget.allowance(1000), 30);
  assert.equal(take(budget, 100, 1000), 30);
  assert.equal(budget.spent(1000), 30);
  assert.equal(take(budget, 100, 10_999), 0);
  assert.equal(take(budget, 100, 12_000), 30);
});

test('what was spent late in a second counts for ten whole seconds', () => {
  const budget = new RetryBudget();
  assert.equal(take(budget, 100, 1_999), 30);
  assert.equal(take(budget, 100, 11_998), 0);
  assert.equal(take(budget, 100, 12_000), 30);
});

test('a busy port has a fifth of its first attempts', () => {
  const budget = new RetryBudget();
  for (let i = 0; i < 1_004; i++) budget.countFirst(5_000);
  assert.equal(budget.allowance(5_000), 200);
  assert.equal(take(budget, 1_000, 5_500), 200);
  assert.equal(take(budget, 1_000, 14_999), 0);
  assert.equal(budget.allowance(15_000), 30); // those first attempts are past
});

test('149 first attempts are not more than the floor, 155 are', () => {
  const budget = new RetryBudget();
  for (let i = 0; i < 149; i++) budget.countFirst(0);
  assert.equal(budget.allowance(0), 30);
  for (let i = 0; i < 6; i++) budget.countFirst(0);
  assert.equal(budget.allowance(0), 31);
});

test('an upstream that fails every call gets at most 1.2 times the load, and the floor', () => {
  const budget = new RetryBudget();
  let firsts = 0;
  let retries = 0;
  for (let nowMs = 0; nowMs < 60_000; nowMs += 10) {
    budget.countFirst(nowMs);
    firsts++;
    retries += take(budget, 3, nowMs);
  }
  assert.ok(retries <= firsts * 0.2 + 30, `${retries} of ${firsts}`);
  assert.ok(retries >= firsts * 0.15, `${retries} of ${firsts}`);
});

test('in any ten seconds the bound holds', () => {
  const step = fc.record({
    passMs: fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 2_500 })),
    firsts: fc.integer({ min: 0, max: 60 }),
    wanted: fc.integer({ min: 0, max: 40 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const budget = new RetryBudget();
      const firsts: number[] = [];
      const retries: number[] = [];
      let nowMs = 100_000;
      for (const { passMs, firsts: count, wanted } of steps) {
        nowMs += passMs;
        const lately = (at: number): boolean => at > nowMs - 10_000;
        for (let i = 0; i < count; i++) {
          budget.countFirst(nowMs);
          firsts.push(nowMs);
        }
        for (let i = 0; i < wanted; i++) {
          if (!budget.take(nowMs)) break;
          retries.push(nowMs);
          const allowed = Math.max(30, 0.2 * firsts.filter(lately).length);
          assert.ok(retries.filter(lately).length <= allowed);
        }
      }
    }),
    { seed: 29, numRuns: 60 },
  );
});
