import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeFirstLine } from '../../../src/downstream/first-line.ts';

function judge(text: string): string {
  const bytes = Buffer.from(text, 'latin1');
  return judgeFirstLine(bytes, bytes.length);
}

for (const line of [
  'GET / HTTP/1.1\r\n',
  'GET /\r\n',
  'GET / FOO\r\n',
  'GET foo HTTP/1.1\r\n',
  'GET foo http/9\r\n',
  'OPTIONS * HTTP/1.1\r\n',
  'GET http://a/ HTTP/1.1\r\n',
  'CONNECT a:443 HTTP/1.1\r\n',
  'G@T a b\r\n',
  'GET a b HTTP/1.1\r\n',
  'GET\t/\tHTTP/1.1\r\n',
  'HELLO\r\n',
  ' x y\r\n',
  '\r\nGET / HTTP/1.1\r\n',
  'HELLO THERE\r\n',
  'HELLO THERE YOU ALL\r\n',
  'HELLO THERE YOU\n',
  '\x00\x01\x02',
  'A'.repeat(64),
]) {
  test(`HTTP/1 is to judge ${JSON.stringify(line)}`, () => assert.equal(judge(line), 'http1'));
}

test('a wrong preface is none of HTTP/1, whatever its pieces', () => {
  const line = 'INVALID CONNECTION PREFACE\r\n\r\n';
  assert.equal(judge(line), 'other');
  for (let length = 1; length <= 26; length++)
    assert.equal(judge(line.slice(0, length)), 'unknown', line.slice(0, length));
  assert.equal(judge('PRI * HTTP/2.1\r\n'), 'http1');
});

test('what may still be a request is held, and no longer than a target shows', () => {
  for (const piece of ['G', 'GET', 'GET ', 'GET foo', 'GET foo ', 'GET foo HT']) assert.equal(judge(piece), 'unknown');
  assert.equal(judge('GET /'), 'http1');
});
