// Probes over plaintext, of each type, against Node's own servers: what they ask, and what an answer means.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { TimerWheel } from '../../../src/base/timer-wheel.ts';
import { DEFAULT_LIMITS } from '../../../src/codec/limits.ts';
import type { ProbeOutcome } from '../../../src/health/evidence.ts';
import { DEFAULT_ACTIVE } from '../../../src/model/defaults.ts';
import type { ActivePolicy, Scheme } from '../../../src/model/policy.ts';
import type { Transport } from '../../../src/net/transport.ts';
import type { ChannelOwner } from '../../../src/upstream/channel.ts';
import { createH1Channel } from '../../../src/upstream/h1-channel.ts';
import { createH2Channel } from '../../../src/upstream/h2-channel.ts';
import { probe, type ProbeTarget } from '../../../src/upstream/prober.ts';

const clock = systemClock();
const context = {
  clock,
  wheel: new TimerWheel(clock),
  logger: silentLogger,
  limits: DEFAULT_LIMITS,
  maxRequests: 1000,
};
const CHANNELS = {
  createHttp1: (transport: Transport, owner: ChannelOwner) => createH1Channel(transport, owner, context),
  createHttp2: (transport: Transport, owner: ChannelOwner) => createH2Channel(transport, owner, context),
};
const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'TRACE', 'PURGE'];
const ANSWERED: ProbeOutcome = { kind: 'answered', status: 204 };

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

/** Listens on loopback; every connection goes with the tests. */
async function listen(server: Server, host = '127.0.0.1'): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  server.listen(0, host);
  await once(server, 'listening');
  closers.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

function probeOnce(
  port: number,
  policy: Partial<ActivePolicy> = {},
  target: Partial<ProbeTarget> & { readonly scheme?: Scheme } = {},
): Promise<ProbeOutcome> {
  const full: ProbeTarget = { address: '127.0.0.1', port, host: '', scheme: 'http', connector: undefined, ...target };
  return new Promise((resolve) => {
    probe(full, { ...DEFAULT_ACTIVE, timeoutMs: 3000, ...policy }, CHANNELS, context, resolve);
  });
}

interface Asked {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly host: string | undefined;
  readonly length: string | undefined;
  readonly coding: string | undefined;
  readonly x: string | string[] | undefined;
  readonly body: string;
}

/** Notes what it is asked and answers 204. */
function noting(asked: Asked[]) {
  return (
    request: http.IncomingMessage | http2.Http2ServerRequest,
    response: http.ServerResponse | http2.Http2ServerResponse,
  ): void => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { headers, method, url } = request;
      asked.push({
        method,
        url,
        host: headers.host ?? (headers[':authority'] as string | undefined),
        length: headers['content-length'],
        coding: headers['transfer-encoding'],
        x: headers['x-probe'],
        body: Buffer.concat(chunks).toString(),
      });
      response.statusCode = 204;
      response.end();
    });
  };
}

const VERSIONS = [
  ['HTTP/1.1', 'http', (asked: Asked[]): Server => http.createServer(noting(asked))],
  ['HTTP/2', 'grpc', (asked: Asked[]): Server => http2.createServer(noting(asked))],
] as const;

for (const [version, scheme, make] of VERSIONS) {
  describe(`an http probe over ${version}`, () => {
    it('asks by every method, with path, fields and Host of the policy', async () => {
      const asked: Asked[] = [];
      const port = await listen(make(asked));
      for (const httpMethod of METHODS) {
        const policy = { httpMethod, httpPath: '/up?x=1', host: 'web.example', requestFields: ['x-probe', 'a'] };
        assert.deepEqual(await probeOnce(port, policy, { scheme }), ANSWERED, httpMethod);
        const { method, url, host, x, body } = asked.pop() ?? assert.fail('not asked');
        assert.deepEqual([method, url, host, x, body], [httpMethod, '/up?x=1', 'web.example', 'a', '']);
      }
    });

    it('sends a body with its length, by every method but TRACE', async () => {
      const asked: Asked[] = [];
      const port = await listen(make(asked));
      for (const httpMethod of METHODS) {
        assert.deepEqual(await probeOnce(port, { httpMethod, httpBody: '{"é":1}' }, { scheme }), ANSWERED, httpMethod);
        const { length, coding, body } = asked.pop() ?? assert.fail('not asked');
        const expected = httpMethod === 'TRACE' ? [undefined, undefined, ''] : ['8', undefined, '{"é":1}'];
        assert.deepEqual([length, coding, body], expected, httpMethod);
      }
      const httpBody = 'x'.repeat(65_536);
      assert.deepEqual(await probeOnce(port, { httpMethod: 'POST', httpBody }, { scheme }), ANSWERED);
      assert.equal(asked.pop()?.body, httpBody);
    });

    it('APISIX row 95: calls the endpoint by the check’s host, its DNS name, or its address', async () => {
      const asked: Asked[] = [];
      const port = await listen(make(asked));
      await probeOnce(port, { host: 'foo.com' }, { scheme, host: 'localhost' });
      await probeOnce(port, {}, { scheme, host: 'localhost' });
      await probeOnce(port, {}, { scheme });
      await probeOnce(port, { port }, { scheme, port: 1 });
      const own = `127.0.0.1:${port}`;
      assert.deepEqual(
        asked.map(({ host }) => host),
        ['foo.com', 'localhost', own, own],
      );
    });

    it('fails at a closed port and at a connection that ends, and takes nonsense for a bad answer', async () => {
      const closed = await listen(net.createServer());
      closers.pop()?.();
      for (const httpMethod of ['GET', 'CONNECT']) {
        assert.deepEqual(await probeOnce(closed, { httpMethod }, { scheme }), { kind: 'failed' }, httpMethod);
        const ends = await listen(net.createServer((socket) => socket.destroy()));
        assert.deepEqual(await probeOnce(ends, { httpMethod }, { scheme }), { kind: 'failed' }, httpMethod);
        const nonsense = await listen(net.createServer((socket) => socket.end('SSH-2.0-OpenSSH_9.2p1\r\n\r\n')));
        assert.deepEqual(await probeOnce(nonsense, { httpMethod }, { scheme }), { kind: 'malformed' }, httpMethod);
        const silent = await listen(net.createServer());
        const late = await probeOnce(silent, { httpMethod, timeoutMs: 30 }, { scheme });
        assert.deepEqual(late, { kind: 'timeout' }, httpMethod);
      }
    });
  });
}

describe('a probe by CONNECT', () => {
  it('names host and port over HTTP/1.1, and takes the status of any answer', async () => {
    for (const status of [200, 503]) {
      const heads: string[] = [];
      const server = net.createServer((socket) =>
        socket.once('data', (chunk) => {
          heads.push(chunk.toString('latin1'));
          socket.write(`HTTP/1.1 ${status} X\r\n\r\n`);
        }),
      );
      const port = await listen(server);
      const policy = { httpMethod: 'CONNECT', httpBody: 'none', requestFields: ['x-probe', 'a'] };
      assert.deepEqual(await probeOnce(port, policy), { kind: 'answered', status });
      await probeOnce(port, policy, { host: 'db.example' });
      await probeOnce(port, { ...policy, host: 'db.example:99' });
      assert.deepEqual(
        heads,
        [`127.0.0.1:${port}`, `db.example:${port}`, 'db.example:99'].map(
          (to) => `CONNECT ${to} HTTP/1.1\r\nHost: ${to}\r\nx-probe: a\r\nuser-agent: outrigger-health-check\r\n\r\n`,
        ),
      );
    }
  });

  it('has no path and no scheme over HTTP/2, and goes on until it is answered', async () => {
    for (const [status, host] of [
      [200, '127.0.0.1'],
      [405, '::1'],
    ] as const) {
      const seen: http2.IncomingHttpHeaders[] = [];
      const server = http2.createServer().on('stream', (stream, headers, flags) => {
        assert.equal(flags & 1, 0, 'END_STREAM');
        seen.push(headers);
        stream.on('error', () => undefined);
        stream.respond({ ':status': status });
      });
      const port = await listen(server, host);
      const target = { scheme: 'grpc', address: host } as const;
      const outcome = await probeOnce(port, { httpMethod: 'CONNECT', requestFields: ['x-probe', 'a'] }, target);
      assert.deepEqual(outcome, { kind: 'answered', status });
      const [{ ':method': method, ':authority': at, ':path': path, ':scheme': asked, 'x-probe': x } = {}] = seen;
      const authority = host === '::1' ? `[::1]:${port}` : `127.0.0.1:${port}`;
      assert.deepEqual([method, at, path, asked, x], ['CONNECT', authority, undefined, undefined, 'a']);
    }
  });

  it('is silent once it was cancelled', async () => {
    for (const scheme of ['http', 'grpc'] as const) {
      const server = net.createServer();
      const port = await listen(server);
      const target = { address: '127.0.0.1', port, host: '', scheme, connector: undefined };
      const policy = { ...DEFAULT_ACTIVE, httpMethod: 'CONNECT', timeoutMs: 3000 };
      const cancel = probe(target, policy, CHANNELS, context, () => assert.fail('it was cancelled'));
      const [socket] = (await once(server, 'connection')) as [Socket];
      socket.resume();
      cancel();
      await once(socket, 'close');
      cancel();
    }
  });
});

describe('a tcp probe', () => {
  it('wants a connection and nothing more, whatever the scheme', async () => {
    const bytes: Buffer[] = [];
    const port = await listen(net.createServer((socket) => socket.on('data', (chunk) => bytes.push(chunk))));
    for (const scheme of ['http', 'grpc', 'https', 'grpcs'] as const) {
      assert.deepEqual(await probeOnce(port, { type: 'tcp' }, { scheme }), { kind: 'connected' });
    }
    assert.deepEqual(await probeOnce(1, { type: 'tcp', port }), { kind: 'connected' });
    assert.equal(bytes.length, 0);
    closers.pop()?.();
    assert.deepEqual(await probeOnce(port, { type: 'tcp' }), { kind: 'failed' });
  });
});

describe('a grpc probe', () => {
  it('asks for the service and calls the endpoint by the same names', async () => {
    const seen: unknown[] = [];
    let answer = Buffer.from([0, 0, 0, 0, 2, 8, 1]);
    let status = '0';
    const server = http2.createServer().on('stream', (stream, headers) => {
      stream.on('data', (chunk: Buffer) => seen.push(headers[':path'], headers[':authority'], chunk.toString('hex')));
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status }));
      stream.end(answer);
    });
    const port = await listen(server);
    const policy = { type: 'grpc', grpcService: 'a.B' } as const;
    const serving: ProbeOutcome = { kind: 'health', serving: true };
    assert.deepEqual(await probeOnce(port, policy, { host: 'db.example' }), serving);
    assert.deepEqual(await probeOnce(port, { ...policy, grpcService: '', host: 'foo.com' }), serving);
    const path = '/grpc.health.v1.Health/Check';
    assert.deepEqual(seen, [path, 'db.example', '00000000050a03612e42', path, 'foo.com', '0000000000']);
    status = '12'; // UNIMPLEMENTED
    assert.deepEqual(await probeOnce(port, policy), { kind: 'health', serving: false });
    status = '0';
    answer = Buffer.from([0, 0, 0, 0, 2, 8, 2]);
    assert.deepEqual(await probeOnce(port, policy), { kind: 'health', serving: false });
  });
});
