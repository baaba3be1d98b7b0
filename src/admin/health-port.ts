// The health port, for supervisors that probe from outside the loopback: `/ready` and `/live`, and nothing else.
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { nodeHttp } from '../base/node-builtins.ts';
import { bindServer } from './bind-server.ts';
import { probe } from './probe.ts';
import type { SidecarView } from './views.ts';

/** Connections at a time; one more is closed at once. */
const MAX_CONNECTIONS = 256;

/** What a health port is made of. */
export interface HealthPortOptions {
  /** IP address to bind. */
  readonly address: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly view: Pick<SidecarView, 'ready' | 'live'>;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** The health port. */
export interface HealthPort {
  /** Binds; rejects with Node's error when the port can't be bound. */
  start(): Promise<{ address: string; port: number }>;
  /** Closes; an answer under way gets at most `graceMs`. Harmless when called twice. */
  stop(graceMs: number): Promise<void>;
}

/** Makes a health port; nothing happens before start(). */
export function createHealthPort({ address, port, view, logger, clock }: HealthPortOptions): HealthPort {
  const server = nodeHttp().createServer(
    { headersTimeout: 5000, requestTimeout: 10_000, keepAliveTimeout: 30_000, maxHeaderSize: 8 * 1024 },
    (request, response) => {
      const isRead = request.method === 'GET' || request.method === 'HEAD';
      const answer = probe((request.url ?? '/').replace(/\?.*$/s, ''), view);
      const text = answer ? (isRead ? answer.text : 'GET or HEAD\n') : 'no such page: /ready or /live\n';
      response.statusCode = answer ? (isRead ? answer.status : 405) : 404;
      if (answer && !isRead) response.setHeader('allow', 'GET, HEAD');
      response.setHeader('content-type', 'text/plain; charset=utf-8');
      response.setHeader('cache-control', 'no-store');
      response.setHeader('content-length', Buffer.byteLength(text));
      // A body is of no interest, and reading it isn't either.
      if (!isRead) response.setHeader('connection', 'close');
      response.end(request.method === 'HEAD' ? undefined : text);
    },
  );
  server.maxConnections = MAX_CONNECTIONS;

  let stopping: Promise<void> | undefined;
  function stop(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = clock.after(graceMs, () => server.closeAllConnections());
      server.close(() => {
        cancel();
        resolve();
      });
      server.closeIdleConnections();
    });
  }

  return {
    start: () => bindServer(server, address, port, 'health', logger),
    stop: (graceMs) => (stopping ??= stop(graceMs)),
  };
}
