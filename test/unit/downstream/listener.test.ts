// A listener on a real port: what it counts, and how it drains.
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { TimerWheel } from '../../../src/base/timer-wheel.ts';
import type { ResponseSender } from '../../../src/codec/exchange.ts';
import { DEFAULT_LIMITS } from '../../../src/codec/limits.ts';
import { Listener } from '../../../src/downstream/listener.ts';
import { CounterCell, Counters } from '../../../src/telemetry/counters.ts';
import { headers, PREFACE, request, settings } from '../../support/h2-peer.ts';

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

interface Fixture {
  readonly listener: Listener;
  readonly counters: Counters;
  /** Requests that wait for their answer. */
  readonly senders: ResponseSender[];
  /** Opens a connection, sends `bytes` and waits for the request or, where none comes, for the accept. */
  connect(bytes?: string | Uint8Array): Promise<Socket>;
}

async function fixture(): Promise<Fixture> {
  const clock = systemClock();
  const counters = new Counters();
  const senders: ResponseSender[] = [];
  let arrived: () => void = () => undefined;
  const listener = await Listener.bind(
    '127.0.0.1',
    0,
    'auto',
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
      onRefused: ignore,
    },
  );
  closers.push(() => listener.destroy());
  return {
    listener,
    counters,
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
  it('counts connections by version, and those that never spoke', async () => {
    const { listener, counters, connect: open } = await fixture();
    const sockets = [await open(GET), await open(GET2), await open()];
    assert.equal(listener.connectionCount, 3);
    assert.equal(listener.active, 2);
    for (const socket of sockets) socket.resetAndDestroy();
    while (listener.connectionCount > 0) await turn();
    const cells = ['Http1Opened', 'Http1Closed', 'Http2Opened', 'Http2Closed', 'ConnectionsRefused'] as const;
    assert.deepEqual(
      cells.map((cell) => counters.total(CounterCell[cell])),
      [1, 1, 1, 1, 1],
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
      onRefused: ignore,
    };
    await assert.rejects(
      Listener.bind('127.0.0.1', listener.port, 'auto', () => assert.fail('no request'), context),
      { code: 'EADDRINUSE' },
    );
  });
});
