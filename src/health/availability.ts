// Who of an upstream port may be picked. Checks (machine.ts), outlier detection (outlier.ts) and the endpoint's own state
// each say what they know; here it becomes levels of priority for the balancers, and a reason for each who is left out.
//
// The rules, in the order in which they are applied:
//
// 1. Draining endpoints are used only where the port has no others. Then the rules below hold among them.
// 2. Available is who is up, not on trial and not ejected. An endpoint on trial may be picked (its owner caps it at one
//    call at a time) but nothing is known of it yet, so it doesn't count as available.
// 3. Below `panic_threshold` percent of available endpoints a priority panics: its health is ignored and all of it are used
//    (Envoy `healthy_panic_threshold`: so many are out that the rest would be overrun, or that the verdicts are wrong).
//    None does while the priorities have enough together: 140 % of the available share of each, at most 100 %, come to
//    100 % or more (Envoy's overprovisioning). Nor does one without any available while another has some.
// 4. Without any available one, and without a `panic_threshold`, `all_unhealthy` decides. `use-all` ignores health, as
//    APISIX does. `fail-fast` leaves only who is on trial, and calls fail at once where nobody is.
// 5. Endpoints stand in levels of descending priority. A level without anybody disappears, so calls go to the next one
//    (APISIX); the balancer goes down the levels when all in one were tried or are at their caps.
// 6. Weight 0 gets no calls, unless all that are left in its level have it (APISIX); a lower level doesn't come first.
//    Where all that have a weight are on trial, weight 0 is a level of its own below them: it takes what they may not.
//    A hash ring has no place for weight 0 at all, except that a single endpoint is used without a ring.

import type { BalancerPolicy } from '../model/policy.ts';

/** What is known of one endpoint. */
export interface EndpointFacts {
  /** Higher is used first. */
  readonly priority: number;
  readonly weight: number;
  /** It was told to take no new calls. */
  readonly draining: boolean;
  /** The health machine lets calls through. Doesn't matter on trial. */
  readonly up: boolean;
  /** It was down, and one call at a time finds out whether it still is. */
  readonly trial: boolean;
  /** Outlier detection took it out. */
  readonly ejected: boolean;
}

/** What of a port's policy rules availability. */
export interface AvailabilityPolicy {
  readonly allUnhealthy: 'use-all' | 'fail-fast';
  /** Percent, 0 to 100; 0: off. */
  readonly panicThreshold: number;
  readonly balancer: Pick<BalancerPolicy, 'type'>;
}

/** Why an endpoint isn't picked; empty where it is. */
export type OutReason = '' | 'unhealthy' | 'ejected' | 'draining' | 'weight_0' | 'lower_priority';

/** Endpoints of one priority of which rule 1 leaves none out. */
export interface PriorityHealth {
  candidates: number;
  available: number;
}

/** Endpoints that a balancer chooses among. */
export interface AvailableLevel {
  readonly priority: number;
  /** The weightless of a priority whose weighted ones are all on trial. */
  readonly isReserve: boolean;
  /**
   * Indexes of the endpoints, in their order. Those of weight 0 beside others are among them: balancers know when to use
   * them.
   */
  readonly members: readonly number[];
  /** A higher level takes calls without bounds, so this one is only for those that were tried there. */
  readonly covered: boolean;
}

/** Who may be picked. */
export interface Availability {
  /** The highest first. */
  readonly levels: readonly AvailableLevel[];
  /** For each endpoint, why it gets no calls as things are. */
  readonly outReason: readonly OutReason[];
  readonly health: ReadonlyMap<number, PriorityHealth>;
  /** Priorities where checks and detection keep nobody out now. */
  readonly ignoring: ReadonlySet<number>;
  /** There are endpoints, but health lets none be tried: a call fails at once. */
  readonly failsFast: boolean;
}

/** Applies the rules at the top of this file. Without endpoints there are no levels, and nothing is ignored. */
export function availability(endpoints: readonly EndpointFacts[], policy: AvailabilityPolicy): Availability {
  const allDrain = endpoints.every(({ draining }) => draining);
  const health = new Map<number, PriorityHealth>();
  for (const endpoint of endpoints) {
    if (endpoint.draining && !allDrain) continue;
    let its = health.get(endpoint.priority);
    if (its === undefined) health.set(endpoint.priority, (its = { candidates: 0, available: 0 }));
    its.candidates++;
    if (isAvailable(endpoint)) its.available++;
  }
  const ignoring = ignoringHealth(health, policy);

  const hasRing = policy.balancer.type === 'chash' && endpoints.length > 1;
  const outReason: OutReason[] = [];
  const byPriority = new Map<number, number[]>();
  let failsFast = endpoints.length > 0;
  for (let index = 0; index < endpoints.length; index++) {
    const endpoint = endpoints[index]!;
    const { priority } = endpoint;
    let reason: OutReason = 'draining';
    if (allDrain || !endpoint.draining) reason = ignoring.has(priority) ? '' : verdict(endpoint);
    if (reason === '') {
      failsFast = false;
      if (hasRing && endpoint.weight === 0) reason = 'weight_0';
    }
    outReason.push(reason);
    if (reason !== '') continue;
    const level = byPriority.get(priority);
    if (level) level.push(index);
    else byPriority.set(priority, [index]);
  }

  const levels: AvailableLevel[] = [];
  let covered = false;
  const addLevel = (priority: number, isReserve: boolean, members: readonly number[]): void => {
    levels.push({ priority, isReserve, members, covered });
    const weighted = members.some((index) => endpoints[index]!.weight > 0);
    for (const index of members) {
      if (weighted && endpoints[index]!.weight === 0) outReason[index] = 'weight_0';
      else if (covered) outReason[index] = 'lower_priority';
    }
    // Who is on trial takes one call at a time: most go on to the next level.
    covered ||= ignoring.has(priority) || members.some((index) => isAvailable(endpoints[index]!));
  };
  for (const [priority, members] of [...byPriority].toSorted(([a], [b]) => b - a)) {
    const weighted = members.filter((index) => endpoints[index]!.weight > 0);
    const isSplit =
      weighted.length > 0 &&
      weighted.length < members.length &&
      !ignoring.has(priority) &&
      weighted.every((index) => !isAvailable(endpoints[index]!));
    addLevel(priority, false, isSplit ? weighted : members);
    if (isSplit) {
      addLevel(
        priority,
        true,
        members.filter((index) => endpoints[index]!.weight === 0),
      );
    }
  }
  return { levels, outReason, health, ignoring, failsFast };
}

const NONE: ReadonlySet<number> = new Set();

/** Rules 3 and 4: the priorities where checks and detection keep nobody out. */
export function ignoringHealth(
  health: ReadonlyMap<number, PriorityHealth>,
  { allUnhealthy, panicThreshold }: AvailabilityPolicy,
): ReadonlySet<number> {
  let anyAvailable = false;
  let together = 0;
  for (const { candidates, available } of health.values()) {
    anyAvailable ||= available > 0;
    together += Math.min(100, (available * OVERPROVISIONING_PERCENT) / candidates);
  }
  if (!anyAvailable) return allUnhealthy === 'use-all' || panicThreshold > 0 ? new Set(health.keys()) : NONE;
  if (panicThreshold === 0 || together >= 100) return NONE;
  const panicking = new Set<number>();
  for (const [priority, { candidates, available }] of health) {
    if (available > 0 && available * 100 < panicThreshold * candidates) panicking.add(priority);
  }
  return panicking;
}

/** What the available endpoints of a priority are trusted to carry, in percent of their share (Envoy's default). */
const OVERPROVISIONING_PERCENT = 140;

/** Rule 2. */
export function isAvailable({ up, trial, ejected }: EndpointFacts): boolean {
  return up && !trial && !ejected;
}

/** Why an endpoint that isn't draining stays out while health counts; empty where it may be picked. */
export function verdict({ up, trial, ejected }: EndpointFacts): OutReason {
  if (!up && !trial) return 'unhealthy';
  return ejected ? 'ejected' : '';
}
