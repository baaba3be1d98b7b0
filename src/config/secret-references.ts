// Which Secrets a Listener or an Upstream names, and for what. The one place that knows the fields.
import type { Listener } from '../gen/outrigger/config/v1/listener.ts';
import type { UpstreamTls } from '../gen/outrigger/config/v1/tls.ts';
import type { Upstream } from '../gen/outrigger/config/v1/upstream.ts';
import { entry } from './problem-list.ts';

/** A Secret as it is named. */
export interface SecretReference {
  readonly name: string;
  /** What of it is used. */
  readonly part: 'certificate' | 'ca';
  /** Field of the resource that names it. */
  readonly path: string;
}

const NONE: readonly SecretReference[] = [];

/** Those of a Listener. */
export function listenerSecrets({ tls }: Listener): readonly SecretReference[] {
  if (tls === undefined) return NONE;
  return present([
    ...tls.certificates.map(({ secret }, i) =>
      reference(secret, 'certificate', `${entry('tls.certificates', i)}.secret`),
    ),
    reference(tls.clientCa?.secret, 'ca', 'tls.client_ca.secret'),
  ]);
}

/** Those of an Upstream, for itself or for one of its ports. */
export function upstreamSecrets({ tls, portLevelSettings }: Upstream): readonly SecretReference[] {
  // Of ten thousand Upstreams hardly one says anything of TLS, and all are asked at each change.
  if (tls === undefined && portLevelSettings.length === 0) return NONE;
  const found = [...tlsSecrets(tls, 'tls')];
  for (const [i, port] of portLevelSettings.entries()) {
    if (port.tls) found.push(...tlsSecrets(port.tls, `${entry('port_level_settings', i)}.tls`));
  }
  return found;
}

function tlsSecrets(tls: UpstreamTls | undefined, path: string): readonly SecretReference[] {
  if (tls === undefined) return NONE;
  return present([
    reference(tls.clientCertId, 'certificate', `${path}.client_cert_id`),
    reference(tls.clientCertificate?.secret, 'certificate', `${path}.client_certificate.secret`),
    reference(tls.ca?.secret, 'ca', `${path}.ca.secret`),
  ]);
}

function reference(name: string | undefined, part: SecretReference['part'], path: string): SecretReference | undefined {
  return name === undefined || name === '' ? undefined : { name, part, path };
}

function present(references: readonly (SecretReference | undefined)[]): readonly SecretReference[] {
  return references.filter((one) => one !== undefined);
}
