// outrigger.admin.v1.ControlPlane: who is connected, what each has, and what it refused. It stands on the port of ADS,
// where others than the operator call too, so it and reflection answer callers over loopback only.
import {
  type handleBidiStreamingCall,
  type sendUnaryData,
  type Server,
  type ServerUnaryCall,
  status,
} from '@grpc/grpc-js';
import {
  type ConnectedSidecar,
  type ControlPlaneServer,
  ControlPlaneService,
  type ListSidecarsRequest,
  type ListSidecarsResponse,
  type SubscribedType,
  SyncState,
} from '../gen/outrigger/admin/v1/control_plane.ts';
import type { ServerReflectionRequest, ServerReflectionResponse } from '../gen/grpc/reflection/v1/reflection.ts';
import { ServerReflectionService } from '../gen/grpc/reflection/v1/reflection.ts';
import { ServerReflectionService as ServerReflectionAlphaService } from '../gen/grpc/reflection/v1alpha/reflection.ts';
import {
  decodePageToken,
  encodePageToken,
  FieldError,
  firstAfter,
  MAX_PAGE_BYTES,
  pageSize,
  type Position,
} from '../rpc/page.ts';
import { createReflection } from '../rpc/reflection.ts';
import type { TypeStatus } from './delta-stream.ts';
import { isLoopbackPeer } from './stream-peer.ts';

/** Full names of the services of the ADS port. */
const SERVICES: readonly string[] = [
  'envoy.service.discovery.v3.AggregatedDiscoveryService',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
  'outrigger.admin.v1.ControlPlane',
];
/** Refused resources that are shown of a type. */
const MAX_REFUSED = 100;
const NOT_LOOPBACK = {
  code: status.PERMISSION_DENIED,
  details:
    'answered for callers over loopback only: call it on the machine of the control plane, by 127.0.0.1 or [::1]',
};

/** One connected sidecar. */
export interface StreamStatus {
  readonly nodeId: string;
  /** Name and version of its program; empty where it says neither. */
  readonly program: string;
  /** `address:port` of its end. */
  readonly peer: string;
  /** When the stream was opened, ms since 1970. */
  readonly sinceWallMs: number;
  /** Tells streams of one node apart; grows from stream to stream. */
  readonly serial: number;
  /** Whether the stream is encrypted. */
  readonly tls: boolean;
  /** SPIFFE id of the certificate that it showed; undefined where it showed none, or one without. */
  readonly spiffeId: string | undefined;
  readonly types: readonly TypeStatus[];
}

/** Adds the service and reflection to a server. `sidecars` gives those that are connected, in any order. */
export function addControlPlaneService(server: Server, sidecars: () => Iterable<StreamStatus>): void {
  const service: ControlPlaneServer = {
    listSidecars(
      call: ServerUnaryCall<ListSidecarsRequest, ListSidecarsResponse>,
      callback: sendUnaryData<ListSidecarsResponse>,
    ) {
      if (!isLoopbackPeer(call.getPeer())) return callback(NOT_LOOPBACK);
      let response: ListSidecarsResponse;
      try {
        response = listSidecars(sidecars(), call.request);
      } catch (error) {
        const code = error instanceof FieldError ? status.INVALID_ARGUMENT : status.INTERNAL;
        return callback({ code, details: error instanceof FieldError ? error.message : String(error) });
      }
      callback(null, response);
    },
  };
  const reflect = createReflection(SERVICES);
  const serverReflectionInfo: handleBidiStreamingCall<ServerReflectionRequest, ServerReflectionResponse> = (call) => {
    if (isLoopbackPeer(call.getPeer())) reflect(call);
    else call.emit('error', NOT_LOOPBACK);
  };
  server.addService(ControlPlaneService, service);
  server.addService(ServerReflectionService, { serverReflectionInfo });
  server.addService(ServerReflectionAlphaService, { serverReflectionInfo });
}

/** A page of the sidecars. Throws {@link FieldError} for a request that can't be answered. */
export function listSidecars(sidecars: Iterable<StreamStatus>, request: ListSidecarsRequest): ListSidecarsResponse {
  const { nodeIdPrefix, pageToken } = request;
  const size = pageSize(request.pageSize);
  const filters: Position = ['sidecars', nodeIdPrefix];
  const after = decodePageToken(pageToken, filters, ['', 0]);
  const matching = Array.from(sidecars).filter(({ nodeId }) => nodeId.startsWith(nodeIdPrefix));
  const found = firstAfter(matching, positionOf, after, size + 1);
  const shown: ConnectedSidecar[] = [];
  let bytes = 0;
  for (const sidecar of found) {
    const one = connectedSidecar(sidecar);
    bytes += bytesOf(one);
    if (shown.length === size || (shown.length > 0 && bytes > MAX_PAGE_BYTES)) break;
    shown.push(one);
  }
  const last = found[shown.length - 1];
  const isMore = last !== undefined && found.length > shown.length;
  return { sidecars: shown, nextPageToken: isMore ? encodePageToken(filters, positionOf(last)) : '' };
}

function positionOf({ nodeId, serial }: StreamStatus): Position {
  return [nodeId, serial];
}

function connectedSidecar(sidecar: StreamStatus): ConnectedSidecar {
  const types = sidecar.types.map(subscribedType);
  const states = new Set(types.map(({ state }) => state));
  const state = states.has(SyncState.REFUSED)
    ? SyncState.REFUSED
    : states.has(SyncState.WAITING)
      ? SyncState.WAITING
      : SyncState.SYNCED;
  return {
    nodeId: sidecar.nodeId,
    version: sidecar.program,
    address: sidecar.peer,
    connectedSince: new Date(sidecar.sinceWallMs),
    flavour: 'delta',
    tls: sidecar.tls,
    spiffeId: sidecar.spiffeId ?? '',
    // One that hasn't asked for anything isn't in sync with anything.
    state: types.length === 0 ? SyncState.WAITING : state,
    types,
  };
}

function subscribedType(type: TypeStatus): SubscribedType {
  const isWaiting = type.awaitingAnswer || type.due > 0;
  return {
    typeUrl: type.typeUrl,
    subscribed: type.subscribed,
    wildcard: type.wildcard,
    state: type.refused.length > 0 ? SyncState.REFUSED : isWaiting ? SyncState.WAITING : SyncState.SYNCED,
    due: type.due,
    sent: BigInt(type.sent),
    acknowledged: BigInt(type.acknowledged),
    refused: type.refused
      .slice(0, MAX_REFUSED)
      .map(({ name, reason, sinceWallMs }) => ({ name, reason, since: new Date(sinceWallMs) })),
    refusedLeftOut: Math.max(0, type.refused.length - MAX_REFUSED),
  };
}

/** About as many bytes as it is encoded to. */
function bytesOf({ nodeId, version, types }: ConnectedSidecar): number {
  const refused = types.flatMap((type) => type.refused);
  const texts = refused.reduce((sum, { name, reason }) => sum + name.length + reason.length + 32, 0);
  return nodeId.length + version.length + 160 + types.length * 96 + texts;
}
