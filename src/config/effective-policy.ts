// Inheritance: the policy of one service port is the port's value, else the upstream's, else the default.
//
//   one by one   scheme · retry_timeout · retry_on · retry_methods · per_try_timeout · all_unhealthy · panic_threshold ·
//                the members of timeout, keepalive_pool, retry_backoff and circuit_breakers
//   as a group   {type, hash_on, key, hash_balance_factor, ewma_formula} · {retries, max_attempts} ·
//                {pass_host, upstream_host} · {service_name, discovery_type, discovery_args} · tls · checks.active ·
//                checks.passive · outlier_detection · warm_up_conf
//
// `off` of a group is a setting like any other: it takes the group over and leaves nothing of it.
import type { CircuitBreakers, KeepalivePool, Timeout, Upstream } from '../gen/outrigger/config/v1/upstream.ts';
import {
  DEFAULT_ATTEMPTS,
  DEFAULT_BALANCER,
  DEFAULT_CIRCUIT_BREAKERS,
  DEFAULT_KEEPALIVE,
  DEFAULT_TIMEOUT,
} from '../model/defaults.ts';
import {
  type AttemptsPolicy,
  type BalancerPolicy,
  type CircuitBreakerPolicy,
  type HostPolicy,
  isSecureScheme,
  type KeepalivePolicy,
  type PortPolicy,
  type Provenance,
  type RetryBackoffPolicy,
  type Scheme,
  type TimeoutPolicy,
} from '../model/policy.ts';
import { readServiceName, type ServiceName, setsDiscovery } from './decode/nodes.ts';
import type { PolicyFields } from './decode/upstream.ts';
import { effectiveChecks } from './effective-checks.ts';
import { effectiveOutlierDetection } from './effective-outlier.ts';
import { effectiveTls } from './effective-tls.ts';
import { effectiveWarmUp } from './effective-warm-up.ts';
import { PolicyLevels } from './levels.ts';
import { PolicyTable } from './policy-table.ts';
import type { Resource } from './resource.ts';
import { toMs } from './seconds.ts';

/** A policy and where each of its values came from. */
export interface EffectivePolicy {
  readonly policy: PortPolicy;
  readonly provenance: Provenance;
  /** Name by which the endpoints are found in DNS (`discovery_type: dns`); undefined: they come from elsewhere. */
  readonly service: ServiceName | undefined;
}

/** Results of an Upstream: one per port level setting, and one that all other ports share (under its index -1). */
const cache = new WeakMap<Resource<'Upstream'>, Map<number, EffectivePolicy>>();
/** The same for Upstreams of equal content. */
const shared = new PolicyTable<Map<number, EffectivePolicy>>();

/** The policy of a service port. The same resource object gives the same objects again, and so does one of equal policy. */
export function effectivePolicy(upstream: Resource<'Upstream'>, servicePort: number): EffectivePolicy {
  let results = cache.get(upstream);
  if (results === undefined) {
    results = shared.share(upstream.message, () => new Map<number, EffectivePolicy>());
    cache.set(upstream, results);
  }
  const index = settingsIndex(upstream.message, servicePort);
  let result = results.get(index);
  if (result === undefined) results.set(index, (result = resolve(upstream, index)));
  return result;
}

/**
 * Whether the endpoints of a service port come in a resource of their own: not where there are nodes or a registry, nor for the
 * port 0 of the gateway, which is no service port.
 */
export function needsEndpoints({ message }: Resource<'Upstream'>, servicePort: number): boolean {
  if (servicePort === 0 || message.nodes.length > 0) return false;
  const settings = message.portLevelSettings[settingsIndex(message, servicePort)];
  return !setsDiscovery(message) && !(settings !== undefined && setsDiscovery(settings));
}

function settingsIndex(upstream: Upstream, servicePort: number): number {
  return upstream.portLevelSettings.findIndex(({ port }) => port === servicePort);
}

function resolve({ name, message: upstream }: Resource<'Upstream'>, index: number): EffectivePolicy {
  const levels = new PolicyLevels(upstream, index);
  const balancer = balancing(levels);
  const scheme = (levels.take('scheme', (fields) => fields.scheme) ?? 'http') as Scheme;
  const host = hostPolicy(levels);
  const checks = effectiveChecks(levels, host);
  const overTls = isSecureScheme(scheme) || checks?.active?.type === 'https';
  const allUnhealthy = levels.take('all_unhealthy', (fields) => fields.allUnhealthy) ?? 'use-all';
  const policy: PortPolicy = {
    scheme,
    balancer,
    attempts: attemptsPolicy(levels),
    timeout: timeoutPolicy(levels),
    keepalivePool: keepalivePolicy(levels),
    host,
    tls: effectiveTls(levels, `Upstream ${name}`, overTls),
    checks,
    outlierDetection: effectiveOutlierDetection(levels),
    circuitBreakers: circuitBreakers(levels),
    warmUp: effectiveWarmUp(levels),
    allUnhealthy: allUnhealthy as PortPolicy['allUnhealthy'],
    panicThreshold: levels.take('panic_threshold', (fields) => fields.panicThreshold) ?? 0,
  };
  return { policy, provenance: levels.provenance, service: serviceName(levels) };
}

function balancing(levels: PolicyLevels): BalancerPolicy {
  const group = levels.group((fields) => {
    const { type, hashOn, key, hashBalanceFactor, ewmaFormula } = fields;
    return (type ?? hashOn ?? key ?? hashBalanceFactor ?? ewmaFormula) === undefined ? undefined : fields;
  });
  const type = group.take('type', (fields) => fields.type);
  const hashOn = group.take('hash_on', (fields) => fields.hashOn);
  const formula = group.take('ewma_formula', (fields) => fields.ewmaFormula);
  const defaults = DEFAULT_BALANCER;
  return {
    type: (type ?? defaults.type) as BalancerPolicy['type'],
    hashOn: (hashOn ?? defaults.hashOn) as BalancerPolicy['hashOn'],
    key: group.take('key', (fields) => fields.key) ?? defaults.key,
    hashBalanceFactor: group.take('hash_balance_factor', (fields) => fields.hashBalanceFactor) ?? 0,
    ewmaFormula: (formula ?? defaults.ewmaFormula) as BalancerPolicy['ewmaFormula'],
  };
}

function attemptsPolicy(levels: PolicyLevels): AttemptsPolicy {
  const defaults = DEFAULT_ATTEMPTS;
  return {
    maxAttempts: maxAttempts(levels),
    retryTimeoutMs: toMs(levels.take('retry_timeout', (fields) => fields.retryTimeout)) ?? defaults.retryTimeoutMs,
    perTryTimeoutMs: toMs(levels.take('per_try_timeout', (fields) => fields.perTryTimeout)) ?? defaults.perTryTimeoutMs,
    retryOn: levels.takeList('retry_on', (fields) => fields.retryOn) ?? defaults.retryOn,
    retryMethods: levels.takeList('retry_methods', (fields) => fields.retryMethods) ?? defaults.retryMethods,
    backoff: retryBackoff(levels),
  };
}

/**
 * The level that sets `retries` or `max_attempts` replaces both. `retries` counts what follows the first attempt. Whichever
 * of the two was written, `max_attempts` follows from it, and so has its level; `retries` only where it was written.
 */
function maxAttempts(levels: PolicyLevels): number | undefined {
  const group = levels.group((fields) => ((fields.retries ?? fields.maxAttempts) === undefined ? undefined : fields));
  const retries = group.take('retries', (fields) => fields.retries);
  const maxAttempts = group.take('max_attempts', (fields) => fields.maxAttempts);
  group.note('max_attempts');
  return retries === undefined ? maxAttempts : retries + 1;
}

/** The longest wait is ten times the first where nobody says more. */
function retryBackoff(levels: PolicyLevels): RetryBackoffPolicy {
  const initial = levels.take('retry_backoff.initial', (fields) => fields.retryBackoff?.initial) ?? 0;
  const max = levels.take('retry_backoff.max', (fields) => fields.retryBackoff?.max) ?? 10 * initial;
  return { initialMs: toMs(initial), maxMs: toMs(max) };
}

function timeoutPolicy(levels: PolicyLevels): TimeoutPolicy {
  const take = (name: keyof Timeout): number | undefined =>
    levels.take(`timeout.${name}`, (fields) => fields.timeout?.[name] as number | undefined);
  const send = take('send');
  const read = take('read');
  return {
    connectMs: toMs(take('connect')) ?? DEFAULT_TIMEOUT.connectMs,
    sendMs: toMs(send) ?? DEFAULT_TIMEOUT.sendMs,
    readMs: toMs(read) ?? DEFAULT_TIMEOUT.readMs,
    sendIsSet: send !== undefined,
    readIsSet: read !== undefined,
    totalMs: toMs(take('total')) ?? DEFAULT_TIMEOUT.totalMs,
    idleMs: toMs(take('idle')) ?? DEFAULT_TIMEOUT.idleMs,
  };
}

/** `off` keeps no connection, so where it is true the size comes from the level that says so. */
function keepalivePolicy(levels: PolicyLevels): KeepalivePolicy {
  const take = <T>(name: string, of: (pool: KeepalivePool) => T | undefined): T | undefined =>
    levels.take(`keepalive_pool.${name}`, ({ keepalivePool }) => keepalivePool && of(keepalivePool));
  const size = take('size', (pool) => pool.size) ?? DEFAULT_KEEPALIVE.size;
  const isOff = take('off', (pool) => pool.off) === true;
  if (isOff) levels.take('keepalive_pool.size', (fields) => fields.keepalivePool?.off);
  return {
    size: isOff ? 0 : size,
    idleTimeoutMs: toMs(take('idle_timeout', (pool) => pool.idleTimeout)) ?? DEFAULT_KEEPALIVE.idleTimeoutMs,
    requests: take('requests', (pool) => pool.requests) ?? DEFAULT_KEEPALIVE.requests,
  };
}

/** The level that sets one of the two replaces both; `upstream_host` counts only where that level says `rewrite`. */
function hostPolicy(levels: PolicyLevels): HostPolicy {
  const group = levels.group((fields) => ((fields.passHost ?? fields.upstreamHost) === undefined ? undefined : fields));
  const passHost = group.take('pass_host', (fields) => fields.passHost);
  const upstreamHost = group.take('upstream_host', (fields) => fields.upstreamHost);
  return {
    passHost: (passHost ?? 'pass') as HostPolicy['passHost'],
    upstreamHost: passHost === 'rewrite' ? (upstreamHost ?? '') : '',
  };
}

function circuitBreakers(levels: PolicyLevels): CircuitBreakerPolicy {
  const take = (name: string, of: (limits: CircuitBreakers) => number | undefined): number | undefined =>
    levels.take(`circuit_breakers.${name}`, (fields) => fields.circuitBreakers && of(fields.circuitBreakers));
  const none = DEFAULT_CIRCUIT_BREAKERS;
  return {
    maxConnections: take('max_connections', (limits) => limits.maxConnections) ?? none.maxConnections,
    maxPendingRequests: take('max_pending_requests', (limits) => limits.maxPendingRequests) ?? none.maxPendingRequests,
    maxRequests: take('max_requests', (limits) => limits.maxRequests) ?? none.maxRequests,
    maxRetries: take('max_retries', (limits) => limits.maxRetries) ?? none.maxRetries,
    maxRequestsPerEndpoint:
      take('max_requests_per_endpoint', (limits) => limits.maxRequestsPerEndpoint) ?? none.maxRequestsPerEndpoint,
  };
}

/** Both texts stand at one level; those of `dns` have been checked. */
function serviceName(levels: PolicyLevels): ServiceName | undefined {
  const group = levels.group((fields: PolicyFields) => (setsDiscovery(fields) ? fields : undefined));
  const text = group.take('service_name', (fields) => fields.serviceName);
  group.take('discovery_type', (fields) => fields.discoveryType);
  group.take('discovery_args', (fields) => (Object.keys(fields.discoveryArgs).length > 0 ? true : undefined));
  const read = text === undefined ? undefined : readServiceName(text);
  return read?.ok === true ? read.service : undefined;
}
