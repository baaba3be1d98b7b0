// The first look at an object: blanks around keys are taken off, each with a warning, and ids become text. Two of the
// examples of APISIX's Upstream document have such blanks ("type "), and a key that is dropped in silence would leave
// its user with defaults.
import { isObject } from '../../config/envelope.ts';
import { entry, keyed, member, type ProblemList } from '../../config/problem-list.ts';

/** Objects and lists inside each other; no object of APISIX has a tenth of it. */
export const MAX_DEPTH = 100;

/** Values of one object: some twenty thousand nodes. More would keep the reader busy for seconds. */
export const MAX_VALUES = 100_000;
/** Keys of one object or map that aren't the user's own. */
const MAX_KEYS = 1_000;

/** Maps whose keys are the user's own. */
const FREE_MAPS: ReadonlySet<string> = new Set(['labels', 'metadata', 'discovery_args']);

/** Fields that hold ids, which may be numbers. */
const ID_FIELDS: ReadonlySet<string> = new Set([
  'id',
  'upstream_id',
  'service_id',
  'plugin_config_id',
  'client_cert_id',
]);

/** Whether the keys of the map under a name are the user's own, blanks included. */
export function isFreeMap(name: string | undefined): boolean {
  return name !== undefined && FREE_MAPS.has(name);
}

/** Path of a member; a key that is no plain word stands in brackets. */
export function childPath(path: string, key: string): string {
  return /^[A-Za-z_][\w-]*$/.test(key) ? member(path, key) : keyed(path, key);
}

/** The same value with tidy keys and ids. A key that stands twice once it is tidy, or a value too deep, is a problem. */
export function tidyObject(value: unknown, problems: ProblemList, warnings: ProblemList): unknown {
  let values = 0;
  return tidy(value, '', undefined, 0);

  /** `key` is that under which the value stands; undefined in lists and free maps. */
  function tidy(inner: unknown, path: string, key: string | undefined, depth: number): unknown {
    const isList = Array.isArray(inner);
    if (!isList && !isObject(inner)) return key !== undefined && ID_FIELDS.has(key) ? idAsText(inner) : inner;
    if (depth >= MAX_DEPTH) {
      problems.add('', `is nested more than ${MAX_DEPTH} levels deep`);
      return undefined;
    }
    values += isList ? inner.length : Object.keys(inner).length;
    if (values > MAX_VALUES) {
      if (problems.size === 0) problems.add('', `has more than ${MAX_VALUES} values`);
      return undefined;
    }
    if (isList) return inner.map((item: unknown, i) => tidy(item, entry(path, i), undefined, depth + 1));
    const isFree = isFreeMap(key);
    const isOpen = isFree || key === 'nodes';
    if (!isOpen && Object.keys(inner).length > MAX_KEYS) {
      problems.add(path, `has more than ${MAX_KEYS} keys`);
      return undefined;
    }
    const members = new Map<string, unknown>();
    /** Keys that had blanks, as they were. */
    const blank = new Map<string, string>();
    for (const [written, item] of Object.entries(inner)) {
      const clean = isFree ? written : written.trim();
      const at = childPath(path, clean);
      if (members.has(clean)) {
        const repeated = clean === written ? (blank.get(clean) ?? written) : written;
        const reason = 'is there twice, once with blanks around the key: remove one of the two';
        problems.add(childPath(path, repeated), reason);
        continue;
      }
      if (clean !== written) {
        blank.set(clean, written);
        warnings.add(at, `the key ${JSON.stringify(written.slice(0, 60))} has blanks around it: they are taken off`);
      }
      // The keys of `nodes` are hosts.
      const name = isOpen ? undefined : clean;
      members.set(clean, tidy(item, at, name, depth + 1));
    }
    return Object.fromEntries(members);
  }
}

function idAsText(value: unknown): unknown {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1 ? String(value) : value;
}
