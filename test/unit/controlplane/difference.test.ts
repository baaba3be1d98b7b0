import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { difference } from '../../../src/controlplane/difference.ts';

test('what is in one list and not in the other, wherever it stands', () => {
  const all = Array.from({ length: 12 }, (_, i) => ({ i }));
  const list = fc.shuffledSubarray(all);
  fc.assert(
    fc.property(list, list, (before, after) => {
      const { removed, added } = difference(before, after);
      assert.deepEqual(new Set(removed), new Set(before.filter((one) => !after.includes(one))));
      assert.deepEqual(new Set(added), new Set(after.filter((one) => !before.includes(one))));
      assert.equal(removed.length + after.length, added.length + before.length);
    }),
    { seed: 7 },
  );
});
