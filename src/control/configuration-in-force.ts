// What of everything held is in force. The store has the newest good version of each resource, the view what is handed
// on: they differ while something warms (warming.ts). What the view names stays subscribed until it has been replaced.
import type { Logger } from '../base/log.ts';
import type { Kind, Resource, Resources, WantedNames } from '../config/resource.ts';
import { KINDS } from '../config/resource.ts';
import type { AdsSession, Moment } from './ads-session.ts';
import type { ResourceKey } from './resource-store.ts';
import { ResourceStore } from './resource-store.ts';
import { differenceOf, ResourceView } from './resource-view.ts';
import type { SavedState, StateStore } from './state-store.ts';
import type { Decode } from './subscription.ts';
import { namesSameChildren, rootOf, warm } from './warming.ts';

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
  /** Names that the tree in `resources` wants. */
  readonly wanted: (resources: Resources) => WantedNames;
  readonly onUpdate: OnUpdate;
  readonly stateStore: StateStore | undefined;
  readonly logger: Logger;
}

/** The configuration in force. */
export class ConfigurationInForce {
  store = new ResourceStore();
  /** A configuration was handed on. */
  handedOn = false;
  private view = new ResourceView();
  /** Nothing newer than `view` waits, and everything wanted is here or known not to come. */
  private isSettled = false;
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
    return { ...this.context.wanted(resources), Sidecar: new Set(this.roots) };
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
    const view = new ResourceView();
    for (const { kind, name, version, serverVersion, bytes } of resources) {
      const decoded = decode(kind, name, bytes);
      if (!decoded.ok) {
        const [problem] = decoded.problems;
        logger.log('warn', { kind, name, problem }, 'a saved resource is not usable any more');
        continue;
      }
      store.restore({ resource: decoded.resource, version: serverVersion, ttlMs: undefined }, version, wallMs);
      view.put(decoded.resource);
    }
    if (rootOf(view, this.roots) === undefined) return;
    this.store = store;
    this.view = view;
    store.owner = server;
    store.retain(this.wantedOf(store));
    logger.log('info', { resources: resources.length, server }, 'serving the saved configuration');
    this.handOn([...view.all()], new Set(KINDS.filter((kind) => view.size(kind) > 0)), 'state_dir', wallMs);
  }

  /**
   * Takes new content that leaves the shape of the tree as it is, which is what most updates bring, without a walk of the
   * tree. Returns false, and does nothing, where there is more to it.
   */
  updateInPlace(content: readonly ResourceKey[], { wallMs }: Moment): boolean {
    if (!this.isSettled) return false;
    const resources = new Set<Resource>();
    for (const { kind, name } of content) {
      const before = this.view.get(kind, name);
      const resource = this.store.get(kind, name);
      if (before === undefined || resource === undefined || !namesSameChildren(before, resource)) return false;
      resources.add(resource);
    }
    for (const resource of resources) this.view.put(resource);
    this.handOn([...resources], new Set([...resources].map(({ kind }) => kind)), 'control', wallMs);
    return true;
  }

  /**
   * Walks the tree: asks for what it names, and hands on what may serve. `session` is the one that fills the store, if
   * one does. The first configuration is handed on whole, or, with `inPart`, as far as it is ready.
   */
  update(session: AdsSession | undefined, inPart: boolean, at: Moment): void {
    this.ask(session, at);
    if (!this.handedOn && !inPart && !this.isAnswered(this.store)) return;
    const { store, roots } = this;
    const isPending = (kind: Kind, name: string): boolean => store.isPending(kind, name);
    const { view, latest } = warm({ latest: store, inForce: this.view, roots, isPending });
    for (const name of this.wantedOf(view).Secret) view.put(store.get('Secret', name));
    this.isSettled = latest && this.isAnswered(store);
    const { kinds, changed } = differenceOf(this.view, view);
    if (kinds.size === 0) return;
    this.view = view;
    this.handOn(changed, kinds, 'control', at.wallMs);
    // What served until now isn't needed any more.
    this.ask(session, at);
  }

  private ask(session: AdsSession | undefined, at: Moment): void {
    const { store, view } = this;
    const newest = this.wantedOf(store);
    const serving = this.wantedOf(view);
    // The third tree is the one in force with the newest policy, which may name Endpoints that neither other one does.
    const next = this.wantedOf({
      get: (kind, name) => (kind === 'Upstream' ? store.get(kind, name) : view.get(kind, name)),
    });
    const union = (kind: Kind): ReadonlySet<string> => new Set([...newest[kind], ...serving[kind], ...next[kind]]);
    const wanted: WantedNames = {
      Sidecar: newest.Sidecar,
      Listener: union('Listener'),
      Upstream: union('Upstream'),
      Endpoints: union('Endpoints'),
      Secret: union('Secret'),
    };
    if (session === undefined) store.retain(wanted);
    else session.want(wanted, at);
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
    for (const resource of this.view.all()) {
      const { kind, name, bytes } = resource;
      const entry = this.store.entry(kind, name);
      if (entry?.isTemporary === true) continue;
      const isNewest = entry?.resource === resource;
      const serverVersion = isNewest && entry.state === 'ACKED' ? entry.serverVersion : '';
      resources.push({ kind, name, version: isNewest ? entry.version : '', serverVersion, bytes });
    }
    return { server: this.store.owner ?? '', resources };
  }
}
