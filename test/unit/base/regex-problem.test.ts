import assert from 'node:assert/strict';
import { test } from 'node:test';
import { regexProblem } from '../../../src/base/regex-problem.ts';

test('what is taken', () => {
  for (const source of ['', '^/api/v[0-9]+/', '(?i)chrome|firefox', 'größe', '^a{1,250}$', '\\/path\\-x', '[^/]+$']) {
    assert.equal(regexProblem(source), undefined, source);
  }
});

test('what is refused, and what it is called', () => {
  const rows: [source: string, problem: RegExp][] = [
    ['(', /a \( without its \) \(at character 1\)/],
    ['a)', /a \) without its \( \(at character 2\)/],
    ['(a', /a \( without its \)/],
    ['[a', /a \[ without its \]/],
    ['[]', /a \[ without its \]/],
    ['a\\', /a backslash at the end/],
    ['*a', /nothing before it to repeat/],
    ['a|+', /nothing before it to repeat/],
    ['a**', /nothing before it to repeat/],
    ['{2}', /nothing before it to repeat/],
    ['a{3,2}', /wrong way round/],
    ['[b-a]', /a range in a class/],
    ['[a-\\d]', /a range in a class/],
    ['[[:foo:]]', /no class \[:foo:\]/],
    ['a*+', /possessive/],
    ['(?=a)', /look-around is not supported/],
    ['^/(?!admin)', /look-around.*further condition, with "!"/],
    ['(?<=a)b', /look-around/],
    ['(?<!a)b', /look-around/],
    ['(?>a)', /groups that begin with \(\?>/],
    ['(?m)a', /groups that begin with \(\?m/],
    ['(?#x)', /groups that begin with \(\?#/],
    ['(*SKIP)', /verbs/],
    ['(a)\\1', /back references/],
    ['\\Qa\\E', /\\Q is not supported/],
    ['\\u0041', /\\u is not supported/],
    ['\\0', /\\0 is not supported/],
    ['\\p{L}', /\\p is not supported/],
    ['a{1100}', /too large: more than 512 steps/],
    ['((a{100}){100}){100}', /too large/],
    ['a{100000}', /too large: a quantifier of more than 65535 \(at character/],
    ['a{1,1000000}', /too large: a quantifier of more than 65535/],
    ['a{999999999,}', /too large: a quantifier of more than 65535/],
    ['{123456}', /nothing before it to repeat/],
    ['(((){9999}){9999}){9999}', /too large/],
    ['a'.repeat(5_000), /longer than 4096 bytes/],
    ['('.repeat(60) + ')'.repeat(60), /more than 50 groups within each other/],
  ];
  for (const [source, problem] of rows) assert.match(regexProblem(source) ?? 'taken', problem, source.slice(0, 40));
});
