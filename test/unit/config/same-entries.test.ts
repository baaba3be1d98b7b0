import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sameEntries } from '../../../src/config/same-entries.ts';

const one = {};
const other = {};

const cases: readonly (readonly [string, ReadonlyMap<string, object>, ReadonlyMap<string, object>, boolean])[] = [
  ['both empty', new Map(), new Map(), true],
  [
    'the same values in another order',
    new Map([
      ['a', one],
      ['b', other],
    ]),
    new Map([
      ['b', other],
      ['a', one],
    ]),
    true,
  ],
  ['another value', new Map([['a', one]]), new Map([['a', other]]), false],
  ['an equal value that is not the same object', new Map([['a', one]]), new Map([['a', {}]]), false],
  ['another key', new Map([['a', one]]), new Map([['b', one]]), false],
  [
    'one more',
    new Map([['a', one]]),
    new Map([
      ['a', one],
      ['b', one],
    ]),
    false,
  ],
];

for (const [what, a, b, expected] of cases) {
  test(`sameEntries: ${what} is ${String(expected)}`, () => {
    assert.equal(sameEntries(a, b), expected);
    assert.equal(sameEntries(b, a), expected);
  });
}
