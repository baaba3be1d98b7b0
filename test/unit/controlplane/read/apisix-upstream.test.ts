import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFinding } from '../../../../src/controlplane/finding.ts';
import { readObjects } from '../../../../src/controlplane/read/objects.ts';
import type { Upstream } from '../../../../src/gen/outrigger/config/v1/upstream.ts';

const HEAD = 'apiVersion: apisix.apache.org/v2\nkind: ApisixUpstream\nmetadata: {name: foo, namespace: shop}\nspec:\n';

function read(spec: string): { upstream: Upstream | undefined; findings: string[] } {
  const indented = spec.replace(/^/gm, '  ');
  const { objects, findings } = readObjects(HEAD + indented, 'a.yaml');
  const [object] = objects;
  return {
    upstream: object?.kind === 'ApisixUpstream' ? object.upstream : undefined,
    findings: findings.map(formatFinding),
  };
}

/** The policy of a spec that must be without findings. */
function good(spec: string): Upstream {
  const { upstream, findings } = read(spec);
  assert.deepEqual(findings, []);
  assert.ok(upstream);
  return upstream;
}

/** The one finding of a spec, without its place. */
function finding(spec: string): string {
  const { findings } = read(spec);
  assert.equal(findings.length, 1, findings.join('\n'));
  return (findings[0] ?? '').replace(/^a\.yaml:\d+:\d+: /, '');
}

for (const [retries, attempts] of [
  [0, 1],
  [1, 2],
  [2, 2],
  [3, 3],
  [7, 7],
] as const) {
  test(`retries ${retries}: at most ${attempts} attempts`, () => {
    assert.equal(good(`retries: ${retries}`).maxAttempts, attempts);
  });
}

test('retries left out: two attempts for the whole, nothing at a port', () => {
  const upstream = good('scheme: grpc\nportLevelSettings:\n- port: 80\n  retries: 0\n- port: 81\n');
  assert.equal(upstream.maxAttempts, 2);
  assert.deepEqual(
    upstream.portLevelSettings.map((settings) => settings.maxAttempts),
    [1, undefined],
  );
  assert.equal(upstream.portLevelSettings[1]?.scheme, undefined);
});

test('an empty spec', () => {
  assert.equal(read('{}').upstream?.maxAttempts, 2);
});

test('thresholds of 0 and strictTLS: false are kept', () => {
  const { checks } = good(
    [
      'healthCheck:',
      '  active: {strictTLS: false, requestHeaders: ["X-A: b"], unhealthy: {timeout: 2, interval: 1}}',
      '  passive: {unhealthy: {httpFailures: 0, tcpFailures: 0, timeout: 0}, healthy: {successes: 0}}',
    ].join('\n'),
  );
  assert.equal(checks?.active?.httpsVerifyCertificate, false);
  assert.deepEqual(checks?.active?.reqHeaders, ['X-A: b']);
  assert.equal(checks?.active?.unhealthy?.timeouts, 2);
  const { httpFailures, tcpFailures, timeouts } = checks?.passive?.unhealthy ?? {};
  assert.deepEqual([httpFailures, tcpFailures, timeouts, checks?.passive?.healthy?.successes], [0, 0, 0, 0]);
});

test('an unknown scheme names file, line, column, object, field, what is known and the fix', () => {
  const { upstream, findings } = read('portLevelSettings:\n- port: 7000\n  scheme: grcp');
  assert.equal(upstream, undefined);
  assert.deepEqual(findings, [
    "a.yaml:7:13: error: ApisixUpstream shop/foo: spec.portLevelSettings[0].scheme: 'grcp' is not known " +
      "(http, https, grpc, grpcs, tcp, tls, udp); did you mean 'grpc'?",
  ]);
});

test('unknown keys are errors with a suggestion', () => {
  assert.match(
    finding('loadBalancer: {type: ewma}'),
    /^error: .*spec\.loadBalancer: unknown field .*did you mean 'loadbalancer'\?$/,
  );
  assert.match(finding('timeout: {conect: 5s}'), /spec\.timeout\.conect: unknown field .*did you mean 'connect'\?/);
});

test('blanks around a key are called out, and the key is read', () => {
  const { upstream, findings } = read('"scheme ": grpc');
  assert.equal(upstream?.scheme, 'grpc');
  assert.deepEqual(findings, [
    "a.yaml:5:3: warning: ApisixUpstream shop/foo: spec.scheme: the key 'scheme ' has blanks around it and is read as 'scheme'; remove the blanks",
  ]);
  assert.match(finding('"scheme ": grpc\nscheme: http'), /error: .*stands beside it/);
});

test('passive checks alone are an error that names active, except at a port that inherits active ones', () => {
  assert.match(
    finding('healthCheck: {passive: {}}'),
    /error: .*spec\.healthCheck: active is missing.*add healthCheck\.active/,
  );
  const spec = (outer: string) => `${outer}\nportLevelSettings: [{port: 80, healthCheck: {passive: {}}}]`;
  good(spec('healthCheck: {active: {unhealthy: {}}}'));
  assert.match(finding(spec('scheme: http')), /spec\.portLevelSettings\[0\]\.healthCheck: active is missing/);
});

test('active.unhealthy left out is noted', () => {
  assert.match(finding('healthCheck: {active: {}}'), /^note: .*unhealthy is left out/);
});

for (const [spec, expected] of [
  ['retries: -1', /spec\.retries: -1 is out of bounds/],
  ['retries: many', /spec\.retries: must be a whole number .*not 'many'/],
  ['timeout: {read: soon}', /spec\.timeout\.read: must be a duration, not 'soon'; write for example 5s/],
  ['timeout: {read: 0}', /spec\.timeout\.read: must be longer than 0, not 0; write for example 5s, or remove it/],
  ['healthCheck: {active: {unhealthy: {}, timeout: 0s}}', /active\.timeout: must be longer than 0, not '0s'; write/],
  ['healthCheck: {active: {unhealthy: {}, timeout: "0"}}', /active\.timeout: must be longer than 0, not '0'; write/],
  ['timeout: 5s', /spec\.timeout: must be a map, not '5s'/],
  ['loadbalancer: {hashOn: header}', /spec\.loadbalancer: type is missing/],
  ['loadbalancer: {type: chash}', /spec\.loadbalancer: chash needs a key/],
  ['loadbalancer: {type: ewna}', /did you mean 'ewma'\?/],
  ['passHost: rewrite', /spec\.passHost: rewrite needs upstreamHost/],
  ['portLevelSettings: [{scheme: grpc}]', /portLevelSettings\[0\]: port is missing/],
  ['portLevelSettings: [{port: 0}]', /portLevelSettings\[0\]\.port: 0 is out of bounds/],
  ['portLevelSettings: [{port: 1}, {port: 1}]', /portLevelSettings\[1\]\.port: port 1 stands here twice/],
  ['portLevelSettings: {port: 1}', /must be a list, not a map/],
  ['healthCheck: {active: {unhealthy: {timeout: 500ms}}}', /timeout: must be a count of timeouts from 1 to 254/],
  ['healthCheck: {active: {unhealthy: {tcpFailures: 255}}}', /tcpFailures: 255 is out of bounds/],
  [
    'healthCheck: {active: {unhealthy: {}, healthy: {interval: 500ms}}}',
    /interval: must be at least 1s, not '500ms'; write 1s or more/,
  ],
  ['healthCheck: {active: {unhealthy: {httpCodes: [99]}}}', /httpCodes\[0\]: 99 is out of bounds/],
  ['healthCheck: {active: {unhealthy: {httpCodes: [500, 500]}}}', /httpCodes\[1\]: 500 stands here twice/],
  ['healthCheck: {active: {unhealthy: {}, requestHeaders: ["no colon"]}}', /is not a header line; write `Name: value`/],
  [
    'healthCheck: {active: {unhealthy: {}, requestHeaders: ["X-A: b\\u0001c"]}}',
    /requestHeaders\[0\]: the value of X-A has a character that a field can't carry \(U\+0001\); remove it/,
  ],
  ['healthCheck: {active: {unhealthy: {}, requestHeaders: ["X-A: \u{1f600}"]}}', /can't carry \(U\+1F600\); remove it/],
  ['tlsSecret: {name: a}', /tlsSecret: needs name and namespace of the Secret; write for example `\{name: web-cert/],
  ['tlsSecret: {name: a/b, namespace: c}', /tlsSecret\.name: 'a\/b' is not a name; use letters/],
  ['tlsSecret: {name: a, namespace: ""}', /tlsSecret\.namespace: '' is not a name; use letters/],
  ['healthCheck: {active: {unhealthy: {timeout: 300s}}}', /timeout: must be a count of timeouts from 1 to 254/],
  [
    'healthCheck: {active: {unhealthy: {timeout: 1, timeouts: 1}}}',
    /active\.unhealthy: timeout and timeouts are the same/,
  ],
  ['externalNodes: []', /spec\.externalNodes: must hold at least one node/],
  ['externalNodes: [{name: a}]', /externalNodes\[0\]: type is missing; write `type: Domain`/],
  ['externalNodes: [{type: Domain}]', /externalNodes\[0\]: name is missing/],
  ['externalNodes: [{type: Domain, name: "a:80"}]', /externalNodes\[0\]\.name: 'a:80' has a port in it/],
  ['externalNodes: [{type: Domain, name: "a b"}]', /externalNodes\[0\]\.name: 'a b' is no DNS name/],
  ['externalNodes: [{type: Domain, name: a, weight: -1}]', /externalNodes\[0\]\.weight: -1 is out of bounds/],
  ['externalNodes: [{type: Domain, name: a, priority: 1}]', /externalNodes\[0\]\.priority: unknown field/],
  ['discovery: {type: dns}', /spec\.discovery: needs serviceName and type/],
  [
    'discovery: {type: nacos, serviceName: a}',
    /discovery\.type: 'nacos' is not supported by this version; write `type: dns`/,
  ],
  ['discovery: {type: dns, serviceName: "a b"}', /discovery\.serviceName: .*a DNS name with or without a port/],
  [
    'discovery: {type: dns, serviceName: a}, externalNodes: [{type: Domain, name: b}]',
    /discovery: not together with externalNodes/,
  ],
] as const) {
  test(`${spec} is an error`, () => {
    const text = finding(spec.includes(', externalNodes') ? spec.replace(', externalNodes', '\nexternalNodes') : spec);
    assert.match(text, /^error: ApisixUpstream shop\/foo: /);
    assert.match(text, expected);
    assert.equal(read(spec).upstream, undefined);
  });
}

for (const [spec, expected] of [
  ['retries: "3"', /spec\.retries: '3' is a text where a number belongs; write 3 without quotes/],
  ['timeout: {connect: 0s}', /spec\.timeout\.connect: '0s' is not possible here: it counts as left out; remove it/],
  ['timeout: {read: "0"}', /spec\.timeout\.read: '0' is not possible here: it counts as left out; remove it/],
  [
    'healthCheck: {active: {unhealthy: {}, timeout: "5"}}',
    /'5' is read as 5 s; APISIX's ingress controller refuses a text here; write 5000000000 \(nano/,
  ],
  [
    'healthCheck: {active: {unhealthy: {}, timeout: 5s}}',
    /'5s' is read as 5 s; APISIX's ingress controller refuses a unit here; write/,
  ],
  ['scheme:', /spec\.scheme: has no value and is left out/],
  ['subsets: [{name: a, labels: {}}]', /spec\.subsets: is not supported by this version/],
  ['loadbalancer: {type: ewma, key: x}', /spec\.loadbalancer\.key: has no effect with type ewma/],
] as const) {
  test(`${spec} is a warning`, () => {
    const text = finding(spec);
    assert.match(text, /^warning: /);
    assert.match(text, expected);
    assert.ok(read(spec).upstream);
  });
}

for (const [spec, place, expected] of [
  [
    'loadbalancer: {type: chash, key: remote_adr}',
    '5:36',
    "spec.loadbalancer.key: 'remote_adr' is none of .*did you mean 'remote_addr'",
  ],
  ['loadbalancer: {type: chash, hashOn: cookie, key: a=b}', '5:52', 'spec.loadbalancer.key: .*is no name of a cookie'],
  ['passHost: rewrite\nupstreamHost: "http://a"', '6:17', 'spec.upstreamHost: '],
  [
    'healthCheck: {active: {unhealthy: {}, httpPath: "/a b"}}',
    '5:51',
    'spec.healthCheck.active.httpPath: .*must start with',
  ],
  ['healthCheck: {active: {unhealthy: {}, host: "*.foo.com"}}', '5:47', 'spec.healthCheck.active.host: .*is no host'],
  [
    'healthCheck: {active: {unhealthy: {}, requestHeaders: ["Host: a"]}}',
    '5:58',
    'requestHeaders\\[0\\]: set `host` instead',
  ],
  [
    'portLevelSettings:\n- port: 90\n- port: 80\n  loadbalancer: {type: chash, key: x}',
    '8:38',
    "spec.portLevelSettings\\[1\\].loadbalancer.key: 'x' is none of",
  ],
] as const) {
  test(`${JSON.stringify(spec)}: what a sidecar would refuse is an error at its place`, () => {
    const { upstream, findings } = read(spec);
    assert.equal(upstream, undefined);
    assert.equal(findings.length, 1, findings.join('\n'));
    assert.match(findings[0] ?? '', new RegExp(`^a\\.yaml:${place}: error: ApisixUpstream shop/foo: .*${expected}`));
  });
}

test('a label that no Upstream can have is an error at its place', () => {
  const text =
    'apiVersion: apisix.apache.org/v2\nkind: ApisixUpstream\nmetadata:\n  name: foo\n  labels:\n    a: "x y"\nspec: {}\n';
  const { findings } = readObjects(text, 'a.yaml');
  assert.match(findings.map(formatFinding).join(), /^a\.yaml:6:8: error: .*metadata\.labels\["a"\]: .*no blanks/);
});

test('APISIX row 86: passive checks alone are an error that names active', () => {
  assert.match(
    finding('healthCheck: {passive: {unhealthy: {httpFailures: 3}}}'),
    /^error: .*spec\.healthCheck: active is missing: passive checks need active ones.*add healthCheck\.active/,
  );
});

test('a registry that is not supported refuses its object and no other', () => {
  const other = 'apiVersion: apisix.apache.org/v2\nkind: ApisixUpstream\nmetadata: {name: bar}\nspec: {retries: 1}\n';
  const { objects, refused } = readObjects(
    `${HEAD}  discovery: {type: nacos, serviceName: a}\n---\n${other}`,
    'a.yaml',
  );
  assert.deepEqual(
    refused.map(({ object }) => object),
    ['ApisixUpstream shop/foo'],
  );
  assert.deepEqual(
    objects.map((object) => object.kind === 'ApisixUpstream' && object.name),
    ['bar'],
  );
});

test('all errors of an object are found at once', () => {
  assert.equal(read('retries: x\nscheme: y\ntimeout: {read: z}').findings.length, 3);
});

test('a timeout of 0s inherits, as one that is left out', () => {
  const { upstream } = read(
    'timeout: {connect: 2s}\nportLevelSettings: [{port: 80, timeout: {connect: 0s, read: 3s}}]',
  );
  const [port] = upstream?.portLevelSettings ?? [];
  assert.deepEqual([port?.timeout?.connect, port?.timeout?.read], [undefined, 3]);
});
