import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { decodeResource } from '../../../../src/config/decode/decode.ts';
import { secretParts } from '../../../../src/config/decode/secret.ts';
import { readNative } from '../../../../src/config/native.ts';
import { describeProblems } from '../../../../src/config/resource.ts';
import { secretSpec } from '../../../../src/config/tls-specs.ts';
import { issueAuthority, issueCertificate } from '../../../support/certificates.ts';
import { encode, resource } from '../../../support/resources.ts';

const authority = await issueAuthority();
const pair = await issueCertificate(authority, { dns: ['cart.example'] });
const other = await issueCertificate(authority, { dns: ['other.example'] });

/** The fields of a Secret as text. */
interface Texts {
  readonly certificate?: string;
  readonly privateKey?: string;
  readonly ca?: string;
}

const PAIR = { certificate: pair.certificatePem, privateKey: pair.keyPem };
const CA = authority.certificatePem;

function bytesOf({ certificate = '', privateKey = '', ca = '' }: Texts): Uint8Array {
  return encode('Secret', {
    certificate: Buffer.from(certificate),
    privateKey: Buffer.from(privateKey),
    ca: Buffer.from(ca),
  });
}

function problems(texts: Texts): string {
  const decoded = decodeResource('Secret', 'shop/tls', bytesOf(texts));
  return decoded.ok ? '' : describeProblems(decoded.problems);
}

test('a certificate with its key, authorities, or both', () => {
  assert.equal(problems(PAIR), '');
  assert.equal(problems({ ca: CA }), '');
  assert.equal(problems({ ca: `${CA}${other.certificatePem}` }), '');
  assert.equal(problems({ ...PAIR, certificate: `${pair.certificatePem}${CA}`, ca: CA }), '');
  assert.equal(problems({}), 'required: certificate with private_key, or ca, or all three');
  assert.equal(problems({ certificate: pair.certificatePem }), 'private_key: required beside certificate');
  assert.equal(problems({ privateKey: pair.keyPem, ca: CA }), 'certificate: required beside private_key');
});

test('what does not parse or fit', () => {
  assert.match(problems({ ...PAIR, privateKey: other.keyPem }), /^the private key does not fit/);
  assert.match(problems({ ...PAIR, certificate: 'x'.repeat(128) }), /^the certificate is not PEM/);
  assert.match(problems({ ...PAIR, ca: 'x'.repeat(128) }), /^ca: .+/);
  assert.match(
    problems({ certificate: 'x'.repeat(128), privateKey: pair.keyPem, ca: 'x'.repeat(128) }),
    /^the certificate .+; ca: /,
  );
  assert.equal(
    problems({ certificate: 'x', privateKey: 'x', ca: 'x' }),
    'certificate: must be PEM text of 128 to 65536 bytes, not 1; ' +
      'private_key: must be PEM text of 64 to 65536 bytes, not 1; ca: must be PEM text of 128 to 1048576 bytes, not 1',
  );
  assert.equal(
    problems({ ...PAIR, privateKey: '[redacted]' }),
    'private_key: is the mark of a key that was taken out: give the key itself',
  );
});

test('no reason shows what is in it', () => {
  const canary = `-----BEGIN PRIVATE KEY-----\n${'CANARY'.repeat(20)}\n-----END PRIVATE KEY-----\n`;
  for (const texts of [
    { ...PAIR, privateKey: canary },
    { ...PAIR, privateKey: 'CANARY'.repeat(20) },
    { ...PAIR, privateKey: 'CANARY' },
    { ...PAIR, certificate: canary },
    { ...PAIR, ca: canary },
    { privateKey: canary },
    { ca: canary },
  ]) {
    assert.notEqual(problems(texts), '');
    assert.doesNotMatch(problems(texts), /CANARY/);
  }
  // The key where a name belongs, and bytes that are cut.
  const named = decodeResource('Secret', 'shop/tls', encode('Secret', { name: canary, ca: Buffer.from(CA) }));
  assert.ok(!named.ok);
  assert.doesNotMatch(describeProblems(named.problems), /CANARY/);
  const bytes = bytesOf({ ...PAIR, privateKey: canary });
  for (let cut = 1; cut < bytes.length; cut += 7) {
    const decoded = decodeResource('Secret', 'shop/tls', bytes.subarray(0, cut));
    assert.ok(!decoded.ok);
    assert.doesNotMatch(describeProblems(decoded.problems), /CANARY/);
  }
  // In another form on the wire.
  const writer = new BinaryWriter().tag(3, WireType.StartGroup).tag(1, WireType.LengthDelimited).string(canary);
  const grouped = decodeResource('Secret', 'shop/tls', writer.tag(3, WireType.EndGroup).finish());
  assert.ok(!grouped.ok);
  assert.doesNotMatch(describeProblems(grouped.problems), /CANARY/);
  // In YAML, in every wrong form.
  for (const value of [canary, `x${canary}`, [canary], { [canary]: 1 }, { a: canary }]) {
    const result = readNative({
      apiVersion: 'outrigger.config/v1',
      kind: 'Secret',
      metadata: { name: 'tls' },
      spec: { private_key: value, [canary]: 1 },
    });
    assert.ok(!result.ok);
    assert.doesNotMatch(describeProblems(result.problems), /CANARY/);
  }
});

test('a pair with characters changed or cut off never throws and shows nothing of the key', () => {
  const keyLines = pair.keyPem.split('\n').filter((line) => line !== '' && !line.startsWith('-----'));
  const spoilt = (pem: string): fc.Arbitrary<string> =>
    fc
      .tuple(fc.nat({ max: pem.length - 1 }), fc.constantFrom('', '\0', '-', '\n', 'A', '=', 'é', pair.certificatePem))
      .map(([at, text]) => (text === '' ? pem.slice(0, at) : pem.slice(0, at) + text + pem.slice(at + 1)));
  fc.assert(
    fc.property(spoilt(pair.certificatePem), spoilt(pair.keyPem), spoilt(CA), (certificate, privateKey, ca) => {
      for (const texts of [
        { ...PAIR, certificate },
        { ...PAIR, privateKey },
        { certificate, privateKey, ca },
      ]) {
        const found = problems(texts);
        for (const line of keyLines) assert.equal(found.includes(line.slice(0, 12)), false, found);
      }
    }),
    { seed: 61, numRuns: 150 },
  );
});

test('the material is parsed once per resource', () => {
  const made = resource('Secret', 'shop/tls', {
    certificate: Buffer.from(pair.certificatePem),
    privateKey: Buffer.from(pair.keyPem),
    ca: Buffer.from(CA),
  });
  assert.equal(secretParts(made.message), secretParts(made.message));
  const spec = secretSpec(made);
  assert.equal(spec.name, 'shop/tls');
  assert.equal(spec.certificate, secretSpec(made).certificate);
  assert.equal(spec.authorities, secretSpec(made).authorities);
  assert.deepEqual(spec.certificate?.info.names.dns, ['cart.example']);
  assert.equal(spec.certificate.key.reveal().trim(), pair.keyPem.trim());
  assert.match(spec.authorities?.pem ?? '', /BEGIN CERTIFICATE/);
  const alone = secretSpec(resource('Secret', 'shop/ca', { ca: Buffer.from(CA) }));
  assert.equal(alone.certificate, undefined);
});
