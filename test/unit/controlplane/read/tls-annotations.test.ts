import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFinding } from '../../../../src/controlplane/finding.ts';
import { readObjects } from '../../../../src/controlplane/read/objects.ts';

function read(annotations: string, spec = 'scheme: https') {
  const text = `apiVersion: apisix.apache.org/v2\nkind: ApisixUpstream\nmetadata: {name: web, annotations: ${annotations}}\nspec: {${spec}}\n`;
  const { objects, findings } = readObjects(text, 'a.yaml');
  const [object] = objects;
  return {
    object: object?.kind === 'ApisixUpstream' ? object : undefined,
    findings: findings.map((finding) => formatFinding(finding).replace(/^a\.yaml:\d+:\d+: /, '')),
  };
}

test('authorities and verification come by annotation', () => {
  const { object, findings } = read(
    '{outrigger.config/tls-ca-secret: shop/ca, outrigger.config/tls-verify: "false", other/one: x}',
  );
  assert.deepEqual(findings, []);
  assert.equal(object?.upstream.tls?.ca?.secret, 'shop/ca');
  assert.equal(object?.upstream.tls?.verify, false);
  assert.deepEqual(
    object?.tlsSecrets.map(({ name, part }) => [name, part]),
    [['shop/ca', 'ca']],
  );
});

test('a port with a tlsSecret of its own has them too, one without inherits', () => {
  const { object } = read(
    '{outrigger.config/tls-ca-secret: shop/ca}',
    'tlsSecret: {name: a, namespace: shop}, portLevelSettings: [{port: 1, tlsSecret: {name: b, namespace: shop}}, {port: 2}]',
  );
  const upstream = object?.upstream;
  assert.deepEqual([upstream?.tls?.clientCertId, upstream?.tls?.ca?.secret], ['shop/a', 'shop/ca']);
  const [own, inheriting] = upstream?.portLevelSettings ?? [];
  assert.deepEqual([own?.tls?.clientCertId, own?.tls?.ca?.secret], ['shop/b', 'shop/ca']);
  assert.equal(inheriting?.tls, undefined);
});

test('without them nothing is said', () => {
  assert.equal(read('{}').object?.upstream.tls, undefined);
  assert.equal(read('').object?.upstream.tls, undefined);
});

for (const [annotations, problem] of [
  ['{outrigger.config/tls-verify: false}', /error.*must be "true" or "false".*in quotes/],
  ['{outrigger.config/tls-verify: "no"}', /error.*must be "true" or "false"/],
  ['{outrigger.config/tls-ca-secret: ca}', /error.*'ca' is not namespace\/name/],
  ['{outrigger.config/tls-ca-secert: shop/ca}', /warning.*not known.*outrigger\.config\/tls-ca-secret/],
] as const) {
  test(`${annotations} is told`, () => {
    const { findings } = read(annotations);
    assert.equal(findings.length, 1, findings.join('\n'));
    assert.match(findings[0] ?? '', problem);
  });
}
