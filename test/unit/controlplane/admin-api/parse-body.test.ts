import assert from 'node:assert/strict';
import { test } from 'node:test';
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
    /^invalid request body: line 7, column 10: a comma is missing, after .*"39\.97\.63\.215:80": 1 \}, before "type": "roundrobin"/,
  );
  const lines = body.split('\n');
  assert.equal(lines[6]?.slice(0, 9), '        }');
});

test('each slip is told with its place and what is missing', () => {
  const rows: readonly [string, RegExp][] = [
    ['', /missing configurations: the body is empty/],
    [' \n ', /the body is empty/],
    ['{"a": 1 "b": 2}', /line 1, column 8: a comma is missing, after \{"a": 1, before "b": 2\}/],
    ['[1 2]', /line 1, column 3: a comma is missing/],
    ['{"a" 1}', /line 1, column 5: a colon is missing/],
    ['{"a": 1,}', /line 1, column 9: a name is missing, or the comma before is one too many/],
    ['[1,]', /line 1, column 4: a value is missing, or the comma before is one too many/],
    ['{"a": }', /line 1, column 7: a value is missing/],
    ['{"a": 1', /line 1, column 8: a closing \} is missing, after \{"a": 1, at the end of the body/],
    ['{"a": [1', /line 1, column 9: a closing \] is missing/],
    ["{'a': 1}", /line 1, column 2: names and texts stand in double quotes/],
    ['{"a": roundrobin}', /line 1, column 7: "roundrobin" is no JSON value: a text stands in double quotes/],
    ['{"a": "b}', /line 1, column 7: the closing double quote of this text is missing/],
    ['{"a": 1} {"b": 2}', /line 1, column 10: nothing may follow the end/],
    ['{"a": 1 /* why */}', /JSON has no comments/],
    ['{"a": 1} // why', /JSON has no comments/],
    ['{"a": "x\ty"}', /control character/],
    ['{"a": "\\q"}', /an escape that JSON does not know/],
    ['{"a": 01}', /line 1, column \d/],
    ['{"a": +1}', /line 1, column 7/],
    ['{"ä": 1,\n"ö": "ü" "c": 1}', /line 2, column 9: a comma is missing/],
    ['a=b&c=d', /line 1, column 1: "a=b&c=d" is no JSON value/],
    ['\u00a0{}', /./],
  ];
  for (const [text, expected] of rows) assert.match(reasonOf(text), expected, text);
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
  assert.equal(places.find('uri', true), undefined);
  assert.deepEqual(places.find('upstream.type', true), { line: 2, column: 2 });
});
