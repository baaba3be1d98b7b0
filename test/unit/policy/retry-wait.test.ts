import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrorKind } from '../../../src/base/error.ts';
import { seededRng, type Rng } from '../../../src/base/rng.ts';
import {
  MAX_PUSHBACK_MS,
  parsePushback,
  parseRetryAfter,
  readPushback,
  retryWait,
  type Pushback,
} from '../../../src/policy/retry-wait.ts';

const BACKOFF = { initialMs: 100, maxMs: 1_000 };
const NOW_MS = Date.UTC(2026, 0, 1);

/** Always the same chance: 0 takes nothing off. */
function fixed(unit: number): Rng {
  return { unit: () => unit, below: () => 0 };
}

function facts(attempts: number, pushedBackAt = 0, sameEndpoint = false) {
  return { attempts, pushedBackAt, sameEndpoint };
}

test('the back-off doubles up to its longest', () => {
  const waits = [1, 2, 3, 4, 5, 50].map((attempts) =>
    retryWait(BACKOFF, 'upstream_reset', undefined, facts(attempts), fixed(0)),
  );
  assert.deepEqual(waits, [100, 200, 400, 800, 1_000, 1_000]);
});

test('chance takes off up to a fifth', () => {
  const rng = seededRng(5);
  let least = Infinity;
  let most = 0;
  for (let i = 0; i < 2_000; i++) {
    const waitMs = retryWait(BACKOFF, undefined, undefined, facts(3), rng);
    assert.ok(typeof waitMs === 'number' && waitMs > 320 && waitMs <= 400, String(waitMs));
    least = Math.min(least, waitMs);
    most = Math.max(most, waitMs);
  }
  assert.ok(least < 325 && most > 395, `${least} to ${most}`);
});

test('without a back-off nobody waits', () => {
  assert.equal(retryWait({ initialMs: 0, maxMs: 0 }, 'upstream_reset', undefined, facts(3), fixed(0)), 0);
});

test('another endpoint after a failed connect is tried at once, the same one is not', () => {
  const connect: ErrorKind[] = ['connect_failure', 'connect_timeout', 'upstream_tls_failure'];
  for (const ending of connect) {
    assert.equal(retryWait(BACKOFF, ending, undefined, facts(2), fixed(0)), 0);
    assert.equal(retryWait(BACKOFF, ending, undefined, facts(2, 0, true), fixed(0)), 200);
  }
  for (const ending of ['upstream_reset', 'read_timeout', 'per_try_timeout', undefined] as const) {
    assert.equal(retryWait(BACKOFF, ending, undefined, facts(2), fixed(0)), 200);
  }
});

test('a push-back stands above the back-off, and begins it anew', () => {
  const request = facts(3);
  assert.equal(retryWait(BACKOFF, undefined, 5, request, fixed(0)), 5);
  assert.equal(request.pushedBackAt, 3);
  assert.equal(retryWait(BACKOFF, undefined, undefined, { ...request, attempts: 4 }, fixed(0)), 100);
  assert.equal(retryWait(BACKOFF, undefined, undefined, { ...request, attempts: 5 }, fixed(0)), 200);
  assert.equal(retryWait(BACKOFF, undefined, 0, facts(1), fixed(0)), 0);
  assert.equal(retryWait({ initialMs: 0, maxMs: 0 }, undefined, 250, facts(1), fixed(0)), 250);
});

test('a push-back that forbids, or is too long, stops', () => {
  const request = facts(1);
  assert.equal(retryWait(BACKOFF, undefined, 'stop', request, fixed(0)), 'stop');
  assert.equal(retryWait(BACKOFF, undefined, MAX_PUSHBACK_MS + 1, request, fixed(0)), 'stop');
  assert.equal(request.pushedBackAt, 0);
  assert.equal(retryWait(BACKOFF, undefined, MAX_PUSHBACK_MS, request, fixed(0)), MAX_PUSHBACK_MS);
});

test('grpc-retry-pushback-ms', () => {
  const rows: [value: string | undefined, pushback: Pushback][] = [
    [undefined, undefined],
    ['0', 0],
    ['15', 15],
    ['0015', 15],
    ['2147483647', 2_147_483_647],
    ['2147483648', 'stop'],
    ['99999999999', 'stop'],
    ['-1', 'stop'],
    ['-0', 'stop'],
    ['+5', 'stop'],
    ['1.5', 'stop'],
    ['1e3', 'stop'],
    [' 5', 'stop'],
    ['', 'stop'],
    ['soon', 'stop'],
  ];
  for (const [value, pushback] of rows) assert.equal(parsePushback(value), pushback, value);
});

test('Retry-After', () => {
  const rows: [value: string | undefined, waitMs: number | undefined][] = [
    [undefined, undefined],
    ['0', 0],
    ['2', 2_000],
    ['120', 120_000],
    ['Thu, 01 Jan 2026 00:00:05 GMT', 5_000],
    ['Thursday, 01-Jan-26 00:00:05 GMT', 5_000],
    ['Thu Jan  1 00:00:05 2026', 5_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['-1', undefined],
    ['1.5', undefined],
    ['+3', undefined],
    ['', undefined],
    ['soon', undefined],
    ['2 s', undefined],
  ];
  for (const [value, waitMs] of rows) assert.equal(parseRetryAfter(value, NOW_MS), waitMs, value);
  const aeon = parseRetryAfter('9'.repeat(400), NOW_MS);
  assert.equal(retryWait(BACKOFF, undefined, aeon, facts(1), fixed(0)), 'stop');
});

test('what an answer asks for', () => {
  const rows: [fields: string[], isGrpc: boolean, pushback: Pushback][] = [
    [[], true, undefined],
    [['grpc-status', '14', 'grpc-retry-pushback-ms', '70'], true, 70],
    [['grpc-retry-pushback-ms', '70'], false, undefined],
    [['grpc-retry-pushback-ms', '70', 'retry-after', '1'], true, 70],
    [['grpc-retry-pushback-ms', '-1', 'retry-after', '1'], true, 'stop'],
    [['Retry-After', '1'], true, 1_000],
    [['Retry-After', '1'], false, 1_000],
    [['Retry-After', 'x'], false, undefined],
  ];
  for (const [fields, isGrpc, pushback] of rows)
    assert.equal(readPushback(fields, isGrpc, NOW_MS), pushback, fields.join());
});
