import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildSnapshot } from '../../../src/config/builder.ts';
import type { Messages, Resource } from '../../../src/config/resource.ts';
import type { GatewaySpec, RouteSpec } from '../../../src/model/gateway.ts';
import { DEFAULT_QUOTA_FIELDS } from '../../../src/model/gateway.ts';
import { EMPTY_SNAPSHOT, type Snapshot } from '../../../src/model/snapshot.ts';
import { type DeepPartial, resource, ResourceStore } from '../../support/resources.ts';

const ON = { on: true, controlHost: '127.0.0.1' };

function build(
  store: ResourceStore,
  previous: Snapshot = EMPTY_SNAPSHOT,
): Snapshot & { readonly gateway: GatewaySpec } {
  const snapshot = buildSnapshot('node-1', store, previous, ON);
  assert.ok(snapshot.gateway);
  return snapshot as Snapshot & { readonly gateway: GatewaySpec };
}

function route(name: string, partial: DeepPartial<Messages['Route']> = {}): Resource<'Route'> {
  return resource('Route', name, { uris: [`/${name}`], ...partial });
}

function upstream(name: string, port = 80): Resource<'Upstream'> {
  return resource('Upstream', name, { nodes: [{ host: '10.0.0.1', port }] });
}

function spec(store: ResourceStore, name = '1'): RouteSpec {
  const found = build(store).gateway.routes.get(name);
  assert.ok(found);
  return found;
}

const limitCount = { count: '2', timeWindow: '60' };

test('a route with everything', () => {
  const store = new ResourceStore(
    upstream('u'),
    route('1', {
      displayName: 'first',
      uris: ['/a', '/b/*'],
      hosts: ['A.example', '[0::1]'],
      methods: ['GET'],
      remoteAddrs: ['10.1.1.1/8', '0::1'],
      vars: '[["arg_a","b"]]',
      priority: 7,
      upstreamId: 'u',
      timeout: { connect: 1, send: 0.5, read: 2 },
      enableWebsocket: true,
    }),
  );
  assert.deepEqual(spec(store), {
    id: '1',
    displayName: 'first',
    uris: ['/a', '/b/*'],
    hosts: ['a.example', '[::1]'],
    methods: ['GET'],
    remoteAddrs: ['10.0.0.0/8', '::1'],
    vars: {
      kind: 'and',
      not: false,
      members: [{ kind: 'compare', variable: 'arg_a', not: false, operator: '==', value: 'b' }],
    },
    priority: 7,
    serviceId: '',
    plugins: [],
    target: 'u/0',
    fault: undefined,
    timeouts: { connectMs: 1000, sendMs: 500, readMs: 2000 },
    passesUpgrades: true,
  });
});

test('what a route leaves out comes from its service: hosts, upgrades, upstream with its service port', () => {
  const store = new ResourceStore(
    upstream('u'),
    upstream('own'),
    resource('Service', 's', { hosts: ['A.example'], enableWebsocket: true, upstreamId: 'u', servicePort: 81 }),
    route('1', { serviceId: 's' }),
    route('2', { serviceId: 's', hosts: ['b.example'], enableWebsocket: false, upstreamId: 'own' }),
    route('3', { upstreamId: 'own' }),
  );
  const parts = (name: string): unknown => {
    const { hosts, passesUpgrades, target, serviceId } = spec(store, name);
    return [hosts, passesUpgrades, target, serviceId];
  };
  assert.deepEqual(parts('1'), [['a.example'], true, 'u/81', 's']);
  assert.deepEqual(parts('2'), [['b.example'], false, 'own/0', 's']);
  assert.deepEqual(parts('3'), [[], false, 'own/0', '']);
});

test('APISIX row 110: plugins and upstream of a service; an empty list changes nothing, _meta.disable takes one away', () => {
  const service = resource('Service', '1', { upstreamId: 'u1980', plugins: { limitCount } });
  const store = new ResourceStore(upstream('u1980', 1980), upstream('u1981', 1981), service);
  const of = (partial: DeepPartial<Messages['Route']>): unknown => {
    store.set(route('1', { serviceId: '1', ...partial }));
    const { target, plugins } = spec(store);
    const limits = plugins.map((one) => one.owner + (one.name === 'limit-count' ? one.policy.limits[0]?.count : ''));
    return [target, ...limits];
  };
  assert.deepEqual(of({ upstreamId: 'u1981' }), ['u1981/0', 'services/12']);
  assert.deepEqual(of({ plugins: {} }), ['u1980/0', 'services/12']);
  assert.deepEqual(of({ plugins: { limitCount: { disabled: true } } }), ['u1980/0']);
});

test('faults, in the order of APISIX; those of the upstream leave the plugins in', () => {
  const store = new ResourceStore(
    route('1', { pluginConfigId: 'p', serviceId: 's', upstreamId: 'u', plugins: { keyAuth: {} } }),
  );
  const fault = (): unknown => {
    const { fault: found, target, plugins } = spec(store);
    assert.equal(target === undefined, found !== undefined);
    assert.equal(plugins.length, 1);
    return found && [found.kind, found.detail];
  };
  assert.deepEqual(fault(), ['unknown_plugin_config', 'there is no PluginConfig p']);
  store.set(resource('PluginConfig', 'p', {}));
  assert.deepEqual(fault(), ['unknown_service', 'there is no Service s']);
  store.set(resource('Service', 's', {}));
  assert.deepEqual(fault(), ['unknown_upstream', 'there is no Upstream u']);
  store.set(upstream('u'));
  assert.equal(fault(), undefined);
  store.set(route('1', { serviceId: 's', plugins: { keyAuth: {} } }));
  assert.deepEqual(fault(), ['no_upstream', 'neither the Route nor its Service names an Upstream']);
  store.set(route('1', { plugins: { keyAuth: {} } }));
  assert.deepEqual(fault(), ['no_upstream', 'the Route names no Upstream']);
  store.set(resource('Service', 's', { upstreamId: 'gone' }), route('1', { serviceId: 's', plugins: { keyAuth: {} } }));
  assert.deepEqual(fault(), ['unknown_upstream', 'there is no Upstream gone']);
});

test('a route that is off is as if it were not there, and its port neither', () => {
  const store = new ResourceStore(upstream('u'), route('1', { upstreamId: 'u', status: 0 }), route('2', { status: 1 }));
  const off = build(store);
  assert.deepEqual([...off.gateway.routes.keys()], ['2']);
  assert.deepEqual([...off.ports.keys()], []);
  store.set(route('1', { upstreamId: 'u' }));
  const on = build(store, off);
  assert.deepEqual([...on.gateway.routes.keys()], ['1', '2']);
  assert.deepEqual([...on.ports.keys()], ['u/0']);
  assert.equal(on.gateway.routes.get('2'), off.gateway.routes.get('2'));
});

test('consumers: keys of their own and of their credentials, custom id, limit', () => {
  const store = new ResourceStore(
    resource('Consumer', 'jack', {
      labels: { custom_id: '7' },
      plugins: { keyAuth: { key: 'CANARY-1' }, limitCount },
      credentials: [{ id: 'one', keyAuth: { key: 'CANARY-2' } }],
    }),
    resource('Consumer', 'guest', {}),
  );
  const { consumers } = build(store).gateway;
  const jack = consumers.get('jack');
  assert.deepEqual(
    jack?.keys.map(({ key, credentialId }) => [key.reveal(), credentialId]),
    [
      ['CANARY-1', ''],
      ['CANARY-2', 'one'],
    ],
  );
  assert.doesNotMatch(JSON.stringify(jack), /CANARY/);
  assert.equal(jack?.customId, '7');
  assert.deepEqual(
    jack.plugins.map(({ owner }) => owner),
    ['consumers/jack'],
  );
  assert.deepEqual(consumers.get('guest'), { name: 'guest', customId: '', keys: [], plugins: [] });
});

test('names of the quota fields come from the metadata of limit-count', () => {
  const store = new ResourceStore();
  const first = build(store);
  assert.deepEqual(first.gateway.quotaFields, DEFAULT_QUOTA_FIELDS);
  const metadata = { limitCount: { limitHeader: 'X-L', resetHeader: 'X-S' } };
  store.set(resource('PluginConfig', 'plugin_metadata/limit-count', { metadata }));
  const named = build(store, first);
  assert.deepEqual(named.gateway.quotaFields, { limit: 'X-L', remaining: 'X-RateLimit-Remaining', reset: 'X-S' });
  store.set(resource('PluginConfig', 'plugin_metadata/limit-count', { metadata, desc: 'again' }));
  assert.equal(build(store, named), named);
});

/** Ten routes in all the ways, and two consumers. */
function shop(): ResourceStore {
  const store = new ResourceStore(
    resource('Service', 's', { upstreamId: 'u0', plugins: { keyAuth: {} } }),
    resource('PluginConfig', 'p', { plugins: { limitCount } }),
    resource('Consumer', 'jack', { plugins: { keyAuth: { key: 'a' } } }),
    resource('Consumer', 'jill', { plugins: { keyAuth: { key: 'b' } } }),
  );
  for (let i = 0; i < 10; i++) {
    store.set(upstream(`u${i}`));
    store.set(route(`r${i}`, i % 3 === 0 ? { serviceId: 's' } : { upstreamId: `u${i}`, pluginConfigId: 'p' }));
  }
  return store;
}

/** Names of what is another object in `b` than in `a`. */
function changes(a: Snapshot, b: Snapshot): string[] {
  const found: string[] = [];
  const compare = (what: string, one?: ReadonlyMap<string, unknown>, other?: ReadonlyMap<string, unknown>): void => {
    const names = new Set([...(one?.keys() ?? []), ...(other?.keys() ?? [])]);
    for (const name of names) if (one?.get(name) !== other?.get(name)) found.push(`${what} ${name}`);
    assert.equal(one === other, !found.some((text) => text.startsWith(what)));
  };
  compare('port', a.ports, b.ports);
  compare('route', a.gateway?.routes, b.gateway?.routes);
  compare('consumer', a.gateway?.consumers, b.gateway?.consumers);
  return found.sort();
}

test('what did not change is the same object: found by its resources', () => {
  const store = shop();
  let last = build(store);
  const after = (...changed: Resource[]): string[] => {
    store.set(...changed);
    const next = build(store, last);
    const found = changes(last, next);
    if (found.length === 0) assert.equal(next, last);
    last = next;
    return found;
  };
  assert.deepEqual(after(), []);
  assert.deepEqual(after(route('r4', { upstreamId: 'u4', priority: 1 })), ['route r4']);
  assert.deepEqual(after(route('new', { upstreamId: 'u4' })), ['route new']);
  assert.deepEqual(after(upstream('u7', 81)), ['port u7/0']);
  assert.deepEqual(after(resource('Consumer', 'jill', { plugins: { keyAuth: { key: 'c' } } })), ['consumer jill']);
  assert.deepEqual(after(resource('Service', 's', { upstreamId: 'u0', plugins: {} })), [
    'route r0',
    'route r3',
    'route r6',
    'route r9',
  ]);
  assert.deepEqual(after(resource('PluginConfig', 'other', {})), []);
  store.remove('Route', 'r1');
  assert.deepEqual(after(), ['port u1/0', 'route r1']);
  store.remove('Upstream', 'u2');
  assert.deepEqual(after(), ['port u2/0', 'route r2']);
  store.remove('Route', 'r5');
  store.remove('Route', 'r7');
  store.remove('Consumer', 'jack');
  assert.deepEqual(after(route('r8', { upstreamId: 'u8', status: 0 })), [
    'consumer jack',
    'port u5/0',
    'port u7/0',
    'port u8/0',
    'route r5',
    'route r7',
    'route r8',
  ]);
});

test('what was sent again, or changed where nothing of it is used, is the same object', () => {
  const first = build(shop());
  const again = shop();
  assert.equal(build(again, first), first);
  again.set(resource('Service', 's', { upstreamId: 'u0', plugins: { keyAuth: {} }, desc: 'else' }));
  assert.equal(build(again, first), first);
  again.set(route('r1', { upstreamId: 'u1', pluginConfigId: 'p', labels: { a: 'b' } }));
  assert.equal(build(again, first), first);
});

test('in another order, too', () => {
  const first = build(shop());
  const store = shop();
  const routes = [...store.all('Route')];
  for (const { name } of routes) store.remove('Route', name);
  store.set(...routes.reverse());
  assert.equal(build(store, first), first);
  store.set(route('r3', { upstreamId: 'u3' }));
  assert.deepEqual(changes(first, build(store, first)), ['port u3/0', 'route r3']);
});
