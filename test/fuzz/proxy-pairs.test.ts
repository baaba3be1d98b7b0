// Random calls through the whole data plane, each version of HTTP on each side: what arrives is what was sent, in order.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer, request, type IncomingMessage } from 'node:http';
import { connect, createServer as createHttp2Server, type ClientHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { seededRng } from '../../src/base/rng.ts';
import { startDataPlane } from '../support/data-plane.ts';

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

/** One call: sizes of the parts in which the body is sent, and whether its length is told. */
interface Call {
  readonly parts: readonly number[];
  readonly sized: boolean;
  readonly seed: number;
}

interface Answer {
  readonly status: number;
  /** Of the request body, as the endpoint saw it. */
  readonly seen: string;
  readonly body: Buffer;
}

const FILL = (() => {
  const rng = seededRng(5);
  return Buffer.from(Uint8Array.from({ length: 1 << 20 }, () => rng.below(256)));
})();

/** The parts of a call's body: windows into the same random bytes, placed by its seed. */
function partsOf({ parts, seed }: Call): Buffer[] {
  let at = seed % 4096;
  return parts.map((length) => FILL.subarray(at, (at += length)));
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Echoes, once the body is complete, in pieces of its own; says in a field what it saw. */
function answerWith(body: Buffer, write: (piece: Buffer) => void, end: () => void): void {
  for (let at = 0, step = 1; at < body.length; at += step, step = (step * 7) % 30_011)
    write(body.subarray(at, at + step));
  end();
}

async function startBackend1(): Promise<number> {
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const body = Buffer.concat(chunks);
      const sized = incoming.headers['x-sized'] === '1' ? { 'content-length': body.length } : {};
      response.writeHead(200, { 'x-seen': sha256(body), ...sized });
      answerWith(
        body,
        (piece) => response.write(piece),
        () => response.end(),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

async function startBackend2(): Promise<number> {
  const server = createHttp2Server();
  server.on('stream', (stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on('error', () => undefined);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      const body = Buffer.concat(chunks);
      const sized = headers['x-sized'] === '1' ? { 'content-length': body.length } : {};
      stream.respond({ ':status': 200, 'x-seen': sha256(body), ...sized });
      answerWith(
        body,
        (piece) => stream.write(piece),
        () => stream.end(),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

function call1(port: number, call: Call): Promise<Answer> {
  const parts = partsOf(call);
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const headers = { 'x-sized': call.sized ? '1' : '0', ...(call.sized ? { 'content-length': length } : {}) };
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, method: 'POST', headers }, (response: IncomingMessage) => {
      const chunks: Buffer[] = [];
      response.on('error', reject);
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const seen = String(response.headers['x-seen']);
        resolve({ status: response.statusCode ?? 0, seen, body: Buffer.concat(chunks) });
      });
    });
    outgoing.on('error', reject);
    for (const part of parts) outgoing.write(part);
    outgoing.end();
  });
}

function call2(session: ClientHttp2Session, call: Call): Promise<Answer> {
  const parts = partsOf(call);
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': 'POST',
      'x-sized': call.sized ? '1' : '0',
      ...(call.sized ? { 'content-length': length } : {}),
    });
    const chunks: Buffer[] = [];
    let status = 0;
    let seen = '';
    stream.on('response', (headers) => {
      status = headers[':status'] ?? 0;
      seen = String(headers['x-seen']);
    });
    stream.on('error', reject);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => resolve({ status, seen, body: Buffer.concat(chunks) }));
    for (const part of parts) stream.write(part);
    stream.end();
  });
}

const size = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 300 }) },
  { weight: 3, arbitrary: fc.integer({ min: 16_000, max: 17_000 }) }, // around a frame
  { weight: 2, arbitrary: fc.integer({ min: 65_000, max: 66_000 }) }, // around a window and a read buffer
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 150_000 }) },
);
const call: fc.Arbitrary<Call> = fc.record({
  parts: fc.array(size, { maxLength: 6 }),
  sized: fc.boolean(),
  seed: fc.nat(4095),
});

describe('any body through any pair of versions', () => {
  const callers = new Map<string, (one: Call) => Promise<Answer>>();

  before(async () => {
    const planes = {
      'HTTP/1': await startDataPlane([await startBackend1()]),
      'HTTP/2': await startDataPlane([await startBackend2()], { scheme: 'grpc' }),
    };
    for (const [to, plane] of Object.entries(planes)) {
      const session = connect(`http://127.0.0.1:${plane.port}`);
      closers.push(() => {
        session.destroy();
        plane.close();
      });
      callers.set(`HTTP/1 to ${to}`, (one) => call1(plane.port, one));
      callers.set(`HTTP/2 to ${to}`, (one) => call2(session, one));
    }
  });

  for (const pair of ['HTTP/1 to HTTP/1', 'HTTP/1 to HTTP/2', 'HTTP/2 to HTTP/1', 'HTTP/2 to HTTP/2']) {
    it(pair, async () => {
      const send = callers.get(pair);
      assert.ok(send);
      await fc.assert(
        fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 8 }), async (calls) => {
          const answers = await Promise.all(calls.map(send));
          for (const [i, { status, seen, body }] of answers.entries()) {
            const sent = sha256(Buffer.concat(partsOf(calls[i] ?? { parts: [], sized: true, seed: 0 })));
            assert.equal(status, 200);
            assert.equal(seen, sent, 'the request body');
            assert.equal(sha256(body), sent, 'the answer’s body');
          }
        }),
        { seed: 20_260_101, numRuns: 15 },
      );
    });
  }
});
