// Defaults of what an Upstream field names: APISIX's own. Limits of the wire stand in codec/limits.ts.
import type { ActivePolicy, KeepalivePolicy, PassivePolicy, TimeoutPolicy } from './policy.ts';

/** APISIX `timeout`: 60 s each, between two operations. */
export const DEFAULT_TIMEOUT: TimeoutPolicy = { connectMs: 60_000, sendMs: 60_000, readMs: 60_000, readIsSet: false };

/** APISIX `keepalive_pool`: 320 connections, 60 s, 1000 requests. */
export const DEFAULT_KEEPALIVE: KeepalivePolicy = { size: 320, idleTimeoutMs: 60_000, requests: 1000 };

/** Weight of an endpoint that states none. */
export const DEFAULT_WEIGHT = 1;
/** Largest weight. */
export const MAX_WEIGHT = 1_000_000;

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
