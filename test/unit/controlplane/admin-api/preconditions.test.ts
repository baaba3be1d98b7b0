import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isNotModified, readPreconditions } from '../../../../src/controlplane/admin-api/preconditions.ts';

function check(headers: Record<string, string>, query = ''): ((index: number) => boolean) | number | undefined {
  const read = readPreconditions({ headers, query: new URLSearchParams(query) });
  return read.ok ? read.condition : read.answer.status;
}

test('conditions hold for the versions that they name', () => {
  const rows: readonly [Record<string, string>, string, readonly number[]][] = [
    [{ 'if-match': '"3"' }, '', [3]],
    [{ 'if-match': '"3", "4"' }, '', [3, 4]],
    [{ 'if-match': '*' }, '', [1, 2, 3, 4]],
    [{ 'if-match': 'W/"3"' }, '', []],
    [{ 'if-match': '"x"' }, '', []],
    [{ 'if-none-match': '*' }, '', [0]],
    [{ 'if-none-match': '"3"' }, '', [0, 1, 2, 4]],
    [{}, 'modifiedIndex=3', [3]],
    [{}, 'modifiedIndex=0', [0]],
    [{ 'if-match': '*' }, 'modifiedIndex=0', []],
  ];
  for (const [headers, query, expected] of rows) {
    const condition = check(headers, query);
    assert.ok(typeof condition === 'function');
    assert.deepEqual([0, 1, 2, 3, 4].filter(condition), expected, JSON.stringify([headers, query]));
  }
  assert.equal(check({}), undefined);
});

test('what is no condition is refused', () => {
  assert.equal(check({ 'if-match': '3' }), 400);
  assert.equal(check({ 'if-none-match': 'nonsense' }), 400);
  assert.equal(check({}, 'modifiedIndex=x'), 400);
  assert.equal(check({}, 'modifiedIndex='), 400);
});

test('a GET of what one has', () => {
  assert.ok(isNotModified({ 'if-none-match': '"1", W/"3"' }, 3));
  assert.ok(!isNotModified({ 'if-none-match': '"1"' }, 3));
  assert.ok(!isNotModified({}, 3));
});
