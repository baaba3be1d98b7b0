import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Kind, Resource } from '../../../src/config/resource.ts';
import { ResourceView } from '../../../src/control/resource-view.ts';
import { namesSameChildren, rootOf, warm } from '../../../src/control/warming.ts';
import type { WarmingInput } from '../../../src/control/warming-input.ts';
import { resource } from '../../support/resources.ts';

const sidecar = (name: string, ...listeners: string[]): Resource => resource('Sidecar', name, { name, listeners });
const listener = (name: string, port: number, ...upstreams: string[]): Resource =>
  resource('Listener', name, {
    name,
    port,
    targets: upstreams.map((upstream) => ({ upstream, servicePort: 80 })),
  });
const upstream = (name: string, more: object = {}): Resource => resource('Upstream', name, { name, ...more });
const endpoints = (name: string): Resource =>
  resource('Endpoints', name, { name, endpoints: [{ address: '10.0.0.1', port: 80 }] });

function view(...resources: Resource[]): ResourceView {
  const made = new ResourceView();
  for (const each of resources) made.put(each);
  return made;
}

function run(
  latest: readonly Resource[],
  inForce: readonly Resource[],
  pending: readonly string[] = [],
  more: Partial<WarmingInput> = {},
): { names: string[]; view: ResourceView; latest: boolean } {
  const isPending = (kind: Kind, name: string): boolean => pending.includes(`${kind} ${name}`);
  const warmed = warm({
    latest: view(...latest),
    inForce: view(...inForce),
    roots: ['me', 'default'],
    isPending,
    isRefused: () => false,
    isAwaited: () => false,
    hasGateway: (resources) => rootOf(resources, ['default'])?.message.gateway === true,
    ...more,
  });
  return { ...warmed, names: [...warmed.view.everything()].map(({ kind, name }) => `${kind} ${name}`) };
}

const A = [listener('l/1', 1, 'x/a'), upstream('x/a'), endpoints('x/a/80')];
const B = [listener('l/2', 2, 'x/b'), upstream('x/b'), endpoints('x/b/80')];
const ROOT_A = sidecar('default', 'l/1');
const ROOT_AB = sidecar('default', 'l/1', 'l/2');
const ROOT_B = sidecar('default', 'l/2');

describe('warm', () => {
  it('keeps a gateway that needs no root while one is on its way, or waits for its Listeners', () => {
    const routes = [resource('Route', '1', { name: '1', uris: ['/'] })];
    const on = { hasGateway: () => true };
    const pending = run(routes, routes, ['Sidecar me', 'Sidecar default'], on);
    assert.deepEqual([pending.names, pending.latest], [['Route 1'], true]);
    const waits = run([ROOT_A, ...routes], routes, ['Listener l/1'], on);
    assert.deepEqual([waits.names, waits.latest], [['Route 1'], false]);
    // None of a kind has come yet, and there is no root: still nothing of it goes.
    const early = run(routes, routes, ['Sidecar me', 'Sidecar default', 'Consumer *'], on);
    assert.deepEqual([early.names, early.latest], [['Route 1'], false]);
  });

  it('hands on nothing without a root, and a complete tree whole', () => {
    assert.deepEqual(run(A, []).names, []);
    const { names, latest } = run([ROOT_A, ...A], []);
    assert.deepEqual(names, ['Sidecar default', 'Listener l/1', 'Upstream x/a', 'Endpoints x/a/80']);
    assert.equal(latest, true);
  });

  it("prefers the node's own root", () => {
    assert.deepEqual(run([ROOT_A, sidecar('me', 'l/2'), ...A, ...B], []).names[0], 'Sidecar me');
  });

  it('opens a new Listener only when its children are here or known not to come', () => {
    const partly = [ROOT_AB, ...A, listener('l/2', 2, 'x/b'), upstream('x/b')];
    const waits = run(partly, [ROOT_A, ...A], ['Endpoints x/b/80']);
    assert.deepEqual(
      waits.names.filter((name) => name.startsWith('Listener')),
      ['Listener l/1'],
    );
    assert.equal(waits.latest, false);
    const settled = run(partly, [ROOT_A, ...A]);
    assert.deepEqual(
      settled.names.filter((name) => name.startsWith('Listener')),
      ['Listener l/1', 'Listener l/2'],
    );
    assert.equal(settled.latest, true);
  });

  it('keeps the old Listener with its children while the new one waits for its own', () => {
    const changed = listener('l/1', 1, 'x/b');
    const input = [ROOT_A, changed, upstream('x/a'), endpoints('x/a/80'), upstream('x/b')];
    const waits = run(input, [ROOT_A, ...A], ['Endpoints x/b/80']);
    assert.equal(waits.view.get('Listener', 'l/1'), A[0]);
    assert.ok(waits.names.includes('Upstream x/a') && waits.names.includes('Endpoints x/a/80'));
    const ready = run([...input, endpoints('x/b/80')], [ROOT_A, ...A]);
    assert.equal(ready.view.get('Listener', 'l/1'), changed);
    assert.ok(!ready.names.includes('Upstream x/a'));
  });

  it('keeps the old root while one that drops a Listener has another that is not ready', () => {
    const waits = run([ROOT_B, ...A], [ROOT_A, ...A], ['Listener l/2']);
    assert.equal(waits.view.get('Sidecar', 'default'), ROOT_A);
    assert.ok(waits.names.includes('Listener l/1'));
    const ready = run([ROOT_B, ...A, ...B], [ROOT_A, ...A]);
    assert.deepEqual(ready.names, ['Sidecar default', 'Listener l/2', 'Upstream x/b', 'Endpoints x/b/80']);
  });

  it('takes a root that only adds at once, so that no new Listener waits for another', () => {
    const root = sidecar('default', 'l/1', 'l/2', 'l/3');
    const { names, latest } = run([root, ...A, ...B], [ROOT_A, ...A], ['Listener l/3']);
    assert.ok(names.includes('Listener l/2'));
    assert.equal(latest, false);
  });

  it('starts with what is ready, but not with a root alone', () => {
    assert.deepEqual(run([ROOT_AB], [], ['Listener l/1', 'Listener l/2']).names, []);
    const { names } = run([ROOT_AB, ...A], [], ['Listener l/2']);
    assert.deepEqual(names, ['Sidecar default', 'Listener l/1', 'Upstream x/a', 'Endpoints x/a/80']);
    assert.deepEqual(run([sidecar('default')], []).names, ['Sidecar default']);
  });

  it('passes updates of children on while something else warms', () => {
    const newer = resource('Endpoints', 'x/a/80', { name: 'x/a/80', endpoints: [{ address: '10.0.0.9', port: 80 }] });
    const latest = [ROOT_B, A[0]!, A[1]!, newer];
    const { view: chosen } = run(latest, [ROOT_A, ...A], ['Listener l/2']);
    assert.equal(chosen.get('Endpoints', 'x/a/80'), newer);
  });

  it('keeps inline nodes until the Endpoints that replace them are here', () => {
    const inline = upstream('x/a', { nodes: [{ host: '10.0.0.1', port: 80 }] });
    const without = upstream('x/a');
    const inForce = [ROOT_A, A[0]!, inline];
    const waits = run([ROOT_A, A[0]!, without], inForce, ['Endpoints x/a/80']);
    assert.equal(waits.view.get('Upstream', 'x/a'), inline);
    assert.equal(waits.latest, false);
    const ready = run([ROOT_A, A[0]!, without, endpoints('x/a/80')], inForce);
    assert.equal(ready.view.get('Upstream', 'x/a'), without);
  });

  it('drops a Listener that is gone for good', () => {
    const { names, latest } = run([ROOT_A], [ROOT_A, ...A]);
    assert.deepEqual(names, ['Sidecar default']);
    assert.equal(latest, true);
  });
});

const GATEWAY = resource('Sidecar', 'default', { name: 'default', gateway: true });
const route = (name: string, more: object = {}): Resource =>
  resource('Route', name, { name, uris: [`/${name}`], ...more });
const service = (name: string, more: object = {}): Resource => resource('Service', name, { name, ...more });

describe('warm with a gateway', () => {
  const inline = (name: string): Resource => upstream(name, { nodes: [{ host: '10.0.0.1', port: 80 }] });
  const ONE = [route('1', { upstreamId: 'a' }), inline('a')];

  it('hands on all of it with what it names, and nothing of it where it is off', () => {
    const withEndpoints = route('2', { upstreamId: 'x/b', servicePort: 80 });
    const rest = [service('s', { upstreamId: 'c' }), inline('c'), upstream('x/b'), endpoints('x/b/80')];
    const config = resource('PluginConfig', 'p', { name: 'p' });
    const consumer = resource('Consumer', 'jack', { name: 'jack' });
    const all = [...ONE, withEndpoints, ...rest, config, consumer];
    const { names, latest } = run([GATEWAY, ...all], []);
    assert.equal(latest, true);
    assert.deepEqual(names, [
      'Sidecar default',
      'Route 1',
      'Route 2',
      'Service s',
      'PluginConfig p',
      'Consumer jack',
      'Upstream c',
      'Upstream a',
      'Upstream x/b',
      'Endpoints x/b/80',
    ]);
    assert.deepEqual(run([sidecar('default'), ...all], []).names, ['Sidecar default']);
  });

  it('lets a Route that is new wait for its Upstream, while everything else goes on', () => {
    const newer = route('1', { upstreamId: 'a', desc: 'newer' });
    const waiting = route('2', { upstreamId: 'b' });
    const inForce = [GATEWAY, ...ONE];
    const latest = [GATEWAY, newer, inline('a'), waiting];
    const waits = run(latest, inForce, ['Upstream b']);
    assert.deepEqual([waits.view.get('Route', '1'), waits.view.get('Route', '2')], [newer, undefined]);
    assert.equal(waits.latest, false);
    // Known not to exist: the Route says so itself.
    const settled = run(latest, inForce);
    assert.equal(settled.view.get('Route', '2'), waiting);
    assert.equal(settled.latest, true);
  });

  it('keeps the old version of a Route with its Upstream until the newly named one is here', () => {
    const moved = route('1', { upstreamId: 'b' });
    const inForce = [GATEWAY, ...ONE];
    const waits = run([GATEWAY, moved, inline('a')], inForce, ['Upstream b']);
    assert.equal(waits.view.get('Route', '1'), ONE[0]);
    assert.ok(waits.names.includes('Upstream a'));
    const ready = run([GATEWAY, moved, inline('a'), inline('b')], inForce);
    assert.equal(ready.view.get('Route', '1'), moved);
    assert.deepEqual(
      ready.names.filter((name) => name.startsWith('Upstream')),
      ['Upstream b'],
    );
  });

  it('waits for the Endpoints of a service port, and for the Secrets of an Upstream that is new', () => {
    const port = route('1', { upstreamId: 'x/a', servicePort: 80 });
    assert.ok(!run([GATEWAY, port, upstream('x/a')], [], ['Endpoints x/a/80']).names.includes('Route 1'));
    const tls = upstream('b', {
      scheme: 'https',
      tls: { ca: { secret: 's' } },
      nodes: [{ host: '10.0.0.1', port: 1 }],
    });
    const named = route('2', { upstreamId: 'b' });
    assert.ok(!run([GATEWAY, named, tls], [], ['Secret s']).names.includes('Route 2'));
    assert.ok(run([GATEWAY, named, tls], []).names.includes('Route 2'));
  });

  it('keeps the old version of a Service likewise, and lets a Route wait for one that is new', () => {
    const old = service('s', { upstreamId: 'a' });
    const moved = service('s', { upstreamId: 'b' });
    const user = route('1', { serviceId: 's' });
    const waits = run([GATEWAY, moved, user, inline('a')], [GATEWAY, old, user, inline('a')], ['Upstream b']);
    assert.equal(waits.view.get('Service', 's'), old);
    assert.equal(waits.view.get('Route', '1'), user);
    const fresh = run([GATEWAY, moved, user], [GATEWAY], ['Upstream b']);
    assert.deepEqual(fresh.names, ['Sidecar default']);
    assert.ok(run([GATEWAY, user], [GATEWAY]).names.includes('Route 1')); // a Service that nobody has
  });

  it('takes out at once what was removed, whatever else waits', () => {
    const waiting = route('2', { upstreamId: 'b' });
    const { names } = run([GATEWAY, waiting, inline('a')], [GATEWAY, ...ONE], ['Upstream b', 'Consumer *']);
    assert.deepEqual(names, ['Sidecar default']);
  });

  it('leaves the gateway as it is until all there is of its kinds has come', () => {
    const key = route('2', { plugins: { keyAuth: {} } });
    const newer = route('1', { upstreamId: 'a', desc: 'newer' });
    const waits = run([GATEWAY, key, newer, inline('a')], [GATEWAY, ...ONE], ['Consumer *']);
    assert.deepEqual([waits.view.get('Route', '1'), waits.view.get('Route', '2')], [ONE[0], undefined]);
    assert.equal(waits.latest, false);
  });

  it('keeps inline nodes of an Upstream of a Route until the Endpoints that replace them are here', () => {
    const port = route('1', { upstreamId: 'x/a', servicePort: 80 });
    const old = inline('x/a');
    const now = upstream('x/a');
    const waits = run([GATEWAY, port, now], [GATEWAY, port, old], ['Endpoints x/a/80']);
    assert.equal(waits.view.get('Upstream', 'x/a'), old);
    const ready = run([GATEWAY, port, now, endpoints('x/a/80')], [GATEWAY, port, old]);
    assert.equal(ready.view.get('Upstream', 'x/a'), now);
  });
});

describe('namesSameChildren', () => {
  const base = { upstreamId: 'a', servicePort: 80, serviceId: 's', pluginConfigId: 'p' };

  it('looks only at what a Route or a Service names', () => {
    const before = route('1', base);
    assert.equal(namesSameChildren(before, route('1', { ...base, uris: ['/other'], priority: 7 })), true);
    for (const change of [{ upstreamId: 'b' }, { servicePort: 81 }, { serviceId: 't' }, { pluginConfigId: 'q' }]) {
      assert.equal(namesSameChildren(before, route('1', { ...base, ...change })), false, JSON.stringify(change));
    }
    const of = service('s', { upstreamId: 'a' });
    assert.equal(namesSameChildren(of, service('s', { upstreamId: 'a', desc: 'x' })), true);
    assert.equal(namesSameChildren(of, service('s', { upstreamId: 'b' })), false);
    assert.equal(namesSameChildren(of, service('s', { upstreamId: 'a', servicePort: 1 })), false);
  });

  it('knows that Consumers and PluginConfigs name none', () => {
    const consumer = (desc: string): Resource => resource('Consumer', 'c', { name: 'c', desc });
    assert.equal(namesSameChildren(consumer('a'), consumer('b')), true);
    const config = (desc: string): Resource => resource('PluginConfig', 'c', { name: 'c', desc });
    assert.equal(namesSameChildren(config('a'), config('b')), true);
  });
});
