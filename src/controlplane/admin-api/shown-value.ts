// What an answer shows of an object: private keys are written, never read back.
import type { ObjectType } from '../apisix/object-type.ts';
import { without } from '../apisix/reading.ts';
import { isObject } from '../store/file-format.ts';
import type { JsonObject } from '../store/store.ts';

/** The value without private keys: `key` and `keys` of an ssl (as APISIX does), `tls.client_key` of an upstream. */
export function shownValue(type: ObjectType, value: JsonObject): JsonObject {
  if (type === 'ssls') return without(value, ['key', 'keys']);
  if (type === 'upstreams') return withoutClientKey(value);
  const upstream = value['upstream'];
  return isObject(upstream) ? { ...value, upstream: withoutClientKey(upstream) } : value;
}

function withoutClientKey(upstream: JsonObject): JsonObject {
  const tls = upstream['tls'];
  return isObject(tls) ? { ...upstream, tls: without(tls, ['client_key']) } : upstream;
}
