// The pools of one endpoint under one identity: a single one where every connection is alike, one for each server name
// where the name asked for comes with the request. Connections of different names never mix.
import type { ErrorKind } from '../base/error.ts';
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

/** Pools by the name that connections are made under. */
export class PoolSet {
  private readonly pools = new Map<string, EndpointPool>();
  private readonly nameOf: ((host: string) => string) | undefined;
  private readonly create: (name: string) => EndpointPool;
  private readonly createForUpgrades: ((name: string) => EndpointPool) | undefined;
  /** The pool where there is only one name. */
  private readonly only: EndpointPool | undefined;
  /** Connections for upgrades, where others may speak HTTP/2; undefined until the first is wanted. */
  private upgrades: PoolSet | undefined = undefined;

  /**
   * `nameOf` tells the name for a host that is sent; undefined: all connections are alike. `createForUpgrades` makes a pool
   * that speaks HTTP/1 where those of `create` may not; undefined: they do, or there is no such connection.
   */
  constructor(
    nameOf: ((host: string) => string) | undefined,
    create: (name: string) => EndpointPool,
    createForUpgrades?: (name: string) => EndpointPool,
  ) {
    this.nameOf = nameOf;
    this.create = create;
    this.createForUpgrades = createForUpgrades;
    if (nameOf) return;
    this.only = create('');
    this.pools.set('', this.only);
  }

  /** The pool for requests with this host. */
  forHost(host: string): EndpointPool | PoolRefusal {
    if (this.only) return this.only;
    const name = this.nameOf?.(host) ?? '';
    let pool = this.pools.get(name);
    if (pool) return pool;
    if (this.pools.size >= MAX_SERVER_NAMES) this.makeRoom();
    if (this.pools.size >= MAX_SERVER_NAMES) return NO_ROOM;
    this.pools.set(name, (pool = this.create(name)));
    return pool;
  }

  /** The pool for upgrades with this host. */
  forUpgrade(host: string): EndpointPool | PoolRefusal {
    if (!this.createForUpgrades) return this.forHost(host);
    return (this.upgrades ??= new PoolSet(this.nameOf, this.createForUpgrades)).forHost(host);
  }

  /** What a lease of the pool for this host would come to ({@link EndpointPool.foresee}). Nothing is made that stays. */
  foresee(host: string, forUpgrade: boolean, idleElsewhere: boolean): LeaseForecast | undefined {
    if (forUpgrade && this.createForUpgrades) {
      const upgrades = this.upgrades ?? new PoolSet(this.nameOf, this.createForUpgrades);
      return upgrades.foresee(host, false, idleElsewhere);
    }
    const name = this.nameOf?.(host) ?? '';
    const pool = this.pools.get(name);
    if (pool === undefined && this.pools.size >= MAX_SERVER_NAMES) {
      const givesWay = [...this.pools.values()].some((one) => one.isUnused || one.idleSinceMs !== undefined);
      if (!givesWay) return NO_ROOM;
    }
    return (pool ?? this.create(name)).foresee(idleElsewhere);
  }

  /** Connections open or opening. */
  get connections(): number {
    let connections = this.upgrades?.connections ?? 0;
    for (const pool of this.pools.values()) connections += pool.connections;
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

  /** Every pool, those for upgrades too. */
  *all(): Iterable<EndpointPool> {
    yield* this.pools.values();
    if (this.upgrades) yield* this.upgrades.all();
  }

  /** Closes what has been idle for too long. */
  closeIdle(nowMs: number): void {
    // Asked once a second of every endpoint: without an iterator where there is one pool.
    if (this.only && !this.upgrades) this.only.closeIdle(nowMs);
    else for (const pool of this.all()) pool.closeIdle(nowMs);
  }

  /** Idle connections close, streams in flight finish. */
  drain(): void {
    for (const pool of this.all()) pool.drain();
  }

  /** Closes everything at once. */
  destroy(): void {
    for (const pool of this.all()) pool.destroy();
  }

  /** Forgets the names without connections; if there are none, the one that has been idle for the longest. */
  private makeRoom(): void {
    let oldest: string | undefined;
    let oldestSinceMs = Infinity;
    for (const [name, pool] of this.pools) {
      const sinceMs = pool.idleSinceMs ?? Infinity;
      if (pool.isUnused) this.pools.delete(name);
      else if (sinceMs < oldestSinceMs) [oldest, oldestSinceMs] = [name, sinceMs];
    }
    if (oldest === undefined || this.pools.size < MAX_SERVER_NAMES) return;
    this.pools.get(oldest)?.drain();
    this.pools.delete(oldest);
  }
}
