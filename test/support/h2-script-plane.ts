// A data plane between scripted peers, and the upstreams that rows of the HTTP/2 catalogue need behind it.
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { startDataPlane, type TestDataPlane, type TestDataPlaneOptions, type TestPolicy } from './data-plane.ts';
import { data, headers, request, settings, valueOf } from './h2-peer.ts';
import { connectClient, startScriptUpstream, type ScriptUpstream } from './h2-script-peer.ts';
import { startRawServer } from './raw-server.ts';

const closers: (() => void)[] = [];

/** Closes everything that was started; for `after`. */
export function closeAll(): void {
  for (const close of closers.splice(0).reverse()) close();
}

/** Something that `closeAll` closes. */
export function closesLater<T extends { close(): void }>(thing: T): T {
  closers.push(() => thing.close());
  return thing;
}

/** A plaintext data plane in front of `ports`. */
export async function planeTo(
  ports: readonly number[],
  policy: TestPolicy = {},
  options: TestDataPlaneOptions = {},
): Promise<TestDataPlane> {
  return closesLater(await startDataPlane(ports, policy, undefined, options));
}

/** An HTTP/1 upstream. */
export interface Origin {
  readonly port: number;
  /** Paths asked for, in order. */
  readonly paths: string[];
  /** Answers that broke off because nobody took them. */
  readonly aborted: string[];
  /** Bytes of the bodies that came whole. */
  readonly bodies: number[];
}

/**
 * Starts one: `/bytes/N` is answered with N patterned bytes; anything else, once its body is there, with `ok`; `/early`
 * is answered before its body is there.
 */
export async function startOrigin(): Promise<Origin> {
  const paths: string[] = [];
  const aborted: string[] = [];
  const bodies: number[] = [];
  const server: Server = createServer({ keepAliveTimeout: 60_000 }, (incoming, response) => {
    const path = incoming.url ?? '';
    paths.push(path);
    let bytes = 0;
    incoming.on('error', () => undefined);
    response.on('close', () => {
      if (!response.writableFinished) aborted.push(path);
    });
    const [, kind, count] = path.split('/');
    if (kind === 'bytes') {
      response.writeHead(200, { 'content-length': count });
      incoming.resume();
      return sendPattern(response, Number(count));
    }
    incoming.on('data', (chunk: Buffer) => (bytes += chunk.length));
    if (kind === 'early') return void response.end('early');
    incoming.on('end', () => {
      bodies.push(bytes);
      response.end('ok');
    });
  });
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { port: (server.address() as AddressInfo).port, paths, aborted, bodies };
}

const PATTERN = Buffer.from(Array.from({ length: 65_521 }, (_, i) => (i * 31 + (i >> 8)) & 0xff));

/** The `count` bytes that an Origin answers with. */
export function pattern(count: number): Buffer {
  const all = Buffer.alloc(count);
  for (let at = 0; at < count; at += PATTERN.length) PATTERN.copy(all, at);
  return all;
}

function sendPattern(
  out: { write(chunk: Buffer): boolean; end(): void; once(event: 'drain', listener: () => void): void },
  count: number,
): void {
  let left = count;
  const go = (): void => {
    while (left > 0) {
      const part = PATTERN.subarray(0, Math.min(left, PATTERN.length));
      left -= part.length;
      if (!out.write(part)) return out.once('drain', go);
    }
    out.end();
  };
  go();
}

/** An HTTP/1 upstream that keeps every byte of each of its connections. */
export interface Recorder {
  readonly port: number;
  /** Bytes by connection, as latin1. */
  readonly connections: string[];
  /** Whole requests that it has answered. */
  readonly requests: string[];
  /** Resolves when connection `index` is gone. */
  gone(index: number): Promise<void>;
  close(): void;
}

/** Starts one: each whole message (content-length, chunked or neither) is answered with `ok`. */
export async function startRecorder(): Promise<Recorder> {
  const connections: string[] = [];
  const requests: string[] = [];
  const ends: Promise<void>[] = [];
  const server = await startRawServer((socket, index) => {
    connections[index] = '';
    let done = 0;
    ends[index] = new Promise((resolve) => socket.on('close', () => resolve()));
    socket.on('end', () => socket.end());
    socket.on('data', (bytes) => {
      connections[index] += bytes.toString('latin1');
      for (;;) {
        const rest = (connections[index] ?? '').slice(done);
        const length = wholeMessage(rest);
        if (length === 0) return;
        done += length;
        requests.push(rest.slice(0, length));
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      }
    });
  });
  return closesLater({
    port: server.port,
    connections,
    requests,
    gone: (index) => ends[index] ?? Promise.resolve(),
    close: () => server.close(),
  });
}

/** Length of the message that `text` begins with; 0 while it isn't whole. */
function wholeMessage(text: string): number {
  const head = text.indexOf('\r\n\r\n') + 4;
  if (head < 4) return 0;
  const fields = text.slice(0, head).toLowerCase();
  if (/\r\ntransfer-encoding: chunked\r\n/.test(fields)) {
    for (let at = head; ;) {
      const line = text.indexOf('\r\n', at);
      if (line < 0) return 0;
      const size = Number.parseInt(text.slice(at, line), 16);
      at = line + 2 + size + 2; // a last chunk is followed by an empty line; these requests have no trailers
      if (at > text.length) return 0;
      if (size === 0) return at;
    }
  }
  const length = Number(/\r\ncontent-length: (\d+)\r\n/.exec(fields)?.[1] ?? 0);
  return text.length >= head + length ? head + length : 0;
}

/** Starts an honest scripted HTTP/2 upstream: each complete request is answered with `ok`. `settings` are its own. */
export async function startHonest(
  pairs: readonly number[] = [],
): Promise<ScriptUpstream & { readonly ids: number[][] }> {
  const ids: number[][] = [];
  const upstream = await startScriptUpstream(
    (peer, index) => {
      const seen: number[] = [];
      ids[index] = seen;
      peer.send(settings(...pairs));
      peer.onFrame = ({ type, flags, id }) => {
        if (type === 'HEADERS') seen.push(id);
        if ((type === 'HEADERS' || type === 'DATA') && (flags & 1) !== 0) {
          peer.send(headers(id, [':status', '200'], false), data(id, 'ok', true));
        }
      };
    },
    { creditBytes: 16_384 },
  );
  return closesLater(Object.assign(upstream, { ids }));
}

/** A request on a new connection gets its own answer: the plane and its upstream are well. */
export async function canary(plane: TestDataPlane, fields: readonly string[] = []): Promise<void> {
  const client = await connectClient(plane.port);
  try {
    client.send(headers(1, request('/canary', fields)));
    const { status, body, reset } = await client.answer(1);
    assert.deepEqual([status, body.toString(), reset], ['200', 'ok', -1], 'the canary');
  } finally {
    client.close();
  }
}

export { valueOf };
