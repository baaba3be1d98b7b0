// What an object must not contradict: objects that it names are there, no other has its key, and the limits of its group
// are equal. APISIX's words come first, as scripts look for them.
import { crossFacts } from '../apisix/cross-checks.ts';
import { claimsOf } from '../apisix/file-set-findings.ts';
import { consumerOf, keyOf, type ObjectId, objectIdOf, type ObjectType } from '../apisix/object-type.ts';
import type { ObjectRemark, ReadObject } from '../apisix/read-object.ts';
import type { FileClaims } from '../apisix/file-claims.ts';
import { objectName } from '../object-name.ts';
import type { NativeObject } from '../source.ts';
import type { IndexedObject, ObjectIndex } from './object-index.ts';

/** What APISIX calls one object of a type. */
export const NOUNS: Readonly<Record<ObjectType, string>> = {
  routes: 'route',
  services: 'service',
  upstreams: 'upstream',
  consumers: 'consumer',
  credentials: 'credential',
  plugin_configs: 'plugin config',
  plugin_metadata: 'plugin_metadata',
  ssls: 'ssl',
};

/** How many of the objects that name one are told. */
const MAX_REFERRERS = 5;

/** What contradicts other objects, all of it. */
export function contradictions(object: ReadObject, index: ObjectIndex, files: FileClaims | undefined): ObjectRemark[] {
  const own = keyOf(object);
  const facts = crossFacts(object);
  const missing = object.references.flatMap(({ path, ...id }) => {
    const named = index.get(keyOf(id));
    const reason = named === undefined ? notThere(id) : id.type === 'ssls' ? certificateProblem(named) : undefined;
    return reason === undefined ? [] : [{ path, reason }];
  });
  const taken = facts.keys.flatMap(({ digest, path }) => {
    const holder = index.keyHolder(digest, own);
    return holder === undefined ? [] : [{ path, reason: `duplicate key found with consumer: ${holderName(holder)}` }];
  });
  const rivals = facts.groups.flatMap(({ group, limit, path }) => {
    const rival = index.groupRival(group, limit, own);
    return rival === undefined ? [] : [mismatch(rival, group, path)];
  });
  const contested = files === undefined ? [] : contestedByFiles(object, index, files);
  return [...missing, ...withdrawn(object, index), ...taken, ...rivals, ...contested];
}

/** The same of what stands in files, as far as no object of the Admin API stands in its place. */
function contestedByFiles(object: ReadObject, index: ObjectIndex, files: FileClaims): ObjectRemark[] {
  const isReplaced = (id: ObjectId): boolean => keyOf(id) === keyOf(object) || index.get(keyOf(id)) !== undefined;
  const taken = crossFacts(object).keys.flatMap(({ digest, path }) => {
    const holder = files.keyHolder(digest, isReplaced);
    if (holder === undefined) return [];
    return [{ path, reason: `duplicate key found with consumer: ${holder.name}, which stands in ${placeOf(holder)}` }];
  });
  const claims = object.resources.flatMap(({ kind, bytes }) => claimsOf({ resourceKind: kind, bytes }).groups);
  const rivals = claims.flatMap(({ group, limit }) => {
    const rival = files.groupRival(group, limit, isReplaced);
    if (rival === undefined) return [];
    return [mismatch(`${objectName(rival)} in ${placeOf(rival)}`, group, 'plugins.limit-count.group')];
  });
  return [...taken, ...rivals];
}

function placeOf({ origin: { file, line } }: NativeObject): string {
  return `${file}:${line}`;
}

function mismatch(rival: string, group: string, path: string): ObjectRemark {
  const words = `${rival} has other limits in the group ${JSON.stringify(group)}`;
  return {
    path,
    reason: `failed to check the configuration of plugin limit-count err: group conf mismatched: ${words}`,
  };
}

/** Why an ssl can't be the certificate that is shown to endpoints; undefined if it can. */
function certificateProblem({ value: { id, type, status } }: IndexedObject): string | undefined {
  const found = `failed to fetch ssl info by ssl id [${String(id)}]`;
  if (type !== 'client') return `${found}, wrong type: it must be client, not ${JSON.stringify(type ?? 'server')}`;
  return status === 0 ? `${found}, it is switched off: its status must be 1` : undefined;
}

/** Why an ssl that others show to endpoints can't become one that is not for that. */
function withdrawn({ type, id, value }: ReadObject, index: ObjectIndex): ObjectRemark[] {
  if (type !== 'ssls') return [];
  const path = value['type'] !== 'client' ? 'type' : value['status'] === 0 ? 'status' : undefined;
  const users = path === undefined ? [] : index.referrersOf(keyOf({ type, id }));
  if (path === undefined || users.length === 0) return [];
  const wanted = path === 'type' ? 'client' : '1';
  return [{ path, reason: `must be ${wanted}: ${usersText(users)} still using it as client certificate` }];
}

/** Why an object can't be deleted; undefined: nothing names it. */
export function useProblem(id: ObjectId, index: ObjectIndex): string | undefined {
  // Credentials are deleted with their consumer.
  const users = index.referrersOf(keyOf(id)).filter((key) => objectIdOf(key)?.type !== 'credentials');
  if (users.length === 0) return undefined;
  const directly = id.type === 'services' ? ' directly' : '';
  return `can not delete this ${NOUNS[id.type]}${directly}, ${usersText(users)} still using it now; change that first, or add ?force=true`;
}

function usersText(users: readonly string[]): string {
  const told = users.slice(0, MAX_REFERRERS).map(nameOf);
  const more = users.length > told.length ? ` and ${users.length - told.length} more` : '';
  return `${told.join(', ')}${more} ${users.length === 1 ? 'is' : 'are'}`;
}

function notThere({ type, id }: ObjectId): string {
  const noun = NOUNS[type];
  return `failed to fetch ${noun} info by ${noun} id [${id}], response code: 404; create it first`;
}

function nameOf(key: string): string {
  const id = objectIdOf(key);
  return id === undefined ? key : `${NOUNS[id.type]} [${id.id}]`;
}

function holderName(key: string): string {
  const id = objectIdOf(key);
  return id === undefined ? key : consumerOf(id);
}
