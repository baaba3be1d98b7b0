// DNS names that stand for the endpoints of a service port: inline nodes that are names, or the name of a service.
import { DEFAULT_WEIGHT } from '../model/defaults.ts';
import type { Scheme } from '../model/policy.ts';
import type { NameSpec } from '../model/snapshot.ts';
import type { ServiceName } from './decode/nodes.ts';
import { canonicalDnsName } from './dns-name.ts';
import { defaultNodePort } from './endpoint-specs.ts';
import type { Resource } from './resource.ts';

/**
 * The names of a service port with this scheme, ordered by name and port. Of two nodes with the same name and port the last
 * one stands (as in APISIX). `service` is the name that its registry is asked for; beside it there are no nodes.
 */
export function namesOf(
  { message }: Resource<'Upstream'>,
  scheme: Scheme,
  service: ServiceName | undefined,
): readonly NameSpec[] {
  if (service !== undefined) return [serviceSpec(service, scheme)];
  const byIdentity = new Map<string, NameSpec>();
  for (const node of message.nodes) {
    const name = canonicalDnsName(node.host);
    if (name === undefined) continue;
    const port = node.port ?? defaultNodePort(scheme);
    byIdentity.set(`${name} ${port}`, {
      kind: 'addresses',
      name,
      port,
      portIsSet: node.port !== undefined,
      weight: node.weight ?? DEFAULT_WEIGHT,
      priority: node.priority ?? 0,
      labels: new Map(Object.entries(node.metadata)),
    });
  }
  return byIdentity.size === 0 ? NO_NAMES : [...byIdentity.values()].sort(compare);
}

const NO_NAMES: readonly NameSpec[] = [];

function serviceSpec({ name, port }: ServiceName, scheme: Scheme): NameSpec {
  return {
    kind: 'service',
    name,
    port: port === 0 ? defaultNodePort(scheme) : port,
    portIsSet: port !== 0,
    weight: DEFAULT_WEIGHT,
    priority: 0,
    labels: new Map(),
  };
}

/** The order of code units: it is the same on every machine and needs no collation. */
function compare(a: NameSpec, b: NameSpec): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  return a.port - b.port;
}
