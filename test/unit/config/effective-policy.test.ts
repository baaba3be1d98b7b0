import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import {
  DEFAULT_ACTIVE,
  DEFAULT_ATTEMPTS,
  DEFAULT_BALANCER,
  DEFAULT_CIRCUIT_BREAKERS,
  DEFAULT_KEEPALIVE,
  DEFAULT_OUTLIER,
  DEFAULT_PASSIVE,
  DEFAULT_TIMEOUT,
  TRANSPORT_ONLY_PASSIVE,
} from '../../../src/model/defaults.ts';
import type { PortPolicy } from '../../../src/model/policy.ts';
import { effectivePolicy } from '../../../src/config/effective-policy.ts';
import type { Messages } from '../../../src/config/resource.ts';
import { issueAuthority, issueCertificate } from '../../support/certificates.ts';
import { type DeepPartial, resource } from '../../support/resources.ts';

type Partial = DeepPartial<Messages['Upstream']>;

const PORT = 7000;
const AT_PORT = 'port 7000';

/** The policy of PORT, whose settings stand second in the list. */
function effective(
  upstream: Partial,
  port: DeepPartial<Messages['Upstream']['portLevelSettings'][number]> = {},
): { policy: PortPolicy; from: (path: string) => string | undefined } {
  const settings = [
    { port: 1, scheme: 'grpc' },
    { ...port, port: PORT },
  ];
  const made = resource('Upstream', 'shop/cart', { ...upstream, portLevelSettings: settings });
  const { policy, provenance } = effectivePolicy(made, PORT);
  return { policy, from: (path) => provenance.get(path) };
}

test('defaults', () => {
  const { policy, from } = effective({});
  assert.deepEqual(policy, {
    scheme: 'http',
    balancer: DEFAULT_BALANCER,
    attempts: DEFAULT_ATTEMPTS,
    timeout: DEFAULT_TIMEOUT,
    keepalivePool: DEFAULT_KEEPALIVE,
    host: { passHost: 'pass', upstreamHost: '' },
    tls: undefined,
    checks: undefined,
    outlierDetection: undefined,
    circuitBreakers: DEFAULT_CIRCUIT_BREAKERS,
    warmUp: undefined,
    allUnhealthy: 'use-all',
    panicThreshold: 0,
  });
  for (const path of [
    'type',
    'scheme',
    'pass_host',
    'upstream_host',
    'tls',
    'retries',
    'max_attempts',
    'timeout.read',
    'checks.active',
    'checks.passive',
  ]) {
    assert.equal(from(path), 'default', path);
  }
});

// Values that inherit one by one: path, a setting with a value, and what it makes of the policy.
const SINGLES: readonly (readonly [
  path: string,
  values: readonly [Partial, Partial],
  of: (policy: PortPolicy) => unknown,
  expected: readonly [atUpstream: unknown, atPort: unknown, byDefault: unknown],
])[] = [
  ['scheme', [{ scheme: 'grpc' }, { scheme: 'http' }], (policy) => policy.scheme, ['grpc', 'http', 'http']],
  [
    'timeout.connect',
    [{ timeout: { connect: 5 } }, { timeout: { connect: 0.25 } }],
    (policy) => policy.timeout.connectMs,
    [5000, 250, 60_000],
  ],
  [
    'timeout.send',
    [{ timeout: { send: 5 } }, { timeout: { send: 0.25 } }],
    (policy) => policy.timeout.sendMs,
    [5000, 250, 60_000],
  ],
  [
    'timeout.read',
    [{ timeout: { read: 5 } }, { timeout: { read: 0.25 } }],
    (policy) => policy.timeout.readMs,
    [5000, 250, 60_000],
  ],
  [
    'keepalive_pool.size',
    [{ keepalivePool: { size: 5 } }, { keepalivePool: { size: 6 } }],
    (policy) => policy.keepalivePool.size,
    [5, 6, 320],
  ],
  [
    'keepalive_pool.idle_timeout',
    [{ keepalivePool: { idleTimeout: 5 } }, { keepalivePool: { idleTimeout: 0 } }],
    (policy) => policy.keepalivePool.idleTimeoutMs,
    [5000, 0, 60_000],
  ],
  [
    'keepalive_pool.requests',
    [{ keepalivePool: { requests: 5 } }, { keepalivePool: { requests: 6 } }],
    (policy) => policy.keepalivePool.requests,
    [5, 6, 1000],
  ],
  ['retries', [{ retries: 5 }, { retries: 0 }], (policy) => policy.attempts.maxAttempts, [6, 1, undefined]],
  [
    'max_attempts',
    [{ maxAttempts: 5 }, { maxAttempts: 1 }],
    (policy) => policy.attempts.maxAttempts,
    [5, 1, undefined],
  ],
];

for (const [path, [upstream, port], of, [atUpstream, atPort, byDefault]] of SINGLES) {
  test(`${path}: port, else upstream, else default`, () => {
    const cases = [
      [effective(upstream, port), atPort, AT_PORT],
      [effective({}, port), atPort, AT_PORT],
      [effective(upstream), atUpstream, 'upstream'],
      [effective({}), byDefault, 'default'],
    ] as const;
    for (const [{ policy, from }, value, level] of cases) {
      assert.equal(of(policy), value);
      assert.equal(from(path), level);
    }
  });
}

test('members of timeout inherit one by one', () => {
  const { policy, from } = effective({ timeout: { connect: 1, send: 2 } }, { timeout: { send: 3 } });
  assert.deepEqual(policy.timeout, { ...DEFAULT_TIMEOUT, connectMs: 1000, sendMs: 3000, sendIsSet: true });
  assert.deepEqual(
    ['connect', 'send', 'read'].map((name) => from(`timeout.${name}`)),
    ['upstream', AT_PORT, 'default'],
  );
});

test('a send or read timeout that is set to the default is set', () => {
  assert.equal(effective({ timeout: { send: 60 } }).policy.timeout.sendIsSet, true);
  assert.equal(effective({ timeout: { read: 60 } }).policy.timeout.sendIsSet, false);
  assert.equal(effective({ timeout: { read: 60 } }).policy.timeout.readIsSet, true);
  assert.equal(effective({}, { timeout: { read: 60 } }).policy.timeout.readIsSet, true);
  assert.equal(effective({ timeout: { connect: 60 } }).policy.timeout.readIsSet, false);
});

test('times are whole milliseconds, never rounded to none and never more than a timer takes', () => {
  const { policy } = effective({ timeout: { connect: 1e-9, send: 1.1, read: 1e9 } });
  assert.deepEqual(policy.timeout, {
    ...DEFAULT_TIMEOUT,
    connectMs: 1,
    sendMs: 1100,
    readMs: 2_147_483_647,
    sendIsSet: true,
    readIsSet: true,
  });
});

test('a level that sets retries or max_attempts replaces both', () => {
  const over = effective({ retries: 4 }, { maxAttempts: 2 });
  assert.equal(over.policy.attempts.maxAttempts, 2);
  assert.deepEqual([over.from('max_attempts'), over.from('retries')], [AT_PORT, 'default']);
  const other = effective({ maxAttempts: 2 }, { retries: 4 });
  assert.equal(other.policy.attempts.maxAttempts, 5);
  assert.deepEqual([other.from('max_attempts'), other.from('retries')], [AT_PORT, AT_PORT]);
});

test('the balancer group comes from one level', () => {
  const chash = { type: 'chash', hashOn: 'header', key: 'x-user', hashBalanceFactor: 150 };
  assert.deepEqual(effective(chash).policy.balancer, { ...DEFAULT_BALANCER, ...chash });
  const ewma = effective(chash, { type: 'ewma', ewmaFormula: 'apisix' });
  assert.deepEqual(ewma.policy.balancer, { ...DEFAULT_BALANCER, type: 'ewma', ewmaFormula: 'apisix' });
  assert.deepEqual(['type', 'key', 'ewma_formula'].map(ewma.from), [AT_PORT, 'default', AT_PORT]);
  assert.equal(effective({ type: 'roundrobin' }).from('type'), 'upstream');
  assert.equal(effective({ type: 'roundrobin' }, { type: 'roundrobin' }).from('type'), AT_PORT);
  // The port sets the group by hash_on; the type that it leaves out is the default, not the upstream's.
  assert.equal(effective({ type: 'roundrobin' }, { hashOn: 'vars' }).from('type'), 'default');
});

test('checks.active is one group: what the port leaves out is the default, not the upstream', () => {
  const { policy, from } = effective(
    { checks: { active: { httpPath: '/up', timeout: 9, unhealthy: { timeouts: 9 } } } },
    { checks: { active: { httpPath: '/port', healthy: { successes: 1, httpStatuses: [204] } } } },
  );
  assert.deepEqual(policy.checks?.active, {
    ...DEFAULT_ACTIVE,
    httpPath: '/port',
    healthy: { ...DEFAULT_ACTIVE.healthy, successes: 1, statuses: [204] },
  });
  assert.equal(from('checks.active'), AT_PORT);
  assert.equal(from('checks.active.http_path'), AT_PORT);
  assert.equal(from('checks.active.healthy.http_statuses'), AT_PORT);
  assert.equal(from('checks.active.timeout'), 'default');
  assert.equal(from('checks.active.unhealthy.timeouts'), 'default');
});

test('checks.active: every member reaches the policy', () => {
  const { policy } = effective({
    checks: {
      active: {
        type: 'https',
        timeout: 0.5,
        concurrency: 3,
        host: 'a.example',
        port: 8080,
        httpPath: '/x',
        httpMethod: 'HEAD',
        httpReqBody: 'ping',
        reqHeaders: ['User-Agent:  probe ', 'X-A: b: c'],
        grpcService: 's',
        start: 'unhealthy',
        httpsVerifyCertificate: false,
        healthy: { interval: 2, httpStatuses: [201], successes: 3 },
        unhealthy: { interval: 4, httpStatuses: [500], httpFailures: 6, tcpFailures: 7, timeouts: 8 },
      },
    },
  });
  assert.deepEqual(policy.checks?.active, {
    type: 'https',
    verifyCertificate: false,
    timeoutMs: 500,
    concurrency: 3,
    host: 'a.example',
    port: 8080,
    httpPath: '/x',
    httpMethod: 'HEAD',
    requestFields: ['user-agent', 'probe', 'x-a', 'b: c'],
    grpcService: 's',
    httpBody: 'ping',
    start: 'unhealthy',
    healthy: { intervalMs: 2000, statuses: [201], successes: 3 },
    unhealthy: { intervalMs: 4000, statuses: [500], httpFailures: 6, tcpFailures: 7, timeouts: 8 },
  });
});

test('probes ask for the host that calls are rewritten to, unless the check names one', () => {
  const rewrite = { passHost: 'rewrite', upstreamHost: 'a.example:8443', checks: { active: {} } };
  assert.equal(effective(rewrite).policy.checks?.active?.host, 'a.example:8443');
  assert.equal(effective(rewrite, { passHost: 'node' }).policy.checks?.active?.host, undefined);
  const named = { ...rewrite, checks: { active: { host: 'b.example' } } };
  assert.equal(effective(named).policy.checks?.active?.host, 'b.example');
});

test('{pass_host, upstream_host} is one group', () => {
  const rewrite = { passHost: 'rewrite', upstreamHost: 'a.example:8443' };
  const inherited = effective(rewrite);
  assert.deepEqual(inherited.policy.host, rewrite);
  assert.deepEqual([inherited.from('pass_host'), inherited.from('upstream_host')], ['upstream', 'upstream']);
  const node = effective(rewrite, { passHost: 'node' });
  assert.deepEqual(node.policy.host, { passHost: 'node', upstreamHost: '' });
  assert.deepEqual([node.from('pass_host'), node.from('upstream_host')], [AT_PORT, 'default']);
  // A host without `rewrite` at its own level has no effect, and takes the group over.
  const lone = effective(rewrite, { upstreamHost: 'b.example' });
  assert.deepEqual(lone.policy.host, { passHost: 'pass', upstreamHost: '' });
  assert.deepEqual([lone.from('pass_host'), lone.from('upstream_host')], ['default', AT_PORT]);
});

const authority = await issueAuthority();
const second = await issueAuthority({ commonName: 'second authority' });
const pair = await issueCertificate(authority, { dns: ['client.example'] });
const DEFAULT_TLS = {
  verify: true,
  ca: { kind: 'system' },
  clientCertificate: undefined,
  serverName: undefined,
  serverNames: [],
};

test('tls is there where the scheme or the active check speaks it', () => {
  for (const scheme of ['https', 'grpcs']) {
    assert.deepEqual(effective({ scheme }).policy.tls, DEFAULT_TLS);
    assert.equal(effective({ scheme }).from('tls'), 'default');
    assert.deepEqual(effective({}, { scheme }).policy.tls, DEFAULT_TLS);
  }
  assert.equal(effective({ scheme: 'https' }, { scheme: 'http' }).policy.tls, undefined);
  assert.equal(effective({ scheme: 'grpc', tls: { verify: false } }).policy.tls, undefined);
  assert.equal(effective({ scheme: 'grpc', tls: { verify: false } }).from('tls'), 'upstream');
  const probed = effective({ tls: { verify: false }, checks: { active: { type: 'https' } } });
  assert.deepEqual(probed.policy.tls, { ...DEFAULT_TLS, verify: false });
  assert.equal(probed.policy.checks?.active?.type, 'https');
  const off = { checks: { active: { off: true } } };
  assert.equal(effective({ checks: { active: { type: 'https' } } }, off).policy.tls, undefined);
});

test('tls: every member reaches the policy', () => {
  const byReference = effective({
    scheme: 'https',
    tls: {
      clientCertificate: { certificateFile: 'cert.pem', keyFile: 'key.pem' },
      verify: false,
      ca: { file: 'ca.pem' },
      serverName: 'a.example',
      serverNames: [{ uri: 'spiffe://example.org/a' }, { dns: 'a' }],
    },
  });
  assert.deepEqual(byReference.policy.tls, {
    verify: false,
    ca: { kind: 'file', file: 'ca.pem' },
    clientCertificate: { kind: 'files', certificateFile: 'cert.pem', keyFile: 'key.pem' },
    serverName: 'a.example',
    serverNames: [
      { type: 'uri', value: 'spiffe://example.org/a' },
      { type: 'dns', value: 'a' },
    ],
  });
  const sources = (tls: Partial['tls']): unknown => {
    const { policy } = effective({ scheme: 'https', tls: tls ?? {} });
    return [policy.tls?.clientCertificate, policy.tls?.ca];
  };
  assert.deepEqual(sources({ clientCertId: 'shop/client', ca: { secret: 'shop/ca' } }), [
    { kind: 'secret', name: 'shop/client' },
    { kind: 'secret', name: 'shop/ca' },
  ]);
  assert.deepEqual(sources({ clientCertificate: { secret: 'shop/client' } }), [
    { kind: 'secret', name: 'shop/client' },
    { kind: 'system' },
  ]);
  assert.deepEqual(sources({ clientCert: pair.certificatePem, clientKey: '[redacted]' }), [
    { kind: 'secret', name: 'client_key of Upstream shop/cart' },
    { kind: 'system' },
  ]);
});

test('tls: what stands in the Upstream itself', () => {
  const { policy } = effective({
    scheme: 'https',
    tls: {
      clientCert: pair.certificatePem,
      clientKey: pair.keyPem,
      caCerts: [authority.certificatePem, second.certificatePem.trimEnd()],
    },
  });
  const { clientCertificate, ca } = policy.tls ?? {};
  assert.ok(clientCertificate?.kind === 'inline' && ca?.kind === 'inline');
  assert.equal(clientCertificate.owner, 'Upstream shop/cart');
  assert.deepEqual(clientCertificate.material.info.names.dns, ['client.example']);
  assert.equal(clientCertificate.material.key.reveal().trim(), pair.keyPem.trim());
  assert.equal(ca.owner, 'Upstream shop/cart');
  assert.equal(ca.material.pem.split('-----BEGIN CERTIFICATE-----').length, 3);
  // Nothing that prints a policy prints the key.
  assert.doesNotMatch(JSON.stringify(policy), /PRIVATE KEY/);
  assert.doesNotMatch(inspect(policy, { depth: 10, showHidden: true }), /PRIVATE KEY/);
});

test('tls is one group, and off at a port', () => {
  const upstream = { scheme: 'https', tls: { verify: false, serverName: 'a.example', clientCertId: 'shop/client' } };
  const port = effective(upstream, { tls: { serverName: 'b.example' } });
  assert.deepEqual(port.policy.tls, { ...DEFAULT_TLS, serverName: 'b.example' });
  assert.deepEqual(['tls', 'tls.server_name', 'tls.verify', 'tls.client_cert_id', 'tls.ca'].map(port.from), [
    AT_PORT,
    AT_PORT,
    'default',
    'default',
    'default',
  ]);
  const inherited = effective(upstream);
  assert.deepEqual(inherited.policy.tls, {
    ...DEFAULT_TLS,
    verify: false,
    serverName: 'a.example',
    clientCertificate: { kind: 'secret', name: 'shop/client' },
  });
  assert.deepEqual(['tls', 'tls.verify', 'tls.client_cert_id'].map(inherited.from), [
    'upstream',
    'upstream',
    'upstream',
  ]);
  const off = effective(upstream, { tls: { off: true } });
  assert.deepEqual(off.policy.tls, DEFAULT_TLS);
  assert.deepEqual(['tls', 'tls.verify'].map(off.from), [AT_PORT, undefined]);
  // An empty group is a group.
  assert.deepEqual(effective(upstream, { tls: {} }).policy.tls, DEFAULT_TLS);
});

test('active without unhealthy is filled with its defaults', () => {
  const { policy } = effective({ checks: { active: { healthy: {} } } });
  assert.deepEqual(policy.checks?.active, DEFAULT_ACTIVE);
});

test('passive left out beside active: transport failures only', () => {
  const { policy, from } = effective({ checks: { active: {} } });
  assert.deepEqual(policy.checks?.passive, TRANSPORT_ONLY_PASSIVE);
  assert.equal(from('checks.passive'), 'default');
});

test('passive alone is allowed, and is one group', () => {
  const { policy, from } = effective(
    { checks: { passive: { unhealthy: { httpFailures: 9, returnAfter: 9 } } } },
    {
      checks: {
        passive: { unhealthy: { timeouts: 0, returnAfter: 1.5, httpStatuses: [500] }, healthy: { successes: 1 } },
      },
    },
  );
  assert.deepEqual(policy.checks, {
    active: undefined,
    passive: { ...DEFAULT_PASSIVE, timeouts: 0, returnAfterMs: 1500, unhealthyStatuses: [500], successes: 1 },
  });
  assert.equal(from('checks.passive'), AT_PORT);
  assert.equal(from('checks.passive.unhealthy.timeouts'), AT_PORT);
  assert.equal(from('checks.passive.unhealthy.http_failures'), 'default');
});

test('the longest time until a trial is 300 s, and never less than the first', () => {
  const longest = (unhealthy: object): unknown =>
    effective({ checks: { passive: { unhealthy } } }).policy.checks?.passive?.maxReturnAfterMs;
  assert.equal(longest({}), 300_000);
  assert.equal(longest({ returnAfter: 10 }), 300_000);
  assert.equal(longest({ returnAfter: 400 }), 400_000);
  assert.equal(longest({ returnAfter: 10, maxReturnAfter: 20 }), 20_000);
});

test('outlier_detection is one group; max_ejection_time is 300 s, and never less than base_ejection_time', () => {
  assert.equal(effective({}).policy.outlierDetection, undefined);
  assert.deepEqual(effective({ outlierDetection: {} }).policy.outlierDetection, DEFAULT_OUTLIER);
  const upstream = { outlierDetection: { consecutive5xx: 3, baseEjectionTime: 400 } };
  const inherited = effective(upstream);
  assert.equal(inherited.policy.outlierDetection?.maxEjectionMs, 400_000);
  assert.equal(inherited.from('outlier_detection.consecutive_5xx'), 'upstream');
  const port = effective(upstream, { outlierDetection: { latencyFactor: 3 } });
  assert.deepEqual(port.policy.outlierDetection, { ...DEFAULT_OUTLIER, latencyFactor: 3 });
  assert.equal(port.from('outlier_detection'), AT_PORT);
  assert.equal(port.from('outlier_detection.consecutive_5xx'), 'default');
  const off = effective(upstream, { outlierDetection: { off: true, consecutive5xx: 9 } });
  assert.equal(off.policy.outlierDetection, undefined);
  assert.equal(off.from('outlier_detection'), AT_PORT);
  assert.equal(off.from('outlier_detection.consecutive_5xx'), undefined);
  const on = effective({ outlierDetection: { off: true } }, { outlierDetection: { off: false } });
  assert.deepEqual(on.policy.outlierDetection, DEFAULT_OUTLIER);
});

test('warm_up_conf is one group', () => {
  const upstream = { warmUpConf: { slowStartTimeSeconds: 60, aggression: 2, minWeightPercent: 50 } };
  assert.deepEqual(effective(upstream).policy.warmUp, {
    windowMs: 60_000,
    minShare: 0.5,
    intervalMs: 1000,
    aggression: 2,
    graceMs: 0,
  });
  const port = effective(upstream, { warmUpConf: { slowStartTimeSeconds: 10, interval: 2 } });
  const tenSeconds = { windowMs: 10_000, minShare: 0.1, intervalMs: 2000, aggression: 1, graceMs: 0 };
  assert.deepEqual(port.policy.warmUp, tenSeconds);
  assert.equal(effective(upstream, { warmUpConf: { off: true } }).policy.warmUp, undefined);
});

test('keepalive_pool.off keeps no connection, and false at a port keeps them again', () => {
  const off = effective({ keepalivePool: { off: true, size: 5 } });
  assert.deepEqual(off.policy.keepalivePool, { ...DEFAULT_KEEPALIVE, size: 0 });
  assert.deepEqual([off.from('keepalive_pool.off'), off.from('keepalive_pool.size')], ['upstream', 'upstream']);
  const again = effective({ keepalivePool: { off: true, size: 5 } }, { keepalivePool: { off: false } });
  assert.equal(again.policy.keepalivePool.size, 5);
  assert.deepEqual([again.from('keepalive_pool.off'), again.from('keepalive_pool.size')], [AT_PORT, 'upstream']);
  const atPort = effective({ keepalivePool: { size: 5 } }, { keepalivePool: { off: true } });
  assert.deepEqual([atPort.policy.keepalivePool.size, atPort.from('keepalive_pool.size')], [0, AT_PORT]);
});

test('the longest wait between attempts is ten times the first, whichever level said that', () => {
  const backoff = (...levels: Parameters<typeof effective>): unknown => effective(...levels).policy.attempts.backoff;
  assert.deepEqual(backoff({}), { initialMs: 0, maxMs: 0 });
  assert.deepEqual(backoff({ retryBackoff: { initial: 0.025 } }), { initialMs: 25, maxMs: 250 });
  assert.deepEqual(backoff({ retryBackoff: { max: 2 } }, { retryBackoff: { initial: 1 } }), {
    initialMs: 1000,
    maxMs: 2000,
  });
  assert.deepEqual(backoff({ retryBackoff: { initial: 3 } }, { retryBackoff: { max: 4 } }), {
    initialMs: 3000,
    maxMs: 4000,
  });
});

test('a list replaces a list, and an empty one is left out', () => {
  const upstream = { retryOn: ['5xx'], retryMethods: ['GET'] };
  assert.deepEqual(effective(upstream, { retryOn: ['503', 'reset'] }).policy.attempts.retryOn, ['503', 'reset']);
  const empty = effective(upstream, { retryOn: [], retryMethods: [] });
  assert.deepEqual(empty.policy.attempts.retryOn, ['5xx']);
  assert.deepEqual(empty.policy.attempts.retryMethods, ['GET']);
  assert.equal(empty.from('retry_on'), 'upstream');
});

test('{service_name, discovery_type} is one group', () => {
  const dns = { serviceName: 'web.example', discoveryType: 'dns' };
  const made = resource('Upstream', 'shop/cart', {
    ...dns,
    portLevelSettings: [
      { port: 1, serviceName: 'other.example:8080', discoveryType: 'dns' },
      { port: 2, serviceName: '', discoveryType: '' },
    ],
  });
  assert.deepEqual(effectivePolicy(made, 1).service, { name: 'other.example', port: 8080 });
  // An empty text says nothing.
  for (const port of [2, 3]) assert.deepEqual(effectivePolicy(made, port).service, { name: 'web.example', port: 0 });
  assert.equal(effectivePolicy(made, 1).provenance.get('service_name'), 'port 1');
  assert.equal(effectivePolicy(made, 2).provenance.get('discovery_type'), 'upstream');
});

test('active and passive inherit each for itself', () => {
  const { policy, from } = effective({ checks: { active: { timeout: 7 } } }, { checks: { passive: {} } });
  assert.equal(policy.checks?.active?.timeoutMs, 7000);
  assert.deepEqual(policy.checks?.passive, DEFAULT_PASSIVE);
  assert.deepEqual([from('checks.active'), from('checks.passive')], ['upstream', AT_PORT]);
});

test('off at a port', () => {
  const checks = { active: {}, passive: {} };
  const noActive = effective({ checks }, { checks: { active: { off: true } } });
  assert.deepEqual(noActive.policy.checks, { active: undefined, passive: DEFAULT_PASSIVE });
  assert.equal(noActive.from('checks.active'), AT_PORT);
  assert.equal(noActive.from('checks.active.timeout'), undefined);
  const noPassive = effective({ checks }, { checks: { passive: { off: true } } });
  assert.deepEqual(noPassive.policy.checks, { active: DEFAULT_ACTIVE, passive: undefined });
  const none = effective({ checks }, { checks: { active: { off: true }, passive: { off: true } } });
  assert.equal(none.policy.checks, undefined);
  // Active off and passive left out: nothing is left that transport failures could feed.
  assert.equal(effective({ checks: { active: {} } }, { checks: { active: { off: true } } }).policy.checks, undefined);
});

test('a group that is off at the upstream is on again at a port that sets it', () => {
  const { policy } = effective({ checks: { active: { off: true } } }, { checks: { active: { timeout: 3 } } });
  assert.equal(policy.checks?.active?.timeoutMs, 3000);
});

test('the same resource gives the same objects, and ports without settings share one', () => {
  const made = resource('Upstream', 'shop/cart', { portLevelSettings: [{ port: 1, scheme: 'grpc' }] });
  assert.equal(effectivePolicy(made, 1), effectivePolicy(made, 1));
  assert.equal(effectivePolicy(made, 2), effectivePolicy(made, 3));
  assert.notEqual(effectivePolicy(made, 1), effectivePolicy(made, 2));
  assert.equal(effectivePolicy(made, 1).policy.scheme, 'grpc');
});

test('random levels: each timeout, pool member and scheme is the first that is set', () => {
  const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });
  const seconds = optional(fc.integer({ min: 1, max: 1000 }));
  const level = fc.record({
    scheme: optional(fc.constantFrom('http', 'grpc')),
    retries: optional(fc.nat({ max: 10 })),
    timeout: optional(fc.record({ connect: seconds, send: seconds, read: seconds })),
    keepalivePool: optional(fc.record({ size: seconds, requests: seconds, idleTimeout: seconds })),
  });
  fc.assert(
    fc.property(level, level, (upstream, port) => {
      const { policy, from } = effective(upstream, port);
      const check = (path: string, value: unknown, ofPort: unknown, ofUpstream: unknown, fallback: unknown): void => {
        assert.equal(value, ofPort ?? ofUpstream ?? fallback, path);
        const source = ofPort !== undefined ? AT_PORT : ofUpstream !== undefined ? 'upstream' : 'default';
        assert.equal(from(path), source, path);
      };
      check('scheme', policy.scheme, port.scheme, upstream.scheme, 'http');
      const { timeout, keepalivePool } = policy;
      check('timeout.connect', timeout.connectMs / 1000, port.timeout?.connect, upstream.timeout?.connect, 60);
      check('timeout.send', timeout.sendMs / 1000, port.timeout?.send, upstream.timeout?.send, 60);
      check('timeout.read', timeout.readMs / 1000, port.timeout?.read, upstream.timeout?.read, 60);
      const [a, b] = [port.keepalivePool, upstream.keepalivePool];
      check('keepalive_pool.size', keepalivePool.size, a?.size, b?.size, 320);
      check('keepalive_pool.requests', keepalivePool.requests, a?.requests, b?.requests, 1000);
      check('keepalive_pool.idle_timeout', keepalivePool.idleTimeoutMs / 1000, a?.idleTimeout, b?.idleTimeout, 60);
      const retries = policy.attempts.maxAttempts === undefined ? undefined : policy.attempts.maxAttempts - 1;
      check('retries', retries, port.retries, upstream.retries, undefined);
    }),
    { seed: 21, numRuns: 300 },
  );
});
