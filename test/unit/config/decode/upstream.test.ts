import assert from 'node:assert/strict';
import { test } from 'node:test';
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
      nodes: [{ host: '10.0.0.1' }, { host: '[::1]', port: 81, weight: 0, priority: 0 }, { host: 'fe80::1' }],
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
        { port: 65535 },
      ],
      type: 'roundrobin',
      hashOn: 'vars',
      key: '',
      scheme: 'http',
      retries: 0,
      retryTimeout: 0,
      timeout: { connect: 0.001, send: 1e9, read: 60 },
      keepalivePool: { size: 1, idleTimeout: 0, requests: 1 },
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
          httpReqBody: '',
          reqHeaders: ['User-Agent: probe/1', 'x-empty:'],
          httpsVerifyCertificate: true,
          grpcService: 'a.B',
          healthy: { interval: 1, httpStatuses: [200, 599], successes: 254 },
          unhealthy: { interval: 1.5, httpStatuses: [500], httpFailures: 1, tcpFailures: 254, timeouts: 1 },
        },
        passive: {
          type: 'https',
          healthy: { httpStatuses: [200], successes: 0 },
          unhealthy: { httpStatuses: [500], httpFailures: 0, tcpFailures: 0, timeouts: 254, returnAfter: 0.1 },
        },
      },
      outlierDetection: { off: true },
      tls: { off: true },
      serviceName: '',
      discoveryType: '',
    }),
    [],
  );
});

// Each line: what the policy says, and the one problem that it must give, at the upstream and at a port.
const REFUSED: readonly (readonly [policy: Partial, problem: string])[] = [
  [{ type: 'chash' }, "type: 'chash' is not supported yet"],
  [{ type: 'ewma' }, "type: 'ewma' is not supported yet"],
  [{ type: 'least_conn' }, "type: 'least_conn' is not supported yet"],
  [{ type: 'roundrobbin' }, "type: 'roundrobbin' is none of roundrobin: did you mean 'roundrobin'?"],
  [{ type: '' }, "type: '' is none of roundrobin"],
  [{ hashOn: 'header' }, "hash_on: 'header' is not supported yet"],
  [{ hashOn: 'vars_combinations' }, "hash_on: 'vars_combinations' is not supported yet"],
  [{ hashOn: 'heder' }, "hash_on: 'heder' is none of vars: did you mean 'header'?"],
  [{ key: 'remote_addr' }, 'key: not supported yet'],
  [{ scheme: 'tls' }, "scheme: 'tls' is not supported yet"],
  [{ scheme: 'kafka' }, "scheme: 'kafka' is not supported yet"],
  [{ scheme: 'gprc' }, "scheme: 'gprc' is none of http, https, grpc, grpcs: did you mean 'grpc'?"],
  [{ retryTimeout: 1 }, 'retry_timeout: not supported yet'],
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
  [{ outlierDetection: {} }, 'outlier_detection: not supported yet'],
  [{ outlierDetection: { consecutiveFailures: 5 } }, 'outlier_detection: not supported yet'],
  [{ outlierDetection: { consecutiveFailures: 5, off: true } }, 'outlier_detection: not supported yet'],
  [{ serviceName: 'x' }, 'service_name: not supported yet'],
  [{ discoveryType: 'dns' }, 'discovery_type: not supported yet'],
  [{ discoveryArgs: { namespace_id: 'x' } }, 'discovery_args: not supported yet'],
  [{ timeout: { connect: 0 } }, 'timeout.connect: must be greater than 0'],
  [{ timeout: { send: -1e308 } }, 'timeout.send: must be greater than 0'],
  [{ timeout: { read: NaN } }, 'timeout.read: must be greater than 0'],
  [{ timeout: { read: -Infinity } }, 'timeout.read: must be greater than 0'],
  [{ timeout: { read: Infinity } }, 'timeout.read: must be at most 1000000000 seconds'],
  [{ timeout: { read: 1e308 } }, 'timeout.read: must be at most 1000000000 seconds'],
  [{ keepalivePool: { size: 0 } }, 'keepalive_pool.size: must be 1 or more, not 0'],
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
  [{ checks: { active: { httpMethod: 'CONNECT' } } }, "checks.active.http_method: 'CONNECT' is not supported yet"],
  [{ checks: { active: { httpReqBody: 'x' } } }, 'checks.active.http_req_body: not supported yet'],
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

test('inline nodes are IP addresses within bounds', () => {
  const node = (host: string): string => problemsOf({ nodes: [{ host }] }).join();
  assert.equal(
    node('backend.example'),
    "nodes[0].host: 'backend.example' is a DNS name, and DNS is not supported yet: give an IP address",
  );
  assert.equal(
    node('localhost'),
    "nodes[0].host: 'localhost' is a DNS name, and DNS is not supported yet: give an IP address",
  );
  assert.match(node('fe80::1%eth0'), /an IPv6 address with a zone is not supported/);
  assert.match(node('[fe80::1%25eth0]'), /zone|no IP address/);
  assert.equal(node(''), 'nodes[0].host: required: an IP address');
  assert.equal(node('10.0.0.256'), "nodes[0].host: '10.0.0.256' is no IP address");
  assert.equal(node('10.0.0.01'), "nodes[0].host: '10.0.0.01' is no IP address");
  assert.deepEqual(problemsOf({ nodes: [{ host: '10.0.0.1', port: 0, weight: 1_000_001, priority: -1 }] }), [
    'nodes[0].port: must be between 1 and 65535, not 0',
    'nodes[0].weight: must be between 0 and 1000000, not 1000001',
    'nodes[0].priority: not supported yet',
  ]);
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
  const problems = problemsOf({ nodes: Array.from({ length: 150 }, () => ({ host: 'x' })) });
  assert.equal(problems.length, 101);
  assert.equal(problems.at(-1), 'and 50 further problems');
});
