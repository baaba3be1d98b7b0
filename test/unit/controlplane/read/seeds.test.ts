// The examples of the ApisixUpstream document as printed, mistakes included: each loads, each mistake is a warning that
// names the fix, and the corrected text has no warning.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ActiveHealthy, Timeout, type Upstream } from '../../../../src/gen/outrigger/config/v1/upstream.ts';
import { readObjects } from '../../../../src/controlplane/read/objects.ts';
import type { ApisixUpstreamObject, ServiceObject } from '../../../../src/controlplane/source.ts';

const HEAD = 'apiVersion: ApisixUpstream\nmetadata:\n  name: httpbin\n';
const CORRECT_HEAD = 'apiVersion: apisix.apache.org/v1\nkind: ApisixUpstream\nmetadata:\n  name: httpbin\n';

const HEALTH_CHECK = `spec:
  healthCheck:
    passive:
      unhealthy:
        httpCodes:
          - 500
          - 502
          - 503
          - 504
        httpFailures: 3
        timeout: 5s
    active:
      type: http
      httpPath: /healthz
      timeout: 5s
      host:
      healthy:
        successes: 3
        interval: 2s
        httpCodes:
          - 200
          - 206
`;

const PORT_LEVEL = `spec:
  loadbalancer:
    type: roundrobin
  portLevelSettings:
  - port: 7000
    scheme: http
  - port: 7001
    scheme: grpc
---
apiVersion: v1
kind: Service
metadata:
  name: httpbin
spec:
  selector:
    app: foo
  portLevelSettings:
  - name: http
    port: 7000
    targetPort: 7000
  - name: grpc
    port: 7001
    targetPort: 7001
`;

function read(text: string): { upstream: Upstream; service: ServiceObject | undefined; warnings: string[] } {
  const content = readObjects(text, 'seed.yaml');
  assert.deepEqual(
    content.findings.filter((finding) => finding.severity === 'error'),
    [],
  );
  const upstream = content.objects.find((object): object is ApisixUpstreamObject => object.kind === 'ApisixUpstream');
  const service = content.objects.find((object): object is ServiceObject => object.kind === 'Service');
  assert.ok(upstream);
  const warnings = content.findings
    .filter((finding) => finding.severity === 'warning')
    .map(({ line, column, path, fix }) => `${line}:${column} ${path}: ${fix ?? ''}`);
  return { upstream: upstream.upstream, service, warnings };
}

/** The missing kind is the one mistake that all of them share. */
const KIND_WARNING = '1:1 apiVersion: write `apiVersion: apisix.apache.org/v2` and `kind: ApisixUpstream`';

test('ewma', () => {
  const spec = 'spec:\n  loadbalancer:\n    type: ewma\n';
  const { upstream, warnings } = read(HEAD + spec);
  assert.equal(upstream.name, 'default/httpbin');
  assert.equal(upstream.type, 'ewma');
  assert.deepEqual(warnings, [KIND_WARNING]);
  assert.deepEqual(read(CORRECT_HEAD + spec).warnings, []);
});

test('chash on a header', () => {
  const spec = 'spec:\n  loadbalancer:\n    type: chash\n    hashOn: header\n    key: "user-agent"\n';
  const { upstream, warnings } = read(HEAD + spec);
  assert.deepEqual([upstream.type, upstream.hashOn, upstream.key], ['chash', 'header', 'user-agent']);
  assert.deepEqual(warnings, [KIND_WARNING]);
  assert.deepEqual(read(CORRECT_HEAD + spec).warnings, []);
});

test('health check: the empty host is left out, the passive timeout is a count', () => {
  const { upstream, warnings } = read(HEAD + HEALTH_CHECK);
  const { active, passive } = upstream.checks ?? {};
  assert.equal(active?.type, 'http');
  assert.equal(active?.httpPath, '/healthz');
  assert.equal(active?.timeout, 5);
  assert.equal(active?.host, undefined);
  assert.ok(active?.healthy);
  assert.deepEqual(ActiveHealthy.toJSON(active.healthy), { interval: 2, httpStatuses: [200, 206], successes: 3 });
  assert.equal(active?.unhealthy, undefined);
  assert.deepEqual(passive?.unhealthy?.httpStatuses, [500, 502, 503, 504]);
  assert.equal(passive?.unhealthy?.httpFailures, 3);
  assert.equal(passive?.unhealthy?.timeouts, 5);
  assert.equal(passive?.unhealthy?.tcpFailures, undefined);
  assert.deepEqual(warnings, [
    KIND_WARNING,
    '14:18 spec.healthCheck.passive.unhealthy.timeout: write 5',
    '18:16 spec.healthCheck.active.timeout: write 5000000000 (nanoseconds), which both read alike, or 5',
    '19:7 spec.healthCheck.active.host: give it a value or remove it',
  ]);
  const corrected = HEALTH_CHECK.replace('        timeout: 5s', '        timeout: 5')
    .replace('      timeout: 5s', '      timeout: 5000000000')
    .replace('      host:\n', '      host: www.foo.com\n');
  const right = read(CORRECT_HEAD + corrected);
  assert.deepEqual(right.warnings, []);
  assert.equal(right.upstream.checks?.active?.timeout, 5);
  assert.equal(right.upstream.checks?.passive?.unhealthy?.timeouts, 5);
});

test('retries: 3 is at most three requests', () => {
  const { upstream, warnings } = read(`${HEAD}spec:\n  retries: 3\n`);
  assert.equal(upstream.maxAttempts, 3);
  assert.equal(upstream.retries, undefined);
  assert.deepEqual(warnings, [KIND_WARNING]);
});

test('timeouts', () => {
  const { upstream, warnings } = read(`${HEAD}spec:\n  timeout:\n    connect: 5s\n    read: 10s\n    send: 10s\n`);
  assert.ok(upstream.timeout);
  assert.deepEqual(Timeout.toJSON(upstream.timeout), { connect: 5, send: 10, read: 10 });
  assert.deepEqual(warnings, [KIND_WARNING]);
});

test("port level settings: a Service's portLevelSettings are its ports", () => {
  const { upstream, service, warnings } = read(HEAD + PORT_LEVEL);
  assert.equal(upstream.type, 'roundrobin');
  const settings = upstream.portLevelSettings.map(({ port, scheme, type, maxAttempts }) => [
    port,
    scheme,
    type,
    maxAttempts,
  ]);
  assert.deepEqual(settings, [
    [7000, 'http', undefined, undefined],
    [7001, 'grpc', undefined, undefined],
  ]);
  assert.deepEqual(
    service?.ports.map(({ name, port, targetPort }) => [name, port, targetPort]),
    [
      ['http', 7000, 7000],
      ['grpc', 7001, 7001],
    ],
  );
  assert.deepEqual(warnings, [KIND_WARNING, '20:3 spec.portLevelSettings: write `ports`']);
  const corrected = PORT_LEVEL.replace(/portLevelSettings:\n {2}- name/, 'ports:\n  - name');
  assert.deepEqual(read(CORRECT_HEAD + corrected).warnings, []);
});
