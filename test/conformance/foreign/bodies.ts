// Large bodies through the sidecar, with Node's own clients and servers at both ends: the bytes are the same, and memory
// doesn't follow them.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as http from 'node:http';
import * as http2 from 'node:http2';
import * as https from 'node:https';
import { connect, type AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { listenTo, withSidecar, withTls } from './sidecar.ts';
import type { Bench, Figure, Findings, Suite } from './suite.ts';

const MIB = 1 << 20;
const WARM_UP = 64 * MIB;
/** Resident memory that a large body may add to that after the warm-up. */
const MOST_MIB = 32;
const BLOCK = Buffer.alloc(MIB, Buffer.from(Array.from({ length: 251 }, (_, i) => i)));
const WINDOW = MIB;
const STALLED = 100;
const STALLED_MS = 5_000;
const SAMPLE_MS = 50;

export const bodiesSuite: Suite = {
  name: 'bodies',
  summary: '1 GiB each way, hashes and memory; readers that stop',

  missing: () => (process.platform === 'linux' ? undefined : 'memory is read from /proc'),

  run: async (bench) => {
    const servers = await startServers();
    try {
      return await run(bench, bench.quick ? 256 * MIB : 1024 * MIB, servers);
    } finally {
      for (const { close } of servers) close();
    }
  },
};

type Method = 'GET' | 'POST';
type Call = (port: number, method: Method, bytes: number, secure: boolean) => Promise<string>;

async function run(bench: Bench, large: number, [h1, h2]: readonly BodyServer[]): Promise<Findings> {
  const flags = [
    ...listenTo(h1!.port, 'http'),
    ...listenTo(h2!.port, 'grpc'),
    ...listenTo(h1!.port, 'http', ...withTls(bench)),
    ...listenTo(h2!.port, 'grpc', ...withTls(bench)),
  ];
  return withSidecar(bench, flags, async ({ ports, pid }) => {
    const [to1 = 0, to2 = 0, secure1 = 0, secure2 = 0] = ports;
    const warm = hashOf(WARM_UP);
    const whole = hashOf(large);
    const figures: Figure[] = [];
    const failures: string[] = [];
    const rows: [string, Call, number, boolean][] = [
      ['HTTP/1.1 → HTTP/1.1', callHttp1, to1, false],
      ['HTTP/2 → HTTP/2', callHttp2, to2, false],
      ['HTTP/1.1 → HTTP/2', callHttp1, to2, false],
      ['HTTP/2 → HTTP/1.1', callHttp2, to1, false],
      ['HTTP/1.1 over TLS → HTTP/1.1', callHttp1, secure1, true],
      ['HTTP/2 over TLS → HTTP/2', callHttp2, secure2, true],
    ];
    for (const [name, call, port, secure] of rows) {
      for (const method of ['GET', 'POST'] as const) {
        bench.progress(`${name}, ${method}`);
        const first = await call(port, method, WARM_UP, secure);
        await sleep(200);
        const memory = watchMemory(pid);
        const second = await call(port, method, large, secure);
        const grownMiB = memory.stop();
        const same = first === warm && second === whole;
        if (!same) failures.push(`${name}, ${method}: the hashes differ`);
        figures.push(memoryFigure(`${name}, ${method}`, grownMiB, same));
      }
    }
    for (const [name, stall, call, port] of [
      ['HTTP/1.1', stallHttp1, callHttp1, to1],
      ['HTTP/2', stallHttp2, callHttp2, to2],
    ] as const) {
      bench.progress(`${STALLED} readers that stop, ${name}`);
      const memory = watchMemory(pid);
      const release = stall(port, large);
      await sleep(STALLED_MS);
      const served = (await call(port, 'GET', MIB, false)) === hashOf(MIB);
      figures.push(memoryFigure(`${STALLED} readers that stop, ${name}`, memory.stop(), served));
      release();
      await sleep(500);
    }
    return {
      tools: [`node:http and node:http2 ${process.versions.node}`],
      figures,
      failures,
      notes: [
        `Bodies of ${large / MIB} MiB after one of ${WARM_UP / MIB}; "held" means at most ${MOST_MIB} MiB of resident memory ` +
          'above that after the first, and equal hashes (another caller served, where readers stop).',
      ],
    };
  });
}

/** The figure itself differs from run to run: what is held is told, and by how much it isn't. */
function memoryFigure(name: string, grownMiB: number, same: boolean): Figure {
  const met = same && grownMiB <= MOST_MIB;
  const value = met ? 'held' : `${same ? '' : 'wrong bytes, '}+${grownMiB.toFixed(1)} MiB`;
  return { name, value, expected: 'held', met };
}

function* blocks(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= MIB) yield left >= MIB ? BLOCK : BLOCK.subarray(0, left);
}

const hashes = new Map<number, string>();

function hashOf(bytes: number): string {
  let hash = hashes.get(bytes);
  if (hash === undefined) {
    const sum = createHash('sha256');
    for (const block of blocks(bytes)) sum.update(block);
    hashes.set(bytes, (hash = sum.digest('hex')));
  }
  return hash;
}

function bodyOf(bytes: number): Readable {
  return Readable.from(blocks(bytes), { objectMode: false, highWaterMark: 64 * 1024 });
}

function watchMemory(pid: number): { stop(): number } {
  const resident = (): number => (Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]) * 4096) / MIB;
  const before = resident();
  let peak = before;
  const timer = setInterval(() => (peak = Math.max(peak, resident())), SAMPLE_MS);
  return {
    stop: () => {
      clearInterval(timer);
      return Math.max(peak, resident()) - before;
    },
  };
}

// --- the ends

interface BodyServer {
  readonly port: number;
  close(): void;
}

/** GET /N: a body of N bytes. POST: the hash of what came. */
function answer(
  request: http.IncomingMessage | http2.Http2ServerRequest,
  response: http.ServerResponse | http2.Http2ServerResponse,
): void {
  if (request.method === 'GET') {
    const bytes = Number((request.url ?? '').slice(1));
    response.setHeader('content-length', bytes);
    pipeline(bodyOf(bytes), response as NodeJS.WritableStream).catch(() => undefined);
    return;
  }
  const sum = createHash('sha256');
  request.on('data', (chunk: Buffer) => sum.update(chunk));
  request.on('error', () => undefined);
  request.on('end', () => void response.end(sum.digest('hex')));
}

async function startServers(): Promise<readonly [BodyServer, BodyServer]> {
  const first = http.createServer(answer);
  // Its own bound on memory would refuse the streams of readers that stop.
  const second = http2.createServer({ maxSessionMemory: 2_000, settings: { initialWindowSize: WINDOW } }, answer);
  const sessions = new Set<http2.ServerHttp2Session>();
  second.on('session', (session) => {
    sessions.add(session);
    session.setLocalWindowSize(4 * WINDOW);
    session.on('close', () => sessions.delete(session)).on('error', () => undefined);
  });
  for (const server of [first, second]) await new Promise<void>((up) => server.listen(0, '127.0.0.1', up));
  return [
    {
      port: (first.address() as AddressInfo).port,
      close: () => {
        first.close();
        first.closeAllConnections();
      },
    },
    {
      port: (second.address() as AddressInfo).port,
      close: () => {
        second.close();
        for (const session of sessions) session.destroy();
      },
    },
  ];
}

/** The hash of the body that came, or that the server says came. */
function callHttp1(port: number, method: Method, bytes: number, secure: boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = method === 'POST' ? { 'content-length': bytes } : {};
    const options = { host: '127.0.0.1', port, method, path: `/${bytes}`, headers, rejectUnauthorized: false };
    const request = (secure ? https : http).request(options, (response) => {
      receive(response, method).then(resolve, reject);
    });
    request.on('error', reject);
    if (method === 'POST') pipeline(bodyOf(bytes), request).catch(reject);
    else request.end();
  });
}

async function callHttp2(port: number, method: Method, bytes: number, secure: boolean): Promise<string> {
  const session = openSession(port, secure);
  try {
    const headers = {
      ':method': method,
      ':path': `/${bytes}`,
      ...(method === 'POST' ? { 'content-length': bytes } : {}),
    };
    const stream = session.request(headers, { endStream: method === 'GET' });
    const sent = method === 'POST' ? pipeline(bodyOf(bytes), stream) : undefined;
    const [hash] = await Promise.all([receive(stream, method), sent]);
    return hash;
  } finally {
    session.close();
  }
}

function openSession(port: number, secure: boolean): http2.ClientHttp2Session {
  const session = http2.connect(`${secure ? 'https' : 'http'}://127.0.0.1:${port}`, {
    settings: { initialWindowSize: WINDOW },
    rejectUnauthorized: false,
  });
  session.on('connect', () => session.setLocalWindowSize(4 * WINDOW));
  session.on('error', () => undefined);
  return session;
}

function receive(body: Readable, method: Method): Promise<string> {
  return new Promise((resolve, reject) => {
    const sum = createHash('sha256');
    let text = '';
    body.on('data', (chunk: Buffer) => {
      if (method === 'GET') sum.update(chunk);
      else text += chunk.toString('latin1');
    });
    body.on('end', () => resolve(method === 'GET' ? sum.digest('hex') : text));
    body.on('error', reject);
  });
}

function stallHttp1(port: number, bytes: number): () => void {
  const sockets = Array.from({ length: STALLED }, () => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(`GET /${bytes} HTTP/1.1\r\nHost: a\r\n\r\n`);
    return socket.pause();
  });
  return () => sockets.forEach((socket) => void socket.destroy());
}

function stallHttp2(port: number, bytes: number): () => void {
  const sessions = Array.from({ length: 10 }, () => openSession(port, false));
  for (let i = 0; i < STALLED; i++) {
    const stream = sessions[i % sessions.length]!.request({ ':path': `/${bytes}` });
    stream.on('error', () => undefined).on('response', () => undefined);
    stream.pause();
  }
  return () => sessions.forEach((session) => session.destroy());
}
