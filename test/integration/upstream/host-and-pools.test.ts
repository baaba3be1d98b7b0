// What the endpoint sees as host, and how connections to it are kept, through the whole data plane.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { endpointAt, startDataPlane, type TestDataPlane } from '../../support/data-plane.ts';
import { httpCall } from '../../support/http-call.ts';
import { closedPort, startRawServer } from '../../support/raw-server.ts';

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

async function plane(...args: Parameters<typeof startDataPlane>): Promise<TestDataPlane> {
  const started = await startDataPlane(...args);
  closers.push(() => started.close());
  return started;
}

interface Server {
  readonly port: number;
  /** Requests of each connection, in order. */
  readonly connections: string[][];
}

async function server(answer = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'): Promise<Server> {
  const connections: string[][] = [];
  const started = await startRawServer((socket: Socket) => {
    const requests: string[] = [];
    connections.push(requests);
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => {
      requests.push(bytes.toString('latin1'));
      socket.write(answer);
    });
  });
  closers.push(() => started.close());
  return { port: started.port, connections };
}

const hostOf = (request: string | undefined): string | undefined => /^host: (.*)\r$/im.exec(request ?? '')?.[1];

describe('host', () => {
  it('APISIX row 65: pass_host node sends the DNS name of the node with its port', async () => {
    const one = await server();
    const { port } = await plane([endpointAt(one.port, { host: 'test.com' })], {
      host: { passHost: 'node', upstreamHost: '' },
    });
    await httpCall(port, { headers: { host: 'caller.example' } });
    assert.equal(hostOf(one.connections[0]?.[0]), `test.com:${one.port}`);
  });

  it('APISIX row 66: pass_host rewrite sends upstream_host as it stands', async () => {
    const one = await server();
    const { port } = await plane([one.port], { host: { passHost: 'rewrite', upstreamHost: 'test.com' } });
    await httpCall(port, { headers: { host: 'caller.example' } });
    assert.equal(hostOf(one.connections[0]?.[0]), 'test.com');
  });

  it('is decided anew for each attempt', async () => {
    const one = await server();
    const dead = await closedPort();
    const { port } = await plane(
      [endpointAt(dead, { host: 'first.example' }), endpointAt(one.port, { host: 'second.example', priority: -1 })],
      { host: { passHost: 'node', upstreamHost: '' } },
    );
    assert.equal((await httpCall(port)).status, 200);
    assert.equal(hostOf(one.connections[0]?.[0]), `second.example:${one.port}`);
  });
});

describe('keepalive_pool', () => {
  const pool = { size: 320, idleTimeoutMs: 60_000, requests: 1000 };

  it('APISIX row 77: sequential calls share a connection', async () => {
    const one = await server();
    const { port } = await plane([one.port], { keepalivePool: { ...pool, size: 4, requests: 16 } });
    for (let i = 0; i < 3; i++) await httpCall(port);
    assert.deepEqual(
      one.connections.map((requests) => requests.length),
      [3],
    );
  });

  it('APISIX row 78: a connection is replaced after so many requests', async () => {
    const one = await server();
    const { port } = await plane([one.port], { keepalivePool: { ...pool, size: 1, requests: 2 } });
    for (let i = 0; i < 3; i++) await httpCall(port);
    assert.deepEqual(
      one.connections.map((requests) => requests.length),
      [2, 1],
    );
  });

  it('an edit of the number of requests holds for connections that are opened after it', async () => {
    const one = await server();
    const { port, update } = await plane([one.port], { keepalivePool: { ...pool, requests: 3 } });
    await httpCall(port);
    await update([one.port], { keepalivePool: { ...pool, requests: 1 } });
    for (let i = 0; i < 4; i++) await httpCall(port);
    assert.deepEqual(
      one.connections.map((requests) => requests.length),
      [3, 1, 1],
    );
  });

  it('size 0 keeps none, and so does idle_timeout 0', async () => {
    for (const off of [
      { ...pool, size: 0 },
      { ...pool, idleTimeoutMs: 0 },
    ]) {
      const one = await server();
      const { port, cluster } = await plane([one.port], { keepalivePool: off });
      for (let i = 0; i < 3; i++) await httpCall(port);
      assert.equal(one.connections.length, 3);
      const [endpoint] = cluster.list();
      for (let i = 0; i < 50 && (endpoint?.pools.connections ?? 0) > 0; i++) await new Promise(setImmediate);
      assert.equal(endpoint?.pools.connections, 0);
    }
  });

  it('a connection is not used for longer than the server says', async () => {
    const one = await server('HTTP/1.1 200 OK\r\nkeep-alive: timeout=1\r\ncontent-length: 2\r\n\r\nok');
    const { port } = await plane([one.port], { keepalivePool: pool });
    await httpCall(port);
    await httpCall(port);
    assert.equal(one.connections.length, 2, 'a second is the margin');
  });
});
