// The words of `retry_on`. Configurations that have others are refused by config/.
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

/** Statuses that `retry_on` may name by their number. */
export const LOWEST_STATUS = 400;
export const HIGHEST_STATUS = 599;

/** The status that a word stands for, if it is one from 400 to 599. */
export function statusOfWord(word: string): number | undefined {
  return /^[45][0-9]{2}$/.test(word) ? Number(word) : undefined;
}

/** `DEADLINE_EXCEEDED` as `retry_on` spells it. */
function grpcWord(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}
