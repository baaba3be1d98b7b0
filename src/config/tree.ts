// The walk from the root: Sidecar → Listener → Upstream and Endpoints → Secret. What a parent names is wanted, whether
// it is there yet or not; what none names is not.
import { portKey } from '../model/snapshot.ts';
import { needsEndpoints } from './effective-policy.ts';
import type { Resource, Resources, WantedNames } from './resource.ts';
import { listenerSecrets, upstreamSecrets } from './secret-references.ts';

/** Name of the Sidecar that stands where a node has none of its own. */
export const DEFAULT_SIDECAR = 'default';

/** The root in force: the node's own Sidecar, else `default`. */
export function rootSidecar(nodeId: string, resources: Resources): Resource<'Sidecar'> | undefined {
  return resources.get('Sidecar', nodeId) ?? resources.get('Sidecar', DEFAULT_SIDECAR);
}

/**
 * Names that a sidecar wants of each kind. Both of its Sidecar names always are. A target's Upstream and Endpoints are
 * asked for together, to save a round trip; an Upstream that turns out to have inline `nodes`, or a registry for that service
 * port, ends the wish for Endpoints.
 */
export function wantedNames(nodeId: string, resources: Resources): WantedNames {
  const listeners = new Set(rootSidecar(nodeId, resources)?.message.listeners);
  const upstreams = new Set<string>();
  const endpoints = new Set<string>();
  const secrets = new Set<string>();
  for (const name of listeners) {
    const listener = resources.get('Listener', name)?.message;
    if (listener === undefined) continue;
    for (const secret of listenerSecrets(listener)) secrets.add(secret.name);
    for (const { upstream, servicePort } of listener.targets) {
      upstreams.add(upstream);
      const found = resources.get('Upstream', upstream);
      if (found === undefined || needsEndpoints(found, servicePort)) endpoints.add(portKey(upstream, servicePort));
    }
  }
  for (const name of upstreams) {
    const upstream = resources.get('Upstream', name)?.message;
    for (const secret of upstream === undefined ? [] : upstreamSecrets(upstream)) secrets.add(secret.name);
  }
  return {
    Sidecar: new Set([nodeId, DEFAULT_SIDECAR]),
    Listener: listeners,
    Upstream: upstreams,
    Endpoints: endpoints,
    Secret: secrets,
  };
}
