// The live objects behind a snapshot: clusters and listeners. `apply` goes from one snapshot to the next, adding before
// use and removing after it, and touches only what changed (unchanged parts of two snapshots are the same objects).
import type { Cancel, Clock } from '../base/clock.ts';
import { backoffMs, type BackoffPolicy } from '../base/backoff.ts';
import type { Logger } from '../base/log.ts';
import type { Rng } from '../base/rng.ts';
import type { RequestHandler } from '../codec/exchange.ts';
import {
  EMPTY_SNAPSHOT,
  type ListenerSpec,
  type PortKey,
  type Snapshot,
  type UpstreamPort,
} from '../model/snapshot.ts';
import type { Listener } from '../downstream/listener.ts';
import { createAuthorityTable } from '../route/authority.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { LiveRoute } from '../proxy/handle.ts';

/** How a listener that can't be bound is tried again. */
const BIND_RETRY: BackoffPolicy = { initialMs: 200, maxMs: 30_000, multiplier: 2, jitter: 0.2 };

/** What the live objects are made with. */
export interface LiveConfigContext {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly logger: Logger;
  /** Address of listeners that state none. */
  readonly bind: string;
  /** Give every listener a free port instead of its own. */
  readonly ephemeralPorts: boolean;
  readonly createCluster: (port: UpstreamPort) => Cluster;
  readonly createHandler: (route: () => LiveRoute) => RequestHandler;
  readonly bindListener: (
    address: string,
    port: number,
    protocols: ListenerSpec['protocols'],
    handle: RequestHandler,
  ) => Promise<Listener>;
  readonly describeBindError: (error: unknown, address: string, port: number) => string;
}

/** A listener of the snapshot, bound or not. */
export class LiveListener {
  spec: ListenerSpec;
  route: LiveRoute;
  bound: Listener | undefined = undefined;
  /** Why it isn't bound; empty while it is, or before the first try has ended. */
  error = '';
  readonly handle: RequestHandler;
  /** Settles after the first try to bind, whatever came of it. */
  tried: Promise<void> = Promise.resolve();
  private cancelRetry: Cancel | undefined = undefined;
  private failures = 0;
  /** Counts the binds wanted: one that an edit or removal overtook closes its socket again. */
  private epoch = 0;
  private readonly context: LiveConfigContext;

  constructor(spec: ListenerSpec, route: LiveRoute, context: LiveConfigContext) {
    this.spec = spec;
    this.route = route;
    this.context = context;
    this.handle = context.createHandler(() => this.route);
  }

  get address(): string {
    return this.bound?.address ?? this.spec.address ?? this.context.bind;
  }

  get port(): number {
    return this.bound?.port ?? this.wantedPort;
  }

  /** Binds, and tries again for as long as it is wanted. */
  bind(): void {
    this.tried = this.tryBind(++this.epoch);
  }

  /** A changed address or port: the old socket serves until the new one is bound. */
  rebind(): void {
    const old = this.bound;
    this.bound = undefined;
    this.cancelRetry?.();
    this.bind();
    void this.tried.then(() => old?.drain());
  }

  /** Accepts no more; calls in flight finish. */
  remove(): Promise<void> {
    this.epoch++;
    this.cancelRetry?.();
    return this.bound?.drain() ?? Promise.resolve();
  }

  private get wantedPort(): number {
    return this.context.ephemeralPorts ? 0 : this.spec.port;
  }

  private async tryBind(epoch: number): Promise<void> {
    const { context, spec } = this;
    const address = spec.address ?? context.bind;
    try {
      const bound = await context.bindListener(address, this.wantedPort, spec.protocols, this.handle);
      if (this.epoch !== epoch) {
        void bound.drain();
        return;
      }
      this.bound = bound;
      this.error = '';
      this.failures = 0;
      context.logger.log('info', { listener: spec.name, address: bound.address, port: bound.port }, 'listening');
    } catch (cause) {
      if (this.epoch !== epoch) return;
      this.error = context.describeBindError(cause, address, this.wantedPort);
      this.failures++;
      const delayMs = backoffMs(BIND_RETRY, this.failures, context.rng);
      context.logger.log('error', { listener: spec.name, retryMs: Math.round(delayMs) }, `can't listen: ${this.error}`);
      this.cancelRetry = context.clock.after(delayMs, () => this.bind());
    }
  }
}

/** Everything that serves. */
export class LiveConfig {
  snapshot: Snapshot = EMPTY_SNAPSHOT;
  readonly clusters = new Map<PortKey, Cluster>();
  readonly listeners = new Map<string, LiveListener>();
  private readonly context: LiveConfigContext;

  constructor(context: LiveConfigContext) {
    this.context = context;
  }

  /** Makes `next` the configuration in force. Resolves when every new listener was tried once. */
  async apply(next: Snapshot): Promise<void> {
    const previous = this.snapshot;
    this.snapshot = next;
    // Clusters before the listeners that use them.
    let clustersAdded = false;
    for (const [key, port] of next.ports) {
      const cluster = this.clusters.get(key);
      if (!cluster) {
        this.clusters.set(key, this.context.createCluster(port));
        clustersAdded = true;
      } else if (cluster.port !== port) cluster.update(port);
    }
    // A listener that goes gives its port up before a new one may want it.
    for (const [name, listener] of this.listeners) {
      if (next.listeners.has(name)) continue;
      this.listeners.delete(name);
      void listener.remove();
    }
    const tried: Promise<void>[] = [];
    for (const [name, spec] of next.listeners) {
      const listener = this.listeners.get(name);
      if (listener?.spec === spec && !clustersAdded) continue;
      const route = this.createRoute(spec);
      if (!listener) {
        const created = new LiveListener(spec, route, this.context);
        this.listeners.set(name, created);
        created.bind();
        tried.push(created.tried);
        continue;
      }
      const old = listener.spec;
      listener.spec = spec;
      listener.route = route;
      if (old.address !== spec.address || old.port !== spec.port || old.protocols !== spec.protocols) {
        listener.rebind();
        tried.push(listener.tried);
      }
    }
    // Clusters that nothing uses any more, after the routes to them.
    for (const key of previous.ports.keys()) {
      if (next.ports.has(key)) continue;
      this.clusters.get(key)?.remove();
      this.clusters.delete(key);
    }

    await Promise.all(tried);
  }

  /** Requests in flight on all listeners. */
  get active(): number {
    let active = 0;
    for (const listener of this.listeners.values()) active += listener.bound?.active ?? 0;
    return active;
  }

  /** Stops accepting and resolves when everything in flight is done. */
  async drain(): Promise<void> {
    await Promise.all([...this.listeners.values()].map((listener) => listener.remove()));
  }

  /** Closes everything at once. */
  destroy(): void {
    for (const listener of this.listeners.values()) {
      void listener.remove();
      listener.bound?.destroy();
    }
    for (const cluster of this.clusters.values()) cluster.destroy();
  }

  private createRoute(spec: ListenerSpec): LiveRoute {
    const table = createAuthorityTable(spec.targets);
    const clusters = spec.targets.map((target) => this.clusters.get(target.port));
    return {
      pick: (authority) => {
        const index = table.pick(authority);
        return index < 0 ? undefined : clusters[index];
      },
    };
  }
}
