import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import fc from 'fast-check';
import { formatFinding } from '../../../../src/controlplane/finding.ts';
import { readObjects } from '../../../../src/controlplane/read/objects.ts';
import { Secret } from '../../../../src/gen/outrigger/config/v1/secret.ts';
import { issueAuthority, issueCertificate, type TestCertificate } from '../../../support/certificates.ts';

let ca = '';
let web: TestCertificate;
let other: TestCertificate;

before(async () => {
  const authority = await issueAuthority();
  ca = authority.certificatePem;
  [web, other] = await Promise.all([issueCertificate(authority, { dns: ['web'] }), issueCertificate(authority)]);
});

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** A Secret of Kubernetes as JSON, which is YAML. */
function secret(fields: Record<string, unknown>, metadata: Record<string, unknown> = { name: 'web' }): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata, ...fields });
}

function read(text: string): { secrets: Record<string, Secret>; findings: string[] } {
  const { objects, findings } = readObjects(text, 's.yaml');
  const secrets: Record<string, Secret> = {};
  for (const object of objects) {
    assert.ok(object.kind === 'native' && object.resourceKind === 'Secret');
    secrets[object.name] = Secret.decode(object.bytes);
  }
  return { secrets, findings: findings.map(formatFinding) };
}

function parts(one: Secret | undefined): { certificate: string; key: string; ca: string } | undefined {
  return (
    one && {
      certificate: Buffer.from(one.certificate).toString(),
      key: Buffer.from(one.privateKey).toString(),
      ca: Buffer.from(one.ca).toString(),
    }
  );
}

test('a certificate under the keys of Kubernetes and of APISIX, as data and as stringData', () => {
  const pair = { certificate: web.certificatePem, key: web.keyPem, ca: '' };
  const data = (certificate: string, key: string) => ({
    [certificate]: base64(web.certificatePem),
    [key]: base64(web.keyPem),
  });
  for (const fields of [
    { type: 'kubernetes.io/tls', data: data('tls.crt', 'tls.key') },
    { type: 'Opaque', data: data('tls.crt', 'tls.key') },
    { data: data('cert', 'key') },
    { stringData: { 'tls.crt': web.certificatePem, 'tls.key': web.keyPem } },
    // What stringData says stands above data, as the API server has it.
    {
      data: { ...data('tls.crt', 'tls.key'), 'tls.crt': base64('old') },
      stringData: { 'tls.crt': web.certificatePem },
    },
    { data: data('tls.crt', 'tls.key'), immutable: true, stringData: null },
  ]) {
    const { secrets, findings } = read(secret(fields));
    assert.deepEqual(findings, []);
    assert.deepEqual(Object.keys(secrets), ['default/web']);
    assert.equal(secrets['default/web']?.name, 'default/web');
    assert.deepEqual(parts(secrets['default/web']), pair);
  }
});

test('authorities alone, or beside a certificate, and lists as kubectl writes them', () => {
  const alone = read(secret({ data: { 'ca.crt': base64(ca) } }, { name: 'roots', namespace: 'mesh' }));
  assert.deepEqual(parts(alone.secrets['mesh/roots']), { certificate: '', key: '', ca });
  assert.deepEqual(parts(read(secret({ stringData: { ca } })).secrets['default/web']), {
    certificate: '',
    key: '',
    ca,
  });
  const both = { 'tls.crt': base64(web.certificatePem), 'tls.key': base64(web.keyPem), 'ca.crt': base64(ca) };
  const listed = [secret({ data: both }), secret({ data: { a: 'YQ==' } }, { name: 'x' })];
  for (const head of ['kind: List', 'kind: SecretList']) {
    const { secrets, findings } = read(`{apiVersion: v1, ${head}, items: [${listed.join()}]}`);
    assert.deepEqual(Object.keys(secrets), ['default/web']);
    assert.equal(parts(secrets['default/web'])?.ca, ca);
    assert.equal(findings.length, 1);
  }
});

test('base64 may be broken into lines, as a block of YAML has it', () => {
  const lines = (text: string): string =>
    (base64(text).match(/.{1,64}/g) ?? []).map((line) => `    ${line}`).join('\n');
  const text = `apiVersion: v1\nkind: Secret\nmetadata: {name: web}\ndata:\n  tls.crt: |\n${lines(web.certificatePem)}\n  tls.key: |\n${lines(web.keyPem)}\n`;
  assert.equal(parts(read(text).secrets['default/web'])?.key, web.keyPem);
});

test('Secrets that are no certificates are noted and left out', () => {
  const token = { 'ca.crt': base64(ca), namespace: 'YQ==', token: 'Y2FuYXJ5' };
  for (const fields of [
    { type: 'kubernetes.io/service-account-token', data: token },
    { type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': 'Y2FuYXJ5' } },
    { type: 'bootstrap.kubernetes.io/token', data: token },
    { type: 'Opaque', data: { password: 'Y2FuYXJ5', key: 'no base64 at all' } },
    { data: null },
    {},
  ]) {
    const { secrets, findings } = read(secret(fields));
    assert.deepEqual(secrets, {});
    assert.equal(findings.length, 1);
    assert.match(
      findings[0] ?? '',
      /note: Secret default\/web: .*a Secret of type .* without a certificate is left out/,
    );
  }
  const half = read(secret({ data: { 'tls.crt': base64(ca) } }));
  assert.deepEqual(half.secrets, {});
  assert.match(half.findings[0] ?? '', /warning: .*data\["tls\.crt"\]: stands without tls\.key.*; add tls\.key$/);
  const native = read(secret({ spec: { ca } }));
  assert.match(native.findings[0] ?? '', /warning: .*spec: .*write `apiVersion: outrigger\.config\/v1`/);
});

test('what is wrong is told with its place and the fix', () => {
  const pair = (fields: Record<string, unknown>) => secret({ type: 'kubernetes.io/tls', ...fields });
  const good = { 'tls.crt': base64(web.certificatePem), 'tls.key': base64(web.keyPem) };
  const cases: [string, RegExp][] = [
    [pair({ data: { 'tls.crt': good['tls.crt'] } }), /data: \["tls\.key"\] is missing; .*needs tls\.crt and tls\.key/],
    [
      pair({ data: { ...good, 'tls.key': web.keyPem } }),
      /data\["tls\.key"\]: is PEM where base64 belongs; write it under stringData/,
    ],
    [pair({ data: { ...good, 'tls.key': 'a-b' } }), /data\["tls\.key"\]: is not base64; encode/],
    [pair({ data: { ...good, 'tls.key': '' } }), /data\["tls\.key"\]: is empty; write PEM/],
    [pair({ data: { ...good, 'tls.key': 5 } }), /data\["tls\.key"\]: must be a text; write base64/],
    [pair({ data: 'Y2FuYXJ5' }), /data: must be a map of keys to texts/],
    [
      pair({ data: { ...good, 'tls.key': base64(other.keyPem) } }),
      /data\["tls\.crt"\]: the private key does not fit the certificate; give the key/,
    ],
    [pair({ data: { ...good, 'ca.crt': base64('canary') } }), /data\["ca\.crt"\]: the list of authorities is not PEM/],
    [
      pair({ data: { ...good, 'tls.crt': 'MIIBHzCBxqADAgECAhEB' } }),
      /the certificate is not PEM: it has no line `-----BEGIN CERTIFICATE-----`; convert DER with openssl/,
    ],
    // Encoded twice.
    [
      pair({ data: { ...good, 'tls.key': base64(base64(web.keyPem)) } }),
      /data\["tls\.crt"\]: the private key is not PEM/,
    ],
  ];
  for (const [text, expected] of cases) {
    const { secrets, findings } = read(text);
    assert.deepEqual(secrets, {}, text);
    const errors = findings.filter((finding) => finding.includes('error: Secret default/web'));
    assert.match(errors.join('\n'), expected);
    assert.match(errors[0] ?? '', /^s\.yaml:1:\d+: /);
  }
});

test('whatever is broken, no finding shows what a Secret holds', () => {
  // In every value, encoded and not, in places where a parser or a check would like to quote it.
  const canary = 'CANARYcanary123';
  const texts = [
    `apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: kubernetes.io/tls\nstringData:\n  tls.crt: ${canary}\n  tls.key: ${canary}\n`,
    `apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata:\n  tls.crt: ${canary}A\n  tls.key: ${canary}A\n  ca.crt: ${base64(canary)}\n`,
    `{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"cert": "${canary}A", "key": "${canary}A"}}`,
    `apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  tls.crt: &x *${canary}\n  tls.key: !${canary} "\\${canary}"\n`,
    `apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  tls.key: -----BEGIN PRIVATE KEY-----\n${canary}\n-----END PRIVATE KEY-----\n`,
    `apiVersion: v1\nkind: SecretList\nitems:\n- metadata: {name: a}\n  data: ${canary}\n- metadata: {name: b}\n  stringData: [${canary}]\n`,
    `apiVersion: outrigger.config/v1\nkind: Secret\nmetadata: {name: a}\nspec:\n  private_key: "${canary} -"\n  certificate: ${canary}\n`,
    `apiVersion: outrigger.config/v1\nkind: Upstream\nmetadata: {name: a}\nspec:\n  tls: {client_cert: ${canary}, client_key: ${canary}}\n`,
    `-----BEGIN PRIVATE KEY-----\n${canary}\n-----END PRIVATE KEY-----\n`,
    `kind: Service\napiVersion: v1\nmetadata: {name: a}\nspec: |\n  -----BEGIN PRIVATE KEY-----\n  ${canary}\n`,
  ];
  const shows = (text: string): string | undefined => {
    const { findings } = readObjects(text, 's.yaml');
    return findings.map(formatFinding).find((line) => line.includes('CANARY') || line.includes(base64(canary)));
  };
  for (const text of texts) {
    assert.ok(readObjects(text, 's.yaml').findings.length > 0, text);
    assert.equal(shows(text), undefined, text);
  }
  // One slip of a hand anywhere before the value.
  const slip = fc.record({
    text: fc.constantFrom(...texts.slice(0, 5)),
    at: fc.nat(400),
    put: fc.constantFrom('', '"', "'", '{', '[', '*', '&', '!', '|', '>', '%', '@', '`', ':', ' ', '\n', '\t', '- '),
    cut: fc.constantFrom(0, 1),
  });
  fc.assert(
    fc.property(slip, ({ text, at, put, cut }) => {
      // A slip inside the value itself would hide it from the search.
      if (at > 0 && /[A-Za-z0-9\\]/.test(text[at] ?? '') && text.slice(at - 15, at + 15).includes('CAN')) return;
      assert.equal(shows(text.slice(0, at) + put + text.slice(at + cut)), undefined);
    }),
    { seed: 7, numRuns: 2_000 },
  );
});
