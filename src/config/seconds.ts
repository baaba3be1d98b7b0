// Seconds, as resources have them → milliseconds, as the data plane has them.

/** Longest time that Node's timers take, ms (24.8 days). A longer one would fire at once. */
const MAX_TIMER_MS = 2_147_483_647;

/** Whole milliseconds; what isn't 0 seconds stays at least 1 ms, since 0 may mean "none". Undefined stays. */
export function toMs(seconds: number): number;
export function toMs(seconds: number | undefined): number | undefined;
export function toMs(seconds: number | undefined): number | undefined {
  if (seconds === undefined || seconds === 0) return seconds;
  return Math.min(MAX_TIMER_MS, Math.max(1, Math.round(seconds * 1000)));
}
