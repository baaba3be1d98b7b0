// The pools of one endpoint under one identity: a single one where every connection is alike, one for each server name
// where the name asked for comes with the request. Connections of different names never mix.
import type { ErrorKind } from '../base/error.ts';
import type { EndpointSpec } from '../model/snapshot.ts';
import type { EndpointPool, LeaseForecast } from './pool.ts';

/** Server names of one endpoint at once. One more takes the place of an idle one; with none idle it fails as `overflow`. */
export const MAX_SERVER_NAMES = 1000;

/** Why there is no pool. */
export interface PoolRefusal {
  readonly kind: ErrorKind;
  readonly detail: string;
}

const NO_ROOM: PoolRefusal = {
  kind: 'overflow',
  detail: `connections under ${MAX_SERVER_NAMES} server names are in use`,
};

/** Makes the pools of an endpoint. */
export interface PoolFactory {
  /** `name`: server name of its connections; empty where all are alike. `forUpgrades`: it speaks HTTP/1. */
  createPool(spec: EndpointSpec, name: string, forUpgrades: boolean, set: PoolSet): EndpointPool;
}

/** How the connections of an endpoint are told apart. */
export interface PoolNaming {
  /** The name for a host that is sent; undefined: all connections are alike. */
  readonly nameOf: ((host: string) => string) | undefined;
  /** Whether upgrades need pools of their own, which speak HTTP/1 where others may not. */
  readonly separatesUpgrades: boolean;
}

/** Pools by the name that connections are made under. Each is made when it is wanted first: most endpoints may have none. */
export class PoolSet {
  /** The pool where there is only one name; undefined until it is wanted. */
  private only: EndpointPool | undefined = undefined;
  private readonly factory: PoolFactory;
  private readonly spec: EndpointSpec;
  private readonly naming: PoolNaming;
  private readonly forUpgrades: boolean;
  /** Those by name; undefined until the first is wanted. */
  private named: Map<string, EndpointPool> | undefined = undefined;
  /** Connections for upgrades, where others may speak HTTP/2; undefined until the first is wanted. */
  private upgrades: PoolSet | undefined = undefined;
  private isDrained = false;

  /** `spec`: the endpoint's, of which only address and port count. */
  constructor(factory: PoolFactory, spec: EndpointSpec, naming: PoolNaming, forUpgrades = false) {
    this.factory = factory;
    this.spec = spec;
    this.naming = naming;
    this.forUpgrades = forUpgrades;
  }

  /** The pool for requests with this host. */
  forHost(host: string): EndpointPool | PoolRefusal {
    if (this.only) return this.only;
    const { nameOf } = this.naming;
    if (nameOf === undefined) return (this.only = this.create(''));
    const name = nameOf(host);
    const named = (this.named ??= new Map());
    let pool = named.get(name);
    if (pool) return pool;
    if (named.size >= MAX_SERVER_NAMES) makeRoom(named);
    if (named.size >= MAX_SERVER_NAMES) return NO_ROOM;
    named.set(name, (pool = this.create(name)));
    return pool;
  }

  /** The pool for upgrades with this host. */
  forUpgrade(host: string): EndpointPool | PoolRefusal {
    return this.naming.separatesUpgrades ? (this.upgrades ??= this.createUpgrades()).forHost(host) : this.forHost(host);
  }

  /** What a lease of the pool for this host would come to ({@link EndpointPool.foresee}). Nothing is made that stays. */
  foresee(host: string, forUpgrade: boolean, idleElsewhere: boolean): LeaseForecast | undefined {
    if (forUpgrade && this.naming.separatesUpgrades) {
      return (this.upgrades ?? this.createUpgrades()).foresee(host, false, idleElsewhere);
    }
    const { only, named, naming } = this;
    const name = naming.nameOf?.(host) ?? '';
    const pool = only ?? named?.get(name);
    if (pool === undefined && named !== undefined && named.size >= MAX_SERVER_NAMES) {
      const givesWay = [...named.values()].some((one) => one.isUnused || one.idleSinceMs !== undefined);
      if (!givesWay) return NO_ROOM;
    }
    return (pool ?? this.create(name)).foresee(idleElsewhere);
  }

  /** Connections open or opening. */
  get connections(): number {
    let connections = (this.only?.connections ?? 0) + (this.upgrades?.connections ?? 0);
    if (this.named) for (const pool of this.named.values()) connections += pool.connections;
    return connections;
  }

  /** See BlockedPool. One that is leaving, with streams that may last, doesn't keep the endpoint from another. */
  get isConnected(): boolean {
    let leaving = 0;
    for (const pool of this.all()) {
      if (pool.isUsable) return true;
      leaving += pool.connections;
    }
    return leaving > 1;
  }

  /** Every pool that there is, those for upgrades too. */
  *all(): Iterable<EndpointPool> {
    if (this.only) yield this.only;
    if (this.named) yield* this.named.values();
    if (this.upgrades) yield* this.upgrades.all();
  }

  /** Closes what has been idle for too long. */
  closeIdle(nowMs: number): void {
    // Asked once a second of every endpoint: without an iterator where there is one pool, or none.
    this.only?.closeIdle(nowMs);
    if (this.named || this.upgrades) for (const pool of this.all()) if (pool !== this.only) pool.closeIdle(nowMs);
  }

  /** Idle connections close, streams in flight finish. */
  drain(): void {
    this.isDrained = true;
    for (const pool of this.all()) pool.drain();
  }

  /** Closes everything at once. */
  destroy(): void {
    this.isDrained = true;
    for (const pool of this.all()) pool.destroy();
  }

  private create(name: string): EndpointPool {
    const pool = this.factory.createPool(this.spec, name, this.forUpgrades, this);
    if (this.isDrained) pool.drain();
    return pool;
  }

  private createUpgrades(): PoolSet {
    const { nameOf } = this.naming;
    const upgrades = new PoolSet(this.factory, this.spec, { nameOf, separatesUpgrades: false }, true);
    upgrades.isDrained = this.isDrained;
    return upgrades;
  }
}

/** Forgets the names without connections; if there are none, the one that has been idle for the longest. */
function makeRoom(pools: Map<string, EndpointPool>): void {
  let oldest: string | undefined;
  let oldestSinceMs = Infinity;
  for (const [name, pool] of pools) {
    const sinceMs = pool.idleSinceMs ?? Infinity;
    if (pool.isUnused) pools.delete(name);
    else if (sinceMs < oldestSinceMs) [oldest, oldestSinceMs] = [name, sinceMs];
  }
  if (oldest === undefined || pools.size < MAX_SERVER_NAMES) return;
  pools.get(oldest)?.drain();
  pools.delete(oldest);
}
