import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFinding } from '../../../../src/controlplane/finding.ts';
import { readObjects } from '../../../../src/controlplane/read/objects.ts';
import { Upstream } from '../../../../src/gen/outrigger/config/v1/upstream.ts';

function read(annotation: string, spec = '{}') {
  const text = `apiVersion: apisix.apache.org/v2
kind: ApisixUpstream
metadata:
  name: web
  annotations:
    outrigger.config/upstream: |
${annotation.replace(/^/gm, '      ')}
spec: ${spec}
`;
  const { objects, findings } = readObjects(text, 'a.yaml');
  const [object] = objects;
  return {
    upstream: object?.kind === 'ApisixUpstream' ? object.upstream : undefined,
    findings: findings.map(formatFinding),
  };
}

test('fields that the document lacks come by annotation, and the document keeps its own', () => {
  const { upstream, findings } = read(
    'desc: the web\nretry_timeout: 5\nkeepalive_pool: {size: 8}\nretry_on: [unavailable, "503"]\ntimeout: {total: 9}\noutlier_detection: {}',
    '{retries: 3, timeout: {read: 2s}}',
  );
  assert.deepEqual(findings, []);
  assert.deepEqual(upstream && Upstream.toJSON(upstream), {
    name: 'default/web',
    desc: 'the web',
    maxAttempts: 3,
    retryTimeout: 5,
    timeout: { read: 2, total: 9 },
    keepalivePool: { size: 8 },
    retryOn: ['unavailable', '503'],
    outlierDetection: {},
  });
});

test('JSON and names in camel case are read as well, and zero and false are kept', () => {
  const { upstream, findings } = read('{"keepalivePool": {"size": 0, "off": false}, "panicThreshold": 0}');
  assert.deepEqual(findings, []);
  const { size, off } = upstream?.keepalivePool ?? {};
  assert.deepEqual([size, off, upstream?.panicThreshold], [0, false, 0]);
});

test('a port with a balancer of its own has what belongs to balancers too, one without inherits', () => {
  const { upstream } = read(
    'hash_balance_factor: 150\nretry_on: [reset]',
    '{loadbalancer: {type: ewma}, portLevelSettings: [{port: 1, loadbalancer: {type: chash, key: uri}}, {port: 2}]}',
  );
  assert.deepEqual(
    [upstream, ...(upstream?.portLevelSettings ?? [])].map((level) => [level?.type, level?.hashBalanceFactor]),
    [
      ['ewma', 150],
      ['chash', 150],
      [undefined, undefined],
    ],
  );
  assert.deepEqual(upstream?.portLevelSettings[0]?.retryOn, []);
});

const AT =
  'a\\.yaml:6:32: error: ApisixUpstream default/web: metadata\\.annotations\\["outrigger\\.config/upstream"\\]';

for (const [annotation, problem] of [
  ['retry_on: [unavailble]', `${AT}\\.retry_on\\[0\\]: 'unavailble' is none of .*did you mean 'unavailable'`],
  ['retry_timeout: 5s', `${AT}\\.retry_timeout: must be a number, .*seconds, written as a plain number`],
  ['retry_timeout: -1', `${AT}\\.retry_timeout: must be 0 or more`],
  ['timeout: {total: -1}', `${AT}\\.timeout\\.total: must be 0 or more`],
  ['keepalive: {}', `${AT}\\.keepalive: .*`],
  ['type: ewma', `${AT}\\.type: is not for this annotation; say it in spec\\.loadbalancer\\.type$`],
  ['maxAttempts: 2', `${AT}\\.max_attempts: is not for this annotation; say it in spec\\.retries$`],
  ['timeout: {read: 1}', `${AT}\\.timeout\\.read: is not for this annotation; say it in spec\\.timeout\\.read$`],
  ['nodes: []', `${AT}\\.nodes: is not for this annotation; say it in spec\\.externalNodes$`],
  ['checks: {}', `${AT}\\.checks: is not for this annotation; say it in spec\\.healthCheck$`],
  ['[retry_on]', `${AT}: must be a map of fields`],
  ['{retry_on: [', `${AT}: is no valid YAML: `],
] as const) {
  test(`${annotation} is an error`, () => {
    const { upstream, findings } = read(annotation);
    assert.equal(upstream, undefined);
    assert.equal(findings.length, 1, findings.join('\n'));
    assert.match(findings[0] ?? '', new RegExp(`^${problem}`));
  });
}

test('aliases that stand for a great deal are no way in', () => {
  const rows = ['a: &a [x, x, x, x, x, x, x, x, x, x]'];
  for (let i = 1; i < 9; i++) {
    const [name, inner] = [String.fromCharCode(97 + i), String.fromCharCode(96 + i)];
    rows.push(`${name}: &${name} [${Array(10).fill(`*${inner}`).join(', ')}]`);
  }
  assert.match(read(rows.join('\n')).findings.join(), /error: .*is no valid YAML: .*alias/);
});

test('an annotation that is no text is an error', () => {
  const text =
    'apiVersion: apisix.apache.org/v2\nkind: ApisixUpstream\nmetadata: {name: web, annotations: {outrigger.config/upstream: {retry_timeout: 5}}}\nspec: {}\n';
  assert.match(readObjects(text, 'a.yaml').findings.map(formatFinding).join(), /error: .*must be a text, not a map/);
});
