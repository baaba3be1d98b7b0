// Changes of the gateway without a walk of the tree, so that one Route of ten thousand costs what one Route costs. It
// covers what most of them are: a Route that comes, changes or goes, with an Upstream that has its own nodes. Whatever
// has more to it is left to the walk (warming.ts), and so are Upstreams that no Route names any more: the view and the
// subscription keep them until a walk that comes a little later.
//
//   Route new or pointed elsewhere ──► its Upstream is here ────────────────────► put
//                 │                                                               ▲
//                 └──► it isn't: ask for it, the old version stays ──► it comes ──┘
//
// Where an old Route stays and something that it takes from others is removed, the walk lets that go on (route-hold.ts).
import type { Resource } from '../config/resource.ts';
import { isGatewayKind } from '../config/resource.ts';
import { namedUpstream } from './gateway-warming.ts';
import { namedSecrets } from './named-secrets.ts';
import type { ResourceKey, ResourceStore } from './resource-store.ts';
import type { ResourceView } from './resource-view.ts';
import type { HoldContext } from './route-hold.ts';
import { routeHold, takenFrom } from './route-hold.ts';
import { namesSameChildren } from './warming.ts';

/** What is to be done. */
export interface Patch {
  readonly puts: ReadonlySet<Resource>;
  readonly removed: readonly ResourceKey[];
  /** Upstreams to ask for. */
  readonly asks: ReadonlySet<string>;
  /** Routes whose newest version waits. */
  readonly waits: ReadonlySet<string>;
  /** An Upstream may be named by nobody now. */
  readonly leavesOver: boolean;
}

/** Against what a patch is made. */
export interface PatchContext {
  readonly store: ResourceStore;
  /** Holds the newest version of everything but of the Routes that wait; see `isMixed`. */
  readonly view: ResourceView;
  readonly waits: ReadonlySet<string>;
  /** The view has an old Service too, or something that was removed and goes on with a Route that waits. */
  readonly isMixed: boolean;
  readonly isAwaited: HoldContext['isAwaited'];
}

/** What follows from new content, or from content that is gone; undefined: the tree must be walked. */
export function patchOf(
  content: readonly ResourceKey[],
  { store, view, waits: waited, isMixed, isAwaited }: PatchContext,
): Patch | undefined {
  const context: HoldContext = {
    latest: store,
    inForce: view,
    isPending: (kind, name) => store.isPending(kind, name),
    isRefused: (kind, name) => store.isRefused(kind, name),
    isAwaited,
  };
  const puts = new Set<Resource>();
  const removed: ResourceKey[] = [];
  const routes = new Set(waited);
  const newUpstreams = new Set<Resource>();
  let leavesOver = false;
  for (const { kind, name } of content) {
    if (kind === 'Route') {
      routes.add(name);
      // What it waited for.
      leavesOver ||= waited.has(name);
      continue;
    }
    const before = view.get(kind, name);
    const after = store.get(kind, name);
    if (after === undefined) {
      if (!isGatewayKind(kind)) return undefined;
      if (before !== undefined) removed.push(before);
      leavesOver = true;
    } else if (before !== undefined) {
      if (!namesSameChildren(before, after)) return undefined;
      puts.add(after);
      leavesOver ||= kind === 'Service' && isMixed;
    } else if (kind === 'Consumer' || kind === 'PluginConfig') puts.add(after);
    else if (kind === 'Upstream') newUpstreams.add(after);
    else return undefined;
  }
  const asks = new Set<string>();
  const waits = new Set<string>();
  for (const name of routes) {
    const before = view.get('Route', name);
    const route = store.get('Route', name);
    if (route === undefined) {
      if (before !== undefined) removed.push(before);
      leavesOver = true;
      continue;
    }
    // It names what was removed and is in force yet.
    if (takenFrom(route, view).some((one) => store.get(one.kind, one.name) === undefined)) return undefined;
    if (before !== undefined && namesSameChildren(before, route)) {
      puts.add(route);
      continue;
    }
    const { serviceId } = route.message;
    if (serviceId !== undefined && view.get('Service', serviceId) !== store.get('Service', serviceId)) return undefined;
    const hold = routeHold(route, before, view, context);
    const upstream = hold === 'refused' ? undefined : upstreamOf(route, store, view);
    if (upstream === 'walk') return undefined;
    if (upstream === 'pending') {
      const named = namedUpstream(route);
      if (named !== undefined && store.entry('Upstream', named.name) === undefined) asks.add(named.name);
    }
    if (upstream === 'pending' || hold !== undefined) {
      waits.add(name);
      continue;
    }
    if (upstream !== undefined) puts.add(upstream);
    puts.add(route);
    leavesOver ||= before !== undefined;
  }
  // One that no Route waited for belongs to something else, and a Service may wait for it.
  for (const upstream of newUpstreams) if (isMixed || !puts.has(upstream)) return undefined;
  // What goes on with a Route that waits ends with its wait.
  if (isMixed) for (const name of waited) if (!waits.has(name)) return undefined;
  if (removed.length > 0 && isStillTaken(removed, waits, view)) return undefined;
  return { puts, removed, asks, waits, leavesOver };
}

/** Whether a Route that stays in its old version takes from something that is removed. */
function isStillTaken(removed: readonly ResourceKey[], waits: ReadonlySet<string>, view: ResourceView): boolean {
  if (removed.every(({ kind }) => kind === 'Route')) return false;
  const gone = new Set(removed);
  for (const name of waits) {
    const old = view.get('Route', name);
    if (old !== undefined && takenFrom(old, view).some((one) => gone.has(one))) return true;
  }
  return false;
}

/** What comes into the view with a Route; undefined: nothing more is needed. */
function upstreamOf(
  route: Resource<'Route'>,
  store: ResourceStore,
  view: ResourceView,
): Resource<'Upstream'> | 'pending' | 'walk' | undefined {
  const named = namedUpstream(route);
  if (named === undefined) return undefined;
  if (named.servicePort !== 0) return 'walk';
  if (view.get('Upstream', named.name) !== undefined) return undefined;
  if (store.entry('Upstream', named.name) === undefined || store.isPending('Upstream', named.name)) return 'pending';
  const upstream = store.get('Upstream', named.name);
  return upstream !== undefined && namedSecrets(upstream).size > 0 ? 'walk' : upstream;
}
