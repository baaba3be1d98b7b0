import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ListenerTls, UpstreamTls } from '../../../../src/gen/outrigger/config/v1/tls.ts';
import { decodeResource } from '../../../../src/config/decode/decode.ts';
import { describeProblems } from '../../../../src/config/resource.ts';
import { issueAuthority, issueCertificate } from '../../../support/certificates.ts';
import { type DeepPartial, encode } from '../../../support/resources.ts';

const authority = await issueAuthority();
const pair = await issueCertificate(authority, { dns: ['client.example'] });
const other = await issueCertificate(authority, { dns: ['other.example'] });

/** Problems of `tls`, at the upstream and at a port, without the port's prefix. */
function ofUpstream(tls: DeepPartial<UpstreamTls>): string {
  const problems = (partial: object): string => {
    const decoded = decodeResource('Upstream', 'shop/cart', encode('Upstream', partial));
    return decoded.ok ? '' : describeProblems(decoded.problems);
  };
  const found = problems({ tls });
  assert.equal(problems({ portLevelSettings: [{ port: 1, tls }] }).replaceAll('port_level_settings[0].', ''), found);
  return found;
}

function ofListener(tls: DeepPartial<ListenerTls>): string {
  const targets = [{ upstream: 'shop/cart', servicePort: 80 }];
  const decoded = decodeResource('Listener', 'outbound/80', encode('Listener', { port: 80, targets, tls }));
  return decoded.ok ? '' : describeProblems(decoded.problems);
}

const INLINE = { clientCert: pair.certificatePem, clientKey: pair.keyPem };
const FILES = { certificateFile: 'tls/cert.pem', keyFile: '/etc/tls/key.pem' };

test('Upstream tls: what is sound', () => {
  const sound: readonly DeepPartial<UpstreamTls>[] = [
    {},
    { off: true },
    { off: false, verify: false },
    INLINE,
    { clientCert: `${pair.certificatePem}${authority.certificatePem}`, clientKey: pair.keyPem },
    { clientCertId: 'shop/client' },
    { clientCertificate: { secret: 'shop/client' } },
    { clientCertificate: FILES },
    { caCerts: [authority.certificatePem, other.certificatePem] },
    { ca: { secret: 'shop/ca' } },
    { ca: { file: 'ca.pem' } },
    { serverName: 'cart.shop.svc.cluster.local' },
    { serverName: 'a_b.example' },
    { serverName: '10.0.0.1' },
    { serverName: '2001:db8::1' },
    { serverNames: [{ uri: 'spiffe://example.org/ns/shop/sa/cart' }, { dns: 'cart.example' }] },
    // A restored one: its key is missing until it comes again.
    { clientCert: pair.certificatePem, clientKey: '[redacted]' },
  ];
  for (const tls of sound) assert.equal(ofUpstream(tls), '');
});

test('Upstream tls: a client certificate comes with its key, and the key fits', () => {
  assert.equal(ofUpstream({ clientCert: pair.certificatePem }), 'tls.client_key: required beside client_cert');
  assert.equal(ofUpstream({ clientKey: pair.keyPem }), 'tls.client_cert: required beside client_key');
  assert.equal(ofUpstream({ clientKey: '[redacted]' }), 'tls.client_cert: required beside client_key');
  assert.match(ofUpstream({ ...INLINE, clientKey: other.keyPem }), /^tls: the private key does not fit/);
  assert.match(ofUpstream({ ...INLINE, clientCert: 'x'.repeat(128) }), /^tls: the certificate is not PEM/);
  assert.equal(
    ofUpstream({ clientCert: 'x'.repeat(127), clientKey: 'x'.repeat(63) }),
    'tls.client_cert: must be PEM text of 128 to 65536 bytes, not 127; ' +
      'tls.client_key: must be PEM text of 64 to 65536 bytes, not 63',
  );
  assert.equal(
    ofUpstream({ clientCert: 'é'.repeat(32769), clientKey: 'x'.repeat(65537) }),
    'tls.client_cert: must be PEM text of 128 to 65536 bytes, not 65538; ' +
      'tls.client_key: must be PEM text of 64 to 65536 bytes, not 65537',
  );
});

test('Upstream tls: one client certificate, one set of authorities', () => {
  assert.equal(
    ofUpstream({ ...INLINE, clientCertId: 'shop/client', clientCertificate: FILES }),
    'tls.client_cert_id: not together with client_cert; tls.client_certificate: not together with client_cert',
  );
  assert.equal(
    ofUpstream({ clientCertId: 'shop/client', clientCertificate: { secret: 'shop/client' } }),
    'tls.client_certificate: not together with client_cert_id',
  );
  assert.equal(
    ofUpstream({ caCerts: [authority.certificatePem], ca: { file: 'ca.pem' } }),
    'tls.ca: not together with ca_certs',
  );
  assert.match(ofUpstream({ caCerts: [authority.certificatePem, 'x'.repeat(200)] }), /^tls\.ca_certs\[1\]: .+/);
});

test('Upstream tls: authorities of which each is sound, and which are too many', () => {
  const many = Array.from({ length: 1001 }, () => authority.certificatePem);
  assert.match(ofUpstream({ caCerts: many }), /^tls\.ca_certs: .+/);
});

test('Upstream tls: references', () => {
  const certificate = (one: DeepPartial<UpstreamTls['clientCertificate']>): string =>
    ofUpstream({ clientCertificate: one ?? {} }).replaceAll('tls.client_certificate', '$');
  assert.equal(certificate({}), '$: required: secret, or certificate_file and key_file');
  assert.equal(certificate({ secret: '' }), '$.secret: required: a name');
  assert.equal(certificate({ secret: '*' }), "$.secret: '*' can't be a name");
  assert.equal(certificate({ certificateFile: 'a' }), '$.key_file: required beside certificate_file');
  assert.equal(certificate({ keyFile: 'a' }), '$.certificate_file: required beside key_file');
  assert.equal(certificate({ secret: 'a/b', ...FILES }), '$.certificate_file: not together with secret');
  assert.equal(certificate({ ...FILES, keyFile: '' }), '$.key_file: required: the path of a PEM file');
  assert.equal(certificate({ ...FILES, keyFile: 'a\0b' }), '$.key_file: must have no NUL');
  assert.equal(ofUpstream({ ca: {} }), 'tls.ca: required: secret or file');
  assert.equal(ofUpstream({ ca: { secret: 'a/b', file: 'c' } }), 'tls.ca.file: not together with secret');
  assert.equal(ofUpstream({ ca: { file: '' } }), 'tls.ca.file: required: the path of a PEM file');
  assert.equal(
    ofUpstream({ clientCertId: 'a b' }),
    "tls.client_cert_id: 'a b' must have no blanks or control characters",
  );
});

test('Upstream tls: names', () => {
  const wrong: readonly (readonly [name: string, hint: string])[] = [
    ['', ''],
    ['*.example', '; wildcards stand in certificates only'],
    ['a.example:443', '; no port'],
    ['[::1]', '; no port'],
    ['a.example.', ''],
    ['a..example', ''],
    ['-a.example', ''],
    ['10.0.0.256', ''],
    ['a b', ''],
    [`${'a'.repeat(64)}.example`, ''],
    ['bücher.example', ''],
  ];
  for (const [serverName, hint] of wrong) {
    const quoted = serverName.length > 60 ? `${serverName.slice(0, 60)}…` : serverName;
    assert.equal(ofUpstream({ serverName }), `tls.server_name: '${quoted}' is no DNS name and no IP address${hint}`);
  }
  assert.equal(
    ofUpstream({ serverNames: [{}, { uri: 'spiffe://example.org/a', dns: 'a' }] }),
    'tls.server_names[0]: must have exactly one of uri and dns; tls.server_names[1]: must have exactly one of uri and dns',
  );
  assert.match(ofUpstream({ serverNames: [{ dns: '*.example' }] }), /^tls\.server_names\[0\]\.dns: .*wildcard/);
  assert.match(ofUpstream({ serverNames: [{ dns: 'a' }, { uri: '' }] }), /^tls\.server_names\[1\]\.uri: .*empty/);
  assert.equal(
    ofUpstream({ serverNames: [{ dns: 'a' }, { uri: 'urn:a' }, { dns: 'a' }] }),
    'tls.server_names[2].dns: is server_names[0] already',
  );
});

test('Upstream tls: off stands alone', () => {
  const others: readonly DeepPartial<UpstreamTls>[] = [
    { verify: true },
    { verify: false },
    INLINE,
    { clientCertId: 'a/b' },
    { clientCertificate: FILES },
    { caCerts: [authority.certificatePem] },
    { ca: { file: 'a' } },
    { serverName: 'a' },
    { serverNames: [{ dns: 'a' }] },
  ];
  for (const members of others) {
    assert.equal(
      ofUpstream({ ...members, off: true }),
      'tls.off: switches the whole group off: leave the other members out',
    );
    assert.equal(ofUpstream({ ...members, off: false }), '');
  }
});

test('Listener tls', () => {
  const certificates = [{ secret: 'shop/server' }];
  const clientCa = { secret: 'shop/ca' };
  const clientNames = [{ uri: 'spiffe://example.org/ns/shop/sa/web' }];
  assert.equal(ofListener({ certificates: [...certificates, FILES] }), '');
  assert.equal(ofListener({ certificates, clientCertificate: 'none' }), '');
  assert.equal(ofListener({ certificates, clientCertificate: 'optional', clientCa }), '');
  assert.equal(
    ofListener({ certificates, clientCertificate: 'required', clientCa: { file: 'ca.pem' }, clientNames }),
    '',
  );

  assert.equal(ofListener({}), 'tls.certificates: required: at least one');
  assert.equal(
    ofListener({ certificates: [{ secret: 'a/b' }, {}] }),
    'tls.certificates[1]: required: secret, or certificate_file and key_file',
  );
  assert.equal(
    ofListener({ certificates, clientCertificate: 'require' }),
    "tls.client_certificate: 'require' is none of none, optional, required: did you mean 'required'?",
  );
  for (const clientCertificate of ['optional', 'required']) {
    assert.equal(
      ofListener({ certificates, clientCertificate }),
      `tls.client_ca: required with client_certificate: ${clientCertificate}`,
    );
  }
  const notAsked =
    'tls.client_ca: callers are asked for no certificate: set client_certificate to optional or required';
  assert.equal(ofListener({ certificates, clientCa }), notAsked);
  assert.equal(ofListener({ certificates, clientCa, clientCertificate: 'none' }), notAsked);
  assert.equal(
    ofListener({ certificates, clientCertificate: 'optional', clientCa, clientNames }),
    'tls.client_names: only with client_certificate: required',
  );
  assert.equal(ofListener({ certificates, clientNames }), 'tls.client_names: only with client_certificate: required');
  assert.match(
    ofListener({
      certificates,
      clientCertificate: 'required',
      clientCa: {},
      clientNames: [{ uri: 'web' }, { dns: 'a' }, { dns: 'a' }],
    }),
    /^tls\.client_ca: required: secret or file; tls\.client_names\[0\]\.uri: .+; tls\.client_names\[2\]\.dns: is client_names\[1\] already$/,
  );
});

test('no reason shows a key, wherever it was put', () => {
  const canary = `-----BEGIN PRIVATE KEY-----\n${'CANARY'.repeat(20)}\n-----END PRIVATE KEY-----\n`;
  const tries: readonly DeepPartial<UpstreamTls>[] = [
    { ...INLINE, clientKey: canary },
    { ...INLINE, clientKey: 'CANARY'.repeat(20) },
    { ...INLINE, clientCert: canary },
    { clientCert: canary, clientKey: canary },
    { clientKey: canary },
    { ...INLINE, clientKey: canary.repeat(1000) },
    { clientCertId: canary },
    { clientCertificate: { secret: canary } },
    { clientCertificate: { certificateFile: canary, keyFile: canary } },
    { ca: { secret: canary } },
    { ca: { file: canary } },
    { caCerts: [canary] },
    { serverName: canary },
    { serverNames: [{ dns: canary }, { uri: canary }] },
  ];
  for (const tls of tries) {
    const found = ofUpstream(tls);
    assert.notEqual(found, '', Object.keys(tls).join());
    assert.doesNotMatch(found, /CANARY/);
  }
});
