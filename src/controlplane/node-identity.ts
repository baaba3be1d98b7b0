// Who asks, read from the node of a request.
import { canonicalIp, isLoopbackIp } from '../base/ip-address.ts';
import type { Node } from '../gen/envoy/config/core/v3/base.ts';

/** Who asks, as far as it decides what is seen. */
export interface NodeIdentity {
  readonly id: string;
  /** Addresses of the node's own Pod, canonical, without loopback ones: many sidecars share those. */
  readonly podIps: readonly string[];
  /** `namespace/name` of the services that it wants; undefined: all but those that its own Pod backs. */
  readonly services: readonly string[] | undefined;
}

/** Reads `pod_ip` (one address, or several with commas) and `services` of the node's metadata. */
export function identify(node: Node | undefined): NodeIdentity {
  const metadata: Readonly<Record<string, unknown>> = node?.metadata ?? {};
  const podIp = metadata['pod_ip'];
  const podIps = typeof podIp === 'string' ? podIp.split(',').map((text) => canonicalIp(text.trim())) : [];
  const listed = metadata['services'];
  const services = Array.isArray(listed) ? listed.filter((name) => typeof name === 'string' && name !== '') : [];
  return {
    id: node?.id ?? '',
    podIps: podIps.filter((ip) => ip !== undefined).filter((ip) => !isLoopbackIp(ip)),
    services: services.length === 0 ? undefined : services.map(withNamespace),
  };
}

function withNamespace(name: string): string {
  return name.includes('/') ? name : `default/${name}`;
}
