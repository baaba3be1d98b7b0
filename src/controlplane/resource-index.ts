// The resources of one moment by kind and name, with what differs from the moment before. Immutable: the next one shares
// what didn't change. Native resources stand over derived ones of the same name.
import type { Kind } from '../config/resource.ts';
import { LayeredMap } from './layered-map.ts';
import type { VersionedResource } from './versioned-resource.ts';

/** Resources that came and went; a changed one is removed and added. */
export interface Moves {
  readonly removed: readonly VersionedResource[];
  readonly added: readonly VersionedResource[];
}

type OfKind = LayeredMap<string, VersionedResource>;
const NOTHING: OfKind = LayeredMap.empty();

/** Finds resources. */
export class ResourceIndex {
  private readonly derived: ReadonlyMap<Kind, OfKind>;
  private readonly native: ReadonlyMap<Kind, OfKind>;

  private constructor(derived: ReadonlyMap<Kind, OfKind>, native: ReadonlyMap<Kind, OfKind>) {
    this.derived = derived;
    this.native = native;
  }

  /** The index of nothing. */
  static empty(): ResourceIndex {
    return new ResourceIndex(new Map(), new Map());
  }

  get(kind: Kind, name: string): VersionedResource | undefined {
    return this.native.get(kind)?.get(name) ?? this.derived.get(kind)?.get(name);
  }

  /** The native one of a name. */
  getNative(kind: Kind, name: string): VersionedResource | undefined {
    return this.native.get(kind)?.get(name);
  }

  /** The derived one of a name, whether a native one stands over it or not. */
  getDerived(kind: Kind, name: string): VersionedResource | undefined {
    return this.derived.get(kind)?.get(name);
  }

  /** All of a kind. */
  *all(kind: Kind): Generator<VersionedResource> {
    const native = this.native.get(kind) ?? NOTHING;
    yield* native.values();
    for (const [name, resource] of this.derived.get(kind) ?? NOTHING) if (!native.has(name)) yield resource;
  }

  /** All native ones of a kind. */
  allNative(kind: Kind): Iterable<VersionedResource> {
    return (this.native.get(kind) ?? NOTHING).values();
  }

  /** This index after these moves, and the names whose resource another one is now, or which another may see. */
  with(derived: Moves, native: Moves): { readonly index: ResourceIndex; readonly changed: ChangedNames } {
    const changes = [changesOf(derived), changesOf(native)] as const;
    const index = new ResourceIndex(applied(this.derived, changes[0]), applied(this.native, changes[1]));
    const changed: ChangedNames = new Map();
    for (const [kind, names] of [...changes[0], ...changes[1]]) {
      for (const name of names.keys()) {
        const before = this.get(kind, name);
        const after = index.get(kind, name);
        // Others may see a native one than a derived one, of whatever content.
        const isSeenAlike =
          before?.service === after?.service &&
          (this.getNative(kind, name) === undefined) === (index.getNative(kind, name) === undefined);
        if (before?.version !== after?.version || !isSeenAlike) noteChange(changed, kind, name);
      }
    }
    return { index, changed };
  }
}

/** Names by kind. */
export type ChangedNames = Map<Kind, Set<string>>;

/** Adds a name. */
export function noteChange(changed: ChangedNames, kind: Kind, name: string): void {
  const names = changed.get(kind);
  if (names === undefined) changed.set(kind, new Set([name]));
  else names.add(name);
}

type Changes = Map<Kind, Map<string, VersionedResource | undefined>>;

function changesOf({ removed, added }: Moves): Changes {
  const changes: Changes = new Map();
  const set = (kind: Kind, name: string, after: VersionedResource | undefined): void => {
    const names = changes.get(kind) ?? new Map<string, VersionedResource | undefined>();
    names.set(name, after);
    changes.set(kind, names);
  };
  for (const { kind, name } of removed) set(kind, name, undefined);
  for (const resource of added) set(resource.kind, resource.name, resource);
  return changes;
}

function applied(before: ReadonlyMap<Kind, OfKind>, changes: Changes): ReadonlyMap<Kind, OfKind> {
  if (changes.size === 0) return before;
  const after = new Map(before);
  for (const [kind, names] of changes) after.set(kind, (before.get(kind) ?? NOTHING).with(names));
  return after;
}
