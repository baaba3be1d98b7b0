// What only a real socket shows: that a session which stopped reading goes on once the kernel has taken all.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { test } from 'node:test';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { TimerWheel } from '../../../src/base/timer-wheel.ts';
import { DEFAULT_LIMITS } from '../../../src/codec/limits.ts';
import { createH2Session } from '../../../src/downstream/h2-session.ts';
import { SocketTransport } from '../../../src/net/socket-transport.ts';
import { headers, PREFACE, request, settings, SETTINGS_ACK } from '../../support/h2-peer.ts';
import { reply } from './downstream-harness.ts';

// A read of 64 KiB holds a thousand requests, so a smaller write buffer gets smaller answers.
for (const [writeBufferBytes, answerBytes, count] of [
  [1, 100, 100_000],
  [DEFAULT_LIMITS.writeBufferBytes, 1000, 20_000],
] as const) {
  test(`a caller that reads late gets all its answers, with a write buffer of ${writeBufferBytes}`, async () => {
    const clock = systemClock();
    const large = { ...reply(200, ['x', 'v'.repeat(answerBytes)]), neverIndexed: ['x'] };
    const refused: string[] = [];
    const context = {
      clock,
      wheel: new TimerWheel(clock),
      logger: silentLogger,
      limits: { ...DEFAULT_LIMITS, writeBufferBytes },
      scheme: 'http' as const,
      onRefused: (kind: string, detail: string) => void refused.push(`${kind}: ${detail}`),
    };
    let pauses = 0;
    let most = 0;
    const sockets: Socket[] = [];
    const server = createServer({ noDelay: true }, (socket) => {
      sockets.push(socket);
      const handler = { onRead: () => {}, onEnd: () => {}, onDrain: () => {}, onClose: () => {} };
      const transport = new SocketTransport(socket, handler, { clock, logger: silentLogger });
      const pauseRead = transport.pauseRead.bind(transport);
      transport.pauseRead = () => (pauses++, pauseRead());
      const waiting: (() => void)[] = [];
      createH2Session(transport, {
        ...context,
        handle(_head, _endStream, sender) {
          // A few at a time, as answers come from an upstream.
          waiting.push(() => sender.sendHead(large, true));
          return { onData: () => {}, onTrailers: () => {}, onAbort: () => {}, onDrain: () => {} };
        },
      });
      socket.on('data', (bytes) => {
        for (let at = 0; at < bytes.length; at += 1000) {
          const part = bytes.subarray(at, at + 1000);
          transport.read(part, part.length);
          for (const answer of waiting.splice(0)) answer();
          transport.flush();
        }
        most = Math.max(most, transport.pendingBytes);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    try {
      client.pause();
      client.write(Buffer.concat([PREFACE, settings(), SETTINGS_ACK]));
      const asked = Array.from({ length: count }, (_, i) => headers(2 * i + 1, request()));
      client.write(Buffer.concat(asked));
      while (pauses === 0) await new Promise((resolve) => setImmediate(resolve));
      let answers = 0;
      let left = Buffer.alloc(0);
      client.on('data', (bytes: Buffer) => {
        let rest = Buffer.concat([left, bytes]);
        for (let size = 0; rest.length >= 9 && rest.length >= (size = 9 + rest.readUIntBE(0, 3));) {
          if (rest[3] === 1 && (rest.readUInt8(4) & 1) === 1) answers++;
          rest = rest.subarray(size);
        }
        left = rest;
      });
      client.resume();
      while (answers < count && refused.length === 0) await once(client, 'data');
      assert.deepEqual(refused, []);
      assert.ok(most < 4 << 20, `${most} bytes waited`);
    } finally {
      client.destroy();
      for (const socket of sockets) socket.destroy();
      server.close();
    }
  });
}
