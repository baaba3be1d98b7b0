// Which limits are in force, and their counters. A limit is known by who sets it (or its group) and by what it limits, and lives
// from the configuration in which it first stands to the last one in a row: an edit of anything else leaves its counters alone, one
// of the limit begins new ones, and so does a limit that was gone in between. A group lives as long as one place names it.
import type { ConsumerSpec, PluginSpec, RouteSpec } from '../model/gateway.ts';
import { limitIdentity, type LimitCountSpec } from './compiled-limit.ts';
import { CounterPool, type CounterSet } from './counter-pool.ts';

/** Counters held at most, unless said otherwise; with keys of the usual length some 25 MB. */
export const MAX_LIMIT_COUNTERS = 100_000;

/** Routes by id. */
export type LimitedRoutes = ReadonlyMap<string, Pick<RouteSpec, 'plugins'>>;
/** Consumers by name. */
export type LimitedConsumers = ReadonlyMap<string, Pick<ConsumerSpec, 'plugins'>>;

/** Counters of `limit-count`, of all places together, bounded in number. */
export interface LimitCounters {
  /** Counters held now. */
  readonly size: number;
  /** How many were dropped before their end, since there were too many: their callers were counted from nothing again. */
  readonly evictions: number;
  /** Takes other routes and consumers. Only those that are other objects than before are worked on. */
  update(routes: LimitedRoutes, consumers: LimitedConsumers): void;
  /** The counters of each limit of a plugin; undefined: it is in force nowhere. */
  of(spec: LimitCountSpec): readonly CounterSet[] | undefined;
}

/** Makes a store of `maxCounters` (at least 1) counters, for which no limit is in force. */
export function createLimitCounters(maxCounters = MAX_LIMIT_COUNTERS): LimitCounters {
  return new LimitsInForce(maxCounters);
}

/** A limit, and how many plugins set it. */
interface Limit {
  readonly identity: string;
  /** Undefined: no request has come yet. */
  counters: CounterSet | undefined;
  uses: number;
}

/** A plugin, and how many routes and consumers have it. */
interface PlacedPlugin {
  readonly limits: readonly Limit[];
  /** Those of the limits; undefined: no request has come yet. */
  counters: readonly CounterSet[] | undefined;
  uses: number;
}

type Holder = Pick<RouteSpec, 'plugins'>;

class LimitsInForce implements LimitCounters {
  private readonly pool: CounterPool;
  private readonly limits = new Map<string, Limit>();
  private readonly placed = new Map<LimitCountSpec, PlacedPlugin>();
  private routes: LimitedRoutes = new Map();
  private consumers: LimitedConsumers = new Map();

  constructor(maxCounters: number) {
    this.pool = new CounterPool(maxCounters);
  }

  get size(): number {
    return this.pool.size;
  }

  get evictions(): number {
    return this.pool.evictions;
  }

  of(spec: LimitCountSpec): readonly CounterSet[] | undefined {
    const plugin = this.placed.get(spec);
    if (plugin === undefined) return undefined;
    return (plugin.counters ??= plugin.limits.map((limit) => (limit.counters ??= this.pool.open())));
  }

  update(routes: LimitedRoutes, consumers: LimitedConsumers): void {
    // Whatever comes is taken in before anything goes: so what both name is never gone.
    const gone: Holder[] = [];
    this.replace(this.routes, routes, gone);
    this.replace(this.consumers, consumers, gone);
    this.routes = routes;
    this.consumers = consumers;
    for (const { plugins } of gone) for (const spec of plugins) if (isLimitCount(spec)) this.release(spec);
  }

  private replace(previous: ReadonlyMap<string, Holder>, next: ReadonlyMap<string, Holder>, gone: Holder[]): void {
    if (previous === next) return;
    let kept = 0;
    for (const [id, holder] of next) {
      const before = previous.get(id);
      if (before !== undefined) kept++;
      if (before === holder) continue;
      for (const spec of holder.plugins) if (isLimitCount(spec)) this.place(spec);
      if (before !== undefined) gone.push(before);
    }
    if (kept === previous.size) return;
    for (const [id, before] of previous) if (!next.has(id)) gone.push(before);
  }

  private place(spec: LimitCountSpec): void {
    const known = this.placed.get(spec);
    if (known !== undefined) {
      known.uses++;
      return;
    }
    const limits = spec.policy.limits.map((rule) => this.begin(limitIdentity(spec, rule)));
    this.placed.set(spec, { limits, counters: undefined, uses: 1 });
  }

  private begin(identity: string): Limit {
    let limit = this.limits.get(identity);
    if (limit === undefined) this.limits.set(identity, (limit = { identity, counters: undefined, uses: 0 }));
    limit.uses++;
    return limit;
  }

  private release(spec: LimitCountSpec): void {
    const plugin = this.placed.get(spec)!;
    if (--plugin.uses > 0) return;
    this.placed.delete(spec);
    for (const limit of plugin.limits) {
      if (--limit.uses > 0) continue;
      this.limits.delete(limit.identity);
      if (limit.counters !== undefined) this.pool.drop(limit.counters);
    }
  }
}

function isLimitCount(spec: PluginSpec): spec is LimitCountSpec {
  return spec.name === 'limit-count';
}
