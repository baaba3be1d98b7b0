// The process behind the peer node-http: PROTOCOL PORT BACKEND_PORT.
import { Agent, createServer, request } from 'node:http';
import { connect, createServer as createHttp2Server } from 'node:http2';
import type { IncomingHttpHeaders } from 'node:http2';

const [protocol, port, backendPort] = process.argv.slice(2);

if (protocol === 'grpc') proxyHttp2();
else proxyHttp1();

function proxyHttp1(): void {
  const agent = new Agent({ keepAlive: true, maxFreeSockets: 1024 });
  createServer({ noDelay: true }, (incoming, outgoing) => {
    const headers = { ...incoming.headers, 'x-forwarded-for': incoming.socket.remoteAddress ?? '' };
    const options = {
      host: '127.0.0.1',
      port: backendPort,
      method: incoming.method,
      path: incoming.url,
      headers,
      agent,
    };
    const upstream = request(options, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    upstream.on('error', () => outgoing.writeHead(502).end());
    incoming.pipe(upstream);
  }).listen(Number(port), '127.0.0.1');
}

function proxyHttp2(): void {
  const session = connect(`http://127.0.0.1:${backendPort}`);
  createHttp2Server({ settings: { maxConcurrentStreams: 1024 } })
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
