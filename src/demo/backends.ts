// The demo's backends: HTTP servers and gRPC servers that can go away as a Pod does in a rollout (no new connections, end
// what is in flight, GOAWAY) and come back on the same port.
import { createServer, type RequestListener, type Server as HttpServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import {
  loadPackageDefinition,
  Server as GrpcServer,
  ServerCredentials,
  type GrpcObject,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader';
import { DESCRIPTOR_SET_BASE64 } from '../gen/descriptors.ts';
import type { DemoIdentity } from './identity.ts';

/** A backend that can be planted a fault. */
export interface Backend {
  readonly name: string;
  readonly kind: 'http' | 'grpc';
  /** The same for its whole life. */
  readonly port: number;
  /** Stops accepting, lets calls in flight finish, closes its connections. */
  leave(): Promise<void>;
  /** Serves again on its port. */
  comeBack(): Promise<void>;
}

/** Starts an HTTP backend on a free port of loopback; with an identity over mTLS. */
export async function startHttpBackend(name: string, identity?: DemoIdentity): Promise<Backend> {
  let server: HttpServer;
  const answer: RequestListener = (request, response) => {
    request.resume();
    const healthy = request.url === '/healthz';
    response.writeHead(200, { 'content-type': 'text/plain', 'x-backend': name });
    response.end(healthy ? 'ok\n' : `hello from ${name}\n`);
  };
  const serve = async (port: number): Promise<number> => {
    server = identity ? createSecureServer(mutualTls(identity), answer) : createServer(answer);
    server.keepAliveTimeout = 75_000;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    const bound = server.address();
    if (bound === null || typeof bound === 'string') throw new Error('no address');
    return bound.port;
  };
  const port = await serve(0);
  return {
    name,
    kind: 'http',
    port,
    leave: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
    comeBack: async () => {
      await serve(port);
    },
  };
}

function mutualTls({ certificate, key, ca }: DemoIdentity) {
  return { cert: certificate, key, ca, requestCert: true, rejectUnauthorized: true };
}

interface Greeting {
  readonly name?: string;
  readonly to?: number;
  readonly text?: string;
  readonly word?: string;
}

/** Service constructor of outrigger.demo.v1.GreeterService, loaded at run time from the descriptor set. */
export function greeterService(): ServiceClientConstructor {
  const definition = loadFileDescriptorSetFromBuffer(Buffer.from(DESCRIPTOR_SET_BASE64, 'base64'), { defaults: true });
  let found: GrpcObject = loadPackageDefinition(definition);
  for (const part of ['outrigger', 'demo', 'v1']) found = found[part] as GrpcObject;
  return found['GreeterService'] as ServiceClientConstructor;
}

/** Starts a gRPC backend on a free port of loopback; with an identity over mTLS. */
export async function startGrpcBackend(name: string, identity?: DemoIdentity): Promise<Backend> {
  const credentials = identity
    ? ServerCredentials.createSsl(
        Buffer.from(identity.ca),
        [{ cert_chain: Buffer.from(identity.certificate), private_key: Buffer.from(identity.key) }],
        true,
      )
    : ServerCredentials.createInsecure();
  const { service } = greeterService();
  let server: GrpcServer;
  const serve = async (port: number): Promise<number> => {
    server = new GrpcServer();
    server.addService(service, {
      greet: (call: ServerUnaryCall<Greeting, object>, done: sendUnaryData<object>) =>
        done(null, { message: `hello ${call.request.name ?? ''}`.trim(), backend: name }),
      count: (call: ServerWritableStream<Greeting, object>) => {
        for (let number = 1; number <= Math.min(call.request.to ?? 0, 1000); number++) {
          call.write({ number, backend: name });
        }
        call.end();
      },
      join: (call: ServerReadableStream<Greeting, object>, done: sendUnaryData<object>) => {
        const words: string[] = [];
        call.on('data', ({ word }: Greeting) => {
          if (words.length < 1000) words.push(word ?? '');
        });
        call.on('end', () => done(null, { line: words.join(' '), backend: name }));
      },
      chat: (call: ServerDuplexStream<Greeting, object>) => {
        call.on('data', (message: Greeting) => call.write({ text: message.text ?? '', backend: name }));
        call.on('end', () => call.end());
      },
    });
    return await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${port}`, credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
    });
  };
  const port = await serve(0);
  return {
    name,
    kind: 'grpc',
    port,
    leave: () =>
      new Promise<void>((resolve) => {
        server.tryShutdown(() => resolve());
      }),
    comeBack: async () => {
      await serve(port);
    },
  };
}
