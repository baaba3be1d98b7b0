import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createLimitCounters, MAX_LIMIT_COUNTERS } from '../../../src/plugin/limit-counters.ts';
import { heldBytes } from '../../support/process-memory.ts';
import { limitCount, limitRule, pluginRequest, PluginScene } from './scene.ts';

describe('limit counters', () => {
  test('ended ones go first, then those nearest to their end', () => {
    const counters = createLimitCounters(3);
    counters.add('a', 100, 0);
    counters.add('b', 50, 0);
    counters.add('c', 70, 0);
    counters.add('d', 200, 50);
    assert.deepEqual([counters.find('b'), counters.size, counters.evictions], [undefined, 3, 0]);
    counters.add('e', 300, 60);
    assert.deepEqual([counters.find('c'), counters.size, counters.evictions], [undefined, 3, 1]);
    assert.deepEqual(
      ['a', 'd', 'e'].map((key) => counters.find(key)?.endMs),
      [100, 200, 300],
    );
  });

  test('a counter that begins anew moves behind the others', () => {
    const counters = createLimitCounters(2);
    const a = counters.add('a', 10, 0);
    counters.add('b', 20, 0);
    a.endMs = 30;
    counters.moved(a);
    counters.add('c', 40, 5);
    assert.deepEqual([counters.find('a'), counters.find('b')], [a, undefined]);
  });

  test('holds what a sorted list of counters holds', () => {
    const action = fc.record({
      key: fc.integer({ min: 0, max: 30 }).map((n) => `k${n}`),
      lifeMs: fc.integer({ min: 1, max: 100 }),
      passMs: fc.integer({ min: 0, max: 15 }),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200 }), fc.integer({ min: 1, max: 12 }), (actions, max) => {
        const counters = createLimitCounters(max);
        let model: { key: string; endMs: number }[] = [];
        let nowMs = 0;
        let evictions = 0;
        let tick = 0;
        for (const { key, lifeMs, passMs } of actions) {
          nowMs += passMs;
          // No two ends are the same, so that there is one right answer.
          const endMs = nowMs + lifeMs + ++tick / 1000;
          const known = model.find((one) => one.key === key);
          const found = counters.find(key);
          assert.equal(found === undefined, known === undefined);
          if (known !== undefined && found !== undefined) {
            known.endMs = found.endMs = endMs;
            counters.moved(found);
          } else {
            model.sort((a, b) => a.endMs - b.endMs);
            for (let i = 0; i < 2; i++) if (model[0] !== undefined && model[0].endMs <= nowMs) model.shift();
            if (model.length === max) {
              model.shift();
              evictions++;
            }
            model = [...model, { key, endMs }];
            counters.add(key, endMs, nowMs);
          }
          assert.deepEqual([counters.size, counters.evictions], [model.length, evictions]);
        }
        for (const { key, endMs } of model) assert.equal(counters.find(key)?.endMs, endMs);
      }),
      { numRuns: 200, seed: 17 },
    );
  });

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
});
