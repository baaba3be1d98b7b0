// Nodes that stand in a list twice. They are one node, the last (as in APISIX), and its weight is its own: weights aren't
// summed, which is what somebody who writes a node twice may think.
import type { Endpoints } from '../../gen/outrigger/config/v1/endpoints.ts';
import type { Upstream } from '../../gen/outrigger/config/v1/upstream.ts';
import type { Resource } from '../../config/resource.ts';
import { canonicalDnsName, unbracketed } from '../../config/dns-name.ts';
import { canonicalIp } from '../../base/ip-address.ts';
import { isSecureScheme, type Scheme } from '../../model/policy.ts';
import { locate } from './locate.ts';
import type { Value } from './value.ts';

/** Port of a node that states none, for the scheme of the whole Upstream. */
export function defaultPort({ scheme }: Pick<Upstream, 'scheme'>): number {
  return isSecureScheme((scheme ?? 'http') as Scheme) ? 443 : 80;
}

/** A node that stands again further down. Both numbers are indices into the list. */
export interface Repetition {
  readonly earlier: number;
  /** The one that stands. */
  readonly last: number;
}

/** Nodes with the host and port of a later one. */
export function repeatedNodes(nodes: readonly { readonly host: string; readonly port: number }[]): Repetition[] {
  const lastOf = new Map<string, number>();
  const keys = nodes.map(
    ({ host, port }) => `${canonicalIp(unbracketed(host)) ?? canonicalDnsName(host) ?? host} ${port}`,
  );
  for (const [i, key] of keys.entries()) lastOf.set(key, i);
  return keys.flatMap((key, earlier) => {
    const last = lastOf.get(key) ?? earlier;
    return last === earlier ? [] : [{ earlier, last }];
  });
}

/** What is said of the earlier one; `path` is that of the one that stands. */
export function repetitionMessage(path: string): { readonly message: string; readonly fix: string } {
  const message = `has the host and port of ${path} and no effect: the last one stands, with its own weight`;
  return { message, fix: 'remove one of the two' };
}

/** Reports repeated nodes of a native Upstream, or addresses of native Endpoints. */
export function reportRepeatedNodes(object: Value, resource: Resource): void {
  const [list, nodes] = nodesOf(resource);
  for (const { earlier, last } of repeatedNodes(nodes)) {
    const { message, fix } = repetitionMessage(`${list}[${last}]`);
    const path = `${list}[${earlier}]`;
    object.report.add('warning', locate(object, path), path, message, fix);
  }
}

function nodesOf({ message }: Resource): readonly [list: string, nodes: { host: string; port: number }[]] {
  if (isUpstream(message)) {
    const byDefault = defaultPort(message);
    return ['spec.nodes', message.nodes.map(({ host, port }) => ({ host, port: port ?? byDefault }))];
  }
  if (!isEndpoints(message)) return ['', []];
  return ['spec.endpoints', message.endpoints.map(({ address, port }) => ({ host: address, port }))];
}

function isUpstream(message: Resource['message']): message is Upstream {
  return 'nodes' in message;
}

function isEndpoints(message: Resource['message']): message is Endpoints {
  return 'endpoints' in message;
}
