// Resources → Snapshot. What didn't change is the same object as before, found twice: by the identity of the resources
// that a part was made from (nothing is computed then), and, where a resource was sent again or changed elsewhere, by
// comparing the result with what the previous snapshot has.
import { isDeepStrictEqual } from 'node:util';
import { shareEndpoints } from '../model/endpoint-list.ts';
import { type ListenerSpec, type PortKey, portKey, type Snapshot, type UpstreamPort } from '../model/snapshot.ts';
import type { SecretSpec } from '../model/tls.ts';
import { targetAuthorities } from './authorities.ts';
import { effectivePolicy, needsEndpoints } from './effective-policy.ts';
import { endpointsOf, nodesOf } from './endpoint-specs.ts';
import { canonicalIp } from './ip-address.ts';
import { namesOf } from './name-specs.ts';
import type { Resource, Resources } from './resource.ts';
import { listenerTlsSpec, secretSpec } from './tls-specs.ts';
import { listenerSecrets, upstreamSecrets } from './secret-references.ts';
import { rootSidecar } from './tree.ts';

/** What an UpstreamPort was made from. */
interface Origin {
  readonly upstream: Resource<'Upstream'>;
  readonly endpoints: Resource<'Endpoints'> | undefined;
}

const listenerOrigins = new WeakMap<ListenerSpec, Resource<'Listener'>>();
const portOrigins = new WeakMap<UpstreamPort, Origin>();
const secretOrigins = new WeakMap<SecretSpec, Resource<'Secret'>>();

/**
 * The snapshot that the tree under the root of `nodeId` makes. Listeners that the root names and that aren't there are
 * left out; so are the port of a target whose Upstream isn't there and a Secret that isn't. Without its Endpoints a port
 * has no endpoints. If nothing differs from `previous` it is `previous` (unless that is the empty snapshot, number 0).
 */
export function buildSnapshot(nodeId: string, resources: Resources, previous: Snapshot): Snapshot {
  const listeners = new Map<string, ListenerSpec>();
  const ports = new Map<PortKey, UpstreamPort>();
  const secretNames = new Set<string>();
  for (const name of rootSidecar(nodeId, resources)?.message.listeners ?? []) {
    const listener = resources.get('Listener', name);
    if (listener === undefined) continue;
    listeners.set(name, listenerSpec(listener, previous.listeners.get(name)));
    for (const secret of listenerSecrets(listener.message)) secretNames.add(secret.name);
    for (const { upstream: upstreamName, servicePort } of listener.message.targets) {
      const key = portKey(upstreamName, servicePort);
      const upstream = resources.get('Upstream', upstreamName);
      if (upstream === undefined || ports.has(key)) continue;
      const endpoints = needsEndpoints(upstream, servicePort) ? resources.get('Endpoints', key) : undefined;
      ports.set(key, upstreamPort({ upstream, endpoints }, servicePort, previous.ports.get(key)));
      for (const secret of upstreamSecrets(upstream.message)) secretNames.add(secret.name);
    }
  }
  const secrets = secretSpecs(secretNames, resources, previous.secrets);
  const sameListeners = sameEntries(listeners, previous.listeners);
  const samePorts = sameEntries(ports, previous.ports);
  const sameSecrets = secrets === previous.secrets;
  if (sameListeners && samePorts && sameSecrets && previous.number > 0) return previous;
  return {
    number: previous.number + 1,
    listeners: sameListeners ? previous.listeners : listeners,
    ports: samePorts ? previous.ports : ports,
    secrets,
  };
}

/** The Secrets of these names that are here; `previous` itself if nothing differs. */
function secretSpecs(
  names: ReadonlySet<string>,
  resources: Resources,
  previous: ReadonlyMap<string, SecretSpec>,
): ReadonlyMap<string, SecretSpec> {
  const secrets = new Map<string, SecretSpec>();
  for (const name of names) {
    const resource = resources.get('Secret', name);
    if (resource !== undefined) secrets.set(name, sharedSecret(resource, previous.get(name)));
  }
  return sameEntries(secrets, previous) ? previous : secrets;
}

/** Keys are compared by their digests, which is what a SecretText shows of them. */
function sharedSecret(resource: Resource<'Secret'>, previous: SecretSpec | undefined): SecretSpec {
  if (previous !== undefined && secretOrigins.get(previous) === resource) return previous;
  const made = secretSpec(resource);
  const spec = previous !== undefined && isDeepStrictEqual(made, previous) ? previous : made;
  secretOrigins.set(spec, resource);
  return spec;
}

function listenerSpec(listener: Resource<'Listener'>, previous: ListenerSpec | undefined): ListenerSpec {
  if (previous !== undefined && listenerOrigins.get(previous) === listener) return previous;
  const { address, port, protocols, targets, tls } = listener.message;
  const authorities = targetAuthorities(targets);
  const made: ListenerSpec = {
    name: listener.name,
    address: address === undefined ? undefined : canonicalIp(address),
    port: port ?? 0,
    protocols: (protocols ?? 'auto') as ListenerSpec['protocols'],
    tls: tls && listenerTlsSpec(tls),
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
  const { scheme } = effective.policy;
  const addresses = origin.endpoints === undefined ? nodesOf(upstream, scheme) : endpointsOf(origin.endpoints);
  const names = namesOf(upstream, scheme, effective.service);
  const spec: UpstreamPort = {
    key: portKey(upstream.name, servicePort),
    upstream: upstream.name,
    servicePort,
    policy: previous && isDeepStrictEqual(previous.policy, effective.policy) ? previous.policy : effective.policy,
    provenance:
      previous && isDeepStrictEqual(previous.provenance, effective.provenance)
        ? previous.provenance
        : effective.provenance,
    endpoints: shareEndpoints(addresses, previous?.endpoints ?? []),
    names: previous && isDeepStrictEqual(previous.names, names) ? previous.names : names,
  };
  const same =
    previous !== undefined &&
    spec.policy === previous.policy &&
    spec.provenance === previous.provenance &&
    spec.endpoints === previous.endpoints &&
    spec.names === previous.names;
  const result = same ? previous : spec;
  portOrigins.set(result, origin);
  return result;
}

function sameEntries<K, V>(a: ReadonlyMap<K, V>, b: ReadonlyMap<K, V>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}
