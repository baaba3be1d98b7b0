// Plugin messages that were checked → what the data plane runs: defaults filled in, and one list per route, in the order
// of the phases, with what is inherited and without what is switched off.
import { isDeepStrictEqual } from 'node:util';
import type { KeyAuth, LimitCount, Plugins } from '../gen/outrigger/config/v1/gateway.ts';
import type { KeyAuthPolicy, LimitCountPolicy, LimitRule, PluginSpec } from '../model/gateway.ts';

/** What a resource says of each plugin. `off`: it is switched off, also where it would be inherited. */
interface SetPlugins {
  readonly keyAuth: PluginSpec | 'off' | undefined;
  readonly limitCount: PluginSpec | 'off' | undefined;
  /** Those that are on, for routes that have plugins from nowhere else. */
  readonly list: readonly PluginSpec[];
}

/** A resource that sets plugins, and what owners of counters are called after: `services` and its name. */
export interface PluginSource {
  readonly plugins: Plugins | undefined;
  readonly collection: 'routes' | 'services' | 'plugin_configs';
  readonly name: string;
}

/** The same message gives the same specs again: those of a Service are shared by its routes. */
const known = new WeakMap<Plugins, SetPlugins>();
const NONE: readonly PluginSpec[] = [];
const NOTHING: SetPlugins = { keyAuth: undefined, limitCount: undefined, list: NONE };

/**
 * The plugins in force, in the order in which they run. `sources` come from the one that stands highest on: each plugin is
 * taken whole from the first that has it (APISIX: Route, PluginConfig, Service).
 */
export function pluginSpecs(...sources: readonly (PluginSource | undefined)[]): readonly PluginSpec[] {
  let merged: SetPlugins = NOTHING;
  for (const source of sources) {
    if (source?.plugins === undefined) continue;
    const set = setPlugins(source.plugins, source);
    if (merged === NOTHING) merged = set;
    else if (set !== NOTHING) {
      merged = together(merged.keyAuth ?? set.keyAuth, merged.limitCount ?? set.limitCount);
    }
  }
  return merged.list;
}

function together(keyAuth: SetPlugins['keyAuth'], limitCount: SetPlugins['limitCount']): SetPlugins {
  const list = [keyAuth, limitCount].filter((spec) => spec !== undefined && spec !== 'off');
  return { keyAuth, limitCount, list: list.length === 0 ? NONE : list };
}

function setPlugins(plugins: Plugins, { collection, name }: PluginSource): SetPlugins {
  let set = known.get(plugins);
  if (set === undefined) {
    const { keyAuth, limitCount } = plugins;
    const owner = `${collection}/${name}`;
    set =
      keyAuth === undefined && limitCount === undefined
        ? NOTHING
        : together(
            keyAuth && (keyAuthSpec(keyAuth, owner) ?? 'off'),
            limitCount && (limitCountSpec(limitCount, owner) ?? 'off'),
          );
    known.set(plugins, set);
  }
  return set;
}

function keyAuthSpec(plugin: KeyAuth, owner: string): PluginSpec | undefined {
  return plugin.disabled === true ? undefined : { owner, name: 'key-auth', policy: keyAuthPolicy(plugin) };
}

function limitCountSpec(plugin: LimitCount, owner: string): PluginSpec | undefined {
  return plugin.disabled === true ? undefined : { owner, name: 'limit-count', policy: limitCountPolicy(plugin) };
}

/**
 * The plugins of a Consumer, which stand in the place of a route's. Which route that is isn't known here, so a `limit-count` that
 * is switched off becomes one without limits.
 */
export function consumerPluginSpecs(plugin: LimitCount | undefined, owner: string): readonly PluginSpec[] {
  if (plugin === undefined) return NONE;
  const policy = limitCountPolicy(plugin);
  const inForce = plugin.disabled === true ? { ...policy, limits: [] } : policy;
  return [{ owner, name: 'limit-count', policy: inForce }];
}

/** `specs`, with each one that `previous` has too taken from there; `previous` itself if all are. */
export function sharePlugins(specs: readonly PluginSpec[], previous: readonly PluginSpec[]): readonly PluginSpec[] {
  if (specs === previous) return previous;
  const shared = specs.map((spec) => {
    const before = previous.find(({ name }) => name === spec.name);
    return before !== undefined && isDeepStrictEqual(before, spec) ? before : spec;
  });
  return shared.length === previous.length && shared.every((spec, i) => spec === previous[i]) ? previous : shared;
}

function keyAuthPolicy(plugin: KeyAuth): KeyAuthPolicy {
  return {
    header: (plugin.header ?? 'apikey').toLowerCase(),
    query: plugin.query ?? 'apikey',
    hidesCredentials: plugin.hideCredentials ?? false,
    realm: plugin.realm ?? 'key',
    anonymousConsumer: plugin.anonymousConsumer,
  };
}

function limitCountPolicy(plugin: LimitCount): LimitCountPolicy {
  const areRules = plugin.rules.length > 0;
  return {
    limits: areRules ? plugin.rules.map(ruleOf) : [singleRule(plugin)],
    areRules,
    windowType: (plugin.windowType ?? 'fixed') as LimitCountPolicy['windowType'],
    rejectedCode: plugin.rejectedCode ?? 503,
    rejectedMsg: plugin.rejectedMsg,
    group: plugin.group ?? '',
    showsQuota: plugin.showLimitQuotaHeader ?? true,
    allowsDegradation: plugin.allowDegradation ?? false,
  };
}

function singleRule(plugin: LimitCount): LimitRule {
  return {
    count: plugin.count ?? '',
    windowS: plugin.timeWindow ?? '',
    keyType: (plugin.keyType ?? 'var') as LimitRule['keyType'],
    key: plugin.key ?? 'remote_addr',
    headerPrefix: undefined,
  };
}

/** Rules are counted from 1 in the names of their quota fields. */
function ruleOf(rule: LimitCount['rules'][number], index: number): LimitRule {
  return {
    count: rule.count,
    windowS: rule.timeWindow,
    keyType: 'var_combination',
    key: rule.key,
    headerPrefix: rule.headerPrefix ?? String(index + 1),
  };
}
