// Attempts that follow an answer: by HTTP status, by gRPC status in the head or in trailers, after which wait, and what the
// caller sees when they run out. Also the times that end an attempt or a call.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { endpointAt, startDataPlane, type TestDataPlane } from '../../support/data-plane.ts';
import { ANSWER_HEAD, callFields, message, type GrpcStream } from '../../support/grpc-peer.ts';
import { headers } from '../../support/h2-peer.ts';
import { GrpcScene } from '../../support/grpc-scene.ts';
import { httpCall } from '../../support/http-call.ts';
import { DEFAULT_PASSIVE } from '../../../src/model/defaults.ts';
import { rawCaller } from '../../support/raw-caller.ts';
import { closedPort, startRawServer } from '../../support/raw-server.ts';
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

interface Server {
  readonly port: number;
  /** Heads of the requests that came. */
  readonly requests: string[];
  /** A body of which the last bytes are `end` or `x` came whole. */
  onEnd: (socket: Socket) => void;
}

/** An endpoint that plays `answer` for each request. */
async function server(answer: (socket: Socket, request: string) => void): Promise<Server> {
  const requests: string[] = [];
  const found: Server = { port: 0, requests, onEnd: () => undefined };
  const started = await startRawServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => {
      const text = bytes.toString('latin1');
      if (/(end|x)$/.test(text)) found.onEnd(socket);
      if (!text.includes('HTTP/1.1\r\n')) return;
      requests.push(text);
      answer(socket, text);
    });
  });
  closers.push(() => started.close());
  return Object.assign(found, { port: started.port });
}

const says =
  (status: number, body: string, fields = '') =>
  (socket: Socket): void => {
    socket.write(`HTTP/1.1 ${status} X\r\ncontent-length: ${body.length}\r\n${fields}\r\n${body}`);
  };

/** A block of fields; of an answer its head, or with `end` its trailers. */
function head(call: GrpcStream, fields: readonly string[], end = false): void {
  call.peer.send(headers(call.id, fields, end));
}

/** A port for each priority in order, so that a test knows who is tried first. */
function inOrder(servers: readonly { readonly port: number }[]): ReturnType<typeof endpointAt>[] {
  return servers.map(({ port }, i) => endpointAt(port, { priority: -i }));
}

describe('retries after an HTTP status', () => {
  it('another endpoint answers instead, and the caller sees nothing of the first', async () => {
    const bad = await server(says(503, 'no'));
    const good = await server(says(200, 'yes'));
    const { port, records } = await plane(inOrder([bad, good]), { attempts: { retryOn: ['503'] } });
    const answer = await httpCall(port);
    assert.deepEqual([answer.status, answer.body.toString()], [200, 'yes']);
    assert.equal(answer.headers['x-apisix-upstream-status'], undefined);
    assert.deepEqual(
      records[0]?.attempts.map(({ status }) => status),
      [503, 200],
    );
  });

  it('a status that is not listed is the answer', async () => {
    const bad = await server(says(500, 'no'));
    const good = await server(says(200, 'yes'));
    const { port } = await plane(inOrder([bad, good]), { attempts: { retryOn: ['gateway-error'] } });
    assert.equal((await httpCall(port)).status, 500);
    assert.equal(good.requests.length, 0);
  });

  it('a POST that was written is not sent again unless its method is listed', async () => {
    const bad = await server(says(503, 'no'));
    const good = await server(says(200, 'yes'));
    const strict = await plane(inOrder([bad, good]), { attempts: { retryOn: ['503'] } });
    assert.equal((await httpCall(strict.port, { method: 'POST', body: 'pay' })).status, 503);
    assert.equal(good.requests.length, 0);
    const lax = await plane(inOrder([bad, good]), { attempts: { retryOn: ['503'], retryMethods: ['POST'] } });
    assert.equal((await httpCall(lax.port, { method: 'POST', body: 'pay' })).status, 200);
    assert.equal((await httpCall(lax.port)).status, 503, 'GET is not listed');
  });

  it('the last real answer is given, whole, when attempts run out', async () => {
    const first = await server(says(503, 'first', 'x-from: first\r\n'));
    const second = await server(says(503, 'second', 'x-from: second\r\n'));
    const { port } = await plane(inOrder([first, second]), { attempts: { retryOn: ['503'] } });
    const answer = await httpCall(port);
    assert.deepEqual([answer.status, answer.body.toString(), answer.headers['x-from']], [503, 'second', 'second']);
    assert.equal(answer.headers['x-apisix-upstream-status'], '503, 503');
  });

  it('a real answer stands above a failure that follows it', async () => {
    const body = 'b'.repeat(200_000);
    const first = await server(says(503, body, 'x-from: first\r\n'));
    const gone = { port: await closedPort() };
    const { port, records } = await plane(inOrder([first, gone]), {
      attempts: { retryOn: ['503', 'connect-failure'] },
    });
    const answer = await httpCall(port);
    assert.deepEqual([answer.status, answer.headers['x-from']], [503, 'first']);
    assert.equal(answer.body.toString(), body);
    assert.equal(answer.headers['x-apisix-upstream-status'], '503, 502');
    assert.equal(answer.headers['x-outrigger-reason'], undefined);
    assert.equal(records[0]?.error, undefined);
    assert.equal(records[0]?.attempts.length, 2);
    assert.equal((await httpCall(port)).body.toString(), body, 'the connection goes on');
  });

  it('APISIX row 56: the header tells what each attempt came to, on answers of 500 and above', async () => {
    const slow = await server(() => undefined);
    const dead = { port: await closedPort() };
    const live = await server(says(200, 'yes'));
    const five = await server(says(500, 'no'));
    const header = async (ports: readonly { readonly port: number }[]): Promise<[number, unknown]> => {
      const one = await plane(inOrder(ports), { timeout: { readMs: 60, readIsSet: true } });
      const { status, headers } = await httpCall(one.port);
      return [status, headers['x-apisix-upstream-status']];
    };
    assert.deepEqual(await header([five]), [500, '500']);
    assert.deepEqual(await header([slow]), [504, '504']);
    assert.deepEqual(await header([dead]), [502, '502']);
    assert.deepEqual(await header([dead, live]), [200, undefined]);
    assert.deepEqual(await header([dead, slow]), [504, '502, 504']);
  });

  it('APISIX row 57: an answer of the sidecar alone has no such header', async () => {
    const { port } = await plane([]);
    const answer = await httpCall(port);
    assert.deepEqual([answer.status, answer.headers['x-apisix-upstream-status']], [503, undefined]);
  });

  it('a body that went on is sent again whole', async () => {
    const bad = await server(says(503, 'no'));
    const good = await server(says(200, 'yes'));
    const { port } = await plane(inOrder([bad, good]), { attempts: { retryOn: ['503'] } });
    assert.equal((await httpCall(port, { method: 'PUT', body: 'x'.repeat(5000) })).status, 200);
    assert.match(good.requests[0] ?? '', /x{5000}$/);
  });
});

describe('waiting between attempts', () => {
  it('Retry-After of the answer is kept to', async () => {
    let answers = 0;
    const times: number[] = [];
    const one = await server((socket) => {
      times.push(performance.now());
      if (answers++ === 0) says(503, 'no', 'retry-after: 1\r\n')(socket);
      else says(200, 'yes')(socket);
    });
    const { port } = await plane([one.port], { attempts: { retryOn: ['503'], maxAttempts: 2 } });
    assert.equal((await httpCall(port)).status, 200);
    assert.ok(times[1]! - times[0]! >= 990, `${times[1]! - times[0]!} ms`);
  });

  it('a server that wants too long a wait has had the last word', async () => {
    const bad = await server(says(503, 'no', 'retry-after: 3600\r\n'));
    const good = await server(says(200, 'yes'));
    const { port } = await plane(inOrder([bad, good]), { attempts: { retryOn: ['503'] } });
    const answer = await httpCall(port);
    assert.deepEqual([answer.status, answer.headers['retry-after']], [503, '3600']);
    assert.equal(good.requests.length, 0);
  });

  it('back-off grows, and the caller who goes away while it runs ends the request', async () => {
    const times: number[] = [];
    const bad = await server((socket) => {
      times.push(performance.now());
      says(503, 'no')(socket);
    });
    const { port } = await plane([bad.port], {
      attempts: { retryOn: ['503'], maxAttempts: 3, backoff: { initialMs: 100, maxMs: 1000 } },
    });
    assert.equal((await httpCall(port)).status, 503);
    assert.equal(times.length, 3);
    assert.ok(times[1]! - times[0]! >= 75 && times[2]! - times[1]! >= 155, times.join(' '));
  });

  it('the last failure is told where nobody is left when the wait is over', async () => {
    const reset = await server((socket) => socket.resetAndDestroy());
    const other = await server(says(200, 'yes'));
    const one = await plane(inOrder([reset, other]), {
      attempts: { maxAttempts: 2, backoff: { initialMs: 150, maxMs: 150 } },
    });
    const answering = httpCall(one.port);
    await until(() => reset.requests.length === 1, 'the first attempt');
    await one.update([]);
    const answer = await answering;
    assert.deepEqual([answer.status, answer.headers['x-outrigger-reason']], [502, 'upstream_reset']);
  });

  it('timeout.idle is no matter of the wait', async () => {
    const bad = await server(says(503, 'no', 'retry-after: 1\r\n'));
    const good = await server(says(200, 'yes'));
    const { port } = await plane(inOrder([bad, good]), { attempts: { retryOn: ['503'] }, timeout: { idleMs: 200 } });
    assert.equal((await httpCall(port)).status, 200);
  });

  it('APISIX row 50: retry_timeout starts no attempt after its time, and cuts none', async () => {
    const abort = await Promise.all(
      [0, 1, 2].map(() => server((socket) => void setTimeout(() => socket.resetAndDestroy(), 100))),
    );
    const { port, records } = await plane(inOrder(abort), { attempts: { maxAttempts: 11, retryTimeoutMs: 150 } });
    assert.equal((await httpCall(port)).status, 502);
    assert.equal(records[0]?.attempts.length, 2);
  });
});

describe('retries after a gRPC status', () => {
  const unavailable = [...ANSWER_HEAD, 'grpc-status', '14', 'grpc-message', 'busy'];

  it('in the head, in trailers after a head, and not after the first message', async () => {
    const kinds: ((call: GrpcStream) => void)[] = [
      (call) => head(call, unavailable, true),
      (call) => {
        head(call, [...ANSWER_HEAD, 'x-late', '1']);
        head(call, ['grpc-status', '14', 'grpc-message', 'busy'], true);
      },
      (call) => {
        head(call, ANSWER_HEAD);
        call.send(message('early'));
        head(call, ['grpc-status', '14', 'grpc-message', 'busy'], true);
      },
    ];
    const seen: string[] = [];
    for (const play of kinds) {
      const bad = await scene.endpoint((call) => {
        call.onEnd = () => play(call);
      });
      const good = await scene.endpoint((call) => {
        call.onEnd = () => call.answer(message('fine'));
      });
      const one = await startDataPlane(inOrder([bad, good]), {
        scheme: 'grpc',
        attempts: { retryOn: ['unavailable'] },
      });
      closers.push(() => one.close());
      const caller = await scene.caller(one);
      const call = caller.call(callFields(), message('ask'));
      await call.over();
      seen.push(`${call.grpcStatus} ${one.records[0]?.attempts.length} ${call.heads[0]?.includes('x-late')}`);
      if (good.calls[0]) assert.equal(good.calls[0].field('grpc-previous-rpc-attempts'), '1');
    }
    assert.deepEqual(seen, ['0 2 false', '0 2 false', '14 1 false']);
  });

  it('grpc-retry-pushback-ms: a number is the wait, a negative one the end', async () => {
    for (const [value, attempts] of [
      ['0', 2],
      ['-1', 1],
      ['soon', 1],
    ] as const) {
      const bad = await scene.endpoint((call) => {
        call.onEnd = () => head(call, [...unavailable, 'grpc-retry-pushback-ms', value], true);
      });
      const good = await scene.endpoint((call) => {
        call.onEnd = () => call.answer(message('fine'));
      });
      const one = await startDataPlane(inOrder([bad, good]), {
        scheme: 'grpc',
        attempts: { retryOn: ['unavailable'] },
      });
      closers.push(() => one.close());
      const call = (await scene.caller(one)).call(callFields(), message('ask'));
      await call.over();
      assert.equal(one.records[0]?.attempts.length, attempts, value);
      assert.equal(call.grpcStatus, attempts === 2 ? '0' : '14');
    }
  });

  it('the last real status is given when attempts run out', async () => {
    const bad = await scene.endpoint((call) => {
      call.onEnd = () => {
        head(call, ANSWER_HEAD);
        head(call, ['grpc-status', '14', 'grpc-message', 'busy', 'x-why', 'load'], true);
      };
    });
    const gone = { port: await closedPort() };
    const one = await startDataPlane(inOrder([bad, gone]), {
      scheme: 'grpc',
      attempts: { retryOn: ['unavailable', 'connect-failure'] },
    });
    closers.push(() => one.close());
    const call = (await scene.caller(one)).call(callFields(), message('ask'));
    await call.over();
    assert.equal(call.grpcStatus, '14');
    assert.ok(call.heads.at(-1)?.includes('x-why'));
    assert.equal(one.records[0]?.attempts.length, 2);
  });
});

describe('times of attempts and calls', () => {
  it('per_try_timeout moves on to the next endpoint, and names itself', async () => {
    const slow = await server(() => undefined);
    const good = await server(says(200, 'yes'));
    const both = await plane(inOrder([slow, good]), { attempts: { perTryTimeoutMs: 60 } });
    assert.equal((await httpCall(both.port)).status, 200);
    const alone = await plane([slow.port], { attempts: { perTryTimeoutMs: 60 } });
    const answer = await httpCall(alone.port);
    assert.deepEqual([answer.status, answer.headers['x-outrigger-reason']], [504, 'per_try_timeout']);
  });

  it('per_try_timeout is the endpoint’s time, not the caller’s nor that of other calls', async () => {
    const served = await server((socket, request) => {
      if (request.includes('GET')) setTimeout(() => says(200, 'slow')(socket), 250);
    });
    served.onEnd = (socket) => says(200, 'whole')(socket);
    const one = await plane([served.port], {
      attempts: { perTryTimeoutMs: 100, maxAttempts: 1 },
      circuitBreakers: { maxConnections: 1 },
      checks: { active: undefined, passive: { ...DEFAULT_PASSIVE, timeouts: 1 } },
    });
    const caller = await rawCaller(one.port);
    closers.push(() => caller.close());
    caller.send('PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nabc');
    await until(() => served.requests.length === 1, 'the first half');
    const waiting = httpCall(one.port, { method: 'PUT', body: 'x' });
    await new Promise((resolve) => setTimeout(resolve, 250));
    caller.send('end');
    await caller.until('whole');
    assert.equal((await waiting).body.toString(), 'whole');
    const [endpoint] = one.cluster.list();
    assert.equal(endpoint?.available, true);
    assert.equal((await httpCall(one.port)).headers['x-outrigger-reason'], 'per_try_timeout');
  });

  it('timeout.total ends the call, attempts and waits included', async () => {
    const slow = await server(() => undefined);
    const { port } = await plane([slow.port], { timeout: { totalMs: 80 } });
    const answer = await httpCall(port);
    assert.deepEqual([answer.status, answer.headers['x-outrigger-reason']], [504, 'total_timeout']);
    const busy = await server(says(503, 'no'));
    const waiting = await plane([busy.port], {
      timeout: { totalMs: 80 },
      attempts: { retryOn: ['503'], maxAttempts: 3, backoff: { initialMs: 5000, maxMs: 5000 } },
    });
    assert.equal((await httpCall(waiting.port)).status, 503, 'no wait that would outlast the call');
  });

  it('timeout.total is evidence against an endpoint that had the whole request and was silent', async () => {
    const slow = await server(() => undefined);
    const one = await plane([slow.port], {
      timeout: { totalMs: 50 },
      checks: { active: undefined, passive: { ...DEFAULT_PASSIVE, timeouts: 2 } },
    });
    for (let i = 0; i < 2; i++) assert.equal((await httpCall(one.port)).status, 504);
    const [endpoint] = one.cluster.list();
    assert.match(endpoint?.cause ?? '', /total_timeout/);
  });

  it('a wait for our own max_connections says nothing of an endpoint', async () => {
    const slow = await server((socket) => void setTimeout(() => says(200, 'late')(socket), 300));
    const good = await server(says(200, 'yes'));
    const one = await plane([slow.port, good.port], {
      balancer: { type: 'roundrobin' },
      circuitBreakers: { maxConnections: 1 },
      timeout: { connectMs: 100 },
      attempts: { maxAttempts: 1 },
      checks: { active: undefined, passive: { ...DEFAULT_PASSIVE, timeouts: 1, tcpFailures: 1 } },
    });
    const answers = await Promise.all(Array.from({ length: 4 }, () => httpCall(one.port)));
    const reasons = answers
      .map(({ headers }) => headers['x-outrigger-reason'])
      .filter((reason) => reason !== undefined);
    assert.ok(reasons.length > 0 && reasons.every((reason) => reason === 'overflow'), reasons.join());
    for (const endpoint of one.cluster.list()) assert.equal(endpoint.available, true);
    for (const { status, headers } of answers)
      if (status !== 200) assert.equal(headers['x-apisix-upstream-status'], undefined);
  });

  it('timeout.idle ends a silent stream, and not one that speaks', async () => {
    const stream = await scene.endpoint((call) => {
      head(call, ANSWER_HEAD);
      let sent = 0;
      const timer = setInterval(() => {
        call.send(message('tick'));
        if (++sent === 8) clearInterval(timer);
      }, 30);
    });
    const one = await scene.plane([stream], { timeout: { idleMs: 120 } });
    const call = (await scene.caller(one)).call(callFields(), message('ask'));
    await call.over();
    assert.equal(one.records[0]?.error, 'idle_timeout');
    assert.ok((one.records[0]?.durationMs ?? 0) >= 300, 'eight ticks and then the silence');
  });

  it('a gRPC stream is cut by no default', async () => {
    const quiet = await scene.endpoint((call) => head(call, ANSWER_HEAD));
    const one = await scene.plane([quiet], { timeout: { readMs: 50, readIsSet: false } });
    const caller = await scene.caller(one);
    const call = caller.call(callFields(), message('ask'));
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(one.records.length, 0);
    call.reset(8);
  });
});
