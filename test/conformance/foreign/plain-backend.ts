import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import type { ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';

/** A server of this program. */
export interface Backend {
  readonly port: number;
  close(): void;
}

const KIBIBYTE = Buffer.alloc(1024, 'x');
const LARGE = Buffer.alloc(1024 * 1024, 'y');

function bodyOf(path: string | undefined): Buffer {
  return path === '/large' ? LARGE : KIBIBYTE;
}

/** HTTP/2 without TLS: 200 with 1 KiB, or 1 MiB at /large, once the request is read. */
export async function startHttp2Backend(): Promise<Backend> {
  const sessions = new Set<ServerHttp2Session>();
  const server = createHttp2Server((request, response) => {
    request.resume().on('end', () => {
      response.writeHead(200, { 'content-type': 'text/plain' });
      response.end(bodyOf(request.url));
    });
  });
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session)).on('error', () => undefined);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      for (const session of sessions) session.destroy();
    },
  };
}

/** The same over HTTP/1.1. */
export async function startHttp1Backend(): Promise<Backend> {
  const server = createHttpServer((request, response) => {
    request.resume().on('end', () => {
      response.writeHead(200, { 'content-type': 'text/plain' });
      response.end(bodyOf(request.url));
    });
  });
  server.keepAliveTimeout = 75_000;
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
