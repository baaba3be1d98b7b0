// What is tried again and what never is, seen from the caller and from scripted endpoints.
import assert from 'node:assert/strict';
import { createServer } from 'node:http2';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { closedPort, startRawServer, type RawServer } from '../../support/raw-server.ts';
import { endpointAt, startDataPlane } from '../../support/data-plane.ts';
import { httpCall } from '../../support/http-call.ts';

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

async function plane(...args: Parameters<typeof startDataPlane>): ReturnType<typeof startDataPlane> {
  const started = await startDataPlane(...args);
  closers.push(() => started.close());
  return started;
}

/** An endpoint that answers 200 and counts the requests it saw. */
async function goodServer(): Promise<RawServer & { requests: number }> {
  const state = { requests: 0 };
  const server = await startRawServer((socket) => {
    socket.on('data', (bytes: Buffer) => {
      if (!bytes.includes('HTTP/1.1\r\n')) return;
      state.requests++;
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    });
  });
  closers.push(() => server.close());
  return Object.assign(server, {
    get requests() {
      return state.requests;
    },
  });
}

/** An endpoint that reads a request and resets the connection. */
async function resettingServer(): Promise<RawServer> {
  const server = await startRawServer((socket) => socket.on('data', () => socket.resetAndDestroy()));
  closers.push(() => server.close());
  return server;
}

describe('attempts', () => {
  it('a refused connection costs the caller nothing, whatever the method', async () => {
    const good = await goodServer();
    const { port, records } = await plane([await closedPort(), good.port]);
    for (const method of ['GET', 'POST', 'PUT', 'POST', 'GET', 'POST']) {
      assert.equal((await httpCall(port, { method, body: 'x' })).status, 200, method);
    }
    assert.ok(records.some(({ attempts }) => attempts.length === 2));
  });

  it('a kept connection that was closed under a request is not followed by another kept one', async () => {
    // Both endpoints close a connection the moment its second request comes.
    const close = (socket: Socket): void => {
      let requests = 0;
      socket.on('data', () => {
        if (++requests > 1) socket.destroy();
        else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      });
    };
    const servers = [await startRawServer(close), await startRawServer(close)];
    closers.push(...servers.map((server) => () => server.close()));
    const { port, records } = await plane(servers.map((server) => server.port));
    for (let i = 0; i < 6; i++) assert.equal((await httpCall(port)).status, 200, String(i));
    assert.ok(records.some(({ attempts }) => attempts.length === 2));
  });

  it('waits for a stream of a busy connection no longer than for a connection', async () => {
    const server = createServer({ settings: { maxConcurrentStreams: 0 } });
    server.on('session', (session) => session.on('error', () => undefined));
    server.on('stream', (stream) => stream.on('error', () => undefined));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => server.close());
    const { port, records } = await plane([(server.address() as AddressInfo).port], {
      scheme: 'grpc',
      timeout: { connectMs: 200, sendMs: 60_000, readMs: 60_000, readIsSet: false },
    });
    const answers = await Promise.all([httpCall(port), httpCall(port), httpCall(port)]);
    assert.ok(
      answers.some(({ headers }) => headers['x-outrigger-reason'] === 'connect_timeout'),
      records.map(({ error }) => error).join(' '),
    );
  });

  it('a connection reset before an answer is tried again for GET and never for POST', async () => {
    const bad = await resettingServer();
    const good = await goodServer();
    const { port } = await plane([bad.port, good.port]);
    for (let i = 0; i < 4; i++) assert.equal((await httpCall(port)).status, 200);
    const statuses: number[] = [];
    const sawBefore = bad.connections.length;
    for (let i = 0; i < 4; i++) statuses.push((await httpCall(port, { method: 'POST', body: 'pay' })).status);
    assert.deepEqual(
      statuses.toSorted((a, b) => a - b),
      [200, 200, 502, 502],
    );
    assert.equal(bad.connections.length - sawBefore, 2);
  });

  it('each endpoint is tried once, then the failure is told with its reason', async () => {
    const { port, records } = await plane([await closedPort(), await closedPort(), await closedPort()]);
    const answer = await httpCall(port);
    assert.equal(answer.status, 502);
    assert.equal(answer.headers['x-outrigger-reason'], 'connect_failure');
    const tried = records[0]?.attempts.map(({ endpoint }) => endpoint.id) ?? [];
    assert.equal(new Set(tried).size, 3);
  });

  it('max_attempts bounds it', async () => {
    const { port, records } = await plane([await closedPort(), await closedPort(), await closedPort()], {
      attempts: { maxAttempts: 2 },
    });
    assert.equal((await httpCall(port)).status, 502);
    assert.equal(records[0]?.attempts.length, 2);
  });

  it('a single endpoint may be tried again', async () => {
    let connections = 0;
    const flaky = await startRawServer((socket) => {
      const index = connections++;
      socket.on('data', () => {
        if (index === 0) socket.resetAndDestroy();
        else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      });
    });
    closers.push(() => flaky.close());
    const { port } = await plane([flaky.port], { attempts: { maxAttempts: 3 } });
    assert.equal((await httpCall(port)).status, 200);
    assert.equal(connections, 2);
  });

  it('without endpoints the answer is 503 no_endpoints', async () => {
    const { port } = await plane([]);
    const answer = await httpCall(port);
    assert.equal(answer.status, 503);
    assert.equal(answer.headers['x-outrigger-reason'], 'no_endpoints');
  });

  it('an answer cut in the middle is cut for the caller too, and not tried again', async () => {
    const cut = await startRawServer((socket) =>
      socket.on('data', () =>
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf', () => socket.destroy()),
      ),
    );
    closers.push(() => cut.close());
    const { port } = await plane([cut.port]);
    await assert.rejects(httpCall(port), /aborted|ECONNRESET|socket hang up/);
    assert.equal(cut.connections.length, 1);
  });

  it('a body beyond 64 KiB makes the attempt final once it was sent', async () => {
    const bad = await startRawServer((socket) => {
      let bytes = 0;
      socket.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > 200_000) socket.resetAndDestroy();
      });
    });
    closers.push(() => bad.close());
    const good = await goodServer();
    const { port } = await plane([endpointAt(bad.port, { weight: 1_000_000 }), endpointAt(good.port, { weight: 1 })]);
    const answer = await httpCall(port, { method: 'PUT', body: Buffer.alloc(1 << 20) }).catch(() => undefined);
    assert.notEqual(answer?.status, 200);
    assert.equal(good.requests, 0);
  });

  it('read timeout: 504 for a POST, another endpoint for a GET', async () => {
    const silent = await startRawServer((socket) => socket.resume());
    closers.push(() => silent.close());
    const good = await goodServer();
    const timeout = { connectMs: 1000, sendMs: 1000, readMs: 60, readIsSet: true };
    const { port } = await plane([silent.port, good.port], { timeout });
    for (let i = 0; i < 2; i++) assert.equal((await httpCall(port)).status, 200);
    const answers = [await httpCall(port, { method: 'POST' }), await httpCall(port, { method: 'POST' })];
    const failed = answers.find(({ status }) => status !== 200);
    assert.equal(failed?.status, 504);
    assert.equal(failed?.headers['x-outrigger-reason'], 'read_timeout');
  });

  it('an HTTP/1.0 request without Host asks each endpoint by its own address', async () => {
    const hosts: string[] = [];
    const servers = await Promise.all(
      [0, 1].map(() =>
        startRawServer((socket) =>
          socket.on('data', (bytes: Buffer) => {
            hosts.push(/\r\nHost: (.*)\r\n/i.exec(bytes.toString('latin1'))?.[1] ?? '');
            if (hosts.length === 1) socket.resetAndDestroy();
            else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
          }),
        ),
      ),
    );
    for (const server of servers) closers.push(() => server.close());
    const { port } = await plane(servers.map((server) => server.port));
    const socket = connect({ host: '127.0.0.1', port });
    socket.write('GET / HTTP/1.0\r\n\r\n');
    let text = '';
    socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')));
    await new Promise((resolve) => socket.once('end', resolve));
    assert.match(text, /^HTTP\/1\.1 200 /);
    const expected = servers.map((server) => `127.0.0.1:${server.port}`);
    assert.deepEqual(hosts.toSorted(), expected.toSorted());
  });

  it('an attempt that the caller gave up is on record with its endpoint', async () => {
    let asked: () => void = () => undefined;
    const sawRequest = new Promise<void>((resolve) => (asked = resolve));
    const silent = await startRawServer((socket) => socket.on('data', () => asked()));
    closers.push(() => silent.close());
    const { port, records, cluster } = await plane([silent.port]);
    const socket = connect({ host: '127.0.0.1', port });
    socket.write('GET / HTTP/1.1\r\nHost: svc\r\n\r\n');
    await sawRequest;
    const closed = new Promise((resolve) => silent.connections[0]?.once('end', resolve));
    socket.resetAndDestroy();
    await closed;
    assert.equal(records[0]?.error, 'downstream_reset');
    assert.deepEqual(
      records[0]?.attempts.map(({ endpoint, error }) => [endpoint.spec.port, error]),
      [[silent.port, 'downstream_reset']],
    );
    assert.equal(cluster.inFlight, 0);
  });
});
