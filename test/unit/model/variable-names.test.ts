import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isVariable, VARIABLE_NAMES, VARIABLE_PREFIXES } from '../../../src/model/variable-names.ts';
import { compileVariable } from '../../../src/policy/request-variables.ts';

test('policy reads exactly the variables that settings may name', () => {
  for (const name of VARIABLE_NAMES) assert.ok(isVariable(name) && compileVariable(name) !== undefined, name);
  for (const prefix of VARIABLE_PREFIXES) {
    assert.ok(!isVariable(prefix) && compileVariable(prefix) === undefined, prefix);
    assert.ok(isVariable(`${prefix}x`) && compileVariable(`${prefix}x`) !== undefined, prefix);
  }
  for (const name of ['', 'constructor', '__proto__', 'toString', 'URI', 'http', 'post_arg_a', 'uri ']) {
    assert.ok(!isVariable(name) && compileVariable(name) === undefined, name);
  }
  const piece = fc.constantFrom(...VARIABLE_NAMES, ...VARIABLE_PREFIXES, 'a', '_', 'HTTP_', 'post_');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 3 }), (pieces) => {
      const name = pieces.join('');
      assert.equal(isVariable(name), compileVariable(name) !== undefined, name);
    }),
    { seed: 73, numRuns: 1000 },
  );
});
