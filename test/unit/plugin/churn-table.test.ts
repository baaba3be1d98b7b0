import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ChurnTable } from '../../../src/plugin/churn-table.ts';
import { heldBytes } from '../../support/process-memory.ts';

test('holds what a Map holds', () => {
  const key = fc.integer({ min: 0, max: 40 }).map((n) => `k${n}`);
  fc.assert(
    fc.property(fc.array(key, { maxLength: 400 }), (keys) => {
      const table = new ChurnTable<{ readonly n: number }>();
      const model = new Map<string, { readonly n: number }>();
      for (const [n, one] of keys.entries()) {
        assert.equal(table.get(one), model.get(one));
        if (model.has(one)) {
          table.delete(one);
          model.delete(one);
        } else {
          const value = { n };
          table.set(one, value);
          model.set(one, value);
        }
        assert.equal(table.size, model.size);
      }
      for (let n = 0; n <= 40; n++) assert.equal(table.get(`k${n}`), model.get(`k${n}`));
    }),
    { numRuns: 500, seed: 19 },
  );
});

test('keys that are gone take no room', () => {
  const table = new ChurnTable<{ n: number }>();
  const before = heldBytes();
  for (let n = 0; n < 200_000; n++) {
    table.set(`key-${n}`, { n });
    if (n >= 100) table.delete(`key-${n - 100}`);
  }
  assert.equal(table.size, 100);
  for (let n = 200_000; n < 250_000; n++) table.set(`key-${n}`, { n });
  for (let n = 200_000; n < 249_990; n++) table.delete(`key-${n}`);
  assert.equal(table.size, 110);
  const held = heldBytes() - before;
  assert.ok(held < 1_000_000, `${held} bytes`);
});

test('keys that come and go in a large table cost no more than in a small one', () => {
  const msOf = (held: number): number => {
    const table = new ChurnTable<{ n: number }>();
    for (let n = 0; n < held; n++) table.set(`held-${n}`, { n });
    const from = performance.now();
    for (let n = 0; n < 40_000; n++) {
      const key = n % 2 === 0 ? 'one' : 'other';
      if (n >= 2) table.delete(key);
      table.set(key, { n });
    }
    return performance.now() - from;
  };
  msOf(10);
  const [few, many] = [msOf(10), msOf(100_000)];
  // In a Map it is hundreds of times as much.
  assert.ok(many < 25 * few + 25, `${few} ms among few, ${many} ms among many`);
});
