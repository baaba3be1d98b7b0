// What of an object must fit with others: limits of the same group must be equal, and no two consumers may have one key.
import { createHash } from 'node:crypto';
import { isObject } from '../../config/envelope.ts';
import type { JsonObject } from '../store/store.ts';
import type { ReadObject } from './read-object.ts';
import { without } from './reading.ts';

/** What an object says that others may contradict. */
export interface CrossFacts {
  /** `limit`: a text that is equal where the limits are. */
  readonly groups: readonly { readonly group: string; readonly limit: string; readonly path: string }[];
  /** `digest`: of a key, so that no key lies about in a table. */
  readonly keys: readonly { readonly digest: string; readonly path: string }[];
}

/** Defaults of limit-count: a limit that states one is the same as one that leaves it out. */
const DEFAULTS: JsonObject = {
  window_type: 'fixed',
  key_type: 'var',
  key: 'remote_addr',
  rejected_code: 503,
  policy: 'local',
  show_limit_quota_header: true,
  allow_degradation: false,
  sync_interval: -1,
};

/** Of an object that was read. One that is switched off counts too: it is switched on again without being looked at. */
export function crossFacts({ type, value }: Pick<ReadObject, 'type' | 'value'>): CrossFacts {
  const plugins = isObject(value['plugins']) ? value['plugins'] : {};
  const limit = plugins['limit-count'];
  const auth = plugins['key-auth'];
  const group = isObject(limit) ? limit['group'] : undefined;
  const key = isObject(auth) && (type === 'consumers' || type === 'credentials') ? auth['key'] : undefined;
  return {
    groups:
      isObject(limit) && typeof group === 'string'
        ? [{ group, limit: limitText(limit), path: 'plugins.limit-count.group' }]
        : [],
    keys: typeof key === 'string' ? [{ digest: keyDigest(key), path: 'plugins.key-auth.key' }] : [],
  };
}

/** What stands for a key of key-auth in tables. */
export function keyDigest(key: string): string {
  return createHash('sha256').update(key).digest('base64url');
}

function limitText(limit: JsonObject): string {
  const { count, time_window: window, ...rest } = { ...DEFAULTS, ...without(limit, ['_meta']) };
  const texts = { ...rest, count: String(count), time_window: String(window) };
  return JSON.stringify(Object.entries(texts).sort(([a], [b]) => (a < b ? -1 : 1)));
}
