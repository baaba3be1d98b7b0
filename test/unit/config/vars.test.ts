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
    [['arg_x', '!', 'IN', ['a', 'b']], compare('arg_x', 'in', ['a', 'b'], true)],
    [['arg_x', '==', null], compare('arg_x', '==', null)],
    [['arg_x', '~=', 5], compare('arg_x', '~=', 5)],
    [['arg_age', '>', '18'], compare('arg_age', '>', 18)],
    [['arg_age', '<=', 1.5], compare('arg_age', '<=', 1.5)],
    [['uri', '~~', '^/a[0-9]+$'], compare('uri', '~~', '^/a[0-9]+$')],
    [['http_x', '~*', 'abc'], compare('http_x', '~*', 'abc')],
    [['consumer_name', '~=', null], compare('consumer_name', '~=', null)],
    [['remote_addr', 'ipmatch', '10.0.0.7/8'], compare('remote_addr', 'ipmatch', '10.0.0.0/8')],
    [['remote_addr', 'ipmatch', ['::0/0', '1.2.3.4']], compare('remote_addr', 'ipmatch', ['::/0', '1.2.3.4'])],
    [['http_X-Y', '==', 'x'], compare('http_X-Y', '==', 'x')],
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

const PREFIX_HINT = ': write http_NAME for a field, cookie_NAME for a cookie, arg_NAME for an argument of the query';

const REFUSED: readonly (readonly [value: unknown, reason: string])[] = [
  [{}, 'vars: must be a list of conditions, [[variable, operator, value]], not an object'],
  [['arg_a', '==', 'b'], 'vars: must be a list of conditions: wrap the one in brackets, [[variable, operator, value]]'],
  [['OR', '==', 'b'], 'vars: must be a list of conditions: wrap the one in brackets, [[variable, operator, value]]'],
  [[[]], 'vars[0]: is an empty list: leave it out'],
  [[5], 'vars: must be a list of conditions: wrap the one in brackets, [[variable, operator, value]]'],
  [[['arg_a', '==', 'b'], 'x'], 'vars[1]: must be a list, not a string'],
  [[['OR', ['arg_a', '==', 'b']]], "vars[0]: needs at least two conditions behind 'OR'"],
  [[['XOR', ['arg_a', 'b'], ['c', 'd']]], "vars[0][0]: 'XOR' is none of AND, OR, !AND, !OR: did you mean 'OR'?"],
  [[['arg_a']], 'vars[0]: must be [variable, operator, value] or [variable, "!", operator, value]'],
  [[['arg_a', '==']], "vars[0]: needs a value behind '=='"],
  [[['arg_a', '?', '==', 'b']], "vars[0][1]: must be '!' where four stand in a list"],
  [[[5, '==', 'b']], 'vars[0][0]: must be the name of a variable, not a number'],
  [[['', '==', 'b']], 'vars[0][0]: must be the name of a variable, such as arg_name'],
  [[['$arg_a', '==', 'b']], "vars[0][0]: '$arg_a' must stand without its dollar sign: 'arg_a'"],
  [[['arg a', '==', 'b']], "vars[0][0]: 'arg a' must have no blanks or control characters"],
  [[['arg_a', 5, 'b']], 'vars[0][1]: must be an operator, not a number'],
  [
    [['arg_a', '!=', 'b']],
    "vars[0][1]: '!=' is none of ==, ~=, >, <, >=, <=, ~~, ~*, in, has, ipmatch: did you mean '~='?",
  ],
  [
    [['arg_a', 'ip_match', 'b']],
    "vars[0][1]: 'ip_match' is none of ==, ~=, >, <, >=, <=, ~~, ~*, in, has, ipmatch: did you mean 'ipmatch'?",
  ],
  [[['arg_a', '>', 'b']], "vars[0][2]: must be a number behind >, not 'b'"],
  [[['arg_a', '==', ['b']]], 'vars[0][2]: must be a string or a number, not a list'],
  [[['arg_a', 'in', 'b']], 'vars[0][2]: must be a list behind in, not a string'],
  [[['arg_a', 'in', ['b', null]]], 'vars[0][2][1]: must be a string, not null'],
  [[['arg_a', '~~', 5]], 'vars[0][2]: must be a regular expression behind ~~, not a number'],
  [
    [['arg_a', '~*', 'b(']],
    "vars[0][2]: 'b(' can't be used as a regular expression: a ( without its ) (at character 2)",
  ],
  [[['arg_a', 'ipmatch', []]], 'vars[0][2]: needs at least one IP address or CIDR block'],
  [
    [['arg_a', 'ipmatch', ['10.0.0.0/33']]],
    "vars[0][2][0]: '10.0.0.0/33': behind the slash stands the length of the prefix, 0 to 32",
  ],
  [[['arg_a', '==', true]], 'vars[0][2]: a variable is text, and true is none: write "true"'],
  [[['arg_a', '~=', false]], 'vars[0][2]: a variable is text, and false is none: write "false"'],
  [[['arg_a', '!', 'in', ['b', 1]]], 'vars[0][3][1]: a variable is text, and 1 is none: write "1"'],
  [[['arg_a', 'in', []]], 'vars[0][2]: needs at least one text'],
  [[['arg_a', 'has', 'b']], 'vars[0][2]: has asks of a list, and every variable here is text: use ==, in or ~~'],
  [[['remote_add', '~=', '10.0.0.1']], "vars[0][0]: there is no variable 'remote_add': did you mean 'remote_addr'?"],
  [[['HTTP_x', '==', 'b']], "vars[0][0]: there is no variable 'HTTP_x': did you mean 'http_x'?"],
  [[['post_arg_a', '!', '==', 'b']], "vars[0][0]: the variable 'post_arg_a' is not supported yet"],
  [[['graphql_root_fields', '~=', 'b']], "vars[0][0]: the variable 'graphql_root_fields' is not supported yet"],
  [[['uri_param_id', '~=', 'b']], "vars[0][0]: the variable 'uri_param_id' is not supported yet"],
  [[['arg_', '==', 'b']], "vars[0][0]: 'arg_': a name must stand behind arg_"],
  [
    [['http_a:b', '==', 'b']],
    "vars[0][0]: 'http_a:b': behind http_ stands the name of a field, of letters, digits, - and _",
  ],
  [[['user', '==', 'b']], `vars[0][0]: there is no variable 'user'${PREFIX_HINT}`],
  [
    [['mqtt_client_id', '~=', 'b']],
    "vars[0][0]: 'mqtt_client_id' belongs to streams of MQTT, which a gateway doesn't carry",
  ],
  [[['arg_a', 'ipmatch', '10.0.0']], "vars[0][2]: '10.0.0' is no IP address or CIDR block"],
];

for (const [value, reason] of REFUSED) {
  test(`refused: ${JSON.stringify(value)}`, () => assert.equal(problem(value), reason));
}

test('text that is no JSON, and numbers that are none', () => {
  assert.match(problem(0, '[["a",'), /^vars: is no JSON: /);
  assert.match(problem(0, '[["arg_a","==",1e999]]'), /^vars\[0\]\[2\]: .*too large$/);
});

test('bounds: depth, conditions, length; and deep text is no crash', () => {
  const nest = (depth: number): unknown => {
    let value: unknown = ['arg_a', '==', 'b'];
    for (let i = 1; i < depth; i++) value = [value];
    return value;
  };
  assert.equal(problem(nest(16)), '');
  assert.match(problem(nest(17)), /: lists must be nested at most 16 deep$/);
  assert.match(problem(0, '['.repeat(60_000) + ']'.repeat(1)), /^vars: /);
  assert.equal(problem(Array.from({ length: 999 }, () => ['arg_a', 'b'])), '');
  assert.equal(problem(Array.from({ length: 4000 }, () => ['arg_a', 'b'])), 'vars must have at most 1000 conditions');
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
