// The admin service's view of the live sidecar (admin/views.ts), made of the live objects. Plain data, made when asked.
import type { X509Certificate } from 'node:crypto';
import type {
  CertificateView,
  ControlView,
  EjectionView,
  EndpointChange,
  EndpointState,
  EndpointTlsView,
  EndpointView,
  ExplainQuery,
  Explanation,
  ListenerView,
  NameView,
  PeerView,
  PortView,
  Readiness,
  ResourceView,
  SidecarView,
} from './admin/views.ts';
import type { Cancel } from './base/clock.ts';
import type { LogLevel } from './base/log.ts';
import { describePolicy } from './config/describe-policy.ts';
import { isEjected } from './health/outlier-ejection.ts';
import { healthCount, healthStateName } from './health/machine.ts';
import { certificateInfo } from './identity/certificate.ts';
import { EndpointCell, PortCell, type Cells } from './model/cells.ts';
import { isSecureScheme } from './model/policy.ts';
import type { UpstreamPort } from './model/snapshot.ts';
import type { TlsFacts } from './net/transport.ts';
import type { LiveConfig } from './runtime/live-config.ts';
import type { Counters } from './telemetry/counters.ts';
import type { GatewayMetrics } from './telemetry/prometheus.ts';
import type { Cluster } from './upstream/cluster.ts';
import { endpointId, type LiveEndpoint } from './upstream/endpoint.ts';

/** What the view is made of. */
export interface ViewSources {
  readonly nodeId: string;
  readonly counters: Counters;
  readonly endpointCells: Cells;
  readonly config: LiveConfig;
  /** Downstream connections, over all listeners. */
  readonly quota: { readonly open: number; readonly limit: number };
  control(): ControlView;
  resources(): Iterable<ResourceView>;
  certificates(): readonly CertificateView[];
  ready(): Readiness;
  /** What is known of the DNS names of a port. */
  names(port: UpstreamPort): readonly NameView[];
  explain(query: ExplainQuery, portView: (cluster: Cluster) => PortView): Explanation | undefined;
  drain(exit: boolean): number;
  setLogLevel(level: LogLevel): LogLevel;
}

/** The view, and the two verbs by which its watchers hear of changes. */
export interface LiveView extends SidecarView {
  endpointChanged(change: EndpointChange, cluster: Cluster, endpoint: LiveEndpoint): void;
  readyChanged(): void;
}

export function createSidecarView(sources: ViewSources): LiveView {
  const { config, endpointCells } = sources;
  const endpointWatchers = new Set<(change: EndpointChange, port: PortView, endpoint: EndpointView) => void>();
  const readyWatchers = new Set<() => void>();
  const viewOf = (cluster: Cluster): PortView => portView(cluster, sources);
  return {
    nodeId: sources.nodeId,
    counters: sources.counters,
    control: () => sources.control(),
    controlConnected: () => {
      const { state } = sources.control();
      return state === 'none' ? undefined : state === 'connected';
    },
    resources: () => sources.resources(),
    downstreamConnections: () => sources.quota,
    snapshotNumber: () => config.snapshot.number,
    gateway: () => gatewayMetrics(config),
    listeners: () => [...config.listeners.values()].map(listenerView),
    certificates: () => sources.certificates(),
    *ports() {
      for (const cluster of config.clusters.values()) yield viewOf(cluster);
    },
    explain: (query) => sources.explain(query, viewOf),
    watchEndpoints: (changed) => watch(endpointWatchers, changed),
    ready: () => sources.ready(),
    watchReady: (changed) => watch(readyWatchers, changed),
    live: () => true,
    drain: (exit) => sources.drain(exit),
    setLogLevel: (level) => sources.setLogLevel(level),
    endpointChanged(change, cluster, endpoint) {
      if (endpointWatchers.size === 0) return;
      const port = viewOf(cluster);
      const view = endpointView(cluster, endpoint, endpointCells);
      for (const changed of endpointWatchers) changed(change, port, view);
    },
    readyChanged() {
      for (const changed of readyWatchers) changed();
    },
  };
}

function watch<T>(watchers: Set<T>, watcher: T): Cancel {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

function gatewayMetrics({ snapshot, gateway }: LiveConfig): GatewayMetrics | undefined {
  const spec = snapshot.gateway;
  if (spec === undefined || gateway === undefined) return undefined;
  const { size, evictions } = gateway.plugins.counters;
  return {
    routes: spec.routes.size,
    consumers: spec.consumers.size,
    limitCounters: size,
    limitEvictions: evictions,
  };
}

function listenerView(listener: LiveConfig['listeners'] extends Map<string, infer L> ? L : never): ListenerView {
  return {
    name: listener.spec.name,
    address: endpointId(listener.address, listener.port),
    error: listener.error,
    connections: listener.bound?.connectionCount ?? 0,
    clientCertificate: listener.spec.tls?.clientCertificate,
  };
}

function portView(cluster: Cluster, { endpointCells: cells, names }: ViewSources): PortView {
  const { upstream, servicePort, policy } = cluster.port;
  const active = policy.checks?.active;
  return {
    upstream,
    servicePort,
    scheme: policy.scheme,
    checks: policy.checks && { type: active?.type ?? 'passive', host: active?.host },
    inFlight: cluster.inFlight,
    requests: cluster.total(PortCell.Requests),
    successes: cluster.total(PortCell.Successes),
    failures: cluster.total(PortCell.Failures),
    retries: cluster.total(PortCell.Retries),
    retriesRefused: cluster.total(PortCell.RetriesRefused),
    pending: cluster.level(PortCell.Pending),
    connections: cluster.level(PortCell.Connections),
    retriesInFlight: cluster.level(PortCell.RetriesInFlight),
    overflowRequests: cluster.total(PortCell.OverflowRequests),
    overflowPending: cluster.total(PortCell.OverflowPending),
    overflowRetries: cluster.total(PortCell.OverflowRetries),
    overflowConnections: cluster.total(PortCell.OverflowConnections),
    overflowEndpoints: cluster.total(PortCell.OverflowEndpoints),
    // Counted when asked for: watchers get a view with every change of an endpoint.
    get ejected() {
      let ejected = 0;
      for (const { slot } of cluster.list()) if (isEjected(cells, slot)) ejected++;
      return ejected;
    },
    ejections: cluster.total(PortCell.Ejections),
    ejectionsOverflow: cluster.total(PortCell.EjectionsOverflow),
    panicPicks: cluster.total(PortCell.PanicPicks),
    hashFallbacks: cluster.total(PortCell.HashFallbacks),
    policy: () => describePolicy(cluster.port),
    notes: cluster.picker.notes,
    ignoresHealth: cluster.picker.ignoresHealth,
    names: () => names(cluster.port),
    tlsVerified: policy.tls?.verify,
    latency: cluster.latency,
    *endpoints() {
      for (const endpoint of cluster.list()) yield endpointView(cluster, endpoint, cells);
    },
  };
}

function endpointView(cluster: Cluster, endpoint: LiveEndpoint, cells: Cells): EndpointView {
  const { spec, slot } = endpoint;
  return {
    address: spec.address,
    port: spec.port,
    weight: spec.weight,
    priority: spec.priority,
    labels: spec.labels,
    tls: endpointTls(cluster, endpoint),
    host: spec.host,
    outReason: endpoint.outReason,
    ejection: ejectionView(endpoint, cells),
    ejected: isEjected(cells, slot),
    ejections: cells.get(slot, EndpointCell.Ejections),
    warmPercent: warmPercent(cells.get(slot, EndpointCell.Share)),
    latencyMs: cells.get(slot, EndpointCell.LatencyUs) / 1000,
    usable: endpoint.usable,
    state: endpointState(cluster, endpoint, cells),
    cause: endpoint.cause,
    sinceWallMs: endpoint.sinceWallMs,
    inFlight: cells.get(slot, EndpointCell.InFlight),
    connections: endpoint.pools.connections,
    attempts: cells.total(slot, EndpointCell.Attempts),
    successes: cells.total(slot, EndpointCell.Successes),
    failures: cells.total(slot, EndpointCell.Failures),
    health: {
      success: healthCount(cells, slot, 'success'),
      httpFailure: healthCount(cells, slot, 'http'),
      tcpFailure: healthCount(cells, slot, 'tcp'),
      timeoutFailure: healthCount(cells, slot, 'timeout'),
    },
  };
}

function ejectionView(endpoint: LiveEndpoint, cells: Cells): EjectionView | undefined {
  const count = cells.get(endpoint.slot, EndpointCell.Ejections);
  if (count === 0) return undefined;
  return {
    ejected: isEjected(cells, endpoint.slot),
    cause: endpoint.ejectionCause,
    untilWallMs: endpoint.ejectedUntilWallMs,
    multiplier: cells.get(endpoint.slot, EndpointCell.EjectionMultiplier),
    count,
  };
}

function warmPercent(share: number): number {
  return share === 0 ? 100 : Math.round((share * 100) / 65_536);
}

function endpointTls(cluster: Cluster, { lastHandshake }: LiveEndpoint): EndpointTlsView | undefined {
  const { tls } = cluster;
  if (!tls || !isSecureScheme(cluster.port.policy.scheme)) return undefined;
  return {
    verified: tls.policy.verify,
    error: tls.error,
    peer: lastHandshake && peerView(lastHandshake),
    clientNotAfterMs: tls.notAfterMs,
  };
}

/** Read once for a certificate: every scrape looks at every endpoint, and reading one takes long. */
const knownCertificates = new WeakMap<X509Certificate, Pick<PeerView, 'subject' | 'notAfterMs'>>();

function peerView({ alpn, version, certificate }: TlsFacts): PeerView | undefined {
  if (!certificate) return undefined;
  let known = knownCertificates.get(certificate);
  if (known === undefined) knownCertificates.set(certificate, (known = certificateInfo(certificate)));
  return { alpn, version, subject: known.subject, notAfterMs: known.notAfterMs };
}

function endpointState(cluster: Cluster, endpoint: LiveEndpoint, cells: Cells): EndpointState {
  if (endpoint.spec.draining) return 'draining';
  if (!cluster.port.policy.checks) return 'unchecked';
  const name = healthStateName(cells.get(endpoint.slot, EndpointCell.HealthState));
  return name === 'trial' ? 'mostly_unhealthy' : name;
}
