// The admin port: gRPC and HTTP on one. The first bytes of a connection tell: those of the HTTP/2 preface go to grpc-js,
// the rest to node:http. A connection that says nothing is closed after HEAD_TIMEOUT_MS. What answers is imported with
// the first connection that asks for it: together it is a third of what a start would have to read.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Socket } from 'node:net';
import type { Cancel, Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { nodeHttp } from '../base/node-builtins.ts';
import { bindServer } from './bind-server.ts';
import type { GrpcSide } from './grpc-side.ts';
import type { HttpHandler } from './http-pages.ts';
import type { SidecarView } from './views.ts';

/** Connections at a time; one more is closed at once. */
const MAX_CONNECTIONS = 1000;
/** For the first bytes and for the head of an HTTP request. */
const HEAD_TIMEOUT_MS = 10_000;
/** A reader that takes nothing of an HTTP answer for this long is cut. */
const IDLE_TIMEOUT_MS = 60_000;
/** RFC 9113 section 3.4; an HTTP/1 request differs within the first four bytes. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** What an admin port is made of. */
export interface AdminServerOptions {
  /** IP address to bind. Only loopback keeps others out: there is no authentication. */
  readonly address: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly view: SidecarView;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** The admin port. */
export interface AdminServer {
  /** Binds; rejects with Node's error when the port can't be bound. */
  start(): Promise<{ address: string; port: number }>;
  /** Ends watches, lets calls finish for at most `graceMs`, and closes. Harmless when called twice. */
  stop(graceMs: number): Promise<void>;
}

/** Makes an admin port; nothing happens before start(). */
export function createAdminServer(options: AdminServerOptions): AdminServer {
  const { address, port, view, logger, clock } = options;
  let grpc: GrpcSide | undefined;
  // Connections that come meanwhile wait for the same import; one that failed, for want of descriptors, is tried again.
  let loadingGrpc: Promise<void> | undefined;
  async function takeHttp2(socket: Socket): Promise<void> {
    try {
      await (loadingGrpc ??= import('./grpc-side.ts').then(({ createGrpcSide }) => {
        grpc = createGrpcSide(view);
      }));
    } catch (error) {
      loadingGrpc = undefined;
      logger.log('error', { err: error }, "the admin port can't serve gRPC");
    }
    if (grpc === undefined || stopping !== undefined) socket.destroy();
    else if (!socket.destroyed) grpc.take(socket);
  }

  let boundAddress = '';
  let loadingPages: Promise<HttpHandler> | undefined;
  async function takeHttp1(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const handle = await (loadingPages ??= import('./http-pages.ts').then(({ createHttpPages }) =>
        createHttpPages(view, boundAddress, logger),
      ));
      handle(request, response);
    } catch (error) {
      loadingPages = undefined;
      logger.log('error', { err: error }, "the admin port can't serve pages");
      response.destroy();
    }
  }

  // Connections that haven't asked for anything yet, with what stops their timer.
  const waiting = new Map<Socket, Cancel>();
  const asked = (socket: Socket): void => {
    waiting.get(socket)?.();
    waiting.delete(socket);
  };
  const http = nodeHttp().createServer({ maxHeaderSize: 16 * 1024 }, (request, response) => {
    asked(request.socket);
    void takeHttp1(request, response);
  });
  // One request a connection, so that one timer bounds its head; on loopback a new connection costs little.
  http.maxRequestsPerSocket = 1;
  http.timeout = IDLE_TIMEOUT_MS;
  http.on('clientError', (_error, socket) => socket.destroy());

  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => {
      sockets.delete(socket);
      asked(socket);
    });
    socket.on('error', () => socket.destroy());
    waiting.set(
      socket,
      clock.after(HEAD_TIMEOUT_MS, () => socket.destroy()),
    );
    sniff(socket, (isHttp2) => {
      if (!isHttp2) {
        http.emit('connection', socket);
        return;
      }
      asked(socket);
      void takeHttp2(socket);
    });
  });
  server.maxConnections = MAX_CONNECTIONS;

  let stopping: Promise<void> | undefined;
  async function stop(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of waiting.keys()) socket.destroy();
    grpc?.goAway();
    const cancel = clock.after(graceMs, () => {
      for (const socket of sockets) socket.destroy();
    });
    await closed;
    cancel();
    grpc?.destroy();
  }

  return {
    async start() {
      const bound = await bindServer(server, address, port, 'admin', logger);
      boundAddress = bound.address;
      return bound;
    },
    stop: (graceMs) => (stopping ??= stop(graceMs)),
  };
}

/** Reads until it is clear whether the peer speaks HTTP/2, and puts the bytes back. Not called for one that leaves before. */
function sniff(socket: Socket, decide: (isHttp2: boolean) => void): void {
  let seen = Buffer.alloc(0);
  const onReadable = (): void => {
    const bytes: unknown = socket.read();
    if (!(bytes instanceof Buffer)) return;
    seen = Buffer.concat([seen, bytes]);
    const length = Math.min(seen.length, PREFACE.length);
    const isPreface = seen.compare(PREFACE, 0, length, 0, length) === 0;
    if (isPreface && length < PREFACE.length) return;
    socket.off('readable', onReadable);
    socket.off('end', onEnd);
    socket.unshift(seen);
    decide(isPreface);
  };
  const onEnd = (): void => void socket.destroy();
  socket.on('readable', onReadable);
  socket.on('end', onEnd);
}
