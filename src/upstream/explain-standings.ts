// The endpoints of an upstream port as they stand for one request, for people.
import type { LiveNumbers } from '../balance/balancer.ts';
import { healthStateName, HealthState } from '../health/machine.ts';
import { EndpointCell } from '../model/cells.ts';
import type { Cluster } from './cluster.ts';
import type { LiveEndpoint } from './endpoint.ts';

/** Endpoints told of; further ones are left out. */
const MAX_ENDPOINTS = 1000;

/** An endpoint as it stands for the request. */
export interface EndpointStanding {
  readonly endpoint: string;
  readonly host: string;
  readonly priority: number;
  readonly weight: number;
  readonly usable: boolean;
  readonly reason: string;
  readonly score: string;
}

/**
 * At most 1,000 endpoints: those `named`, in their order, then those that may be picked, then the others by priority; and
 * how many were left out. Scores are by the numbers of `live`, which may be a copy.
 */
export function explainStandings(
  cluster: Cluster,
  named: readonly LiveEndpoint[],
  live: LiveNumbers,
  nowMs: number,
  keyHash: number,
): { readonly standings: EndpointStanding[]; readonly leftOut: number } {
  const { picker } = cluster;
  const scores = new Map(named.map((endpoint) => [endpoint, picker.scoreOf(endpoint, nowMs, keyHash, live)]));
  for (const { endpoint, score } of picker.standings(nowMs, keyHash, live)) {
    if (scores.size >= MAX_ENDPOINTS) break;
    scores.set(endpoint, score);
  }
  const all = [...cluster.list()];
  const others =
    scores.size >= MAX_ENDPOINTS
      ? []
      : all.filter((endpoint) => !scores.has(endpoint)).sort((a, b) => b.spec.priority - a.spec.priority);
  const told = [...scores.keys(), ...others.slice(0, MAX_ENDPOINTS - scores.size)];
  return {
    standings: told.map((endpoint) => ({
      endpoint: endpoint.id,
      host: endpoint.spec.host,
      priority: endpoint.spec.priority,
      weight: endpoint.spec.weight,
      usable: endpoint.usable && endpoint.outReason === '' && !isPointless(cluster, endpoint),
      reason: reasonOf(cluster, endpoint),
      score: scores.get(endpoint) ?? '',
    })),
    leftOut: all.length - told.length,
  };
}

/** Weight 0 has no points on the ring of `chash`, also where nobody has more. A single endpoint is used without a ring. */
function isPointless(cluster: Cluster, { spec }: LiveEndpoint): boolean {
  return spec.weight === 0 && cluster.port.policy.balancer.type === 'chash' && !cluster.hasOneEndpoint;
}

/** Why an endpoint is in or out. */
function reasonOf(cluster: Cluster, endpoint: LiveEndpoint): string {
  const cells = cluster.live.endpoints;
  const { outReason, cause, slot } = endpoint;
  const state = cells.get(slot, EndpointCell.HealthState);
  const because = cause === '' ? '' : `: ${cause}`;
  switch (outReason) {
    case 'ejected':
      return `ejected: ${endpoint.ejectionCause}, until ${new Date(endpoint.ejectedUntilWallMs).toISOString()}`;
    case 'unhealthy':
      return `${healthStateName(state)}${because}`;
    case 'weight_0':
      return isPointless(cluster, endpoint) ? 'weight 0: chash has no point for it on the ring' : 'weight 0';
    case 'lower_priority':
      return `priority ${endpoint.spec.priority}: endpoints of a higher one are available`;
    case 'draining':
      return 'draining';
    case '':
  }
  if (!endpoint.usable) return 'not in use';
  if (isPointless(cluster, endpoint)) return 'weight 0: chash has no point for it on the ring';
  const cap = cells.get(slot, EndpointCell.Cap);
  const full = cap > 0 && cells.get(slot, EndpointCell.InFlight) >= cap ? `, ${cap} of ${cap} calls in flight` : '';
  if (state === HealthState.Trial) return `on trial: one call at a time${full}`;
  const share = cells.get(slot, EndpointCell.Share);
  const warm = share === 0 ? '' : `, ${Math.round((share * 100) / 65_536)} % warm`;
  const ignored = cluster.picker.ignoresHealth && !endpoint.available ? ', used since health is ignored now' : '';
  const known = cluster.port.policy.checks ? `${healthStateName(state)}${because}` : 'unchecked';
  return `${known}${warm}${full}${ignored}`;
}
