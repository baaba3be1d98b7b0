// What can go wrong with a request, in one closed list. Where it goes wrong reports facts (kind, origin, how far the
// attempt got); policy/retry.ts alone decides whether to try again and proxy/reply.ts alone what the caller sees.

/**
 * Every reason for which the sidecar itself answers or ends a request. The word is what `x-outrigger-reason`, logs and
 * metrics show; docs/request.md lists them with their statuses.
 */
export type ErrorKind =
  // the caller's request
  | 'bad_request'
  | 'uri_too_long'
  | 'headers_too_large'
  | 'content_too_large'
  | 'request_timeout'
  | 'expectation_failed'
  | 'method_not_allowed'
  | 'not_implemented'
  | 'version_not_supported'
  | 'loop_detected'
  | 'no_route'
  | 'unauthenticated'
  | 'rate_limited'
  | 'unsupported_bridge'
  | 'too_many_resets'
  | 'too_many_frames'
  | 'flush_timeout'
  // the caller's connection
  | 'too_many_connections'
  | 'plaintext_to_tls'
  | 'tls_to_plaintext'
  | 'tls_handshake_failure'
  | 'client_certificate_refused'
  // ours
  | 'not_configured'
  | 'unknown_service'
  | 'unknown_plugin_config'
  | 'unknown_upstream'
  | 'no_upstream'
  | 'limit_failure'
  | 'no_endpoints'
  | 'no_healthy_endpoint'
  | 'draining'
  | 'overflow'
  | 'internal'
  // the upstream's
  | 'connect_failure'
  | 'connect_timeout'
  | 'secret_missing'
  | 'upstream_tls_failure'
  | 'upstream_certificate_untrusted'
  | 'upstream_certificate_expired'
  | 'upstream_certificate_name_mismatch'
  | 'send_timeout'
  | 'read_timeout'
  | 'per_try_timeout'
  | 'upstream_reset'
  | 'upstream_refused'
  | 'upstream_protocol_error'
  | 'upstream_headers_too_large'
  | 'upstream_truncated'
  // a silent call's or tunnel's
  | 'idle_timeout'
  // the call's
  | 'deadline_exceeded'
  | 'total_timeout'
  | 'downstream_reset';

/** What can be wrong with an endpoint's certificate. */
export const CERTIFICATE_VERDICTS: ReadonlySet<ErrorKind> = new Set([
  'upstream_certificate_untrusted',
  'upstream_certificate_expired',
  'upstream_certificate_name_mismatch',
]);

/** Failures of a handshake with an endpoint, its certificate included. */
export const UPSTREAM_TLS_FAILURES: ReadonlySet<ErrorKind> = new Set(['upstream_tls_failure', ...CERTIFICATE_VERDICTS]);

/** Why there is no connection for an attempt where the endpoint has nothing to do with it: it wasn't asked for one. */
export const LOCAL_REFUSALS: ReadonlySet<ErrorKind> = new Set(['overflow', 'secret_missing']);

/** How far an attempt got. Facts, not a verdict. */
export interface Progress {
  /** Of the request: whether any byte was handed to the connection. */
  sent: 'nothing' | 'some' | 'all';
  /** The connection had carried an earlier request. */
  reusedConnection: boolean;
  /** The peer said that it didn't process the request (REFUSED_STREAM, or GOAWAY with a lower last stream id). */
  refusedByPeer: boolean;
  /** A byte of the answer came. */
  answered: boolean;
}

export const NOTHING_SENT: Progress = {
  sent: 'nothing',
  reusedConnection: false,
  refusedByPeer: false,
  answered: false,
};
