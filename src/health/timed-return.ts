// When an endpoint that passive checks took out of service comes back, where no active check would notice that it
// recovered. It comes back on trial (machine.ts): one call at a time, and the first outcome decides. Each trial that fails
// doubles the time until the next; a trial that succeeds ends the account.
import { EndpointCell } from '../model/cells.ts';
import type { Cells } from '../model/cells.ts';
import type { PassivePolicy } from '../model/policy.ts';
import { isUp } from './machine.ts';

/** How long an endpoint stays out: the first time, and at most. */
export type ReturnTimes = Pick<PassivePolicy, 'returnAfterMs' | 'maxReturnAfterMs'>;

interface Absence {
  readonly generation: number;
  readonly sinceMs: number;
  readonly failedTrials: number;
  /** False while it is on trial. */
  readonly isOut: boolean;
}

/**
 * The endpoints of one upstream port that are down or on trial, since when, and how many trials have failed. Holds no
 * timer: its owner asks when to ask.
 */
export class TimedReturn {
  private readonly absences = new Map<number, Absence>();

  /**
   * The endpoint went down at `nowMs`; `failedTrial`: by a trial. If it was noted as out before, its time starts anew.
   */
  add(cells: Cells, slot: number, nowMs: number, failedTrial = false): void {
    const generation = cells.generation(slot);
    const failedTrials = failedTrial ? this.failedTrials(cells, slot) + 1 : 0;
    this.absences.delete(slot); // so that the order is that of the times
    this.absences.set(slot, { generation, sinceMs: nowMs, failedTrials, isOut: true });
  }

  /** Whether the endpoint is noted, out or on trial. */
  has(cells: Cells, slot: number): boolean {
    const absence = this.absences.get(slot);
    return absence !== undefined && cells.holds(slot, absence.generation);
  }

  /** Trials that have failed since the endpoint was last in service. */
  failedTrials(cells: Cells, slot: number): number {
    const absence = this.absences.get(slot);
    return absence && cells.holds(slot, absence.generation) ? absence.failedTrials : 0;
  }

  /** The endpoint is in service again. */
  forget(slot: number): void {
    this.absences.delete(slot);
  }

  /**
   * Slots whose time is over and that are still down, longest absent first; the caller starts their trials. Endpoints
   * that were removed or came back by themselves are forgotten here.
   */
  takeDue(cells: Cells, times: ReturnTimes, nowMs: number): number[] {
    const due: number[] = [];
    for (const [slot, absence] of this.absences) {
      if (!cells.holds(slot, absence.generation)) this.absences.delete(slot);
      else if (!absence.isOut) continue;
      else if (isUp(cells.get(slot, EndpointCell.HealthState))) this.absences.delete(slot);
      else if (endMs(absence, times) <= nowMs) {
        this.absences.set(slot, { ...absence, isOut: false });
        due.push(slot);
      }
    }
    return due;
  }

  /** Time of the next return; Infinity while none is out. */
  nextMs(times: ReturnTimes): number {
    let next = Infinity;
    for (const absence of this.absences.values()) if (absence.isOut) next = Math.min(next, endMs(absence, times));
    return next;
  }

  /** Forgets all, for a port that got active checks or lost its checks. */
  clear(): void {
    this.absences.clear();
  }
}

/** Time of the return. A largest absence that is below the first one doesn't shorten that. */
function endMs({ sinceMs, failedTrials }: Absence, { returnAfterMs, maxReturnAfterMs }: ReturnTimes): number {
  return sinceMs + Math.min(Math.max(returnAfterMs, maxReturnAfterMs), returnAfterMs * 2 ** failedTrials);
}
