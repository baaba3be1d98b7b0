import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DueTimer } from '../../../src/control/due-timer.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('DueTimer', () => {
  it('fires once at the time set last, and not at all at Infinity', () => {
    const clock = new FakeClock(0);
    const fired: number[] = [];
    const timer = new DueTimer(clock, () => fired.push(clock.nowMs));
    timer.set(500);
    timer.set(100.5);
    timer.set(100.5);
    assert.equal(clock.waiting, 1);
    clock.advance(1_000);
    assert.deepEqual(fired, [101]);
    timer.set(5_000);
    timer.set(Infinity);
    assert.equal(clock.waiting, 0);
    timer.set(10); // past
    clock.advance(0);
    assert.deepEqual(fired, [101, 1_000]);
  });

  it('fires early rather than let a long time overflow', () => {
    const clock = new FakeClock(0);
    let fired = 0;
    const timer = new DueTimer(clock, () => fired++);
    timer.set(2 ** 40);
    clock.advance(3_600_000);
    assert.equal(fired, 1);
    timer.set(2 ** 40);
    assert.equal(clock.waiting, 1);
  });
});
