// The live objects behind a snapshot: clusters and listeners. `apply` goes from one snapshot to the next, adding before
// use and removing after it, and touches only what changed (unchanged parts of two snapshots are the same objects).
import { isDeepStrictEqual } from 'node:util';
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
import type { ServerTls } from '../identity/server-tls.ts';
import type { Credentials } from '../identity/credentials.ts';
import { createAuthorityTable } from '../route/authority.ts';
import { createOutboundTable } from '../route/outbound.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { LiveRoute } from '../proxy/handle.ts';
import type { LiveGatewayState } from './live-gateway.ts';

/** How a listener that can't be bound is tried again. */
const BIND_RETRY: BackoffPolicy = { initialMs: 200, maxMs: 30_000, multiplier: 2, jitter: 0.2 };

/** A bound listener, as much of it as is needed here. */
export type ServingListener = Pick<
  Listener,
  'address' | 'port' | 'connectionCount' | 'active' | 'drain' | 'destroy' | 'setTls'
>;

/** What the live objects are made with. */
export interface LiveConfigContext {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly logger: Logger;
  /** Address of listeners that state none. */
  readonly bind: string;
  /** Give every listener that has targets a free port instead of its own. */
  readonly ephemeralPorts: boolean;
  /** Makes the gateway over the clusters. Undefined: no snapshot has one. */
  readonly createGateway: ((clusters: ReadonlyMap<PortKey, Cluster>) => LiveGatewayState) | undefined;
  readonly createCluster: (port: UpstreamPort) => Cluster;
  /** Told of the Secrets of each snapshot. */
  readonly credentials: Pick<Credentials, 'setSecrets'>;
  /** TLS of a listener; undefined where its spec has none. */
  readonly createTls: (spec: ListenerSpec) => ServerTls | undefined;
  readonly createHandler: (route: () => LiveRoute) => RequestHandler;
  readonly bindListener: (
    address: string,
    port: number,
    protocols: ListenerSpec['protocols'],
    handle: RequestHandler,
    tls: ServerTls | undefined,
  ) => Promise<ServingListener>;
  readonly describeBindError: (error: unknown, address: string, port: number) => string;
}

/** A listener of the snapshot, bound or not. */
export class LiveListener {
  spec: ListenerSpec;
  route: LiveRoute;
  /** What serves now: bound for `spec`, or still for the spec before it while `spec` can't be bound. */
  bound: ServingListener | undefined = undefined;
  /** TLS as `spec` says; undefined: plaintext. */
  private tls: ServerTls | undefined;
  /** Why `spec` isn't bound; empty while it is, or before the first try has ended. */
  bindError = '';
  readonly handle: RequestHandler;
  /** Settles after the first try to bind, whatever came of it. */
  tried: Promise<void> = Promise.resolve();
  /** The spec that `bound` was bound for. */
  private boundFor: ListenerSpec | undefined = undefined;
  private removed = false;
  private cancelRetry: Cancel | undefined = undefined;
  private failures = 0;
  /** Counts the binds wanted: one that an edit or removal overtook closes its socket again. */
  private epoch = 0;
  private readonly context: LiveConfigContext;
  /** Takes a socket that accepts no more but has calls in flight. */
  private readonly leave: (bound: ServingListener) => void;

  constructor(
    spec: ListenerSpec,
    route: LiveRoute,
    context: LiveConfigContext,
    leave: (bound: ServingListener) => void,
  ) {
    this.spec = spec;
    this.route = route;
    this.context = context;
    this.leave = leave;
    this.handle = context.createHandler(() => this.route);
    this.tls = context.createTls(spec);
  }

  /** Why it isn't bound, or why it is and no handshake succeeds; empty if all is well. */
  get error(): string {
    return this.bindError !== '' ? this.bindError : (this.tls?.error ?? '');
  }

  get address(): string {
    return this.bound?.address ?? this.spec.address ?? this.context.bind;
  }

  get port(): number {
    return this.bound?.port ?? this.wantedPort;
  }

  /** The configured port of a socket that still serves an older spec; undefined where there is none. */
  get outdatedPort(): number | undefined {
    return this.boundFor && !wantSameSocket(this.boundFor, this.spec) ? this.boundFor.port : undefined;
  }

  /** Takes a changed spec. True where it wants another socket, so that `bind` must follow. */
  change(spec: ListenerSpec): boolean {
    const moves = !wantSameSocket(this.spec, spec);
    const newTls = !isDeepStrictEqual(this.spec.tls, spec.tls) || this.spec.protocols !== spec.protocols;
    this.spec = spec;
    if (newTls) this.changeTls();
    if (!moves || this.removed) return false;
    this.cancelRetry?.();
    this.failures = 0;
    this.epoch++;
    if (!this.boundFor || !wantSameSocket(this.boundFor, spec)) return true;
    this.bindError = ''; // back to what has been serving all the while
    this.bound?.setTls(this.tls);
    return false;
  }

  /** Binds, and tries again for as long as it is wanted. An older socket serves until then. */
  bind(): void {
    this.tried = this.tryBind(++this.epoch);
  }

  /** Gives its socket up before another can be bound. */
  release(): void {
    const { bound } = this;
    this.bound = this.boundFor = undefined;
    if (bound) this.leave(bound);
  }

  /** Accepts no more; calls in flight finish. */
  remove(): void {
    this.removed = true;
    this.epoch++;
    this.cancelRetry?.();
    this.tls?.stop();
    if (this.bound) this.leave(this.bound);
  }

  /**
   * New connections get the new TLS on whatever socket serves; open ones keep what they have. But a socket that was bound
   * for another address or port doesn't become plaintext: that was never asked for there.
   */
  private changeTls(): void {
    const before = this.tls;
    this.tls = this.context.createTls(this.spec);
    if (before) this.tls?.takeOver(before);
    before?.stop();
    if (this.tls !== undefined || this.outdatedPort === undefined) this.bound?.setTls(this.tls);
  }

  private get wantedPort(): number {
    return this.context.ephemeralPorts && this.spec.role === undefined ? 0 : this.spec.port;
  }

  private async tryBind(epoch: number): Promise<void> {
    const { context, spec } = this;
    const address = spec.address ?? context.bind;
    try {
      const bound = await context.bindListener(address, this.wantedPort, spec.protocols, this.handle, this.tls);
      if (this.epoch !== epoch) {
        this.leave(bound);
        return;
      }
      this.release();
      this.bound = bound;
      this.boundFor = spec;
      bound.setTls(this.tls); // it may have changed meanwhile
      this.bindError = '';
      this.failures = 0;
      context.logger.log('info', { listener: spec.name, address: bound.address, port: bound.port }, 'listening');
    } catch (cause) {
      if (this.epoch !== epoch) return;
      this.bindError = context.describeBindError(cause, address, this.wantedPort);
      this.failures++;
      const delayMs = backoffMs(BIND_RETRY, this.failures, context.rng);
      context.logger.log(
        'error',
        { listener: spec.name, retryMs: Math.round(delayMs) },
        `can't listen: ${this.bindError}`,
      );
      this.cancelRetry = context.clock.after(delayMs, () => this.bind());
    }
  }
}

function wantSameSocket(a: ListenerSpec, b: ListenerSpec): boolean {
  return a === b || (a.address === b.address && a.port === b.port && a.protocols === b.protocols);
}

/** Everything that serves. */
export class LiveConfig {
  snapshot: Snapshot = EMPTY_SNAPSHOT;
  readonly clusters = new Map<PortKey, Cluster>();
  readonly listeners = new Map<string, LiveListener>();
  /** Undefined where there can't be one. */
  readonly gateway: LiveGatewayState | undefined;
  /** Sockets of listeners that were removed or moved, while calls on them finish. */
  private readonly leaving = new Set<ServingListener>();
  private draining = false;
  private readonly context: LiveConfigContext;

  constructor(context: LiveConfigContext) {
    this.context = context;
    this.gateway = context.createGateway?.(this.clusters);
  }

  /** Makes `next` the configuration in force. Resolves when every new listener was tried once. */
  async apply(next: Snapshot): Promise<void> {
    const previous = this.snapshot;
    this.snapshot = next;
    this.context.credentials.setSecrets(next.secrets);
    // Clusters before the listeners that use them.
    const addedPorts = new Set<PortKey>();
    for (const [key, port] of next.ports) {
      const cluster = this.clusters.get(key);
      if (!cluster) {
        this.clusters.set(key, this.context.createCluster(port));
        addedPorts.add(key);
      } else if (cluster.port !== port) cluster.update(port);
    }
    this.gateway?.apply(next.gateway);
    // A listener that goes gives its port up before a new one may want it.
    for (const [name, listener] of this.listeners) {
      if (next.listeners.has(name)) continue;
      this.listeners.delete(name);
      listener.remove();
    }
    const toBind: LiveListener[] = [];
    for (const [name, spec] of next.listeners) {
      const listener = this.listeners.get(name);
      if (!listener) {
        if (this.draining) continue;
        const created = new LiveListener(spec, this.createRoute(spec), this.context, this.leave);
        this.listeners.set(name, created);
        toBind.push(created);
      } else if (listener.spec !== spec) {
        listener.route = this.createRoute(spec);
        if (listener.change(spec)) toBind.push(listener);
      } else if (addedPorts.size > 0 && spec.targets.some(({ port }) => addedPorts.has(port))) {
        listener.route = this.createRoute(spec);
      } else if (spec.role === 'outbound' && next.listeners !== previous.listeners) {
        listener.route = this.createRoute(spec);
      }
    }
    this.releasePorts();
    for (const listener of toBind) listener.bind();
    // Clusters that nothing uses any more, after the routes to them.
    for (const key of previous.ports.keys()) {
      if (next.ports.has(key)) continue;
      this.clusters.get(key)?.remove();
      this.clusters.delete(key);
    }
    await Promise.all(toBind.map(({ tried }) => tried));
  }

  /** Requests in flight on all listeners. */
  get active(): number {
    const serving = new Set(this.leaving);
    for (const { bound } of this.listeners.values()) if (bound) serving.add(bound);
    let active = 0;
    for (const listener of serving) active += listener.active;
    return active;
  }

  /** Stops accepting and resolves when everything in flight is done. Nothing is bound from here on. */
  async drain(): Promise<void> {
    this.draining = true;
    for (const listener of this.listeners.values()) listener.remove();
    await Promise.all([...this.leaving].map((listener) => listener.drain()));
  }

  /** Closes everything at once. */
  destroy(): void {
    this.draining = true;
    for (const listener of this.listeners.values()) listener.remove();
    for (const listener of this.leaving) listener.destroy();
    for (const cluster of this.clusters.values()) cluster.destroy();
  }

  private readonly leave = (listener: ServingListener): void => {
    if (this.leaving.has(listener)) return;
    this.leaving.add(listener);
    void listener.drain().then(() => this.leaving.delete(listener));
  };

  /** A socket that serves an older spec stands in the way of whoever wants its port now, its own listener included. */
  private releasePorts(): void {
    let wanted: Set<number> | undefined;
    for (const listener of this.listeners.values()) {
      const port = listener.outdatedPort;
      if (port === undefined) continue;
      wanted ??= new Set([...this.snapshot.listeners.values()].map((spec) => spec.port));
      if (wanted.has(port)) listener.release();
    }
  }

  private createRoute(spec: ListenerSpec): LiveRoute {
    if (spec.role === 'gateway' && this.gateway) return { pick: () => undefined, gateway: this.gateway };
    if (spec.role === 'outbound') {
      const table = createOutboundTable(this.snapshot.listeners.values());
      return {
        isProxy: true,
        pick: (authority) => {
          const port = table.pick(authority);
          return port === undefined ? undefined : (this.clusters.get(port) ?? port);
        },
      };
    }
    const table = createAuthorityTable(spec.targets);
    const targets = spec.targets.map(({ port }) => this.clusters.get(port) ?? port);
    return { pick: (authority) => targets[table.pick(authority)] };
  }
}
