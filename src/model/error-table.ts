// The one table of what a caller sees when the sidecar itself answers or ends a request. docs/request.md prints it.
import type { ErrorKind } from '../base/error.ts';

/** What an {@link ErrorKind} means on the wire and in logs. */
export interface ErrorReply {
  /** Status of the HTTP answer (RFC 9110 section 15). */
  readonly httpStatus: number;
  /** Status of the gRPC answer, sent as Trailers-Only. */
  readonly grpcStatus: number;
  /** Envoy's response flag for access logs; `-` where Envoy has none. */
  readonly flag: string;
  /** Whether an HTTP/1 connection closes after the answer. */
  readonly closes: boolean;
  /** The sentence in the body or the grpc-message. */
  readonly text: string;
}

function row(httpStatus: number, grpcStatus: number, flag: string, closes: boolean, text: string): ErrorReply {
  return { httpStatus, grpcStatus, flag, closes, text };
}

export const ERROR_TABLE: Readonly<Record<ErrorKind, ErrorReply>> = {
  bad_request: row(400, 13, 'DPE', true, 'the request is malformed'),
  uri_too_long: row(414, 13, 'DPE', true, 'the request line is too long'),
  headers_too_large: row(431, 8, 'DPE', true, 'the header section is too large'),
  content_too_large: row(413, 8, 'DPE', true, 'the chunk extensions are too large'),
  request_timeout: row(408, 4, 'DPE', true, 'the request did not arrive in time'),
  expectation_failed: row(417, 13, 'DPE', true, 'the expectation is not supported'),
  method_not_allowed: row(405, 12, 'DPE', true, 'the method is not allowed'),
  not_implemented: row(501, 12, 'DPE', true, 'the transfer coding is not supported'),
  version_not_supported: row(505, 13, 'DPE', true, 'the HTTP version is not supported'),
  loop_detected: row(508, 14, 'NC', false, 'the request came back to this sidecar'),
  no_route: row(404, 12, 'NR', false, 'nothing here serves the request'),
  unauthenticated: row(401, 16, 'UAEX', false, 'the caller showed no valid key'),
  rate_limited: row(503, 8, 'RL', false, 'too many requests'),
  unsupported_bridge: row(501, 12, 'DPE', false, 'the upstream protocol cannot carry this request'),
  too_many_resets: row(503, 8, 'DPE', true, 'too many streams were reset'),
  too_many_frames: row(503, 8, 'DPE', true, 'too many frames that carry nothing'),
  flush_timeout: row(408, 4, 'SI', true, 'the caller does not take its answer'),
  too_many_connections: row(503, 8, 'OM', true, 'this sidecar has too many connections'),
  plaintext_to_tls: row(400, 13, 'DPE', true, 'this port speaks TLS: call it with https'),
  tls_to_plaintext: row(400, 13, 'DPE', true, 'this port speaks no TLS: call it with http, or give its listener tls'),
  tls_handshake_failure: row(400, 13, 'DPE', true, 'the TLS handshake failed'),
  client_certificate_refused: row(403, 16, 'UAEX', true, 'the client certificate may not pass'),
  not_configured: row(503, 14, 'NC', false, 'the configuration has not come yet'),
  unknown_service: row(404, 5, 'NR', false, 'the route names a service that is not known'),
  unknown_plugin_config: row(503, 14, 'NC', false, 'the route names a plugin config that is not known'),
  unknown_upstream: row(502, 14, 'NC', false, 'the route names an upstream that is not known'),
  no_upstream: row(503, 14, 'NC', false, 'neither the route nor its service has an upstream'),
  limit_failure: row(500, 13, '-', false, 'the requests of this caller could not be counted'),
  no_endpoints: row(503, 14, 'UH', false, 'the upstream has no endpoints'),
  no_healthy_endpoint: row(503, 14, 'UH', false, 'no endpoint is healthy'),
  draining: row(503, 14, '-', true, 'the sidecar is shutting down'),
  overflow: row(503, 8, 'UO', false, 'too many requests wait'),
  internal: row(500, 13, '-', true, 'internal error'),
  connect_failure: row(502, 14, 'UF', false, 'no connection to the upstream'),
  connect_timeout: row(504, 14, 'UF', false, 'connecting to the upstream took too long'),
  secret_missing: row(503, 14, 'UF', false, 'a certificate for the upstream is missing'),
  upstream_tls_failure: row(502, 14, 'UF', false, 'the TLS handshake with the upstream failed'),
  upstream_certificate_untrusted: row(502, 14, 'UF', false, "no trusted authority signed the upstream's certificate"),
  upstream_certificate_expired: row(502, 14, 'UF', false, "the upstream's certificate is not in its time"),
  upstream_certificate_name_mismatch: row(502, 14, 'UF', false, "the upstream's certificate has another name"),
  send_timeout: row(504, 4, 'UT', false, 'the upstream did not take the request in time'),
  read_timeout: row(504, 4, 'UT', false, 'the upstream did not answer in time'),
  per_try_timeout: row(504, 4, 'UT', false, 'the upstream did not answer within the time of one attempt'),
  upstream_reset: row(502, 14, 'UC', false, 'the upstream ended the connection or stream'),
  upstream_refused: row(502, 14, 'UR', false, 'the upstream refused the stream'),
  upstream_protocol_error: row(502, 13, 'UPE', false, 'the upstream broke the protocol'),
  upstream_headers_too_large: row(502, 8, 'UPE', false, 'the upstream sent too large a header section'),
  upstream_truncated: row(502, 13, 'UC', false, 'the upstream ended before the message was complete'),
  idle_timeout: row(408, 4, 'SI', true, 'both sides were silent for too long'),
  deadline_exceeded: row(504, 4, 'UT', false, "the call's deadline has passed"),
  total_timeout: row(504, 4, 'UT', false, 'the call took too long'),
  downstream_reset: row(499, 1, 'DC', true, 'the caller went away'),
};
