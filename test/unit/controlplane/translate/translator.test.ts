import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFinding } from '../../../../src/controlplane/finding.ts';
import { readObjects } from '../../../../src/controlplane/read/objects.ts';
import { type Translation, Translator } from '../../../../src/controlplane/translate/translator.ts';
import { Endpoints } from '../../../../src/gen/outrigger/config/v1/endpoints.ts';
import { Upstream } from '../../../../src/gen/outrigger/config/v1/upstream.ts';

function translate(...texts: string[]): Translation {
  return new Translator().translate(texts.flatMap((text, i) => readObjects(text, `${i}.yaml`).objects));
}

function upstreamOf(translation: Translation, name: string): unknown {
  const all = [...translation.services.flatMap((service) => service.resources), ...translation.others];
  const found = all.find((resource) => resource.kind === 'Upstream' && resource.name === name);
  assert.ok(found);
  return Upstream.toJSON(Upstream.decode(found.bytes));
}

function endpointsOf(translation: Translation, name: string): string[] {
  const all = translation.services.flatMap((service) => service.resources);
  const found = all.find((resource) => resource.kind === 'Endpoints' && resource.name === name);
  assert.ok(found);
  return Endpoints.decode(found.bytes).endpoints.map(
    ({ address, port, weight, state }) => `${address} ${port} ${weight ?? '?'} ${state ?? 'ready'}`,
  );
}

const service = (ports: string, rest = ''): string =>
  `{apiVersion: v1, kind: Service, metadata: {name: foo}, spec: {ports: [${ports}]${rest}}}`;
const apisix = (spec: string): string =>
  `{apiVersion: apisix.apache.org/v2, kind: ApisixUpstream, metadata: {name: foo, labels: {team: a, empty: ""}}, spec: ${spec}}`;
const slice = (name: string, ports: string, endpoints: string): string =>
  `{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: ${name}, labels: {kubernetes.io/service-name: foo}}, ports: [${ports}], endpoints: [${endpoints}]}`;

test('a Service alone is an Upstream without policy and Endpoints per port', () => {
  const translation = translate(service('{name: a, port: 80}, {name: b, port: 81}'));
  assert.deepEqual(upstreamOf(translation, 'default/foo'), { name: 'default/foo' });
  assert.deepEqual(
    translation.services.map(({ name, ports, resources }) => [
      name,
      ports,
      resources.map((one) => `${one.kind} ${one.name}`),
    ]),
    [['default/foo', [80, 81], ['Upstream default/foo', 'Endpoints default/foo/80', 'Endpoints default/foo/81']]],
  );
  assert.deepEqual(endpointsOf(translation, 'default/foo/80'), []);
});

test('scheme: the port of the ApisixUpstream, its outer level, appProtocol, else none', () => {
  const ports = '{name: a, port: 80, appProtocol: grpc}, {name: b, port: 81, appProtocol: HTTP}, {name: c, port: 82}';
  const schemes = (spec: string | undefined) => {
    const texts = [service(ports), ...(spec === undefined ? [] : [apisix(spec)])];
    const { portLevelSettings = [], scheme } = upstreamOf(translate(...texts), 'default/foo') as {
      portLevelSettings?: { port: number; scheme?: string }[];
      scheme?: string;
    };
    return [scheme, ...portLevelSettings.map((settings) => `${settings.port} ${settings.scheme ?? '-'}`)];
  };
  assert.deepEqual(schemes(undefined), [undefined, '80 grpc', '81 http']);
  assert.deepEqual(schemes('{retries: 2}'), [undefined, '80 grpc', '81 http']);
  assert.deepEqual(schemes('{scheme: https}'), ['https']);
  const spec = '{portLevelSettings: [{port: 80, scheme: http}, {port: 81, retries: 0}, {port: 82, retries: 5}]}';
  assert.deepEqual(schemes(spec), [undefined, '80 http', '81 http', '82 -']);
});

for (const [appProtocol, scheme] of [
  ['kubernetes.io/h2c', 'grpc'],
  ['kubernetes.io/ws', 'http'],
  ['kubernetes.io/wss', 'https'],
  ['https', 'https'],
] as const) {
  test(`appProtocol ${appProtocol} is ${scheme}`, () => {
    const translation = translate(service(`{port: 80, appProtocol: ${appProtocol}}`));
    const expected = { name: 'default/foo', portLevelSettings: [{ port: 80, scheme }] };
    assert.deepEqual(upstreamOf(translation, 'default/foo'), expected);
  });
}

test('an appProtocol that is not known is a warning, and http', () => {
  const translation = translate(service('{port: 80, appProtocol: gprc}'));
  assert.deepEqual(upstreamOf(translation, 'default/foo'), { name: 'default/foo' });
  const texts = translation.findings.map(formatFinding).filter((text) => text.includes('warning'));
  assert.equal(texts.length, 1);
  assert.match(
    texts[0] ?? '',
    /appProtocol 'gprc' of port 80 is not known; the port is carried as http; did you mean 'grpc'\?/,
  );
});

test('an ApisixUpstream decorates the Service of its name', () => {
  const translation = translate(
    service('{name: a, port: 80}, {name: b, port: 81}'),
    apisix('{retries: 3, timeout: {read: 5s}, portLevelSettings: [{port: 81, scheme: grpc}]}'),
  );
  assert.deepEqual(upstreamOf(translation, 'default/foo'), {
    name: 'default/foo',
    labels: { team: 'a' },
    maxAttempts: 3,
    timeout: { read: 5 },
    portLevelSettings: [{ port: 81, scheme: 'grpc' }],
  });
});

test('an ApisixUpstream without a Service, and a port that the Service lacks, are warnings', () => {
  const alone = translate(apisix('{scheme: grpc}'));
  assert.match(
    alone.findings.map(formatFinding).join(),
    /^0\.yaml:1:1: warning: ApisixUpstream default\/foo: no Service/,
  );
  assert.deepEqual(alone.services, []);
  assert.ok(upstreamOf(alone, 'default/foo'));
  const texts = translate(service('{port: 80}'), apisix('{portLevelSettings: [{port: 8080}]}')).findings.map(
    formatFinding,
  );
  assert.ok(texts.some((text) => /warning: .*port 8080 is no TCP port of the Service \(it has 80\)/.test(text)));
});

test('EndpointSlices join by Service and port name; states and duplicates', () => {
  const translation = translate(
    service('{name: a, port: 80}, {name: b, port: 81}'),
    slice('s1', '{name: a, port: 8080}, {name: b, port: 9090}', '{addresses: [10.0.0.2]}, {addresses: [10.0.0.1]}'),
    slice(
      's2',
      '{name: a, port: 8080}',
      '{addresses: [10.0.0.2], conditions: {ready: false, serving: true, terminating: true}}, {addresses: [10.0.0.3], conditions: {ready: false, serving: true, terminating: true}}, {addresses: [10.0.0.4], conditions: {ready: false}}',
    ),
  );
  assert.deepEqual(endpointsOf(translation, 'default/foo/80'), [
    '10.0.0.1 8080 1 ready',
    '10.0.0.2 8080 1 ready',
    '10.0.0.3 8080 1 draining',
  ]);
  assert.deepEqual(endpointsOf(translation, 'default/foo/81'), ['10.0.0.1 9090 1 ready', '10.0.0.2 9090 1 ready']);
  const [found] = translation.services;
  assert.deepEqual([...(found?.backers ?? [])].sort(), ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4']);
  assert.deepEqual(translation.findings, []);
});

test('a slice port without a number takes the targetPort; a port name that fits none is a warning', () => {
  const open = slice('s', '{name: a}', '{addresses: [10.0.0.1]}');
  assert.deepEqual(endpointsOf(translate(service('{name: a, port: 80, targetPort: 8080}'), open), 'default/foo/80'), [
    '10.0.0.1 8080 1 ready',
  ]);
  const [finding] = translate(service('{name: web, port: 80}'), open).findings.map(formatFinding);
  assert.match(finding ?? '', /warning: .*no EndpointSlice has a port named 'web' \(they have 'a'\)/);
});

test('a dual-stack Service takes the family that it prefers', () => {
  const v4 = slice('s4', '{port: 80}', '{addresses: [10.0.0.1]}');
  const v6 = slice('s6', '{port: 80}', '{addresses: ["fd00::1"]}');
  const of = (rest: string) => endpointsOf(translate(service('{port: 80}', rest), v4, v6), 'default/foo/80');
  assert.deepEqual(of(''), ['10.0.0.1 80 1 ready', 'fd00::1 80 1 ready']);
  assert.deepEqual(of(', ipFamilies: [IPv6, IPv4]'), ['fd00::1 80 1 ready']);
});

test('of two objects of one name the last by file stands, and the warning names both files', () => {
  const translation = translate(service('{port: 80}'), service('{port: 81}'));
  assert.deepEqual(translation.services[0]?.ports, [81]);
  assert.match(
    translation.findings.map(formatFinding).join('\n'),
    /^1\.yaml:1:1: warning: Service default\/foo: stands in 0\.yaml:1 too; this one, the last by file name, is in force/,
  );
});

test('what did not change is the same object after the next translation', () => {
  const translator = new Translator();
  const other = '{apiVersion: v1, kind: Service, metadata: {name: bar}, spec: {ports: [{port: 80}]}}';
  const fixed = readObjects(other, 'bar.yaml').objects;
  const before = translator.translate([...fixed, ...readObjects(service('{port: 80}'), 'foo.yaml').objects]);
  const after = translator.translate([...fixed, ...readObjects(service('{port: 81}'), 'foo.yaml').objects]);
  assert.equal(after.services[0], before.services[0]);
  assert.notEqual(after.services[1], before.services[1]);
});

test('the order of maps and files makes no new version', () => {
  const versions = (...texts: string[]) =>
    translate(...texts)
      .services.flatMap((one) => one.resources)
      .map((resource) => resource.version);
  const s1 = slice('s1', '{port: 80}', '{addresses: [10.0.0.1]}');
  const s2 = slice('s2', '{port: 80}', '{addresses: [10.0.0.2]}');
  const labels = (text: string) => apisix('{}').replace('team: a, empty: ""', text);
  assert.deepEqual(
    versions(service('{port: 80}'), labels('a: x, b: y'), s1, s2),
    versions(s2, s1, labels('b: y, a: x'), service('{port: 80}')),
  );
  for (const version of versions(service('{port: 80}'))) assert.match(version, /^[0-9a-f]{16}$/);
});

test('an ApisixUpstream beside a native Upstream of its name is a warning: the native one is served', () => {
  const native = '{apiVersion: outrigger.config/v1, kind: Upstream, metadata: {name: foo}, spec: {scheme: grpc}}';
  const { findings } = translate(service('{port: 80}'), apisix('{scheme: http}'), native);
  assert.match(
    findings.map(formatFinding).join('\n'),
    /^1\.yaml:1:1: warning: ApisixUpstream default\/foo: has no effect: the native Upstream in 2\.yaml:1 has the same name; remove one of the two$/m,
  );
  const alone = translate(service('{port: 80}'), native).findings.map(formatFinding).join('\n');
  assert.doesNotMatch(alone, /has no effect/);
});
