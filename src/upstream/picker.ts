// Which endpoint the next attempt of an upstream port goes to. Whoever is available is told by health/availability.ts, in
// levels of priority; each level has a balancer of its own (balance/). This file holds the two together: it hands the
// balancers their endpoints, marks in the cells who is out or capped, and goes down the levels of a request.
//
// Most changes are one endpoint that goes out of use or comes back, on a port that may have tens of thousands. Such a
// change concerns that endpoint and its level only, unless it moves one of the counts that the rules of availability
// look at to or from 0, or across the panic threshold: then everything is found anew.
import { isDeepStrictEqual } from 'node:util';
import type { Rng } from '../base/rng.ts';
import type { BalancedEndpoint, Balancer, LiveNumbers, PickHints } from '../balance/balancer.ts';
import { canTake } from '../balance/balancer.ts';
import { createBalancer } from '../balance/create-balancer.ts';
import type { TriedSlots } from '../balance/tried-slots.ts';
import {
  availability,
  ignoringHealth,
  isAvailable,
  verdict,
  type Availability,
  type AvailableLevel,
  type EndpointFacts,
  type PriorityHealth,
} from '../health/availability.ts';
import { HealthState, isUp } from '../health/machine.ts';
import type { WeightedSlot } from '../health/warm-up.ts';
import { EndpointCell, PortCell } from '../model/cells.ts';
import type { BalancerPolicy, PortPolicy } from '../model/policy.ts';
import { mayTryAgain } from '../policy/attempts.ts';
import type { LiveEndpoint } from './endpoint.ts';

/** Endpoints of one level, and who chooses among them. */
interface Level extends Pick<AvailableLevel, 'priority' | 'covered'> {
  readonly balancer: Balancer;
  /** What the balancer's indexes mean, in the order of the endpoints. */
  readonly members: LiveEndpoint[];
  /** The same as the balancer knows them. */
  readonly balanced: BalancedEndpoint[];
  /** Of the members that may be picked and have a weight: how many there are, and how many are available. */
  weighted: number;
  available: number;
  /** What the balancer can't carry out to the letter. */
  note: string;
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
  /** Nobody is available, and the policy wants no attempt then. */
  failsFast = false;

  private readonly live: LiveNumbers;
  private readonly rng: Rng;
  private readonly hints: PickHints = { nowMs: 0, keyHash: 0, spilled: false };
  /** By level; they outlive the levels, so that one that comes back knows where it was. */
  private balancers = new Map<string, Balancer>();
  private balancing: BalancerPolicy | undefined = undefined;
  private levels: readonly Level[] = [];
  private health: ReadonlyMap<number, PriorityHealth> = new Map();
  /** Priorities where checks and detection keep nobody out. */
  private ignoring: ReadonlySet<number> = new Set();
  /** Balancers that want to hear of the ends of attempts. */
  private listeners: readonly Balancer[] = [];
  private endpointCount = 0;

  constructor(live: LiveNumbers, rng: Rng) {
    this.live = live;
    this.rng = rng;
  }

  /** Checks and detection are ignored now, at one priority at least. */
  get ignoresHealth(): boolean {
    return this.ignoring.size > 0;
  }

  /** Takes endpoints, policy and the state of both, after any of them changed. */
  refresh(endpoints: readonly LiveEndpoint[], policy: PortPolicy): void {
    this.endpointCount = endpoints.length;
    // By value: an edit of something else brings an equal one, and must not make balancers forget.
    if (!isDeepStrictEqual(this.balancing, policy.balancer)) {
      this.balancing = policy.balancer;
      this.balancers = new Map();
    }
    const facts = endpoints.map((endpoint) => this.factsOf(endpoint));
    const found = availability(facts, policy);
    this.health = found.health;
    this.ignoring = found.ignoring;
    this.failsFast = found.failsFast;
    this.markAll(endpoints, facts, found, policy);
    this.fillLevels(endpoints, found);
  }

  /** Takes the state of one endpoint after that alone changed. `endpoints` and `policy` are those of the last refresh. */
  refreshOne(endpoint: LiveEndpoint, endpoints: readonly LiveEndpoint[], policy: PortPolicy): void {
    const facts = this.factsOf(endpoint);
    const level = this.levels.find(({ priority }) => priority === facts.priority);
    // Whether weight 0 is used depends on the others.
    if (
      level === undefined ||
      facts.draining ||
      facts.weight === 0 ||
      !this.staysWithin(level, endpoint, facts, policy)
    ) {
      this.refresh(endpoints, policy);
      return;
    }
    const { balancer, members, balanced } = level;
    if (balancer.wantsAll) return;
    const place = placeOf(members, endpoint);
    const wasMember = members[place] === endpoint;
    if (wasMember && !endpoint.usable) {
      members.splice(place, 1);
      balanced.splice(place, 1);
    } else if (!wasMember && endpoint.usable) {
      members.splice(place, 0, endpoint);
      balanced.splice(place, 0, endpoint.balanced);
    }
    level.note = balancer.update(balanced);
    this.gatherNotes();
  }

  /** The endpoint for the next attempt; undefined where none is left. Moves the numbers that a pick moves. */
  pick(tried: TriedSlots, nowMs: number, keyHash: number): LiveEndpoint | undefined {
    const endpoint = this.choose(this.live, tried, nowMs, keyHash);
    if (endpoint === undefined) return undefined;
    this.live.endpoints.count(endpoint.slot, EndpointCell.Picks);
    const { ignoring } = this;
    if (ignoring.size > 0 && ignoring.has(endpoint.spec.priority)) {
      this.live.ports.count(this.live.portSlot, PortCell.PanicPicks);
    }
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
      hints.spilled = i > 0;
      const index = balancer.pick(live, tried, hints);
      if (index >= 0) return members[index];
    }
    return undefined;
  }

  /** Whether an endpoint is left for another attempt, after that at `failedSlot`. */
  hasUntried(tried: TriedSlots, failedSlot: number): boolean {
    if (mayTryAgain(this.endpointCount)) return this.levels.length > 0;
    const { endpoints: cells } = this.live;
    const hasLastResort = this.balancing?.type === 'least_conn';
    return this.levels.some(({ members }) => {
      // Else weight 0 counts only where all have it.
      const all = hasLastResort || !members.some((one) => this.weightOf(one) > 0);
      return members.some((one) => {
        const { slot } = one;
        return slot !== failedSlot && !tried.has(slot) && canTake(cells, slot) && (all || this.weightOf(one) > 0);
      });
    });
  }

  /** The endpoints that may be picked, with what is compared of them; by the numbers of `live`, which may be a copy. */
  *standings(nowMs: number, keyHash: number, live = this.live): Iterable<Standing> {
    this.hints.nowMs = nowMs;
    this.hints.keyHash = keyHash;
    for (const { balancer, members } of this.levels) {
      for (const [index, endpoint] of members.entries()) {
        if (endpoint.usable) yield { endpoint, score: balancer.describe(live, index, this.hints) };
      }
    }
  }

  /** The same of one endpoint alone; empty where it may not be picked. */
  scoreOf(endpoint: LiveEndpoint, nowMs: number, keyHash: number, live = this.live): string {
    if (!endpoint.usable) return '';
    this.hints.nowMs = nowMs;
    this.hints.keyHash = keyHash;
    for (const { balancer, members } of this.levels) {
      const index = placeOf(members, endpoint);
      if (members[index] === endpoint) return balancer.describe(live, index, this.hints);
    }
    return '';
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

  /** Whether whoever may be picked is on trial, and has its call. */
  get isWaitingForTrials(): boolean {
    const { levels } = this;
    return (
      levels.length > 0 && levels.every(({ members }) => members.every((one) => !one.usable || one.isCappedByTrial))
    );
  }

  /** APISIX's ewma knows no weights, 0 neither. */
  private weightOf({ spec }: LiveEndpoint): number {
    return this.balancing?.type === 'ewma' && this.balancing.ewmaFormula === 'apisix' ? 1 : spec.weight;
  }

  private factsOf(endpoint: LiveEndpoint): EndpointFacts {
    const { slot, spec } = endpoint;
    const { endpoints: cells } = this.live;
    const state = cells.get(slot, EndpointCell.HealthState);
    const trial = state === HealthState.Trial;
    return {
      priority: spec.priority,
      weight: this.weightOf(endpoint),
      draining: spec.draining,
      up: isUp(state) && !trial,
      trial,
      ejected: cells.get(slot, EndpointCell.Ejected) !== 0,
    };
  }

  /** Marks an endpoint whose facts changed, where that changes nothing for any other. False, and nothing done, if it does. */
  private staysWithin(level: Level, endpoint: LiveEndpoint, facts: EndpointFacts, policy: PortPolicy): boolean {
    const available = isAvailable(facts);
    const moreAvailable = Number(available) - Number(endpoint.available);
    const health = this.health.get(facts.priority);
    if (health === undefined) return false;
    health.available += moreAvailable;
    const { ignoring } = this;
    if (!isDeepStrictEqual(ignoringHealth(this.health, policy), ignoring)) return false;
    const reason = ignoring.has(facts.priority) ? '' : verdict(facts);
    const usable = reason === '';
    const weighted = level.weighted + Number(usable) - Number(endpoint.usable);
    // Who is available may be picked, so both counts move by the same endpoints.
    const availableHere = level.available + moreAvailable;
    if (!sameSign(weighted, level.weighted) || !sameSign(availableHere, level.available)) return false;
    level.weighted = weighted;
    level.available = availableHere;
    endpoint.outReason = usable && level.covered ? 'lower_priority' : reason;
    this.mark(endpoint, usable, facts, policy);
    return true;
  }

  private markAll(
    endpoints: readonly LiveEndpoint[],
    facts: readonly EndpointFacts[],
    found: Availability,
    policy: PortPolicy,
  ): void {
    const usable = new Uint8Array(endpoints.length);
    for (const { members } of found.levels) for (const index of members) usable[index] = 1;
    for (let index = 0; index < endpoints.length; index++) {
      const endpoint = endpoints[index]!;
      endpoint.order = index;
      endpoint.outReason = found.outReason[index]!;
      this.mark(endpoint, usable[index] === 1, facts[index]!, policy);
    }
  }

  private mark(endpoint: LiveEndpoint, usable: boolean, facts: EndpointFacts, policy: PortPolicy): void {
    const { endpoints: cells } = this.live;
    const { slot } = endpoint;
    const trial = facts.trial && !this.ignoring.has(facts.priority);
    endpoint.usable = usable;
    endpoint.available = isAvailable(facts);
    cells.set(slot, EndpointCell.Out, usable ? 0 : 1);
    endpoint.isCappedByTrial = trial;
    const most = trial ? 1 + endpoint.olderAttempts : policy.circuitBreakers.maxRequestsPerEndpoint;
    cells.set(slot, EndpointCell.Cap, Math.min(most, MAX_CAP));
  }

  private fillLevels(endpoints: readonly LiveEndpoint[], found: Availability): void {
    this.levels = found.levels.map(({ priority, isReserve, members: indexes, covered }) => {
      const name = `${priority}${isReserve ? ' reserve' : ''}`;
      let balancer = this.balancers.get(name);
      if (balancer === undefined) {
        balancer = createBalancer(this.balancing!, this.rng);
        this.balancers.set(name, balancer);
      }
      const used = indexes.map((index) => endpoints[index]!);
      const members = balancer.wantsAll ? endpoints.filter(({ spec }) => spec.priority === priority) : used;
      const balanced = members.map((one) => one.balanced);
      const note = balancer.update(balanced);
      let weighted = 0;
      let available = 0;
      for (const one of used) {
        if (this.weightOf(one) === 0) continue;
        weighted++;
        if (one.available) available++;
      }
      return { priority, balancer, members, balanced, covered, weighted, available, note };
    });
    this.gatherNotes();
    this.listeners = [...this.balancers.values()].filter(({ ended }) => ended !== undefined);
  }

  private gatherNotes(): void {
    const { levels } = this;
    this.notes = levels.flatMap(({ priority, note }) => {
      if (note === '') return [];
      return [levels.length > 1 ? `priority ${priority}: ${note}` : note];
    });
  }
}

/** Where `endpoint` stands among the members, or would. They are in the order of the endpoints. */
function placeOf(members: readonly LiveEndpoint[], { order }: LiveEndpoint): number {
  let low = 0;
  let high = members.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (members[middle]!.order < order) low = middle + 1;
    else high = middle;
  }
  return low;
}

function sameSign(a: number, b: number): boolean {
  return a > 0 === b > 0;
}

/** Largest cap that a cell holds. */
const MAX_CAP = 0x7fff_ffff;
