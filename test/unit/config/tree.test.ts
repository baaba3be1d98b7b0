import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wantedNames } from '../../../src/config/tree.ts';
import { resource, ResourceStore } from '../../support/resources.ts';

function wanted(store: ResourceStore, gatewayOn?: boolean): Record<string, string[]> {
  const names = wantedNames('node-1', store, gatewayOn);
  return Object.fromEntries(
    Object.entries(names).map(([kind, set]) => [kind, typeof set === 'string' ? [set] : [...set].sort()]),
  );
}

test('both sidecars are wanted from the start', () => {
  assert.deepEqual(wanted(new ResourceStore()), {
    Sidecar: ['default', 'node-1'],
    Listener: [],
    Route: [],
    Service: [],
    PluginConfig: [],
    Consumer: [],
    Upstream: [],
    Endpoints: [],
    Secret: [],
  });
});

test('the walk goes as far as resources are there', () => {
  const store = new ResourceStore(resource('Sidecar', 'default', { listeners: ['outbound/80', 'outbound/90'] }));
  assert.deepEqual(wanted(store)['Listener'], ['outbound/80', 'outbound/90']);
  assert.deepEqual(wanted(store)['Upstream'], []);
  store.set(
    resource('Listener', 'outbound/80', {
      port: 80,
      targets: [
        { upstream: 'shop/cart', servicePort: 80 },
        { upstream: 'blog/blog', servicePort: 80 },
      ],
    }),
  );
  assert.deepEqual(wanted(store)['Upstream'], ['blog/blog', 'shop/cart']);
  assert.deepEqual(wanted(store)['Endpoints'], ['blog/blog/80', 'shop/cart/80']);
  store.set(
    resource('Upstream', 'shop/cart', { nodes: [{ host: '10.0.0.1' }] }),
    resource('Upstream', 'blog/blog', {}),
  );
  assert.deepEqual(wanted(store)['Endpoints'], ['blog/blog/80']);
});

test('a service port whose endpoints a registry gives asks for no Endpoints, and its other ports do', () => {
  const web = { serviceName: 'web.example', discoveryType: 'dns' };
  const targets = [80, 81].map((servicePort) => ({
    upstream: 'shop/cart',
    servicePort,
    authorities: [`${servicePort}`],
  }));
  const store = new ResourceStore(
    resource('Sidecar', 'default', { listeners: ['outbound/80'] }),
    resource('Listener', 'outbound/80', { port: 80, targets }),
  );
  assert.deepEqual(wanted(store)['Endpoints'], ['shop/cart/80', 'shop/cart/81']);
  store.set(resource('Upstream', 'shop/cart', { portLevelSettings: [{ port: 81, ...web }] }));
  assert.deepEqual(wanted(store)['Endpoints'], ['shop/cart/80']);
  store.set(resource('Upstream', 'shop/cart', { ...web, portLevelSettings: [{ port: 81, scheme: 'grpc' }] }));
  assert.deepEqual(wanted(store)['Endpoints'], []);
  store.set(resource('Upstream', 'shop/cart', { nodes: [{ host: 'web.example' }] }));
  assert.deepEqual(wanted(store)['Endpoints'], []);
});

test('Secrets that listeners and upstreams name, also for single ports', () => {
  const store = new ResourceStore(
    resource('Sidecar', 'default', { listeners: ['outbound/80'] }),
    resource('Listener', 'outbound/80', {
      port: 80,
      targets: [{ upstream: 'shop/cart', servicePort: 80 }],
      tls: {
        certificates: [{ secret: 'a/server' }, { certificateFile: 'c', keyFile: 'k' }, { secret: 'a/server-2' }],
        clientCertificate: 'required',
        clientCa: { secret: 'a/client-ca' },
      },
    }),
    resource('Upstream', 'other/unwanted', { tls: { clientCertId: 'other/unwanted' } }),
  );
  assert.deepEqual(wanted(store)['Secret'], ['a/client-ca', 'a/server', 'a/server-2']);
  store.set(
    resource('Upstream', 'shop/cart', {
      tls: { clientCertId: 'b/client', ca: { secret: 'a/client-ca' } },
      portLevelSettings: [
        { port: 1, tls: { clientCertificate: { secret: 'b/port' }, ca: { file: 'f' } } },
        { port: 2, tls: { ca: { secret: 'b/ca' } } },
        { port: 3 },
      ],
    }),
  );
  assert.deepEqual(wanted(store)['Secret'], ['a/client-ca', 'a/server', 'a/server-2', 'b/ca', 'b/client', 'b/port']);
});

test("the node's own sidecar stands above the default", () => {
  const store = new ResourceStore(
    resource('Sidecar', 'default', { listeners: ['a'] }),
    resource('Sidecar', 'node-1', { listeners: ['b'] }),
  );
  assert.deepEqual(wanted(store)['Listener'], ['b']);
  store.remove('Sidecar', 'node-1');
  assert.deepEqual(wanted(store)['Listener'], ['a']);
});

test('the gateway kinds are wanted whole while it is on, by the flag or by the root, and not at all else', () => {
  const store = new ResourceStore(resource('Route', '1', { uris: ['/'], upstreamId: 'u' }));
  const kinds = (made: Record<string, string[]>): unknown =>
    ['Route', 'Service', 'PluginConfig', 'Consumer', 'Upstream'].map((kind) => made[kind]);
  const off = [[], [], [], [], []];
  const on = [['*'], ['*'], ['*'], ['*'], ['u']];
  assert.deepEqual(kinds(wanted(store)), off);
  assert.deepEqual(kinds(wanted(store, true)), on);
  store.set(resource('Sidecar', 'default', { gateway: true }));
  assert.deepEqual(kinds(wanted(store)), on);
  store.set(resource('Sidecar', 'node-1', { gateway: false }));
  assert.deepEqual(kinds(wanted(store)), off);
  assert.deepEqual(kinds(wanted(store, true)), on);
});

test('upstreams of routes and services, Endpoints only where there is a service port, Secrets of them', () => {
  const store = new ResourceStore(
    resource('Route', '1', { uris: ['/1'], upstreamId: 'plain' }),
    resource('Route', '2', { uris: ['/2'], upstreamId: 'shop/cart', servicePort: 80 }),
    resource('Route', '3', { uris: ['/3'], serviceId: 's' }),
    resource('Route', '4', { uris: ['/4'], upstreamId: 'off', servicePort: 80, status: 0 }),
    resource('Route', '5', { uris: ['/5'] }),
    resource('Service', 's', { upstreamId: 'services/s', servicePort: 81 }),
    resource('Service', 't', {}),
  );
  const all = wanted(store, true);
  assert.deepEqual(all['Upstream'], ['plain', 'services/s', 'shop/cart']);
  assert.deepEqual(all['Endpoints'], ['services/s/81', 'shop/cart/80']);
  store.set(
    resource('Upstream', 'plain', { tls: { clientCertId: 'a/b' } }),
    resource('Upstream', 'shop/cart', { nodes: [{ host: '10.0.0.1' }], tls: { ca: { secret: 'c/d' } } }),
  );
  const found = wanted(store, true);
  assert.deepEqual(found['Endpoints'], ['services/s/81']);
  assert.deepEqual(found['Secret'], ['a/b', 'c/d']);
});
