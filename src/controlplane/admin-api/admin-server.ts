// HTTP of the Admin API: who may ask, how long and how large a request may be, and the log.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { AdminApi } from './admin-api.ts';
import type { AdminRequest } from './admin-request.ts';
import { type Answer, refusal } from './answer.ts';
import { keyMatcher } from './api-key.ts';

/** Largest body. */
const MAX_BODY_BYTES = 10 * 1024 * 1024;
/** A head takes this long at most, and head and body together. */
const HEAD_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;
const IDLE_TIMEOUT_MS = 15_000;
const MAX_CONNECTIONS = 1024;
/** Requests that go on after a stop are cut after this. */
const STOP_GRACE_MS = 5_000;

const TOO_LARGE = refusal(413, `the body is larger than ${MAX_BODY_BYTES} bytes`);

/** What the server needs. */
export interface AdminServerOptions {
  /** Address to bind; without brackets. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** What `X-API-KEY` must hold. */
  readonly key: string;
  readonly api: AdminApi;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Serves the Admin API. */
export class AdminServer {
  private readonly options: AdminServerOptions;
  private readonly isKey: (shown: string) => boolean;
  private readonly server: Server;
  private stopping = false;

  constructor(options: AdminServerOptions) {
    this.options = options;
    this.isKey = keyMatcher(options.key);
    this.server = createServer({
      headersTimeout: HEAD_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: IDLE_TIMEOUT_MS,
    });
    this.server.maxConnections = MAX_CONNECTIONS;
    const handle = (request: IncomingMessage, response: ServerResponse): void => void this.handle(request, response);
    this.server.on('request', handle);
    this.server.on('checkContinue', (request, response) => {
      // Who asks first is told before it sends what wouldn't be read.
      if (this.refusalOf(request) === undefined) response.writeContinue();
      else response.shouldKeepAlive = false;
      handle(request, response);
    });
  }

  /** Binds; resolves with `host:port`. Rejects where the port can't be had, with the fix. */
  start(): Promise<string> {
    const { host, port, logger } = this.options;
    const shown = host.includes(':') ? `[${host}]` : host;
    return new Promise((resolve, reject) => {
      const onError = (error: Error): void => {
        const fix = 'free it or choose another with --admin-api';
        reject(new Error(`can't bind the Admin API address ${shown}:${port}: ${error.message}; ${fix}`));
      };
      this.server.once('error', onError);
      this.server.listen({ host, port }, () => {
        this.server.off('error', onError);
        this.server.on('error', (error) => logger.log('error', { error: String(error) }, 'the Admin API failed'));
        const address = this.server.address();
        resolve(`${shown}:${typeof address === 'object' && address !== null ? address.port : port}`);
      });
    });
  }

  /** Accepts nothing more, lets requests end, and resolves once all connections have ended. */
  async stop(): Promise<void> {
    this.stopping = true;
    if (!this.server.listening) return;
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeIdleConnections();
    const cancel = this.options.clock.after(STOP_GRACE_MS, () => this.server.closeAllConnections());
    await closed;
    cancel();
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { logger } = this.options;
    const method = request.method ?? '';
    // The query may hold anything, a key that somebody put there included.
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    let answer: Answer;
    try {
      answer = this.refusalOf(request) ?? (await this.answer(request, method, path));
    } catch (error) {
      if (request.destroyed && !request.complete) return;
      logger.log('error', { method, path, error: (error as Error).stack }, 'an Admin API call failed');
      answer = refusal(500, 'internal error of the control plane; its log has more');
    }
    // What is left of a body is read and dropped, so that the answer isn't lost to a reset.
    request.resume();
    const { status } = answer;
    const warnings = warningsOf(answer);
    if (warnings !== undefined) logger.log('warn', { method, path, status, warnings }, 'Admin API call with warnings');
    else logger.log('info', { method, path, status }, 'Admin API call');
    this.send(response, answer);
  }

  /** What is refused before the body is read. */
  private refusalOf(request: IncomingMessage): Answer | undefined {
    const shown = request.headersDistinct['x-api-key'] ?? [];
    if (shown.length === 0) {
      const inQuery = request.url?.includes('api_key=') === true ? ', not in the query' : '';
      const description = `missing apikey: send it in the field X-API-KEY${inQuery}`;
      return refusal(401, 'failed to check token', { description });
    }
    if (!shown.every((key) => this.isKey(key))) {
      const description =
        shown.length === 1 ? 'wrong apikey' : `wrong apikey: X-API-KEY is there ${shown.length} times`;
      return refusal(401, 'failed to check token', { description });
    }
    return Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES ? TOO_LARGE : undefined;
  }

  private async answer(request: IncomingMessage, method: string, path: string): Promise<Answer> {
    const read = await readAll(request);
    if (read === undefined) return TOO_LARGE;
    const segments = decodeSegments(path);
    if (segments === undefined) return refusal(400, 'the path has an escape that is not UTF-8');
    const query = new URLSearchParams((request.url ?? '').slice(path.length + 1));
    const asked: AdminRequest = { method, segments, query, headers: request.headers, body: read };
    return this.options.api.answer(asked);
  }

  private send(response: ServerResponse, { status, body, headers }: Answer): void {
    const text = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    response.writeHead(status, {
      ...(text === undefined ? {} : { 'content-type': 'application/json' }),
      ...(status === 304 ? {} : { 'content-length': text?.length ?? 0 }),
      'x-api-version': 'v3',
      'cache-control': 'no-store',
      ...(this.stopping ? { connection: 'close' } : {}),
      ...headers,
    });
    response.end(text);
  }
}

/** The body; undefined: it is too large. Rejects where the request breaks off. */
async function readAll(request: IncomingMessage): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
      else {
        chunks.length = 0;
        resolve(undefined);
      }
    });
    request.on('end', () => resolve(Buffer.concat(chunks)));
    request.on('close', () => reject(new Error('the request broke off')));
    request.on('error', reject);
  });
}

function decodeSegments(path: string): string[] | undefined {
  try {
    return path.split('/').slice(1).map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

function warningsOf({ body }: Answer): unknown {
  return typeof body === 'object' && body !== null && 'warnings' in body ? body.warnings : undefined;
}
