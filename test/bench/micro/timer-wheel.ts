import { Timer, TimerWheel, type TimerOwner } from '../../../src/base/timer-wheel.ts';
import { seededRng } from '../../../src/base/rng.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import type { MicroCase, MicroGroup } from './measure.ts';

const TIMERS = 1024;
/** Timers of other connections and calls. */
const OTHERS = 2048;

/** Timers of the request path. */
export const timerWheel: MicroGroup = {
  name: 'timer-wheel',
  operation: 'timer',
  cases: () => [startAndStop(), restart(), fire()],
};

class Fired implements TimerOwner {
  count = 0;

  onTimer(what: number): void {
    this.count += 1 + what;
  }
}

interface Bed {
  readonly owner: Fired;
  readonly clock: FakeClock;
  readonly wheel: TimerWheel;
  readonly timers: readonly Timer[];
  /** What they are started with, ms. */
  readonly delays: Float64Array;
}

function setUp(maxDelayMs: number, others = OTHERS): Bed {
  const rng = seededRng(maxDelayMs);
  const owner = new Fired();
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  for (let i = 0; i < others; i++) wheel.start(new Timer(owner, 0), 10_000_000 + rng.below(50_000));
  return {
    owner,
    clock,
    wheel,
    timers: Array.from({ length: TIMERS }, () => new Timer(owner, 0)),
    delays: Float64Array.from({ length: TIMERS }, () => 1 + maxDelayMs * rng.unit()),
  };
}

/** As for a call that ends long before its time. */
function startAndStop(): MicroCase {
  const { clock, wheel, timers, delays } = setUp(60_000);
  return {
    name: 'start, then stop, 64 in flight',
    operations: TIMERS,
    run() {
      let sum = 0;
      for (let i = 0; i < TIMERS; i++) {
        clock.nowMs += 0.01;
        wheel.start(timers[i]!, delays[i]!);
        sum += timers[i]!.dueTick;
        wheel.stop(timers[(i + 960) & 1023]!);
      }
      return sum + wheel.size;
    },
  };
}

/** As of a connection that rests between two requests. */
function restart(): MicroCase {
  const { clock, wheel, timers } = setUp(60_000);
  return {
    name: 'start anew while it runs',
    operations: TIMERS,
    run() {
      let sum = 0;
      for (const timer of timers) {
        clock.nowMs += 0.01;
        wheel.start(timer, 60_000);
        sum += timer.dueTick;
      }
      return sum;
    },
  };
}

/** Of a crowd that is due within a second. */
function fire(): MicroCase {
  const { owner, clock, wheel, timers, delays } = setUp(1_000, 0);
  return {
    name: 'fire',
    operations: TIMERS,
    prepare() {
      timers.forEach((timer, index) => wheel.start(timer, delays[index]!));
    },
    run() {
      const before = owner.count;
      clock.advance(1_020);
      if (owner.count - before !== TIMERS) throw new Error('a timer has not fired');
      return owner.count;
    },
  };
}
