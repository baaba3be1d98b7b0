// The one place that decides whether an attempt is followed by another, after a failure or after an answer. Attempts report
// facts (what ended them, how far they got); nobody else draws conclusions from them. docs/request.md shows the rules as a
// table. The order of the questions is the order of the reasons: what can't be tried again at all comes before what may not
// be tried by the policy, and that before what there is no room or time for. The budget comes last, since asking spends it.
import type { ErrorKind, Progress } from '../base/error.ts';
import { failureClass, type FailureClass } from './failure-class.ts';
import type { RetryBudget } from './retry-budget.ts';
import type { RetryRules } from './retry-rules.ts';

/** What the decision needs to know of the request. The request keeps one such object up to date. */
export interface RetryFacts {
  readonly method: string;
  /** As in the head; a query is of no matter. */
  readonly path: string;
  readonly isGrpc: boolean;
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
  /** The port's further attempts in flight are fewer than `circuit_breakers.max_retries`, or that is off. */
  retryRoom: boolean;
  /** Replays so far, after stale connections and after refusals. */
  replays: number;
  /** Of those, after refusals. */
  refusals: number;
  /** `retry_timeout` from the start of the first attempt, monotonic ms: no further one starts then. Infinity: no limit. */
  retriesEndMs: number;
  /** When the whole call ends (its deadline, `timeout.total`), monotonic ms; Infinity: never. */
  callEndsMs: number;
  /** How long another attempt would have to wait: retry-wait.ts, `retryWait`. Set before each question. */
  waitMs: number | 'stop';
  /** `attempts` when a server's push-back was last followed; 0: never. The back-off begins anew from there. */
  pushedBackAt: number;
  /** The next attempt would go to the endpoint of the last one, since the port has no other. */
  sameEndpoint: boolean;
}

/**
 * `retry`: another attempt on an endpoint that wasn't tried, `waitMs` from now. `replay`: the same attempt once more on
 * another connection, at once; it counts neither as an attempt nor as evidence against the endpoint. `final`: the caller
 * gets what there is, the failure or the answer.
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
  | 'resendable'
  | 'status'
  | 'grpc_status'
  // final: nothing can be done
  | 'not_retryable'
  | 'head_passed_on'
  | 'answered'
  | 'body_not_kept'
  // final: the policy says so
  | 'not_in_retry_on'
  | 'attempts_exhausted'
  | 'no_endpoint_left'
  | 'not_resendable'
  // final: no room or time
  | 'max_retries'
  | 'server_said_no'
  | 'retry_timeout'
  | 'call_ends'
  | 'budget_exhausted';

/**
 * Replays of one request. One is enough for the race with an idle timeout; a peer that accepts connections only to close
 * them must not be asked for ever. Beyond it the failure counts as an attempt's. A stream that the peer refused, by
 * REFUSED_STREAM or GOAWAY, was not processed: it is replayed once (gRFC A6, transparent retries), and is an attempt then.
 */
export const MAX_REPLAYS = 3;

/**
 * Decides about an attempt that ended with `ending` before its answer was complete. Spends from `budget` only when it
 * says `retry` after a request that was written.
 */
export function mayRetry(
  ending: ErrorKind,
  progress: Progress,
  facts: Readonly<RetryFacts>,
  rules: RetryRules,
  budget: RetryBudget,
  nowMs: number,
): RetryDecision {
  const failure = failureClass(ending);
  if (failure === undefined) return FINAL.notRetryable;
  if (facts.headPassedOn) return FINAL.headPassedOn;
  if (progress.answered) return FINAL.answered;
  if (!facts.bodyKept) return FINAL.bodyNotKept;
  const notConnected = failure === 'connect' || failure === 'connect_timeout';
  const nothingSent = notConnected || progress.sent === 'nothing';
  // The peer closed a kept connection while it was being taken from the pool.
  const stale = failure === 'lost' && nothingSent && progress.reusedConnection;
  if (stale && facts.replays < MAX_REPLAYS) return REPLAY.stale;
  const refused = progress.refusedByPeer || ending === 'upstream_refused';
  if (refused && facts.refusals === 0) return REPLAY.refused;
  if (!isOn(failure, refused, rules)) return FINAL.notInRetryOn;
  const hindrance = nothingLeft(facts);
  if (hindrance) return hindrance;
  const needsMethod = !nothingSent && !refused;
  if (needsMethod && !rules.mayResend(facts.method, facts.path, facts.isGrpc, 'failure')) return FINAL.notResendable;
  const late = noRoomOrTime(facts, nowMs);
  if (late) return late;
  if (notConnected) return RETRY.notConnected;
  if (nothingSent) return RETRY.notSent;
  if (!budget.take(nowMs)) return FINAL.budgetExhausted;
  return refused ? RETRY.refusedByPeer : RETRY.resendable;
}

/**
 * Decides about an answer that is whole, or of which only the head came and is still held. It is that of an attempt whose
 * request was written, so the method rule and the budget apply. `grpcStatus` is what a gRPC caller would see, also where
 * the answer was translated; -1 where there is none (yet).
 */
export function mayRetryAnswer(
  httpStatus: number,
  grpcStatus: number,
  facts: Readonly<RetryFacts>,
  rules: RetryRules,
  budget: RetryBudget,
  nowMs: number,
): RetryDecision {
  const byGrpcStatus = facts.isGrpc && rules.retriesGrpcStatus(grpcStatus);
  if (!byGrpcStatus && !rules.retriesStatus(httpStatus)) return FINAL.notInRetryOn;
  if (facts.headPassedOn) return FINAL.headPassedOn;
  if (!facts.bodyKept) return FINAL.bodyNotKept;
  const hindrance = nothingLeft(facts);
  if (hindrance) return hindrance;
  const because = byGrpcStatus ? 'grpc-status' : 'status';
  if (!rules.mayResend(facts.method, facts.path, facts.isGrpc, because)) return FINAL.notResendable;
  const late = noRoomOrTime(facts, nowMs);
  if (late) return late;
  if (!budget.take(nowMs)) return FINAL.budgetExhausted;
  return byGrpcStatus ? RETRY.grpcStatus : RETRY.status;
}

/**
 * Whether the head of a gRPC answer is worth being held until the first message or the trailers: its status could lead to
 * another attempt. `facts` are as of then: what was sent, and what is left to be tried.
 */
export function awaitsGrpcStatus(facts: Readonly<RetryFacts>, rules: RetryRules): boolean {
  if (!rules.watchesGrpcStatus || !facts.isGrpc || facts.headPassedOn || !facts.bodyKept) return false;
  if (facts.attempts >= facts.maxAttempts || !facts.endpointLeft) return false;
  return rules.mayResend(facts.method, facts.path, true, 'grpc-status');
}

/** A connection that couldn't be had in time is a failed connect and a timeout: either word is enough for it. */
function isOn(failure: FailureClass, refused: boolean, rules: RetryRules): boolean {
  if (refused) return rules.isOn('refused-stream');
  switch (failure) {
    case 'connect':
      return rules.isOn('connect-failure');
    case 'connect_timeout':
      return rules.isOn('connect-failure') || rules.isOn('timeout');
    case 'lost':
      return rules.isOn('reset');
    case 'timeout':
      return rules.isOn('timeout');
  }
}

function nothingLeft(facts: Readonly<RetryFacts>): RetryDecision | undefined {
  if (facts.attempts >= facts.maxAttempts) return FINAL.attemptsExhausted;
  return facts.endpointLeft ? undefined : FINAL.noEndpointLeft;
}

/** Why an attempt that would be allowed can't start: there is no room for it, or it would start too late. */
function noRoomOrTime(facts: Readonly<RetryFacts>, nowMs: number): RetryDecision | undefined {
  if (!facts.retryRoom) return FINAL.maxRetries;
  if (facts.waitMs === 'stop') return FINAL.serverSaidNo;
  const startsMs = nowMs + facts.waitMs;
  if (startsMs >= facts.retriesEndMs) return FINAL.retryTimeout;
  return startsMs >= facts.callEndsMs ? FINAL.callEnds : undefined;
}

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
  resendable: decision('retry', 'resendable'),
  status: decision('retry', 'status'),
  grpcStatus: decision('retry', 'grpc_status'),
};

const FINAL = {
  notRetryable: decision('final', 'not_retryable'),
  headPassedOn: decision('final', 'head_passed_on'),
  answered: decision('final', 'answered'),
  bodyNotKept: decision('final', 'body_not_kept'),
  notInRetryOn: decision('final', 'not_in_retry_on'),
  attemptsExhausted: decision('final', 'attempts_exhausted'),
  noEndpointLeft: decision('final', 'no_endpoint_left'),
  notResendable: decision('final', 'not_resendable'),
  maxRetries: decision('final', 'max_retries'),
  serverSaidNo: decision('final', 'server_said_no'),
  retryTimeout: decision('final', 'retry_timeout'),
  callEnds: decision('final', 'call_ends'),
  budgetExhausted: decision('final', 'budget_exhausted'),
};
