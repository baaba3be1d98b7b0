// The words of `retry_on`: config/ refuses any other, policy/ acts on them.

/** Words of `retry_on` for what can happen to a connection or stream. */
export type TransportWord = 'connect-failure' | 'refused-stream' | 'reset' | 'timeout';

const TRANSPORT_WORDS: readonly TransportWord[] = ['connect-failure', 'refused-stream', 'reset', 'timeout'];
/** Any answer from 500 to 599. */
export const ANY_5XX = '5xx';
/** 502, 503 and 504. */
export const GATEWAY_ERROR = 'gateway-error';

/** Words that are neither numbers nor gRPC statuses. */
export const CAUSE_WORDS: readonly string[] = [...TRANSPORT_WORDS, ANY_5XX, GATEWAY_ERROR];

/** Names of the gRPC statuses but OK, in the order of their numbers (1 to 16). */
export const GRPC_WORDS: readonly string[] = [
  'cancelled',
  'unknown',
  'invalid-argument',
  'deadline-exceeded',
  'not-found',
  'already-exists',
  'permission-denied',
  'resource-exhausted',
  'failed-precondition',
  'aborted',
  'out-of-range',
  'unimplemented',
  'internal',
  'unavailable',
  'data-loss',
  'unauthenticated',
];

/** Every word that `retry_on` knows, beside the statuses 400 to 599. */
export const RETRY_WORDS: readonly string[] = [...CAUSE_WORDS, ...GRPC_WORDS];

/** Statuses that `retry_on` may name by their number. */
export const LOWEST_STATUS = 400;
export const HIGHEST_STATUS = 599;

/** The status that a word stands for, if it is one from 400 to 599. */
export function statusOfWord(word: string): number | undefined {
  return /^[45][0-9]{2}$/.test(word) ? Number(word) : undefined;
}

/** The gRPC status that a word names; undefined where it names none, or OK. */
export function grpcStatusOfWord(word: string): number | undefined {
  const index = GRPC_WORDS.indexOf(word);
  return index < 0 ? undefined : index + 1;
}
