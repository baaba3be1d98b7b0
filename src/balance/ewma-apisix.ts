// APISIX's `ewma`, to the letter: two different endpoints are drawn evenly, whatever their weights, 0 too; the lower
// decayed score wins (balance/latency.ts), and of equal ones the first drawn. An endpoint without a score has 0 and
// beats all others until its first call ends. Calls in flight don't count. balance/ewma.ts is the better one.
import type { Rng } from '../base/rng.ts';
import { EndpointCell, type Cells } from '../model/cells.ts';
import type { BalancedEndpoint, Balancer, LiveNumbers, PickHints } from './balancer.ts';
import { canTake } from './balancer.ts';
import { isApisixLatencyLower, readApisixLatencyUs } from './latency.ts';
import type { TriedSlots } from './tried-slots.ts';

/** How often one that can't be used is drawn before all are looked at. */
const MAX_DRAWS = 8;

/** Balancer on decayed latency alone (APISIX `type: ewma`, `ewma_formula: apisix`). */
export function createApisixEwma(rng: Rng): Balancer {
  return new ApisixEwma(rng);
}

class ApisixEwma implements Balancer {
  readonly wantsAll = false;
  private readonly rng: Rng;
  private slots = new Int32Array(0);

  constructor(rng: Rng) {
    this.rng = rng;
  }

  update(endpoints: readonly BalancedEndpoint[]): string {
    this.slots = Int32Array.from(endpoints, ({ slot }) => slot);
    return '';
  }

  pick(live: LiveNumbers, tried: TriedSlots, hints: PickHints): number {
    const cells = live.endpoints;
    const first = this.draw(cells, tried, -1);
    if (first < 0) return -1;
    const second = this.draw(cells, tried, first);
    if (second < 0) return first;
    const nowMs = hints.nowMs | 0; // whole numbers are passed on without allocating
    return isApisixLatencyLower(cells, this.slots[second]!, this.slots[first]!, nowMs) ? second : first;
  }

  describe(live: LiveNumbers, index: number, hints: PickHints): string {
    const slot = this.slots[index];
    if (slot === undefined) return '';
    const scoreUs = readApisixLatencyUs(live.endpoints, slot, hints.nowMs);
    const unknown = live.endpoints.get(slot, EndpointCell.LatencyUs) === 0 ? ', not measured yet' : '';
    return `score ${(scoreUs / 1_000).toFixed(2)} ms${unknown}`;
  }

  private draw(cells: Cells, tried: TriedSlots, except: number): number {
    const { rng, slots } = this;
    const count = except < 0 ? slots.length : slots.length - 1;
    if (count === 0) return -1;
    for (let i = Math.min(MAX_DRAWS, count); i > 0; i--) {
      const drawn = rng.below(count);
      const index = except >= 0 && drawn >= except ? drawn + 1 : drawn;
      const slot = slots[index]!;
      if (canTake(cells, slot) && !tried.has(slot)) return index;
    }
    return this.drawByScan(cells, tried, except);
  }

  /** The n-th of those that can be used, n by chance; -1 if there is none. */
  private drawByScan(cells: Cells, tried: TriedSlots, except: number): number {
    const { slots } = this;
    let count = 0;
    for (let i = 0; i < slots.length; i++) if (this.isEligible(cells, tried, i, except)) count++;
    let skip = this.rng.below(count);
    for (let i = 0; i < slots.length; i++) {
      if (this.isEligible(cells, tried, i, except) && skip-- === 0) return i;
    }
    return -1;
  }

  private isEligible(cells: Cells, tried: TriedSlots, index: number, except: number): boolean {
    const slot = this.slots[index]!;
    return index !== except && canTake(cells, slot) && !tried.has(slot);
  }
}
