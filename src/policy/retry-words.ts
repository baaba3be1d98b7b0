// The words of `retry_on` and `retry_methods`, and what is wrong with one that isn't: for whoever judges configurations.
import { GrpcStatus } from '../codec/grpc/status.ts';

/** Words of `retry_on` for what can happen to a connection or stream. */
export type TransportWord = 'connect-failure' | 'refused-stream' | 'reset' | 'timeout';

const TRANSPORT_WORDS: readonly TransportWord[] = ['connect-failure', 'refused-stream', 'reset', 'timeout'];
/** Any answer from 500 to 599. */
export const ANY_5XX = '5xx';
/** 502, 503 and 504. */
export const GATEWAY_ERROR = 'gateway-error';

/** gRPC statuses that are failures, as `retry_on` spells them: `deadline-exceeded`, 4. */
export const GRPC_WORDS: ReadonlyMap<string, number> = new Map(
  Object.entries(GrpcStatus)
    .filter(([, status]) => status !== GrpcStatus.OK)
    .map(([name, status]) => [grpcWord(name), status]),
);

/** Every word that `retry_on` knows, beside the statuses 400 to 599. For suggestions and documents. */
export const RETRY_WORDS: readonly string[] = [...TRANSPORT_WORDS, ANY_5XX, GATEWAY_ERROR, ...GRPC_WORDS.keys()];

const KNOWN_WORDS: ReadonlySet<string> = new Set(RETRY_WORDS);

/** Statuses that `retry_on` may name by their number. */
export const LOWEST_STATUS = 400;
export const HIGHEST_STATUS = 599;

/**
 * What is wrong with a word of `retry_on`; undefined if nothing is. For whoever reads configuration, who may suggest the
 * nearest of {@link RETRY_WORDS} where the reason doesn't name the right one.
 */
export function retryWordProblem(word: string): string | undefined {
  if (KNOWN_WORDS.has(word) || statusOfWord(word) !== undefined) return undefined;
  if (word === '') return 'is empty';
  if (/^[0-9]+$/.test(word)) return `is no status from ${LOWEST_STATUS} to ${HIGHEST_STATUS}`;
  const spelled = grpcWord(word);
  if (spelled === 'ok') return 'is no failure, so there is nothing to try again';
  if (KNOWN_WORDS.has(spelled)) return `is spelled \`${spelled}\` here`;
  if (/^[1-4]xx$/i.test(word)) return 'is no class that is tried again: list its statuses, such as 409, 429';
  if (word === 'retriable-4xx') return "isn't known: list the statuses, such as 409";
  if (word === 'retriable-status-codes') return "isn't known: list the statuses themselves, such as 503";
  return 'is neither a word of retry_on, nor a status from 400 to 599, nor the name of a gRPC status such as `unavailable`';
}

/** What is wrong with an entry of `retry_methods`; undefined if nothing is. */
export function retryMethodProblem(word: string): string | undefined {
  if (word === '') return 'is empty';
  if (word.startsWith('/')) {
    if (GRPC_METHOD.test(word)) return undefined;
    return 'is no gRPC method: write `/package.Service/Method`, or `/package.Service/*` for all of a service';
  }
  if (!TOKEN.test(word)) {
    return word.includes('/')
      ? 'is neither an HTTP method nor a gRPC method: the path of one starts with `/`'
      : 'is no HTTP method, and no gRPC method such as `/package.Service/Method`';
  }
  const upper = word.toUpperCase();
  return word !== upper && HTTP_METHODS.has(upper) ? `is spelled \`${upper}\`: methods are case-sensitive` : undefined;
}

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const GRPC_METHOD = /^\/[^/?#*\s\x00-\x20\x7f-\uffff]+\/(?:\*|[^/?#*\s\x00-\x20\x7f-\uffff]+)$/;
const HTTP_METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PUT',
  'DELETE',
  'POST',
  'PATCH',
  'CONNECT',
]);

/** The status that a word stands for, if it is one from 400 to 599. */
export function statusOfWord(word: string): number | undefined {
  return /^[45][0-9]{2}$/.test(word) ? Number(word) : undefined;
}

/** `DEADLINE_EXCEEDED` as `retry_on` spells it. */
function grpcWord(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}
