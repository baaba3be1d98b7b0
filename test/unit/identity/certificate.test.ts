import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, type webcrypto, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { createSecureContext } from 'node:tls';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { certificateInfo, parseAuthorities, parseCertificate } from '../../../src/identity/certificate.ts';
import type { AuthoritiesMaterial, CertificateMaterial } from '../../../src/model/tls.ts';
import { issueAuthority, issueCertificate, selfSigned } from '../../support/certificates.ts';

// The library needs what the first import installs.
await import('reflect-metadata');
const x509 = await import('@peculiar/x509');

const authority = await issueAuthority({ commonName: 'root' });
const intermediate = await issueAuthority({
  commonName: 'between',
  parent: authority,
  notAfterMs: Date.UTC(2030, 0, 1),
});
const leaf = await issueCertificate(intermediate, {
  commonName: 'web',
  dns: ['web.example'],
  notBeforeMs: Date.UTC(2020, 0, 1),
  notAfterMs: Date.UTC(2031, 0, 1),
});
const other = await selfSigned({ commonName: 'other' });

function material(certificatePem: string, keyPem: string): CertificateMaterial {
  const result = parseCertificate(certificatePem, keyPem);
  assert.ok(result.ok, result.ok ? '' : result.reason);
  return result.material;
}

function authorities(pem: string): AuthoritiesMaterial {
  const result = parseAuthorities(pem);
  assert.ok(result.ok, result.ok ? '' : result.reason);
  return result.material;
}

function reason(certificatePem: string, keyPem: string): string {
  const result = parseCertificate(certificatePem, keyPem);
  return result.ok ? 'accepted' : result.reason;
}

function authoritiesReason(pem: string): string {
  const result = parseAuthorities(pem);
  return result.ok ? 'accepted' : result.reason;
}

/** A certificate for a key of any kind, signed by that key or by another. */
async function selfSignedWith(
  algorithm: webcrypto.RsaHashedKeyGenParams | webcrypto.EcKeyGenParams | { name: 'Ed25519' },
) {
  const keys = (await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    keys,
    signingAlgorithm: algorithm.name === 'ECDSA' ? { name: 'ECDSA', hash: 'SHA-256' } : algorithm,
    name: 'CN=test',
    notBefore: new Date(Date.UTC(2020, 0, 1)),
    notAfter: new Date(Date.UTC(2040, 0, 1)),
  });
  const key = createPrivateKey({
    key: Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)),
    format: 'der',
    type: 'pkcs8',
  });
  return { certificatePem: certificate.toString('pem'), key };
}

const rsa = (modulusLength: number): webcrypto.RsaHashedKeyGenParams => ({
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength,
  publicExponent: Uint8Array.of(1, 0, 1),
});

test('a chain with its key', () => {
  const found = material(leaf.chain, leaf.keyPem);
  const x = new X509Certificate(leaf.certificatePem);
  assert.deepEqual(found.info, {
    subject: 'CN=web',
    names: { dns: ['web.example'], uris: [], ips: [] },
    notBeforeMs: Date.UTC(2020, 0, 1),
    // The intermediate ends before the leaf does.
    notAfterMs: Date.UTC(2030, 0, 1),
    fingerprint: x.fingerprint256.replaceAll(':', '').toLowerCase(),
  });
  assert.match(found.info.fingerprint, /^[\da-f]{64}$/);
  assert.equal(found.certificatePem.split('-----BEGIN CERTIFICATE-----').length - 1, 2);
  createSecureContext({ cert: found.certificatePem, key: found.key.reveal() });
  assert.equal(certificateInfo(x).notAfterMs, Date.UTC(2031, 0, 1));
});

test('the key shows nowhere but on demand', () => {
  const found = material(leaf.certificatePem, leaf.keyPem);
  const line = leaf.keyPem.split('\n')[1] ?? '';
  assert.ok(line.length > 30 && found.key.reveal().includes(line));
  for (const shown of [inspect(found, { depth: 9, showHidden: true }), JSON.stringify(found), String(found.key)]) {
    assert.ok(!shown.includes(line));
  }
});

test('one pair is one text, however it is written', () => {
  const expected = material(leaf.certificatePem, leaf.keyPem);
  const key = createPrivateKey(leaf.keyPem);
  const body = leaf.certificatePem.replace(/-----[^-]+-----/g, '').replace(/\s+/g, '');
  const ways: [string, string][] = [
    [leaf.certificatePem.replaceAll('\n', '\r\n'), leaf.keyPem.replaceAll('\n', '\r\n')],
    [`Bag Attributes: é\n${leaf.certificatePem}the end\n`, `# my key\n\n${leaf.keyPem}\n\n`],
    [leaf.certificatePem.replaceAll('\n', '\n    '), leaf.keyPem.replaceAll('\n', '\n\t')],
    [`-----BEGIN CERTIFICATE-----${body}-----END CERTIFICATE-----`, leaf.keyPem.trim()],
    [leaf.certificatePem, String(key.export({ type: 'sec1', format: 'pem' }))],
    // As `openssl ecparam -genkey` writes it, and a key file that holds the certificate as well.
    [
      leaf.certificatePem,
      `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${leaf.keyPem}`,
    ],
    [leaf.certificatePem, leaf.certificatePem + leaf.keyPem],
  ];
  for (const [certificatePem, keyPem] of ways) {
    const found = material(certificatePem, keyPem);
    assert.equal(found.certificatePem, expected.certificatePem);
    assert.equal(found.key.digest, expected.key.digest);
  }
});

test('kinds of keys', async () => {
  const strong = await selfSignedWith(rsa(2048));
  material(strong.certificatePem, String(strong.key.export({ type: 'pkcs8', format: 'pem' })));
  material(strong.certificatePem, String(strong.key.export({ type: 'pkcs1', format: 'pem' })));
  for (const algorithm of [
    { name: 'ECDSA', namedCurve: 'P-384' },
    { name: 'ECDSA', namedCurve: 'P-521' },
    { name: 'Ed25519' as const },
  ]) {
    const { certificatePem, key } = await selfSignedWith(algorithm);
    material(certificatePem, String(key.export({ type: 'pkcs8', format: 'pem' })));
  }
  const weak = await selfSignedWith(rsa(1024));
  assert.match(
    reason(weak.certificatePem, String(weak.key.export({ type: 'pkcs8', format: 'pem' }))),
    /the RSA key has 1024 bits; use at least 2048/,
  );
  const odd = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  });
  assert.match(reason(leaf.certificatePem, String(odd)), /curve .*use P-256/);
  const agreement = generateKeyPairSync('x25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  assert.match(reason(leaf.certificatePem, String(agreement)), /type x25519, .*use ECDSA/);
});

test('what OpenSSL refuses is refused before a handshake does', async () => {
  // Signed with SHA-1 by another: some versions of OpenSSL take no such certificate.
  const root = await crypto.subtle.generateKey(rsa(2048), true, ['sign', 'verify']);
  const web = await crypto.subtle.generateKey(rsa(2048), true, ['sign', 'verify']);
  const sha1 = { ...rsa(2048), hash: 'SHA-1' };
  const signingKey = await crypto.subtle.importKey(
    'pkcs8',
    await crypto.subtle.exportKey('pkcs8', root.privateKey),
    sha1,
    true,
    ['sign'],
  );
  const old = await x509.X509CertificateGenerator.create({
    subject: 'CN=web',
    issuer: 'CN=root',
    publicKey: web.publicKey,
    signingKey,
    signingAlgorithm: sha1,
  });
  const cert = old.toString('pem');
  const webKey = Buffer.from(await crypto.subtle.exportKey('pkcs8', web.privateKey)).toString('base64');
  const key = `-----BEGIN PRIVATE KEY-----\n${webKey}\n-----END PRIVATE KEY-----\n`;
  let refuses = false;
  try {
    createSecureContext({ cert, key });
  } catch {
    refuses = true;
  }
  assert.match(
    reason(cert, key),
    refuses ? /^TLS refuses the certificate \(ca md too weak\); use another/ : /^accepted$/,
  );
});

test('what is refused, and how to mend it', () => {
  const key = createPrivateKey(leaf.keyPem);
  const encrypted = String(key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' }));
  const oldEncrypted = String(key.export({ type: 'sec1', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' }));
  const publicKey = new X509Certificate(leaf.certificatePem).publicKey.export({ type: 'spki', format: 'pem' });
  const { certificatePem, keyPem } = leaf;
  const block = (label: string, body: string): string => `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`;
  const table: [string, string, RegExp][] = [
    ['', keyPem, /^the certificate is empty; give it in PEM$/],
    [' \n', keyPem, /^the certificate is empty/],
    [certificatePem, '', /^the private key is empty; give it in PEM$/],
    ['hello', keyPem, /^the certificate is not PEM: .*BEGIN CERTIFICATE/],
    ['0\x82\x01\x02', keyPem, /^the certificate is not PEM: .*convert DER/],
    [certificatePem, 'hello', /^the private key is not PEM: .*BEGIN PRIVATE KEY/],
    [keyPem, certificatePem, /^the certificate is a private key; give the certificate/],
    [certificatePem, certificatePem, /^the private key is a certificate; give the key/],
    [certificatePem + keyPem, keyPem, /^the certificate holds a private key too; keep only/],
    [block('TRUSTED CERTIFICATE', 'AAAA'), keyPem, /^the certificate holds a PEM block of TRUSTED .*openssl x509/],
    [block('CERTIFICATE REQUEST', 'AAAA'), keyPem, /^the certificate holds a PEM block of CERTIFICATE REQUEST; keep/],
    [certificatePem, String(publicKey), /^the private key is a public key; give/],
    [certificatePem, block('OPENSSH PRIVATE KEY', 'AAAA'), /^the private key is a PEM block of OPENSSH .*PKCS#8/],
    [certificatePem, encrypted, /^the private key is encrypted; decrypt it/],
    [certificatePem, oldEncrypted, /^the private key is encrypted; decrypt it/],
    [certificatePem, other.keyPem, /^the private key does not fit the certificate; give/],
    [certificatePem, keyPem + other.keyPem, /^there are 2 private keys; keep/],
    [other.certificatePem + certificatePem, keyPem, /fits certificate 2 of 2, not the first; put that one first/],
    [block('CERTIFICATE', 'AAAA'), keyPem, /^the certificate is damaged: .*X\.509.*write it again/],
    [certificatePem + block('CERTIFICATE', 'AAAA'), keyPem, /^certificate 2 of 2 of the certificate is damaged/],
    [
      block('CERTIFICATE', 'A?AA'),
      keyPem,
      /^the certificate is damaged: PEM block 1 holds characters that are not base64/,
    ],
    [certificatePem.slice(0, 200), keyPem, /^the certificate is damaged: PEM block 1 has no line `-----END CERT/],
    [certificatePem.slice(0, 200) + certificatePem, keyPem, /^the certificate is damaged: PEM block 1 has no line/],
    ['-----BEGIN CERT', keyPem, /^the certificate is damaged: the first line of PEM block 1/],
    [certificatePem, block('PRIVATE KEY', 'AAAA'), /^the private key is damaged: .*holds no key/],
    [certificatePem, keyPem.slice(0, 100), /^the private key is damaged: PEM block 1/],
    [certificatePem.repeat(21), keyPem, /^the certificate holds 21 certificates, more than 20; leave out/],
    [certificatePem + ' '.repeat(64 * 1024), keyPem, /^the certificate is longer than 64 KiB/],
    [certificatePem, keyPem + ' '.repeat(64 * 1024), /^the private key is longer than 64 KiB/],
  ];
  for (const [certificate, key, expected] of table) {
    const text = reason(certificate, key);
    assert.match(text, expected);
    assert.ok(!/[A-Za-z\d+/]{30}/.test(text), `no content in: ${text}`);
  }
});

test('an expired certificate is taken: whether it is one, the peer decides', async () => {
  const old = await selfSigned({ notBeforeMs: Date.UTC(2020, 0, 1), notAfterMs: Date.UTC(2020, 0, 2) });
  assert.equal(material(old.certificatePem, old.keyPem).info.notAfterMs, Date.UTC(2020, 0, 2));
});

test('authorities', () => {
  const found = authorities(`first\n${intermediate.certificatePem}${authority.certificatePem}second\n`);
  assert.equal(found.info.subject, 'CN=between');
  assert.equal(
    found.info.notAfterMs,
    Math.min(Date.UTC(2030, 0, 1), certificateInfo(new X509Certificate(authority.certificatePem)).notAfterMs),
  );
  assert.equal(found.pem, intermediate.certificatePem.trim() + '\n' + authority.certificatePem.trim() + '\n');
  createSecureContext({ ca: found.pem });
  // A certificate that signed itself, and twice the same.
  createSecureContext({ ca: authorities(other.certificatePem.repeat(2)).pem });

  assert.match(authoritiesReason(''), /^the list of authorities is empty/);
  assert.match(authoritiesReason('hello'), /^the list of authorities is not PEM/);
  assert.match(authoritiesReason(leaf.keyPem), /^the list of authorities is a private key/);
  assert.match(authoritiesReason(leaf.certificatePem + leaf.keyPem), /holds a private key too; keep only/);
  const damaged = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  assert.match(
    authoritiesReason(other.certificatePem + damaged),
    /^certificate 2 of 2 of the list of authorities is dam/,
  );
  assert.match(authoritiesReason(damaged.repeat(1_001)), /holds 1001 certificates, more than 1000/);
  assert.match(authoritiesReason(' '.repeat(2 ** 20) + damaged), /longer than 1024 KiB/);
});

test('hostile texts of the largest size end at once', () => {
  const texts = [
    '-----BEGIN CERTIFICATE-----',
    '-----BEGIN A-----\n-----END A-----',
    '-----BEGIN ',
    ' ',
    '-',
    'A',
    '=',
  ];
  for (const text of texts) {
    const long = text.repeat(Math.floor(2 ** 20 / text.length));
    assert.notEqual(authoritiesReason(long), 'accepted');
    assert.notEqual(
      authoritiesReason(`-----BEGIN CERTIFICATE-----\n${long.slice(100)}?\n-----END CERTIFICATE-----`),
      'accepted',
    );
  }
});

test('a damaged certificate or key is refused or taken, and never throws', () => {
  const der = Buffer.from(new X509Certificate(leaf.certificatePem).raw);
  const keyDer = createPrivateKey(leaf.keyPem).export({ type: 'pkcs8', format: 'der' });
  const pem = (label: string, bytes: Buffer): string =>
    `-----BEGIN ${label}-----\n${bytes.toString('base64')}\n-----END ${label}-----\n`;
  let taken = 0;
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 2 });
  fc.assert(
    fc.property(changes, changes, (ofCertificate, ofKey) => {
      const certificate = Buffer.from(der);
      const key = Buffer.from(keyDer);
      for (const [at, value] of ofCertificate) certificate[at % der.length] = value;
      for (const [at, value] of ofKey) key[at % key.length] = value;
      const result = parseCertificate(pem('CERTIFICATE', certificate), pem('PRIVATE KEY', key));
      if (result.ok) taken++;
      parseAuthorities(pem('CERTIFICATE', certificate));
    }),
    { seed: 30, numRuns: 500 },
  );
  assert.ok(taken > 0);
});

test('subjects are written as RFC 4514 writes them', async () => {
  const subject = async (name: string): Promise<string> => {
    const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
    const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' };
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({ keys, signingAlgorithm, name });
    return certificateInfo(new X509Certificate(new Uint8Array(certificate.rawData))).subject;
  };
  assert.equal(await subject('C=DE, O=x, CN=server'), 'CN=server,O=x,C=DE');
  assert.equal(await subject('O=a\\, b \\+ c, CN=\\#1'), 'CN=\\#1,O=a\\, b \\+ c');
  assert.equal(await subject('O=x, CN=a+OU=b'), 'CN=a+OU=b,O=x');
  assert.equal(await subject('CN=münchen'), 'CN=münchen');
  assert.equal(await subject(''), '');
});
