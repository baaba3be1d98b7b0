// The health machine of one endpoint (APISIX's, that is lua-resty-healthcheck's). It works on two words of the
// endpoint's row: the state, and four 8-bit counters that active and passive reports share.
//
//                      ┌──────────── success, limit reached ───────────┐
//                      ▼                                               │
//             ┌─────────────────┐   failure    ┌─────────────────┐     │
//     start ─▶│     healthy     │─────────────▶│ mostly_healthy  │─────┤
//             └─────────────────┘              └─────────────────┘     │
//       up     success: ignored                         │              │
//     ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─   failure, limit reached ─ ┼ ─
//      down    failure: ignored                         ▼              │
//             ┌─────────────────┐   success    ┌─────────────────┐     │
//             │    unhealthy    │─────────────▶│ mostly_unhealthy│─────┘
//             └─────────────────┘              └─────────────────┘
//                 │        ▲                            │
//                 │        └── failure, limit reached ──┘
//                 │ startTrial                     (and from healthy at once where the limit is 1; the same upwards)
//                 ▼
//             ┌─────────────────┐  first success ─▶ healthy
//       up    │      trial      │
//             └─────────────────┘  first failure ─▶ unhealthy
//
// `trial` is this project's: without active checks nothing would ever probe an endpoint that is down, so after a time
// (timed-return.ts) real calls do. It is up, but its owner gives it one call at a time (EndpointCell.Cap), until the first
// outcome is known; a call that says nothing (its caller went away) leaves the trial open.
import { EndpointCell } from '../model/cells.ts';
import type { Cells } from '../model/cells.ts';

/** Values of {@link EndpointCell.HealthState}. */
export const HealthState = { Healthy: 0, MostlyHealthy: 1, MostlyUnhealthy: 2, Unhealthy: 3, Trial: 4 } as const;

/** The words for the states, as the admin service shows them. */
const NAMES = ['healthy', 'mostly_healthy', 'mostly_unhealthy', 'unhealthy', 'trial'] as const;
export type HealthStateName = (typeof NAMES)[number];

/** What is reported: a success, or a failure by status, by connection or by time. */
export type ReportKind = 'success' | 'http' | 'tcp' | 'timeout';

/** What a report did to the endpoint's use: nothing, it may be used again, or it may no longer be used. */
export type HealthChange = 'none' | 'up' | 'down';

const SHIFT: Readonly<Record<ReportKind, number>> = { success: 0, http: 8, tcp: 16, timeout: 24 };
const MAX_COUNT = 255;

/** Word of a state. */
export function healthStateName(state: number): HealthStateName {
  return NAMES[state] ?? 'unhealthy';
}

/** Whether an endpoint in this state gets calls. */
export function isUp(state: number): boolean {
  return state <= HealthState.MostlyHealthy || state === HealthState.Trial;
}

/** Reads one of the four counters, 0 to 255. */
export function healthCount(cells: Cells, slot: number, kind: ReportKind): number {
  return (cells.get(slot, EndpointCell.HealthCounters) >>> SHIFT[kind]) & 0xff;
}

/** Back to healthy with empty counters, for an endpoint whose health checks were removed. */
export function resetHealth(cells: Cells, slot: number): void {
  cells.set(slot, EndpointCell.HealthState, HealthState.Healthy);
  cells.set(slot, EndpointCell.HealthCounters, 0);
}

/** Down with empty counters, for an endpoint that has to prove itself first (`checks.active.start: unhealthy`). */
export function holdDown(cells: Cells, slot: number): void {
  cells.set(slot, EndpointCell.HealthState, HealthState.Unhealthy);
  cells.set(slot, EndpointCell.HealthCounters, 0);
}

/** Lets real calls probe an endpoint that is down. Its counters start anew. Anything but a down state stays as it is. */
export function startTrial(cells: Cells, slot: number): HealthChange {
  if (isUp(cells.get(slot, EndpointCell.HealthState))) return 'none';
  cells.set(slot, EndpointCell.HealthState, HealthState.Trial);
  cells.set(slot, EndpointCell.HealthCounters, 0);
  return 'up';
}

/**
 * Takes one report. `limit` is the reporting side's threshold for this kind, 0 to 254; 0 means that the side doesn't
 * count this kind, and the report is dropped (on trial a success still ends the trial).
 */
export function report(cells: Cells, slot: number, kind: ReportKind, limit: number): HealthChange {
  const state = cells.get(slot, EndpointCell.HealthState);
  const success = kind === 'success';
  if (state === HealthState.Trial) return endTrial(cells, slot, kind, limit);
  if (limit === 0) return 'none';
  // The exact end states take no more of what led to them: counters of a steadily healthy endpoint stay at rest.
  if (state === (success ? HealthState.Healthy : HealthState.Unhealthy)) return 'none';
  const count = countUp(cells, slot, kind);
  let next = state;
  if (count >= limit) next = success ? HealthState.Healthy : HealthState.Unhealthy;
  else if (state === HealthState.Healthy) next = HealthState.MostlyHealthy;
  else if (state === HealthState.Unhealthy) next = HealthState.MostlyUnhealthy;
  if (next === state) return 'none';
  cells.set(slot, EndpointCell.HealthState, next);
  return isUp(next) === isUp(state) ? 'none' : isUp(next) ? 'up' : 'down';
}

function endTrial(cells: Cells, slot: number, kind: ReportKind, limit: number): HealthChange {
  if (kind === 'success') {
    resetHealth(cells, slot);
    return 'none'; // it was up already
  }
  if (limit === 0) return 'none';
  countUp(cells, slot, kind);
  cells.set(slot, EndpointCell.HealthState, HealthState.Unhealthy);
  return 'down';
}

/** Adds one to a counter, up to 255. A success empties the failure counters, a failure the success counter. */
function countUp(cells: Cells, slot: number, kind: ReportKind): number {
  const before = cells.get(slot, EndpointCell.HealthCounters);
  const shift = SHIFT[kind];
  const count = Math.min(MAX_COUNT, ((before >>> shift) & 0xff) + 1);
  const others = kind === 'success' ? 0 : before & ~0xff & ~(0xff << shift);
  cells.set(slot, EndpointCell.HealthCounters, others | (count << shift));
  return count;
}
