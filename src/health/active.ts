// When to probe which endpoint of one upstream port. Holds no timer and sends nothing: its owner asks what is due, sends
// those probes, says when one has ended, and asks again at `nextMs`.
//
//     add ──▶ waiting ── due, and fewer than `concurrency` in flight ──▶ in flight
//                ▲                                                          │
//                └────────────────────── finish ────────────────────────────┘
//
// A probe is due one interval after the last one was *started*: that of `healthy` while the endpoint is up and that of
// `unhealthy` while it is down, looked up when asked, so a flip by passive checks changes the pace at once. A probe that
// takes longer than the interval is followed by the next as soon as it ends. Nothing is caught up on after a pause.
import type { Rng } from '../base/rng.ts';
import { EndpointCell } from '../model/cells.ts';
import type { Cells } from '../model/cells.ts';
import type { ActivePolicy } from '../model/policy.ts';
import { isUp } from './machine.ts';

/** First probes are spread over this share of the interval (of 1 s where it is longer), so that sidecars don't march in step. */
const FIRST_PROBE_SPREAD = 0.25;
const MAX_SPREAD_INTERVAL_MS = 1000;

/** What of the policy rules the schedule. */
export type ProbePace = Pick<ActivePolicy, 'concurrency' | 'healthy' | 'unhealthy'>;

interface Entry {
  readonly slot: number;
  readonly generation: number;
  /** Time of the first probe. */
  readonly firstMs: number;
  /** Start of the last probe; undefined before the first. */
  startedMs: number | undefined;
  inFlight: boolean;
}

/** The schedule of one upstream port. */
export class ProbeSchedule {
  private pace: ProbePace;
  private entries = new Map<number, Entry>();
  private inFlight = 0;

  constructor(pace: ProbePace) {
    this.pace = pace;
  }

  /**
   * Sets pace and endpoints. Endpoints that stay keep their schedule, also over a change of pace; new ones are probed
   * at once, up to a quarter of a second later by chance. A probe in flight of an endpoint that went is no longer
   * counted; its owner cancels it, or lets it end in vain.
   */
  update(pace: ProbePace, cells: Cells, slots: readonly number[], nowMs: number, rng: Rng): void {
    this.pace = pace;
    const before = this.entries;
    this.entries = new Map();
    this.inFlight = 0;
    for (const slot of slots) {
      const known = before.get(slot);
      const kept = known && cells.holds(slot, known.generation) ? known : undefined;
      if (kept?.inFlight) this.inFlight++;
      this.entries.set(slot, kept ?? this.create(cells, slot, nowMs, rng));
    }
  }

  /** Slots to probe now, longest due first, each marked as in flight. */
  start(cells: Cells, nowMs: number): number[] {
    const room = this.pace.concurrency - this.inFlight;
    if (room <= 0) return [];
    const due: { readonly entry: Entry; readonly dueMs: number }[] = [];
    for (const entry of this.entries.values()) {
      if (entry.inFlight) continue;
      const dueMs = this.dueMs(cells, entry);
      if (dueMs <= nowMs) due.push({ entry, dueMs });
    }
    due.sort((a, b) => a.dueMs - b.dueMs);
    return due.slice(0, room).map(({ entry }) => {
      entry.inFlight = true;
      entry.startedMs = nowMs;
      this.inFlight++;
      return entry.slot;
    });
  }

  /**
   * The probe of `slot` has ended, however. `generation` is the row's when the probe was started; a row that has changed
   * hands since then has its own schedule. Afterwards ask `nextMs` again; if this returns true, at once: others may have
   * waited for its place.
   */
  finish(slot: number, generation: number): boolean {
    const entry = this.entries.get(slot);
    if (!entry || entry.generation !== generation || !entry.inFlight) return false;
    entry.inFlight = false;
    return this.inFlight-- >= this.pace.concurrency;
  }

  /** Time of the next probe that may start; Infinity while only the end of a probe can make one start. */
  nextMs(cells: Cells): number {
    if (this.inFlight >= this.pace.concurrency) return Infinity;
    let next = Infinity;
    for (const entry of this.entries.values()) {
      if (!entry.inFlight) next = Math.min(next, this.dueMs(cells, entry));
    }
    return next;
  }

  /** Time of the next probe of one endpoint, of its start where one is in flight; Infinity for one that isn't probed. */
  nextProbeMs(cells: Cells, slot: number): number {
    const entry = this.entries.get(slot);
    if (!entry) return Infinity;
    return entry.inFlight ? (entry.startedMs ?? entry.firstMs) : this.dueMs(cells, entry);
  }

  private create(cells: Cells, slot: number, nowMs: number, rng: Rng): Entry {
    const spreadMs = Math.min(this.intervalMs(cells, slot), MAX_SPREAD_INTERVAL_MS) * FIRST_PROBE_SPREAD;
    const firstMs = nowMs + rng.unit() * spreadMs;
    return { slot, generation: cells.generation(slot), firstMs, startedMs: undefined, inFlight: false };
  }

  private dueMs(cells: Cells, entry: Entry): number {
    return entry.startedMs === undefined ? entry.firstMs : entry.startedMs + this.intervalMs(cells, entry.slot);
  }

  private intervalMs(cells: Cells, slot: number): number {
    const up = isUp(cells.get(slot, EndpointCell.HealthState));
    return up ? this.pace.healthy.intervalMs : this.pace.unhealthy.intervalMs;
  }
}
