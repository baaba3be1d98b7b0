// Keeps retries from multiplying the load of an upstream that is failing. Of one upstream port's attempts that follow one
// whose request was written, at most the greater of 20 % of the first attempts of the last 10 s and 30 (in the same
// time). An attempt after a failed connect is free: it added no load, and the number of attempts bounds it.
import { Window } from '../base/window.ts';
import { RETRY_BUDGET_FLOOR, RETRY_BUDGET_RATIO, RETRY_BUDGET_WINDOW_MS } from '../model/defaults.ts';

const BUCKETS = 10;
const BUCKET_MS = RETRY_BUDGET_WINDOW_MS / BUCKETS;

/** The budget of one upstream port. */
export class RetryBudget {
  /** Undefined until the first request; most ports of a large configuration may never see one. */
  private firsts: Window | undefined = undefined;
  private retries: Window | undefined = undefined;

  /** A request's first attempt starts. */
  countFirst(nowMs: number): void {
    (this.firsts ??= new Window(BUCKETS, BUCKET_MS)).add(nowMs);
  }

  /** Whether one more attempt is within the budget; if so, it is spent. */
  take(nowMs: number): boolean {
    if (this.spent(nowMs) >= this.allowance(nowMs)) return false;
    // One bucket more: first attempts are counted over 9 to 10 s and retries over 10 to 11 s, so the bound holds for any
    // 10 s, wherever they start.
    (this.retries ??= new Window(BUCKETS + 1, BUCKET_MS)).add(nowMs);
    return true;
  }

  /** Attempts that the window allows as of now. */
  allowance(nowMs: number): number {
    return Math.max(RETRY_BUDGET_FLOOR, Math.floor((this.firsts?.sum(nowMs) ?? 0) * RETRY_BUDGET_RATIO));
  }

  /** Attempts spent in the window. */
  spent(nowMs: number): number {
    return this.retries?.sum(nowMs) ?? 0;
  }
}
