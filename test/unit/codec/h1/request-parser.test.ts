import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RequestHead } from '../../../../src/codec/exchange.ts';
import { DEFAULT_LIMITS } from '../../../../src/codec/limits.ts';
import { type H1Event, eachByte, parseRequests } from '../../../support/h1-script.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

function post(fields: string, body = ''): string {
  return `POST /x HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\n${body}`;
}

function chunked(body: string): string {
  return post('Transfer-Encoding: chunked', body);
}

const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

function upgrade(fields: string, protocols = 'websocket', connection = 'Upgrade'): string {
  return `GET /ws HTTP/1.1\r\nHost: a\r\nConnection: ${connection}\r\nUpgrade: ${protocols}\r\n${fields}\r\n`;
}

/** Refused inputs: id of the bad-input catalogue, bytes, kind. */
const REFUSED: readonly (readonly [string, string, string])[] = [
  ['cl-te-both', post('Content-Length: 5\r\nTransfer-Encoding: chunked', '0\r\n\r\n'), 'bad_request'],
  ['te-cl-both', post('Transfer-Encoding: chunked\r\nContent-Length: 5', '0\r\n\r\n'), 'bad_request'],
  ['dup-cl-diff', post('Content-Length: 5\r\nContent-Length: 2', 'hello'), 'bad_request'],
  ['dup-cl-same', post('Content-Length: 5\r\nContent-Length: 5', 'hello'), 'bad_request'],
  ['cl-list-diff', post('Content-Length: 5, 6', 'hello'), 'bad_request'],
  ['cl-list-same', post('Content-Length: 5, 5', 'hello'), 'bad_request'],
  ['cl-plus', post('Content-Length: +5', 'hello'), 'bad_request'],
  ['cl-minus', post('Content-Length: -5', 'hello'), 'bad_request'],
  ['cl-hex', post('Content-Length: 0x5', 'hello'), 'bad_request'],
  ['cl-exponent', post('Content-Length: 1e1', 'hello'), 'bad_request'],
  ['cl-underscore', post('Content-Length: 0_5', 'hello'), 'bad_request'],
  ['cl-sp-inside', post('Content-Length: 5 0', 'hello'), 'bad_request'],
  ['cl-empty', post('Content-Length:', 'hello'), 'bad_request'],
  ['cl-overflow-64', post('Content-Length: 18446744073709551621', 'hello'), 'bad_request'],
  ['cl-overflow-53', post('Content-Length: 9007199254740993', 'hello'), 'bad_request'],
  ['cl-zeros', post('Content-Length: 005', 'hello'), 'bad_request'],
  ['cl-sp-before-colon', post('Content-Length : 5', 'hello'), 'bad_request'],
  ['cl-tab-before-colon', post('Content-Length\t: 5', 'hello'), 'bad_request'],
  ['cl-lead-sp-line', post(' Content-Length: 5', 'hello'), 'bad_request'],
  ['hdr1-lead-sp', 'GET / HTTP/1.1\r\n Host: a\r\n\r\n', 'bad_request'],
  ['te-sp-before-colon', post('Transfer-Encoding : chunked', '0\r\n\r\n'), 'bad_request'],
  ['te-vtab', post('Transfer-Encoding: \vchunked\r\nContent-Length: 5', 'hello'), 'bad_request'],
  ['te-nul', post('Transfer-Encoding: chunked\0\r\nContent-Length: 5', 'hello'), 'bad_request'],
  ['te-trail-comma', post('Transfer-Encoding: chunked,', '0\r\n\r\n'), 'bad_request'],
  ['te-lead-comma', post('Transfer-Encoding: ,chunked', '0\r\n\r\n'), 'bad_request'],
  ['te-empty', post('Transfer-Encoding:', '0\r\n\r\n'), 'bad_request'],
  ['te-dup', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', '0\r\n\r\n'), 'bad_request'],
  ['te-twice', post('Transfer-Encoding: chunked, chunked', '0\r\n\r\n'), 'bad_request'],
  ['te-dup-identity', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity', ''), 'bad_request'],
  ['te-identity', post('Transfer-Encoding: identity', ''), 'bad_request'],
  ['te-gzip-chunked', post('Transfer-Encoding: gzip, chunked', '0\r\n\r\n'), 'not_implemented'],
  ['te-chunked-gzip', post('Transfer-Encoding: chunked, gzip', '0\r\n\r\n'), 'bad_request'],
  ['te-gzip', post('Transfer-Encoding: gzip', ''), 'bad_request'],
  ['te-obsfold', post('Transfer-Encoding:\r\n chunked\r\nContent-Length: 5', 'hello'), 'bad_request'],
  ['te-http10', 'POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n', 'bad_request'],
  ['te-quoted', post('Transfer-Encoding: "chunked"\r\nContent-Length: 5', 'hello'), 'bad_request'],
  ['te-quoted-alone', post('Transfer-Encoding: "chunked"', ''), 'bad_request'],
  ['te-param', post('Transfer-Encoding: chunked;a=b', ''), 'bad_request'],
  ['te-prefix', post('Transfer-Encoding: xchunked', ''), 'bad_request'],
  ['te-bare-lf-inject', post('X: y\nTransfer-Encoding: chunked\r\nContent-Length: 5', 'hello'), 'bad_request'],
  ['te-bare-cr-inject', post('X: y\rTransfer-Encoding: chunked\r\nContent-Length: 5', 'hello'), 'bad_request'],
  ['obs-fold', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n', 'bad_request'],
  ['obs-fold-tab', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n', 'bad_request'],
  ['bare-lf', 'GET / HTTP/1.1\nHost: a\n\n', 'bad_request'],
  ['bare-lf-end', 'GET / HTTP/1.1\r\nHost: a\r\n\n', 'bad_request'],
  ['bare-lf-line', 'GET / HTTP/1.1\nHost: a\r\n\r\n', 'bad_request'],
  ['cr-in-value', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n', 'bad_request'],
  ['cr-cr-lf', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\r\r\n\r\n', 'bad_request'],
  ['nul-in-value', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n', 'bad_request'],
  ['del-in-value', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n', 'bad_request'],
  ['nul-in-name', 'GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n', 'bad_request'],
  ['empty-name', 'GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n', 'bad_request'],
  ['no-colon', 'GET / HTTP/1.1\r\nHost: a\r\nXy\r\n\r\n', 'bad_request'],
  ['bad-name-char', 'GET / HTTP/1.1\r\nHost: a\r\nX(y): z\r\n\r\n', 'bad_request'],
  ['hibit-name', 'GET / HTTP/1.1\r\nHost: a\r\nX\xe9: z\r\n\r\n', 'bad_request'],
  ['no-host', 'GET / HTTP/1.1\r\n\r\n', 'bad_request'],
  ['dup-host', 'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n', 'bad_request'],
  ['dup-host-10', 'GET / HTTP/1.0\r\nHost: a\r\nhOST: b\r\n\r\n', 'bad_request'],
  ['empty-host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', 'bad_request'],
  ['host-userinfo', 'GET / HTTP/1.1\r\nHost: u@a\r\n\r\n', 'bad_request'],
  ['host-slash', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 'bad_request'],
  ['host-space', 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n', 'bad_request'],
  ['host-port-word', 'GET / HTTP/1.1\r\nHost: a:b\r\n\r\n', 'bad_request'],
  ['host-port-large', 'GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n', 'bad_request'],
  ['host-v6-open', 'GET / HTTP/1.1\r\nHost: [::1\r\n\r\n', 'bad_request'],
  ['host-v6-bad', 'GET / HTTP/1.1\r\nHost: [1:2]\r\n\r\n', 'bad_request'],
  ['host-v6-junk', 'GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n', 'bad_request'],
  ['host-percent', 'GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n', 'bad_request'],
  ['host-port-only', 'GET / HTTP/1.1\r\nHost: :80\r\n\r\n', 'bad_request'],
  ['host-list', 'GET / HTTP/1.1\r\nHost: a, b\r\n\r\n', 'bad_request'],
  ['host-backslash', 'GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n', 'bad_request'],
  ['host-hibit', 'GET / HTTP/1.1\r\nHost: \xe9\r\n\r\n', 'bad_request'],
  ['abs-mismatch', 'GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['abs-no-host', 'GET http://b/ HTTP/1.1\r\n\r\n', 'bad_request'],
  ['abs-userinfo', 'GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['abs-empty-host', 'GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['abs-other-scheme', 'GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['no-slash', 'GET x HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['uri-star-get', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['uri-frag', 'GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['uri-space', 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['uri-hibit', 'GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['uri-del', 'GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['path-percent', 'GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['path-percent-end', 'GET /a% HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['path-nul', 'GET /a%00 HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['path-backslash', 'GET /a\\..\\b HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['path-climbs', 'GET /a/../../b HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['path-climbs-encoded', 'GET /%2e%2E/b HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['path-climbs-absolute', 'GET http://a/../b HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['connect', 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n', 'method_not_allowed'],
  ['trace', 'TRACE / HTTP/1.1\r\nHost: a\r\n\r\n', 'method_not_allowed'],
  ['tab-line', 'GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['two-spaces', 'GET  / HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['two-spaces-version', 'GET /  HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['trail-sp-line', 'GET / HTTP/1.1 \r\nHost: a\r\n\r\n', 'bad_request'],
  ['lead-sp-line', ' GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['http09', 'GET /\r\n\r\n', 'bad_request'],
  ['http12', 'GET / HTTP/1.2\r\nHost: a\r\n\r\n', 'version_not_supported'],
  ['http20', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', 'version_not_supported'],
  ['http00', 'GET / HTTP/0.9\r\nHost: a\r\n\r\n', 'version_not_supported'],
  ['http-1.10', 'GET / HTTP/1.10\r\nHost: a\r\n\r\n', 'bad_request'],
  ['http-lower', 'GET / http/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['http-no-minor', 'GET / HTTP/1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['http-comma', 'GET / HTTP/1,1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['method-bad', 'G@T / HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['method-none', '/ HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['h2-preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'bad_request'],
  ['tls-hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'bad_request'],
  [
    'garbage',
    Array.from({ length: 512 }, (_, i) => String.fromCharCode((i * 167 + 131) % 256)).join(''),
    'bad_request',
  ],
  ['garbage-high', '\xe9\x80'.repeat(20), 'bad_request'],
  ['garbage-punctuation', '"GET', 'bad_request'],
  ['chunk-plus', chunked('+2\r\nab\r\n0\r\n\r\n'), 'bad_request'],
  ['chunk-minus', chunked('-2\r\nab\r\n0\r\n\r\n'), 'bad_request'],
  ['chunk-0x', chunked('0x2\r\nab\r\n0\r\n\r\n'), 'bad_request'],
  ['chunk-lead-sp', chunked(' 2\r\nab\r\n0\r\n\r\n'), 'bad_request'],
  ['chunk-trail-sp', chunked('2 \r\nab\r\n0\r\n\r\n'), 'bad_request'],
  ['chunk-empty-size', chunked('\r\nab\r\n0\r\n\r\n'), 'bad_request'],
  ['chunk-overflow', chunked('10000000000000002\r\nab\r\n0\r\n\r\n'), 'bad_request'],
  ['chunk-overflow-53', chunked('20000000000000\r\nab\r\n0\r\n\r\n'), 'bad_request'],
  ['chunk-zeros', chunked('00000000000000002\r\nab\r\n0\r\n\r\n'), 'bad_request'],
  ['chunk-bare-lf-size', chunked('2\nab\r\n0\r\n\r\n'), 'bad_request'],
  ['chunk-bare-cr-size', chunked('2\rab\r\n0\r\n\r\n'), 'bad_request'],
  ['chunk-no-crlf-data', chunked('2\r\nab0\r\n\r\n'), 'bad_request'],
  ['chunk-lf-data', chunked('2\r\nab\n0\r\n\r\n'), 'bad_request'],
  ['chunk-bad-after', chunked('2\r\nabcd\r\n0\r\n\r\n'), 'bad_request'],
  ['chunk-ext-lf', chunked('2;\nxx\r\nab\r\n0\r\n\r\n'), 'bad_request'],
  ['chunk-ext-cr', chunked('2;a\rb\r\nab\r\n0\r\n\r\n'), 'bad_request'],
  ['chunk-ext-nul', chunked('2;\0\r\nab\r\n0\r\n\r\n'), 'bad_request'],
  ['chunk-ext-empty', chunked('2;\r\nab\r\n0\r\n\r\n'), 'bad_request'],
  ['chunk-ext-quote-lf', chunked('2;a="\n"\r\nab\r\n0\r\n\r\n'), 'bad_request'],
  ['chunk-ext-long', chunked(`2;${'a'.repeat(1100)}\r\nab\r\n0\r\n\r\n`), 'content_too_large'],
  ['chunk-last-lf', chunked('0\n\n'), 'bad_request'],
  ['chunk-end-lf', chunked('0\r\n\n'), 'bad_request'],
  ['trailer-fold', chunked('0\r\nX: a\r\n b\r\n\r\n'), 'bad_request'],
  ['trailer-lf', chunked('0\r\nX: a\n\r\n'), 'bad_request'],
  ['trailer-no-colon', chunked('0\r\nX\r\n\r\n'), 'bad_request'],
  ['trailer-large', chunked(`0\r\nX: ${'a'.repeat(8200)}\r\n\r\n`), 'headers_too_large'],
  ['trailer-many', chunked(`0\r\n${'X: a\r\n'.repeat(33)}\r\n`), 'headers_too_large'],
  ['expect-unknown', post('Expect: foo\r\nContent-Length: 5', 'hello'), 'expectation_failed'],
  ['te-nbsp', post('Transfer-Encoding: \xa0chunked', '0\r\n\r\n'), 'bad_request'],
  ['ws-no-key', upgrade(''), 'bad_request'],
  ['ws-two-keys', upgrade(`${KEY}${KEY}`), 'bad_request'],
  ['ws-short-key', upgrade('Sec-WebSocket-Key: c2hvcnQ=\r\n'), 'bad_request'],
  ['ws-long-key', upgrade('Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQABAg==\r\n'), 'bad_request'],
  ['ws-key-bits', upgrade('Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n'), 'bad_request'],
  ['ws-key-nominated', upgrade(`${KEY}Connection: sec-websocket-key\r\n`), 'bad_request'],
  ['ws-body', upgrade(`${KEY}Content-Length: 1\r\n`) + 'x', 'bad_request'],
  ['ws-chunked', upgrade(`${KEY}Transfer-Encoding: chunked\r\n`) + '0\r\n\r\n', 'bad_request'],
  ['expect-two', post('Expect: 100-continue\r\nExpect: foo\r\nContent-Length: 5', 'hello'), 'expectation_failed'],
  ['hdr-100k', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(100_000)}\r\n\r\n`, 'headers_too_large'],
  ['hdrs-150', `GET / HTTP/1.1\r\nHost: a\r\n${'X: a\r\n'.repeat(150)}\r\n`, 'headers_too_large'],
  ['hdrs-3000', `GET / HTTP/1.1\r\nHost: a\r\n${'X: a\r\n'.repeat(3000)}\r\n`, 'headers_too_large'],
  ['line-long', `GET /${'a'.repeat(8300)} HTTP/1.1\r\nHost: a\r\n\r\n`, 'uri_too_long'],
  ['line-endless', `GET /${'a'.repeat(20_000)}`, 'uri_too_long'],
  ['empty-lines', `${'\r\n'.repeat(5)}${GET}`, 'bad_request'],
  ['empty-line-cr', `\r${GET}`, 'bad_request'],
  ['empty-line-lf', `\n${GET}`, 'bad_request'],
];

function fault(events: readonly H1Event[]): string | undefined {
  const last = events.at(-1);
  return last && 'fault' in last ? last.fault : undefined;
}

function heads(events: readonly H1Event[]): RequestHead[] {
  return events.flatMap((event) => ('head' in event ? [event.head as RequestHead] : []));
}

function one(text: string): RequestHead {
  const events = parseRequests(text);
  assert.equal(fault(events), undefined, JSON.stringify(events.at(-1)));
  const [head] = heads(events);
  assert.ok(head);
  return head;
}

describe('what is refused, delivered four ways', () => {
  for (const [id, text, kind] of REFUSED) {
    test(id, () => {
      const whole = parseRequests(text);
      assert.equal(fault(whole), kind);
      assert.deepEqual(parseRequests(text, eachByte(text.length)), whole, 'one byte at a time');
      const step = Math.max(1, Math.floor(text.length / 200));
      for (let cut = 1; cut < text.length; cut += step)
        assert.deepEqual(parseRequests(text, [cut]), whole, `cut at ${cut}`);
      const glued = parseRequests(GET + text);
      assert.equal(heads(glued)[0]?.path, '/');
      // Empty lines before the first head and before a later one are the same; a broken one is refused there too.
      assert.equal(fault(glued), kind);
    });
  }
});

describe('what is served', () => {
  test('the head of a plain request', () => {
    assert.deepEqual(
      parseRequests('GET /a?b=c HTTP/1.1\r\nhOsT: a.b:80\r\nAccept:*/*\r\nX-Empty:\r\nX-Pad: \t v w\t \r\n\r\n'),
      [
        {
          head: {
            method: 'GET',
            scheme: 'http',
            authority: 'a.b:80',
            path: '/a?b=c',
            protocol: '',
            version: 11,
            fields: ['Accept', '*/*', 'X-Empty', '', 'X-Pad', 'v w'],
            neverIndexed: undefined,
            contentLength: -1,
          },
          endStream: true,
        },
      ],
    );
  });

  test('te-trail-tab: white space around chunked means nothing', () => {
    const events = parseRequests(post('Transfer-Encoding: chunked\t', '2\r\nab\r\n0\r\n\r\n'));
    assert.deepEqual(events.slice(1), [{ data: 'ab' }, { end: true }]);
    assert.deepEqual(heads(events)[0]?.fields, []);
    assert.equal(fault(parseRequests(post('Transfer-Encoding: ChUnKeD', '0\r\n\r\n'))), undefined);
  });

  test('proto-header: names of Object.prototype are plain', () => {
    const head = one('GET / HTTP/1.1\r\nHost: a\r\n__proto__: x\r\nconstructor: y\r\nhasOwnProperty: z\r\n\r\n');
    assert.deepEqual(head.fields, ['__proto__', 'x', 'constructor', 'y', 'hasOwnProperty', 'z']);
    assert.equal(({} as Record<string, unknown>)['x'], undefined);
  });

  test('obs-text in values is kept byte for byte', () => {
    const value = Array.from({ length: 128 }, (_, index) => String.fromCharCode(128 + index)).join('');
    assert.deepEqual(one(`GET / HTTP/1.1\r\nHost: a\r\nX: ${value}\r\n\r\n`).fields, ['X', value]);
  });

  test('method-lower and method-unknown are methods of their own', () => {
    assert.equal(one('get / HTTP/1.1\r\nHost: a\r\n\r\n').method, 'get');
    assert.equal(one('FROB / HTTP/1.1\r\nHost: a\r\n\r\n').method, 'FROB');
  });

  test('targets: absolute form, asterisk, query without a path', () => {
    assert.equal(one('GET http://A:80/b?c HTTP/1.1\r\nHost: a\r\n\r\n').path, '/b?c');
    assert.equal(one('GET http://a HTTP/1.1\r\nHost: a\r\n\r\n').path, '/');
    assert.equal(one('GET HTTP://a?q HTTP/1.1\r\nHost: a\r\n\r\n').path, '/?q');
    assert.equal(one('OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n').path, '*');
    assert.equal(one('OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n').path, '*');
    assert.equal(one('GET http://b:81/ HTTP/1.0\r\n\r\n').authority, 'b:81');
    assert.equal(one('GET / HTTP/1.0\r\n\r\n').authority, '');
    assert.equal(one('GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n').authority, '[::1]:8080');
  });

  test('hop-by-hop fields and what Connection names are gone', () => {
    const head = one(
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Secret, te\r\nX-Secret: s\r\nx-secret: t\r\nKeep-Alive: timeout=5\r\n' +
        'Proxy-Connection: x\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nTE: gzip, Trailers\r\nTE: trailers\r\nX: y\r\n\r\n',
    );
    assert.deepEqual(head.fields, ['TE', 'trailers', 'X', 'y']);
    assert.equal(head.protocol, '');
    assert.deepEqual(one('GET / HTTP/1.1\r\nHost: a\r\nTE: gzip\r\n\r\n').fields, []);
  });

  test('who called, as proxies before this one told, is not nominated away', () => {
    for (const name of ['X-Forwarded-For', 'Forwarded', 'Via', 'X-Real-IP', 'X-Forwarded-Client-Cert']) {
      const { fields } = one(
        `GET / HTTP/1.1\r\nHost: a\r\nConnection: close, ${name}, X\r\n${name}: b\r\nX: y\r\n\r\n`,
      );
      assert.deepEqual(fields, [name, 'b']);
    }
  });

  test('conn-strip-cl: framing and Host are not nominated away', () => {
    const events = parseRequests(post('Connection: Content-Length, host\r\nContent-Length: 5', 'hello'));
    assert.deepEqual(heads(events)[0]?.fields, ['Content-Length', '5']);
    assert.equal(heads(events)[0]?.authority, 'a');
    assert.deepEqual(events.slice(1), [{ data: 'hello' }, { end: true }]);
    const both = parseRequests(
      post('Connection: transfer-encoding\r\nTransfer-Encoding: chunked', '2\r\nab\r\n0\r\n\r\n'),
    );
    assert.deepEqual(both.slice(1), [{ data: 'ab' }, { end: true }]);
  });

  test('100-continue is taken off the head', () => {
    assert.deepEqual(one(post('Expect: 100-Continue\r\nContent-Length: 1', 'x')).fields, ['Content-Length', '1']);
    // RFC 9110 section 10.1.1: HTTP/1.0 knows no expectations.
    assert.deepEqual(one('POST / HTTP/1.0\r\nExpect: foo\r\nContent-Length: 0\r\n\r\n').fields, [
      'Content-Length',
      '0',
    ]);
  });

  test('bodies of any method are framed; pipelined requests come in order', () => {
    for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS']) {
      const text = `${method} /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello${GET}\r\n${GET}`;
      const events = parseRequests(text);
      assert.deepEqual(
        heads(events).map((head) => head.path),
        ['/1', '/', '/'],
      );
      assert.deepEqual(events.slice(1, 3), [{ data: 'hello' }, { end: true }]);
      assert.deepEqual(parseRequests(text, eachByte(text.length)), events);
    }
  });

  test('chunks, extensions and trailers', () => {
    const text =
      chunked(
        '2;a=b;c="d \\" e";f\r\nab\r\nA\r\n0123456789\r\n000;x\r\nX-T: 1\r\nContent-Length: 9\r\nHost: b\r\nY: 2\r\n\r\n',
      ) + GET;
    const events = parseRequests(text);
    assert.deepEqual(events.slice(1, 3), [{ data: 'ab0123456789' }, { trailers: ['X-T', '1', 'Y', '2'] }]);
    assert.equal(heads(events).length, 2);
    assert.deepEqual(parseRequests(text, eachByte(text.length)), events);
    assert.deepEqual(parseRequests(chunked('0\r\nHost: b\r\n\r\n')).slice(1), [{ end: true }]);
  });

  test('a path has one spelling, in every form of the target', () => {
    const path = (target: string): string => one(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`).path;
    assert.equal(path('/a/./b/../%7euser/%c3?x=/../%7e'), '/a/~user/%C3?x=/../%7e');
    assert.equal(path('http://a/b/../c'), '/c');
    assert.equal(path('http://a/.'), '/');
    assert.equal(path('http://a?/../b'), '/?/../b');
    assert.equal(path('//a//b/'), '//a//b/');
    assert.equal(path('/a%2Fb%5c;p'), '/a%2Fb%5C;p');
    assert.equal(path('/?a\\b%zz%00'), '/?a\\b%zz%00');
  });

  test('only SP and HTAB are white space: 0xA0 belongs to the word', () => {
    const fields = (text: string): readonly string[] => one(`GET / HTTP/1.1\r\nHost: a\r\n${text}\r\n\r\n`).fields;
    assert.deepEqual(fields('Connection: \xa0x-a, \tx-b\r\nX-A: 1\r\nX-B: 2'), ['X-A', '1']);
    assert.deepEqual(fields('TE: gzip,\xa0trailers'), []);
    assert.equal(one(upgrade('', '\xa0websocket')).protocol, '');
  });

  test('an upgrade to websocket is named in the head; every other one is dropped', () => {
    const head = one(upgrade(`${KEY}Sec-WebSocket-Version: 13\r\n`));
    assert.equal(head.protocol, 'websocket');
    assert.deepEqual(head.fields, ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version', '13']);
    assert.equal(one(upgrade(KEY, 'WebSocket', 'keep-alive, upgrade')).protocol, 'websocket');
    assert.equal(one(upgrade(KEY, 'h2c, websocket')).protocol, 'websocket');
    assert.equal(one(upgrade(`${KEY}Upgrade: h2c\r\n`)).protocol, 'websocket');
    assert.equal(one(upgrade(`${KEY}Content-Length: 0\r\n`)).protocol, 'websocket');
    // Not asked for hop by hop, of another name, in HTTP/1.0 (RFC 9110 section 7.8), or by a method that RFC 6455 doesn't know.
    for (const text of [
      upgrade('', 'websocket', 'close'),
      upgrade('', 'websockets'),
      upgrade('', 'h2c'),
      upgrade(KEY).replace('HTTP/1.1', 'HTTP/1.0'),
      upgrade(KEY).replace('GET', 'POST'),
      upgrade(KEY).replace('Upgrade: websocket\r\n', ''),
    ]) {
      const plain = one(text);
      assert.equal(plain.protocol, '', text);
      assert.ok(!plain.fields.some((name) => /^(?:upgrade|connection)$/i.test(name)), text);
    }
  });

  test('trailers: what Connection names and what no trailer may be are gone', () => {
    const events = parseRequests(
      post(
        'Transfer-Encoding: chunked\r\nConnection: X-Hop',
        '0\r\nX-Hop: 1\r\nX-T: 2\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=x\r\nVia: 1.1 x\r\nTransfer-Encoding: chunked\r\n\r\n',
      ) + chunked('0\r\nx-hop: 3\r\n\r\n'),
    );
    assert.deepEqual(
      events.flatMap((event) => ('trailers' in event ? [event.trailers] : [])),
      [
        ['X-T', '2'],
        ['x-hop', '3'],
      ],
    );
  });

  test('a head that comes byte by byte costs linear time', () => {
    const head = (bytes: number): string => `GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(bytes)}\r\n\r\n`;
    const limits = { ...DEFAULT_LIMITS, requestHeadBytes: 1 << 20 };
    const events = parseRequests(head(200_000), eachByte(200_100), limits);
    assert.equal(heads(events).length, 1);
  });
});
