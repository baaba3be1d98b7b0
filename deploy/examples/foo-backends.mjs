// The two backends that deploy/examples/foo names: HTTP on 17000 and 27000, gRPC over h2c on 17001 and 27001. An HTTP
// answer tells which backend gave it; a call of any method is answered with one empty message and the status OK.
import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';

/** gRPC's prefix of a message: not compressed, zero bytes long. */
const EMPTY_MESSAGE = Buffer.alloc(5);

for (const [name, httpPort, grpcPort] of [
  ['foo-a', 17000, 17001],
  ['foo-b', 27000, 27001],
]) {
  createServer((request, response) => response.end(`${name} ${request.method} ${request.url}\n`)).listen(
    httpPort,
    '127.0.0.1',
  );
  createHttp2Server()
    .on('stream', (stream) => {
      stream.on('error', () => stream.close());
      stream.resume();
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'x-backend': name },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(EMPTY_MESSAGE);
    })
    .listen(grpcPort, '127.0.0.1');
}
process.on('SIGTERM', () => process.exit(0));
