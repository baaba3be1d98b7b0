import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMPTY_SNAPSHOT, type Snapshot } from '../../../src/model/snapshot.ts';
import { buildSnapshot } from '../../../src/config/builder.ts';
import type { Resource } from '../../../src/config/resource.ts';
import { issueAuthority, issueCertificate, type TestCertificate } from '../../support/certificates.ts';
import { resource, ResourceStore } from '../../support/resources.ts';

const CART = { upstream: 'shop/cart', servicePort: 80 };
const BLOG = { upstream: 'blog/blog', servicePort: 80 };

function root(...listeners: string[]): Resource {
  return resource('Sidecar', 'default', { listeners });
}

/** One listener with two targets, all there. */
function shop(): ResourceStore {
  return new ResourceStore(
    root('outbound/80'),
    resource('Listener', 'outbound/80', { port: 80, targets: [CART, BLOG] }),
    resource('Upstream', 'shop/cart', { portLevelSettings: [{ port: 80, scheme: 'grpc' }] }),
    resource('Upstream', 'blog/blog', {}),
    resource('Endpoints', 'shop/cart/80', { endpoints: [{ address: '10.0.0.1', port: 8080 }] }),
    resource('Endpoints', 'blog/blog/80', { endpoints: [{ address: '10.0.0.2', port: 8080 }] }),
  );
}

function build(store: ResourceStore, previous: Snapshot = EMPTY_SNAPSHOT): Snapshot {
  return buildSnapshot('node-1', store, previous);
}

test('a whole tree', () => {
  const snapshot = build(shop());
  assert.equal(snapshot.number, 1);
  assert.deepEqual(
    [...snapshot.listeners.values()],
    [
      {
        name: 'outbound/80',
        address: undefined,
        port: 80,
        protocols: 'auto',
        tls: undefined,
        targets: [
          {
            port: 'shop/cart/80',
            authorities: ['cart', 'cart.shop', 'cart.shop.svc', 'cart.shop.svc.cluster.local'],
          },
          {
            port: 'blog/blog/80',
            authorities: ['blog', 'blog.blog', 'blog.blog.svc', 'blog.blog.svc.cluster.local'],
          },
        ],
      },
    ],
  );
  const cart = snapshot.ports.get('shop/cart/80');
  assert.equal(cart?.policy.scheme, 'grpc');
  assert.equal(cart.provenance.get('scheme'), 'port 80');
  assert.deepEqual(cart.endpoints, [
    { address: '10.0.0.1', port: 8080, weight: 1, priority: 0, draining: false, labels: new Map(), host: '' },
  ]);
  assert.deepEqual(cart.names, []);
  assert.deepEqual([...snapshot.ports.keys()], ['shop/cart/80', 'blog/blog/80']);
});

test('without a root, and with an empty one', () => {
  const none = build(new ResourceStore());
  assert.deepEqual([none.number, none.listeners.size, none.ports.size], [1, 0, 0]);
  assert.equal(build(new ResourceStore(root()), none), none);
});

test('what is missing: a listener is left out, a port needs its upstream, endpoints may be none', () => {
  const store = shop();
  store.set(root('outbound/80', 'outbound/81'));
  store.remove('Upstream', 'shop/cart');
  store.remove('Endpoints', 'blog/blog/80');
  const snapshot = build(store);
  assert.deepEqual([...snapshot.listeners.keys()], ['outbound/80']);
  assert.deepEqual([...snapshot.ports.keys()], ['blog/blog/80']);
  assert.deepEqual(snapshot.ports.get('blog/blog/80')?.endpoints, []);
});

test('endpoints are ordered, the last of two equal ones stands, and one address has one spelling', () => {
  const store = shop();
  const labels = { zone: 'a' };
  store.set(
    resource('Endpoints', 'shop/cart/80', {
      endpoints: [
        { address: '10.0.0.2', port: 2, weight: 5 },
        { address: '10.0.0.2', port: 1, state: 'draining', labels },
        { address: '0:0:0:0:0:0:0:1', port: 1, weight: 1 },
        { address: '::1', port: 1, weight: 0 },
        { address: '10.0.0.10', port: 1 },
        { address: '10.0.0.2', port: 2, weight: 6 },
      ],
    }),
  );
  assert.deepEqual(
    build(store)
      .ports.get('shop/cart/80')
      ?.endpoints.map(({ address, port, weight, draining, labels: map }) => [
        address,
        port,
        weight,
        draining,
        map.get('zone'),
      ]),
    [
      ['10.0.0.10', 1, 1, false, undefined],
      ['10.0.0.2', 1, 1, true, 'a'],
      ['10.0.0.2', 2, 6, false, undefined],
      ['::1', 1, 0, false, undefined],
    ],
  );
});

test('inline nodes stand instead of Endpoints, with port 80 by default', () => {
  const store = shop();
  store.set(
    resource('Upstream', 'shop/cart', { nodes: [{ host: '[::1]', port: 81, weight: 2 }, { host: '10.9.9.9' }] }),
  );
  assert.deepEqual(
    build(store)
      .ports.get('shop/cart/80')
      ?.endpoints.map(({ address, port, weight }) => [address, port, weight]),
    [
      ['10.9.9.9', 80, 1],
      ['::1', 81, 2],
    ],
  );
});

test('inline nodes without a port have the one of the scheme of their service port', () => {
  const store = shop();
  const listener = { port: 80, targets: [CART, { ...CART, servicePort: 81, authorities: ['secure.cart'] }] };
  store.set(
    resource('Listener', 'outbound/80', listener),
    resource('Upstream', 'shop/cart', {
      scheme: 'grpcs',
      nodes: [{ host: '10.9.9.9' }, { host: '10.9.9.10', port: 81 }],
      portLevelSettings: [{ port: 80, scheme: 'http' }],
    }),
  );
  const ports = (key: string): unknown =>
    build(store)
      .ports.get(key)
      ?.endpoints.map(({ port }) => port);
  assert.deepEqual(ports('shop/cart/80'), [81, 80]);
  assert.deepEqual(ports('shop/cart/81'), [81, 443]);
});

test('APISIX row 69: a node without a port has 443 with https, 80 with http, also where it is a DNS name', () => {
  const store = shop();
  const nodes = [{ host: '10.9.9.9' }, { host: 'web.example' }, { host: 'web.example', port: 81 }];
  const ports = (scheme: string): unknown => {
    store.set(resource('Upstream', 'shop/cart', { scheme, nodes }));
    const made = build(store).ports.get('shop/cart/80');
    return [made?.endpoints.map(({ port }) => port), made?.names.map(({ port, portIsSet }) => [port, portIsSet])];
  };
  for (const scheme of ['https', 'grpcs']) {
    assert.deepEqual(ports(scheme), [
      [443],
      [
        [81, true],
        [443, false],
      ],
    ]);
  }
  for (const scheme of ['http', 'grpc']) {
    assert.deepEqual(ports(scheme), [
      [80],
      [
        [80, false],
        [81, true],
      ],
    ]);
  }
});

test('nodes: addresses are endpoints, DNS names are names in one spelling, and the last of two equal ones stands', () => {
  const store = shop();
  const metadata = { zone: 'a' };
  store.set(
    resource('Upstream', 'shop/cart', {
      nodes: [
        { host: 'Web.Example', port: 80, weight: 1 },
        { host: 'Web.Example.', port: 80 },
        { host: '10.0.0.1', port: 80, weight: 2 ** 32 - 1, priority: -1, metadata },
        { host: 'web.example', port: 80, weight: 0, priority: 7, metadata },
        { host: 'a_b-c', port: 80 },
        { host: '2001:DB8::1', port: 80 },
      ],
    }),
  );
  const first = build(store);
  const made = first.ports.get('shop/cart/80');
  const labels = new Map([['zone', 'a']]);
  const name = { kind: 'addresses', port: 80, portIsSet: true };
  assert.deepEqual(made?.names, [
    { ...name, name: 'a_b-c', weight: 1, priority: 0, labels: new Map() },
    { ...name, name: 'web.example', weight: 0, priority: 7, labels },
    { ...name, name: 'web.example.', weight: 1, priority: 0, labels: new Map() },
  ]);
  const address = { port: 80, draining: false, host: '' };
  assert.deepEqual(made.endpoints, [
    { ...address, address: '10.0.0.1', weight: 2 ** 32 - 1, priority: -1, labels },
    { ...address, address: '2001:db8::1', weight: 1, priority: 0, labels: new Map() },
  ]);
});

test('APISIX row 72: a bare IPv6 address is an endpoint like any other, and when it comes again nothing changes', () => {
  const store = shop();
  const nodes = [{ host: '::1', port: 80 }];
  store.set(resource('Upstream', 'shop/cart', { nodes }));
  const first = build(store);
  assert.equal(first.ports.get('shop/cart/80')?.endpoints[0]?.address, '::1');
  for (const host of ['[::1]', '0:0::1', '::1']) {
    store.set(resource('Upstream', 'shop/cart', { nodes: [{ host, port: 80 }] }));
    assert.equal(build(store, first), first);
  }
});

test('APISIX row 74: nodes in another order are the same; other nodes, priorities or metadata are not', () => {
  const store = shop();
  const [a, b] = [
    { host: '10.0.0.1', port: 80 },
    { host: 'web.example', port: 80 },
  ];
  const set = (...nodes: object[]): void => store.set(resource('Upstream', 'shop/cart', { nodes }));
  set(a, b, { ...b, port: 81 });
  const first = build(store);
  set({ ...b, port: 81 }, b, a);
  assert.equal(build(store, first), first);
  for (const change of [{ priority: 1 }, { weight: 2 }, { metadata: { zone: 'a' } }, { port: 82 }]) {
    set({ ...a, ...change }, b, { ...b, port: 81 });
    const address = build(store, first).ports.get('shop/cart/80');
    assert.notEqual(address?.endpoints, first.ports.get('shop/cart/80')?.endpoints);
    assert.equal(address?.names, first.ports.get('shop/cart/80')?.names);
    set(a, { ...b, ...change }, { ...b, port: 81 });
    const named = build(store, first).ports.get('shop/cart/80');
    assert.notEqual(named?.names, first.ports.get('shop/cart/80')?.names);
    assert.equal(named?.endpoints, first.ports.get('shop/cart/80')?.endpoints);
  }
});

test('a service that DNS knows: the port stated, else that of the scheme; for one port alone too', () => {
  const store = shop();
  const cart81 = { ...CART, servicePort: 81, authorities: ['secure.cart'] };
  store.set(resource('Listener', 'outbound/80', { port: 80, targets: [CART, cart81] }));
  const of = (key: string): unknown => {
    const { names = [], endpoints = [] } = build(store).ports.get(key) ?? {};
    return [...names.map(({ kind, name, port, portIsSet }) => [kind, name, port, portIsSet]), endpoints.length];
  };
  const registry = { serviceName: 'Web.Example.', discoveryType: 'dns' };
  const endpoints = [80, 81].map((port) =>
    resource('Endpoints', `shop/cart/${port}`, { endpoints: [{ address: '10.0.0.1', port }] }),
  );
  store.set(
    ...endpoints,
    resource('Upstream', 'shop/cart', { ...registry, portLevelSettings: [{ port: 81, scheme: 'grpcs' }] }),
  );
  // The Endpoints that are here all the same aren't looked at.
  assert.deepEqual(of('shop/cart/80'), [['service', 'web.example.', 80, false], 0]);
  assert.deepEqual(of('shop/cart/81'), [['service', 'web.example.', 443, false], 0]);
  const other = { port: 81, serviceName: 'other.example:8080', discoveryType: 'dns' };
  store.set(resource('Upstream', 'shop/cart', { ...registry, portLevelSettings: [other] }));
  assert.deepEqual(of('shop/cart/80'), [['service', 'web.example.', 80, false], 0]);
  assert.deepEqual(of('shop/cart/81'), [['service', 'other.example', 8080, true], 0]);
  store.set(resource('Upstream', 'shop/cart', { portLevelSettings: [other] }));
  assert.deepEqual(of('shop/cart/80'), [1]);
  assert.deepEqual(of('shop/cart/81'), [['service', 'other.example', 8080, true], 0]);
});

const authority = await issueAuthority();

function secret(name: string, pair: TestCertificate): Resource {
  return resource('Secret', name, {
    certificate: Buffer.from(pair.certificatePem),
    privateKey: Buffer.from(pair.keyPem),
    ca: Buffer.from(authority.certificatePem),
  });
}

test('tls of a listener', () => {
  const store = shop();
  const tls = {
    certificates: [{ secret: 'shop/server' }, { certificateFile: 'cert.pem', keyFile: 'key.pem' }],
    clientCertificate: 'required',
    clientCa: { secret: 'shop/ca' },
    clientNames: [{ uri: 'spiffe://example.org/a' }, { dns: 'a.example' }],
  };
  store.set(resource('Listener', 'outbound/80', { port: 80, targets: [CART], tls }));
  const first = build(store);
  assert.deepEqual(first.listeners.get('outbound/80')?.tls, {
    certificates: [
      { kind: 'secret', name: 'shop/server' },
      { kind: 'files', certificateFile: 'cert.pem', keyFile: 'key.pem' },
    ],
    clientCertificate: 'required',
    clientCa: { kind: 'secret', name: 'shop/ca' },
    clientNames: [
      { type: 'uri', value: 'spiffe://example.org/a' },
      { type: 'dns', value: 'a.example' },
    ],
  });
  store.set(resource('Listener', 'outbound/80', { port: 80, targets: [CART], tls }));
  assert.equal(build(store, first), first);
  const open = { certificates: [{ secret: 'shop/server' }] };
  store.set(resource('Listener', 'outbound/80', { port: 80, targets: [CART], tls: open }));
  const second = build(store, first);
  assert.deepEqual(second.listeners.get('outbound/80')?.tls, {
    certificates: [{ kind: 'secret', name: 'shop/server' }],
    clientCertificate: 'none',
    clientCa: undefined,
    clientNames: [],
  });
});

test('Secrets: those that the tree names and that are here, the same objects while they hold the same', async () => {
  const pair = await issueCertificate(authority, { dns: ['cart.example'] });
  const store = shop();
  const tls = { certificates: [{ secret: 'shop/server' }] };
  store.set(
    resource('Listener', 'outbound/80', { port: 80, targets: [CART, BLOG], tls }),
    resource('Upstream', 'blog/blog', { portLevelSettings: [{ port: 9, tls: { clientCertId: 'blog/client' } }] }),
    secret('shop/server', pair),
    secret('shop/other', pair),
  );
  const first = build(store);
  assert.deepEqual([...first.secrets.keys()], ['shop/server']);
  assert.deepEqual(first.secrets.get('shop/server')?.certificate?.info.names.dns, ['cart.example']);
  assert.equal(first.secrets.get('shop/server')?.authorities?.pem.includes('CERTIFICATE'), true);
  assert.equal(build(store, first), first);
  // It came again: parsed again, found equal, and known from then on.
  store.set(secret('shop/server', pair));
  assert.equal(build(store, first), first);

  store.set(secret('blog/client', pair));
  const second = build(store, first);
  assert.deepEqual([...second.secrets.keys()], ['shop/server', 'blog/client']);
  assert.equal(second.secrets.get('shop/server'), first.secrets.get('shop/server'));
  assert.equal(second.ports, first.ports);
  assert.equal(second.listeners, first.listeners);

  store.set(secret('shop/server', await issueCertificate(authority, { dns: ['cart.example'] })));
  const third = build(store, second);
  assert.equal(third.number, 3);
  assert.notEqual(third.secrets.get('shop/server'), second.secrets.get('shop/server'));
  assert.equal(third.secrets.get('blog/client'), second.secrets.get('blog/client'));

  store.set(resource('Listener', 'outbound/80', { port: 80, targets: [CART, BLOG] }));
  const fourth = build(store, third);
  assert.deepEqual([...fourth.secrets.keys()], ['blog/client']);
});

test('an Upstream with an inline key that came again is the same port', async () => {
  const pair = await issueCertificate(authority, { dns: ['client.example'] });
  const withKey = ({ certificatePem, keyPem }: TestCertificate): Resource =>
    resource('Upstream', 'shop/cart', {
      scheme: 'https',
      tls: { clientCert: certificatePem, clientKey: keyPem, caCerts: [authority.certificatePem] },
    });
  const store = shop();
  store.set(withKey(pair));
  const first = build(store);
  store.set(withKey(pair));
  assert.equal(build(store, first), first);
  // Another key alone is another policy, though keys aren't shown.
  store.set(withKey(await issueCertificate(authority, { dns: ['client.example'] })));
  assert.notEqual(build(store, first).ports.get('shop/cart/80'), first.ports.get('shop/cart/80'));
});

test('targets: stated authorities stand above defaults, and the plain name goes to the first', () => {
  const store = new ResourceStore(
    root('l'),
    resource('Listener', 'l', {
      port: 80,
      address: '0:0::1',
      targets: [
        { upstream: 'a/web', servicePort: 80 },
        { upstream: 'b/web', servicePort: 80 },
        { upstream: 'routes/1/x', servicePort: 80 },
        { upstream: 'C/other', servicePort: 80, authorities: ['WEB.a:8080', '[::1]:80', '[::2]'] },
      ],
    }),
  );
  const spec = build(store).listeners.get('l');
  assert.equal(spec?.address, '::1');
  assert.deepEqual(
    spec.targets.map(({ authorities }) => authorities),
    [
      ['web', 'web.a.svc', 'web.a.svc.cluster.local'],
      ['web.b', 'web.b.svc', 'web.b.svc.cluster.local'],
      ['routes/1/x'],
      ['web.a', '::1', '::2'],
    ],
  );
});

test('two listeners with one port are both kept', () => {
  const store = shop();
  store.set(root('outbound/80', 'other'), resource('Listener', 'other', { port: 80, targets: [CART] }));
  assert.deepEqual(
    [...build(store).listeners.values()].map(({ port }) => port),
    [80, 80],
  );
});

test('nothing changed: the same snapshot, also when all resources came again', () => {
  const store = shop();
  const first = build(store);
  assert.equal(build(store, first), first);
  assert.equal(build(shop(), first), first);
});

test('endpoints of one port changed: all else is the same object', () => {
  const store = shop();
  const first = build(store);
  store.set(
    resource('Endpoints', 'shop/cart/80', {
      endpoints: [
        { address: '10.0.0.1', port: 8080 },
        { address: '10.0.0.3', port: 8080 },
      ],
    }),
  );
  const second = build(store, first);
  assert.equal(second.number, 2);
  assert.equal(second.listeners, first.listeners);
  assert.equal(second.ports.get('blog/blog/80'), first.ports.get('blog/blog/80'));
  const [before, after] = [first.ports.get('shop/cart/80'), second.ports.get('shop/cart/80')];
  assert.notEqual(after, before);
  assert.equal(after?.policy, before?.policy);
  assert.equal(after?.provenance, before?.provenance);
  assert.equal(after?.endpoints.length, 2);
  assert.equal(after.endpoints[0], before?.endpoints[0]);
  // Each attribute of an endpoint makes it another one.
  for (const change of [{ weight: 2 }, { state: 'draining' }, { labels: { a: 'b' } }]) {
    store.set(resource('Endpoints', 'blog/blog/80', { endpoints: [{ address: '10.0.0.2', port: 8080, ...change }] }));
    assert.notEqual(build(store, first).ports.get('blog/blog/80'), first.ports.get('blog/blog/80'));
  }
});

test('one port of an upstream changed: its other ports are the same objects', () => {
  const store = shop();
  const listener = { port: 80, targets: [CART, { ...CART, servicePort: 81, authorities: ['admin.cart'] }] };
  store.set(resource('Listener', 'outbound/80', listener));
  const first = build(store);
  store.set(
    resource('Upstream', 'shop/cart', {
      desc: 'new',
      portLevelSettings: [
        { port: 80, scheme: 'grpc' },
        { port: 81, retries: 1 },
      ],
    }),
  );
  const second = build(store, first);
  assert.equal(second.ports.get('shop/cart/80'), first.ports.get('shop/cart/80'));
  assert.notEqual(second.ports.get('shop/cart/81'), first.ports.get('shop/cart/81'));
  assert.equal(second.ports.get('shop/cart/81')?.policy.attempts.maxAttempts, 2);
  assert.equal(second.ports.get('shop/cart/81')?.endpoints, first.ports.get('shop/cart/81')?.endpoints);
  // The memo follows: a third build computes nothing and changes nothing.
  assert.equal(build(store, second), second);
});

test('a listener changed: its ports stay', () => {
  const store = shop();
  const first = build(store);
  store.set(resource('Listener', 'outbound/80', { port: 80, protocols: 'http2', targets: [CART, BLOG] }));
  const second = build(store, first);
  assert.equal(second.listeners.get('outbound/80')?.protocols, 'http2');
  assert.equal(second.ports, first.ports);
});

test('what no parent names is gone', () => {
  const store = shop();
  const first = build(store);
  store.set(resource('Listener', 'outbound/80', { port: 80, targets: [BLOG] }));
  const second = build(store, first);
  assert.deepEqual([...second.ports.keys()], ['blog/blog/80']);
  store.set(root());
  const third = build(store, second);
  assert.deepEqual([third.listeners.size, third.ports.size, third.number], [0, 0, 3]);
});

test("an upstream that loses an inline node, and one that gets its Endpoints' list", () => {
  const store = shop();
  store.set(resource('Upstream', 'shop/cart', { nodes: [{ host: '10.9.9.9' }, { host: '10.9.9.8' }] }));
  const first = build(store);
  store.set(resource('Upstream', 'shop/cart', { nodes: [{ host: '10.9.9.9' }] }));
  const second = build(store, first);
  assert.equal(second.ports.get('shop/cart/80')?.endpoints.length, 1);
  store.set(resource('Upstream', 'shop/cart', {}));
  assert.equal(build(store, second).ports.get('shop/cart/80')?.endpoints[0]?.address, '10.0.0.1');
});
