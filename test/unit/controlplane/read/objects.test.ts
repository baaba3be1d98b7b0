import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFinding } from '../../../../src/controlplane/finding.ts';
import { readObjects } from '../../../../src/controlplane/read/objects.ts';
import type { EndpointSliceObject, ServiceObject } from '../../../../src/controlplane/source.ts';

function read(text: string): { names: string[]; findings: string[] } {
  const { objects, findings } = readObjects(text, 'a.yaml');
  const names = objects.map((object) =>
    object.kind === 'native'
      ? `${object.resourceKind} ${object.name}`
      : `${object.kind} ${object.namespace}/${object.name}`,
  );
  return { names, findings: findings.map(formatFinding) };
}

function slice(body: string): { slice: EndpointSliceObject | undefined; findings: string[] } {
  const head = 'apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n';
  const metadata = 'metadata: {name: foo-1, labels: {kubernetes.io/service-name: foo}}\n';
  const { objects, findings } = readObjects(head + metadata + body, 'a.yaml');
  const [object] = objects;
  return { slice: object?.kind === 'EndpointSlice' ? object : undefined, findings: findings.map(formatFinding) };
}

function service(spec: string): { service: ServiceObject | undefined; findings: string[] } {
  const { objects, findings } = readObjects(
    `{apiVersion: v1, kind: Service, metadata: {name: foo}, spec: ${spec}}`,
    'a.yaml',
  );
  const [object] = objects;
  return { service: object?.kind === 'Service' ? object : undefined, findings: findings.map(formatFinding) };
}

const PORTS = 'ports: [{port: 80}]';

test('documents, lists and JSON', () => {
  assert.deepEqual(read('---\n---\n# nothing\n'), { names: [], findings: [] });
  const object = (name: string) => `{apiVersion: v1, kind: Service, metadata: {name: ${name}}, spec: {${PORTS}}}`;
  assert.deepEqual(read(`${object('a')}\n---\n${object('b')}\n`).names, ['Service default/a', 'Service default/b']);
  const list = `{apiVersion: v1, kind: List, items: [${object('a')}, ${object('b')}]}`;
  assert.deepEqual(read(list), { names: ['Service default/a', 'Service default/b'], findings: [] });
  const typed = `{apiVersion: v1, kind: ServiceList, items: [{metadata: {name: a}, spec: {${PORTS}}}]}`;
  assert.deepEqual(read(typed), { names: ['Service default/a'], findings: [] });
  const json =
    '{\n\t"apiVersion": "v1",\n\t"kind": "Service",\n\t"metadata": {"name": "a"},\n\t"spec": {"ports": [{"port": 80}]}\n}\n';
  assert.deepEqual(read(json), { names: ['Service default/a'], findings: [] });
});

test('anchors and merge keys', () => {
  const text = [
    'apiVersion: apisix.apache.org/v2',
    'kind: ApisixUpstream',
    'metadata: {name: a}',
    'spec:',
    '  timeout: &t {connect: 1s, read: 2s}',
    '  portLevelSettings:',
    '  - port: 80',
    '    timeout: {<<: *t, read: 3s}',
    '  - {port: 81, timeout: *t}',
  ].join('\n');
  const { objects, findings } = readObjects(text, 'a.yaml');
  assert.deepEqual(findings, []);
  const [object] = objects;
  assert.ok(object?.kind === 'ApisixUpstream');
  assert.deepEqual(
    object.upstream.portLevelSettings.map(({ timeout }) => [timeout?.connect, timeout?.read]),
    [
      [1, 3],
      [1, 2],
    ],
  );
});

test('a broken document harms no other of its file', () => {
  const { names, findings } = read(
    `kind: Service\napiVersion: v1\nmetadata: {name: a}\nspec: {${PORTS}}\n---\na: [1\nb: 2\n---\nkind: Service\napiVersion: v1\nmetadata: {name: b}\nspec: {${PORTS}}\n`,
  );
  assert.deepEqual(names, ['Service default/a', 'Service default/b']);
  assert.ok(findings.length > 0);
  for (const text of findings) assert.match(text, /^a\.yaml:[678]:\d+: error: /);
});

test('what would end the stack or explode is an error', () => {
  assert.match(read('['.repeat(200_000)).findings.join('\n'), /error: /);
  const bomb = ['a: &a [x,x,x,x,x,x,x,x,x,x]'];
  for (const [from, to] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg'].map((pair) => [pair[0], pair[1]])) {
    bomb.push(`${to}: &${to} [${`*${from},`.repeat(10)}]`);
  }
  const native = `apiVersion: outrigger.config/v1\nkind: Upstream\nmetadata: {name: a}\nspec: {nodes: *g}\n`;
  assert.match(read(`${bomb.join('\n')}\n${native}`).findings.join('\n'), /error: .*alias/i);
});

test('kinds that are not read are noted, near ones with a suggestion', () => {
  const of = (kind: string, version: string) =>
    read(`{apiVersion: ${version}, kind: ${kind}, metadata: {name: a}}`).findings.join('\n');
  assert.match(of('ApisixRoute', 'apisix.apache.org/v2'), /note: .*kind ApisixRoute is not read by this version$/);
  assert.match(of('Deployment', 'apps/v1'), /note: .*kind Deployment is not read by this version$/);
  // With the version of the kind that is near it is a typing error, and the file keeps its last good content.
  assert.match(of('ApisixUpstrem', 'apisix.apache.org/v2'), /error: .*did you mean 'ApisixUpstream'\?$/);
  assert.match(of('Servce', 'v1'), /error: .*did you mean 'Service'\?$/);
  assert.match(of('Servce', 'example.com/v1'), /warning: .*did you mean 'Service'\?$/);
  assert.match(of('ApisixUpstream', 'apisix.apache.org/v3'), /error: .*'apisix\.apache\.org\/v3' is not known/);
  assert.match(of('Service', 'serving.knative.dev/v1'), /note: .*Service of serving\.knative\.dev\/v1 is not read/);
  assert.match(read('metadata: {name: a}').findings.join('\n'), /error: kind is missing/);
  assert.match(read('just text').findings.join('\n'), /error: must be a map, not 'just text'/);
});

test('metadata', () => {
  const of = (metadata: string) => read(`{apiVersion: v1, kind: Service, metadata: ${metadata}, spec: {${PORTS}}}`);
  assert.deepEqual(of('{name: a, namespace: b}').names, ['Service b/a']);
  assert.match(of('{}').findings.join('\n'), /error: .*name is missing/);
  assert.match(of('{name: 12}').findings.join('\n'), /must be a text, not 12; write "12" in quotes/);
  assert.match(of('{name: a/b}').findings.join('\n'), /'a\/b' is not a name/);
});

test('native resources come with their bytes; a problem is shown at its place', () => {
  const text = (scheme: string) =>
    `apiVersion: outrigger.config/v1\nkind: Upstream\nmetadata: {namespace: shop, name: a}\nspec:\n  port_level_settings:\n  - port: 80\n    scheme: ${scheme}\n`;
  assert.deepEqual(read(text('grpc')), { names: ['Upstream shop/a'], findings: [] });
  const { names, findings } = read(text('grcp'));
  assert.deepEqual(names, []);
  assert.equal(findings.length, 1);
  assert.match(findings[0] ?? '', /^a\.yaml:7:13: error: Upstream shop\/a: spec\.port_level_settings\[0\]\.scheme: /);
});

test('Service: only TCP ports, names and protocols as they are', () => {
  const { service: found, findings } = service(
    '{ports: [{name: http, port: 80, targetPort: web}, {port: 53, protocol: UDP}, {port: 81, targetPort: 8081, appProtocol: kubernetes.io/h2c}], clusterIP: 10.0.0.1, sessionAffinity: None}',
  );
  assert.deepEqual(
    found?.ports.map(({ name, port, targetPort, appProtocol }) => [name, port, targetPort, appProtocol]),
    [
      ['http', 80, undefined, undefined],
      ['', 81, 8081, 'kubernetes.io/h2c'],
    ],
  );
  assert.deepEqual(
    findings.map((text) => text.replace(/^\S+ /, '')),
    ['note: Service default/foo: spec.ports[1]: UDP port 53 is left out: only TCP is carried'],
  );
});

test('Service: external, headless, without ports, dual-stack', () => {
  assert.equal(service('{type: ExternalName, externalName: A.b.}').service?.externalName, 'a.b.');
  assert.equal(service('{type: ExternalName, externalName: "[FD00::1]"}').service?.externalName, 'fd00::1');
  assert.equal(service(`{${PORTS}}`).service?.externalName, undefined);
  assert.match(service('{type: ExternalName}').findings.join(), /error: .*spec\.type: .*needs externalName/);
  const withPort = service('{type: ExternalName, externalName: "a.b:80"}').findings.join();
  assert.match(withPort, /error: .*spec\.externalName: 'a\.b:80' has a port in it/);
  assert.match(service(`{clusterIP: None, ${PORTS}}`).findings.join(), /note: .*headless/);
  assert.match(service('{selector: {}}').findings.join(), /warning: .*has no TCP port/);
  assert.match(service('{ports: [{port: 80}, {port: 80}]}').findings.join(), /error: .*port 80 stands here twice/);
  assert.equal(service(`{${PORTS}, ipFamilies: [IPv6, IPv4]}`).service?.family, 6);
  assert.equal(service(`{${PORTS}, ipFamilies: [IPv6]}`).service?.family, undefined);
});

for (const [conditions, state] of [
  ['{}', 'ready'],
  ['{ready: null}', 'ready'],
  ['{ready: true, serving: true, terminating: false}', 'ready'],
  ['{ready: false}', 'left_out'],
  ['{ready: false, serving: true, terminating: true}', 'draining'],
  ['{ready: true, serving: true, terminating: true}', 'draining'],
  ['{ready: false, serving: false, terminating: true}', 'left_out'],
  ['{ready: false, terminating: true}', 'left_out'],
  ['{ready: null, terminating: true}', 'draining'],
  ['{ready: false, serving: true, terminating: false}', 'left_out'],
] as const) {
  test(`EndpointSlice conditions ${conditions}: ${state}`, () => {
    const { slice: found } = slice(`endpoints: [{addresses: [10.0.0.1], conditions: ${conditions}}]`);
    assert.equal(found?.endpoints[0]?.state, state);
  });
}

test('EndpointSlice: ports, addresses and what an endpoint says of itself', () => {
  const { slice: found, findings } = slice(
    'addressType: IPv6\nports: [{name: http, port: 8080}, {name: dns, port: 53, protocol: UDP}, {name: null, port: null}]\n' +
      'endpoints: [{addresses: ["2001:DB8:0::1"], zone: a, nodeName: n1, targetRef: {kind: Pod, name: p1}}]\n',
  );
  assert.deepEqual(findings, []);
  assert.equal(found?.service, 'foo');
  assert.deepEqual(found?.ports, [
    { name: 'http', port: 8080 },
    { name: '', port: undefined },
  ]);
  assert.deepEqual(found?.endpoints, [
    { addresses: ['2001:db8::1'], state: 'ready', zone: 'a', node: 'n1', pod: 'p1' },
  ]);
  assert.match(
    slice('endpoints: [{addresses: [foo]}]').findings.join(),
    /error: .*endpoints\[0\]\.addresses\[0\]: 'foo' is not an IP address/,
  );
  assert.match(
    slice('addressType: FQDN\nendpoints: [{addresses: [foo.com]}]').findings.join(),
    /note: .*FQDN are left out/,
  );
});

test('a native kind with a wrong version, or without one, is an error that names the right one', () => {
  const of = (head: string) => read(`{${head}, metadata: {name: a}, spec: {}}`).findings.join('\n');
  const fix = /error: Upstream default\/a: .*write `apiVersion: outrigger\.config\/v1`$/;
  assert.match(of('apiVersion: outrigger.config/v2, kind: Upstream'), fix);
  assert.match(of('apiVersion: outrigger/v1, kind: Upstream'), fix);
  assert.match(of('kind: Upstream'), fix);
  assert.match(of('apiVersion: networking.istio.io/v1, kind: Sidecar'), /note: .*kind Sidecar is not read/);
});

/** `levels` lists or maps, each of nine aliases to the one before. */
function aliasBomb(levels: number, link: (alias: string) => string): string {
  const names = 'abcdefghijkl'.slice(0, levels).split('');
  const lines = names
    .slice(1)
    .map((name, i) => `  ${name}: &${name} ${link(Array(9).fill(`*${names[i]}`).join(', '))}`);
  return `x:\n  a: &a {k: v}\n${lines.join('\n')}\n`;
}

test('aliases that stand for too much are refused before anything walks through them', () => {
  const merged = aliasBomb(9, (aliases) => `{<<: [${aliases}]}`);
  const service = `apiVersion: v1\nkind: Service\nmetadata: {name: foo, labels: *i}\nspec: {${PORTS}}\n`;
  assert.match(
    read(merged + service).findings.join('\n'),
    /^a\.yaml:\d+:\d+: error: the aliases up to here stand for more than 100000 values; write out what it stands for$/,
  );
  const listed = aliasBomb(9, (aliases) => `[${aliases}]`);
  const native = 'apiVersion: outrigger.config/v1\nkind: Upstream\nmetadata: {name: foo}\nspec: *i\n';
  assert.match(read(listed + native).findings.join('\n'), /error: the aliases up to here stand for more/);
  const cyclic = `&s {apiVersion: v1, kind: List, items: [*s, *s]}\n---\n{apiVersion: v1, kind: Service, metadata: {name: b}, spec: {${PORTS}}}`;
  const { names, findings } = read(cyclic);
  assert.match(findings.join('\n'), /^a\.yaml:1:\d+: error: the alias \*s stands inside what it names/);
  assert.deepEqual(names, ['Service default/b'], 'the next document is read');
  assert.match(read('{kind: List, items: [*nowhere]}').findings.join('\n'), /no anchor &nowhere|Unresolved alias/);
});

test('an alias names the last anchor before it, and many aliases to little are fine', () => {
  const ports = Array.from({ length: 500 }, (_, i) => `  - {<<: *p, port: ${i + 1}}`).join('\n');
  const object = (body: string) =>
    `apiVersion: apisix.apache.org/v2\nkind: ApisixUpstream\nmetadata: {name: foo}\nspec:\n${body}\n`;
  const text = object(`  timeout: &p {connect: 1s}\n  healthCheck:\n  loadbalancer: &p {type: roundrobin}`);
  assert.match(read(text.replace('&p {type', '&p {tipe')).findings.join('\n'), /tipe: unknown field/);
  const many = `status: &p {scheme: grpc}\n${object(`  portLevelSettings:\n${ports}`)}`;
  const { objects } = readObjects(many, 'a.yaml');
  const [upstream] = objects;
  assert.ok(upstream?.kind === 'ApisixUpstream');
  assert.equal(upstream.upstream.portLevelSettings.length, 500);
  assert.ok(upstream.upstream.portLevelSettings.every(({ scheme }) => scheme === 'grpc'));
});

test('a long chain of merges is followed to its end', () => {
  const links = Array.from({ length: 20 }, (_, i) => `  m${i + 1}: &m${i + 1} {<<: *m${i}}`).join('\n');
  const text = `status:\n  m0: &m0 {${PORTS}}\n${links}\napiVersion: v1\nkind: Service\nmetadata: {name: foo}\nspec: *m20\n`;
  const [object] = readObjects(text, 'a.yaml').objects;
  assert.deepEqual(object?.kind === 'Service' && object.ports.map(({ port }) => port), [80]);
});

test('whatever a file holds, a finding is one line of bounded length, and few of them are of syntax', () => {
  const noise = Array.from({ length: 20_000 }, (_, i) => String.fromCharCode((i * 7919) % 250)).join('');
  for (const text of [
    noise,
    `kind: "${'\\u0007'.repeat(9000)}"`,
    `{apiVersion: v1, kind: "a\\nb"}`,
    `a: ${'['.repeat(9000)}`,
  ]) {
    const { findings } = read(text);
    assert.ok(findings.length > 0 && findings.length <= 20, `${findings.length}`);
    for (const finding of findings) {
      assert.ok(finding.length < 4_000, `${finding.length}`);
      // oxlint-disable-next-line no-control-regex
      assert.doesNotMatch(finding, /[\u0000-\u001f\u007f-\u009f]/);
    }
  }
  assert.match(read(`a: ${'['.repeat(9000)}`).findings.join('\n'), /nested too deeply/);
});

test('a word for addressType that Kubernetes does not have is an error', () => {
  const of = (word: string) =>
    slice(`addressType: ${word}\nports: [{port: 80}]\nendpoints: [{addresses: [10.0.0.1]}]\n`).findings.join('\n');
  assert.equal(of('IPv4'), '');
  assert.match(of('IPV4'), /error: .*addressType: 'IPV4' is not known \(IPv4, IPv6, FQDN\); did you mean 'IPv4'\?/);
});

/** What is read of a text as a whole. */
function content(text: string): { objects: number; refused: string[]; hasNameless: boolean; isBroken: boolean } {
  const { objects, refused, hasNameless, isBroken } = readObjects(text, 'a.yaml');
  return { objects: objects.length, refused: refused.map(({ object }) => object), hasNameless, isBroken };
}

test('what is refused is told by kind, namespace and name, also where these are misspelt or the text is broken', () => {
  const whole = { objects: 0, hasNameless: false, isBroken: false };
  const apisix = (metadata: string, spec = '{retires: 3}') =>
    `apiVersion: apisix.apache.org/v2\nkind: ApisixUpstream\n${metadata}\nspec: ${spec}\n`;
  const prod = ['ApisixUpstream prod/a'];
  assert.deepEqual(content(apisix('metadata: {name: a, namespace: prod}')), { ...whole, refused: prod });
  assert.deepEqual(content(apisix('metadata: {name: a, namepsace: prod}', '{}')), {
    ...whole,
    refused: prod,
    hasNameless: true,
  });
  assert.deepEqual(content(apisix('metadta: {nmae: a, namespace: prod}')), {
    ...whole,
    refused: prod,
    hasNameless: true,
  });
  const broken = apisix('metadata: {name: a, namespace: prod}', '{scheme: [[}');
  assert.deepEqual(content(broken), { ...whole, refused: prod, isBroken: true });
  const wrongVersion = apisix('metadata: {name: a, namespace: prod}', '{}').replace('/v2', '/v3');
  assert.deepEqual(content(wrongVersion), { ...whole, refused: prod });
  assert.deepEqual(content(`---\n${apisix('metadata: {name: a/b}')}`), { ...whole, refused: [], hasNameless: true });
  const native = (kind: string, metadata: string) =>
    `apiVersion: outrigger.config/v1\nkind: ${kind}\nmetadata: ${metadata}\nspec: {nothing: 1}\n`;
  assert.deepEqual(content(native('Upstream', '{name: a}')).refused, ['Upstream default/a']);
  assert.deepEqual(content(native('Upstream', '{namespace: "", name: "1"}')).refused, ['Upstream 1']);
  assert.deepEqual(content(native('Endpoints', '{namespace: b, name: a/80}')).refused, ['Endpoints b/a/80']);
  assert.deepEqual(content(native('Listener', '{name: outbound/80}')).refused, ['Listener outbound/80']);
  const list = '{apiVersion: v1, kind: ServiceList, items: [{metadata: {name: a}, spec: {ports: 5}}]}';
  assert.deepEqual(content(list), { ...whole, refused: ['Service default/a'] });
});

test('Services have one version: another one is an error, that of another group a note', () => {
  const of = (version: string) => content(`{apiVersion: ${version}, kind: Service, metadata: {name: a}, spec: {}}`);
  assert.deepEqual(of('v11').refused, ['Service default/a']);
  assert.deepEqual(of('serving.knative.dev/v1'), { objects: 0, refused: [], hasNameless: false, isBroken: false });
});

const fileFindings = (text: string, file: string): string[] => readObjects(text, file).findings.map(formatFinding);

test('a JSON file that is no JSON is told of in the words of JSON', () => {
  const lines = ['{', '  "routes": [', '    {"id": 1, "uri": "/a"', '     "upstream_id": 1}', '  ]', '}', ''];
  assert.match(
    fileFindings(lines.join('\n'), 'apisix.json').join('\n'),
    /^apisix\.json:3:26: error: is no valid JSON: a comma is missing, after .*"uri": "…", before "…": … \} \] \}$/,
  );
  assert.match(
    fileFindings('{"routes": [{"id": 1}', 'a.json').join('\n'),
    /^a\.json:1:22: error: is no valid JSON: a closing \] is missing, after .*, at the end of the file$/,
  );
  assert.equal(readObjects('{"routes": [{"id": 1}', 'a.json').isBroken, true);
  // What YAML takes is taken: that is what it was.
  assert.deepEqual(fileFindings('{routes: []}', 'a.json'), []);
  assert.doesNotMatch(fileFindings('{routes: [', 'a.yaml').join('\n'), /JSON/);
});

test('of a JSON file that may hold secrets nothing is quoted', () => {
  const text = '{"consumers": [{"username": "jack", "plugins": {"key-auth": {"key": hunter2}}} {}]}';
  const told = fileFindings(text, 'a.json').join('\n');
  assert.match(told, /is no valid JSON: this is no JSON value: a text stands in double quotes$/);
  assert.doesNotMatch(told, /hunter2/);
});

test('an object without a kind: what may be written, native kinds and standalone lists too', () => {
  const [finding = ''] = fileFindings('{}', 'a.json');
  assert.match(
    finding,
    /error: kind is missing, and none of the lists of an APISIX standalone file is there; write a kind/,
  );
  assert.match(
    finding,
    /read are ApisixUpstream, Service, .*Sidecar, Listener, .*outrigger\.config\/v1.*routes, services/,
  );
});
