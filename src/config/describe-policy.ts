// The effective policy of a service port in words, for `explain` and readers of the snapshot: one line per value, each with
// its source. Nothing that may hold a secret is shown: of TLS the sources, of probes the names of further fields and the
// size of the body.
import type {
  ActivePolicy,
  AttemptsPolicy,
  ChecksPolicy,
  OutlierPolicy,
  PassivePolicy,
  PortPolicy,
  Provenance,
  WarmUpPolicy,
} from '../model/policy.ts';
import type { UpstreamPort } from '../model/snapshot.ts';
import type { AllowedName, AuthoritiesSource, CertificateSource, UpstreamTlsPolicy } from '../model/tls.ts';
import { BY_DEFAULT } from './levels.ts';
import { printable } from './problem-list.ts';

/**
 * `PATH: VALUE (SOURCE)` for every effective value, in a fixed order: `retries: 3 (upstream)`, `scheme: grpc (port 7001)`,
 * `timeout.read: 60s (default)`. A group that is absent is one line, `outlier_detection: off (default)`; one that is there
 * begins with a line `on`.
 */
export function describePolicy(port: UpstreamPort): string[] {
  const lines = new PolicyLines(port.provenance);
  const { policy } = port;
  lines.add('scheme', policy.scheme);
  addBalancing(policy, lines);
  addDiscovery(port, lines);
  addAttempts(policy.attempts, lines);
  addTransport(policy, lines);
  addTls(policy.tls, lines);
  addChecks(policy.checks, lines);
  addOutlierDetection(policy.outlierDetection, lines);
  addLimits(policy, lines);
  addWarmUp(policy.warmUp, lines);
  lines.add('all_unhealthy', policy.allUnhealthy);
  lines.add('panic_threshold', policy.panicThreshold);
  return lines.list;
}

/** Characters of a value that are shown: a template or a list may have any number. */
const MAX_LENGTH = 1000;

/** A value as it is written; a list stands in brackets. */
type Shown = string | number | boolean | readonly (string | number)[];

class PolicyLines {
  readonly list: string[] = [];
  private readonly provenance: Provenance;

  constructor(provenance: Provenance) {
    this.provenance = provenance;
  }

  /** `default` where no level set it. */
  source(path: string): string {
    return this.provenance.get(path) ?? BY_DEFAULT;
  }

  isSet(path: string): boolean {
    return this.source(path) !== BY_DEFAULT;
  }

  add(path: string, value: Shown): void {
    const words = typeof value === 'object' ? `[${value.join(', ')}]` : String(value);
    this.list.push(`${path}: ${printable(words, MAX_LENGTH)} (${this.source(path)})`);
  }

  /** A time: `60s`, `1.5s`, `500ms`. */
  addMs(path: string, ms: number): void {
    this.add(path, ms > 0 && ms < 1000 ? `${ms}ms` : `${ms / 1000}s`);
  }
}

function addBalancing({ balancer }: PortPolicy, lines: PolicyLines): void {
  lines.add('type', balancer.type);
  lines.add('hash_on', balancer.hashOn);
  lines.add('key', balancer.key === '' ? 'none' : balancer.key);
  lines.add('hash_balance_factor', balancer.hashBalanceFactor);
  lines.add('ewma_formula', balancer.ewmaFormula);
}

function addDiscovery({ names }: UpstreamPort, lines: PolicyLines): void {
  const service = names.find(({ kind }) => kind === 'service');
  if (service === undefined) return lines.add('discovery_type', 'off');
  lines.add('discovery_type', 'dns');
  lines.add('service_name', service.portIsSet ? `${service.name}:${service.port}` : service.name);
}

function addAttempts(attempts: AttemptsPolicy, lines: PolicyLines): void {
  const { maxAttempts } = attempts;
  if (maxAttempts === undefined) lines.add('retries', 'nodes - 1');
  else if (lines.isSet('retries')) lines.add('retries', maxAttempts - 1);
  else lines.add('max_attempts', maxAttempts);
  lines.addMs('retry_timeout', attempts.retryTimeoutMs);
  lines.addMs('per_try_timeout', attempts.perTryTimeoutMs);
  lines.add('retry_on', attempts.retryOn);
  // The default is no list of its own: it also has the gRPC calls that a status of `retry_on` ends.
  lines.add('retry_methods', attempts.retryMethods.length === 0 ? 'idempotent' : attempts.retryMethods);
  lines.addMs('retry_backoff.initial', attempts.backoff.initialMs);
  lines.addMs('retry_backoff.max', attempts.backoff.maxMs);
}

function addTransport({ timeout, keepalivePool, host }: PortPolicy, lines: PolicyLines): void {
  lines.addMs('timeout.connect', timeout.connectMs);
  lines.addMs('timeout.send', timeout.sendMs);
  lines.addMs('timeout.read', timeout.readMs);
  lines.addMs('timeout.total', timeout.totalMs);
  lines.addMs('timeout.idle', timeout.idleMs);
  lines.add('keepalive_pool.size', keepalivePool.size);
  lines.addMs('keepalive_pool.idle_timeout', keepalivePool.idleTimeoutMs);
  lines.add('keepalive_pool.requests', keepalivePool.requests);
  lines.add('pass_host', host.passHost);
  lines.add('upstream_host', host.upstreamHost === '' ? 'none' : host.upstreamHost);
}

/** A setting without effect, as nothing of the port speaks TLS, keeps its source. */
function addTls(tls: UpstreamTlsPolicy | undefined, lines: PolicyLines): void {
  if (tls === undefined) return lines.add('tls', lines.isSet('tls') ? 'without effect' : 'off');
  lines.add('tls', 'on');
  lines.add('tls.verify', tls.verify);
  lines.add(lines.isSet('tls.ca_certs') ? 'tls.ca_certs' : 'tls.ca', sourceWords(tls.ca));
  const certificate = ['tls.client_cert', 'tls.client_cert_id'].find((path) => lines.isSet(path));
  lines.add(certificate ?? 'tls.client_certificate', sourceWords(tls.clientCertificate));
  lines.add('tls.server_name', tls.serverName ?? 'the host that is sent');
  lines.add('tls.server_names', tls.serverNames.map(nameWords));
}

/** Where material comes from, never what it is. */
function sourceWords(source: AuthoritiesSource | CertificateSource | undefined): string {
  switch (source?.kind) {
    case undefined:
      return 'none';
    case 'system':
      return 'system';
    case 'secret':
      return `secret ${source.name}`;
    case 'file':
      return `file ${source.file}`;
    case 'files':
      return `files ${source.certificateFile}, ${source.keyFile}`;
    case 'inline':
      return `inline in ${source.owner}`;
  }
}

function nameWords({ type, value }: AllowedName): string {
  return `${type} ${value}`;
}

function addChecks(checks: ChecksPolicy | undefined, lines: PolicyLines): void {
  addActive(checks?.active, lines);
  addPassive(checks?.passive, lines);
}

function addActive(active: ActivePolicy | undefined, lines: PolicyLines): void {
  const at = (name: string): string => `checks.active${name}`;
  if (active === undefined) return lines.add(at(''), 'off');
  const { healthy, unhealthy } = active;
  lines.add(at(''), 'on');
  lines.add(at('.type'), active.type);
  lines.addMs(at('.timeout'), active.timeoutMs);
  lines.add(at('.concurrency'), active.concurrency);
  lines.add(at('.host'), active.host ?? "the endpoint's");
  lines.add(at('.port'), active.port ?? "the endpoint's");
  lines.add(at('.http_path'), active.httpPath);
  lines.add(at('.http_method'), active.httpMethod);
  lines.add(at('.http_req_body'), active.httpBody === '' ? 'none' : `${Buffer.byteLength(active.httpBody)} bytes`);
  const fieldNames = active.requestFields.filter((_, i) => i % 2 === 0);
  lines.add(at('.req_headers'), fieldNames);
  lines.add(at('.https_verify_certificate'), active.verifyCertificate ?? 'as the calls do');
  lines.add(at('.grpc_service'), active.grpcService === '' ? 'the whole server' : active.grpcService);
  lines.add(at('.start'), active.start);
  lines.addMs(at('.healthy.interval'), healthy.intervalMs);
  lines.add(at('.healthy.http_statuses'), healthy.statuses);
  lines.add(at('.healthy.successes'), healthy.successes);
  lines.addMs(at('.unhealthy.interval'), unhealthy.intervalMs);
  lines.add(at('.unhealthy.http_statuses'), unhealthy.statuses);
  lines.add(at('.unhealthy.http_failures'), unhealthy.httpFailures);
  lines.add(at('.unhealthy.tcp_failures'), unhealthy.tcpFailures);
  lines.add(at('.unhealthy.timeouts'), unhealthy.timeouts);
}

function addPassive(passive: PassivePolicy | undefined, lines: PolicyLines): void {
  const at = (name: string): string => `checks.passive${name}`;
  if (passive === undefined) return lines.add(at(''), 'off');
  lines.add(at(''), 'on');
  lines.add(at('.healthy.http_statuses'), passive.healthyStatuses);
  lines.add(at('.healthy.successes'), passive.successes);
  lines.add(at('.unhealthy.http_statuses'), passive.unhealthyStatuses);
  lines.add(at('.unhealthy.http_failures'), passive.httpFailures);
  lines.add(at('.unhealthy.tcp_failures'), passive.tcpFailures);
  lines.add(at('.unhealthy.timeouts'), passive.timeouts);
  lines.addMs(at('.unhealthy.return_after'), passive.returnAfterMs);
  lines.addMs(at('.unhealthy.max_return_after'), passive.maxReturnAfterMs);
}

function addOutlierDetection(outlier: OutlierPolicy | undefined, lines: PolicyLines): void {
  const at = (name: string): string => `outlier_detection${name}`;
  if (outlier === undefined) return lines.add(at(''), 'off');
  const { enforcing } = outlier;
  lines.add(at(''), 'on');
  lines.add(at('.consecutive_5xx'), outlier.consecutive5xx);
  lines.add(at('.consecutive_gateway_failure'), outlier.consecutiveGatewayFailure);
  lines.add(at('.consecutive_local_origin_failure'), outlier.consecutiveLocalOriginFailure);
  lines.add(at('.split_external_local_origin_errors'), outlier.splitLocalOrigin);
  lines.addMs(at('.interval'), outlier.intervalMs);
  lines.addMs(at('.base_ejection_time'), outlier.baseEjectionMs);
  lines.addMs(at('.max_ejection_time'), outlier.maxEjectionMs);
  lines.addMs(at('.max_ejection_time_jitter'), outlier.maxEjectionJitterMs);
  lines.add(at('.max_ejection_percent'), outlier.maxEjectionPercent);
  lines.add(at('.enforcing_consecutive_5xx'), enforcing.consecutive5xx);
  lines.add(at('.enforcing_consecutive_gateway_failure'), enforcing.consecutiveGatewayFailure);
  lines.add(at('.enforcing_consecutive_local_origin_failure'), enforcing.consecutiveLocalOriginFailure);
  lines.add(at('.enforcing_success_rate'), enforcing.successRate);
  lines.add(at('.enforcing_local_origin_success_rate'), enforcing.localOriginSuccessRate);
  lines.add(at('.enforcing_failure_percentage'), enforcing.failurePercentage);
  lines.add(at('.enforcing_failure_percentage_local_origin'), enforcing.failurePercentageLocalOrigin);
  lines.add(at('.success_rate_minimum_hosts'), outlier.successRateMinimumHosts);
  lines.add(at('.success_rate_request_volume'), outlier.successRateRequestVolume);
  lines.add(at('.success_rate_stdev_factor'), outlier.successRateStdevFactor);
  lines.add(at('.failure_percentage_threshold'), outlier.failurePercentageThreshold);
  lines.add(at('.failure_percentage_minimum_hosts'), outlier.failurePercentageMinimumHosts);
  lines.add(at('.failure_percentage_request_volume'), outlier.failurePercentageRequestVolume);
  lines.add(at('.successful_active_health_check_uneject_host'), outlier.activeSuccessUnejects);
  lines.add(at('.latency_factor'), outlier.latencyFactor);
  lines.add(at('.latency_minimum_hosts'), outlier.latencyMinimumHosts);
  lines.add(at('.latency_request_volume'), outlier.latencyRequestVolume);
}

function addLimits({ circuitBreakers }: PortPolicy, lines: PolicyLines): void {
  for (const [name, limit] of [
    ['max_connections', circuitBreakers.maxConnections],
    ['max_pending_requests', circuitBreakers.maxPendingRequests],
    ['max_requests', circuitBreakers.maxRequests],
    ['max_retries', circuitBreakers.maxRetries],
    ['max_requests_per_endpoint', circuitBreakers.maxRequestsPerEndpoint],
  ] as const) {
    lines.add(`circuit_breakers.${name}`, limit === 0 ? 'no limit' : limit);
  }
}

function addWarmUp(warmUp: WarmUpPolicy | undefined, lines: PolicyLines): void {
  const at = (name: string): string => `warm_up_conf${name}`;
  if (warmUp === undefined) return lines.add(at(''), 'off');
  lines.add(at(''), 'on');
  lines.addMs(at('.slow_start_time_seconds'), warmUp.windowMs);
  lines.add(at('.min_weight_percent'), Math.round(warmUp.minShare * 100));
  lines.addMs(at('.interval'), warmUp.intervalMs);
  lines.add(at('.aggression'), warmUp.aggression);
  lines.addMs(at('.startup_grace_period_seconds'), warmUp.graceMs);
}
