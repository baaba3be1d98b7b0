// The HTTP side of the admin port: small read-only pages for curl, browsers, probes and Prometheus. Everything that
// changes something is gRPC, which no web page can speak, so GET and HEAD are all there is.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '../base/log.ts';
import { createExposition, type Exposition } from '../telemetry/prometheus.ts';
import { healthcheckPage } from './healthcheck-json.ts';
import { refuseHost } from './host-allow-list.ts';
import { probe } from './probe.ts';
import type { SidecarView } from './views.ts';

/** Handles one HTTP request. */
export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** Pieces of a body are written together from this size on; then the event loop turns. */
const CHUNK = 64 * 1024;

/** The pages. `boundAddress` is the address of the port, as bound. */
export function createHttpPages(view: SidecarView, boundAddress: string, logger: Logger): HttpHandler {
  let exposition: Promise<Exposition> | undefined;

  async function metrics(): Promise<{ contentType: string; text: string }> {
    exposition ??= createExposition(view);
    exposition.catch(() => {
      exposition = undefined; // prom-client couldn't be imported; the next scrape tries again
    });
    const { contentType, render } = await exposition;
    return { contentType, text: await render() };
  }

  return (request, response) => {
    answer(request, response).catch((error: unknown) => {
      logger.log('error', { err: error, path: request.url }, 'admin page failed');
      if (response.headersSent) response.destroy();
      else sendText(request, response, 500, 'internal error\n');
    });
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refused = refuseHost(request.headers.host, boundAddress);
    if (refused) return sendText(request, response, refused.status, `${refused.reason}\n`);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      return sendText(request, response, 405, 'these pages are read with GET or HEAD; changes are made over gRPC\n');
    }
    const path = pathOf(request.url ?? '/');
    const probed = probe(path, view);
    if (probed) return sendText(request, response, probed.status, probed.text);
    if (path === '/') return sendText(request, response, 200, INDEX);
    if (path === '/metrics') {
      const { contentType, text } = await metrics();
      return send(request, response, 200, contentType, [text]);
    }
    if (path === '/v1/healthcheck' || path.startsWith('/v1/healthcheck/')) {
      const page = healthcheckPage(view, path.slice('/v1/healthcheck'.length), prefersHtml(request.headers.accept));
      return send(request, response, page.status, page.contentType, page.body);
    }
    sendText(request, response, 404, 'no such page; / lists them\n');
  }
}

const INDEX = `Outrigger sidecar

GET /ready                              200 when it takes work, else 503 and the reason
GET /live                               200 while it can work at all
GET /metrics                            Prometheus metrics
GET /v1/healthcheck                     health of checked endpoints (JSON; HTML for browsers)
GET /v1/healthcheck/upstreams/NS/SVC[/PORT]   of one upstream; also under routes, services and stream_routes

gRPC on this same port, with reflection:
  grpcurl -plaintext HOST:PORT list
  grpcurl -plaintext HOST:PORT outrigger.admin.v1.AdminService/GetSnapshot
  grpcurl -plaintext HOST:PORT outrigger.admin.v1.AdminService/WatchEndpoints
`;

/** The path of a request target, which may be an absolute URI. */
function pathOf(target: string): string {
  const path = target.replace(/^https?:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, '');
  return path === '' ? '/' : path;
}

function prefersHtml(accept: string | undefined): boolean {
  return accept !== undefined && /(^|[\s,])text\/html($|[\s,;])/i.test(accept);
}

function sendText(request: IncomingMessage, response: ServerResponse, status: number, text: string): void {
  writeHead(response, status, 'text/plain; charset=utf-8');
  response.setHeader('content-length', Buffer.byteLength(text));
  response.end(request.method === 'HEAD' ? undefined : text);
}

async function send(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  contentType: string,
  body: Iterable<string>,
): Promise<void> {
  writeHead(response, status, contentType);
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  let chunk = '';
  for (const piece of body) {
    chunk += piece;
    if (chunk.length < CHUNK) continue;
    await written(response, chunk);
    if (response.destroyed) return;
    chunk = '';
  }
  response.end(chunk);
}

/** Resolves in a later turn, when the reader has taken what was written or is gone. */
function written(response: ServerResponse, chunk: string): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      response.off('drain', go);
      response.off('close', go);
      resolve();
    };
    if (response.write(chunk)) return void setImmediate(resolve);
    response.on('drain', go);
    response.on('close', go);
  });
}

function writeHead(response: ServerResponse, status: number, contentType: string): void {
  response.statusCode = status;
  response.setHeader('content-type', contentType);
  response.setHeader('cache-control', 'no-store');
  response.setHeader('x-content-type-options', 'nosniff');
}
