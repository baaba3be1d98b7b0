// Connections to one endpoint: kept, opened, handed out and closed. Over HTTP/1 a lease is a whole connection, over
// HTTP/2 one stream of many; the channel's capacity tells, so the pool is one code for both.
import { UPSTREAM_TLS_FAILURES, type ErrorKind } from '../base/error.ts';
import type { KeepalivePolicy } from '../model/policy.ts';
import { connect } from '../net/connect.ts';
import type { TlsConnector, TlsRefusal } from '../net/tls.ts';
import type { NetContext, TlsFacts, Transport } from '../net/transport.ts';
import { CounterCell, type Counters } from '../telemetry/counters.ts';
import type { Channel, ChannelFactory, ChannelOwner } from './channel.ts';
import type { BlockedPool, CircuitBreaker } from './circuit-breaker.ts';

/** Who waits for a channel. Exactly one of the two is called, unless the lease is cancelled first. */
export interface LeaseWaiter {
  /** Wants no HTTP/1 connection that has been idle: such a one was just closed under its request. */
  readonly fresh?: boolean;
  /** `channel` has capacity for one stream: start it before anything else happens. */
  onLease(channel: Channel): void;
  onLeaseFailed(kind: ErrorKind, detail: string): void;
  /** The port may open no connection now: a waiter that holds one it can do without gives it back. Still waits. */
  onBlocked?(): void;
}

/** What a pool is made for. */
export interface PoolOptions {
  readonly address: string;
  readonly port: number;
  readonly connectTimeoutMs: number;
  readonly keepalive: KeepalivePolicy;
  readonly createChannel: ChannelFactory;
  /** Leases that one connection can be expected to serve at once, before it is open and says so itself. */
  readonly expectedCapacity: number;
  /** TLS for a new connection, or why there can be none; undefined: plaintext. */
  readonly connector?: (() => TlsConnector | TlsRefusal) | undefined;
  /** A handshake was done. */
  readonly onSecured?: ((tls: TlsFacts) => void) | undefined;
  /** Limits of the upstream port; undefined: none, as for probes. */
  readonly breaker?: CircuitBreaker | undefined;
  /** Whether the endpoint has connections, this pool's among them ({@link BlockedPool.isConnected}); with `breaker`. */
  readonly isConnected?: (() => boolean) | undefined;
  /** A connect failed. */
  readonly onConnectFailed?: ((kind: ErrorKind, detail: string) => void) | undefined;
}

/** What a lease would come to where it isn't served at once, nor as soon as a connection is open. */
export interface LeaseForecast {
  /** The failure; undefined: it waits. */
  readonly kind: ErrorKind | undefined;
  readonly detail: string;
}

const MOST_PATIENCE = 64;
const CLOSING = 'the sidecar is closing';

/** The pool of one endpoint. */
export class EndpointPool implements ChannelOwner, BlockedPool {
  /** May be replaced: new connections and sweeps go by it. */
  options: PoolOptions;
  private readonly net: NetContext;
  private readonly counters: Counters;
  /** Channels that may have capacity; the last one used is the last in the list and is used first. */
  private open: Channel[] = [];
  /** The last in `open`: of an endpoint among many it is found without the list, which is in no cache. */
  private latest: Channel | undefined = undefined;
  /** Channels that only finish what they have. */
  private readonly leaving = new Set<Channel>();
  private readonly opening = new Set<{ cancel(): void }>();
  private readonly waiting: LeaseWaiter[] = [];
  /** What the latest connection turned out to stand at once, where that is less than expected. */
  private learnedCapacity = Infinity;
  /** By how much the peer wants fewer PINGs than is usual. */
  private pingPatience = 1;
  private drained = false;
  private destroyed = false;

  constructor(options: PoolOptions, net: NetContext, counters: Counters) {
    this.options = options;
    this.net = net;
    this.counters = counters;
  }

  /** Connections open or opening. */
  get connections(): number {
    return this.open.length + this.leaving.size + this.opening.size;
  }

  get isConnected(): boolean {
    return this.options.isConnected?.() ?? this.isUsable;
  }

  /** Whether a connection that takes streams is open or opening. */
  get isUsable(): boolean {
    return this.open.length > 0 || this.opening.size > 0;
  }

  /** Whether nothing is open, opening or waited for. */
  get isUnused(): boolean {
    return this.connections === 0 && this.waiting.length === 0;
  }

  /** The limit of the port that keeps it from opening what its waiters want; undefined: there is none. */
  get blockedBy(): string | undefined {
    const { breaker } = this.options;
    if (this.opening.size > 0 || breaker?.isBlocked(this) !== true) return undefined;
    return `max_connections is ${breaker.policy.maxConnections}`;
  }

  /** Since when nothing was in use or waited for, monotonic ms, 0 without connections; undefined while something is. */
  get idleSinceMs(): number | undefined {
    if (this.waiting.length > 0 || this.opening.size > 0 || this.leaving.size > 0) return undefined;
    let sinceMs = 0;
    for (const { active, idleSinceMs } of this.open) {
      if (active > 0) return undefined;
      sinceMs = Math.max(sinceMs, idleSinceMs);
    }
    return sinceMs;
  }

  /** Hands a channel to `waiter`: at once where one has capacity, else when one opens. */
  lease(waiter: LeaseWaiter): void {
    const channel = this.channelFor(waiter);
    if (channel !== undefined) return waiter.onLease(channel);
    if (this.destroyed) return waiter.onLeaseFailed('connect_failure', CLOSING);
    const { breaker } = this.options;
    if (breaker && !breaker.admitsPending()) {
      return waiter.onLeaseFailed('overflow', `max_pending_requests is ${breaker.policy.maxPendingRequests}`);
    }
    this.waiting.push(waiter);
    breaker?.movePending(1);
    this.openForWaiting();
    if (breaker?.isBlocked(this) === true) waiter.onBlocked?.();
  }

  /**
   * What a lease would come to, asked without asking for one; undefined: it gets a connection that is there, or one that is
   * opened. `idleElsewhere`: another pool of the port has an idle connection, which would give way.
   */
  foresee(idleElsewhere: boolean): LeaseForecast | undefined {
    if (this.open.some(({ capacity }) => capacity > 0)) return undefined;
    const { breaker } = this.options;
    if (breaker?.pendingRoom === false) {
      return { kind: 'overflow', detail: `max_pending_requests is ${breaker.policy.maxPendingRequests}` };
    }
    if (this.open.length > 0 && this.open.every(({ streamLimit }) => streamLimit === 0)) {
      return { kind: undefined, detail: 'the endpoint takes no stream at present' };
    }
    if (this.expectedLeases() > this.waiting.length) return undefined;
    if (breaker?.connectionRoom === false && !idleElsewhere && this.isConnected) {
      return { kind: undefined, detail: `max_connections is ${breaker.policy.maxConnections}` };
    }
    const connector = this.options.connector?.();
    return connector && 'kind' in connector ? connector : undefined;
  }

  /** Whether it has a connection that might give way to another's. */
  get hasIdle(): boolean {
    return this.open.some(({ active, draining }) => active === 0 && !draining);
  }

  /** Forgets a waiter that hasn't been answered. A connection that was opened for it stays, for others. */
  cancel(waiter: LeaseWaiter): void {
    const index = this.waiting.indexOf(waiter);
    if (index < 0) return;
    this.waiting.splice(index, 1);
    this.waiterGone();
  }

  /** Closes what has been idle for too long. Called about once a second. */
  closeIdle(nowMs: number): void {
    if (this.open.length === 0) return;
    for (const channel of this.open.slice()) {
      if (channel.active === 0 && nowMs - channel.idleSinceMs >= this.options.keepalive.idleTimeoutMs) channel.drain();
    }
  }

  /** Closes the connection that has been idle for the longest; false where none is idle. */
  closeOneIdle(): boolean {
    const oldest = this.open.find(({ active, draining }) => active === 0 && !draining);
    oldest?.drain();
    return oldest !== undefined;
  }

  /** The endpoint is gone: idle connections close, streams in flight finish. */
  drain(): void {
    this.drained = true;
    for (const channel of this.open.slice()) channel.drain();
  }

  /** Closes everything at once. */
  destroy(): void {
    this.drained = true;
    this.destroyed = true; // a waiter or a stream that fails here may ask again at once
    for (const attempt of this.opening) attempt.cancel();
    this.options.breaker?.moveConnections(-this.opening.size);
    this.opening.clear();
    this.options.breaker?.movePending(-this.waiting.length);
    for (const waiter of this.waiting.splice(0)) waiter.onLeaseFailed('connect_failure', CLOSING);
    for (const channel of [...this.open, ...this.leaving]) channel.destroy();
  }

  onAvailable(channel: Channel): void {
    while (this.waiting.length > 0 && channel.capacity > 0) this.nextWaiter()?.onLease(channel);
    if (channel.streamLimit !== undefined && channel.streamLimit > 0) {
      this.learnedCapacity = channel.streamLimit;
      if (this.waiting.length > 0) this.openForWaiting();
    }
    if (channel.active > 0 || channel.draining) return;
    const { keepalive, breaker } = this.options;
    const isSurplus = keepalive.idleTimeoutMs === 0 || this.idleCount() > keepalive.size;
    if (this.drained || isSurplus || breaker?.isWantedByOthers(this) === true) {
      channel.drain();
      return;
    }
    // The most recently used first: what isn't needed grows old and is closed.
    if (this.latest !== channel && this.takeFromOpen(channel)) this.addToOpen(channel);
  }

  onDraining(channel: Channel): void {
    if (!this.takeFromOpen(channel)) return;
    this.leaving.add(channel);
    if (this.waiting.length > 0) this.openForWaiting();
  }

  onClosed(channel: Channel, alert?: string): void {
    this.takeFromOpen(channel);
    this.leaving.delete(channel);
    this.options.breaker?.moveConnections(-1);
    this.counters.count(CounterCell.UpstreamClosed);
    if (alert !== undefined) {
      this.counters.count(CounterCell.UpstreamHandshakesFailed);
      this.options.onConnectFailed?.('upstream_tls_failure', alert);
    }
    // It never said what it stands, so it never was of use to those that it was opened for.
    if (channel.streamLimit === -1) {
      if (alert === undefined) this.failSurplus('connect_failure', 'closed before its SETTINGS came');
      else this.failSurplus('upstream_tls_failure', alert);
    }
    if (this.waiting.length > 0) this.openForWaiting();
  }

  /** gRFC A8: from then on twice as seldom. */
  onTooManyPings(): void {
    this.pingPatience = Math.min(this.pingPatience * 2, MOST_PATIENCE);
  }

  /** One with capacity, the one used last before others. */
  private channelFor(waiter: LeaseWaiter): Channel | undefined {
    const { latest } = this;
    if (latest === undefined || mayLease(latest, waiter)) return latest;
    for (let i = this.open.length - 2; i >= 0; i--) if (mayLease(this.open[i]!, waiter)) return this.open[i];
    return undefined;
  }

  private addToOpen(channel: Channel): void {
    this.open.push(channel);
    this.latest = channel;
  }

  /** False: it wasn't there. */
  private takeFromOpen(channel: Channel): boolean {
    const { open } = this;
    const index = open.indexOf(channel);
    if (index < 0) return false;
    open.splice(index, 1);
    this.latest = open.at(-1);
    return true;
  }

  private idleCount(): number {
    if (this.open.length <= this.options.keepalive.size) return 0;
    let idle = 0;
    for (const channel of this.open) if (channel.active === 0) idle++;
    return idle;
  }

  /** Opens what the waiters need and can't expect of connections that are opening. */
  openForWaiting(): void {
    // A peer that stands no stream at present won't on another connection either: its callers wait.
    if (this.open.length > 0 && this.open.every(({ streamLimit }) => streamLimit === 0)) return;
    const { breaker } = this.options;
    while (this.expectedLeases() < this.waiting.length && (breaker?.admitsConnection(this) ?? true)) this.openOne();
  }

  /** Waiters that can be expected to get a connection of those that are opening, or that don't know their limit yet. */
  private expectedLeases(): number {
    const each = Math.min(this.options.expectedCapacity, this.learnedCapacity);
    let connections = this.opening.size;
    if (each > 1) for (const channel of this.open) if (channel.streamLimit === -1) connections++;
    return connections * each;
  }

  private openOne(): void {
    const connector = this.options.connector?.();
    if (connector && 'kind' in connector) {
      this.onConnectError(connector.kind, connector.detail);
      return;
    }
    // Bytes may come before the channel is made its transport's handler, which happens in onConnect at once.
    const attempt = connect(
      this.options.address,
      this.options.port,
      this.options.connectTimeoutMs,
      {
        onConnect: (transport) => {
          this.opening.delete(attempt);
          this.onConnected(transport);
        },
        onConnectError: (kind, detail) => {
          this.opening.delete(attempt);
          this.options.breaker?.moveConnections(-1);
          this.onConnectError(kind, detail);
        },
        onRead: () => undefined,
        onEnd: () => undefined,
        onDrain: () => undefined,
        onClose: () => undefined,
      },
      this.net,
      connector,
    );
    this.opening.add(attempt);
    this.options.breaker?.moveConnections(1);
  }

  private onConnected(transport: Transport): void {
    this.counters.count(CounterCell.UpstreamOpened);
    const { tls } = transport;
    if (tls) {
      this.counters.count(tls.resumed ? CounterCell.UpstreamHandshakesResumed : CounterCell.UpstreamHandshakes);
      this.options.onSecured?.(tls);
    }
    const channel = this.options.createChannel(transport, this, this.pingPatience);
    this.addToOpen(channel);
    // The endpoint may have chosen HTTP/1 where many streams were hoped for.
    if (channel.streamLimit === undefined) this.learnedCapacity = 1;
    this.onAvailable(channel);
    if (this.waiting.length > 0) this.openForWaiting();
  }

  private onConnectError(kind: ErrorKind, detail: string): void {
    this.counters.count(CounterCell.UpstreamConnectFailed);
    if (UPSTREAM_TLS_FAILURES.has(kind)) this.counters.count(CounterCell.UpstreamHandshakesFailed);
    this.options.onConnectFailed?.(kind, detail);
    this.failSurplus(kind, detail);
  }

  /** Fails the waiters that no other connection is being opened for: the oldest ones. */
  private failSurplus(kind: ErrorKind, detail: string): void {
    let surplus = this.waiting.length - this.expectedLeases();
    while (surplus-- > 0) this.nextWaiter()?.onLeaseFailed(kind, detail);
  }

  private nextWaiter(): LeaseWaiter | undefined {
    const waiter = this.waiting.shift();
    if (waiter) this.waiterGone();
    return waiter;
  }

  private waiterGone(): void {
    const { breaker } = this.options;
    breaker?.movePending(-1);
    if (this.waiting.length === 0) breaker?.unblock(this);
  }
}

/** Over HTTP/2 a connection carries others at the same time, which tells that it lives. */
function mayLease(channel: Channel, { fresh }: LeaseWaiter): boolean {
  return channel.capacity > 0 && (fresh !== true || channel.streamLimit !== undefined);
}
