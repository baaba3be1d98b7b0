import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attemptLimit, mayTryAgain } from '../../../src/policy/attempts.ts';

test('as many attempts as endpoints, unless a number is set', () => {
  const rows: [maxAttempts: number | undefined, endpoints: number, limit: number][] = [
    [undefined, 0, 1],
    [undefined, 1, 1],
    [undefined, 4, 4],
    [1, 4, 1],
    [2, 4, 2],
    [9, 4, 4], // each endpoint once
    [3, 1, 3], // except where there is only one
    [3, 0, 3],
    [0, 4, 1],
  ];
  for (const [maxAttempts, endpoints, limit] of rows) {
    assert.equal(attemptLimit({ maxAttempts }, endpoints), limit, `${maxAttempts} of ${endpoints}`);
  }
});

test('only a single endpoint is tried again', () => {
  assert.deepEqual([0, 1, 2].map(mayTryAgain), [false, true, false]);
});
