// outrigger.admin.v1.AdminService over a SidecarView: reads in pages, a watch, and two verbs.
import { status, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import type { Cancel } from '../base/clock.ts';
import { LOG_LEVELS, type LogLevel } from '../base/log.ts';
import {
  ResourceState,
  type AdminServiceServer,
  type EndpointStatus,
  type GetSnapshotRequest,
  type GetSnapshotResponse,
  type ListEndpointsRequest,
  type ListEndpointsResponse,
  type ListenerStatus,
  type ResourceStatus,
} from '../gen/outrigger/admin/v1/admin.ts';
import { certificateBytes, certificateStatus, withSecretProblems } from './certificate-status.ts';
import { endpointStatus, endpointTlsBytes } from './endpoint-status.ts';
import { EndpointWatch } from './endpoint-watch.ts';
import { explain } from './explain.ts';
import { OpenStreams } from './open-streams.ts';
import { upstreamPorts } from './port-status.ts';
import {
  comparePositions,
  decodePageToken,
  encodePageToken,
  FieldError,
  firstAfter,
  MAX_PAGE_BYTES,
  pageSize,
  type Position,
} from '../rpc/page.ts';
import {
  RESOURCE_KINDS,
  type EndpointView,
  type ListenerView,
  type PortView,
  type ResourceKind,
  type ResourceView,
  type SidecarView,
} from './views.ts';

/** Watches open at a time; one more is RESOURCE_EXHAUSTED. */
export const MAX_ENDPOINT_WATCHES = 32;

/** The admin service; `streams` ends its watches when the server stops. */
export function createAdminService(view: SidecarView): { service: AdminServiceServer; streams: OpenStreams } {
  const streams = new OpenStreams(MAX_ENDPOINT_WATCHES);
  const service: AdminServiceServer = {
    getSnapshot: unary((request) => snapshot(view, request)),
    listEndpoints: unary((request) => listEndpoints(view, request)),
    explain: unary((request) => explain(view, request)),
    drain: unary((request) => ({ inFlight: view.drain(request.exit) })),
    setLogLevel: unary((request) => ({ previousLevel: view.setLogLevel(logLevel(request.level)) })),
    watchEndpoints(call) {
      const { upstream, servicePort } = call.request;
      if (servicePort > 65_535) {
        call.emit('error', { code: status.INVALID_ARGUMENT, details: portError(servicePort).message });
        return;
      }
      let cancel: Cancel | undefined;
      if (!streams.open(call, () => cancel?.())) return;
      const watch = new EndpointWatch((message) => call.write(message));
      for (const port of matchingPorts(view, upstream, servicePort)) {
        for (const endpoint of port.endpoints()) watch.initial(port, endpoint);
      }
      cancel = view.watchEndpoints((change, port, endpoint) => {
        if (matches(port, upstream, servicePort)) watch.change(change, port, endpoint);
      });
      call.on('drain', () => watch.resume());
      watch.resume();
    },
  };
  return { service, streams };
}

/** A unary method from a function; its FieldError becomes INVALID_ARGUMENT. */
function unary<Request, Response>(
  answer: (request: Request) => Response,
): (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>) => void {
  return (call, callback) => {
    let response: Response;
    try {
      response = answer(call.request);
    } catch (error) {
      if (error instanceof FieldError) return callback({ code: status.INVALID_ARGUMENT, details: error.message });
      return callback({ code: status.INTERNAL, details: String(error) });
    }
    callback(null, response);
  };
}

function snapshot(view: SidecarView, request: GetSnapshotRequest): GetSnapshotResponse {
  const { kind, namePrefix, pageToken, excludeResources } = request;
  if (kind !== '' && !RESOURCE_KINDS.includes(kind as ResourceKind)) {
    throw new FieldError('kind', `${JSON.stringify(kind)} is not one of ${RESOURCE_KINDS.join(', ')}`);
  }
  const size = pageSize(request.pageSize);
  const filters: Position = ['snapshot', kind, namePrefix];
  const after = decodePageToken(pageToken, filters, [0, '']);
  const found = firstAfter(matchingResources(view, kind, namePrefix), positionOfResource, after, size + 1);
  // What belongs to the whole, not to a page of resources, is on the first page.
  const certificates = after ? [] : withSecretProblems(view.certificates(), view.resources());
  const resources: ResourceStatus[] = [];
  let bytes = certificates.reduce((sum, certificate) => sum + certificateBytes(certificate), 0);
  for (const resource of found) {
    const bodyBytes = excludeResources || resource.kind === 'Secret' ? 0 : (resource.bytes?.length ?? 0);
    const itemBytes = bodyBytes + resource.name.length + resource.error.length + 160;
    if (resources.length === size || (resources.length > 0 && bytes + itemBytes > MAX_PAGE_BYTES)) break;
    bytes += itemBytes;
    resources.push(resourceStatus(resource, excludeResources));
  }
  const last = found[resources.length - 1];
  const control = view.control();
  return {
    nodeId: view.nodeId,
    snapshot: BigInt(view.snapshotNumber()),
    control: {
      address: control.address,
      state: control.state,
      since: new Date(control.sinceWallMs),
      lastError: control.lastError,
      source: control.source,
    },
    resources,
    nextPageToken: last && found.length > resources.length ? encodePageToken(filters, positionOfResource(last)) : '',
    listeners: after ? [] : view.listeners().map(listenerStatus),
    certificates: certificates.map(certificateStatus),
    upstreamPorts: after || (kind !== '' && kind !== 'Upstream') ? [] : upstreamPorts(view, namePrefix),
  };
}

function listenerStatus({ clientCertificate, ...rest }: ListenerView): ListenerStatus {
  return { ...rest, tls: clientCertificate !== undefined, clientCertificate: clientCertificate ?? '' };
}

function* matchingResources(view: SidecarView, kind: string, namePrefix: string): Iterable<ResourceView> {
  for (const resource of view.resources()) {
    if ((kind === '' || resource.kind === kind) && resource.name.startsWith(namePrefix)) yield resource;
  }
}

function positionOfResource(resource: ResourceView): Position {
  return [RESOURCE_KINDS.indexOf(resource.kind), resource.name];
}

const STATES = {
  requested: ResourceState.REQUESTED,
  does_not_exist: ResourceState.DOES_NOT_EXIST,
  acked: ResourceState.ACKED,
  nacked: ResourceState.NACKED,
  removed: ResourceState.REMOVED,
} as const;

function resourceStatus(resource: ResourceView, excludeBody: boolean): ResourceStatus {
  const { kind, bytes, receivedWallMs, appliedWallMs } = resource;
  return {
    kind,
    name: resource.name,
    version: resource.version,
    state: STATES[resource.state],
    error: resource.error,
    refusedVersion: resource.refusedVersion,
    receivedTime: receivedWallMs === undefined ? undefined : new Date(receivedWallMs),
    appliedTime: appliedWallMs === undefined ? undefined : new Date(appliedWallMs),
    resource:
      bytes === undefined || excludeBody || kind === 'Secret'
        ? undefined
        : {
            typeUrl: `type.googleapis.com/outrigger.config.v1.${kind}`,
            value: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
          },
    unknownFields: resource.unknownFields,
  };
}

function listEndpoints(view: SidecarView, request: ListEndpointsRequest): ListEndpointsResponse {
  const { upstream, servicePort, pageToken } = request;
  if (servicePort > 65_535) throw portError(servicePort);
  const size = pageSize(request.pageSize);
  const filters: Position = ['endpoints', upstream, servicePort];
  const after = decodePageToken(pageToken, filters, ['', 0, '', 0]);
  const ports = [...matchingPorts(view, upstream, servicePort)]
    .filter((port) => !after || comparePorts([port.upstream, port.servicePort], after) >= 0)
    .sort((a, b) => comparePorts([a.upstream, a.servicePort], [b.upstream, b.servicePort]));
  const endpoints: EndpointStatus[] = [];
  let bytes = 0;
  let last: Position | undefined;
  for (const port of ports) {
    const position = (endpoint: EndpointView): Position => [
      port.upstream,
      port.servicePort,
      endpoint.address,
      endpoint.port,
    ];
    for (const endpoint of firstAfter(port.endpoints(), position, after, size - endpoints.length + 1)) {
      const itemBytes = estimateBytes(port, endpoint);
      if (endpoints.length === size || (last && bytes + itemBytes > MAX_PAGE_BYTES)) {
        return { endpoints, nextPageToken: last ? encodePageToken(filters, last) : '' };
      }
      bytes += itemBytes;
      endpoints.push(endpointStatus(port, endpoint));
      last = position(endpoint);
    }
  }
  return { endpoints, nextPageToken: '' };
}

function comparePorts(a: Position, b: Position): number {
  return comparePositions(a, b.slice(0, 2));
}

/** A little more than the message's size on the wire. */
function estimateBytes(port: PortView, endpoint: EndpointView): number {
  const ejectionBytes = endpoint.ejection ? 40 + 3 * endpoint.ejection.cause.length : 0;
  let bytes = 250 + 3 * (port.upstream.length + endpoint.cause.length + endpoint.host.length) + ejectionBytes;
  bytes += endpointTlsBytes(endpoint.tls);
  for (const [key, value] of endpoint.labels) bytes += 8 + 3 * (key.length + value.length);
  return bytes;
}

function* matchingPorts(view: SidecarView, upstream: string, servicePort: number): Iterable<PortView> {
  for (const port of view.ports()) if (matches(port, upstream, servicePort)) yield port;
}

function matches(port: PortView, upstream: string, servicePort: number): boolean {
  return (upstream === '' || port.upstream === upstream) && (servicePort === 0 || port.servicePort === servicePort);
}

function portError(servicePort: number): FieldError {
  return new FieldError('service_port', `${servicePort} is more than 65535`);
}

function logLevel(level: string): LogLevel {
  if (Object.hasOwn(LOG_LEVELS, level)) return level as LogLevel;
  throw new FieldError('level', `${JSON.stringify(level)} is not one of ${Object.keys(LOG_LEVELS).join(', ')}`);
}
