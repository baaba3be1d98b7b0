// The gateway's part of warming.ts. A Route or Service that names an Upstream which isn't here yet would answer its calls
// with an error, so the old version stays, and one that is wholly new waits. What was removed is gone at once.
//
// * A Route waits too for its Service where that is new and waits itself.
// * While not all there is of one of the kinds has come, everything stays as it is: a Route before its PluginConfig or
//   Consumers would refuse what it should carry.
import type { Resource } from '../config/resource.ts';
import { EVERYTHING, GATEWAY_KINDS } from '../config/resource.ts';
import { namesUpstream } from '../config/upstream-choice.ts';
import { portKey } from '../model/snapshot.ts';
import type { ResourceView } from './resource-view.ts';
import { lacksSecret, type WarmingInput } from './warming-input.ts';

/** An Upstream as a Route or Service names it. */
export interface NamedUpstream {
  readonly name: string;
  /** 0: no Endpoints. */
  readonly servicePort: number;
}

/** The Upstream that a Route or a Service names itself; undefined: none. A Route that is off doesn't count. */
export function namedUpstream(resource: Resource<'Route' | 'Service'>): NamedUpstream | undefined {
  const { message } = resource;
  if (!namesUpstream(message) || ('status' in message && message.status === 0)) return undefined;
  return { name: message.upstreamId, servicePort: message.servicePort ?? 0 };
}

/** Puts what may serve of the gateway's kinds into `view`. Returns whether nothing newer is held back. */
export function warmGateway(input: WarmingInput, view: ResourceView): boolean {
  const { latest, inForce, isPending } = input;
  if (GATEWAY_KINDS.some((kind) => isPending(kind, EVERYTHING))) {
    for (const kind of GATEWAY_KINDS) {
      for (const old of inForce.all(kind)) if (latest.get(kind, old.name) !== undefined) view.put(old);
    }
    return false;
  }
  let isLatest = true;
  for (const kind of ['PluginConfig', 'Consumer'] as const) for (const one of latest.all(kind)) view.put(one);
  for (const service of latest.all('Service')) {
    const old = inForce.get('Service', service.name);
    const isReady = service === old || hasUpstream(service, input);
    view.put(isReady ? service : old);
    if (!isReady) isLatest = false;
  }
  for (const route of latest.all('Route')) {
    const old = inForce.get('Route', route.name);
    const isReady = route === old || (hasUpstream(route, input) && hasService(route, view, input));
    view.put(isReady ? route : old);
    if (!isReady) isLatest = false;
  }
  return isLatest;
}

/** Whether the Upstream that it names is here with all it needs, or known not to come. */
function hasUpstream(resource: Resource<'Route' | 'Service'>, input: WarmingInput): boolean {
  const { latest, inForce, isPending } = input;
  const named = namedUpstream(resource);
  if (named === undefined) return true;
  const { name, servicePort } = named;
  if (isPending('Upstream', name)) return false;
  if (servicePort !== 0 && isPending('Endpoints', portKey(name, servicePort))) return false;
  return inForce.get('Upstream', name) !== undefined || !lacksSecret(latest.get('Upstream', name), input);
}

function hasService(route: Resource<'Route'>, view: ResourceView, { latest }: WarmingInput): boolean {
  const id = route.message.serviceId ?? '';
  return id === '' || view.get('Service', id) !== undefined || latest.get('Service', id) === undefined;
}
