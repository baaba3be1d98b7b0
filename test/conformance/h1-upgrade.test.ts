// Upgrades: rows H1-102, H1-103, H1-122, H1-123 and what belongs to them. A WebSocket is a tunnel here: after the 101 the
// bytes are the two ends' own.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { after, describe, it } from 'node:test';
import { issueAuthority, issueCertificate } from '../support/certificates.ts';
import { RawScene } from '../support/raw-scene.ts';
import { startRawServer } from '../support/raw-server.ts';
import { authoritiesSource, until } from '../support/tls-peer.ts';

const scene = new RawScene();
const { closers } = scene;
after(() => scene.close());

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const UPGRADE =
  'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n' +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`;
const SWITCHING =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n';

interface Endpoint {
  readonly port: number;
  readonly seen: string[];
  readonly sockets: Socket[];
}

/** An endpoint whose connections answer each head by `answer`; what follows a 101 goes to `onTunnel`. */
async function endpoint(
  answer: (head: string, socket: Socket) => string,
  onTunnel: (socket: Socket, chunk: Buffer) => void = () => undefined,
): Promise<Endpoint> {
  const seen: string[] = [];
  const sockets: Socket[] = [];
  const server = await startRawServer((socket) => {
    sockets.push(socket);
    let text = '';
    let tunnel = false;
    socket.on('data', (chunk: Buffer) => {
      if (tunnel) return onTunnel(socket, chunk);
      text += chunk.toString('latin1');
      for (let end = text.indexOf('\r\n\r\n'); end >= 0 && !tunnel; end = text.indexOf('\r\n\r\n')) {
        const head = text.slice(0, end + 4);
        text = text.slice(end + 4);
        seen.push(head);
        const reply = answer(head, socket);
        tunnel = reply.startsWith('HTTP/1.1 101');
        socket.write(reply);
      }
      if (tunnel && text !== '') onTunnel(socket, Buffer.from(text, 'latin1'));
    });
  });
  closers.push(() => server.close());
  return { port: server.port, seen, sockets };
}

describe('H1-123 an upgrade that is accepted', () => {
  it('carries the head both ways, then bytes, held ones first, and half-closes', async () => {
    const back = await endpoint(
      () => `${SWITCHING}hello`,
      (socket, chunk) => void socket.write(chunk),
    );
    const { port, records } = await scene.plane([back.port]);
    const caller = await scene.call(port, `${UPGRADE}early`);
    await caller.until('helloearly');
    assert.match(caller.text, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
    assert.match(caller.text, /\r\nSec-WebSocket-Accept: x\r\n/);
    assert.match(caller.text, /\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n/);
    assert.doesNotMatch(caller.text, /content-length|transfer-encoding/i);
    const head = back.seen[0] ?? '';
    assert.match(head, /\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n/);
    assert.match(head, new RegExp(`\r\nSec-WebSocket-Key: ${KEY.replaceAll('+', '\\+')}\r\n`));
    assert.equal(head.match(/connection/gi)?.length, 1);
    caller.send(Buffer.from([0, 255, 13, 10]));
    await caller.until('\x00\xff\r\n');
    // The caller's half ends; the endpoint hears of it and still speaks.
    const socket = back.sockets[0]!;
    const ended = new Promise<void>((resolve) => socket.once('end', resolve));
    caller.socket.end();
    await ended;
    socket.write('still here');
    await caller.until('still here');
    assert.equal(records.length, 0);
    socket.end();
    assert.equal(await caller.ended(), true);
    await until(() => records.length === 1, 'the record');
    assert.deepEqual([records[0]?.status, records[0]?.error], [101, undefined]);
  });

  it('passes the end of the endpoint on while the caller still speaks', async () => {
    const received: Buffer[] = [];
    const back = await endpoint(
      () => SWITCHING,
      (_socket, chunk) => void received.push(Buffer.from(chunk)),
    );
    const { port, records } = await scene.plane([back.port]);
    const caller = await scene.call(port, UPGRADE);
    await caller.until('\r\n\r\n');
    back.sockets[0]!.end('bye');
    assert.equal(await caller.ended(), true);
    assert.ok(caller.text.endsWith('bye'));
    caller.send('last words');
    await until(() => Buffer.concat(received).toString() === 'last words', 'the last words');
    assert.equal(records.length, 0);
    caller.socket.end();
    await until(() => records.length === 1, 'the record');
    assert.equal(records[0]?.error, undefined);
  });

  it('carries 64 MiB each way at once, unchanged', { timeout: 60_000 }, async () => {
    const size = 64 * 1024 * 1024;
    const block = randomBytes(1024 * 1024);
    const expected = createHash('sha256');
    for (let i = 0; i < 64; i++) expected.update(block);
    const sha256 = expected.digest('hex');
    const sendAll = async (socket: Socket): Promise<void> => {
      for (let i = 0; i < 64; i++) {
        if (!socket.write(block)) await new Promise((resolve) => socket.once('drain', resolve));
      }
      socket.end();
    };
    let atEndpoint = '';
    const hash = createHash('sha256');
    const back = await endpoint(
      (_head, socket) => {
        socket.once('end', () => (atEndpoint = hash.digest('hex')));
        setImmediate(() => void sendAll(socket));
        return SWITCHING;
      },
      (_socket, chunk) => void hash.update(chunk),
    );
    const { port, records } = await scene.plane([back.port]);
    const { connect } = await import('node:net');
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    closers.push(() => socket.destroy());
    socket.write(UPGRADE);
    const atCaller = createHash('sha256');
    let headLength = -1;
    let bytes = 0;
    socket.on('data', (chunk: Buffer) => {
      let from = 0;
      if (headLength < 0) {
        from = headLength = chunk.indexOf('\r\n\r\n') + 4;
        void sendAll(socket);
      }
      atCaller.update(chunk.subarray(from));
      bytes += chunk.length - from;
    });
    await new Promise((resolve) => socket.once('end', resolve));
    await until(() => records.length === 1, 'the record');
    await until(() => atEndpoint !== '', 'the end at the endpoint');
    assert.equal(bytes, size);
    assert.deepEqual([atCaller.digest('hex'), atEndpoint], [sha256, sha256]);
  });

  it('ends when it is silent both ways for timeout.read, and not before', async () => {
    const back = await endpoint(() => SWITCHING);
    const timeout = { connectMs: 1000, sendMs: 1000, readMs: 600, readIsSet: true };
    const { port, records } = await scene.plane([back.port], { timeout });
    const caller = await scene.call(port, UPGRADE);
    await caller.until('\r\n\r\n');
    const started = performance.now();
    for (let i = 0; i < 8; i++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      caller.send('.');
    }
    await caller.ended();
    assert.ok(performance.now() - started > 1300);
    await until(() => records.length === 1, 'the record');
    assert.equal(records[0]?.error, 'idle_timeout');
  });

  it('is cut, not ended, when either side is reset', async () => {
    for (const side of ['caller', 'endpoint'] as const) {
      const back = await endpoint(() => SWITCHING);
      const { port, records } = await scene.plane([back.port]);
      const caller = await scene.call(port, UPGRADE);
      await caller.until('\r\n\r\n');
      const other = side === 'caller' ? back.sockets[0]! : caller.socket;
      let error = '';
      other.on('error', (cause: NodeJS.ErrnoException) => (error = cause.code ?? ''));
      const closed = new Promise((resolve) => other.once('close', resolve));
      (side === 'caller' ? caller.socket : back.sockets[0]!).resetAndDestroy();
      if (side === 'endpoint') assert.equal(await caller.ended(), false);
      await closed;
      await until(() => records.length === 1, 'the record');
      assert.equal(records[0]?.error, side === 'caller' ? 'downstream_reset' : 'upstream_truncated');
      assert.equal(error, 'ECONNRESET');
    }
  });

  it('goes over HTTP/1.1 to an https upstream that prefers HTTP/2', async () => {
    const authority = await issueAuthority();
    const issued = await issueCertificate(authority, { dns: ['a'] });
    const offered: string[] = [];
    const server = createTlsServer(
      { cert: issued.chain, key: issued.keyPem, ALPNProtocols: ['h2', 'http/1.1'] },
      (socket) => {
        offered.push(String(socket.alpnProtocol));
        socket.on('error', () => undefined);
        socket.once('data', () => socket.write(`${SWITCHING}over TLS`));
      },
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => server.close());
    const { port } = await scene.plane([(server.address() as AddressInfo).port], {
      scheme: 'https',
      tls: {
        ca: authoritiesSource(authority),
        clientCertificate: undefined,
        serverName: undefined,
        serverNames: [],
        verify: true,
      },
    });
    const caller = await scene.call(port, UPGRADE);
    await caller.until('over TLS');
    assert.deepEqual(offered, ['http/1.1']);
    caller.close();
  });
});

describe('H1-122 an upgrade that is refused', () => {
  it('leaves what was sent behind it a request of its own', async () => {
    const back = await endpoint((head) => {
      const path = head.split(' ')[1] ?? '';
      return `HTTP/1.1 ${path === '/chat' ? '403 No' : '200 OK'}\r\nContent-Length: ${path.length}\r\n\r\n${path}`;
    });
    const { port } = await scene.plane([back.port]);
    const caller = await scene.call(port, `${UPGRADE}GET /next HTTP/1.1\r\nHost: a\r\n\r\n`);
    await caller.until('/next');
    assert.deepEqual(
      back.seen.map((head) => head.split(' ')[1]),
      ['/chat', '/next'],
    );
    assert.match(caller.text, /^HTTP\/1\.1 403 Forbidden\r\n[^]*\/chatHTTP\/1\.1 200 OK\r\n/);
    assert.doesNotMatch(back.seen[1] ?? '', /upgrade/i);
    caller.close();
  });

  it('a 101 that nobody asked for, or to another protocol, is a 502', async () => {
    for (const [request, reply] of [
      ['GET / HTTP/1.1\r\nHost: a\r\n\r\n', SWITCHING],
      [UPGRADE, SWITCHING.replace('websocket', 'h2c')],
      [UPGRADE, SWITCHING.replace('Connection: Upgrade\r\n', '')],
      [UPGRADE, SWITCHING.replace('\r\n\r\n', '\r\nContent-Length: 5\r\n\r\n')],
    ] as const) {
      const back = await endpoint(() => reply);
      const { port, records } = await scene.plane([back.port], { attempts: { maxAttempts: 1 } });
      const caller = await scene.call(port, request);
      await caller.until('upstream_protocol_error');
      assert.match(caller.text, /^HTTP\/1\.1 502 /);
      assert.equal(records[0]?.error, 'upstream_protocol_error');
      caller.close();
    }
  });

  it('over HTTP/2 there is none: a grpc upstream answers 501', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => server.close());
    const { port } = await scene.plane([(server.address() as AddressInfo).port], { scheme: 'grpc' });
    const caller = await scene.call(port, UPGRADE);
    await caller.until('unsupported_bridge');
    assert.match(caller.text, /^HTTP\/1\.1 501 /);
    caller.close();
  });
});

describe('H1-102, H1-103 what is no upgrade to websocket', () => {
  const ok = (): string => 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n';
  const plain = 'GET / HTTP/1.1\r\nHost: a\r\n';
  for (const [what, request] of [
    ['h2c', `${plain}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`],
    ['another protocol', `${plain}Connection: Upgrade\r\nUpgrade: foo/2\r\n\r\n`],
    ['no Connection: upgrade', `${plain}Upgrade: websocket\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`],
    ['HTTP/1.0', UPGRADE.replace('HTTP/1.1', 'HTTP/1.0')],
    ['POST', UPGRADE.replace('GET', 'POST').replace('\r\n\r\n', '\r\nContent-Length: 0\r\n\r\n')],
  ] as const) {
    it(`is served as an ordinary request: ${what}`, async () => {
      const back = await endpoint(ok);
      const { port } = await scene.plane([back.port]);
      const caller = await scene.call(port, request);
      await caller.until('200 OK');
      assert.doesNotMatch(back.seen[0] ?? '', /\r\n(?:upgrade|http2-settings|connection)/i);
      caller.close();
    });
  }

  for (const [what, request] of [
    ['no key', UPGRADE.replace(/Sec-WebSocket-Key[^\r]*\r\n/, '')],
    ['a short key', UPGRADE.replace(KEY, 'c2hvcnQ=')],
    ['two keys', UPGRADE.replace('\r\n\r\n', `\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`)],
    ['a body', UPGRADE.replace('\r\n\r\n', '\r\nContent-Length: 2\r\n\r\nab')],
    ['a chunked body', UPGRADE.replace('\r\n\r\n', '\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')],
  ] as const) {
    it(`is refused: ${what}`, async () => {
      const back = await endpoint(ok);
      const { port } = await scene.plane([back.port]);
      const caller = await scene.call(port, request);
      assert.equal(await caller.ended(), true);
      assert.match(caller.text, /^HTTP\/1\.1 400 /);
      assert.deepEqual(back.seen, []);
    });
  }
});
