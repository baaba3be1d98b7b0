// Power of two choices on load: two different endpoints are drawn by chance, and the one with the lower load gets the
// call. Two, because always taking the best of all would send every call of a moment to one endpoint. Guarded by
// `npm run bench -- micro pick`.
//
//   load = latency × (1 + in flight / relative weight)     relative weight = weight × slow-start share / mean weight
//
// With equal weights that is latency × (in flight + 1), Linkerd's peak EWMA (balance/latency.ts).
//
// Weights. The first endpoint is drawn in proportion to weights, and the second, its challenger, has to have a clearly
// lower load (a fifth) to take the call over: near ties go by weight. Dividing by weight alone would give an idle pair
// of 3:1 all calls to the heavier; drawing by weight alone would even out the calls in flight of a busy one. A
// challenger that is lighter than the first also bears the call itself, as far as it is lighter, else an endpoint of
// weight 1 would always hold one call beside one of 1,000. An endpoint in slow start is passed over in proportion.
//
// Unknown latency. The value of an endpoint that has no new samples doesn't decay to 0 but to half the latency that
// picked endpoints typically have, and an endpoint without any sample begins there. So whoever is new or was avoided for
// long wins when it is drawn idle, and is an average endpoint with one call in flight: it is tried early, and never
// flooded, not even if it takes calls and answers none.
import type { Rng } from '../base/rng.ts';
import { EndpointCell, type Cells } from '../model/cells.ts';
import type { BalancedEndpoint, Balancer, LiveNumbers, PickHints } from './balancer.ts';
import { canTake, shareOf } from './balancer.ts';
import { fadingLatencyUs, LATENCY_DECAY_MS, latencyAgeMs, readLatencyUs } from './latency.ts';
import type { TriedSlots } from './tried-slots.ts';
import { WeightedDraw } from './weighted-draw.ts';

/** How often one that can't be used is drawn before all are looked at. */
const MAX_DRAWS = 8;

/** By how much a challenger's load must be lower. */
const CLEARLY = 1.25;

/** Latency of an endpoint that nothing is known of, as a part of the typical one. */
const UNKNOWN = 0.5;

/** An older sample is no measure of what is typical. */
const FRESH_MS = LATENCY_DECAY_MS / 2;

/** One of so many picks is looked at for the typical latency, which is averaged over so many of them. */
const LEARN_EVERY = 8;
const TYPICAL_OVER = 16;

/** Balancer on decayed latency and calls in flight (APISIX `type: ewma`, `ewma_formula: peak`). */
export function createEwma(rng: Rng): Balancer {
  return new Ewma(rng);
}

class Ewma implements Balancer {
  readonly wantsAll = false;
  private readonly rng: Rng;
  private readonly draws: WeightedDraw;
  private slots = new Int32Array(0);
  /** Latency that picked endpoints had lately, µs. */
  private typicalUs = 0;
  /** What an endpoint counts as that nothing is known of, whole µs. While nobody was measured any number does. */
  private unknownUs = 1;
  private someKnown = false;
  private picks = 0;

  constructor(rng: Rng) {
    this.rng = rng;
    this.draws = new WeightedDraw(rng);
  }

  update(endpoints: readonly BalancedEndpoint[]): string {
    // A plain loop: a port may have tens of thousands of endpoints, and this runs whenever one of them changes.
    const slots = new Int32Array(endpoints.length);
    const weights = new Float64Array(endpoints.length);
    for (let i = 0; i < slots.length; i++) {
      const { slot, weight } = endpoints[i]!;
      slots[i] = slot;
      weights[i] = weight;
    }
    this.slots = slots;
    this.draws.update(weights);
    return '';
  }

  pick(live: LiveNumbers, tried: TriedSlots, hints: PickHints): number {
    const cells = live.endpoints;
    const { draws } = this;
    let first = draws.any();
    if (first >= 0 && !this.isPlain(cells, tried, first)) first = this.drawFirst(cells, tried, first);
    if (first < 0) return -1;
    let second = draws.other(first);
    if (second >= 0 && !this.isPlain(cells, tried, second)) second = this.drawChallenger(cells, tried, first, second);
    const nowMs = hints.nowMs | 0; // whole numbers are passed on without allocating
    const index = second >= 0 && this.losesTo(cells, first, second, nowMs) ? second : first;
    if (!this.someKnown) this.learnFirst(cells, index, index === first ? second : first, nowMs);
    else if (++this.picks % LEARN_EVERY === 0) this.learnTypical(cells, this.slots[index]!, nowMs);
    return index;
  }

  describe(live: LiveNumbers, index: number, hints: PickHints): string {
    const slot = this.slots[index];
    if (slot === undefined) return '';
    const cells = live.endpoints;
    const calls = cells.get(slot, EndpointCell.InFlight) / (this.draws.weights[index]! * shareOf(cells, slot));
    const latencyUs = fadingLatencyUs(cells, slot, hints.nowMs | 0, this.unknownUs);
    const loadMs = (latencyUs * (1 + (calls || 0) * this.draws.mean)) / 1_000;
    const guessed = cells.get(slot, EndpointCell.LatencyUs) === 0 ? ', not measured yet' : '';
    return `load ${loadMs.toFixed(2)} ms${guessed}`;
  }

  private losesTo(cells: Cells, first: number, second: number, nowMs: number): boolean {
    const { weights, mean } = this.draws;
    const { unknownUs } = this;
    const firstSlot = this.slots[first]!;
    const secondSlot = this.slots[second]!;
    const firstWeight = weights[first]! * shareOf(cells, firstSlot);
    const secondWeight = weights[second]! * shareOf(cells, secondSlot);
    // Loads are compared times both weights, which spares the divisions. A lighter second's own call, 1 - its weight / the
    // first's, comes to the difference.
    const own = Math.max(0, firstWeight - secondWeight);
    const firstCalls = cells.get(firstSlot, EndpointCell.InFlight);
    const secondCalls = cells.get(secondSlot, EndpointCell.InFlight);
    const firstFactor = (firstWeight + firstCalls * mean) * secondWeight;
    const secondFactor = firstWeight * secondWeight + (secondCalls * firstWeight + own) * mean;
    const firstUs = fadingLatencyUs(cells, firstSlot, nowMs, unknownUs);
    const secondUs = fadingLatencyUs(cells, secondSlot, nowMs, unknownUs);
    return secondUs * secondFactor * CLEARLY < firstUs * firstFactor;
  }

  /**
   * As long as nothing is known one that never answers seems the quickest and is picked. So until somebody who was picked
   * turns out to be measured, the other one is what an unknown endpoint is measured by.
   */
  private learnFirst(cells: Cells, picked: number, other: number, nowMs: number): void {
    this.learnTypical(cells, this.slots[picked]!, nowMs);
    if (this.someKnown || other < 0) return;
    const latencyUs = readLatencyUs(cells, this.slots[other]!, nowMs);
    if (latencyUs > 0) this.unknownUs = Math.max(1, Math.round(latencyUs * UNKNOWN)) | 0;
  }

  private learnTypical(cells: Cells, slot: number, nowMs: number): void {
    const latencyUs = readLatencyUs(cells, slot, nowMs);
    if (latencyUs === 0 || (this.someKnown && latencyAgeMs(cells, slot, nowMs) > FRESH_MS)) return;
    this.typicalUs += (latencyUs - this.typicalUs) / (this.someKnown ? TYPICAL_OVER : 1);
    this.unknownUs = Math.max(1, Math.round(this.typicalUs * UNKNOWN)) | 0;
    this.someKnown = true;
  }

  /** Whether there is nothing to ask about an endpoint that was drawn, as of nearly all: in use, no cap, not in slow start. */
  private isPlain(cells: Cells, tried: TriedSlots, index: number): boolean {
    const { words } = cells;
    const row = cells.at(this.slots[index]!, 0);
    const special = words[row + EndpointCell.Out]! | words[row + EndpointCell.Cap]! | words[row + EndpointCell.Share]!;
    return special === 0 && tried.size === 0;
  }

  /** The first endpoint where `drawn` may not do. */
  private drawFirst(cells: Cells, tried: TriedSlots, drawn: number): number {
    let index = drawn;
    for (let left = Math.min(MAX_DRAWS, this.slots.length); left > 0; left--) {
      const slot = this.slots[index]!;
      if (canTake(cells, slot) && !tried.has(slot) && this.isInShare(cells, slot)) return index;
      if (left > 1) index = this.draws.any();
    }
    return this.drawByScan(cells, tried, -1);
  }

  /** The challenger where `drawn` may not do; -1: none. */
  private drawChallenger(cells: Cells, tried: TriedSlots, first: number, drawn: number): number {
    let index = drawn;
    for (let left = Math.min(MAX_DRAWS, this.slots.length - 1); left > 0; left--) {
      const slot = this.slots[index]!;
      if (canTake(cells, slot) && !tried.has(slot)) return this.isInShare(cells, slot) ? index : -1;
      if (left > 1) index = this.draws.other(first);
    }
    return this.drawByScan(cells, tried, first);
  }

  /** Whether an endpoint in slow start is up for this pick: as often as its share says. */
  private isInShare(cells: Cells, slot: number): boolean {
    const share = shareOf(cells, slot);
    return share === 1 || this.rng.unit() < share;
  }

  /** Draws by weight among all that can be used; -1 if there is none. For the few picks that find none by chance. */
  private drawByScan(cells: Cells, tried: TriedSlots, except: number): number {
    const { slots } = this;
    const { weights } = this.draws;
    let total = 0;
    let last = -1;
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i]!;
      if (weights[i] === 0 || i === except || !canTake(cells, slot) || tried.has(slot)) continue;
      total += weights[i]! * shareOf(cells, slot);
      last = i;
    }
    let point = this.rng.unit() * total;
    for (let i = 0; i < last; i++) {
      const slot = slots[i]!;
      if (weights[i] === 0 || i === except || !canTake(cells, slot) || tried.has(slot)) continue;
      point -= weights[i]! * shareOf(cells, slot);
      if (point < 0) return i;
    }
    return last;
  }
}
