/** Largest distance from 1970 that a Date holds, s. */
const MAX_SECOND = 8_640_000_000_000;

let lastSecond = Number.NaN;
let lastPrefix = '';

/**
 * A time in ms since 1970 as ISO 8601 in UTC with milliseconds, `2026-11-20T07:08:09.123Z`; `-` for what is not a time.
 * The part up to the second is made once a second: access logs ask for it with every line.
 */
export function isoTime(wallMs: number): string {
  const second = Math.floor(wallMs / 1000);
  if (second !== lastSecond) {
    if (!(Math.abs(second) < MAX_SECOND)) return '-';
    lastPrefix = new Date(second * 1000).toISOString().slice(0, -4);
    lastSecond = second;
  }
  return `${lastPrefix}${String(Math.floor(wallMs - second * 1000)).padStart(3, '0')}Z`;
}
