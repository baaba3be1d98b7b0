// Which resources are handed on. What is newest isn't always what should serve: a Listener that names an Upstream or
// Endpoints not here yet would answer its calls with an error. So the old one stays until the children of the new one
// have come, or are known not to come (an explicit answer, a refusal, or 15 s of silence). Envoy calls this warming.
//
// * A Listener waits for its Secrets, for the Upstream and the Endpoints of each target, and for the Secrets of an
//   Upstream that isn't in force yet; the old one keeps serving, and a Listener that is wholly new isn't opened.
// * A root waits only where taking it at once would lose something: if it drops a Listener while another isn't ready.
//   Without a root in force it waits until one Listener is ready. A gateway that is on anyhow needs no root: it serves
//   while the root is on its way or waits.
// * An Upstream that gives up its inline nodes waits for the Endpoints that take their place; one that names Secrets
//   waits for these.
//
// Of Routes and what belongs to them: gateway-warming.ts.
import type { Resource, Resources } from '../config/resource.ts';
import { portKey } from '../model/snapshot.ts';
import type { GatewayHeld } from './gateway-warming.ts';
import { namedUpstream, warmGateway } from './gateway-warming.ts';
import { namedSecrets } from './named-secrets.ts';
import { ResourceView } from './resource-view.ts';
import { lacksSecret, type WarmingInput } from './warming-input.ts';

/** The choice. */
export interface Warmed {
  readonly view: ResourceView;
  /** Whether nothing newer is held back, and nothing that was removed goes on. */
  readonly latest: boolean;
  /** What isn't as it is newest is all of the gateway: a Route, a Service, or what these take from others. */
  readonly holdsGatewayOnly: boolean;
  readonly gateway: GatewayHeld;
}

/** While everything of the gateway is as it is newest, or it is off. */
export const NOTHING_HELD: GatewayHeld = { waits: new Set(), isMixed: false };

/** Picks, for each resource, the newest version or the one in force. */
export function warm(input: WarmingInput): Warmed {
  const { latest, inForce, roots, isPending } = input;
  const view = new ResourceView();
  const newRoot = rootOf(latest, roots);
  const oldRoot = rootOf(inForce, roots);
  const choices = new Map<string, Choice>();
  const choose = (name: string): Choice => {
    let choice = choices.get(name);
    if (choice === undefined) choices.set(name, (choice = chooseListener(name, input)));
    return choice;
  };
  const mayTake = newRoot === undefined || newRoot === oldRoot || mayReplace(oldRoot, newRoot, choose);
  const root = mayTake ? newRoot : oldRoot;
  view.put(root);
  let isLatest = root === newRoot;
  const bare = pendingEndpoints(input);
  const putTarget = (name: string, servicePort: number): void => {
    if (servicePort !== 0) {
      const key = portKey(name, servicePort);
      view.put(
        latest.get('Endpoints', key) ?? (isPending('Endpoints', key) ? inForce.get('Endpoints', key) : undefined),
      );
    }
    if (view.get('Upstream', name) !== undefined) return;
    const upstream = latest.get('Upstream', name);
    const old = inForce.get('Upstream', name);
    const mustWait =
      upstream !== old &&
      old !== undefined &&
      (isPending('Upstream', name) ||
        (old.message.nodes.length > 0 && bare().has(name)) ||
        lacksSecret(upstream, input));
    view.put(mustWait ? old : upstream);
    if (mustWait) isLatest = false;
  };
  // Asked with the root alone in the view.
  const hasGateway = input.hasGateway(view);
  for (const name of root?.message.listeners ?? []) {
    const { listener, isNewest } = choose(name);
    if (!isNewest) isLatest = false;
    if (listener === undefined) continue;
    view.put(listener);
    for (const target of listener.message.targets) putTarget(target.upstream, target.servicePort);
  }
  let gateway = NOTHING_HELD;
  if (hasGateway) {
    gateway = warmGateway(input, view);
    for (const { name, servicePort } of routeTargets(view)) putTarget(name, servicePort);
  }
  const latestOfGateway = gateway.waits.size === 0 && !gateway.isMixed;
  return { view, latest: isLatest && latestOfGateway, holdsGatewayOnly: isLatest, gateway };
}

function* routeTargets(resources: Resources): Generator<{ readonly name: string; readonly servicePort: number }> {
  for (const kind of ['Service', 'Route'] as const) {
    for (const resource of resources.all<'Route' | 'Service'>(kind)) {
      const named = namedUpstream(resource);
      if (named !== undefined) yield named;
    }
  }
}

/** The root of a tree: the first of `roots` that there is. */
export function rootOf(resources: Resources, roots: readonly string[]): Resource<'Sidecar'> | undefined {
  for (const name of roots) {
    const root = resources.get('Sidecar', name);
    if (root !== undefined) return root;
  }
  return undefined;
}

/**
 * Whether `after` in the place of `before` names the same children, so that the tree needs no new walk. Endpoints,
 * Secrets, Consumers and PluginConfigs name none; an Upstream names its Endpoints by having no inline nodes, and Secrets
 * in its TLS.
 */
export function namesSameChildren(before: Resource, after: Resource): boolean {
  if (isOf('Route', before) && isOf('Route', after)) {
    const [old, now] = [before.message, after.message];
    if (old.serviceId !== now.serviceId || old.pluginConfigId !== now.pluginConfigId) return false;
    return hasSameUpstream(before, after);
  }
  if (isOf('Service', before) && isOf('Service', after)) return hasSameUpstream(before, after);
  if (CHILDLESS.has(after.kind)) return true;
  if (!isOf('Upstream', before) || !isOf('Upstream', after)) return false;
  if (before.message.nodes.length > 0 !== after.message.nodes.length > 0) return false;
  const [old, now] = [namedSecrets(before), namedSecrets(after)];
  return old.size === now.size && [...now].every((name) => old.has(name));
}

const CHILDLESS: ReadonlySet<Resource['kind']> = new Set(['Endpoints', 'Secret', 'Consumer', 'PluginConfig']);

function hasSameUpstream(before: Resource<'Route' | 'Service'>, after: Resource<'Route' | 'Service'>): boolean {
  const [old, now] = [namedUpstream(before), namedUpstream(after)];
  return old?.name === now?.name && old?.servicePort === now?.servicePort;
}

function isOf<K extends Resource['kind']>(kind: K, resource: Resource): resource is Resource<K> {
  return resource.kind === kind;
}

interface Choice {
  /** What to serve; undefined: nothing (yet). */
  readonly listener: Resource<'Listener'> | undefined;
  /** Serving this loses nothing: it is complete, or the one that served before, or known not to exist. */
  readonly isReady: boolean;
  /** No newer version waits. */
  readonly isNewest: boolean;
}

function chooseListener(name: string, input: WarmingInput): Choice {
  const listener = input.latest.get('Listener', name);
  const old = input.inForce.get('Listener', name);
  if (listener === undefined) {
    if (!input.isPending('Listener', name)) return { listener, isReady: true, isNewest: true };
    return { listener: old, isReady: old !== undefined, isNewest: false };
  }
  if (listener === old || isComplete(listener, input)) return { listener, isReady: true, isNewest: true };
  return { listener: old, isReady: old !== undefined, isNewest: false };
}

function isComplete(listener: Resource<'Listener'>, input: WarmingInput): boolean {
  const { latest, inForce, isPending } = input;
  if (lacksSecret(listener, input)) return false;
  return listener.message.targets.every(({ upstream, servicePort }) => {
    if (isPending('Upstream', upstream) || isPending('Endpoints', `${upstream}/${servicePort}`)) return false;
    return inForce.get('Upstream', upstream) !== undefined || !lacksSecret(latest.get('Upstream', upstream), input);
  });
}

function mayReplace(
  oldRoot: Resource<'Sidecar'> | undefined,
  newRoot: Resource<'Sidecar'>,
  choose: (name: string) => Choice,
): boolean {
  const names = newRoot.message.listeners;
  if (names.every((name) => choose(name).isReady)) return true;
  if (oldRoot === undefined) return names.some((name) => choose(name).listener !== undefined);
  const kept = new Set(names);
  return oldRoot.message.listeners.every((name) => kept.has(name));
}

/** Names of Upstreams of which Endpoints are on their way; looked for once, when first asked. */
function pendingEndpoints({ latest, inForce, roots, isPending }: WarmingInput): () => ReadonlySet<string> {
  let found: Set<string> | undefined;
  return () => {
    if (found !== undefined) return found;
    found = new Set();
    for (const resources of [latest, inForce]) {
      for (const name of rootOf(resources, roots)?.message.listeners ?? []) {
        for (const { upstream, servicePort } of resources.get('Listener', name)?.message.targets ?? []) {
          if (isPending('Endpoints', portKey(upstream, servicePort))) found.add(upstream);
        }
      }
      for (const { name, servicePort } of routeTargets(resources)) {
        if (servicePort !== 0 && isPending('Endpoints', portKey(name, servicePort))) found.add(name);
      }
    }
    return found;
  };
}
