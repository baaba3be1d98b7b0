// A service port as it lives: its endpoints with their connections and numbers. Who of them may be used is decided by
// health, ejections and warm-up (health/), the choice among those is the picker's, and how they are connected to is told by
// port-connections.ts; here these meet, and nothing is decided.
import { CERTIFICATE_VERDICTS, type ErrorKind } from '../base/error.ts';
import type { LiveNumbers } from '../balance/balancer.ts';
import { recordApisixLatency, recordLatency, type LatencySample } from '../balance/latency.ts';
import { seedCursor } from '../balance/round-robin.ts';
import { keyHash as hashOfKey } from '../balance/crc32.ts';
import type { TriedSlots } from '../balance/tried-slots.ts';
import type { RequestHead } from '../codec/exchange.ts';
import { answerStatus } from '../codec/grpc/status.ts';
import { createPassiveEvidence } from '../health/evidence.ts';
import { DEFAULT_PASSIVE } from '../model/defaults.ts';
import { PortCell, type Cells } from '../model/cells.ts';
import { isSecureScheme } from '../model/policy.ts';
import type { EndpointSpec, UpstreamPort } from '../model/snapshot.ts';
import type { TlsFacts, Transport } from '../net/transport.ts';
import { attemptLimit, mayTryAgain } from '../policy/attempts.ts';
import { createHashKey, type HashedRequest } from '../policy/hash-key.ts';
import { RetryBudget } from '../policy/retry-budget.ts';
import { createRetryRules, type RetryRules } from '../policy/retry-rules.ts';
import { LatencyHistogram } from '../telemetry/histogram.ts';
import type { ChannelOwner } from './channel.ts';
import { CircuitBreaker } from './circuit-breaker.ts';
import { endpointId, LiveEndpoint } from './endpoint.ts';
import { PortEjections } from './ejections.ts';
import { PortHealth, type AttemptOutcome, type HealthContext } from './health.ts';
import { Picker } from './picker.ts';
import { PortConnections, type ConnectionContext, type ConnectionsOwner } from './port-connections.ts';
import { PortWarmUp } from './port-warm-up.ts';

/** What clusters need from outside; one for the process. */
export interface ClusterContext
  extends ConnectionContext, Omit<HealthContext, 'probeChannels' | 'probeConnector' | 'onActiveSuccess'> {
  readonly portCells: Cells;
  /** Name of this machine: the variable `hostname` of hash keys. */
  readonly hostname: string;
  readonly onEndpointChange: (
    change: 'added' | 'removed' | 'updated',
    cluster: Cluster,
    endpoint: LiveEndpoint,
  ) => void;
  /** A connection to an endpoint couldn't be had. */
  readonly onConnectFailed: (cluster: Cluster, endpointId: string, kind: ErrorKind, detail: string) => void;
  /** What isn't carried out to the letter has changed; see {@link Picker.notes}. */
  readonly onNotes: (cluster: Cluster, notes: readonly string[]) => void;
}

/** How an attempt ended, and how long it took. `failed` is filled in by {@link Cluster.reportAttempt}. */
export interface AttemptReport extends AttemptOutcome, LatencySample {
  failed: boolean;
}

/** Both ends of a caller's connection. */
export type ConnectionAddresses = Pick<HashedRequest, 'remoteAddress' | 'remotePort' | 'localAddress' | 'localPort'>;

/** Why no endpoint can be had. */
export interface NoEndpoint {
  readonly kind: ErrorKind;
  readonly detail: string;
  /** Seconds after which asking again may help; 0: unknown. */
  readonly retryAfterS: number;
}

/** Which failures are an endpoint's: the same that passive checks count. */
const BLAME = createPassiveEvidence(DEFAULT_PASSIVE);

/** A live upstream port. */
export class Cluster implements ConnectionsOwner {
  port: UpstreamPort;
  /** Row in the port cells. */
  readonly slot: number;
  private readonly generation: number;
  private readonly cells: Cells;
  readonly budget = new RetryBudget();
  readonly breaker: CircuitBreaker;
  /** What is tried again, as the policy says. */
  retryRules: RetryRules;
  /** Times of complete requests; undefined before the first. */
  latency: LatencyHistogram | undefined = undefined;

  private readonly context: ClusterContext;
  private readonly endpoints = new Map<string, LiveEndpoint>();
  /** The numbers of this port and of its endpoints. */
  readonly live: LiveNumbers;
  readonly picker: Picker;
  private readonly connections: PortConnections;
  private readonly health: PortHealth;
  private readonly ejections: PortEjections;
  private readonly warmUp: PortWarmUp;
  private hashKey: ((request: HashedRequest) => string | undefined) | undefined;
  private recordSample: (cells: Cells, slot: number, sample: LatencySample, nowMs: number) => void = recordLatency;

  constructor(port: UpstreamPort, context: ClusterContext) {
    this.port = port;
    this.context = context;
    this.cells = context.portCells;
    this.slot = context.portCells.allocate();
    this.generation = context.portCells.generation(this.slot);
    this.live = { endpoints: context.endpointCells, ports: context.portCells, portSlot: this.slot };
    seedCursor(context.portCells, this.slot, context.rng);
    const { circuitBreakers, attempts } = port.policy;
    this.breaker = new CircuitBreaker(circuitBreakers, this.cells, this.slot, () => this.closeOneIdle());
    this.retryRules = createRetryRules(attempts);
    this.picker = new Picker(this.live, context.rng);
    this.connections = new PortConnections(port, context, this);
    const probeChannels = {
      createHttp1: (transport: Transport, owner: ChannelOwner) =>
        this.connections.createChannel(false, transport, owner),
      createHttp2: (transport: Transport, owner: ChannelOwner) =>
        this.connections.createChannel(true, transport, owner),
    };
    this.warmUp = new PortWarmUp(context, () => this.picker.weightedLevels());
    this.ejections = new PortEjections(context, this.live, (endpoint) => this.useChanged(endpoint));
    this.health = new PortHealth(
      {
        ...context,
        probeChannels,
        probeConnector: (spec) => this.connections.probeConnector(spec),
        onActiveSuccess: (endpoint) => this.ejections.onActiveSuccess(endpoint),
      },
      (endpoint, useChanged) => {
        if (useChanged) this.useChanged(endpoint);
        else context.onEndpointChange('updated', this, endpoint);
      },
    );
    this.setPolicy();
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

  /** Reads a level of this port, a word of PortCell. */
  level(word: number): number {
    return this.holdsRow ? this.cells.get(this.slot, word) : 0;
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

  /** TLS towards the endpoints; undefined where neither calls nor probes speak it. */
  get tls(): PortConnections['tls'] {
    return this.connections.tls;
  }

  /** New policy or endpoints. Endpoints that stay keep their connections, numbers and health. */
  update(port: UpstreamPort): void {
    const before = this.port;
    this.port = port;
    if (before.policy !== port.policy) this.setPolicy();
    this.setEndpoints(before);
  }

  /** Closes connections that have been idle for too long. Called about once a second. */
  closeIdle(): void {
    for (const endpoint of this.endpoints.values()) endpoint.pools.closeIdle(this.context.clock.nowMs);
  }

  /** The port is gone: nothing new starts; attempts in flight finish. */
  remove(): void {
    this.stop();
    for (const endpoint of this.endpoints.values()) {
      this.context.onEndpointChange('removed', this, endpoint);
      endpoint.remove();
    }
    this.endpoints.clear();
    this.picker.refresh([], this.port.policy);
    this.cells.release(this.slot); // requests still in flight no longer count
  }

  /** Closes every connection at once. */
  destroy(): void {
    this.stop();
    for (const endpoint of this.endpoints.values()) endpoint.pools.destroy();
  }

  /** Hash of the key of a request that came over `connection`; 0 where the policy names no key. */
  keyHash(head: RequestHead, connection: ConnectionAddresses): number {
    const key = this.findHashKey(head, connection);
    if (key === undefined && this.hashes) this.count(PortCell.HashFallbacks);
    return this.hashes ? hashOfKey(key ?? connection.remoteAddress) : 0;
  }

  /** The key itself; undefined where there is none, and `remote_addr` is taken. */
  findHashKey(head: RequestHead, connection: ConnectionAddresses): string | undefined {
    const { remoteAddress, remotePort, localAddress, localPort } = connection;
    const { hostname } = this.context;
    return this.hashKey?.({
      head,
      remoteAddress,
      remotePort,
      localAddress,
      localPort,
      hostname,
      consumer: undefined,
    });
  }

  /** Whether requests are hashed. */
  get hashes(): boolean {
    return this.hashKey !== undefined;
  }

  /** The endpoint for the next attempt; undefined where none is left ({@link whyNone}). */
  pick(tried: TriedSlots, nowMs: number, keyHash: number): LiveEndpoint | undefined {
    return this.picker.pick(tried, nowMs, keyHash);
  }

  /** Why `pick` gave none; `count`: the call counts as refused. */
  whyNone(count = true): NoEndpoint {
    const { port, picker, context, endpoints } = this;
    if (endpoints.size === 0) {
      const names = port.names.map(({ name }) => name).join(', ');
      return none('no_endpoints', names === '' ? port.key : `${port.key}: no address of ${names} is known`);
    }
    if (picker.failsFast) {
      const { nowMs } = context.clock;
      const backMs = Math.min(this.health.nextReturnMs(nowMs), this.ejections.nextReturnMs(nowMs));
      const retryAfterS = Number.isFinite(backMs) ? Math.max(1, Math.ceil(backMs / 1000)) : 1;
      return { kind: 'no_healthy_endpoint', detail: port.key, retryAfterS };
    }
    if (!picker.isFull) return none('no_endpoints', `${port.key}: every weight is 0`);
    if (count) this.count(PortCell.OverflowEndpoints);
    return none('overflow', `${port.key}: every endpoint has as many calls as it may`);
  }

  /** The host sent to an endpoint for a request that came with `authority` (APISIX `pass_host`). */
  hostFor(endpoint: LiveEndpoint, authority: string): string {
    const { host, scheme } = this.port.policy;
    if (host.passHost === 'rewrite') return host.upstreamHost;
    if (host.passHost === 'pass' && authority !== '') return authority;
    const { address, port, host: name } = endpoint.spec;
    const node = name !== '' ? name : address.includes(':') ? `[${address}]` : address;
    if (host.passHost === 'node' && port === (isSecureScheme(scheme) ? 443 : 80)) return node;
    return `${node}:${port}`;
  }

  /** Attempts that a request may have. */
  attemptLimit(): number {
    return attemptLimit(this.port.policy.attempts, this.endpoints.size);
  }

  /** Whether the port has a single endpoint, which is tried again itself. */
  get hasOneEndpoint(): boolean {
    return mayTryAgain(this.endpoints.size);
  }

  /** Whether an endpoint is left for another attempt, after that at `failedSlot`. */
  hasUntried(tried: TriedSlots, failedSlot: number): boolean {
    return this.picker.hasUntried(tried, failedSlot);
  }

  /** An attempt at `endpoint` is over, however it went, and no longer in flight. */
  attemptEnded(endpoint: LiveEndpoint): void {
    this.picker.ended(endpoint.slot);
  }

  /** Each attempt once, when it ended at `endpoint`. */
  reportAttempt(endpoint: LiveEndpoint, report: AttemptReport): void {
    const { error, progress, httpStatus, grpcStatus, headMs, totalMs } = report;
    // What an endpoint shows under a name that the caller chose says nothing of it: else a caller could take it out.
    if (error !== undefined && CERTIFICATE_VERDICTS.has(error) && this.connections.isNamedByCaller) return;
    if (this.endpoints.get(endpoint.id) !== endpoint) return;
    const blamed = error !== undefined && BLAME.ofFailure(error, progress) !== undefined;
    if (error === undefined || blamed) {
      const status = error === undefined ? answerStatus(httpStatus, grpcStatus < 0 ? undefined : grpcStatus) : 0;
      report.failed = blamed || status >= 500;
      this.recordSample(this.context.endpointCells, endpoint.slot, report, this.context.clock.nowMs);
      this.ejections.report(endpoint, status, blamed, (headMs < 0 ? totalMs : headMs) * 1000);
    }
    this.health.reportAttempt(endpoint, report);
  }

  // --- what the connections tell

  onIdentityChanged(): void {
    for (const endpoint of this.endpoints.values()) this.replacePools(endpoint);
  }

  onSecured(id: string, facts: TlsFacts): void {
    const endpoint = this.endpoints.get(id);
    if (!endpoint) return;
    // A resumed session shows no certificate again.
    endpoint.lastHandshake = { ...facts, certificate: facts.certificate ?? endpoint.lastHandshake?.certificate };
  }

  onConnectFailed(id: string, kind: ErrorKind, detail: string): void {
    this.context.onConnectFailed(this, id, kind, detail);
  }

  // --- policy and endpoints

  private setPolicy(): void {
    const { attempts, balancer, circuitBreakers } = this.port.policy;
    this.breaker.policy = circuitBreakers;
    this.retryRules = createRetryRules(attempts);
    this.hashKey = balancer.type === 'chash' ? createHashKey(balancer) : undefined;
    const byApisix = balancer.type === 'ewma' && balancer.ewmaFormula === 'apisix';
    this.recordSample = byApisix ? recordApisixLatency : recordLatency;
  }

  private setEndpoints(before: UpstreamPort | undefined): void {
    const { context, port } = this;
    const identityChanged = before !== undefined && this.connections.update(port);
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
        const pools = this.connections.createPools(spec);
        const created = new LiveEndpoint(spec, pools, context.endpointCells, context.clock.wallMs());
        this.endpoints.set(id, created);
        added.push(created);
        continue;
      }
      if (endpoint.spec !== spec) changed.push(endpoint);
      endpoint.spec = spec;
      if (identityChanged) this.replacePools(endpoint);
      else if (before && before.policy !== port.policy) this.connections.updatePools(spec, endpoint.pools);
    }
    const { checks, scheme, outlierDetection, warmUp } = port.policy;
    const all = [...this.endpoints.values()];
    this.ejections.update(outlierDetection, all);
    this.health.update(checks, scheme, all);
    this.warmUp.update(warmUp, added);
    this.refresh();
    this.warmUp.step();
    for (const endpoint of added) context.onEndpointChange('added', this, endpoint);
    for (const endpoint of changed) context.onEndpointChange('updated', this, endpoint);
  }

  /** Health or detection took `endpoint` out or brought it back. */
  private useChanged(endpoint: LiveEndpoint): void {
    const before = endpoint.available;
    this.refresh();
    if (endpoint.available !== before) this.warmUp.onAvailable(endpoint, endpoint.available);
    this.warmUp.step();
    this.context.onEndpointChange('updated', this, endpoint);
  }

  private refresh(): void {
    const before = this.picker.notes;
    this.picker.refresh([...this.endpoints.values()], this.port.policy);
    const { notes } = this.picker;
    if (notes.join() !== before.join()) this.context.onNotes(this, notes);
  }

  private replacePools(endpoint: LiveEndpoint): void {
    endpoint.pools.drain();
    endpoint.pools = this.connections.createPools(endpoint.spec);
  }

  /** For `max_connections`: the endpoint that wants a connection has none idle, so it is another's. */
  private closeOneIdle(): boolean {
    for (const { pools } of this.endpoints.values())
      for (const pool of pools.all()) if (pool.closeOneIdle()) return true;
    return false;
  }

  private stop(): void {
    this.health.stop();
    this.ejections.stop();
    this.warmUp.stop();
    this.connections.stop();
  }
}

function none(kind: ErrorKind, detail: string): NoEndpoint {
  return { kind, detail, retryAfterS: 0 };
}
