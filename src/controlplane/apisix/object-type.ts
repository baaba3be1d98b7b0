// The objects of APISIX's Admin API and of its standalone files, by their types.

/** Types, as they stand in the URLs of the Admin API and at the top of standalone files. */
export const OBJECT_TYPES = [
  'routes',
  'services',
  'upstreams',
  'consumers',
  'credentials',
  'plugin_configs',
  'plugin_metadata',
  'ssls',
] as const;
export type ObjectType = (typeof OBJECT_TYPES)[number];

/** Type and id of an object. A credential's id is `CONSUMER/ID`. */
export interface ObjectId {
  readonly type: ObjectType;
  readonly id: string;
}

const PREFIX = '/apisix/';

/** The key of an object: `/apisix/routes/1`, `/apisix/consumers/jack/credentials/one`. */
export function keyOf({ type, id }: ObjectId): string {
  if (type !== 'credentials') return `${PREFIX}${type}/${id}`;
  const [consumer = '', own = ''] = id.split('/');
  return `${PREFIX}consumers/${consumer}/credentials/${own}`;
}

/** The object of a key; undefined: it is none's. */
export function objectIdOf(key: string): ObjectId | undefined {
  if (!key.startsWith(PREFIX)) return undefined;
  const [first = '', id = '', second, own = '', ...rest] = key.slice(PREFIX.length).split('/');
  if (rest.length > 0 || id === '') return undefined;
  if (second !== undefined) {
    return first === 'consumers' && second === 'credentials' && own !== ''
      ? { type: 'credentials', id: `${id}/${own}` }
      : undefined;
  }
  const type = OBJECT_TYPES.find((known) => known === first && known !== 'credentials');
  return type && { type, id };
}

/** The consumer that an id of a consumer or of a credential names. */
export function consumerOf({ id }: ObjectId): string {
  return id.split('/')[0] ?? '';
}
