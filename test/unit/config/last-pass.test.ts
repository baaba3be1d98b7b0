import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LastPass } from '../../../src/config/last-pass.ts';

test('whatever was added, removed or moved, each id finds its own result', () => {
  const ids = fc.uniqueArray(fc.nat({ max: 12 }).map(String), { maxLength: 10 });
  fc.assert(
    fc.property(ids, ids, (before, after) => {
      const items = before.map((id) => ({ id }));
      const last = new LastPass(items);
      for (const id of after) assert.equal(last.find(id), items.find((item) => item.id === id) ?? undefined);
    }),
    { seed: 73, numRuns: 2000 },
  );
});

test('an id that comes several times is found each time', () => {
  const items = ['a', 'b', 'a', 'c'].map((id) => ({ id }));
  const last = new LastPass(items);
  assert.deepEqual(
    ['a', 'b', 'a', 'c', 'a'].map((id) => last.find(id)?.id),
    ['a', 'b', 'a', 'c', undefined],
  );
});
