// The tree of resources under a Sidecar → Snapshot. What didn't change is the same object as before, found twice: by the
// identity of the resources that a part was made from (nothing is computed then), and, where a resource was sent again or
// changed elsewhere, by comparing the result with what the previous snapshot has.
import { isDeepStrictEqual } from 'node:util';
import { canonicalIp } from '../base/ip-address.ts';
import type { GatewaySpec } from '../model/gateway.ts';
import { type ListenerSpec, portKey, type Snapshot } from '../model/snapshot.ts';
import type { SecretSpec } from '../model/tls.ts';
import { targetAuthorities } from './authorities.ts';
import { PortCollector } from './port-collector.ts';
import type { Resource, Resources } from './resource.ts';
import { sameEntries } from './same-entries.ts';
import { listenerSecrets } from './secret-references.ts';
import { listenerTlsSpec, secretSpec } from './tls-specs.ts';
import { rootSidecar } from './tree.ts';

/** The gateway of a tree, if it has one; ports that its routes go to are told to `collector`. */
export type GatewayOf = (root: Resource<'Sidecar'> | undefined, collector: PortCollector) => GatewaySpec | undefined;

const listenerOrigins = new WeakMap<ListenerSpec, Resource<'Listener'>>();
const secretOrigins = new WeakMap<SecretSpec, Resource<'Secret'>>();

/**
 * The snapshot that the tree under the root of `nodeId` makes, and the gateway where `gatewayOf` gives one. Listeners that the root names
 * and that aren't there are left out; so are the port of a target whose Upstream isn't there and a Secret that isn't. Without its
 * Endpoints a port has no endpoints. If nothing differs from `previous` it is `previous` (unless that is the empty
 * snapshot, number 0).
 */
export function treeSnapshot(
  nodeId: string,
  resources: Resources,
  previous: Snapshot,
  gatewayOf: GatewayOf = () => undefined,
): Snapshot {
  const root = rootSidecar(nodeId, resources);
  const listeners = new Map<string, ListenerSpec>();
  const secretNames = new Set<string>();
  const collector = new PortCollector(resources, previous.ports, secretNames);
  for (const name of root?.message.listeners ?? []) {
    const listener = resources.get('Listener', name);
    if (listener === undefined) continue;
    listeners.set(name, listenerSpec(listener, previous.listeners.get(name)));
    for (const secret of listenerSecrets(listener.message)) secretNames.add(secret.name);
    for (const { upstream: upstreamName, servicePort } of listener.message.targets) {
      const upstream = resources.get('Upstream', upstreamName);
      if (upstream !== undefined) collector.use(portKey(upstreamName, servicePort), upstream, servicePort);
    }
  }
  const gateway = gatewayOf(root, collector);
  const ports = collector.finish();
  const secrets = secretSpecs(secretNames, resources, previous.secrets);
  const sameListeners = sameEntries(listeners, previous.listeners);
  const isSame =
    sameListeners && ports === previous.ports && secrets === previous.secrets && gateway === previous.gateway;
  if (isSame && previous.number > 0) return previous;
  return {
    number: previous.number + 1,
    listeners: sameListeners ? previous.listeners : listeners,
    ports,
    secrets,
    gateway,
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
