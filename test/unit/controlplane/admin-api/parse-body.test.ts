import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../../../../src/base/rng.ts';
import { parseBody } from '../../../../src/controlplane/admin-api/parse-body.ts';

function reasonOf(text: string): string {
  const result = parseBody(Buffer.from(text));
  assert.ok(!result.ok, text);
  return result.reason;
}

test('a body that is JSON is parsed, a key __proto__ included', () => {
  const result = parseBody(Buffer.from('{"a": [1, -2.5e3, "x\\u00e4\\n", null, true], "__proto__": {"b": 1}}'));
  assert.ok(result.ok);
  const value = result.value as Record<string, unknown>;
  assert.deepEqual(value['a'], [1, -2500, 'xä\n', null, true]);
  assert.ok(Object.hasOwn(value, '__proto__'));
  assert.equal(value['b'], undefined);
});

test('the missing comma of the Upstream document is pointed at', () => {
  const body = `
{
    "uri": "/index.html",
    "upstream": {
         "nodes": {
            "39.97.63.215:80": 1
        }
        "type": "roundrobin",
        "retries": 2
    }
}`;
  const reason = reasonOf(body);
  assert.match(
    reason,
    /^invalid request body: line 7, column 10: a comma is missing, after .*"nodes": \{ "39\.97\.63\.215:80": … \}, before "…": "…"/,
  );
  const lines = body.split('\n');
  assert.equal(lines[6]?.slice(0, 9), '        }');
});

test('each slip is told with its place and what is missing', () => {
  const rows: readonly [string, RegExp][] = [
    ['', /missing configurations: the body is empty/],
    [' \n ', /the body is empty/],
    ['{"a": 1 "b": 2}', /line 1, column 8: a comma is missing, after \{ "a": …, before "…": … \}/],
    ['[1 2]', /line 1, column 3: a comma is missing/],
    ['{"a" 1}', /line 1, column 5: a colon is missing/],
    ['{"a": 1,}', /line 1, column 9: a name is missing, or the comma before is one too many/],
    ['[1,]', /line 1, column 4: a value is missing, or the comma before is one too many/],
    ['{"a": }', /line 1, column 7: a value is missing/],
    ['{"a": 1', /line 1, column 8: a closing \} is missing, after \{ "a": …, at the end of the body/],
    ['{"a": [1', /line 1, column 9: a closing \] is missing/],
    ["{'a': 1}", /line 1, column 2: names and texts stand in double quotes/],
    [
      '{"a": roundrobin}',
      /line 1, column 7: this is no JSON value: a text stands in double quotes, after \{ "a":, before … \}/,
    ],
    ['{"a": "b}', /line 1, column 7: the closing double quote of this text is missing/],
    ['{"a": 1} {"b": 2}', /line 1, column 10: nothing may follow the end/],
    ['{"a": 1 /* why */}', /JSON has no comments/],
    ['{"a": 1} // why', /JSON has no comments/],
    ['{"a": "x\ty"}', /control character/],
    ['{"a": "\\q"}', /an escape that JSON does not know/],
    ['{"a": 01}', /line 1, column 7: a number has no leading zeros/],
    ['{"a": -01}', /line 1, column 7: a number has no leading zeros/],
    ['{"a": +1}', /line 1, column 7: a number has no \+ before it/],
    ['{"a": .5}', /line 1, column 7: a number begins with a digit/],
    ['{"a": 1.}', /line 1, column 7: this number is not complete/],
    ['{"a": 1e}', /line 1, column 7: this number is not complete/],
    ['{"a": -}', /line 1, column 7: this number is not complete/],
    ['{"a": 10s}', /line 1, column 7: this is no number: a text stands in double quotes/],
    ['{"a": 1e400}', /line 1, column 7: this number is too large/],
    ['{"a": True}', /line 1, column 7: write true, not True/],
    ['{"nodes":{}]', /line 1, column 12: a closing \} is missing/],
    ['{"nodes":[}', /line 1, column 11: a closing \] is missing/],
    ['{"a":[1}', /line 1, column 8: a closing \] is missing/],
    ['{,', /line 1, column 2: this comma is one too many/],
    ['{"a":1,,"b":2}', /line 1, column 8: this comma is one too many/],
    ['[,1]', /line 1, column 2: this comma is one too many/],
    ['{"a":,}', /line 1, column 6: a value is missing/],
    ['{"a":1}x', /line 1, column 8: nothing may follow the end/],
    ['{"a":1 : 2}', /line 1, column 8: this colon is one too many/],
    ['{"a":1 \u00a0}', /line 1, column 8: JSON does not know this blank, U\+00A0/],
    ['{"a":"x\ny"}', /line 1, column 6: the closing double quote of this text is missing; write a line break in it as/],
    [`{"${'k'.repeat(2000)}":1}`, /line 1, column 2: a key of 2000 characters/],
    ['{"ä": 1,\n"ö": "ü" "c": 1}', /line 2, column 9: a comma is missing/],
    ['a=b&c=d', /line 1, column 1: this is no JSON value/],
    ['\u00a0{}', /./],
  ];
  for (const [text, expected] of rows) assert.match(reasonOf(text), expected, text);
});

test('nothing of what texts say is in a message, also where quotes are out of step', () => {
  for (const text of [
    '{"key":"SECRET" "SECRET2"}',
    '{"username":"jack, "plugins":{"key-auth":{"key":"8841207719 SECRET"}}}',
    '{"key":{"SECRET","header":"h"}}',
    '{"key":"pa"SECRET99}',
    '{"key":"SECRET": "SECRET2"}',
    '{"key":"SECRET',
    '{"key":"SECRET\n", "b": 1}',
    '{"key":"SECRET\\q"}',
    '{"key":SECRET}',
    '{"key":SECRET123}',
    '{"key":123SECRET}',
    "{'key':'SECRET'}",
    '{"key":"x"SECRET"}',
    '{"key":"SEC"RET", "pass": "SECRET"}',
    '{"a":{"key":"SECRET"},}',
    '"SECRET',
    'SECRET=SECRET',
    '{"key":"SECRET"} "SECRET"',
  ]) {
    assert.ok(!reasonOf(text).includes('SEC'), `${text}: ${reasonOf(text)}`);
  }
});

test('what is taken for JSON is what JSON.parse takes', () => {
  const rng = seededRng(7);
  const pieces = [
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"a"',
    '"b\\n"',
    '"\\u00e4"',
    '1',
    '-0.5e2',
    '01',
    'true',
    'null',
    ' ',
    '\n',
    '"',
    'x',
  ];
  const pick = (): string => pieces[rng.below(pieces.length)] ?? '';
  const texts = Array.from({ length: 4_000 }, () => Array.from({ length: 1 + rng.below(9) }, pick).join(''));
  const sample = '{"a": [1, {"b": "x\\u00e4"}, -2.5e-3], "c": {"d": null, "e": [true, false, []]}}';
  for (let i = 0; i < 2_000; i++) {
    const at = rng.below(sample.length);
    texts.push(sample.slice(0, at) + pick() + sample.slice(at + rng.below(3)));
  }
  let good = 0;
  for (const text of texts) {
    let isJson = true;
    try {
      JSON.parse(text);
    } catch {
      isJson = false;
    }
    const result = parseBody(Buffer.from(text));
    if (isJson) good++;
    // What is refused beyond: keys that stand twice, and numbers that would become infinite.
    if (result.ok || !/stands twice|too large/.test(result.reason)) assert.equal(result.ok, isJson, text);
    if (!result.ok) assert.ok(!/undefined|NaN/.test(result.reason), result.reason);
  }
  assert.ok(good > 200, String(good));
});

test('texts that are large and no object are refused soon', () => {
  const megabytes = 10 * 1024 * 1024;
  for (const text of [
    ' '.repeat(megabytes),
    '\n'.repeat(megabytes - 20) + '{"uri":"/a" 1',
    JSON.stringify(Object.fromEntries(Array.from({ length: 700_000 }, (_, i) => [`k${i}`, 1]))),
    `[${'1,'.repeat(megabytes / 2 - 5)}1]`,
    `"${'x'.repeat(megabytes - 10)}`,
    `{"a":"${'\\u0041'.repeat(1_700_000)}`,
    '9'.repeat(megabytes),
    '{}'.repeat(megabytes / 2),
  ]) {
    const before = process.cpuUsage();
    assert.ok(!parseBody(Buffer.from(text)).ok);
    const { user } = process.cpuUsage(before);
    assert.ok(user < 1_500_000, `${text.slice(0, 20)}: ${user / 1000} ms`);
  }
});

test('keys that stand twice are told with both places', () => {
  assert.equal(
    reasonOf('{"a": 1,\n "b": [{"c": 1, "c": 2}],\n "a": 3}'),
    'the key "c" (line 2, column 17) stands twice: remove this one or that at line 2, column 9; the key "a" (line 3, column 2) stands twice: remove this one or that at line 1, column 2',
  );
});

test('nesting is bounded before anything recurses', () => {
  const deep = '['.repeat(5 * 1024 * 1024) + ']'.repeat(5 * 1024 * 1024);
  assert.match(reasonOf(deep), /line 1, column 101: nested more than 100 levels deep/);
  assert.match(reasonOf('{"a":'.repeat(200)), /nested more than 100 levels deep/);
  // Brackets in texts don't count.
  assert.ok(parseBody(Buffer.from(JSON.stringify({ a: '[{"'.repeat(500) }))).ok);
  assert.ok(parseBody(Buffer.from('['.repeat(100) + ']'.repeat(100))).ok);
});

test('a body that is no UTF-8 is told', () => {
  const result = parseBody(Buffer.from([0x7b, 0xff, 0x7d]));
  assert.deepEqual(result, { ok: false, reason: 'the body is not UTF-8 text' });
});

test('fields are found by their paths', () => {
  const text = '{\n "upstream": {"nodes ": {"127.0.0.1:80": 1}},\n "plugins": {"key-auth": {}},\n "l": [{"x.y": 1}]}';
  const result = parseBody(Buffer.from(text));
  assert.ok(result.ok);
  const { places } = result;
  const rows: readonly [string, number, number][] = [
    ['', 1, 1],
    ['upstream', 2, 2],
    ['upstream.nodes', 2, 15],
    ['upstream.nodes["127.0.0.1:80"]', 2, 26],
    ['upstream.nodes.127.0.0.1:80', 2, 26],
    // What isn't there has the place of what would hold it.
    ['upstream.type', 2, 2],
    ['uri', 1, 1],
    ['plugins.key-auth.key', 3, 14],
    ['l[0].x.y', 4, 9],
    ['l[0].x', 4, 8],
    ['l[7]', 4, 2],
  ];
  for (const [path, line, column] of rows) assert.deepEqual(places.find(path, false), { line, column }, path);
  const twice = parseBody(Buffer.from('{"nodes":{"a:80":1,"a:80 ":1}}'));
  assert.ok(twice.ok);
  assert.deepEqual(twice.places.find('nodes["a:80 "]', false), { line: 1, column: 20 });
  assert.deepEqual(twice.places.find('nodes["a:80"]', false), { line: 1, column: 11 });
  assert.equal(places.find('uri', true), undefined);
  assert.deepEqual(places.find('upstream.type', true), { line: 2, column: 2 });
});
