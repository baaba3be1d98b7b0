// What every balancing algorithm looks like. A balancer knows neither health nor connections: its owner hands in the
// endpoints that may be used, again whenever they change, and asks for one of them for each attempt.
import { EndpointCell, type Cells } from '../model/cells.ts';
import type { TriedSlots } from './tried-slots.ts';

/** An endpoint as balancers see it. */
export interface BalancedEndpoint {
  /** Its row in the table of endpoints. */
  readonly slot: number;
  /** `address:port`, IPv6 in brackets: what `chash` makes its points of. */
  readonly id: string;
  /** 0 to 4,294,967,295. 0 gets no calls unless all have 0. */
  readonly weight: number;
}

/**
 * The live numbers that algorithms read and move: in-flight calls and latency of each endpoint, the cursor of the port.
 * One object for each upstream port, made once by the owner.
 */
export interface LiveNumbers {
  /** Rows of the endpoints, addressed by `BalancedEndpoint.slot`. */
  readonly endpoints: Cells;
  /** Rows of the upstream ports. */
  readonly ports: Cells;
  /** This port's row in `ports`. */
  readonly portSlot: number;
}

/** What a pick may depend on beyond the endpoints. One object that the owner fills anew before each pick. */
export interface PickHints {
  /** Monotonic ms, for algorithms on decayed latency. */
  nowMs: number;
  /** Unsigned 32-bit hash of the request's key, for consistent hashing; 0 where the policy names no key. */
  keyHash: number;
  /** The endpoints of a level above can take no call now: picks here leave the port's rotation where it is. */
  spilled: boolean;
}

/**
 * Chooses among endpoints. `pick` allocates nothing and never waits. Besides `tried` it passes over whatever can't take a
 * call ({@link canTake}), and gives an endpoint in slow start its share only ({@link shareOf}).
 */
export interface Balancer {
  /** Whether `update` wants the endpoints that are out of use too (`EndpointCell.Out` tells them), as a hash ring does. */
  readonly wantsAll: boolean;
  /**
   * Replaces the endpoints. A balancer that doesn't want all must not keep the list: its owner changes it in place. What the
   * balancer remembers about the sequence of picks survives the update. Returns, in words, what
   * can't be carried out to the letter (weights that had to be scaled); empty if nothing.
   */
  update(endpoints: readonly BalancedEndpoint[]): string;
  /**
   * Index, in the last update's list, of the endpoint for the next attempt; -1 where there is none that may be used and
   * wasn't tried. `tried` is always respected: a port with a single endpoint may try it again, then its owner leaves
   * `tried` empty.
   */
  pick(live: LiveNumbers, tried: TriedSlots, hints: PickHints): number;
  /**
   * An attempt at the endpoint with this slot has ended and its `EndpointCell.InFlight` is lower by now. To be called for
   * each attempt at an endpoint of this port, where there is such a method; a slot that isn't in the last update's list
   * does no harm.
   */
  ended?(live: LiveNumbers, slot: number): void;
  /** What `pick` compares of the endpoint at `index`, for people: `share 3 of 6`. */
  describe(live: LiveNumbers, index: number, hints: PickHints): string;
}

/** Whether an endpoint may get another attempt: it is in use and below its cap. */
export function canTake(cells: Cells, slot: number): boolean {
  if (cells.get(slot, EndpointCell.Out) !== 0) return false;
  const cap = cells.get(slot, EndpointCell.Cap);
  return cap === 0 || cells.get(slot, EndpointCell.InFlight) < cap;
}

/** Share of its weight that an endpoint in slow start has by now, above 0, at most 1. */
export function shareOf(cells: Cells, slot: number): number {
  const share = cells.get(slot, EndpointCell.Share);
  return share === 0 ? 1 : share / 65_536;
}
