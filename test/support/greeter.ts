// A gRPC service over grpc-js and proto-loader, independent of src/: outrigger.demo.v1.GreeterService from its .proto.
import assert from 'node:assert/strict';
import {
  credentials,
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ChannelCredentials,
  type ChannelOptions,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientWritableStream,
  type GrpcObject,
  type Metadata,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceClientConstructor,
  type ServiceError,
  type UntypedServiceImplementation,
  type Client,
  type ClientUnaryCall,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

export interface GreeterClient extends Client {
  greet(
    request: { name: string },
    metadata: Metadata,
    options: { deadline?: number },
    done: (error: ServiceError | null, response?: { message: string; backend: string }) => void,
  ): ClientUnaryCall;
  count(request: { to: number }): ClientReadableStream<{ number: number }>;
  join(done: (error: ServiceError | null, response?: { line: string }) => void): ClientWritableStream<{ word: string }>;
  chat(): ClientDuplexStream<{ text: string }, { text: string }>;
}

const definition = loadSync('outrigger/demo/v1/demo.proto', { includeDirs: ['proto'], defaults: true });
const greeter = (
  ((loadPackageDefinition(definition)['outrigger'] as GrpcObject)['demo'] as GrpcObject)['v1'] as GrpcObject
)['GreeterService'] as ServiceClientConstructor;

/** Starts a server on a free port (or `port`); plaintext unless `serverCredentials` say otherwise. */
export async function startGreeter(
  implementation: UntypedServiceImplementation,
  port = 0,
  serverCredentials = ServerCredentials.createInsecure(),
): Promise<{ port: number; server: Server }> {
  const server = new Server();
  server.addService(greeter.service, implementation);
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, serverCredentials, (error, at) => (error ? reject(error) : resolve(at)));
  });
  return { port: bound, server };
}

/** A client without retries of its own. */
export function greeterClient(
  port: number,
  channelCredentials: ChannelCredentials = credentials.createInsecure(),
  options: ChannelOptions = {},
): GreeterClient {
  return new greeter(`127.0.0.1:${port}`, channelCredentials, {
    'grpc.enable_retries': 0,
    ...options,
  }) as unknown as GreeterClient;
}

/** A server's part in all four kinds of call. */
export const GREETER = {
  greet: ({ request }: ServerUnaryCall<{ name: string }, object>, done: sendUnaryData<object>) =>
    done(null, { message: `hello ${request.name}`, backend: 'b' }),
  count: (call: ServerWritableStream<{ to: number }, object>) => {
    for (let number = 1; number <= call.request.to; number++) call.write({ number });
    call.end();
  },
  join: (call: ServerReadableStream<{ word: string }, object>, done: sendUnaryData<object>) => {
    const words: string[] = [];
    call.on('data', ({ word }: { word: string }) => words.push(word));
    call.on('end', () => done(null, { line: words.join(' ') }));
  },
  chat: (call: ServerDuplexStream<{ text: string }, object>) => {
    call.on('data', ({ text }: { text: string }) => call.write({ text }));
    call.on('end', () => call.end());
  },
};

/** Makes the three kinds of streaming call to {@link GREETER} and asserts what comes back. */
export async function assertStreams(client: GreeterClient): Promise<void> {
  const counted: number[] = [];
  for await (const { number } of client.count({ to: 50 })) counted.push(number);
  assert.equal(counted.length, 50);
  assert.equal(
    await new Promise((resolve, reject) => {
      const call = client.join((error, response) => (error ? reject(error) : resolve(response?.line)));
      for (const word of ['a', 'b', 'c']) call.write({ word });
      call.end();
    }),
    'a b c',
  );
  const chat = client.chat();
  const texts: string[] = [];
  for (const text of ['1', '2', '3']) chat.write({ text });
  chat.end();
  for await (const { text } of chat) texts.push(text);
  assert.deepEqual(texts, ['1', '2', '3']);
}
