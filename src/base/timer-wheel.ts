// Timers of the request path: a wheel of 10 ms slots with intrusive nodes, so starting and stopping one allocates
// nothing. A timer fires at or after its time, less than two slots late. Guarded by
// `npm run bench -- micro timer-wheel`.
import type { Cancel, Clock } from './clock.ts';

/** Width of a slot, ms. */
export const WHEEL_TICK_MS = 10;
const SLOTS = 1024; // one turn is 10.24 s; longer timers go round

/** Hears of its own timers. */
export interface TimerOwner {
  /** `what` is the number the timer was made with. */
  onTimer(what: number, nowMs: number): void;
}

/** One timer; belongs to its owner for life and is started and stopped at will. */
export class Timer {
  readonly owner: TimerOwner;
  readonly what: number;
  /** Tick at which it fires; -1 while it is not running. */
  dueTick = -1;
  next: Timer | undefined = undefined;
  previous: Timer | undefined = undefined;

  constructor(owner: TimerOwner, what: number) {
    this.owner = owner;
    this.what = what;
  }

  get running(): boolean {
    return this.dueTick >= 0;
  }
}

/** All running timers. */
export class TimerWheel {
  private readonly slots: (Timer | undefined)[] = Array.from({ length: SLOTS }, () => undefined);
  private readonly clock: Clock;
  private tick: number;
  private running = 0;
  private cancelTick: Cancel | undefined = undefined;

  constructor(clock: Clock) {
    this.clock = clock;
    this.tick = Math.floor(clock.nowMs / WHEEL_TICK_MS);
  }

  /** Number of running timers. */
  get size(): number {
    return this.running;
  }

  /** Starts `timer`, or starts it anew, to fire `delayMs` from the clock's `nowMs`. */
  start(timer: Timer, delayMs: number): void {
    if (timer.dueTick >= 0) this.stop(timer);
    if (this.running === 0) this.tick = Math.floor(this.clock.nowMs / WHEEL_TICK_MS);
    const due = Math.max(this.tick + 1, Math.ceil((this.clock.nowMs + delayMs) / WHEEL_TICK_MS));
    timer.dueTick = due;
    const index = due % SLOTS;
    const head = this.slots[index];
    timer.next = head;
    timer.previous = undefined;
    if (head) head.previous = timer;
    this.slots[index] = timer;
    this.running++;
    this.cancelTick ??= this.clock.after(WHEEL_TICK_MS, this.onTick);
  }

  /** Stops `timer`; harmless if it isn't running. */
  stop(timer: Timer): void {
    if (timer.dueTick < 0) return;
    if (timer.previous) timer.previous.next = timer.next;
    else this.slots[timer.dueTick % SLOTS] = timer.next;
    if (timer.next) timer.next.previous = timer.previous;
    timer.next = timer.previous = undefined;
    timer.dueTick = -1;
    this.running--;
  }

  private readonly onTick = (): void => {
    this.cancelTick = undefined;
    const nowTick = Math.floor(this.clock.nowMs / WHEEL_TICK_MS);
    // After a stall of more than a turn every slot is visited once; due times decide.
    const from = Math.max(this.tick + 1, nowTick - SLOTS + 1);
    this.tick = nowTick;
    for (let tick = from; tick <= nowTick; tick++) this.fireSlot(tick % SLOTS, nowTick);
    if (this.running > 0) this.cancelTick ??= this.clock.after(WHEEL_TICK_MS, this.onTick);
  };

  private fireSlot(index: number, nowTick: number): void {
    // Collected first: a timer that fires may start or stop any other.
    let due: Timer[] | undefined;
    for (let timer = this.slots[index]; timer; timer = timer.next) {
      if (timer.dueTick <= nowTick) (due ??= []).push(timer);
    }
    if (!due) return;
    for (const timer of due) {
      if (timer.dueTick < 0 || timer.dueTick > nowTick) continue; // stopped or restarted by one before it
      this.stop(timer);
      timer.owner.onTimer(timer.what, this.clock.nowMs);
    }
  }
}
