import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DEFAULT_LIMITS } from '../../../../src/codec/limits.ts';
import { type H1Event, eachByte, parseRequests } from '../../../support/h1-script.ts';

function chunked(body: string): string {
  return `POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${body}`;
}

function fault(events: readonly H1Event[]): string | undefined {
  const last = events.at(-1);
  return last && 'fault' in last ? last.fault : undefined;
}

describe('limits hold at n - 1 and n and break at n + 1', () => {
  const limits = {
    ...DEFAULT_LIMITS,
    requestHeadBytes: 200,
    requestLineBytes: 60,
    headFields: 5,
    trailerBytes: 100,
    trailerFields: 4,
    chunkExtensionBytes: 50,
  };
  const pad = (frame: string, bytes: number): string => frame.replace('~', 'a'.repeat(bytes - frame.length + 1));
  const headEnd = chunked('').length;
  const cases: readonly (readonly [string, number, string, (n: number) => string])[] = [
    // Everything from the method to the blank line's CRLF.
    ['head bytes', 200, 'headers_too_large', (n) => pad('GET / HTTP/1.1\r\nHost: a\r\nX: ~\r\n\r\n', n)],
    // Without its CRLF, and without the empty lines before it.
    ['line bytes', 60, 'uri_too_long', (n) => `\r\n${pad('GET /~ HTTP/1.1', n)}\r\nHost: a\r\n\r\n`],
    ['line bytes, a method', 60, 'uri_too_long', (n) => `${pad('~ / HTTP/1.1', n)}\r\nHost: a\r\n\r\n`],
    // Field lines, those that are dropped too.
    [
      'fields',
      5,
      'headers_too_large',
      (n) => `GET / HTTP/1.1\r\nHost: a\r\nConnection: X\r\nKeep-Alive: 5\r\n${'X: a\r\n'.repeat(n - 3)}\r\n`,
    ],
    // From the first name to the blank line's CRLF.
    ['trailer bytes', 100, 'headers_too_large', (n) => chunked(`0\r\n${pad('X: ~\r\n\r\n', n)}`)],
    ['trailer fields', 4, 'headers_too_large', (n) => chunked(`0\r\n${'Host: a\r\n'.repeat(n)}\r\n`)],
    // From each semicolon to the CR, which isn't counted; over the whole message.
    ['extension bytes', 50, 'content_too_large', (n) => chunked(`1${pad(';~', n)}\r\na\r\n0\r\n\r\n`)],
    [
      'extension bytes of two chunks',
      50,
      'content_too_large',
      (n) => chunked(`1;a="\\"b"\r\na\r\n0${pad(';~', n - 8)}\r\n\r\n`),
    ],
  ];
  for (const [name, limit, kind, build] of cases) {
    test(name, () => {
      for (const n of [limit - 1, limit, limit + 1]) {
        const text = build(n);
        for (const cuts of [[], eachByte(text.length), [headEnd]]) {
          const events = parseRequests(text, cuts, limits);
          assert.equal(fault(events), n > limit ? kind : undefined, `${n}: ${text}`);
          if (n <= limit) assert.equal(events.filter((event) => 'head' in event).length, 1);
        }
      }
      assert.equal(fault(parseRequests(build(limit + 1))), undefined, 'the default is larger');
    });
  }

  test('the defaults', () => {
    const parts: readonly (readonly [string, number, string, (n: number) => string])[] = [
      ['head bytes', 16_384, 'headers_too_large', (n) => pad('GET / HTTP/1.1\r\nHost: a\r\nX: ~\r\n\r\n', n)],
      ['line bytes', 8192, 'uri_too_long', (n) => `${pad('GET /~ HTTP/1.1', n)}\r\nHost: a\r\n\r\n`],
      ['fields', 100, 'headers_too_large', (n) => `GET / HTTP/1.1\r\nHost: a\r\n${'X: a\r\n'.repeat(n - 1)}\r\n`],
      ['trailer bytes', 8192, 'headers_too_large', (n) => chunked(`0\r\n${pad('X: ~\r\n\r\n', n)}`)],
      ['trailer fields', 32, 'headers_too_large', (n) => chunked(`0\r\n${'X: a\r\n'.repeat(n)}\r\n`)],
      ['extension bytes', 1024, 'content_too_large', (n) => chunked(`1${pad(';~', n)}\r\na\r\n0\r\n\r\n`)],
    ];
    for (const [name, limit, kind, build] of parts) {
      for (const n of [limit - 1, limit, limit + 1]) {
        const text = build(n);
        const expected = n > limit ? kind : undefined;
        assert.equal(fault(parseRequests(text)), expected, `${name} ${n}`);
        assert.equal(fault(parseRequests(text, eachByte(text.length))), expected, `${name} ${n}, byte by byte`);
      }
    }
  });
});
