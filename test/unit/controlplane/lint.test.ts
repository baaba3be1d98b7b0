import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { lint } from '../../../src/controlplane/lint.ts';

function directory(context: TestContext, files: Record<string, string>): string {
  const path = mkdtempSync(join(tmpdir(), 'outrigger-lint-'));
  context.after(() => rmSync(path, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  return path;
}

const SERVICE = 'apiVersion: v1\nkind: Service\nmetadata: {name: foo}\nspec: {ports: [{port: 80}]}\n';
const SLICE =
  'apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: foo-1, labels: {kubernetes.io/service-name: foo}}\nports: [{port: 8080}]\nendpoints: [{addresses: [10.0.0.1]}]\n';
const apisix = (spec: string): string =>
  `apiVersion: apisix.apache.org/v2\nkind: ApisixUpstream\nmetadata: {name: foo}\nspec: ${spec}\n`;

test('nothing to say', (context) => {
  const path = directory(context, { 'a.yaml': SERVICE, 'b.yaml': SLICE, 'c.yaml': apisix('{scheme: grpc}') });
  assert.deepEqual(lint(path), { findings: [], text: '3 files: 0 errors, 0 warnings, 0 notes\n', exitCode: 0 });
});

test('errors make the exit code 1', (context) => {
  const path = directory(context, { 'a.yaml': SERVICE, 'b.yaml': SLICE, 'c.yaml': apisix('{scheme: grcp}') });
  const { text, exitCode } = lint(path);
  assert.equal(exitCode, 1);
  assert.equal(
    text,
    `${path}/a.yaml:1:1: error: Service default/foo: has no policy, since its ApisixUpstream (${path}/c.yaml:1) is refused: ` +
      'sidecars that have one keep it, others answer its calls with no_endpoints; correct the ApisixUpstream\n' +
      `${path}/c.yaml:4:16: error: ApisixUpstream default/foo: spec.scheme: 'grcp' is not known (http, https, grpc, grpcs, tcp, tls, udp); did you mean 'grpc'?\n` +
      '3 files: 2 errors, 0 warnings, 0 notes\n',
  );
});

test('notes leave the exit code 0', (context) => {
  const spec = '{loadbalancer: {type: chash, key: remote_addr}, healthCheck: {active: {}}}';
  const path = directory(context, { 'a.yaml': SERVICE, 'b.yaml': SLICE, 'c.yaml': apisix(spec) });
  const { findings, exitCode } = lint(path);
  assert.equal(exitCode, 0);
  assert.deepEqual(
    findings.map(({ severity, path: field, message }) => [severity, field, message.slice(0, 24)]),
    [['note', 'spec.healthCheck.active', 'unhealthy is left out an']],
  );
});

test('one file, and a path that is not there', (context) => {
  const path = directory(context, { 'a.yaml': apisix('{}') });
  const { findings } = lint(join(path, 'a.yaml'));
  assert.equal(findings.length, 1);
  assert.match(findings[0]?.message ?? '', /no Service of this name/);
  assert.throws(() => lint(join(path, 'none')), /it does not exist/);
});

test('a Route or Service that names the Upstream of a Kubernetes Service needs a service_port', (context) => {
  const nameOnly = (name: string, externalName: string, ports: string): string =>
    `{apiVersion: v1, kind: Service, metadata: {name: ${name}}, spec: {type: ExternalName, externalName: ${externalName}, ports: [${ports}]}}\n`;
  const policy = (name: string, spec: string): string =>
    `{apiVersion: apisix.apache.org/v2, kind: ApisixUpstream, metadata: {name: ${name}}, spec: ${spec}}\n`;
  const native = (kind: string, name: string, spec: string): string =>
    `{apiVersion: outrigger.config/v1, kind: ${kind}, metadata: {name: ${name}}, spec: ${spec}}\n`;
  const path = directory(context, {
    'a.yaml': [
      SERVICE,
      SLICE,
      nameOnly('one', 'example.com', '{port: 80}'),
      nameOnly('two', 'example.com', '{name: a, port: 80}, {name: b, port: 81}'),
      nameOnly('ip', '10.0.0.1', '{port: 80}'),
      policy('out', '{externalNodes: [{type: Domain, name: example.com}]}'),
      policy('asked', '{discovery: {type: dns, serviceName: "example.com:80"}}'),
      native('Upstream', 'own', '{nodes: [{host: 10.0.0.1, port: 80}]}').replace(
        '{name: own}',
        '{namespace: "", name: own}',
      ),
    ].join('---\n'),
    'b.yaml': [
      ...['foo', 'one', 'two', 'ip', 'out', 'asked'].map((name) =>
        native('Route', `r-${name}`, `{uris: [/${name}], upstream_id: default/${name}}`),
      ),
      native('Route', 'r-own', '{uris: [/own], upstream_id: own}'),
      native('Route', 'good', '{uris: [/good], upstream_id: default/foo, service_port: 80}'),
      native('Service', 's', '{upstream_id: default/foo}'),
    ].join('---\n'),
  });
  const findings = lint(path).findings.filter(({ message }) => message.includes('service_port'));
  assert.deepEqual(
    findings.map(({ severity, object, path: field, fix }) => [severity, object, field, fix]),
    [
      ['warning', 'Route r-foo', 'spec.upstream_id', 'write service_port: 80'],
      ['warning', 'Route r-two', 'spec.upstream_id', 'write service_port: 80 or 81'],
      ['warning', 'Route r-ip', 'spec.upstream_id', 'write service_port: 80'],
      ['warning', 'Service s', 'spec.upstream_id', 'write service_port: 80'],
    ],
  );
  assert.match(
    findings[0]?.message ?? '',
    /^the Upstream 'default\/foo' has no nodes of its own, and service_port is missing/,
  );
});
