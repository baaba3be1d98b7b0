import type { Cancel, Clock } from '../base/clock.ts';

/** Node's timers overflow beyond 2^31 ms; this one then fires early, and is set anew. */
const LONGEST_MS = 3_600_000;

/** One timer for whatever is due next. */
export class DueTimer {
  private readonly clock: Clock;
  private readonly fire: () => void;
  private cancel: Cancel | undefined = undefined;
  private dueMs = Infinity;

  /** `fire` may come before the time that was set: it looks at what is due. */
  constructor(clock: Clock, fire: () => void) {
    this.clock = clock;
    this.fire = fire;
  }

  /** Sets it to a monotonic time; Infinity: not at all. */
  set(dueMs: number): void {
    if (dueMs === this.dueMs && this.cancel !== undefined) return;
    this.cancel?.();
    this.cancel = undefined;
    this.dueMs = dueMs;
    if (dueMs === Infinity) return;
    const delayMs = Math.min(Math.max(0, dueMs - this.clock.nowMs), LONGEST_MS);
    this.cancel = this.clock.after(Math.ceil(delayMs), () => {
      this.cancel = undefined;
      this.fire();
    });
  }
}
