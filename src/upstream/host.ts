import { isSecureScheme, type HostPolicy, type Scheme } from '../model/policy.ts';
import type { EndpointSpec } from '../model/snapshot.ts';

/**
 * The host sent to an endpoint for a request that came with `authority`: that, the endpoint's name or address, or a fixed
 * one (APISIX `pass_host`). The port is left out where `node` is asked for and it is the scheme's own.
 */
export function hostFor(host: HostPolicy, scheme: Scheme, spec: EndpointSpec, authority: string): string {
  if (host.passHost === 'rewrite') return host.upstreamHost;
  if (host.passHost === 'pass' && authority !== '') return authority;
  const { address, port, host: name } = spec;
  const node = name !== '' ? name : address.includes(':') ? `[${address}]` : address;
  if (host.passHost === 'node' && port === (isSecureScheme(scheme) ? 443 : 80)) return node;
  return `${node}:${port}`;
}
