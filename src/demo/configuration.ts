// The demo's configuration, as a user would write it: the `foo` service of the ApisixUpstream document, http on one port
// and grpc on another, with health checks, and one EndpointSlice for each backend.
import type { Backend } from './backends.ts';
import type { DemoIdentity } from './identity.ts';

/** YAML of the ApisixUpstream and its Service; `secure`: its endpoints are called over mTLS. */
export function fooYaml(httpPort: number, grpcPort: number, secure: boolean): string {
  const suffix = secure ? 's' : '';
  return `apiVersion: apisix.apache.org/v2
kind: ApisixUpstream
metadata:
  name: foo${secure ? '\n  annotations: {outrigger.config/tls-ca-secret: default/demo}' : ''}
spec:
  loadbalancer:
    type: roundrobin${secure ? '\n  tlsSecret: {name: demo, namespace: default}\n  passHost: node' : ''}
  portLevelSettings:
  - port: ${httpPort}
    scheme: http${suffix}
    healthCheck:
      active:
        type: http
        httpPath: /healthz
        healthy: {interval: 1s, successes: 2}
        unhealthy: {interval: 1s, tcpFailures: 2}
  - port: ${grpcPort}
    scheme: grpc${suffix}
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

/** YAML of the Secret with the identity, and of the listeners that show it and require one. */
export function identityYaml(identity: DemoIdentity, ports: readonly number[]): string {
  const indent = (pem: string): string => pem.trim().replaceAll('\n', '\n    ');
  const secret = `apiVersion: v1
kind: Secret
metadata:
  name: demo
type: kubernetes.io/tls
stringData:
  tls.crt: |
    ${indent(identity.certificate)}
  tls.key: |
    ${indent(identity.key)}
  ca.crt: |
    ${indent(identity.ca)}
`;
  const listeners = ports.map(
    (port) => `apiVersion: outrigger.config/v1
kind: Listener
metadata:
  name: outbound/${port}
spec:
  port: ${port}
  targets: [{upstream: default/foo, service_port: ${port}}]
  tls:
    certificates: [{secret: default/demo}]
    client_certificate: required
    client_ca: {secret: default/demo}
`,
  );
  return [secret, ...listeners].join('---\n');
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
