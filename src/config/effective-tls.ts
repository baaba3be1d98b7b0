// TLS towards the endpoints of one service port: one group.
import type { UpstreamTls } from '../gen/outrigger/config/v1/tls.ts';
import type { UpstreamTlsPolicy } from '../model/tls.ts';
import type { PolicyLevels } from './levels.ts';
import { DEFAULT_UPSTREAM_TLS, upstreamTlsPolicy } from './tls-specs.ts';

/** Members that provenance tells one by one. */
const MEMBERS: readonly (readonly [name: string, of: (tls: UpstreamTls) => unknown])[] = [
  ['client_cert', (tls) => tls.clientCert],
  ['client_key', (tls) => tls.clientKey],
  ['client_cert_id', (tls) => tls.clientCertId],
  ['client_certificate', (tls) => tls.clientCertificate],
  ['verify', (tls) => tls.verify],
  ['ca_certs', (tls) => tls.caCerts[0]],
  ['ca', (tls) => tls.ca],
  ['server_name', (tls) => tls.serverName],
  ['server_names', (tls) => tls.serverNames[0]],
];

/** Undefined where nothing goes over TLS: then the setting has no effect. `owner` is the resource, `Upstream default/web`. */
export function effectiveTls(levels: PolicyLevels, owner: string, overTls: boolean): UpstreamTlsPolicy | undefined {
  const group = levels.group((fields) => fields.tls);
  group.note('tls');
  if (!overTls) return undefined;
  const tls = group.members;
  if (tls?.off !== true) for (const [name, of] of MEMBERS) group.take(`tls.${name}`, of);
  return tls === undefined ? DEFAULT_UPSTREAM_TLS : upstreamTlsPolicy(tls, owner);
}
