// Which sidecar gets what. A view is the part of a snapshot that one sidecar may see; sidecars that may see the same
// share one. Listeners are those of the services that it wants, without those that its own Pod backs; of derived
// Upstreams and Endpoints those of the same services, and those that a native Listener or the gateway names; of Secrets
// those that any of these name. Native resources, and so all of the gateway's, are seen by all.
import type { Kind } from '../config/resource.ts';
import { DEFAULT_SIDECAR } from '../config/tree.ts';
import { deriveListener, deriveSidecar, listenerName } from './derived-roots.ts';
import type { Snapshot } from './snapshot.ts';
import { decodeMessage, type VersionedResource } from './versioned-resource.ts';

/** Of which snapshot a view is, and for whom. */
export interface Moment {
  readonly snapshot: object;
  readonly key: string;
}

/** The resources that one sidecar may see. Immutable. */
export interface View {
  get(kind: Kind, name: string): VersionedResource | undefined;
  /** All resources of a kind, for a subscription to `*`. */
  all(kind: Kind): readonly VersionedResource[];
  readonly moment: Moment;
  /** Names of a kind that may mean something else than in an earlier view; undefined: any may. */
  changedSince(earlier: Moment, kind: Kind): Iterable<string> | undefined;
}

/** For whom a view is. */
export interface Viewer {
  /** Tells views apart: the other fields as a text. */
  readonly key: string;
  /** Whether `names` are the services that it wants; else those that it doesn't. */
  readonly listed: boolean;
  readonly names: ReadonlySet<string>;
  /** Name of the Sidecar that is its root. */
  readonly own: string;
}

/** What is made for a view. The next snapshot takes from it what stayed. */
export interface ViewContent {
  readonly listeners: ReadonlyMap<string, VersionedResource>;
  /** Listeners with some of the targets, by the Listener with all. */
  readonly narrowed: ReadonlyMap<VersionedResource, VersionedResource>;
  readonly sidecars: ReadonlyMap<string, VersionedResource>;
  /** Names of the Secrets that are seen; undefined until the first is asked for: most sidecars ask for none. */
  secrets: ReadonlySet<string> | undefined;
}

const NOTHING: readonly string[] = [];

/** The view of a snapshot. */
export class SidecarView implements View {
  readonly moment: Moment;
  readonly content: ViewContent;
  private readonly snapshot: Snapshot;
  private readonly viewer: Viewer;
  private readonly before: ViewContent | undefined;

  /** `before`: what the view for the same viewer held in the snapshot before. */
  constructor(snapshot: Snapshot, viewer: Viewer, before: ViewContent | undefined) {
    this.snapshot = snapshot;
    this.viewer = viewer;
    this.before = before;
    this.moment = { snapshot: snapshot.id, key: viewer.key };
    const narrowed = new Map<VersionedResource, VersionedResource>();
    const listeners =
      before !== undefined && snapshot.changedNames('Listener').size === 0
        ? before.listeners
        : this.findListeners(narrowed);
    this.content = {
      listeners,
      narrowed: listeners === before?.listeners ? before.narrowed : narrowed,
      sidecars:
        before !== undefined && listeners === before.listeners && !snapshot.sidecarsMoved
          ? before.sidecars
          : this.findSidecars(listeners),
      secrets: snapshot.secretsMoved ? undefined : before?.secrets,
    };
  }

  get(kind: Kind, name: string): VersionedResource | undefined {
    if (kind === 'Listener') return this.content.listeners.get(name);
    if (kind === 'Sidecar') return this.content.sidecars.get(name);
    const resource = this.snapshot.resources.get(kind, name);
    return resource !== undefined && this.isSeen(resource) ? resource : undefined;
  }

  all(kind: Kind): readonly VersionedResource[] {
    if (kind === 'Listener') return [...this.content.listeners.values()];
    if (kind === 'Sidecar') return [...this.content.sidecars.values()];
    return Array.from(this.snapshot.resources.all(kind)).filter((resource) => this.isSeen(resource));
  }

  changedSince(earlier: Moment, kind: Kind): Iterable<string> | undefined {
    const { snapshot, content, before } = this;
    if (earlier.key !== this.viewer.key) return undefined;
    if (earlier.snapshot === snapshot.id) return NOTHING;
    if (earlier.snapshot !== snapshot.previousId || before === undefined) return undefined;
    if (kind === 'Listener') return changedBetween(before.listeners, content.listeners);
    if (kind === 'Sidecar') return changedBetween(before.sidecars, content.sidecars);
    return kind === 'Secret' && snapshot.secretsMoved ? undefined : snapshot.changedNames(kind);
  }

  private isSeen({ kind, name, service }: VersionedResource): boolean {
    if (kind === 'Secret') return (this.content.secrets ??= this.findSecrets()).has(name);
    return service === undefined || this.selects(service) || this.snapshot.named.has(service);
  }

  private selects(service: string): boolean {
    return this.viewer.names.has(service) === this.viewer.listed;
  }

  private findListeners(narrowed: Map<VersionedResource, VersionedResource>): ReadonlyMap<string, VersionedResource> {
    const { snapshot, viewer } = this;
    const { resources, services } = snapshot;
    if (!viewer.listed && viewer.names.size === 0) return snapshot.listeners();
    const listeners = new Map(viewer.listed ? [] : snapshot.listeners());
    for (const port of new Set([...viewer.names].flatMap((name) => services.get(name)?.ports ?? []))) {
      const name = listenerName(port);
      const full = resources.getDerived('Listener', name);
      // A native Listener of the name stands as it is.
      if (full === undefined || resources.getNative('Listener', name) !== undefined) continue;
      const all = services.onPort(port);
      const left = all.filter((service) => this.selects(service));
      const [first] = left;
      if (first === undefined) {
        listeners.delete(name);
        continue;
      }
      if (left.length === all.length) {
        listeners.set(name, full);
        continue;
      }
      const narrow = this.before?.narrowed.get(full) ?? deriveListener(port, left, services.get(first)?.origin);
      narrowed.set(full, narrow);
      listeners.set(name, narrow);
    }
    if (viewer.listed) for (const native of resources.allNative('Listener')) listeners.set(native.name, native);
    return listeners;
  }

  private findSidecars(listeners: ReadonlyMap<string, VersionedResource>): ReadonlyMap<string, VersionedResource> {
    const { snapshot, viewer } = this;
    const sidecars = new Map<string, VersionedResource>();
    for (const name of new Set([DEFAULT_SIDECAR, viewer.own])) {
      const native = snapshot.resources.getNative('Sidecar', name);
      sidecars.set(name, native ?? this.derivedSidecar(listeners));
    }
    return sidecars;
  }

  private derivedSidecar(listeners: ReadonlyMap<string, VersionedResource>): VersionedResource {
    const { snapshot } = this;
    // A view only ever lacks listeners of the full set, never has others: as many are the same ones.
    if (listeners.size === snapshot.listeners().size) return snapshot.sidecar();
    return deriveSidecar(listeners.keys(), snapshot.adminApi);
  }

  /** Secrets that the Listeners of its Sidecar, the Upstreams behind them, and the Upstreams of the gateway name. */
  private findSecrets(): ReadonlySet<string> {
    const root = this.get('Sidecar', this.viewer.own);
    const names = root === undefined ? [] : decodeMessage('Sidecar', root.bytes).listeners;
    const listeners = names.map((name) => this.get('Listener', name)).filter((one) => one !== undefined);
    const behind = new Set(listeners.flatMap(({ references }) => references.upstreams));
    const upstreams = [...behind].map((name) => this.get('Upstream', name)).filter((one) => one !== undefined);
    const found = new Set(this.snapshot.secretsOfGateway());
    for (const { references } of [...listeners, ...upstreams]) {
      for (const { name } of references.secrets) found.add(name);
    }
    return found;
  }
}

function* changedBetween(
  before: ReadonlyMap<string, VersionedResource>,
  after: ReadonlyMap<string, VersionedResource>,
): Generator<string> {
  if (before === after) return;
  for (const [name, { version }] of after) if (before.get(name)?.version !== version) yield name;
  for (const name of before.keys()) if (!after.has(name)) yield name;
}
