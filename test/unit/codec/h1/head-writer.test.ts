import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MemorySink } from '../../../../src/base/byte-sink.ts';
import type { Fields, HttpVersion, RequestHead, ResponseHead } from '../../../../src/codec/exchange.ts';
import {
  isWritable,
  requestFraming,
  responseFraming,
  writeLastChunk,
  writeRequestHead,
  writeResponseHead,
} from '../../../../src/codec/h1/head-writer.ts';

function request(overrides: Partial<RequestHead> = {}): RequestHead {
  return {
    method: 'GET',
    scheme: 'http',
    authority: 'a',
    path: '/',
    protocol: '',
    version: 20,
    fields: [],
    neverIndexed: undefined,
    contentLength: -1,
    ...overrides,
  };
}

function response(status: number, fields: Fields = [], contentLength = -1): ResponseHead {
  return { status, fields, neverIndexed: undefined, contentLength };
}

function requestText(head: RequestHead, endStream = true): string {
  const sink = new MemorySink();
  writeRequestHead(sink, head, requestFraming(head, endStream));
  return sink.take().toString('latin1');
}

function responseText(head: ResponseHead, endStream: boolean, toHead = false, version: HttpVersion = 11): string {
  const sink = new MemorySink();
  const framing = responseFraming(head, endStream, toHead, version);
  writeResponseHead(sink, head, framing, head.status === 101 ? 'Upgrade' : '');
  return sink.take().toString('latin1');
}

function trailerText(trailers: Fields): string {
  const sink = new MemorySink();
  writeLastChunk(sink, trailers);
  return sink.take().toString('latin1');
}

describe('a request', () => {
  test('framing and Connection are the writer’s, whatever the fields say', () => {
    const fields = [
      'host',
      'evil',
      'transfer-encoding',
      'chunked',
      'connection',
      'x',
      'keep-alive',
      'y',
      'proxy-connection',
      'z',
      'upgrade',
      'h2c',
      'http2-settings',
      'AAMAAABk',
      'content-length',
      '9',
      'x',
      'kept',
    ];
    assert.equal(requestText(request({ fields })), 'GET / HTTP/1.1\r\nHost: a\r\nx: kept\r\n\r\n');
    assert.equal(
      requestText(request({ method: 'POST', fields }), false),
      'POST / HTTP/1.1\r\nHost: a\r\nx: kept\r\nTransfer-Encoding: chunked\r\n\r\n',
    );
  });

  test('content-length is the number that frames the body, once', () => {
    const fields = ['content-length', '005', 'Content-Length', '5'];
    const text = requestText(request({ method: 'POST', fields, contentLength: 5 }), false);
    assert.equal(text, 'POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 5\r\n\r\n');
  });

  test('methods that normally have a body say that it is empty', () => {
    for (const method of ['POST', 'PUT', 'PATCH']) {
      assert.match(requestText(request({ method })), /\r\nContent-Length: 0\r\n\r\n$/);
    }
    for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'FROB']) {
      assert.doesNotMatch(requestText(request({ method })), /content-length/i);
    }
  });

  test('te: trailers, once, with its Connection; an upgrade has one Connection field', () => {
    const fields = ['TE', 'trailers', 'te', 'gzip'];
    assert.equal(
      requestText(request({ fields })),
      'GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: te\r\n\r\n',
    );
    assert.equal(
      requestText(
        request({ version: 11, protocol: 'websocket', fields: ['TE', 'trailers', 'Sec-WebSocket-Key', 'k'] }),
      ),
      'GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: k\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
  });

  test('cookie crumbs of HTTP/2 are one field', () => {
    const fields = ['cookie', 'a=1', 'x', 'y', 'cookie', 'b=2'];
    assert.equal(requestText(request({ fields })), 'GET / HTTP/1.1\r\nHost: a\r\nx: y\r\ncookie: a=1; b=2\r\n\r\n');
  });

  test('what would be another message in HTTP/1 is not writable', () => {
    assert.equal(isWritable(request({ fields: ['x-bin', '\xff\t ~', 'empty', ''] })), true);
    const bad: Partial<RequestHead>[] = [
      { method: '' },
      { method: 'GET / HTTP/1.1\r\nX: y\r\n\r\nGET' },
      { method: 'G T' },
      { path: '' },
      { path: '/ HTTP/1.1\r\nX: y' },
      { path: '/a b' },
      { path: '/\x7f' },
      { path: '/\xe9' },
      { authority: 'a\r\nX: y' },
      { authority: 'a b' },
    ];
    for (const part of bad) {
      assert.equal(isWritable(request(part)), false, JSON.stringify(part));
      assert.equal(isWritable(request({ ...part, version: 11 })), false, JSON.stringify(part));
    }
    for (const [name, value] of [
      ['x', 'a\r\nTransfer-Encoding: chunked'],
      ['x', 'a\nb'],
      ['x', 'a\rb'],
      ['x', 'a\0'],
      ['x', '\x7f'],
      ['x y', 'a'],
      ['x: y\r\nz', 'a'],
      ['x:', 'a'],
      ['', 'a'],
      [':path', '/'],
      ['\xe9', 'a'],
    ] as const) {
      assert.equal(isWritable(request({ fields: [name, value] })), false, JSON.stringify([name, value]));
    }
  });
});

describe('an answer', () => {
  test('lengths: to HEAD and in a 304 that of a GET, in a 204 or 1xx none', () => {
    const five = ['content-length', '5'];
    assert.equal(responseText(response(200, five, 5), false), 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n');
    assert.equal(responseText(response(200, five, 5), true, true), 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n');
    assert.equal(responseText(response(304, five, 5), true), 'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n');
    assert.equal(responseText(response(304), true), 'HTTP/1.1 304 Not Modified\r\n\r\n');
    assert.equal(responseText(response(200), true, true), 'HTTP/1.1 200 OK\r\n\r\n');
    assert.equal(responseText(response(204, five, 5), true), 'HTTP/1.1 204 No Content\r\n\r\n');
    assert.equal(responseText(response(103, five, 5), false, true), 'HTTP/1.1 103 Early Hints\r\n\r\n');
    assert.equal(
      responseText(response(200, ['Content-Length', '05'], 5), false),
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n',
    );
    assert.equal(responseText(response(200), false), 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
    assert.equal(responseText(response(200), false, false, 10), 'HTTP/1.1 200 OK\r\n\r\n');
  });

  test('a 101 says what it changes to, and nothing else of the connection', () => {
    assert.equal(
      responseText(response(101, ['Upgrade', 'x', 'Connection', 'y', 'Sec-WebSocket-Accept', 'z']), false),
      'HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: z\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
  });
});

describe('trailers', () => {
  test('what no HTTP/1 trailer may be is left out', () => {
    assert.equal(
      trailerText([
        'grpc-status',
        '0',
        'content-length',
        '5',
        'Transfer-Encoding',
        'chunked',
        'host',
        'b',
        'cookie',
        'a=b',
        'x-forwarded-for',
        '::1',
        'x',
        'a\r\nY: b',
        'x\r\ny',
        'a',
        ':status',
        '200',
        'X-T',
        '\xff',
      ]),
      '0\r\ngrpc-status: 0\r\nX-T: \xff\r\n\r\n',
    );
    assert.equal(trailerText([]), '0\r\n\r\n');
    assert.equal(trailerText(['host', 'b']), '0\r\n\r\n');
  });

  test('what was writable in one head excuses nothing in the next', () => {
    const good = ['x-a', '1', 'x-b', '2'];
    for (let i = 0; i < 2; i++) assert.equal(isWritable(request({ fields: good })), true);
    for (const fields of [
      ['x-a', '1\r\nx: y', 'x-b', '2'],
      ['x-a', '1', 'x-b', '2\n'],
      ['x-a', '1', 'x-b\r\nx', '2'],
      ['x-a', '1', 'x-b', '2', 'x-c', 'a\u010ab'],
      ['1', 'x-a', '', 'x-b'],
    ]) {
      assert.equal(isWritable(request({ fields })), false, JSON.stringify(fields));
      assert.equal(isWritable(request({ fields })), false, JSON.stringify(fields));
      assert.equal(isWritable(request({ fields: good })), true);
    }
    const long = Array.from({ length: 400 }, (_, i) => (i % 2 === 0 ? `n${i}` : 'v'.repeat(i)));
    assert.equal(isWritable(request({ fields: long })), true);
    assert.equal(isWritable(request({ fields: [...long, 'n', '\0'] })), false);
    assert.equal(isWritable(request({ fields: long.with(399, '\0') })), false);
  });
});
