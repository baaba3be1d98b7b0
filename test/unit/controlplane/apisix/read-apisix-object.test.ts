import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeResource } from '../../../../src/config/decode/decode.ts';
import { OBJECT_TYPES, type ObjectId, type ObjectType } from '../../../../src/controlplane/apisix/object-type.ts';
import { readApisixObject } from '../../../../src/controlplane/apisix/read-apisix-object.ts';
import type { MadeResource, ReadObject } from '../../../../src/controlplane/apisix/read-object.ts';
import {
  Consumer,
  PluginConfig,
  Route,
  RouteTimeout,
  Service,
} from '../../../../src/gen/outrigger/config/v1/gateway.ts';
import { Node, Upstream } from '../../../../src/gen/outrigger/config/v1/upstream.ts';

const IDS: Partial<Record<ObjectType, string>> = {
  consumers: 'jack',
  credentials: 'jack/one',
  plugin_metadata: 'limit-count',
};

function idOf(type: ObjectType, id = IDS[type] ?? '1'): ObjectId {
  return { type, id };
}

/** Reads a good object; whatever it makes passes the door that every sidecar has. */
function good(type: ObjectType, value: unknown, id?: string): ReadObject {
  const read = readApisixObject(idOf(type, id), value);
  assert.ok(read.ok, read.ok ? '' : JSON.stringify(read.problems));
  for (const { kind, name, bytes } of read.object.resources) assert.ok(decodeResource(kind, name, bytes).ok);
  return read.object;
}

/** `path: reason` of each problem. */
function bad(type: ObjectType, value: unknown, id?: string): string[] {
  const read = readApisixObject(idOf(type, id), value);
  assert.ok(!read.ok, 'was read without a problem');
  return read.problems.map(({ path, reason }) => `${path}: ${reason}`);
}

function made(object: ReadObject, kind: MadeResource['kind']): MadeResource {
  const found = object.resources.find((resource) => resource.kind === kind);
  assert.ok(found, `makes no ${kind}`);
  return found;
}

const upstreamOf = (object: ReadObject): Upstream => Upstream.decode(made(object, 'Upstream').bytes);
const routeOf = (object: ReadObject): Route => Route.decode(made(object, 'Route').bytes);
const warningsOf = (object: ReadObject): string[] => object.warnings.map(({ path, reason }) => `${path}: ${reason}`);

const NODES = { '127.0.0.1:1980': 1 };
const LIMIT = { count: 2, time_window: 60, rejected_code: 503, key: 'remote_addr' };

test('the Upstream document: an upstream, and a route that names it', () => {
  const upstream = good('upstreams', {
    type: 'chash',
    key: 'remote_addr',
    nodes: { '127.0.0.1:80': 1, 'foo.com:80': 2 },
  });
  assert.deepEqual(
    upstreamOf(upstream).nodes.map(({ host, port, weight }) => [host, port, weight]),
    [
      ['127.0.0.1', 80, 1],
      ['foo.com', 80, 2],
    ],
  );
  assert.equal(upstreamOf(upstream).type, 'chash');
  const route = good('routes', { uri: '/index.html', upstream_id: 1 });
  assert.deepEqual(routeOf(route).uris, ['/index.html']);
  assert.equal(routeOf(route).upstreamId, '1');
  assert.deepEqual(route.references, [{ type: 'upstreams', id: '1', path: 'upstream_id' }]);
  // An id is kept as text, everything else as it was written.
  assert.deepEqual(route.value, { uri: '/index.html', upstream_id: '1' });
});

test('the Upstream document: an inline upstream with limit-count', () => {
  const value = {
    uri: '/index.html',
    plugins: { 'limit-count': LIMIT },
    upstream: { type: 'roundrobin', nodes: { '39.97.63.215:80': 1 } },
  };
  const route = good('routes', value);
  assert.deepEqual(
    route.resources.map(({ kind, name }) => `${kind} ${name}`),
    ['Route 1', 'Upstream routes/1'],
  );
  assert.equal(routeOf(route).upstreamId, 'routes/1');
  const limit = routeOf(route).plugins?.limitCount;
  assert.deepEqual([limit?.count, limit?.timeWindow, limit?.rejectedCode, limit?.key], ['2', '60', 503, 'remote_addr']);
  assert.deepEqual(route.value, value);
  assert.deepEqual(route.warnings, []);
});

test('the Upstream document: a health check', () => {
  const active = {
    http_path: '/status',
    host: 'foo.com',
    healthy: { interval: 2, successes: 1 },
    unhealthy: { interval: 1, http_failures: 2 },
  };
  const upstream = { nodes: { '39.97.63.215:80': 1 }, type: 'roundrobin', retries: 2, checks: { active } };
  const read = upstreamOf(good('routes', { uri: '/index.html', plugins: { 'limit-count': LIMIT }, upstream }));
  assert.equal(read.retries, 2);
  assert.equal(read.maxAttempts, undefined);
  assert.equal(read.checks?.active?.httpPath, '/status');
  assert.equal(read.checks.active.unhealthy?.httpFailures, 2);
});

test('the Upstream document: a consumer, and a route with key-auth', () => {
  const consumer = good('consumers', { username: 'jack', plugins: { 'key-auth': { key: 'auth-jack' } } });
  assert.equal(Consumer.decode(made(consumer, 'Consumer').bytes).plugins?.keyAuth?.key, 'auth-jack');
  const route = good('routes', {
    plugins: { 'key-auth': {} },
    upstream: { nodes: { '127.0.0.1:1980': 1, '127.0.0.1:1981': 1 }, type: 'chash', hash_on: 'consumer' },
    uri: '/server_port',
  });
  assert.notEqual(routeOf(route).plugins?.keyAuth, undefined);
  assert.equal(upstreamOf(route).hashOn, 'consumer');
});

for (const [hashOn, key] of [
  ['cookie', 'sid'],
  ['header', 'content-type'],
]) {
  test(`the Upstream document: hash_on ${hashOn}, with blanks in its keys, warns and works`, () => {
    const nodes = { '127.0.0.1:1980': 1, '127.0.0.1:1981': 1 };
    const route = good('routes', {
      uri: '/hash',
      upstream: { key, 'type ': 'chash', 'hash_on ': hashOn, 'nodes ': nodes },
    });
    const { type, hashOn: read, key: readKey, nodes: list } = upstreamOf(route);
    assert.deepEqual([type, read, readKey, list.length], ['chash', hashOn, key, 2]);
    assert.deepEqual(warningsOf(route), [
      'upstream.type: the key "type " has blanks around it: they are taken off',
      'upstream.hash_on: the key "hash_on " has blanks around it: they are taken off',
      'upstream.nodes: the key "nodes " has blanks around it: they are taken off',
    ]);
    assert.deepEqual(route.value, { uri: '/hash', upstream: { key, type: 'chash', hash_on: hashOn, nodes } });
  });
}

test('blanks around keys: at any depth, of nodes too, but not of labels; two that become one are refused', () => {
  const upstream = good('upstreams', {
    ' nodes': { ' 127.0.0.1:1980 ': 1 },
    labels: { ' a ': 'b' },
    checks: { active: { '\thealthy': { 'interval\n': 2 } } },
  });
  assert.deepEqual(
    upstream.warnings.map(({ path }) => path),
    ['nodes', 'nodes["127.0.0.1:1980"]', 'checks.active.healthy', 'checks.active.healthy.interval'],
  );
  assert.equal(upstreamOf(upstream).checks?.active?.healthy?.interval, 2);
  assert.deepEqual(upstreamOf(upstream).labels, { ' a ': 'b' });
  assert.deepEqual(bad('upstreams', { nodes: NODES, 'type ': 'chash', type: 'ewma' }), [
    '["type "]: is there twice, once with blanks around the key: remove one of the two',
  ]);
});

test('a route with all that it may have', () => {
  const route = good(
    'routes',
    {
      id: 'r.1',
      create_time: 1,
      update_time: 2,
      name: 'hello',
      desc: 'says hello',
      labels: { app: 'web' },
      uris: ['/a', '/b/*'],
      host: '*.example.org',
      remote_addrs: ['10.0.0.0/8', '::1'],
      methods: ['GET'],
      vars: [['arg_a', '==', '1']],
      priority: -3,
      status: 0,
      plugin_config_id: 7,
      service_id: 'svc',
      timeout: { connect: 1, send: 2, read: 0.5 },
      enable_websocket: true,
    },
    'r.1',
  );
  const { name, displayName, uris, hosts, remoteAddrs, vars, priority, status, pluginConfigId, serviceId, timeout } =
    routeOf(route);
  assert.deepEqual([name, displayName, uris, hosts], ['r.1', 'hello', ['/a', '/b/*'], ['*.example.org']]);
  assert.deepEqual([remoteAddrs, vars, priority, status], [['10.0.0.0/8', '::1'], '[["arg_a","==","1"]]', -3, 0]);
  assert.deepEqual([pluginConfigId, serviceId], ['7', 'svc']);
  assert.deepEqual(RouteTimeout.toJSON(timeout ?? RouteTimeout.create()), { connect: 1, send: 2, read: 0.5 });
  assert.deepEqual(route.references, [
    { type: 'services', id: 'svc', path: 'service_id' },
    { type: 'plugin_configs', id: '7', path: 'plugin_config_id' },
  ]);
});

test('an upstream_id stands above an inline upstream, which is checked all the same', () => {
  const route = good('routes', { uri: '/a', upstream_id: 'up', upstream: { nodes: NODES } });
  assert.equal(routeOf(route).upstreamId, 'up');
  assert.equal(route.resources.length, 1);
  assert.deepEqual(warningsOf(route), ['upstream: has no effect: upstream_id stands above it']);
  assert.deepEqual(bad('routes', { uri: '/a', upstream_id: 'up', upstream: { nodes: NODES, type: 'x' } }), [
    "upstream.type: 'x' is none of roundrobin, chash, ewma, least_conn",
  ]);
});

test('APISIX row 110: plugins of a service and of its route, and one that is switched off', () => {
  const service = good('services', { plugins: { 'limit-count': LIMIT }, upstream: { nodes: NODES }, hosts: ['a.b'] });
  assert.deepEqual(
    service.resources.map(({ kind, name }) => `${kind} ${name}`),
    ['Service 1', 'Upstream services/1'],
  );
  const { plugins, upstreamId, hosts } = Service.decode(made(service, 'Service').bytes);
  assert.deepEqual([plugins?.limitCount?.count, upstreamId, hosts], ['2', 'services/1', ['a.b']]);
  const off = { 'limit-count': { ...LIMIT, _meta: { disable: true } } };
  const route = good('routes', { uri: '/a', service_id: 1, plugins: off });
  assert.equal(routeOf(route).plugins?.limitCount?.disabled, true);
  const empty = good('routes', { uri: '/a', service_id: 1, plugins: {} });
  assert.equal(routeOf(empty).plugins?.limitCount, undefined);
});

const limit = (fields: object): object => ({ uri: '/a', plugins: { 'limit-count': fields } });

test('APISIX row 113: a limit that is none', () => {
  for (const [fields, path] of [
    [{ count: 0, time_window: 60 }, 'count'],
    [{ count: -100, time_window: 60 }, 'count'],
    [{ count: 1.5, time_window: 60 }, 'count'],
    [{ count: '0', time_window: 60 }, 'count'],
    [{ count: true, time_window: 60 }, 'count'],
    [{ time_window: 60 }, 'count'],
    [{ count: 2, time_window: 0 }, 'time_window'],
    [{ count: 2 }, 'time_window'],
    [{ rules: [{ key: '$remote_addr', count: 0, time_window: 1 }] }, 'rules[0].count'],
  ] as const) {
    const [first, ...others] = bad('routes', limit(fields));
    assert.ok(first?.startsWith(`plugins.limit-count.${path}: `), `${JSON.stringify(fields)}: ${first}`);
    assert.deepEqual(others, []);
  }
  assert.deepEqual(bad('routes', limit({ count: 0, time_window: 60 })), [
    'plugins.limit-count.count: must be a whole number from 1 to 9007199254740991, or a text with variables, not 0',
  ]);
  const templates = routeOf(good('routes', limit({ count: '$http_quota', time_window: '60' }))).plugins?.limitCount;
  assert.deepEqual([templates?.count, templates?.timeWindow], ['$http_quota', '60']);
});

test('APISIX row 114: rejected_msg is a text that is not empty', () => {
  for (const message of ['', 7, null]) {
    const [first, ...others] = bad('routes', limit({ ...LIMIT, rejected_msg: message }));
    assert.match(first ?? '', /^plugins\.limit-count\.rejected_msg: must /);
    assert.deepEqual(others, []);
  }
  assert.equal(routeOf(good('routes', limit({ ...LIMIT, rejected_msg: 'no' }))).plugins?.limitCount?.rejectedMsg, 'no');
});

test('APISIX row 125: counters elsewhere are refused by name, with a host or without', () => {
  const [redis] = bad('routes', limit({ ...LIMIT, policy: 'redis' }));
  assert.equal(redis, "plugins.limit-count.policy: 'redis' is not supported yet");
  assert.deepEqual(bad('routes', limit({ ...LIMIT, policy: 'redis', redis_host: '127.0.0.1' })), [
    'plugins.limit-count.redis_host: not supported: counters are local to each sidecar',
    "plugins.limit-count.policy: 'redis' is not supported yet",
  ]);
  assert.deepEqual(bad('routes', limit({ ...LIMIT, sync_interval: 1 })), [
    'plugins.limit-count.sync_interval: not supported: counters are local to each sidecar',
  ]);
  good('routes', limit({ ...LIMIT, policy: 'local', sync_interval: -1 }));
});

test('APISIX row 83: the key of chash', () => {
  const chash = (fields: object): object => ({ nodes: NODES, type: 'chash', ...fields });
  for (const [fields, path] of [
    [{}, 'key'],
    [{ key: 'not_support' }, 'key'],
    [{ hash_on: 'header', key: '$#^@' }, 'key'],
    [{ hash_on: 'cookie', key: '$#^@' }, 'key'],
    [{ hash_on: 'aabbcc', key: 'remote_addr' }, 'hash_on'],
  ] as const) {
    assert.ok(bad('upstreams', chash(fields))[0]?.startsWith(`${path}: `));
    const [inline] = bad('routes', { uri: '/a', upstream: chash(fields) });
    assert.ok(inline?.startsWith(`upstream.${path}: `));
  }
  good('upstreams', chash({ hash_on: 'consumer' }));
  good('upstreams', chash({ hash_on: 'consumer', key: '$#^@' }));
  good('upstreams', chash({ hash_on: 'header', key: 'a_b' }));
});

test('APISIX row 84: a bare IPv6 host in the list form', () => {
  assert.deepEqual(bad('upstreams', { nodes: [{ host: '::1', port: 80, weight: 1 }] }), [
    "nodes[0].host: IPv6 address must be enclosed with '[' and ']': write [::1]",
  ]);
  const upstream = good('upstreams', { nodes: [{ host: '[::1]', port: 80, weight: 1 }] });
  assert.equal(upstreamOf(upstream).nodes.length, 1);
  assert.match(bad('upstreams', { nodes: { '::1:1980': 1 } })[0] ?? '', /^nodes\["::1:1980"\]: .*brackets/);
  good('upstreams', { nodes: { '[::1]:1980': 1 } });
});

test('APISIX row 86: passive checks alone', () => {
  const [first] = bad('routes', { uri: '/a', upstream: { nodes: NODES, checks: { passive: {} } } });
  assert.equal(first, 'upstream.checks.active: required: passive checks need active ones to bring an endpoint back');
});

test('APISIX row 87: checks.active.port', () => {
  for (const port of [0, 65_536]) {
    assert.deepEqual(bad('upstreams', { nodes: NODES, checks: { active: { port } } }), [
      `checks.active.port: must be between 1 and 65535, not ${port}`,
    ]);
  }
});

test('nodes: a port that is left out, weights, and those that stand twice', () => {
  const { nodes } = upstreamOf(good('upstreams', { scheme: 'https', nodes: { 'foo.com': 1, '10.0.0.1:8443': 0 } }));
  assert.deepEqual(
    nodes.map(({ host, port, weight }) => [host, port, weight]),
    [
      ['foo.com', undefined, 1],
      ['10.0.0.1', 8443, 0],
    ],
  );
  const repeated = good('upstreams', { nodes: { 'foo.com': 1, 'foo.com:80': 2 } });
  assert.deepEqual(warningsOf(repeated), [
    'nodes["foo.com"]: has the host and port of nodes["foo.com:80"] and no effect: the last one stands, with its own weight; remove one of the two',
  ]);
  const listed = good('upstreams', {
    nodes: [{ host: 'a.b', port: 1, weight: 2, priority: -1, metadata: { a: 'b', c: 1 } }],
  });
  assert.deepEqual(upstreamOf(listed).nodes.map(Node.toJSON), [
    { host: 'a.b', port: 1, weight: 2, priority: -1, metadata: { a: 'b', c: '1' } },
  ]);
  assert.equal(upstreamOf(good('upstreams', { nodes: {} })).nodes.length, 0);
  assert.equal(upstreamOf(good('upstreams', { nodes: [] })).nodes.length, 0);
  for (const [given, problems] of [
    [{ 'a:b': 1 }, [/^nodes\["a:b"\]: /]],
    [{ 'a.b:0': 1 }, [/^nodes\["a\.b:0"\]: /]],
    [{ 'x!:1': 1, 'a.b:1': '1' }, [/^nodes\["x!:1"\]: /, /^nodes\["a\.b:1"\]: must be a number/]],
    [{ 'a.b:1': -1 }, [/^nodes\["a\.b:1"\]: must be a whole number/]],
    [[{ host: 'a.b', port: 1 }], [/^nodes\[0\]\.weight: required/]],
    [[{ weight: 1 }], [/^nodes\[0\]\.host: required/]],
    [[7], [/^nodes\[0\]: must be an object, not a number/]],
    ['a.b', [/^nodes: must be an object .* not a string/]],
  ] as const) {
    const found = bad('upstreams', { nodes: given });
    assert.equal(found.length, problems.length, found.join('\n'));
    for (const [i, pattern] of problems.entries()) assert.match(found[i] ?? '', pattern);
  }
});

test('an upstream says in exactly one way where its endpoints are', () => {
  assert.deepEqual(bad('upstreams', { type: 'roundrobin' }), ['nodes: required; or service_name with discovery_type']);
  assert.deepEqual(bad('upstreams', { nodes: NODES, service_name: 'a.b', discovery_type: 'dns' }), [
    'service_name: not together with nodes: leave one of them out',
  ]);
  assert.deepEqual(bad('upstreams', { service_name: 'a.b', discovery_type: 'nacos' }), [
    "discovery_type: 'nacos' is not supported yet",
  ]);
  const { serviceName, discoveryType } = upstreamOf(good('upstreams', { service_name: 'a.b', discovery_type: 'dns' }));
  assert.deepEqual([serviceName, discoveryType], ['a.b', 'dns']);
});

test('the certificate of an upstream: inline, or the id of an object', () => {
  const upstream = good('upstreams', { nodes: NODES, scheme: 'https', tls: { client_cert_id: 3, verify: false } });
  assert.deepEqual(upstreamOf(upstream).tls?.clientCertId, 'ssls/3');
  assert.deepEqual(upstream.references, [{ type: 'ssls', id: '3', path: 'tls.client_cert_id' }]);
  assert.deepEqual(upstream.value['tls'], { client_cert_id: '3', verify: false });
  const inline = good('services', { upstream: { nodes: NODES, tls: { client_cert_id: 'c' } } });
  assert.deepEqual(inline.references, [{ type: 'ssls', id: 'c', path: 'upstream.tls.client_cert_id' }]);
  assert.deepEqual(bad('upstreams', { nodes: NODES, tls: { client_cert: 'x' } }), [
    'tls.client_cert: must be PEM text of 128 to 65536 bytes, not 1',
    'tls.client_key: required beside client_cert',
  ]);
});

test('further fields of an upstream that APISIX does not have', () => {
  const upstream = upstreamOf(
    good('upstreams', {
      nodes: NODES,
      max_attempts: 2,
      retry_on: ['5xx'],
      port_level_settings: [{ port: 80, tls: { client_cert_id: 'c' } }],
      outlier_detection: {},
    }),
  );
  assert.deepEqual([upstream.maxAttempts, upstream.retryOn], [2, ['5xx']]);
  assert.equal(upstream.portLevelSettings[0]?.tls?.clientCertId, 'ssls/c');
});

test('a credential becomes part of its consumer', () => {
  const credential = good('credentials', { id: 'one', plugins: { 'key-auth': { key: 'k' } }, name: 'x' });
  assert.deepEqual(credential.resources, []);
  assert.deepEqual(credential.references, [{ type: 'consumers', id: 'jack', path: '' }]);
});

test('plugin configs and metadata', () => {
  const config = good('plugin_configs', { desc: 'd', plugins: { 'key-auth': { header: 'x-key' } } });
  assert.equal(PluginConfig.decode(made(config, 'PluginConfig').bytes).plugins?.keyAuth?.header, 'x-key');
  const metadata = good('plugin_metadata', { id: 'limit-count', limit_header: 'X-Limit' });
  const resource = made(metadata, 'PluginConfig');
  assert.equal(resource.name, 'plugin_metadata/limit-count');
  assert.equal(PluginConfig.decode(resource.bytes).metadata?.limitCount?.limitHeader, 'X-Limit');
});

const ROUTE = { uri: '/a', upstream_id: 1 };

for (const [type, value, problems, id] of [
  ['routes', 7, [': must be an object, not a number']],
  ['routes', [], [': must be an object, not a list']],
  ['routes', { uri: '/a' }, [': must have at least one of plugins, upstream, upstream_id, service_id']],
  ['routes', { upstream_id: 1 }, ['uri: required: uri or uris']],
  ['routes', { ...ROUTE, uris: ['/b'] }, ['uris: not together with uri: write all in uris']],
  ['routes', { ...ROUTE, host: 'a.b', hosts: ['c.d'] }, ['hosts: not together with host: write all in hosts']],
  [
    'routes',
    { ...ROUTE, remote_addr: '::1', remote_addrs: ['::2'] },
    ['remote_addrs: not together with remote_addr: write all in remote_addrs'],
  ],
  ['routes', { ...ROUTE, uri: 7 }, ['uri: must be a string, not a number']],
  ['routes', { ...ROUTE, hosts: [] }, ['hosts: must hold at least one; or leave the field out']],
  ['routes', { ...ROUTE, script: 'function' }, ['script: not supported']],
  ['routes', { ...ROUTE, script_id: 1 }, ['script_id: not supported']],
  ['routes', { ...ROUTE, filter_func: 'f' }, ['filter_func: not supported: write the condition in vars']],
  ['routes', { ...ROUTE, hash_on: 'vars' }, ['hash_on: unknown key: it is a field of upstream, write it there']],
  ['routes', { ...ROUTE, priorty: 1 }, ["priorty: unknown key: did you mean 'priority'?"]],
  ['routes', { ...ROUTE, enableWebsocket: true }, ["enableWebsocket: unknown key: did you mean 'enable_websocket'?"]],
  ['routes', { ...ROUTE, status: 2 }, ['status: must be between 0 and 1, not 2']],
  ['routes', { ...ROUTE, vars: {} }, ['vars: must be a list of conditions [variable, operator, value], not an object']],
  [
    'routes',
    { ...ROUTE, timeout: { connect: 1, send: 1 } },
    ['timeout.read: required: connect, send and read together'],
  ],
  ['routes', { ...ROUTE, upstream: 7, upstream_id: undefined }, ['upstream: must be an object, not a number']],
  [
    'routes',
    { ...ROUTE, upstream_id: 'a b' },
    ["upstream_id: must be 1 to 64 of letters, digits, '-', '_' and '.', or a whole number of 1 or more, not 'a b'"],
  ],
  ['routes', { ...ROUTE, service_id: 0 }, ['service_id: must be 1 or more, or a text, not 0']],
  ['routes', { ...ROUTE, id: 2 }, ["id: must be '1', under which the object is written, not '2'"]],
  ['routes', { ...ROUTE, create_time: 'now' }, ['create_time: must be a whole number, not a string']],
  ['routes', { ...ROUTE, name: 'x'.repeat(257) }, ['name: must have 1 to 256 characters']],
  [
    'routes',
    { ...ROUTE, plugins: { 'limit-conut': {} } },
    ['plugins.limit-conut: unknown plugin [limit-conut]: did you mean limit-count?'],
  ],
  [
    'routes',
    { ...ROUTE, plugins: { 'limit-conn': {} } },
    ['plugins.limit-conn: plugin [limit-conn]: not supported; this version has key-auth, limit-count'],
  ],
  [
    'routes',
    { ...ROUTE, plugins: { frobnicate: {} } },
    ['plugins.frobnicate: unknown plugin [frobnicate]: known are key-auth, limit-count'],
  ],
  [
    'routes',
    { ...ROUTE, plugins: { key_auth: {} } },
    ['plugins.key_auth: unknown plugin [key_auth]: did you mean key-auth?'],
  ],
  ['routes', { ...ROUTE, plugins: [] }, ['plugins: must be an object, not a list']],
  ['routes', { ...ROUTE, plugins: { 'key-auth': null } }, ['plugins.key-auth: must be an object, not null']],
  [
    'routes',
    { ...ROUTE, plugins: { 'key-auth': { _meta: { priority: 1, disable: 'yes' } } } },
    [
      'plugins.key-auth._meta.priority: not supported',
      'plugins.key-auth._meta.disable: must be true or false, not a string',
    ],
  ],
  [
    'routes',
    { ...ROUTE, plugins: { 'key-auth': { _meta: { disabled: true } } } },
    ["plugins.key-auth._meta.disabled: unknown key: did you mean 'disable'?"],
  ],
  [
    'routes',
    { ...ROUTE, plugins: { 'key-auth': { headers: 'x' } } },
    ["plugins.key-auth.headers: unknown key: did you mean 'header'?"],
  ],
  [
    'routes',
    { ...ROUTE, plugins: { 'limit-count': { ...LIMIT, disabled: true } } },
    ['plugins.limit-count.disabled: not supported: write it as `_meta: {disable: true}`'],
  ],
  ['services', { host: 'a.b' }, ["host: unknown key: did you mean 'hosts'?"]],
  ['services', { upstream: { nodes: NODES, types: 'x' } }, ["upstream.types: unknown key: did you mean 'type'?"]],
  ['upstreams', { nodes: NODES, type: 'round' }, ["type: 'round' is none of roundrobin, chash, ewma, least_conn"]],
  ['upstreams', { nodes: NODES, hashOn: 'vars' }, ["hashOn: unknown key: did you mean 'hash_on'?"]],
  [
    'upstreams',
    { nodes: NODES, checks: { active: { httpPath: '/' } } },
    ["checks.active.httpPath: unknown key: did you mean 'http_path'?"],
  ],
  [
    'upstreams',
    { nodes: NODES, checks: { active: { healthy: { http_statuses: [] } } } },
    ['checks.active.healthy.http_statuses: must hold at least one; or leave the field out'],
  ],
  [
    'upstreams',
    { nodes: NODES, timeout: { connect: 1, send: 1 } },
    ['timeout.read: required: connect, send and read together'],
  ],
  ['upstreams', { nodes: NODES, retries: -1 }, ['retries: must be a whole number between 0 and 4294967295, not -1']],
  ['consumers', {}, ['username: required']],
  ['consumers', { username: 'jill' }, ["username: must be 'jack', under which the consumer is written, not 'jill'"]],
  [
    'consumers',
    { username: 'jack', group_id: 1 },
    ['group_id: not supported: write the plugins of the group into the consumer'],
  ],
  [
    'consumers',
    { username: 'jack', plugins: { 'key-auth': {} } },
    ['plugins.key-auth.key: required: the key, not empty'],
  ],
  [
    'consumers',
    { username: 'jack', plugins: { 'key-auth': { key: 'k', _meta: { disable: true } } } },
    ['plugins.key-auth._meta.disable: not supported here: remove the key instead'],
  ],
  ['credentials', {}, ['plugins: required: key-auth with a key']],
  ['credentials', { plugins: {} }, ['plugins: must hold exactly one plugin, key-auth']],
  [
    'credentials',
    { plugins: { 'key-auth': { key: 7 } } },
    ['plugins.key-auth.key: must be a string, not a number; put it in quotes'],
  ],
  [
    'credentials',
    { plugins: { 'limit-count': LIMIT } },
    ['plugins.limit-count: plugin [limit-count] is not for a credential: set it on its consumer'],
  ],
  ['plugin_configs', {}, ['plugins: required']],
  ['plugin_metadata', {}, [': plugin [key-auth] has no metadata'], 'key-auth'],
  ['plugin_metadata', {}, [': unknown plugin [limit-cont]: did you mean limit-count?'], 'limit-cont'],
  ['plugin_metadata', { limit_heade: 'x' }, ["limit_heade: unknown key: did you mean 'limit_header'?"]],
] as const satisfies readonly (readonly [ObjectType, unknown, readonly string[], string?])[]) {
  test(`refused: ${type} ${JSON.stringify(value).slice(0, 120)}`, () => {
    // What follows from the first fault isn't told beside it.
    const found = bad(type, value, id);
    assert.deepEqual(found, problems);
  });
}

test('an id that no object may have', () => {
  assert.match(bad('routes', ROUTE, '')[0] ?? '', /^id: must not be empty/);
  for (const id of ['a/b', 'a b', 'x'.repeat(65), '../x']) {
    assert.match(bad('routes', ROUTE, id)[0] ?? '', /^id: must be 1 to 64 of letters/);
  }
  assert.match(bad('consumers', { username: 'a.b' }, 'a.b')[0] ?? '', /^username: 'a\.b' must be/);
  assert.match(bad('credentials', {}, 'jack')[0] ?? '', /^id: must be CONSUMER\/ID/);
  assert.match(bad('credentials', {}, 'jack/a/b')[0] ?? '', /^id: must be CONSUMER\/ID/);
});

test('no key is told', () => {
  const key = 'CANARY'.repeat(10);
  const consumer = { username: 'jack', plugins: { 'key-auth': { key: `$env://${key}` } } };
  assert.doesNotMatch(bad('consumers', consumer).join(), /CANARY/);
  const pem = `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`;
  for (const value of [{ cert: pem, key: pem }, { [pem]: 1 }, { cert: 1, key: [pem], snis: [pem] }]) {
    assert.doesNotMatch(bad('ssls', value).join(), /CANARY/);
  }
});

test('keys that objects of JavaScript inherit are keys like any others', () => {
  for (const text of [
    '{"__proto__": {"uri": "/a", "upstream_id": 1}}',
    '{"uri": "/a", "upstream_id": 1, "constructor": 1}',
    '{"uri": "/a", "upstream_id": 1, "toString": 1, "plugins": {"__proto__": {}, "constructor": {}}}',
  ]) {
    assert.match(bad('routes', JSON.parse(text)).join('\n'), /__proto__|constructor/);
  }
  assert.match(bad('upstreams', JSON.parse('{"nodes": {}, "__proto__": {"type": "ewma"}}'))[0] ?? '', /__proto__/);
  const host = upstreamOf(good('upstreams', JSON.parse('{"nodes": {"__proto__": 1}}'))).nodes[0]?.host;
  assert.equal(host, '__proto__');
  const labels = good('upstreams', JSON.parse('{"nodes": {}, "labels": {"constructor": "a"}}')).value['labels'];
  assert.equal(JSON.stringify(labels), '{"constructor":"a"}');
});

test('what is nested too deeply is refused', () => {
  let vars: unknown = [];
  for (let i = 0; i < 100_000; i++) vars = [vars];
  assert.deepEqual(bad('routes', { ...ROUTE, vars }), [': is nested more than 100 levels deep']);
});

test('what is too large is refused before anybody looks closer', () => {
  const keys = Object.fromEntries(Array.from({ length: 1_001 }, (_, i) => [`uri${i}`, 1]));
  assert.deepEqual(bad('routes', { ...ROUTE, plugins: keys }), ['plugins: has more than 1000 keys']);
  const nodes = Array.from({ length: 50_000 }, () => ({ hots: 'a', wieght: 1 }));
  assert.deepEqual(bad('upstreams', { nodes }), [': has more than 100000 values']);
  const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`10.0.${i >> 8}.${i & 255}:80`, 1]));
  assert.equal(upstreamOf(good('upstreams', { nodes: many })).nodes.length, 20_000);
});

test('many faults are told up to a hundred', () => {
  const nodes = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`bad!${i}`, 1]));
  const found = bad('upstreams', { nodes });
  assert.ok(found.length <= 102);
  assert.match(found.join(), /further problems/);
});

test('reading never throws, and what it lets through no sidecar refuses', () => {
  const word = fc.constantFrom(
    ...[
      'uri',
      'uris',
      'upstream',
      'upstream_id',
      'nodes',
      'plugins',
      'key-auth',
      'limit-count',
      'count',
      'time_window',
    ],
    ...['key', 'rules', '_meta', 'disable', 'checks', 'active', 'passive', 'tls', 'timeout', 'vars', 'hosts', 'labels'],
    ...[
      'username',
      'cert',
      'client',
      'ca',
      'id',
      '__proto__',
      'constructor',
      'type ',
      '127.0.0.1:80',
      'port_level_settings',
    ],
  );
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 6 },
      fc.constantFrom<unknown>(1, 0, -1, 1.5, true, null, '', '/a', 'a.b', 'chash', '-----BEGIN X'),
      fc.jsonValue({ maxDepth: 1 }),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.array(fc.tuple(word, tie('tree')), { maxLength: 6 }).map((entries) => Object.fromEntries(entries)),
    ),
  }));
  fc.assert(
    fc.property(fc.constantFrom(...OBJECT_TYPES), tree, (type, value) => {
      const read = readApisixObject(idOf(type), value);
      if (!read.ok) assert.ok(read.problems.length > 0);
      else for (const { kind, name, bytes } of read.object.resources) assert.ok(decodeResource(kind, name, bytes).ok);
    }),
    { numRuns: 3_000, seed: 7 },
  );
});
