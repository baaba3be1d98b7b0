import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trimSpace } from '../../../../src/codec/h1/characters.ts';

test('white space around an element is SP and HTAB only', () => {
  assert.equal(trimSpace(' \ta b\t '), 'a b');
  assert.equal(trimSpace('\xa0a'), '\xa0a');
  assert.equal(trimSpace(' \t'), '');
});
