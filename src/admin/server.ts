// The admin port: gRPC and HTTP on one. The first bytes of a connection tell: those of the HTTP/2 preface go to grpc-js,
// the rest to node:http. A connection that says nothing is closed after HEAD_TIMEOUT_MS.
import { Server as GrpcServer, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Socket } from 'node:net';
import type { Cancel, Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { HealthService } from '../gen/grpc/health/v1/health.ts';
import { ServerReflectionService } from '../gen/grpc/reflection/v1/reflection.ts';
import { ServerReflectionService as ServerReflectionAlphaService } from '../gen/grpc/reflection/v1alpha/reflection.ts';
import { AdminServiceService } from '../gen/outrigger/admin/v1/admin.ts';
import { bindServer } from './bind-server.ts';
import { createAdminService } from './admin-service.ts';
import { createHealthService } from './health-service.ts';
import { createHttpPages, type HttpHandler } from './http-pages.ts';
import { createReflection } from '../rpc/reflection.ts';
import type { SidecarView } from './views.ts';

/** Full names of the gRPC services of the admin port. */
export const ADMIN_SERVICES: readonly string[] = [
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
  'outrigger.admin.v1.AdminService',
];

/** Connections at a time; one more is closed at once. */
const MAX_CONNECTIONS = 1000;
/** For the first bytes and for the head of an HTTP request. */
const HEAD_TIMEOUT_MS = 10_000;
/** A reader that takes nothing of an HTTP answer for this long is cut. */
const IDLE_TIMEOUT_MS = 60_000;
/** Largest request message; none of ours comes near. */
const MAX_REQUEST_BYTES = 64 * 1024;
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
  const grpc = new GrpcServer({
    'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
    'grpc.max_concurrent_streams': 100,
    'grpc.enable_channelz': 0,
  });
  const admin = createAdminService(view);
  const health = createHealthService(view);
  const reflection: UntypedServiceImplementation = { serverReflectionInfo: createReflection(ADMIN_SERVICES) };
  grpc.addService(AdminServiceService, admin.service);
  grpc.addService(HealthService, health.service);
  grpc.addService(ServerReflectionService, reflection);
  grpc.addService(ServerReflectionAlphaService, reflection);
  const injector = grpc.createConnectionInjector(ServerCredentials.createInsecure());

  let pages: HttpHandler | undefined;
  // Connections that haven't asked for anything yet, with what stops their timer.
  const waiting = new Map<Socket, Cancel>();
  const asked = (socket: Socket): void => {
    waiting.get(socket)?.();
    waiting.delete(socket);
  };
  const http = createHttpServer({ maxHeaderSize: 16 * 1024 }, (request, response) => {
    asked(request.socket);
    pages?.(request, response);
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
      injector.injectConnection(socket);
    });
  });
  server.maxConnections = MAX_CONNECTIONS;

  let stopping: Promise<void> | undefined;
  async function stop(graceMs: number): Promise<void> {
    admin.streams.stop();
    health.streams.stop();
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of waiting.keys()) socket.destroy();
    // GOAWAY; a session ends with its last call.
    injector.destroy();
    const cancel = clock.after(graceMs, () => {
      for (const socket of sockets) socket.destroy();
    });
    await closed;
    cancel();
    grpc.forceShutdown();
  }

  return {
    async start() {
      const bound = await bindServer(server, address, port, 'admin', logger);
      pages = createHttpPages(view, bound.address, logger);
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
