import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMPTY_SNAPSHOT } from '../../../src/model/snapshot.ts';
import { buildSnapshot } from '../../../src/config/builder.ts';
import { describePolicy } from '../../../src/config/describe-policy.ts';
import type { Messages } from '../../../src/config/resource.ts';
import { issueAuthority, issueCertificate } from '../../support/certificates.ts';
import { type DeepPartial, resource, ResourceStore } from '../../support/resources.ts';

/** The policy of port 7001 of shop/cart in words. */
function describe(
  upstream: DeepPartial<Messages['Upstream']>,
  port: DeepPartial<Messages['Upstream']['portLevelSettings'][number]> = {},
): string[] {
  const store = new ResourceStore(
    resource('Sidecar', 'default', { listeners: ['l'] }),
    resource('Listener', 'l', { port: 7001, targets: [{ upstream: 'shop/cart', servicePort: 7001 }] }),
    resource('Upstream', 'shop/cart', { ...upstream, portLevelSettings: [{ ...port, port: 7001 }] }),
  );
  const made = buildSnapshot('node-1', store, EMPTY_SNAPSHOT).ports.get('shop/cart/7001');
  assert.ok(made);
  return describePolicy(made);
}

/** The lines of these paths. */
function lines(all: readonly string[], ...paths: readonly string[]): string[] {
  return all.filter((line) => paths.includes(line.slice(0, line.indexOf(': '))));
}

test('the defaults', () => {
  assert.deepEqual(describe({}), [
    'scheme: http (default)',
    'type: roundrobin (default)',
    'hash_on: vars (default)',
    'key: none (default)',
    'hash_balance_factor: 0 (default)',
    'ewma_formula: peak (default)',
    'discovery_type: off (default)',
    'retries: nodes - 1 (default)',
    'retry_timeout: 0s (default)',
    'per_try_timeout: 0s (default)',
    'retry_on: [connect-failure, refused-stream, reset, timeout] (default)',
    'retry_methods: idempotent (default)',
    'retry_backoff.initial: 0s (default)',
    'retry_backoff.max: 0s (default)',
    'timeout.connect: 60s (default)',
    'timeout.send: 60s (default)',
    'timeout.read: 60s (default)',
    'timeout.total: 0s (default)',
    'timeout.idle: 0s (default)',
    'keepalive_pool.size: 320 (default)',
    'keepalive_pool.idle_timeout: 60s (default)',
    'keepalive_pool.requests: 1000 (default)',
    'pass_host: pass (default)',
    'upstream_host: none (default)',
    'tls: off (default)',
    'checks.active: off (default)',
    'checks.passive: off (default)',
    'outlier_detection: off (default)',
    'circuit_breakers.max_connections: no limit (default)',
    'circuit_breakers.max_pending_requests: no limit (default)',
    'circuit_breakers.max_requests: no limit (default)',
    'circuit_breakers.max_retries: no limit (default)',
    'circuit_breakers.max_requests_per_endpoint: no limit (default)',
    'warm_up_conf: off (default)',
    'all_unhealthy: use-all (default)',
    'panic_threshold: 0 (default)',
  ]);
});

test('each line has its source, and times their unit', () => {
  const found = describe(
    {
      type: 'chash',
      key: 'uri',
      retries: 3,
      timeout: { connect: 0.5, send: 1.5, read: 3600 },
      circuitBreakers: { maxRequests: 9 },
    },
    { scheme: 'grpc', timeout: { send: 0.0004 }, retryOn: ['unavailable', '503'], retryMethods: ['/a.B/*'] },
  );
  const wanted = [
    'scheme: grpc (port 7001)',
    'type: chash (upstream)',
    'hash_on: vars (default)',
    'key: uri (upstream)',
    'retries: 3 (upstream)',
    'retry_on: [unavailable, 503] (port 7001)',
    'retry_methods: [/a.B/*] (port 7001)',
    'timeout.connect: 500ms (upstream)',
    'timeout.send: 1ms (port 7001)',
    'timeout.read: 3600s (upstream)',
    'circuit_breakers.max_requests: 9 (upstream)',
  ];
  assert.deepEqual(
    found.filter((line) => wanted.includes(line)),
    wanted,
  );
  assert.deepEqual(lines(describe({ timeout: { send: 1.5 } }), 'timeout.send'), ['timeout.send: 1.5s (upstream)']);
});

test('attempts are told as they were written', () => {
  const attempts = (upstream: object, port: object = {}): string[] =>
    lines(describe(upstream, port), 'retries', 'max_attempts');
  assert.deepEqual(attempts({ retries: 3 }), ['retries: 3 (upstream)']);
  assert.deepEqual(attempts({ retries: 0 }), ['retries: 0 (upstream)']);
  assert.deepEqual(attempts({ maxAttempts: 3 }), ['max_attempts: 3 (upstream)']);
  assert.deepEqual(attempts({ maxAttempts: 3 }, { retries: 4 }), ['retries: 4 (port 7001)']);
  assert.deepEqual(attempts({ retries: 3 }, { maxAttempts: 2 }), ['max_attempts: 2 (port 7001)']);
});

test('groups: on with each member, off where they are switched off', () => {
  const groups = {
    checks: { active: { timeout: 2, httpReqBody: 'ping' }, passive: { unhealthy: { returnAfter: 400 } } },
    outlierDetection: { baseEjectionTime: 0.5 },
    warmUpConf: { slowStartTimeSeconds: 30 },
  };
  const on = describe(groups);
  for (const line of [
    'checks.active: on (upstream)',
    'checks.active.type: http (default)',
    'checks.active.timeout: 2s (upstream)',
    "checks.active.host: the endpoint's (default)",
    'checks.active.http_req_body: 4 bytes (upstream)',
    'checks.active.req_headers: [] (default)',
    'checks.active.healthy.http_statuses: [200, 302] (default)',
    'checks.active.start: healthy (default)',
    'checks.passive: on (upstream)',
    'checks.passive.unhealthy.return_after: 400s (upstream)',
    'checks.passive.unhealthy.max_return_after: 400s (default)',
    'outlier_detection: on (upstream)',
    'outlier_detection.base_ejection_time: 500ms (upstream)',
    'outlier_detection.max_ejection_time: 300s (default)',
    'warm_up_conf: on (upstream)',
    'warm_up_conf.slow_start_time_seconds: 30s (upstream)',
    'warm_up_conf.min_weight_percent: 10 (default)',
  ]) {
    assert.ok(on.includes(line), line);
  }
  const off = describe(groups, {
    checks: { active: { off: true }, passive: { off: true } },
    outlierDetection: { off: true },
    warmUpConf: { off: true },
  });
  const names = ['checks.active', 'checks.passive', 'outlier_detection', 'warm_up_conf'];
  assert.deepEqual(
    lines(off, ...names),
    names.map((name) => `${name}: off (port 7001)`),
  );
  assert.equal(off.length, describe({}).length);
  // Nobody asked for passive checks; they count what the connections do.
  const transport = describe({ checks: { active: {} } });
  assert.ok(transport.includes('checks.passive: on (default)'));
  assert.ok(transport.includes('checks.passive.unhealthy.http_statuses: [] (default)'));
});

test('a registry', () => {
  const dns = { discoveryType: 'dns', serviceName: 'Web.Example' };
  const paths = ['discovery_type', 'service_name'];
  assert.deepEqual(lines(describe(dns), ...paths), [
    'discovery_type: dns (upstream)',
    'service_name: web.example (upstream)',
  ]);
  const other = { discoveryType: 'dns', serviceName: 'other:81' };
  assert.deepEqual(lines(describe(dns, other), ...paths), [
    'discovery_type: dns (port 7001)',
    'service_name: other:81 (port 7001)',
  ]);
  assert.deepEqual(lines(describe({ nodes: [{ host: 'web.example' }] }), ...paths), ['discovery_type: off (default)']);
});

test('TLS: sources, never material', async () => {
  const authority = await issueAuthority();
  const pair = await issueCertificate(authority, { dns: ['client.example'] });
  const tls = (members: object, port: object = {}): string[] =>
    describe({ scheme: 'https', tls: members }, port).filter((line) => line.startsWith('tls'));
  const { certificatePem: clientCert, keyPem: clientKey } = pair;
  const inline = tls({ clientCert, clientKey, caCerts: [authority.certificatePem] });
  assert.deepEqual(inline, [
    'tls: on (upstream)',
    'tls.verify: true (default)',
    'tls.ca_certs: inline in Upstream shop/cart (upstream)',
    'tls.client_cert: inline in Upstream shop/cart (upstream)',
    'tls.server_name: the host that is sent (default)',
    'tls.server_names: [] (default)',
  ]);
  const members = {
    verify: false,
    ca: { secret: 'shop/ca' },
    clientCertificate: { certificateFile: '/c', keyFile: '/k' },
    serverName: 'a.example',
    serverNames: [{ dns: 'b' }, { uri: 'spiffe://c/d' }],
  };
  assert.deepEqual(tls({ verify: true }, { tls: members }), [
    'tls: on (port 7001)',
    'tls.verify: false (port 7001)',
    'tls.ca: secret shop/ca (port 7001)',
    'tls.client_certificate: files /c, /k (port 7001)',
    'tls.server_name: a.example (port 7001)',
    'tls.server_names: [dns b, uri spiffe://c/d] (port 7001)',
  ]);
  assert.deepEqual(tls({ clientCertId: 'shop/c', ca: { file: '/ca' } }).slice(2, 4), [
    'tls.ca: file /ca (upstream)',
    'tls.client_cert_id: secret shop/c (upstream)',
  ]);
  assert.deepEqual(tls({ verify: false }, { tls: { off: true } }).slice(0, 3), [
    'tls: on (port 7001)',
    'tls.verify: true (default)',
    'tls.ca: system (default)',
  ]);
  assert.deepEqual(lines(describe({ tls: { verify: false } }), 'tls'), ['tls: without effect (upstream)']);
});

test('what may hold a secret is not shown, and no value makes a second line', () => {
  const found = describe({
    type: 'chash',
    hashOn: 'vars_combinations',
    key: `$host\n${'x'.repeat(2000)}`,
    checks: { active: { reqHeaders: ['Authorization: CANARY', 'X-A: b'], httpReqBody: 'CANARY' } },
  });
  assert.doesNotMatch(found.join(), /CANARY|\n/);
  assert.ok(found.includes('checks.active.req_headers: [authorization, x-a] (upstream)'));
  assert.ok(found.every((line) => line.length < 1100));
});
