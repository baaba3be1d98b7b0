import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ResponseHead } from '../../../../src/codec/exchange.ts';
import { DEFAULT_LIMITS } from '../../../../src/codec/limits.ts';
import { eachByte, parseResponse } from '../../../support/h1-script.ts';

const UPGRADED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

const REFUSED: readonly (readonly [string, string, string?, string?])[] = [
  ['cl and te', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['two cl', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n'],
  ['cl list', 'HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n'],
  ['cl zeros', 'HTTP/1.1 200 OK\r\nContent-Length: 005\r\n\r\n'],
  ['te gzip', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n', 'not_implemented'],
  ['te identity', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n'],
  ['te in 1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['two te', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['fold', 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n'],
  ['space before colon', 'HTTP/1.1 200 OK\r\nX : a\r\n\r\n'],
  ['bare lf', 'HTTP/1.1 200 OK\nX: a\n\n'],
  ['bare cr', 'HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n'],
  ['nul', 'HTTP/1.1 200 OK\r\nX: \0\r\n\r\n'],
  ['empty name', 'HTTP/1.1 200 OK\r\n: a\r\n\r\n'],
  ['empty line first', '\r\nHTTP/1.1 200 OK\r\n\r\n'],
  ['version 2.0', 'HTTP/2.0 200 OK\r\n\r\n'],
  ['version 1.2', 'HTTP/1.2 200 OK\r\n\r\n'],
  ['status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
  ['status below 100', 'HTTP/1.1 099 OK\r\n\r\n'],
  ['no status', 'HTTP/1.1\r\n\r\n'],
  ['control in the reason', 'HTTP/1.1 200 O\x01K\r\n\r\n'],
  ['other protocol', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
  ['garbage without a line end', '\xff\xfe\xfd', 'bad_request'],
  ['another answer than HTTP', 'ICY 200', 'bad_request'],
  ['101', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'],
  ['101 to something else', UPGRADED.replace('websocket', 'h2c'), 'bad_request', 'websocket'],
  ['101 to more', UPGRADED.replace('websocket', 'websocket, h2c'), 'bad_request', 'websocket'],
  ['101 without Upgrade', UPGRADED.replace('Upgrade: websocket\r\n', ''), 'bad_request', 'websocket'],
  ['101 without Connection', UPGRADED.replace('Connection: Upgrade\r\n', ''), 'bad_request', 'websocket'],
  ['101 in 1.0', UPGRADED.replace('1.1', '1.0'), 'bad_request', 'websocket'],
  ['101 with a length', UPGRADED.replace('\r\n\r\n', '\r\nContent-Length: 3\r\n\r\n'), 'bad_request', 'websocket'],
  ['101 not asked for', UPGRADED],
  ['informational with a body', 'HTTP/1.1 103 Early Hints\r\nContent-Length: 3\r\n\r\nabc'],
  ['endless informational', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(11)],
  ['head too large', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(40_000)}\r\n\r\n`, 'headers_too_large'],
  ['too many fields', `HTTP/1.1 200 OK\r\n${'X: a\r\n'.repeat(101)}\r\n`, 'headers_too_large'],
  ['chunk size sign', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+2\r\nab\r\n0\r\n\r\n'],
  ['chunk without end', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n'],
];

describe('what is refused', () => {
  for (const [name, text, kind = 'bad_request', protocol = ''] of REFUSED) {
    test(name, () => {
      const whole = parseResponse(text, { protocol }).events;
      const last = whole.at(-1);
      assert.ok(last && 'fault' in last, 'a fault');
      assert.equal(last.fault, kind);
      assert.deepEqual(parseResponse(text, { cuts: eachByte(text.length), protocol }).events, whole);
    });
  }
});

function head(text: string, toHead = false): ResponseHead {
  const first = parseResponse(text, { toHead }).events.find((event) => 'head' in event);
  assert.ok(first && 'head' in first);
  return first.head as ResponseHead;
}

describe('what is served', () => {
  test('sized, chunked, empty and close-delimited bodies', () => {
    const sized = parseResponse('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabX');
    assert.deepEqual(sized.events.slice(1), [{ data: 'ab' }, { end: true }]);
    assert.deepEqual([sized.done, sized.keepAlive, sized.rest], [true, true, 1]);

    const chunks = parseResponse('HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nT: 1\r\n\r\n');
    assert.deepEqual(chunks.events.slice(1), [{ data: 'a' }, { trailers: ['T', '1'] }]);
    assert.equal(chunks.done, true);

    const empty = parseResponse('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    assert.deepEqual([empty.done, empty.keepAlive, empty.events.length], [true, true, 1]);

    const text = 'HTTP/1.1 200 OK\r\n\r\nabc';
    assert.equal(parseResponse(text).done, false);
    const closed = parseResponse(text, { closed: true });
    assert.deepEqual(closed.events.slice(1), [{ data: 'abc' }, { end: true }]);
    assert.deepEqual([closed.done, closed.keepAlive], [true, false]);
  });

  test('FIN inside a head, a sized or a chunked body completes nothing', () => {
    for (const text of [
      'HTTP/1.1 200 OK\r\nContent-Len',
      'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n',
    ]) {
      assert.equal(parseResponse(text, { closed: true }).done, false);
    }
  });

  test('HEAD, 204 and 304 have no body, and keep what length may be kept', () => {
    const text = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';
    const toHead = parseResponse(text, { toHead: true });
    assert.deepEqual([toHead.done, toHead.rest, head(text, true).contentLength], [true, 5, 5]);
    assert.equal(parseResponse('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', { toHead: true }).done, true);
    assert.deepEqual(head('HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n').fields, ['Content-Length', '5']);
    const none = parseResponse('HTTP/1.1 204 No Content\r\nX: y\r\ncontent-length: 5\r\n\r\nhello');
    assert.deepEqual([none.done, none.keepAlive, none.rest], [true, false, 5]);
    assert.deepEqual(head('HTTP/1.1 204 No Content\r\nX: y\r\ncontent-length: 0\r\n\r\n').fields, ['X', 'y']);
    assert.equal(parseResponse('HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n').keepAlive, true);
  });

  test('informational heads come first', () => {
    const text = `${'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n'.repeat(9)}HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`;
    const { events, done } = parseResponse(text);
    assert.deepEqual(events.slice(0, 2), [{ informational: 103 }, { informational: 103 }]);
    assert.deepEqual([events.length, done], [11, true]);
    assert.deepEqual(parseResponse(text, { cuts: eachByte(text.length) }).events, events);
  });

  test('a 101 that was asked for makes a tunnel: what follows is its first bytes', () => {
    const text = `HTTP/1.1 103 Early Hints\r\n\r\n${UPGRADED}\x81\x00 anything`;
    for (const cuts of [[], eachByte(text.length)]) {
      const { events, done, keepAlive } = parseResponse(text, { protocol: 'websocket', cuts });
      assert.deepEqual(events[0], { informational: 103 });
      assert.deepEqual(events.slice(2), [{ data: '\x81\x00 anything' }]);
      assert.deepEqual([done, keepAlive], [false, false]);
      const event = events[1];
      assert.ok(event && 'head' in event && !event.endStream);
      assert.equal((event.head as ResponseHead).status, 101);
      assert.deepEqual(event.head.fields, []);
    }
    assert.equal(parseResponse(UPGRADED, { protocol: 'websocket', closed: true }).done, true);
    const refused = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno';
    assert.equal(parseResponse(refused, { protocol: 'websocket' }).keepAlive, true);
  });

  test('limits hold at n - 1 and n and break at n + 1', () => {
    const limits = {
      ...DEFAULT_LIMITS,
      responseHeadBytes: 200,
      headFields: 5,
      trailerBytes: 100,
      trailerFields: 4,
      chunkExtensionBytes: 50,
      informationalHeads: 3,
    };
    const pad = (frame: string, bytes: number): string => frame.replace('~', 'a'.repeat(bytes - frame.length + 1));
    const chunked = (body: string): string => `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}`;
    const cases: readonly (readonly [string, number, string, (n: number) => string])[] = [
      ['head bytes', 200, 'headers_too_large', (n) => pad('HTTP/1.1 200 OK\r\nX: ~\r\nContent-Length: 0\r\n\r\n', n)],
      ['reason bytes', 200, 'headers_too_large', (n) => pad('HTTP/1.1 200 ~\r\nContent-Length: 0\r\n\r\n', n)],
      ['fields', 5, 'headers_too_large', (n) => `HTTP/1.1 304 N\r\n${'X: a\r\n'.repeat(n)}\r\n`],
      ['trailer bytes', 100, 'headers_too_large', (n) => chunked(`0\r\n${pad('X: ~\r\n\r\n', n)}`)],
      ['trailer fields', 4, 'headers_too_large', (n) => chunked(`0\r\n${'X: a\r\n'.repeat(n)}\r\n`)],
      ['extension bytes', 50, 'content_too_large', (n) => chunked(`1${pad(';~', n)}\r\na\r\n0\r\n\r\n`)],
      ['informational heads', 3, 'bad_request', (n) => `${'HTTP/1.1 103 E\r\n\r\n'.repeat(n)}HTTP/1.1 304 N\r\n\r\n`],
    ];
    for (const [name, limit, kind, build] of cases) {
      for (const n of [limit - 1, limit, limit + 1]) {
        const text = build(n);
        for (const cuts of [[], eachByte(text.length)]) {
          const { events, done } = parseResponse(text, { cuts, limits });
          const last = events.at(-1);
          assert.equal(last && 'fault' in last ? last.fault : undefined, n > limit ? kind : undefined, `${name} ${n}`);
          assert.equal(done, n <= limit, `${name} ${n}`);
        }
      }
    }
  });

  test('what Connection names is gone from head and trailers, whatever it is but the framing', () => {
    const { events } = parseResponse(
      'HTTP/1.1 200 OK\r\nConnection: x-hop, host, te, content-length, transfer-encoding, \xa0x-kept\r\nX-Hop: 1\r\nHost: h\r\nTE: t\r\n' +
        'X-Kept: 2\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-HOP: 3\r\nX-T: 4\r\n\r\n',
    );
    const [first] = events;
    assert.ok(first && 'head' in first);
    assert.deepEqual(first.head.fields, ['X-Kept', '2']);
    assert.deepEqual(events.slice(1), [{ data: 'a' }, { trailers: ['X-T', '4'] }]);
  });

  test('persistence and hop-by-hop fields', () => {
    const reuse = (text: string): boolean => parseResponse(text).keepAlive;
    assert.equal(reuse('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'), false);
    assert.equal(reuse('HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n'), false);
    assert.equal(reuse('HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n'), true);
    assert.equal(reuse('HTTP/1.1 200 OK\r\nConnection: keep-alive, CLOSE\r\nContent-Length: 0\r\n\r\n'), false);
    const text =
      'HTTP/1.1 200 OK\r\nConnection: x-a\r\nX-A: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nHost: h\r\nContent-Length: 0\r\n\r\n';
    assert.deepEqual(head(text).fields, ['Set-Cookie', 'a', 'Set-Cookie', 'b', 'Host', 'h', 'Content-Length', '0']);
  });
});
