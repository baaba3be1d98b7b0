// Whole requests as APISIX's own tests describe them, played with the machines of src/policy alone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NOTHING_SENT, type ErrorKind, type Progress } from '../../../src/base/error.ts';
import { DEFAULT_ATTEMPTS } from '../../../src/model/defaults.ts';
import type { AttemptsPolicy } from '../../../src/model/policy.ts';
import { attemptLimit, mayTryAgain } from '../../../src/policy/attempts.ts';
import { RetryBudget } from '../../../src/policy/retry-budget.ts';
import { createRetryRules } from '../../../src/policy/retry-rules.ts';
import { mayRetry, type RetryFacts, type RetryReason } from '../../../src/policy/retry.ts';

interface Outcome {
  attempts: number;
  /** Endpoints in the order in which they were tried. */
  tried: number[];
  /** Undefined: the request was answered. */
  reason: RetryReason | undefined;
}

/** How an endpoint fails, and after how long; undefined: it answers. */
type Endpoint = { kind: ErrorKind; progress: Progress; afterMs: number } | undefined;

const DEAD: Endpoint = { kind: 'connect_failure', progress: NOTHING_SENT, afterMs: 0 };

/** Sends one request to the endpoints in turn. */
function send(endpoints: readonly Endpoint[], policy: Partial<AttemptsPolicy>, method = 'GET'): Outcome {
  const attemptsPolicy = { ...DEFAULT_ATTEMPTS, ...policy };
  const rules = createRetryRules(attemptsPolicy);
  const budget = new RetryBudget();
  const { retryTimeoutMs } = attemptsPolicy;
  let nowMs = 5_000;
  const facts: RetryFacts = {
    method,
    path: '/',
    isGrpc: false,
    bodyKept: true,
    headPassedOn: false,
    attempts: 0,
    maxAttempts: attemptLimit(attemptsPolicy, endpoints.length),
    endpointLeft: true,
    retryRoom: true,
    replays: 0,
    refusals: 0,
    retriesEndMs: retryTimeoutMs > 0 ? nowMs + retryTimeoutMs : Infinity,
    callEndsMs: Infinity,
    waitMs: 0,
    pushedBackAt: 0,
    sameEndpoint: mayTryAgain(endpoints.length),
  };
  const tried: number[] = [];
  for (;;) {
    const at = tried.length % endpoints.length;
    tried.push(at);
    facts.attempts++;
    const endpoint = endpoints[at];
    if (!endpoint) return { attempts: facts.attempts, tried, reason: undefined };
    nowMs += endpoint.afterMs;
    facts.endpointLeft = facts.sameEndpoint || tried.length < endpoints.length;
    const decision = mayRetry(endpoint.kind, endpoint.progress, facts, rules, budget, nowMs);
    assert.notEqual(decision.kind, 'replay');
    if (decision.kind === 'final') return { attempts: facts.attempts, tried, reason: decision.reason };
  }
}

test('APISIX row 47: four dead endpoints and no retries set are four attempts', () => {
  assert.deepEqual(send([DEAD, DEAD, DEAD, DEAD], {}), {
    attempts: 4,
    tried: [0, 1, 2, 3],
    reason: 'attempts_exhausted',
  });
});

test('APISIX row 48: retries 1 is two attempts, retries 0 is one', () => {
  const endpoints = [DEAD, DEAD, DEAD, DEAD];
  assert.equal(send(endpoints, { maxAttempts: 2 }).attempts, 2);
  assert.equal(send(endpoints, { maxAttempts: 1 }).attempts, 1);
});

test('APISIX row 50: retry_timeout 0.15 lets a second attempt start after 0.1 s, and no third after 0.2 s', () => {
  const progress: Progress = { sent: 'all', reusedConnection: false, refusedByPeer: false, answered: false };
  const aborting: Endpoint = { kind: 'upstream_reset', progress, afterMs: 100 };
  const endpoints = [aborting, aborting, aborting];
  const outcome = send(endpoints, { maxAttempts: 11, retryTimeoutMs: 150 });
  assert.deepEqual(outcome, { attempts: 2, tried: [0, 1], reason: 'retry_timeout' });
  assert.equal(send(endpoints, { maxAttempts: 11 }).attempts, 3);
});

test('APISIX row 51: two dead endpoints and retries 3 are two attempts, each endpoint once', () => {
  assert.deepEqual(send([DEAD, DEAD], { maxAttempts: 4 }), {
    attempts: 2,
    tried: [0, 1],
    reason: 'attempts_exhausted',
  });
});

test('APISIX row 59: a POST whose first endpoint is dead goes to the next, since nothing was sent', () => {
  assert.deepEqual(send([DEAD, undefined], {}, 'POST'), { attempts: 2, tried: [0, 1], reason: undefined });
  const progress: Progress = { sent: 'all', reusedConnection: false, refusedByPeer: false, answered: false };
  const resetting: Endpoint = { kind: 'upstream_reset', progress, afterMs: 1 };
  assert.equal(send([resetting, undefined], {}, 'POST').reason, 'not_resendable');
});

test('the only endpoint is tried as often as retries says', () => {
  assert.equal(send([DEAD], { maxAttempts: 4 }).attempts, 4);
  assert.equal(send([DEAD], {}).attempts, 1);
});
