// Smooth weighted round robin: an immutable schedule (schedule.ts) and one cursor, a cell of the upstream port, so that
// all workers share one rotation. APISIX interleaves weights in bursts (`roundrobin` with 21:11 starts with ten in a
// row); totals of a cycle are the same here, the order is smoother. Guarded by `npm run bench -- micro pick`.
//
// First pick of a request: the schedule's entry at the cursor, which moves on by one. The cursor only ever counts up and
// is taken modulo the schedule's length, so a change of endpoints neither restarts the rotation at the first endpoint
// nor needs a lock; one cycle in 2^32 picks is cut short where the counter wraps.
//
// Slow start: an entry of an endpoint with share s of its weight counts with probability s, by a hash of the cursor, and
// else the cursor moves on past it. So it gets s times what it would get, and the others keep their order.
//
// Retry, and first pick whose entry can't take a call: drawn from what the schedule holds for the untried ones that can,
// by a hash of the cursor and of the number of draws so far: the calls of a connection that broke are all retried at one
// cursor, and must not all go to one endpoint. Taking the next entry of the schedule instead would give all calls of a
// dead endpoint to its neighbour. A retry leaves the cursor, so the totals of first picks hold however many calls fail. The
// same goes for calls that spill over from another level of priority: the cursor is the port's, and with two levels that
// take turns each would see every second entry of its schedule only.
import type { Rng } from '../base/rng.ts';
import type { Cells } from '../model/cells.ts';
import { PortCell } from '../model/cells.ts';
import { scalingNote } from './apportion.ts';
import type { BalancedEndpoint, Balancer, LiveNumbers, PickHints } from './balancer.ts';
import { canTake, shareOf } from './balancer.ts';
import type { Schedule } from './schedule.ts';
import { buildSchedule } from './schedule.ts';
import type { TriedSlots } from './tried-slots.ts';
import { unitHash } from './unit-hash.ts';

const NOTHING: Schedule = { order: new Uint16Array(0), shares: [], asked: 0 };
/** Entries drawn at random before all endpoints are looked at. The chances are the same either way. */
const QUICK_DRAWS = 8;

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
  readonly wantsAll = false;
  /** Of the last update. */
  private readonly weights: number[] = [];
  private slots = new Int32Array(0);
  private schedule = NOTHING;
  private draws = 0;

  update(endpoints: readonly BalancedEndpoint[]): string {
    // Plain loops: a port may have tens of thousands of endpoints, and this runs whenever one of them changes.
    const count = endpoints.length;
    const slots = new Int32Array(count);
    const { weights } = this;
    let same = count === weights.length;
    weights.length = count;
    for (let i = 0; i < count; i++) {
      const { slot, weight } = endpoints[i]!;
      slots[i] = slot;
      if (weight === weights[i]) continue;
      weights[i] = weight;
      same = false;
    }
    this.slots = slots;
    if (!same) this.schedule = buildSchedule(weights);
    const { order, shares, asked } = this.schedule;
    return asked > order.length ? scalingNote(endpoints, shares, asked, 'picks in a cycle') : '';
  }

  describe(live: LiveNumbers, index: number): string {
    const { order, shares } = this.schedule;
    const share = index < this.slots.length ? shareOf(live.endpoints, this.slots[index]!) : 1;
    const place = `share ${shares[index] ?? 0} of ${order.length}`;
    return share < 1 ? `${place}, ${(share * 100).toFixed(1)} % of it in slow start` : place;
  }

  pick(live: LiveNumbers, tried: TriedSlots, hints: PickHints): number {
    const { slots } = this;
    const { order } = this.schedule;
    const { length } = order;
    if (length === 0) return -1;
    const cursor = live.ports.get(live.portSlot, PortCell.Cursor);
    if (tried.size > 0 || hints.spilled) return this.draw(live, tried, cursor);
    for (let step = 0; step < length; step++) {
      const index = order[((cursor + step) >>> 0) % length]!;
      const share = shareOf(live.endpoints, slots[index]!);
      if (share < 1 && unitHash(cursor + step) >= share) continue;
      const picked = canTake(live.endpoints, slots[index]!) ? index : this.draw(live, tried, cursor + step);
      // Where nobody can take a call, another level may: the cursor isn't moved twice for it.
      if (picked >= 0) live.ports.set(live.portSlot, PortCell.Cursor, cursor + step + 1);
      return picked;
    }
    const picked = this.draw(live, tried, cursor);
    if (picked >= 0) live.ports.set(live.portSlot, PortCell.Cursor, cursor + length);
    return picked;
  }

  /** One of the untried that can take a call, with the chance of its share of the schedule; -1 if there is none. */
  private draw(live: LiveNumbers, tried: TriedSlots, cursor: number): number {
    const { slots } = this;
    const { order, shares } = this.schedule;
    this.draws = (this.draws + 1) | 0;
    const seed = Math.imul(cursor, QUICK_DRAWS + 1) + Math.imul(this.draws, 0x3c6e_f372);
    for (let draw = 1; draw <= QUICK_DRAWS; draw++) {
      const index = order[Math.floor(unitHash(seed + draw) * order.length)]!;
      const share = this.openShare(live, tried, slots[index]!);
      if (share === 1 || (share > 0 && unitHash(~(seed + draw)) < share)) return index;
    }
    let sum = 0;
    for (let i = 0; i < slots.length; i++) sum += shares[i]! * this.openShare(live, tried, slots[i]!);
    let skip = unitHash(seed) * sum;
    let last = -1;
    for (let i = 0; i < slots.length && skip >= 0; i++) {
      const weight = shares[i]! * this.openShare(live, tried, slots[i]!);
      if (weight === 0) continue;
      last = i;
      skip -= weight;
    }
    return last;
  }

  /** Share of its weight that counts now: 0 for one that was tried or can't take a call. */
  private openShare(live: LiveNumbers, tried: TriedSlots, slot: number): number {
    return tried.has(slot) || !canTake(live.endpoints, slot) ? 0 : Math.min(1, shareOf(live.endpoints, slot));
  }
}
