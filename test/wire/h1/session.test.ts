import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TimerWheel } from '../../../src/base/timer-wheel.ts';
import { silentLogger } from '../../../src/base/log.ts';
import type {
  Fields,
  RequestHead,
  RequestReceiver,
  ResponseHead,
  ResponseSender,
} from '../../../src/codec/exchange.ts';
import { DEFAULT_LIMITS, type WireLimits } from '../../../src/codec/limits.ts';
import { createH1Session } from '../../../src/downstream/h1-session.ts';
import type { Session } from '../../../src/downstream/session.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryTransport } from '../../support/memory-transport.ts';

/** One request as the handler saw it. */
class Seen implements RequestReceiver {
  readonly head: RequestHead;
  readonly sender: ResponseSender;
  body = '';
  ended: boolean;
  trailers: Fields | undefined;
  aborts: string[] = [];
  drains = 0;
  onEnd: (() => void) | undefined;

  constructor(head: RequestHead, endStream: boolean, sender: ResponseSender) {
    this.head = head;
    this.sender = sender;
    this.ended = endStream;
  }

  onData(chunk: Uint8Array, endStream: boolean): void {
    assert.equal(this.ended, false, 'nothing after the end');
    this.body += Buffer.from(chunk).toString('latin1');
    this.ended = endStream;
    if (endStream) this.onEnd?.();
  }

  onTrailers(fields: Fields): void {
    assert.equal(this.ended, false, 'nothing after the end');
    this.trailers = fields;
    this.ended = true;
    this.onEnd?.();
  }

  onAbort(kind: string): void {
    this.aborts.push(kind);
  }

  onDrain(): void {
    this.drains++;
  }
}

interface Bench {
  clock: FakeClock;
  wheel: TimerWheel;
  transport: MemoryTransport;
  session: Session;
  seen: Seen[];
  refused: string[];
  /** What was written since the last call. */
  out(): string;
}

function bench(onRequest?: (seen: Seen) => void, limits: Partial<WireLimits> = {}): Bench {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  const transport = new MemoryTransport(clock);
  const seen: Seen[] = [];
  const refused: string[] = [];
  const session = createH1Session(transport, {
    clock,
    wheel,
    logger: silentLogger,
    limits: { ...DEFAULT_LIMITS, ...limits },
    scheme: 'http',
    handle: (head, endStream, sender) => {
      const request = new Seen(head, endStream, sender);
      seen.push(request);
      onRequest?.(request);
      return request;
    },
    onRefused: (kind, detail, address) => refused.push(`${kind} ${detail} ${address}`),
  });
  return { clock, wheel, transport, session, seen, refused, out: () => transport.take().toString('latin1') };
}

function response(fields: Fields = [], contentLength = -1, status = 200): ResponseHead {
  return { status, fields, neverIndexed: undefined, contentLength };
}

/** Answers 200 with the path as body, at once. */
function echoPath({ head, sender }: Seen): void {
  sender.sendHead(response(['Content-Length', String(head.path.length)], head.path.length), false);
  sender.sendData(Buffer.from(head.path), true);
}

function answer(body: string): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('order and persistence', () => {
  test('pipelined requests are answered in order, also when answered at once', () => {
    const b = bench(echoPath);
    b.transport.feed(get('/1') + get('/2') + get('/3'));
    assert.equal(b.out(), answer('/1') + answer('/2') + answer('/3'));
    assert.equal(b.session.active, 0);
    assert.equal(b.transport.closedBy, undefined);
  });

  test('the second of two is not seen before the first is answered', async () => {
    const b = bench();
    b.transport.feed(get('/1') + get('/2').slice(0, 9));
    b.transport.feed(get('/2').slice(9) + get('/3'));
    assert.equal(b.seen.length, 1);
    echoPath(b.seen[0]!);
    assert.equal(b.seen.length, 1, 'not from inside the first answer');
    await turn();
    assert.equal(b.seen.length, 2);
    assert.equal(b.seen[1]!.head.path, '/2');
    echoPath(b.seen[1]!);
    await turn();
    echoPath(b.seen[2]!);
    assert.equal(b.out(), answer('/1') + answer('/2') + answer('/3'));
    assert.equal(b.session.active, 0);
  });

  test('held bytes are bounded: reading pauses, then resumes', async () => {
    const b = bench(undefined, { pipelinedBytes: 100 });
    b.transport.feed(get('/1'));
    b.transport.feed(get('/2').repeat(2));
    assert.equal(b.transport.reading, true);
    b.transport.feed(get('/3').repeat(2));
    assert.equal(b.transport.reading, false);
    for (let i = 0; i < 5; i++) {
      echoPath(b.seen[i]!);
      await turn();
    }
    assert.deepEqual(
      b.seen.map((seen) => seen.head.path),
      ['/1', '/2', '/2', '/3', '/3'],
    );
    assert.equal(b.transport.reading, true);
  });

  test('a thousand pipelined requests need neither stack nor turns', () => {
    const b = bench(echoPath);
    b.transport.feed(get('/').repeat(1000));
    assert.equal(b.seen.length, 1000);
  });

  test('Connection: close and HTTP/1.0 close, keep-alive of HTTP/1.0 stays', () => {
    const closing = bench(echoPath);
    closing.transport.feed(get('/1', 'Connection: close\r\n') + get('/2'));
    assert.equal(closing.out(), 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n/1');
    assert.equal(closing.transport.closedBy, 'linger');
    assert.equal(closing.seen.length, 1);

    const old = bench(echoPath);
    old.transport.feed('GET /1 HTTP/1.0\r\n\r\n');
    assert.match(old.out(), /\r\nConnection: close\r\n/);
    assert.equal(old.transport.closedBy, 'linger');

    const kept = bench(echoPath);
    kept.transport.feed('GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    assert.match(kept.out(), /\r\nConnection: keep-alive\r\n/);
    kept.transport.feed('GET /2 HTTP/1.0\r\n\r\n');
    assert.equal(kept.seen.length, 2);
  });

  test('a late call on an answered exchange writes nothing into the next', () => {
    const b = bench();
    b.transport.feed(get('/1'));
    echoPath(b.seen[0]!);
    b.transport.feed(get('/2'));
    b.out();
    const stale = b.seen[0]!.sender;
    stale.sendHead(response(), true);
    stale.sendData(Buffer.from('x'), true);
    stale.sendTrailers(['a', 'b']);
    stale.pauseRequest();
    stale.abort('internal');
    assert.equal(b.out(), '');
    assert.equal(b.transport.isClosed, false);
    assert.equal(b.transport.reading, true);
    assert.equal(stale.bufferedBytes, 0);
    assert.equal(b.session.active, 1);
  });
});

describe('answers', () => {
  const send = (request: string, act: (sender: ResponseSender) => void): Bench => {
    const b = bench();
    b.transport.feed(request);
    act(b.seen[0]!.sender);
    return b;
  };

  test('a body of unknown length is chunked for 1.1, with trailers', () => {
    const b = send(get('/'), (sender) => {
      sender.sendHead(response(['X', 'y']), false);
      sender.sendData(Buffer.from('hello'), false);
      sender.sendData(Buffer.alloc(0), false);
      sender.sendData(Buffer.alloc(3000, 'a'), false);
      sender.sendTrailers(['grpc-status', '0']);
    });
    assert.equal(
      b.out(),
      `HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nbb8\r\n${'a'.repeat(3000)}\r\n0\r\ngrpc-status: 0\r\n\r\n`,
    );
  });

  test('and delimited by the close for 1.0, without trailers', () => {
    const b = send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', (sender) => {
      sender.sendInformational(response([], -1, 103));
      sender.sendHead(response(), false);
      sender.sendData(Buffer.from('hello'), false);
      sender.sendTrailers(['t', '1']);
    });
    assert.equal(b.out(), 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello');
    assert.equal(b.transport.closedBy, 'linger');
  });

  test('HEAD, 204 and 304 have no body', () => {
    const toHead = send('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n', (sender) => {
      sender.sendHead(response(['content-length', '5'], 5), false);
      sender.sendData(Buffer.from('hello'), true);
    });
    assert.equal(toHead.out(), 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n');
    const none = send(get('/'), (sender) => sender.sendHead(response(['content-length', '0'], 0, 204), true));
    assert.equal(none.out(), 'HTTP/1.1 204 No Content\r\n\r\n');
    const same = send(get('/'), (sender) => sender.sendHead(response(['content-length', '7'], 7, 304), true));
    assert.equal(same.out(), 'HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n');
    for (const b of [toHead, none, same]) assert.equal(b.session.active, 0);
  });

  test('an answer that ends with its head states length 0; hop-by-hop fields never pass', () => {
    const fields = [
      'Connection',
      'x',
      'Keep-Alive',
      'timeout=5',
      'Transfer-Encoding',
      'chunked',
      'Upgrade',
      'h2',
      'X',
      'y',
    ];
    const b = send(get('/'), (sender) => sender.sendHead(response(fields, -1, 404), true));
    assert.equal(b.out(), 'HTTP/1.1 404 Not Found\r\nX: y\r\nContent-Length: 0\r\n\r\n');
  });

  test('informational heads pass, but 100 and 101', () => {
    const b = send(get('/'), (sender) => {
      for (const status of [100, 101, 103]) sender.sendInformational(response(['Link', 'x'], -1, status));
      sender.sendHead(response(), true);
      sender.sendInformational(response([], -1, 103));
    });
    assert.equal(b.out(), 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
  });

  test('a body that is longer or shorter than its head said is cut, never ended', () => {
    const long = send(get('/'), (sender) => {
      sender.sendHead(response(['content-length', '3'], 3), false);
      sender.sendData(Buffer.from('hello'), true);
    });
    assert.equal(long.transport.closedBy, 'reset');
    assert.doesNotMatch(long.out(), /hel/);
    const short = send(get('/'), (sender) => {
      sender.sendHead(response(['content-length', '3'], 3), false);
      sender.sendData(Buffer.from('he'), true);
    });
    assert.equal(short.transport.closedBy, 'reset');
  });

  test('abort: a reset after the head, a close before it; nothing is called back', () => {
    const after = send(get('/'), (sender) => {
      sender.sendHead(response(), false);
      sender.abort('upstream_reset');
    });
    assert.equal(after.transport.closedBy, 'reset');
    assert.deepEqual(after.seen[0]!.aborts, []);
    const before = send(get('/'), (sender) => sender.abort('upstream_reset'));
    assert.equal(before.transport.ended, true);
    assert.equal(before.out(), '');
    assert.deepEqual(before.seen[0]!.aborts, []);
  });

  test('back-pressure is the transport’s', () => {
    const b = bench();
    b.transport.blocked = true;
    b.transport.feed(get('/'));
    const { sender } = b.seen[0]!;
    sender.sendHead(response(), false);
    sender.sendData(Buffer.alloc(70_000), false);
    assert.ok(sender.bufferedBytes >= 70_000);
    assert.ok(sender.stalledSinceMs >= 0);
    b.transport.drain();
    assert.equal(b.seen[0]!.drains, 1);
    assert.equal(sender.bufferedBytes, 0);
    assert.equal(sender.stalledSinceMs, -1);
    assert.deepEqual([sender.remoteAddress, sender.remotePort, sender.localPort], ['192.0.2.1', 40000, 8080]);
  });
});

describe('request bodies', () => {
  test('chunked with trailers, then the next request', () => {
    const b = bench((seen) => (seen.onEnd = () => echoPath(seen)));
    b.transport.feed('POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab');
    b.transport.feed('c\r\n0\r\nT: 1\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx');
    b.transport.feed('y');
    assert.deepEqual(
      b.seen.map((seen) => [seen.body, seen.trailers]),
      [
        ['abc', ['T', '1']],
        ['xy', undefined],
      ],
    );
    assert.equal(b.out(), answer('/1') + answer('/2'));
  });

  test('pause and resume reach the transport, and the end of the request resumes it', () => {
    const b = bench();
    b.transport.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab');
    const { sender } = b.seen[0]!;
    sender.pauseRequest();
    sender.pauseRequest();
    assert.equal(b.transport.reading, false);
    sender.resumeRequest();
    assert.equal(b.transport.reading, true);
    sender.pauseRequest();
    b.transport.feed('cd');
    assert.equal(b.transport.reading, true, 'to hear of a caller that leaves');
    sender.pauseRequest();
    assert.equal(b.transport.reading, true);
  });

  test('100 Continue is sent at once where the caller waits for it', () => {
    const expects = 'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n';
    const b = bench();
    b.transport.feed(expects);
    assert.equal(b.out(), 'HTTP/1.1 100 Continue\r\n\r\n');
    assert.deepEqual(b.seen[0]!.head.fields, ['Content-Length', '2']);
    b.transport.feed('ab');
    echoPath(b.seen[0]!);
    assert.equal(b.out(), answer('/'));

    const answered = bench(echoPath);
    answered.transport.feed(expects);
    assert.equal(answered.out(), 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n/');
    assert.equal(answered.transport.ended, true);

    const inHand = bench();
    inHand.transport.feed(`${expects}ab`);
    assert.equal(inHand.out(), '', 'it did not wait');
  });

  test('H1-113 to 115: an early answer says close, and body bytes are never parsed as a request', () => {
    const b = bench(echoPath);
    b.transport.feed('POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n');
    assert.equal(b.out(), 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n/1');
    assert.equal(b.transport.ended, true);
    b.transport.feed(get('/evil'));
    assert.equal(b.seen.length, 1);
    assert.equal(b.seen[0]!.body, '');
    assert.equal(b.transport.reading, true);
    b.transport.feed(Buffer.alloc(64 * 1024));
    assert.equal(b.transport.reading, false, 'no more than 64 KiB are thrown away');
    b.clock.advance(1020);
    assert.equal(b.transport.closedBy, 'destroy');
    assert.equal(b.wheel.size, 0);
  });

  test('an early answer whose request ends in the same read keeps the connection', () => {
    const b = bench(echoPath);
    b.transport.feed(`POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello${get('/2')}`);
    assert.equal(b.out(), answer('/1') + answer('/2'));
    assert.equal(b.transport.ended, false);
  });

  test('an answer that begins early and a request that ends later: both whole, then closed', () => {
    const b = bench();
    b.transport.feed('POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab');
    const { sender } = b.seen[0]!;
    sender.sendHead(response(), false);
    b.transport.feed('cd');
    assert.equal(b.seen[0]!.body, 'abcd');
    sender.sendData(Buffer.from('x'), true);
    assert.match(b.out(), /Connection: close\r\n\r\n1\r\nx\r\n0\r\n\r\n$/);
    assert.equal(b.transport.closedBy, 'linger');
  });

  test('a slow reader of a last answer is not cut while it reads', () => {
    const b = bench();
    b.transport.feed(get('/', 'Connection: close\r\n'));
    b.transport.blocked = true;
    const { sender } = b.seen[0]!;
    sender.sendHead(response(), false);
    sender.sendData(Buffer.alloc(100_000), true);
    assert.equal(b.transport.ended, true);
    b.clock.advance(5000);
    assert.equal(b.transport.isClosed, false);
    b.transport.drain();
    b.clock.advance(2050);
    assert.equal(b.transport.closedBy, 'destroy');
  });

  test('a reader of a last answer that takes nothing for 30 s is cut', () => {
    const b = bench();
    b.transport.feed(get('/', 'Connection: close\r\n'));
    b.transport.blocked = true;
    Object.defineProperty(b.transport, 'stalledSinceMs', { value: b.clock.nowMs });
    b.seen[0]!.sender.sendHead(response(), false);
    b.seen[0]!.sender.sendData(Buffer.alloc(100_000), true);
    b.clock.advance(29_000);
    assert.equal(b.transport.isClosed, false);
    b.clock.advance(2050);
    assert.equal(b.transport.closedBy, 'reset');
    assert.equal(b.wheel.size, 0);
  });

  test('a caller that closes too ends the lingering', () => {
    const b = bench(echoPath);
    b.transport.feed('POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n');
    b.transport.feedEnd();
    assert.equal(b.transport.closedBy, 'destroy');
    assert.equal(b.wheel.size, 0);
  });

  test('a broken body: 400 before the head, a reset after it', () => {
    const chunked = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n';
    const b = bench();
    b.transport.feed(chunked);
    b.transport.feed('zz\r\n');
    assert.deepEqual(b.seen[0]!.aborts, ['bad_request']);
    assert.match(b.out(), /^HTTP\/1\.1 400 Bad Request\r\n/);
    assert.equal(b.transport.closedBy, 'linger');
    assert.deepEqual(b.refused, [], 'the handler knows of it');

    const begun = bench();
    begun.transport.feed(chunked);
    begun.seen[0]!.sender.sendHead(response(), false);
    begun.transport.feed('zz\r\n');
    assert.deepEqual(begun.seen[0]!.aborts, ['bad_request']);
    assert.equal(begun.transport.closedBy, 'reset');
  });
});

describe('refusals', () => {
  for (const [text, status, kind] of [
    ['GET / HTTP/1.1\r\n\r\n', '400 Bad Request', 'bad_request'],
    ['CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n', '405 Method Not Allowed', 'method_not_allowed'],
    ['GET / HTTP/3.0\r\nHost: a\r\n\r\n', '505 HTTP Version Not Supported', 'version_not_supported'],
    [`GET /${'a'.repeat(9000)} HTTP/1.1\r\nHost: a\r\n\r\n`, '414 URI Too Long', 'uri_too_long'],
    [get('/', `X: ${'a'.repeat(17_000)}\r\n`), '431 Request Header Fields Too Large', 'headers_too_large'],
    [get('/', 'Expect: foo\r\n'), '417 Expectation Failed', 'expectation_failed'],
    [get('/', 'Transfer-Encoding: gzip, chunked\r\n'), '501 Not Implemented', 'not_implemented'],
  ] as const) {
    test(status, () => {
      const b = bench(echoPath);
      b.transport.feed(get('/1') + text + get('/2'));
      const out = b.out();
      assert.ok(out.startsWith(`${answer('/1')}HTTP/1.1 ${status}\r\n`), out.slice(0, 200));
      const [head = '', body] = out.slice(answer('/1').length).split('\r\n\r\n');
      assert.ok(head.includes(`\r\nx-outrigger-reason: ${kind}`));
      assert.ok(head.includes('\r\nConnection: close'));
      assert.ok(head.includes('\r\ncontent-type: text/plain'));
      assert.ok(head.includes(`\r\ncontent-length: ${body?.length}`));
      assert.equal(b.transport.closedBy, 'linger');
      assert.equal(b.seen.length, 1);
      assert.equal(b.refused.length, 1);
      assert.ok(b.refused[0]!.startsWith(`${kind} `) && b.refused[0]!.endsWith(' 192.0.2.1'), b.refused[0]);
      assert.equal(b.wheel.size, 0);
    });
  }
});

describe('time', () => {
  test('H1-127: no request at all, then none for long', () => {
    const b = bench(echoPath);
    b.clock.advance(9_900);
    assert.equal(b.transport.ended, false);
    b.clock.advance(120);
    assert.equal(b.transport.ended, true);
    assert.equal(b.out(), '');

    const between = bench(echoPath);
    between.transport.feed(get('/'));
    between.clock.advance(59_900);
    between.transport.feed(get('/'));
    between.clock.advance(59_900);
    assert.equal(between.transport.ended, false);
    between.clock.advance(120);
    assert.equal(between.transport.ended, true);
    assert.deepEqual(between.refused, []);
  });

  test('a slow head is answered 408, however often a byte comes', () => {
    const b = bench();
    b.clock.advance(5000);
    for (const byte of 'GET / HTTP/1.1\r\nH') {
      b.transport.feed(byte);
      b.clock.advance(570);
    }
    assert.equal(b.transport.ended, false);
    b.transport.feed('o');
    b.clock.advance(400);
    assert.match(b.out(), /^HTTP\/1\.1 408 Request Timeout\r\n/);
    assert.deepEqual(b.refused, ['request_timeout the head was not complete in time 192.0.2.1']);
  });

  test('no timer runs while a request is in flight', () => {
    const b = bench();
    b.transport.feed(get('/'));
    assert.equal(b.wheel.size, 0);
    b.clock.advance(1_000_000);
    assert.equal(b.transport.isClosed, false);
  });
});

describe('ends', () => {
  test('H1-130: a half-closed caller is still answered, with everything it had asked', async () => {
    const b = bench();
    b.transport.feed(get('/1') + get('/2'));
    b.transport.feedEnd();
    echoPath(b.seen[0]!);
    await turn();
    echoPath(b.seen[1]!);
    assert.equal(b.out(), answer('/1') + answer('/2'));
    assert.equal(b.transport.closedBy, 'linger');
  });

  test('H1-129: a caller that leaves mid-request aborts it', () => {
    const b = bench();
    b.transport.feed('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab');
    b.transport.feedEnd();
    assert.deepEqual(b.seen[0]!.aborts, ['downstream_reset']);
    assert.equal(b.transport.isClosed, true);

    const broken = bench();
    broken.transport.feed(get('/'));
    broken.transport.break('ECONNRESET');
    assert.deepEqual(broken.seen[0]!.aborts, ['downstream_reset']);
    assert.equal(broken.session.active, 0);
    broken.seen[0]!.sender.sendHead(response(), true);
    assert.equal(broken.out(), '');
  });

  test('FIN while idle closes; FIN inside a head is answered 400', () => {
    const idle = bench(echoPath);
    idle.transport.feed(get('/'));
    idle.transport.feedEnd();
    assert.equal(idle.transport.ended, true);
    const inside = bench();
    inside.transport.feed('GET / HT');
    inside.transport.feedEnd();
    assert.match(inside.out(), /^HTTP\/1\.1 400 /);
    assert.equal(inside.refused.length, 1);
  });

  test('drain: idle closes, a request in flight or on its way is answered with close', () => {
    const idle = bench();
    idle.clock.advance(600);
    idle.session.drain();
    assert.equal(idle.transport.ended, true);

    const used = bench(echoPath);
    used.clock.advance(5000);
    used.transport.feed(get('/1'));
    used.out();
    used.clock.advance(300);
    used.session.drain();
    assert.equal(used.transport.ended, false);
    used.transport.feed(get('/2'));
    assert.match(used.out(), /\r\nConnection: close\r\n\r\n\/2$/);
    assert.equal(used.transport.closedBy, 'linger');

    const unused = bench(echoPath);
    unused.transport.feed(get('/1'));
    unused.clock.advance(300);
    unused.session.drain();
    unused.clock.advance(190);
    assert.equal(unused.transport.ended, false);
    unused.clock.advance(30);
    assert.equal(unused.transport.ended, true);

    const busy = bench();
    busy.transport.feed(get('/1'));
    busy.session.drain();
    assert.equal(busy.transport.ended, false);
    echoPath(busy.seen[0]!);
    assert.match(busy.out(), /\r\nConnection: close\r\n\r\n\/1$/);
    assert.equal(busy.transport.closedBy, 'linger');

    const begun = bench();
    begun.transport.feed(get('/1'));
    begun.seen[0]!.sender.sendHead(response(), false);
    begun.session.drain();
    begun.seen[0]!.sender.sendData(Buffer.from('x'), true);
    assert.equal(begun.transport.closedBy, 'linger');

    const inHead = bench(echoPath);
    inHead.transport.feed('GET /1 HTTP/1.1\r\n');
    inHead.session.drain();
    assert.equal(inHead.transport.ended, false);
    inHead.transport.feed('Host: a\r\n\r\n');
    assert.match(inHead.out(), /Connection: close/);
  });

  test('destroy aborts what is in flight', () => {
    const b = bench();
    b.transport.feed(get('/1'));
    b.session.destroy();
    b.session.destroy();
    assert.deepEqual(b.seen[0]!.aborts, ['downstream_reset']);
    assert.equal(b.transport.closedBy, 'destroy');
    assert.equal(b.wheel.size, 0);
    const inside = bench(() => inside.session.destroy());
    inside.transport.feed(get('/1'));
    assert.deepEqual(inside.seen[0]!.aborts, ['downstream_reset']);
  });
});

test('a caller that reads at last is one between requests again', () => {
  const { clock, transport, session, seen } = bench(({ sender }) => {
    sender.sendHead(response(['Content-Length', '70000'], 70_000), false);
    sender.sendData(Buffer.alloc(70_000), true);
  });
  transport.blocked = true;
  transport.feed(get('/one'));
  transport.feed('\r\n'); // belongs to no request
  assert.equal(seen.length, 1);
  clock.advance(1000);
  transport.drain();
  return turn().then(() => {
    clock.advance(DEFAULT_LIMITS.flushMs + DEFAULT_LIMITS.idleMs + 2000);
    assert.equal(session.active, 0);
    assert.notEqual(transport.closedBy, undefined);
  });
});
