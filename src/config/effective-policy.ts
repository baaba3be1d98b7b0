// Inheritance: the policy of one service port is the port's value, else the upstream's, else the default.
//
//   one by one   scheme · members of `timeout` · members of `keepalive_pool`
//   as a group   {type, hash_on, key} · {retries, max_attempts} · {pass_host, upstream_host} · tls ·
//                checks.active · checks.passive
//
// A group comes from the first level that sets any of it; what that level leaves out takes its default and is not looked
// for further up, since half of one makes no sense with half of another. `off` at a level is a setting like any other.
// (The other group of docs/configuration.md, outlier_detection, is refused before it comes here.)
import type { UpstreamTls } from '../gen/outrigger/config/v1/tls.ts';
import type { ActiveCheck, PassiveCheck } from '../gen/outrigger/config/v1/upstream.ts';
import {
  DEFAULT_ACTIVE,
  DEFAULT_KEEPALIVE,
  DEFAULT_PASSIVE,
  DEFAULT_TIMEOUT,
  TRANSPORT_ONLY_PASSIVE,
} from '../model/defaults.ts';
import {
  type ActivePolicy,
  type ChecksPolicy,
  type HostPolicy,
  isSecureScheme,
  type PassivePolicy,
  type PortPolicy,
  type Provenance,
  type Scheme,
} from '../model/policy.ts';
import type { UpstreamTlsPolicy } from '../model/tls.ts';
import { splitFieldLine } from './decode/checks.ts';
import type { PolicyFields } from './decode/upstream.ts';
import type { Resource } from './resource.ts';
import { DEFAULT_UPSTREAM_TLS, upstreamTlsPolicy } from './tls-specs.ts';

/** A policy and where each of its values came from. */
export interface EffectivePolicy {
  readonly policy: PortPolicy;
  readonly provenance: Provenance;
}

/** A place that sets values, as provenance calls it. */
interface Level {
  readonly name: string;
  readonly fields: PolicyFields;
}

/** Results of an Upstream: one per port level setting, and one that all other ports share (under its index -1). */
const cache = new WeakMap<Resource<'Upstream'>, Map<number, EffectivePolicy>>();

/** The policy of a service port. The same resource object gives the same objects again. */
export function effectivePolicy(upstream: Resource<'Upstream'>, servicePort: number): EffectivePolicy {
  let results = cache.get(upstream);
  if (results === undefined) cache.set(upstream, (results = new Map()));
  const index = upstream.message.portLevelSettings.findIndex((settings) => settings.port === servicePort);
  let result = results.get(index);
  if (result === undefined) results.set(index, (result = resolve(upstream, index)));
  return result;
}

function resolve({ name, message: upstream }: Resource<'Upstream'>, index: number): EffectivePolicy {
  const levels: Level[] = [{ name: 'upstream', fields: upstream }];
  const settings = upstream.portLevelSettings[index];
  if (settings !== undefined) levels.unshift({ name: `port_level_settings[${index}]`, fields: settings });
  const provenance = new Map<string, string>();

  /** Takes one value from the first level that sets it. */
  const take = <T>(path: string, of: (fields: PolicyFields) => T | undefined): T | undefined => {
    const level = levels.find(({ fields }) => of(fields) !== undefined);
    provenance.set(path, level?.name ?? 'default');
    return level && of(level.fields);
  };

  const balancing = levels.find(({ fields: { type, hashOn, key } }) => (type ?? hashOn ?? key) !== undefined);
  provenance.set('type', balancing?.fields.type === undefined ? 'default' : balancing.name);
  const scheme = (take('scheme', (fields) => fields.scheme) ?? 'http') as Scheme;
  const host = resolveHost(levels, provenance);
  const checks = resolveChecks(levels, host, provenance);
  const overTls = isSecureScheme(scheme) || checks?.active?.type === 'https';
  const maxAttempts = resolveAttempts(levels, provenance);
  const connect = take('timeout.connect', (fields) => fields.timeout?.connect);
  const send = take('timeout.send', (fields) => fields.timeout?.send);
  const readTimeout = take('timeout.read', (fields) => fields.timeout?.read);
  const idleTimeout = take('keepalive_pool.idle_timeout', (fields) => fields.keepalivePool?.idleTimeout);
  const policy: PortPolicy = {
    scheme,
    balancer: 'roundrobin',
    attempts: { maxAttempts },
    timeout: {
      connectMs: toMs(connect) ?? DEFAULT_TIMEOUT.connectMs,
      sendMs: toMs(send) ?? DEFAULT_TIMEOUT.sendMs,
      readMs: toMs(readTimeout) ?? DEFAULT_TIMEOUT.readMs,
      readIsSet: readTimeout !== undefined,
    },
    keepalivePool: {
      size: take('keepalive_pool.size', (fields) => fields.keepalivePool?.size) ?? DEFAULT_KEEPALIVE.size,
      idleTimeoutMs: toMs(idleTimeout) ?? DEFAULT_KEEPALIVE.idleTimeoutMs,
      requests:
        take('keepalive_pool.requests', (fields) => fields.keepalivePool?.requests) ?? DEFAULT_KEEPALIVE.requests,
    },
    host,
    tls: resolveTls(levels, `Upstream ${name}`, overTls, provenance),
    checks,
  };
  return { policy, provenance };
}

/** The level that sets `retries` or `max_attempts` replaces both. `retries` counts what follows the first attempt. */
function resolveAttempts(levels: readonly Level[], provenance: Map<string, string>): number | undefined {
  const level = levels.find(({ fields }) => (fields.retries ?? fields.maxAttempts) !== undefined);
  provenance.set('retries', level?.fields.retries === undefined ? 'default' : level.name);
  provenance.set('max_attempts', level?.name ?? 'default');
  const { retries, maxAttempts } = level?.fields ?? {};
  return retries === undefined ? maxAttempts : retries + 1;
}

/** The level that sets one of the two replaces both; `upstream_host` counts only where that level says `rewrite`. */
function resolveHost(levels: readonly Level[], provenance: Map<string, string>): HostPolicy {
  const level = levels.find(({ fields }) => (fields.passHost ?? fields.upstreamHost) !== undefined);
  const { passHost, upstreamHost } = level?.fields ?? {};
  provenance.set('pass_host', levelOf(level, passHost));
  provenance.set('upstream_host', levelOf(level, upstreamHost));
  return {
    passHost: (passHost ?? 'pass') as HostPolicy['passHost'],
    upstreamHost: passHost === 'rewrite' ? (upstreamHost ?? '') : '',
  };
}

/** Undefined where nothing goes over TLS: then the setting has no effect. */
function resolveTls(
  levels: readonly Level[],
  owner: string,
  overTls: boolean,
  provenance: Map<string, string>,
): UpstreamTlsPolicy | undefined {
  const level = levels.find(({ fields }) => fields.tls !== undefined);
  const tls = level?.fields.tls;
  provenance.set('tls', level?.name ?? 'default');
  if (!overTls) return undefined;
  if (tls === undefined) return DEFAULT_UPSTREAM_TLS;
  if (tls.off !== true) noteMembers(tls, TLS_MEMBERS, 'tls', level, provenance);
  return upstreamTlsPolicy(tls, owner);
}

function resolveChecks(
  levels: readonly Level[],
  host: HostPolicy,
  provenance: Map<string, string>,
): ChecksPolicy | undefined {
  const activeLevel = levels.find(({ fields }) => fields.checks?.active !== undefined);
  const passiveLevel = levels.find(({ fields }) => fields.checks?.passive !== undefined);
  provenance.set('checks.active', activeLevel?.name ?? 'default');
  provenance.set('checks.passive', passiveLevel?.name ?? 'default');
  const activeCheck = activeLevel?.fields.checks?.active;
  const passiveCheck = passiveLevel?.fields.checks?.passive;
  const active = activeCheck && activeCheck.off !== true ? activePolicy(activeCheck, host) : undefined;
  let passive: PassivePolicy | undefined;
  if (passiveCheck === undefined) passive = active && TRANSPORT_ONLY_PASSIVE;
  else if (passiveCheck.off !== true) passive = passivePolicy(passiveCheck);
  if (activeCheck && active) noteMembers(activeCheck, ACTIVE_MEMBERS, 'checks.active', activeLevel, provenance);
  if (passiveCheck && passive) noteMembers(passiveCheck, PASSIVE_MEMBERS, 'checks.passive', passiveLevel, provenance);
  return active || passive ? { active, passive } : undefined;
}

/** Probes have no caller who names a host, so they ask for the one that every call is rewritten to (APISIX). */
function activePolicy(check: ActiveCheck, { upstreamHost }: HostPolicy): ActivePolicy {
  const { healthy, unhealthy } = check;
  const defaults = DEFAULT_ACTIVE;
  return {
    type: (check.type ?? defaults.type) as ActivePolicy['type'],
    verifyCertificate: check.httpsVerifyCertificate,
    timeoutMs: toMs(check.timeout) ?? defaults.timeoutMs,
    concurrency: check.concurrency ?? defaults.concurrency,
    host: check.host || upstreamHost || undefined,
    port: check.port,
    httpPath: check.httpPath ?? defaults.httpPath,
    httpMethod: check.httpMethod ?? defaults.httpMethod,
    requestFields: check.reqHeaders.flatMap((line) => splitFieldLine(line) ?? []),
    grpcService: check.grpcService ?? defaults.grpcService,
    healthy: {
      intervalMs: toMs(healthy?.interval) ?? defaults.healthy.intervalMs,
      statuses: orDefault(healthy?.httpStatuses, defaults.healthy.statuses),
      successes: healthy?.successes ?? defaults.healthy.successes,
    },
    unhealthy: {
      intervalMs: toMs(unhealthy?.interval) ?? defaults.unhealthy.intervalMs,
      statuses: orDefault(unhealthy?.httpStatuses, defaults.unhealthy.statuses),
      httpFailures: unhealthy?.httpFailures ?? defaults.unhealthy.httpFailures,
      tcpFailures: unhealthy?.tcpFailures ?? defaults.unhealthy.tcpFailures,
      timeouts: unhealthy?.timeouts ?? defaults.unhealthy.timeouts,
    },
  };
}

function passivePolicy({ healthy, unhealthy }: PassiveCheck): PassivePolicy {
  const defaults = DEFAULT_PASSIVE;
  return {
    healthyStatuses: orDefault(healthy?.httpStatuses, defaults.healthyStatuses),
    successes: healthy?.successes ?? defaults.successes,
    unhealthyStatuses: orDefault(unhealthy?.httpStatuses, defaults.unhealthyStatuses),
    httpFailures: unhealthy?.httpFailures ?? defaults.httpFailures,
    tcpFailures: unhealthy?.tcpFailures ?? defaults.tcpFailures,
    timeouts: unhealthy?.timeouts ?? defaults.timeouts,
    returnAfterMs: toMs(unhealthy?.returnAfter) ?? defaults.returnAfterMs,
  };
}

/** A list has no presence on the wire: an empty one is one that is left out. */
function orDefault(list: readonly number[] | undefined, fallback: readonly number[]): readonly number[] {
  return list === undefined || list.length === 0 ? fallback : list;
}

/** Longest time that Node's timers take, ms (24.8 days). A longer one would fire at once. */
const MAX_TIMER_MS = 2_147_483_647;

/** Whole milliseconds; what isn't 0 seconds stays at least 1 ms, since 0 may mean "none". */
function toMs(seconds: number | undefined): number | undefined {
  if (seconds === undefined || seconds === 0) return seconds;
  return Math.min(MAX_TIMER_MS, Math.max(1, Math.round(seconds * 1000)));
}

/** Where a value of a group came from: the level that has the group, if it sets the value. */
function levelOf(level: Level | undefined, value: unknown): string {
  return value === undefined || level === undefined ? 'default' : level.name;
}

/** Members of a group that provenance tells one by one: path inside the group → whether it is set. */
type MemberTable<G> = readonly (readonly [path: string, of: (group: G) => unknown])[];

const ACTIVE_MEMBERS: MemberTable<ActiveCheck> = [
  ['type', (check) => check.type],
  ['timeout', (check) => check.timeout],
  ['concurrency', (check) => check.concurrency],
  ['host', (check) => check.host],
  ['port', (check) => check.port],
  ['http_path', (check) => check.httpPath],
  ['http_method', (check) => check.httpMethod],
  ['req_headers', (check) => check.reqHeaders[0]],
  ['https_verify_certificate', (check) => check.httpsVerifyCertificate],
  ['grpc_service', (check) => check.grpcService],
  ['healthy.interval', (check) => check.healthy?.interval],
  ['healthy.http_statuses', (check) => check.healthy?.httpStatuses[0]],
  ['healthy.successes', (check) => check.healthy?.successes],
  ['unhealthy.interval', (check) => check.unhealthy?.interval],
  ['unhealthy.http_statuses', (check) => check.unhealthy?.httpStatuses[0]],
  ['unhealthy.http_failures', (check) => check.unhealthy?.httpFailures],
  ['unhealthy.tcp_failures', (check) => check.unhealthy?.tcpFailures],
  ['unhealthy.timeouts', (check) => check.unhealthy?.timeouts],
];

const PASSIVE_MEMBERS: MemberTable<PassiveCheck> = [
  ['healthy.http_statuses', (check) => check.healthy?.httpStatuses[0]],
  ['healthy.successes', (check) => check.healthy?.successes],
  ['unhealthy.http_statuses', (check) => check.unhealthy?.httpStatuses[0]],
  ['unhealthy.http_failures', (check) => check.unhealthy?.httpFailures],
  ['unhealthy.tcp_failures', (check) => check.unhealthy?.tcpFailures],
  ['unhealthy.timeouts', (check) => check.unhealthy?.timeouts],
  ['unhealthy.return_after', (check) => check.unhealthy?.returnAfter],
];

const TLS_MEMBERS: MemberTable<UpstreamTls> = [
  ['client_cert', (tls) => tls.clientCert],
  ['client_cert_id', (tls) => tls.clientCertId],
  ['client_certificate', (tls) => tls.clientCertificate],
  ['verify', (tls) => tls.verify],
  ['ca_certs', (tls) => tls.caCerts[0]],
  ['ca', (tls) => tls.ca],
  ['server_name', (tls) => tls.serverName],
  ['server_names', (tls) => tls.serverNames[0]],
];

/** Inside a group that stands, each member is of that level or its default; none comes from further up. */
function noteMembers<G>(
  group: G,
  table: MemberTable<G>,
  path: string,
  level: Level | undefined,
  provenance: Map<string, string>,
): void {
  for (const [name, of] of table) {
    provenance.set(`${path}.${name}`, levelOf(level, of(group)));
  }
}
