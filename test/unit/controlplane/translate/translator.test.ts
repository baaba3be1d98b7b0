import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFinding } from '../../../../src/controlplane/finding.ts';
import { readObjects } from '../../../../src/controlplane/read/objects.ts';
import type { ConfigObject } from '../../../../src/controlplane/source.ts';
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

/** Translates files one after another, as a control plane that runs does. */
class Running {
  private readonly translator = new Translator();

  next(files: Record<string, string>): { upstreams: string[]; services: string[]; findings: string[] } {
    const read = Object.entries(files).map(([name, text]) => readObjects(text, name));
    const { services, others, findings } = this.translator.translate(
      read.flatMap(({ objects }) => objects),
      read.flatMap(({ refused }) => refused),
    );
    const upstreams = [...services.flatMap((one) => one.resources), ...others]
      .filter(({ kind }) => kind === 'Upstream')
      .map(({ name, bytes }) => `${name} ${Upstream.decode(bytes).scheme ?? '-'}`);
    return {
      upstreams,
      services: services.map(({ name, ports }) => `${name} ${ports.join()}`),
      findings: findings.map(formatFinding).filter((text) => !text.includes('no EndpointSlice names')),
    };
  }
}

const GOOD = apisix('{scheme: grpc}');
const REFUSED = apisix('{scheme: grpc, retires: 3}');

test('a refused object keeps its last good version, whatever becomes of the others', () => {
  const running = new Running();
  running.next({ a: service('{port: 80}'), b: GOOD });
  const held = running.next({ a: service('{port: 81}'), b: REFUSED });
  assert.deepEqual([held.upstreams, held.services], [['default/foo grpc'], ['default/foo 81']]);
  assert.deepEqual(held.findings, [
    'b:1:1: note: ApisixUpstream default/foo: is refused: its last good version stays in force',
  ]);
  const both = running.next({ a: service('{port: 70000}'), b: REFUSED });
  assert.deepEqual([both.upstreams, both.services], [['default/foo grpc'], ['default/foo 81']]);
  // Moved to another file while it is wrong.
  assert.deepEqual(running.next({ a: service('{port: 70000}'), c: REFUSED }).upstreams, ['default/foo grpc']);
  const gone = running.next({ a: service('{port: 82}') });
  assert.deepEqual([gone.upstreams, gone.services, gone.findings], [['default/foo -'], ['default/foo 82'], []]);
});

test('of two with one name the one in force is held where it is refused, and only there', () => {
  const running = new Running();
  const files = { a: GOOD, b: apisix('{scheme: https}'), s: service('{port: 80}') };
  assert.deepEqual(running.next(files).upstreams, ['default/foo https']);
  assert.deepEqual(running.next({ ...files, b: REFUSED }).upstreams, ['default/foo https']);
  assert.deepEqual(running.next({ a: GOOD, s: files.s }).upstreams, ['default/foo grpc']);
  // The one that is added and refused was never in force.
  assert.deepEqual(running.next({ a: GOOD, b: REFUSED, s: files.s }).upstreams, ['default/foo grpc']);
  assert.deepEqual(running.next({ a: files.b, b: REFUSED, s: files.s }).upstreams, ['default/foo https']);
});

test('of two with one name the one in force stays so when its file gets an error', () => {
  const translator = new Translator();
  const read = (text: string, file: string) => readObjects(text, file).objects;
  const ports = (objects: readonly ConfigObject[], held: readonly ConfigObject[] = []) =>
    translator.translate(objects, [], held).services.flatMap((one) => one.ports);
  const [a, x] = [read(service('{port: 8}'), 'a'), read(service('{port: 7}'), 'x')];
  assert.deepEqual(ports([...a, ...x]), [7]);
  assert.deepEqual(ports(a, x), [7]);
  assert.deepEqual(ports(read(service('{port: 9}'), 'a'), x), [7]);
  assert.deepEqual(ports([], [...a, ...x]), [7]);
  // The other one is new now.
  assert.deepEqual(ports(a, x), [8]);
  const { findings } = translator.translate(a, [], x);
  assert.match(
    findings.map(formatFinding).join('\n'),
    /^a:1:1: note: Service default\/foo: is in force; the last good version of x, which has an error, is not$/m,
  );
});

test('a control plane that starts over a refused policy sends none, and says so; the listener and Endpoints stay', () => {
  for (const [refused, what] of [
    [REFUSED, 'ApisixUpstream'],
    [
      '{apiVersion: outrigger.config/v1, kind: Upstream, metadata: {name: foo}, spec: {schem: grpc}}',
      'native Upstream',
    ],
  ] as const) {
    const running = new Running();
    const files = {
      a: `${service('{port: 80}')}\n---\n${slice('s', '{port: 1}', '{addresses: [10.0.0.1]}')}`,
      b: refused,
    };
    const { upstreams, services, findings } = running.next(files);
    assert.deepEqual([upstreams, services], [[], ['default/foo 80']]);
    assert.deepEqual(findings, [
      `a:1:1: error: Service default/foo: has no policy, since its ${what} (b:1) is refused: sidecars that have one keep it, ` +
        `others answer its calls with no_endpoints; correct the ${what}`,
    ]);
    assert.deepEqual(running.next(files).upstreams, [], 'nor later');
    assert.deepEqual(running.next({ ...files, a: service('{port: 81}') }).services, ['default/foo 81']);
    assert.deepEqual(running.next({ ...files, b: GOOD }).upstreams, ['default/foo grpc']);
  }
});

test('a refused policy that is new takes nothing from a Service that works without', () => {
  const running = new Running();
  running.next({ a: service('{port: 80, appProtocol: http}') });
  const { upstreams, findings } = running.next({ a: service('{port: 80, appProtocol: http}'), b: REFUSED });
  assert.deepEqual(upstreams, ['default/foo -']);
  assert.deepEqual(findings, [
    'a:1:1: warning: Service default/foo: its ApisixUpstream (b:1) is refused: the policy in force stays as it was without it; correct the ApisixUpstream',
  ]);
});

test('beside a native Upstream with nodes no EndpointSlice is missed, and one that is there has no effect', () => {
  const native = (spec: string) =>
    `{apiVersion: outrigger.config/v1, kind: Upstream, metadata: {name: foo}, spec: {${spec}}}`;
  const notes = (...texts: string[]) => translate(...texts).findings.map(formatFinding);
  const nodes = native('nodes: [{host: 10.0.0.1, port: 80}]');
  assert.deepEqual(notes(service('{port: 80}'), nodes), []);
  assert.deepEqual(notes(service('{port: 80}'), native('discovery_type: dns, service_name: a.b')), []);
  assert.deepEqual(
    notes(service('{port: 80}'), nodes, slice('s', '{name: other, port: 1}', '{addresses: [10.0.0.1]}')),
    [
      '0.yaml:1:1: note: Service default/foo: its EndpointSlices have no effect: the native Upstream of its name has nodes or discovery',
    ],
  );
  assert.match(notes(service('{port: 80}'), native('scheme: grpc')).join(), /no EndpointSlice names this Service/);
  // It takes the place of the ApisixUpstream, nodes and all.
  const overruled = translate(
    service('{port: 80}'),
    apisix('{externalNodes: [{type: Domain, name: a.example}]}'),
    native('scheme: grpc'),
    slice('s', '{port: 1}', '{addresses: [10.0.0.1]}'),
  );
  assert.deepEqual(endpointsOf(overruled, 'default/foo/80'), ['10.0.0.1 1 1 ready']);
});

for (const [ports, spec, expected] of [
  ['{port: 80}', 'tlsSecret: {name: c, namespace: d}', 'spec.tlsSecret: has no effect: the scheme of port 80 is http'],
  [
    '{port: 80}',
    'scheme: grpc, tlsSecret: {name: c, namespace: d}',
    'spec.tlsSecret: has no effect: the scheme of port 80 is grpc',
  ],
  [
    '{port: 80}, {name: b, port: 81}',
    'scheme: grpc, tlsSecret: {name: c, namespace: d}, portLevelSettings: [{port: 81, scheme: https}]',
    '',
  ],
  ['{port: 80, appProtocol: https}', 'tlsSecret: {name: c, namespace: d}', ''],
  ['{port: 80}', 'tlsSecret: {name: c, namespace: d}, healthCheck: {active: {type: https, unhealthy: {}}}', ''],
  [
    '{port: 80}, {name: b, port: 81}',
    'scheme: https, tlsSecret: {name: c, namespace: d}, portLevelSettings: [{port: 81, scheme: http, tlsSecret: {name: c, namespace: d}}]',
    'spec.portLevelSettings[0].tlsSecret: has no effect: the scheme of port 81 is http',
  ],
  [
    '{port: 80}, {name: b, port: 81}',
    'tlsSecret: {name: c, namespace: d}, portLevelSettings: [{port: 81, scheme: https, tlsSecret: {name: c, namespace: d}}]',
    'spec.tlsSecret: has no effect: the scheme of port 80 is http',
  ],
] as const) {
  test(`tlsSecret: ports ${ports}, {${spec}}: ${expected === '' ? 'of use' : 'no effect'}`, () => {
    const findings = translate(service(ports), apisix(`{${spec}}`)).findings.map(formatFinding);
    const found = findings.filter((text) => text.includes('has no effect'));
    assert.deepEqual(
      found.map((text) => text.replace(/^\S+ warning: ApisixUpstream default\/foo: /, '')),
      expected === '' ? [] : [`${expected}; write \`scheme: https\` or \`scheme: grpcs\`, or remove it`],
    );
  });
}

test('TLS annotations beside a scheme without TLS are a warning at their place', () => {
  const annotated = (spec: string) =>
    `apiVersion: apisix.apache.org/v2\nkind: ApisixUpstream\nmetadata:\n  name: foo\n  annotations:\n    outrigger.config/tls-verify: "false"\nspec: {${spec}}\n`;
  const notes = (spec: string) =>
    translate(service('{port: 80}'), annotated(spec))
      .findings.map(formatFinding)
      .filter((text) => text.includes('has no effect'));
  assert.match(
    notes('').join('\n'),
    /^1\.yaml:6:5: warning: .*tls-verify"\]: has no effect: the scheme of port 80 is http/,
  );
  assert.deepEqual(notes('scheme: grpcs'), []);
  const nodes = 'externalNodes: [{type: Domain, name: a.example}]';
  const alone = translate(annotated(nodes)).findings.map(formatFinding).join('\n');
  assert.match(alone, /tls-verify"\]: has no effect: the scheme of port 80 is http/);
  assert.match(translate(annotated('')).findings.map(formatFinding).join('\n'), /has no effect: the scheme is http/);
});

const findingsOf = ({ findings }: Translation): string[] => findings.map(formatFinding);
const written = (text: string): ConfigObject[] => {
  return readObjects(text, '/apisix/routes/1').objects.map((one) =>
    one.kind === 'native' ? { ...one, madeOf: 'Admin API' } : one,
  );
};

test('an object of the Admin API stands above that of a file, and the finding says so at the file', () => {
  const own = 'routes: [{id: 1, uri: /a, upstream_id: 1}]\n#END\n';
  const translator = new Translator();
  const objects = [...readObjects(own, 'a.yaml').objects, ...written(own.replace('/a', '/b'))];
  assert.deepEqual(findingsOf(translator.translate(objects)), [
    'a.yaml:1:10: warning: Route 1: has no effect: the object of the Admin API (/apisix/routes/1) stands above that of a file; remove one of the two',
  ]);
});

const named = (kind: string, namespace: string, name: string, rest: string): string =>
  `{kind: ${kind}, metadata: {namespace: ${namespace}, name: "${name}"}, ${rest}}`;
const inline = 'routes: [{id: 1, uri: /a, upstream: {nodes: {"10.9.9.9:80": 1}}}]\n#END\n';

test('a Service of the name that an inline upstream takes is refused with its slices, others of its namespace are not', () => {
  const kubernetes = ['1', '2'].map((name) =>
    named('Service', 'routes', name, 'apiVersion: v1, spec: {ports: [{port: 80}]}'),
  );
  const policy = named('ApisixUpstream', 'routes', '1', 'apiVersion: apisix.apache.org/v2, spec: {retries: 1}');
  const pods = `{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {namespace: routes, name: s, labels: {kubernetes.io/service-name: "1"}}, ports: [{port: 80}], endpoints: [{addresses: [10.0.0.1]}]}`;
  const native = named(
    'Upstream',
    'routes',
    '1',
    'apiVersion: outrigger.config/v1, spec: {nodes: [{host: 10.1.1.1, port: 1}]}',
  );
  const alone = [...kubernetes, policy, pods].map((text, i) => readObjects(text, `${i}.yaml`).objects);
  assert.deepEqual(
    new Translator().translate(alone.flat()).services.map(({ name }) => name),
    ['routes/1', 'routes/2'],
  );
  for (const standalone of [readObjects(inline, '9.yaml').objects, readObjects(inline, '0.yaml').objects]) {
    const translator = new Translator();
    // Also where it comes later, and whatever the order of the files.
    translator.translate(alone.flat());
    const last = readObjects(native, 'z.yaml').objects;
    const translation = translator.translate([...standalone, ...alone.flat(), ...last]);
    assert.deepEqual(
      translation.services.map(({ name }) => name),
      ['routes/2'],
    );
    assert.deepEqual((upstreamOf(translation, 'routes/1') as { nodes: unknown }).nodes, [
      { host: '10.9.9.9', port: 80, weight: 1 },
    ]);
    const told = findingsOf(translation).filter((text) => text.includes(' error: '));
    assert.deepEqual(
      told.map((text) => text.replace(/: is refused.*/, '')),
      [
        '0.yaml:1:1: error: Service routes/1',
        '2.yaml:1:1: error: ApisixUpstream routes/1',
        'z.yaml:1:1: error: Upstream routes/1',
      ],
    );
    assert.match(
      told[0] ?? '',
      /is refused: the inline upstream of routes\/1 \(\d\.yaml:1, standalone file\) makes the Upstream routes\/1, and keeps that name; rename one of the two, or move/,
    );
    assert.doesNotMatch(findingsOf(translation).join('\n'), /no Service routes\/1/);
    // Free again.
    assert.equal(translator.translate(alone.flat()).services.length, 2);
  }
});

test('the name is kept in small steps too, by the Admin API, and for certificates', () => {
  const translator = new Translator();
  const taker = written(inline);
  const rival = readObjects(
    named('Service', 'routes', '1', 'apiVersion: v1, spec: {ports: [{port: 80}]}'),
    'a.yaml',
  ).objects;
  const errors = (translation: Translation): string[] =>
    findingsOf(translation).filter((one) => one.includes(' error: '));
  for (const steps of [
    [rival, [...rival, ...taker]],
    [taker, [...rival, ...taker]],
  ]) {
    for (const [i, step] of steps.entries()) {
      const translation = translator.translate(step);
      assert.equal(errors(translation).length, i);
      assert.equal(translation.services.length, i === 0 && step === rival ? 1 : 0);
    }
  }
  assert.match(
    errors(translator.translate([...rival, ...taker]))[0] ?? '',
    /routes\/1 \(\/apisix\/routes\/1, Admin API\)/,
  );
  const secret = (bytes: number, madeOf?: 'standalone file'): ConfigObject => ({
    kind: 'native',
    resourceKind: 'Secret',
    name: 'ssls/1',
    bytes: new Uint8Array(bytes),
    origin: { file: madeOf ?? 'k.yaml', line: 1, column: 1 },
    ...(madeOf && { madeOf }),
  });
  const both = translator.translate([secret(0, 'standalone file'), secret(0)]);
  assert.deepEqual(
    both.others.map(({ origin }) => origin.file),
    ['standalone file'],
  );
  assert.match(errors(both)[0] ?? '', /^k\.yaml:1:1: error: Secret ssls\/1: is refused: the certificate of ssls\/1 /);
});

test('a refused Service does not come back for an error in its file', () => {
  const translator = new Translator();
  const rival = readObjects(
    named('Service', 'routes', '1', 'apiVersion: v1, spec: {ports: [{port: 80}]}'),
    'a.yaml',
  ).objects;
  const origin = { file: 'a.yaml', line: 1, column: 1 };
  translator.translate(rival);
  const refused = translator.translate(written(inline), [{ object: 'Service routes/1', origin }]);
  assert.deepEqual(refused.services, []);
  assert.deepEqual(translator.translate(written(inline), [], rival).services, []);
});
