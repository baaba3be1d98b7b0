// HTTP/1 and HTTP/2 callers in front of HTTP/1 and HTTP/2 endpoints, with Node's own clients and servers as peers.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { Agent, createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';
import { startDataPlane } from '../../support/data-plane.ts';
import { httpCall } from '../../support/http-call.ts';

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

async function startHttp(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

async function startHttp2(
  onStream: (stream: ServerHttp2Stream, headers: NodeJS.Dict<unknown>) => void,
): Promise<number> {
  const server = createHttp2Server();
  server.on('stream', onStream);
  server.on('session', (session) => closers.push(() => session.destroy()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

async function plane(...args: Parameters<typeof startDataPlane>): ReturnType<typeof startDataPlane> {
  const started = await startDataPlane(...args);
  closers.push(() => started.close());
  return started;
}

/** Answers with what was received: method, path, fields and the hash of the body. */
function echo(request: IncomingMessage, response: ServerResponse): void {
  const hash = createHash('sha256');
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    hash.update(chunk);
  });
  request.on('end', () => {
    const { method, url, headers, rawHeaders, trailers } = request;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ method, url, headers, rawHeaders, trailers, bytes, sha256: hash.digest('hex') }));
  });
}

interface Echoed {
  method: string;
  url: string;
  headers: Record<string, string>;
  rawHeaders: string[];
  trailers: Record<string, string>;
  bytes: number;
  sha256: string;
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

function http2Call(
  port: number,
  headers: Record<string, string>,
  body?: Buffer,
): Promise<{ headers: Record<string, unknown>; trailers: Record<string, unknown>; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://127.0.0.1:${port}`);
    session.on('error', reject);
    const stream = session.request({ ':path': '/', ...headers }, { endStream: body === undefined });
    let head: Record<string, unknown> = {};
    let trailers: Record<string, unknown> = {};
    const chunks: Buffer[] = [];
    stream.on('response', (fields) => (head = fields));
    stream.on('trailers', (fields: Record<string, unknown>) => (trailers = fields));
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('end', () => {
      session.close();
      resolve({ headers: head, trailers, body: Buffer.concat(chunks) });
    });
    if (body) stream.end(body);
  });
}

describe('HTTP/1 to HTTP/1', () => {
  it('carries a request and its answer, and adds the forwarding fields', async () => {
    const { port } = await plane([await startHttp(echo)]);
    const answer = await httpCall(port, { path: '/a?b=c', headers: { 'X-Case': 'kept', host: 'svc' } });
    const seen = JSON.parse(answer.body.toString()) as Echoed;
    assert.equal(answer.status, 200);
    assert.equal(seen.url, '/a?b=c');
    assert.equal(seen.headers['host'], 'svc');
    assert.ok(seen.rawHeaders.includes('X-Case'));
    assert.equal(seen.headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(seen.headers['x-forwarded-proto'], 'http');
    assert.equal(seen.headers['x-forwarded-host'], 'svc');
    assert.equal(seen.headers['x-forwarded-port'], String(port));
    assert.equal(seen.headers['x-real-ip'], '127.0.0.1');
    assert.match(seen.headers['x-request-id'] ?? '', /^[0-9a-f]{32}$/);
    assert.match(seen.headers['traceparent'] ?? '', /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    assert.equal(seen.headers['via'], '1.1 outrigger-test');
  });

  it('keeps x-request-id, traceparent and what a caller on this machine says of its own caller', async () => {
    const { port } = await plane([await startHttp(echo)]);
    const headers = {
      'x-request-id': 'mine',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      'x-forwarded-for': '203.0.113.9',
      'x-forwarded-proto': 'https',
      'x-real-ip': '203.0.113.9',
    };
    const seen = JSON.parse((await httpCall(port, { headers })).body.toString()) as Echoed;
    assert.equal(seen.headers['x-request-id'], 'mine');
    assert.equal(seen.headers['traceparent'], headers.traceparent);
    assert.equal(seen.headers['x-forwarded-for'], '203.0.113.9, 127.0.0.1');
    assert.equal(seen.headers['x-forwarded-proto'], 'https');
    assert.equal(seen.headers['x-real-ip'], '203.0.113.9');
  });

  it('removes hop-by-hop fields and what Connection names', async () => {
    const { port } = await plane([await startHttp(echo)]);
    const headers = { connection: 'keep-alive, X-Secret', 'x-secret': 's', 'proxy-connection': 'x', 'x-open': 'o' };
    const seen = JSON.parse((await httpCall(port, { headers })).body.toString()) as Echoed;
    assert.equal(seen.headers['x-secret'], undefined);
    assert.equal(seen.headers['proxy-connection'], undefined);
    assert.equal(seen.headers['x-open'], 'o');
  });

  it('carries 8 MiB both ways without a changed byte, by length and chunked', async () => {
    const body = randomBytes(8 << 20);
    const upstream = await startHttp((request, response) => {
      if (request.headers['content-length'] !== undefined) {
        response.setHeader('content-length', request.headers['content-length']);
      }
      request.pipe(response);
    });
    const { port } = await plane([upstream]);
    for (const headers of [{ 'content-length': String(body.length) }, { 'transfer-encoding': 'chunked' }]) {
      const answer = await httpCall(port, { method: 'POST', headers, body });
      assert.equal(sha256(answer.body), sha256(body));
    }
  });

  it('uses one upstream connection for calls one after the other', async () => {
    const sockets = new Set<unknown>();
    const upstream = await startHttp((request, response) => {
      sockets.add(request.socket);
      response.end('ok');
    });
    const { port } = await plane([upstream]);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 5; i++) await httpCall(port, { agent });
    agent.destroy();
    assert.equal(sockets.size, 1);
  });

  it('carries HEAD, 204 and 304 without a body, and trailers of a chunked answer', async () => {
    const upstream = await startHttp((request, response) => {
      if (request.url === '/204') response.writeHead(204).end();
      else if (request.url === '/304') response.writeHead(304, { etag: '"x"' }).end();
      else if (request.url === '/trailers') {
        response.writeHead(200, { trailer: 'x-sum' });
        response.write('body');
        response.addTrailers({ 'x-sum': '42' });
        response.end();
      } else response.writeHead(200, { 'content-length': '5' }).end(request.method === 'HEAD' ? undefined : 'hello');
    });
    const { port } = await plane([upstream]);
    const head = await httpCall(port, { method: 'HEAD' });
    assert.equal(head.headers['content-length'], '5');
    assert.equal(head.body.length, 0);
    assert.equal((await httpCall(port, { path: '/204' })).status, 204);
    assert.equal((await httpCall(port, { path: '/304' })).status, 304);
    const withTrailers = await httpCall(port, { path: '/trailers' });
    assert.equal(withTrailers.body.toString(), 'body');
    assert.equal(withTrailers.trailers['x-sum'], '42');
  });

  it('answers a request that came back to itself with 508', async () => {
    const first = await plane([await startHttp(echo)]);
    await first.update([first.port]);
    const answer = await httpCall(first.port);
    assert.equal(answer.status, 508);
    assert.equal(answer.headers['x-outrigger-reason'], 'loop_detected');
  });
});

describe('bridging', () => {
  it('HTTP/2 caller, HTTP/1 endpoint', async () => {
    const { port } = await plane([await startHttp(echo)]);
    const body = randomBytes(300_000);
    const answer = await http2Call(port, { ':method': 'POST', ':authority': 'svc', cookie: 'a=1', 'x-a': 'b' }, body);
    const seen = JSON.parse(answer.body.toString()) as Echoed;
    assert.equal(answer.headers[':status'], 200);
    assert.equal(seen.headers['host'], 'svc');
    assert.equal(seen.headers['cookie'], 'a=1');
    assert.equal(seen.sha256, sha256(body));
  });

  it('HTTP/1 caller, HTTP/2 endpoint, with trailers', async () => {
    const upstream = await startHttp2((stream, headers) => {
      stream.respond({ ':status': 200, 'x-authority': String(headers[':authority']) }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '7' }));
      stream.pipe(stream);
    });
    const { port } = await plane([upstream], { scheme: 'grpc' });
    const body = randomBytes(300_000);
    const answer = await httpCall(port, { method: 'POST', headers: { Host: 'svc' }, body });
    assert.equal(answer.headers['x-authority'], 'svc');
    assert.equal(sha256(answer.body), sha256(body));
    assert.equal(answer.trailers['x-sum'], '7');
  });

  it('HTTP/2 caller, HTTP/2 endpoint: 4 MiB echo over both flow controls', async () => {
    const upstream = await startHttp2((stream) => {
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    });
    const { port } = await plane([upstream], { scheme: 'grpc' });
    const body = randomBytes(4 << 20);
    const answer = await http2Call(port, { ':method': 'POST' }, body);
    assert.equal(sha256(answer.body), sha256(body));
  });

  it('bodies as large as a power of two whose end comes late: a window must not end with them', async () => {
    const endpoint = await startHttp2((stream) => {
      stream.on('error', () => undefined);
      stream.respond({ ':status': 200 });
      // Its end is a frame of its own; Node resets the stream instead where the window is used up at that moment.
      stream.write(Buffer.alloc(262_144), () => stream.end());
    });
    const { port } = await plane([endpoint], { scheme: 'grpc' });
    const session = connect(`http://127.0.0.1:${port}`);
    closers.push(() => session.destroy());
    for (let round = 0; round < 12; round++) {
      const lengths = await Promise.all(
        Array.from({ length: 5 }, async () => {
          const chunks: Buffer[] = [];
          for await (const chunk of session.request({ ':path': '/' })) chunks.push(chunk as Buffer);
          return Buffer.concat(chunks).length;
        }),
      );
      assert.deepEqual(lengths, Array(5).fill(262_144));
    }
  });
});
