// Endpoints as the data plane sees them.
import { DEFAULT_WEIGHT } from '../model/defaults.ts';
import { orderedEndpoints } from '../model/endpoint-list.ts';
import { isSecureScheme, type Scheme } from '../model/policy.ts';
import type { EndpointSpec } from '../model/snapshot.ts';
import { unbracketed } from './dns-name.ts';
import { canonicalIp } from '../base/ip-address.ts';
import type { Resource } from './resource.ts';

/** Port of an inline node that states none: the scheme's (APISIX). */
export function defaultNodePort(scheme: Scheme): number {
  return isSecureScheme(scheme) ? 443 : 80;
}

/** The endpoints of an Endpoints resource. */
export function endpointsOf({ message }: Resource<'Endpoints'>): readonly EndpointSpec[] {
  const specs = message.endpoints.map((endpoint): EndpointSpec => ({
    address: canonicalIp(endpoint.address) ?? endpoint.address,
    port: endpoint.port,
    weight: endpoint.weight ?? DEFAULT_WEIGHT,
    priority: endpoint.priority ?? 0,
    draining: endpoint.state === 'draining',
    labels: labelsOf(endpoint.labels),
    host: '',
  }));
  return orderedEndpoints(specs);
}

/**
 * The inline endpoints of an Upstream that are addresses, for a service port with this scheme. Those that are DNS names are
 * in name-specs.ts.
 */
export function nodesOf({ message }: Resource<'Upstream'>, scheme: Scheme): readonly EndpointSpec[] {
  const specs: EndpointSpec[] = [];
  for (const node of message.nodes) {
    const address = canonicalIp(unbracketed(node.host));
    if (address === undefined) continue;
    specs.push({
      address,
      port: node.port ?? defaultNodePort(scheme),
      weight: node.weight ?? DEFAULT_WEIGHT,
      priority: node.priority ?? 0,
      draining: false,
      labels: labelsOf(node.metadata),
      host: '',
    });
  }
  return orderedEndpoints(specs);
}

const NO_LABELS: ReadonlyMap<string, string> = new Map();

function labelsOf(labels: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  for (const _ in labels) return new Map(Object.entries(labels));
  return NO_LABELS;
}
