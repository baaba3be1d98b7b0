// Every field of the ApisixUpstream CRD, in each version that has it and at both levels: what becomes of it. The lists of
// fields are those of the types of APISIX's ingress controller.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFinding } from '../../../../src/controlplane/finding.ts';
import { readObjects } from '../../../../src/controlplane/read/objects.ts';
import type { ApisixUpstreamObject } from '../../../../src/controlplane/source.ts';
import { Upstream } from '../../../../src/gen/outrigger/config/v1/upstream.ts';

const CHECKS = ['httpCodes', 'successes'].map((name) => `healthy.${name}`);
const FAILURES = ['httpCodes', 'httpFailures', 'tcpFailures', 'timeout'].map((name) => `unhealthy.${name}`);
const ACTIVE = ['type', 'timeout', 'concurrency', 'host', 'port', 'httpPath', 'strictTLS', 'requestHeaders'];

/** Fields of `spec` and of each of `portLevelSettings` that v1 has. */
const V1 = [
  ...['type', 'hashOn', 'key'].map((name) => `loadbalancer.${name}`),
  'scheme',
  'retries',
  ...['connect', 'send', 'read'].map((name) => `timeout.${name}`),
  ...[...ACTIVE, ...CHECKS, ...FAILURES, 'healthy.interval', 'unhealthy.interval', 'unhealthy.timeouts'].map(
    (name) => `healthCheck.active.${name}`,
  ),
  ...['type', ...CHECKS, ...FAILURES, 'unhealthy.timeouts'].map((name) => `healthCheck.passive.${name}`),
  'subsets',
];
const V2BETA3 = [...V1, 'tlsSecret'];
const V2 = [
  ...V2BETA3.filter((name) => !name.endsWith('.timeouts')),
  ...['passHost', 'upstreamHost', ...['serviceName', 'type', 'args'].map((name) => `discovery.${name}`)],
];
const VERSIONS = { v1: V1, v2beta3: V2BETA3, v2: V2 } as const;

interface Row {
  /** What is written, as one line of YAML without braces. */
  readonly written: string;
  /** Path in the Upstream's JSON, at its level. */
  readonly path: string;
  /** Undefined: nothing is there. */
  readonly becomes: unknown;
  /** The findings, as `severity: path: start of the message`; none if left out. */
  readonly says?: string;
}

const row = (written: string, path: string, becomes: unknown, says?: string): Row =>
  says === undefined ? { written, path, becomes } : { written, path, becomes, says };
const active = (inner: string, path: string, becomes: unknown, says?: string): Row =>
  row(`healthCheck: {active: {unhealthy: {}, ${inner}}}`, `checks.active.${path}`, becomes, says);
const unhealthy = (inner: string, path: string, becomes: unknown, says?: string): Row =>
  row(`healthCheck: {active: {unhealthy: {${inner}}}}`, `checks.active.unhealthy.${path}`, becomes, says);
const passive = (inner: string, path: string, becomes: unknown, says?: string): Row =>
  row(`healthCheck: {active: {unhealthy: {}}, passive: {${inner}}}`, `checks.passive.${path}`, becomes, says);
const zero = (field: string): string => `warning: healthCheck.active.${field}: 0 is not possible here`;
const count = (field: string): string => `warning: healthCheck.${field}: '5s' looks like a duration`;
const stream = (scheme: string): Row =>
  row(`scheme: ${scheme}`, 'scheme', scheme, `warning: scheme: ${scheme} is not supported by this version`);
const times = (field: string): Row[] =>
  ['5', '5s', '"5s"', '5000000000', '"5"'].map((text) => row(`timeout: {${field}: ${text}}`, `timeout.${field}`, 5));

const ROWS: Readonly<Record<string, readonly Row[]>> = {
  'loadbalancer.type': ['roundrobin', 'ewma', 'least_conn'].map((type) =>
    row(`loadbalancer: {type: ${type}}`, 'type', type),
  ),
  'loadbalancer.hashOn': [
    row('loadbalancer: {type: chash, hashOn: vars, key: uri}', 'hashOn', 'vars'),
    row('loadbalancer: {type: chash, hashOn: header, key: user-agent}', 'hashOn', 'header'),
    row('loadbalancer: {type: chash, hashOn: cookie, key: sid}', 'hashOn', 'cookie'),
    row('loadbalancer: {type: chash, hashOn: consumer}', 'hashOn', 'consumer'),
    row('loadbalancer: {type: chash, hashOn: vars_combinations, key: $uri$remote_addr}', 'hashOn', 'vars_combinations'),
    row('loadbalancer: {type: chash, key: uri}', 'hashOn', undefined),
    row(
      'loadbalancer: {type: ewma, hashOn: header}',
      'type',
      'ewma',
      'warning: loadbalancer.hashOn: has no effect with type ewma',
    ),
  ],
  'loadbalancer.key': [
    row('loadbalancer: {type: chash, key: arg_user}', 'key', 'arg_user'),
    row(
      'loadbalancer: {type: chash, hashOn: consumer, key: x}',
      'key',
      'x',
      'warning: loadbalancer.key: has no effect with hashOn consumer',
    ),
  ],
  scheme: [
    ...['http', 'https', 'grpc', 'grpcs'].map((scheme) => row(`scheme: ${scheme}`, 'scheme', scheme)),
    ...['tcp', 'tls', 'udp'].map(stream),
  ],
  retries: [
    row('retries: 0', 'maxAttempts', 1),
    row('retries: 1', 'maxAttempts', 2),
    row('retries: 3', 'maxAttempts', 3),
  ],
  'timeout.connect': times('connect'),
  'timeout.send': times('send'),
  'timeout.read': [...times('read'), row('timeout: {read: 500ms}', 'timeout.read', 0.5)],
  'healthCheck.active.type': ['http', 'https', 'tcp', 'grpc'].map((type) => active(`type: ${type}`, 'type', type)),
  'healthCheck.active.timeout': [
    active('timeout: 5', 'timeout', 5),
    active('timeout: 0.5', 'timeout', 0.5),
    active('timeout: 5000000000', 'timeout', 5),
    active('timeout: 5s', 'timeout', 5, "warning: healthCheck.active.timeout: '5s' is read as 5 s"),
    active('timeout: "500ms"', 'timeout', 0.5, "warning: healthCheck.active.timeout: '500ms' is read as 0.5 s"),
    active('timeout: 0', 'timeout', undefined, zero('timeout')),
  ],
  'healthCheck.active.concurrency': [
    active('concurrency: 2', 'concurrency', 2),
    active('concurrency: 0', 'concurrency', undefined, zero('concurrency')),
  ],
  'healthCheck.active.host': [active('host: foo.com', 'host', 'foo.com')],
  'healthCheck.active.port': [active('port: 8081', 'port', 8081), active('port: 0', 'port', undefined, zero('port'))],
  'healthCheck.active.httpPath': [active('httpPath: /healthz', 'httpPath', '/healthz')],
  'healthCheck.active.strictTLS': [
    active('strictTLS: false', 'httpsVerifyCertificate', false),
    active('strictTLS: true', 'httpsVerifyCertificate', true),
  ],
  'healthCheck.active.requestHeaders': [active('requestHeaders: ["X-A: b"]', 'reqHeaders', ['X-A: b'])],
  'healthCheck.active.healthy.httpCodes': [
    active('healthy: {httpCodes: [200, 206]}', 'healthy.httpStatuses', [200, 206]),
  ],
  'healthCheck.active.healthy.successes': [
    active('healthy: {successes: 3}', 'healthy.successes', 3),
    active('healthy: {successes: 0}', 'healthy.successes', undefined, zero('healthy.successes')),
  ],
  'healthCheck.active.healthy.interval': [
    active('healthy: {interval: 2s}', 'healthy.interval', 2),
    active('healthy: {interval: 1500ms}', 'healthy.interval', 1.5),
  ],
  'healthCheck.active.unhealthy.interval': [unhealthy('interval: 2s', 'interval', 2)],
  'healthCheck.active.unhealthy.httpCodes': [unhealthy('httpCodes: [500]', 'httpStatuses', [500])],
  'healthCheck.active.unhealthy.httpFailures': [
    unhealthy('httpFailures: 4', 'httpFailures', 4),
    unhealthy('httpFailures: 0', 'httpFailures', undefined, zero('unhealthy.httpFailures')),
  ],
  'healthCheck.active.unhealthy.tcpFailures': [
    unhealthy('tcpFailures: 4', 'tcpFailures', 4),
    unhealthy('tcpFailures: 0', 'tcpFailures', undefined, zero('unhealthy.tcpFailures')),
  ],
  'healthCheck.active.unhealthy.timeout': [
    unhealthy('timeout: 5', 'timeouts', 5),
    unhealthy('timeout: 5s', 'timeouts', 5, count('active.unhealthy.timeout')),
    unhealthy('timeout: 0', 'timeouts', undefined, zero('unhealthy.timeout')),
  ],
  'healthCheck.active.unhealthy.timeouts': [unhealthy('timeouts: 5', 'timeouts', 5)],
  'healthCheck.passive.type': ['http', 'https', 'tcp'].map((type) => passive(`type: ${type}`, 'type', type)),
  'healthCheck.passive.healthy.httpCodes': [passive('healthy: {httpCodes: [200]}', 'healthy.httpStatuses', [200])],
  'healthCheck.passive.healthy.successes': [
    passive('healthy: {successes: 3}', 'healthy.successes', 3),
    passive('healthy: {successes: 0}', 'healthy.successes', 0),
  ],
  'healthCheck.passive.unhealthy.httpCodes': [
    passive('unhealthy: {httpCodes: [500, 502]}', 'unhealthy.httpStatuses', [500, 502]),
  ],
  'healthCheck.passive.unhealthy.httpFailures': [
    passive('unhealthy: {httpFailures: 3}', 'unhealthy.httpFailures', 3),
    passive('unhealthy: {httpFailures: 0}', 'unhealthy.httpFailures', 0),
  ],
  'healthCheck.passive.unhealthy.tcpFailures': [
    passive('unhealthy: {tcpFailures: 3}', 'unhealthy.tcpFailures', 3),
    passive('unhealthy: {tcpFailures: 0}', 'unhealthy.tcpFailures', 0),
  ],
  'healthCheck.passive.unhealthy.timeout': [
    passive('unhealthy: {timeout: 5}', 'unhealthy.timeouts', 5),
    passive('unhealthy: {timeout: 0}', 'unhealthy.timeouts', 0),
    passive('unhealthy: {timeout: "5s"}', 'unhealthy.timeouts', 5, count('passive.unhealthy.timeout')),
  ],
  'healthCheck.passive.unhealthy.timeouts': [passive('unhealthy: {timeouts: 0}', 'unhealthy.timeouts', 0)],
  subsets: [
    row(
      'subsets: [{name: blue, labels: {version: blue}}]',
      'subsets',
      undefined,
      'warning: subsets: is not supported by this version and has no effect',
    ),
  ],
  tlsSecret: [row('tlsSecret: {name: cert, namespace: shop}', 'tls.clientCertId', 'shop/cert')],
  passHost: [
    ...['pass', 'node'].map((mode) => row(`passHost: ${mode}`, 'passHost', mode)),
    row('passHost: rewrite, upstreamHost: foo.com', 'passHost', 'rewrite'),
  ],
  upstreamHost: [
    row('passHost: rewrite, upstreamHost: "foo.com:81"', 'upstreamHost', 'foo.com:81'),
    row('upstreamHost: foo.com', 'upstreamHost', 'foo.com', 'warning: upstreamHost: has no effect without'),
    row('passHost: node, upstreamHost: foo.com', 'passHost', 'node', 'warning: upstreamHost: has no effect without'),
  ],
  'discovery.serviceName': [
    row('discovery: {type: dns, serviceName: web.example:81}', 'serviceName', 'web.example:81'),
  ],
  'discovery.type': [row('discovery: {type: dns, serviceName: web.example}', 'discoveryType', 'dns')],
  'discovery.args': [
    row(
      'discovery: {type: dns, serviceName: web.example, args: {a: b}}',
      'discoveryArgs',
      undefined,
      'warning: discovery.args: dns takes no arguments: they have no effect',
    ),
  ],
};

function read(version: string, spec: string): { object: ApisixUpstreamObject | undefined; findings: string[] } {
  const text = `apiVersion: apisix.apache.org/${version}\nkind: ApisixUpstream\nmetadata: {name: foo}\nspec: {${spec}}\n`;
  const { objects, findings } = readObjects(text, 'a.yaml');
  const object = objects.find((one): one is ApisixUpstreamObject => one.kind === 'ApisixUpstream');
  const told = findings.map(({ severity, path, message }) => `${severity}: ${path}: ${message}`);
  return { object, findings: told };
}

function at(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], value);
}

function check(found: ReturnType<typeof read>, level: unknown, prefix: string, { path, becomes, says }: Row): void {
  assert.deepEqual(at(level, path), becomes);
  assert.equal(found.findings.length, says === undefined ? 0 : 1, found.findings.join('\n'));
  const expected = says?.replace(': ', `: ${prefix}`) ?? '';
  assert.ok((found.findings[0] ?? '').startsWith(expected), `${found.findings[0]}\nbegins with\n${expected}`);
}

for (const [version, fields] of Object.entries(VERSIONS)) {
  for (const field of fields) {
    for (const one of ROWS[field] ?? []) {
      test(`${version}: ${one.written}`, () => {
        const whole = read(version, one.written);
        assert.ok(whole.object, whole.findings.join('\n'));
        check(whole, Upstream.toJSON(whole.object.upstream), 'spec.', one);
        const port = read(version, `portLevelSettings: [{port: 80, ${one.written}}]`);
        assert.ok(port.object, port.findings.join('\n'));
        const { portLevelSettings } = Upstream.toJSON(port.object.upstream) as { portLevelSettings: unknown[] };
        check(port, portLevelSettings[0], 'spec.portLevelSettings[0].', one);
      });
    }
  }
  test(`${version}: the table has every field`, () => {
    assert.deepEqual(
      fields.filter((field) => ROWS[field] === undefined),
      [],
    );
  });
}

test('the fields that only the whole has', () => {
  const { object, findings } = read(
    'v2',
    'ingressClassName: apisix, externalNodes: [{type: Domain, name: Foo.com., port: 81, weight: 0}, {type: Service, name: bar}], portLevelSettings: [{port: 81}]',
  );
  assert.deepEqual(
    object?.externalNodes.map(({ type, name, port, weight }) => [type, name, port, weight]),
    [
      ['Domain', 'foo.com.', 81, 0],
      ['Service', 'bar', undefined, 100],
    ],
  );
  assert.deepEqual(
    object.upstream.portLevelSettings.map(({ port }) => port),
    [81],
  );
  assert.equal(findings.length, 1);
  assert.match(findings[0] ?? '', /^note: spec\.ingressClassName: is not looked at/);
});

test('a port has no externalNodes and no ingressClassName', () => {
  for (const field of ['externalNodes: []', 'ingressClassName: a']) {
    const { findings } = read('v2', `portLevelSettings: [{port: 80, ${field}}]`);
    assert.match(findings.join(), /^error: spec\.portLevelSettings\[0\]\.\w+: unknown field/);
  }
});

test('APISIX row 137: resolveGranularity belongs to the backend of a route, and is refused here by name', () => {
  const { object, findings } = read('v2', 'resolveGranularity: service');
  assert.equal(object, undefined);
  assert.match(findings.join(), /^error: spec\.resolveGranularity: unknown field/);
});

test('what the object carries beside its spec is not minded', () => {
  const text =
    'apiVersion: apisix.apache.org/v2\nkind: ApisixUpstream\nmetadata: {name: foo, uid: x, labels: {a: b}}\nspec: {retries: 1}\nstatus: {conditions: []}\n';
  const { objects, findings } = readObjects(text, 'a.yaml');
  assert.deepEqual(findings.map(formatFinding), []);
  const [object] = objects;
  assert.deepEqual(object?.kind === 'ApisixUpstream' && object.upstream.labels, { a: 'b' });
});
