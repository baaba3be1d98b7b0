// `X-APISIX-Upstream-Status`: what each attempt came to, in order, on answers of 500 and above that attempts led to.
import { LOCAL_REFUSALS } from '../base/error.ts';
import type { Fields } from '../codec/exchange.ts';
import { ERROR_TABLE } from '../model/error-table.ts';
import type { AttemptRecord } from './record.ts';

/** As APISIX writes it. */
export const UPSTREAM_STATUS_FIELD = 'X-APISIX-Upstream-Status';

/**
 * `502, 504, 500`: a status for each attempt, `last` for one that isn't among them yet; for one without an answer that which
 * its failure alone would bring. Empty where no endpoint was asked for anything.
 */
export function upstreamStatuses(attempts: readonly AttemptRecord[], last?: number): string {
  const statuses: number[] = [];
  for (const { error, status } of attempts) {
    if (error === undefined) statuses.push(status);
    else if (!LOCAL_REFUSALS.has(error)) statuses.push(ERROR_TABLE[error].httpStatus);
  }
  if (last !== undefined) statuses.push(last);
  return statuses.join(', ');
}

/** Puts `statuses` in the place of what the endpoint says, which may be a proxy itself. */
export function setUpstreamStatus(fields: Fields, statuses: string): void {
  const name = UPSTREAM_STATUS_FIELD.toLowerCase();
  for (let i = fields.length - 2; i >= 0; i -= 2) if (fields[i]!.toLowerCase() === name) fields.splice(i, 2);
  fields.push(UPSTREAM_STATUS_FIELD, statuses);
}
