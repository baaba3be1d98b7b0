import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Kind, Resource } from '../../../src/config/resource.ts';
import { ResourceView } from '../../../src/control/resource-view.ts';
import { warm } from '../../../src/control/warming.ts';
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
): { names: string[]; view: ResourceView; latest: boolean } {
  const isPending = (kind: Kind, name: string): boolean => pending.includes(`${kind} ${name}`);
  const warmed = warm({ latest: view(...latest), inForce: view(...inForce), roots: ['me', 'default'], isPending });
  return { ...warmed, names: [...warmed.view.all()].map(({ kind, name }) => `${kind} ${name}`) };
}

const A = [listener('l/1', 1, 'x/a'), upstream('x/a'), endpoints('x/a/80')];
const B = [listener('l/2', 2, 'x/b'), upstream('x/b'), endpoints('x/b/80')];
const ROOT_A = sidecar('default', 'l/1');
const ROOT_AB = sidecar('default', 'l/1', 'l/2');
const ROOT_B = sidecar('default', 'l/2');

describe('warm', () => {
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
