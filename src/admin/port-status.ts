import type { UpstreamPortStatus } from '../gen/outrigger/admin/v1/admin.ts';
import type { NameView, PortView, SidecarView } from './views.ts';

/** Ports in an answer at most; ListEndpoints goes on from there. */
export const MAX_PORTS = 1000;

/** The upstream ports of upstreams whose names start with `prefix`, ordered, the first {@link MAX_PORTS}. */
export function upstreamPorts(view: SidecarView, prefix: string): UpstreamPortStatus[] {
  return [...view.ports()]
    .filter(({ upstream }) => upstream.startsWith(prefix))
    .sort((a, b) => (a.upstream === b.upstream ? a.servicePort - b.servicePort : a.upstream < b.upstream ? -1 : 1))
    .slice(0, MAX_PORTS)
    .map(portStatus);
}

function portStatus(port: PortView): UpstreamPortStatus {
  const overflows = [
    ['max_connections', port.overflowConnections],
    ['max_pending_requests', port.overflowPending],
    ['max_requests', port.overflowRequests],
    ['max_retries', port.overflowRetries],
    ['max_requests_per_endpoint', port.overflowEndpoints],
  ] as const;
  return {
    upstream: port.upstream,
    servicePort: port.servicePort,
    policy: [...port.policy()],
    notes: [...port.notes],
    inFlight: port.inFlight,
    pending: port.pending,
    connections: port.connections,
    retriesInFlight: port.retriesInFlight,
    overflows: Object.fromEntries(overflows.filter(([, count]) => count > 0).map(([name, n]) => [name, BigInt(n)])),
    ejected: port.ejected,
    ignoresHealth: port.ignoresHealth,
    names: port.names().map(nameStatus),
  };
}

function nameStatus({ name, addresses, error, resolvedWallMs, nextWallMs }: NameView): UpstreamPortStatus['names'][0] {
  return {
    name,
    addresses: [...addresses],
    error,
    resolvedTime: resolvedWallMs === undefined ? undefined : new Date(resolvedWallMs),
    nextTime: nextWallMs === undefined ? undefined : new Date(nextWallMs),
  };
}
