// Certificates and keys as they are configured → material that a handshake can use. What is refused here would fail at
// each handshake, or fail later: so whoever configures it hears of it at once, and what was in force stays.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { SecretText } from '../base/secret-text.ts';
import type { AuthoritiesMaterial, CertificateInfo, CertificateMaterial } from '../model/tls.ts';
import { type PemBlock, readPemBlocks } from './certificate-pem.ts';
import { readSubjectAltNames } from './names.ts';

/** Material, or what is wrong and what to change, without any of the content. */
export type Parsed<M> = { readonly ok: true; readonly material: M } | { readonly ok: false; readonly reason: string };

/** Longest chain and longest key, characters (APISIX `tls.client_cert`, `tls.client_key`). */
const MAX_CHAIN_LENGTH = 64 * 1024;
const MAX_CHAIN_CERTIFICATES = 20;
/** Longest bundle of authorities, characters. */
const MAX_AUTHORITIES_LENGTH = 1024 * 1024;
const MAX_AUTHORITIES = 1_000;
/** Shorter ones are refused in handshakes at OpenSSL's security level 2, the default of newer Node. */
const MIN_RSA_BITS = 2048;
/** Curves of TLS 1.3 signatures (RFC 8446 section 4.2.3), as OpenSSL calls them. */
const CURVES: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
const KEY_TYPES: ReadonlySet<string> = new Set(['rsa', 'rsa-pss', 'ec', 'ed25519', 'ed448']);

const CERTIFICATE = 'CERTIFICATE';
const PRIVATE_KEYS: ReadonlySet<string> = new Set(['PRIVATE KEY', 'RSA PRIVATE KEY', 'EC PRIVATE KEY']);
const ENCRYPTED_KEY = 'ENCRYPTED PRIVATE KEY';

/** Thrown inside this file only; the message is the reason. */
class Refused extends Error {}

/**
 * A certificate chain, the leaf first, with the leaf's private key. Text around the PEM blocks is dropped. Refused are
 * damaged or encrypted material, a key that doesn't fit the leaf, keys that TLS doesn't take (RSA below 2048 bits, curves
 * other than P-256, P-384 and P-521), over 64 KiB, and over 20 certificates. Times are not looked at.
 */
export function parseCertificate(certificatePem: string, keyPem: string): Parsed<CertificateMaterial> {
  return parsed(() => {
    const chain = readCertificates(certificatePem, {
      what: 'the certificate',
      maxLength: MAX_CHAIN_LENGTH,
      maxCount: MAX_CHAIN_CERTIFICATES,
    });
    const [leaf] = chain;
    const key = readKey(keyPem);
    checkFit(chain, key);
    const pem = chain.map(String).join('');
    const keyText = String(key.export({ type: 'pkcs8', format: 'pem' }));
    try {
      createSecureContext({ cert: pem, key: keyText });
    } catch (error) {
      throw new Refused(`TLS refuses the certificate (${opensslReason(error)}); use another one`);
    }
    const info = { ...certificateInfo(leaf), notAfterMs: earliestEnd(chain) };
    return { certificatePem: pem, key: new SecretText(keyText), info };
  });
}

/**
 * Certificates to trust: one or more. They need not be those of authorities: a certificate that signed itself is trusted
 * as it is. Refused are damaged ones, private keys among them, over 1 MiB and over 1,000.
 */
export function parseAuthorities(pem: string): Parsed<AuthoritiesMaterial> {
  return parsed(() => {
    const authorities = readCertificates(pem, {
      what: 'the list of authorities',
      maxLength: MAX_AUTHORITIES_LENGTH,
      maxCount: MAX_AUTHORITIES,
    });
    const info = { ...certificateInfo(authorities[0]), notAfterMs: earliestEnd(authorities) };
    return { pem: authorities.map(String).join(''), info };
  });
}

function parsed<M>(read: () => M): Parsed<M> {
  try {
    return { ok: true, material: read() };
  } catch (error) {
    if (error instanceof Refused) return { ok: false, reason: error.message };
    throw error;
  }
}

type Certificates = readonly [X509Certificate, ...X509Certificate[]];

interface Expected {
  readonly what: string;
  readonly maxLength: number;
  readonly maxCount: number;
}

function readCertificates(text: string, { what, maxLength, maxCount }: Expected): Certificates {
  const blocks = readBlocks(text, what, CERTIFICATE, maxLength);
  // A certificate is shown in dumps and sent to peers, so a key must not travel with it.
  const key = blocks.find(({ label }) => label.endsWith('PRIVATE KEY'));
  if (key && blocks.length === 1) throw new Refused(`${what} is a private key; give the certificate in its place`);
  if (key) throw new Refused(`${what} holds a private key too; keep only certificates there`);
  const other = blocks.find(({ label }) => label !== CERTIFICATE);
  if (other) {
    const fix =
      other.label === 'TRUSTED CERTIFICATE'
        ? 'convert it with `openssl x509 -in FILE -out NEW`'
        : 'keep only blocks of CERTIFICATE there';
    throw new Refused(`${what} holds a PEM block of ${other.label}; ${fix}`);
  }
  if (blocks.length > maxCount) {
    throw new Refused(
      `${what} holds ${blocks.length} certificates, more than ${maxCount}; leave out what isn't needed`,
    );
  }
  const [first, ...rest] = blocks.map((block, i) =>
    readCertificate(block, blocks.length === 1 ? what : `certificate ${i + 1} of ${blocks.length} of ${what}`),
  );
  if (!first) throw new Refused(`${what} is empty; give one in PEM`);
  return [first, ...rest];
}

function readCertificate(block: PemBlock, what: string): X509Certificate {
  try {
    const certificate = new X509Certificate(block.pem);
    const { notBeforeMs, notAfterMs } = certificateInfo(certificate);
    if (Number.isFinite(notBeforeMs) && Number.isFinite(notAfterMs)) return certificate;
  } catch {
    throw new Refused(`${what} is damaged: its PEM block holds no X.509 certificate; write it again from its source`);
  }
  throw new Refused(`${what} has no readable time of validity; have it issued again`);
}

function readKey(text: string): KeyObject {
  const what = 'the private key';
  const blocks = readBlocks(text, what, 'PRIVATE KEY', MAX_CHAIN_LENGTH);
  const encrypted = blocks.some(({ label, hasHeaders }) => label === ENCRYPTED_KEY || hasHeaders);
  if (encrypted) throw new Refused(`${what} is encrypted; decrypt it: \`openssl pkey -in FILE -out NEW\``);
  const keys = blocks.filter(({ label }) => PRIVATE_KEYS.has(label));
  const [block] = keys;
  if (!block) {
    const label = blocks[0]?.label ?? '';
    if (label === CERTIFICATE) throw new Refused(`${what} is a certificate; give the key in its place`);
    if (label.endsWith('PUBLIC KEY')) throw new Refused(`${what} is a public key; give the private one`);
    throw new Refused(`${what} is a PEM block of ${label}; convert it to PKCS#8: \`openssl pkey -in FILE -out NEW\``);
  }
  if (keys.length > 1)
    throw new Refused(`there are ${keys.length} private keys; keep the one that fits the certificate`);
  let key: KeyObject;
  try {
    key = createPrivateKey(block.pem);
  } catch {
    throw new Refused(`${what} is damaged: its PEM block holds no key; write it again from its source`);
  }
  checkStrength(key);
  return key;
}

function checkStrength(key: KeyObject): void {
  const type = key.asymmetricKeyType ?? '';
  if (!KEY_TYPES.has(type)) {
    throw new Refused(
      `the private key is of type ${type}, which TLS doesn't sign with; use ECDSA P-256, Ed25519 or RSA`,
    );
  }
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  if (modulusLength !== undefined && modulusLength < MIN_RSA_BITS) {
    throw new Refused(`the RSA key has ${modulusLength} bits; use at least ${MIN_RSA_BITS}, or ECDSA P-256`);
  }
  if (type === 'ec' && !CURVES.has(namedCurve ?? '')) {
    throw new Refused("the key's curve is none that TLS 1.3 signs with; use P-256, P-384 or P-521");
  }
}

function checkFit(chain: Certificates, key: KeyObject): void {
  if (fits(chain[0], key)) return;
  const at = chain.findIndex((certificate) => fits(certificate, key));
  throw new Refused(
    at === -1
      ? 'the private key does not fit the certificate; give the key that the certificate was issued for'
      : `the private key fits certificate ${at + 1} of ${chain.length}, not the first; put that one first`,
  );
}

function fits(certificate: X509Certificate, key: KeyObject): boolean {
  try {
    return certificate.checkPrivateKey(key);
  } catch {
    return false;
  }
}

/** Blocks of a text that is neither empty nor too long nor something else than PEM. */
function readBlocks(text: string, what: string, label: string, maxLength: number): readonly PemBlock[] {
  if (text.trim() === '') throw new Refused(`${what} is empty; give it in PEM`);
  if (text.length > maxLength) throw new Refused(`${what} is longer than ${maxLength / 1024} KiB; shorten it`);
  const blocks = readPemBlocks(text);
  if ('damaged' in blocks) throw new Refused(`${what} is damaged: ${blocks.damaged}; write it again from its source`);
  if (blocks.length === 0) {
    throw new Refused(`${what} is not PEM: it has no line \`-----BEGIN ${label}-----\`; convert DER with openssl`);
  }
  return blocks;
}

/** What is shown of a certificate, as a handshake brings it. Takes some 0.2 ms: keep it where it is asked for often. */
export function certificateInfo(certificate: X509Certificate): CertificateInfo {
  return {
    subject: subjectOf(certificate),
    names: readSubjectAltNames(certificate.raw),
    notBeforeMs: timeMs(certificate.validFrom),
    notAfterMs: timeMs(certificate.validTo),
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
  };
}

/**
 * RFC 4514 begins with the last name. Node gives a line for each, escaped as that RFC asks, and ` + ` within one of
 * several values; a plus in a value has a backslash before it.
 */
function subjectOf(certificate: X509Certificate): string {
  // Node's types have no undefined here, but an empty subject is one.
  const lines: string | undefined = certificate.subject;
  return (lines ?? '').split('\n').toReversed().join(',').replaceAll(' + ', '+');
}

function earliestEnd(certificates: Certificates): number {
  return Math.min(...certificates.map(({ validTo }) => timeMs(validTo)));
}

/** Of `Nov 24 06:39:39 2026 GMT`; NaN for what isn't a time. */
function timeMs(text: string): number {
  return new Date(text).getTime();
}

function opensslReason(error: unknown): string {
  return error instanceof Error && 'reason' in error && typeof error.reason === 'string'
    ? error.reason
    : 'bad material';
}
