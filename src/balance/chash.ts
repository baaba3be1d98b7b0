// Consistent hashing on APISIX's ring (hash-ring.ts). The ring is made of all endpoints, those out of use too, and only
// of their ids and weights. What can't serve a key is passed over while walking along the ring, so a key moves only while
// its own endpoint is out, full or tried, always to the same next one, and comes back with it. Weights change their
// greatest common divisor and with it the points of everybody: that is APISIX's ring too.
//
// Two things only hold an endpoint back: it is used if nobody else is left.
// - Bounded load: it would have more calls in flight than `hashBalanceFactor` percent of the mean, rounded up (Envoy
//   `hash_balance_factor`): in flight + 1 > ⌈factor / 100 × (in flight of the port + 1) / endpoints in use⌉.
// - Slow start: with share s of its weight it gets those of its keys whose hash, stirred with its id, is below s. As s
//   grows keys only move to it, and each key moves once.
// Of these the overloaded is the last resort before the one in slow start.
import { EndpointCell, PortCell } from '../model/cells.ts';
import { scalingNote } from './apportion.ts';
import type { BalancedEndpoint, Balancer, LiveNumbers, PickHints } from './balancer.ts';
import { canTake, shareOf } from './balancer.ts';
import { keyHash } from './crc32.ts';
import { buildRing, firstPoint } from './hash-ring.ts';
import type { TriedSlots } from './tried-slots.ts';
import { unitHash } from './unit-hash.ts';

/** Endpoints passed over before all are asked whether anyone is left, so that a ring of full ones isn't walked to its end. */
const PATIENCE = 64;

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
    const first = firstPoint(ring, hash);
    const index = ring.owners[first]!;
    if (this.isOpen(live, tried, index) && !this.isWarmingUp(live, index, hash) && !this.isOverloaded(live, index)) {
      return index;
    }
    return this.walk(live, tried, hash, first);
  }

  describe(live: LiveNumbers, index: number, hints: PickHints): string {
    const { hashes, owners, points } = this.ring;
    const count = points[index] ?? 0;
    if (count === 0) return 'no points on the ring';
    const hash = hints.keyHash >>> 0;
    const before = new Set<number>();
    for (let at = firstPoint(this.ring, hash); owners[at] !== index; at = (at + 1) % hashes.length) {
      before.add(owners[at]!);
    }
    const warmingUp = this.isWarmingUp(live, index, hash) ? ', held back by slow start' : '';
    const overloaded = this.isOverloaded(live, index) ? `, above ${this.factor} % of the mean load` : '';
    return `place ${before.size + 1} from the key, ${count} of ${hashes.length} points${warmingUp}${overloaded}`;
  }

  /** Goes along the ring from point `first` until an endpoint will do, or every one was met. */
  private walk(live: LiveNumbers, tried: TriedSlots, hash: number, first: number): number {
    const { met } = this;
    const { owners } = this.ring;
    const walk = this.startWalk();
    let left = this.weighted;
    let passed = 0;
    let overloaded = -1;
    let warmingUp = -1;
    for (let at = first; left > 0; at = at + 1 === owners.length ? 0 : at + 1) {
      const index = owners[at]!;
      if (met[index] === walk) continue;
      met[index] = walk;
      left--;
      if (this.isOpen(live, tried, index)) {
        if (this.isWarmingUp(live, index, hash)) {
          if (warmingUp < 0) warmingUp = index;
        } else if (this.isOverloaded(live, index)) {
          if (overloaded < 0) overloaded = index;
        } else {
          return index;
        }
      }
      if (++passed === PATIENCE) left = this.meetClosed(live, tried, walk);
    }
    return overloaded >= 0 ? overloaded : warmingUp;
  }

  /** Marks all that aren't open as met; returns how many are left. */
  private meetClosed(live: LiveNumbers, tried: TriedSlots, walk: number): number {
    const { met } = this;
    const { points } = this.ring;
    let left = 0;
    for (let i = 0; i < met.length; i++) {
      if (met[i] === walk || points[i] === 0) continue;
      if (this.isOpen(live, tried, i)) left++;
      else met[i] = walk;
    }
    return left;
  }

  private startWalk(): number {
    if (this.walks === 0xffff_ffff) {
      this.met.fill(0);
      this.walks = 0;
    }
    return ++this.walks;
  }

  private isOpen(live: LiveNumbers, tried: TriedSlots, index: number): boolean {
    const slot = this.slots[index]!;
    return canTake(live.endpoints, slot) && !tried.has(slot);
  }

  /** Whether slow start keeps this key from the endpoint. By id, not by slot, so that every sidecar says the same. */
  private isWarmingUp(live: LiveNumbers, index: number, hash: number): boolean {
    const share = shareOf(live.endpoints, this.slots[index]!);
    return share < 1 && unitHash(hash ^ this.idHashes[index]!) >= share;
  }

  private isOverloaded(live: LiveNumbers, index: number): boolean {
    if (this.factor === 0) return false;
    const calls = live.endpoints.get(this.slots[index]!, EndpointCell.InFlight) + 1;
    const asked = this.factor * (live.ports.get(live.portSlot, PortCell.InFlight) + 1);
    // With all endpoints as divisor the bound is lowest: who keeps that needs no count of those in use.
    if (calls <= Math.ceil(asked / (100 * this.weighted))) return false;
    return calls > Math.ceil(asked / (100 * Math.max(1, this.countInUse(live))));
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
