import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readNative, writeNative } from '../../../src/config/native.ts';
import { describeProblems, KINDS, type Resource } from '../../../src/config/resource.ts';
import { issueAuthority, issueCertificate } from '../../support/certificates.ts';
import { encode } from '../../support/resources.ts';

const apiVersion = 'outrigger.config/v1';

function read(document: unknown): Resource {
  const result = readNative(document);
  assert.ok(result.ok, result.ok ? '' : describeProblems(result.problems));
  assert.equal(result.resource.name, result.name);
  assert.equal(result.resource.bytes, result.bytes);
  return result.resource;
}

function problems(document: unknown): string[] {
  const result = readNative(document);
  return result.ok ? [] : result.problems.map((problem) => describeProblems([problem]));
}

function upstream(spec: unknown): unknown {
  return { apiVersion, kind: 'Upstream', metadata: { namespace: 'shop', name: 'cart' }, spec };
}

test('an upstream: snake_case and camelCase give the bytes of the generated encoder', () => {
  const message = {
    name: 'shop/cart',
    labels: { b: '2', a: '1' },
    scheme: 'grpc',
    retries: 0,
    timeout: { read: 1.5 },
    portLevelSettings: [{ port: 7000, keepalivePool: { idleTimeout: 0 }, checks: { active: { off: false } } }],
    checks: {
      active: { reqHeaders: ['a: b', 'c: d'], healthy: { httpStatuses: [200, 302] }, unhealthy: {} },
      passive: {},
    },
  };
  const snake = read(
    upstream({
      checks: {
        passive: {},
        active: { unhealthy: {}, req_headers: ['a: b', 'c: d'], healthy: { http_statuses: [200, 302] } },
      },
      port_level_settings: [{ port: 7000, keepalive_pool: { idle_timeout: 0 }, checks: { active: { off: false } } }],
      labels: { b: '2', a: '1' },
      scheme: 'grpc',
      retries: 0,
      timeout: { read: 1.5 },
    }),
  );
  const { name: _, ...camel } = message;
  assert.deepEqual(
    Buffer.from(snake.bytes),
    Buffer.from(encode('Upstream', { ...message, labels: { a: '1', b: '2' } })),
  );
  assert.deepEqual(Buffer.from(read(upstream(camel)).bytes), Buffer.from(snake.bytes));
});

test('names', () => {
  const name = (kind: string, metadata: object, spec: object = {}): string =>
    read({ apiVersion, kind, metadata, spec }).name;
  assert.equal(name('Upstream', { name: 'cart' }), 'default/cart');
  assert.equal(name('Upstream', { namespace: 'shop', name: 'cart' }), 'shop/cart');
  assert.equal(name('Upstream', { namespace: '', name: 'routes/1' }), 'routes/1');
  assert.equal(name('Endpoints', { namespace: 'shop', name: 'cart/80' }), 'shop/cart/80');
  assert.equal(name('Endpoints', { name: 'cart/80' }), 'default/cart/80');
  assert.equal(name('Sidecar', { name: 'a/b' }), 'a/b');
  assert.equal(name('Upstream', { name: 'cart' }, { name: 'default/cart' }), 'default/cart');
  const wrong = (kind: string, metadata: unknown): string =>
    problems({ apiVersion, kind, metadata, spec: {} }).join('; ');
  assert.equal(wrong('Upstream', {}), 'metadata.name: required');
  assert.equal(wrong('Upstream', { name: '' }), 'metadata.name: required');
  assert.equal(
    wrong('Upstream', { name: 1 }),
    'metadata.name: must be a string, not a number; metadata.name: required',
  );
  assert.equal(
    wrong('Upstream', { name: 'a/b' }),
    "metadata.name: 'a/b' must have no '/': the namespace has a field of its own",
  );
  assert.equal(wrong('Upstream', { namespace: 'a/b', name: 'c' }), "metadata.namespace: 'a/b' must have no '/'");
  assert.equal(wrong('Endpoints', { name: 'cart' }), "metadata.name: 'cart' must be service/port");
  assert.match(wrong('Endpoints', { name: 'cart/http' }), /^metadata\.name: must be namespace\/service\/port/);
  assert.equal(
    wrong('Sidecar', { namespace: 'a', name: 'b' }),
    'metadata.namespace: a Sidecar has no namespace: leave it out',
  );
  assert.equal(wrong('Sidecar', { name: '*' }), "metadata.name: '*' can't be a name");
  assert.deepEqual(problems(upstream({ name: 'other' })), [
    "spec.name: 'other' differs from the resource name 'shop/cart'",
  ]);
});

test('the outside of a document', () => {
  assert.deepEqual(problems('x'), ['must be an object with apiVersion, kind, metadata and spec, not a string']);
  assert.deepEqual(problems(null), ['must be an object with apiVersion, kind, metadata and spec, not null']);
  assert.deepEqual(problems([]), ['must be an object with apiVersion, kind, metadata and spec, not a list']);
  assert.deepEqual(problems({}), [
    'apiVersion: must be outrigger.config/v1',
    `kind: required: one of ${KINDS.join(', ')}`,
    'spec: required',
  ]);
  const kind = (word: unknown): string =>
    problems({ apiVersion, kind: word, metadata: { name: 'a' }, spec: {} }).join();
  assert.equal(kind('Upstreams'), `kind: 'Upstreams' is none of ${KINDS.join(', ')}: did you mean 'Upstream'?`);
  assert.match(kind('Routes'), /: did you mean 'Route'\?$/);
  assert.match(kind('Bootstrap'), /not a resource/);
  assert.equal(kind(7), 'kind: must be a string, not a number');
  assert.deepEqual(
    problems({ apiVersion: 'v1', kind: 'Upstream', metdata: {}, metadata: { name: 'a', labels: {} }, spec: [] }),
    [
      "metdata: unknown key: did you mean 'metadata'?",
      "apiVersion: must be outrigger.config/v1, not 'v1'",
      'metadata.labels: unknown key; known are namespace, name',
      'spec: must be an object, not a list',
    ],
  );
});

test('unknown keys, with the nearest known one', () => {
  assert.deepEqual(
    problems(upstream({ retires: 1, timeout: { raed: 5 }, port_level_settings: [{ port: 1, zzzz: 1 }] })),
    [
      "spec.retires: unknown key: did you mean 'retries'?",
      `spec.port_level_settings[0].zzzz: unknown key; known are ${
        'port, type, hash_on, key, scheme, retries, max_attempts, retry_timeout, timeout, keepalive_pool, pass_host, ' +
        'upstream_host, checks, outlier_detection, tls, service_name, discovery_type, discovery_args, ewma_formula, ' +
        'hash_balance_factor, retry_on, retry_methods, per_try_timeout, retry_backoff, circuit_breakers, warm_up_conf, ' +
        'all_unhealthy, panic_threshold'
      }`,
      "spec.timeout.raed: unknown key: did you mean 'read'?",
    ],
  );
  assert.deepEqual(problems(upstream({ 'hash_on ': 'vars' })), [
    `spec["hash_on "]: unknown key: 'hash_on ' has blanks around it; did you mean 'hash_on'?`,
  ]);
  assert.deepEqual(problems(upstream({ hash_on: 'vars', hashOn: 'vars' })), [
    'spec.hash_on: is there twice, as hash_on and hashOn',
  ]);
  assert.match(
    problems(
      JSON.parse(`{"apiVersion":"${apiVersion}","kind":"Upstream","metadata":{"name":"a"},"spec":{"__proto__":{}}}`),
    ).join(),
    /__proto__: unknown key/,
  );
});

test('wrong types', () => {
  const cases: readonly (readonly [spec: unknown, problem: string])[] = [
    [{ retries: '3' }, 'spec.retries: must be a number, not a string'],
    [{ retries: 1.5 }, 'spec.retries: must be a whole number between 0 and 4294967295, not 1.5'],
    [{ retries: -1 }, 'spec.retries: must be a whole number between 0 and 4294967295, not -1'],
    [{ retries: NaN }, 'spec.retries: must be a whole number between 0 and 4294967295, not NaN'],
    [{ retries: true }, 'spec.retries: must be a number, not true or false'],
    [{ scheme: 1 }, 'spec.scheme: must be a string, not a number; put it in quotes'],
    [{ scheme: null }, 'spec.scheme: must be a string, not null; leave the field out for its default'],
    [
      { timeout: { read: '5s' } },
      'spec.timeout.read: must be a number, not a string; times are seconds, written as a plain number',
    ],
    [{ timeout: 5 }, 'spec.timeout: must be an object, not a number'],
    [{ timeout: null }, 'spec.timeout: must be an object, not null; leave the field out for its default'],
    [{ checks: { active: { off: 'yes' } } }, 'spec.checks.active.off: must be true or false, not a string'],
    [
      { checks: { active: { healthy: { http_statuses: 200 } } } },
      'spec.checks.active.healthy.http_statuses: must be a list, not a number',
    ],
    [
      { checks: { active: { healthy: { http_statuses: [200, '302'] } } } },
      'spec.checks.active.healthy.http_statuses[1]: must be a number, not a string',
    ],
    [{ port_level_settings: {} }, 'spec.port_level_settings: must be a list, not an object'],
    [{ port_level_settings: [7] }, 'spec.port_level_settings[0]: must be an object, not a number'],
    [{ labels: ['a'] }, 'spec.labels: must be an object, not a list'],
    [{ labels: { a: 1 } }, 'spec.labels["a"]: must be a string, not a number; put it in quotes'],
    [
      { nodes: [{ host: '10.0.0.1', priority: 2 ** 31 }] },
      'spec.nodes[0].priority: must be a whole number between -2147483648 and 2147483647, not 2147483648',
    ],
    [{ desc: '\ud800' }, 'spec.desc: has half of a surrogate pair, which no UTF-8 has'],
    [{ timeout: new Map() }, 'spec.timeout: must be an object, not a value that JSON does not have'],
  ];
  for (const [spec, problem] of cases) assert.deepEqual(problems(upstream(spec)), [problem]);
});

test('problems of values carry the place in the document, and come with those of shape', () => {
  assert.deepEqual(problems(upstream({ retires: 1, timeout: { read: 0 }, scheme: 'udp', type: 7 })), [
    "spec.retires: unknown key: did you mean 'retries'?",
    'spec.type: must be a string, not a number; put it in quotes',
    "spec.scheme: 'udp' is not supported yet",
    'spec.timeout.read: must be greater than 0',
  ]);
  const listener = (spec: unknown): string[] =>
    problems({ apiVersion, kind: 'Listener', metadata: { name: 'outbound/80' }, spec });
  // The list can't be read, so that it is missing is no news.
  assert.deepEqual(listener({ port: 80, targets: {} }), ['spec.targets: must be a list, not an object']);
  assert.deepEqual(listener({ prot: 80, targets: [{ upstream: 'a/b', service_port: 1 }] }), [
    "spec.prot: unknown key: did you mean 'port'?",
    'spec.port: required; 0 takes a free one',
  ]);
  const secret = (spec: unknown): string[] => problems({ apiVersion, kind: 'Secret', metadata: { name: 'tls' }, spec });
  const notBytes = 'must be PEM text, or a string of base64';
  assert.deepEqual(secret({}), ['required: certificate with private_key, or ca, or all three']);
  assert.deepEqual(secret({ private_key: 'AAAA' }), [
    'spec.certificate: required beside private_key',
    'spec.private_key: must be PEM text of 64 to 65536 bytes, not 3',
  ]);
  // The key can't be read, so that it is missing is no news.
  assert.deepEqual(secret({ certificate: 'A'.repeat(200), private_key: 'S E C' }), [`spec.private_key: ${notBytes}`]);
  assert.deepEqual(secret({ ca: 7 }), [
    `spec.ca: ${notBytes}`,
    'required: certificate with private_key, or ca, or all three',
  ]);
});

test('a Secret: PEM text and its base64 give the same bytes', async () => {
  const authority = await issueAuthority();
  const { certificatePem, keyPem } = await issueCertificate(authority, { dns: ['a.example'] });
  const spec = { certificate: certificatePem, private_key: keyPem, ca: authority.certificatePem };
  const secret = (one: object): Resource =>
    read({ apiVersion, kind: 'Secret', metadata: { namespace: 'shop', name: 'tls' }, spec: one });
  const base64 = Object.fromEntries(
    Object.entries(spec).map(([key, pem]) => [key, Buffer.from(pem).toString('base64')]),
  );
  const [asText, asBase64] = [secret(spec), secret(base64)];
  assert.equal(asText.name, 'shop/tls');
  assert.deepEqual(Buffer.from(asText.bytes), Buffer.from(asBase64.bytes));
  assert.equal((asText as Resource<'Secret'>).message.privateKey.toString(), keyPem);
});

test('no problem of an Upstream shows a key, whatever is wrong around it', () => {
  const key = `-----BEGIN PRIVATE KEY-----\n${'CANARY'.repeat(20)}\n-----END PRIVATE KEY-----\n`;
  const wrong: readonly unknown[] = [
    { tls: { client_key: key } },
    { tls: { client_key: [key] } },
    { tls: { client_key: { [key]: 1 } } },
    { tls: { clientKey: key, client_key: key } },
    { tls: { client_cert: key, client_key: key } },
    { tls: key },
    { tls: { [key]: key } },
    { tls: { off: key, verify: key } },
    { scheme: key, labels: { [key]: 'a b', a: `b ${key}` }, upstream_host: key, desc: key.repeat(5) },
    { nodes: { [key]: 1 }, checks: { active: { host: key, http_path: key, req_headers: [key] } } },
    { nodes: [{ host: key }], timeout: { read: key }, port_level_settings: [{ port: key, tls: { client_key: key } }] },
  ];
  for (const spec of wrong) {
    const found = problems(upstream(spec));
    assert.notEqual(found.length, 0);
    assert.doesNotMatch(found.join(), /CANARY/);
  }
  assert.deepEqual(problems(upstream({ scheme: key })), ['spec.scheme: PEM text is none of http, https, grpc, grpcs']);
  assert.deepEqual(problems(upstream({ nodes: { [key]: 1 } })), ['spec.nodes["PEM text"]: PEM text is not HOST:PORT']);
  const named = problems({ apiVersion: key, kind: key, metadata: { name: key, namespace: `/${key}` }, spec: {} });
  assert.doesNotMatch(named.join(), /CANARY/);
});

test('nodes as a map', () => {
  const made = read(
    upstream({ nodes: { '10.0.0.1:8080': 1, '[::1]:81': 0, '10.0.0.2': 5, 'foo.example:80': 2 ** 32 - 1 } }),
  );
  const expected = encode('Upstream', {
    name: 'shop/cart',
    nodes: [
      { host: '10.0.0.1', port: 8080, weight: 1 },
      { host: '::1', port: 81, weight: 0 },
      { host: '10.0.0.2', weight: 5 },
      { host: 'foo.example', port: 80, weight: 2 ** 32 - 1 },
    ],
  });
  assert.deepEqual(Buffer.from(made.bytes), Buffer.from(expected));
  assert.deepEqual(
    problems(
      upstream({ nodes: { '10.0.0.1:0': 1, '::1': 1, '1.2.3:80': 1, '10.0.0.1:80': 'x', '10.0.0.2:80': 2 ** 32 } }),
    ),
    [
      `spec.nodes["10.0.0.1:0"]: port '0' must be between 1 and 65535`,
      'spec.nodes["::1"]: an IPv6 address stands in brackets: [::1]',
      'spec.nodes["10.0.0.1:80"]: must be a number, not a string',
      'spec.nodes["10.0.0.2:80"]: must be a whole number between 0 and 4294967295, not 4294967296',
    ].concat(`spec.nodes["1.2.3:80"]: '1.2.3' is no IP address and no DNS name`),
  );
});

test('APISIX row 71: the map key ::1:1980 is refused where it is written, with both forms that it may stand for', () => {
  assert.deepEqual(problems(upstream({ nodes: { '::1:1980': 1 } })), [
    'spec.nodes["::1:1980"]: an IPv6 address stands in brackets: [::1]:1980, or [::1:1980]',
  ]);
  assert.deepEqual(problems(upstream({ nodes: { '[::1]:1980': 1 } })), []);
});

test('APISIX row 75: a weight that is a text is refused, in both forms of nodes', () => {
  assert.deepEqual(problems(upstream({ nodes: [{ host: '10.0.0.1', weight: '0' }] })), [
    'spec.nodes[0].weight: must be a number, not a string',
  ]);
  assert.deepEqual(problems(upstream({ nodes: { '10.0.0.1:80': '0' } })), [
    'spec.nodes["10.0.0.1:80"]: must be a number, not a string',
  ]);
});

test('the new messages are read by the names of the proto, and durations are plain numbers', () => {
  const spec = {
    retry_on: ['503', 'unavailable'],
    retry_methods: ['GET', '/a.B/*'],
    retry_backoff: { initial: 0.025, max: 1 },
    circuit_breakers: { max_requests_per_endpoint: 5 },
    warm_up_conf: { slow_start_time_seconds: 30, min_weight_percent: 20, startup_grace_period_seconds: 5 },
    outlier_detection: { consecutive_5xx: 3, enforcing_consecutive_5xx: 50, max_ejection_time_jitter: 0.5 },
    checks: { passive: { unhealthy: { max_return_after: 60 } } },
    nodes: [{ host: 'web.example', metadata: { zone: 'a' }, priority: -1 }],
  };
  const { message } = read(upstream(spec)) as Resource<'Upstream'>;
  assert.deepEqual(message.retryOn, ['503', 'unavailable']);
  assert.equal(message.circuitBreakers?.maxRequestsPerEndpoint, 5);
  assert.equal(message.outlierDetection?.consecutive5xx, 3);
  assert.equal(message.outlierDetection.enforcingConsecutive5xx, 50);
  assert.equal(message.warmUpConf?.startupGracePeriodSeconds, 5);
  assert.deepEqual([message.nodes[0]?.metadata, message.nodes[0]?.priority], [{ zone: 'a' }, -1]);
  assert.deepEqual(problems(upstream({ retry_on: [503] })), [
    'spec.retry_on[0]: must be a string, not a number; put it in quotes',
  ]);
  assert.deepEqual(problems(upstream({ per_try_timeout: '5s' })), [
    'spec.per_try_timeout: must be a number, not a string; times are seconds, written as a plain number',
  ]);
});

test('what is written reads as the same resource', () => {
  const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });
  const spec = fc.record(
    {
      desc: fc.string({ maxLength: 20 }).filter((text) => !/\p{Surrogate}/u.test(text)),
      labels: fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('', 'x')),
      retries: fc.nat(),
      scheme: fc.constantFrom('http', 'grpc'),
      timeout: fc.record({ read: optional(fc.double({ min: 0.001, max: 1e9, noNaN: true })) }),
      checks: fc.record({ active: fc.record({ off: optional(fc.boolean()), req_headers: fc.constant(['a: b']) }) }),
      nodes: fc.array(fc.record({ host: fc.ipV4(), weight: optional(fc.nat({ max: 1e6 })) })),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(
      spec,
      fc.constantFrom({ name: 'a' }, { namespace: 's', name: 'a' }, { namespace: '', name: '7' }),
      (one, metadata) => {
        const made = read({ apiVersion, kind: 'Upstream', metadata, spec: one }) as Resource<'Upstream'>;
        const written = writeNative(made);
        const again = read(JSON.parse(JSON.stringify(written)));
        assert.equal(again.name, made.name);
        assert.deepEqual(Buffer.from(again.bytes), Buffer.from(made.bytes));
      },
    ),
    { seed: 41, numRuns: 300 },
  );
});

test('writing the other kinds', () => {
  const roundTrip = (document: object): void => {
    assert.deepEqual(writeNative(read(document) as Resource<'Listener'>), document);
  };
  roundTrip({ apiVersion, kind: 'Sidecar', metadata: { name: 'default' }, spec: { listeners: ['outbound/80'] } });
  roundTrip({
    apiVersion,
    kind: 'Listener',
    metadata: { name: 'outbound/80' },
    spec: { port: 0, targets: [{ upstream: 'a/b', service_port: 80, authorities: ['x'] }] },
  });
  roundTrip({
    apiVersion,
    kind: 'Endpoints',
    metadata: { namespace: 'a', name: 'b/80' },
    spec: { endpoints: [{ address: '::1', port: 1, weight: 0, locality: { zone: 'z' }, labels: { a: 'b' } }] },
  });
});

test('random documents never throw', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...KINDS),
      fc.dictionary(
        fc.oneof(
          fc.constantFrom('nodes', 'timeout', 'checks', 'port_level_settings', 'targets', 'listeners', 'endpoints'),
          fc.constantFrom('uris', 'hosts', 'vars', 'plugins', 'credentials', 'metadata', 'labels', 'upstream_id'),
          fc.string(),
        ),
        fc.anything(),
      ),
      fc.anything(),
      (kind, spec, metadata) => {
        for (const document of [
          { apiVersion, kind, metadata, spec },
          { apiVersion, kind, metadata: { name: 'a' }, spec },
        ]) {
          const result = readNative(document);
          if (!result.ok) assert.ok(result.problems.length > 0);
        }
      },
    ),
    { seed: 42, numRuns: 1000 },
  );
});

test('the kinds of the gateway have no namespace, and are written as they are read', () => {
  const roundTrip = (kind: string, name: string, spec: object): void => {
    const document = { apiVersion, kind, metadata: { name }, spec };
    assert.deepEqual(writeNative(read(document) as Resource<'Route'>), document);
    assert.deepEqual(problems({ ...document, metadata: { namespace: 'a', name } }), [
      `metadata.namespace: a ${kind} has no namespace: leave it out`,
    ]);
  };
  const plugins = {
    key_auth: { header: 'X-Key', hide_credentials: true },
    limit_count: { count: '2', time_window: '60', rejected_code: 429 },
  };
  roundTrip('Route', '1', {
    display_name: 'first',
    labels: { a: 'b' },
    uris: ['/a', '/b/*'],
    hosts: ['*.example'],
    methods: ['GET'],
    remote_addrs: ['10.0.0.0/8'],
    vars: '[["arg_name","==","json"]]',
    priority: -1,
    status: 1,
    plugins,
    service_id: 's',
    upstream_id: 'routes/1',
    service_port: 80,
    timeout: { connect: 1, send: 2.5, read: 3 },
    enable_websocket: true,
  });
  roundTrip('Service', 's', { hosts: ['a'], plugins, upstream_id: 'u', enable_websocket: false });
  roundTrip('PluginConfig', 'p', {
    plugins: { limit_count: { rules: [{ key: '$uri', count: '1', time_window: '1', header_prefix: 'a' }] } },
  });
  roundTrip('PluginConfig', 'plugin_metadata/limit-count', { metadata: { limit_count: { limit_header: 'X-L' } } });
});

test('a number where text belongs, and a plugin that there is not', () => {
  const route = (spec: object): string[] =>
    problems({ apiVersion, kind: 'Route', metadata: { name: '1' }, spec: { uris: ['/'], ...spec } });
  assert.deepEqual(route({ plugins: { limit_count: { count: 2, time_window: '60' } } }), [
    'spec.plugins.limit_count.count: must be a string, not a number; put it in quotes',
  ]);
  assert.deepEqual(route({ plugins: { 'limit-count': {} } }), [
    `spec.plugins["limit-count"]: unknown key: did you mean 'limit_count'?`,
  ]);
  assert.deepEqual(route({ plugins: { proxy_rewrite: {} } }), [
    'spec.plugins.proxy_rewrite: unknown key; known are key_auth, limit_count',
  ]);
  assert.deepEqual(route({ status: 2, uris: ['a'] }), [
    "spec.uris[0]: 'a' must start with /",
    'spec.status: must be between 0 and 1, not 2',
  ]);
  assert.deepEqual(problems({ apiVersion, kind: 'Route', metadata: { name: 'a/b' }, spec: { uris: ['/'] } }), [
    "metadata.name: 'a/b' is no id: letters, digits, -, _ and . are allowed",
  ]);
});

test('keys of a Consumer are never written, and what was written in their place is no key', () => {
  const spec = {
    labels: { custom_id: '7' },
    plugins: { key_auth: { key: 'CANARY-1' }, limit_count: { count: '1', time_window: '1' } },
    credentials: [{ id: 'one', key_auth: { key: 'CANARY-2' } }],
  };
  const written = writeNative(
    read({ apiVersion, kind: 'Consumer', metadata: { name: 'jack' }, spec }) as Resource<'Consumer'>,
  );
  assert.deepEqual(written, {
    apiVersion,
    kind: 'Consumer',
    metadata: { name: 'jack' },
    spec: {
      ...spec,
      plugins: { ...spec.plugins, key_auth: { key: '[redacted]' } },
      credentials: [{ id: 'one', key_auth: { key: '[redacted]' } }],
    },
  });
  const mark = 'is the mark of a key that was taken out: give the key itself';
  assert.deepEqual(problems(written), [
    `spec.plugins.key_auth.key: ${mark}`,
    `spec.credentials[0].key_auth.key: ${mark}`,
  ]);
});
