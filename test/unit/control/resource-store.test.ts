import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Kind, WantedNames } from '../../../src/config/resource.ts';
import { EVERYTHING } from '../../../src/config/resource.ts';
import { contentVersion } from '../../../src/control/content-version.ts';
import { ResourceStore } from '../../../src/control/resource-store.ts';
import { resource } from '../../support/resources.ts';

const upstream = (name: string, desc: string): ReturnType<typeof resource<'Upstream'>> =>
  resource('Upstream', name, { name, desc });

function names(wanted: Partial<Record<Kind, readonly string[]>>, gateway = false): WantedNames {
  const of = (kind: Kind): ReadonlySet<string> => new Set(wanted[kind]);
  const all = gateway ? EVERYTHING : new Set<string>();
  return {
    Sidecar: of('Sidecar'),
    Listener: of('Listener'),
    Route: all,
    Service: all,
    PluginConfig: all,
    Consumer: all,
    Upstream: of('Upstream'),
    Endpoints: of('Endpoints'),
    Secret: of('Secret'),
  };
}

function storeWith(...wanted: string[]): ResourceStore {
  const store = new ResourceStore();
  store.retain(names({ Upstream: wanted }));
  return store;
}

describe('ResourceStore', () => {
  it('goes from REQUESTED to ACKED, and keeps the object where the bytes are the same', () => {
    const store = storeWith('a');
    assert.equal(store.entry('Upstream', 'a')?.state, 'REQUESTED');
    assert.equal(store.isPending('Upstream', 'a'), true);
    assert.equal(store.awaiting('Upstream'), 1);
    const first = upstream('a', 'one');
    assert.equal(store.accept({ resource: first, version: '1', ttlMs: undefined }, 0, 10), true);
    store.markApplied(first, 11);
    assert.equal(store.accept({ resource: upstream('a', 'one'), version: '1', ttlMs: undefined }, 0, 20), false);
    assert.equal(store.get('Upstream', 'a'), first);
    const entry = store.entry('Upstream', 'a');
    assert.deepEqual([entry?.state, entry?.version, entry?.receivedMs, entry?.appliedMs], ['ACKED', '1', 10, 11]);
    assert.equal(store.awaiting('Upstream'), 0);
    store.accept({ resource: upstream('a', 'two'), version: '2', ttlMs: undefined }, 0, 30);
    const after = store.entry('Upstream', 'a');
    assert.deepEqual([after?.version, after?.receivedMs, after?.appliedMs], ['2', 30, undefined]);
  });

  it('shows a version of its own where the server gives none, and claims none', () => {
    const store = storeWith('a');
    const one = upstream('a', 'one');
    store.accept({ resource: one, version: '', ttlMs: undefined }, 0, 0);
    assert.equal(store.entry('Upstream', 'a')?.version, contentVersion(one.bytes));
    assert.match(contentVersion(one.bytes), /^[0-9a-f]{16}$/);
    assert.deepEqual([...store.heldVersions('Upstream')], [['a', '']]);
  });

  it('keeps what is in force through a refusal and a removal, but does not count it as held', () => {
    const store = storeWith('a', 'b');
    for (const name of ['a', 'b'])
      store.accept({ resource: upstream(name, '1'), version: '1', ttlMs: undefined }, 0, 1);
    store.refuse('Upstream', 'a', '2', 'scheme: unknown', 5);
    store.remove('Upstream', 'b');
    const a = store.entry('Upstream', 'a');
    assert.deepEqual(
      [a?.state, a?.version, a?.refusedVersion, a?.error, a?.receivedMs],
      ['NACKED', '1', '2', 'scheme: unknown', 5],
    );
    assert.equal(store.entry('Upstream', 'b')?.state, 'REMOVED');
    assert.ok(store.get('Upstream', 'a') && store.get('Upstream', 'b'));
    assert.equal(store.heldVersions('Upstream').size, 0);
    store.accept({ resource: upstream('a', '1'), version: '3', ttlMs: undefined }, 0, 6);
    assert.deepEqual([store.entry('Upstream', 'a')?.state, store.entry('Upstream', 'a')?.error], ['ACKED', '']);
  });

  it('takes silence as absence only where nothing was answered', () => {
    const store = storeWith('a', 'b', 'c');
    store.accept({ resource: upstream('b', '1'), version: '1', ttlMs: undefined }, 0, 1);
    store.refuse('Upstream', 'c', '1', 'bad', 2);
    for (const name of ['a', 'b', 'c']) store.absent('Upstream', name);
    const states = ['a', 'b', 'c'].map((name) => store.entry('Upstream', name)?.state);
    assert.deepEqual(states, ['DOES_NOT_EXIST', 'ACKED', 'NACKED']);
  });

  it('drops what no parent names', () => {
    const store = storeWith('a', 'b');
    store.accept({ resource: upstream('a', '1'), version: '1', ttlMs: 5 }, 0, 1);
    assert.equal(store.nextExpiryMs, 5);
    assert.deepEqual(
      store.retain(names({ Upstream: ['b', 'c'] })).map(({ name }) => name),
      ['a'],
    );
    assert.equal(store.entry('Upstream', 'a'), undefined);
    assert.equal(store.nextExpiryMs, Infinity);
    assert.equal(store.awaiting('Upstream'), 2);
  });

  it('takes out of force what outlives its time to live, unless it is renewed', () => {
    const store = storeWith('a', 'b');
    for (const name of ['a', 'b']) store.accept({ resource: upstream(name, '1'), version: '1', ttlMs: 100 }, 0, 1);
    store.refresh('Upstream', 'b', 100, 50);
    assert.deepEqual(
      store.expire(100).map(({ name }) => name),
      ['a'],
    );
    assert.equal(store.get('Upstream', 'a'), undefined);
    assert.equal(store.entry('Upstream', 'a')?.state, 'DOES_NOT_EXIST');
    assert.equal(store.nextExpiryMs, 150);
    store.accept({ resource: upstream('b', '1'), version: '1', ttlMs: undefined }, 60, 1);
    assert.equal(store.nextExpiryMs, Infinity);
  });

  it('copies for another server what is in force, all of it asked for anew', () => {
    const store = storeWith('a', 'b');
    store.owner = 'one:1';
    store.typeVersions.set('Upstream', '5');
    const one = upstream('a', 'one');
    store.accept({ resource: one, version: '1', ttlMs: undefined }, 0, 1);
    const copy = store.copyForAnotherServer();
    assert.equal(copy.get('Upstream', 'a'), one);
    assert.equal(copy.isPending('Upstream', 'a'), false);
    assert.equal(copy.awaiting('Upstream'), 2);
    assert.equal(copy.heldVersions('Upstream').size, 0);
    assert.deepEqual([copy.owner, copy.typeVersions.size], [undefined, 0]);
    copy.accept({ resource: upstream('a', 'two'), version: '9', ttlMs: undefined }, 0, 2);
    copy.absent('Upstream', 'b');
    assert.equal(store.get('Upstream', 'a'), one);
    assert.equal(store.entry('Upstream', 'b')?.state, 'REQUESTED');
    assert.equal(copy.awaiting('Upstream'), 0);
  });

  describe('of a kind that is wanted as a whole', () => {
    const route = (name: string, desc = ''): ReturnType<typeof resource<'Route'>> =>
      resource('Route', name, { name, desc, uris: ['/'] });
    const NONE = { isWhole: false, unclaimed: new Set() };

    function gatewayStore(...routes: string[]): ResourceStore {
      const store = new ResourceStore();
      store.retain(names({}, true));
      for (const name of routes) store.accept({ resource: route(name), version: '1', ttlMs: undefined }, 0, 1);
      return store;
    }

    it('waits for an answer even where there is nothing, and keeps what came', () => {
      const store = gatewayStore();
      assert.deepEqual([store.awaiting('Route'), store.isPending('Route', EVERYTHING)], [1, true]);
      store.answered('Route');
      assert.deepEqual([store.awaiting('Route'), store.isPending('Route', EVERYTHING)], [0, false]);
      store.accept({ resource: route('1'), version: '1', ttlMs: undefined }, 0, 1);
      assert.deepEqual(store.retain(names({}, true)), []);
      assert.deepEqual([...store.all('Route')], [store.get('Route', '1')]);
      assert.equal(store.awaiting('Route'), 0);
    });

    it('drops all of it when it is no longer wanted, and waits anew when it is again', () => {
      const store = gatewayStore('1', '2');
      store.answered('Route');
      assert.deepEqual(
        store.retain(names({})).map(({ kind, name }) => `${kind} ${name}`),
        ['Route 1', 'Route 2'],
      );
      assert.deepEqual([...store.all('Route'), ...store.entries()], []);
      store.retain(names({}, true));
      assert.equal(store.isPending('Route', EVERYTHING), true);
    });

    it('drops at once what is removed or expires; nothing is shown of it', () => {
      const store = gatewayStore('1');
      store.accept({ resource: route('2'), version: '1', ttlMs: 10 }, 0, 1);
      assert.deepEqual([store.remove('Route', '1'), store.remove('Route', 'never')], [true, false]);
      assert.equal(store.expire(10).length, 1);
      assert.deepEqual([...store.entries()], []);
      assert.equal(store.nextExpiryMs, Infinity);
      store.refuse('Route', '1', '2', 'uris: required', 5);
      assert.deepEqual([store.entry('Route', '1')?.state, store.get('Route', '1')], ['NACKED', undefined]);
      assert.deepEqual([...store.all('Route')], []);
      assert.equal(store.remove('Route', '1'), false);
      assert.equal(store.entry('Route', '1'), undefined);
    });

    it('claims the good version of what was refused later, and forgets what was never good', () => {
      const store = gatewayStore('1', '2');
      store.answered('Route');
      store.refuse('Route', '1', '2', 'bad', 5);
      store.refuse('Route', '3', '1', 'bad', 5);
      store.accept({ resource: route('4'), version: '', ttlMs: undefined }, 0, 1);
      assert.deepEqual(store.earlierAnswer('Route'), { isWhole: true, unclaimed: new Set(['4']) });
      assert.deepEqual(
        [...store.heldVersions('Route')],
        [
          ['1', '1'],
          ['2', '1'],
          ['4', ''],
        ],
      );
      assert.equal(store.entry('Route', '3'), undefined);
    });

    it('copies it for another server with nothing to claim; silence there leaves it in force', () => {
      const store = gatewayStore('1');
      store.answered('Route');
      store.refuse('Route', '1', '2', 'bad', 5);
      const copy = store.copyForAnotherServer();
      copy.retain(names({}, true));
      assert.deepEqual(copy.earlierAnswer('Route'), { isWhole: false, unclaimed: new Set(['1']) });
      assert.equal(copy.heldVersions('Route').size, 0);
      assert.equal(copy.awaiting('Route'), 2);
      copy.refuse('Route', '1', '9', 'bad here too', 5);
      assert.equal(copy.heldVersions('Route').size, 0);
      const silent = store.copyForAnotherServer();
      silent.retain(names({}, true));
      silent.answered('Route', true);
      assert.equal(silent.entry('Route', '1')?.state, 'REMOVED');
      assert.equal(silent.get('Route', '1'), store.get('Route', '1'));
      assert.equal(silent.awaiting('Route'), 0);
      assert.deepEqual(new ResourceStore().earlierAnswer('Route'), NONE);
    });
  });
});
