// Which resources are handed on. What is newest isn't always what should serve: a Listener that names an Upstream or
// Endpoints not here yet would answer its calls with an error. So the old one stays until the children of the new one
// have come, or are known not to come (an explicit answer, a refusal, or 15 s of silence). Envoy calls this warming.
//
// * A Listener waits for its Secrets, for the Upstream and the Endpoints of each target, and for the Secrets of an
//   Upstream that isn't in force yet; the old one keeps serving, and a Listener that is wholly new isn't opened.
// * A root waits only where taking it at once would lose something: if it drops a Listener while another isn't ready.
//   Without a root in force it waits until one Listener is ready.
// * An Upstream that gives up its inline nodes waits for the Endpoints that take their place; one that names Secrets
//   waits for these.
import type { Kind, Resource, Resources } from '../config/resource.ts';
import { ResourceView } from './resource-view.ts';
import { namedSecrets } from './named-secrets.ts';

/** What is known when the choice is made. */
export interface WarmingInput {
  /** The newest good version of everything. */
  readonly latest: Resources;
  /** What serves now. */
  readonly inForce: ResourceView;
  /** Names of the roots, best first: the node's own and `default`. */
  readonly roots: readonly string[];
  /** Whether there is none yet and an answer may still come. */
  readonly isPending: (kind: Kind, name: string) => boolean;
}

/** The choice. */
export interface Warmed {
  readonly view: ResourceView;
  /** Whether nothing newer is held back. */
  readonly latest: boolean;
}

/** Picks, for each resource, the newest version or the one in force. */
export function warm(input: WarmingInput): Warmed {
  const { latest, inForce, roots } = input;
  const view = new ResourceView();
  const newRoot = rootOf(latest, roots);
  const oldRoot = rootOf(inForce, roots);
  if (newRoot === undefined) return { view, latest: true };
  const choices = new Map<string, Choice>();
  const choose = (name: string): Choice => {
    let choice = choices.get(name);
    if (choice === undefined) choices.set(name, (choice = chooseListener(name, input)));
    return choice;
  };
  const root = newRoot === oldRoot || mayReplace(oldRoot, newRoot, choose) ? newRoot : oldRoot;
  if (root === undefined) return { view, latest: false };
  view.put(root);
  let isLatest = root === newRoot;
  for (const name of root.message.listeners) {
    const { listener, isNewest } = choose(name);
    if (!isNewest) isLatest = false;
    if (listener === undefined) continue;
    view.put(listener);
    for (const target of listener.message.targets) {
      const endpoints = `${target.upstream}/${target.servicePort}`;
      view.put(latest.get('Endpoints', endpoints));
      if (view.get('Upstream', target.upstream) !== undefined) continue;
      const upstream = latest.get('Upstream', target.upstream);
      const old = inForce.get('Upstream', target.upstream);
      const mustWait =
        upstream !== old && old !== undefined && (losesNodes(old, input) || lacksSecret(upstream, input));
      if (mustWait) {
        view.put(old);
        isLatest = false;
      } else view.put(upstream);
    }
  }
  return { view, latest: isLatest };
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
 * Whether `after` in the place of `before` names the same children, so that the tree needs no new walk. Endpoints
 * and Secrets name none; an Upstream names its Endpoints by having no inline nodes, and Secrets in its TLS.
 */
export function namesSameChildren(before: Resource, after: Resource): boolean {
  if (after.kind === 'Endpoints' || after.kind === 'Secret') return true;
  if (!isUpstream(before) || !isUpstream(after)) return false;
  if (before.message.nodes.length > 0 !== after.message.nodes.length > 0) return false;
  const [old, now] = [namedSecrets(before), namedSecrets(after)];
  return old.size === now.size && [...now].every((name) => old.has(name));
}

function isUpstream(resource: Resource): resource is Resource<'Upstream'> {
  return resource.kind === 'Upstream';
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

/** Whether a Secret that it names is on its way. */
function lacksSecret(resource: Resource | undefined, { isPending }: WarmingInput): boolean {
  if (resource === undefined) return false;
  for (const name of namedSecrets(resource)) if (isPending('Secret', name)) return true;
  return false;
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

/** Whether `old` has inline nodes while Endpoints of it are on their way. */
function losesNodes(old: Resource<'Upstream'>, { latest, inForce, roots, isPending }: WarmingInput): boolean {
  if (old.message.nodes.length === 0) return false;
  for (const resources of [latest, inForce]) {
    for (const name of rootOf(resources, roots)?.message.listeners ?? []) {
      for (const target of resources.get('Listener', name)?.message.targets ?? []) {
        if (target.upstream === old.name && isPending('Endpoints', `${old.name}/${target.servicePort}`)) return true;
      }
    }
  }
  return false;
}
