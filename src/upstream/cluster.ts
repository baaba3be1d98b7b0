// A service port as it lives: its endpoints with their pools and numbers, who of them may be used, and the pick. Health
// decides what is usable, balance/ chooses among it; neither knows the other.
import { isDeepStrictEqual } from 'node:util';
import { CERTIFICATE_VERDICTS, type ErrorKind } from '../base/error.ts';
import type { TimerWheel } from '../base/timer-wheel.ts';
import type { Balancer, LiveNumbers, PickHints } from '../balance/balancer.ts';
import { createRoundRobin, seedCursor } from '../balance/round-robin.ts';
import type { TriedSlots } from '../balance/tried-slots.ts';
import type { WireLimits } from '../codec/limits.ts';
import { isUp } from '../health/machine.ts';
import { EndpointCell, PortCell, type Cells } from '../model/cells.ts';
import { ClientTls, type SessionSlot } from '../identity/client-tls.ts';
import type { Credentials } from '../identity/credentials.ts';
import { isGrpcScheme, isSecureScheme, type PortPolicy } from '../model/policy.ts';
import type { EndpointSpec, UpstreamPort } from '../model/snapshot.ts';
import type { TlsConnector, TlsRefusal } from '../net/tls.ts';
import type { Transport } from '../net/transport.ts';
import { attemptLimit, mayTryAgain } from '../policy/attempts.ts';
import { RetryBudget } from '../policy/retry-budget.ts';
import type { Counters } from '../telemetry/counters.ts';
import { LatencyHistogram } from '../telemetry/histogram.ts';
import type { Channel, ChannelOwner } from './channel.ts';
import { endpointId, LiveEndpoint } from './endpoint.ts';
import { createH1Channel } from './h1-channel.ts';
import { createH2Channel } from './h2-channel.ts';
import { PortHealth, type AttemptOutcome, type HealthContext } from './health.ts';
import { PoolSet } from './pool-set.ts';
import { EndpointPool, type PoolOptions } from './pool.ts';

/** Streams that a new HTTP/2 connection is expected to take; its SETTINGS say the truth later. */
const EXPECTED_STREAMS = 100;

/** What clusters need from outside; one for the process. */
export interface ClusterContext extends Omit<HealthContext, 'probeChannels' | 'probeConnector'> {
  readonly credentials: Credentials;
  readonly wheel: TimerWheel;
  readonly limits: WireLimits;
  readonly portCells: Cells;
  readonly counters: Counters;
  readonly onEndpointChange: (
    change: 'added' | 'removed' | 'updated',
    cluster: Cluster,
    endpoint: LiveEndpoint,
  ) => void;
  /** A connection to an endpoint couldn't be had. */
  readonly onConnectFailed: (cluster: Cluster, endpointId: string, kind: ErrorKind, detail: string) => void;
}

/** A live upstream port. */
export class Cluster {
  port: UpstreamPort;
  /** Row in the port cells. */
  readonly slot: number;
  private readonly generation: number;
  private readonly cells: Cells;
  readonly budget = new RetryBudget();
  /** TLS towards the endpoints; undefined where neither calls nor probes speak it. */
  tls: ClientTls | undefined;
  /** Times of complete requests; undefined before the first. */
  latency: LatencyHistogram | undefined = undefined;

  private readonly context: ClusterContext;
  private readonly endpoints = new Map<string, LiveEndpoint>();
  private usable: readonly LiveEndpoint[] = [];
  private readonly balancer: Balancer = createRoundRobin();
  private readonly live: LiveNumbers;
  private readonly hints: PickHints = { nowMs: 0, keyHash: 0 };
  private readonly health: PortHealth;

  constructor(port: UpstreamPort, context: ClusterContext) {
    this.port = port;
    this.context = context;
    this.cells = context.portCells;
    this.slot = context.portCells.allocate();
    this.generation = context.portCells.generation(this.slot);
    this.live = { endpoints: context.endpointCells, ports: context.portCells, portSlot: this.slot };
    seedCursor(context.portCells, this.slot, context.rng);
    this.tls = this.createTls();
    const probeChannels = {
      createHttp1: (transport: Transport, owner: ChannelOwner) => this.createChannel(false, transport, owner),
      createHttp2: (transport: Transport, owner: ChannelOwner) => this.createChannel(true, transport, owner),
    };
    const probeConnector = (spec: EndpointSpec): TlsConnector | TlsRefusal | undefined => this.probeConnector(spec);
    this.health = new PortHealth({ ...context, probeChannels, probeConnector }, (endpoint, useChanged) => {
      if (useChanged) this.refreshUsable();
      context.onEndpointChange('updated', this, endpoint);
    });
    this.setEndpoints(undefined);
  }

  /** The endpoints, ordered as configured. */
  list(): Iterable<LiveEndpoint> {
    return this.endpoints.values();
  }

  /** Requests in flight. */
  get inFlight(): number {
    return this.holdsRow ? this.cells.get(this.slot, PortCell.InFlight) : 0;
  }

  /** Reads a counter of this port, a word of PortCell. */
  total(word: number): number {
    return this.holdsRow ? this.cells.total(this.slot, word) : 0;
  }

  /** Moves a counter of this port. */
  count(word: number): void {
    if (this.holdsRow) this.cells.count(this.slot, word);
  }

  beginRequest(nowMs: number): void {
    if (!this.holdsRow) return;
    this.cells.add(this.slot, PortCell.InFlight, 1);
    this.cells.count(this.slot, PortCell.Requests);
    this.budget.countFirst(nowMs);
  }

  endRequest(ok: boolean): void {
    if (!this.holdsRow) return;
    this.cells.add(this.slot, PortCell.InFlight, -1);
    this.cells.count(this.slot, ok ? PortCell.Successes : PortCell.Failures);
  }

  recordLatency(latencyUs: number): void {
    (this.latency ??= new LatencyHistogram()).record(latencyUs);
  }

  private get holdsRow(): boolean {
    return this.cells.holds(this.slot, this.generation);
  }

  /** New policy or endpoints. Endpoints that stay keep their connections, numbers and health. */
  update(port: UpstreamPort): void {
    const before = this.port;
    this.port = port;
    this.setEndpoints(before);
  }

  /** Closes connections that have been idle for too long. Called about once a second. */
  closeIdle(): void {
    for (const endpoint of this.endpoints.values()) endpoint.pools.closeIdle(this.context.clock.nowMs);
  }

  /** The port is gone: nothing new starts; attempts in flight finish. */
  remove(): void {
    this.health.stop();
    for (const endpoint of this.endpoints.values()) {
      this.context.onEndpointChange('removed', this, endpoint);
      endpoint.remove();
    }
    this.endpoints.clear();
    this.usable = [];
    this.tls?.stop();
    this.cells.release(this.slot); // requests still in flight no longer count
  }

  /** Closes every connection at once. */
  destroy(): void {
    this.health.stop();
    this.tls?.stop();
    for (const endpoint of this.endpoints.values()) endpoint.pools.destroy();
  }

  /** The endpoint for the next attempt; undefined where none is left. */
  pick(tried: TriedSlots, nowMs: number): LiveEndpoint | undefined {
    const usable = this.usable;
    if (usable.length === 0) return undefined;
    // A single endpoint is used without any algorithm, and may be tried again (APISIX).
    if (mayTryAgain(this.endpoints.size)) return usable[0];
    this.hints.nowMs = nowMs;
    const index = this.balancer.pick(this.live, tried, this.hints);
    if (index < 0) return undefined;
    const endpoint = usable[index]!;
    this.context.endpointCells.count(endpoint.slot, EndpointCell.Picks);
    return endpoint;
  }

  /** The host sent to an endpoint for a request that came with `authority` (APISIX `pass_host`). */
  hostFor(endpoint: LiveEndpoint, authority: string): string {
    const { host, scheme } = this.port.policy;
    if (host.passHost === 'rewrite') return host.upstreamHost;
    if (host.passHost === 'pass') return authority === '' ? endpoint.id : authority;
    const { address, port } = endpoint.spec;
    if (port !== (isSecureScheme(scheme) ? 443 : 80)) return endpoint.id;
    return address.includes(':') ? `[${address}]` : address;
  }

  /** Attempts that a request may have. */
  attemptLimit(): number {
    return attemptLimit(this.port.policy.attempts, this.endpoints.size);
  }

  /** Whether an endpoint is left for another attempt, after that at `failedSlot`. */
  hasUntried(tried: TriedSlots, failedSlot: number): boolean {
    if (mayTryAgain(this.endpoints.size)) return true;
    const weighted = this.usable.some(({ spec }) => spec.weight > 0); // weight 0 counts only where all have it
    return this.usable.some(
      ({ slot, spec }) => slot !== failedSlot && !tried.has(slot) && (spec.weight > 0 || !weighted),
    );
  }

  reportAttempt(endpoint: LiveEndpoint, outcome: AttemptOutcome): void {
    // What an endpoint shows under a name that the caller chose says nothing of it: else a caller could take it out.
    if (outcome.error !== undefined && CERTIFICATE_VERDICTS.has(outcome.error) && this.isNamedByCaller) return;
    this.health.reportAttempt(endpoint, outcome);
  }

  private get isNamedByCaller(): boolean {
    return this.port.policy.host.passHost === 'pass' && this.tls?.policy.serverName === undefined;
  }

  private setEndpoints(before: UpstreamPort | undefined): void {
    const { context, port } = this;
    const identityChanged = before !== undefined && this.changeIdentity(before.policy);
    const wanted = new Map<string, EndpointSpec>();
    for (const spec of port.endpoints) wanted.set(endpointId(spec.address, spec.port), spec);
    for (const [id, endpoint] of this.endpoints) {
      if (wanted.has(id)) continue;
      this.endpoints.delete(id);
      context.onEndpointChange('removed', this, endpoint);
      endpoint.remove();
    }
    const changed: LiveEndpoint[] = [];
    const added: LiveEndpoint[] = [];
    for (const [id, spec] of wanted) {
      const endpoint = this.endpoints.get(id);
      if (!endpoint) {
        const created = new LiveEndpoint(spec, this.createPools(spec), context.endpointCells, context.clock.wallMs());
        this.endpoints.set(id, created);
        added.push(created);
        continue;
      }
      if (endpoint.spec !== spec) changed.push(endpoint);
      endpoint.spec = spec;
      if (identityChanged) this.replacePools(endpoint);
      else if (before && before.policy !== port.policy) this.updatePools(endpoint);
    }
    this.health.update(port.policy.checks, port.policy.scheme, this.endpoints.values());
    this.refreshUsable();
    for (const endpoint of added) context.onEndpointChange('added', this, endpoint);
    for (const endpoint of changed) context.onEndpointChange('updated', this, endpoint);
  }

  /** Up and ready; if there is none, all that don't drain (APISIX: health is ignored then); if there is none, all. */
  private refreshUsable(): void {
    const cells = this.context.endpointCells;
    const all = [...this.endpoints.values()];
    const ready = all.filter((endpoint) => !endpoint.spec.draining);
    const up = ready.filter((endpoint) => isUp(cells.get(endpoint.slot, EndpointCell.HealthState)));
    this.usable = up.length > 0 ? up : ready.length > 0 ? ready : all;
    for (const endpoint of all) endpoint.usable = false;
    for (const endpoint of this.usable) endpoint.usable = true;
    this.balancer.update(this.usable.map(({ slot, spec }) => ({ slot, weight: spec.weight })));
  }

  // --- connections

  /** Takes the scheme and the TLS identity of a new policy; true where connections of the old one may not be used. */
  private changeIdentity(before: PortPolicy): boolean {
    const { scheme, tls } = this.port.policy;
    const sameTls = isDeepStrictEqual(before.tls, tls);
    if (before.scheme === scheme && sameTls) return false;
    this.tls?.stop();
    this.tls = this.createTls();
    return true;
  }

  private createTls(): ClientTls | undefined {
    const { policy, upstream } = this.port;
    if (!policy.tls) return undefined;
    return new ClientTls(policy.tls, {
      credentials: this.context.credentials,
      clock: this.context.clock,
      usedBy: `Upstream ${upstream}`,
      alpn: isGrpcScheme(policy.scheme) ? ['h2'] : ['h2', 'http/1.1'],
      onChange: () => {
        for (const endpoint of this.endpoints.values()) this.replacePools(endpoint);
      },
    });
  }

  /** TLS for a probe; undefined: it goes over plaintext. */
  private probeConnector({ address }: EndpointSpec): TlsConnector | TlsRefusal | undefined {
    const { tls } = this;
    const { scheme, checks } = this.port.policy;
    const active = checks?.active;
    if (!tls || !active || active.type === 'tcp') return undefined;
    if (!isSecureScheme(scheme) && active.type !== 'https') return undefined;
    // With `pass_host: pass` the name comes with each call, and a probe has none.
    const named = active.host ?? (this.isNamedByCaller ? undefined : address);
    const name = named === undefined ? undefined : tls.nameOf(named);
    return tls.connector(name, { session: undefined }, active.verifyCertificate);
  }

  private createPools(spec: EndpointSpec): PoolSet {
    const tls = isSecureScheme(this.port.policy.scheme) ? this.tls : undefined;
    const byHost = tls !== undefined && tls.policy.serverName === undefined;
    const create = (name: string, forUpgrades: boolean): EndpointPool => {
      const slot: SessionSlot = { session: undefined };
      const connect = tls && (() => tls.connector(tls.policy.serverName ?? name, slot));
      const connector = connect && forUpgrades ? () => withoutHttp2(connect()) : connect;
      const options = this.poolOptions(spec, connector, forUpgrades ? 1 : this.expectedCapacity);
      return new EndpointPool(options, this.context, this.context.counters);
    };
    return new PoolSet(
      byHost ? (host) => tls.nameOf(host) : undefined,
      (name) => create(name, false),
      this.port.policy.scheme === 'https' ? (name) => create(name, true) : undefined,
    );
  }

  /** Connections of the old kind finish what they have. */
  private replacePools(endpoint: LiveEndpoint): void {
    endpoint.pools.drain();
    endpoint.pools = this.createPools(endpoint.spec);
  }

  private updatePools(endpoint: LiveEndpoint): void {
    for (const pool of endpoint.pools.all()) {
      pool.options = this.poolOptions(endpoint.spec, pool.options.connector, pool.options.expectedCapacity);
    }
  }

  /** An endpoint that chooses its version is hoped to choose HTTP/2: one connection tells, and others follow if not. */
  private get expectedCapacity(): number {
    return this.port.policy.scheme === 'http' ? 1 : EXPECTED_STREAMS;
  }

  private poolOptions(spec: EndpointSpec, connector: PoolOptions['connector'], expectedCapacity: number): PoolOptions {
    const { scheme, timeout, keepalivePool } = this.port.policy;
    const id = endpointId(spec.address, spec.port);
    return {
      address: spec.address,
      port: spec.port,
      connectTimeoutMs: timeout.connectMs,
      keepalive: keepalivePool,
      createChannel: (transport, owner, pingPatience) =>
        this.createChannel(isGrpcScheme(scheme) || transport.tls?.alpn === 'h2', transport, owner, pingPatience),
      expectedCapacity,
      connector,
      onSecured: (facts) => {
        const endpoint = this.endpoints.get(id);
        if (!endpoint) return;
        // A resumed session shows no certificate again.
        const certificate = facts.certificate ?? endpoint.lastHandshake?.certificate;
        endpoint.lastHandshake = { ...facts, certificate };
      },
      onConnectFailed: (kind, detail) => this.context.onConnectFailed(this, id, kind, detail),
    };
  }

  private createChannel(http2: boolean, transport: Transport, owner: ChannelOwner, pingPatience = 1): Channel {
    const { clock, wheel, logger, limits } = this.context;
    const options = { clock, wheel, logger, limits, maxRequests: this.port.policy.keepalivePool.requests };
    const pingAgainMs = limits.pingAgainMs * pingPatience;
    return http2
      ? createH2Channel(transport, owner, { ...options, pingAgainMs })
      : createH1Channel(transport, owner, options);
  }
}

/** An upgrade needs a connection that speaks HTTP/1. */
function withoutHttp2(connector: TlsConnector | TlsRefusal): TlsConnector | TlsRefusal {
  return 'kind' in connector ? connector : { ...connector, alpn: ['http/1.1'] };
}
