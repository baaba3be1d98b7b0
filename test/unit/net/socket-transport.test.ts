// Transports over real loopback sockets. Time is a fake clock's; waits are for events.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { connect as connectSocket, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { silentLogger } from '../../../src/base/log.ts';
import { seededRng } from '../../../src/base/rng.ts';
import { writeChunk } from '../../../src/codec/h1/head-writer.ts';
import { connect } from '../../../src/net/connect.ts';
import { listen, type AcceptHandler, type ListenOwner } from '../../../src/net/listen.ts';
import { HIGH_PENDING_BYTES, type Transport, type TransportHandler } from '../../../src/net/transport.ts';
import { SocketTransport } from '../../../src/net/socket-transport.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { startRawServer } from '../../support/raw-server.ts';

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

/** Remembers what it hears. */
class Ear implements TransportHandler {
  onHandshake = (): void => undefined;
  attachPlaintext = (): void => undefined;
  onHandshakeRefused = (): void => undefined;
  readonly heard: string[] = [];
  readonly closed: Promise<void>;
  error: string | undefined = undefined;
  onRead: (bytes: Buffer, length: number) => void;
  onDrain = (): void => {
    this.heard.push('drain');
  };
  private tellClosed: () => void = () => undefined;

  constructor(onRead: (bytes: Buffer, length: number) => void = () => undefined) {
    this.onRead = onRead;
    this.closed = new Promise((resolve) => {
      this.tellClosed = resolve;
    });
  }

  onEnd(): void {
    this.heard.push('end');
  }

  onClose(error: string | undefined): void {
    this.heard.push('close');
    this.error = error;
    this.tellClosed();
  }
}

/** Takes every connection. */
function serve(accept: () => AcceptHandler): ListenOwner {
  return { accept, refuse: () => undefined };
}

interface Pair {
  readonly clock: FakeClock;
  readonly transport: SocketTransport;
  /** Of the transport. */
  readonly socket: Socket;
  readonly peer: Socket;
}

/** A transport and the bare socket at the other end, which doesn't read until it is told to. */
async function pair(ear: TransportHandler): Promise<Pair> {
  let accepted: (socket: Socket) => void = () => undefined;
  const peerSocket = new Promise<Socket>((resolve) => {
    accepted = resolve;
  });
  const server = await startRawServer((socket) => accepted(socket));
  const socket = connectSocket({ host: '127.0.0.1', port: server.port, allowHalfOpen: true });
  closers.push(() => {
    socket.destroy();
    server.close();
  });
  await new Promise((resolve) => socket.once('connect', resolve));
  const clock = new FakeClock();
  const transport = new SocketTransport(socket, ear, { clock, logger: silentLogger });
  socket.on('data', (bytes: Buffer) => transport.read(bytes, bytes.length));
  return { clock, transport, socket, peer: await peerSocket };
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Reads until the peer's FIN. */
async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise((resolve) => socket.once('end', resolve));
  return Buffer.concat(chunks);
}

/** Fills the kernel's buffers and leaves `HIGH_PENDING_BYTES` or more pending. Returns the bytes written. */
function clog(transport: Transport): number {
  let written = 0;
  while (transport.pendingBytes < HIGH_PENDING_BYTES) {
    transport.write(Buffer.alloc(1 << 20, 0x61));
    transport.flush();
    written += 1 << 20;
  }
  return written;
}

describe('SocketTransport', () => {
  it('gathers what is written in a turn into one write', async () => {
    const { transport, socket, peer } = await pair(new Ear());
    const sizes: number[] = [];
    const write: (bytes: Uint8Array) => boolean = socket.write.bind(socket);
    socket.write = (bytes: Uint8Array | string): boolean => {
      sizes.push(bytes.length);
      return write(bytes as Uint8Array);
    };
    const expected: string[] = [];
    for (let i = 0; i < 100; i++) {
      transport.writeLatin1(`latin1 \u00e9 ${i};`);
      transport.write(Buffer.from(`bytes ${i};`));
      expected.push(`latin1 \u00e9 ${i};bytes ${i};`);
    }
    assert.equal(transport.pendingBytes, expected.join('').length);
    await turn();
    assert.deepEqual(sizes, [expected.join('').length]);
    assert.equal(transport.pendingBytes, 0);
    transport.writeLatin1('x'.repeat(100_000)); // beyond one gather buffer
    await turn();
    assert.deepEqual(sizes.slice(1), [100_000]);
    transport.end();
    const bytes = await readAll(peer);
    assert.equal(bytes.toString('latin1'), expected.join('') + 'x'.repeat(100_000));
  });

  it('connections whose reads are full get larger ones, eight of them at a time, and lose no byte', async () => {
    const [small, large] = [64 * 1024, 512 * 1024];
    const source = Buffer.from(Uint8Array.from({ length: 4 << 20 }, (_, i) => (i * 31 + (i >> 12)) & 255));
    /** Size of the buffer of each connection's last read; the small one where that was short, which ends the large ones. */
    const lastRead = new Map<Transport, number>();
    const largeOnes = (): Transport[] => [...lastRead].filter(([, size]) => size === large).map(([one]) => one);
    class Reader extends Ear {
      attach(transport: Transport): void {
        let at = 0;
        transport.handler = this;
        this.onRead = (bytes, length) => {
          lastRead.set(transport, length < small ? small : bytes.length);
          for (let i = 0; i < length;) {
            const count = Math.min(length - i, source.length - at);
            assert.ok(bytes.subarray(i, i + count).equals(source.subarray(at, at + count)));
            i += count;
            at = (at + count) % source.length;
          }
        };
      }
    }
    const context = { clock: new FakeClock(), logger: silentLogger };
    const bound = await listen(
      '127.0.0.1',
      0,
      serve(() => new Reader()),
      context,
    );
    const peers = Array.from({ length: 10 }, () => connectSocket({ host: '127.0.0.1', port: bound.port }));
    closers.push(() => {
      for (const peer of peers) peer.destroy();
      bound.close();
    });
    for (const peer of peers) {
      peer.on('error', () => undefined);
      const send = (): void => void peer.write(source, () => (peer.destroyed ? undefined : send()));
      send();
    }
    const until = async (isSo: () => boolean): Promise<void> => {
      while (!isSo()) {
        assert.ok(largeOnes().length <= 8);
        await turn();
      }
    };
    await until(() => lastRead.size === 10 && largeOnes().length === 8);
    assert.ok([...lastRead.values()].every((size) => size === small || size === large));
    const [first] = largeOnes();
    assert.ok(first);
    first.destroy();
    lastRead.delete(first);
    await until(() => largeOnes().length === 8); // another has its place
  });

  it('what comes in large reads is passed on to slow readers unharmed, whole, in pieces and in chunks', async () => {
    const rng = seededRng(12);
    const source = Buffer.from(Uint8Array.from({ length: 10 << 20 }, (_, i) => (i & 4095 ? i >> 12 : rng.below(256))));
    const origin = await startRawServer((socket) => socket.end(source));
    closers.push(() => origin.close());
    const context = { clock: new FakeClock(), logger: silentLogger };
    /** What a caller gets who rests for some turns after each read. */
    const relayed = async (restTurns: number, write: (to: Transport, bytes: Buffer) => void): Promise<Buffer> => {
      const ear = new Ear();
      const { transport: downstream, peer } = await pair(ear);
      let upstream: Transport | undefined;
      const other = new Ear((bytes, length) => {
        write(downstream, bytes.subarray(0, length));
        if (downstream.pendingBytes >= HIGH_PENDING_BYTES) downstream.flush();
        if (downstream.pendingBytes >= HIGH_PENDING_BYTES) upstream?.pauseRead();
      });
      other.onEnd = (): void => downstream.end();
      ear.onDrain = (): void => upstream?.resumeRead();
      const onConnect = (transport: Transport): void => void (upstream = transport);
      connect(
        '127.0.0.1',
        origin.port,
        5000,
        Object.assign(other, { onConnect, onConnectError: assert.fail }),
        context,
      );
      peer.on('data', () => {
        peer.pause();
        let turns = restTurns;
        const goOn = (): unknown => (turns-- > 0 ? setImmediate(goOn) : peer.resume());
        goOn();
      });
      const bytes = await readAll(peer);
      upstream?.destroy();
      return bytes;
    };
    const [whole, rested, pieces, chunks] = await Promise.all([
      relayed(0, (to, bytes) => to.write(bytes)),
      relayed(3, (to, bytes) => to.write(bytes)),
      relayed(1, (to, bytes) => {
        for (let at = 0; at < bytes.length; at += 100_000) to.write(bytes.subarray(at, at + 100_000));
      }),
      relayed(2, (to, bytes) => writeChunk(to, bytes)),
    ]);
    assert.ok(whole?.equals(source));
    assert.ok(rested?.equals(source));
    assert.ok(pieces?.equals(source));
    const body: Buffer[] = [];
    for (let at = 0; at < chunks.length;) {
      const lineEnd = chunks.indexOf('\r\n', at);
      const size = Number.parseInt(chunks.latin1Slice(at, lineEnd), 16);
      body.push(chunks.subarray(lineEnd + 2, lineEnd + 2 + size));
      assert.equal(chunks.latin1Slice(lineEnd + 2 + size, lineEnd + 4 + size), '\r\n');
      at = lineEnd + 4 + size;
    }
    assert.ok(Buffer.concat(body).equals(source));
  });

  it('four slow readers get 8 MiB each unharmed, although every buffer is used again and again', async () => {
    const total = 8 << 20;
    const rng = seededRng(11);
    const source = Buffer.from(Uint8Array.from({ length: 65_536 + 512 }, () => rng.below(256)));
    const chunk = Buffer.alloc(50_000);
    const expected = createHash('sha256');
    for (let sent = 0, step = 0; sent < total; step++) {
      const length = Math.min(chunk.length, total - sent);
      expected.update(source.subarray(step % 512, (step % 512) + length));
      sent += length;
    }
    const wanted = expected.digest('hex');
    /** Writes the pattern for as long as the transport takes it. */
    class Pump extends Ear {
      transport: Transport | undefined = undefined;
      private sent = 0;
      private step = 0;
      override onRead = (): void => this.onDrain();
      override onDrain = (): void => {
        const transport = this.transport;
        while (transport && this.sent < total && transport.pendingBytes < HIGH_PENDING_BYTES) {
          const length = Math.min(chunk.length, total - this.sent);
          source.copy(chunk, 0, this.step % 512, (this.step % 512) + length); // over what was handed in before
          transport.write(length === chunk.length ? chunk : chunk.subarray(0, length));
          if (transport.pendingBytes >= HIGH_PENDING_BYTES) transport.flush();
          this.step++;
          this.sent += length;
        }
        if (this.sent === total) transport?.end();
      };
      attach(transport: Transport): void {
        this.transport = transport;
      }
    }
    const bound = await listen(
      '127.0.0.1',
      0,
      serve(() => new Pump()),
      {
        clock: new FakeClock(),
        logger: silentLogger,
      },
    );
    closers.push(() => bound.close());
    const hashes = await Promise.all(
      [0, 1, 2, 3].map(async (pause) => {
        const socket = connectSocket({ host: '127.0.0.1', port: bound.port });
        closers.push(() => socket.destroy());
        const hash = createHash('sha256');
        let bytes = 0;
        socket.on('data', (data: Buffer) => {
          hash.update(data);
          bytes += data.length;
          socket.pause();
          let turns = pause;
          const goOn = (): unknown => (turns-- > 0 ? setImmediate(goOn) : socket.resume());
          goOn();
        });
        socket.write('go');
        await new Promise((resolve) => socket.once('end', resolve));
        assert.equal(bytes, total);
        return hash.digest('hex');
      }),
    );
    assert.deepEqual(hashes, [wanted, wanted, wanted, wanted]);
  });

  it('says onDrain once the kernel has taken what had reached the mark', async () => {
    const ear = new Ear();
    const { transport, peer } = await pair(ear);
    transport.write(Buffer.alloc(100));
    await turn();
    const written = clog(transport);
    await turn();
    assert.deepEqual(ear.heard, [], 'nobody reads');
    const drained = new Promise<void>((resolve) => {
      ear.onDrain = () => {
        ear.heard.push('drain');
        resolve();
      };
    });
    peer.resume();
    await drained;
    assert.deepEqual(ear.heard, ['drain']);
    assert.equal(transport.pendingBytes, 0);
    assert.ok(written > HIGH_PENDING_BYTES);
  });

  it('says onDrain also where more was gathered in the very turn in which the kernel caught up', async () => {
    const ear = new Ear();
    const drained = new Promise<void>((resolve) => {
      ear.onDrain = resolve;
    });
    let transport: Transport | undefined = undefined;
    const server = await startRawServer((socket) => socket.pause());
    // 64 KiB is what newer releases of Node have by default: then shorter writes bring no `drain` of their own.
    const options = { host: '127.0.0.1', port: server.port, highWaterMark: 65_536 };
    const socket = connectSocket(options);
    closers.push(() => {
      socket.destroy();
      server.close();
    });
    await new Promise((resolve) => socket.once('connect', resolve));
    // Before the transport's own listener, as if another stream of the connection wrote first.
    socket.once('drain', () => transport?.write(Buffer.alloc(HIGH_PENDING_BYTES / 2 + 1)));
    transport = new SocketTransport(socket, ear, { clock: new FakeClock(), logger: silentLogger });
    clog(transport);
    while (server.connections.length === 0) await turn();
    server.connections[0]?.resume();
    await drained;
  });

  it('pending bytes stall from when they were first refused, and any byte that leaves counts as progress', async () => {
    const { clock, transport, peer } = await pair(new Ear());
    transport.write(Buffer.alloc(10));
    await turn();
    assert.equal(transport.stalledSinceMs, -1);
    clock.advance(50_000); // idle for long
    const pending = 32 << 20; // more than the kernel's buffers hold
    transport.write(Buffer.alloc(pending));
    transport.flush();
    const sinceMs = clock.nowMs;
    assert.equal(transport.stalledSinceMs, sinceMs);
    clock.advance(5_000);
    assert.equal(transport.stalledSinceMs, sinceMs);
    let taken = 0;
    const moved = new Promise<void>((resolve) => {
      peer.on('data', (chunk: Buffer) => {
        taken += chunk.length;
        if (taken < pending / 2) return;
        peer.pause();
        resolve();
      });
    });
    await moved;
    assert.equal(transport.stalledSinceMs, clock.nowMs);
    peer.removeAllListeners('data');
    peer.resume();
    while (transport.stalledSinceMs >= 0) await turn();
  });

  it('end sends what is pending, then FIN, and goes on reading', async () => {
    const chunks: string[] = [];
    const ear = new Ear((bytes, length) => chunks.push(bytes.toString('latin1', 0, length)));
    const { transport, peer } = await pair(ear);
    transport.write(Buffer.from('last'));
    transport.end();
    transport.write(Buffer.from('too late'));
    assert.equal((await readAll(peer)).toString(), 'last');
    peer.end('answer');
    await ear.closed;
    assert.deepEqual(chunks, ['answer']);
    assert.deepEqual(ear.heard, ['end', 'close']);
    assert.equal(transport.isClosed, true);
    assert.equal(ear.error, undefined);
  });

  it('the lingering close delivers the answer, throws away what comes, and is cut after its time', async () => {
    const ear = new Ear(() => assert.fail('nothing is read any more'));
    const { clock, transport, peer } = await pair(ear);
    transport.write(Buffer.from('answer'));
    transport.endLingering(1000);
    peer.write('unwanted');
    assert.equal((await readAll(peer)).toString(), 'answer');
    clock.advance(999);
    assert.equal(transport.isClosed, false);
    clock.advance(1);
    await ear.closed;
    assert.deepEqual(ear.heard, ['close']);
    assert.equal(clock.waiting, 0);
  });

  it('the lingering close ends with the peer, and leaves no timer', async () => {
    const ear = new Ear();
    const { clock, transport, peer } = await pair(ear);
    transport.write(Buffer.from('answer'));
    transport.endLingering();
    await readAll(peer);
    peer.end();
    await ear.closed;
    assert.equal(clock.waiting, 0);
  });

  it('the lingering close waits for a slow reader to take the last bytes, also one that has sent FIN', async () => {
    for (const finFirst of [false, true]) {
      const ear = new Ear();
      const { clock, transport, peer } = await pair(ear);
      const written = clog(transport);
      transport.endLingering(1000);
      if (finFirst) peer.end();
      for (let i = 0; i < 20; i++) await turn();
      clock.advance(20_000);
      const bytes = await readAll(peer);
      assert.equal(bytes.length, written);
      clock.advance(2000);
      await ear.closed;
      assert.deepEqual(ear.heard, ['close']);
    }
  });

  it('the lingering close cuts a peer that takes nothing for 30 s', async () => {
    const ear = new Ear();
    const { clock, transport } = await pair(ear);
    clog(transport);
    transport.endLingering(1000);
    clock.advance(29_000);
    assert.equal(transport.isClosed, false);
    clock.advance(2_000);
    await ear.closed;
  });

  it('reset reaches the peer as a reset', async () => {
    const ear = new Ear();
    const { transport, peer } = await pair(ear);
    transport.write(Buffer.from('half an ans'));
    await new Promise((resolve) => peer.once('data', resolve));
    const error = new Promise<NodeJS.ErrnoException>((resolve) => peer.once('error', resolve));
    peer.on('end', () => assert.fail('a clean end'));
    peer.resume();
    transport.reset();
    assert.equal((await error).code, 'ECONNRESET');
    await ear.closed;
    transport.reset();
    transport.destroy();
    assert.deepEqual(ear.heard, ['close']);
  });

  it('reset does not wait for a peer that takes nothing', async () => {
    const ear = new Ear();
    const { transport } = await pair(ear);
    clog(transport);
    transport.reset();
    await ear.closed;
  });

  it('a reset by the peer is told with its code', async () => {
    const ear = new Ear();
    const { peer } = await pair(ear);
    peer.resetAndDestroy();
    await ear.closed;
    assert.equal(ear.error, 'ECONNRESET');
  });

  it('pauseRead holds bytes back', async () => {
    let bytes = 0;
    let arrived: () => void = () => undefined;
    const ear = new Ear((_, length) => {
      bytes += length;
      if (bytes === 5) arrived();
    });
    const { transport, peer } = await pair(ear);
    transport.pauseRead();
    await new Promise((resolve) => peer.write('hello', resolve));
    for (let i = 0; i < 10; i++) await turn();
    assert.equal(bytes, 0);
    const all = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    transport.resumeRead();
    await all;
  });

  it('a bug in a handler is logged and costs its own connection only', async () => {
    const ear = new Ear(() => {
      throw new Error('a bug');
    });
    const { peer } = await pair(ear);
    peer.write('x');
    await ear.closed;
    assert.deepEqual(ear.heard, ['close']);
  });

  it('an IPv4 caller of an IPv6 socket is shown as IPv4', async (t) => {
    let accepted: (address: string) => void = () => undefined;
    const address = new Promise<string>((resolve) => {
      accepted = resolve;
    });
    const handler = (): Ear & { attach(transport: Transport): void } =>
      Object.assign(new Ear(), { attach: (transport: Transport) => accepted(transport.remoteAddress) });
    const bound = await listen('::', 0, serve(handler), { clock: new FakeClock(), logger: silentLogger }).catch(
      () => undefined,
    );
    if (!bound) return t.skip('no IPv6 here');
    closers.push(() => bound.close());
    const socket = connectSocket({ host: '127.0.0.1', port: bound.port });
    closers.push(() => socket.destroy());
    socket.on('error', () => accepted('not dual-stack'));
    const seen = await address;
    if (seen === 'not dual-stack') return t.skip(seen);
    assert.equal(seen, '127.0.0.1');
  });
});
