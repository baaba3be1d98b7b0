import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  comparePositions,
  decodePageToken,
  encodePageToken,
  FieldError,
  firstAfter,
  pageSize,
  type Position,
} from '../../../src/rpc/page.ts';

const SHAPE: Position = ['', 0];
const FILTERS: Position = ['list', 'shop/cart', 0];

test('pages that follow one another are the sorted list, in whatever order and however often it is asked', () => {
  const position = fc.tuple(fc.string({ maxLength: 3 }), fc.nat(9));
  const lists = fc.uniqueArray(position, { maxLength: 300, selector: (p) => JSON.stringify(p) });
  fc.assert(
    fc.property(lists, fc.integer({ min: 1, max: 120 }), (list, limit) => {
      const paged: Position[] = [];
      let after: Position | undefined;
      for (;;) {
        const page = firstAfter<Position>(list, (p) => p, after, limit);
        assert.ok(page.length <= limit);
        if (page.length === 0) break;
        paged.push(...page);
        after = decodePageToken(encodePageToken(FILTERS, page.at(-1) ?? []), FILTERS, SHAPE);
      }
      assert.deepEqual(paged, list.toSorted(comparePositions));
    }),
    { seed: 17, numRuns: 100 },
  );
});

test('a token that was not given out, or for other filters, is refused by name', () => {
  const good = encodePageToken(FILTERS, ['a', 1]);
  assert.deepEqual(decodePageToken(good, FILTERS, SHAPE), ['a', 1]);
  assert.equal(decodePageToken('', FILTERS, SHAPE), undefined);
  const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const bad = ['x', '%%%', encoded(null), encoded([1]), encoded([FILTERS, ['a']]), encoded([FILTERS, ['a', '1']])];
  for (const token of [...bad, encoded([['list'], ['a', 1]]), good.slice(0, -3)]) {
    assert.throws(() => decodePageToken(token, FILTERS, SHAPE), FieldError, token);
  }
  assert.throws(() => decodePageToken(good, ['list', 'other', 0], SHAPE), /page_token: .*other filters/);
});

test('page sizes', () => {
  assert.equal(pageSize(0), 1000);
  assert.equal(pageSize(1), 1);
  assert.equal(pageSize(10_000), 10_000);
  assert.throws(() => pageSize(10_001), /page_size/);
});
