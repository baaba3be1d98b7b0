// What every balancing algorithm looks like. A balancer knows neither health nor connections: its owner hands in the
// endpoints that may be used, again whenever they change, and asks for one of them for each attempt.
import type { Cells } from '../model/cells.ts';
import type { TriedSlots } from './tried-slots.ts';

/** An endpoint as balancers see it. */
export interface BalancedEndpoint {
  /** Its row in the table of endpoints. */
  readonly slot: number;
  /** 0 to 1,000,000. 0 gets no calls unless all have 0. */
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
}

/** Chooses among endpoints. `pick` allocates nothing and never waits. */
export interface Balancer {
  /** Replaces the endpoints. What the balancer remembers about the sequence of picks survives it. */
  update(endpoints: readonly BalancedEndpoint[]): void;
  /**
   * Index, in the last update's list, of the endpoint for the next attempt; -1 where there is none that may be used and
   * wasn't tried. `tried` is always respected: a port with a single endpoint may try it again, then its owner leaves
   * `tried` empty.
   */
  pick(live: LiveNumbers, tried: TriedSlots, hints: PickHints): number;
}
