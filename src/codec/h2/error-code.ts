import type { ErrorKind } from '../../base/error.ts';

/** Error codes of RST_STREAM and GOAWAY (RFC 9113 section 7). */
export const NO_ERROR = 0x0;
export const PROTOCOL_ERROR = 0x1;
export const INTERNAL_ERROR = 0x2;
export const FLOW_CONTROL_ERROR = 0x3;
export const SETTINGS_TIMEOUT = 0x4;
export const STREAM_CLOSED = 0x5;
export const FRAME_SIZE_ERROR = 0x6;
export const REFUSED_STREAM = 0x7;
export const CANCEL = 0x8;
export const COMPRESSION_ERROR = 0x9;
export const CONNECT_ERROR = 0xa;
export const ENHANCE_YOUR_CALM = 0xb;
export const INADEQUATE_SECURITY = 0xc;
export const HTTP_1_1_REQUIRED = 0xd;

const NAMES = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
] as const;

/** The RFC's name of a code; `0x…` for one it doesn't have. */
export function errorCodeName(code: number): string {
  return NAMES[code] ?? `0x${code.toString(16)}`;
}

/**
 * The code with which a stream ends that can't be ended cleanly. gRPC reads it: CANCEL becomes CANCELLED,
 * ENHANCE_YOUR_CALM RESOURCE_EXHAUSTED, REFUSED_STREAM UNAVAILABLE and a licence to try again, the rest INTERNAL. So
 * REFUSED_STREAM stands only where no upstream can have seen the request.
 */
export const RESET_CODES: Readonly<Record<ErrorKind, number>> = {
  bad_request: PROTOCOL_ERROR,
  uri_too_long: ENHANCE_YOUR_CALM,
  headers_too_large: ENHANCE_YOUR_CALM,
  content_too_large: CANCEL,
  request_timeout: CANCEL,
  expectation_failed: CANCEL,
  method_not_allowed: CANCEL,
  not_implemented: CANCEL,
  version_not_supported: HTTP_1_1_REQUIRED,
  loop_detected: INTERNAL_ERROR,
  no_route: REFUSED_STREAM,
  unauthenticated: CANCEL,
  rate_limited: ENHANCE_YOUR_CALM,
  not_configured: REFUSED_STREAM,
  unknown_service: REFUSED_STREAM,
  unknown_plugin_config: REFUSED_STREAM,
  unknown_upstream: REFUSED_STREAM,
  no_upstream: REFUSED_STREAM,
  limit_failure: REFUSED_STREAM,
  unsupported_bridge: HTTP_1_1_REQUIRED,
  too_many_resets: ENHANCE_YOUR_CALM,
  too_many_frames: ENHANCE_YOUR_CALM,
  flush_timeout: CANCEL,
  too_many_connections: CANCEL,
  plaintext_to_tls: CANCEL,
  tls_to_plaintext: CANCEL,
  tls_handshake_failure: CANCEL,
  client_certificate_refused: CANCEL,
  no_endpoints: REFUSED_STREAM,
  no_healthy_endpoint: REFUSED_STREAM,
  draining: CANCEL,
  overflow: REFUSED_STREAM,
  internal: INTERNAL_ERROR,
  connect_failure: REFUSED_STREAM,
  connect_timeout: REFUSED_STREAM,
  secret_missing: REFUSED_STREAM,
  upstream_tls_failure: REFUSED_STREAM,
  upstream_certificate_untrusted: REFUSED_STREAM,
  upstream_certificate_expired: REFUSED_STREAM,
  upstream_certificate_name_mismatch: REFUSED_STREAM,
  send_timeout: CANCEL,
  read_timeout: CANCEL,
  per_try_timeout: CANCEL,
  upstream_reset: INTERNAL_ERROR,
  upstream_refused: REFUSED_STREAM,
  upstream_protocol_error: INTERNAL_ERROR,
  upstream_headers_too_large: ENHANCE_YOUR_CALM,
  upstream_truncated: INTERNAL_ERROR,
  idle_timeout: CANCEL,
  deadline_exceeded: CANCEL,
  total_timeout: CANCEL,
  downstream_reset: CANCEL,
};
