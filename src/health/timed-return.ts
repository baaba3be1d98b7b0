// When an endpoint that passive checks took out of service comes back, where no active check would notice that it
// recovered. It comes back on trial (machine.ts): the first outcome of a call decides, and a failure takes it out for
// the same time again.
import { EndpointCell } from '../model/cells.ts';
import type { Cells } from '../model/cells.ts';
import { isUp } from './machine.ts';

interface Absence {
  readonly generation: number;
  readonly sinceMs: number;
}

/** The endpoints of one upstream port that are down, and since when. Holds no timer: its owner asks when to ask. */
export class TimedReturn {
  private readonly absent = new Map<number, Absence>();

  /** The endpoint went down at `nowMs`. If it was noted before, its time starts anew. */
  add(cells: Cells, slot: number, nowMs: number): void {
    this.absent.delete(slot);
    this.absent.set(slot, { generation: cells.generation(slot), sinceMs: nowMs });
  }

  /**
   * Slots whose time is over and that are still down, longest absent first; the caller starts their trials. They are
   * forgotten here, and so are endpoints that were removed or came back by themselves.
   */
  takeDue(cells: Cells, returnAfterMs: number, nowMs: number): number[] {
    const due: number[] = [];
    for (const [slot, { generation, sinceMs }] of this.absent) {
      const stillDown = cells.holds(slot, generation) && !isUp(cells.get(slot, EndpointCell.HealthState));
      if (stillDown && sinceMs + returnAfterMs > nowMs) continue;
      this.absent.delete(slot);
      if (stillDown) due.push(slot);
    }
    return due;
  }

  /** Time of the next return; Infinity while none is down. */
  nextMs(returnAfterMs: number): number {
    let next = Infinity;
    for (const { sinceMs } of this.absent.values()) next = Math.min(next, sinceMs + returnAfterMs);
    return next;
  }

  /** Forgets all, for a port that got active checks or lost its checks. */
  clear(): void {
    this.absent.clear();
  }
}
