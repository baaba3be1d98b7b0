// Rows of HTTP/1 that are about order and time: H1-113 to H1-115 and H1-125 to H1-135, on the whole data plane.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { rawCaller } from '../support/raw-caller.ts';
import { RawScene } from '../support/raw-scene.ts';
import { startRawServer } from '../support/raw-server.ts';
import { until } from '../support/tls-peer.ts';

const scene = new RawScene();
const { closers } = scene;
after(() => scene.close());

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

interface Endpoint {
  readonly port: number;
  /** All that came, by connection. */
  readonly seen: string[];
  readonly sockets: Socket[];
}

/** An endpoint that hands what came on a connection so far to `onBytes`. */
async function endpoint(onBytes: (socket: Socket, text: string, connection: number) => void): Promise<Endpoint> {
  const seen: string[] = [];
  const sockets: Socket[] = [];
  const server = await startRawServer((socket, connection) => {
    sockets.push(socket);
    seen.push('');
    socket.on('data', (chunk: Buffer) => {
      seen[connection] += chunk.toString('latin1');
      onBytes(socket, seen[connection]!, connection);
    });
  });
  closers.push(() => server.close());
  return { port: server.port, seen, sockets };
}

/** Answers each request without a body with its path. */
function answerPaths(): (socket: Socket, text: string, connection: number) => void {
  const answered: number[] = [];
  return (socket, text, connection) => {
    const paths = [...text.matchAll(/(?:GET|HEAD) (\S+) HTTP\/1\.1\r\n(?:[^\r]+\r\n)+\r\n/g)].map(
      ([, path = '']) => path,
    );
    for (const path of paths.slice(answered[connection] ?? 0)) {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`);
    }
    answered[connection] = paths.length;
  };
}

describe('an answer that comes before the request is complete', () => {
  it('H1-113 is passed on at once, both connections end, and the next call is clean', async () => {
    const paths = answerPaths();
    const back = await endpoint((socket, text, connection) => {
      if (!text.startsWith('POST')) paths(socket, text, connection);
      else if (text.length > 1024 && socket.bytesWritten === 0) {
        socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig');
      }
    });
    const { port, records } = await scene.plane([back.port]);
    const caller = await scene.call(port, 'POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n');
    const block = Buffer.alloc(64 * 1024, 'x');
    let sent = 0;
    caller.socket.on('error', () => undefined);
    const pump = (): void => {
      while (sent < 10_000_000 && !caller.socket.destroyed) {
        sent += block.length;
        if (!caller.socket.write(block)) return void caller.socket.once('drain', pump);
      }
    };
    pump();
    await caller.until('\r\n\r\nbig');
    assert.match(caller.text, /^HTTP\/1\.1 413 [^]*\r\nConnection: close\r\n/);
    await caller.ended();
    await until(() => records.length === 1, 'the record');
    assert.deepEqual([records[0]?.status, records[0]?.error], [413, undefined]);
    assert.ok((records[0]?.bytesReceived ?? 0) < 5_000_000, 'reading stops');
    const next = await scene.call(port, get('/next'));
    await next.until('/next');
    assert.equal(back.seen.length, 2, 'the connection is not used again');
    next.close();
  });

  it('H1-114, H1-115 of ours ends the connection, and no byte of the body is ever a request', async () => {
    const back = await endpoint(answerPaths());
    const { port, records } = await scene.plane([back.port]);
    const smuggled = get('/evil');
    // The path is refused by the session, the upgrade of a gRPC call by the proxy: two places that answer early.
    for (const head of [
      'POST /a#b HTTP/1.1\r\nHost: a\r\n',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\n',
    ]) {
      const caller = await scene.call(port, `${head}Content-Length: 200\r\n\r\n${smuggled}`);
      assert.equal(await caller.ended(), true);
      assert.match(caller.text, /^HTTP\/1\.1 (?:400|200) [^]*\r\nConnection: close\r\n/i);
      assert.equal(caller.text.match(/HTTP\/1\.1/g)?.length, 1);
    }
    const whole = await scene.call(
      port,
      `POST /a#b HTTP/1.1\r\nHost: a\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}${get('/two')}`,
    );
    assert.equal(await whole.ended(), true);
    assert.equal(whole.text.match(/HTTP\/1\.1/g)?.length, 1);
    assert.deepEqual(back.seen, []);
    assert.ok(records.every(({ head }) => head.path !== '/evil'));
  });

  it('H1-115 a complete one keeps the connection and its order', async () => {
    const back = await endpoint(answerPaths());
    const { port } = await scene.plane([back.port]);
    const body = get('/evil');
    const caller = await scene.call(
      port,
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nContent-Length: ${body.length}\r\n\r\n${body}${get('/two')}`,
    );
    await caller.until('/two');
    assert.doesNotMatch(caller.text, /evil/);
    assert.doesNotMatch(back.seen.join(), /evil/);
    caller.close();
  });
});

describe('time', () => {
  it('H1-125 a body that stops coming ends in 408, whatever its framing; one that drips goes through', async () => {
    const back = await endpoint((socket, text) => {
      if (text.endsWith('\r\n0\r\n\r\n')) socket.write(OK);
    });
    const { port, records } = await scene.plane([back.port], {}, undefined, { limits: { requestIdleMs: 1000 } });
    for (const framing of [
      'Content-Length: 10\r\n\r\nabc',
      'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
      'Content-Length: 10\r\n\r\n',
    ]) {
      const caller = await scene.call(port, `POST / HTTP/1.1\r\nHost: a\r\n${framing}`);
      assert.equal(await caller.ended(), true);
      assert.match(caller.text, /^HTTP\/1\.1 408 [^]*x-outrigger-reason: request_timeout/i);
    }
    assert.deepEqual(
      records.map(({ error }) => error),
      ['request_timeout', 'request_timeout', 'request_timeout'],
    );
    assert.ok(records.every(({ attempts }) => attempts[0]?.error === 'request_timeout'));
    const slow = await scene.call(port, 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
    for (let i = 0; i < 16; i++) {
      await new Promise((resolve) => setTimeout(resolve, 80));
      slow.send('1\r\nx\r\n');
    }
    slow.send('0\r\n\r\n');
    await slow.until('\r\n\r\nok');
    slow.close();
  });

  it('H1-126 a caller that reads nothing is cut, and the endpoint was held back', async () => {
    let written = 0;
    const back = await endpoint((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n');
      const block = Buffer.alloc(64 * 1024);
      const pump = (): void => {
        while (written < 100_000_000 && !socket.destroyed) {
          written += block.length;
          if (!socket.write(block)) return void socket.once('drain', pump);
        }
      };
      pump();
    });
    const { port, records } = await scene.plane([back.port], {}, undefined, { limits: { flushMs: 300 } });
    const caller = await scene.call(port, get('/'));
    await caller.until('HTTP/1.1 200');
    caller.socket.pause();
    await until(() => records.length === 1, 'the record');
    assert.equal(records[0]?.error, 'flush_timeout');
    assert.ok(written < 30_000_000, `${written} bytes were taken from the endpoint`);
    caller.socket.resume();
    await caller.ended();
    assert.ok(caller.bytes < 100_000_000);
  });

  it('H1-127 a connection without a byte, and one between requests, is closed in time', async () => {
    const back = await endpoint(answerPaths());
    const { port } = await scene.plane([back.port], {}, undefined, {
      limits: { firstRequestMs: 150, idleMs: 150, headTimeMs: 150 },
    });
    const silent = await scene.call(port, '');
    assert.equal(await silent.ended(), true);
    assert.equal(silent.text, '');
    const idle = await scene.call(port, get('/one'));
    assert.equal(await idle.ended(), true);
    assert.ok(idle.text.endsWith('/one'));
    for (const piece of ['G', 'GET / HTTP/1.1\r\nHost: a\r\nX: y', `${get('/one')}GET /tw`]) {
      const slow = await scene.call(port, piece);
      assert.equal(await slow.ended(), true);
      assert.match(slow.text, /HTTP\/1\.1 408 /, piece);
    }
  });
});

describe('callers that leave', () => {
  it('H1-129 in the middle of the request: the endpoint sees no end of it', async () => {
    for (const how of ['end', 'reset'] as const) {
      const back = await endpoint(() => undefined);
      const { port, records } = await scene.plane([back.port]);
      const caller = await scene.call(
        port,
        'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
      );
      await until(() => back.seen[0]?.endsWith('abc\r\n') ?? false, 'the body');
      const gone = new Promise((resolve) => back.sockets[0]!.once('close', resolve));
      back.sockets[0]!.once('end', () => back.sockets[0]!.end());
      if (how === 'end') caller.socket.end();
      else caller.socket.resetAndDestroy();
      await gone;
      await until(() => records.length === 1, 'the record');
      assert.equal(records[0]?.error, 'downstream_reset');
      assert.doesNotMatch(back.seen[0]!, /\r\n0\r\n/);
    }
  });

  it('H1-129 while waiting: a reset cancels at once', async () => {
    const back = await endpoint(() => undefined);
    const { port, records, cluster } = await scene.plane([back.port]);
    const caller = await scene.call(port, get('/'));
    await until(() => back.seen.length === 1 && back.seen[0] !== '', 'the request');
    back.sockets[0]!.once('end', () => back.sockets[0]!.end());
    const gone = new Promise((resolve) => back.sockets[0]!.once('close', resolve));
    caller.socket.resetAndDestroy();
    await gone;
    await until(() => records.length === 1, 'the record');
    assert.deepEqual([records[0]?.error, cluster.inFlight], ['downstream_reset', 0]);
  });

  it('H1-130 with their half only: the answer comes all the same', async () => {
    const back = await endpoint((socket) => void setTimeout(() => socket.write(OK), 50));
    const { port } = await scene.plane([back.port]);
    const caller = await scene.call(port, get('/'));
    caller.socket.end();
    await caller.until('\r\n\r\nok');
    assert.equal(await caller.ended(), true);
  });
});

describe('pipelining', () => {
  it('H1-107 fifty requests in one write are answered in order', async () => {
    const back = await endpoint(answerPaths());
    const { port } = await scene.plane([back.port]);
    const paths = Array.from({ length: 50 }, (_, i) => `/number-${i}.`);
    const caller = await scene.call(port, paths.map(get).join(''));
    await caller.until(paths[49]!);
    assert.deepEqual(caller.text.match(/\/number-\d+\./g), paths);
    caller.close();
  });

  it('one who doesn’t read the answers gets no more of them made than fit, and all once it reads', async () => {
    const body = 'x'.repeat(32 * 1024);
    let asked = 0;
    const counted: number[] = [];
    const back = await endpoint((socket, text, connection) => {
      const requests = text.match(/GET /g)?.length ?? 0;
      const fresh = requests - (counted[connection] ?? 0);
      counted[connection] = requests;
      for (let i = 0; i < fresh; i++, asked++)
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    });
    const { port, records } = await scene.plane([back.port]);
    const caller = await rawCaller(port);
    closers.push(() => caller.close());
    caller.socket.pause();
    // 60 KiB of requests: 38 MiB of answers, where the kernel takes some five.
    caller.send(get('/').repeat(1200));
    let before = -1;
    while (asked !== before) {
      before = asked;
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    assert.ok(asked < 400, `${asked} answers were made`);
    caller.socket.resume();
    await until(() => records.length === 1200, 'all answers');
    await until(() => caller.bytes > 1200 * body.length, 'all bytes');
    caller.close();
    const strict = await scene.plane([back.port], {}, undefined, { limits: { flushMs: 200 } });
    const stuck = await rawCaller(strict.port);
    closers.push(() => stuck.close());
    stuck.socket.pause();
    stuck.send(get('/').repeat(1200));
    await until(() => strict.refusals.length > 0, 'the cut');
    assert.equal(strict.refusals[0]?.[0], 'flush_timeout');
    stuck.socket.resume();
    await stuck.ended();
    assert.ok(strict.records.length < 400);
  });
});

describe('H1-104, H1-108 expectations', () => {
  it('one 100 before the answer, none where the body came with the head or the answer is there', async () => {
    const back = await endpoint((socket, text) => {
      if (text.endsWith('hello')) socket.write(OK);
    });
    const { port } = await scene.plane([back.port]);
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n';
    const waits = await scene.call(port, head);
    await waits.until('HTTP/1.1 100 Continue\r\n\r\n');
    waits.send('hello');
    await waits.until('\r\n\r\nok');
    assert.equal(waits.text.match(/HTTP\/1\.1 100/g)?.length, 1);
    assert.doesNotMatch(back.seen[0]!, /expect/i);
    const together = await scene.call(port, `${head}hello`);
    await together.until('\r\n\r\nok');
    assert.doesNotMatch(together.text, /100 Continue/);
    waits.close();
    together.close();
  });
});

describe('H1-135 a request that comes back', () => {
  it('is stopped after a few turns', async () => {
    const { port, records, update } = await scene.plane([1]);
    await update([port]);
    const caller = await scene.call(port, get('/'));
    await caller.until('loop_detected');
    assert.match(caller.text, /^HTTP\/1\.1 508 /);
    assert.ok(records.length <= 10);
    caller.close();
  });
});
