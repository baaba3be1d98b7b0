// The effective policy of one (upstream, service port): what remains after inheritance and defaults. Immutable; shared by
// reference between snapshots while it doesn't change. Times are milliseconds here, whatever the resource said.
import type { UpstreamTlsPolicy } from './tls.ts';

/** Protocol spoken to the endpoints: `https` speaks HTTP/2 or HTTP/1.1, as the endpoint chooses. */
export type Scheme = 'http' | 'https' | 'grpc' | 'grpcs';

/** Whether the endpoints are called over TLS. */
export function isSecureScheme(scheme: Scheme): boolean {
  return scheme === 'https' || scheme === 'grpcs';
}

/** Whether the endpoints carry gRPC. */
export function isGrpcScheme(scheme: Scheme): boolean {
  return scheme === 'grpc' || scheme === 'grpcs';
}

/** How an endpoint is chosen. */
export type BalancerType = 'roundrobin';

/** Everything that rules the calls of one service port. */
export interface PortPolicy {
  readonly scheme: Scheme;
  readonly balancer: BalancerType;
  readonly attempts: AttemptsPolicy;
  readonly timeout: TimeoutPolicy;
  readonly keepalivePool: KeepalivePolicy;
  readonly host: HostPolicy;
  /** Defined where the scheme or the active check speaks TLS. */
  readonly tls: UpstreamTlsPolicy | undefined;
  /** Undefined: no health state. */
  readonly checks: ChecksPolicy | undefined;
}

/** The host sent to the endpoints (APISIX `pass_host`, `upstream_host`). */
export interface HostPolicy {
  readonly passHost: 'pass' | 'node' | 'rewrite';
  /** What `rewrite` sends; empty with the others. */
  readonly upstreamHost: string;
}

/** How often a request may be tried. */
export interface AttemptsPolicy {
  /** All attempts, the first included; undefined: as many as there are endpoints (APISIX: retries = nodes - 1). */
  readonly maxAttempts: number | undefined;
}

/** Timeouts between two operations, ms (APISIX `timeout`). */
export interface TimeoutPolicy {
  readonly connectMs: number;
  readonly sendMs: number;
  readonly readMs: number;
  /** Whether `read` was set by somebody: only then it cuts a gRPC stream after the first byte of the answer. */
  readonly readIsSet: boolean;
}

/** Connections kept for reuse, per endpoint (APISIX `keepalive_pool`). */
export interface KeepalivePolicy {
  /** Idle connections kept. */
  readonly size: number;
  /** Closed after this idle time, ms; 0 keeps none. */
  readonly idleTimeoutMs: number;
  /** Requests a connection carries before it is replaced. */
  readonly requests: number;
}

/** Health checks; at least one of the two is there. */
export interface ChecksPolicy {
  readonly active: ActivePolicy | undefined;
  readonly passive: PassivePolicy | undefined;
}

export interface ActivePolicy {
  readonly type: 'http' | 'https' | 'tcp' | 'grpc';
  /** Whether probes over TLS verify the certificate; undefined: as the calls do. */
  readonly verifyCertificate: boolean | undefined;
  readonly timeoutMs: number;
  readonly concurrency: number;
  /** `Host` of probes; undefined: the endpoint's address. */
  readonly host: string | undefined;
  /** Port probed; undefined: the endpoint's. */
  readonly port: number | undefined;
  readonly httpPath: string;
  readonly httpMethod: string;
  /** Further fields, flat name, value list. */
  readonly requestFields: readonly string[];
  /** Service asked for by grpc probes. */
  readonly grpcService: string;
  readonly healthy: {
    readonly intervalMs: number;
    readonly statuses: readonly number[];
    readonly successes: number;
  };
  readonly unhealthy: {
    readonly intervalMs: number;
    readonly statuses: readonly number[];
    readonly httpFailures: number;
    readonly tcpFailures: number;
    readonly timeouts: number;
  };
}

export interface PassivePolicy {
  readonly healthyStatuses: readonly number[];
  /** 0: the counter is off; so for each threshold here. */
  readonly successes: number;
  readonly unhealthyStatuses: readonly number[];
  readonly httpFailures: number;
  readonly tcpFailures: number;
  readonly timeouts: number;
  /** Time out of service where there is no active check, ms. */
  readonly returnAfterMs: number;
}

/**
 * Where each effective value came from: field path as in the resource (`timeout.read`) → `port_level_settings[1]`,
 * `upstream` or `default`. For GetSnapshot's readers and `explain`.
 */
export type Provenance = ReadonlyMap<string, string>;
