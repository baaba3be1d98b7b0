import type { Secret } from '../../gen/outrigger/config/v1/secret.ts';
import { parseAuthorities, parseCertificate, type Parsed } from '../../identity/certificate.ts';
import type { AuthoritiesMaterial, CertificateMaterial } from '../../model/tls.ts';
import type { ProblemList } from '../problem-list.ts';
import { REDACTED } from '../redact.ts';
import { AUTHORITIES_BYTES, CERTIFICATE_BYTES, checkSize, KEY_BYTES } from './tls.ts';

/** What a Secret holds, parsed; undefined for what it doesn't hold. */
export interface SecretParts {
  readonly certificate: Parsed<CertificateMaterial> | undefined;
  readonly authorities: Parsed<AuthoritiesMaterial> | undefined;
}

/** Checks a Secret. Never says what is in it. */
export function checkSecret(message: Secret, problems: ProblemList): void {
  const { certificate, privateKey, ca } = message;
  const before = problems.size;
  if (certificate.length === 0 && privateKey.length === 0 && ca.length === 0) {
    problems.add('', 'required: certificate with private_key, or ca, or all three');
  }
  if (certificate.length > 0) checkSize(certificate, CERTIFICATE_BYTES, problems, 'certificate');
  else if (privateKey.length > 0) problems.add('certificate', 'required beside private_key');
  if (privateKey.length === 0) {
    if (certificate.length > 0) problems.add('private_key', 'required beside certificate');
  } else if (privateKey.toString('latin1') === REDACTED) {
    problems.add('private_key', 'is the mark of a key that was taken out: give the key itself');
  } else checkSize(privateKey, KEY_BYTES, problems, 'private_key');
  if (ca.length > 0) checkSize(ca, AUTHORITIES_BYTES, problems, 'ca');
  if (problems.size > before) return;
  const parts = secretParts(message);
  // The reason says whether it is about the certificate or its key.
  if (parts.certificate?.ok === false) problems.add('', parts.certificate.reason);
  if (parts.authorities?.ok === false) problems.add('ca', parts.authorities.reason);
}

const parsed = new WeakMap<Secret, SecretParts>();

/** What the Secret holds. The same message gives the same objects. */
export function secretParts(message: Secret): SecretParts {
  let parts = parsed.get(message);
  if (parts === undefined) {
    const { certificate, privateKey, ca } = message;
    parts = {
      certificate: certificate.length > 0 ? parseCertificate(text(certificate), text(privateKey)) : undefined,
      authorities: ca.length > 0 ? parseAuthorities(text(ca)) : undefined,
    };
    parsed.set(message, parts);
  }
  return parts;
}

function text(pem: Uint8Array): string {
  return Buffer.from(pem.buffer, pem.byteOffset, pem.length).toString('utf8');
}
