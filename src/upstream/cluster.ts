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
import type { EndpointSpec, UpstreamPort } from '../model/snapshot.ts';
import type { TlsFacts } from '../net/transport.ts';
import { attemptLimit, mayTryAgain } from '../policy/attempts.ts';
import { createHashKey, type HashedRequest } from '../policy/hash-key.ts';
import { RetryBudget } from '../policy/retry-budget.ts';
import { createRetryRules, type RetryRules } from '../policy/retry-rules.ts';
import { LatencyHistogram } from '../telemetry/histogram.ts';
import { CircuitBreaker } from './circuit-breaker.ts';
import { LiveEndpoint } from './endpoint.ts';
import { EndpointTable, type EndpointOwner } from './endpoint-table.ts';
import { PortEjections } from './ejections.ts';
import { PortHealth, type AttemptOutcome, type HealthContext } from './health.ts';
import { hostFor } from './host.ts';
import { whyNoEndpoint, type NoEndpoint } from './no-endpoint.ts';
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

/** What the gateway adds to a request. */
export type GatewayCaller = Pick<HashedRequest, 'consumer' | 'routeId' | 'serviceId'>;

const NO_CALLER: GatewayCaller = { consumer: undefined, routeId: '', serviceId: '' };

/** Which failures are an endpoint's: the same that passive checks count. */
const BLAME = createPassiveEvidence(DEFAULT_PASSIVE);

/** A live upstream port. */
export class Cluster implements ConnectionsOwner, EndpointOwner {
  port: UpstreamPort;
  /** Row in the port cells. */
  readonly slot: number;
  private readonly generation: number;
  private readonly cells: Cells;
  readonly budget = new RetryBudget();
  /** When the port became known, monotonic. */
  private readonly knownSinceMs: number;
  readonly breaker: CircuitBreaker;
  /** What is tried again, as the policy says. */
  retryRules: RetryRules;
  /** Times of complete requests; undefined before the first. */
  latency: LatencyHistogram | undefined = undefined;

  private readonly context: ClusterContext;
  private readonly endpoints = new EndpointTable();
  /** The numbers of this port and of its endpoints. */
  readonly live: LiveNumbers;
  readonly picker: Picker;
  private readonly connections: PortConnections;
  /** These three are made when the policy asks for them first. */
  private health: PortHealth | undefined = undefined;
  private ejections: PortEjections | undefined = undefined;
  private warmUp: PortWarmUp | undefined = undefined;
  /** The picker hasn't been told of the endpoints or of the policy yet. */
  private isPickerStale = true;
  private hashKey: ((request: HashedRequest) => string | undefined) | undefined;
  private recordSample: (cells: Cells, slot: number, sample: LatencySample, nowMs: number) => void = recordLatency;

  constructor(port: UpstreamPort, context: ClusterContext) {
    this.port = port;
    this.context = context;
    this.knownSinceMs = context.clock.nowMs;
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
    this.setPolicy();
    this.setEndpoints(undefined);
  }

  /** The endpoints, ordered as configured. */
  list(): Iterable<LiveEndpoint> {
    return this.endpoints.ordered;
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

  beginRequest(): void {
    if (!this.holdsRow) return;
    this.cells.add(this.slot, PortCell.InFlight, 1);
    this.cells.count(this.slot, PortCell.Requests);
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
    if (before.policy !== port.policy) this.breaker.wakeBlocked();
  }

  /** Closes connections that have been idle for too long. Called about once a second. */
  closeIdle(): void {
    for (const endpoint of this.endpoints.ordered) endpoint.pools.closeIdle(this.context.clock.nowMs);
  }

  /** The port is gone: nothing new starts; attempts in flight finish. */
  remove(): void {
    this.stop();
    for (const endpoint of this.endpoints.ordered) {
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
    for (const endpoint of this.endpoints.ordered) endpoint.pools.destroy();
  }

  /**
   * Hash of the key of a request that came over `connection`; 0 where the policy names no key. `caller`: what the gateway
   * knows of it.
   */
  keyHash(head: RequestHead, connection: ConnectionAddresses, caller?: GatewayCaller): number {
    const key = this.findHashKey(head, connection, caller);
    if (key === undefined && this.hashes) this.count(PortCell.HashFallbacks);
    return this.hashes ? hashOfKey(key ?? connection.remoteAddress) : 0;
  }

  /** The key itself; undefined where there is none, and `remote_addr` is taken. */
  findHashKey(head: RequestHead, connection: ConnectionAddresses, caller = NO_CALLER): string | undefined {
    const { remoteAddress, remotePort, localAddress, localPort } = connection;
    const { hostname } = this.context;
    return this.hashKey?.({
      head,
      remoteAddress,
      remotePort,
      localAddress,
      localPort,
      hostname,
      consumer: caller.consumer,
      routeId: caller.routeId,
      serviceId: caller.serviceId,
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
    const { nowMs } = this.context.clock;
    const why = whyNoEndpoint(this.port, this.picker, () =>
      Math.min(this.health?.nextReturnMs(nowMs) ?? Infinity, this.ejections?.nextReturnMs(nowMs) ?? Infinity),
    );
    if (count && why.kind === 'overflow') this.count(PortCell.OverflowEndpoints);
    return why;
  }

  /** The host sent to an endpoint for a request that came with `authority` (APISIX `pass_host`). */
  hostFor(endpoint: LiveEndpoint, authority: string): string {
    const { host, scheme } = this.port.policy;
    return hostFor(host, scheme, endpoint.spec, authority);
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
    if (!endpoint.holdsRow) return;
    const blamed = error !== undefined && BLAME.ofFailure(error, progress) !== undefined;
    if (error === undefined || blamed) {
      const status = error === undefined ? answerStatus(httpStatus, grpcStatus < 0 ? undefined : grpcStatus) : 0;
      report.failed = blamed || status >= 500;
      this.recordSample(this.context.endpointCells, endpoint.slot, report, this.context.clock.nowMs);
      this.ejections?.report(endpoint, status, blamed, (headMs < 0 ? totalMs : headMs) * 1000);
    }
    this.health?.reportAttempt(endpoint, report);
  }

  // --- what the table of endpoints asks for

  createEndpoint(spec: EndpointSpec): LiveEndpoint {
    const { endpointCells, clock } = this.context;
    return new LiveEndpoint(spec, this.connections.createPools(spec), endpointCells, clock.wallMs());
  }

  removeEndpoint(endpoint: LiveEndpoint): void {
    this.context.onEndpointChange('removed', this, endpoint);
    endpoint.remove();
  }

  // --- what the connections tell

  onIdentityChanged(): void {
    for (const endpoint of this.endpoints.ordered) this.replacePools(endpoint);
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
    const policyChanged = before !== undefined && before.policy !== port.policy;
    this.isPickerStale = true;
    const { kept, added, changed } = this.endpoints.take(port.endpoints, this);
    if (identityChanged) for (const endpoint of kept) this.replacePools(endpoint);
    else if (policyChanged) for (const { spec, pools } of kept) this.connections.updatePools(spec, pools);
    const { checks, scheme, outlierDetection, warmUp } = port.policy;
    if (outlierDetection) this.ejections ??= this.createEjections();
    if (checks) this.health ??= this.createHealth();
    if (warmUp) this.warmUp ??= new PortWarmUp(context, () => this.picker.weightedLevels(), this.knownSinceMs);
    this.ejections?.update(outlierDetection, this.endpoints.ordered);
    this.health?.update(checks, scheme, this.endpoints.ordered, added);
    this.warmUp?.update(warmUp, added);
    this.refreshUse(kept);
    for (const endpoint of added) context.onEndpointChange('added', this, endpoint);
    this.onUpdated(changed, false);
  }

  private createEjections(): PortEjections {
    return new PortEjections(this.context, this.live, (endpoints) => this.onUpdated(endpoints, true));
  }

  private createHealth(): PortHealth {
    const { connections } = this;
    return new PortHealth(
      {
        ...this.context,
        probeChannels: {
          createHttp1: (transport, owner) => connections.createChannel(false, transport, owner),
          createHttp2: (transport, owner) => connections.createChannel(true, transport, owner),
        },
        probeConnector: (spec) => connections.probeConnector(spec),
        onActiveSuccess: (endpoint) => this.ejections?.onActiveSuccess(endpoint),
      },
      (endpoints, useChanged) => this.onUpdated(endpoints, useChanged),
    );
  }

  /** Something of these is another; `useChanged`: health or detection took them out or brought them back. */
  private onUpdated(endpoints: readonly LiveEndpoint[], useChanged: boolean): void {
    if (useChanged) this.refreshUse(endpoints);
    for (const endpoint of endpoints) this.context.onEndpointChange('updated', this, endpoint);
  }

  /** Finds anew who may be picked. Of `known` those that were out of use and came back start slowly. */
  private refreshUse(known: readonly LiveEndpoint[]): void {
    const before = known.map(({ available }) => available);
    this.refresh(known);
    for (let i = 0; i < known.length; i++) {
      const endpoint = known[i]!;
      if (endpoint.available !== before[i]) this.warmUp?.onAvailable(endpoint, endpoint.available);
    }
    this.warmUp?.step();
  }

  /** `changed`: the only ones whose state isn't as it was at the last time, unless the picker is stale. */
  private refresh(changed: readonly LiveEndpoint[]): void {
    const { picker, port } = this;
    const { turns } = this.endpoints;
    const before = picker.notes;
    const [one] = changed;
    if (changed.length === 1 && one !== undefined && !this.isPickerStale) {
      picker.refreshOne(one, turns, port.policy);
    } else picker.refresh(turns, port.policy);
    this.isPickerStale = false;
    if (picker.notes.join() !== before.join()) this.context.onNotes(this, picker.notes);
  }

  private replacePools(endpoint: LiveEndpoint): void {
    endpoint.pools.drain();
    endpoint.pools = this.connections.createPools(endpoint.spec);
  }

  /** For `max_connections`: the endpoint that wants a connection has none idle, so it is another's. */
  private closeOneIdle(): boolean {
    for (const { pools } of this.endpoints.ordered)
      for (const pool of pools.all()) if (pool.closeOneIdle()) return true;
    return false;
  }

  private stop(): void {
    this.health?.stop();
    this.ejections?.stop();
    this.warmUp?.stop();
    this.connections.stop();
  }
}
