// Which Upstreams are of no use to the gateway without a service port: their endpoints stand in Endpoints resources, one for
// each port of a Service, not in the Upstream.
import { canonicalIp } from '../../base/ip-address.ts';
import { Upstream } from '../../gen/outrigger/config/v1/upstream.ts';
import type { ApisixUpstreamObject, ConfigObject, NativeObject, ServiceObject } from '../source.ts';

/** Everything of one name. */
interface Named {
  native?: NativeObject;
  policy?: ApisixUpstreamObject;
  service?: ServiceObject;
}

/**
 * Tells of an Upstream which service ports it has, if one is needed; undefined: none is, or there is no such Upstream. Of two
 * objects with one name the last stands.
 */
export function needsServicePort(objects: readonly ConfigObject[]): (name: string) => readonly number[] | undefined {
  const all = new Map<string, Named>();
  const at = (name: string): Named => {
    let named = all.get(name);
    if (named === undefined) all.set(name, (named = {}));
    return named;
  };
  for (const object of objects) {
    if (object.kind === 'Service') at(`${object.namespace}/${object.name}`).service = object;
    else if (object.kind === 'ApisixUpstream') at(`${object.namespace}/${object.name}`).policy = object;
    else if (object.kind === 'native' && object.resourceKind === 'Upstream') at(object.name).native = object;
  }
  return (name) => {
    const named = all.get(name);
    return named === undefined || hasOwnEndpoints(named)
      ? undefined
      : (named.service?.ports ?? []).map(({ port }) => port);
  };
}

/** Whether requests without a service port find endpoints. */
function hasOwnEndpoints({ native, policy, service }: Named): boolean {
  // A native Upstream takes the place of the policy.
  if (native !== undefined) {
    const { nodes, discoveryType } = Upstream.decode(native.bytes);
    return nodes.length > 0 || discoveryType !== undefined;
  }
  if (policy !== undefined && (policy.externalNodes.length > 0 || policy.upstream.discoveryType !== undefined))
    return true;
  // The name of an ExternalName with one port becomes a node of the Upstream.
  const host = service?.externalName;
  return host !== undefined && canonicalIp(host) === undefined && service?.ports.length === 1;
}
