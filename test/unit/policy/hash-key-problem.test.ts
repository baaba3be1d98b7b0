import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HASH_VARIABLES, hashKeyProblem } from '../../../src/policy/hash-key-problem.ts';
import { compileVariable } from '../../../src/policy/request-variables.ts';

test('every variable that may be a key exists', () => {
  for (const name of HASH_VARIABLES) {
    assert.ok(compileVariable(name), name);
    assert.equal(hashKeyProblem({ type: 'chash', hashOn: 'vars', key: name }), undefined);
  }
});

test('APISIX row 83: hash keys that are refused, and those that are not', () => {
  const rows: [hashOn: string, key: string, problem: RegExp | undefined][] = [
    ['vars', '', /missing key/],
    ['header', '', /missing key/],
    ['cookie', '', /missing key/],
    ['vars_combinations', '', /missing key/],
    ['consumer', '', undefined],
    ['consumer', 'anything $#^@', undefined],
    ['vars', 'not_support', /one of uri, server_name/],
    ['vars', 'remote_addr', undefined],
    ['vars', 'arg_device_id', undefined],
    ['vars', 'arg_a-b', undefined],
    ['vars', 'arg_[', undefined], // by a slip in APISIX's pattern
    ['vars', 'arg_', /arg_NAME/],
    ['vars', 'arg_a.b', /arg_NAME/],
    ['vars', 'http_x', /one of uri/],
    ['vars', 'uri ', /one of uri/],
    ['header', 'custom_header', undefined],
    ['header', 'X-Session', undefined],
    ['header', '$#^@', /letters, digits/],
    ['header', 'a b', /letters, digits/],
    ['cookie', 'custom_cookie', undefined],
    ['cookie', '$#^@', /letters, digits/],
    ['vars_combinations', '$http_a-${arg_b ?? c}', undefined],
    ['vars_combinations', 'text alone', undefined],
    ['vars_combinations', '$http_a$nothing', /unknown variable `nothing`/],
    ['hdr', 'x', /unknown hash_on `hdr`/],
    ['', 'x', /unknown hash_on/],
  ];
  for (const [hashOn, key, problem] of rows) {
    const found = hashKeyProblem({ type: 'chash', hashOn, key });
    if (problem === undefined) assert.equal(found, undefined, `${hashOn} ${key}`);
    else assert.match(found ?? '', problem, `${hashOn} ${key}`);
  }
});

test('the key of other algorithms is not looked at', () => {
  assert.equal(hashKeyProblem({ type: 'roundrobin', hashOn: 'vars', key: 'not_support' }), undefined);
  assert.match(hashKeyProblem({ type: 'roundrobin', hashOn: 'hdr', key: '' }) ?? '', /unknown hash_on/);
});
