import type { Rng } from '../base/rng.ts';
import { unreachable } from '../base/assert.ts';
import type { BalancerPolicy } from '../model/policy.ts';
import type { Balancer } from './balancer.ts';
import { createChash } from './chash.ts';
import { createApisixEwma } from './ewma-apisix.ts';
import { createEwma } from './ewma.ts';
import { createLeastConn } from './least-conn.ts';
import { createRoundRobin } from './round-robin.ts';

/** The algorithm that `policy` asks for (APISIX `type`), without endpoints yet. `rng` breaks ties and draws candidates. */
export function createBalancer(policy: BalancerPolicy, rng: Rng): Balancer {
  switch (policy.type) {
    case 'roundrobin':
      return createRoundRobin();
    case 'chash':
      return createChash(policy.hashBalanceFactor);
    case 'ewma':
      return policy.ewmaFormula === 'apisix' ? createApisixEwma(rng) : createEwma(rng);
    case 'least_conn':
      return createLeastConn(rng);
    default:
      return unreachable(policy.type);
  }
}
