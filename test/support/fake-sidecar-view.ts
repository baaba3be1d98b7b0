import type { Cancel } from '../../src/base/clock.ts';
import type { LogLevel } from '../../src/base/log.ts';
import type {
  CertificateView,
  ControlView,
  EndpointChange,
  EndpointView,
  ExplainQuery,
  Explanation,
  ListenerView,
  PortView,
  Readiness,
  ResourceView,
  SidecarView,
} from '../../src/admin/views.ts';
import { Counters } from '../../src/telemetry/counters.ts';

export const SINCE_WALL_MS = 1_700_000_000_000;

/** An endpoint; a test states what it is about. */
export function endpointView(over: Partial<EndpointView> = {}): EndpointView {
  return {
    address: '10.0.0.1',
    port: 80,
    weight: 1,
    priority: 0,
    state: 'healthy',
    cause: '',
    sinceWallMs: SINCE_WALL_MS,
    usable: true,
    health: { success: 0, httpFailure: 0, tcpFailure: 0, timeoutFailure: 0 },
    inFlight: 0,
    attempts: 0,
    successes: 0,
    failures: 0,
    connections: 0,
    labels: new Map(),
    tls: undefined,
    host: '',
    outReason: '',
    ejection: undefined,
    ejected: false,
    ejections: 0,
    warmPercent: 100,
    latencyMs: 0,
    ...over,
  };
}

/** A certificate in use; a test states what it is about. */
export function certificateView(over: Partial<CertificateView> = {}): CertificateView {
  return {
    name: 'Secret shop/tls',
    kind: 'certificate',
    usedBy: ['Listener outbound/80'],
    info: {
      subject: 'CN=cart',
      names: { dns: ['cart.shop'], uris: ['spiffe://shop/cart'], ips: ['10.0.0.1'] },
      notBeforeMs: SINCE_WALL_MS,
      notAfterMs: SINCE_WALL_MS + 86_400_000,
      fingerprint: 'ab'.repeat(32),
    },
    error: '',
    ...over,
  };
}

/** A port with these endpoints. */
export function portView(over: Partial<PortView> = {}, endpoints: readonly EndpointView[] = []): PortView {
  return {
    upstream: 'shop/cart',
    servicePort: 80,
    scheme: 'http',
    checks: undefined,
    inFlight: 0,
    requests: 0,
    successes: 0,
    failures: 0,
    retries: 0,
    retriesRefused: 0,
    pending: 0,
    connections: 0,
    retriesInFlight: 0,
    overflowRequests: 0,
    overflowPending: 0,
    overflowRetries: 0,
    overflowConnections: 0,
    overflowEndpoints: 0,
    ejected: 0,
    ejections: 0,
    ejectionsOverflow: 0,
    panicPicks: 0,
    hashFallbacks: 0,
    notes: [],
    ignoresHealth: false,
    policy: () => [],
    names: () => [],
    tlsVerified: undefined,
    latency: undefined,
    endpoints: () => endpoints,
    ...over,
  };
}

/** A resource in force. */
export function resourceView(over: Partial<ResourceView> = {}): ResourceView {
  return {
    kind: 'Upstream',
    name: 'shop/cart',
    version: 'v1',
    state: 'acked',
    error: '',
    refusedVersion: '',
    receivedWallMs: SINCE_WALL_MS,
    appliedWallMs: SINCE_WALL_MS + 5,
    bytes: new Uint8Array(),
    unknownFields: 0,
    ...over,
  };
}

/** A sidecar that a test fills and steers. */
export class FakeSidecarView implements SidecarView {
  readonly nodeId = 'node-1';
  readonly counters = new Counters();
  readonly drains: boolean[] = [];
  portList: PortView[] = [];
  resourceList: ResourceView[] = [];
  listenerList: ListenerView[] = [];
  certificateList: CertificateView[] = [];
  readiness: Readiness = { ready: true, reason: 'ready' };
  isLive = true;
  explanation: Explanation | undefined = undefined;
  readonly queries: ExplainQuery[] = [];
  level: LogLevel = 'info';
  readonly endpointWatchers = new Set<(change: EndpointChange, port: PortView, endpoint: EndpointView) => void>();
  readonly readyWatchers = new Set<() => void>();

  control(): ControlView {
    return {
      address: '127.0.0.1:15010',
      state: 'connected',
      sinceWallMs: SINCE_WALL_MS,
      lastError: '',
      source: 'control',
    };
  }

  resources(): Iterable<ResourceView> {
    return this.resourceList;
  }

  listeners(): readonly ListenerView[] {
    return this.listenerList;
  }

  certificates(): readonly CertificateView[] {
    return this.certificateList;
  }

  ports(): Iterable<PortView> {
    return this.portList;
  }

  downstreamConnections(): { open: number; limit: number } {
    return { open: 5, limit: 9000 };
  }

  gateway(): { routes: number; consumers: number; limitCounters: number; limitEvictions: number } {
    return { routes: 3, consumers: 2, limitCounters: 9, limitEvictions: 1 };
  }

  snapshotNumber(): number {
    return 7;
  }

  controlConnected(): boolean | undefined {
    return true;
  }

  watchEndpoints(changed: (change: EndpointChange, port: PortView, endpoint: EndpointView) => void): Cancel {
    this.endpointWatchers.add(changed);
    return () => this.endpointWatchers.delete(changed);
  }

  /** Tells the watchers. */
  emit(change: EndpointChange, port: PortView, endpoint: EndpointView): void {
    for (const changed of this.endpointWatchers) changed(change, port, endpoint);
  }

  explain(query: ExplainQuery): Explanation | undefined {
    this.queries.push(query);
    return this.explanation;
  }

  ready(): Readiness {
    return this.readiness;
  }

  setReady(readiness: Readiness): void {
    this.readiness = readiness;
    for (const changed of this.readyWatchers) changed();
  }

  watchReady(changed: () => void): Cancel {
    this.readyWatchers.add(changed);
    return () => this.readyWatchers.delete(changed);
  }

  live(): boolean {
    return this.isLive;
  }

  drain(exit: boolean): number {
    this.drains.push(exit);
    return 3;
  }

  setLogLevel(level: LogLevel): LogLevel {
    const before = this.level;
    this.level = level;
    return before;
  }
}
