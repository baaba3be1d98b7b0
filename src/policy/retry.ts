// The one place that decides whether a failed attempt is followed by another. Attempts report facts (what ended them, how
// far they got); nobody else draws conclusions from them. docs/request.md shows the rules as a table.
import type { ErrorKind, Progress } from '../base/error.ts';
import type { RetryBudget } from './retry-budget.ts';

/** What the decision needs to know of the request. The request keeps one such object up to date. */
export interface RetryFacts {
  /** {@link isIdempotent} of its method; a gRPC call is a POST. */
  idempotent: boolean;
  /** All of its body that was sent so far is still there to be sent again (at most REPLAY_BYTES are kept). */
  bodyKept: boolean;
  /** The head of an answer was passed on to the caller: the request is that attempt's for good. */
  headPassedOn: boolean;
  /** Attempts so far, the one that has just ended included, replays not. */
  attempts: number;
  /** attempts.ts, `attemptLimit`. */
  maxAttempts: number;
  /** An endpoint is left that may be tried: one that wasn't tried yet, or the only one. */
  endpointLeft: boolean;
  /** Replays so far, after stale connections and after refusals. */
  replays: number;
  /** Of those, after refusals. */
  refusals: number;
}

/**
 * `retry`: another attempt on an endpoint that wasn't tried. `replay`: the same attempt once more on another connection;
 * it counts neither as an attempt nor as evidence against the endpoint. `final`: the caller hears of the failure.
 */
export interface RetryDecision {
  readonly kind: 'retry' | 'replay' | 'final';
  readonly reason: RetryReason;
}

/** Why, for logs, traces and tests. */
export type RetryReason =
  // replay
  | 'stale_connection'
  // replay, then retry
  | 'refused_by_peer'
  // retry
  | 'not_connected'
  | 'not_sent'
  | 'idempotent'
  // final
  | 'not_retryable'
  | 'head_passed_on'
  | 'answered'
  | 'body_not_kept'
  | 'attempts_exhausted'
  | 'no_endpoint_left'
  | 'not_idempotent'
  | 'budget_exhausted';

/**
 * Replays of one request. One is enough for the race with an idle timeout; a peer that accepts connections only to close
 * them must not be asked for ever. Beyond it the failure counts as an attempt's. A stream that the peer refused, by
 * REFUSED_STREAM or GOAWAY, was not processed: it is replayed once (gRFC A6, transparent retries), and is an attempt then.
 */
export const MAX_REPLAYS = 3;

/** Methods that may be sent again (RFC 9110 section 9.2.2). Methods are case-sensitive, and unknown ones are not. */
export function isIdempotent(method: string): boolean {
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'OPTIONS':
    case 'TRACE':
    case 'PUT':
    case 'DELETE':
      return true;
    default:
      return false;
  }
}

/**
 * Decides about an attempt that ended with `ending` before its answer was complete. Spends from `budget` only when it
 * says `retry` after a request that was written.
 */
export function mayRetry(
  ending: ErrorKind,
  progress: Progress,
  facts: Readonly<RetryFacts>,
  budget: RetryBudget,
  nowMs: number,
): RetryDecision {
  const failure = FAILURES[ending];
  if (failure === undefined) return FINAL.notRetryable;
  if (facts.headPassedOn) return FINAL.headPassedOn;
  if (progress.answered) return FINAL.answered;
  if (!facts.bodyKept) return FINAL.bodyNotKept;
  const nothingSent = failure === 'connect' || progress.sent === 'nothing';
  // The peer closed a kept connection while it was being taken from the pool.
  const stale = failure === 'lost' && nothingSent && progress.reusedConnection;
  if (stale && facts.replays < MAX_REPLAYS) return REPLAY.stale;
  const refused = progress.refusedByPeer || ending === 'upstream_refused';
  if (refused && facts.refusals === 0) return REPLAY.refused;
  if (facts.attempts >= facts.maxAttempts) return FINAL.attemptsExhausted;
  if (!facts.endpointLeft) return FINAL.noEndpointLeft;
  if (failure === 'connect') return RETRY.notConnected;
  if (nothingSent) return RETRY.notSent;
  if (!refused && !facts.idempotent) return FINAL.notIdempotent;
  if (!budget.take(nowMs)) return FINAL.budgetExhausted;
  return refused ? RETRY.refusedByPeer : RETRY.idempotent;
}

/**
 * The endings of an attempt that another might mend: no connection, a lost connection or stream, or time. Timeouts are
 * those of the attempt; the call's own deadline ends the call. An answer that was too large would be so again.
 */
const FAILURES: Readonly<Partial<Record<ErrorKind, 'connect' | 'lost' | 'timeout'>>> = {
  connect_failure: 'connect',
  connect_timeout: 'connect',
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
};

function decision(kind: RetryDecision['kind'], reason: RetryReason): RetryDecision {
  return Object.freeze({ kind, reason });
}

const REPLAY = {
  stale: decision('replay', 'stale_connection'),
  refused: decision('replay', 'refused_by_peer'),
};

const RETRY = {
  notConnected: decision('retry', 'not_connected'),
  notSent: decision('retry', 'not_sent'),
  refusedByPeer: decision('retry', 'refused_by_peer'),
  idempotent: decision('retry', 'idempotent'),
};

const FINAL = {
  notRetryable: decision('final', 'not_retryable'),
  headPassedOn: decision('final', 'head_passed_on'),
  answered: decision('final', 'answered'),
  bodyNotKept: decision('final', 'body_not_kept'),
  attemptsExhausted: decision('final', 'attempts_exhausted'),
  noEndpointLeft: decision('final', 'no_endpoint_left'),
  notIdempotent: decision('final', 'not_idempotent'),
  budgetExhausted: decision('final', 'budget_exhausted'),
};
