import type { OutlierDetection } from '../../gen/outrigger/config/v1/upstream.ts';
import { DEFAULT_OUTLIER } from '../../model/defaults.ts';
import { member, type ProblemList } from '../problem-list.ts';
import { checkLeast, checkRange, checkSeconds } from './values.ts';

/** Checks the ejection of endpoints of one level. Counts have no bound but that of their type; 0 is off. */
export function checkOutlierDetection(
  detection: OutlierDetection | undefined,
  problems: ProblemList,
  path: string,
): void {
  if (detection === undefined) return;
  const at = (name: string): string => member(path, name);
  checkSeconds(problems, at('interval'), detection.interval, { above: 0 });
  checkSeconds(problems, at('base_ejection_time'), detection.baseEjectionTime, { above: 0 });
  checkSeconds(problems, at('max_ejection_time'), detection.maxEjectionTime, { above: 0 });
  checkSeconds(problems, at('max_ejection_time_jitter'), detection.maxEjectionTimeJitter, { least: 0 });
  const base = detection.baseEjectionTime ?? DEFAULT_OUTLIER.baseEjectionMs / 1000;
  if (detection.maxEjectionTime !== undefined && detection.maxEjectionTime > 0 && detection.maxEjectionTime < base) {
    problems.add(at('max_ejection_time'), `must be base_ejection_time (${base}) or more`);
  }
  for (const [name, percent] of [
    ['max_ejection_percent', detection.maxEjectionPercent],
    ['enforcing_consecutive_5xx', detection.enforcingConsecutive5xx],
    ['enforcing_consecutive_gateway_failure', detection.enforcingConsecutiveGatewayFailure],
    ['enforcing_consecutive_local_origin_failure', detection.enforcingConsecutiveLocalOriginFailure],
    ['enforcing_success_rate', detection.enforcingSuccessRate],
    ['enforcing_local_origin_success_rate', detection.enforcingLocalOriginSuccessRate],
    ['enforcing_failure_percentage', detection.enforcingFailurePercentage],
    ['enforcing_failure_percentage_local_origin', detection.enforcingFailurePercentageLocalOrigin],
  ] as const) {
    checkRange(problems, at(name), percent, 0, 100);
  }
  checkRange(problems, at('failure_percentage_threshold'), detection.failurePercentageThreshold, 1, 100);
  const factor = detection.latencyFactor;
  if (factor !== undefined && factor !== 0 && !(factor >= 1 && factor <= Number.MAX_SAFE_INTEGER)) {
    problems.add(at('latency_factor'), `must be 0 (off) or 1 and more, not ${factor}`);
  }
  checkLeast(problems, at('latency_minimum_hosts'), detection.latencyMinimumHosts, 2);
}
