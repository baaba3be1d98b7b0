import assert from 'node:assert/strict';
import { test } from 'node:test';
import { status as GRPC_STATUS } from '@grpc/grpc-js';
import { decodeResource } from '../../../../src/config/decode/decode.ts';
import { describeProblems, type Messages } from '../../../../src/config/resource.ts';
import { type DeepPartial, encode } from '../../../support/resources.ts';

type Partial = DeepPartial<Messages['Upstream']>;

function problemsOf(partial: Partial): string[] {
  const decoded = decodeResource('Upstream', 'shop/cart', encode('Upstream', partial));
  return decoded.ok ? [] : decoded.problems.map((problem) => describeProblems([problem]));
}

test('an empty upstream and one with every supported field are accepted', () => {
  assert.deepEqual(problemsOf({}), []);
  assert.deepEqual(
    problemsOf({
      name: 'shop/cart',
      desc: 'x'.repeat(256),
      labels: { app: 'cart', empty: '' },
      nodes: [
        { host: '10.0.0.1' },
        { host: '[::1]', port: 81, weight: 0, priority: -1 },
        { host: 'fe80::1', weight: 2 ** 32 - 1, metadata: { zone: 'a b' } },
        { host: 'localhost' },
        { host: 'Web-1._tcp.example.', priority: 5 },
        { host: `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(61)}.` },
      ],
      portLevelSettings: [
        { port: 1, scheme: 'grpc' },
        { port: 2, scheme: 'https', passHost: 'node', upstreamHost: 'unused.example', tls: { verify: false } },
        {
          port: 3,
          scheme: 'grpcs',
          passHost: 'rewrite',
          upstreamHost: '[::1]:8443',
          tls: { verify: true, serverName: 'a.example' },
        },
        { port: 4, checks: { active: { type: 'https', httpsVerifyCertificate: false } } },
        { port: 5, type: 'ewma', ewmaFormula: 'apisix', maxAttempts: 1, keepalivePool: { off: false } },
        { port: 6, type: 'least_conn', warmUpConf: { off: true }, outlierDetection: { off: true } },
        { port: 65535 },
      ],
      type: 'chash',
      hashOn: 'vars_combinations',
      key: '$host$request_uri ${arg_x ?? y}',
      hashBalanceFactor: 100,
      ewmaFormula: 'peak',
      scheme: 'http',
      retries: 0,
      retryTimeout: 0.5,
      retryOn: [
        'connect-failure',
        'refused-stream',
        'reset',
        'timeout',
        '5xx',
        'gateway-error',
        '400',
        '599',
        'aborted',
      ],
      retryMethods: ['GET', 'POST', 'M-SEARCH', '/a.B/C', '/a.b.C/*'],
      perTryTimeout: 1,
      retryBackoff: { initial: 0.025, max: 0.025 },
      circuitBreakers: {
        maxConnections: 0,
        maxPendingRequests: 1,
        maxRequests: 2 ** 32 - 1,
        maxRetries: 3,
        maxRequestsPerEndpoint: 1,
      },
      timeout: { connect: 0.001, send: 1e9, read: 60, total: 0, idle: 1e9 },
      keepalivePool: { size: 0, idleTimeout: 0, requests: 1, off: true },
      passHost: 'pass',
      upstreamHost: '',
      checks: {
        active: {
          type: 'grpc',
          timeout: 0.5,
          concurrency: 1,
          host: 'www.foo.example:8080',
          port: 1,
          httpPath: '/healthz?x=1',
          httpMethod: 'HEAD',
          httpReqBody: 'x'.repeat(65536),
          start: 'unhealthy',
          reqHeaders: ['User-Agent: probe/1', 'x-empty:'],
          httpsVerifyCertificate: true,
          grpcService: 'a.B',
          healthy: { interval: 1, httpStatuses: [200, 599], successes: 254 },
          unhealthy: { interval: 1.5, httpStatuses: [500], httpFailures: 1, tcpFailures: 254, timeouts: 1 },
        },
        passive: {
          type: 'https',
          healthy: { httpStatuses: [200], successes: 0 },
          unhealthy: {
            httpStatuses: [500],
            httpFailures: 0,
            tcpFailures: 0,
            timeouts: 254,
            returnAfter: 0.1,
            maxReturnAfter: 0.1,
          },
        },
      },
      outlierDetection: {
        consecutive5xx: 0,
        consecutiveGatewayFailure: 2 ** 32 - 1,
        interval: 0.1,
        baseEjectionTime: 400,
        maxEjectionTime: 400,
        maxEjectionTimeJitter: 0,
        maxEjectionPercent: 0,
        enforcingConsecutive5xx: 100,
        failurePercentageThreshold: 1,
        latencyFactor: 1,
        latencyMinimumHosts: 2,
      },
      warmUpConf: {
        slowStartTimeSeconds: 1,
        minWeightPercent: 100,
        interval: 1,
        aggression: 0.1,
        startupGracePeriodSeconds: 0,
      },
      allUnhealthy: 'fail-fast',
      panicThreshold: 100,
      tls: { off: true },
      serviceName: '',
      discoveryType: '',
    }),
    [],
  );
});

/** A slow start with what it needs. */
function warm(members: object): Partial {
  return { warmUpConf: { slowStartTimeSeconds: 10, ...members } };
}

/** A service that DNS knows. */
function dns(serviceName: string): Partial {
  return { serviceName, discoveryType: 'dns' };
}

// Each line: what the policy says, and the one problem that it must give, at the upstream and at a port.
const REFUSED: readonly (readonly [policy: Partial, problem: string])[] = [
  [
    { type: 'roundrobbin' },
    "type: 'roundrobbin' is none of roundrobin, chash, ewma, least_conn: did you mean 'roundrobin'?",
  ],
  [{ type: '' }, "type: '' is none of roundrobin, chash, ewma, least_conn"],
  [{ ewmaFormula: 'peek' }, "ewma_formula: 'peek' is none of peak, apisix: did you mean 'peak'?"],
  [{ hashBalanceFactor: 99 }, 'hash_balance_factor: must be 0 (no bound) or 100 percent and more, not 99'],
  [{ type: 'chash', key: 'arg_' }, "key: 'arg_': after arg_ stands a name of letters, digits, - and _"],
  [{ type: 'chash', key: 'arg_a[b' }, "key: 'arg_a[b': after arg_ stands a name of letters, digits, - and _"],
  [
    { type: 'chash', key: '' },
    'key: missing key: type chash with hash_on vars needs what is hashed, remote_addr for example',
  ],
  [{ scheme: 'tls' }, "scheme: 'tls' is not supported yet"],
  [{ scheme: 'kafka' }, "scheme: 'kafka' is not supported yet"],
  [{ scheme: 'gprc' }, "scheme: 'gprc' is none of http, https, grpc, grpcs: did you mean 'grpc'?"],
  [{ retryTimeout: -1 }, 'retry_timeout: must be 0 or more'],
  [{ retryTimeout: NaN }, 'retry_timeout: must be 0 or more'],
  [{ maxAttempts: 0 }, 'max_attempts: must be 1 or more, not 0'],
  [{ passHost: 'nod' }, "pass_host: 'nod' is none of pass, node, rewrite: did you mean 'node'?"],
  [{ passHost: 'rewrite' }, 'upstream_host: required with pass_host: rewrite'],
  [{ passHost: 'rewrite', upstreamHost: '' }, 'upstream_host: required with pass_host: rewrite'],
  [{ upstreamHost: 'a b' }, "upstream_host: 'a b' is not HOST:PORT"],
  [{ upstreamHost: '*.a.example' }, "upstream_host: '*.a.example' is not HOST:PORT"],
  [{ passHost: 'rewrite', upstreamHost: 'a:b:c' }, "upstream_host: 'a:b:c' is not HOST:PORT"],
  [{ passHost: 'rewrite', upstreamHost: 'a:0' }, "upstream_host: port '0' must be between 1 and 65535"],
  [{ passHost: 'rewrite', upstreamHost: '::1' }, 'upstream_host: an IPv6 address stands in brackets: [::1]'],
  [{ passHost: 'rewrite', upstreamHost: 'a\r\nb: c' }, "upstream_host: 'a\\r\\nb: c' is not HOST:PORT"],
  [{ perTryTimeout: -1 }, 'per_try_timeout: must be 0 or more'],
  [{ perTryTimeout: NaN }, 'per_try_timeout: must be 0 or more'],
  [{ retryBackoff: { initial: -1 } }, 'retry_backoff.initial: must be 0 or more'],
  [{ retryBackoff: { max: -1 } }, 'retry_backoff.max: must be 0 or more'],
  [{ retryBackoff: { initial: 2, max: 1 } }, 'retry_backoff.max: must be initial (2) or more'],
  [{ retryOn: ['reset', '399'] }, "retry_on[1]: status '399' must be between 400 and 599"],
  [{ retryOn: ['600'] }, "retry_on[0]: status '600' must be between 400 and 599"],
  [{ retryOn: ['reset', '503', 'reset'] }, "retry_on[2]: 'reset' is there twice"],
  [
    { retryOn: ['UNAVAILABLE'] },
    'retry_on[0]: ' +
      "'UNAVAILABLE' is none of connect-failure, refused-stream, reset, timeout, 5xx, gateway-error, no status from 400 to 599 " +
      "and no gRPC status: did you mean 'unavailable'?",
  ],
  [{ retryMethods: ['get'] }, "retry_methods[0]: 'get' must be in upper case: 'GET'"],
  [{ retryMethods: ['GET', 'GET'] }, "retry_methods[1]: 'GET' is there twice"],
  [
    { retryMethods: ['G T'] },
    "retry_methods[0]: 'G T' is neither a method of HTTP nor a gRPC method, /package.Service/Method",
  ],
  [
    { retryMethods: [''] },
    "retry_methods[0]: '' is neither a method of HTTP nor a gRPC method, /package.Service/Method",
  ],
  ...['/a.B', '/a.B/', '/a.B/c/d', '//c', '/*/c', '/a.B/c*', '/a.B/c d', '/a.B/c?d'].map(
    (path) =>
      [
        { retryMethods: [path] },
        `retry_methods[0]: '${path}' must be /package.Service/Method, or /package.Service/* for all of a service`,
      ] as const,
  ),
  [{ outlierDetection: { interval: 0 } }, 'outlier_detection.interval: must be greater than 0'],
  [{ outlierDetection: { baseEjectionTime: 0 } }, 'outlier_detection.base_ejection_time: must be greater than 0'],
  [{ outlierDetection: { maxEjectionTime: 0 } }, 'outlier_detection.max_ejection_time: must be greater than 0'],
  [
    { outlierDetection: { maxEjectionTime: 29 } },
    'outlier_detection.max_ejection_time: must be base_ejection_time (30) or more',
  ],
  [
    { outlierDetection: { baseEjectionTime: 2, maxEjectionTime: 1 } },
    'outlier_detection.max_ejection_time: must be base_ejection_time (2) or more',
  ],
  [
    { outlierDetection: { maxEjectionTimeJitter: -1 } },
    'outlier_detection.max_ejection_time_jitter: must be 0 or more',
  ],
  ...(
    [
      ['maxEjectionPercent', 'max_ejection_percent', 0],
      ['enforcingConsecutive5xx', 'enforcing_consecutive_5xx', 0],
      ['enforcingConsecutiveGatewayFailure', 'enforcing_consecutive_gateway_failure', 0],
      ['enforcingConsecutiveLocalOriginFailure', 'enforcing_consecutive_local_origin_failure', 0],
      ['enforcingSuccessRate', 'enforcing_success_rate', 0],
      ['enforcingLocalOriginSuccessRate', 'enforcing_local_origin_success_rate', 0],
      ['enforcingFailurePercentage', 'enforcing_failure_percentage', 0],
      ['enforcingFailurePercentageLocalOrigin', 'enforcing_failure_percentage_local_origin', 0],
      ['failurePercentageThreshold', 'failure_percentage_threshold', 1],
    ] as const
  ).map(
    ([property, name, least]) =>
      [
        { outlierDetection: { [property]: 101 } },
        `outlier_detection.${name}: must be between ${least} and 100, not 101`,
      ] as const,
  ),
  [
    { outlierDetection: { failurePercentageThreshold: 0 } },
    'outlier_detection.failure_percentage_threshold: must be between 1 and 100, not 0',
  ],
  [
    { outlierDetection: { latencyFactor: 0.5 } },
    'outlier_detection.latency_factor: must be 0 (off) or 1 and more, not 0.5',
  ],
  [
    { outlierDetection: { latencyFactor: NaN } },
    'outlier_detection.latency_factor: must be 0 (off) or 1 and more, not NaN',
  ],
  [
    { outlierDetection: { latencyFactor: Infinity } },
    'outlier_detection.latency_factor: must be 0 (off) or 1 and more, not Infinity',
  ],
  [
    { outlierDetection: { latencyMinimumHosts: 1 } },
    'outlier_detection.latency_minimum_hosts: must be 2 or more, not 1',
  ],
  [{ warmUpConf: {} }, 'warm_up_conf.slow_start_time_seconds: required, unless off is true'],
  [{ warmUpConf: { slowStartTimeSeconds: 0.5 } }, 'warm_up_conf.slow_start_time_seconds: must be 1 or more'],
  [warm({ minWeightPercent: 0 }), 'warm_up_conf.min_weight_percent: must be between 1 and 100, not 0'],
  [warm({ minWeightPercent: 101 }), 'warm_up_conf.min_weight_percent: must be between 1 and 100, not 101'],
  [warm({ interval: 0.9 }), 'warm_up_conf.interval: must be 1 or more'],
  [warm({ aggression: 0 }), 'warm_up_conf.aggression: must be a number greater than 0, not 0'],
  [warm({ aggression: Infinity }), 'warm_up_conf.aggression: must be a number greater than 0, not Infinity'],
  [warm({ startupGracePeriodSeconds: -1 }), 'warm_up_conf.startup_grace_period_seconds: must be 0 or more'],
  [{ allUnhealthy: 'use_all' }, "all_unhealthy: 'use_all' is none of use-all, fail-fast: did you mean 'use-all'?"],
  [{ panicThreshold: 101 }, 'panic_threshold: must be between 0 and 100, not 101'],
  [{ serviceName: 'a.example' }, 'discovery_type: required beside service_name: dns'],
  [{ discoveryType: 'dns' }, 'service_name: required beside discovery_type'],
  [{ serviceName: 'x', discoveryType: 'nacos' }, "discovery_type: 'nacos' is not supported yet"],
  [{ serviceName: 'x', discoveryType: 'zk' }, "discovery_type: 'zk' is none of dns"],
  [
    { ...dns('10.0.0.1') },
    "service_name: '10.0.0.1' is no DNS name with or without a port; an address goes into nodes",
  ],
  [dns('a..b:80'), "service_name: 'a..b:80' is no DNS name with or without a port; an address goes into nodes"],
  [dns('a.example:0'), "service_name: port '0' must be between 1 and 65535"],
  [
    { ...dns('a.example'), discoveryArgs: { namespace_id: 'x' } },
    'discovery_args: dns takes no arguments: leave them out',
  ],
  [{ discoveryArgs: { namespace_id: 'x' } }, 'discovery_args: dns takes no arguments: leave them out'],
  [{ timeout: { total: -1 } }, 'timeout.total: must be 0 or more'],
  [{ timeout: { idle: -0.5 } }, 'timeout.idle: must be 0 or more'],
  [{ timeout: { connect: 0 } }, 'timeout.connect: must be greater than 0'],
  [{ timeout: { send: -1e308 } }, 'timeout.send: must be greater than 0'],
  [{ timeout: { read: NaN } }, 'timeout.read: must be greater than 0'],
  [{ timeout: { read: -Infinity } }, 'timeout.read: must be greater than 0'],
  [{ timeout: { read: Infinity } }, 'timeout.read: must be at most 1000000000 seconds'],
  [{ timeout: { read: 1e308 } }, 'timeout.read: must be at most 1000000000 seconds'],
  [{ keepalivePool: { requests: 0 } }, 'keepalive_pool.requests: must be 1 or more, not 0'],
  [{ keepalivePool: { idleTimeout: -0.1 } }, 'keepalive_pool.idle_timeout: must be 0 or more'],
  [{ keepalivePool: { idleTimeout: 2e9 } }, 'keepalive_pool.idle_timeout: must be at most 1000000000 seconds'],
  [
    { checks: { active: { type: 'htp' } } },
    "checks.active.type: 'htp' is none of http, https, tcp, grpc: did you mean 'http'?",
  ],
  [{ checks: { active: { timeout: 0 } } }, 'checks.active.timeout: must be greater than 0'],
  [{ checks: { active: { concurrency: 0 } } }, 'checks.active.concurrency: must be 1 or more, not 0'],
  [
    { checks: { active: { host: 'a b' } } },
    "checks.active.host: 'a b' is no host: letters, digits and . _ - : [ ] are allowed",
  ],
  [{ checks: { active: { port: 0 } } }, 'checks.active.port: must be between 1 and 65535, not 0'],
  [{ checks: { active: { port: 65536 } } }, 'checks.active.port: must be between 1 and 65535, not 65536'],
  [
    { checks: { active: { httpPath: 'healthz' } } },
    "checks.active.http_path: 'healthz' must start with '/' and have no blanks, '#' or characters beyond ASCII",
  ],
  [
    { checks: { active: { httpPath: '/a HTTP/1.1\r\nx' } } },
    "checks.active.http_path: '/a HTTP/1.1\\r\\nx' must start with '/' and have no blanks, '#' or characters beyond ASCII",
  ],
  [
    { checks: { active: { httpMethod: 'get' } } },
    "checks.active.http_method: 'get' is none of GET, POST, PUT, DELETE, PATCH, HEAD, OPTIONS, CONNECT, TRACE, PURGE: did you mean 'GET'?",
  ],
  ...['TRACE', 'CONNECT'].map(
    (httpMethod) =>
      [
        { checks: { active: { httpMethod, httpReqBody: 'x' } } },
        `checks.active.http_req_body: not with http_method ${httpMethod}, whose requests have no body`,
      ] as const,
  ),
  [
    { checks: { active: { httpReqBody: 'é'.repeat(32769) } } },
    'checks.active.http_req_body: must have at most 65536 bytes, not 65538',
  ],
  [
    { checks: { active: { start: 'unhealty' } } },
    "checks.active.start: 'unhealty' is none of healthy, unhealthy: did you mean 'unhealthy'?",
  ],
  [{ checks: { active: { reqHeaders: ['x'] } } }, 'checks.active.req_headers[0]: must be a line `Name: value`'],
  [
    { checks: { active: { reqHeaders: ['a: b', 'x y: z'] } } },
    'checks.active.req_headers[1]: must be a line `Name: value`',
  ],
  [
    { checks: { active: { reqHeaders: ['a: b\r\nc: d'] } } },
    "checks.active.req_headers[0]: the value of a has characters that a field can't carry",
  ],
  [
    { checks: { active: { reqHeaders: ['Host: x'] } } },
    'checks.active.req_headers[0]: set `host` instead of a Host field',
  ],
  [
    { checks: { active: { reqHeaders: ['Content-Length: 3'] } } },
    'checks.active.req_headers[0]: content-length is set by the prober itself',
  ],
  [{ checks: { active: { healthy: { interval: 0.5 } } } }, 'checks.active.healthy.interval: must be 1 or more'],
  [
    { checks: { active: { healthy: { successes: 0 } } } },
    'checks.active.healthy.successes: must be between 1 and 254, not 0',
  ],
  [
    { checks: { active: { healthy: { httpStatuses: [200, 199] } } } },
    'checks.active.healthy.http_statuses[1]: must be between 200 and 599, not 199',
  ],
  [
    { checks: { active: { healthy: { httpStatuses: [200, 200] } } } },
    'checks.active.healthy.http_statuses[1]: 200 is there twice',
  ],
  [{ checks: { active: { unhealthy: { interval: NaN } } } }, 'checks.active.unhealthy.interval: must be 1 or more'],
  [
    { checks: { active: { unhealthy: { httpStatuses: [600] } } } },
    'checks.active.unhealthy.http_statuses[0]: must be between 200 and 599, not 600',
  ],
  [
    { checks: { active: { unhealthy: { httpFailures: 255 } } } },
    'checks.active.unhealthy.http_failures: must be between 1 and 254, not 255',
  ],
  [
    { checks: { active: { unhealthy: { tcpFailures: 0 } } } },
    'checks.active.unhealthy.tcp_failures: must be between 1 and 254, not 0',
  ],
  [
    { checks: { active: { unhealthy: { timeouts: 0 } } } },
    'checks.active.unhealthy.timeouts: must be between 1 and 254, not 0',
  ],
  [{ checks: { passive: { type: 'grpc' } } }, "checks.passive.type: 'grpc' is none of http, https, tcp"],
  [
    { checks: { passive: { healthy: { successes: 255 } } } },
    'checks.passive.healthy.successes: must be between 0 and 254, not 255',
  ],
  [
    { checks: { passive: { healthy: { httpStatuses: [100] } } } },
    'checks.passive.healthy.http_statuses[0]: must be between 200 and 599, not 100',
  ],
  [
    { checks: { passive: { unhealthy: { httpFailures: 255 } } } },
    'checks.passive.unhealthy.http_failures: must be between 0 and 254, not 255',
  ],
  [
    { checks: { passive: { unhealthy: { tcpFailures: 4294967295 } } } },
    'checks.passive.unhealthy.tcp_failures: must be between 0 and 254, not 4294967295',
  ],
  [
    { checks: { passive: { unhealthy: { timeouts: 300 } } } },
    'checks.passive.unhealthy.timeouts: must be between 0 and 254, not 300',
  ],
  [
    { checks: { passive: { unhealthy: { returnAfter: 0 } } } },
    'checks.passive.unhealthy.return_after: must be greater than 0',
  ],
  [
    { checks: { passive: { unhealthy: { maxReturnAfter: 0 } } } },
    'checks.passive.unhealthy.max_return_after: must be greater than 0',
  ],
  [
    { checks: { passive: { unhealthy: { maxReturnAfter: 29 } } } },
    'checks.passive.unhealthy.max_return_after: must be return_after (30) or more',
  ],
  [
    { checks: { passive: { unhealthy: { returnAfter: 2, maxReturnAfter: 1 } } } },
    'checks.passive.unhealthy.max_return_after: must be return_after (2) or more',
  ],
];

for (const [policy, problem] of REFUSED) {
  test(`refused: ${problem}`, () => {
    assert.deepEqual(problemsOf(policy), [problem]);
    assert.deepEqual(problemsOf({ portLevelSettings: [{ port: 1 }, { port: 2, ...policy }] }), [
      `port_level_settings[1].${problem}`,
    ]);
  });
}

test('retries and max_attempts of one level exclude each other, those of two levels do not', () => {
  assert.match(problemsOf({ retries: 1, maxAttempts: 2 }).join(), /^max_attempts: not together with retries/);
  assert.deepEqual(problemsOf({ retries: 1, portLevelSettings: [{ port: 1, maxAttempts: 2 }] }), []);
});

test('ports of port level settings: bounds and doubles', () => {
  assert.deepEqual(problemsOf({ portLevelSettings: [{}] }), [
    'port_level_settings[0].port: must be between 1 and 65535, not 0',
  ]);
  assert.deepEqual(problemsOf({ portLevelSettings: [{ port: 7 }, { port: 65536 }, { port: 7 }] }), [
    'port_level_settings[1].port: must be between 1 and 65535, not 65536',
    'port_level_settings[2].port: 7 is set by port_level_settings[0] already',
  ]);
});

test('inline nodes are IP addresses or DNS names', () => {
  const node = (host: string): string => problemsOf({ nodes: [{ host }] }).join();
  const name = 'its labels have 1 to 63 letters, digits, - and _, the whole at most 253 characters';
  for (const host of ['backend.example', 'localhost', 'a', 'A-_b.C.', '1a.2', '-x', 'xn--bcher-kva.example']) {
    assert.equal(node(host), '', host);
  }
  for (const host of ['a..b', '.a', 'a.b..', '.', `${'a'.repeat(64)}.b`, 'bücher.example', 'a b', 'a/b', 'user@a']) {
    const reason = host === '.' ? 'is no IP address and no DNS name' : `is no DNS name: ${name}`;
    assert.equal(node(host), `nodes[0].host: '${host.slice(0, 60)}${host.length > 60 ? '…' : ''}' ${reason}`);
  }
  assert.match(node(`${'a.'.repeat(126)}aa`), /is no DNS name/);
  assert.equal(node('*'), "nodes[0].host: '*' has a wildcard, and an endpoint is one host: name each");
  assert.match(node('*.example'), /has a wildcard/);
  assert.equal(node('a.example:80'), "nodes[0].host: 'a.example:80' has a port in it: write it as port");
  assert.match(node('[::1]:80'), /has a port in it/);
  assert.match(node('fe80::1%eth0'), /an IPv6 address with a zone is not supported/);
  assert.match(node('[fe80::1%25eth0]'), /zone/);
  assert.equal(node(''), 'nodes[0].host: required: an IP address or a DNS name');
  for (const host of ['10.0.0.256', '10.0.0.01', '1.2.3', '12', '[10.0.0.1]', '1::2::3', 'abc::xyz']) {
    assert.equal(node(host), `nodes[0].host: '${host}' is no IP address and no DNS name`);
  }
  assert.deepEqual(
    problemsOf({
      nodes: [
        { host: '10.0.0.1', port: 0 },
        { host: 'a', port: 65536 },
      ],
    }),
    ['nodes[0].port: must be between 1 and 65535, not 0', 'nodes[1].port: must be between 1 and 65535, not 65536'],
  );
});

test('APISIX row 84: a bare IPv6 address in the list form is accepted natively, for its port stands apart', () => {
  // The Admin API of the reference control plane refuses it, as APISIX does.
  assert.deepEqual(problemsOf({ nodes: [{ host: '::1', port: 1980, weight: 1 }] }), []);
});

test('APISIX row 83: the hash key', () => {
  const missing =
    /^key: missing key: type chash with hash_on (vars|header|cookie|vars_combinations) needs what is hashed/;
  const chash = (hashOn: string | undefined, key: string | undefined): string =>
    problemsOf({ type: 'chash', hashOn, key }).join();
  for (const hashOn of [undefined, 'vars', 'header', 'cookie', 'vars_combinations']) {
    assert.match(chash(hashOn, undefined), missing);
  }
  assert.match(chash('vars', 'not_support'), /^key: 'not_support' is none of uri, server_name, .* and no arg_NAME$/);
  assert.match(chash('vars', 'remote_adr'), /did you mean 'remote_addr'\?$/);
  for (const hashOn of ['header', 'cookie']) {
    assert.equal(chash(hashOn, '$#^@'), `key: '$#^@' is no name of a ${hashOn}: letters, digits, - and _ are allowed`);
    assert.equal(chash(hashOn, 'X-Session_id1'), '');
  }
  assert.match(chash('heder', 'x'), /^hash_on: 'heder' is none of vars, header, cookie, consumer, vars_combinations/);
  assert.equal(chash('consumer', undefined), '');
  assert.equal(chash('consumer', '$#^@'), '');
  assert.equal(chash('vars_combinations', 'no variable at all'), '');
  for (const key of [
    ...['uri', 'server_name', 'server_addr', 'request_uri', 'remote_port', 'remote_addr', 'query_string', 'host'],
    ...['hostname', 'mqtt_client_id', 'arg_device-id', 'arg_A_1'],
  ]) {
    assert.equal(chash('vars', key), '', key);
    assert.equal(chash(undefined, key), '', key);
  }
  // Without chash a key has no effect and no rule.
  assert.deepEqual(problemsOf({ key: '$#^@' }), []);
  assert.deepEqual(problemsOf({ type: 'ewma', hashOn: 'cookie', key: '$#^@' }), []);
  // The group is taken whole, so a port's chash needs a key of its own.
  const port = { port: 1, type: 'chash' };
  assert.match(
    problemsOf({ type: 'chash', key: 'uri', portLevelSettings: [port] }).join(),
    /^port_level_settings\[0\]\.key: missing key/,
  );
});

test('APISIX row 54: timeouts of 0 are refused', () => {
  assert.deepEqual(problemsOf({ timeout: { connect: 0, send: 0, read: 0 } }), [
    'timeout.connect: must be greater than 0',
    'timeout.send: must be greater than 0',
    'timeout.read: must be greater than 0',
  ]);
});

test('APISIX row 60: an Upstream without nodes is accepted; its calls have no endpoint', () => {
  assert.deepEqual(problemsOf({ nodes: [] }), []);
});

test('APISIX row 66: pass_host rewrite without upstream_host is refused', () => {
  assert.deepEqual(problemsOf({ passHost: 'rewrite' }), ['upstream_host: required with pass_host: rewrite']);
  assert.deepEqual(problemsOf({ passHost: 'rewrite', upstreamHost: 'test.com' }), []);
});

test('APISIX row 86: passive checks alone are accepted natively, with a timed return', () => {
  // Both APISIX doors of the reference control plane refuse them.
  assert.deepEqual(problemsOf({ checks: { passive: {} } }), []);
});

test('APISIX row 87: the port of an active check is 1 to 65535', () => {
  for (const port of [0, 65536]) {
    assert.deepEqual(problemsOf({ checks: { active: { port } } }), [
      `checks.active.port: must be between 1 and 65535, not ${port}`,
    ]);
  }
  for (const port of [1, 65535]) assert.deepEqual(problemsOf({ checks: { active: { port } } }), []);
});

test('a registry and nodes exclude each other, also at a port', () => {
  const nodes = [{ host: '10.0.0.1' }];
  const reason = 'not together with nodes: leave one of them out';
  assert.deepEqual(problemsOf({ nodes, ...dns('a.example') }), [`service_name: ${reason}`]);
  assert.deepEqual(problemsOf({ nodes, portLevelSettings: [{ port: 1, ...dns('a.example') }] }), [
    `port_level_settings[0].service_name: ${reason}`,
  ]);
  for (const name of ['a.example', 'A.example.', '_grpc._tcp.a.example', 'web:8080']) {
    assert.deepEqual(problemsOf(dns(name)), [], name);
    assert.deepEqual(problemsOf({ portLevelSettings: [{ port: 1, ...dns(name) }] }), [], name);
  }
});

test('waits between attempts inherit one by one, so their bound counts between two levels too', () => {
  const at = (initial: number | undefined, max: number | undefined, port: object): string[] =>
    problemsOf({ retryBackoff: { initial, max }, portLevelSettings: [{ port: 1, retryBackoff: port }] });
  assert.deepEqual(at(undefined, 5, { initial: 6 }), [
    'port_level_settings[0].retry_backoff.initial: must be at most max (5, of the upstream)',
  ]);
  assert.deepEqual(at(3, undefined, { max: 2 }), [
    'port_level_settings[0].retry_backoff.max: must be initial (3) or more',
  ]);
  assert.deepEqual(at(3, 5, { initial: 5 }), []);
  assert.deepEqual(at(3, 5, { initial: 7, max: 8 }), []);
  assert.deepEqual(at(3, undefined, { initial: 7 }), []);
});

test('every gRPC status but OK may be tried again, whatever the scheme', () => {
  const statuses = Object.keys(GRPC_STATUS).filter((word) => /^[A-Z_]+$/.test(word) && word !== 'OK');
  assert.equal(statuses.length, 16);
  const words = statuses.map((word) => word.toLowerCase().replaceAll('_', '-'));
  for (const scheme of ['http', 'grpc']) assert.deepEqual(problemsOf({ scheme, retryOn: words }), []);
  assert.match(problemsOf({ retryOn: ['ok'] }).join(), /^retry_on\[0\]: 'ok' is none of/);
});

test('all problems of a resource are told at once', () => {
  assert.deepEqual(
    problemsOf({
      desc: 'x'.repeat(257),
      labels: { a: 'b c' },
      scheme: 'kafka',
      portLevelSettings: [{ port: 1, timeout: { read: 0 }, tls: { caCerts: ['x'] } }],
    }),
    [
      'desc: must have at most 256 characters',
      `labels["a"]: 'b c' must have no blanks`,
      "scheme: 'kafka' is not supported yet",
      'port_level_settings[0].timeout.read: must be greater than 0',
      'port_level_settings[0].tls.ca_certs[0]: must be PEM text of 128 to 1048576 bytes, not 1',
    ],
  );
});

test('no more than a hundred problems are told, the rest are counted', () => {
  const problems = problemsOf({ nodes: Array.from({ length: 150 }, () => ({ host: '*' })) });
  assert.equal(problems.length, 101);
  assert.equal(problems.at(-1), 'and 50 further problems');
});
