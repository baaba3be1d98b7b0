import assert from 'node:assert/strict';
import { test } from 'node:test';
import { didYouMean, editDistance, suggest } from '../../../src/config/suggest.ts';

const FIELDS = ['hash_on', 'key', 'retries', 'retry_timeout', 'timeout', 'scheme'];

test('edit distance counts inserts, deletes, replacements and swaps', () => {
  assert.equal(editDistance('', ''), 0);
  assert.equal(editDistance('abc', 'abc'), 0);
  assert.equal(editDistance('', 'abc'), 3);
  assert.equal(editDistance('abc', 'ac'), 1);
  assert.equal(editDistance('abc', 'abxc'), 1);
  assert.equal(editDistance('abc', 'axc'), 1);
  assert.equal(editDistance('abc', 'acb'), 1);
  assert.equal(editDistance('kitten', 'sitting'), 3);
  assert.equal(editDistance('abcdef', 'x', 2), 3);
});

test('the nearest word', () => {
  assert.equal(suggest('retires', FIELDS), 'retries');
  assert.equal(suggest('hashOn', FIELDS), 'hash_on');
  assert.equal(suggest('hash_on ', FIELDS), 'hash_on');
  assert.equal(suggest('Timeouts', FIELDS), 'timeout');
  assert.equal(suggest('keys', FIELDS), 'key');
  assert.equal(suggest('nothing_like_it', FIELDS), undefined);
  assert.equal(suggest('', FIELDS), undefined);
  assert.equal(suggest('---', FIELDS), undefined);
  assert.equal(suggest('x'.repeat(1_000_000), FIELDS), undefined);
});

test('the hint', () => {
  assert.equal(didYouMean('shceme', FIELDS), ": did you mean 'scheme'?");
  assert.equal(didYouMean('zzz', FIELDS), '');
});
