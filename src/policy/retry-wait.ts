// How long a further attempt waits: for as long as the server asked, else by an exponential back-off. Holds no timer.
import { backoffMs } from '../base/backoff.ts';
import type { ErrorKind } from '../base/error.ts';
import type { Rng } from '../base/rng.ts';
import type { Fields } from '../codec/exchange.ts';
import { findField } from '../codec/fields.ts';
import type { RetryBackoffPolicy } from '../model/policy.ts';
import { isConnectFailure } from './failure-class.ts';
import { parseHttpDate } from './http-date.ts';
import type { RetryFacts } from './retry.ts';

/** Longest time that a server may ask for, ms. One that wants more gets no further attempt: the answer is the caller's. */
export const MAX_PUSHBACK_MS = 30_000;

/** What a server asked for: to wait exactly so many ms, or not to try again. Undefined: nothing. */
export type Pushback = number | 'stop' | undefined;

/** gRFC A6. */
const MULTIPLIER = 2;
/** Up to a fifth less, by chance. */
const JITTER = 0.2;

/**
 * Milliseconds before the next attempt; `stop`: the server forbids one, or wants more than {@link MAX_PUSHBACK_MS}. Whether
 * there is still time for it is for retry.ts to say. `ending` is that of the attempt before, undefined where that had an
 * answer: after a failed connect an attempt at another endpoint doesn't wait. A push-back that is followed resets the
 * back-off (gRFC A6), which is written down in `facts`.
 */
export function retryWait(
  backoff: RetryBackoffPolicy,
  ending: ErrorKind | undefined,
  pushback: Pushback,
  facts: Pick<RetryFacts, 'attempts' | 'sameEndpoint' | 'pushedBackAt'>,
  rng: Rng,
): number | 'stop' {
  if (pushback !== undefined) {
    if (pushback === 'stop' || pushback > MAX_PUSHBACK_MS) return 'stop';
    facts.pushedBackAt = facts.attempts;
    return pushback;
  }
  if (backoff.initialMs <= 0) return 0;
  if (ending !== undefined && isConnectFailure(ending) && !facts.sameEndpoint) return 0;
  const policy = { ...backoff, multiplier: MULTIPLIER, jitter: JITTER };
  return backoffMs(policy, facts.attempts - facts.pushedBackAt, rng);
}

/**
 * What the fields of an answer ask for, its head's or its trailers'. Of a gRPC answer `grpc-retry-pushback-ms` stands
 * above `Retry-After`, which a proxy on the way may have written; of others only the latter counts.
 */
export function readPushback(fields: Fields, isGrpc: boolean, nowWallMs: number): Pushback {
  const pushback = isGrpc ? parsePushback(findField(fields, 'grpc-retry-pushback-ms')) : undefined;
  return pushback ?? parseRetryAfter(findField(fields, 'retry-after'), nowWallMs);
}

const MAX_INT32 = 0x7fff_ffff;

/**
 * Value of `grpc-retry-pushback-ms` (gRFC A6): a 32-bit number of ms; a negative one, or none at all, forbids a further
 * attempt. Undefined where there is no such field.
 */
export function parsePushback(value: string | undefined): Pushback {
  if (value === undefined) return undefined;
  if (!/^[0-9]{1,10}$/.test(value)) return 'stop';
  const waitMs = Number(value);
  return waitMs > MAX_INT32 ? 'stop' : waitMs;
}

/**
 * Value of `Retry-After` in ms from now (RFC 9110 section 10.2.3): seconds, or a date in any of its three forms. A date
 * that is past is 0. What is neither counts for nothing: undefined.
 */
export function parseRetryAfter(value: string | undefined, nowWallMs: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^[0-9]+$/.test(value)) return Number(value) * 1000;
  const atMs = parseHttpDate(value, nowWallMs);
  return atMs === undefined ? undefined : Math.max(0, atMs - nowWallMs);
}
