// The walk from the root: Sidecar → Listener → Upstream and Endpoints → Secret, and while the gateway is on from its Routes and
// Services to their Upstreams. What a parent names is wanted, whether it is there yet or not; what none names is not.
import { portKey } from '../model/snapshot.ts';
import { needsEndpoints } from './effective-policy.ts';
import { EVERYTHING, type Resource, type Resources, type WantedNames } from './resource.ts';
import { listenerSecrets, upstreamSecrets } from './secret-references.ts';
import { namesUpstream, type UpstreamChoice } from './upstream-choice.ts';

/** Name of the Sidecar that stands where a node has none of its own. */
export const DEFAULT_SIDECAR = 'default';

/** The root in force: the node's own Sidecar, else `default`. */
export function rootSidecar(nodeId: string, resources: Resources): Resource<'Sidecar'> | undefined {
  return resources.get('Sidecar', nodeId) ?? resources.get('Sidecar', DEFAULT_SIDECAR);
}

/** Whether the gateway is on: it was turned on at the start, or the root says so. */
export function hasGateway(root: Resource<'Sidecar'> | undefined, on: boolean): boolean {
  return on || root?.message.gateway === true;
}

const NOTHING: ReadonlySet<string> = new Set();

/**
 * Names that a sidecar wants of each kind. Both of its Sidecar names always are. A target's Upstream and Endpoints are
 * asked for together, to save a round trip; an Upstream that turns out to have inline `nodes`, or a registry for that service
 * port, ends the wish for Endpoints. `gatewayOn`: the gateway was turned on at the start. Routes that are off ask for nothing.
 */
export function wantedNames(nodeId: string, resources: Resources, gatewayOn = false): WantedNames {
  const root = rootSidecar(nodeId, resources);
  const listeners = new Set(root?.message.listeners);
  const upstreams = new Set<string>();
  const endpoints = new Set<string>();
  const secrets = new Set<string>();
  const wantEndpoints = (upstream: string, servicePort: number): void => {
    const found = resources.get('Upstream', upstream);
    if (found === undefined || needsEndpoints(found, servicePort)) endpoints.add(portKey(upstream, servicePort));
  };
  for (const name of listeners) {
    const listener = resources.get('Listener', name)?.message;
    if (listener === undefined) continue;
    for (const secret of listenerSecrets(listener)) secrets.add(secret.name);
    for (const { upstream, servicePort } of listener.targets) {
      upstreams.add(upstream);
      wantEndpoints(upstream, servicePort);
    }
  }
  const isOn = hasGateway(root, gatewayOn);
  if (isOn) {
    const want = ({ upstreamId, servicePort = 0 }: UpstreamChoice): void => {
      upstreams.add(upstreamId);
      if (servicePort > 0) wantEndpoints(upstreamId, servicePort);
    };
    for (const { message } of resources.all('Route')) if (message.status !== 0 && namesUpstream(message)) want(message);
    for (const { message } of resources.all('Service')) if (namesUpstream(message)) want(message);
  }
  for (const name of upstreams) {
    const upstream = resources.get('Upstream', name)?.message;
    for (const secret of upstream === undefined ? [] : upstreamSecrets(upstream)) secrets.add(secret.name);
  }
  const ofGateway = isOn ? EVERYTHING : NOTHING;
  return {
    Sidecar: new Set([nodeId, DEFAULT_SIDECAR]),
    Listener: listeners,
    Route: ofGateway,
    Service: ofGateway,
    PluginConfig: ofGateway,
    Consumer: ofGateway,
    Upstream: upstreams,
    Endpoints: endpoints,
    Secret: secrets,
  };
}
