import type { GatewayKind, Kind, Resource, Resources } from '../config/resource.ts';
import { KINDS } from '../config/resource.ts';

/** A chosen set of resources: what the snapshot is built from. */
export class ResourceView implements Resources {
  private readonly byKind = new Map<Kind, Map<string, Resource>>(KINDS.map((kind) => [kind, new Map()]));

  get<K extends Kind>(kind: K, name: string): Resource<K> | undefined {
    // `put` files each under its own kind.
    return this.byKind.get(kind)?.get(name) as Resource<K> | undefined;
  }

  put(resource: Resource | undefined): void {
    if (resource !== undefined) this.byKind.get(resource.kind)?.set(resource.name, resource);
  }

  remove(kind: Kind, name: string): void {
    this.byKind.get(kind)?.delete(name);
  }

  all<K extends GatewayKind>(kind: K): Iterable<Resource<K>> {
    return this.of(kind) as Iterable<Resource<K>>;
  }

  /** All of any kind. */
  of(kind: Kind): Iterable<Resource> {
    return this.byKind.get(kind)?.values() ?? [];
  }

  size(kind: Kind): number {
    return this.byKind.get(kind)?.size ?? 0;
  }

  /** Everything, by kind from the root on. */
  *everything(): Generator<Resource> {
    for (const kind of KINDS) yield* this.of(kind);
  }
}

/** What differs between two views. */
export interface ViewDifference {
  readonly kinds: ReadonlySet<Kind>;
  /** In `after`, and not the same object in `before`. */
  readonly changed: readonly Resource[];
}

/** Compares by identity: an unchanged resource is the same object. */
export function differenceOf(before: ResourceView, after: ResourceView): ViewDifference {
  const kinds = new Set<Kind>();
  const changed: Resource[] = [];
  for (const kind of KINDS) {
    if (before.size(kind) !== after.size(kind)) kinds.add(kind);
    for (const resource of after.of(kind)) {
      if (before.get(kind, resource.name) === resource) continue;
      kinds.add(kind);
      changed.push(resource);
    }
  }
  return { kinds, changed };
}
