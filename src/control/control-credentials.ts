import type { TlsFiles } from '../config/tls-files.ts';
import type { Credentials } from '../identity/credentials.ts';
import type { AuthoritiesSource, CertificateSource } from '../model/tls.ts';
import type { ControlCredentials } from './channel-security.ts';

/**
 * The identity towards the control planes: asked each time a stream is opened, it is the one in force then, or why there
 * is none. The files are in use, and so watched, until the store stops.
 */
export function controlCredentials(
  { caFile, certificateFile, keyFile }: TlsFiles,
  credentials: Pick<Credentials, 'use' | 'certificate' | 'authorities'>,
): () => ControlCredentials | string {
  const own: CertificateSource | undefined =
    certificateFile === undefined || keyFile === undefined ? undefined : { kind: 'files', certificateFile, keyFile };
  const trusted: AuthoritiesSource | undefined = caFile === undefined ? undefined : { kind: 'file', file: caFile };
  credentials.use({
    certificates: own ? [own] : [],
    authorities: trusted ? [trusted] : [],
    usedBy: 'control',
    onChange: () => undefined, // the next stream asks
  });
  return () => {
    const certificate = own && credentials.certificate(own);
    const ca = trusted && credentials.authorities(trusted);
    if (certificate && !certificate.material) return certificate.error;
    if (ca && !ca.material) return ca.error;
    return {
      ca: ca?.material && Buffer.from(ca.material.pem),
      certificate: certificate?.material && Buffer.from(certificate.material.certificatePem),
      key: certificate?.material && Buffer.from(certificate.material.key.reveal()),
    };
  };
}
