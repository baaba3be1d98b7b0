import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MinimumBlocks } from '../../../src/balance/minimum-blocks.ts';
import { seededRng } from '../../../src/base/rng.ts';

function put(blocks: MinimumBlocks, index: number, key: number, rank: number): boolean {
  blocks.next[0] = key;
  blocks.next[1] = rank;
  return blocks.set(index);
}

test('after any change it draws what a look through all finds', () => {
  const rng = seededRng(9);
  for (const count of [1, 2, 5, 16, 17, 100]) {
    const blocks = new MinimumBlocks(count);
    const keys = Array.from({ length: count }, () => Infinity);
    const ranks = Array.from({ length: count }, () => 0);
    for (let change = 0; change < 2_000; change++) {
      const index = rng.below(count);
      const key = rng.below(10) === 0 ? Infinity : rng.below(4) / 3;
      const rank = rng.below(3);
      assert.equal(put(blocks, index, key, rank), keys[index] !== key || ranks[index] !== rank);
      keys[index] = key;
      ranks[index] = rank;
      const drawn = blocks.draw(rng);
      const least = Math.min(...keys);
      if (least === Infinity) {
        assert.equal(drawn, -1);
        continue;
      }
      const rankOfLeast = Math.max(...ranks.filter((_, i) => keys[i] === least));
      assert.equal(keys[drawn], least);
      assert.equal(ranks[drawn], rankOfLeast);
    }
  }
});

test('equals are drawn evenly, whichever blocks they are in', () => {
  const blocks = new MinimumBlocks(100);
  const rng = seededRng(4);
  const equals = [0, 1, 2, 3, 50, 98, 99];
  for (let index = 0; index < 100; index++) put(blocks, index, equals.includes(index) ? 1 : 2, 1);
  put(blocks, 60, 1, 0.5); // same key, lower rank
  const counts = new Map<number, number>();
  for (let i = 0; i < 7_000; i++) {
    const index = blocks.draw(rng);
    counts.set(index, (counts.get(index) ?? 0) + 1);
  }
  assert.deepEqual(
    [...counts.keys()].sort((a, b) => a - b),
    equals,
  );
  for (const count of counts.values()) assert.ok(count > 850 && count < 1_150, String(count));
});

test('filling all at once is the same as one by one', () => {
  const rng = seededRng(7);
  const one = new MinimumBlocks(60);
  const all = new MinimumBlocks(60);
  for (let index = 0; index < 60; index++) {
    const key = rng.below(5);
    put(one, index, key, 1);
    all.next[0] = key;
    all.next[1] = 1;
    all.fill(index);
  }
  all.build();
  const [first, second] = [seededRng(1), seededRng(1)];
  for (let i = 0; i < 50; i++) assert.equal(one.draw(first), all.draw(second));
});
