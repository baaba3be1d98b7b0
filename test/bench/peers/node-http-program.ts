// The process behind the peer node-http, the same version on both sides: VERSION PORT BACKEND_PORT [CERTIFICATE KEY].
import { readFileSync } from 'node:fs';
import { Agent, createServer, request } from 'node:http';
import type { RequestListener } from 'node:http';
import { connect, createSecureServer, createServer as createHttp2Server } from 'node:http2';
import type { IncomingHttpHeaders } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';

const [version, port, backendPort, certificate, key] = process.argv.slice(2);
const tls =
  certificate === undefined || key === undefined
    ? undefined
    : { cert: readFileSync(certificate), key: readFileSync(key), minVersion: 'TLSv1.3' as const };

if (version === 'h2') proxyHttp2();
else proxyHttp1();

function proxyHttp1(): void {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 1024 });
  const options = { noDelay: true, keepAliveTimeout: 600_000 };
  const proxy: RequestListener = (incoming, outgoing) => {
    const headers = { ...incoming.headers, 'x-forwarded-for': incoming.socket.remoteAddress ?? '' };
    const target = {
      host: '127.0.0.1',
      port: backendPort,
      method: incoming.method,
      path: incoming.url,
      headers,
      agent,
    };
    const upstream = request(target, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    upstream.on('error', () => outgoing.writeHead(502).end());
    incoming.pipe(upstream);
  };
  const server = tls ? createHttpsServer({ ...options, ...tls }, proxy) : createServer(options, proxy);
  server.listen(Number(port), '127.0.0.1');
}

function proxyHttp2(): void {
  const session = connect(`http://127.0.0.1:${backendPort}`);
  const settings = { maxConcurrentStreams: 1024 };
  const server = tls ? createSecureServer({ settings, ...tls }) : createHttp2Server({ settings });
  server
    .on('stream', (incoming, headers) => {
      const upstream = session.request({ ...headers, 'x-forwarded-for': '127.0.0.1' });
      let trailers: IncomingHttpHeaders = {};
      upstream.on('response', (answer) => {
        if (incoming.destroyed) return;
        incoming.respond(answer, { waitForTrailers: true });
        upstream.pipe(incoming);
      });
      upstream.on('trailers', (fields) => (trailers = fields));
      incoming.on('wantTrailers', () => incoming.sendTrailers(trailers));
      upstream.on('error', () => incoming.close());
      incoming.on('error', () => upstream.close());
      incoming.pipe(upstream);
    })
    .listen(Number(port), '127.0.0.1');
}
