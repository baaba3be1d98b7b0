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

/** How an endpoint is chosen (APISIX `type`, `hash_on`, `key`). */
export interface BalancerPolicy {
  readonly type: 'roundrobin' | 'chash' | 'ewma' | 'least_conn';
  /** Where the key of `chash` comes from. */
  readonly hashOn: 'vars' | 'header' | 'cookie' | 'consumer' | 'vars_combinations';
  /** Name of the variable, header or cookie, or the template; empty where none is needed. */
  readonly key: string;
  /** With `chash`: calls in flight of an endpoint, percent of the mean, beyond which it is passed over; 0: no bound. */
  readonly hashBalanceFactor: number;
  /** What `ewma` compares. */
  readonly ewmaFormula: 'peak' | 'apisix';
}

/** Everything that rules the calls of one service port. */
export interface PortPolicy {
  readonly scheme: Scheme;
  readonly balancer: BalancerPolicy;
  readonly attempts: AttemptsPolicy;
  readonly timeout: TimeoutPolicy;
  readonly keepalivePool: KeepalivePolicy;
  readonly host: HostPolicy;
  /** Defined where the scheme or the active check speaks TLS. */
  readonly tls: UpstreamTlsPolicy | undefined;
  /** Undefined: no health state. */
  readonly checks: ChecksPolicy | undefined;
  /** Undefined: nobody is ejected. */
  readonly outlierDetection: OutlierPolicy | undefined;
  readonly circuitBreakers: CircuitBreakerPolicy;
  /** Undefined: endpoints have their whole weight at once. */
  readonly warmUp: WarmUpPolicy | undefined;
  /** What happens when no endpoint is available. */
  readonly allUnhealthy: 'use-all' | 'fail-fast';
  /** Percentage of available endpoints below which all are used; 0: `allUnhealthy` alone decides. */
  readonly panicThreshold: number;
}

/** The host sent to the endpoints (APISIX `pass_host`, `upstream_host`). */
export interface HostPolicy {
  readonly passHost: 'pass' | 'node' | 'rewrite';
  /** What `rewrite` sends; empty with the others. */
  readonly upstreamHost: string;
}

/** How often, when and why a request may be tried again. */
export interface AttemptsPolicy {
  /** All attempts, the first included; undefined: as many as there are endpoints (APISIX: retries = nodes - 1). */
  readonly maxAttempts: number | undefined;
  /** After it no further attempt starts, from the start of the first; 0: no limit. */
  readonly retryTimeoutMs: number;
  /** An attempt whose answer hasn't begun by then has failed; 0: no limit. */
  readonly perTryTimeoutMs: number;
  /** Words of `retry_on`; never empty. */
  readonly retryOn: readonly string[];
  /** `retry_methods`; empty: the default. */
  readonly retryMethods: readonly string[];
  readonly backoff: RetryBackoffPolicy;
}

/** Waiting before the n-th further attempt: initialMs times 2^(n-1), at most maxMs. */
export interface RetryBackoffPolicy {
  /** 0: no waiting. */
  readonly initialMs: number;
  readonly maxMs: number;
}

/** Limits of one upstream port; 0: none. */
export interface CircuitBreakerPolicy {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
  readonly maxRequestsPerEndpoint: number;
}

/** Slow start (APISIX `warm_up_conf`). */
export interface WarmUpPolicy {
  readonly windowMs: number;
  /** Share of the weight to begin with, above 0, at most 1. */
  readonly minShare: number;
  readonly intervalMs: number;
  readonly aggression: number;
  /** Endpoints that appear within it after the port became known have their whole weight at once. */
  readonly graceMs: number;
}

/** Ejection of endpoints (Envoy `OutlierDetection`); a count of 0 is off. */
export interface OutlierPolicy {
  readonly consecutive5xx: number;
  readonly consecutiveGatewayFailure: number;
  readonly consecutiveLocalOriginFailure: number;
  readonly splitLocalOrigin: boolean;
  readonly intervalMs: number;
  readonly baseEjectionMs: number;
  /** At least baseEjectionMs. */
  readonly maxEjectionMs: number;
  readonly maxEjectionJitterMs: number;
  /** Percent of the endpoints ejected at a time; one may always be. */
  readonly maxEjectionPercent: number;
  /** Percent of detections that eject. */
  readonly enforcing: {
    readonly consecutive5xx: number;
    readonly consecutiveGatewayFailure: number;
    readonly consecutiveLocalOriginFailure: number;
    readonly successRate: number;
    readonly localOriginSuccessRate: number;
    readonly failurePercentage: number;
    readonly failurePercentageLocalOrigin: number;
  };
  readonly successRateMinimumHosts: number;
  readonly successRateRequestVolume: number;
  /** Thousandths. */
  readonly successRateStdevFactor: number;
  readonly failurePercentageThreshold: number;
  readonly failurePercentageMinimumHosts: number;
  readonly failurePercentageRequestVolume: number;
  /** Whether a passing active check ends an ejection. */
  readonly activeSuccessUnejects: boolean;
  /** Times the median; 0: off. */
  readonly latencyFactor: number;
  readonly latencyMinimumHosts: number;
  readonly latencyRequestVolume: number;
}

/** Timeouts between two operations, ms (APISIX `timeout`). */
export interface TimeoutPolicy {
  readonly connectMs: number;
  readonly sendMs: number;
  readonly readMs: number;
  /** Whether `send` and `read` were set by somebody: only then they cut gRPC calls, which may rest for as long as they like. */
  readonly sendIsSet: boolean;
  readonly readIsSet: boolean;
  /** Whole call; 0: no limit. */
  readonly totalMs: number;
  /** Silence of both sides; 0: no limit. */
  readonly idleMs: number;
}

/** Connections kept for reuse, per endpoint (APISIX `keepalive_pool`). */
export interface KeepalivePolicy {
  /** Idle connections kept; 0: each is closed when nothing is in flight on it. */
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
  /** Body of http probes; empty: none. */
  readonly httpBody: string;
  /** State before the first probe. */
  readonly start: 'healthy' | 'unhealthy';
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
  /** Time out of service where there is no active check, ms; each failed trial doubles it, up to maxReturnAfterMs. */
  readonly returnAfterMs: number;
  readonly maxReturnAfterMs: number;
}

/**
 * Where each effective value came from: field path as in the resource (`timeout.read`) → `port 7001`, `upstream` or
 * `default`. For GetSnapshot's readers and `explain`.
 */
export type Provenance = ReadonlyMap<string, string>;
