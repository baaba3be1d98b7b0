// The gateway's part of warming.ts. A Route or Service that names an Upstream which isn't here yet would answer its calls
// with an error, so the old version stays, and one that is wholly new waits. What was removed is gone at once, but for
// what an old Route takes from it that stays.
//
// * A Route waits too for its Service where that is new and waits itself. It is out of force then, if it came before its
//   Service: what it would answer is that there is no such Service.
// * The old version of one that was edited stays for more reasons: route-hold.ts.
// * While not all there is of one of the kinds has come, everything stays as it is: a Route before its PluginConfig or
//   Consumers would refuse what it should carry.
import type { Resource } from '../config/resource.ts';
import { EVERYTHING, GATEWAY_KINDS } from '../config/resource.ts';
import { namesUpstream } from '../config/upstream-choice.ts';
import { portKey } from '../model/snapshot.ts';
import type { ResourceView } from './resource-view.ts';
import { mayOutlive, routeHold, serviceHold, takenFrom } from './route-hold.ts';
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

/** What of the gateway isn't in force in its newest version. */
export interface GatewayHeld {
  /** Routes that wait: the old version is in force, or none. */
  readonly waits: ReadonlySet<string>;
  /** Beside the Routes that wait something isn't as it is newest: a Service waits, or what was removed goes on. */
  readonly isMixed: boolean;
}

/** Puts what may serve of the gateway's kinds into `view`. */
export function warmGateway(input: WarmingInput, view: ResourceView): GatewayHeld {
  const { latest, inForce, isPending } = input;
  if (GATEWAY_KINDS.some((kind) => isPending(kind, EVERYTHING))) {
    keepAll(input, view);
    return { waits: new Set(), isMixed: true };
  }
  let isMixed = false;
  for (const kind of ['PluginConfig', 'Consumer'] as const) for (const one of latest.all(kind)) view.put(one);
  for (const service of latest.all('Service')) {
    const old = inForce.get('Service', service.name);
    const isReady = service === old || (hasUpstream(service, input) && serviceHold(service, old, input) === undefined);
    view.put(isReady ? service : old);
    if (!isReady) isMixed = true;
  }
  const waits = new Set<string>();
  const kept: Resource<'Route'>[] = [];
  for (const route of latest.all('Route')) {
    const old = inForce.get('Route', route.name);
    if (isReady(route, old, view, input)) {
      view.put(route);
      continue;
    }
    waits.add(route.name);
    if (old !== undefined && old !== route && hasService(old, view, input)) kept.push(old);
  }
  for (const old of kept) {
    view.put(old);
    if (keepTakenFrom(old, input, view)) isMixed = true;
  }
  return { waits, isMixed };
}

/** Everything stays in its old version, but for what was removed. */
function keepAll(input: WarmingInput, view: ResourceView): void {
  const { latest, inForce, isPending } = input;
  for (const kind of GATEWAY_KINDS) {
    for (const old of inForce.all(kind)) if (latest.get(kind, old.name) !== undefined) view.put(old);
  }
  const mayChange = isPending('Route', EVERYTHING);
  for (const old of view.all('Route')) {
    if (mayChange || latest.get('Route', old.name) !== old) keepTakenFrom(old, input, view);
  }
}

/** Lets what was removed go on as far as an old Route that stays takes from it. Returns whether there is such. */
function keepTakenFrom(old: Resource<'Route'>, { latest, inForce }: WarmingInput, view: ResourceView): boolean {
  let isKept = false;
  for (const one of takenFrom(old, inForce)) {
    if (latest.get(one.kind, one.name) !== undefined || !mayOutlive(one)) continue;
    view.put(one);
    isKept = true;
  }
  return isKept;
}

/** Whether a Route may serve. `view` has the Services that will. */
function isReady(
  route: Resource<'Route'>,
  old: Resource<'Route'> | undefined,
  view: ResourceView,
  input: WarmingInput,
): boolean {
  if (route.message.status === 0) return true;
  // Looked at in any case: the time that something has to come runs from now on.
  const hold = routeHold(route, old, view, input);
  if (!hasService(route, view, input)) return false;
  return route === old || (hold === undefined && hasUpstream(route, input));
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

/** Whether its Service doesn't wait: it is in force, or there is none. */
function hasService({ message }: Resource<'Route'>, view: ResourceView, { latest }: WarmingInput): boolean {
  const { serviceId } = message;
  if (serviceId === undefined) return true;
  return view.get('Service', serviceId) !== undefined || latest.get('Service', serviceId) === undefined;
}
