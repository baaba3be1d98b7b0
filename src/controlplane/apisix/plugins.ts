// `plugins` of an object, by the names and words of APISIX, → the typed messages of the wire: `limit-count` becomes
// `limit_count`, `_meta.disable` becomes `disabled`, and whole numbers that may be templates become text. What the values
// may be is checked with the message.
import { describeType, isObject, unknownKey } from '../../config/envelope.ts';
import { entry, member, type ProblemList } from '../../config/problem-list.ts';
import type { JsonObject } from '../store/store.ts';
import { isPlugin, type PluginName, unknownPlugin } from './plugin-names.ts';
import { checkFields, describeNumber, type FieldTable, NOT_SUPPORTED } from './reading.ts';
import { childPath } from './tidy-object.ts';

/** What plugins are set on. A consumer's `key-auth` holds its key; a credential has nothing else. */
export type PluginOwner = 'route' | 'consumer' | 'credential';

/** The fields of a message `Plugins` or `ConsumerPlugins`. */
export type PluginSpecs = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** Names of the plugins on the wire. */
const WIRE_NAMES: Readonly<Record<PluginName, string>> = { 'key-auth': 'key_auth', 'limit-count': 'limit_count' };

/** How older versions of APISIX, and the wire, switch a plugin off. */
const SWITCHES: ReadonlyMap<string, string> = new Map(
  ['disable', 'disabled'].map((name) => [name, 'write it as `_meta: {disable: true}`']),
);
const KEY_AUTH: FieldTable = {
  known: ['_meta', 'header', 'query', 'hide_credentials', 'realm', 'anonymous_consumer'],
  refused: SWITCHES,
};
const KEY_AUTH_CREDENTIAL: FieldTable = { known: ['_meta', 'key'] };
const LIMIT_COUNT: FieldTable = {
  known: [
    '_meta',
    'count',
    'time_window',
    'rules',
    'window_type',
    'key_type',
    'key',
    'rejected_code',
    'rejected_msg',
    'policy',
    'group',
    'show_limit_quota_header',
    'allow_degradation',
    'sync_interval',
  ],
  refused: new Map([
    ...[
      ...['host', 'port', 'username', 'password', 'database', 'timeout', 'ssl', 'ssl_verify', 'prefix'],
      ...['cluster_nodes', 'cluster_name', 'cluster_ssl', 'cluster_ssl_verify', 'master_name', 'role', 'sentinels'],
      ...['sentinel_username', 'sentinel_password', 'connect_timeout', 'read_timeout'],
      ...['keepalive_timeout', 'keepalive_pool'],
    ].map((name) => [`redis_${name}`, 'counters are local to each sidecar'] as const),
    ...SWITCHES,
  ]),
};
const RULE: FieldTable = { known: ['key', 'count', 'time_window', 'header_prefix'] };

/** Members of `_meta` that APISIX has beside `disable`. */
const OTHER_META = ['error_response', 'filter', 'pre_function', 'priority'];

/** Reads `plugins`; undefined where it is no object, which is then reported. */
export function readPlugins(
  plugins: unknown,
  path: string,
  owner: PluginOwner,
  problems: ProblemList,
): PluginSpecs | undefined {
  if (!isObject(plugins)) {
    problems.add(path, `must be an object, not ${describeType(plugins)}`);
    return undefined;
  }
  const specs: Record<string, Readonly<Record<string, unknown>>> = {};
  for (const [name, conf] of Object.entries(plugins)) {
    const at = childPath(path, name);
    if (!isPlugin(name)) problems.add(at, unknownPlugin(name));
    else if (owner === 'credential' && name !== 'key-auth') {
      problems.add(at, `plugin [${name}] is not for a credential: set it on its consumer`);
    } else if (!isObject(conf)) problems.add(at, `must be an object, not ${describeType(conf)}`);
    else specs[WIRE_NAMES[name]] = readPlugin(name, conf, at, owner, problems);
  }
  return specs;
}

function readPlugin(
  name: PluginName,
  conf: JsonObject,
  path: string,
  owner: PluginOwner,
  problems: ProblemList,
): Readonly<Record<string, unknown>> {
  const isCredential = name === 'key-auth' && owner !== 'route';
  const table = name === 'limit-count' ? LIMIT_COUNT : isCredential ? KEY_AUTH_CREDENTIAL : KEY_AUTH;
  checkFields(conf, path, table, problems);
  const known = Object.fromEntries(
    Object.entries(conf).filter(([key]) => table.known.includes(key) && key !== '_meta' && key !== 'sync_interval'),
  );
  const disabled = readMeta(conf['_meta'], member(path, '_meta'), problems);
  if (isCredential) {
    if (disabled === true) problems.add(member(path, '_meta.disable'), `${NOT_SUPPORTED} here: remove the key instead`);
    return known;
  }
  if (name === 'key-auth') return { ...known, disabled };
  const interval = conf['sync_interval'];
  if (interval !== undefined && interval !== -1) {
    problems.add(member(path, 'sync_interval'), `${NOT_SUPPORTED}: counters are local to each sidecar`);
  }
  return { ...withTexts(known, path, problems), rules: readRules(known['rules'], path, problems), disabled };
}

function readMeta(meta: unknown, path: string, problems: ProblemList): unknown {
  if (meta === undefined) return undefined;
  if (!isObject(meta)) {
    problems.add(path, `must be an object, not ${describeType(meta)}`);
    return undefined;
  }
  for (const key of Object.keys(meta)) {
    if (key === 'disable') continue;
    if (OTHER_META.includes(key)) problems.add(member(path, key), NOT_SUPPORTED);
    else unknownKey(problems, path, key, ['disable']);
  }
  return meta['disable'];
}

function readRules(rules: unknown, path: string, problems: ProblemList): unknown {
  if (!Array.isArray(rules)) return rules;
  const at = member(path, 'rules');
  if (rules.length === 0) problems.add(at, 'must hold at least one; or leave the field out');
  return rules.map((rule: unknown, i) => {
    if (!isObject(rule)) return rule;
    const place = entry(at, i);
    checkFields(rule, place, RULE, problems);
    return withTexts(rule, place, problems);
  });
}

/** `count` and `time_window` are whole numbers or templates; on the wire both are text. */
function withTexts(conf: JsonObject, path: string, problems: ProblemList): Readonly<Record<string, unknown>> {
  const texts: Record<string, unknown> = {};
  for (const name of ['count', 'time_window']) {
    const value = conf[name];
    if (value === undefined || typeof value === 'string') continue;
    const isCount = typeof value === 'number' && Number.isSafeInteger(value) && value >= 1;
    texts[name] = isCount ? String(value) : undefined;
    if (isCount) continue;
    const words = `a whole number from 1 to ${Number.MAX_SAFE_INTEGER}, or a text with variables`;
    problems.add(member(path, name), `must be ${words}, not ${describeNumber(value)}`);
  }
  return { ...conf, ...texts };
}

/** A path below `plugins` of a message in the words of the object. */
export function pluginPath(path: string): string {
  return path.replace(/^(plugins\.)(key_auth|limit_count)(?![\w])(\.disabled(?!\w))?/, renamed);
}

function renamed(_: string, plugins: string, name: string, disabled: string | undefined): string {
  const own = name === 'key_auth' ? 'key-auth' : 'limit-count';
  return `${plugins}${own}${disabled === undefined ? '' : '._meta.disable'}`;
}
