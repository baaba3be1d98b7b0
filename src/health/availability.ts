// Who of an upstream port may be picked. Checks (machine.ts), outlier detection (outlier.ts) and the endpoint's own state
// each say what they know; here it becomes levels of priority for the balancers, and a reason for each who is left out.
//
// The rules, in the order in which they are applied:
//
// 1. Draining endpoints are used only where the port has no others. Then the rules below hold among them.
// 2. Available is who is up, not on trial and not ejected. An endpoint on trial may be picked (its owner caps it at one
//    call at a time) but nothing is known of it yet, so it doesn't count as available.
// 3. Below `panic_threshold` percent of available endpoints, health is ignored: all are used (Envoy
//    `healthy_panic_threshold`: so many are out that the rest would be overrun, or that the verdicts are wrong).
// 4. Without any available one, `all_unhealthy` decides. `use-all` ignores health, as APISIX does. `fail-fast` leaves
//    only who is on trial, and calls fail at once where nobody is.
// 5. Endpoints stand in levels of descending priority. A level without anybody disappears, so calls go to the next one
//    (APISIX); the balancer goes down the levels when all in one were tried or are at their caps.
// 6. Weight 0 gets no calls, unless all that are left in its level have it (APISIX); a lower level doesn't come first.

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
}

/** Why an endpoint isn't picked; empty where it is. */
export type OutReason = '' | 'unhealthy' | 'ejected' | 'draining' | 'weight_0' | 'lower_priority';

/** Who may be picked. */
export interface Availability {
  /**
   * Indexes of the endpoints that a balancer may pick, one list for each priority, the highest first, each in the order
   * of the endpoints. Those of weight 0 are in it: balancers know when to use them.
   */
  readonly levels: readonly (readonly number[])[];
  /** For each endpoint, why it gets no calls as things are. */
  readonly outReason: readonly OutReason[];
  /** Endpoints available, those of lower levels among them. */
  readonly available: number;
  /** Checks and detection keep nobody out now. */
  readonly ignoresHealth: boolean;
  /** There are endpoints, but none may be tried: a call fails at once. */
  readonly failsFast: boolean;
}

/** Applies the rules at the top of this file. Without endpoints there are no levels, and nothing is ignored. */
export function availability(endpoints: readonly EndpointFacts[], policy: AvailabilityPolicy): Availability {
  const allDrain = endpoints.every(({ draining }) => draining);
  let candidates = 0;
  let available = 0;
  for (const endpoint of endpoints) {
    if (endpoint.draining && !allDrain) continue;
    candidates++;
    if (isAvailable(endpoint)) available++;
  }
  const panics = available * 100 < policy.panicThreshold * candidates;
  const ignoresHealth = panics || (available === 0 && candidates > 0 && policy.allUnhealthy === 'use-all');

  const outReason: OutReason[] = [];
  const byPriority = new Map<number, number[]>();
  for (let index = 0; index < endpoints.length; index++) {
    const endpoint = endpoints[index]!;
    const reason = endpoint.draining && !allDrain ? 'draining' : ignoresHealth ? '' : verdict(endpoint);
    outReason.push(reason);
    if (reason !== '') continue;
    const level = byPriority.get(endpoint.priority);
    if (level) level.push(index);
    else byPriority.set(endpoint.priority, [index]);
  }
  const levels = [...byPriority].toSorted(([a], [b]) => b - a).map(([, level]) => level);

  // A level of nobody but endpoints on trial takes one call at a time: most go on to the next.
  let covered = false;
  for (const level of levels) {
    const weighted = level.some((index) => endpoints[index]!.weight > 0);
    for (const index of level) {
      if (weighted && endpoints[index]!.weight === 0) outReason[index] = 'weight_0';
      else if (covered) outReason[index] = 'lower_priority';
    }
    covered ||= ignoresHealth || level.some((index) => isAvailable(endpoints[index]!));
  }
  return { levels, outReason, available, ignoresHealth, failsFast: candidates > 0 && levels.length === 0 };
}

function isAvailable({ up, trial, ejected }: EndpointFacts): boolean {
  return up && !trial && !ejected;
}

function verdict({ up, trial, ejected }: EndpointFacts): OutReason {
  if (!up && !trial) return 'unhealthy';
  return ejected ? 'ejected' : '';
}
