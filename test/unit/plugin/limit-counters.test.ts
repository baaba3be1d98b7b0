import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ConsumerSpec, PluginSpec } from '../../../src/model/gateway.ts';
import { createLimitCounters, MAX_LIMIT_COUNTERS } from '../../../src/plugin/limit-counters.ts';
import { heldBytes } from '../../support/process-memory.ts';
import { consumer, limitCount, limitRule, pluginRequest, PluginScene } from './scene.ts';

describe('limit counters', () => {
  test('a million keys fill the store and no more', () => {
    const scene = new PluginScene();
    const plugins = [limitCount([limitRule(5, 60, { key: 'http_k' })], { showsQuota: false })];
    const request = pluginRequest({ fields: ['k', ''] });
    for (let i = 0; i < 1_000_000; i++) {
      request.head.fields[1] = `caller-${i}`;
      scene.run(plugins, request);
      scene.clock.nowMs += 0.001;
    }
    assert.equal(scene.counters.size, MAX_LIMIT_COUNTERS);
    assert.equal(scene.counters.evictions, 900_000);
    // Those whose windows end last are still there.
    assert.equal(scene.run(plugins, pluginRequest({ fields: ['k', 'caller-999999'] })).status, 200);
    assert.equal(scene.counters.evictions, 900_000);
  });

  test('long keys take no more room than short ones, and hold on to nothing', () => {
    const scene = new PluginScene();
    const plugins = [limitCount([limitRule(5, 60, { key: 'http_k' })])];
    const before = heldBytes();
    for (let i = 0; i < 5000; i++) {
      // As from a socket: a piece of a long text of which nothing else is needed.
      const head = Buffer.alloc(8000, `${i},`).toString('latin1');
      scene.run(plugins, pluginRequest({ fields: ['k', i % 2 === 0 ? head : head.slice(0, 40)] }));
    }
    const perCounter = (heldBytes() - before) / 5000;
    assert.equal(scene.counters.size, 5000);
    assert.ok(perCounter < 500, `${perCounter} bytes`);
  });

  test('a key whose window began anew is not what goes first', () => {
    for (const windowType of ['fixed', 'sliding'] as const) {
      const scene = new PluginScene([], 2);
      scene.clock.nowMs = 0;
      const plugins = [limitCount([limitRule(1, 10)], { windowType })];
      const call = (remoteAddress: string) => scene.run(plugins, pluginRequest({}, { remoteAddress })).status;
      assert.equal(call('a'), 200);
      scene.clock.advance(windowType === 'fixed' ? 5000 : 10_000);
      assert.equal(call('b'), 200);
      scene.clock.advance(windowType === 'fixed' ? 7000 : 15_000);
      assert.equal(call('a'), 200);
      assert.equal(call('c'), 200);
      assert.equal(call('a'), 503);
      assert.equal(scene.counters.evictions, 1);
    }
  });

  test('ended counters are given back as others come', () => {
    const scene = new PluginScene();
    const plugins = [limitCount([limitRule(5, 10)])];
    const call = (n: number) => scene.run(plugins, pluginRequest({}, { remoteAddress: `caller-${n}` }));
    for (let n = 0; n < 1000; n++) call(n);
    scene.clock.advance(10_000);
    for (let n = 1000; n < 2000; n++) call(n);
    assert.equal(scene.counters.size, 1000);
    assert.equal(scene.counters.evictions, 0);
  });

  test('filling a limit whose keys callers choose voids no other', () => {
    const scene = new PluginScene();
    const chosen = [limitCount([limitRule(5, 3600, { key: 'http_k' })], { showsQuota: false }, 'routes/1')];
    const short = [limitCount([limitRule(3, 60)], { showsQuota: false }, 'routes/2')];
    const inTurns = [limitCount([limitRule(2, 10)], { showsQuota: false }, 'routes/3')];
    const from = (plugins: readonly PluginSpec[], remoteAddress: string) =>
      scene.run(plugins, pluginRequest({}, { remoteAddress })).status;
    assert.deepEqual(
      [1, 2].map(() => from(short, '10.0.0.1')),
      [200, 200],
    );
    const passed = { a: 0, b: 0 };
    const request = pluginRequest({ fields: ['k', ''] });
    for (let i = 0; i < 110_000; i++) {
      request.head.fields[1] = `caller-${i}`;
      scene.run(chosen, request);
      if (i < 109_990) continue;
      for (const name of ['a', 'b'] as const) if (from(inTurns, name) === 200) passed[name]++;
    }
    assert.deepEqual(
      [1, 2, 3].map(() => from(short, '10.0.0.1')),
      [200, 503, 503],
    );
    assert.deepEqual(
      [1, 2, 3, 4].map(() => from(short, '10.0.0.2')),
      [200, 200, 200, 503],
    );
    assert.deepEqual(passed, { a: 2, b: 2 });
    assert.equal(scene.counters.size, MAX_LIMIT_COUNTERS);
  });
});

type Step = [routes: Readonly<Record<string, readonly PluginSpec[]>>, consumers?: readonly ConsumerSpec[]];

function routeOf([routes]: Step): readonly PluginSpec[] {
  return (routes['1'] ?? routes['2'])!;
}

describe('a limit from configuration to configuration', () => {
  const limit = (count: number, owner = 'routes/1', group = '') => limitCount([limitRule(count, 60)], { group }, owner);

  /** Status of the first request after `before` requests used up a limit of 5 and `steps` were applied. */
  function after(first: Step, ...steps: readonly Step[]): number {
    const scene = new PluginScene();
    scene.apply(...first);
    const route = routeOf(first);
    for (let i = 0; i < 5; i++) assert.equal(scene.run(route).status, 200);
    assert.equal(scene.run(route).status, 503);
    for (const step of steps) scene.apply(...step);
    return scene.run(routeOf(steps.at(-1)!)).status;
  }

  test('edits of anything else keep its counters', () => {
    const edited = limitCount([limitRule(5, 60)], { rejectedCode: 503, rejectedMsg: 'x' });
    assert.equal(after([{ 1: [limit(5)] }], [{ 1: [edited] }], [{ 1: [limit(5)], 2: [limit(1, 'routes/2')] }]), 503);
  });

  test('a limit that changes and comes back begins anew', () => {
    assert.equal(after([{ 1: [limit(5)] }], [{ 1: [limit(6)] }], [{ 1: [limit(5)] }]), 200);
  });

  test('a plugin that goes and comes back begins anew, and so does a route', () => {
    assert.equal(after([{ 1: [limit(5)] }], [{ 1: [] }], [{ 1: [limit(5)] }]), 200);
    assert.equal(after([{ 1: [limit(5)] }], [{}], [{ 1: [limit(5)] }]), 200);
  });

  test('a service’s limit lives on while any route takes it', () => {
    const shared = limit(5, 'services/1');
    assert.equal(after([{ 1: [shared], 2: [shared] }], [{ 2: [shared] }], [{ 1: [limit(5, 'services/1')] }]), 503);
    assert.equal(after([{ 1: [shared], 2: [shared] }], [{}], [{ 1: [shared] }]), 200);
  });

  test('a group lives as long as one place names it, be it a route or a consumer', () => {
    const place = (n: number) => limit(5, `routes/${n}`, 'g');
    assert.equal(after([{ 1: [place(1)] }], [{ 2: [place(2)] }], [{ 1: [place(1)] }]), 503);
    const jack = consumer('jack', 'j', { plugins: [limit(5, 'consumers/jack', 'g')] });
    assert.equal(after([{ 1: [place(1)] }], [{}, [jack]], [{ 1: [place(1)] }]), 503);
    assert.equal(after([{ 1: [place(1)] }], [{}], [{ 1: [place(1)] }]), 200);
  });

  test('counters of a limit that is gone are given back', () => {
    const scene = new PluginScene();
    scene.apply({ 1: [limit(5)], 2: [limit(5, 'routes/2')] });
    for (let n = 0; n < 100; n++) scene.run([limit(5)], pluginRequest({}, { remoteAddress: `10.0.0.${n}` }));
    assert.equal(scene.counters.size, 100);
    scene.apply({ 2: [limit(5, 'routes/2')] });
    assert.deepEqual([scene.counters.size, scene.counters.evictions], [0, 0]);
  });

  test('the work of an update follows the change: other routes are not looked into', () => {
    const counters = createLimitCounters();
    let looks = 0;
    const watched = (n: number) => ({
      get plugins() {
        looks++;
        return [limitCount([limitRule(5, 60)], {}, `routes/${n}`)];
      },
    });
    const specs = Array.from({ length: 1000 }, (_, n) => [`${n}`, { plugins: [limit(5, `routes/${n}`)] }] as const);
    const routes = new Map<string, { readonly plugins: readonly PluginSpec[] }>(specs);
    routes.set('7', watched(7));
    const consumers = new Map();
    const before = new Map(routes);
    counters.update(before, consumers);
    looks = 0;
    counters.update(new Map(before).set('8', { plugins: [] }), consumers);
    assert.equal(looks, 0);
  });
});
