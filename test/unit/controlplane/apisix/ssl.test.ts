import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { readApisixObject } from '../../../../src/controlplane/apisix/read-apisix-object.ts';
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

function read(value: object): { names: string[]; secret: Secret | undefined; problems: string[]; warnings: string[] } {
  const result = readApisixObject({ type: 'ssls', id: '1' }, value);
  const lines = (list: readonly { path: string; reason: string }[]): string[] =>
    list.map(({ path, reason }) => `${path}: ${reason}`);
  if (!result.ok) return { names: [], secret: undefined, problems: lines(result.problems), warnings: [] };
  const [first] = result.object.resources;
  return {
    names: result.object.resources.map(({ kind, name }) => `${kind} ${name}`),
    secret: first && Secret.decode(first.bytes),
    problems: [],
    warnings: lines(result.object.warnings),
  };
}

const pair = (): object => ({ cert: web.certificatePem, key: web.keyPem });

test('a client certificate, and one of a server with authorities', () => {
  const client = read({ type: 'client', ...pair() });
  assert.deepEqual([client.names, client.problems, client.warnings], [['Secret ssls/1'], [], []]);
  assert.equal(Buffer.from(client.secret?.certificate ?? []).toString(), web.certificatePem);
  assert.equal(Buffer.from(client.secret?.privateKey ?? []).toString(), web.keyPem);
  const server = read({
    ...pair(),
    snis: ['a.b', '*.c.d'],
    client: { ca, depth: 1 },
    status: 1,
    exptime: 1_588_262_400,
  });
  assert.deepEqual(server.problems, []);
  assert.equal(Buffer.from(server.secret?.ca ?? []).toString(), ca);
  assert.deepEqual(server.warnings, [
    'snis: is kept only: listeners choose a certificate by the names that stand in it',
  ]);
  assert.deepEqual(read({ type: 'client', cert: `\n${web.certificatePem}`, key: web.keyPem }).names, ['Secret ssls/1']);
});

test('one that is switched off makes no Secret', () => {
  assert.deepEqual(read({ type: 'client', ...pair(), status: 0 }), {
    names: [],
    secret: undefined,
    problems: [],
    warnings: [],
  });
});

test('what is refused, and where', () => {
  const client = { type: 'client', ...pair() };
  for (const [value, problems] of [
    [pair(), ['snis: required: sni or snis, but for type client']],
    [{ type: 'client' }, ['cert: required: PEM text', 'key: required: PEM text']],
    [{ ...client, type: 'both' }, ["type: 'both' is none of server, client"]],
    [{ ...client, status: 2 }, ['status: must be 0 or 1, not 2']],
    [{ ...client, ssl_protocols: ['TLSv1.2'] }, ['ssl_protocols: not supported: TLS 1.2 and 1.3 are spoken']],
    [
      { ...client, certs: [other.certificatePem], keys: [other.keyPem] },
      ['certs: not supported: write each further pair as an object of its own'],
    ],
    [{ ...client, certs: [other.certificatePem] }, ['keys: mismatched number of certs and keys: 1 and 0']],
    [{ ...client, client: {} }, ['client.ca: required: PEM text']],
    [{ ...client, client: { ca, depth: 2 } }, ['client.depth: not supported: leave it out, or write 1']],
    [
      { ...client, client: { ca, skip_mtls_uri_regex: ['/'] } },
      ['client.skip_mtls_uri_regex: not supported: callers show a certificate for every path or for none'],
    ],
    [{ ...client, sni: 'a b' }, ["sni: 'a b' is no host name"]],
    [{ ...client, cert: 'no' }, ['cert: must be PEM text, which begins with -----BEGIN']],
    [
      { type: 'client', cert: 'x', key: 'y' },
      ['cert', 'key'].map((name) => `${name}: must be PEM text, which begins with -----BEGIN`),
    ],
    [{ ...client, type: 'constructor' }, ["type: 'constructor' is none of server, client"]],
    [{ ...client, labels: { a: '' } }, ['labels.a: must have 1 to 256 characters']],
    [{ ...client, labels: { a: 'x'.repeat(257) } }, ['labels.a: must have 1 to 256 characters']],
    [{ ...client, cret: 'x' }, ["cret: unknown key: did you mean 'cert'?"]],
  ] as const) {
    assert.deepEqual(read(value).problems, problems);
  }
  const [mismatch] = read({ type: 'client', cert: web.certificatePem, key: other.keyPem }).problems;
  assert.match(mismatch ?? '', /^key: the private key does not fit/);
  const [bad] = read({ type: 'client', cert: web.keyPem, key: web.keyPem }).problems;
  assert.match(bad ?? '', /^cert: the certificate is a private key/);
});
