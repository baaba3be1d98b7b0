import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readObjects } from '../../../src/controlplane/read/objects.ts';
import { Translator } from '../../../src/controlplane/translate/translator.ts';
import { identify } from '../../../src/controlplane/node-identity.ts';
import { Snapshot } from '../../../src/controlplane/snapshot.ts';
import type { View } from '../../../src/controlplane/views.ts';
import { Node } from '../../../src/gen/envoy/config/core/v3/base.ts';
import { Listener } from '../../../src/gen/outrigger/config/v1/listener.ts';
import { Sidecar } from '../../../src/gen/outrigger/config/v1/sidecar.ts';
import { withheldView } from '../../../src/controlplane/withheld-view.ts';
import { issueAuthority, issueCertificate } from '../../support/certificates.ts';

const service = (name: string, ...ports: number[]): string =>
  `{apiVersion: v1, kind: Service, metadata: {name: ${name}}, spec: {ports: [${ports.map((port) => `{name: p${port}, port: ${port}}`).join()}]}}`;
const slice = (name: string, address: string, conditions = '{}'): string =>
  `{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: ${name}, labels: {kubernetes.io/service-name: ${name}}}, ports: [{name: p80, port: 8080}], endpoints: [{addresses: ["${address}"], conditions: ${conditions}}]}`;
const native = (kind: string, name: string, spec: string): string =>
  `{apiVersion: outrigger.config/v1, kind: ${kind}, metadata: {name: "${name}"}, spec: ${spec}}`;

function snapshot(...texts: string[]): Snapshot {
  const objects = texts.flatMap((text, i) => {
    const content = readObjects(text, `${i}.yaml`);
    assert.deepEqual(content.refused, []);
    return content.objects;
  });
  return new Snapshot(new Translator().translate(objects));
}

const node = (id: string, metadata?: Record<string, unknown>) => identify(Node.fromPartial({ id, metadata }));

/** Listeners with their targets, as the view's Sidecar names them. */
function shape(view: View, sidecar = 'default'): string[] {
  const root = view.get('Sidecar', sidecar);
  assert.ok(root);
  return Sidecar.decode(root.bytes).listeners.map((name) => {
    const listener = view.get('Listener', name);
    if (listener === undefined) return `${name}: missing`;
    return `${name}: ${Listener.decode(listener.bytes)
      .targets.map((target) => target.upstream)
      .join(' ')}`;
  });
}

const BASE = [service('a', 80, 81), service('b', 80), slice('a', '10.0.0.1'), slice('b', '127.0.0.1')];

test('one Listener per port number, with a target per Service', () => {
  const view = snapshot(...BASE).viewOf(node('n'));
  assert.deepEqual(shape(view), ['outbound/80: default/a default/b', 'outbound/81: default/a']);
  assert.equal(Listener.decode(view.get('Listener', 'outbound/80')?.bytes ?? new Uint8Array()).port, 80);
  assert.deepEqual(
    view
      .all('Endpoints')
      .map((resource) => resource.name)
      .sort(),
    ['default/a/80', 'default/a/81', 'default/b/80'],
  );
});

test('a sidecar gets no Service that its own Pod backs, ready or not', () => {
  const own = snapshot(...BASE).viewOf(node('n', { pod_ip: '10.0.0.1' }));
  assert.deepEqual(shape(own), ['outbound/80: default/b']);
  assert.equal(own.get('Upstream', 'default/a'), undefined);
  assert.ok(own.get('Upstream', 'default/b'));
  const starting = snapshot(service('a', 80), slice('a', '10.0.0.1', '{ready: false}'));
  assert.deepEqual(shape(starting.viewOf(node('n', { pod_ip: '10.0.0.1' }))), []);
});

test('loopback addresses never count', () => {
  const base = snapshot(...BASE, slice('b', '::1').replace('name: b,', 'name: b6,'));
  for (const pod_ip of ['127.0.0.1', '::1', '0:0:0:0:0:0:0:1']) {
    assert.equal(shape(base.viewOf(node('n', { pod_ip })))[0], 'outbound/80: default/a default/b');
  }
});

test('listed services are those and no others, backed by the own Pod or not', () => {
  const base = snapshot(...BASE);
  assert.deepEqual(shape(base.viewOf(node('n', { services: ['b', 'default/none'] }))), ['outbound/80: default/b']);
  const own = base.viewOf(node('n', { services: ['default/a'], pod_ip: '10.0.0.1' }));
  assert.deepEqual(shape(own), ['outbound/80: default/a', 'outbound/81: default/a']);
  assert.equal(shape(base.viewOf(node('n', { services: [] }))).length, 2);
});

test('views that are alike are one', () => {
  const base = snapshot(...BASE);
  assert.equal(base.viewOf(node('n1')), base.viewOf(node('n2', { pod_ip: '10.9.9.9' })));
  assert.equal(
    base.viewOf(node('n1', { services: ['a', 'b'] })),
    base.viewOf(node('n2', { services: ['b', 'default/a'] })),
  );
  assert.notEqual(base.viewOf(node('n1')), base.viewOf(node('n1', { pod_ip: '10.0.0.1' })));
  assert.equal(base.viewCount, 3);
});

test('native resources stand over derived ones and are served as they are', () => {
  const listener = native('Listener', 'outbound/80', '{port: 80, targets: [{upstream: default/b, service_port: 80}]}');
  const upstream = native('Upstream', 'a', '{scheme: grpc}');
  const base = snapshot(...BASE, listener, upstream);
  assert.deepEqual(shape(base.viewOf(node('n'))), ['outbound/80: default/b', 'outbound/81: default/a']);
  const plain = snapshot(...BASE).viewOf(node('n'));
  assert.notEqual(
    base.viewOf(node('n')).get('Upstream', 'default/a')?.version,
    plain.get('Upstream', 'default/a')?.version,
  );
  // Who gets the Listener sees what it names.
  const own = base.viewOf(node('n', { services: ['a'] }));
  assert.deepEqual(shape(own), ['outbound/80: default/b', 'outbound/81: default/a']);
  assert.ok(own.get('Upstream', 'default/b'));
  assert.ok(own.get('Endpoints', 'default/b/80'));
});

test('native Sidecars: the node its own, others the default', () => {
  const base = snapshot(...BASE, native('Sidecar', 'n1', '{listeners: [outbound/81]}'));
  const own = base.viewOf(node('n1'));
  assert.deepEqual(shape(own, 'n1'), ['outbound/81: default/a']);
  assert.equal(base.viewOf(node('n2')).get('Sidecar', 'n1'), undefined);
  assert.equal(shape(base.viewOf(node('n2'))).length, 2);
  const withDefault = snapshot(...BASE, native('Sidecar', 'default', '{listeners: [outbound/80]}'));
  assert.deepEqual(shape(withDefault.viewOf(node('n2'))), ['outbound/80: default/a default/b']);
});

test('a snapshot takes from the one before what is alike', () => {
  const objects = BASE.flatMap((text, i) => readObjects(text, `${i}.yaml`).objects);
  const translator = new Translator();
  const before = new Snapshot(translator.translate(objects));
  const more = readObjects(service('c', 81), 'c.yaml').objects;
  const after = new Snapshot(translator.translate([...objects, ...more]), before);
  const listener = (from: Snapshot, name: string) => from.viewOf(node('n')).get('Listener', name);
  assert.equal(listener(after, 'outbound/80'), listener(before, 'outbound/80'));
  assert.notEqual(listener(after, 'outbound/81')?.version, listener(before, 'outbound/81')?.version);
  assert.deepEqual(shape(after.viewOf(node('n'))), [
    'outbound/80: default/a default/b',
    'outbound/81: default/a default/c',
  ]);
});

const authority = await issueAuthority();
const pair = await issueCertificate(authority);
const secret = (name: string): string => {
  const data = { 'tls.crt': btoa(pair.certificatePem), 'tls.key': btoa(pair.keyPem), 'ca.crt': btoa(pair.chain) };
  return JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name }, data });
};
const apisix = (name: string, spec: string): string =>
  `{apiVersion: apisix.apache.org/v2, kind: ApisixUpstream, metadata: {name: ${name}}, spec: ${spec}}`;
const tlsSecret = (name: string): string => `tlsSecret: {name: ${name}, namespace: default}`;
const SECRETS = [
  ...BASE,
  ...['of-a', 'of-a-81', 'of-b', 'of-listener', 'roots', 'of-none'].map(secret),
  apisix('a', `{scheme: https, ${tlsSecret('of-a')}, portLevelSettings: [{port: 81, ${tlsSecret('of-a-81')}}]}`),
  apisix('b', `{scheme: https, ${tlsSecret('of-b')}}`),
  native(
    'Listener',
    'edge',
    '{port: 8443, targets: [{upstream: default/b, service_port: 80}], tls: {certificates: [{secret: default/of-listener}], client_certificate: required, client_ca: {secret: default/roots}}}',
  ),
  native('Sidecar', 'edge', '{listeners: [edge]}'),
  native('Sidecar', 'default', '{listeners: [outbound/80, outbound/81]}'),
];
const secretsOf = (view: View): string[] =>
  view
    .all('Secret')
    .map(({ name }) => name.slice('default/'.length))
    .sort();

test('a sidecar sees the Secrets that its own Listeners and Upstreams name, and no others', () => {
  const base = snapshot(...SECRETS);
  assert.deepEqual(secretsOf(base.viewOf(node('n'))), ['of-a', 'of-a-81', 'of-b']);
  assert.deepEqual(secretsOf(base.viewOf(node('edge'))), ['of-b', 'of-listener', 'roots']);
  const some = base.viewOf(node('n', { services: ['default/a'] }));
  // The Listener names b's Upstream no more, so that one's Secret isn't seen although the native Listener shows b.
  assert.deepEqual(secretsOf(some), ['of-a', 'of-a-81']);
  assert.equal(some.get('Secret', 'default/of-b'), undefined);
  assert.equal(some.get('Secret', 'default/of-none'), undefined);
  assert.equal(some.get('Secret', 'default/of-a')?.kind, 'Secret');
});

test('what a Secret is named by, it is seen by: a later snapshot without the name shows it no more', () => {
  const before = snapshot(...SECRETS);
  assert.ok(before.viewOf(node('n')).get('Secret', 'default/of-b'));
  const after = snapshot(...SECRETS.filter((text) => !text.includes('of-b}') && !text.includes('name: of-b,')));
  assert.equal(after.viewOf(node('n')).get('Secret', 'default/of-b'), undefined);
});

test('a view over plaintext lacks Secrets and whatever else holds a private key', () => {
  const inline = JSON.stringify({
    apiVersion: 'outrigger.config/v1',
    kind: 'Upstream',
    metadata: { name: 'b' },
    spec: { scheme: 'https', tls: { client_cert: pair.certificatePem, client_key: pair.keyPem } },
  });
  const full = snapshot(...SECRETS, inline).viewOf(node('n'));
  const withheld: string[] = [];
  const view = withheldView(full, ({ kind, name }) => withheld.push(`${kind} ${name}`));
  assert.deepEqual(secretsOf(view), []);
  assert.deepEqual(withheld, ['Secret default/of-a', 'Secret default/of-a-81']);
  assert.equal(view.get('Secret', 'default/of-a'), undefined);
  assert.equal(view.get('Upstream', 'default/b'), undefined);
  assert.equal(full.get('Upstream', 'default/b')?.name, 'default/b');
  assert.deepEqual(withheld.slice(2), ['Secret default/of-a', 'Upstream default/b']);
  assert.deepEqual(
    view.all('Upstream').map(({ name }) => name),
    ['default/a'],
  );
  assert.ok(view.get('Listener', 'outbound/80'));
  assert.equal(view.get('Secret', 'default/nowhere'), undefined);
  assert.equal(withheld.length, 5);
});
