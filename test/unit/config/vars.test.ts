import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { describeProblems } from '../../../src/config/resource.ts';
import { parseVars } from '../../../src/config/vars.ts';
import type { VarsExpression } from '../../../src/model/vars.ts';

function parse(value: unknown): VarsExpression | undefined {
  const result = parseVars(JSON.stringify(value), 'vars');
  assert.ok(result.ok, result.ok ? '' : describeProblems(result.problems));
  return result.expression;
}

function problem(value: unknown, text = JSON.stringify(value)): string {
  const result = parseVars(text, 'vars');
  return result.ok ? '' : describeProblems(result.problems);
}

function compare(variable: string, operator: string, value: unknown, not = false): unknown {
  return { kind: 'compare', variable, not, operator, value };
}

function all(...members: unknown[]): unknown {
  return { kind: 'and', not: false, members };
}

test('conditions', () => {
  assert.equal(parse([]), undefined);
  for (const [given, made] of [
    [['arg_name', '==', 'json'], compare('arg_name', '==', 'json')],
    [['arg_name', 'json'], compare('arg_name', '==', 'json')],
    [['arg_x', '!', 'in', ['a', 1, true]], compare('arg_x', 'in', ['a', 1, true], true)],
    [['arg_x', 'IN', []], compare('arg_x', 'in', [])],
    [['arg_x', '==', null], compare('arg_x', '==', null)],
    [['arg_x', '~=', 5], compare('arg_x', '~=', 5)],
    [['arg_age', '>', '18'], compare('arg_age', '>', 18)],
    [['arg_age', '<=', 1.5], compare('arg_age', '<=', 1.5)],
    [['uri', '~~', '^/a[0-9]+$'], compare('uri', '~~', '^/a[0-9]+$')],
    [['http_x', '~*', 'abc'], compare('http_x', '~*', 'abc')],
    [['graphql_root_fields', 'has', 'owner'], compare('graphql_root_fields', 'has', 'owner')],
    [['remote_addr', 'ipmatch', '10.0.0.7/8'], compare('remote_addr', 'ipmatch', '10.0.0.0/8')],
    [['remote_addr', 'ipmatch', ['::0/0', '1.2.3.4']], compare('remote_addr', 'ipmatch', ['::/0', '1.2.3.4'])],
    [['or', '==', 'x'], compare('or', '==', 'x')],
  ] as const) {
    assert.deepEqual(parse([given]), all(made));
  }
});

test('several: a list of lists is an AND, and words stand at the top or inside, in any case', () => {
  const [a, b] = [
    ['arg_a', '==', '1'],
    ['arg_b', '==', '2'],
  ];
  const [made, other] = [compare('arg_a', '==', '1'), compare('arg_b', '==', '2')];
  assert.deepEqual(parse([a, b]), all(made, other));
  assert.deepEqual(parse([['OR', a, b]]), all({ kind: 'or', not: false, members: [made, other] }));
  assert.deepEqual(parse(['!or', a, b]), { kind: 'or', not: true, members: [made, other] });
  assert.deepEqual(parse(['!AND', a, ['AND', a, b], [[b]]]), {
    kind: 'and',
    not: true,
    members: [made, all(made, other), all(all(other))],
  });
});

const REFUSED: readonly (readonly [value: unknown, reason: string])[] = [
  [{}, 'vars: must be a list of conditions, [[variable, operator, value]], not an object'],
  [['arg_a', '==', 'b'], 'vars: must be a list of conditions: wrap the one in brackets, [[variable, operator, value]]'],
  [['OR', '==', 'b'], 'vars: must be a list of conditions: wrap the one in brackets, [[variable, operator, value]]'],
  [[[]], 'vars[0]: is an empty list: leave it out'],
  [[5], 'vars: must be a list of conditions: wrap the one in brackets, [[variable, operator, value]]'],
  [[['a', '==', 'b'], 'x'], 'vars[1]: must be a list, not a string'],
  [[['OR', ['a', '==', 'b']]], "vars[0]: needs at least two conditions behind 'OR'"],
  [[['XOR', ['a', 'b'], ['c', 'd']]], "vars[0][0]: 'XOR' is none of AND, OR, !AND, !OR: did you mean 'OR'?"],
  [[['a']], 'vars[0]: must be [variable, operator, value] or [variable, "!", operator, value]'],
  [[['a', '==']], "vars[0]: needs a value behind '=='"],
  [[['a', '?', '==', 'b']], "vars[0][1]: must be '!' where four stand in a list"],
  [[[5, '==', 'b']], 'vars[0][0]: must be the name of a variable, not a number'],
  [[['', '==', 'b']], 'vars[0][0]: must be the name of a variable, such as arg_name'],
  [[['$arg_a', '==', 'b']], "vars[0][0]: '$arg_a' must stand without its dollar sign: 'arg_a'"],
  [[['arg a', '==', 'b']], "vars[0][0]: 'arg a' must have no blanks or control characters"],
  [[['a', 5, 'b']], 'vars[0][1]: must be an operator, not a number'],
  [
    [['a', '!=', 'b']],
    "vars[0][1]: '!=' is none of ==, ~=, >, <, >=, <=, ~~, ~*, in, has, ipmatch: did you mean '~='?",
  ],
  [
    [['a', 'ip_match', 'b']],
    "vars[0][1]: 'ip_match' is none of ==, ~=, >, <, >=, <=, ~~, ~*, in, has, ipmatch: did you mean 'ipmatch'?",
  ],
  [[['a', '>', 'b']], "vars[0][2]: must be a number behind >, not 'b'"],
  [[['a', '==', ['b']]], 'vars[0][2]: must be a string, a number, true or false, not a list'],
  [[['a', 'in', 'b']], 'vars[0][2]: must be a list behind in, not a string'],
  [[['a', 'in', ['b', null]]], 'vars[0][2][1]: must be a string, a number, true or false, not null'],
  [[['a', '~~', 5]], 'vars[0][2]: must be a regular expression behind ~~, not a number'],
  [[['a', '~*', 'b(']], "vars[0][2]: 'b(' can't be used as a regular expression: a ( without its ) (at character 2)"],
  [[['a', 'ipmatch', []]], 'vars[0][2]: needs at least one IP address or CIDR block'],
  [
    [['a', 'ipmatch', ['10.0.0.0/33']]],
    "vars[0][2][0]: '10.0.0.0/33': behind the slash stands the length of the prefix, 0 to 32",
  ],
  [[['a', 'ipmatch', '10.0.0']], "vars[0][2]: '10.0.0' is no IP address or CIDR block"],
];

for (const [value, reason] of REFUSED) {
  test(`refused: ${JSON.stringify(value)}`, () => assert.equal(problem(value), reason));
}

test('text that is no JSON, and numbers that are none', () => {
  assert.match(problem(0, '[["a",'), /^vars: is no JSON: /);
  assert.match(problem(0, '[["a","==",1e999]]'), /^vars\[0\]\[2\]: .*too large$/);
});

test('bounds: depth, conditions, length; and deep text is no crash', () => {
  const nest = (depth: number): unknown => {
    let value: unknown = ['a', '==', 'b'];
    for (let i = 1; i < depth; i++) value = [value];
    return value;
  };
  assert.equal(problem(nest(16)), '');
  assert.match(problem(nest(17)), /: lists must be nested at most 16 deep$/);
  assert.match(problem(0, '['.repeat(60_000) + ']'.repeat(1)), /^vars: /);
  assert.equal(problem(Array.from({ length: 999 }, () => ['a', 'b'])), '');
  assert.equal(problem(Array.from({ length: 5000 }, () => ['a', 'b'])), 'vars must have at most 1000 conditions');
  assert.equal(problem(0, ' '.repeat(65_537)), 'vars: must have at most 65536 characters');
});

test('random values never throw', () => {
  const word = fc.constantFrom('AND', '!OR', 'a', '==', '!', 'in', 'ipmatch', '~~', '(', '1.2.3.4');
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 4 }, word, fc.jsonValue({ maxDepth: 1 }), fc.array(tie('value'), { maxLength: 4 })),
  }));
  fc.assert(
    fc.property(value, (one) => {
      const result = parseVars(JSON.stringify(one), 'vars');
      if (!result.ok) assert.ok(result.problems.length > 0);
    }),
    { seed: 72, numRuns: 2000 },
  );
});
