// What kind of mishap the end of an attempt was, as far as trying again is concerned.
import type { ErrorKind } from '../base/error.ts';

/**
 * `connect`: there was no connection. `connect_timeout`: neither was there, and it took too long. `lost`: a connection or
 * stream ended early, or what came was no answer. `timeout`: the attempt was too slow.
 */
export type FailureClass = 'connect' | 'connect_timeout' | 'lost' | 'timeout';

/**
 * The endings of an attempt that another might mend; undefined for the others. Timeouts are those of the attempt: the
 * call's own deadline ends the call. An answer that was too large would be so again.
 */
export function failureClass(ending: ErrorKind): FailureClass | undefined {
  return CLASSES[ending];
}

/** Whether an attempt ended before it had a connection. */
export function isConnectFailure(ending: ErrorKind): boolean {
  const failure = CLASSES[ending];
  return failure === 'connect' || failure === 'connect_timeout';
}

const CLASSES: Readonly<Partial<Record<ErrorKind, FailureClass>>> = {
  connect_failure: 'connect',
  connect_timeout: 'connect_timeout',
  upstream_tls_failure: 'connect',
  upstream_certificate_untrusted: 'connect',
  upstream_certificate_expired: 'connect',
  upstream_certificate_name_mismatch: 'connect',
  upstream_reset: 'lost',
  upstream_refused: 'lost',
  upstream_truncated: 'lost',
  upstream_protocol_error: 'lost',
  send_timeout: 'timeout',
  read_timeout: 'timeout',
  per_try_timeout: 'timeout',
};
