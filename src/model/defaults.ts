// Defaults of what an Upstream field names: APISIX's own. Limits of the wire stand in codec/limits.ts.
import type {
  ActivePolicy,
  AttemptsPolicy,
  BalancerPolicy,
  CircuitBreakerPolicy,
  KeepalivePolicy,
  OutlierPolicy,
  PassivePolicy,
  TimeoutPolicy,
} from './policy.ts';

/** APISIX `type`. */
export const DEFAULT_BALANCER: BalancerPolicy = {
  type: 'roundrobin',
  hashOn: 'vars',
  key: '',
  hashBalanceFactor: 0,
  ewmaFormula: 'peak',
};

/** APISIX retries what nginx calls `error timeout`, on idempotent methods, at once. */
export const DEFAULT_ATTEMPTS: AttemptsPolicy = {
  maxAttempts: undefined,
  retryTimeoutMs: 0,
  perTryTimeoutMs: 0,
  retryOn: ['connect-failure', 'refused-stream', 'reset', 'timeout'],
  retryMethods: [],
  backoff: { initialMs: 0, maxMs: 0 },
};

/** No limit is set unless asked for. */
export const DEFAULT_CIRCUIT_BREAKERS: CircuitBreakerPolicy = {
  maxConnections: 0,
  maxPendingRequests: 0,
  maxRequests: 0,
  maxRetries: 0,
  maxRequestsPerEndpoint: 0,
};

/** Envoy's, where `outlier_detection` is asked for. */
export const DEFAULT_OUTLIER: OutlierPolicy = {
  consecutive5xx: 5,
  consecutiveGatewayFailure: 5,
  consecutiveLocalOriginFailure: 5,
  splitLocalOrigin: false,
  intervalMs: 10_000,
  baseEjectionMs: 30_000,
  maxEjectionMs: 300_000,
  maxEjectionJitterMs: 0,
  maxEjectionPercent: 10,
  enforcing: {
    consecutive5xx: 100,
    consecutiveGatewayFailure: 0,
    consecutiveLocalOriginFailure: 100,
    successRate: 100,
    localOriginSuccessRate: 100,
    failurePercentage: 0,
    failurePercentageLocalOrigin: 0,
  },
  successRateMinimumHosts: 5,
  successRateRequestVolume: 100,
  successRateStdevFactor: 1900,
  failurePercentageThreshold: 85,
  failurePercentageMinimumHosts: 5,
  failurePercentageRequestVolume: 50,
  activeSuccessUnejects: true,
  latencyFactor: 0,
  latencyMinimumHosts: 3,
  latencyRequestVolume: 50,
};

/** APISIX `timeout`: 60 s each, between two operations. */
export const DEFAULT_TIMEOUT: TimeoutPolicy = {
  connectMs: 60_000,
  sendMs: 60_000,
  readMs: 60_000,
  sendIsSet: false,
  readIsSet: false,
  totalMs: 0,
  idleMs: 0,
};

/** APISIX `keepalive_pool`: 320 connections, 60 s, 1000 requests. */
export const DEFAULT_KEEPALIVE: KeepalivePolicy = { size: 320, idleTimeoutMs: 60_000, requests: 1000 };

/** Weight of an endpoint that states none. */
export const DEFAULT_WEIGHT = 1;
/** Largest weight; APISIX has no bound. */
export const MAX_WEIGHT = 0xffff_ffff;

/** APISIX `checks.active`. */
export const DEFAULT_ACTIVE: ActivePolicy = {
  type: 'http',
  verifyCertificate: undefined,
  timeoutMs: 1000,
  concurrency: 10,
  host: undefined,
  port: undefined,
  httpPath: '/',
  httpMethod: 'GET',
  requestFields: [],
  grpcService: '',
  httpBody: '',
  start: 'healthy',
  healthy: { intervalMs: 1000, statuses: [200, 302], successes: 2 },
  unhealthy: {
    intervalMs: 1000,
    statuses: [429, 404, 500, 501, 502, 503, 504, 505],
    httpFailures: 5,
    tcpFailures: 2,
    timeouts: 3,
  },
};

/** APISIX `checks.passive`. */
export const DEFAULT_PASSIVE: PassivePolicy = {
  healthyStatuses: [200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 306, 307, 308],
  successes: 5,
  unhealthyStatuses: [429, 500, 503],
  httpFailures: 5,
  tcpFailures: 2,
  timeouts: 7,
  returnAfterMs: 30_000,
  maxReturnAfterMs: 300_000,
};

/**
 * Where `checks.active` stands without `checks.passive`: failed connections and timeouts of calls still count, with
 * APISIX's thresholds (its retry path reports them too); statuses don't.
 */
export const TRANSPORT_ONLY_PASSIVE: PassivePolicy = {
  ...DEFAULT_PASSIVE,
  healthyStatuses: [],
  unhealthyStatuses: [],
  successes: 0,
  httpFailures: 0,
};

/** At most this share of attempts may follow one whose request was written, over RETRY_BUDGET_WINDOW_MS. */
export const RETRY_BUDGET_RATIO = 0.2;
/** The retry budget allows at least this many in a window. */
export const RETRY_BUDGET_FLOOR = 30;
export const RETRY_BUDGET_WINDOW_MS = 10_000;
/** Request body kept for another attempt, bytes; beyond it an attempt is final. */
export const REPLAY_BYTES = 64 * 1024;
