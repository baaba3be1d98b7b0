// What an object must not contradict: objects that it names are there, no other has its key, and the limits of its group
// are equal. APISIX's words come first, as scripts look for them.
import { crossFacts } from '../apisix/cross-checks.ts';
import { keyOf, type ObjectId, objectIdOf, type ObjectType } from '../apisix/object-type.ts';
import type { ObjectRemark, ReadObject } from '../apisix/read-object.ts';
import type { ObjectIndex } from './object-index.ts';

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
export function contradictions(object: ReadObject, index: ObjectIndex): ObjectRemark[] {
  const own = keyOf(object);
  const facts = crossFacts(object);
  const missing = object.references
    .filter((reference) => index.get(keyOf(reference)) === undefined)
    .map(({ path, type, id }) => ({ path, reason: notThere({ type, id }) }));
  const taken = facts.keys.flatMap(({ digest, path }) => {
    const holder = index.keyHolder(digest, own);
    return holder === undefined ? [] : [{ path, reason: `duplicate key found with consumer: ${holderName(holder)}` }];
  });
  const rivals = facts.groups.flatMap(({ group, limit, path }) => {
    const rival = index.groupRival(group, limit, own);
    if (rival === undefined) return [];
    const reason = `failed to check the configuration of plugin limit-count err: group conf mismatched: ${rival} has other limits in the group ${JSON.stringify(group)}`;
    return [{ path, reason }];
  });
  return [...missing, ...taken, ...rivals];
}

/** Why an object can't be deleted; undefined: nothing names it. */
export function useProblem(id: ObjectId, index: ObjectIndex): string | undefined {
  // Credentials are deleted with their consumer.
  const users = index.referrersOf(keyOf(id)).filter((key) => objectIdOf(key)?.type !== 'credentials');
  if (users.length === 0) return undefined;
  const told = users.slice(0, MAX_REFERRERS).map(nameOf);
  const more = users.length > told.length ? ` and ${users.length - told.length} more` : '';
  const directly = id.type === 'services' ? ' directly' : '';
  const verb = users.length === 1 ? 'is' : 'are';
  return `can not delete this ${NOUNS[id.type]}${directly}, ${told.join(', ')}${more} ${verb} still using it now; change that first, or add ?force=true`;
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
  return objectIdOf(key)?.id.split('/')[0] ?? key;
}
