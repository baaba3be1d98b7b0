import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildSnapshot, type GatewayContext } from '../../../src/config/builder.ts';
import { EMPTY_SNAPSHOT, type Snapshot } from '../../../src/model/snapshot.ts';
import { resource, ResourceStore } from '../../support/resources.ts';

const ON = { on: true, controlHost: undefined };

function build(store: ResourceStore, context?: GatewayContext, previous = EMPTY_SNAPSHOT): Snapshot {
  return buildSnapshot('node-1', store, previous, context);
}

test('the gateway is on by the flag or by the root; off there is none, and no port of it', () => {
  const store = new ResourceStore(
    resource('Upstream', 'u', { nodes: [{ host: '10.0.0.1' }] }),
    resource('Route', '1', { uris: ['/'], upstreamId: 'u' }),
  );
  const off = build(store);
  assert.deepEqual([off.gateway, off.ports.size], [undefined, 0]);
  const on = build(store, ON, off);
  assert.deepEqual([on.gateway?.routes.size, [...on.ports.keys()]], [1, ['u/0']]);
  assert.deepEqual(build(store, { on: false, controlHost: undefined }, on).gateway, undefined);
  store.set(resource('Sidecar', 'default', { gateway: true }));
  const impossible = { on: true, isPossible: false, controlHost: undefined };
  assert.equal(build(store, impossible, on).gateway, undefined, 'state of the world has no routes');
  const byRoot = build(store);
  assert.deepEqual([byRoot.gateway?.routes.size, byRoot.ports.size], [1, 1]);
});

test('an empty gateway is the same one again', () => {
  const first = build(new ResourceStore(), ON);
  assert.equal(first.gateway?.routes.size, 0);
  assert.equal(build(new ResourceStore(), ON, first), first);
});

test('Endpoints only where there is a service port; without one nodes, names, or nothing', () => {
  const store = new ResourceStore(
    resource('Upstream', 'shop/cart', { portLevelSettings: [{ port: 81, scheme: 'grpc' }] }),
    resource('Endpoints', 'shop/cart/81', { endpoints: [{ address: '10.0.0.1', port: 8080 }] }),
    resource('Upstream', 'dns', { serviceName: 'web.example', discoveryType: 'dns' }),
    resource('Route', '1', { uris: ['/1'], upstreamId: 'shop/cart', servicePort: 81 }),
    resource('Route', '2', { uris: ['/2'], upstreamId: 'shop/cart' }),
    resource('Route', '3', { uris: ['/3'], upstreamId: 'dns' }),
  );
  const { ports } = build(store, ON);
  const of = (key: string): unknown => {
    const port = ports.get(key);
    return [port?.policy.scheme, port?.servicePort, port?.endpoints.length, port?.names.length];
  };
  assert.deepEqual(of('shop/cart/81'), ['grpc', 81, 1, 0]);
  assert.deepEqual(of('shop/cart/0'), ['http', 0, 0, 0]);
  assert.deepEqual(of('dns/0'), ['http', 0, 0, 1]);
});

test('a port that a listener and several routes go to is one, and its Secrets come along', () => {
  const store = new ResourceStore(
    resource('Sidecar', 'default', { listeners: ['l'], gateway: true }),
    resource('Listener', 'l', { port: 80, targets: [{ upstream: 'a/b', servicePort: 80 }] }),
    resource('Upstream', 'a/b', { scheme: 'https', tls: { ca: { secret: 'a/ca' } } }),
    resource('Upstream', 'a/c', { scheme: 'https', tls: { ca: { secret: 'a/other' } } }),
    resource('Route', '1', { uris: ['/1'], upstreamId: 'a/b', servicePort: 80 }),
    resource('Route', '2', { uris: ['/2'], upstreamId: 'a/b', servicePort: 80 }),
    resource('Route', '3', { uris: ['/3'], upstreamId: 'a/c' }),
  );
  const first = build(store);
  assert.deepEqual([...first.ports.keys()], ['a/b/80', 'a/c/0']);
  assert.equal(build(store, undefined, first), first);
  store.set(resource('Endpoints', 'a/b/80', { endpoints: [{ address: '10.0.0.1', port: 1 }] }));
  const next = build(store, undefined, first);
  assert.notEqual(next.ports.get('a/b/80'), first.ports.get('a/b/80'));
  assert.equal(next.ports.get('a/c/0'), first.ports.get('a/c/0'));
  assert.equal(next.gateway, first.gateway);
});

test('many upstreams of equal policy share it', () => {
  const store = new ResourceStore();
  for (let i = 0; i < 200; i++) {
    store.set(resource('Upstream', `u${i}`, { retries: 1, nodes: [{ host: `10.0.0.${i}`, port: 80 }] }));
    store.set(resource('Route', `r${i}`, { uris: [`/${i}`], upstreamId: `u${i}` }));
  }
  const ports = [...build(store, ON).ports.values()];
  assert.equal(ports.length, 200);
  assert.equal(new Set(ports.map(({ policy }) => policy)).size, 1);
  assert.equal(new Set(ports.map(({ provenance }) => provenance)).size, 1);
});

test('the Admin API: the address of the root, or the host of the control plane', () => {
  const at = (adminApi: string | undefined, controlHost?: string): unknown => {
    const store = new ResourceStore(resource('Sidecar', 'default', { adminApi }));
    const { gateway, ports } = build(store, { on: true, controlHost });
    const port = gateway?.adminApi === undefined ? undefined : ports.get(gateway.adminApi);
    return (
      port && [
        port.key,
        ...port.endpoints.map((one) => `${one.address} ${one.port}`),
        ...port.names.map((one) => one.name),
      ]
    );
  };
  assert.equal(at(undefined, '127.0.0.1'), undefined);
  assert.equal(at(':9180'), undefined);
  assert.deepEqual(at(':9180', '127.0.0.1'), ['admin-api/0', '127.0.0.1 9180']);
  assert.deepEqual(at(':9180', '[::1]'), ['admin-api/0', '::1 9180']);
  assert.deepEqual(at(':9180', 'Control.example'), ['admin-api/0', 'control.example']);
  assert.deepEqual(at('[::1]:1', '127.0.0.1'), ['admin-api/0', '::1 1']);
  assert.equal(at(':9180', 'no host'), undefined);
});

test('the port of the Admin API is the same object while nothing of it changes, and off with the gateway', () => {
  const store = new ResourceStore(resource('Sidecar', 'default', { adminApi: ':9180', gateway: true }));
  const context = { on: false, controlHost: '10.0.0.1' };
  const first = build(store, context);
  assert.equal(build(store, context, first), first);
  store.set(resource('Sidecar', 'default', { adminApi: ':9180', gateway: true, listeners: ['missing'] }));
  assert.equal(build(store, context, first), first);
  const moved = build(store, { ...context, controlHost: '10.0.0.2' }, first);
  assert.equal(moved.gateway, first.gateway);
  assert.equal(moved.ports.get('admin-api/0')?.endpoints[0]?.address, '10.0.0.2');
  store.set(resource('Sidecar', 'default', { adminApi: ':9180' }));
  assert.deepEqual([build(store, context, moved).gateway, build(store, context, moved).ports.size], [undefined, 0]);
});

test("an Upstream of the Admin API's name is another one", () => {
  const store = new ResourceStore(
    resource('Sidecar', 'default', { adminApi: '10.0.0.9:9180' }),
    resource('Upstream', 'admin-api', { nodes: [{ host: '10.0.0.1', port: 80 }] }),
    resource('Route', '1', { uris: ['/'], upstreamId: 'admin-api' }),
  );
  const { gateway, ports } = build(store, ON);
  assert.equal(gateway?.adminApi, 'admin-api-/0');
  assert.equal(ports.get('admin-api-/0')?.endpoints[0]?.address, '10.0.0.9');
  assert.equal(ports.get(gateway.routes.get('1')?.target ?? '')?.endpoints[0]?.address, '10.0.0.1');
});
