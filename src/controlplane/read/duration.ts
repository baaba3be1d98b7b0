// Durations as people write them in Kubernetes objects: Go's text form, plain seconds, or integer nanoseconds (what a
// Go duration becomes in JSON).

import type { Value } from './value.ts';

/** Integers from here on are nanoseconds: no timeout is 11 days long, and none is shorter than a millisecond. */
export const FIRST_NANOSECONDS = 1_000_000;

const NANOSECONDS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

const TERM = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;

/**
 * Seconds of `5`, `5s`, `500ms`, `1m30s` or 5000000000 (an integer of a million or more is nanoseconds). Undefined if
 * it is none of these, or negative.
 */
export function parseDurationS(value: string | number | boolean | undefined): number | undefined {
  if (typeof value === 'string')
    return /^\d{1,15}(\.\d{1,9})?$/.test(value) ? fromNumber(Number(value)) : fromText(value);
  return typeof value === 'number' ? fromNumber(value) : undefined;
}

/** Seconds; reports what isn't a duration or is too short. */
export function readDurationS(value: Value | undefined, least: 'above 0' | 'from 1'): number | undefined {
  if (value === undefined) return undefined;
  const seconds = parseDurationS(value.scalar());
  if (seconds === undefined) {
    value.error(`must be a duration, not ${value.shape()}`, 'write for example 5s, 500ms or 1m30s');
  } else if (least === 'above 0' && seconds <= 0) {
    value.error(`must be longer than 0, not ${value.shape()}`, 'write for example 5s, or remove it for the default');
  } else if (least === 'from 1' && seconds < 1) {
    value.error(`must be at least 1s, not ${value.shape()}`, 'write 1s or more, or remove it for the default');
  } else {
    return seconds;
  }
  return undefined;
}

function fromNumber(value: number): number | undefined {
  if (!Number.isFinite(value) || value < 0) return undefined;
  return Number.isInteger(value) && value >= FIRST_NANOSECONDS ? value / 1e9 : value;
}

function fromText(text: string): number | undefined {
  if (text.length > 64) return undefined;
  let nanoseconds = 0;
  let end = 0;
  for (const term of text.matchAll(TERM)) {
    if (term.index !== end) return undefined;
    end += term[0].length;
    nanoseconds += Number(term[1]) * (NANOSECONDS[term[2] ?? ''] ?? 0);
  }
  return end === 0 || end !== text.length ? undefined : nanoseconds / 1e9;
}
