import type { Secret } from '../../gen/outrigger/config/v1/secret.ts';
import type { ProblemList } from '../problem-list.ts';

/** Refuses a Secret as a whole: nothing in this version uses one. Never says what is in it. */
export function checkSecret(_message: Secret, problems: ProblemList): void {
  problems.add('', 'Secret: not supported yet');
}
