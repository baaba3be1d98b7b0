import type { WarmUpConf } from '../../gen/outrigger/config/v1/upstream.ts';
import { member, type ProblemList } from '../problem-list.ts';
import { checkRange, checkSeconds } from './values.ts';

/** Checks the slow start of one level (APISIX `warm_up_conf`). */
export function checkWarmUp(warmUp: WarmUpConf | undefined, problems: ProblemList, path: string): void {
  if (warmUp === undefined) return;
  const at = (name: string): string => member(path, name);
  if (warmUp.slowStartTimeSeconds === undefined && warmUp.off !== true) {
    problems.add(at('slow_start_time_seconds'), 'required, unless off is true');
  }
  checkSeconds(problems, at('slow_start_time_seconds'), warmUp.slowStartTimeSeconds, { least: 1 });
  checkRange(problems, at('min_weight_percent'), warmUp.minWeightPercent, 1, 100);
  checkSeconds(problems, at('interval'), warmUp.interval, { least: 1 });
  const { aggression } = warmUp;
  if (aggression !== undefined && !(aggression > 0 && aggression <= Number.MAX_SAFE_INTEGER)) {
    problems.add(at('aggression'), `must be a number greater than 0, not ${aggression}`);
  }
  checkSeconds(problems, at('startup_grace_period_seconds'), warmUp.startupGracePeriodSeconds, { least: 0 });
}
