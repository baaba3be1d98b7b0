import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRng } from '../../../src/base/rng.ts';
import { ServerOrder } from '../../../src/control/server-order.ts';

describe('ServerOrder', () => {
  it('tries the servers in order, and backs off after each round', () => {
    const order = new ServerOrder(3, seededRng(1));
    const tried: number[] = [];
    const delays: number[] = [];
    for (let i = 0; i < 30; i++) {
      tried.push(order.index);
      delays.push(order.failed());
    }
    assert.deepEqual(tried.slice(0, 7), [0, 1, 2, 0, 1, 2, 0]);
    const rounds = delays.filter((_, i) => i % 3 === 2);
    assert.ok(delays.every((delay, i) => i % 3 === 2 || delay < 50));
    assert.ok(rounds[0]! >= 250 && rounds[0]! <= 500, String(rounds));
    assert.ok(rounds[1]! >= 500 && rounds[1]! <= 1_000, String(rounds));
    assert.ok(rounds.every((delay) => delay <= 30_000) && rounds.at(-1)! >= 15_000, String(rounds));
    order.answered();
    order.failed();
    order.failed();
    assert.ok(order.failed() <= 500);
  });

  it('goes back to the same server after a stream that had answered, without haste or spin', () => {
    const order = new ServerOrder(2, seededRng(2));
    const first = order.ended(60_000);
    assert.ok(first >= 100 && first <= 200, String(first));
    assert.equal(order.index, 0);
    const again = [1, 2, 3, 4, 5, 6].map(() => order.ended(20));
    assert.ok(again.every((delay) => delay >= 100) && again.at(-1)! > 1_000, String(again));
    assert.ok(order.ended(60_000) <= 200);
  });
});
