// What a probe or an attempt says about the endpoint that made it: which counter of the health machine it moves, and
// under which limit. Made once for each policy, so classifying one outcome looks up a table and allocates nothing.
//
// Every attempt is reported once, when it ends, to the endpoint that made it, also the last one and the only one. An
// answer that breaks off after its head is a failure, not a success too.
import type { ErrorKind, Progress } from '../base/error.ts';
import type { ActivePolicy, PassivePolicy } from '../model/policy.ts';
import type { ReportKind } from './machine.ts';

/** A report for the health machine. `limit` 0: this side doesn't count that kind. */
export interface Evidence {
  readonly kind: ReportKind;
  readonly limit: number;
}

/** How a probe ended. */
export type ProbeOutcome =
  /** `tcp`: the connection was made. */
  | { readonly kind: 'connected' }
  /** `http`: the status line came; the body doesn't matter. */
  | { readonly kind: 'answered'; readonly status: number }
  /** `grpc`: the call ended; `serving` only for OK with SERVING. */
  | { readonly kind: 'health'; readonly serving: boolean }
  /** What came isn't an answer of the protocol. */
  | { readonly kind: 'malformed' }
  /** Connecting, sending or receiving took too long. */
  | { readonly kind: 'timeout' }
  /** Connecting, the TLS handshake, sending or receiving failed. `detail`: what was wrong with the TLS, for people. */
  | { readonly kind: 'failed'; readonly detail?: string };

/** Classifies outcomes of active probes. */
export interface ActiveEvidence {
  /** Undefined: says nothing (a status in neither list). */
  ofProbe(outcome: ProbeOutcome): Evidence | undefined;
}

/** Classifies outcomes of calls. */
export interface PassiveEvidence {
  /**
   * The attempt was answered completely. `status` is the HTTP status; for a gRPC answer the one that stands for its
   * grpc-status (codec/grpc/status.ts, `answerStatus`), so one pair of lists serves both. Undefined: in neither list.
   */
  ofStatus(status: number): Evidence | undefined;
  /**
   * The same of a complete answer on trial, which decides it whatever its status: one that doesn't count is a failure from
   * 500 on, unless statuses don't count at all (`http_failures: 0`).
   */
  ofTrial(status: number): Evidence;
  /** The attempt failed. Undefined: the failure isn't the endpoint's. */
  ofFailure(kind: ErrorKind, progress: Progress): Evidence | undefined;
}

export function createActiveEvidence(policy: ActivePolicy): ActiveEvidence {
  const { healthy, unhealthy } = policy;
  const evidence = evidences(healthy.successes, unhealthy.httpFailures, unhealthy.tcpFailures, unhealthy.timeouts);
  const byStatus = statusTable(healthy.statuses, unhealthy.statuses, evidence);
  return {
    ofProbe(outcome) {
      switch (outcome.kind) {
        case 'connected':
          return evidence.success;
        case 'answered':
          return byStatus[outcome.status];
        case 'health':
          return outcome.serving ? evidence.success : evidence.http;
        case 'malformed':
          return evidence.http; // APISIX counts an unreadable status line as status 0
        case 'timeout':
          return evidence.timeout;
        case 'failed':
          return evidence.tcp;
      }
    },
  };
}

export function createPassiveEvidence(policy: PassivePolicy): PassiveEvidence {
  const evidence = evidences(policy.successes, policy.httpFailures, policy.tcpFailures, policy.timeouts);
  const byStatus = statusTable(policy.healthyStatuses, policy.unhealthyStatuses, evidence);
  return {
    ofStatus: (status) => byStatus[status],
    ofTrial(status) {
      const counted = byStatus[status];
      if (counted !== undefined && counted.limit > 0) return counted;
      if (status < 500 || policy.httpFailures === 0) return evidence.success;
      return evidence.http;
    },
    ofFailure(kind, progress) {
      // A kept connection that the endpoint closed just as it was taken from the pool: the endpoint did nothing wrong.
      if (progress.reusedConnection && progress.sent === 'nothing' && kind === 'upstream_reset') return undefined;
      const reported = FAILURE_KINDS[kind];
      return reported === undefined ? undefined : evidence[reported];
    },
  };
}

/** The counter that a failed attempt moves; undefined where the endpoint isn't to blame. */
const FAILURE_KINDS: Readonly<Record<ErrorKind, 'tcp' | 'timeout' | undefined>> = {
  connect_failure: 'tcp',
  upstream_tls_failure: 'tcp',
  upstream_certificate_untrusted: 'tcp',
  upstream_certificate_expired: 'tcp',
  upstream_certificate_name_mismatch: 'tcp',
  upstream_reset: 'tcp',
  upstream_truncated: 'tcp',
  upstream_protocol_error: 'tcp',
  connect_timeout: 'timeout',
  send_timeout: 'timeout',
  read_timeout: 'timeout',
  per_try_timeout: 'timeout',
  // It is alive, and says that it drains a connection or has its hands full. A GOAWAY refuses many streams at once, so
  // counting them would take an endpoint out each time it replaces a connection.
  upstream_refused: undefined,
  // A limit of ours, on an answer that depends on what the caller asked for: else a caller could take endpoints out.
  upstream_headers_too_large: undefined,
  // Reported only where the endpoint had the whole request and hadn't begun to answer.
  total_timeout: 'timeout',
  // The caller's time and the caller's will.
  idle_timeout: undefined,
  deadline_exceeded: undefined,
  downstream_reset: undefined,
  // Not about an endpoint at all.
  secret_missing: undefined,
  plaintext_to_tls: undefined,
  tls_to_plaintext: undefined,
  tls_handshake_failure: undefined,
  client_certificate_refused: undefined,
  bad_request: undefined,
  uri_too_long: undefined,
  headers_too_large: undefined,
  request_timeout: undefined,
  expectation_failed: undefined,
  method_not_allowed: undefined,
  not_implemented: undefined,
  version_not_supported: undefined,
  loop_detected: undefined,
  no_route: undefined,
  unauthenticated: undefined,
  rate_limited: undefined,
  not_configured: undefined,
  unknown_service: undefined,
  unknown_plugin_config: undefined,
  unknown_upstream: undefined,
  no_upstream: undefined,
  limit_failure: undefined,
  unsupported_bridge: undefined,
  too_many_resets: undefined,
  too_many_frames: undefined,
  flush_timeout: undefined,
  too_many_connections: undefined,
  content_too_large: undefined,
  no_endpoints: undefined,
  no_healthy_endpoint: undefined,
  draining: undefined,
  overflow: undefined,
  internal: undefined,
};

type Evidences = Readonly<Record<ReportKind, Evidence>>;

function evidences(successes: number, http: number, tcp: number, timeouts: number): Evidences {
  return {
    success: { kind: 'success', limit: successes },
    http: { kind: 'http', limit: http },
    tcp: { kind: 'tcp', limit: tcp },
    timeout: { kind: 'timeout', limit: timeouts },
  };
}

/** Evidence by status. A status in both lists is healthy, as in APISIX. */
function statusTable(
  healthy: readonly number[],
  unhealthy: readonly number[],
  evidence: Evidences,
): readonly (Evidence | undefined)[] {
  const table: (Evidence | undefined)[] = Array.from({ length: 600 }, () => undefined);
  for (const status of unhealthy) table[status] = evidence.http;
  for (const status of healthy) table[status] = evidence.success;
  return table;
}
