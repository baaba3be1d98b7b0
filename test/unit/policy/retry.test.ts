import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { NOTHING_SENT } from '../../../src/base/error.ts';
import type { ErrorKind, Progress } from '../../../src/base/error.ts';
import { DEFAULT_ATTEMPTS } from '../../../src/model/defaults.ts';
import { ERROR_TABLE } from '../../../src/model/error-table.ts';
import { failureClass } from '../../../src/policy/failure-class.ts';
import { RetryBudget } from '../../../src/policy/retry-budget.ts';
import { createRetryRules, isIdempotent, type RetryRules } from '../../../src/policy/retry-rules.ts';
import { RETRY_WORDS } from '../../../src/model/retry-words.ts';
import type { RetryFacts } from '../../../src/policy/retry.ts';
import { MAX_REPLAYS, awaitsGrpcStatus, mayRetry, mayRetryAnswer } from '../../../src/policy/retry.ts';

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
const TIMEOUT: ErrorKind[] = ['send_timeout', 'read_timeout', 'per_try_timeout'];
const RETRYABLE = [...CONNECT, ...LOST, ...TIMEOUT];

const NOW_MS = 1_000;
const SENT: Progress = { sent: 'all', reusedConnection: false, refusedByPeer: false, answered: false };
const GET: RetryFacts = {
  method: 'GET',
  path: '/',
  isGrpc: false,
  bodyKept: true,
  headPassedOn: false,
  attempts: 1,
  maxAttempts: 3,
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
const POST: RetryFacts = { ...GET, method: 'POST' };
const CALL: RetryFacts = { ...POST, path: '/pkg.Svc/Method', isGrpc: true };

const DEFAULT_RULES = createRetryRules(DEFAULT_ATTEMPTS);

function rules(retryOn: readonly string[], retryMethods: readonly string[] = []): RetryRules {
  return createRetryRules({ ...DEFAULT_ATTEMPTS, retryOn, retryMethods });
}

function decide(
  ending: ErrorKind,
  progress: Progress,
  facts: RetryFacts,
  budget = new RetryBudget(),
  by = DEFAULT_RULES,
): string {
  const { kind, reason } = mayRetry(ending, progress, facts, by, budget, NOW_MS);
  return `${kind} ${reason}`;
}

function decideBy(by: RetryRules, ending: ErrorKind, progress: Progress, facts: RetryFacts): string {
  return decide(ending, progress, facts, new RetryBudget(), by);
}

function decideAnswer(
  by: RetryRules,
  httpStatus: number,
  grpcStatus: number,
  facts: RetryFacts,
  budget = new RetryBudget(),
): string {
  const { kind, reason } = mayRetryAnswer(httpStatus, grpcStatus, facts, by, budget, NOW_MS);
  return `${kind} ${reason}`;
}

function emptyBudget(): RetryBudget {
  const budget = new RetryBudget();
  while (budget.take(NOW_MS));
  return budget;
}

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
      assert.equal(decide(ending, { ...SENT, sent }, GET), 'retry resendable');
      assert.equal(decide(ending, { ...SENT, sent }, POST), 'final not_resendable');
      assert.equal(decide(ending, { ...SENT, sent }, CALL), 'final not_resendable');
    }
  }
});

test('retry_methods replaces the method rule', () => {
  const withPost = rules(['reset'], ['POST']);
  assert.equal(decideBy(withPost, 'upstream_reset', SENT, POST), 'retry resendable');
  assert.equal(decideBy(withPost, 'upstream_reset', SENT, GET), 'final not_resendable');
  const withCall = rules(['reset'], ['/pkg.Svc/*']);
  assert.equal(decideBy(withCall, 'upstream_reset', SENT, CALL), 'retry resendable');
  assert.equal(decideBy(withCall, 'upstream_reset', SENT, { ...CALL, path: '/pkg.Other/A' }), 'final not_resendable');
  // Where nothing was written any method is fine.
  assert.equal(decideBy(rules(['reset'], ['HEAD']), 'upstream_reset', NOTHING_SENT, POST), 'retry not_sent');
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
  assert.equal(decide('upstream_reset', { ...stale, sent: 'some' }, POST), 'final not_resendable');
  assert.equal(decide('upstream_reset', { ...stale, sent: 'all' }, GET), 'retry resendable');
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

test('other endings are final, whatever retry_on says', () => {
  const all = rules(RETRY_WORDS, ['GET']);
  for (const ending of KINDS.filter((kind) => !RETRYABLE.includes(kind))) {
    assert.equal(decideBy(all, ending, NOTHING_SENT, GET), 'final not_retryable', ending);
    assert.equal(failureClass(ending), undefined);
  }
});

test('retry_on: each word and what it stands for', () => {
  const refused = { ...SENT, refusedByPeer: true };
  const rows: [ending: ErrorKind, progress: Progress, words: string[]][] = [
    ['connect_failure', NOTHING_SENT, ['connect-failure']],
    ['connect_timeout', NOTHING_SENT, ['connect-failure', 'timeout']],
    ['upstream_tls_failure', NOTHING_SENT, ['connect-failure']],
    ['upstream_certificate_untrusted', NOTHING_SENT, ['connect-failure']],
    ['upstream_certificate_expired', NOTHING_SENT, ['connect-failure']],
    ['upstream_certificate_name_mismatch', NOTHING_SENT, ['connect-failure']],
    ['upstream_reset', SENT, ['reset']],
    ['upstream_reset', NOTHING_SENT, ['reset']],
    ['upstream_truncated', SENT, ['reset']],
    ['upstream_protocol_error', SENT, ['reset']],
    ['upstream_refused', refused, ['refused-stream']],
    ['upstream_reset', refused, ['refused-stream']],
    ['send_timeout', SENT, ['timeout']],
    ['read_timeout', SENT, ['timeout']],
    ['per_try_timeout', SENT, ['timeout']],
  ];
  for (const [ending, progress, words] of rows) {
    for (const word of RETRY_WORDS) {
      const decision = decideBy(rules([word]), ending, progress, { ...GET, refusals: 1 });
      if (words.includes(word)) assert.match(decision, /^retry /, `${ending} with ${word}`);
      else assert.equal(decision, 'final not_in_retry_on', `${ending} with ${word}`);
    }
  }
});

test('replays are no matter of retry_on', () => {
  const none = rules(['503']);
  const stale: Progress = { ...NOTHING_SENT, reusedConnection: true };
  assert.equal(decideBy(none, 'upstream_reset', stale, POST), 'replay stale_connection');
  assert.equal(decideBy(none, 'upstream_refused', { ...SENT, refusedByPeer: true }, POST), 'replay refused_by_peer');
});

test('answers by HTTP status', () => {
  const by = rules(['5xx', '409']);
  assert.equal(decideAnswer(by, 503, -1, GET), 'retry status');
  assert.equal(decideAnswer(by, 409, -1, GET), 'retry status');
  for (const status of [200, 302, 404, 429]) assert.equal(decideAnswer(by, status, -1, GET), 'final not_in_retry_on');
  assert.equal(decideAnswer(DEFAULT_RULES, 503, -1, GET), 'final not_in_retry_on');
  assert.equal(decideAnswer(by, 503, -1, POST), 'final not_resendable');
  assert.equal(decideAnswer(rules(['503'], ['POST']), 503, -1, POST), 'retry status');
});

test('answers by gRPC status, of gRPC calls alone', () => {
  const by = rules(['unavailable', 'aborted']);
  assert.equal(decideAnswer(by, 200, 14, CALL), 'retry grpc_status');
  assert.equal(decideAnswer(by, 200, 10, CALL), 'retry grpc_status');
  // A proxy on the way answered in plain HTTP: what counts is what the caller would see.
  assert.equal(decideAnswer(by, 503, 14, CALL), 'retry grpc_status');
  for (const status of [-1, 0, 2, 13, 99]) assert.equal(decideAnswer(by, 200, status, CALL), 'final not_in_retry_on');
  assert.equal(decideAnswer(by, 200, 14, POST), 'final not_in_retry_on');
  assert.equal(decideAnswer(rules(['unavailable'], ['/pkg.Svc/*']), 200, 14, CALL), 'retry grpc_status');
  assert.equal(decideAnswer(rules(['unavailable'], ['/pkg.Other/*']), 200, 14, CALL), 'final not_resendable');
  // An HTTP status doesn't name the gRPC one, so the method rule is that of a POST.
  assert.equal(decideAnswer(rules(['503']), 503, 14, CALL), 'final not_resendable');
});

test('an answer is final where no further attempt can be', () => {
  const by = rules(['5xx']);
  const rows: [facts: Partial<RetryFacts>, reason: string][] = [
    [{ headPassedOn: true }, 'head_passed_on'],
    [{ bodyKept: false }, 'body_not_kept'],
    [{ attempts: 3 }, 'attempts_exhausted'],
    [{ endpointLeft: false }, 'no_endpoint_left'],
    [{ retryRoom: false }, 'max_retries'],
    [{ waitMs: 'stop' }, 'server_said_no'],
    [{ retriesEndMs: NOW_MS }, 'retry_timeout'],
    [{ callEndsMs: NOW_MS }, 'call_ends'],
  ];
  for (const [facts, reason] of rows) {
    const budget = new RetryBudget();
    assert.equal(decideAnswer(by, 500, -1, { ...GET, ...facts }, budget), `final ${reason}`);
    assert.equal(budget.spent(NOW_MS), 0, reason);
  }
  assert.equal(decideAnswer(by, 500, -1, GET, emptyBudget()), 'final budget_exhausted');
});

test('no attempt starts after retry_timeout or the end of the call, nor waits past them', () => {
  const rows: [facts: Partial<RetryFacts>, decision: string][] = [
    [{ retriesEndMs: NOW_MS }, 'final retry_timeout'],
    [{ retriesEndMs: NOW_MS + 1 }, 'retry resendable'],
    [{ retriesEndMs: NOW_MS + 50, waitMs: 50 }, 'final retry_timeout'],
    [{ retriesEndMs: NOW_MS + 50, waitMs: 49 }, 'retry resendable'],
    [{ callEndsMs: NOW_MS }, 'final call_ends'],
    [{ callEndsMs: NOW_MS + 50, waitMs: 50 }, 'final call_ends'],
    [{ callEndsMs: NOW_MS + 50, waitMs: 49 }, 'retry resendable'],
    [{ waitMs: 'stop' }, 'final server_said_no'],
    [{ retryRoom: false }, 'final max_retries'],
  ];
  for (const [facts, decision] of rows) {
    const budget = new RetryBudget();
    assert.equal(decide('upstream_reset', SENT, { ...GET, ...facts }, budget), decision);
    assert.equal(budget.spent(NOW_MS), decision.startsWith('retry') ? 1 : 0);
  }
  // A failed connect is no exception; a replay is no attempt.
  assert.equal(decide('connect_failure', NOTHING_SENT, { ...GET, retriesEndMs: NOW_MS }), 'final retry_timeout');
  const stale: Progress = { ...NOTHING_SENT, reusedConnection: true };
  assert.equal(decide('upstream_reset', stale, { ...GET, retriesEndMs: NOW_MS }), 'replay stale_connection');
  // Only where another attempt would be allowed is it retry_timeout that forbids it.
  assert.equal(
    decide('upstream_reset', SENT, { ...GET, retriesEndMs: NOW_MS, attempts: 3 }),
    'final attempts_exhausted',
  );
  assert.equal(decide('upstream_reset', SENT, { ...POST, retriesEndMs: NOW_MS }), 'final not_resendable');
});

test('a gRPC head waits for its status only where that could lead to another attempt', () => {
  const by = rules(['unavailable']);
  assert.ok(awaitsGrpcStatus(CALL, by));
  assert.ok(!awaitsGrpcStatus(CALL, DEFAULT_RULES));
  assert.ok(!awaitsGrpcStatus(CALL, rules(['503'])));
  assert.ok(!awaitsGrpcStatus(POST, by));
  assert.ok(!awaitsGrpcStatus(CALL, rules(['unavailable'], ['/pkg.Other/*'])));
  const late: Partial<RetryFacts>[] = [
    { headPassedOn: true },
    { bodyKept: false },
    { attempts: 3 },
    { endpointLeft: false },
  ];
  for (const facts of late) assert.ok(!awaitsGrpcStatus({ ...CALL, ...facts }, by));
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
  decideAnswer(rules(['503']), 200, -1, GET, budget);
  assert.equal(budget.spent(NOW_MS), 0);
  decide('upstream_reset', SENT, GET, budget);
  assert.equal(budget.spent(NOW_MS), 1);
  decideAnswer(rules(['503']), 503, -1, GET, budget);
  assert.equal(budget.spent(NOW_MS), 2);
});

const ANY_FACTS = fc.record({
  method: fc.constantFrom('GET', 'POST', 'PUT', 'PATCH'),
  path: fc.constantFrom('/', '/pkg.Svc/Method'),
  isGrpc: fc.boolean(),
  bodyKept: fc.boolean(),
  headPassedOn: fc.boolean(),
  attempts: fc.integer({ min: 1, max: 4 }),
  maxAttempts: fc.integer({ min: 1, max: 4 }),
  endpointLeft: fc.boolean(),
  retryRoom: fc.boolean(),
  replays: fc.integer({ min: 0, max: MAX_REPLAYS }),
  refusals: fc.integer({ min: 0, max: 1 }),
  retriesEndMs: fc.constantFrom(Infinity, NOW_MS, NOW_MS + 10),
  callEndsMs: fc.constantFrom(Infinity, NOW_MS, NOW_MS + 10),
  waitMs: fc.constantFrom<number | 'stop'>(0, 5, 15, 'stop'),
  pushedBackAt: fc.constant(0),
  sameEndpoint: fc.boolean(),
});
const ANY_RULES = fc
  .tuple(
    fc.subarray([...RETRY_WORDS], { minLength: 1 }),
    fc.subarray(['GET', 'POST', '/pkg.Svc/*']),
    fc.constantFrom(true, false),
  )
  .map(([retryOn, methods, isDefault]) => ({ retryOn, methods: isDefault ? [] : methods }));

test('any facts: no request is written twice unless that is safe, and the same facts decide the same', () => {
  const progress = fc.record({
    sent: fc.constantFrom<Progress['sent']>('nothing', 'some', 'all'),
    reusedConnection: fc.boolean(),
    refusedByPeer: fc.boolean(),
    answered: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.constantFrom(...KINDS), progress, ANY_FACTS, ANY_RULES, (ending, how, request, words) => {
      const by = rules(words.retryOn, words.methods);
      const decision = decideBy(by, ending, how, request);
      assert.equal(decision, decideBy(by, ending, how, request));
      if (decision.startsWith('final')) return;
      assert.ok(!request.headPassedOn && !how.answered && request.bodyKept);
      const refused = how.refusedByPeer || ending === 'upstream_refused';
      const listed = words.methods.includes(request.method) || (request.isGrpc && words.methods.includes('/pkg.Svc/*'));
      const safe = words.methods.length > 0 ? listed : isIdempotent(request.method);
      assert.ok(safe || how.sent === 'nothing' || refused || CONNECT.includes(ending));
      if (decision.startsWith('replay')) {
        assert.ok(refused || (how.sent === 'nothing' && how.reusedConnection));
        return;
      }
      assert.ok(request.attempts < request.maxAttempts && request.endpointLeft && request.retryRoom);
      const { waitMs } = request;
      assert.ok(waitMs !== 'stop' && NOW_MS + waitMs < Math.min(request.retriesEndMs, request.callEndsMs));
    }),
    { seed: 31, numRuns: 2_000 },
  );
});

test('any answer: tried again only where its status is named and the request may be written again', () => {
  const status = fc.constantFrom(200, 404, 500, 502, 503);
  const grpcStatus = fc.constantFrom(-1, 0, 4, 13, 14);
  fc.assert(
    fc.property(status, grpcStatus, ANY_FACTS, ANY_RULES, (http, grpc, request, words) => {
      const by = rules(words.retryOn, words.methods);
      const budget = new RetryBudget();
      const decision = decideAnswer(by, http, grpc, request, budget);
      assert.equal(budget.spent(NOW_MS), decision.startsWith('retry') ? 1 : 0);
      if (!decision.startsWith('retry')) return;
      assert.ok(by.retriesStatus(http) || (request.isGrpc && by.retriesGrpcStatus(grpc)));
      assert.ok(!request.headPassedOn && request.bodyKept && request.endpointLeft);
      assert.ok(request.attempts < request.maxAttempts && request.retryRoom && request.waitMs !== 'stop');
    }),
    { seed: 37, numRuns: 2_000 },
  );
});
