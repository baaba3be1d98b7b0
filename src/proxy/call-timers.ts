import { Timer, type TimerOwner, type TimerWheel } from '../base/timer-wheel.ts';

/** What a timer of a call is for, as its owner is told: the waits of proxy/timeouts.ts, … */
const WAITS_TIMER = 0;
/** … the end of the whole call, … */
export const END_TIMER = 1;
/** … the next attempt, … */
export const RETRY_TIMER = 2;
/** … the head of an answer that is held. */
export const HEAD_TIMER = 3;

/** Timers of one call. */
export class CallTimers {
  private readonly wheel: TimerWheel;
  private readonly owner: TimerOwner;
  private readonly waits: Timer;
  private end: Timer | undefined = undefined;
  private retry: Timer | undefined = undefined;
  private head: Timer | undefined = undefined;

  constructor(wheel: TimerWheel, owner: TimerOwner) {
    this.wheel = wheel;
    this.owner = owner;
    this.waits = new Timer(owner, WAITS_TIMER);
  }

  /** Whether a look at the waits is due some time. */
  get isWatching(): boolean {
    return this.waits.running;
  }

  /** Looks at the waits in `ms`. */
  watch(ms: number): void {
    this.wheel.start(this.waits, ms);
  }

  /** The call ends in `ms`. */
  endAfter(ms: number): void {
    this.end ??= new Timer(this.owner, END_TIMER);
    this.wheel.start(this.end, ms);
  }

  /** The next attempt begins in `ms`. */
  retryAfter(ms: number): void {
    this.retry ??= new Timer(this.owner, RETRY_TIMER);
    this.wheel.start(this.retry, ms);
  }

  /** A head is held for `ms` at most. */
  holdHead(ms: number): void {
    this.head ??= new Timer(this.owner, HEAD_TIMER);
    this.wheel.start(this.head, ms);
  }

  /** The call is over. */
  stop(): void {
    this.wheel.stop(this.waits);
    if (this.end) this.wheel.stop(this.end);
    if (this.retry) this.wheel.stop(this.retry);
    if (this.head) this.wheel.stop(this.head);
  }
}
