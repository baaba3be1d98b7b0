// What becomes of whole HTTP/1 messages on their way through: bodies of any method, names and order of fields, what belongs
// to one hop only, forged fields, and what of an HTTP/2 request may reach an HTTP/1 upstream. The upstream writes down every
// byte; its answers are scripted.
import assert from 'node:assert/strict';
import { createServer, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type TestDataPlane, startDataPlane } from '../support/data-plane.ts';
import { type CallerView, callRaw } from '../support/h1-deliveries.ts';
import { data, headers, request as h2Request, valueOf } from '../support/h2-peer.ts';
import { type RawH2Connection, connectRawH2 } from '../support/h2-raw.ts';
import { type RawServer, startRawServer } from '../support/raw-server.ts';
import {
  type RecordedRequest,
  type RecordingUpstream,
  recordedField,
  startRecordingUpstream,
} from '../support/recording-upstream.ts';

function message(startLine: string, fields: readonly string[], body = ''): string {
  return `${[startLine, ...fields].join('\r\n')}\r\n\r\n${body}`;
}

/** All values of a field of a recorded head, in order. */
function values(request: RecordedRequest, name: string): string[] {
  const wanted = `${name.toLowerCase()}: `;
  const lines = request.head.split('\r\n').filter((line) => line.toLowerCase().startsWith(wanted));
  return lines.map((line) => line.slice(wanted.length));
}

describe('HTTP/1 requests on their way', () => {
  let upstream: RecordingUpstream;
  let plane: TestDataPlane;

  before(async () => {
    upstream = await startRecordingUpstream();
    plane = await startDataPlane([upstream.port]);
  });

  after(() => {
    plane.close();
    upstream.close();
  });

  /** Sends `text`, which holds `count` requests, and gives what the upstream saw of it. */
  async function pass(text: string, count = 1): Promise<{ view: CallerView; seen: readonly RecordedRequest[] }> {
    const from = upstream.requests.length;
    const view = await callRaw(plane.port, [text], { answers: count, untilClosed: false });
    assert.deepEqual(
      view.statuses,
      Array.from({ length: count }, () => 200),
    );
    return { view, seen: upstream.requests.slice(from) };
  }

  async function passOne(fields: readonly string[]): Promise<RecordedRequest> {
    const { seen } = await pass(message('GET /x HTTP/1.1', ['Host: a', ...fields]));
    assert.equal(seen.length, 1);
    return seen[0]!;
  }

  describe('H1-106 and H1-131: a body of any method is framed, and never read as a request', () => {
    const evil = message('GET /evil HTTP/1.1', ['Host: a']);
    const bodies: readonly (readonly [string, string, string])[] = [
      ['sized', `Content-Length: ${evil.length}`, evil],
      ['chunked', 'Transfer-Encoding: chunked', `${evil.length.toString(16)}\r\n${evil}\r\n0\r\n\r\n`],
    ];
    for (const method of ['GET', 'DELETE', 'OPTIONS', 'PUT', 'PATCH', 'FROB']) {
      for (const [framing, field, body] of bodies) {
        test(`${method}, ${framing}`, async () => {
          const next = message('GET /next HTTP/1.1', ['Host: a']);
          const { view, seen } = await pass(message(`${method} /x HTTP/1.1`, ['Host: a', field], body) + next, 2);
          assert.deepEqual(view.bodies, [`${method} /x`, 'GET /next']);
          assert.deepEqual(
            seen.map(({ target, body: got }) => [target, got]),
            [
              [`${method} /x`, evil],
              ['GET /next', ''],
            ],
          );
        });
      }
    }

    // The recorder answers HEAD like GET, so that a body follows where none may: that costs its connection, not the caller.
    test('HEAD, sized', async () => {
      const from = upstream.requests.length;
      const text = message('HEAD /x HTTP/1.1', ['Host: a', 'Content-Length: 5'], 'hello');
      const view = await callRaw(plane.port, [text], { answers: 1, untilClosed: false, heads: true });
      assert.deepEqual(view.statuses, [200]);
      assert.equal(upstream.requests[from]?.body, 'hello');
    });

    test('a length of 0 is no body', async () => {
      const { seen } = await pass(
        message('GET /1 HTTP/1.1', ['Host: a', 'Content-Length: 0']) + message('GET /2 HTTP/1.1', ['Host: a']),
        2,
      );
      assert.deepEqual(
        seen.map(({ target }) => target),
        ['GET /1', 'GET /2'],
      );
    });
  });

  describe('H1-105: expectations', () => {
    for (const [name, text, statuses] of [
      ['another word', message('POST /x HTTP/1.1', ['Host: a', 'Expect: foo', 'Content-Length: 0']), [417]],
      ['a list', message('POST /x HTTP/1.1', ['Host: a', 'Expect: 100-continue, foo', 'Content-Length: 0']), [417]],
      ['any case', message('POST /x HTTP/1.1', ['Host: a', 'eXPECT: 100-CONTINUE', 'Content-Length: 0']), [200]],
      ['of HTTP/1.0', message('POST /x HTTP/1.0', ['Host: a', 'Expect: foo', 'Content-Length: 0']), [200]],
    ] as const) {
      test(name, async () => {
        const from = upstream.requests.length;
        const view = await callRaw(plane.port, [text], { answers: 1, untilClosed: statuses[0] === 417 });
        assert.deepEqual(view.statuses, statuses);
        for (const seen of upstream.requests.slice(from)) assert.deepEqual(values(seen, 'expect'), []);
        assert.equal(upstream.requests.length - from, statuses[0] === 417 ? 0 : 1);
      });
    }
  });

  describe('H1-133: names and order', () => {
    test('names keep their case, values their order, and mean the same in any case', async () => {
      const { seen } = await pass(
        message(
          'POST /x HTTP/1.1',
          ['hOsT: a', 'X-b: 1', 'x-B: 2', 'cOOKIE: a=1', 'Cookie: b=2', 'X-Empty:', 'cOnTeNt-LeNgTh: 2'],
          'ab',
        ),
      );
      const [request] = seen;
      assert.ok(request);
      assert.deepEqual(values(request, 'x-b'), ['1', '2']);
      assert.match(request.head, /\r\nX-b: 1\r\nx-B: 2\r\n/);
      assert.deepEqual(values(request, 'cookie'), ['a=1', 'b=2']);
      assert.deepEqual(values(request, 'host'), ['a']);
      assert.match(request.head, /\r\nX-Empty: \r\n/);
      assert.deepEqual(values(request, 'content-length'), ['2']);
      assert.equal(request.body, 'ab');
    });
  });

  describe('H1-134: forged fields', () => {
    test('X-Forwarded-For grows, in one field, whatever was claimed', async () => {
      const request = await passOne(['X-Forwarded-For: 10.0.0.1', 'x-forwarded-FOR: 10.0.0.2']);
      assert.deepEqual(values(request, 'x-forwarded-for'), ['10.0.0.1, 10.0.0.2, 127.0.0.1']);
    });

    test('who called, and what is ours to add, can’t be nominated away', async () => {
      const request = await passOne([
        'Connection: x-forwarded-for, x-forwarded-proto, x-real-ip, via, x-request-id, traceparent',
        'X-Forwarded-For: 10.0.0.1',
        'Via: 1.1 other',
      ]);
      assert.deepEqual(values(request, 'x-forwarded-for'), ['10.0.0.1, 127.0.0.1']);
      assert.deepEqual(values(request, 'via'), ['1.1 other, 1.1 outrigger-test']);
      for (const name of ['x-forwarded-proto', 'x-real-ip', 'x-request-id', 'traceparent']) {
        assert.equal(values(request, name).length, 1, name);
      }
    });

    test('one request id', async () => {
      const request = await passOne(['X-Request-Id: first', 'x-request-id: second']);
      assert.deepEqual(values(request, 'x-request-id'), ['first']);
    });

    test('trailers say nothing of who calls, where to, or how it is framed', async () => {
      const names = [
        'X-Forwarded-For',
        'forwarded',
        'X-Real-IP',
        'Via',
        'Host',
        'Content-Length',
        'Authorization',
        'Cookie',
        'TE',
      ];
      const lines = names.map((name) => `${name}: 1\r\n`).join('');
      const { seen } = await pass(
        message('POST /x HTTP/1.1', ['Host: a', 'Transfer-Encoding: chunked'], `0\r\n${lines}X-Sum: 7\r\n\r\n`),
      );
      assert.equal(seen[0]?.trailers, 'X-Sum: 7\r\n');
    });
  });

  describe('hop-by-hop fields end here', () => {
    const HOPS: readonly (readonly [string, readonly string[], readonly string[]])[] = [
      [
        'what Connection names',
        ['Connection: x-a,\t X-B ,,close', 'X-A: 1', 'x-b: 2', 'X-C: 3'],
        ['X-A', 'X-B', 'Connection'],
      ],
      [
        'several Connection fields',
        ['Connection: x-a', 'connection: x-b', 'X-A: 1', 'X-B: 2'],
        ['X-A', 'X-B', 'Connection'],
      ],
      ['Keep-Alive', ['Keep-Alive: timeout=5, max=9'], ['Keep-Alive']],
      ['Proxy-Connection', ['Proxy-Connection: keep-alive'], ['Proxy-Connection']],
      ['Upgrade', ['Upgrade: foo/1'], ['Upgrade']],
      ['HTTP2-Settings', ['Connection: HTTP2-Settings', 'HTTP2-Settings: AAMAAABk'], ['HTTP2-Settings', 'Connection']],
      ['codings of TE', ['TE: gzip, deflate;q=0.5'], ['TE']],
      ['close and keep-alive', ['Connection: close, keep-alive'], ['Connection']],
    ];
    for (const [name, fields, gone] of HOPS) {
      test(name, async () => {
        const request = await passOne([...fields, 'X-Kept: 1']);
        for (const field of gone) assert.deepEqual(values(request, field), [], `${field} in ${request.head}`);
        assert.deepEqual(values(request, 'x-kept'), ['1']);
      });
    }

    test('TE: trailers is said anew, with its Connection', async () => {
      const request = await passOne(['Connection: TE, x-a', 'TE: gzip, Trailers;q=1, trailers', 'X-A: 1']);
      assert.deepEqual(values(request, 'te'), ['trailers']);
      assert.deepEqual(values(request, 'connection'), ['te']);
      assert.deepEqual(values(request, 'x-a'), []);
    });

    test('Trailer is end-to-end, and what Connection names is gone from trailers', async () => {
      const { seen } = await pass(
        message(
          'POST /x HTTP/1.1',
          ['Host: a', 'Connection: X-Hop', 'Trailer: X-Sum', 'Transfer-Encoding: chunked'],
          '0\r\nX-Hop: 1\r\nX-Sum: 7\r\n\r\n',
        ),
      );
      assert.equal(seen[0] && recordedField(seen[0], 'trailer'), 'X-Sum');
      assert.equal(seen[0]?.trailers, 'X-Sum: 7\r\n');
    });
  });

  describe('H1-137: from HTTP/2', () => {
    let client: RawH2Connection;
    let stream = -1;

    before(async () => {
      client = await connectRawH2(plane.port);
    });
    after(() => client.destroy());

    /** The status of an answer, or the code that the stream was reset with. */
    function answer(id: number): Promise<string | number> {
      return new Promise((resolve) => {
        client.onFrame = (frame) => {
          if (frame.id !== id) return;
          if (frame.type === 'HEADERS') resolve(valueOf(frame.fields, ':status') ?? '');
          else if (frame.type === 'RST_STREAM') resolve(frame.payload.readUInt32BE(0));
        };
      });
    }

    test('a path has the same normal form, or none', async () => {
      for (const [path, expected] of [
        ['/a/%2e%2e/%7eb//c%2fd;p/./?x=/../%7e', '/~b//c%2Fd;p/?x=/../%7e'],
        ['/a/../../b', undefined],
        ['/%2e%2E/b', undefined],
        ['/a%zz', undefined],
        ['/a%00', undefined],
        ['/a\\b', undefined],
      ] as const) {
        const from = upstream.requests.length;
        const id = (stream += 2);
        const answered = answer(id);
        client.send(headers(id, h2Request(path)));
        assert.equal(await answered, expected === undefined ? 1 : '200', path);
        const seen = upstream.requests.slice(from).map(({ target }) => target);
        assert.deepEqual(seen, expected === undefined ? [] : [`GET ${expected}`]);
      }
    });

    test('lengths are written as the numbers that they are, or refused', async () => {
      const from = upstream.requests.length;
      const id = (stream += 2);
      const answered = answer(id);
      client.send(headers(id, h2Request('/x', ['content-length', '0005'], 'POST'), false), data(id, 'hello', true));
      const got = await answered;
      for (const request of upstream.requests.slice(from)) assert.deepEqual(values(request, 'content-length'), ['5']);
      assert.ok(got === '200' || got === 1, String(got));
    });

    test('trailers that no HTTP/1 request may have don’t reach one', async () => {
      const from = upstream.requests.length;
      const id = (stream += 2);
      const answered = answer(id);
      client.send(
        headers(id, h2Request('/x', [], 'POST'), false),
        data(id, 'hello'),
        headers(id, [
          'x-sum',
          '7',
          'x-forwarded-for',
          '10.0.0.1',
          'authorization',
          'x',
          'cookie',
          'a=b',
          'via',
          '1.1 x',
        ]),
      );
      assert.equal(await answered, '200');
      assert.equal(upstream.requests[from]?.trailers, 'x-sum: 7\r\n');
      assert.equal(upstream.requests[from]?.body, 'hello');
    });
  });
});

describe('HTTP/1 answers on their way', () => {
  let upstream: RawServer;
  let plane: TestDataPlane;
  let script = '';

  before(async () => {
    upstream = await startRawServer((socket) => {
      socket.setNoDelay(true);
      socket.on('end', () => socket.end());
      socket.on('data', (chunk: Buffer) => {
        if (chunk.includes('\r\n\r\n')) socket.write(script, 'latin1');
      });
    });
    plane = await startDataPlane([upstream.port]);
  });

  after(() => {
    plane.close();
    upstream.close();
  });

  async function fetch(fields: readonly string[], body = '', version = '1.1'): Promise<CallerView> {
    script = message('HTTP/1.1 200 OK', fields, body);
    const request = message(`GET /x HTTP/${version}`, ['Host: a']);
    const view = await callRaw(plane.port, [request], { answers: 1, untilClosed: version === '1.0' });
    assert.deepEqual([view.statuses, view.error, view.truncated], [[200], undefined, false]);
    return view;
  }

  test('H1-133: Set-Cookie is never joined, names keep their case', async () => {
    const view = await fetch(['Set-Cookie: a=1, b', 'X-b: 1', 'set-cookie: c=2', 'x-B: 2', 'Content-Length: 0']);
    assert.match(view.text, /\r\nSet-Cookie: a=1, b\r\nX-b: 1\r\nset-cookie: c=2\r\nx-B: 2\r\n/);
  });

  for (const [name, fields, gone] of [
    [
      'what Connection names',
      ['Connection: x-a, X-B, te, host', 'X-A: 1', 'x-b: 2', 'TE: x', 'Host: h'],
      ['x-a', 'x-b', 'te', 'host'],
    ],
    ['Keep-Alive', ['Keep-Alive: timeout=5'], ['keep-alive']],
    ['Proxy-Connection', ['Proxy-Connection: close'], ['proxy-connection']],
    ['Upgrade', ['Connection: Upgrade', 'Upgrade: h2c'], ['upgrade', 'connection']],
    ['close', ['Connection: close'], ['connection']],
  ] as const) {
    test(`hop-by-hop fields end here: ${name}`, async () => {
      const view = await fetch([...fields, 'X-Kept: 1', 'Content-Length: 2'], 'ab');
      for (const field of gone) assert.doesNotMatch(view.text, new RegExp(`\r\n${field}:`, 'i'));
      assert.match(view.text, /\r\nX-Kept: 1\r\n/);
      assert.deepEqual(view.bodies, ['ab']);
      assert.equal(view.closedByPeer, false, 'the caller’s connection is another one');
    });
  }

  test('and from trailers', async () => {
    const view = await fetch(
      ['Connection: X-Hop', 'Trailer: X-Sum', 'Transfer-Encoding: chunked'],
      '2\r\nab\r\n0\r\nX-Hop: 1\r\nX-Sum: 7\r\nSet-Cookie: a\r\n\r\n',
    );
    assert.match(view.text, /\r\nTrailer: X-Sum\r\n/);
    assert.match(view.text, /\r\n0\r\nX-Sum: 7\r\n\r\n$/);
  });

  test('to HTTP/1.0 neither chunks nor trailers go', async () => {
    const view = await fetch(['Transfer-Encoding: chunked'], '2\r\nab\r\n0\r\nX-Sum: 7\r\n\r\n', '1.0');
    assert.deepEqual(view.bodies, ['ab']);
    assert.doesNotMatch(view.text, /transfer-encoding|X-Sum/i);
    assert.match(view.text, /\r\nConnection: close\r\n/);
    assert.equal(view.closedByPeer, true);
  });
});

test('what belongs to one hop of HTTP/1 doesn’t reach an HTTP/2 upstream, nor come back from one', async () => {
  const seen: IncomingHttpHeaders[] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers);
    const fields: OutgoingHttpHeaders = { 'x-kept': '1', 'set-cookie': ['a', 'b'], 'content-length': '2' };
    response.writeHead(200, fields);
    response.end('ab');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const plane = await startDataPlane([(server.address() as AddressInfo).port], { scheme: 'grpc' });
  try {
    const view = await callRaw(
      plane.port,
      [
        message('GET /a/../%7ex HTTP/1.1', [
          'Host: a',
          'Connection: keep-alive, x-a, HTTP2-Settings, Upgrade',
          'X-A: 1',
          'Keep-Alive: 5',
          'Proxy-Connection: x',
          'Upgrade: h2c',
          'HTTP2-Settings: AAMAAABk',
          'TE: gzip, trailers',
          'X-Kept: 1',
        ]),
      ],
      { answers: 1, untilClosed: false },
    );
    assert.deepEqual([view.statuses, view.bodies], [[200], ['ab']]);
    assert.match(view.text, /\r\nset-cookie: a\r\nset-cookie: b\r\n/);
    const [got] = seen;
    assert.ok(got);
    for (const name of ['connection', 'x-a', 'keep-alive', 'proxy-connection', 'upgrade', 'http2-settings', 'host']) {
      assert.equal(got[name], undefined, name);
    }
    assert.equal(got['te'], 'trailers');
    assert.equal(got['x-kept'], '1');
    assert.equal(got[':path'], '/~x');
    assert.equal(got[':authority'], 'a');
  } finally {
    plane.close();
    server.close();
  }
});
