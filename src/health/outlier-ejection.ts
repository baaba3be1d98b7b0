// The ejection of one endpoint, on words of its row: in, out, for how long, and how many of a port may be out at a time.
//
//                 eject: multiplier + 1, up to the longest
//      ┌──────┐ ─────────────────────────────────────────▶ ┌─────────┐
//      │  in  │                                            │ ejected │
//      └──────┘ ◀───────────────────────────────────────── └─────────┘
//       │    ▲    base × multiplier, at most max, + jitter are over (seen at a sweep);
//       └────┘    or an active check passed; or the cap fell below who is ejected; or detection was switched off
//     sweep that finds nothing, an interval or more after its return: multiplier − 1
import type { Rng } from '../base/rng.ts';
import { EndpointCell, type Cells } from '../model/cells.ts';
import type { OutlierPolicy } from '../model/policy.ts';

/** Longest that a row can measure (31 bits, more than 24 days), ms. */
const LONGEST_MS = 0x7fff_ffff;

/** Whether an endpoint is ejected. */
export function isEjected(cells: Cells, slot: number): boolean {
  return cells.get(slot, EndpointCell.Ejected) !== 0;
}

/** Endpoints of the list that are ejected. */
export function countEjected(cells: Cells, slots: readonly number[]): number {
  let ejected = 0;
  for (const slot of slots) ejected += cells.get(slot, EndpointCell.Ejected);
  return ejected;
}

/**
 * How many of `endpoints` may be ejected at a time. Envoy: one more may go while 100 × (ejected + 1) / endpoints is at most
 * the percentage. Unlike there, one may always go where it isn't the only one (Envoy `always_eject_one_host`).
 */
export function ejectionLimit(endpoints: number, maxEjectionPercent: number): number {
  return endpoints < 2 ? 0 : Math.max(1, Math.floor((endpoints * maxEjectionPercent) / 100));
}

/** How long the present or last ejection of an endpoint lasts at least, ms. */
export function ejectionMs(cells: Cells, slot: number, policy: OutlierPolicy): number {
  const multiplier = cells.get(slot, EndpointCell.EjectionMultiplier);
  const length = Math.min(policy.baseEjectionMs * multiplier, policy.maxEjectionMs);
  return Math.min(Math.floor(length + cells.get(slot, EndpointCell.EjectionJitterMs)), LONGEST_MS);
}

/** How long an ejected endpoint stays out at least from now on, ms; 0 if it isn't ejected or its time is over. */
export function ejectionLeftMs(cells: Cells, slot: number, policy: OutlierPolicy, nowMs: number): number {
  if (!isEjected(cells, slot)) return 0;
  return Math.max(0, ejectionMs(cells, slot, policy) - since(cells, slot, EndpointCell.EjectedAtMs, nowMs));
}

/** Takes an endpoint that is in out. */
export function eject(cells: Cells, slot: number, policy: OutlierPolicy, nowMs: number, rng: Rng): void {
  const { baseEjectionMs, maxEjectionMs, maxEjectionJitterMs } = policy;
  cells.set(slot, EndpointCell.Ejected, 1);
  cells.set(slot, EndpointCell.EjectedAtMs, nowMs);
  const jitterMs = maxEjectionJitterMs > 0 ? rng.below(Math.floor(maxEjectionJitterMs) + 1) : 0;
  cells.set(slot, EndpointCell.EjectionJitterMs, Math.min(jitterMs, LONGEST_MS));
  const multiplier = cells.get(slot, EndpointCell.EjectionMultiplier);
  if (multiplier * baseEjectionMs < maxEjectionMs + baseEjectionMs) {
    cells.set(slot, EndpointCell.EjectionMultiplier, multiplier + 1);
  }
  cells.add(slot, EndpointCell.Ejections, 1);
}

/** Lets an ejected endpoint back in. What it did in a row before counts no more. */
export function uneject(cells: Cells, slot: number, nowMs: number): void {
  cells.set(slot, EndpointCell.Ejected, 0);
  cells.set(slot, EndpointCell.UnejectedAtMs, nowMs);
  cells.set(slot, EndpointCell.Consecutive5xx, 0);
  cells.set(slot, EndpointCell.ConsecutiveGateway, 0);
  cells.set(slot, EndpointCell.ConsecutiveLocal, 0);
}

/** Lets an ejected endpoint back in if its time is over; true then. */
export function endIfOver(cells: Cells, slot: number, policy: OutlierPolicy, nowMs: number): boolean {
  if (!isEjected(cells, slot) || ejectionLeftMs(cells, slot, policy, nowMs) > 0) return false;
  uneject(cells, slot, nowMs);
  return true;
}

/** Forgives an endpoint one ejection, if it is in and has been for an interval or more. */
export function forgive(cells: Cells, slot: number, policy: OutlierPolicy, nowMs: number): void {
  const multiplier = cells.get(slot, EndpointCell.EjectionMultiplier);
  if (multiplier === 0 || isEjected(cells, slot)) return;
  if (since(cells, slot, EndpointCell.UnejectedAtMs, nowMs) < Math.floor(policy.intervalMs)) return;
  cells.set(slot, EndpointCell.EjectionMultiplier, multiplier - 1);
}

/** Of two ejected endpoints, which was ejected first: a comparison for sorting. */
export function byEjection(cells: Cells, nowMs: number): (a: number, b: number) => number {
  return (a, b) => since(cells, b, EndpointCell.EjectedAtMs, nowMs) - since(cells, a, EndpointCell.EjectedAtMs, nowMs);
}

/** Whole ms since a time in a row, which has its low 32 bits: right up to 49 days. */
function since(cells: Cells, slot: number, word: number, nowMs: number): number {
  return ((nowMs | 0) - cells.get(slot, word)) >>> 0;
}
