// What of everything held is in force. The store has the newest good version of each resource, the view what is handed
// on: they differ while something warms (warming.ts). What the view names stays subscribed until it has been replaced.
import type { Logger } from '../base/log.ts';
import type { GatewayKind, Kind, Resource, Resources, WantedNames } from '../config/resource.ts';
import { EVERYTHING, GATEWAY_KINDS, isGatewayKind, KINDS } from '../config/resource.ts';
import type { AdsSession, Moment } from './ads-session.ts';
import { patchOf } from './gateway-patch.ts';
import type { ResourceKey } from './resource-store.ts';
import { ResourceStore } from './resource-store.ts';
import { differenceOf, ResourceView } from './resource-view.ts';
import type { SavedState, StateStore } from './state-store.ts';
import type { Decode, Flavour } from './subscription.ts';
import { unionOf } from './wanted-union.ts';
import { rootOf, warm } from './warming.ts';

/** What nobody names any more is kept that long at most, so that the walks that find it are few, ms. */
const LEFT_OVER_MS = 2_000;

/** Name of the Sidecar for nodes without one of their own. */
const DEFAULT_SIDECAR = 'default';

/** Where what is handed on comes from. */
export type UpdateSource = 'control' | 'state_dir';

/**
 * Called with what is in force after something of it changed, once for all that changed in a turn. `resources` is valid
 * until the next call; `kinds` are those of which something changed.
 */
export type OnUpdate = (resources: Resources, source: UpdateSource, kinds: ReadonlySet<Kind>) => void;

/** What it works with. */
export interface InForceContext {
  readonly nodeId: string;
  /** State of the world can't tell of a removal under `*`, so the gateway is off there. */
  readonly flavour: Flavour;
  /** Names that the tree in `resources` wants. */
  readonly wanted: (resources: Resources) => WantedNames;
  readonly onUpdate: OnUpdate;
  readonly stateStore: StateStore | undefined;
  readonly logger: Logger;
}

const NO_GATEWAY: Pick<WantedNames, GatewayKind> = {
  Route: new Set(),
  Service: new Set(),
  PluginConfig: new Set(),
  Consumer: new Set(),
};

/** The configuration in force. */
export class ConfigurationInForce {
  store = new ResourceStore();
  /** A configuration was handed on. */
  handedOn = false;
  /** When the tree must be walked, since something is left over that nobody names; Infinity: nothing is. */
  walkDueMs = Infinity;
  private view = new ResourceView();
  /** Nothing newer than `view` waits, and everything wanted is here or known not to come. */
  private isSettled = false;
  /** What the tree in `view` wants; undefined: not known yet. */
  private serving: WantedNames | undefined = undefined;
  /** Routes whose newest version isn't in `view` although that is settled: they wait for an Upstream. */
  private waits: ReadonlySet<string> = new Set();
  private isGatewayMissed = false;
  private readonly roots: readonly string[];
  private readonly context: InForceContext;

  constructor(context: InForceContext) {
    this.context = context;
    this.roots = [context.nodeId, DEFAULT_SIDECAR];
  }

  /** Whether there is a tree at all. */
  get hasRoot(): boolean {
    return rootOf(this.store, this.roots) !== undefined;
  }

  /** Names that the tree in `resources` wants, the roots included. */
  wantedOf(resources: Resources): WantedNames {
    const wanted = { ...this.context.wanted(resources), Sidecar: new Set(this.roots) };
    if (this.context.flavour === 'delta' || wanted.Route !== EVERYTHING) return wanted;
    if (!this.isGatewayMissed) {
      this.context.logger.log('warn', {}, 'the gateway needs --xds delta: it stays off');
      this.isGatewayMissed = true;
    }
    return { ...wanted, ...NO_GATEWAY };
  }

  /** Everything that the tree of the store names was answered by the server that fills it, or will not be. */
  isAnswered(store: ResourceStore): boolean {
    if (KINDS.some((kind) => kind !== 'Sidecar' && store.awaiting(kind) > 0)) return false;
    const root = rootOf(store, this.roots);
    // A node's own Sidecar that a server is silent about is not waited for where `default` is there.
    if (root === undefined) return store.awaiting('Sidecar') === 0;
    return store.entry('Sidecar', root.name)?.state !== 'REQUESTED';
  }

  /** Puts what was saved in force and hands it on. */
  restore({ server, resources }: SavedState, decode: Decode, { wallMs }: Moment): void {
    const { logger } = this.context;
    const store = new ResourceStore();
    for (const { kind, name, version, serverVersion, bytes } of resources) {
      const decoded = decode(kind, name, bytes);
      if (!decoded.ok) {
        const [problem] = decoded.problems;
        logger.log('warn', { kind, name, problem }, 'a saved resource is not usable any more');
        continue;
      }
      store.restore({ resource: decoded.resource, version: serverVersion, ttlMs: undefined }, version, wallMs);
    }
    const wanted = this.wantedOf(store);
    if (rootOf(store, this.roots) === undefined && wanted.Route !== EVERYTHING) return;
    this.store = store;
    store.owner = server;
    store.retain(wanted);
    const view = new ResourceView();
    for (const { resource } of store.entries()) view.put(resource);
    // Of a kind that has some, the server tells only what changed since.
    for (const kind of GATEWAY_KINDS) if (view.size(kind) > 0) store.answered(kind);
    this.setView(view);
    logger.log('info', { resources: resources.length, server }, 'serving the saved configuration');
    this.handOn([...view.everything()], new Set(KINDS.filter((kind) => view.size(kind) > 0)), 'state_dir', wallMs);
  }

  /**
   * Takes new content that leaves the shape of the tree as it is, or changes it in a way that concerns the gateway alone,
   * which is what most updates bring, without a walk of the tree. Returns false, and does nothing, where there is more to it.
   */
  updateInPlace(content: readonly ResourceKey[], session: AdsSession | undefined, at: Moment): boolean {
    const { store, view, waits } = this;
    if (!this.isSettled || session === undefined) return false;
    const patch = patchOf(content, { store, view, waits });
    if (patch === undefined) return false;
    this.waits = patch.waits;
    if (patch.asks.size > 0) session.wantAlso('Upstream', [...patch.asks], at);
    if (patch.leavesOver) this.walkDueMs = Math.min(this.walkDueMs, at.nowMs + LEFT_OVER_MS);
    const kinds = new Set<Kind>();
    for (const { kind, name } of patch.removed) {
      view.remove(kind, name);
      kinds.add(kind);
    }
    for (const resource of patch.puts) {
      view.put(resource);
      kinds.add(resource.kind);
    }
    if (kinds.size === 0) return true;
    if (kinds.has('Route') || kinds.has('Service')) this.serving = undefined;
    this.handOn([...patch.puts], kinds, 'control', at.wallMs);
    return true;
  }

  /**
   * Walks the tree: asks for what it names, and hands on what may serve. `session` is the one that fills the store, if
   * one does. The first configuration is handed on whole, or, with `inPart`, as far as it is ready.
   */
  update(session: AdsSession | undefined, inPart: boolean, at: Moment): void {
    this.walkDueMs = Infinity;
    this.waits = new Set();
    this.isSettled = false;
    const newest = this.wantedOf(this.store);
    this.ask(newest, session, at);
    if (!this.handedOn && !inPart && !this.isAnswered(this.store)) return;
    const { store, roots } = this;
    const isPending = (kind: Kind, name: string): boolean => store.isPending(kind, name);
    const hasGateway = (resources: Resources): boolean => this.wantedOf(resources).Route === EVERYTHING;
    const { view, latest } = warm({ latest: store, inForce: this.view, roots, isPending, hasGateway });
    const wanted = latest ? newest : this.wantedOf(view);
    for (const name of wanted.Secret) view.put(store.get('Secret', name));
    this.isSettled = latest && this.isAnswered(store);
    const { kinds, changed } = differenceOf(this.view, view);
    if (kinds.size === 0) return;
    this.setView(view, wanted);
    this.handOn(changed, kinds, 'control', at.wallMs);
    // What served until now isn't needed any more.
    this.ask(newest, session, at);
  }

  /** Asks for what the newest tree names, and for what serves. */
  private ask(newest: WantedNames, session: AdsSession | undefined, at: Moment): void {
    const { store, view } = this;
    this.serving ??= this.wantedOf(view);
    let wanted = unionOf(newest, this.serving);
    if (this.hasNewerUpstream(this.serving.Upstream)) {
      // The tree in force with the newest policy may name Endpoints and Secrets that neither other one does.
      const next = this.wantedOf({
        get: (kind, name) => (kind === 'Upstream' ? store.get(kind, name) : view.get(kind, name)),
        all: (kind) => view.all(kind),
      });
      wanted = unionOf(wanted, next);
    }
    if (session === undefined) store.retain(wanted);
    else session.want(wanted, at);
  }

  private hasNewerUpstream(names: ReadonlySet<string>): boolean {
    const { store, view } = this;
    for (const name of names) if (store.get('Upstream', name) !== view.get('Upstream', name)) return true;
    return false;
  }

  private setView(view: ResourceView, wanted?: WantedNames): void {
    this.view = view;
    this.serving = wanted;
  }

  private handOn(changed: readonly Resource[], kinds: ReadonlySet<Kind>, source: UpdateSource, wallMs: number): void {
    const { onUpdate, logger, stateStore } = this.context;
    this.handedOn = true;
    try {
      onUpdate(this.view, source, kinds);
    } catch (error) {
      // A bug on the other side must not take down a process that serves.
      const stack = error instanceof Error ? error.stack : String(error);
      logger.log('error', { stack }, 'the configuration could not be applied');
      return;
    }
    for (const resource of changed) this.store.markApplied(resource, wallMs);
    if (source === 'control') stateStore?.save(() => this.toSave());
  }

  private toSave(): SavedState {
    const resources: SavedState['resources'][number][] = [];
    for (const resource of this.view.everything()) {
      const { kind, name, bytes } = resource;
      const entry = this.store.entry(kind, name);
      if (entry?.isTemporary === true) continue;
      const isNewest = entry?.resource === resource;
      const isClaimed = entry?.state === 'ACKED' || (isGatewayKind(kind) && entry?.state === 'NACKED');
      const serverVersion = isNewest && isClaimed ? entry.serverVersion : '';
      resources.push({ kind, name, version: isNewest ? entry.version : '', serverVersion, bytes });
    }
    return { server: this.store.owner ?? '', resources };
  }
}
