// Ejection of endpoints of one service port: one group.
import type { OutlierDetection } from '../gen/outrigger/config/v1/upstream.ts';
import { DEFAULT_OUTLIER } from '../model/defaults.ts';
import type { OutlierPolicy } from '../model/policy.ts';
import type { PolicyLevels } from './levels.ts';
import { toMs } from './seconds.ts';

/** Undefined where no level asks for it, and where the nearest that names it switches it off. */
export function effectiveOutlierDetection(levels: PolicyLevels): OutlierPolicy | undefined {
  const group = levels.group((fields) => fields.outlierDetection);
  group.note('outlier_detection');
  if (group.members === undefined || group.members.off === true) return undefined;
  const take = <T>(name: string, of: (members: OutlierDetection) => T | undefined): T | undefined =>
    group.take(`outlier_detection.${name}`, of);
  const { enforcing, ...defaults } = DEFAULT_OUTLIER;
  const baseEjectionMs = toMs(take('base_ejection_time', (m) => m.baseEjectionTime)) ?? defaults.baseEjectionMs;
  return {
    consecutive5xx: take('consecutive_5xx', (m) => m.consecutive5xx) ?? defaults.consecutive5xx,
    consecutiveGatewayFailure:
      take('consecutive_gateway_failure', (m) => m.consecutiveGatewayFailure) ?? defaults.consecutiveGatewayFailure,
    consecutiveLocalOriginFailure:
      take('consecutive_local_origin_failure', (m) => m.consecutiveLocalOriginFailure) ??
      defaults.consecutiveLocalOriginFailure,
    splitLocalOrigin:
      take('split_external_local_origin_errors', (m) => m.splitExternalLocalOriginErrors) ?? defaults.splitLocalOrigin,
    intervalMs: toMs(take('interval', (m) => m.interval)) ?? defaults.intervalMs,
    baseEjectionMs,
    maxEjectionMs:
      toMs(take('max_ejection_time', (m) => m.maxEjectionTime)) ?? Math.max(defaults.maxEjectionMs, baseEjectionMs),
    maxEjectionJitterMs:
      toMs(take('max_ejection_time_jitter', (m) => m.maxEjectionTimeJitter)) ?? defaults.maxEjectionJitterMs,
    maxEjectionPercent: take('max_ejection_percent', (m) => m.maxEjectionPercent) ?? defaults.maxEjectionPercent,
    enforcing: {
      consecutive5xx: take('enforcing_consecutive_5xx', (m) => m.enforcingConsecutive5xx) ?? enforcing.consecutive5xx,
      consecutiveGatewayFailure:
        take('enforcing_consecutive_gateway_failure', (m) => m.enforcingConsecutiveGatewayFailure) ??
        enforcing.consecutiveGatewayFailure,
      consecutiveLocalOriginFailure:
        take('enforcing_consecutive_local_origin_failure', (m) => m.enforcingConsecutiveLocalOriginFailure) ??
        enforcing.consecutiveLocalOriginFailure,
      successRate: take('enforcing_success_rate', (m) => m.enforcingSuccessRate) ?? enforcing.successRate,
      localOriginSuccessRate:
        take('enforcing_local_origin_success_rate', (m) => m.enforcingLocalOriginSuccessRate) ??
        enforcing.localOriginSuccessRate,
      failurePercentage:
        take('enforcing_failure_percentage', (m) => m.enforcingFailurePercentage) ?? enforcing.failurePercentage,
      failurePercentageLocalOrigin:
        take('enforcing_failure_percentage_local_origin', (m) => m.enforcingFailurePercentageLocalOrigin) ??
        enforcing.failurePercentageLocalOrigin,
    },
    successRateMinimumHosts:
      take('success_rate_minimum_hosts', (m) => m.successRateMinimumHosts) ?? defaults.successRateMinimumHosts,
    successRateRequestVolume:
      take('success_rate_request_volume', (m) => m.successRateRequestVolume) ?? defaults.successRateRequestVolume,
    successRateStdevFactor:
      take('success_rate_stdev_factor', (m) => m.successRateStdevFactor) ?? defaults.successRateStdevFactor,
    failurePercentageThreshold:
      take('failure_percentage_threshold', (m) => m.failurePercentageThreshold) ?? defaults.failurePercentageThreshold,
    failurePercentageMinimumHosts:
      take('failure_percentage_minimum_hosts', (m) => m.failurePercentageMinimumHosts) ??
      defaults.failurePercentageMinimumHosts,
    failurePercentageRequestVolume:
      take('failure_percentage_request_volume', (m) => m.failurePercentageRequestVolume) ??
      defaults.failurePercentageRequestVolume,
    activeSuccessUnejects:
      take('successful_active_health_check_uneject_host', (m) => m.successfulActiveHealthCheckUnejectHost) ??
      defaults.activeSuccessUnejects,
    latencyFactor: take('latency_factor', (m) => m.latencyFactor) ?? defaults.latencyFactor,
    latencyMinimumHosts: take('latency_minimum_hosts', (m) => m.latencyMinimumHosts) ?? defaults.latencyMinimumHosts,
    latencyRequestVolume:
      take('latency_request_volume', (m) => m.latencyRequestVolume) ?? defaults.latencyRequestVolume,
  };
}
