// An answer that is kept back while another attempt is made: what happens to its request, its stream and its connection. And
// the head of a gRPC answer that is held for its status: who must not be kept waiting by that.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { endpointAt, startDataPlane, type TestDataPlane } from '../../support/data-plane.ts';
import { ANSWER_HEAD, callFields, message, type GrpcStream } from '../../support/grpc-peer.ts';
import { GrpcScene } from '../../support/grpc-scene.ts';
import { headers, request } from '../../support/h2-peer.ts';
import { httpCall } from '../../support/http-call.ts';
import { rawCaller } from '../../support/raw-caller.ts';
import { startRawServer } from '../../support/raw-server.ts';
import { until } from '../../support/tls-peer.ts';

const closers: (() => void)[] = [];
const scene = new GrpcScene();
after(() => {
  for (const close of closers) close();
  scene.close();
});

async function plane(...args: Parameters<typeof startDataPlane>): Promise<TestDataPlane> {
  const started = await startDataPlane(...args);
  closers.push(() => started.close());
  return started;
}

interface Connection {
  readonly socket: Socket;
  text: string;
  closed: boolean;
}

/** An endpoint that keeps what comes on each connection and has `onText` look at it. */
async function server(
  onText: (connection: Connection, connections: readonly Connection[]) => void,
): Promise<{ readonly port: number; readonly connections: readonly Connection[] }> {
  const connections: Connection[] = [];
  const started = await startRawServer((socket) => {
    const connection: Connection = { socket, text: '', closed: false };
    connections.push(connection);
    socket.on('error', () => undefined);
    socket.on('end', () => (connection.closed = true));
    socket.on('close', () => (connection.closed = true));
    socket.on('data', (bytes: Buffer) => {
      connection.text += bytes.toString('latin1');
      onText(connection, connections);
    });
  });
  closers.push(() => started.close());
  return { port: started.port, connections };
}

const inOrder = (ports: readonly { readonly port: number }[]): ReturnType<typeof endpointAt>[] =>
  ports.map(({ port }, i) => endpointAt(port, { priority: -i }));

/** Whether `promise` is still open after `ms`. */
async function isOpenAfter(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const timeout = new Promise<true>((resolve) => setTimeout(() => resolve(true), ms));
  return Promise.race([promise.then(() => false), timeout]);
}

describe('an answer that is kept back', () => {
  it('gets no more of a request that went on elsewhere, also when the caller gets it after all', async () => {
    const first = await server(({ socket, text }) => {
      if (text.includes('aaaa')) socket.write('HTTP/1.1 503 X\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsor\n\r\n');
    });
    const second = await server(({ socket, text }) => {
      if (text.includes('bbbb')) socket.resetAndDestroy();
    });
    const { port } = await plane(inOrder([first, second]), { attempts: { retryOn: ['503', 'reset'] } });
    const caller = await rawCaller(port);
    closers.push(() => caller.close());
    caller.send('PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\naaaa\r\n');
    await until(() => second.connections[0]?.text.includes('aaaa') === true, 'the second attempt');
    caller.send('4\r\nbbbb\r\n');
    await caller.until('sor\n');
    caller.send('4\r\ncccc\r\n0\r\n\r\n');
    first.connections[0]?.socket.write('1\r\n.\r\n0\r\n\r\n');
    await caller.until('0\r\n\r\n');
    assert.match(caller.text, /^HTTP\/1.1 503 /);
    await until(() => first.connections[0]?.closed === true, 'the end of a connection that is of no use');
    assert.ok(!/bbbb|cccc|0\r\n\r\n$/.test(first.connections[0]?.text ?? ''), first.connections[0]?.text);
  });

  it('has its stream reset where the rest of the request went elsewhere', async () => {
    const bad = await scene.endpoint((call) => call.peer.send(headers(call.id, [':status', '503'], false)));
    const good = await scene.endpoint((call) => {
      call.onEnd = () => {
        bad.calls[0]?.send('late', true);
        setTimeout(() => call.peer.send(headers(call.id, [':status', '200'], true)), 50);
      };
    });
    const one = await plane(inOrder([bad, good]), { scheme: 'grpc', attempts: { retryOn: ['503'] } });
    const call = (await scene.caller(one)).call(request('/', [], 'PUT'), Buffer.from('first part'), false);
    await until(() => good.calls.length === 1, 'the second attempt');
    call.send('rest', true);
    await call.over();
    await until(() => bad.calls[0]?.isOver === true, 'the end of the first stream');
    assert.ok((bad.calls[0]?.resetCode ?? -1) >= 0, bad.calls[0]?.words.join());
    assert.equal(call.heads[0]?.[1], '200');
  });

  it('is read on, so that its connection is free for what follows', async () => {
    let answers = 0;
    const one = await server(({ socket, text }) => {
      if (!text.endsWith('\r\n\r\n')) return;
      if (answers++ > 0) return void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      socket.write('HTTP/1.1 503 X\r\ncontent-length: 4\r\n\r\n');
      setTimeout(() => socket.write('busy'), 20);
    });
    const { port } = await plane([one.port], {
      attempts: { retryOn: ['503'], maxAttempts: 2 },
      circuitBreakers: { maxConnections: 1 },
      timeout: { connectMs: 2000 },
    });
    const answer = await httpCall(port);
    assert.deepEqual([answer.status, answer.body.toString()], [200, 'ok']);
    assert.ok(one.connections.length <= 2);
  });

  it('gives its connection up, unfinished, to an attempt that could open none', async () => {
    let answers = 0;
    const one = await server(({ socket }) => {
      if (answers++ > 0) return void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      socket.write('HTTP/1.1 503 X\r\ncontent-length: 4\r\n\r\nbu');
    });
    const started = await plane([one.port], {
      attempts: { retryOn: ['503'], maxAttempts: 2 },
      circuitBreakers: { maxConnections: 1 },
      timeout: { connectMs: 2000 },
    });
    const answer = await httpCall(started.port);
    assert.deepEqual([answer.status, answer.body.toString()], [200, 'ok']);
    assert.ok((started.records[0]?.durationMs ?? Infinity) < 1000);
  });

  it('stays, complete, where the next attempt gets no connection', async () => {
    const held: Socket[] = [];
    const first = await server(({ socket, text }) => {
      if (text.endsWith('\r\n\r\n')) socket.write('HTTP/1.1 503 X\r\ncontent-length: 5\r\n\r\nearly');
    });
    const second = await server(({ socket }) => held.push(socket));
    const started = await plane(inOrder([first, second]), {
      attempts: { retryOn: ['503'], backoff: { initialMs: 50, maxMs: 50 } },
      circuitBreakers: { maxConnections: 1 },
      timeout: { connectMs: 300 },
    });
    const holding = httpCall(started.port);
    await until(() => held.length === 1, 'the call that holds the only connection of the second');
    const answer = await httpCall(started.port);
    assert.deepEqual([answer.status, answer.body.toString()], [503, 'early']);
    held[0]?.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
    assert.equal((await holding).status, 200);
  });

  it('that is larger than the buffer stops its endpoint', async () => {
    const body = Buffer.alloc(30_000_000, 'x').toString('latin1');
    const bad = await server(({ socket }) =>
      socket.write(`HTTP/1.1 503 X\r\ncontent-length: ${body.length}\r\n\r\n${body}`),
    );
    const good = await server(({ socket }) =>
      setTimeout(() => socket.write('HTTP/1.1 503 X\r\ncontent-length: 5\r\n\r\nlast.'), 100),
    );
    const { port } = await plane(inOrder([bad, good]), { attempts: { retryOn: ['503'] } });
    const answering = httpCall(port);
    await until(() => good.connections.length === 1, 'the second attempt');
    await until(() => (bad.connections[0]?.socket.writableLength ?? 0) > 0, 'the first answer');
    assert.equal((await answering).body.toString(), 'last.');
    assert.ok((bad.connections[0]?.socket.bytesWritten ?? 0) > 0);
  });

  it('an endpoint that is a proxy itself doesn’t add a second X-APISIX-Upstream-Status', async () => {
    const proxy = await server(({ socket }) =>
      socket.write('HTTP/1.1 502 X\r\ncontent-length: 0\r\nx-apisix-upstream-status: 500, 502\r\n\r\n'),
    );
    const answer = await httpCall((await plane([proxy.port])).port);
    assert.deepEqual([answer.status, answer.headers['x-apisix-upstream-status']], [502, '502']);
  });
});

describe('the head of a gRPC answer that is held', () => {
  const RETRY = { scheme: 'grpc', attempts: { retryOn: ['unavailable', 'unknown'], maxAttempts: 2 } } as const;
  const sendsHead = (call: GrpcStream): void => call.peer.send(headers(call.id, ANSWER_HEAD, false));

  it('is passed on as soon as the request can’t be sent again', async () => {
    const endpoint = await scene.endpoint(sendsHead);
    const one = await plane([endpoint.port], RETRY);
    const caller = await scene.caller(one);
    const call = caller.call(callFields(), undefined, false);
    caller.pour(call, message('x'.repeat(40_000)));
    await until(() => (endpoint.calls[0]?.bodyBytes ?? 0) >= 40_000, 'the first part');
    assert.equal(call.heads.length, 0);
    caller.pour(call, message('y'.repeat(40_000)));
    await until(() => call.heads.length === 1, 'the head');
    assert.ok(await isOpenAfter(call.over(), 20));
    call.reset(8);
  });

  it('is passed on to a caller that may be waiting for it', async () => {
    const endpoint = await scene.endpoint(sendsHead);
    const one = await plane([endpoint.port], RETRY);
    const call = (await scene.caller(one)).call(callFields(), message('hello'), false);
    await until(() => call.heads.length === 1, 'the head');
    call.reset(8);
  });

  it('is held on where the caller ends its request meanwhile, and no timer of one attempt is another’s', async () => {
    const answers = [100, 300, 0] as const;
    const endpoints = await Promise.all(
      answers.map((afterMs, i) =>
        scene.endpoint((call) => {
          if (afterMs === 0) call.onEnd = () => call.answer();
          else {
            const send = (): void => {
              sendsHead(call);
              setTimeout(() => call.peer.send(headers(call.id, ['grpc-status', '14'], true)), afterMs);
            };
            setTimeout(send, i * 100);
          }
        }),
      ),
    );
    const one = await plane(inOrder(endpoints), { ...RETRY, attempts: { ...RETRY.attempts, maxAttempts: 3 } });
    const call = (await scene.caller(one)).call(callFields(), message('hello'), false);
    await isOpenAfter(call.over(), 150);
    call.send('', true);
    await call.over();
    assert.equal(call.grpcStatus, '0');
    assert.equal(one.records[0]?.attempts.length, 3);
  });

  it('is held for as long as it takes once the caller has said all', async () => {
    const bad = await scene.endpoint((call) => {
      call.onEnd = () => {
        sendsHead(call);
        setTimeout(() => call.peer.send(headers(call.id, ['grpc-status', '14'], true)), 400);
      };
    });
    const good = await scene.endpoint((call) => {
      call.onEnd = () => call.answer();
    });
    const one = await plane(inOrder([bad, good]), RETRY);
    const call = (await scene.caller(one)).call(callFields(), message('hello'));
    await call.over();
    assert.equal(call.grpcStatus, '0');
  });

  it('is one of an answer without a status: UNKNOWN, or the one that stands in it', async () => {
    for (const [status, attempts] of [
      [[], 2],
      [['grpc-status', '14'], 2],
      [['grpc-status', '5'], 1],
    ] as const) {
      const bad = await scene.endpoint((call) => {
        call.onEnd = () => {
          call.peer.send(headers(call.id, [...ANSWER_HEAD, ...status], false));
          call.send('', true);
        };
      });
      const good = await scene.endpoint((call) => {
        call.onEnd = () => call.answer();
      });
      const one = await plane(inOrder([bad, good]), RETRY);
      await (await scene.caller(one)).call(callFields(), message('hello')).over();
      assert.equal(one.records[0]?.attempts.length, attempts, status.join());
      if (attempts === 1) assert.equal(one.records[0]?.grpcStatus, 5);
    }
  });
});

describe('times of gRPC calls', () => {
  it('a server that takes no more of a stream cuts it by no default', async () => {
    const endpoint = await scene.endpoint((call) => {
      call.stalled = true;
      call.peer.send(headers(call.id, ANSWER_HEAD, false));
    });
    const seen: (string | undefined)[] = [];
    for (const sendIsSet of [false, true]) {
      const one = await plane([endpoint.port], { scheme: 'grpc', timeout: { sendMs: 100, sendIsSet } });
      const caller = await scene.caller(one);
      const call = caller.call(callFields(), undefined, false);
      caller.pour(call, message('x'.repeat(200_000)));
      await isOpenAfter(call.over(), 400);
      seen.push(one.records[0]?.error);
      call.reset(8);
    }
    assert.deepEqual(seen, [undefined, 'send_timeout']);
  });

  it('a deadline that is over already reaches no endpoint', async () => {
    const endpoint = await scene.endpoint((call) => {
      call.onEnd = () => call.answer();
    });
    const one = await scene.plane([endpoint]);
    const call = (await scene.caller(one)).call(callFields('/a/B', ['grpc-timeout', '0m']), message('x'));
    await call.over();
    assert.equal(call.grpcStatus, '4');
    assert.equal(endpoint.calls.length, 0);
  });
});
