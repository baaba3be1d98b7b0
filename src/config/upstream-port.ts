// A service port with its effective policy and its endpoints.
import { isDeepStrictEqual } from 'node:util';
import { shareEndpoints } from '../model/endpoint-list.ts';
import type { PortKey, UpstreamPort } from '../model/snapshot.ts';
import { effectivePolicy } from './effective-policy.ts';
import { endpointsOf, nodesOf } from './endpoint-specs.ts';
import { namesOf } from './name-specs.ts';
import type { Resource } from './resource.ts';

/** The port of an Upstream, with inline nodes or those of an Endpoints resource; what didn't change is taken from `previous`. */
export function upstreamPort(
  key: PortKey,
  upstream: Resource<'Upstream'>,
  servicePort: number,
  endpoints: Resource<'Endpoints'> | undefined,
  previous: UpstreamPort | undefined,
): UpstreamPort {
  const { policy, provenance, service } = effectivePolicy(upstream, servicePort);
  const addresses = endpoints === undefined ? nodesOf(upstream, policy.scheme) : endpointsOf(endpoints);
  const names = namesOf(upstream, policy.scheme, service);
  const spec: UpstreamPort = {
    key,
    upstream: upstream.name,
    servicePort,
    policy: previous && isDeepStrictEqual(previous.policy, policy) ? previous.policy : policy,
    provenance: previous && isDeepStrictEqual(previous.provenance, provenance) ? previous.provenance : provenance,
    endpoints: shareEndpoints(addresses, previous?.endpoints ?? []),
    names: previous && isDeepStrictEqual(previous.names, names) ? previous.names : names,
  };
  const same =
    previous !== undefined &&
    spec.policy === previous.policy &&
    spec.provenance === previous.provenance &&
    spec.endpoints === previous.endpoints &&
    spec.names === previous.names;
  return same ? previous : spec;
}
