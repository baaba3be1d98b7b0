// The demo's configuration, as a user would write it: the `foo` service of the ApisixUpstream document, http on one port
// and grpc on another, with health checks, and one EndpointSlice for each backend.
import type { Backend } from './backends.ts';

/** YAML of the ApisixUpstream and its Service. */
export function fooYaml(httpPort: number, grpcPort: number): string {
  return `apiVersion: apisix.apache.org/v2
kind: ApisixUpstream
metadata:
  name: foo
spec:
  loadbalancer:
    type: roundrobin
  portLevelSettings:
  - port: ${httpPort}
    scheme: http
    healthCheck:
      active:
        type: http
        httpPath: /healthz
        healthy: {interval: 1s, successes: 2}
        unhealthy: {interval: 1s, tcpFailures: 2}
  - port: ${grpcPort}
    scheme: grpc
    healthCheck:
      active:
        type: tcp
        healthy: {interval: 1s, successes: 2}
        unhealthy: {interval: 1s, tcpFailures: 2}
---
apiVersion: v1
kind: Service
metadata:
  name: foo
spec:
  selector:
    app: foo
  ports:
  - name: http
    port: ${httpPort}
    targetPort: ${httpPort}
  - name: grpc
    port: ${grpcPort}
    targetPort: ${grpcPort}
`;
}

/** YAML of the EndpointSlices. */
export function slicesYaml(backends: readonly Backend[]): string {
  return backends
    .map(
      ({ name, kind, port }) => `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: foo-${name}
  labels:
    kubernetes.io/service-name: foo
addressType: IPv4
ports:
- name: ${kind}
  port: ${port}
endpoints:
- addresses: ["127.0.0.1"]
`,
    )
    .join('---\n');
}
