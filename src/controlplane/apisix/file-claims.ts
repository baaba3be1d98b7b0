import { keyDigest } from './cross-checks.ts';
import { claimsOf } from './file-set-findings.ts';
import type { ObjectId, ObjectType } from './object-type.ts';
import type { Kind } from '../../config/resource.ts';
import type { ConfigObject, NativeObject } from '../source.ts';

/** Types of the Admin API whose objects stand in the place of a file's of the same name. */
const TYPES: ReadonlyMap<Kind, ObjectType> = new Map([
  ['Route', 'routes'],
  ['Service', 'services'],
  ['PluginConfig', 'plugin_configs'],
  ['Consumer', 'consumers'],
]);

/** Whether the Admin API has an object, which then stands in the place of a file's. */
export type IsReplaced = (id: ObjectId) => boolean;

interface Claims {
  readonly keyHolders: ReadonlyMap<string, readonly NativeObject[]>;
  readonly groups: ReadonlyMap<string, readonly { readonly limit: string; readonly object: NativeObject }[]>;
}

/** What the objects of files have that those of the Admin API must not contradict: keys of consumers, limits of groups. */
export class FileClaims {
  private readonly objects: () => Iterable<ConfigObject>;
  private claims: Claims | undefined;

  /** `objects`: those of all files, the last of a name in force. */
  constructor(objects: () => Iterable<ConfigObject>) {
    this.objects = objects;
  }

  /** Call it when the objects have changed. */
  onChanged(): void {
    this.claims = undefined;
  }

  /** A consumer in force with a key of key-auth. */
  keyHolder(digest: string, isReplaced: IsReplaced): NativeObject | undefined {
    return this.read()
      .keyHolders.get(digest)
      ?.find((object) => !isReplaced(idOf(object)));
  }

  /** An object in force whose limit in a group is another one; limits are compared as `claimsOf` gives them. */
  groupRival(group: string, limit: string, isReplaced: IsReplaced): NativeObject | undefined {
    const others = this.read().groups.get(group) ?? [];
    return others.find((other) => other.limit !== limit && !isReplaced(idOf(other.object)))?.object;
  }

  private read(): Claims {
    return (this.claims ??= collect(this.objects()));
  }
}

function collect(objects: Iterable<ConfigObject>): Claims {
  const keyHolders = new Map<string, NativeObject[]>();
  const groups = new Map<string, { limit: string; object: NativeObject }[]>();
  for (const object of objects) {
    if (object.kind !== 'native' || !TYPES.has(object.resourceKind)) continue;
    const claims = claimsOf(object);
    for (const key of claims.keys) add(keyHolders, keyDigest(key), object);
    for (const { group, limit } of claims.groups) add(groups, group, { limit, object });
  }
  return { keyHolders, groups };
}

function add<T>(lists: Map<string, T[]>, name: string, item: T): void {
  const list = lists.get(name);
  if (list === undefined) lists.set(name, [item]);
  else list.push(item);
}

function idOf({ resourceKind, name }: NativeObject): ObjectId {
  return { type: TYPES.get(resourceKind) ?? 'routes', id: name };
}
