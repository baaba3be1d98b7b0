// A client of the admin service made from its .proto by proto-loader: shares no code with src/.
import {
  credentials,
  loadPackageDefinition,
  type Client,
  type GrpcObject,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

export interface AdminClient {
  getSnapshot(request: object): Promise<{
    nodeId: string;
    snapshot: string;
    resources: {
      kind: string;
      name: string;
      version: string;
      state: string;
      error: string;
      refusedVersion: string;
    }[];
    listeners: { name: string; address: string; error: string }[];
    control: { address: string; state: string; source: string };
  }>;
  listEndpoints(request: object): Promise<{
    endpoints: {
      upstream: string;
      servicePort: number;
      address: string;
      port: number;
      state: string;
      cause: string;
      weight: number;
      usable: boolean;
      attempts: string;
    }[];
  }>;
  close(): void;
}

/** Connects to the admin port of loopback. */
export function adminClient(port: number): AdminClient {
  const definition = loadSync('outrigger/admin/v1/admin.proto', {
    includeDirs: ['proto'],
    defaults: true,
    enums: String,
    longs: String,
  });
  const v1 = ((loadPackageDefinition(definition)['outrigger'] as GrpcObject)['admin'] as GrpcObject)[
    'v1'
  ] as GrpcObject;
  const client = new (v1['AdminService'] as ServiceClientConstructor)(
    `127.0.0.1:${port}`,
    credentials.createInsecure(),
  ) as Client & Record<string, (request: object, done: (error: Error | null, response: never) => void) => void>;
  const call = (method: string) => (request: object) =>
    new Promise<never>((resolve, reject) => {
      client[method]?.(request, (error, response) => (error ? reject(error) : resolve(response)));
    });
  return { getSnapshot: call('getSnapshot'), listEndpoints: call('listEndpoints'), close: () => client.close() };
}
