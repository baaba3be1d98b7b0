// Load of an upstream that fails every call, with the machines of src/policy as they are put together by proxy/. Seeded.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Progress } from '../../src/base/error.ts';
import { seededRng } from '../../src/base/rng.ts';
import { DEFAULT_ATTEMPTS } from '../../src/model/defaults.ts';
import { RetryBudget } from '../../src/policy/retry-budget.ts';
import { createRetryRules } from '../../src/policy/retry-rules.ts';
import { retryWait } from '../../src/policy/retry-wait.ts';
import { mayRetry, mayRetryAnswer, type RetryFacts } from '../../src/policy/retry.ts';

const WINDOW_MS = 10_000;
const MAX_ATTEMPTS = 4;
const BACKOFF = { initialMs: 25, maxMs: 250 };
const SENT: Progress = { sent: 'all', reusedConnection: false, refusedByPeer: false, answered: false };

interface Load {
  /** Times of first attempts and of further ones, ms. */
  firsts: number[];
  retries: number[];
  /** Further attempts that only the budget forbade. */
  refused: number;
}

/** Offers `perSecond` calls for `seconds`, at times drawn by chance. Every attempt fails: half by a reset, half by a 503. */
function run(perSecond: number, seconds: number, seed: number): Load {
  const rng = seededRng(seed);
  const rules = createRetryRules({ ...DEFAULT_ATTEMPTS, retryOn: [...DEFAULT_ATTEMPTS.retryOn, '5xx'] });
  const budget = new RetryBudget();
  const load: Load = { firsts: [], retries: [], refused: 0 };
  // What happens in each millisecond, in the order in which it was asked for.
  const agenda = new Map<number, (() => void)[]>();
  const at = (ms: number, event: () => void): void => {
    const events = agenda.get(ms);
    if (events) events.push(event);
    else agenda.set(ms, [event]);
  };
  const startAttempt = (facts: RetryFacts, nowMs: number): void => {
    facts.attempts++;
    if (facts.attempts === 1) {
      budget.countFirst(nowMs);
      load.firsts.push(nowMs);
    } else load.retries.push(nowMs);
    const endMs = nowMs + 1 + rng.below(60);
    const isReset = rng.below(2) === 0;
    at(endMs, () => {
      facts.waitMs = retryWait(BACKOFF, isReset ? 'upstream_reset' : undefined, undefined, facts, rng);
      const decision = isReset
        ? mayRetry('upstream_reset', SENT, facts, rules, budget, endMs)
        : mayRetryAnswer(503, -1, facts, rules, budget, endMs);
      if (decision.reason === 'budget_exhausted') load.refused++;
      if (decision.kind === 'final') return;
      assert.ok(facts.waitMs !== 'stop');
      const nextMs = endMs + Math.max(1, Math.round(facts.waitMs));
      at(nextMs, () => startAttempt(facts, nextMs));
    });
  };
  const calls = Math.round(perSecond * seconds);
  for (let i = 0; i < calls; i++) {
    const arrivalMs = Math.floor(((i + rng.unit()) * 1_000) / perSecond);
    at(arrivalMs, () => startAttempt(newFacts(), arrivalMs));
  }
  for (let nowMs = 0; nowMs < seconds * 1_000 + 2_000; nowMs++) {
    const events = agenda.get(nowMs);
    if (!events) continue;
    for (const event of events) event();
    agenda.delete(nowMs);
  }
  assert.equal(agenda.size, 0);
  return load;
}

function newFacts(): RetryFacts {
  return {
    method: 'GET',
    path: '/',
    isGrpc: false,
    bodyKept: true,
    headPassedOn: false,
    attempts: 0,
    maxAttempts: MAX_ATTEMPTS,
    endpointLeft: true,
    retryRoom: true,
    replays: 0,
    refusals: 0,
    retriesEndMs: Infinity,
    callEndsMs: Infinity,
    waitMs: 0,
    pushedBackAt: 0,
    sameEndpoint: false,
  };
}

/** How many of the times, which rise, lie in each window that begins at a whole multiple of 100 ms. */
function countWindows(times: readonly number[], endMs: number): number[] {
  const counts: number[] = [];
  let from = 0;
  let to = 0;
  for (let startMs = 0; startMs + WINDOW_MS <= endMs; startMs += 100) {
    while (from < times.length && times[from]! < startMs) from++;
    while (to < times.length && times[to]! < startMs + WINDOW_MS) to++;
    counts.push(to - from);
  }
  return counts;
}

for (const perSecond of [200, 500, 2_000]) {
  test(`an upstream that fails every call at ${perSecond}/s gets at most 1.2 times what is offered, in any 10 s`, () => {
    const load = run(perSecond, 32, 4_100 + perSecond);
    const offered = countWindows(load.firsts, 32_000);
    const further = countWindows(load.retries, 32_000);
    let most = 0;
    for (const [i, firsts] of offered.entries()) most = Math.max(most, (firsts + further[i]!) / firsts);
    assert.ok(most <= 1.2, `${most} times`);
    // The budget is there to be used, too.
    assert.ok(most >= 1.15, `${most} times`);
    assert.ok(load.refused > 0);
  });
}

test('at a low rate the floor holds: every call has all its attempts', () => {
  const load = run(0.8, 60, 7);
  assert.equal(load.retries.length, load.firsts.length * (MAX_ATTEMPTS - 1));
  assert.equal(load.refused, 0);
});

test('at 5/s the floor is what there is: 30 in any 10 s, and they are used', () => {
  const load = run(5, 66, 8);
  const most = Math.max(...countWindows(load.retries, 66_000));
  assert.equal(most, 30);
  // A window of spent ones is forgotten after 10 to 11 s, so that 30 come at least every 12 s.
  assert.ok(load.retries.length >= 5 * 30, `${load.retries.length}`);
  assert.ok(load.refused > 0);
});
