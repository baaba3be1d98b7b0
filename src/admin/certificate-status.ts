import type { CertificateStatus } from '../gen/outrigger/admin/v1/admin.ts';
import type { SubjectAltNames } from '../model/tls.ts';
import type { CertificateView, ResourceView } from './views.ts';

/** Names and users shown of one certificate; `and N more` stands for the others. */
const MAX_LISTED = 100;

/** The message of a certificate, or of authorities, as of now. Holds no key: the view has none. */
export function certificateStatus({ name, kind, usedBy, info, error }: CertificateView): CertificateStatus {
  return {
    name,
    kind,
    usedBy: bounded(usedBy),
    subject: info?.subject ?? '',
    names: info ? bounded(namesOf(info.names)) : [],
    notBefore: info && new Date(info.notBeforeMs),
    notAfter: info && new Date(info.notAfterMs),
    fingerprint: info?.fingerprint ?? '',
    error,
  };
}

/** A little more than the message's size on the wire. */
export function certificateBytes(certificate: CertificateView): number {
  const { name, kind, usedBy, subject, names, fingerprint, error } = certificateStatus(certificate);
  const texts = [name, kind, subject, fingerprint, error, ...usedBy, ...names];
  return texts.reduce((bytes, text) => bytes + 4 + Buffer.byteLength(text), 40);
}

/**
 * The certificates, each with what became of the newest version of the Secret that it comes from: what is in use can't
 * know of one that was refused.
 */
export function withSecretProblems(
  certificates: readonly CertificateView[],
  resources: Iterable<ResourceView>,
): readonly CertificateView[] {
  const problems = new Map<string, string>();
  for (const resource of resources) {
    const problem = resource.kind === 'Secret' ? secretProblem(resource) : '';
    if (problem !== '') problems.set(`Secret ${resource.name}`, problem);
  }
  return certificates.map((certificate) => {
    const problem = problems.get(certificate.name);
    if (problem === undefined) return certificate;
    return { ...certificate, error: certificate.error === '' ? problem : `${problem} (${certificate.error})` };
  });
}

/** Empty if all is well, or nothing is known. */
function secretProblem({ state, error }: ResourceView): string {
  if (state === 'removed') return 'the control plane removed the Secret: what it held stays in use';
  if (state === 'nacked') return `not up to date: ${error}`;
  return state === 'does_not_exist' ? error : '';
}

/** Alternative names in the words of certificate tools. */
function namesOf({ dns, uris, ips }: SubjectAltNames): string[] {
  return [...dns.map((name) => `DNS:${name}`), ...uris.map((uri) => `URI:${uri}`), ...ips.map((ip) => `IP:${ip}`)];
}

function bounded(list: readonly string[]): string[] {
  if (list.length <= MAX_LISTED) return [...list];
  return [...list.slice(0, MAX_LISTED), `and ${list.length - MAX_LISTED} more`];
}
