// What the inspection side sees of the running sidecar: plain data and a few verbs, filled in by app.ts. Everything is
// made when it is asked for, and lists are iterables, so a page of a huge list costs a page. An iterable is read to the
// end, or left, within the turn in which it was asked for; a PortView may be kept longer.
import type { Cancel } from '../base/clock.ts';
import type { LogLevel } from '../base/log.ts';
import type { CertificateInfo } from '../model/tls.ts';
import type { EndpointMetrics, MetricsSource, PortMetrics } from '../telemetry/prometheus.ts';

/** Kinds of resources, from the root on. */
export const RESOURCE_KINDS = [
  'Sidecar',
  'Listener',
  'Route',
  'Service',
  'PluginConfig',
  'Consumer',
  'Upstream',
  'Endpoints',
  'Secret',
] as const;
export type ResourceKind = (typeof RESOURCE_KINDS)[number];

/** The stream to the control plane. */
export interface ControlView {
  /** `HOST:PORT` in use; empty without a control plane. */
  readonly address: string;
  readonly state: 'connected' | 'connecting' | 'waiting' | 'none';
  /** Since when the state holds, ms since 1970. */
  readonly sinceWallMs: number;
  /** Why the last stream ended; empty if none did. */
  readonly lastError: string;
  /** Where the first configuration came from; empty while there is none. */
  readonly source: 'control' | 'state_dir' | 'static' | '';
}

/** One resource and what became of it. */
export interface ResourceView {
  readonly kind: ResourceKind;
  readonly name: string;
  /** Version in force; empty while there is none. */
  readonly version: string;
  readonly state: 'requested' | 'does_not_exist' | 'acked' | 'nacked' | 'removed';
  /** Every problem of the newest version where that was refused; empty otherwise. */
  readonly error: string;
  readonly refusedVersion: string;
  /** ms since 1970; undefined where it didn't happen yet. */
  readonly receivedWallMs: number | undefined;
  readonly appliedWallMs: number | undefined;
  /** The bytes in force, borrowed; undefined while there are none. Never shown for Secret. */
  readonly bytes: Uint8Array | undefined;
  readonly unknownFields: number;
}

/** A listener as it is bound. */
export interface ListenerView {
  readonly name: string;
  /** `HOST:PORT` bound, or wanted where there is an error. */
  readonly address: string;
  /** Why it can't be bound; empty if it is. */
  readonly error: string;
  /** Open connections. */
  readonly connections: number;
  /** What callers must show over TLS; undefined: plaintext. */
  readonly clientCertificate: 'none' | 'optional' | 'required' | undefined;
}

/** A certificate, or a set of authorities, in use. */
export interface CertificateView {
  /** `Secret default/web`, a file's path, or the resource that holds an inline one. */
  readonly name: string;
  readonly kind: 'certificate' | 'authorities';
  /** `Listener outbound/7000`, `Upstream default/web`, `control`; each once. */
  readonly usedBy: readonly string[];
  /** What is in force; undefined while there is none. */
  readonly info: CertificateInfo | undefined;
  /** Why the newest version can't be used, or why there is none; empty if all is well. */
  readonly error: string;
}

/** TLS towards an endpoint. */
export interface EndpointTlsView {
  readonly verified: boolean;
  /** Why nothing can be sent to it; empty if all is well. */
  readonly error: string;
  /** Of the last handshake, as `PeerView` says; undefined before the first. */
  readonly peer: PeerView | undefined;
  /** When the certificate expires that the sidecar shows, ms since 1970; undefined where it shows none. */
  readonly clientNotAfterMs: number | undefined;
}

/** What the last handshake with an endpoint brought. */
export interface PeerView {
  /** `h2`, `http/1.1`, or empty where it chose none. */
  readonly alpn: string;
  /** `TLSv1.3` or `TLSv1.2`. */
  readonly version: string;
  /** As RFC 4514 writes it. */
  readonly subject: string;
  /** ms since 1970. */
  readonly notAfterMs: number;
}

/** A service port of an upstream with its live numbers. */
export interface PortView extends PortMetrics {
  /** As the endpoints are called: `http`, `https`, `grpc` or `grpcs`. */
  readonly scheme: string;
  /** What checks the endpoints; undefined without health checks. */
  readonly checks: CheckView | undefined;
  /** Effective values with their sources, `retries: 3 (upstream)`. */
  policy(): readonly string[];
  /** What isn't carried out to the letter, in words. */
  readonly notes: readonly string[];
  /** Checks and detection are ignored now. */
  readonly ignoresHealth: boolean;
  /** DNS names that its endpoints come from. */
  names(): readonly NameView[];
  /** Its endpoints as of now; none where the port is gone. */
  endpoints(): Iterable<EndpointView>;
}

/** A DNS name and what is known of it. */
export interface NameView {
  readonly name: string;
  readonly addresses: readonly string[];
  /** Why the last look-up failed; empty if it didn't. */
  readonly error: string;
  /** ms since 1970; undefined before the first answer. */
  readonly resolvedWallMs: number | undefined;
  /** ms since 1970; undefined while it is being looked up. */
  readonly nextWallMs: number | undefined;
}

/** The health checks of a port. */
export interface CheckView {
  /** APISIX `checks.active.type`; `passive` where only calls are watched. */
  readonly type: 'http' | 'https' | 'tcp' | 'grpc' | 'passive';
  /** APISIX `checks.active.host`; undefined: the endpoint's address. */
  readonly host: string | undefined;
}

/** State of an endpoint, in the words of `EndpointStatus.state`. */
export type EndpointState = 'healthy' | 'mostly_healthy' | 'mostly_unhealthy' | 'unhealthy' | 'draining' | 'unchecked';

/** One endpoint as of now. */
export interface EndpointView extends EndpointMetrics {
  readonly weight: number;
  readonly priority: number;
  readonly state: EndpointState;
  /** What led to the state; empty where nothing did. */
  readonly cause: string;
  /** Since when the state holds, ms since 1970. */
  readonly sinceWallMs: number;
  /** The health machine's counters (APISIX `counter`). */
  readonly health: HealthCountersView;
  readonly labels: ReadonlyMap<string, string>;
  /** Undefined where the scheme has none. */
  readonly tls: EndpointTlsView | undefined;
  /** DNS name it came from; empty for an address. */
  readonly host: string;
  /** Why the balancer doesn't pick it, in the words of `EndpointStatus.out_reason`. */
  readonly outReason: string;
  /** Its last ejection; undefined where it was never ejected. */
  readonly ejection: EjectionView | undefined;
  /** Percentage of its weight that it has by now. */
  readonly warmPercent: number;
  /** Decayed time to the head of an answer; 0 before the first. */
  readonly latencyMs: number;
}

/** An ejection by `outlier_detection`. */
export interface EjectionView {
  readonly ejected: boolean;
  /** What it was ejected for last, with the figures. */
  readonly cause: string;
  /** ms since 1970. */
  readonly untilWallMs: number;
  readonly multiplier: number;
  readonly count: number;
}

/** A request to be explained. */
export interface ExplainQuery {
  /** Port of the listener. */
  readonly port: number;
  readonly authority: string;
  /** Path of the gRPC method, or path with query. */
  readonly path: string;
  /** It is asked about as a gRPC call, so it comes over HTTP/2. */
  readonly isGrpc: boolean;
  readonly httpMethod: string;
  /** Flat list of names in lower case and values, as text. The first `host` isn't among them. */
  readonly fields: readonly string[];
  /** IP address. */
  readonly remoteAddress: string;
}

/** Where it would go, in the words of `ExplainResponse`. */
export interface Explanation {
  readonly listener: string;
  /** What the gateway made of it, a line each; empty on other listeners. */
  readonly route: readonly string[];
  /** Undefined where no target has the authority, or its port isn't configured yet. */
  readonly port: PortView | undefined;
  readonly hashKey: string;
  readonly endpoints: readonly ExplainedEndpointView[];
  /** How many there are beyond those. */
  readonly endpointsLeftOut: number;
  readonly pick: string;
  readonly pickReason: string;
  readonly onFailure: readonly string[];
  /** Empty if the request would be sent. */
  readonly refused: string;
  readonly refusedDetail: string;
}

/** An endpoint as it stands for a request. */
export interface ExplainedEndpointView {
  /** `address:port`. */
  readonly endpoint: string;
  readonly host: string;
  readonly priority: number;
  readonly weight: number;
  readonly usable: boolean;
  readonly reason: string;
  readonly score: string;
}

export interface HealthCountersView {
  readonly success: number;
  readonly httpFailure: number;
  readonly tcpFailure: number;
  readonly timeoutFailure: number;
}

/** What happened to an endpoint: `updated` means its state, cause, weight, priority, labels or scheme. */
export type EndpointChange = 'added' | 'removed' | 'updated';

/** Whether new work is taken; `reason` is one clear line, also for `true`. */
export interface Readiness {
  readonly ready: boolean;
  readonly reason: string;
}

/** The live sidecar. */
export interface SidecarView extends MetricsSource {
  readonly nodeId: string;
  control(): ControlView;
  /** In any order. */
  resources(): Iterable<ResourceView>;
  listeners(): readonly ListenerView[];
  /** Ordered by name. */
  certificates(): readonly CertificateView[];
  /** In any order; the same from call to call as far as possible, so that metric series stay. */
  ports(): Iterable<PortView>;
  /** Where a request would go; undefined where no listener has the port. Sends nothing and changes nothing. */
  explain(query: ExplainQuery): Explanation | undefined;
  /** Calls `changed` for each change, in the turn in which it takes effect. It must not call back into the view's verbs. */
  watchEndpoints(changed: (change: EndpointChange, port: PortView, endpoint: EndpointView) => void): Cancel;
  ready(): Readiness;
  /** Calls `changed` when ready() may have changed. */
  watchReady(changed: () => void): Cancel;
  /** Whether the process can still work at all; false asks the supervisor to restart it. */
  live(): boolean;
  /** Starts the drain that SIGTERM starts; returns the calls in flight. `exit`: the process ends once it is drained. */
  drain(exit: boolean): number;
  /** Returns the level before. */
  setLogLevel(level: LogLevel): LogLevel;
}
