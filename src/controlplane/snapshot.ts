// All resources of one moment. A snapshot is made from the one before and shares with it what didn't change; it knows
// what changed since, so that whoever was in sync with that one needs to look at nothing else.
import type { Kind } from '../config/resource.ts';
import { DEFAULT_SIDECAR } from '../config/tree.ts';
import { deriveListener, deriveSidecar, listenerName } from './derived-roots.ts';
import { difference } from './difference.ts';
import { NamedUpstreams } from './named-upstreams.ts';
import type { NodeIdentity } from './node-identity.ts';
import { type ChangedNames, noteChange, ResourceIndex } from './resource-index.ts';
import { ServiceIndex } from './service-index.ts';
import type { DerivedService } from './translate/service.ts';
import type { Translation } from './translate/translator.ts';
import type { VersionedResource } from './versioned-resource.ts';
import { SidecarView, type View, type ViewContent } from './views.ts';

const NONE: ReadonlySet<string> = new Set();

/** One moment, and the views of it. Immutable. */
export class Snapshot {
  /** Tells this snapshot from others. */
  readonly id: object = {};
  /** Of the one before. */
  readonly previousId: object | undefined;
  readonly resources: ResourceIndex;
  readonly services: ServiceIndex;
  readonly named: NamedUpstreams;
  /** Where the Admin API of the control plane is; undefined: it has none. */
  readonly adminApi: string | undefined;
  /** Whether derived Sidecars may be others than before although the Listeners are the same, or native ones are. */
  readonly sidecarsMoved: boolean;
  /** Whether other Secrets may be seen than before. */
  readonly secretsMoved: boolean;
  private readonly translation: Translation;
  private readonly changed: ChangedNames;
  /** What the views of the snapshot before held, by key. */
  private readonly before: ReadonlyMap<string, ViewContent>;
  private readonly views = new Map<string, SidecarView>();
  private allListeners: ReadonlyMap<string, VersionedResource> | undefined;
  private fullSidecar: VersionedResource | undefined;
  private gatewaySecrets: ReadonlySet<string> | undefined;

  /** `previous`: the snapshot before; what is alike is taken from it instead of being made again. */
  constructor(translation: Translation, previous?: Snapshot, adminApi?: string) {
    const services = difference(previous?.translation.services ?? [], translation.services);
    const others = difference(previous?.translation.others ?? [], translation.others);
    this.translation = translation;
    this.adminApi = adminApi;
    this.previousId = previous?.id;
    this.services = (previous?.services ?? ServiceIndex.empty()).with(services.removed, services.added);
    const listeners = this.movedListeners(services.removed, services.added, previous);
    const derived = {
      removed: [...services.removed.flatMap((service) => service.resources), ...listeners.removed],
      added: [...services.added.flatMap((service) => service.resources), ...listeners.added],
    };
    const resources = (previous?.resources ?? ResourceIndex.empty()).with(derived, others);
    const { named, turned } = (previous?.named ?? NamedUpstreams.empty()).with(others);
    this.resources = resources.index;
    this.named = named;
    this.changed = resources.changed;
    for (const name of turned) this.noteService(name);
    this.sidecarsMoved = this.changed.has('Sidecar') || adminApi !== previous?.adminApi;
    this.secretsMoved =
      this.changed.has('Listener') || this.changed.has('Sidecar') || this.touchesSecrets(turned, previous);
    this.before = new Map(Array.from(previous?.views ?? [], ([key, view]) => [key, view.content]));
    if (!this.changed.has('Listener')) {
      this.allListeners = previous?.allListeners;
      if (!this.sidecarsMoved) this.fullSidecar = previous?.fullSidecar;
    }
    if (!this.secretsMoved) this.gatewaySecrets = previous?.gatewaySecrets;
  }

  /** The view of a node. */
  viewOf(node: NodeIdentity): View {
    const listed = node.services !== undefined;
    const names = new Set(node.services ?? node.podIps.flatMap((ip) => this.services.backedBy(ip)));
    const own = this.resources.getNative('Sidecar', node.id) === undefined ? DEFAULT_SIDECAR : node.id;
    const key = JSON.stringify([listed, [...names].sort(), own]);
    let view = this.views.get(key);
    if (view === undefined) {
      view = new SidecarView(this, { key, listed, names, own }, this.before.get(key));
      this.views.set(key, view);
    }
    return view;
  }

  /** Services that a node lists and that aren't there. */
  missingServices(node: NodeIdentity): string[] {
    return (node.services ?? []).filter((name) => this.services.get(name) === undefined);
  }

  /** How many different views were asked for. */
  get viewCount(): number {
    return this.views.size;
  }

  /** Names of a kind whose resource is another one than in the snapshot before. */
  changedNames(kind: Kind): ReadonlySet<string> {
    return this.changed.get(kind) ?? NONE;
  }

  /** All Listeners by name. */
  listeners(): ReadonlyMap<string, VersionedResource> {
    return (this.allListeners ??= new Map(
      Array.from(this.resources.all('Listener'), (listener) => [listener.name, listener]),
    ));
  }

  /** The derived root that names all of them. */
  sidecar(): VersionedResource {
    return (this.fullSidecar ??= deriveSidecar(this.listeners().keys(), this.adminApi));
  }

  /** Secrets that the Upstreams name which Routes and Services name. */
  secretsOfGateway(): ReadonlySet<string> {
    if (this.gatewaySecrets !== undefined) return this.gatewaySecrets;
    const found = new Set<string>();
    for (const name of this.named.ofGateway()) {
      const upstream = this.resources.get('Upstream', name);
      for (const secret of upstream?.references.secrets ?? []) found.add(secret.name);
    }
    return (this.gatewaySecrets = found);
  }

  /** The derived Listeners of ports that services came to or left. */
  private movedListeners(
    removed: readonly DerivedService[],
    added: readonly DerivedService[],
    previous: Snapshot | undefined,
  ): { removed: VersionedResource[]; added: VersionedResource[] } {
    const moved = { removed: new Array<VersionedResource>(), added: new Array<VersionedResource>() };
    for (const port of new Set([...removed, ...added].flatMap(({ ports }) => ports))) {
      const names = this.services.onPort(port);
      const last = previous?.resources.getDerived('Listener', listenerName(port));
      if (last !== undefined && sameNames(names, previous?.services.onPort(port) ?? [])) continue;
      if (last !== undefined) moved.removed.push(last);
      const [first] = names;
      if (first !== undefined) moved.added.push(deriveListener(port, names, this.services.get(first)?.origin));
    }
    return moved;
  }

  /** What was made of a service is seen by others than before. */
  private noteService(name: string): void {
    for (const resource of this.services.get(name)?.resources ?? []) {
      noteChange(this.changed, resource.kind, resource.name);
    }
  }

  private touchesSecrets(turned: ReadonlySet<string>, previous: Snapshot | undefined): boolean {
    const namesSecrets = (resource: VersionedResource | undefined): boolean =>
      (resource?.references.secrets.length ?? 0) > 0;
    return [...this.changedNames('Upstream'), ...turned].some(
      (name) =>
        namesSecrets(this.resources.get('Upstream', name)) || namesSecrets(previous?.resources.get('Upstream', name)),
    );
  }
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((name, i) => name === b[i]));
}
