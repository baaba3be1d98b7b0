import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { silentLogger } from '../../../src/base/log.ts';
import { TimerWheel } from '../../../src/base/timer-wheel.ts';
import type { Progress } from '../../../src/base/error.ts';
import type {
  Fields,
  RequestHead,
  RequestSender,
  ResponseHead,
  ResponseReceiver,
} from '../../../src/codec/exchange.ts';
import { DEFAULT_LIMITS } from '../../../src/codec/limits.ts';
import type { Channel } from '../../../src/upstream/channel.ts';
import { createH1Channel } from '../../../src/upstream/h1-channel.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryTransport } from '../../support/memory-transport.ts';

/** An answer as the proxy would see it. */
class Answer implements ResponseReceiver {
  informational: number[] = [];
  head: ResponseHead | undefined;
  body = '';
  trailers: Fields | undefined;
  ended = false;
  aborts: { kind: string; progress: Progress; detail: string; resetCode: number }[] = [];
  drains = 0;
  onFirst: (() => void) | undefined;

  onInformational(head: ResponseHead): void {
    this.informational.push(head.status);
  }

  onHead(head: ResponseHead, endStream: boolean): void {
    this.head = head;
    this.ended = endStream;
    this.onFirst?.();
  }

  onData(chunk: Uint8Array, endStream: boolean): void {
    assert.equal(this.ended, false, 'nothing after the end');
    this.body += Buffer.from(chunk).toString('latin1');
    this.ended = endStream;
  }

  onTrailers(fields: Fields): void {
    assert.equal(this.ended, false, 'nothing after the end');
    this.trailers = fields;
    this.ended = true;
  }

  onAbort(kind: string, progress: Progress, detail: string, resetCode: number): void {
    this.aborts.push({ kind, progress, detail, resetCode });
  }

  onDrain(): void {
    this.drains++;
  }
}

interface Bench {
  clock: FakeClock;
  wheel: TimerWheel;
  transport: MemoryTransport;
  channel: Channel;
  told: string[];
  out(): string;
}

function bench(maxRequests = 1000): Bench {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  const transport = new MemoryTransport(clock);
  const told: string[] = [];
  const channel = createH1Channel(
    transport,
    {
      onAvailable: () => told.push('available'),
      onDraining: () => told.push('draining'),
      onClosed: () => told.push('closed'),
    },
    { clock, wheel, logger: silentLogger, limits: DEFAULT_LIMITS, maxRequests },
  );
  return { clock, wheel, transport, channel, told, out: () => transport.take().toString('latin1') };
}

function request(overrides: Partial<RequestHead> = {}): RequestHead {
  return {
    method: 'GET',
    scheme: 'http',
    authority: 'svc:80',
    path: '/p',
    protocol: '',
    version: 11,
    fields: [],
    neverIndexed: undefined,
    contentLength: -1,
    ...overrides,
  };
}

function start(
  b: Bench,
  overrides: Partial<RequestHead> = {},
  endStream = true,
): { answer: Answer; sender: RequestSender } {
  const answer = new Answer();
  return { answer, sender: b.channel.start(request(overrides), endStream, answer) };
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('requests', () => {
  const written = (overrides: Partial<RequestHead>, endStream = true): string => {
    const b = bench();
    start(b, overrides, endStream);
    return b.out();
  };

  test('line, Host first, fields in their order and case', () => {
    assert.equal(
      written({ fields: ['X-A', '1', 'x-b', '2', 'X-A', '3'] }),
      'GET /p HTTP/1.1\r\nHost: svc:80\r\nX-A: 1\r\nx-b: 2\r\nX-A: 3\r\n\r\n',
    );
  });

  test('framing fields', () => {
    assert.match(written({ method: 'POST' }), /\r\nContent-Length: 0\r\n\r\n$/);
    assert.match(
      written({ method: 'PUT', fields: ['content-length', '0'], contentLength: 0 }),
      /\r\ncontent-length: 0\r\n\r\n$/,
    );
    assert.doesNotMatch(written({ method: 'DELETE' }), /ontent-/);
    assert.match(written({ method: 'POST' }, false), /\r\nTransfer-Encoding: chunked\r\n\r\n$/);
    const sized = written({ method: 'POST', fields: ['Content-Length', '5'], contentLength: 5 }, false);
    assert.equal(sized.match(/ontent-Length/g)?.length, 1);
    assert.doesNotMatch(sized, /Transfer/);
  });

  test('hop-by-hop fields and Host never pass; te: trailers is nominated', () => {
    const fields = [
      'connection',
      'x',
      'keep-alive',
      '1',
      'proxy-connection',
      '1',
      'transfer-encoding',
      'gzip',
      'upgrade',
      'h2c',
    ];
    assert.equal(
      written({ version: 20, fields: [...fields, 'http2-settings', 'x', 'host', 'evil', 'te', 'trailers', 'a', 'b'] }),
      'GET /p HTTP/1.1\r\nHost: svc:80\r\nte: trailers\r\nConnection: te\r\na: b\r\n\r\n',
    );
  });

  test('cookie crumbs of HTTP/2 become one field', () => {
    const head = written({ version: 20, fields: ['cookie', 'a=1', 'x', 'y', 'cookie', 'b=2'] });
    assert.match(head, /\r\ncookie: a=1; b=2\r\n/);
    assert.match(written({ fields: ['Cookie', 'a=1', 'Cookie', 'b=2'] }), /\r\nCookie: a=1\r\nCookie: b=2\r\n/);
  });

  test('chunked body with trailers; sized body', () => {
    const b = bench();
    const { sender } = start(b, { method: 'POST' }, false);
    b.out();
    assert.equal(sender.progress.sent, 'some');
    sender.sendData(Buffer.from('hello'), false);
    sender.sendTrailers(['t', '1']);
    assert.equal(sender.progress.sent, 'all');
    sender.sendData(Buffer.from('late'), true);
    assert.equal(b.out(), '5\r\nhello\r\n0\r\nt: 1\r\n\r\n');

    const sized = bench();
    const second = start(sized, { method: 'POST', fields: ['Content-Length', '4'], contentLength: 4 }, false);
    sized.out();
    second.sender.sendData(Buffer.from('ab'), false);
    second.sender.sendData(Buffer.from('cd'), true);
    assert.equal(sized.out(), 'abcd');
    assert.equal(second.sender.progress.sent, 'all');
  });

  test('a body that breaks its length: the connection is dropped, the receiver hears later', () => {
    for (const body of ['abcdef', 'ab']) {
      const b = bench();
      const { answer, sender } = start(b, { method: 'POST', fields: ['Content-Length', '4'], contentLength: 4 }, false);
      sender.sendData(Buffer.from(body), true);
      sender.sendData(Buffer.from('x'), true);
      assert.equal(answer.aborts.length, 0, 'not from inside the call');
      assert.equal(b.transport.isClosed, true);
      b.clock.advance(0);
      assert.deepEqual(
        answer.aborts.map((abort) => [abort.kind, abort.progress.sent]),
        [['bad_request', 'nothing']],
      );
      assert.deepEqual(b.told, ['draining', 'closed']);
    }
  });

  test('H1-137: what would mean something else on the line is not written', () => {
    for (const overrides of [
      { path: '/a b' },
      { path: '/a\r\nX: y' },
      { path: '' },
      { authority: 'a\r\nb' },
      { method: 'GET /x' },
      { version: 20 as const, fields: ['a', 'b\r\nc: d'] },
      { version: 20 as const, fields: ['a b', 'c'] },
      { contentLength: 5, fields: ['content-length', '5'] },
    ]) {
      const b = bench();
      const { answer, sender } = start(b, overrides);
      assert.equal(b.out(), '');
      assert.equal(answer.aborts.length, 0);
      b.clock.advance(0);
      assert.equal(answer.aborts[0]?.kind, 'unsupported_bridge');
      assert.equal(sender.progress.sent, 'nothing');
      assert.equal(b.channel.capacity, 1);
    }
  });

  test('a transport that is closed already is reported in a later turn, with nothing sent', () => {
    const b = bench();
    b.transport.isClosed = true;
    assert.equal(b.channel.capacity, 0);
    const { answer } = start(b);
    assert.equal(answer.aborts.length, 0);
    b.clock.advance(0);
    assert.deepEqual(answer.aborts[0]?.progress, {
      sent: 'nothing',
      reusedConnection: false,
      refusedByPeer: false,
      answered: false,
    });
    assert.equal(answer.aborts[0]?.kind, 'upstream_reset');
  });

  test('back-pressure is the transport’s', () => {
    const b = bench();
    b.transport.blocked = true;
    const { answer, sender } = start(b, { method: 'POST' }, false);
    sender.sendData(Buffer.alloc(70_000), false);
    assert.ok(sender.bufferedBytes > 70_000);
    assert.ok(sender.stalledSinceMs >= 0);
    b.transport.drain();
    assert.equal(answer.drains, 1);
    assert.equal(sender.bufferedBytes, 0);
  });
});

describe('answers', () => {
  test('one request after another, with informational heads', () => {
    const b = bench();
    const first = start(b);
    assert.deepEqual([b.channel.capacity, b.channel.active, b.channel.served], [0, 1, 1]);
    b.transport.feed(
      'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n',
    );
    b.transport.feed('ok\r\n0\r\nT: 1\r\n\r\n');
    assert.deepEqual(first.answer.informational, [103]);
    assert.deepEqual(first.answer.head, {
      status: 200,
      fields: ['X', 'y'],
      neverIndexed: undefined,
      contentLength: -1,
    });
    assert.deepEqual([first.answer.body, first.answer.trailers, first.answer.ended], ['ok', ['T', '1'], true]);
    assert.equal(first.sender.progress.reusedConnection, false);
    assert.deepEqual(b.told, ['available']);
    assert.deepEqual([b.channel.capacity, b.channel.active], [1, 0]);

    b.clock.advance(500);
    const second = start(b);
    assert.equal(second.sender.progress.reusedConnection, true);
    b.transport.feed(OK);
    assert.equal(second.answer.body, 'ok');
    assert.equal(b.channel.idleSinceMs, b.clock.nowMs);
    first.sender.abort();
    first.sender.pauseResponse();
    assert.deepEqual([b.transport.isClosed, b.transport.reading], [false, true], 'an old sender is deaf');
  });

  test('H1-118: no body to HEAD, 204, 304; bytes that follow drop the connection', () => {
    for (const [method, text] of [
      ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'],
      ['GET', 'HTTP/1.1 204 No Content\r\n\r\n'],
      ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n'],
    ] as const) {
      const b = bench();
      const { answer } = start(b, { method });
      b.transport.feed(text);
      assert.deepEqual([answer.ended, answer.body, b.channel.capacity], [true, '', 1]);
      b.transport.feed('hello');
      assert.deepEqual([b.transport.closedBy, b.channel.capacity], ['destroy', 0]);
      assert.deepEqual(b.told, ['available', 'draining', 'closed']);

      const glued = bench();
      const same = start(glued, { method });
      glued.transport.feed(`${text}hello`);
      assert.deepEqual([same.answer.ended, same.answer.body, glued.transport.closedBy], [true, '', 'destroy']);
      assert.deepEqual(glued.told, ['draining', 'closed']);
    }
  });

  test('bytes that came before the request had left are no answer to it', () => {
    const b = bench();
    const first = start(b);
    b.out();
    // One turn: the answer, another request, and what the peer had sent behind the answer.
    b.transport.handler.onRead(Buffer.from(OK), OK.length);
    assert.equal(first.answer.ended, true);
    const second = start(b, { method: 'POST' });
    b.transport.handler.onRead(Buffer.from(OK), OK.length);
    assert.equal(second.answer.head, undefined);
    const [abort] = second.answer.aborts;
    assert.deepEqual(
      [abort?.kind, abort?.progress.sent, abort?.progress.reusedConnection],
      ['upstream_reset', 'nothing', true],
    );
    assert.equal(b.transport.closedBy, 'destroy');
  });

  test('a close-delimited body ends with FIN and only with FIN', () => {
    const b = bench();
    const { answer } = start(b);
    b.transport.feed('HTTP/1.1 200 OK\r\n\r\nab');
    b.transport.feed('cd');
    assert.equal(answer.ended, false);
    b.transport.feedEnd();
    assert.deepEqual([answer.body, answer.ended, answer.aborts.length], ['abcd', true, 0]);
    assert.deepEqual(b.told, ['draining', 'closed']);

    const reset = bench();
    const cut = start(reset);
    reset.transport.feed('HTTP/1.1 200 OK\r\n\r\nab');
    reset.transport.break('ECONNRESET');
    assert.deepEqual(
      cut.answer.aborts.map((abort) => [abort.kind, abort.detail]),
      [['upstream_truncated', 'ECONNRESET']],
    );
    assert.equal(cut.answer.ended, false);
  });

  test('H1-121: truncated', () => {
    for (const text of [
      'HTTP/1.1 20',
      'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nab',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n',
      'HTTP/1.1 103 Early Hints\r\n\r\n',
    ]) {
      const b = bench();
      const { answer } = start(b);
      b.transport.feed(text);
      b.transport.feedEnd();
      assert.deepEqual(
        answer.aborts.map((abort) => abort.kind),
        ['upstream_truncated'],
      );
      assert.equal(answer.aborts[0]?.progress.answered, true);
      assert.deepEqual(b.told, ['draining', 'closed']);
    }
  });

  test('P-001, P-008: closed before any byte of the answer', () => {
    const b = bench();
    start(b);
    b.transport.feed(OK);
    const { answer } = start(b);
    b.out(); // the turn has ended: the request is on its way
    b.transport.break('ECONNRESET');
    assert.deepEqual(answer.aborts, [
      {
        kind: 'upstream_reset',
        progress: { sent: 'all', reusedConnection: true, refusedByPeer: false, answered: false },
        detail: 'ECONNRESET',
        resetCode: -1,
      },
    ]);
    assert.deepEqual(b.told.at(-1), 'closed');
  });

  test('P-008: closed in the turn that wrote the request: nothing of it has left', () => {
    for (const close of ['FIN', 'reset']) {
      const b = bench();
      start(b);
      b.transport.feed(OK);
      b.out();
      const { answer, sender } = start(b, { method: 'POST' }, false);
      sender.sendData(Buffer.from('body'), true);
      if (close === 'FIN') b.transport.feedEnd();
      else b.transport.break('ECONNRESET');
      assert.deepEqual(
        answer.aborts.map(({ kind, progress }) => [kind, progress.sent, progress.reusedConnection]),
        [['upstream_reset', 'nothing', true]],
      );
    }
  });

  for (const [name, text, kind] of [
    [
      'CL and TE',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
      'upstream_protocol_error',
    ],
    ['two CL', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n', 'upstream_protocol_error'],
    ['101', 'HTTP/1.1 101 Switching Protocols\r\n\r\n', 'upstream_protocol_error'],
    ['1xx for ever', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(11), 'upstream_protocol_error'],
    ['no HTTP', '220 mail ESMTP\r\n\r\n', 'upstream_protocol_error'],
    ['gzip, chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n', 'upstream_protocol_error'],
    ['large head', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(33_000)}\r\n\r\n`, 'upstream_headers_too_large'],
    ['bad chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n', 'upstream_protocol_error'],
    [
      'endless trailers',
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${'X: a\r\n'.repeat(2000)}`,
      'upstream_headers_too_large',
    ],
  ] as const) {
    test(`H1-119: ${name}`, () => {
      const b = bench();
      const { answer } = start(b);
      b.transport.feed(text);
      assert.deepEqual(
        answer.aborts.map((abort) => abort.kind),
        [kind],
      );
      assert.equal(b.transport.closedBy, 'destroy');
      assert.deepEqual(b.told, ['draining', 'closed']);
    });
  }

  test('pause and resume; the end of the answer resumes', () => {
    const b = bench();
    const { sender } = start(b);
    b.transport.feed('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab');
    sender.pauseResponse();
    assert.equal(b.transport.reading, false);
    sender.resumeResponse();
    assert.equal(b.transport.reading, true);
    sender.pauseResponse();
    b.transport.feed('cd');
    assert.equal(b.transport.reading, true);
  });
});

describe('reuse', () => {
  test('P-009: bytes while idle, or behind an answer, are never the next answer', () => {
    const idle = bench();
    start(idle);
    idle.transport.feed(OK);
    idle.transport.feed(OK);
    assert.deepEqual(idle.told, ['available', 'draining', 'closed']);
    const behind = bench();
    const { answer } = start(behind);
    behind.transport.feed(OK + OK);
    assert.equal(answer.body, 'ok');
    assert.deepEqual(behind.told, ['draining', 'closed']);
    assert.equal(behind.channel.capacity, 0);
  });

  test('close, HTTP/1.0 and the request limit end it', () => {
    for (const text of [
      'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n',
      'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n',
    ]) {
      const b = bench();
      const { answer } = start(b);
      b.transport.feed(text);
      assert.equal(answer.ended, true);
      assert.deepEqual(b.told, ['draining', 'closed']);
    }
    const b = bench(2);
    start(b);
    b.transport.feed(OK);
    start(b);
    b.transport.feed(OK);
    assert.deepEqual([b.told, b.channel.served], [['available', 'draining', 'closed'], 2]);
  });

  test('H1-113: an answer before the request is complete ends the connection', () => {
    const b = bench();
    const { answer, sender } = start(b, { method: 'POST' }, false);
    sender.sendData(Buffer.from('part'), false);
    b.transport.feed('HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n');
    assert.deepEqual([answer.head?.status, answer.ended, answer.aborts.length], [413, true, 0]);
    assert.deepEqual(b.told, ['draining', 'closed']);
    b.out();
    sender.sendData(Buffer.from('more'), true);
    assert.equal(b.out(), '');
  });

  test('Keep-Alive: timeout=N stops reuse a second earlier', () => {
    const b = bench();
    start(b);
    b.transport.feed('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5, max=100\r\nContent-Length: 0\r\n\r\n');
    b.clock.advance(3900);
    assert.equal(b.channel.capacity, 1);
    start(b);
    b.clock.advance(5000);
    b.transport.feed('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n');
    b.clock.advance(4020);
    assert.deepEqual(b.told, ['available', 'available', 'draining', 'closed']);
    assert.equal(b.wheel.size, 0);

    const short = bench();
    start(short);
    short.transport.feed('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n');
    assert.deepEqual(short.told, ['draining', 'closed']);
  });

  test('FIN and close while idle', () => {
    const b = bench();
    b.transport.feedEnd();
    assert.deepEqual([b.told, b.channel.capacity, b.channel.draining], [['draining', 'closed'], 0, true]);
    const broken = bench();
    broken.transport.break('ECONNRESET');
    assert.deepEqual([broken.told, broken.channel.capacity], [['closed'], 0]);
  });

  test('abort closes and calls nothing back, also from inside a callback', () => {
    const b = bench();
    const { answer, sender } = start(b);
    b.transport.feed('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab');
    sender.abort();
    sender.abort();
    assert.deepEqual([answer.aborts.length, b.transport.closedBy], [0, 'destroy']);
    assert.deepEqual([b.told, b.channel.active], [['draining', 'closed'], 0]);

    const inside = bench();
    const first = start(inside);
    first.answer.onFirst = () => first.sender.abort();
    inside.transport.feed(OK);
    assert.deepEqual([first.answer.body, first.answer.ended, inside.told], ['', false, ['draining', 'closed']]);
  });

  test('drain lets the answer come, then closes; destroy does not', () => {
    const b = bench();
    const { answer } = start(b);
    b.channel.drain();
    assert.deepEqual([b.told, b.channel.draining, b.channel.active], [['draining'], true, 1]);
    b.transport.feed(OK);
    assert.deepEqual([answer.body, b.told], ['ok', ['draining', 'closed']]);

    const idle = bench();
    idle.channel.drain();
    assert.deepEqual(idle.told, ['draining', 'closed']);

    const gone = bench();
    const lost = start(gone);
    gone.channel.destroy();
    gone.channel.destroy();
    assert.deepEqual(
      lost.answer.aborts.map((abort) => abort.kind),
      ['upstream_reset'],
    );
    assert.deepEqual(gone.told, ['draining', 'closed']);
  });
});
