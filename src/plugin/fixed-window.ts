// Fixed windows (APISIX `window_type: fixed`), one for each key: a window begins with the first request of its key and lasts
// `time_window`; its end is never put off. Each request counts, refused ones too.
//
//   no window ── request ──> open: count = 1, ends at now + time_window
//   open ── request before the end ──> count + 1; refused where that is more than the limit
//   open ── request at the end or later ──> open anew: count = 1
import { centiseconds, type LimitVerdict } from './limit-verdict.ts';

/** A window. With a count of 0 it begins with the next request. */
export interface FixedWindow {
  count: number;
  /** Monotonic ms at which it is over. */
  endMs: number;
}

/** Counts a request at `nowMs`; `limit` requests may pass in `windowMs`. */
export function countFixed(
  window: FixedWindow,
  limit: number,
  windowMs: number,
  nowMs: number,
  verdict: LimitVerdict,
): void {
  if (window.count === 0 || nowMs >= window.endMs) {
    window.count = 0;
    window.endMs = nowMs + windowMs;
  }
  window.count++;
  verdict.isAllowed = window.count <= limit;
  verdict.remaining = verdict.isAllowed ? limit - window.count : 0;
  verdict.resetCs = window.count === 1 ? windowMs / 10 : centiseconds(window.endMs - nowMs);
}
