// What an application sees through grpc-js: the same through the sidecar as without it, whatever the endpoint does.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import {
  Metadata,
  status,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
} from '@grpc/grpc-js';
import { startDataPlane, type TestDataPlane } from '../support/data-plane.ts';
import { data, headers, PREFACE, reset, settings, SETTINGS_ACK, TYPE } from '../support/h2-peer.ts';
import { ANSWER_HEAD, message } from '../support/grpc-peer.ts';
import { GREETER, greeterClient, startGreeter, type GreeterClient } from '../support/greeter.ts';
import { startRawServer, type RawServer } from '../support/raw-server.ts';
import { until } from '../support/tls-peer.ts';

/** A stream to answer. */
interface Call {
  readonly id: number;
}

/** An endpoint that reads no head, and answers each request that has ended with the frames that `play` gives. */
function startScript(play: (call: Call) => readonly Uint8Array[]): Promise<RawServer> {
  return startRawServer((socket) => {
    let bytes = Buffer.alloc(0);
    let at = PREFACE.length;
    socket.write(settings());
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      while (bytes.length >= at + 9 && bytes.length >= at + 9 + bytes.readUIntBE(at, 3)) {
        const [type, flags, id] = [bytes[at + 3], bytes[at + 4] ?? 0, bytes.readUInt32BE(at + 5)];
        if (type === TYPE.SETTINGS && (flags & 1) === 0) socket.write(SETTINGS_ACK);
        const ends = (type === TYPE.DATA || type === TYPE.HEADERS) && (flags & 1) !== 0;
        if (ends) socket.write(Buffer.concat(play({ id })));
        at += 9 + bytes.readUIntBE(at, 3);
      }
    });
  });
}

interface Outcome {
  readonly code: number;
  readonly details: string;
  readonly numbers: readonly number[];
  readonly metadata: unknown;
}

/** One server-streaming call, with all that came of it. */
function count(client: GreeterClient): Promise<Outcome> {
  return new Promise((resolve) => {
    const numbers: number[] = [];
    const call = client.count({ to: 3 });
    call.on('error', () => undefined);
    call.on('data', ({ number }: { number: number }) => numbers.push(number));
    call.on('status', ({ code, details, metadata }) => {
      setImmediate(() => resolve({ code, details, numbers, metadata: metadata.toHttp2Headers() }));
    });
  });
}

const one = message(Buffer.from([0x08, 1]));
const two = message(Buffer.from([0x08, 2]));

describe('grpc-js sees the same with and without the sidecar', () => {
  let play: (call: Call) => readonly Uint8Array[];
  let endpoint: RawServer;
  let plane: TestDataPlane;
  let clients: GreeterClient[];
  before(async () => {
    endpoint = await startScript((call) => play(call));
    plane = await startDataPlane([endpoint.port], { scheme: 'grpc' });
    clients = [greeterClient(endpoint.port), greeterClient(plane.port)];
  });
  after(() => {
    for (const client of clients) client.close();
    plane.close();
    endpoint.close();
  });

  const head = (call: Call, extra: readonly string[] = []): Buffer =>
    headers(call.id, [...ANSWER_HEAD, ...extra], false);
  const end = (call: Call, fields: readonly string[]): Buffer => headers(call.id, fields);
  const cases: readonly [string, (call: Call) => Uint8Array[]][] = [
    ['messages and OK', (c) => [head(c), data(c.id, one), data(c.id, two), end(c, ['grpc-status', '0'])]],
    ['two messages in a frame', (c) => [head(c), data(c.id, Buffer.concat([one, two])), end(c, ['grpc-status', '0'])]],
    [
      'a message in many frames',
      (c) => [head(c), ...[...one].map((byte) => data(c.id, Buffer.from([byte]))), end(c, ['grpc-status', '0'])],
    ],
    [
      'Trailers-Only',
      (c) => [headers(c.id, [...ANSWER_HEAD, 'grpc-status', '9', 'grpc-message', 'n%C3%B6', 'x-d-bin', 'AAH/'])],
    ],
    [
      'a status behind messages',
      (c) => [
        head(c, ['x-h', '1']),
        data(c.id, one),
        end(c, ['grpc-status', '5', 'grpc-message', 'a%0Ab', 'x-t', 'a', 'x-t', 'b']),
      ],
    ],
    ['bad percent-encoding', (c) => [head(c), end(c, ['grpc-status', '13', 'grpc-message', '100% %zz'])]],
    ['a status that is unknown', (c) => [head(c), end(c, ['grpc-status', '77'])]],
    ['no trailers', (c) => [head(c), data(c.id, one, true)]],
    ['trailers without a status', (c) => [head(c), data(c.id, one), end(c, ['x', '1'])]],
    ['a message cut short', (c) => [head(c), data(c.id, one.subarray(0, 6)), end(c, ['grpc-status', '0'])]],
    [
      'compressed without an encoding',
      (c) => [head(c), data(c.id, message(Buffer.from([0x08, 1]), 1)), end(c, ['grpc-status', '0'])],
    ],
    ...Array.from({ length: 13 }, (_, i): [string, (call: Call) => Uint8Array[]] => [
      `reset ${i + 1} behind a message`,
      (c) => [head(c), data(c.id, one), reset(c.id, i + 1)],
    ]),
    ['a reset without error behind a message', (c) => [head(c), data(c.id, one), reset(c.id, 0)]],
  ];
  for (const [name, frames] of cases) {
    it(name, async () => {
      play = frames;
      const outcomes: Outcome[] = [];
      for (const client of clients) outcomes.push(await count(client));
      const [direct, through] = outcomes;
      // The words for a reset differ by its code only where NO_ERROR was passed on as INTERNAL_ERROR.
      if (name.startsWith('a reset without')) assert.equal(through?.code, direct?.code);
      else assert.deepEqual(through, direct);
    });
  }

  for (const code of [400, 401, 403, 404, 418, 429, 500, 502, 503, 504]) {
    it(`HTTP ${code} with a page: the same status`, async () => {
      play = ({ id }) => [
        headers(id, [':status', String(code), 'content-type', 'text/html'], false),
        data(id, '<p>', true),
      ];
      const outcomes: Outcome[] = [];
      for (const client of clients) outcomes.push(await count(client));
      assert.equal(outcomes[1]?.code, outcomes[0]?.code);
      assert.deepEqual(outcomes[1]?.numbers, []);
    });
  }
});

describe('grpc-js on both sides', () => {
  const closers: (() => void)[] = [];
  after(() => {
    for (const close of closers) close();
  });

  async function clientOf(implementation: Partial<typeof GREETER>): Promise<GreeterClient> {
    const { port, server } = await startGreeter({ ...GREETER, ...implementation });
    const plane = await startDataPlane([port], { scheme: 'grpc' });
    const client = greeterClient(plane.port);
    closers.push(() => {
      client.close();
      plane.close();
      server.forceShutdown();
    });
    return client;
  }

  it('G-011 a server that answers while the client still sends', async () => {
    const client = await clientOf({
      join: (call: ServerReadableStream<{ word: string }, object>, done: sendUnaryData<object>) => {
        call.once('data', () => done({ code: status.RESOURCE_EXHAUSTED, details: 'enough' }));
      },
    });
    const code = await new Promise((resolve) => {
      const call = client.join((error) => resolve(error?.code));
      call.on('error', () => undefined);
      for (let i = 0; i < 200; i++) call.write({ word: 'x'.repeat(10_000) });
    });
    assert.equal(code, status.RESOURCE_EXHAUSTED);
  });

  it('G-012 and G-013 a reader that rests: nothing is lost, either way', async () => {
    const hashOf = (texts: readonly string[]): string => createHash('sha256').update(texts.join()).digest('hex');
    const client = await clientOf({
      chat: (call: ServerDuplexStream<{ text: string }, object>) => {
        let rests = 0;
        call.on('data', ({ text }: { text: string }) => {
          call.write({ text });
          if (++rests % 16 !== 0) return;
          call.pause();
          setTimeout(() => call.resume(), 5);
        });
        call.on('end', () => call.end());
      },
    });
    const sent = Array.from({ length: 96 }, () => randomBytes(16_000).toString('hex'));
    const got: string[] = [];
    const chat = client.chat();
    chat.on('data', ({ text }: { text: string }) => {
      got.push(text);
      if (got.length % 10 !== 0) return;
      chat.pause();
      setTimeout(() => chat.resume(), 5);
    });
    for (const text of sent) chat.write({ text });
    chat.end();
    await new Promise((resolve) => chat.once('end', resolve));
    assert.equal(hashOf(got), hashOf(sent));
  });

  it('G-009 cancelling, and a deadline, reach the server', async () => {
    const seen: string[] = [];
    const client = await clientOf({
      greet: (call: ServerUnaryCall<{ name: string }, object>) => {
        call.on('cancelled', () => seen.push(call.request.name));
      },
      count: (call: ServerWritableStream<{ to: number }, object>) => {
        call.write({ number: 1 });
        call.on('cancelled', () => seen.push('count'));
      },
    });
    const stream = client.count({ to: 1 });
    stream.on('error', () => undefined);
    await new Promise((resolve) => stream.once('data', resolve));
    stream.cancel();
    const code = await new Promise((resolve) => {
      client.greet({ name: 'late' }, new Metadata(), { deadline: Date.now() + 60 }, (error) => resolve(error?.code));
    });
    assert.equal(code, status.DEADLINE_EXCEEDED);
    await until(() => seen.length === 2, 'both');
    assert.deepEqual(seen.sort(), ['count', 'late']);
  });
});
