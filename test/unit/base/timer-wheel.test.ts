import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../../../src/base/rng.ts';
import { Timer, TimerWheel, WHEEL_TICK_MS } from '../../../src/base/timer-wheel.ts';
import { FakeClock } from '../../support/fake-clock.ts';

interface Fired {
  readonly what: number;
  readonly nowMs: number;
}

function setUp(startMs = 1_000) {
  const clock = new FakeClock(startMs);
  const wheel = new TimerWheel(clock);
  const fired: Fired[] = [];
  const owner = { onTimer: (what: number, nowMs: number) => void fired.push({ what, nowMs }) };
  const timer = (what: number) => new Timer(owner, what);
  return { clock, wheel, fired, timer };
}

test('fires once, never early, less than two ticks late', () => {
  for (const startMs of [1_000, 1_003.7, 1_009.99, 0]) {
    for (const delayMs of [0, 1, 9, 10, 11, 250, 10_230, 10_240, 10_241, 60_000]) {
      const { clock, wheel, fired, timer } = setUp(startMs);
      wheel.start(timer(3), delayMs);
      clock.advance(delayMs + 2 * WHEEL_TICK_MS);
      assert.equal(fired.length, 1, `${startMs} ${delayMs}`);
      assert.equal(fired[0]!.what, 3);
      assert.ok(fired[0]!.nowMs >= startMs + delayMs);
      clock.advance(30_000);
      assert.equal(fired.length, 1);
    }
  }
});

test('a stopped timer does not fire; stopping twice is harmless', () => {
  const { clock, wheel, fired, timer } = setUp();
  const [a, b, c] = [timer(1), timer(2), timer(3)];
  for (const each of [a, b, c]) wheel.start(each, 50);
  assert.equal(wheel.size, 3);
  wheel.stop(b); // from the middle of its slot's list
  wheel.stop(b);
  assert.equal(b.running, false);
  assert.equal(wheel.size, 2);
  clock.advance(100);
  assert.deepEqual(
    fired.map(({ what }) => what).sort((a, b) => a - b),
    [1, 3],
  );
  assert.equal(wheel.size, 0);
});

test('starting a running timer moves it', () => {
  const { clock, wheel, fired, timer } = setUp();
  const a = timer(1);
  wheel.start(a, 50);
  clock.advance(40);
  wheel.start(a, 100);
  assert.equal(wheel.size, 1);
  clock.advance(90);
  assert.equal(fired.length, 0);
  clock.advance(30);
  assert.equal(fired.length, 1);
});

test('no clock timer is held while nothing runs', () => {
  const { clock, wheel, timer } = setUp();
  assert.equal(clock.waiting, 0);
  wheel.start(timer(1), 20);
  assert.equal(clock.waiting, 1);
  clock.advance(50);
  assert.equal(clock.waiting, 0);
});

test('starts anew after a long rest', () => {
  const { clock, wheel, fired, timer } = setUp();
  wheel.start(timer(1), 20);
  clock.advance(500_003);
  wheel.start(timer(2), 20);
  clock.advance(40);
  assert.deepEqual(
    fired.map(({ what }) => what),
    [1, 2],
  );
});

test('a stall of more than a turn fires all that fell due, and nothing else', () => {
  const { clock, wheel, fired, timer } = setUp();
  for (const [what, delayMs] of [20, 5_000, 12_000, 29_000, 31_000].entries()) wheel.start(timer(what), delayMs);
  clock.nowMs += 30_000; // the event loop was blocked
  clock.advance(0);
  assert.deepEqual(
    fired.map(({ what }) => what).sort((a, b) => a - b),
    [0, 1, 2, 3],
  );
  clock.advance(1_100);
  assert.equal(fired.length, 5);
});

test('after a stall no slot is passed over', () => {
  for (const stallMs of [10_220, 10_230, 10_240, 10_250, 30_000]) {
    const { clock, wheel, fired, timer } = setUp();
    for (let what = 0; what < 1_022; what++) wheel.start(timer(what), what * WHEEL_TICK_MS);
    clock.nowMs += stallMs;
    clock.advance(0);
    assert.equal(fired.length, 1_022, String(stallMs));
  }
});

test('a timer that fires may stop and start others, and itself', () => {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  const fired: number[] = [];
  const timers: Timer[] = [];
  const owner = {
    onTimer(what: number) {
      fired.push(what);
      if (fired.length > 1) return;
      for (const other of timers) if (other.what !== what) wheel.stop(other);
      wheel.start(timers[what]!, 0);
    },
  };
  for (const what of [0, 1, 2]) {
    const timer = new Timer(owner, what);
    timers.push(timer);
    wheel.start(timer, 20);
  }
  clock.advance(100);
  assert.equal(fired.length, 2);
  assert.equal(fired[0], fired[1]);
  assert.equal(wheel.size, 0);
});

test('a thousand timers, at random started, stopped and moved', () => {
  const { clock, wheel, fired, timer } = setUp();
  const rng = seededRng(42);
  const timers = Array.from({ length: 200 }, (_, what) => timer(what));
  const dueMs = new Map<number, number>();
  for (let step = 0; step < 3_000; step++) {
    const what = rng.below(timers.length);
    if (rng.below(4) === 0) {
      wheel.stop(timers[what]!);
      dueMs.delete(what);
    } else {
      const delayMs = rng.unit() * (rng.below(10) === 0 ? 25_000 : 300);
      wheel.start(timers[what]!, delayMs);
      dueMs.set(what, clock.nowMs + delayMs);
    }
    if (rng.below(3) === 0) clock.advance(rng.unit() * 30);
    for (const { what: done, nowMs } of fired.splice(0)) {
      const due = dueMs.get(done);
      assert.ok(due !== undefined && nowMs >= due && nowMs - due < 2 * WHEEL_TICK_MS);
      dueMs.delete(done);
    }
    assert.equal(wheel.size, dueMs.size);
  }
  clock.advance(30_000);
  assert.equal(fired.length, dueMs.size);
});
