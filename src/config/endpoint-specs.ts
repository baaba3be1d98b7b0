// Endpoints as the data plane sees them: ordered, without duplicates, and shared with the previous snapshot where equal.
import { DEFAULT_WEIGHT } from '../model/defaults.ts';
import { isSecureScheme, type Scheme } from '../model/policy.ts';
import type { EndpointSpec } from '../model/snapshot.ts';
import { unbracketed } from './dns-name.ts';
import { canonicalIp } from './ip-address.ts';
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
    labels: new Map(Object.entries(endpoint.labels)),
    host: '',
  }));
  return ordered(specs);
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
      labels: new Map(Object.entries(node.metadata)),
      host: '',
    });
  }
  return ordered(specs);
}

/** By address, then port. Of two with the same address and port the last one stands (as in APISIX). */
function ordered(specs: readonly EndpointSpec[]): readonly EndpointSpec[] {
  const byIdentity = new Map(specs.map((spec) => [`${spec.address} ${spec.port}`, spec]));
  return [...byIdentity.values()].sort(compare);
}

/** The order of code units: it is the same on every machine and needs no collation. */
function compare(a: EndpointSpec, b: EndpointSpec): number {
  if (a.address !== b.address) return a.address < b.address ? -1 : 1;
  return a.port - b.port;
}

/**
 * `next` with every equal endpoint taken from `previous`; `previous` itself if all are. Both lists are ordered, so one
 * walk over both does.
 */
export function shareEndpoints(
  next: readonly EndpointSpec[],
  previous: readonly EndpointSpec[],
): readonly EndpointSpec[] {
  let at = 0;
  let shared = 0;
  const result = next.map((spec) => {
    let old = previous[at];
    while (old !== undefined && compare(old, spec) < 0) old = previous[++at];
    if (old === undefined || !sameEndpoint(old, spec)) return spec;
    shared++;
    return old;
  });
  return shared === next.length && shared === previous.length ? previous : result;
}

function sameEndpoint(a: EndpointSpec, b: EndpointSpec): boolean {
  return (
    a.address === b.address &&
    a.port === b.port &&
    a.weight === b.weight &&
    a.priority === b.priority &&
    a.draining === b.draining &&
    a.host === b.host &&
    sameLabels(a.labels, b.labels)
  );
}

function sameLabels(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}
