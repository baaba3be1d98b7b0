// Which endpoint the next attempt of an upstream port goes to. Whoever is available is told by health/availability.ts, in
// levels of priority; each level has a balancer of its own (balance/). This file holds the two together: it hands the
// balancers their endpoints, marks in the cells who is out or capped, and goes down the levels of a request.
import type { Rng } from '../base/rng.ts';
import type { BalancedEndpoint, Balancer, LiveNumbers, PickHints } from '../balance/balancer.ts';
import { canTake } from '../balance/balancer.ts';
import { createBalancer } from '../balance/create-balancer.ts';
import type { TriedSlots } from '../balance/tried-slots.ts';
import { availability, type Availability } from '../health/availability.ts';
import { HealthState, isUp } from '../health/machine.ts';
import type { WeightedSlot } from '../health/warm-up.ts';
import { EndpointCell, PortCell } from '../model/cells.ts';
import type { BalancerPolicy, PortPolicy } from '../model/policy.ts';
import { mayTryAgain } from '../policy/attempts.ts';
import type { LiveEndpoint } from './endpoint.ts';

/** Endpoints of one priority, and who chooses among them. */
interface Level {
  readonly priority: number;
  readonly balancer: Balancer;
  /** What the balancer's indexes mean. */
  readonly members: readonly LiveEndpoint[];
}

/** An endpoint as the balancer sees it, for people. */
export interface Standing {
  readonly endpoint: LiveEndpoint;
  /** What the balancer compares; empty where it isn't asked. */
  readonly score: string;
}

/** Chooses among the endpoints of one upstream port. */
export class Picker {
  /** What isn't carried out to the letter, in words. */
  notes: readonly string[] = [];
  /** Checks and detection are ignored now. */
  ignoresHealth = false;
  /** Nobody is available, and the policy wants no attempt then. */
  failsFast = false;

  private readonly live: LiveNumbers;
  private readonly rng: Rng;
  private readonly hints: PickHints = { nowMs: 0, keyHash: 0 };
  /** By priority; they outlive the levels, so that a level that comes back knows where it was. */
  private balancers = new Map<number, Balancer>();
  private balancing: BalancerPolicy | undefined = undefined;
  private levels: readonly Level[] = [];
  /** Balancers that want to hear of the ends of attempts. */
  private listeners: readonly Balancer[] = [];
  private endpointCount = 0;

  constructor(live: LiveNumbers, rng: Rng) {
    this.live = live;
    this.rng = rng;
  }

  /** Takes endpoints, policy and the state of both, after any of them changed. */
  refresh(endpoints: readonly LiveEndpoint[], policy: PortPolicy): void {
    this.endpointCount = endpoints.length;
    if (this.balancing !== policy.balancer) {
      this.balancing = policy.balancer;
      this.balancers = new Map();
    }
    const { endpoints: cells } = this.live;
    const found = availability(
      endpoints.map(({ slot, spec }) => {
        const state = cells.get(slot, EndpointCell.HealthState);
        const trial = state === HealthState.Trial;
        return {
          priority: spec.priority,
          weight: spec.weight,
          draining: spec.draining,
          up: isUp(state) && !trial,
          trial,
          ejected: cells.get(slot, EndpointCell.Ejected) !== 0,
        };
      }),
      policy,
    );
    this.ignoresHealth = found.ignoresHealth;
    this.failsFast = found.failsFast;
    this.mark(endpoints, found, policy);
    this.fillLevels(endpoints, found);
  }

  /** The endpoint for the next attempt; undefined where none is left. Moves the numbers that a pick moves. */
  pick(tried: TriedSlots, nowMs: number, keyHash: number): LiveEndpoint | undefined {
    const endpoint = this.choose(this.live, tried, nowMs, keyHash);
    if (endpoint === undefined) return undefined;
    this.live.endpoints.count(endpoint.slot, EndpointCell.Picks);
    if (this.ignoresHealth) this.live.ports.count(this.live.portSlot, PortCell.PanicPicks);
    return endpoint;
  }

  /** An attempt at the endpoint of `slot` has ended. */
  ended(slot: number): void {
    for (const balancer of this.listeners) balancer.ended?.(this.live, slot);
  }

  /** What `pick` would give for these numbers, which are a copy. */
  choose(live: LiveNumbers, tried: TriedSlots, nowMs: number, keyHash: number): LiveEndpoint | undefined {
    const { levels, hints } = this;
    hints.nowMs = nowMs;
    hints.keyHash = keyHash;
    for (let i = 0; i < levels.length; i++) {
      const { balancer, members } = levels[i]!;
      // A single endpoint is used without any algorithm, and may be tried again (APISIX).
      if (mayTryAgain(this.endpointCount)) return canTake(live.endpoints, members[0]!.slot) ? members[0] : undefined;
      const index = balancer.pick(live, tried, hints);
      if (index >= 0) return members[index];
    }
    return undefined;
  }

  /** Whether an endpoint is left for another attempt, after that at `failedSlot`. */
  hasUntried(tried: TriedSlots, failedSlot: number): boolean {
    if (mayTryAgain(this.endpointCount)) return this.levels.length > 0;
    const { endpoints: cells } = this.live;
    return this.levels.some(({ members }) => {
      const weighted = members.some(({ spec }) => spec.weight > 0); // weight 0 counts only where all have it
      return members.some(
        ({ slot, spec }) =>
          slot !== failedSlot && !tried.has(slot) && canTake(cells, slot) && (spec.weight > 0 || !weighted),
      );
    });
  }

  /** The endpoints that may be picked, with what is compared of them. */
  *standings(nowMs: number, keyHash: number): Iterable<Standing> {
    this.hints.nowMs = nowMs;
    this.hints.keyHash = keyHash;
    for (const { balancer, members } of this.levels) {
      for (const [index, endpoint] of members.entries()) {
        if (endpoint.usable) yield { endpoint, score: balancer.describe(this.live, index, this.hints) };
      }
    }
  }

  /** The endpoints in use, by level. */
  weightedLevels(): readonly (readonly WeightedSlot[])[] {
    return this.levels.map(({ members }) =>
      members.filter(({ usable }) => usable).map(({ slot, spec }) => ({ slot, weight: spec.weight })),
    );
  }

  /** Whether an endpoint could take an attempt now, had it not been at its cap. */
  get isFull(): boolean {
    const { endpoints: cells } = this.live;
    return this.levels.some(({ members }) => members.some((one) => one.usable && !canTake(cells, one.slot)));
  }

  private mark(endpoints: readonly LiveEndpoint[], found: Availability, policy: PortPolicy): void {
    const { endpoints: cells } = this.live;
    const picked = new Set(found.levels.flat());
    for (const [index, endpoint] of endpoints.entries()) {
      const { slot } = endpoint;
      endpoint.outReason = found.outReason[index] ?? '';
      endpoint.usable = picked.has(index);
      const state = cells.get(slot, EndpointCell.HealthState);
      const trial = state === HealthState.Trial && !found.ignoresHealth;
      endpoint.available = isUp(state) && state !== HealthState.Trial && cells.get(slot, EndpointCell.Ejected) === 0;
      cells.set(slot, EndpointCell.Out, endpoint.usable ? 0 : 1);
      cells.set(slot, EndpointCell.Cap, trial ? 1 : Math.min(policy.circuitBreakers.maxRequestsPerEndpoint, MAX_CAP));
    }
  }

  private fillLevels(endpoints: readonly LiveEndpoint[], found: Availability): void {
    const notes: string[] = [];
    this.levels = found.levels.map((indexes) => {
      const priority = endpoints[indexes[0]!]!.spec.priority;
      let balancer = this.balancers.get(priority);
      if (balancer === undefined) {
        balancer = createBalancer(this.balancing!, this.rng);
        this.balancers.set(priority, balancer);
      }
      const members = balancer.wantsAll
        ? endpoints.filter(({ spec }) => spec.priority === priority)
        : indexes.map((index) => endpoints[index]!);
      const note = balancer.update(
        members.map(({ slot, id, spec }): BalancedEndpoint => ({ slot, id, weight: spec.weight })),
      );
      if (note !== '') notes.push(found.levels.length > 1 ? `priority ${priority}: ${note}` : note);
      return { priority, balancer, members };
    });
    this.notes = notes;
    this.listeners = [...this.balancers.values()].filter(({ ended }) => ended !== undefined);
  }
}

/** Largest cap that a cell holds. */
const MAX_CAP = 0x7fff_ffff;
