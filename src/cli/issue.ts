// Issues X.509 certificates for tests and demos: an authority, and what it signs. The library that writes them is loaded
// when the first one is asked for, so no other command pays for it.
import { createPrivateKey, generateKeyPairSync, webcrypto, X509Certificate, type KeyObject } from 'node:crypto';
import type * as X509 from '@peculiar/x509';
import { secretBytes } from '../base/rng.ts';
import { SecretText } from '../base/secret-text.ts';

/** Algorithm of a key. */
export type KeyType = 'P-256' | 'P-384' | 'RSA-2048';

/** How long a certificate is valid, and what is common to all of them. */
export interface IssueOptions {
  /** The only part of the subject; at most 64 characters (RFC 5280 appendix A.1). Empty: the subject has no part. */
  readonly commonName: string;
  /** ms since 1970; whole seconds are written. */
  readonly notBeforeMs: number;
  /** ms since 1970, the last moment included. */
  readonly notAfterMs: number;
  /** Default `P-256`. */
  readonly keyType?: KeyType | undefined;
}

/** Options of an authority. */
export interface AuthorityOptions extends IssueOptions {
  /** Who signs it; undefined: itself. */
  readonly parent?: Authority | undefined;
}

/** Names and uses of a certificate. */
export interface LeafOptions extends IssueOptions {
  readonly dns?: readonly string[] | undefined;
  readonly uris?: readonly string[] | undefined;
  /** IPv4 or IPv6 addresses without brackets. */
  readonly ips?: readonly string[] | undefined;
  /** DER of GeneralNames (RFC 5280 section 4.2.1.6), in place of the three lists. */
  readonly rawSubjectAltName?: Uint8Array | undefined;
  /** Extended key usages; default both. Empty: the extension is left out. */
  readonly usage?: readonly ('server' | 'client')[] | undefined;
}

/** A certificate with its key. */
export interface Issued {
  /** PEM, this one alone. */
  readonly certificatePem: string;
  /** PEM: this one and the authorities between it and the root, as a server sends them. */
  readonly chainPem: string;
  /** PKCS #8, PEM. */
  readonly key: SecretText;
}

/** An authority that can sign. */
export interface Authority {
  /** PEM, this one alone. */
  readonly certificatePem: string;
  /** PEM: what its certificates need besides themselves to lead to the root; empty for a root. */
  readonly intermediatesPem: string;
  /** PKCS #8, PEM. */
  readonly key: SecretText;
}

/** Makes an authority with a key of its own. */
export async function issueAuthority(options: AuthorityOptions): Promise<Authority> {
  const x509 = await loadX509();
  const { parent } = options;
  const { keyCertSign, cRLSign } = x509.KeyUsageFlags;
  const { certificatePem, key } = await issue(options, parent, keyCertSign | cRLSign, [
    new x509.BasicConstraintsExtension(true, undefined, true),
  ]);
  return { certificatePem, intermediatesPem: parent ? certificatePem + parent.intermediatesPem : '', key };
}

/** Makes a certificate with a key of its own. Without an authority it is signed with that key. */
export async function issueCertificate(authority: Authority | undefined, options: LeafOptions): Promise<Issued> {
  const x509 = await loadX509();
  const { usage = ['server', 'client'], dns = [], uris = [], ips = [] } = options;
  const extensions: X509.Extension[] = [new x509.BasicConstraintsExtension(false, undefined, true)];
  if (usage.length > 0) {
    const { serverAuth, clientAuth } = x509.ExtendedKeyUsage;
    extensions.push(
      new x509.ExtendedKeyUsageExtension(usage.map((use) => (use === 'server' ? serverAuth : clientAuth))),
    );
  }
  if (options.rawSubjectAltName !== undefined) {
    extensions.push(new x509.Extension(SUBJECT_ALT_NAME, false, options.rawSubjectAltName));
  } else if (dns.length + uris.length + ips.length > 0) {
    const names = [
      ...dns.map((value) => ({ type: 'dns' as const, value })),
      ...uris.map((value) => ({ type: 'url' as const, value })),
      ...ips.map((value) => ({ type: 'ip' as const, value })),
    ];
    extensions.push(new x509.SubjectAlternativeNameExtension(names));
  }
  const { digitalSignature, keyEncipherment } = x509.KeyUsageFlags;
  const keyUsage = options.keyType === 'RSA-2048' ? digitalSignature | keyEncipherment : digitalSignature;
  const { certificatePem, key } = await issue(options, authority, keyUsage, extensions);
  return { certificatePem, chainPem: certificatePem + (authority?.intermediatesPem ?? ''), key };
}

/** Why these can't sign a certificate that is valid until `notAfterMs`; undefined: they can. Never shows the key. */
export function authorityProblem(certificatePem: string, key: SecretText, notAfterMs: number): string | undefined {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(certificatePem);
  } catch {
    return 'the certificate is not PEM';
  }
  if (!certificate.ca) return 'the certificate is not that of an authority';
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(key.reveal());
  } catch {
    return 'the key is not an unencrypted key in PEM';
  }
  if (!certificate.checkPrivateKey(privateKey)) return 'the key does not fit the certificate';
  if (new Date(certificate.validTo).getTime() < notAfterMs) {
    return `the authority ends before its certificates would (${certificate.validTo})`;
  }
  return signingAlgorithm(privateKey) ? undefined : 'the key is neither RSA nor ECDSA with P-256, P-384 or P-521';
}

const SUBJECT_ALT_NAME = '2.5.29.17';
const CURVES: Readonly<Record<string, string>> = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' };

function makeKeyPair(type: KeyType): { publicKey: KeyObject; privateKey: KeyObject } {
  return type === 'RSA-2048'
    ? generateKeyPairSync('rsa', { modulusLength: 2048 })
    : generateKeyPairSync('ec', { namedCurve: type });
}

/** Signs a certificate for a new key, with the authority's key or with its own. */
async function issue(
  { commonName, notBeforeMs, notAfterMs, keyType = 'P-256' }: IssueOptions,
  authority: Authority | undefined,
  keyUsage: number,
  extensions: readonly X509.Extension[],
): Promise<{ certificatePem: string; key: SecretText }> {
  const x509 = await loadX509();
  const { publicKey, privateKey } = makeKeyPair(keyType);
  const issuerKey = authority ? createPrivateKey(authority.key.reveal()) : privateKey;
  const algorithm = signingAlgorithm(issuerKey);
  if (!algorithm) throw new TypeError('an authority is signed with a kind of key that signs no certificates here');
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    issuerKey.export({ type: 'pkcs8', format: 'der' }),
    algorithm,
    false,
    ['sign'],
  );
  // A plain text would be searched for quotes.
  const subject = new x509.Name(commonName === '' ? [] : [{ CN: [{ utf8String: commonName }] }]);
  const issuer = authority && new x509.X509Certificate(authority.certificatePem);
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const identifier = await x509.SubjectKeyIdentifierExtension.create(spki);
  // The issuer's own identifier where it has one: an authority from elsewhere may have been numbered another way.
  const issuerIdentifier = issuer ? issuer.getExtension(x509.SubjectKeyIdentifierExtension) : identifier;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject,
    issuer: issuer?.subjectName ?? subject,
    notBefore: new Date(notBeforeMs),
    notAfter: new Date(notAfterMs),
    publicKey: spki,
    signingKey,
    signingAlgorithm: algorithm,
    extensions: [
      ...extensions,
      new x509.KeyUsagesExtension(keyUsage, true),
      identifier,
      ...(issuerIdentifier ? [new x509.AuthorityKeyIdentifierExtension(issuerIdentifier.keyId)] : []),
    ],
  });
  return {
    certificatePem: `${certificate.toString('pem')}\n`,
    key: new SecretText(privateKey.export({ type: 'pkcs8', format: 'pem' }) as string),
  };
}

/** How a key signs certificates; undefined where it can't. */
function signingAlgorithm(key: KeyObject): { name: string; hash: string; namedCurve?: string } | undefined {
  if (key.asymmetricKeyType === 'rsa') return { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  const namedCurve = CURVES[key.asymmetricKeyDetails?.namedCurve ?? ''];
  if (namedCurve === undefined) return undefined;
  return {
    name: 'ECDSA',
    hash: namedCurve === 'P-256' ? 'SHA-256' : namedCurve === 'P-384' ? 'SHA-384' : 'SHA-512',
    namedCurve,
  };
}

/** 128 bits that nobody can guess; the first are fixed, so that the number is positive and never short. */
function serialNumber(): string {
  const bytes = secretBytes(17);
  bytes[0] = 0x01;
  return bytes.toString('hex');
}

let loading: Promise<typeof X509> | undefined;

/** The library needs what `reflect-metadata` installs before it is loaded itself. */
function loadX509(): Promise<typeof X509> {
  return (loading ??= import('reflect-metadata').then(() => import('@peculiar/x509')));
}
