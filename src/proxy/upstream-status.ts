// `X-APISIX-Upstream-Status`: what each attempt came to, in order, on answers of 500 and above that attempts led to.
import { ERROR_TABLE } from '../model/error-table.ts';
import type { AttemptRecord } from './record.ts';

/** As APISIX writes it. */
export const UPSTREAM_STATUS_FIELD = 'X-APISIX-Upstream-Status';

/** `502, 504, 500`: a status for each attempt; for one without an answer that which its failure alone would bring. */
export function upstreamStatuses(attempts: readonly AttemptRecord[], last?: number): string {
  const statuses = attempts.map(({ error, status }) => (error === undefined ? status : ERROR_TABLE[error].httpStatus));
  if (last !== undefined) statuses.push(last);
  return statuses.join(', ');
}
