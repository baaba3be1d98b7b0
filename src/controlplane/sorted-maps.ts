// The canonical order of a message's maps. Fields are written by number whatever the order of an object's keys; only the
// entries of a map are written in the order in which they stand.
import { PROTO_PACKAGE } from '../config/envelope.ts';
import type { Kind } from '../config/resource.ts';
import { type MessageSchema, requiredSchema } from '../config/schema.ts';

type Sort = (message: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>>;

/** By full name of the message; undefined: no map is in it, at any depth. */
const sorts = new Map<string, Sort | undefined>();

/** The message with the entries of its maps sorted by key, at any depth; the same message where they are. */
export function withSortedMaps<M extends object>(kind: Kind, message: M): M {
  const sort = sortOf(requiredSchema(`${PROTO_PACKAGE}.${kind}`));
  return sort === undefined ? message : (sort(message as Readonly<Record<string, unknown>>) as M);
}

/** No native message contains itself, so this ends. */
function sortOf(schema: MessageSchema): Sort | undefined {
  if (!sorts.has(schema.name)) sorts.set(schema.name, makeSort(schema));
  return sorts.get(schema.name);
}

function makeSort({ fields }: MessageSchema): Sort | undefined {
  const members: [string, (value: unknown) => unknown][] = [];
  for (const { jsonName, type, typeName, repeated, map } of fields) {
    if (map) {
      members.push([jsonName, sortedMap]);
      continue;
    }
    const inner = type === 'message' ? sortOf(requiredSchema(typeName)) : undefined;
    if (inner === undefined) continue;
    const one = (value: unknown): unknown => inner(value as Readonly<Record<string, unknown>>);
    members.push([jsonName, repeated ? (list) => mapped(list as readonly unknown[], one) : one]);
  }
  if (members.length === 0) return undefined;
  return (message) => {
    let sorted: Record<string, unknown> | undefined;
    for (const [name, sort] of members) {
      const value = message[name];
      if (value === undefined) continue;
      const after = sort(value);
      if (after !== value) (sorted ??= { ...message })[name] = after;
    }
    return sorted ?? message;
  };
}

function mapped(list: readonly unknown[], one: (value: unknown) => unknown): readonly unknown[] {
  const sorted = list.map(one);
  return sorted.every((value, i) => value === list[i]) ? list : sorted;
}

function sortedMap(value: unknown): unknown {
  const map = value as Readonly<Record<string, unknown>>;
  const keys = Object.keys(map);
  if (keys.every((key, i) => i === 0 || (keys[i - 1] ?? '') < key)) return map;
  return Object.fromEntries(keys.sort().map((key) => [key, map[key]]));
}
