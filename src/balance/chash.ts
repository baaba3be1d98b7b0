// Consistent hashing on APISIX's ring (hash-ring.ts). The ring is made of all endpoints, those out of use too, and only
// of their ids and weights. What can't serve a key is passed over while walking along the ring, so a key moves only while
// its own endpoint is out, full or tried, always to the same next one, and comes back with it. Weights change their
// greatest common divisor and with it the points of everybody: that is APISIX's ring too. Guarded by
// `npm run bench -- micro pick`.
//
// Two things only hold an endpoint back: it is used if nobody else is left.
// - Bounded load: it would have more calls in flight than `hashBalanceFactor` percent of the mean, rounded up (Envoy
//   `hash_balance_factor`): in flight + 1 > ⌈factor / 100 × in flight of the port / endpoints in use⌉, where the request
//   is counted among those of the port already.
// - Slow start: with share s of its weight it gets those of its keys whose hash, stirred with its id, is below s. As s
//   grows keys only move to it, and each key moves once.
// Of these the overloaded is the last resort before the one in slow start.
//
// Where most endpoints are closed or overloaded, the next that will do may be a hundred thousand points away. So after some
// points all endpoints are looked at once. If those that will do have many points, walking on ends soon; if they have
// few, these are made again, and the walk goes on at the nearest. With r points on the ring neither takes more than
// about √r steps.
import { EndpointCell, PortCell } from '../model/cells.ts';
import { scalingNote } from './apportion.ts';
import type { BalancedEndpoint, Balancer, LiveNumbers, PickHints } from './balancer.ts';
import { canTake, shareOf } from './balancer.ts';
import { keyHash } from './crc32.ts';
import { buildRing, distanceToPoint, firstPoint } from './hash-ring.ts';
import type { TriedSlots } from './tried-slots.ts';
import { unitHash } from './unit-hash.ts';

/** Points that a walk goes along before all endpoints are looked at. */
const PATIENCE = 64;

/** What an endpoint is for a key, from the worst to the best. */
const CLOSED = 0;
const WARMING_UP = 1;
const OVERLOADED = 2;
const FREE = 3;

/**
 * Consistent hashing by `PickHints.keyHash` (APISIX `type: chash`). `hashBalanceFactor`: percent of the mean of calls in
 * flight that an endpoint may have, 100 or more; 0: no bound.
 */
export function createChash(hashBalanceFactor: number): Balancer {
  return new ConsistentHash(hashBalanceFactor);
}

class ConsistentHash implements Balancer {
  readonly wantsAll = true;
  private readonly factor: number;
  private endpoints: readonly BalancedEndpoint[] = [];
  private ring = buildRing([], []);
  private note = '';
  private slots = new Int32Array(0);
  private idHashes = new Int32Array(0);
  /** Endpoints with points. */
  private weighted = 0;
  /** For each endpoint the number of the last walk that met it. */
  private met = new Uint32Array(0);
  private walks = 0;
  /** Endpoints in use when they were last counted, and how often that count may still serve. */
  private inUse = 0;
  private inUseServes = 0;
  /** For this pick: factor × calls of the port, the bound if all endpoints were in use, and the bound; 0: not needed yet. */
  private asked = 0;
  private lowestBound = 0;
  private bound = 0;

  constructor(factor: number) {
    this.factor = factor;
  }

  update(endpoints: readonly BalancedEndpoint[]): string {
    const same =
      endpoints.length === this.endpoints.length &&
      endpoints.every(({ id, weight }, index) => {
        const before = this.endpoints[index]!;
        return id === before.id && weight === before.weight;
      });
    this.endpoints = endpoints;
    this.slots = Int32Array.from(endpoints, ({ slot }) => slot);
    this.inUseServes = 0;
    if (same) return this.note;
    const ids = endpoints.map(({ id }) => id);
    this.ring = buildRing(
      ids,
      endpoints.map(({ weight }) => weight),
    );
    const { points, asked, hashes } = this.ring;
    this.idHashes = Int32Array.from(ids, keyHash);
    this.weighted = points.filter((count) => count > 0).length;
    this.met = new Uint32Array(endpoints.length);
    this.walks = 0;
    this.note = asked > hashes.length ? scalingNote(endpoints, points, asked, 'points on the ring') : '';
    return this.note;
  }

  pick(live: LiveNumbers, tried: TriedSlots, hints: PickHints): number {
    const { ring } = this;
    if (ring.hashes.length === 0) return -1;
    const hash = hints.keyHash >>> 0;
    this.readLoad(live);
    const first = firstPoint(ring, hash);
    const index = ring.owners[first]!;
    return this.gradeOf(live, tried, index, hash) === FREE ? index : this.walk(live, tried, hash, first);
  }

  describe(live: LiveNumbers, index: number, hints: PickHints): string {
    const { hashes, owners, points } = this.ring;
    const count = points[index] ?? 0;
    if (count === 0) return 'no points on the ring';
    const hash = hints.keyHash >>> 0;
    this.readLoad(live);
    const before = new Set<number>();
    for (let at = firstPoint(this.ring, hash); owners[at] !== index; at = (at + 1) % hashes.length) {
      before.add(owners[at]!);
    }
    const warmingUp = this.isWarmingUp(live, index, hash) ? ', held back by slow start' : '';
    const overloaded = this.isOverloaded(live, index) ? `, above ${this.factor} % of the mean load` : '';
    return `place ${before.size + 1} from the key, ${count} of ${hashes.length} points${warmingUp}${overloaded}`;
  }

  /** Goes along the ring from point `first` until an endpoint is free, or every one was met; then the first of the best. */
  private walk(live: LiveNumbers, tried: TriedSlots, hash: number, first: number): number {
    const { met } = this;
    const { owners } = this.ring;
    const walk = this.startWalk();
    let left = this.weighted;
    let best = -1;
    let bestGrade = CLOSED;
    let at = first;
    for (let steps = 0; left > 0; steps++) {
      if (steps === PATIENCE) {
        const further = this.findFurther(live, tried, hash, at, bestGrade);
        return further >= 0 ? further : best;
      }
      const index = owners[at]!;
      if (met[index] !== walk) {
        met[index] = walk;
        left--;
        const grade = this.gradeOf(live, tried, index, hash);
        if (grade === FREE) return index;
        if (grade > bestGrade) {
          best = index;
          bestGrade = grade;
        }
      }
      at = at + 1 === owners.length ? 0 : at + 1;
    }
    return best;
  }

  /** From point `from` on, the first of the best endpoints that this walk didn't meet; -1 if none is better than `grade`. */
  private findFurther(live: LiveNumbers, tried: TriedSlots, hash: number, from: number, grade: number): number {
    const { met, walks: walk } = this;
    const { owners, points } = this.ring;
    let best = grade;
    let bestPoints = 0;
    for (let i = 0; i < met.length; i++) {
      if (met[i] === walk || points[i] === 0) continue;
      // Nearly all of the many are overloaded where one is, and then that is all there is to know of them.
      const its = grade === OVERLOADED && this.isOverloaded(live, i) ? grade : this.gradeOf(live, tried, i, hash);
      if (its < best || its === grade) {
        met[i] = walk;
        continue;
      }
      bestPoints = its === best ? bestPoints + points[i]! : points[i]!;
      best = its;
    }
    if (bestPoints === 0) return -1;
    const isFar = bestPoints * bestPoints < owners.length;
    for (
      let at = isFar ? this.nearestPoint(live, tried, hash, best) : from;
      ;
      at = at + 1 === owners.length ? 0 : at + 1
    ) {
      const index = owners[at]!;
      if (met[index] === walk) continue;
      if (this.gradeOf(live, tried, index, hash) === best) return index;
      met[index] = walk;
    }
  }

  /** The first point of all those that belong to endpoints of this grade that this walk didn't meet. */
  private nearestPoint(live: LiveNumbers, tried: TriedSlots, hash: number, grade: number): number {
    const { met, ring, walks: walk } = this;
    let nearest = Infinity;
    for (let i = 0; i < met.length; i++) {
      if (met[i] === walk || ring.points[i] === 0 || this.gradeOf(live, tried, i, hash) !== grade) continue;
      nearest = Math.min(nearest, distanceToPoint(ring, i, hash));
    }
    return firstPoint(ring, (hash + nearest) >>> 0);
  }

  private startWalk(): number {
    if (this.walks === 0xffff_ffff) {
      this.met.fill(0);
      this.walks = 0;
    }
    return ++this.walks;
  }

  private gradeOf(live: LiveNumbers, tried: TriedSlots, index: number, hash: number): number {
    const slot = this.slots[index]!;
    if (!canTake(live.endpoints, slot) || tried.has(slot)) return CLOSED;
    if (this.isWarmingUp(live, index, hash)) return WARMING_UP;
    return this.isOverloaded(live, index) ? OVERLOADED : FREE;
  }

  /** Whether slow start keeps this key from the endpoint. By id, not by slot, so that every sidecar says the same. */
  private isWarmingUp(live: LiveNumbers, index: number, hash: number): boolean {
    const share = shareOf(live.endpoints, this.slots[index]!);
    return share < 1 && unitHash(hash ^ this.idHashes[index]!) >= share;
  }

  /** Reads what bounds depend on, once for a pick. */
  private readLoad(live: LiveNumbers): void {
    if (this.factor === 0) return;
    this.asked = this.factor * Math.max(1, live.ports.get(live.portSlot, PortCell.InFlight));
    this.lowestBound = Math.ceil(this.asked / (100 * this.weighted));
    this.bound = 0;
  }

  private isOverloaded(live: LiveNumbers, index: number): boolean {
    if (this.factor === 0) return false;
    const calls = live.endpoints.get(this.slots[index]!, EndpointCell.InFlight) + 1;
    // Who keeps to the lowest bound needs no count of those in use.
    if (calls <= this.lowestBound) return false;
    if (this.bound === 0) this.bound = Math.ceil(this.asked / (100 * Math.max(1, this.countInUse(live))));
    return calls > this.bound;
  }

  /** Endpoints in use. One count serves n / 16 times: exact for a few endpoints, and of bounded cost for thousands. */
  private countInUse(live: LiveNumbers): number {
    if (this.inUseServes > 0) {
      this.inUseServes--;
      return this.inUse;
    }
    const { slots } = this;
    const { points } = this.ring;
    let count = 0;
    for (let i = 0; i < slots.length; i++) {
      if (points[i]! > 0 && live.endpoints.get(slots[i]!, EndpointCell.Out) === 0) count++;
    }
    this.inUse = count;
    this.inUseServes = this.weighted >> 4;
    return count;
  }
}
