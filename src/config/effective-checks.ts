// Health checks of one service port. `checks.active` and `checks.passive` are a group each.
import type { ActiveCheck, PassiveCheck } from '../gen/outrigger/config/v1/upstream.ts';
import { DEFAULT_ACTIVE, DEFAULT_PASSIVE, TRANSPORT_ONLY_PASSIVE } from '../model/defaults.ts';
import type { ActivePolicy, ChecksPolicy, HostPolicy, PassivePolicy } from '../model/policy.ts';
import { splitFieldLine } from './decode/checks.ts';
import type { Group, PolicyLevels } from './levels.ts';
import { toMs } from './seconds.ts';

/** Undefined where neither is on. Passive checks that are left out beside active ones count transport failures only. */
export function effectiveChecks(levels: PolicyLevels, host: HostPolicy): ChecksPolicy | undefined {
  const activeGroup = levels.group((fields) => fields.checks?.active);
  const passiveGroup = levels.group((fields) => fields.checks?.passive);
  activeGroup.note('checks.active');
  passiveGroup.note('checks.passive');
  const isActive = activeGroup.members !== undefined && activeGroup.members.off !== true;
  const active = isActive ? activePolicy(activeGroup, host) : undefined;
  let passive: PassivePolicy | undefined;
  if (passiveGroup.members === undefined) passive = active && passivePolicy(passiveGroup, TRANSPORT_ONLY_PASSIVE);
  else if (passiveGroup.members.off !== true) passive = passivePolicy(passiveGroup, DEFAULT_PASSIVE);
  return active || passive ? { active, passive } : undefined;
}

/** Probes have no caller who names a host, so they ask for the one that every call is rewritten to (APISIX). */
function activePolicy(group: Group<ActiveCheck>, { upstreamHost }: HostPolicy): ActivePolicy {
  const take = <T>(name: string, of: (check: ActiveCheck) => T | undefined): T | undefined =>
    group.take(`checks.active.${name}`, of);
  const takeList = <T>(name: string, of: (check: ActiveCheck) => readonly T[] | undefined): readonly T[] | undefined =>
    group.takeList(`checks.active.${name}`, of);
  const { healthy, unhealthy, ...defaults } = DEFAULT_ACTIVE;
  return {
    type: (take('type', (check) => check.type) ?? defaults.type) as ActivePolicy['type'],
    verifyCertificate: take('https_verify_certificate', (check) => check.httpsVerifyCertificate),
    timeoutMs: toMs(take('timeout', (check) => check.timeout)) ?? defaults.timeoutMs,
    concurrency: take('concurrency', (check) => check.concurrency) ?? defaults.concurrency,
    host: take('host', (check) => check.host) || upstreamHost || undefined,
    port: take('port', (check) => check.port),
    httpPath: take('http_path', (check) => check.httpPath) ?? defaults.httpPath,
    httpMethod: take('http_method', (check) => check.httpMethod) ?? defaults.httpMethod,
    requestFields:
      takeList('req_headers', (check) => check.reqHeaders)?.flatMap((line) => splitFieldLine(line) ?? []) ?? [],
    grpcService: take('grpc_service', (check) => check.grpcService) ?? defaults.grpcService,
    httpBody: take('http_req_body', (check) => check.httpReqBody) ?? defaults.httpBody,
    start: (take('start', (check) => check.start) ?? defaults.start) as ActivePolicy['start'],
    healthy: {
      intervalMs: toMs(take('healthy.interval', (check) => check.healthy?.interval)) ?? healthy.intervalMs,
      statuses: takeList('healthy.http_statuses', (check) => check.healthy?.httpStatuses) ?? healthy.statuses,
      successes: take('healthy.successes', (check) => check.healthy?.successes) ?? healthy.successes,
    },
    unhealthy: {
      intervalMs: toMs(take('unhealthy.interval', (check) => check.unhealthy?.interval)) ?? unhealthy.intervalMs,
      statuses: takeList('unhealthy.http_statuses', (check) => check.unhealthy?.httpStatuses) ?? unhealthy.statuses,
      httpFailures: take('unhealthy.http_failures', (check) => check.unhealthy?.httpFailures) ?? unhealthy.httpFailures,
      tcpFailures: take('unhealthy.tcp_failures', (check) => check.unhealthy?.tcpFailures) ?? unhealthy.tcpFailures,
      timeouts: take('unhealthy.timeouts', (check) => check.unhealthy?.timeouts) ?? unhealthy.timeouts,
    },
  };
}

/** `type` has no effect; it is noted as what somebody wrote. */
function passivePolicy(group: Group<PassiveCheck>, defaults: PassivePolicy): PassivePolicy {
  const take = <T>(name: string, of: (check: PassiveCheck) => T | undefined): T | undefined =>
    group.take(`checks.passive.${name}`, of);
  const takeList = (name: string, of: (check: PassiveCheck) => readonly number[] | undefined) =>
    group.takeList(`checks.passive.${name}`, of);
  take('type', (check) => check.type);
  const returnAfterMs =
    toMs(take('unhealthy.return_after', (check) => check.unhealthy?.returnAfter)) ?? defaults.returnAfterMs;
  return {
    healthyStatuses:
      takeList('healthy.http_statuses', (check) => check.healthy?.httpStatuses) ?? defaults.healthyStatuses,
    successes: take('healthy.successes', (check) => check.healthy?.successes) ?? defaults.successes,
    unhealthyStatuses:
      takeList('unhealthy.http_statuses', (check) => check.unhealthy?.httpStatuses) ?? defaults.unhealthyStatuses,
    httpFailures: take('unhealthy.http_failures', (check) => check.unhealthy?.httpFailures) ?? defaults.httpFailures,
    tcpFailures: take('unhealthy.tcp_failures', (check) => check.unhealthy?.tcpFailures) ?? defaults.tcpFailures,
    timeouts: take('unhealthy.timeouts', (check) => check.unhealthy?.timeouts) ?? defaults.timeouts,
    returnAfterMs,
    maxReturnAfterMs:
      toMs(take('unhealthy.max_return_after', (check) => check.unhealthy?.maxReturnAfter)) ??
      Math.max(defaults.maxReturnAfterMs, returnAfterMs),
  };
}
