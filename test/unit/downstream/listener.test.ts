// A listener on a real port: what it counts, and how it drains.
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import type { ErrorKind } from '../../../src/base/error.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { TimerWheel } from '../../../src/base/timer-wheel.ts';
import type { ResponseSender } from '../../../src/codec/exchange.ts';
import { DEFAULT_LIMITS } from '../../../src/codec/limits.ts';
import type { TlsAcceptor } from '../../../src/net/tls.ts';
import { ConnectionQuota } from '../../../src/downstream/connection-quota.ts';
import { Listener } from '../../../src/downstream/listener.ts';
import { CounterCell, Counters } from '../../../src/telemetry/counters.ts';
import { frame, headers, PREFACE, request, settings, TYPE } from '../../support/h2-peer.ts';

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

interface Fixture {
  readonly listener: Listener;
  readonly counters: Counters;
  readonly refused: [ErrorKind, string, string][];
  /** Requests that wait for their answer. */
  readonly senders: ResponseSender[];
  /** Opens a connection, sends `bytes` and waits for the request or, where none comes, for the accept. */
  connect(bytes?: string | Uint8Array): Promise<Socket>;
}

interface Options {
  readonly quota?: ConnectionQuota;
  readonly protocols?: 'auto' | 'http1' | 'http2';
  readonly acceptor?: TlsAcceptor;
}

async function fixture(options: Options = {}): Promise<Fixture> {
  const { quota = new ConnectionQuota(1000, 0.5), protocols = 'auto', acceptor } = options;
  const clock = systemClock();
  const counters = new Counters();
  const refused: Fixture['refused'] = [];
  const senders: ResponseSender[] = [];
  let arrived: () => void = () => undefined;
  const listener = await Listener.bind(
    '127.0.0.1',
    0,
    protocols,
    (_head, _endStream, sender) => {
      senders.push(sender);
      arrived();
      return { onData: ignore, onTrailers: ignore, onAbort: ignore, onDrain: ignore };
    },
    {
      clock,
      wheel: new TimerWheel(clock),
      logger: silentLogger,
      limits: DEFAULT_LIMITS,
      counters,
      quota,
      onRefused: (...what) => refused.push(what),
    },
    acceptor,
  );
  closers.push(() => listener.destroy());
  return {
    listener,
    counters,
    refused,
    senders,
    async connect(bytes = '') {
      const before = listener.connectionCount;
      const came = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      const socket = connect({ host: '127.0.0.1', port: listener.port });
      socket.on('error', ignore);
      closers.push(() => socket.destroy());
      if (bytes.length > 0) {
        socket.write(bytes);
        await came;
      } else while (listener.connectionCount === before) await turn();
      return socket;
    },
  };
}

function ignore(): void {}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function textOf(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('latin1').on('data', (part: string) => (text += part));
  await new Promise((resolve) => socket.once('close', resolve));
  return text;
}

function answer(sender: ResponseSender | undefined): void {
  sender?.sendHead({ status: 200, fields: ['content-length', '2'], neverIndexed: undefined, contentLength: 2 }, false);
  sender?.sendData(Buffer.from('ok'), true);
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const GET2 = Buffer.concat([PREFACE, settings(), headers(1, request())]);

describe('Listener', () => {
  it('knows its connections in whatever order they leave', async () => {
    const { listener, connect: open } = await fixture();
    const sockets = [await open(), await open(), await open(), await open()];
    const leave = async (index: number): Promise<void> => {
      const before = listener.connectionCount;
      sockets[index]?.destroy();
      while (listener.connectionCount === before) await turn();
    };
    await leave(1);
    await leave(3);
    assert.equal(listener.connectionCount, 2);
    const ends = [0, 2].map(async (index) => {
      const socket = sockets[index];
      if (socket) await textOf(socket);
    });
    listener.destroy();
    await Promise.all(ends);
    while (listener.connectionCount > 0) await turn();
  });

  it('counts connections by version; those that leave without a word aren’t refused', async () => {
    const { listener, counters, connect: open } = await fixture();
    const sockets = [await open(GET), await open(GET2), await open()];
    assert.equal(listener.connectionCount, 3);
    assert.equal(listener.active, 2);
    for (const socket of sockets) socket.resetAndDestroy();
    while (listener.connectionCount > 0) await turn();
    const cells = ['Http1Opened', 'Http1Closed', 'Http2Opened', 'Http2Closed', 'ConnectionsRefused'] as const;
    assert.deepEqual(
      cells.map((cell) => counters.total(CounterCell[cell])),
      [1, 1, 1, 1, 0],
    );
    assert.equal(listener.active, 0);
  });

  it('drain: no new connection, idle ones close, calls in flight finish and say that it was the last', async () => {
    const { listener, senders, connect: open } = await fixture();
    const silent = await open();
    const idle = await open(GET);
    answer(senders[0]);
    await new Promise((resolve) => idle.once('data', resolve));
    const busy = await open(GET);
    const closedSilent = textOf(silent);
    const closedIdle = textOf(idle);
    const text = textOf(busy);
    let drained = false;
    const [first, second] = [listener.drain(), listener.drain()].map((drain) => drain.then(() => (drained = true)));
    assert.equal(await closedSilent, '');
    assert.equal(await closedIdle, '');
    assert.equal(drained, false);
    const refused = connect({ host: '127.0.0.1', port: listener.port });
    await new Promise((resolve) => refused.once('error', resolve));
    answer(senders[1]);
    assert.match(await text, /^HTTP\/1\.1 200 OK\r\n[^]*\r\nConnection: close\r\n\r\nok$/);
    await Promise.all([first, second]);
    assert.equal(listener.connectionCount, 0);
    await listener.drain();
  });

  it('destroy cuts everything, and ends a drain', async () => {
    const { listener, connect: open } = await fixture();
    const socket = await open(GET);
    const drained = listener.drain();
    const closed = textOf(socket);
    listener.destroy();
    assert.equal(await closed, '');
    await drained;
  });

  it('a taken port rejects', async () => {
    const { listener } = await fixture();
    const clock = systemClock();
    const context = {
      clock,
      wheel: new TimerWheel(clock),
      logger: silentLogger,
      limits: DEFAULT_LIMITS,
      counters: new Counters(),
      quota: new ConnectionQuota(1000, 0.5),
      onRefused: ignore,
    };
    await assert.rejects(
      Listener.bind('127.0.0.1', listener.port, 'auto', () => assert.fail('no request'), context),
      { code: 'EADDRINUSE' },
    );
  });
});

/** What comes on a connection that is expected to end, and how it ends. */
async function ending(port: number, bytes: string | Uint8Array): Promise<{ text: string; error: string | undefined }> {
  const socket = connect({ host: '127.0.0.1', port });
  closers.push(() => socket.destroy());
  let error: string | undefined;
  socket.on('error', (cause: NodeJS.ErrnoException) => (error = cause.code));
  if (bytes.length > 0) socket.write(bytes);
  const text = await textOf(socket);
  return { text, error };
}

describe('the quota of connections', () => {
  /** Three places, and one to be told in. */
  const three = (): ConnectionQuota => new ConnectionQuota(10, 0.3);

  it('holds over all listeners; one more is told why in HTTP/1, and the rest go on', async () => {
    const quota = three();
    const [a, b] = [await fixture({ quota }), await fixture({ quota })];
    const first = await a.connect(GET);
    const second = await b.connect(GET2);
    await b.connect();
    assert.equal(quota.open, 3);
    const { text, error } = await ending(b.listener.port, GET);
    assert.match(text, /^HTTP\/1\.1 503 Service Unavailable\r\n[^]*connection: close\r\n/);
    assert.match(text, /\r\nx-outrigger-reason: too_many_connections\r\n\r\nthis sidecar has too many connections\n$/);
    assert.equal(error, undefined);
    assert.deepEqual(b.refused, [
      ['too_many_connections', '3 connections are open, 30 % of the 10 files that this process may open', '127.0.0.1'],
    ]);
    assert.equal(b.counters.total(CounterCell.ConnectionsRefused), 1);
    assert.equal(b.counters.total(CounterCell.Http1Opened), 0);
    assert.equal(quota.open, 3);
    // Who is in is served, and a place that is given back is taken again.
    answer(a.senders[0]);
    answer(b.senders[0]);
    await Promise.all([first, second].map((socket) => new Promise((resolve) => socket.once('data', resolve))));
    first.resetAndDestroy();
    while (quota.open === 3) await turn();
    await b.connect(GET);
    assert.equal(quota.open, 3);
    a.listener.destroy();
    b.listener.destroy();
    while (quota.open > 0 || quota.turningAway > 0) await turn();
  });

  it('a caller that speaks HTTP/2 gets GOAWAY', async () => {
    const quota = new ConnectionQuota(1, 0.45);
    assert.equal(quota.limit, 1);
    for (const protocols of ['auto', 'http2'] as const) {
      const { listener, connect: open } = await fixture({ quota, protocols });
      await open();
      const { text } = await ending(listener.port, GET2);
      const detail = Buffer.from('too_many_connections: this sidecar has too many connections');
      const goodbye = frame(TYPE.GOAWAY, 0, 0, Buffer.concat([Buffer.from([0, 0, 0, 0, 0, 0, 0, 0xb]), detail]));
      assert.equal(text, Buffer.concat([settings(), goodbye]).toString('latin1'));
      listener.destroy();
      while (quota.open > 0) await turn();
    }
  });

  it('a caller that says nothing is told too, in HTTP/1', async () => {
    const { listener, connect: open } = await fixture({ quota: new ConnectionQuota(1, 0.45) });
    await open();
    assert.match((await ending(listener.port, '')).text, /^HTTP\/1\.1 503 /);
  });

  it('few are told at once: the rest are reset, and counted all the same', async () => {
    const quota = three();
    const { listener, counters, refused, connect: open } = await fixture({ quota });
    for (let i = 0; i < 3; i++) await open();
    const silent = ending(listener.port, ''); // waits to be told
    while (quota.turningAway === 0) await turn();
    assert.deepEqual(await ending(listener.port, GET), { text: '', error: 'ECONNRESET' });
    assert.match((await silent).text, /^HTTP\/1\.1 503 /);
    while (quota.turningAway > 0) await turn();
    assert.match((await ending(listener.port, GET)).text, /^HTTP\/1\.1 503 /);
    assert.equal(counters.total(CounterCell.ConnectionsRefused), 3);
    assert.equal(refused.length, 3);
  });

  it('a port that speaks TLS resets before the handshake', async () => {
    let asked = 0;
    const acceptor = {
      get context() {
        asked++;
        return undefined;
      },
      error: 'no certificate',
    } as unknown as TlsAcceptor;
    const { listener, refused, connect: open } = await fixture({ quota: new ConnectionQuota(1, 0.45), acceptor });
    await open();
    const hello = Buffer.from([0x16, 3, 1, 0, 5]);
    assert.deepEqual(await ending(listener.port, hello), { text: '', error: 'ECONNRESET' });
    assert.equal(asked, 0);
    assert.equal(refused[0]?.[0], 'too_many_connections');
  });

  it('destroy closes those that are being told', async () => {
    const quota = new ConnectionQuota(1, 0.45);
    const { listener, connect: open } = await fixture({ quota });
    await open();
    const end = ending(listener.port, '');
    while (quota.turningAway === 0) await turn();
    listener.destroy();
    assert.equal((await end).text, '');
    assert.deepEqual([quota.open, quota.turningAway], [0, 0]);
  });
});
