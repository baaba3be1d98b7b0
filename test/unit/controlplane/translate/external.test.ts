// Upstreams whose endpoints no EndpointSlice names: which listeners they get, and where their calls go.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFinding } from '../../../../src/controlplane/finding.ts';
import { readObjects } from '../../../../src/controlplane/read/objects.ts';
import { refusals } from '../../../../src/controlplane/refusals.ts';
import { type Translation, Translator } from '../../../../src/controlplane/translate/translator.ts';
import { identify } from '../../../../src/controlplane/node-identity.ts';
import { Snapshot } from '../../../../src/controlplane/snapshot.ts';
import { Node } from '../../../../src/gen/envoy/config/core/v3/base.ts';
import { Endpoints } from '../../../../src/gen/outrigger/config/v1/endpoints.ts';
import { Listener } from '../../../../src/gen/outrigger/config/v1/listener.ts';
import { Sidecar } from '../../../../src/gen/outrigger/config/v1/sidecar.ts';
import { Upstream } from '../../../../src/gen/outrigger/config/v1/upstream.ts';

const service = (name: string, spec: string): string =>
  `{apiVersion: v1, kind: Service, metadata: {name: ${name}}, spec: ${spec}}`;
const apisix = (spec: string, name = 'foo'): string =>
  `{apiVersion: apisix.apache.org/v2, kind: ApisixUpstream, metadata: {name: ${name}}, spec: ${spec}}`;
const slice = (port: number): string =>
  `{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: s, labels: {kubernetes.io/service-name: foo}}, ports: [{port: ${port}}], endpoints: [{addresses: [10.0.0.1]}]}`;
const external = (ports: string, host = 'ext.example'): string =>
  service('foo', `{type: ExternalName, externalName: "${host}"${ports === '' ? '' : `, ports: [${ports}]`}}`);

interface Outcome {
  readonly ports: readonly number[];
  readonly upstream: Upstream;
  /** `name: address:port …`. */
  readonly endpoints: readonly string[];
  readonly findings: readonly string[];
  readonly translation: Translation;
}

function translate(...texts: string[]): Outcome {
  const objects = texts.flatMap((text, i) => {
    const content = readObjects(text, `${i}.yaml`);
    assert.deepEqual(content.refused, [], content.findings.map(formatFinding).join('\n'));
    return content.objects;
  });
  const translation = new Translator().translate(objects);
  assert.deepEqual(refusals(translation), []);
  const { services, others, findings } = translation;
  const foo = services.find(({ name }) => name === 'default/foo');
  const resources = [...(foo?.resources ?? []), ...others];
  const bytes = resources.find(({ kind, name }) => kind === 'Upstream' && name === 'default/foo')?.bytes;
  assert.ok(bytes);
  const endpoints = resources.filter(({ kind }) => kind === 'Endpoints');
  return {
    ports: foo?.ports ?? [],
    upstream: Upstream.decode(bytes),
    endpoints: endpoints.map((one) => {
      const list = Endpoints.decode(one.bytes).endpoints.map(({ address, port }) => ` ${address} ${port}`);
      return `${one.name}:${list.join('')}`;
    }),
    findings: findings.map((finding) => formatFinding(finding).replace(/^\S+ /, '')),
    translation,
  };
}

const nodes = ({ upstream }: Outcome): unknown[] =>
  upstream.nodes.map(({ host, port, weight }) => [host, port, weight]);

test('external nodes need no Service: listeners at the ports of the nodes', () => {
  const found = translate(
    apisix(
      '{externalNodes: [{type: Domain, name: a.example, port: 8081}, {type: Domain, name: b.example, port: 8080, weight: 0}, {type: Domain, name: "fd00::1", port: 8080}]}',
    ),
  );
  assert.deepEqual(found.ports, [8080, 8081]);
  assert.deepEqual(nodes(found), [
    ['a.example', 8081, 100],
    ['b.example', 8080, 0],
    ['fd00::1', 8080, 100],
  ]);
  assert.deepEqual([found.endpoints, found.findings], [[], []]);
});

for (const [scheme, port] of [
  ['http', 80],
  ['grpc', 80],
  ['https', 443],
  ['grpcs', 443],
] as const) {
  test(`a node without a port is called at ${port} with ${scheme}, which is the listener too`, () => {
    const found = translate(apisix(`{scheme: ${scheme}, externalNodes: [{type: Domain, name: a.example}]}`));
    assert.deepEqual(found.ports, [port]);
    assert.deepEqual(nodes(found), [['a.example', undefined, 100]]);
  });
}

test('portLevelSettings say the listeners where there is no Service', () => {
  const node = '{type: Domain, name: a.example}';
  const found = translate(
    apisix(`{externalNodes: [${node}], portLevelSettings: [{port: 9443, scheme: https}, {port: 9080}]}`),
  );
  assert.deepEqual(found.ports, [9080, 9443]);
});

test('a Service of the name says the listeners, and its slices are set aside', () => {
  const spec = '{externalNodes: [{type: Domain, name: a.example, port: 8080}]}';
  const found = translate(service('foo', '{ports: [{port: 7000}]}'), slice(7000), apisix(spec));
  assert.deepEqual([found.ports, found.endpoints], [[7000], []]);
  assert.deepEqual(nodes(found), [['a.example', 8080, 100]]);
  assert.match(found.findings.join(), /^note: Service default\/foo: its EndpointSlices have no effect/);
});

test('discovery needs no Service; the port is that of the name, of portLevelSettings, or of the scheme', () => {
  const ports = (name: string, rest = '') =>
    translate(apisix(`{discovery: {type: dns, serviceName: "${name}"}${rest}}`)).ports;
  assert.deepEqual(ports('web.example:8080'), [8080]);
  assert.deepEqual(ports('web.example'), [80]);
  assert.deepEqual(ports('web.example', ', scheme: grpcs'), [443]);
  assert.deepEqual(ports('web.example:8080', ', portLevelSettings: [{port: 7000}, {port: 7001}]'), [7000, 7001]);
});

test('discovery beside a Service: the nodes come from discovery', () => {
  const found = translate(
    service('foo', '{ports: [{port: 7000}]}'),
    slice(7000),
    apisix('{discovery: {type: dns, serviceName: web.example}}'),
  );
  assert.deepEqual([found.ports, found.endpoints], [[7000], []]);
  assert.equal(found.upstream.serviceName, 'web.example');
  assert.match(found.findings.join(), /^note: .*its EndpointSlices have no effect/);
});

test('discovery at one port of a Service leaves the slices to the other', () => {
  const spec = '{portLevelSettings: [{port: 7001, discovery: {type: dns, serviceName: web.example}}]}';
  const found = translate(service('foo', '{ports: [{port: 7000}, {name: b, port: 7001}]}'), slice(17000), apisix(spec));
  assert.deepEqual(found.ports, [7000, 7001]);
  assert.deepEqual(found.endpoints, ['default/foo/7000: 10.0.0.1 17000']);
  assert.deepEqual(found.findings, []);
});

test('discovery at one port without a Service: a port that nothing serves gets no listener', () => {
  const found = translate(
    apisix('{portLevelSettings: [{port: 7000}, {port: 7001, discovery: {type: dns, serviceName: web.example}}]}'),
  );
  assert.deepEqual(found.ports, [7001]);
  assert.match(found.findings.join(), /^warning: .*port 7000 has neither nodes nor discovery/);
});

test('APISIX row 134: a node of type Service takes the host of a Service of type ExternalName', () => {
  const found = translate(
    service('bar', '{type: ExternalName, externalName: bar.example}'),
    apisix('{externalNodes: [{type: Service, name: bar, port: 8080}]}'),
  );
  assert.deepEqual(found.ports, [8080]);
  assert.deepEqual(nodes(found), [['bar.example', 8080, 100]]);
  assert.deepEqual(
    found.findings.filter((text) => !text.startsWith('note')),
    [],
  );
});

test('APISIX row 134: a node whose Service has a ClusterIP is an error; nothing is called in its place (503)', () => {
  const found = translate(
    service('bar', '{clusterIP: 10.96.0.7, ports: [{port: 80}]}'),
    service('foo', '{ports: [{port: 80}]}'),
    slice(8080),
    apisix('{externalNodes: [{type: Service, name: bar}]}'),
  );
  assert.deepEqual(found.ports, [80]);
  assert.deepEqual([nodes(found), found.endpoints], [[], ['default/foo/80:']]);
  assert.match(
    found.findings.join('\n'),
    /^error: ApisixUpstream default\/foo: spec\.externalNodes\[0\]\.name: the Service default\/bar is not of type ExternalName: the node is left out; name its host with `type: Domain`, say bar\.default\.svc/m,
  );
});

test('a node whose Service is missing is left out, and the others stay; it comes with its Service', () => {
  const spec = '{externalNodes: [{type: Service, name: bar}, {type: Domain, name: a.example}]}';
  const translator = new Translator();
  const objects = readObjects(apisix(spec), 'a.yaml').objects;
  const hosts = ({ services }: Translation): unknown => {
    const bytes = services.find(({ name }) => name === 'default/foo')?.resources[0]?.bytes;
    return Upstream.decode(bytes ?? new Uint8Array()).nodes.map(({ host }) => host);
  };
  const without = translator.translate(objects);
  assert.deepEqual(hosts(without), ['a.example']);
  assert.match(without.findings.map(formatFinding).join(), /error: .*no Service default\/bar is there/);
  const bar = readObjects(service('bar', '{type: ExternalName, externalName: bar.example}'), 'b.yaml').objects;
  assert.deepEqual(hosts(translator.translate([...objects, ...bar])), ['bar.example', 'a.example']);
  const moved = readObjects(service('bar', '{type: ExternalName, externalName: moved.example}'), 'b.yaml').objects;
  assert.deepEqual(hosts(translator.translate([...objects, ...moved])), ['moved.example', 'a.example']);
});

test('an ExternalName Service with one port is one node', () => {
  const found = translate(external('{port: 8080}'));
  assert.deepEqual(found.ports, [8080]);
  assert.deepEqual(nodes(found), [['ext.example', 8080, undefined]]);
  assert.deepEqual([found.endpoints, found.findings], [[], []]);
});

test('with several ports each asks for the name at its own port', () => {
  const found = translate(external('{name: a, port: 80}, {name: b, port: 443, appProtocol: https}'));
  assert.deepEqual(found.ports, [80, 443]);
  const settings = found.upstream.portLevelSettings.map(({ port, scheme, discoveryType, serviceName }) => [
    port,
    scheme,
    discoveryType,
    serviceName,
  ]);
  assert.deepEqual(settings, [
    [80, undefined, 'dns', 'ext.example:80'],
    [443, 'https', 'dns', 'ext.example:443'],
  ]);
  assert.deepEqual([nodes(found), found.endpoints, found.findings], [[], [], []]);
});

test('one that stands for an address has Endpoints', () => {
  const found = translate(external('{name: a, port: 80}, {name: b, port: 81}', 'FD00::1'));
  assert.deepEqual(found.endpoints, ['default/foo/80: fd00::1 80', 'default/foo/81: fd00::1 81']);
  assert.deepEqual(found.findings, []);
});

test('one without ports takes those of portLevelSettings, else it gets no listener', () => {
  const alone = translate(external(''));
  assert.deepEqual(alone.ports, []);
  assert.match(alone.findings.join(), /^note: Service default\/foo: a Service of type ExternalName without ports/);
  const decorated = translate(external(''), apisix('{portLevelSettings: [{port: 8443, scheme: https}]}'));
  assert.deepEqual(decorated.ports, [8443]);
  assert.deepEqual(nodes(decorated), [['ext.example', 8443, undefined]]);
  assert.deepEqual(decorated.findings, []);
});

test('an ApisixUpstream decorates an ExternalName Service, and its own nodes stand above the name', () => {
  const decorated = translate(external('{port: 80}'), apisix('{passHost: node}'));
  assert.deepEqual([nodes(decorated), decorated.upstream.passHost], [[['ext.example', 80, undefined]], 'node']);
  const own = translate(external('{port: 80}'), apisix('{externalNodes: [{type: Domain, name: a.example}]}'));
  assert.deepEqual(nodes(own), [['a.example', undefined, 100]]);
});

test('ports with a stream scheme get no listener; the others of the Service do', () => {
  const ports = '{ports: [{name: a, port: 80}, {name: b, port: 5432}]}';
  const one = translate(service('foo', ports), apisix('{portLevelSettings: [{port: 5432, scheme: tcp}]}'));
  assert.deepEqual(one.ports, [80]);
  assert.deepEqual(one.endpoints, ['default/foo/80:']);
  assert.deepEqual(one.upstream.portLevelSettings, []);
  const outer = translate(
    service('foo', ports),
    apisix('{scheme: udp, portLevelSettings: [{port: 80, scheme: grpc}]}'),
  );
  assert.deepEqual([outer.ports, outer.upstream.scheme], [[80], undefined]);
  assert.equal(outer.upstream.portLevelSettings[0]?.scheme, 'grpc');
  assert.deepEqual(translate(apisix('{scheme: tls, externalNodes: [{type: Domain, name: a}]}')).ports, []);
});

test('sidecars get the listeners of external upstreams, but not one that runs at a node', () => {
  const { translation } = translate(
    apisix('{externalNodes: [{type: Domain, name: 10.0.0.9, port: 8080}]}'),
    apisix('{externalNodes: [{type: Domain, name: b.example, port: 8080}]}', 'bar'),
  );
  const snapshot = new Snapshot(translation);
  const targets = (podIp: string): unknown => {
    const view = snapshot.viewOf(identify(Node.fromPartial({ id: 'n', metadata: { pod_ip: podIp } })));
    const root = Sidecar.decode(view.get('Sidecar', 'default')?.bytes ?? new Uint8Array());
    return root.listeners.map((name) => {
      const { targets: list } = Listener.decode(view.get('Listener', name)?.bytes ?? new Uint8Array());
      return [name, ...list.map(({ upstream, servicePort }) => `${upstream} ${servicePort}`)];
    });
  };
  assert.deepEqual(targets('10.0.0.1'), [['outbound/8080', 'default/bar 8080', 'default/foo 8080']]);
  assert.deepEqual(targets('10.0.0.9'), [['outbound/8080', 'default/bar 8080']]);
});

test('a node that stands twice is one, the last, and the other one is told', () => {
  const node = (name: string, rest: string) => `{type: Domain, name: ${name}${rest}}`;
  const repeated = (scheme: string, ...nodes: string[]) =>
    translate(apisix(`{scheme: ${scheme}, externalNodes: [${nodes.join(', ')}]}`)).findings.filter((text) =>
      text.includes('host and port'),
    );
  assert.deepEqual(repeated('http', node('a.b', ', port: 80, weight: 1'), node('c', ''), node('A.b', ', weight: 9')), [
    'warning: ApisixUpstream default/foo: spec.externalNodes[0].name: has the host and port of spec.externalNodes[2].name and no effect: the last one stands, with its own weight; remove one of the two',
  ]);
  assert.deepEqual(repeated('https', node('a.b', ', port: 80'), node('a.b', '')), []);
});
