import type { Cancel, Clock } from '../../src/base/clock.ts';

interface Pending {
  readonly dueMs: number;
  readonly order: number;
  readonly fire: () => void;
}

/** Time that a test moves by hand. */
export class FakeClock implements Clock {
  nowMs: number;
  private pending: Pending[] = [];
  private order = 0;

  constructor(startMs = 1_000) {
    this.nowMs = startMs;
  }

  refresh(): number {
    return this.nowMs;
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.nowMs;
  }

  after(delayMs: number, fire: () => void): Cancel {
    const timer = { dueMs: this.nowMs + delayMs, order: this.order++, fire };
    this.pending.push(timer);
    return () => {
      this.pending = this.pending.filter((other) => other !== timer);
    };
  }

  /** Timers that wait. */
  get waiting(): number {
    return this.pending.length;
  }

  /** Moves time on and fires what falls due on the way, in order. */
  advance(ms: number): void {
    const target = this.nowMs + ms;
    for (;;) {
      const next = this.pending
        .filter((timer) => timer.dueMs <= target)
        .sort((a, b) => a.dueMs - b.dueMs || a.order - b.order)[0];
      if (!next) break;
      this.pending = this.pending.filter((other) => other !== next);
      this.nowMs = Math.max(this.nowMs, next.dueMs);
      next.fire();
    }
    this.nowMs = target;
  }
}
