import type { EjectionStatus, EndpointStatus, EndpointTls } from '../gen/outrigger/admin/v1/admin.ts';
import type { EjectionView, EndpointTlsView, EndpointView, PortView } from './views.ts';

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
    tls: endpoint.tls && endpointTls(endpoint.tls),
    host: endpoint.host,
    outReason: endpoint.outReason,
    ejection: endpoint.ejection && ejectionStatus(endpoint.ejection),
    warmPercent: endpoint.warmPercent,
    latencyMs: endpoint.latencyMs,
  };
}

function ejectionStatus({ untilWallMs, ...ejection }: EjectionView): EjectionStatus {
  return { ...ejection, until: new Date(untilWallMs) };
}

function endpointTls({ verified, error, peer, clientNotAfterMs }: EndpointTlsView): EndpointTls {
  return {
    unverified: !verified,
    error,
    alpn: peer?.alpn ?? '',
    version: peer?.version ?? '',
    subject: peer?.subject ?? '',
    notAfter: peer && new Date(peer.notAfterMs),
    clientNotAfter: clientNotAfterMs === undefined ? undefined : new Date(clientNotAfterMs),
  };
}

/** A little more than the size on the wire of an endpoint's `tls`. */
export function endpointTlsBytes(tls: EndpointTlsView | undefined): number {
  return tls ? 80 + 3 * (tls.error.length + (tls.peer?.subject.length ?? 0)) : 0;
}
