// The only file that reads a clock or starts a timer of Node's. Everything else gets a Clock handed in, so a test moves
// time by hand (test/support/fake-clock.ts).
import { performance } from 'node:perf_hooks';

/** A source of time. */
export interface Clock {
  /**
   * Monotonic milliseconds with fractions, as of the last {@link refresh}. Read callbacks refresh once and everything
   * they call reads this field, so a request costs one system call for time.
   */
  nowMs: number;
  /** Reads the monotonic clock into {@link nowMs} and returns it. */
  refresh(): number;
  /** Milliseconds since 1970, for logs, certificates and timestamps only. */
  wallMs(): number;
  /** Calls `fire` once after `delayMs`; for the cold path (the request path uses the TimerWheel). Doesn't keep the process alive. */
  after(delayMs: number, fire: () => void): Cancel;
}

/** Stops what was started; harmless when called twice or too late. */
export type Cancel = () => void;

/** The machine's clock. */
export function systemClock(): Clock {
  return {
    nowMs: performance.now(),
    refresh() {
      return (this.nowMs = performance.now());
    },
    wallMs: () => Date.now(),
    after(delayMs, fire) {
      const timer = setTimeout(() => {
        this.refresh();
        fire();
      }, delayMs);
      timer.unref();
      return () => clearTimeout(timer);
    },
  };
}
