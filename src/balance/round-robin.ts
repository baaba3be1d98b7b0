// Smooth weighted round robin: an immutable schedule (schedule.ts) and one cursor, a cell of the upstream port, so that
// all workers share one rotation. APISIX interleaves weights in bursts (`roundrobin` with 21:11 starts with ten in a
// row); totals of a cycle are the same here, the order is smoother.
//
// First pick of a request: the schedule's entry at the cursor, which moves on by one. The cursor only ever counts up and
// is taken modulo the schedule's length, so a change of endpoints neither restarts the rotation at the first endpoint
// nor needs a lock; one cycle in 2^32 picks is cut short where the counter wraps.
//
// Retry: the cursor stays, so the totals of first picks hold however many calls fail. The endpoint is drawn from what
// the schedule holds for the untried ones, by a hash of the cursor. Taking the next entry of the schedule instead would
// give all calls of a dead endpoint to its neighbour.
import type { Rng } from '../base/rng.ts';
import type { Cells } from '../model/cells.ts';
import { PortCell } from '../model/cells.ts';
import type { BalancedEndpoint, Balancer, LiveNumbers } from './balancer.ts';
import type { Schedule } from './schedule.ts';
import { buildSchedule } from './schedule.ts';
import type { TriedSlots } from './tried-slots.ts';

const NOTHING: Schedule = { order: new Uint16Array(0), shares: [] };

/** Weighted round robin (APISIX `type: roundrobin`). */
export function createRoundRobin(): Balancer {
  return new RoundRobin();
}

/**
 * Sets a new port's cursor to a random place. Without it, every sidecar that starts would send its first call to the
 * same endpoint.
 */
export function seedCursor(ports: Cells, portSlot: number, rng: Rng): void {
  ports.set(portSlot, PortCell.Cursor, rng.below(0x8000_0000));
}

class RoundRobin implements Balancer {
  private endpoints: readonly BalancedEndpoint[] = [];
  private schedule = NOTHING;

  update(endpoints: readonly BalancedEndpoint[]): void {
    const same =
      endpoints.length === this.endpoints.length &&
      endpoints.every(({ weight }, index) => weight === this.endpoints[index]!.weight);
    this.endpoints = endpoints;
    if (!same) this.schedule = buildSchedule(endpoints.map(({ weight }) => weight));
  }

  pick(live: LiveNumbers, tried: TriedSlots): number {
    const { order } = this.schedule;
    if (order.length === 0) return -1;
    const cursor = live.ports.get(live.portSlot, PortCell.Cursor);
    if (tried.size > 0) return this.pickUntried(cursor, tried);
    live.ports.set(live.portSlot, PortCell.Cursor, cursor + 1);
    return order[(cursor >>> 0) % order.length]!;
  }

  private pickUntried(cursor: number, tried: TriedSlots): number {
    const { endpoints } = this;
    const { shares } = this.schedule;
    let entries = 0;
    for (let i = 0; i < endpoints.length; i++) if (!tried.has(endpoints[i]!.slot)) entries += shares[i]!;
    let skip = Math.floor(mix(cursor + tried.size) * entries);
    for (let i = 0; i < endpoints.length; i++) {
      if (tried.has(endpoints[i]!.slot)) continue;
      skip -= shares[i]!;
      if (skip < 0) return i;
    }
    return -1;
  }
}

/** Spreads an integer evenly over [0, 1): the finalizer of MurmurHash3. */
function mix(value: number): number {
  let hash = Math.imul(value, 0x9e37_79b1);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 0x1_0000_0000;
}
