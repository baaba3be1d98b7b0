// Least connections: the endpoint with the lowest (1 + in flight) / weight gets the call. Calls in flight are a cell of
// the endpoint that its owner moves, so they live as long as the endpoint, whatever happens to weights, policy or the
// other endpoints, and hold every kind of attempt for as long as it lasts: streams and WebSockets too. Guarded by
// `npm run bench -- micro pick`.
//
// Ties go to the heavier endpoint, and are drawn by chance among equal weights, so that idle sidecars don't all begin
// with the same endpoint. Weights 3:2 with calls held give A B A A B A B A A B, as in APISIX.
//
// A list that is short is looked through. A long one has its scores on a board (minimum-blocks.ts). Scores change
// outside its sight: what starts calls or takes endpoints out needn't tell, since that only makes scores worse than the
// board has them, and whoever comes up as the least is compared with its cells and put right. What makes scores better has to
// be told: `ended` for each attempt; a growing slow-start share or a cap that was lifted is seen within REFRESH_MS.
import type { Rng } from '../base/rng.ts';
import { EndpointCell, type Cells } from '../model/cells.ts';
import type { BalancedEndpoint, Balancer, LiveNumbers, PickHints } from './balancer.ts';
import { canTake, shareOf } from './balancer.ts';
import { MinimumBlocks } from './minimum-blocks.ts';
import { SlotIndex } from './slot-index.ts';
import type { TriedSlots } from './tried-slots.ts';

/** Up to so many endpoints are looked through, which is as fast as the board for them. */
const SCAN_LIMIT = 16;

/** All scores on the board are read anew after so long. */
const REFRESH_MS = 250;

/** How often a tried endpoint may come up before all are looked through. */
const MAX_DRAWS = 8;

const NOTHING = new Int32Array(0);

/** Balancer on calls in flight (APISIX `type: least_conn`). */
export function createLeastConn(rng: Rng): Balancer {
  return new LeastConn(rng);
}

class LeastConn implements Balancer {
  readonly wantsAll = false;
  private readonly rng: Rng;
  private slots = new Int32Array(0);
  private weights = new Float64Array(0);
  /** Undefined: the list is looked through. */
  private board: MinimumBlocks | undefined = undefined;
  /** Empty where there is no board. */
  private readonly indexes = new SlotIndex();
  /** Index of the last pick, whose call has begun since. */
  private picked = -1;
  /** When the board was filled from the cells; NaN: not yet. */
  private filledAtMs = NaN;

  constructor(rng: Rng) {
    this.rng = rng;
  }

  update(endpoints: readonly BalancedEndpoint[]): string {
    const count = endpoints.length;
    const slots = new Int32Array(count);
    const weights = new Float64Array(count);
    let anyWeight = false;
    for (let i = 0; i < count; i++) {
      const { slot, weight } = endpoints[i]!;
      slots[i] = slot;
      weights[i] = weight;
      if (weight > 0) anyWeight = true;
    }
    if (!anyWeight) weights.fill(1);
    this.slots = slots;
    this.weights = weights;
    this.board = count > SCAN_LIMIT ? new MinimumBlocks(count) : undefined;
    this.filledAtMs = NaN;
    this.picked = -1;
    this.indexes.update(this.board ? slots : NOTHING);
    return '';
  }

  ended(live: LiveNumbers, slot: number): void {
    if (!this.board) return;
    const index = this.indexes.get(slot);
    if (index >= 0) this.read(this.board, live.endpoints, index);
  }

  pick(live: LiveNumbers, tried: TriedSlots, hints: PickHints): number {
    const cells = live.endpoints;
    const { board } = this;
    if (!board) return this.scan(cells, tried);
    if (!(hints.nowMs - this.filledAtMs < REFRESH_MS)) this.fill(board, cells, hints.nowMs);
    else if (this.picked >= 0) this.read(board, cells, this.picked);
    this.picked = this.drawLeast(board, cells, tried);
    return this.picked;
  }

  describe(live: LiveNumbers, index: number): string {
    const slot = this.slots[index];
    if (slot === undefined) return '';
    const inFlight = live.endpoints.get(slot, EndpointCell.InFlight);
    const share = shareOf(live.endpoints, slot);
    const weight = this.weights[index]!;
    const started = share === 1 ? '' : ` × ${share.toFixed(2)}`;
    const score = weight === 0 ? 'last resort' : ((1 + inFlight) / (weight * share)).toFixed(2);
    return `in flight ${inFlight}, weight ${weight}${started}: ${score}`;
  }

  private fill(board: MinimumBlocks, cells: Cells, nowMs: number): void {
    for (let i = 0; i < this.slots.length; i++) {
      this.measure(board.next, cells, i);
      board.fill(i);
    }
    board.build();
    this.filledAtMs = nowMs;
  }

  /** Puts one endpoint right on the board; false where it was. */
  private read(board: MinimumBlocks, cells: Cells, index: number): boolean {
    this.measure(board.next, cells, index);
    return board.set(index);
  }

  /** Score and rank among equals. Score Infinity: it can't be picked, or only where nothing else is left. */
  private measure(into: Float64Array, cells: Cells, index: number): void {
    const slot = this.slots[index]!;
    const rank = this.weights[index]! * shareOf(cells, slot);
    into[1] = rank;
    if (canTake(cells, slot)) into[0] = (1 + cells.get(slot, EndpointCell.InFlight)) / rank;
    else into[0] = Infinity;
  }

  private drawLeast(board: MinimumBlocks, cells: Cells, tried: TriedSlots): number {
    for (let draws = 0; draws < MAX_DRAWS;) {
      const index = board.draw(this.rng);
      if (index < 0) break;
      if (this.read(board, cells, index)) continue;
      if (!tried.has(this.slots[index]!)) return index;
      draws++;
    }
    return this.scan(cells, tried);
  }

  /** The exact answer for any case: the least score of those that can be used, weight 0 only if there is no other. */
  private scan(cells: Cells, tried: TriedSlots): number {
    const { rng, slots, weights } = this;
    let best = -1;
    let bestScore = 0;
    let bestRank = 0;
    let equals = 0;
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i]!;
      if (!canTake(cells, slot) || (tried.size > 0 && tried.has(slot))) continue;
      const calls = 1 + cells.get(slot, EndpointCell.InFlight);
      const rank = weights[i]! * shareOf(cells, slot);
      // Among those of weight 0 only calls count; they come after all others.
      const score = rank === 0 ? calls : calls / rank;
      let order = best < 0 ? -1 : (rank === 0 ? 1 : 0) - (bestRank === 0 ? 1 : 0);
      if (order === 0) order = score - bestScore || bestRank - rank;
      if (order > 0) continue;
      if (order < 0) {
        best = i;
        bestScore = score;
        bestRank = rank;
        equals = 1;
      } else if (rng.below(++equals) === 0) {
        best = i;
      }
    }
    return best;
  }
}
