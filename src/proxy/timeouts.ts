// The timeouts of a call, judged in one place: what it waits for and since when, against what the policy and the limits
// allow. Holds no timer: its owner asks when its timer fires, and starts it again for what is left.
import type { ErrorKind } from '../base/error.ts';
import type { WireLimits } from '../codec/limits.ts';
import type { AttemptsPolicy, TimeoutPolicy } from '../model/policy.ts';

/** What a call waits for: monotonic ms since when, -1 where it doesn't wait for that. */
export interface Waits {
  /** A connection. One that is opening has a timer of its own; behind busy ones only this one ends the wait. */
  readonly connectSinceMs: number;
  /** The endpoint, to take bytes of the request. */
  readonly sendSinceMs: number;
  /** The endpoint, to send bytes of the answer. */
  readonly readSinceMs: number;
  /** The beginning of the answer to this attempt. */
  readonly attemptSinceMs: number;
  /** The caller, to send bytes of its request. */
  readonly requestSinceMs: number;
  /** The caller, to take bytes of the answer. */
  readonly flushSinceMs: number;
  /** Anything at all. */
  readonly silentSinceMs: number;
}

/** What is over, or how long the first of the waits may still last. */
export interface Judgement {
  /** Undefined: nothing is over. */
  readonly over: ErrorKind | undefined;
  /** Ms to the next look. */
  readonly leftMs: number;
}

/** Kinds that end an attempt, which another may follow; the rest end the call. */
export const ENDS_ATTEMPT: ReadonlySet<ErrorKind> = new Set([
  'connect_timeout',
  'send_timeout',
  'read_timeout',
  'per_try_timeout',
]);

/** Judges `waits`. Where several are over, the one that says most about the cause. */
export function judgeWaits(
  waits: Waits,
  timeout: TimeoutPolicy,
  { perTryTimeoutMs }: Pick<AttemptsPolicy, 'perTryTimeoutMs'>,
  limits: Pick<WireLimits, 'requestIdleMs' | 'flushMs'>,
  nowMs: number,
): Judgement {
  let leftMs = shortestMs(timeout, perTryTimeoutMs, limits);
  const rules: readonly (readonly [ErrorKind, sinceMs: number, limitMs: number])[] = [
    ['connect_timeout', waits.connectSinceMs, timeout.connectMs],
    ['send_timeout', waits.sendSinceMs, timeout.sendMs],
    ['read_timeout', waits.readSinceMs, timeout.readMs],
    ['per_try_timeout', waits.attemptSinceMs, perTryTimeoutMs],
    ['request_timeout', waits.requestSinceMs, limits.requestIdleMs],
    ['flush_timeout', waits.flushSinceMs, limits.flushMs],
    ['idle_timeout', waits.silentSinceMs, timeout.idleMs],
  ];
  for (const [kind, sinceMs, limitMs] of rules) {
    if (sinceMs < 0 || limitMs === 0) continue;
    const restMs = sinceMs + limitMs - nowMs;
    if (restMs <= 0) return { over: kind, leftMs: 0 };
    leftMs = Math.min(leftMs, restMs);
  }
  return { over: undefined, leftMs };
}

/** The shortest of all limits: no wait that begins after a look can be over before the next. */
export function shortestMs(
  { connectMs, sendMs, readMs, idleMs }: TimeoutPolicy,
  perTryTimeoutMs: number,
  { requestIdleMs, flushMs }: Pick<WireLimits, 'requestIdleMs' | 'flushMs'>,
): number {
  let shortest = Math.min(connectMs, sendMs, readMs, requestIdleMs, flushMs);
  if (idleMs > 0) shortest = Math.min(shortest, idleMs);
  if (perTryTimeoutMs > 0) shortest = Math.min(shortest, perTryTimeoutMs);
  return shortest;
}
