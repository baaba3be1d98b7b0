import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { CounterPool, type CounterSet } from '../../../src/plugin/counter-pool.ts';

describe('counter pool', () => {
  test('ended ones go first, whose they are doesn’t matter, then those nearest to their end', () => {
    const pool = new CounterPool(3);
    const [set, other] = [pool.open(), pool.open()];
    set.add('a', 100, 0);
    other.add('b', 50, 0);
    set.add('c', 70, 0);
    set.add('d', 200, 50);
    assert.deepEqual([other.find('b'), pool.size, pool.evictions], [undefined, 3, 0]);
    set.add('e', 300, 60);
    assert.deepEqual([set.find('c'), pool.size, pool.evictions], [undefined, 3, 1]);
    assert.deepEqual(
      ['a', 'd', 'e'].map((key) => set.find(key)?.endMs),
      [100, 200, 300],
    );
  });

  test('a counter that begins anew moves behind the others', () => {
    const pool = new CounterPool(2);
    const set = pool.open();
    const a = set.add('a', 10, 0);
    set.add('b', 20, 0);
    a.endMs = 30;
    set.moved(a);
    set.add('c', 40, 5);
    assert.deepEqual([set.find('a'), set.find('b')], [a, undefined]);
  });

  test('the largest set gives way, and shares even out', () => {
    const pool = new CounterPool(90);
    const sets = [pool.open(), pool.open(), pool.open()];
    const sizes = () => sets.map((set) => set.size);
    for (let i = 0; i < 200; i++) sets[0]!.add(`${i}`, 1000 + i, 0);
    assert.deepEqual(sizes(), [90, 0, 0]);
    for (let i = 0; i < 20; i++) sets[1]!.add(`${i}`, 10, 0);
    assert.deepEqual(sizes(), [70, 20, 0]);
    for (let i = 0; i < 200; i++) sets[0]!.add(`x${i}`, 5000 + i, 0);
    assert.deepEqual(sizes(), [70, 20, 0]);
    for (let i = 0; i < 200; i++) sets[2]!.add(`${i}`, 9000 + i, 0);
    assert.deepEqual(sizes(), [35, 20, 35]);
    assert.equal(sets[1]!.find('0')?.endMs, 10);
  });

  test('a set that is dropped leaves its room to others', () => {
    const pool = new CounterPool(10);
    const [gone, set] = [pool.open(), pool.open()];
    for (let i = 0; i < 6; i++) gone.add(`${i}`, i, -1);
    for (let i = 0; i < 4; i++) set.add(`${i}`, 50 + i, -1);
    pool.drop(gone);
    pool.drop(pool.open());
    assert.equal(pool.size, 4);
    for (let i = 4; i < 10; i++) set.add(`${i}`, 50 + i, 10);
    assert.deepEqual([pool.size, pool.evictions, set.size], [10, 0, 10]);
  });

  test('holds what sorted lists of counters hold', () => {
    const action = fc.record({
      set: fc.integer({ min: 0, max: 2 }),
      key: fc.integer({ min: 0, max: 30 }).map((n) => `k${n}`),
      lifeMs: fc.integer({ min: 1, max: 100 }),
      passMs: fc.integer({ min: 0, max: 15 }),
    });
    type Entry = { set: CounterSet; key: string; endMs: number };
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200 }), fc.integer({ min: 1, max: 12 }), (actions, max) => {
        const pool = new CounterPool(max);
        const sets = [pool.open(), pool.open(), pool.open()];
        let model: Entry[] = [];
        let nowMs = 0;
        let evictions = 0;
        let tick = 0;
        const held = (set: CounterSet) => model.filter((one) => one.set === set);
        for (const { set: at, key, lifeMs, passMs } of actions) {
          const set = sets[at]!;
          nowMs += passMs;
          // No two ends are the same, so that there is one right answer.
          const endMs = nowMs + lifeMs + ++tick / 1000;
          const known = held(set).find((one) => one.key === key);
          const found = set.find(key);
          assert.equal(found === undefined, known === undefined);
          if (known !== undefined && found !== undefined) {
            known.endMs = found.endMs = endMs;
            set.moved(found);
            continue;
          }
          model.sort((a, b) => a.endMs - b.endMs);
          for (let i = 0; i < 2; i++) if (model[0] !== undefined && model[0].endMs <= nowMs) model.shift();
          if (model.length === max) {
            const most = Math.max(...sets.map((one) => held(one).length));
            const before = sets.map((one) => one.size);
            set.add(key, endMs, nowMs);
            // Of several that are as large, any but for the newcomer's own, which comes first.
            const loser = sets.find((one, i) => one.size < before[i]! + (one === set ? 1 : 0))!;
            assert.equal(held(loser).length, most);
            if (held(set).length === most) assert.equal(loser, set);
            const first = held(loser)[0]!;
            model = model.filter((one) => one !== first);
            evictions++;
          } else set.add(key, endMs, nowMs);
          model.push({ set, key, endMs });
          assert.deepEqual([pool.size, pool.evictions], [model.length, evictions]);
        }
        for (const { set, key, endMs } of model) assert.equal(set.find(key)?.endMs, endMs);
      }),
      { numRuns: 300, seed: 17 },
    );
  });
});
