import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compileRegex } from '../../../src/base/linear-regex.ts';

function occurs(source: string, text: string, ignoresCase = false): boolean {
  const regex = compileRegex(source, ignoresCase);
  if (typeof regex === 'string') assert.fail(`${source}: ${regex}`);
  return regex.test(text);
}

test('what an expression matches', () => {
  const rows: [source: string, yes: string[], no: string[]][] = [
    ['', ['', 'a'], []],
    ['a', ['a', 'xay'], ['', 'A']],
    ['^a', ['ab'], ['ba', '']],
    ['a$', ['ba', 'ba\n'], ['ab', 'a\n\n']],
    ['a\\z', ['ba'], ['ba\n', 'ab']],
    ['a\\Z', ['ba', 'ba\n'], ['ab']],
    ['\\Aa', ['ab'], ['ba']],
    ['^$', ['', '\n'], ['a']],
    ['.', ['a', '\r', '\u00ff'], ['', '\n']],
    ['(?s).', ['\n'], ['']],
    ['^(a|bc)*d$', ['d', 'abcad'], ['abd', 'b']],
    ['a{2}', ['aa', 'aaa'], ['a']],
    ['^a{2,3}$', ['aa', 'aaa'], ['a', 'aaaa']],
    ['^a{2,}$', ['aa', 'aaaaaa'], ['a']],
    ['^a{0}$', [''], ['a']],
    ['^a{,2}$', ['a{,2}'], ['a']],
    ['^a{b$', ['a{b'], []],
    ['^a??b+?$', ['b', 'abb'], ['aab']],
    ['^(?:ab)?c$', ['c', 'abc'], ['ac']],
    ["^(?<name>a)(?P<other>b)(?'third'c)$", ['abc'], []],
    ['^[abc]+$', ['cab'], ['d']],
    ['^[^abc]$', ['d', '\n'], ['a', '']],
    ['^[a-c-]$', ['b', '-'], ['d']],
    ['^[]a]$', [']', 'a'], ['b']],
    ['^[^]a]$', ['b'], [']', 'a']],
    ['^[\\w-.]$', ['a', '-', '.'], [',']],
    ['^[[:alpha:]_[:digit:]]+$', ['a_1'], ['-']],
    ['^[[:^alpha:]]$', ['1'], ['a']],
    ['^[\\d\\s]$', ['1', ' '], ['a']],
    ['^[\\x41-\\x43\\]]$', ['B', ']'], ['D']],
    ['^\\d\\D\\w\\W\\s\\S$', ['1a_- x'], ['11_- x']],
    ['^\\t\\n\\r\\f\\e\\a\\x{41}\\.\\/\\-$', ['\t\n\r\f\u001b\u0007A./-'], []],
    ['\\bcat\\b', ['a cat', 'cat'], ['cats', 'scat', 'cat_']],
    ['a\\Bb', ['ab'], ['a b']],
    ['(?i)aB', ['Ab', 'AB'], ['a']],
    ['(?i:a)b', ['Ab'], ['AB']],
    ['(?i)a(?-i:b)', ['Ab'], ['AB']],
    ['((?i)a)b', ['Ab'], ['AB']],
    ['^(?i)[^a]$', ['b'], ['a', 'A']],
    ['(^a|b)c', ['ac', 'xbc'], ['xac']],
    ['(a*)*$', ['', 'aa', 'ab'], []],
    ['^(a*)*$', ['', 'aa'], ['ab']],
    ['^(|a)+$', ['', 'aa'], ['b']],
    ['^(()|a)*b$', ['b', 'aab'], ['ac']],
    ['^(?:(?:a?b?)*c)*$', ['', 'abacc'], ['ab']],
  ];
  for (const [source, yes, no] of rows) {
    for (const text of yes) assert.equal(occurs(source, text), true, `${source} and ${JSON.stringify(text)}`);
    for (const text of no) assert.equal(occurs(source, text), false, `${source} and ${JSON.stringify(text)}`);
  }
  assert.equal(occurs('[A-C]x', 'bX', true), true);
  assert.equal(occurs('\u00e4', '\u00c4', true), false);
});

test('any expression of the common part: as the engine of the language', () => {
  const leaf = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\w', '\\b', '^', '$', 'A', '\\B', '[a-c]');
  const { expression } = fc.letrec<{ expression: string }>((tie) => ({
    expression: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaf,
      fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => a + b),
      fc.tuple(tie('expression'), tie('expression')).map(([a, b]) => `(?:${a}|${b})`),
      fc
        .tuple(tie('expression'), fc.constantFrom('*', '+', '?', '{2}', '{0,2}', '{1,}', '*?'))
        .map(([a, sign]) => `(${a})${sign}`),
    ),
  }));
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'A', ' '), maxLength: 8 });
  fc.assert(
    fc.property(expression, fc.array(text, { minLength: 1, maxLength: 5 }), fc.boolean(), (source, texts, isLoose) => {
      const regex = compileRegex(source, isLoose);
      fc.pre(typeof regex !== 'string');
      const reference = new RegExp(source, isLoose ? 'i' : '');
      for (const each of texts) assert.equal(regex.test(each), reference.test(each), `${source} and ${each}`);
    }),
    { seed: 11, numRuns: 3_000 },
  );
});

test('what other engines try for years takes milliseconds', () => {
  const text = `${'a'.repeat(16 * 1024)}!`;
  for (const source of ['^(a+)+$', '(a*)*b', '(a|a)*b', '(.*)*x', 'a*a*a*a*a*b', '(?:a?){120}a{120}b', '(x+x+)+y']) {
    const begun = process.cpuUsage().user;
    assert.equal(occurs(source, text), false, source);
    const spentMs = (process.cpuUsage().user - begun) / 1e3;
    assert.ok(spentMs < 1_500, `${source} took ${spentMs} ms`);
  }
});
