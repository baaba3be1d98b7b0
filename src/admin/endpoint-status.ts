import type { EndpointStatus } from '../gen/outrigger/admin/v1/admin.ts';
import type { EndpointView, PortView } from './views.ts';

/** The message of an endpoint as of now. */
export function endpointStatus(port: PortView, endpoint: EndpointView): EndpointStatus {
  return {
    upstream: port.upstream,
    servicePort: port.servicePort,
    address: endpoint.address,
    port: endpoint.port,
    scheme: port.scheme,
    weight: endpoint.weight,
    priority: endpoint.priority,
    state: endpoint.state,
    cause: endpoint.cause,
    since: new Date(endpoint.sinceWallMs),
    usable: endpoint.usable,
    health: { ...endpoint.health },
    inFlight: endpoint.inFlight,
    attempts: BigInt(endpoint.attempts),
    successes: BigInt(endpoint.successes),
    failures: BigInt(endpoint.failures),
    connections: endpoint.connections,
    labels: Object.fromEntries(endpoint.labels),
  };
}
