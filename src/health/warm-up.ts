// Slow start (APISIX `warm_up_conf`, Envoy `slow_start_config`): an endpoint that is new or came back gets a growing share
// of its weight until its window is over. Shares stand in the endpoints' cells, where every balancer reads them.
//
// Only the relation between shares matters, so those of one priority level are put right against each other:
// * Where all are warming, the furthest has all of its weight and the others their part of that. A port on which
//   everything is new thus serves as if there were no slow start, and who comes later still starts below the first.
// * Where nearly all are, the few warm ones would take what the others don't yet: after a rolling restart that is the
//   last of the old, which never carried that much. Shares are raised so far that nobody has more than
//   MAX_EXTRA_LOAD times what the weights give it.
import { EndpointCell, type Cells } from '../model/cells.ts';
import type { WarmUpPolicy } from '../model/policy.ts';

/** An endpoint's whole weight, as `EndpointCell.Share` counts. */
const WHOLE = 65_536;
/** The ramp is as steep as it may be at one second, as in APISIX and Envoy. */
const LEAST_ELAPSED_MS = 1000;
/** How many times its own part an endpoint may carry because others are warming. */
const MAX_EXTRA_LOAD = 4;

/** An endpoint with its weight, as balancers know it. */
export interface WeightedSlot {
  readonly slot: number;
  readonly weight: number;
}

interface Ramp {
  readonly generation: number;
  readonly sinceMs: number;
}

/**
 * Share of its weight that an endpoint has `elapsedMs` after it began, in 65536ths: 1 to 65535, or 0 for all of it, which
 * it has when its window is over. max(least share, (elapsed / window)^(1 / aggression)), elapsed at least 1 s (APISIX).
 */
export function warmShare(policy: WarmUpPolicy, elapsedMs: number): number {
  const elapsed = Math.max(elapsedMs, LEAST_ELAPSED_MS);
  if (elapsed >= policy.windowMs) return 0;
  return toCell(Math.max(policy.minShare, (elapsed / policy.windowMs) ** (1 / policy.aggression)));
}

/** The endpoints of one upstream port that are warming up, and since when. Holds no timer: its owner asks when to step. */
export class WarmUp {
  /** When the next step is due, monotonic ms; Infinity while nobody is warming up. */
  nextMs = Infinity;

  private policy: WarmUpPolicy | undefined;
  private readonly knownSinceMs: number;
  private readonly ramps = new Map<number, Ramp>();

  /** `policy` undefined: off. `nowMs`: when the port became known. */
  constructor(policy: WarmUpPolicy | undefined, nowMs: number) {
    this.policy = policy;
    this.knownSinceMs = nowMs;
  }

  /** Endpoints that are warming up, those among them that were removed since the last step. */
  get size(): number {
    return this.ramps.size;
  }

  /**
   * Takes a new policy: ramps go on along the new curve, and the next step is due an interval from now at the latest.
   * Undefined: all have their whole weight at once.
   */
  setPolicy(cells: Cells, policy: WarmUpPolicy | undefined, nowMs: number): void {
    if (policy === undefined) for (const slot of this.ramps.keys()) this.end(cells, slot);
    else if (this.ramps.size > 0) this.nextMs = Math.min(this.nextMs, nowMs + policy.intervalMs);
    this.policy = policy;
  }

  /**
   * A new endpoint appeared. It warms up, unless it belongs to what the port began with or came within `graceMs` of
   * that.
   */
  appeared(cells: Cells, slot: number, nowMs: number): void {
    if (this.policy && nowMs - this.knownSinceMs > this.policy.graceMs) this.begin(cells, slot, nowMs);
  }

  /** An endpoint starts at the bottom: it came back. If it is warming up already, its time starts anew. */
  begin(cells: Cells, slot: number, nowMs: number): void {
    if (!this.policy) return;
    this.ramps.set(slot, { generation: cells.generation(slot), sinceMs: nowMs });
    cells.set(slot, EndpointCell.Share, warmShare(this.policy, 0));
    this.nextMs = Math.min(this.nextMs, nowMs + this.policy.intervalMs);
  }

  /** An endpoint went out of use: a check failed or it was ejected. It begins anew when it comes back. */
  end(cells: Cells, slot: number): void {
    const ramp = this.ramps.get(slot);
    if (!ramp) return;
    this.ramps.delete(slot);
    if (cells.holds(slot, ramp.generation)) cells.set(slot, EndpointCell.Share, 0);
    if (this.ramps.size === 0) this.nextMs = Infinity;
  }

  /**
   * Writes the shares as of now and forgets whose window is over and who was removed. `levels`: the endpoints in use, one
   * list for each priority. To be called when `nextMs` has come, and whenever those in use change.
   */
  step(cells: Cells, levels: readonly (readonly WeightedSlot[])[], nowMs: number): void {
    const { policy, ramps } = this;
    if (!policy || ramps.size === 0) return;
    for (const [slot, { generation, sinceMs }] of ramps) {
      const holds = cells.holds(slot, generation);
      const share = holds ? warmShare(policy, nowMs - sinceMs) : 0;
      if (share === 0) ramps.delete(slot);
      if (holds) cells.set(slot, EndpointCell.Share, share);
    }
    for (const level of levels) putInRelation(cells, level);
    if (ramps.size === 0) this.nextMs = Infinity;
    else if (nowMs >= this.nextMs) this.nextMs = nowMs + policy.intervalMs;
  }
}

/** Puts the shares of one level right against each other, by the two rules at the top of this file. */
function putInRelation(cells: Cells, level: readonly WeightedSlot[]): void {
  let whole = 0;
  let warm = 0;
  let highest = 0;
  for (const { slot, weight } of level) {
    const share = shareOf(cells, slot);
    whole += weight;
    warm += weight * share;
    // Weight 0 gets nothing beside the others, so it says nothing about them.
    if (weight > 0) highest = Math.max(highest, share);
  }
  if (whole === 0 || warm === whole) return;
  const raise = Math.max(0, (whole / MAX_EXTRA_LOAD - warm) / (whole - warm));
  const scale = highest + (1 - highest) * raise;
  for (const { slot } of level) {
    const share = shareOf(cells, slot);
    if (share < 1) cells.set(slot, EndpointCell.Share, toCell((share + (1 - share) * raise) / scale));
  }
}

function shareOf(cells: Cells, slot: number): number {
  const share = cells.get(slot, EndpointCell.Share);
  return share === 0 ? 1 : share / WHOLE;
}

/** 0 stands for the whole. */
function toCell(share: number): number {
  const cell = Math.max(1, Math.round(share * WHOLE));
  return cell >= WHOLE ? 0 : cell;
}
