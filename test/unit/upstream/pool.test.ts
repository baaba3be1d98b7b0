// The pool over real loopback sockets and channels that are made of nothing but their numbers. Waits are for events.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { ErrorKind } from '../../../src/base/error.ts';
import { silentLogger } from '../../../src/base/log.ts';
import type { RequestSender } from '../../../src/codec/exchange.ts';
import type { Transport } from '../../../src/net/transport.ts';
import { CounterCell, Counters } from '../../../src/telemetry/counters.ts';
import type { Channel, ChannelOwner } from '../../../src/upstream/channel.ts';
import { EndpointPool, type LeaseWaiter, type PoolOptions } from '../../../src/upstream/pool.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { closedPort, startRawServer, type RawServer } from '../../support/raw-server.ts';

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

/** A connection whose streams are counted, not carried. */
class CountingChannel implements Channel {
  active = 0;
  served = 0;
  draining = false;
  closed = false;
  idleSinceMs: number;
  /** Streams it takes at once. */
  limit: number;
  /** Requests after which it drains. */
  maxRequests = Infinity;
  /** -1 until `settle`; undefined as of HTTP/1. */
  streamLimit?: number;
  readonly transport: Transport;
  private readonly owner: ChannelOwner;
  private readonly clock: FakeClock;

  constructor(transport: Transport, owner: ChannelOwner, clock: FakeClock, limit: number, settled: boolean) {
    this.streamLimit = settled ? limit : -1;
    this.transport = transport;
    this.owner = owner;
    this.clock = clock;
    this.limit = limit;
    this.idleSinceMs = clock.nowMs;
  }

  get capacity(): number {
    return this.draining || this.closed ? 0 : Math.max(0, this.limit - this.active);
  }

  start(): RequestSender {
    throw new Error('takes no requests');
  }

  /** The peer says what it stands. */
  settle(limit: number): void {
    this.streamLimit = this.limit = limit;
    this.owner.onAvailable(this);
  }

  begin(): void {
    assert.ok(this.capacity > 0, 'leased without capacity');
    this.active++;
    this.served++;
  }

  end(): void {
    this.active--;
    this.idleSinceMs = this.clock.nowMs;
    if (this.draining || this.served >= this.maxRequests) this.drain();
    else this.owner.onAvailable(this);
  }

  drain(): void {
    if (!this.draining) {
      this.draining = true;
      this.owner.onDraining(this);
    }
    if (this.active === 0) this.destroy();
  }

  destroy(): void {
    if (this.closed) return;
    this.closed = true;
    this.active = 0;
    this.transport.destroy();
    this.owner.onClosed(this);
  }
}

class Waiter implements LeaseWaiter {
  channel: CountingChannel | undefined = undefined;
  failure: ErrorKind | undefined = undefined;
  readonly answered: Promise<void>;
  private answer: () => void = () => undefined;

  readonly fresh: boolean;

  constructor(fresh = false) {
    this.fresh = fresh;
    this.answered = new Promise((resolve) => {
      this.answer = resolve;
    });
  }

  onLease(channel: Channel): void {
    assert.equal(this.channel ?? this.failure, undefined, 'answered twice');
    this.channel = channel as CountingChannel;
    this.channel.begin();
    this.answer();
  }

  onLeaseFailed(kind: ErrorKind): void {
    assert.equal(this.channel ?? this.failure, undefined, 'answered twice');
    this.failure = kind;
    this.answer();
  }
}

interface Fixture {
  readonly pool: EndpointPool;
  readonly clock: FakeClock;
  readonly counters: Counters;
  readonly server: RawServer;
  readonly channels: CountingChannel[];
  /** Takes `count` leases without waiting for them. */
  lease(count: number): Waiter[];
}

async function fixture(
  options: Partial<PoolOptions> & { limit?: number; maxRequests?: number; settles?: boolean } = {},
): Promise<Fixture> {
  const clock = new FakeClock();
  const counters = new Counters();
  const server = await startRawServer((socket) => socket.resume());
  const channels: CountingChannel[] = [];
  const pool = new EndpointPool(
    {
      address: '127.0.0.1',
      port: server.port,
      connectTimeoutMs: 1000,
      keepalive: { size: 320, idleTimeoutMs: 60_000, requests: 1000 },
      expectedCapacity: options.limit ?? 1,
      createChannel: (transport, owner) => {
        const channel = new CountingChannel(transport, owner, clock, options.limit ?? 1, options.settles !== true);
        channel.maxRequests = options.maxRequests ?? Infinity;
        channels.push(channel);
        return channel;
      },
      ...options,
    },
    { clock, logger: silentLogger },
    counters,
  );
  closers.push(() => {
    pool.destroy();
    server.close();
  });
  const lease = (count: number): Waiter[] =>
    Array.from({ length: count }, () => {
      const waiter = new Waiter();
      pool.lease(waiter);
      return waiter;
    });
  return { pool, clock, counters, server, channels, lease };
}

async function all(waiters: readonly Waiter[]): Promise<CountingChannel[]> {
  await Promise.all(waiters.map(({ answered }) => answered));
  return waiters.map(({ channel, failure }) => {
    assert.ok(channel, failure);
    return channel;
  });
}

describe('EndpointPool', () => {
  it('over HTTP/1 opens one connection for each waiter, and uses them again', async () => {
    const { pool, lease, channels, counters } = await fixture();
    const waiters = lease(3);
    assert.equal(pool.connections, 3);
    assert.equal(new Set(await all(waiters)).size, 3);
    for (const channel of channels) channel.end();
    const again = lease(3);
    assert.ok(
      again.every(({ channel }) => channel !== undefined),
      'handed out at once',
    );
    assert.equal(channels.length, 3);
    assert.equal(counters.total(CounterCell.UpstreamOpened), 3);
  });

  it('over HTTP/2 many wait for one connection, and a second is opened only beyond its capacity', async () => {
    const { pool, lease } = await fixture({ limit: 10 });
    const waiters = lease(10);
    assert.equal(pool.connections, 1);
    waiters.push(...lease(1));
    assert.equal(pool.connections, 2);
    const channels = await all(waiters);
    assert.equal(new Set(channels).size, 2);
    assert.equal(channels.filter((channel) => channel === channels[0]).length, 10);
  });

  it('learns what a connection stands and opens more for those who wait', async () => {
    const { pool, channels, lease } = await fixture({ expectedCapacity: 100, limit: 1, settles: true });
    const waiters = lease(4);
    assert.equal(pool.connections, 1);
    await waiters[0]?.answered;
    lease(1);
    assert.equal(pool.connections, 1, 'it may yet turn out to stand many');
    channels[0]?.settle(1);
    assert.equal(pool.connections, 5, 'four wait, and each new one is expected to stand one');
    await Promise.all(waiters.map(({ answered }) => answered));
    assert.ok(waiters.every(({ channel }) => channel !== undefined));
  });

  it('opens none for a peer that stands no stream at present', async () => {
    const { pool, channels, lease } = await fixture({ expectedCapacity: 100, limit: 1, settles: true });
    const [first, second] = lease(2);
    await first?.answered;
    channels[0]?.settle(0);
    assert.equal(pool.connections, 1);
    assert.equal(second?.failure, undefined);
    channels[0]?.settle(2);
    assert.ok(second?.channel);
  });

  it('a connection that closes before it says what it stands fails those it was opened for', async () => {
    const { pool, channels, lease } = await fixture({ expectedCapacity: 100, limit: 1, settles: true });
    const [first, second, third] = lease(3);
    await first?.answered;
    channels[0]?.destroy();
    assert.deepEqual([second?.failure, third?.failure], ['connect_failure', 'connect_failure']);
    assert.equal(pool.connections, 0);
  });

  it('tells of a peer that refuses our certificate after the handshake', async () => {
    const failures: string[] = [];
    const { pool, lease, channels, counters } = await fixture({
      limit: 10,
      onConnectFailed: (kind, detail) => failures.push(`${kind} ${detail}`),
    });
    const [waiter] = lease(1);
    await waiter?.answered;
    pool.onClosed(channels[0]!, 'it has expired');
    assert.deepEqual(failures, ['upstream_tls_failure it has expired']);
    assert.equal(counters.total(CounterCell.UpstreamHandshakesFailed), 1);
  });

  it('says since when it is idle', async () => {
    const { pool, lease, channels, clock } = await fixture();
    assert.equal(pool.idleSinceMs, 0, 'never used');
    const waiters = lease(2);
    assert.equal(pool.idleSinceMs, undefined, 'waited for');
    await all(waiters);
    channels[0]?.end();
    assert.equal(pool.idleSinceMs, undefined, 'in use');
    clock.advance(500);
    channels[1]?.end();
    assert.equal(pool.idleSinceMs, clock.nowMs);
    clock.advance(500);
    assert.equal(pool.idleSinceMs, clock.nowMs - 500);
  });

  it('who wants a fresh connection gets none that was idle', async () => {
    const { channels, lease, pool } = await fixture();
    const [first] = lease(1);
    await first?.answered;
    delete channels[0]?.streamLimit;
    first?.channel?.end();
    const waiter = new Waiter(true);
    pool.lease(waiter);
    await waiter.answered;
    assert.equal(channels.length, 2);
    assert.equal(waiter.channel, channels[1]);
  });

  it('answers waiters in the order in which they came', async () => {
    const { lease, channels } = await fixture({ limit: 2 });
    await all(lease(2));
    const [channel] = channels;
    assert.ok(channel);
    channel.limit = 2;
    const [first, second] = lease(2);
    channel.end();
    assert.equal(first?.channel, channel);
    assert.equal(second?.channel, undefined);
  });

  it('the connection used last is used first', async () => {
    const { lease, channels } = await fixture();
    await all(lease(3));
    const [a, b, c] = channels;
    for (const channel of [b, a, c]) channel?.end();
    assert.deepEqual(
      lease(3).map(({ channel }) => channel),
      [c, a, b],
    );
  });

  it('with that one busy or gone, the one used before it is next', async () => {
    const { lease, channels } = await fixture();
    await all(lease(3));
    const [a, b, c] = channels;
    for (const channel of [c, b, a]) channel?.end();
    const [first, second] = lease(2);
    assert.deepEqual([first?.channel, second?.channel], [a, b]);
    a?.end();
    a?.drain();
    assert.equal(lease(1)[0]?.channel, c);
    b?.end();
    assert.equal(lease(1)[0]?.channel, b);
    for (const channel of [b, c]) channel?.end();
    for (const channel of [c, b]) channel?.destroy();
    const [opened] = lease(1);
    await opened?.answered;
    assert.equal(channels.length, 4);
    assert.equal(opened?.channel, channels[3]);
  });

  it('a refused connect fails one waiter over HTTP/1 and all of them over HTTP/2', async () => {
    const port = await closedPort();
    for (const limit of [1, 10]) {
      const { pool, lease, counters } = await fixture({ port, limit });
      const waiters = lease(5);
      await Promise.all(waiters.map(({ answered }) => answered));
      assert.deepEqual(
        waiters.map(({ failure }) => failure),
        Array.from({ length: 5 }, () => 'connect_failure'),
      );
      assert.equal(counters.total(CounterCell.UpstreamConnectFailed), limit === 1 ? 5 : 1);
      assert.equal(pool.connections, 0);
    }
  });

  it('a failed connect fails the oldest waiter that no other connection is opened for', async () => {
    const { pool, lease } = await fixture({ port: await closedPort() });
    const [cancelled, first] = lease(2);
    assert.ok(cancelled && first);
    pool.cancel(cancelled);
    const [second] = lease(1);
    assert.ok(second);
    assert.equal(pool.connections, 2, 'the connection of the cancelled waiter serves the new one');
    await Promise.all([first.answered, second.answered]);
    assert.equal(first.failure, 'connect_failure');
    assert.equal(second.failure, 'connect_failure');
    assert.equal(cancelled.failure, undefined);
  });

  it('a connect that takes too long is a connect_timeout', async () => {
    const { pool, clock, lease, channels } = await fixture({ connectTimeoutMs: 50 });
    const [waiter] = lease(1);
    // The clock runs out before the event loop has had a turn to see the connection open.
    clock.advance(49);
    assert.equal(waiter?.failure, undefined);
    clock.advance(1);
    assert.equal(waiter?.failure, 'connect_timeout');
    assert.equal(pool.connections, 0);
    await all(lease(1));
    assert.equal(channels.length, 1, 'what came too late is not used');
  });

  it('a waiter that failed may ask again at once', async () => {
    const { pool } = await fixture({ port: await closedPort() });
    const second = new Waiter();
    let failed = 0;
    pool.lease({
      onLease: () => assert.fail('a closed port'),
      onLeaseFailed: () => {
        failed++;
        pool.lease(second);
      },
    });
    await second.answered;
    assert.equal(failed, 1);
    assert.equal(second.failure, 'connect_failure');
  });

  it('a connection that was opened for a cancelled waiter stays for others', async () => {
    const { pool, lease, channels } = await fixture();
    const [cancelled, kept] = lease(2);
    assert.ok(cancelled && kept);
    pool.cancel(cancelled);
    pool.cancel(cancelled);
    await kept.answered;
    while (channels.length < 2) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(cancelled.channel, undefined);
    assert.equal(lease(1)[0]?.channel !== undefined, true);
  });

  it('keeps no more idle connections than its size', async () => {
    const { pool, lease, channels, counters } = await fixture({
      keepalive: { size: 2, idleTimeoutMs: 60_000, requests: 1000 },
    });
    await all(lease(4));
    for (const channel of channels) channel.end();
    assert.deepEqual(
      channels.map(({ closed }) => closed),
      [false, false, true, true],
    );
    assert.equal(pool.connections, 2);
    assert.equal(counters.total(CounterCell.UpstreamClosed), 2);
  });

  it('an idle timeout of 0 keeps none', async () => {
    const { pool, lease, channels } = await fixture({ keepalive: { size: 320, idleTimeoutMs: 0, requests: 1000 } });
    await all(lease(1));
    channels[0]?.end();
    assert.equal(pool.connections, 0);
  });

  it('closes what has been idle for the idle timeout, and nothing that is in use', async () => {
    const { pool, clock, lease, channels } = await fixture({
      keepalive: { size: 320, idleTimeoutMs: 500, requests: 1000 },
    });
    await all(lease(3));
    channels[0]?.end();
    clock.advance(300);
    channels[1]?.end();
    clock.advance(200);
    pool.closeIdle(clock.nowMs);
    assert.deepEqual(
      channels.map(({ closed }) => closed),
      [true, false, false],
    );
  });

  it('one connection that stands nothing at present does not keep others from being opened', async () => {
    const { lease, channels } = await fixture({ limit: 1 });
    await all(lease(2));
    assert.equal(channels.length, 2);
    channels[0]?.settle(0);
    await all(lease(1));
    assert.equal(channels.length, 3);
    for (const channel of channels) channel.settle(0);
    const [waiter] = lease(1);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([waiter?.channel, channels.length], [undefined, 3]);
  });

  it('a connection at its request limit makes room: waiters get a new one', async () => {
    const { lease, channels } = await fixture({ maxRequests: 2 });
    for (let i = 0; i < 4; i++) {
      const [channel] = await all(lease(1));
      channel?.end();
    }
    assert.deepEqual(
      channels.map(({ served, closed }) => [served, closed]),
      [
        [2, true],
        [2, true],
      ],
    );
  });

  it('a connection that starts to drain or breaks while leases wait is replaced', async () => {
    const { pool, lease, channels } = await fixture({ limit: 3 });
    await all(lease(3));
    const [first] = channels;
    assert.ok(first);
    // Over HTTP/2 the peer may lower what it takes: then a lease waits although a connection is open.
    const [waiting] = lease(1);
    first.drain();
    assert.equal(first.closed, false, 'its streams go on');
    assert.equal(pool.connections, 2);
    const [second] = await all([waiting!]);
    assert.notEqual(second, first);
    first.end();
    first.end();
    first.end();
    assert.equal(first.closed, true);
    second?.destroy();
    await all(lease(1));
    assert.equal(channels.length, 3);
  });

  it('drain closes the idle, lets streams finish and still answers who waits', async () => {
    const { pool, lease, channels } = await fixture();
    await all(lease(2));
    const [late] = lease(1);
    assert.ok(late);
    pool.drain();
    const [lateChannel] = await all([late]);
    assert.deepEqual(
      channels.map(({ closed }) => closed),
      [false, false, false],
    );
    for (const channel of channels) channel.end();
    assert.equal(lateChannel?.closed, true);
    assert.equal(pool.connections, 0);

    const idle = await fixture();
    await all(idle.lease(1));
    idle.channels[0]?.end();
    idle.pool.drain();
    assert.equal(idle.pool.connections, 0);
  });

  it('destroy closes all, fails who waits, and opens nothing for those who ask again', async () => {
    const { pool, clock, lease, channels } = await fixture();
    await all(lease(1));
    let failures = 0;
    const stubborn: LeaseWaiter = {
      onLease: () => assert.fail('destroyed'),
      onLeaseFailed: (kind) => {
        assert.equal(kind, 'connect_failure');
        if (++failures < 3) pool.lease(stubborn);
      },
    };
    pool.lease(stubborn);
    pool.destroy();
    assert.equal(failures, 3);
    assert.equal(channels[0]?.closed, true);
    assert.equal(pool.connections, 0);
    assert.equal(clock.waiting, 0, 'no connect timer is left');
  });
});
