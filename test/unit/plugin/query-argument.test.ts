import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { findArgument, removeArguments } from '../../../src/plugin/query-argument.ts';

test('finds one argument, decoded', () => {
  assert.deepEqual(findArgument('/a', 'k'), { kind: 'absent' });
  assert.deepEqual(findArgument('/a?', 'k'), { kind: 'absent' });
  assert.deepEqual(findArgument('/k=1?K=1&kk=2&=k', 'k'), { kind: 'absent' });
  assert.deepEqual(findArgument('/a?x=1&k=a%20b+c%2', 'k'), { kind: 'value', value: 'a b c%2' });
  assert.deepEqual(findArgument('/a?k=a=b', 'k'), { kind: 'value', value: 'a=b' });
  assert.deepEqual(findArgument('/a?a+b=1', 'a b'), { kind: 'value', value: '1' });
  assert.deepEqual(findArgument('/a?k', 'k'), { kind: 'unclear' });
  assert.deepEqual(findArgument('/a?k=1&b&k=2', 'k'), { kind: 'unclear' });
});

test('what is removed is not found any more, and all else stays as it was', () => {
  const piece = fc.constantFrom('k=1', 'k', '%6b=2', 'kk=1', 'a=%6B', '', 'b+c=d', '=k', 'x?y=z', '%=%zz');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const left = removeArguments(`/p?${pieces.join('&')}`, 'k');
      const query = pieces.filter((one) => !['k=1', 'k', '%6b=2'].includes(one)).join('&');
      const untouched = query === pieces.join('&') && pieces.length > 0;
      assert.equal(left, query === '' && !(untouched || pieces.length === 0) ? '/p' : `/p?${query}`);
      assert.equal(findArgument(left, 'k').kind, 'absent');
    }),
    { numRuns: 300, seed: 5 },
  );
  assert.equal(removeArguments('/p', 'k'), '/p');
});
