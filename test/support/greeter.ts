// A gRPC service over grpc-js and proto-loader, independent of src/: outrigger.demo.v1.GreeterService from its .proto.
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
