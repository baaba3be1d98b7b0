// What each policy field comes to for a service port: set nowhere, at the upstream, at the port, and at both, where the
// port's stands. One row a field of PortLevelSettings; a field without a row fails.
//
//   inherits        `alone`, or the group that is taken whole
//   in the policy   place in PortPolicy (or `service`, the name that DNS is asked for); `-`: of no effect
//   upstream, port  what the level sets, and → what it comes to; a group is there in all four cases, so that its members are
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { effectivePolicy, type EffectivePolicy } from '../../src/config/effective-policy.ts';
import { describePolicy } from '../../src/config/describe-policy.ts';
import { namesOf } from '../../src/config/name-specs.ts';
import { readNative } from '../../src/config/native.ts';
import { describeProblems, type Resource } from '../../src/config/resource.ts';
import { messageFields } from '../../src/config/schema.ts';
import { issueAuthority, issueCertificate } from '../support/certificates.ts';

const TABLE = `
field                                       | inherits    | in the policy                      | default | upstream → effective | port → effective
--------------------------------------------+-------------+------------------------------------+---------+----------------------+-----------------
scheme                                      | alone       | scheme                             | http    | grpc → grpc          | https → https

type                                        | balancing   | balancer.type                      | roundrobin | least_conn → least_conn | ewma → ewma
hash_on                                     | balancing   | balancer.hashOn                    | vars    | cookie → cookie      | header → header
key                                         | balancing   | balancer.key                       |         | uri → uri            | arg_a → arg_a
hash_balance_factor                         | balancing   | balancer.hashBalanceFactor         | 0       | 150 → 150            | 0 → 0
ewma_formula                                | balancing   | balancer.ewmaFormula               | peak    | apisix → apisix      | peak → peak

retries                                     | attempts    | attempts.maxAttempts               | none    | 4 → 5                | 0 → 1
max_attempts                                | attempts    | attempts.maxAttempts               | none    | 4 → 4                | 1 → 1
retry_timeout                               | alone       | attempts.retryTimeoutMs            | 0       | 1.5 → 1500           | 0 → 0
retry_on                                    | alone       | attempts.retryOn                   | [connect-failure, refused-stream, reset, timeout] | [5xx, reset] → [5xx, reset] | ['503'] → [503]
retry_methods                               | alone       | attempts.retryMethods              | []      | [GET, POST] → [GET, POST] | [/a.B/*] → [/a.B/*]
per_try_timeout                             | alone       | attempts.perTryTimeoutMs           | 0       | 2 → 2000             | 0.5 → 500
retry_backoff.initial                       | alone       | attempts.backoff.initialMs         | 0       | 0.1 → 100            | 0.2 → 200
retry_backoff.max                           | alone       | attempts.backoff.maxMs             | 0       | 3 → 3000             | 4 → 4000

timeout.connect                             | alone       | timeout.connectMs                  | 60000   | 1 → 1000             | 0.25 → 250
timeout.send                                | alone       | timeout.sendMs                     | 60000   | 2 → 2000             | 0.25 → 250
timeout.read                                | alone       | timeout.readMs                     | 60000   | 3 → 3000             | 0.25 → 250
timeout.total                               | alone       | timeout.totalMs                    | 0       | 4 → 4000             | 0 → 0
timeout.idle                                | alone       | timeout.idleMs                     | 0       | 5 → 5000             | 0 → 0
keepalive_pool.size                         | alone       | keepalivePool.size                 | 320     | 5 → 5                | 0 → 0
keepalive_pool.idle_timeout                 | alone       | keepalivePool.idleTimeoutMs        | 60000   | 5 → 5000             | 0 → 0
keepalive_pool.requests                     | alone       | keepalivePool.requests             | 1000    | 5 → 5                | 6 → 6
keepalive_pool.off                          | alone       | keepalivePool.size                 | 320     | true → 0             | false → 320
circuit_breakers.max_connections            | alone       | circuitBreakers.maxConnections     | 0       | 5 → 5                | 0 → 0
circuit_breakers.max_pending_requests       | alone       | circuitBreakers.maxPendingRequests | 0       | 5 → 5                | 6 → 6
circuit_breakers.max_requests               | alone       | circuitBreakers.maxRequests        | 0       | 5 → 5                | 6 → 6
circuit_breakers.max_retries                | alone       | circuitBreakers.maxRetries         | 0       | 5 → 5                | 6 → 6
circuit_breakers.max_requests_per_endpoint  | alone       | circuitBreakers.maxRequestsPerEndpoint | 0   | 5 → 5                | 6 → 6
all_unhealthy                               | alone       | allUnhealthy                       | use-all | fail-fast → fail-fast | use-all → use-all
panic_threshold                             | alone       | panicThreshold                     | 0       | 50 → 50              | 0 → 0

pass_host                                   | host        | host.passHost                      | pass    | node → node          | pass → pass
upstream_host                               | host        | host.upstreamHost                  |         | a.example → a.example | b.example:81 → b.example:81

service_name                                | discovery   | service.name                       | none    | a.example → a.example | B.example:81 → b.example
discovery_type                              | discovery   | service.name                       | none    | dns → web.example    | dns → web.example
discovery_args                              | discovery   | -                                  | refused | {a: b} → refused     | {a: b} → refused

tls.off                                     | tls         | tls.ca.kind                        | system  | true → system        | false → system
tls.verify                                  | tls         | tls.verify                         | true    | false → false        | true → true
tls.client_cert                             | tls         | tls.clientCertificate.kind         | none    | CERT → inline        | CERT → inline
tls.client_key                              | tls         | tls.clientCertificate.kind         | none    | KEY → inline         | KEY → inline
tls.client_cert_id                          | tls         | tls.clientCertificate.name         | none    | s/a → s/a            | s/b → s/b
tls.client_certificate                      | tls         | tls.clientCertificate.name         | none    | {secret: s/a} → s/a  | {secret: s/b} → s/b
tls.ca_certs                                | tls         | tls.ca.kind                        | system  | [CA] → inline        | [CA] → inline
tls.ca                                      | tls         | tls.ca.name                        | none    | {secret: s/a} → s/a  | {secret: s/b} → s/b
tls.server_name                             | tls         | tls.serverName                     | none    | a.example → a.example | b.example → b.example
tls.server_names                            | tls         | tls.serverNames.0.value            | none    | [{dns: a}] → a       | [{uri: 'b://c'}] → b://c

checks.active.off                           | active      | checks.active                      | none    | true → none          | false → on
checks.active.type                          | active      | checks.active.type                 | http    | tcp → tcp            | grpc → grpc
checks.active.timeout                       | active      | checks.active.timeoutMs            | 1000    | 2 → 2000             | 0.5 → 500
checks.active.concurrency                   | active      | checks.active.concurrency          | 10      | 2 → 2                | 3 → 3
checks.active.host                          | active      | checks.active.host                 | none    | a → a                | b → b
checks.active.port                          | active      | checks.active.port                 | none    | 1 → 1                | 2 → 2
checks.active.http_path                     | active      | checks.active.httpPath             | /       | /a → /a              | /b → /b
checks.active.http_method                   | active      | checks.active.httpMethod           | GET     | HEAD → HEAD          | CONNECT → CONNECT
checks.active.http_req_body                 | active      | checks.active.httpBody             |         | ping → ping          | pong → pong
checks.active.req_headers                   | active      | checks.active.requestFields        | []      | ['A: b'] → [a, b]    | ['C: d', 'E: f'] → [c, d, e, f]
checks.active.https_verify_certificate      | active      | checks.active.verifyCertificate    | none    | false → false        | true → true
checks.active.grpc_service                  | active      | checks.active.grpcService          |         | a.B → a.B            | c.D → c.D
checks.active.start                         | active      | checks.active.start                | healthy | unhealthy → unhealthy | healthy → healthy
checks.active.healthy.interval              | active      | checks.active.healthy.intervalMs   | 1000    | 2 → 2000             | 1.5 → 1500
checks.active.healthy.http_statuses         | active      | checks.active.healthy.statuses     | [200, 302] | [204] → [204]     | [200, 201] → [200, 201]
checks.active.healthy.successes             | active      | checks.active.healthy.successes    | 2       | 3 → 3                | 4 → 4
checks.active.unhealthy.interval            | active      | checks.active.unhealthy.intervalMs | 1000    | 2 → 2000             | 1.5 → 1500
checks.active.unhealthy.http_statuses       | active      | checks.active.unhealthy.statuses   | [429, 404, 500, 501, 502, 503, 504, 505] | [500] → [500] | [404, 500] → [404, 500]
checks.active.unhealthy.http_failures       | active      | checks.active.unhealthy.httpFailures | 5     | 3 → 3                | 4 → 4
checks.active.unhealthy.tcp_failures        | active      | checks.active.unhealthy.tcpFailures | 2      | 3 → 3                | 4 → 4
checks.active.unhealthy.timeouts            | active      | checks.active.unhealthy.timeouts   | 3       | 5 → 5                | 4 → 4

checks.passive.off                          | passive     | checks.passive                     | none    | true → none          | false → on
checks.passive.type                         | passive     | -                                  | -       | tcp → -              | https → -
checks.passive.healthy.http_statuses        | passive     | checks.passive.healthyStatuses     | [200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 306, 307, 308] | [204] → [204] | [200, 201] → [200, 201]
checks.passive.healthy.successes            | passive     | checks.passive.successes           | 5       | 3 → 3                | 0 → 0
checks.passive.unhealthy.http_statuses      | passive     | checks.passive.unhealthyStatuses   | [429, 500, 503] | [500] → [500] | [404, 500] → [404, 500]
checks.passive.unhealthy.http_failures      | passive     | checks.passive.httpFailures        | 5       | 3 → 3                | 0 → 0
checks.passive.unhealthy.tcp_failures       | passive     | checks.passive.tcpFailures         | 2       | 3 → 3                | 0 → 0
checks.passive.unhealthy.timeouts           | passive     | checks.passive.timeouts            | 7       | 3 → 3                | 0 → 0
checks.passive.unhealthy.return_after       | passive     | checks.passive.returnAfterMs       | 30000   | 20 → 20000           | 0.5 → 500
checks.passive.unhealthy.max_return_after   | passive     | checks.passive.maxReturnAfterMs    | 300000  | 60 → 60000           | 90 → 90000

outlier_detection.off                       | outlier     | outlierDetection                   | none    | true → none          | false → on
outlier_detection.consecutive_5xx           | outlier     | outlierDetection.consecutive5xx    | 5       | 3 → 3                | 0 → 0
outlier_detection.consecutive_gateway_failure | outlier   | outlierDetection.consecutiveGatewayFailure | 5 | 3 → 3              | 0 → 0
outlier_detection.consecutive_local_origin_failure | outlier | outlierDetection.consecutiveLocalOriginFailure | 5 | 3 → 3       | 0 → 0
outlier_detection.split_external_local_origin_errors | outlier | outlierDetection.splitLocalOrigin | false | true → true      | false → false
outlier_detection.interval                  | outlier     | outlierDetection.intervalMs        | 10000   | 2 → 2000             | 0.5 → 500
outlier_detection.base_ejection_time        | outlier     | outlierDetection.baseEjectionMs    | 30000   | 2 → 2000             | 0.5 → 500
outlier_detection.max_ejection_time         | outlier     | outlierDetection.maxEjectionMs     | 300000  | 60 → 60000           | 90 → 90000
outlier_detection.max_ejection_time_jitter  | outlier     | outlierDetection.maxEjectionJitterMs | 0     | 2 → 2000             | 0 → 0
outlier_detection.max_ejection_percent      | outlier     | outlierDetection.maxEjectionPercent | 10     | 50 → 50              | 0 → 0
outlier_detection.enforcing_consecutive_5xx | outlier     | outlierDetection.enforcing.consecutive5xx | 100 | 50 → 50           | 0 → 0
outlier_detection.enforcing_consecutive_gateway_failure | outlier | outlierDetection.enforcing.consecutiveGatewayFailure | 0 | 50 → 50 | 100 → 100
outlier_detection.enforcing_consecutive_local_origin_failure | outlier | outlierDetection.enforcing.consecutiveLocalOriginFailure | 100 | 50 → 50 | 0 → 0
outlier_detection.enforcing_success_rate    | outlier     | outlierDetection.enforcing.successRate | 100 | 50 → 50              | 0 → 0
outlier_detection.enforcing_local_origin_success_rate | outlier | outlierDetection.enforcing.localOriginSuccessRate | 100 | 50 → 50 | 0 → 0
outlier_detection.success_rate_minimum_hosts | outlier    | outlierDetection.successRateMinimumHosts | 5 | 3 → 3                | 4 → 4
outlier_detection.success_rate_request_volume | outlier   | outlierDetection.successRateRequestVolume | 100 | 3 → 3             | 4 → 4
outlier_detection.success_rate_stdev_factor | outlier     | outlierDetection.successRateStdevFactor | 1900 | 1000 → 1000        | 2000 → 2000
outlier_detection.failure_percentage_threshold | outlier  | outlierDetection.failurePercentageThreshold | 85 | 50 → 50          | 100 → 100
outlier_detection.enforcing_failure_percentage | outlier  | outlierDetection.enforcing.failurePercentage | 0 | 50 → 50          | 100 → 100
outlier_detection.enforcing_failure_percentage_local_origin | outlier | outlierDetection.enforcing.failurePercentageLocalOrigin | 0 | 50 → 50 | 100 → 100
outlier_detection.failure_percentage_minimum_hosts | outlier | outlierDetection.failurePercentageMinimumHosts | 5 | 3 → 3       | 4 → 4
outlier_detection.failure_percentage_request_volume | outlier | outlierDetection.failurePercentageRequestVolume | 50 | 3 → 3    | 4 → 4
outlier_detection.successful_active_health_check_uneject_host | outlier | outlierDetection.activeSuccessUnejects | true | false → false | true → true
outlier_detection.latency_factor            | outlier     | outlierDetection.latencyFactor     | 0       | 2.5 → 2.5            | 1 → 1
outlier_detection.latency_minimum_hosts     | outlier     | outlierDetection.latencyMinimumHosts | 3     | 2 → 2                | 4 → 4
outlier_detection.latency_request_volume    | outlier     | outlierDetection.latencyRequestVolume | 50   | 3 → 3                | 4 → 4

warm_up_conf.off                            | warm-up     | warmUp                             | none    | true → none          | false → on
warm_up_conf.slow_start_time_seconds        | warm-up     | warmUp.windowMs                    | none    | 20 → 20000           | 30 → 30000
warm_up_conf.min_weight_percent             | warm-up     | warmUp.minShare                    | 0.1     | 50 → 0.5             | 100 → 1
warm_up_conf.interval                       | warm-up     | warmUp.intervalMs                  | 1000    | 2 → 2000             | 1.5 → 1500
warm_up_conf.aggression                     | warm-up     | warmUp.aggression                  | 1       | 2 → 2                | 0.5 → 0.5
warm_up_conf.startup_grace_period_seconds   | warm-up     | warmUp.graceMs                     | 0       | 2 → 2000             | 3 → 3000
`;

interface Row {
  readonly field: string;
  readonly inherits: string;
  readonly place: string;
  readonly byDefault: string;
  readonly upstream: Cell;
  readonly port: Cell;
}

/** What a level sets, and what it comes to. */
interface Cell {
  readonly set: string;
  readonly effective: string;
}

function readTable(): Row[] {
  const lines = TABLE.split('\n').slice(3);
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const [field = '', inherits = '', place = '', byDefault = '', upstream = '', port = ''] = line
        .split(' |')
        .map((cell) => cell.trim());
      return { field, inherits, place, byDefault, upstream: readCell(upstream), port: readCell(port) };
    });
}

function readCell(text: string): Cell {
  const [set, effective] = text.split(' → ');
  assert.ok(set !== undefined && effective !== undefined, text);
  return { set, effective };
}

const rows = readTable();
const authority = await issueAuthority();
const pair = await issueCertificate(authority, { dns: ['client.example'] });
const PEM: Readonly<Record<string, string>> = {
  CERT: pair.certificatePem,
  KEY: pair.keyPem,
  CA: authority.certificatePem,
};

const PORT = 7001;
/** What a group needs to be there: the value of a member that none sets is then its default. */
const PRESENT: Readonly<Record<string, object>> = {
  tls: { tls: {} },
  active: { checks: { active: {} } },
  passive: { checks: { passive: {} } },
  outlier: { outlier_detection: {} },
  'warm-up': { warm_up_conf: { slow_start_time_seconds: 10 } },
};
/** What must stand beside a field at the same level. */
const BESIDE: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  upstream_host: { pass_host: 'rewrite' },
  service_name: { discovery_type: 'dns' },
  discovery_type: { service_name: 'web.example' },
  'tls.client_cert': { 'tls.client_key': 'KEY' },
  'tls.client_key': { 'tls.client_cert': 'CERT' },
};

type Spec = Readonly<Record<string, unknown>>;

function merge(a: Spec, b: Spec): Spec {
  const merged: Record<string, unknown> = { ...a };
  for (const [key, value] of Object.entries(b)) {
    const before = merged[key];
    merged[key] = isSpec(before) && isSpec(value) ? merge(before, value) : value;
  }
  return merged;
}

function isSpec(value: unknown): value is Spec {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function withPem(value: unknown): unknown {
  if (typeof value === 'string') return PEM[value] ?? value;
  return Array.isArray(value) ? value.map(withPem) : value;
}

/** `a.b` and a value: `{a: {b: value}}`. */
function nested(path: string, value: unknown): Spec {
  return path.split('.').reduceRight<unknown>((inner, name) => ({ [name]: inner }), withPem(value)) as Spec;
}

/** A level that sets the field to the text of a cell, and what must stand beside it. */
function setting({ field, inherits }: Row, set: string): Spec {
  let spec = nested(field, parse(set));
  for (const [path, value] of Object.entries(BESIDE[field] ?? {})) spec = merge(spec, nested(path, value));
  if (inherits === 'warm-up') spec = merge({ warm_up_conf: { slow_start_time_seconds: 10 } }, spec);
  return spec;
}

/** The upstream without what the row is about: the group is there, except where it is itself in question. */
function base({ field, inherits }: Row): Spec {
  const scheme = inherits === 'tls' ? { scheme: 'https' } : {};
  const isWhole = field.endsWith('.off') || field === 'warm_up_conf.slow_start_time_seconds';
  return isWhole ? scheme : { ...scheme, ...PRESENT[inherits] };
}

function read(upstream: Spec, port: Spec): Resource<'Upstream'> {
  const result = readNative({
    apiVersion: 'outrigger.config/v1',
    kind: 'Upstream',
    metadata: { name: 'web' },
    spec: { ...upstream, port_level_settings: [{ port: PORT, ...port }] },
  });
  assert.ok(result.ok, result.ok ? '' : describeProblems(result.problems));
  return result.resource as Resource<'Upstream'>;
}

function valueAt({ policy, service }: EffectivePolicy, place: string): string {
  if (place === '-') return '-';
  let value: unknown = { ...policy, service };
  for (const name of place.split('.')) value = (value as Readonly<Record<string, unknown>> | undefined)?.[name];
  if (value === undefined) return 'none';
  if (Array.isArray(value)) return `[${value.join(', ')}]`;
  if (typeof value === 'object') return 'on';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/**
 * `off` is told under the path of its group, but that of the pool, which is a member like any other; so is what a group
 * can't be without.
 */
function provenancePath({ field, inherits }: Row): string {
  return inherits === 'alone' ? field : field.replace(/\.(off|slow_start_time_seconds)$/, '');
}

const AT_PORT = `port ${PORT}`;

for (const row of rows) {
  const { field, place, byDefault, upstream, port } = row;
  if (byDefault === 'refused') {
    test(`${field}: refused at either level`, () => {
      const registry = { service_name: 'web.example', discovery_type: 'dns' };
      const level = merge(registry, setting(row, upstream.set));
      assert.throws(() => read(level, {}), /^AssertionError.*: spec\.discovery_args: dns takes no arguments/);
      assert.throws(() => read({}, level), /: spec\.port_level_settings\[0\]\.discovery_args: dns takes no arguments/);
      assert.equal(effectivePolicy(read({}, {}), PORT).provenance.get(field), 'default');
    });
    continue;
  }
  test(`${field}: absent, at the upstream, at the port, at both`, () => {
    const outer = merge(base(row), setting(row, upstream.set));
    const inner = setting(row, port.set);
    const cases = [
      ['absent', base(row), {}, byDefault, 'default'],
      ['upstream', outer, {}, upstream.effective, 'upstream'],
      ['port', base(row), inner, port.effective, AT_PORT],
      ['both', outer, inner, port.effective, AT_PORT],
    ] as const;
    for (const [name, ofUpstream, ofPort, value, source] of cases) {
      const resource = read(ofUpstream, ofPort);
      const effective = effectivePolicy(resource, PORT);
      const found = [valueAt(effective, place), effective.provenance.get(provenancePath(row))];
      // A group of which nothing is set but that it is there has its level, and each member its default.
      assert.deepEqual(found, [value, source], name);
      if (source !== 'default' && isShown(row)) assert.ok(isDescribed(resource, effective, field, source), name);
      // Another port isn't touched by what this one sets.
      const other = effectivePolicy(resource, PORT + 1);
      assert.deepEqual(valueAt(other, place), valueAt(effectivePolicy(read(ofUpstream, {}), PORT), place), name);
    }
  });
}

/** The others have an effect on a value that is shown, or none at all. */
function isShown({ field }: Row): boolean {
  return !field.endsWith('.off') && field !== 'checks.passive.type' && field !== 'tls.client_key';
}

function isDescribed(
  resource: Resource<'Upstream'>,
  effective: EffectivePolicy,
  field: string,
  source: string,
): boolean {
  const { policy, provenance, service } = effective;
  const lines = describePolicy({
    key: `${resource.name}/${PORT}`,
    upstream: resource.name,
    servicePort: PORT,
    policy,
    provenance,
    endpoints: [],
    names: namesOf(resource, policy.scheme, service),
  });
  return lines.some((line) => line.startsWith(`${field}: `) && line.endsWith(` (${source})`));
}

/** Another field of the group whose setting doesn't touch this one. */
function neighbour(row: Row): Row | undefined {
  return rows.find(
    (one) =>
      one !== row &&
      one.inherits === row.inherits &&
      !one.field.endsWith('.off') &&
      one.byDefault !== 'refused' &&
      (BESIDE[one.field]?.[row.field] ?? undefined) === undefined &&
      !(one.inherits === 'warm-up' && row.field === 'warm_up_conf.slow_start_time_seconds'),
  );
}

test('a value that inherits alone stays the upstream’s beside others of the port', () => {
  for (const row of rows.filter(({ inherits }) => inherits === 'alone')) {
    const { field, place, upstream } = row;
    // The pool's `off` rules its size; the longest wait follows from the first.
    const other = rows.find((one) => one.inherits === 'alone' && one.field !== field && one.place !== place);
    assert.ok(other);
    const effective = effectivePolicy(read(setting(row, upstream.set), setting(other, other.port.set)), PORT);
    assert.equal(valueAt(effective, place), upstream.effective, field);
    assert.equal(effective.provenance.get(field), 'upstream', field);
  }
});

test('a group is taken whole: what the port leaves out of it is the default, not the upstream’s', () => {
  let checked = 0;
  for (const row of rows) {
    const other = row.inherits === 'alone' || row.field.endsWith('.off') ? undefined : neighbour(row);
    if (other === undefined || row.byDefault === 'refused') continue;
    const outer = merge(base(row), setting(row, row.upstream.set));
    const effective = effectivePolicy(read(outer, setting(other, other.port.set)), PORT);
    // `max_attempts` follows from `retries`.
    if (row.field !== 'max_attempts') assert.equal(effective.provenance.get(row.field), 'default', row.field);
    if (row.place !== other.place && !isSamePart(row, other)) {
      assert.equal(valueAt(effective, row.place), row.byDefault, row.field);
    }
    checked++;
  }
  assert.equal(checked, 76);
});

/** The client certificate may be written in four ways, and authorities in two. */
function isSamePart(a: Row, b: Row): boolean {
  const part = ({ place }: Row): string => place.replace(/\.[a-z]+$/, '');
  return a.inherits === 'tls' && part(a) === part(b);
}

/** Messages that are one value. */
const VALUES = ['TlsCertificate', 'TlsAuthorities', 'SubjectAltName'].map((name) => `outrigger.config.v1.${name}`);

function leaves(message: string, path: string): string[] {
  return messageFields(message).flatMap((one) => {
    const at = `${path}${one.name}`;
    const isGroup = one.type === 'message' && !one.map && !VALUES.includes(one.typeName);
    return isGroup ? leaves(one.typeName, `${at}.`) : [at];
  });
}

test('the table has every field of PortLevelSettings, and no other', () => {
  const fields = leaves('outrigger.config.v1.PortLevelSettings', '').filter((field) => field !== 'port');
  assert.ok(fields.length > 100);
  assert.deepEqual(rows.map(({ field }) => field).toSorted(), fields.toSorted());
});

test('an Upstream has the policy fields of PortLevelSettings, by the same numbers', () => {
  const own = ['name', 'desc', 'labels', 'nodes', 'port_level_settings'];
  const of = (message: string, without: readonly string[]): string[] =>
    messageFields(`outrigger.config.v1.${message}`)
      .filter(({ name }) => !without.includes(name))
      .map(
        ({ name, number, type, typeName, repeated }) =>
          `${number} ${name} ${type} ${typeName.replace(`.${message}.`, '.')} ${repeated}`,
      );
  assert.deepEqual(of('Upstream', own), of('PortLevelSettings', ['port']));
});

test('every value of a policy has its source', () => {
  const spec: Spec = Object.values(PRESENT).reduce<Spec>((all, one) => merge(all, one as Spec), { scheme: 'https' });
  const { provenance } = effectivePolicy(read(spec, {}), PORT);
  const missing = rows.filter((row) => !provenance.has(provenancePath(row))).map(({ field }) => field);
  assert.deepEqual(missing, []);
  const known = new Set(rows.flatMap((row) => [provenancePath(row), row.field]));
  assert.deepEqual(
    [...provenance.keys()].filter((path) => !known.has(path)),
    [],
  );
});
