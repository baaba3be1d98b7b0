// What of everything held is in force. The store has the newest good version of each resource, the view what is handed
// on: they differ while something warms (warming.ts). What the view names stays subscribed until it has been replaced.
import type { Logger } from '../base/log.ts';
import type { GatewayKind, Kind, Resource, Resources, WantedNames } from '../config/resource.ts';
import { EVERYTHING, GATEWAY_KINDS, isGatewayKind, KINDS } from '../config/resource.ts';
import { AbsenceGrace } from './absence-grace.ts';
import type { AdsSession, Moment } from './ads-session.ts';
import type { ServerAddress } from './ads-stream.ts';
import { formatServer } from './ads-stream.ts';
import { patchOf } from './gateway-patch.ts';
import type { GatewayHeld } from './gateway-warming.ts';
import type { ResourceKey } from './resource-store.ts';
import { ResourceStore } from './resource-store.ts';
import { differenceOf, ResourceView } from './resource-view.ts';
import type { SavedState, StateStore } from './state-store.ts';
import type { Decode, Flavour } from './subscription.ts';
import { unionOf } from './wanted-union.ts';
import { NOTHING_HELD, rootOf, warm } from './warming.ts';
import { DEFAULT_SIDECAR } from '../config/tree.ts';

/** What nobody names any more is kept that long at most, so that the walks that find it are few, ms. */
const LEFT_OVER_MS = 2_000;

/** Where what is handed on comes from. */
export type UpdateSource = 'control' | 'state_dir';

/** What is told with the resources. */
export interface Update {
  /** `state_dir`: what was saved; neither the control plane that it came from nor another one has been reached. */
  readonly source: UpdateSource;
  /** The control plane that what is in force comes from, as it is configured; undefined with `state_dir`. */
  readonly owner: ServerAddress | undefined;
  /** Kinds of which something changed; none where only something else told here did. */
  readonly kinds: ReadonlySet<Kind>;
  /**
   * Whether all Consumers there are have come. While they haven't, a caller whom none of them fits isn't a stranger yet.
   * Routes are in force then only after a restart: they are saved, and the keys of Consumers are not.
   *
   * They count as known too where none will come, or the wait would never end: nobody asks for them (over plaintext, or
   * since the control plane ends the stream over it), the control plane was silent about them for 15 s, or the gateway
   * is off.
   */
  readonly consumersAreKnown: boolean;
}

/**
 * Called with what is in force after something of it or of what is told with it changed, once for all that changed in a
 * turn. `resources` is valid until the next call.
 */
export type OnUpdate = (resources: Resources, update: Update) => void;

/** What it works with. */
export interface InForceContext {
  readonly nodeId: string;
  /** State of the world can't tell of a removal under `*`, so the gateway is off there. */
  readonly flavour: Flavour;
  /** Any of which may be the owner. */
  readonly servers: readonly ServerAddress[];
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

const NOTHING: Resources = new ResourceView();

/** The configuration in force. */
export class ConfigurationInForce {
  store = new ResourceStore();
  /**
   * When the tree must be walked, since something is left over that nobody names, or a Route has waited long enough;
   * Infinity: neither is.
   */
  walkDueMs = Infinity;
  private view = new ResourceView();
  /** Nothing newer than `view` waits beside what `held` tells, and everything wanted is here or known not to come. */
  private isSettled = false;
  /** What the tree in `view` wants; undefined: not known yet. */
  private serving: WantedNames | undefined = undefined;
  private held: GatewayHeld = NOTHING_HELD;
  private readonly grace = new AbsenceGrace();
  private isGatewayMissed = false;
  /** What is in force was saved, and its control plane hasn't been reached. */
  private isSaved = false;
  /** What was handed on last. */
  private told: Update | undefined = undefined;
  private readonly roots: readonly string[];
  private readonly context: InForceContext;

  constructor(context: InForceContext) {
    this.context = context;
    this.roots = [context.nodeId, DEFAULT_SIDECAR];
  }

  /** A configuration was handed on. */
  get handedOn(): boolean {
    return this.told !== undefined;
  }

  /** Whether something could be handed on: there is a root, or a gateway that needs none. */
  get hasTree(): boolean {
    return rootOf(this.store, this.roots) !== undefined || this.wantedOf(NOTHING).Route === EVERYTHING;
  }

  /** Whether the owner gave us anything that lasts: a root, or what serves. */
  get hasContent(): boolean {
    return rootOf(this.store, this.roots) !== undefined || KINDS.some((kind) => this.view.size(kind) > 0);
  }

  /** Something that is told beside the resources isn't as it was told. */
  get hasNews(): boolean {
    const { told, owner, consumersAreKnown } = this;
    return told !== undefined && (told.owner !== owner || told.consumersAreKnown !== consumersAreKnown);
  }

  /** Time that Routes wait for something starts to run once the stream is connected. */
  get awaitsStream(): boolean {
    return this.grace.isPaused;
  }

  /** The control plane at `address` gave us what is in force, or stands by what was saved of it. */
  cameFrom(address: string): void {
    this.store.owner = address;
    this.isSaved = false;
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
      // Of Consumers only those without a key are saved. None is claimed, so that the server answers whatever it has: else
      // its silence would have to mean that there are no others.
      const claimed = kind === 'Consumer' ? '' : serverVersion;
      store.restore({ resource: decoded.resource, version: claimed, ttlMs: undefined }, version, wallMs);
    }
    const wanted = this.wantedOf(store);
    if (rootOf(store, this.roots) === undefined && wanted.Route !== EVERYTHING) return;
    this.store = store;
    store.owner = server;
    this.isSaved = true;
    store.retain(wanted);
    const view = new ResourceView();
    for (const { resource } of store.entries()) view.put(resource);
    // Of a kind that has some, the server tells only what changed since. A Route that isn't claimed is an old one that was
    // held: it comes again.
    const isOld = resources.some(({ kind, serverVersion }) => kind === 'Route' && serverVersion === '');
    for (const kind of GATEWAY_KINDS) {
      if (kind !== 'Consumer' && view.size(kind) > 0 && !(kind === 'Route' && isOld)) store.answered(kind);
    }
    this.setView(view);
    logger.log('info', { resources: resources.length, server }, 'serving the saved configuration');
    this.handOn([...view.everything()], new Set(KINDS.filter((kind) => view.size(kind) > 0)), wallMs);
  }

  /**
   * Takes new content that leaves the shape of the tree as it is, or changes it in a way that concerns the gateway alone,
   * which is what most updates bring, without a walk of the tree. Returns false, and does nothing, where there is more to it.
   */
  updateInPlace(content: readonly ResourceKey[], session: AdsSession | undefined, at: Moment): boolean {
    const { store, view, grace } = this;
    const { waits, isMixed } = this.held;
    if (!this.isSettled || session === undefined) return false;
    grace.begin(session, at.nowMs);
    const isAwaited = (kind: Kind, name: string): boolean => grace.isAwaited(kind, name);
    const patch = patchOf(content, { store, view, waits, isMixed, isAwaited });
    if (patch === undefined) return false;
    grace.end();
    this.walkDueMs = Math.min(this.walkDueMs, grace.nextDueMs);
    this.held = { waits: patch.waits, isMixed };
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
    this.handOn([...patch.puts], kinds, at.wallMs);
    return true;
  }

  /**
   * Walks the tree: asks for what it names, and hands on what may serve. `session` is the one that fills the store, if
   * one does. The first configuration is handed on whole, or, with `inPart`, as far as it is ready.
   */
  update(session: AdsSession | undefined, inPart: boolean, at: Moment): void {
    this.walkDueMs = Infinity;
    this.held = NOTHING_HELD;
    this.isSettled = false;
    const newest = this.wantedOf(this.store);
    this.ask(newest, session, at);
    if (!this.handedOn && !inPart && !this.isAnswered(this.store)) return;
    const { store, roots, grace } = this;
    grace.begin(session, at.nowMs);
    const { view, latest, holdsGatewayOnly, gateway } = warm({
      latest: store,
      inForce: this.view,
      roots,
      isPending: (kind, name) => store.isPending(kind, name),
      isRefused: (kind, name) => store.isRefused(kind, name),
      isAwaited: (kind, name) => grace.isAwaited(kind, name),
      hasGateway: (resources) => this.wantedOf(resources).Route === EVERYTHING,
    });
    grace.end();
    this.walkDueMs = grace.nextDueMs;
    this.held = gateway;
    const wanted = latest ? newest : this.wantedOf(view);
    for (const name of wanted.Secret) view.put(store.get('Secret', name));
    this.isSettled = holdsGatewayOnly && this.isAnswered(store);
    const { kinds, changed } = differenceOf(this.view, view);
    if (kinds.size === 0) {
      if (this.hasNews) this.handOn([], kinds, at.wallMs);
      return;
    }
    this.setView(view, wanted);
    this.handOn(changed, kinds, at.wallMs);
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

  private get owner(): ServerAddress | undefined {
    if (this.isSaved) return undefined;
    return this.context.servers.find((server) => formatServer(server) === this.store.owner);
  }

  private get consumersAreKnown(): boolean {
    return !this.store.isPending('Consumer', EVERYTHING);
  }

  private handOn(changed: readonly Resource[], kinds: ReadonlySet<Kind>, wallMs: number): void {
    const { onUpdate, logger, stateStore } = this.context;
    const { owner, consumersAreKnown } = this;
    const source: UpdateSource = this.isSaved ? 'state_dir' : 'control';
    this.told = { source, owner, kinds, consumersAreKnown };
    try {
      onUpdate(this.view, this.told);
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
