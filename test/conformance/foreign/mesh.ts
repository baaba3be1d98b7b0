// The sidecar as it runs in a mesh: it knows nothing but a control plane, which reads a Service, its EndpointSlice and the
// ApisixUpstream that decorates it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { awaitReadyLine } from '../../bench/await-ready.ts';
import { PROGRAM, withSidecar } from './sidecar.ts';
import type { Sidecar } from './sidecar.ts';
import type { Bench } from './suite.ts';

const SERVICE_PORT = 7001;

/** Runs `use` against a sidecar that has one gRPC service, with this port of loopback as its endpoint, over ADS. */
export async function withMesh<T>(bench: Bench, endpoint: number, use: (sidecar: Sidecar) => Promise<T>): Promise<T> {
  const folder = join(bench.folder, 'mesh');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'app.yaml'), resources(endpoint));
  const flags = ['control', '--dir', folder, '--ads', '127.0.0.1:0', '--log-level', 'warn'];
  const control = await bench.children.start('others', process.execPath, [PROGRAM, ...flags]);
  try {
    const { ads } = (await awaitReadyLine(control, 'the control plane')) as { ads?: string };
    if (ads === undefined) throw new Error('the ready line of the control plane names no ads');
    return await withSidecar(bench, ['--control', ads, '--listener-ports', 'ephemeral'], use);
  } finally {
    await bench.children.stop(control);
  }
}

function resources(endpoint: number): string {
  return `apiVersion: apisix.apache.org/v2
kind: ApisixUpstream
metadata:
  name: interop
spec:
  portLevelSettings:
    - port: ${SERVICE_PORT}
      scheme: grpc
---
apiVersion: v1
kind: Service
metadata:
  name: interop
spec:
  selector:
    app: interop
  ports:
    - name: grpc
      port: ${SERVICE_PORT}
      targetPort: grpc
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: interop-a
  labels:
    kubernetes.io/service-name: interop
addressType: IPv4
ports:
  - name: grpc
    port: ${endpoint}
endpoints:
  - addresses: [127.0.0.1]
    conditions:
      ready: true
`;
}
