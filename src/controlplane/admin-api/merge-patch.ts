// PATCH: a body that is merged into the object (RFC 7396: null deletes, lists replace), or the new value of one attribute,
// named by the rest of the path (APISIX's sub-path).
import { isObject } from '../store/file-format.ts';
import type { JsonObject } from '../store/store.ts';

/** `target` with `patch` in it. Neither is changed. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const merged = new Map(isObject(target) ? Object.entries(target) : []);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, mergePatch(merged.get(key), value));
  }
  return Object.fromEntries(merged);
}

/** What replacing an attribute gives: the whole object, or why there is no such attribute. */
export type Replaced =
  | { readonly ok: true; readonly value: JsonObject }
  | { readonly ok: false; readonly reason: string };

/** `target` with `value` under the names of `path`, which isn't empty; null deletes. Objects on the way are made. */
export function replaceAttribute(target: JsonObject, path: readonly string[], value: unknown): Replaced {
  const replaced = replaceIn(target, path, 0, value);
  return typeof replaced === 'string' ? { ok: false, reason: replaced } : { ok: true, value: replaced };
}

function replaceIn(target: unknown, path: readonly string[], depth: number, value: unknown): JsonObject | string {
  if (target !== undefined && !isObject(target)) {
    const place = path.slice(0, depth).join('/');
    const what = Array.isArray(target) ? 'a list, which is replaced as a whole' : 'no object';
    return `invalid sub-path: /${path.join('/')}: ${place} is ${what}`;
  }
  const members = new Map(Object.entries(target ?? {}));
  const name = path[depth] ?? '';
  if (depth < path.length - 1) {
    const inner = replaceIn(members.get(name), path, depth + 1, value);
    if (typeof inner === 'string') return inner;
    members.set(name, inner);
  } else if (value === null) members.delete(name);
  else members.set(name, value);
  return Object.fromEntries(members);
}
