// A Service with an HTTP and a gRPC port in a folder that `control --dir` watches, with one EndpointSlice for each Pod. All
// Pods share loopback, so each has ports of its own.
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Service ports. */
export const SERVICE_PORTS = { http: 7000, grpc: 7001 } as const;

const SERVICE = `apiVersion: apisix.apache.org/v2
kind: ApisixUpstream
metadata: {name: app}
spec:
  portLevelSettings: [{port: ${SERVICE_PORTS.http}, scheme: http}, {port: ${SERVICE_PORTS.grpc}, scheme: grpc}]
---
apiVersion: v1
kind: Service
metadata: {name: app}
spec:
  ports: [{name: http, port: ${SERVICE_PORTS.http}}, {name: grpc, port: ${SERVICE_PORTS.grpc}}]
`;

const CONDITIONS = {
  ready: '{ready: true, serving: true, terminating: false}',
  terminating: '{ready: false, serving: true, terminating: true}',
} as const;

/** Writes whole files only: a reader never sees half of one. */
export class ServiceFolder {
  /** The folder to watch. */
  readonly watched: string;
  private readonly drafts: string;

  /** `directory` exists and is empty. */
  constructor(directory: string) {
    this.watched = join(directory, 'watched');
    this.drafts = join(directory, 'drafts');
  }

  /** Makes the folder, with the Service. */
  async create(): Promise<void> {
    await mkdir(this.watched);
    await mkdir(this.drafts);
    await this.put('service', SERVICE);
  }

  /** The slice of a Pod, as Kubernetes writes it when the Pod becomes ready, and when it is told to end. */
  async putPod(
    name: string,
    ports: { readonly http: number; readonly grpc: number },
    condition: keyof typeof CONDITIONS,
  ): Promise<void> {
    await this.put(
      name,
      `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}, labels: {kubernetes.io/service-name: app}}
addressType: IPv4
ports: [{name: http, port: ${ports.http}}, {name: grpc, port: ${ports.grpc}}]
endpoints: [{addresses: ["127.0.0.1"], conditions: ${CONDITIONS[condition]}}]
`,
    );
  }

  /** The Pod is gone. */
  async removePod(name: string): Promise<void> {
    await rm(join(this.watched, `${name}.yaml`));
  }

  private async put(name: string, text: string): Promise<void> {
    const draft = join(this.drafts, name);
    await writeFile(draft, text);
    await rename(draft, join(this.watched, `${name}.yaml`));
  }
}
