// The certificate that every peer shows: one for all of them, made anew for each run.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { issueAuthority, issueCertificate } from '../support/certificates.ts';

/** Where it stands, as PEM. */
export interface CertificateFiles {
  readonly certificate: string;
  readonly key: string;
  /** Certificate and key in one file, as HAProxy takes them. */
  readonly both: string;
  /** The authority that signed it. */
  readonly authorityPem: string;
}

/** Writes an ECDSA P-256 certificate for localhost and 127.0.0.1 into a folder. */
export async function writeCertificate(folder: string): Promise<CertificateFiles> {
  const authority = await issueAuthority();
  const { chain, keyPem } = await issueCertificate(authority, { dns: ['localhost'], ips: ['127.0.0.1'] });
  const write = (name: string, text: string): string => {
    const file = join(folder, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  return {
    certificate: write('server.pem', chain),
    key: write('server-key.pem', keyPem),
    both: write('server-both.pem', `${chain}\n${keyPem}`),
    authorityPem: authority.certificatePem,
  };
}
