import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RandomHex } from '../../../src/base/rng.ts';

describe('random hexadecimal digits', () => {
  it('hands out each drawn digit once, in order, and draws anew when too few are left', () => {
    let drawn = 0;
    const ids = new RandomHex((count) => Buffer.alloc(count, ++drawn));
    const taken = Array.from({ length: 257 }, () => ids.take(32));
    assert.ok(taken.slice(0, 256).every((id) => id === '01'.repeat(16)));
    assert.equal(taken[256], '02'.repeat(16));
    assert.equal(ids.take(16), '02'.repeat(8));
    assert.equal(drawn, 2);
  });
});
