import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TriedSlots } from '../../../src/balance/tried-slots.ts';

test('knows what was added, once each, and forgets on clear', () => {
  const tried = new TriedSlots();
  for (const count of [1, 16, 17, 500]) {
    assert.equal(tried.size, 0);
    for (let slot = 0; slot < count; slot++) tried.add(slot * 3);
    tried.add(0);
    assert.equal(tried.size, count);
    for (let slot = 0; slot < count; slot++) assert.ok(tried.has(slot * 3) && !tried.has(slot * 3 + 1));
    tried.clear();
    assert.ok(!tried.has(0));
  }
});
