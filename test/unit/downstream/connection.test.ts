import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLogger } from '../../../src/base/log.ts';
import { TimerWheel } from '../../../src/base/timer-wheel.ts';
import type { RequestHead, ResponseSender } from '../../../src/codec/exchange.ts';
import { DEFAULT_LIMITS } from '../../../src/codec/limits.ts';
import { SniffingConnection } from '../../../src/downstream/connection.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { H2Peer, headers, PREFACE, request, settings } from '../../support/h2-peer.ts';
import { MemoryTransport } from '../../support/memory-transport.ts';

interface Fixture {
  readonly clock: FakeClock;
  readonly wheel: TimerWheel;
  readonly transport: MemoryTransport;
  readonly connection: SniffingConnection;
  readonly heads: RequestHead[];
  readonly aborts: string[];
  readonly told: string[];
  readonly refused: string[];
}

function open(protocols: 'auto' | 'http1' | 'http2' = 'auto', answer = true): Fixture {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  const transport = new MemoryTransport(clock);
  const heads: RequestHead[] = [];
  const aborts: string[] = [];
  const told: string[] = [];
  const refused: string[] = [];
  const connection = new SniffingConnection(
    protocols,
    {
      clock,
      wheel,
      logger: silentLogger,
      limits: DEFAULT_LIMITS,
      scheme: 'http',
      onRefused: (kind) => refused.push(kind),
      handle: (head, _endStream, sender: ResponseSender) => {
        heads.push(head);
        if (answer) sender.sendHead({ status: 204, fields: [], neverIndexed: undefined, contentLength: -1 }, true);
        return {
          onData: () => undefined,
          onTrailers: () => undefined,
          onAbort: (kind) => aborts.push(kind),
          onDrain: () => undefined,
        };
      },
    },
    {
      onSession: ({ isHttp2 }) => told.push(isHttp2 ? 'http2' : 'http1'),
      onClosed: () => told.push('closed'),
      onSecured: ({ alpn }) => told.push(`secured ${alpn}`),
      onHandshakeRefused: ({ kind }) => told.push(kind),
    },
  );
  transport.handler = connection;
  connection.attach(transport);
  return { clock, wheel, transport, connection, heads, aborts, told, refused };
}

const HTTP2 = Buffer.concat([PREFACE, settings(), headers(1, request('/two'))]);
const HTTP1 = Buffer.from('GET /one HTTP/1.1\r\nHost: svc\r\n\r\n');

describe('sniffing', () => {
  it('HTTP/2, however the preface is split in two', () => {
    for (let at = 0; at <= PREFACE.length; at++) {
      const { transport, heads, told } = open();
      if (at > 0) transport.feed(HTTP2.subarray(0, at));
      transport.feed(HTTP2.subarray(at));
      assert.deepEqual(told, ['http2'], `split at ${at}`);
      assert.equal(heads[0]?.path, '/two', `split at ${at}`);
      assert.equal(heads[0]?.version, 20);
    }
  });

  it('HTTP/2 and HTTP/1, byte by byte', () => {
    for (const [bytes, path, version] of [
      [HTTP2, '/two', 20],
      [HTTP1, '/one', 11],
    ] as const) {
      const { transport, heads } = open();
      for (const byte of bytes) transport.feed(Buffer.from([byte]));
      assert.equal(heads.length, 1);
      assert.equal(heads[0]?.path, path);
      assert.equal(heads[0]?.version, version);
    }
  });

  it('HTTP/1 from the first byte that the preface does not have, and no byte is lost', () => {
    for (let same = 0; same < PREFACE.length; same++) {
      const { transport, told, connection } = open();
      for (let i = 0; i < same; i++) transport.feed(PREFACE.subarray(i, i + 1));
      assert.deepEqual(told, [], `undecided after ${same}`);
      transport.feed(Buffer.from([PREFACE[same] === 0x51 ? 0x52 : 0x51]));
      transport.feed('\r\n'); // the first words might still be a wrong preface's
      assert.deepEqual(told, ['http1']);
      assert.equal(connection.isHttp2, false);
    }
  });

  it('methods that begin as the preface does are HTTP/1', () => {
    for (const method of ['P', 'PR', 'PRI', 'PRIX', 'POST', 'PRINT']) {
      const { transport, heads } = open();
      const bytes = Buffer.from(`${method} /x HTTP/1.1\r\nHost: svc\r\n\r\n`);
      transport.feed(bytes.subarray(0, 2));
      transport.feed(bytes.subarray(2));
      assert.equal(heads[0]?.method, method);
    }
  });

  it('a preface of which a late byte is wrong is a bad HTTP/1 request', () => {
    const { transport, refused, heads } = open();
    transport.feed('PRI * HTTP/2.0\r\n\r\nSM\r\n');
    transport.feed('X\r\n');
    assert.equal(heads.length, 0);
    assert.equal(refused.length, 1);
    assert.match(transport.take().toString('latin1'), /^HTTP\/1\.1 (400|505) /);
  });

  it('a listener of one version takes whatever comes for it, but a TLS handshake', () => {
    const only2 = open('http2');
    only2.transport.feed(HTTP1);
    assert.deepEqual(only2.told, ['http2']);
    assert.equal(only2.heads.length, 0);
    const words = new H2Peer(only2.transport).takeWords();
    assert.equal(words.at(-1), 'GOAWAY 0 1');
    const only1 = open('http1');
    only1.transport.feed(HTTP2);
    assert.deepEqual(only1.told, ['http1']);
    assert.equal(only1.heads.length, 0);
    assert.match(only1.transport.take().toString('latin1'), /^HTTP\/1\.1 (400|505) /);
    for (const protocols of ['auto', 'http1', 'http2'] as const) {
      const { transport, told, refused } = open(protocols);
      transport.feed(Buffer.from([0x16, 3, 1, 2, 0, 1]));
      assert.deepEqual(told, []);
      assert.match(transport.take().toString('latin1'), /^HTTP\/1\.1 400 [^]*x-outrigger-reason: tls_to_plaintext/);
      assert.equal(refused.length, 1);
    }
  });

  it('who says nothing, or half a preface, is closed in time', () => {
    for (const early of ['', 'PRI * HT']) {
      const { clock, wheel, transport, told } = open();
      if (early !== '') transport.feed(early);
      clock.advance(DEFAULT_LIMITS.firstRequestMs - 20);
      assert.equal(transport.isClosed, false);
      clock.advance(40);
      assert.equal(transport.closedBy, 'destroy');
      assert.deepEqual(told, ['closed']);
      clock.advance(50);
      assert.equal(clock.waiting, 0, 'no timer is left');
      assert.ok(wheel);
    }
  });

  it('part of what may be a request gets a 408, and a 400 where its caller ends', () => {
    for (const early of ['G', 'GET', 'GET fo']) {
      const slow = open();
      slow.transport.feed(early);
      slow.clock.advance(DEFAULT_LIMITS.firstRequestMs + 20);
      assert.match(slow.transport.take().toString('latin1'), /^HTTP\/1\.1 408 /);
      const gone = open();
      gone.transport.feed(early);
      gone.transport.feedEnd();
      assert.match(gone.transport.take().toString('latin1'), /^HTTP\/1\.1 400 /);
    }
  });

  it('a first line with nothing of HTTP/1 in it is a wrong preface', () => {
    const line = 'INVALID CONNECTION PREFACE\r\n\r\n';
    for (const cut of [1, 10, 20, line.length]) {
      const { transport, told } = open();
      transport.feed(line.slice(0, cut));
      if (cut < line.length) transport.feed(line.slice(cut));
      const written = transport.take();
      assert.deepEqual([written[3], written[written.indexOf('bad client preface') - 14]], [4, 7]); // SETTINGS, GOAWAY
      assert.equal(told[0], 'http2');
    }
  });

  it('a FIN before the version is known closes', () => {
    const { transport, told } = open();
    transport.feed('PRI');
    transport.feedEnd();
    assert.equal(transport.closedBy, 'destroy');
    assert.deepEqual(told, ['closed']);
  });

  it('drain closes who has not spoken after a moment, and hands on to the session of who has', () => {
    const silent = open();
    silent.connection.drain();
    silent.clock.advance(490);
    assert.equal(silent.transport.closedBy, undefined);
    silent.clock.advance(20);
    assert.equal(silent.transport.closedBy, 'destroy');
    const late = open();
    late.connection.drain();
    late.transport.feed(HTTP1);
    assert.equal(late.heads.length, 1);
    const speaking = open('auto', false);
    speaking.transport.feed(HTTP1);
    speaking.connection.drain();
    assert.equal(speaking.transport.isClosed, false);
    assert.equal(speaking.connection.session?.active, 1);
    const idle = open();
    idle.transport.feed(HTTP1);
    idle.connection.drain();
    idle.clock.advance(510);
    assert.equal(idle.transport.ended, true);
  });

  it('a broken connection is told to the request and to the owner, once', () => {
    const { transport, aborts, told } = open('auto', false);
    transport.feed(HTTP1);
    transport.break('ECONNRESET');
    assert.deepEqual(aborts, ['downstream_reset']);
    assert.deepEqual(told, ['http1', 'closed']);
  });

  it('destroy cuts what is in flight', () => {
    const { connection, transport, aborts, told } = open('auto', false);
    transport.feed(HTTP2);
    connection.destroy();
    assert.deepEqual(aborts, ['downstream_reset']);
    assert.deepEqual(told, ['http2', 'closed']);
  });
});
