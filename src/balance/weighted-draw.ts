// Drawing an index by chance in proportion to weights, in constant time. Weights stand on a line end to end; a point of
// the line is drawn, and a guide table says where to begin looking for its owner (Chen and Asau's method of cut points):
// little more than one step on average, whatever the weights. Drawing another index than a given one cuts that one's
// piece out of the line, which an alias table couldn't do without drawing again and again.
import type { Rng } from '../base/rng.ts';

/** Up to this mean of the weights each unit of them has a part of the line to itself, and the guide names its owner. */
const UNIT_PARTS = 64;
/** Parts a weight beyond: most points' owner is the one that the guide names. */
const PARTS = 4;

/** Draws indexes of a list of weights. Weight 0 is never drawn, unless all are 0: then all count as 1. */
export class WeightedDraw {
  /** As they count: 1 each where all are 0. */
  weights: Float64Array = new Float64Array(0);
  /** Mean of the weights above 0. */
  mean = 1;
  private readonly rng: Rng;
  private total = 0;
  /** Of all equal weights no table is needed. */
  private equal = true;
  /** Where each index's piece of the line ends. */
  private ends = new Float64Array(0);
  /** The line in equal parts: the index in whose piece each begins. */
  private guide: Uint16Array | Uint32Array = new Uint16Array(0);
  private partsPerUnit = 0;

  constructor(rng: Rng) {
    this.rng = rng;
  }

  /** Replaces the weights, non-negative integers. */
  update(weights: Float64Array): void {
    const count = weights.length;
    if (!weights.some((weight) => weight > 0)) weights.fill(1);
    this.weights = weights;
    const ends = new Float64Array(count);
    let total = 0;
    let positive = 0;
    this.equal = true;
    for (let i = 0; i < count; i++) {
      const weight = weights[i]!;
      if (weight > 0) positive++;
      if (weight !== weights[0]) this.equal = false;
      total += weight;
      ends[i] = total;
    }
    this.total = total;
    this.mean = positive === 0 ? 1 : total / positive;
    this.ends = ends;
    if (this.equal) return;
    const parts = total <= UNIT_PARTS * count ? total : PARTS * count;
    this.guide = count <= 65_536 ? new Uint16Array(parts) : new Uint32Array(parts);
    this.partsPerUnit = parts / total;
    for (let part = 0, index = 0; part < this.guide.length; part++) {
      while (ends[index]! * this.partsPerUnit <= part) index++;
      this.guide[part] = index;
    }
  }

  /** An index; -1 where there are no weights. */
  any(): number {
    const count = this.weights.length;
    if (this.equal) return count === 0 ? -1 : this.rng.below(count);
    return this.at(this.rng.below(this.total));
  }

  /** An index other than `index`; -1 where no other has a weight. */
  other(index: number): number {
    if (this.equal) {
      const count = this.weights.length;
      if (count < 2) return -1;
      // From `index` on one higher, without a branch: processors would foretell it wrong half the time.
      const drawn = this.rng.below(count - 1) | 0;
      return drawn + 1 + ((drawn - index) >> 31);
    }
    const weight = this.weights[index]!;
    const rest = this.total - weight;
    if (rest <= 0) return -1;
    const point = this.rng.below(rest);
    const begin = this.ends[index]! - weight;
    return this.at(point + weight * Number(point >= begin)); // no branch, as above
  }

  /** Points are whole numbers, as weights are: nothing is lost by rounding. */
  private at(point: number): number {
    const { ends } = this;
    let index = this.guide[Math.floor(point * this.partsPerUnit)]!;
    while (ends[index]! <= point) index++;
    return index;
  }
}
