// Certificates for tests, made when they are needed: no key stands in the tree.
import { systemClock } from '../../src/base/clock.ts';
import * as issuing from '../../src/cli/issue.ts';

const HOUR_MS = 3_600_000;

/** A certificate with its key, as PEM. */
export interface TestCertificate {
  /** This one alone. */
  readonly certificatePem: string;
  readonly keyPem: string;
  /** This one and the authorities between it and the root, as a server sends them. */
  readonly chain: string;
}

/** An authority; `certificatePem` is what its relying parties trust. */
export interface TestAuthority extends TestCertificate {
  readonly authority: issuing.Authority;
}

export interface TestAuthorityOptions {
  /** Default `test authority`. */
  readonly commonName?: string;
  /** ms since 1970; default an hour ago. */
  readonly notBeforeMs?: number;
  /** ms since 1970; default in a day. */
  readonly notAfterMs?: number;
  /** Default P-256. */
  readonly keyType?: issuing.KeyType;
  /** Who signs it; left out: itself. */
  readonly parent?: TestAuthority;
}

export interface TestCertificateOptions extends Omit<TestAuthorityOptions, 'parent'> {
  readonly dns?: readonly string[];
  readonly uris?: readonly string[];
  readonly ips?: readonly string[];
  /** DER of GeneralNames, in place of the three lists. */
  readonly rawSubjectAltName?: Uint8Array;
  /** Default both; empty: no extended key usage. */
  readonly usage?: readonly ('server' | 'client')[];
}

export async function issueAuthority(options: TestAuthorityOptions = {}): Promise<TestAuthority> {
  const { parent, ...rest } = options;
  const authority = await issuing.issueAuthority({
    commonName: 'test authority',
    ...validity(),
    ...rest,
    parent: parent?.authority,
  });
  const { certificatePem, intermediatesPem, key } = authority;
  return { certificatePem, keyPem: key.reveal(), chain: intermediatesPem || certificatePem, authority };
}

export function issueCertificate(
  { authority }: TestAuthority,
  options: TestCertificateOptions = {},
): Promise<TestCertificate> {
  return issueLeaf(authority, options);
}

/** A certificate that no authority signed. */
export function selfSigned(options: TestCertificateOptions = {}): Promise<TestCertificate> {
  return issueLeaf(undefined, options);
}

async function issueLeaf(
  authority: issuing.Authority | undefined,
  options: TestCertificateOptions,
): Promise<TestCertificate> {
  const issued = await issuing.issueCertificate(authority, {
    commonName: 'test certificate',
    ...validity(),
    ...options,
  });
  return { certificatePem: issued.certificatePem, keyPem: issued.key.reveal(), chain: issued.chainPem };
}

function validity(): { notBeforeMs: number; notAfterMs: number } {
  const nowMs = systemClock().wallMs();
  return { notBeforeMs: nowMs - HOUR_MS, notAfterMs: nowMs + 24 * HOUR_MS };
}
