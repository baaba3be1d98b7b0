import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NOTHING_SENT } from '../../../src/base/error.ts';
import type { ErrorKind, Progress } from '../../../src/base/error.ts';
import { createActiveEvidence, createPassiveEvidence } from '../../../src/health/evidence.ts';
import { DEFAULT_ACTIVE, DEFAULT_PASSIVE, TRANSPORT_ONLY_PASSIVE } from '../../../src/model/defaults.ts';
import { ERROR_TABLE } from '../../../src/model/error-table.ts';

const SENT: Progress = { sent: 'all', reusedConnection: false, refusedByPeer: false, answered: false };

test('probes: what the active checks report', () => {
  const active = createActiveEvidence(DEFAULT_ACTIVE);
  const status = (code: number) => active.ofProbe({ kind: 'answered', status: code });
  assert.deepEqual(status(200), { kind: 'success', limit: 2 });
  assert.deepEqual(status(302), { kind: 'success', limit: 2 });
  assert.deepEqual(status(503), { kind: 'http', limit: 5 });
  assert.deepEqual(status(404), { kind: 'http', limit: 5 });
  assert.equal(status(204), undefined);
  assert.equal(status(999), undefined);
  assert.deepEqual(active.ofProbe({ kind: 'connected' }), { kind: 'success', limit: 2 });
  assert.deepEqual(active.ofProbe({ kind: 'health', serving: true }), { kind: 'success', limit: 2 });
  assert.deepEqual(active.ofProbe({ kind: 'health', serving: false }), { kind: 'http', limit: 5 });
  assert.deepEqual(active.ofProbe({ kind: 'malformed' }), { kind: 'http', limit: 5 });
  assert.deepEqual(active.ofProbe({ kind: 'failed' }), { kind: 'tcp', limit: 2 });
  assert.deepEqual(active.ofProbe({ kind: 'timeout' }), { kind: 'timeout', limit: 3 });
});

test('calls: statuses by the lists, nothing in between', () => {
  const passive = createPassiveEvidence(DEFAULT_PASSIVE);
  assert.deepEqual(passive.ofStatus(200), { kind: 'success', limit: 5 });
  assert.deepEqual(passive.ofStatus(308), { kind: 'success', limit: 5 });
  assert.deepEqual(passive.ofStatus(429), { kind: 'http', limit: 5 });
  assert.deepEqual(passive.ofStatus(503), { kind: 'http', limit: 5 });
  for (const status of [0, 404, 499, 502, 504]) assert.equal(passive.ofStatus(status), undefined);
});

test('a status in both lists is healthy', () => {
  const passive = createPassiveEvidence({ ...DEFAULT_PASSIVE, healthyStatuses: [200, 500] });
  assert.equal(passive.ofStatus(500)?.kind, 'success');
});

test('without `passive`, transport failures count and statuses do not', () => {
  const passive = createPassiveEvidence(TRANSPORT_ONLY_PASSIVE);
  assert.equal(passive.ofStatus(200), undefined);
  assert.equal(passive.ofStatus(500), undefined);
  assert.deepEqual(passive.ofFailure('connect_failure', NOTHING_SENT), { kind: 'tcp', limit: 2 });
  assert.deepEqual(passive.ofFailure('read_timeout', SENT), { kind: 'timeout', limit: 7 });
});

test('calls on trial: every complete answer decides', () => {
  const trial = (status: number, policy = {}): string => {
    const { kind } = createPassiveEvidence({ ...DEFAULT_PASSIVE, ...policy }).ofTrial(status);
    return kind;
  };
  assert.deepEqual(
    [200, 404, 429, 500, 502, 599].map((status) => trial(status)),
    ['success', 'success', 'http', 'http', 'http', 'http'],
  );
  assert.deepEqual(
    [200, 429, 500, 502].map((status) => trial(status, { httpFailures: 0 })),
    ['success', 'success', 'success', 'success'],
  );
  assert.equal(trial(502, { healthyStatuses: [502] }), 'success');
  // Without a count of successes a status of their list still counts as what it is.
  assert.equal(trial(200, { successes: 0 }), 'success');
});

test('calls: every kind of failure', () => {
  const passive = createPassiveEvidence(DEFAULT_PASSIVE);
  const expected: Partial<Record<ErrorKind, string>> = {
    connect_failure: 'tcp',
    upstream_tls_failure: 'tcp',
    upstream_certificate_untrusted: 'tcp',
    upstream_certificate_expired: 'tcp',
    upstream_certificate_name_mismatch: 'tcp',
    upstream_reset: 'tcp',
    upstream_truncated: 'tcp',
    upstream_protocol_error: 'tcp',
    connect_timeout: 'timeout',
    send_timeout: 'timeout',
    read_timeout: 'timeout',
    per_try_timeout: 'timeout',
    total_timeout: 'timeout',
  };
  for (const kind of Object.keys(ERROR_TABLE) as ErrorKind[]) {
    assert.equal(passive.ofFailure(kind, SENT)?.kind, expected[kind], kind);
    assert.equal(passive.ofFailure(kind, { ...SENT, answered: true })?.kind, expected[kind], kind);
  }
});

test('a kept connection that was closed before anything was sent says nothing', () => {
  const passive = createPassiveEvidence(DEFAULT_PASSIVE);
  const stale: Progress = { ...NOTHING_SENT, reusedConnection: true };
  assert.equal(passive.ofFailure('upstream_reset', stale), undefined);
  assert.equal(passive.ofFailure('upstream_reset', { ...stale, sent: 'some' })?.kind, 'tcp');
  assert.equal(passive.ofFailure('upstream_reset', NOTHING_SENT)?.kind, 'tcp');
});
