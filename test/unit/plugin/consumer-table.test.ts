import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { ConsumerSpec } from '../../../src/model/gateway.ts';
import { createConsumerTable } from '../../../src/plugin/consumer-table.ts';
import { byName, consumer } from './scene.ts';

describe('consumer table', () => {
  test('finds a consumer by each of its keys, and by name', () => {
    const jack = consumer('jack', 'own', { credentials: { c1: 'one', c2: 'two' } });
    const table = createConsumerTable(byName(jack, consumer('rose', undefined)));
    assert.deepEqual([table.findByKey('own')?.consumer, table.findByKey('own')?.credentialId], [jack, '']);
    assert.equal(table.findByKey('two')?.credentialId, 'c2');
    assert.equal(table.findByKey(''), undefined);
    assert.equal(table.findByKey('three'), undefined);
    assert.equal(table.get('jack'), jack);
    assert.equal(table.get('rose')?.name, 'rose');
    for (const name of ['__proto__', 'constructor', 'toString']) {
      assert.equal(table.get(name), undefined);
      assert.equal(table.findByKey(name), undefined);
    }
  });

  test('of several with a key the last by name has it, whatever the order in which they came and went', () => {
    const a = consumer('a', 'same');
    const b = consumer('b', 'same', { credentials: { again: 'same' } });
    const c = consumer('c', 'same');
    const table = createConsumerTable(byName(c, a, b));
    assert.equal(table.findByKey('same')?.consumer, c);
    table.update(byName(a, b));
    assert.equal(table.findByKey('same')?.consumer, b);
    assert.equal(table.findByKey('same')?.credentialId, 'again');
    table.update(byName(a));
    assert.equal(table.findByKey('same')?.consumer, a);
    table.update(byName());
    assert.equal(table.findByKey('same'), undefined);
  });

  test('an updated table is as one that was made anew', () => {
    const spec = fc.record({
      name: fc.constantFrom('a', 'b', 'c', '__proto__'),
      keys: fc.uniqueArray(fc.constantFrom('k1', 'k2', 'k3', 'k4'), { maxLength: 3 }),
    });
    const made = spec.map(({ name, keys: [own, ...others] }) =>
      consumer(name, own, { credentials: Object.fromEntries(others.map((key, i) => [`c${i}`, key])) }),
    );
    fc.assert(
      fc.property(fc.array(fc.array(made, { maxLength: 5 }), { maxLength: 6 }), (rounds) => {
        let current: ReadonlyMap<string, ConsumerSpec> = new Map();
        const table = createConsumerTable(current);
        for (const round of rounds) {
          // Some stay the same objects, some come, some go.
          const next = new Map([...current].filter(([name]) => name !== 'a'));
          for (const one of round) next.set(one.name, one);
          current = next;
          table.update(next);
          const fresh = createConsumerTable(next);
          for (const key of ['k1', 'k2', 'k3', 'k4']) {
            assert.equal(table.findByKey(key)?.consumer, fresh.findByKey(key)?.consumer);
            assert.equal(table.findByKey(key)?.credentialId, fresh.findByKey(key)?.credentialId);
          }
        }
      }),
      { numRuns: 200, seed: 7 },
    );
  });
});
