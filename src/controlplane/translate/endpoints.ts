// EndpointSlices → the Endpoints of one service port.
import type { Endpoint } from '../../gen/outrigger/config/v1/endpoints.ts';
import type { EndpointSliceObject, ServiceObject, ServicePort, SliceEndpoint } from '../source.ts';
import { compareText } from '../finding.ts';

/**
 * Weight of every endpoint. APISIX's controller writes 100; only the ratio counts, and all are alike.
 */
const WEIGHT = 1;

/** The endpoints of a service port, and what was noticed. */
export interface JoinedEndpoints {
  /** Sorted, each address and port once. */
  readonly endpoints: Endpoint[];
  /** Names of slice ports where slices with ports exist, but none bears the service port's name; else undefined. */
  readonly otherPortNames: readonly string[] | undefined;
}

/** Joins by port *name*, as Kubernetes does; the numbers are the Pods' own. */
export function joinEndpoints(
  service: ServiceObject,
  port: ServicePort,
  slices: readonly EndpointSliceObject[],
): JoinedEndpoints {
  const found = new Map<string, Endpoint>();
  const others = new Set<string>();
  let matched = false;
  for (const slice of slices) {
    for (const slicePort of slice.ports) {
      if (slicePort.name !== port.name) {
        others.add(slicePort.name);
        continue;
      }
      matched = true;
      // A slice port without a number means every port: the Pods listen where the Service points.
      const number = slicePort.port ?? port.targetPort ?? port.port;
      for (const endpoint of slice.endpoints) addEndpoint(found, endpoint, number, service.family);
    }
  }
  const endpoints = [...found].sort(([a], [b]) => compareText(a, b)).map(([, endpoint]) => endpoint);
  return { endpoints, otherPortNames: matched || others.size === 0 ? undefined : [...others].sort() };
}

/** An address may stand in two slices while Kubernetes moves it; one that is ready anywhere is ready. */
function addEndpoint(found: Map<string, Endpoint>, from: SliceEndpoint, port: number, family: 4 | 6 | undefined): void {
  if (from.state === 'left_out') return;
  for (const address of from.addresses) {
    if (family !== undefined && (address.includes(':') ? 6 : 4) !== family) continue;
    const key = `${address} ${port}`;
    if (from.state === 'draining' && found.has(key)) continue;
    const labels: Record<string, string> = {};
    if (from.node !== undefined) labels['node'] = from.node;
    if (from.pod !== undefined) labels['pod'] = from.pod;
    found.set(key, {
      address,
      port,
      weight: WEIGHT,
      priority: undefined,
      locality: from.zone === undefined ? undefined : { region: '', zone: from.zone, subZone: '' },
      state: from.state === 'draining' ? 'draining' : undefined,
      labels,
    });
  }
}
