// Slow start of one service port: one group (APISIX `warm_up_conf`).
import type { WarmUpConf } from '../gen/outrigger/config/v1/upstream.ts';
import type { WarmUpPolicy } from '../model/policy.ts';
import type { PolicyLevels } from './levels.ts';
import { toMs } from './seconds.ts';

const DEFAULT_MIN_WEIGHT_PERCENT = 10;
const DEFAULT_INTERVAL_SECONDS = 1;

/** Undefined where no level asks for it, and where the nearest that names it switches it off. */
export function effectiveWarmUp(levels: PolicyLevels): WarmUpPolicy | undefined {
  const group = levels.group((fields) => fields.warmUpConf);
  group.note('warm_up_conf');
  if (group.members === undefined || group.members.off === true) return undefined;
  const take = (name: string, of: (members: WarmUpConf) => number | undefined): number | undefined =>
    group.take(`warm_up_conf.${name}`, of);
  const percent = take('min_weight_percent', (members) => members.minWeightPercent) ?? DEFAULT_MIN_WEIGHT_PERCENT;
  return {
    windowMs: toMs(take('slow_start_time_seconds', (members) => members.slowStartTimeSeconds) ?? 0),
    minShare: percent / 100,
    intervalMs: toMs(take('interval', (members) => members.interval) ?? DEFAULT_INTERVAL_SECONDS),
    aggression: take('aggression', (members) => members.aggression) ?? 1,
    graceMs: toMs(take('startup_grace_period_seconds', (members) => members.startupGracePeriodSeconds) ?? 0),
  };
}
