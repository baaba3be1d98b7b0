// Sliding windows (APISIX `window_type: sliding`): requests are counted in windows of the clock, and those of the window before
// the running one count by the share of it that still lies in the last `time_window`.
//
//            window before        running window
//   ... |------------------|----------^---------| ...
//              previous          count now         estimate = count + previous * (time left of the running one) / time_window
//
// A request passes where the estimate is less than the limit; only then it counts. When the clock reaches the next window, count
// becomes previous; when it is further on, nothing of either is left. A clock that was set back into the window before stands
// still at the beginning of the running one; one that was set back further begins from nothing.
import { centiseconds, type LimitVerdict } from './limit-verdict.ts';

/** A window and the one before it. */
export interface SlidingWindow {
  count: number;
  previousCount: number;
  /** Number of the running window since 1970; -1: none yet. */
  windowIndex: number;
  /** Monotonic ms from which on neither says anything. */
  endMs: number;
}

/** Monotonic ms at which a request counted now no longer matters: when the window after the running one is over. */
export function slidingEndMs(windowMs: number, nowMs: number, wallMs: number): number {
  return nowMs + 2 * windowMs - (wallMs - Math.floor(wallMs / windowMs) * windowMs);
}

/** Counts a request at `nowMs`, which is `wallMs` by the clock; `limit` requests may pass in `windowMs`. */
export function countSliding(
  window: SlidingWindow,
  limit: number,
  windowMs: number,
  nowMs: number,
  wallMs: number,
  verdict: LimitVerdict,
): void {
  const elapsedMs = turnTo(window, windowMs, wallMs);
  const leftMs = windowMs - elapsedMs;
  // A limit may have been higher for an earlier request; what was counted beyond this one's must not weigh.
  const previous = Math.min(window.previousCount, limit);
  const carried = (previous * leftMs) / windowMs;
  if (window.count + carried >= limit) {
    verdict.isAllowed = false;
    verdict.remaining = 0;
    const waitMs = window.count >= limit ? leftMs : leftMs - ((limit - window.count) / previous) * windowMs;
    // Where the estimate is the limit to a hair, it is below it a moment later.
    verdict.resetCs = Math.max(1, centiseconds(waitMs));
    return;
  }
  if (window.count === 0) window.endMs = nowMs + leftMs + windowMs;
  window.count++;
  verdict.isAllowed = true;
  verdict.remaining = Math.max(0, Math.floor(limit - window.count - carried));
  verdict.resetCs = centiseconds(leftMs);
}

/** Makes the window at `wallMs` the running one; returns how much of it is over. */
function turnTo(window: SlidingWindow, windowMs: number, wallMs: number): number {
  const index = Math.floor(wallMs / windowMs);
  const steps = index - window.windowIndex;
  if (steps === -1 && window.windowIndex > 0) return 0;
  if (steps !== 0) {
    window.previousCount = steps === 1 ? window.count : 0;
    window.count = 0;
    window.windowIndex = index;
  }
  return wallMs - index * windowMs;
}
