import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { NOTHING_SENT } from '../../../src/base/error.ts';
import type { ErrorKind, Progress } from '../../../src/base/error.ts';
import { ERROR_TABLE } from '../../../src/model/error-table.ts';
import { RetryBudget } from '../../../src/policy/retry-budget.ts';
import type { RetryFacts } from '../../../src/policy/retry.ts';
import { MAX_REPLAYS, isIdempotent, mayRetry } from '../../../src/policy/retry.ts';

const KINDS = Object.keys(ERROR_TABLE) as ErrorKind[];
const CONNECT: ErrorKind[] = [
  'connect_failure',
  'connect_timeout',
  'upstream_tls_failure',
  'upstream_certificate_untrusted',
  'upstream_certificate_expired',
  'upstream_certificate_name_mismatch',
];
const LOST: ErrorKind[] = ['upstream_reset', 'upstream_refused', 'upstream_truncated', 'upstream_protocol_error'];
const TIMEOUT: ErrorKind[] = ['send_timeout', 'read_timeout'];
const RETRYABLE = [...CONNECT, ...LOST, ...TIMEOUT];

const SENT: Progress = { sent: 'all', reusedConnection: false, refusedByPeer: false, answered: false };
const GET: RetryFacts = {
  idempotent: true,
  bodyKept: true,
  headPassedOn: false,
  attempts: 1,
  maxAttempts: 3,
  endpointLeft: true,
  replays: 0,
  refusals: 0,
};
const POST: RetryFacts = { ...GET, idempotent: false };

function decide(ending: ErrorKind, progress: Progress, facts: RetryFacts, budget = new RetryBudget()): string {
  const { kind, reason } = mayRetry(ending, progress, facts, budget, 1_000);
  return `${kind} ${reason}`;
}

function emptyBudget(): RetryBudget {
  const budget = new RetryBudget();
  while (budget.take(1_000));
  return budget;
}

test('idempotent methods', () => {
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']) assert.ok(isIdempotent(method));
  for (const method of ['POST', 'PATCH', 'LOCK', 'CONNECT', 'get', 'PROPFIND', '']) assert.ok(!isIdempotent(method));
});

test('a failed connect is always tried elsewhere, free of the budget', () => {
  for (const ending of CONNECT) {
    assert.equal(decide(ending, NOTHING_SENT, POST, emptyBudget()), 'retry not_connected');
    assert.equal(decide(ending, NOTHING_SENT, { ...POST, attempts: 3 }), 'final attempts_exhausted');
    assert.equal(decide(ending, NOTHING_SENT, { ...POST, endpointLeft: false }), 'final no_endpoint_left');
  }
});

test('after the request was written only idempotent methods are tried again', () => {
  for (const ending of [...LOST, ...TIMEOUT].filter((kind) => kind !== 'upstream_refused')) {
    for (const sent of ['some', 'all'] as const) {
      assert.equal(decide(ending, { ...SENT, sent }, GET), 'retry idempotent');
      assert.equal(decide(ending, { ...SENT, sent }, POST), 'final not_idempotent');
    }
  }
});

test('a refused stream is replayed once, then tried again with any method', () => {
  const refused = { ...SENT, refusedByPeer: true };
  const last: RetryFacts = { ...POST, attempts: 3, endpointLeft: false };
  assert.equal(decide('upstream_refused', refused, last, emptyBudget()), 'replay refused_by_peer');
  assert.equal(decide('upstream_refused', { ...refused, answered: true }, POST), 'final answered');
  assert.equal(decide('upstream_refused', refused, { ...POST, bodyKept: false }), 'final body_not_kept');
  const again: RetryFacts = { ...POST, refusals: 1 };
  assert.equal(decide('upstream_refused', refused, again), 'retry refused_by_peer');
  assert.equal(decide('upstream_reset', refused, again), 'retry refused_by_peer');
  assert.equal(decide('upstream_refused', SENT, again), 'retry refused_by_peer');
});

test('where nothing was written any method is tried again, free of the budget', () => {
  for (const ending of [...LOST, ...TIMEOUT]) {
    assert.equal(decide(ending, NOTHING_SENT, { ...POST, refusals: 1 }, emptyBudget()), 'retry not_sent');
  }
});

test('a stale connection is replayed, which is no attempt', () => {
  const stale: Progress = { ...NOTHING_SENT, reusedConnection: true };
  const last: RetryFacts = { ...POST, attempts: 3, endpointLeft: false };
  for (const ending of LOST) assert.equal(decide(ending, stale, last, emptyBudget()), 'replay stale_connection');
  // Not after a byte was written: then it is an ordinary attempt.
  assert.equal(decide('upstream_reset', { ...stale, sent: 'some' }, POST), 'final not_idempotent');
  assert.equal(decide('upstream_reset', { ...stale, sent: 'all' }, GET), 'retry idempotent');
  assert.equal(
    decide('upstream_reset', { ...stale, sent: 'all' }, { ...GET, attempts: 3 }),
    'final attempts_exhausted',
  );
  // Not on a new connection, and not for a timeout.
  assert.equal(decide('upstream_reset', NOTHING_SENT, last), 'final attempts_exhausted');
  assert.equal(decide('send_timeout', stale, last), 'final attempts_exhausted');
});

test('replays end', () => {
  const stale: Progress = { ...NOTHING_SENT, reusedConnection: true };
  assert.equal(decide('upstream_reset', stale, { ...POST, replays: MAX_REPLAYS - 1 }), 'replay stale_connection');
  assert.equal(decide('upstream_reset', stale, { ...POST, replays: MAX_REPLAYS }), 'retry not_sent');
  assert.equal(
    decide('upstream_reset', stale, { ...POST, replays: MAX_REPLAYS, attempts: 3 }),
    'final attempts_exhausted',
  );
});

test('nothing after the head was passed on, after a byte of the answer, or without the body', () => {
  for (const ending of RETRYABLE) {
    assert.equal(decide(ending, SENT, { ...GET, headPassedOn: true }), 'final head_passed_on');
    assert.equal(decide(ending, { ...SENT, answered: true }, GET), 'final answered');
    assert.equal(decide(ending, { ...SENT, refusedByPeer: true, answered: true }, GET), 'final answered');
    assert.equal(decide(ending, SENT, { ...GET, bodyKept: false }), 'final body_not_kept');
  }
});

test('other endings are final', () => {
  for (const ending of KINDS.filter((kind) => !RETRYABLE.includes(kind))) {
    assert.equal(decide(ending, NOTHING_SENT, GET), 'final not_retryable', ending);
  }
});

test('the budget is spent by retries of written requests, and by nothing else', () => {
  const budget = new RetryBudget();
  assert.equal(decide('upstream_reset', SENT, GET, emptyBudget()), 'final budget_exhausted');
  assert.equal(
    decide('upstream_refused', { ...SENT, refusedByPeer: true }, { ...POST, refusals: 1 }, emptyBudget()),
    'final budget_exhausted',
  );
  decide('connect_failure', NOTHING_SENT, GET, budget);
  decide('upstream_reset', NOTHING_SENT, GET, budget);
  decide('upstream_reset', SENT, POST, budget);
  decide('upstream_reset', SENT, { ...GET, attempts: 3 }, budget);
  decide('deadline_exceeded', SENT, GET, budget);
  assert.equal(budget.spent(1_000), 0);
  decide('upstream_reset', SENT, GET, budget);
  assert.equal(budget.spent(1_000), 1);
});

test('any facts: no request is written twice unless that is safe, and the same facts decide the same', () => {
  const progress = fc.record({
    sent: fc.constantFrom<Progress['sent']>('nothing', 'some', 'all'),
    reusedConnection: fc.boolean(),
    refusedByPeer: fc.boolean(),
    answered: fc.boolean(),
  });
  const facts = fc.record({
    idempotent: fc.boolean(),
    bodyKept: fc.boolean(),
    headPassedOn: fc.boolean(),
    attempts: fc.integer({ min: 1, max: 4 }),
    maxAttempts: fc.integer({ min: 1, max: 4 }),
    endpointLeft: fc.boolean(),
    replays: fc.integer({ min: 0, max: MAX_REPLAYS }),
    refusals: fc.integer({ min: 0, max: 1 }),
  });
  fc.assert(
    fc.property(fc.constantFrom(...KINDS), progress, facts, (ending, how, request) => {
      const decision = decide(ending, how, request);
      assert.equal(decision, decide(ending, how, request));
      if (decision.startsWith('final')) return;
      assert.ok(!request.headPassedOn && !how.answered && request.bodyKept);
      const refused = how.refusedByPeer || ending === 'upstream_refused';
      assert.ok(request.idempotent || how.sent === 'nothing' || refused || CONNECT.includes(ending));
      if (decision.startsWith('replay')) assert.ok(refused || (how.sent === 'nothing' && how.reusedConnection));
      else assert.ok(request.attempts < request.maxAttempts && request.endpointLeft);
    }),
    { seed: 31, numRuns: 2_000 },
  );
});
