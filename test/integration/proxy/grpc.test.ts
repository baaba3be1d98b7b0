// gRPC through the sidecar, grpc-js on both sides.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, constants, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';
import {
  Metadata,
  status,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
} from '@grpc/grpc-js';
import { startDataPlane } from '../../support/data-plane.ts';
import { greeterClient, startGreeter, type GreeterClient } from '../../support/greeter.ts';
import { closedPort } from '../../support/raw-server.ts';

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

interface Named {
  name: string;
}

/** A data plane in front of `ports`, and a client of it. */
async function clientOf(ports: readonly number[], scheme: 'grpc' | 'http' = 'grpc'): Promise<GreeterClient> {
  const plane = await startDataPlane(ports, { scheme });
  const client = greeterClient(plane.port);
  closers.push(() => {
    client.close();
    plane.close();
  });
  return client;
}

async function serverOf(implementation: Parameters<typeof startGreeter>[0]): Promise<number> {
  const { port, server } = await startGreeter(implementation);
  closers.push(() => server.forceShutdown());
  return port;
}

function greet(
  client: GreeterClient,
  deadlineMs = 5000,
): Promise<{ error: ServiceError | null; message: string; trailers: Metadata | undefined }> {
  return new Promise((resolve) => {
    let trailers: Metadata | undefined;
    const call = client.greet(
      { name: 'x' },
      new Metadata(),
      { deadline: Date.now() + deadlineMs },
      (error, response) => {
        // `status` comes right after the callback.
        setImmediate(() => resolve({ error, message: response?.message ?? '', trailers }));
      },
    );
    call.on('status', (end) => (trailers = end.metadata));
  });
}

describe('gRPC', () => {
  it('unary calls, with status, message and metadata of an error in the trailers', async () => {
    const port = await serverOf({
      greet: (_call: ServerUnaryCall<Named, object>, done: sendUnaryData<object>) => {
        const trailers = new Metadata();
        trailers.set('x-detail', 'why');
        trailers.set('x-data-bin', Buffer.from([0, 255, 1]));
        done({ code: status.FAILED_PRECONDITION, details: 'not nöw', metadata: trailers });
      },
      count: () => undefined,
      chat: () => undefined,
    });
    const { error } = await greet(await clientOf([port]));
    assert.equal(error?.code, status.FAILED_PRECONDITION);
    assert.equal(error?.details, 'not nöw');
    assert.deepEqual(error?.metadata.get('x-detail'), ['why']);
    assert.deepEqual(error?.metadata.get('x-data-bin'), [Buffer.from([0, 255, 1])]);
  });

  it('server streams and bidirectional streams, message by message', async () => {
    const port = await serverOf({
      greet: () => undefined,
      count: (call: ServerWritableStream<{ to: number }, object>) => {
        for (let number = 1; number <= call.request.to; number++) call.write({ number });
        call.end();
      },
      chat: (call: ServerDuplexStream<{ text: string }, { text: string }>) => {
        call.on('data', (message: { text: string }) => call.write({ text: message.text.toUpperCase() }));
        call.on('end', () => call.end());
      },
    });
    const client = await clientOf([port]);
    const numbers: number[] = [];
    for await (const message of client.count({ to: 500 })) numbers.push((message as { number: number }).number);
    assert.equal(numbers.length, 500);
    assert.equal(numbers.at(-1), 500);

    const chat = client.chat();
    const answers: string[] = [];
    for (const text of ['one', 'two', 'x'.repeat(200_000)]) {
      chat.write({ text });
      const answer = await new Promise<{ text: string }>((resolve) => chat.once('data', resolve));
      answers.push(answer.text);
    }
    chat.end();
    await new Promise((resolve) => chat.once('end', resolve));
    assert.deepEqual(answers.slice(0, 2), ['ONE', 'TWO']);
    assert.equal(answers[2]?.length, 200_000);
  });

  it('the deadline is passed on less the time spent, and cancels the server', async () => {
    let remainingMs = 0;
    let cancelled: () => void = () => undefined;
    const sawCancel = new Promise<void>((resolve) => (cancelled = resolve));
    const port = await serverOf({
      greet: (call: ServerUnaryCall<Named, object>) => {
        remainingMs = Number(call.getDeadline()) - Date.now();
        call.on('cancelled', cancelled);
      },
      count: () => undefined,
      chat: () => undefined,
    });
    const { error } = await greet(await clientOf([port]), 300);
    assert.equal(error?.code, status.DEADLINE_EXCEEDED);
    assert.ok(remainingMs > 0 && remainingMs <= 300, String(remainingMs));
    await sawCancel;
  });

  it('a server that cancels at the deadline is not blamed', async () => {
    const server = createServer();
    server.on('stream', (stream) => {
      stream.on('error', () => undefined);
      stream.close(constants.NGHTTP2_CANCEL);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const plane = await startDataPlane([(server.address() as AddressInfo).port], { scheme: 'grpc' });
    const session = connect(`http://127.0.0.1:${plane.port}`);
    closers.push(() => {
      session.destroy();
      plane.close();
      server.close();
    });
    const statusOf = async (timeout: string): Promise<unknown> => {
      const fields = { ':method': 'POST', ':path': '/a.B/C', 'content-type': 'application/grpc', te: 'trailers' };
      const stream = session.request({ ...fields, 'grpc-timeout': timeout }, { endStream: true });
      stream.resume();
      const [head] = (await once(stream, 'response')) as [Record<string, unknown>];
      return head['grpc-status'];
    };
    for (let i = 0; i < 20; i++) assert.equal(await statusOf('1m'), String(status.DEADLINE_EXCEEDED));
    assert.equal(await statusOf('1H'), String(status.CANCELLED), 'at another time it is the server that gave up');
    assert.deepEqual(
      plane.records.map(({ attempts }) => attempts.map(({ error }) => error).join()),
      [...Array.from({ length: 20 }, () => 'deadline_exceeded'), 'upstream_reset'],
    );
  });

  it('a cancelled call cancels the server', async () => {
    let cancelled: () => void = () => undefined;
    const sawCancel = new Promise<void>((resolve) => (cancelled = resolve));
    const port = await serverOf({
      greet: () => undefined,
      count: (call: ServerWritableStream<object, object>) => {
        call.on('cancelled', cancelled);
        call.write({ number: 1 });
      },
      chat: () => undefined,
    });
    const stream = (await clientOf([port])).count({ to: 1 });
    stream.on('error', () => undefined);
    await new Promise((resolve) => stream.once('data', resolve));
    stream.cancel();
    await sawCancel;
  });

  it('without endpoints: UNAVAILABLE as Trailers-Only with the reason', async () => {
    const { error } = await greet(await clientOf([]));
    assert.equal(error?.code, status.UNAVAILABLE);
    assert.deepEqual(error?.metadata.get('x-outrigger-reason'), ['no_endpoints']);
  });

  it('a refused connection is carried by another endpoint', async () => {
    const port = await serverOf({
      greet: (call: ServerUnaryCall<Named, object>, done: sendUnaryData<object>) =>
        done(null, { message: `hello ${call.request.name}` }),
      count: () => undefined,
      chat: () => undefined,
    });
    const client = await clientOf([await closedPort(), port]);
    for (let i = 0; i < 4; i++) assert.equal((await greet(client)).message, 'hello x');
  });

  it('a gRPC call to an http port is told what to change', async () => {
    const { error } = await greet(await clientOf([await closedPort()], 'http'));
    assert.equal(error?.code, status.UNIMPLEMENTED);
    assert.match(error?.details ?? '', /scheme is http/);
  });

  it('a server that stands one stream a connection: no call fails, and long ones hold up no other', async () => {
    const server = createServer({ settings: { maxConcurrentStreams: 1 } });
    let refused = 0;
    server.on('session', (session) => session.on('error', () => undefined));
    server.on('stream', (stream) => {
      stream.on('error', () => refused++);
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.on('end', () => stream.end(Buffer.alloc(5)));
      stream.resume();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => server.close());
    const client = await clientOf([(server.address() as AddressInfo).port]);
    const open = [client.chat(), client.chat()];
    for (const call of open) call.on('error', () => undefined);
    const results = await Promise.all(Array.from({ length: 30 }, () => greet(client)));
    assert.deepEqual(
      results.filter(({ error }) => error !== null).map(({ error }) => error?.message),
      [],
    );
    assert.equal(refused, 0);
    for (const call of open) call.cancel();
  });

  it('a graceful server shutdown under load costs no call', async () => {
    const implementation = {
      greet: (call: ServerUnaryCall<Named, object>, done: sendUnaryData<object>) =>
        done(null, { message: `hello ${call.request.name}` }),
      count: () => undefined,
      chat: () => undefined,
    };
    const first = await startGreeter(implementation);
    const second = await startGreeter(implementation);
    closers.push(() => second.server.forceShutdown());
    const client = await clientOf([first.port, second.port]);
    const calls: Promise<{ error: ServiceError | null }>[] = [];
    let shutDown: Promise<void> | undefined;
    for (let i = 0; i < 400; i++) {
      calls.push(greet(client));
      if (i % 20 === 0) await calls.at(-1);
      if (i === 200) shutDown = new Promise((resolve) => first.server.tryShutdown(() => resolve()));
    }
    const failed = (await Promise.all(calls)).filter(({ error }) => error !== null);
    await shutDown;
    assert.equal(failed.length, 0, failed[0]?.error?.message);
  });
});
