// Resources → Snapshot. What didn't change is the same object as before, found twice: by the identity of the resources
// that a part was made from (nothing is computed then), and, where a resource was sent again or changed elsewhere, by
// comparing the result with what the previous snapshot has.
import { isDeepStrictEqual } from 'node:util';
import {
  type EndpointSpec,
  type ListenerSpec,
  type PortKey,
  portKey,
  type Snapshot,
  type UpstreamPort,
} from '../model/snapshot.ts';
import { targetAuthorities } from './authorities.ts';
import { effectivePolicy } from './effective-policy.ts';
import { endpointsOf, nodesOf, shareEndpoints } from './endpoint-specs.ts';
import { canonicalIp } from './ip-address.ts';
import type { Resource, Resources } from './resource.ts';
import { rootSidecar } from './tree.ts';

/** What an UpstreamPort was made from. */
interface Origin {
  readonly upstream: Resource<'Upstream'>;
  readonly endpoints: Resource<'Endpoints'> | undefined;
}

const listenerOrigins = new WeakMap<ListenerSpec, Resource<'Listener'>>();
const portOrigins = new WeakMap<UpstreamPort, Origin>();

/**
 * The snapshot that the tree under the root of `nodeId` makes. Listeners that the root names and that aren't there are
 * left out; so is the port of a target whose Upstream isn't there. Without its Endpoints a port has no endpoints. If
 * nothing differs from `previous` it is `previous` (unless that is the empty snapshot, number 0).
 */
export function buildSnapshot(nodeId: string, resources: Resources, previous: Snapshot): Snapshot {
  const listeners = new Map<string, ListenerSpec>();
  const ports = new Map<PortKey, UpstreamPort>();
  for (const name of rootSidecar(nodeId, resources)?.message.listeners ?? []) {
    const listener = resources.get('Listener', name);
    if (listener === undefined) continue;
    listeners.set(name, listenerSpec(listener, previous.listeners.get(name)));
    for (const { upstream: upstreamName, servicePort } of listener.message.targets) {
      const key = portKey(upstreamName, servicePort);
      const upstream = resources.get('Upstream', upstreamName);
      if (upstream === undefined || ports.has(key)) continue;
      const endpoints = upstream.message.nodes.length > 0 ? undefined : resources.get('Endpoints', key);
      ports.set(key, upstreamPort({ upstream, endpoints }, servicePort, previous.ports.get(key)));
    }
  }
  const sameListeners = sameEntries(listeners, previous.listeners);
  const samePorts = sameEntries(ports, previous.ports);
  if (sameListeners && samePorts && previous.number > 0) return previous;
  return {
    number: previous.number + 1,
    listeners: sameListeners ? previous.listeners : listeners,
    ports: samePorts ? previous.ports : ports,
  };
}

function listenerSpec(listener: Resource<'Listener'>, previous: ListenerSpec | undefined): ListenerSpec {
  if (previous !== undefined && listenerOrigins.get(previous) === listener) return previous;
  const { address, port, protocols, targets } = listener.message;
  const authorities = targetAuthorities(targets);
  const made: ListenerSpec = {
    name: listener.name,
    address: address === undefined ? undefined : canonicalIp(address),
    port: port ?? 0,
    protocols: (protocols ?? 'auto') as ListenerSpec['protocols'],
    targets: targets.map(({ upstream, servicePort }, i) => ({
      port: portKey(upstream, servicePort),
      authorities: authorities[i] ?? [],
    })),
  };
  const spec = isDeepStrictEqual(made, previous) && previous !== undefined ? previous : made;
  listenerOrigins.set(spec, listener);
  return spec;
}

function upstreamPort(origin: Origin, servicePort: number, previous: UpstreamPort | undefined): UpstreamPort {
  const before = previous && portOrigins.get(previous);
  if (previous && before?.upstream === origin.upstream && before.endpoints === origin.endpoints) return previous;
  const { upstream } = origin;
  const effective = effectivePolicy(upstream, servicePort);
  const spec: UpstreamPort = {
    key: portKey(upstream.name, servicePort),
    upstream: upstream.name,
    servicePort,
    policy: previous && isDeepStrictEqual(previous.policy, effective.policy) ? previous.policy : effective.policy,
    provenance:
      previous && isDeepStrictEqual(previous.provenance, effective.provenance)
        ? previous.provenance
        : effective.provenance,
    endpoints: shareEndpoints(endpointList(origin), previous?.endpoints ?? []),
  };
  const same =
    previous !== undefined &&
    spec.policy === previous.policy &&
    spec.provenance === previous.provenance &&
    spec.endpoints === previous.endpoints;
  const result = same ? previous : spec;
  portOrigins.set(result, origin);
  return result;
}

function endpointList({ upstream, endpoints }: Origin): readonly EndpointSpec[] {
  if (upstream.message.nodes.length > 0) return nodesOf(upstream);
  return endpoints === undefined ? [] : endpointsOf(endpoints);
}

function sameEntries<K, V>(a: ReadonlyMap<K, V>, b: ReadonlyMap<K, V>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}
