import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VarsExpression, VarsOperator, VarsValue } from '../../../src/model/vars.ts';
import type { HashedRequest } from '../../../src/policy/request-variables.ts';
import { compileVars } from '../../../src/policy/vars.ts';
import { hashedRequest } from '../../support/hashed-request.ts';

function compare(variable: string, operator: VarsOperator, value: VarsValue, not = false): VarsExpression {
  return { kind: 'compare', variable, not, operator, value };
}

/** A request with the argument `k`, or without it. */
function withArgument(value: string | undefined): HashedRequest {
  return hashedRequest({ path: value === undefined ? '/t' : `/t?k=${encodeURIComponent(value)}` });
}

test('comparisons', () => {
  const rows: [left: string | undefined, operator: VarsOperator, right: VarsValue, holds: boolean][] = [
    ['v', '==', 'v', true],
    ['V', '==', 'v', false],
    ['', '==', '', true],
    [undefined, '==', '', false],
    [undefined, '==', null, true],
    ['v', '==', null, false],
    ['18', '==', 18, true],
    ['18.0', '==', 18, true],
    [' 1.8e1 ', '==', 18, true],
    ['0x12', '==', 18, true],
    ['-0x12', '==', -18, true],
    ['+18', '==', 18, true],
    ['.5', '==', 0.5, true],
    ['5.', '==', 5, true],
    ['', '==', 0, false],
    ['aa', '==', 18, false],
    ['0b1', '==', 1, false],
    ['Infinity', '==', 1, false],
    [undefined, '==', 0, false],
    ['18.0', '==', '18', false],
    ['true', '==', true, false],
    ['a', '==', ['a'], false],
    ['é', '==', 'é', true],
    ['v', '~=', 'v', false],
    ['v', '~=', 'w', true],
    [undefined, '~=', 'w', true],
    [undefined, '~=', null, false],
    ['v', '~=', null, true],
    ['18', '~=', 18, false],
    ['16', '~=', 18, true],
    ['aa', '~=', 18, true],
    [undefined, '~=', 18, true],
    ['true', '~=', true, true],
    ['11', '>', 10, true],
    ['9', '>', 10, false],
    ['10', '>', 10, false],
    ['11', '>', '10', true],
    ['9', '>', '10', false],
    ['b', '>', 'a', false],
    ['11', '>', 'a', false],
    ['11', '>', true, false],
    ['11', '>', null, false],
    [undefined, '>', 10, false],
    [undefined, '<', 10, false],
    ['9', '<', 10, true],
    ['10', '<', 10, false],
    ['2', '>=', '2', true],
    ['2', '>=', 3, false],
    ['3', '<=', '2', false],
    ['3', '<=', 3, true],
    ['', '<=', 3, false],
    ['abc', '~~', 'b', true],
    ['abc', '~~', '^b', false],
    ['abc', '~~', '^[a-z]{1,4}$', true],
    ['ABC', '~~', 'b', false],
    ['a2c', '~~', 2, true],
    [undefined, '~~', '.*', false],
    ['', '~~', '^$', true],
    ['ABC', '~*', 'b', true],
    ['abc', '~*', 'B', true],
    ['', '~*', 'A', false],
    [undefined, '~*', 'A', false],
    ['größe', '~~', '^gr.ße$', false],
    ['größe', '~~', '^gr..ße$', true],
    ['größe', '~~', 'ö', true],
    ['2', 'in', ['1', '2'], true],
    ['4', 'in', ['1', '2'], false],
    [undefined, 'in', ['1', '2'], false],
    ['1', 'in', [1, 2], false],
    ['1', 'in', '1', false],
    ['ö', 'in', ['ö'], true],
    ['a', 'has', 'a', false],
    [undefined, 'has', 'a', false],
    ['127.0.0.1', 'ipmatch', '127.0.0.1', true],
    ['127.0.3.1', 'ipmatch', '127.0.0.0/16', true],
    ['127.0.3.1', 'ipmatch', ['10.0.0.1', '127.0.0.0/16'], true],
    ['127.0.0.1', 'ipmatch', ['127.0.0.2', '127.0.0.3'], false],
    ['x', 'ipmatch', ['0.0.0.0/0'], false],
    [undefined, 'ipmatch', ['0.0.0.0/0'], false],
  ];
  for (const [left, operator, right, holds] of rows) {
    const what = `${left} ${operator} ${JSON.stringify(right)}`;
    assert.equal(compileVars(compare('arg_k', operator, right))(withArgument(left)), holds, what);
    assert.equal(compileVars(compare('arg_k', operator, right, true))(withArgument(left)), !holds, `not ${what}`);
  }
});

test('variables of a request', () => {
  const request = hashedRequest({
    fields: ['X-Version', '2', 'cookie', 'sid=s'],
    authority: 'localhost:1984',
    method: 'PUT',
  });
  for (const [variable, operator, value] of [
    ['http_x_version', '==', '2'],
    ['cookie_sid', '==', 's'],
    ['host', '==', 'localhost'],
    ['server_port', '==', '8080'],
    ['request_method', 'in', ['PUT', 'POST']],
    ['remote_addr', 'ipmatch', ['10.0.0.0/8']],
    ['uri', '~~', '^/cart$'],
    ['consumer_name', '==', null],
    ['graphql_operation', '==', null],
    ['no_such_variable', '~=', 'x'],
  ] as const) {
    assert.equal(compileVars(compare(variable, operator, value))(request), true, variable);
    assert.equal(compileVars(compare(variable, operator, value, true))(request), false, `not ${variable}`);
  }
});

test('and, or, and what they are turned round', () => {
  const yes = compare('arg_k', '==', 'v');
  const no = compare('arg_k', '==', 'w');
  const rows: [kind: 'and' | 'or', members: VarsExpression[], holds: boolean][] = [
    ['and', [], true],
    ['and', [yes], true],
    ['and', [yes, yes], true],
    ['and', [yes, no], false],
    ['and', [no, yes], false],
    ['or', [], false],
    ['or', [no, yes], true],
    ['or', [yes, no], true],
    ['or', [no, no], false],
    ['or', [no, { kind: 'and', not: true, members: [yes, no] }], true],
    ['and', [yes, { kind: 'or', not: true, members: [yes, no] }], false],
  ];
  for (const [kind, members, holds] of rows) {
    assert.equal(compileVars({ kind, not: false, members })(withArgument('v')), holds);
    assert.equal(compileVars({ kind, not: true, members })(withArgument('v')), !holds);
  }
});

test('what is no regular expression never holds', () => {
  for (const value of ['(', '(?=a)', null, true, ['a']]) {
    assert.equal(compileVars(compare('arg_k', '~~', value))(withArgument('a')), false);
    assert.equal(compileVars(compare('arg_k', '~~', value, true))(withArgument('a')), false);
  }
});
