import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GrpcStatus } from '../../../src/codec/grpc/status.ts';
import { DEFAULT_ATTEMPTS } from '../../../src/model/defaults.ts';
import { createRetryRules } from '../../../src/policy/retry-rules.ts';
import { grpcStatusOfWord, RETRY_WORDS } from '../../../src/model/retry-words.ts';

test('the words of retry_on', () => {
  const expected =
    'connect-failure refused-stream reset timeout 5xx gateway-error cancelled unknown invalid-argument deadline-exceeded ' +
    'not-found already-exists permission-denied resource-exhausted failed-precondition aborted out-of-range ' +
    'unimplemented internal unavailable data-loss unauthenticated';
  assert.deepEqual(RETRY_WORDS, expected.split(' '));
});

test('every word switches something on', () => {
  for (const word of RETRY_WORDS) {
    const rules = createRetryRules({ ...DEFAULT_ATTEMPTS, retryOn: [word] });
    const words = ['connect-failure', 'refused-stream', 'reset', 'timeout'] as const;
    assert.ok(rules.watchesStatus || rules.watchesGrpcStatus || words.some((what) => rules.isOn(what)), word);
  }
});

test('gRPC statuses have their numbers; OK is none', () => {
  for (const [name, status] of Object.entries(GrpcStatus)) {
    const word = name.toLowerCase().replaceAll('_', '-');
    assert.equal(grpcStatusOfWord(word), status === GrpcStatus.OK ? undefined : status, word);
  }
});
