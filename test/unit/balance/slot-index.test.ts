import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SlotIndex } from '../../../src/balance/slot-index.ts';

test('a slot is found at its first index, another one nowhere, whatever the list was before', () => {
  const slot = fc.oneof(fc.nat(20), fc.nat(0x7fff_ffff));
  fc.assert(
    fc.property(fc.array(fc.array(slot, { maxLength: 40 }), { maxLength: 4 }), fc.array(slot), (lists, asked) => {
      const index = new SlotIndex();
      let last: readonly number[] = [];
      for (const list of lists) index.update(Int32Array.from((last = list)));
      for (const one of [...lists.flat(), ...asked]) assert.equal(index.get(one), last.indexOf(one));
    }),
    { seed: 5, numRuns: 300 },
  );
});
