// One ADS stream over @grpc/grpc-js, in the neutral words of subscription.ts. Each stream has a channel of its own: the
// pace of tries is ours (server-order.ts), and a channel that failed would hold on to a back-off of its own.
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { status as grpcStatus } from '@grpc/grpc-js';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { kindOf, typeUrl } from '../config/resource.ts';
import type { Node } from '../gen/envoy/config/core/v3/base.ts';
import { AggregatedDiscoveryServiceClient } from '../gen/envoy/service/discovery/v3/ads.ts';
import type {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
  DiscoveryRequest,
  DiscoveryResponse,
} from '../gen/envoy/service/discovery/v3/discovery.ts';
import { Resource } from '../gen/envoy/service/discovery/v3/discovery.ts';
import type { Any } from '../gen/google/protobuf/any.ts';
import type { Duration } from '../gen/google/protobuf/duration.ts';
import type { Status } from '../gen/google/rpc/status.ts';
import { channelSecurity, type ControlCredentials } from './channel-security.ts';
import { describeStreamEnd } from './stream-error.ts';
import type { AdsRequest, DeliveredResource, DeliveredResponse, Flavour } from './subscription.ts';

/** Where a control plane listens. */
export interface ServerAddress {
  /** Name or IP address, without brackets. */
  readonly host: string;
  readonly port: number;
}

/** `host:port`, IPv6 in brackets. */
export function formatServer({ host, port }: ServerAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Who we are, told with the first request of a stream. */
export interface NodeIdentity {
  readonly id: string;
  /** Address of the own Pod, so that the control plane leaves out what this Pod backs. */
  readonly podIp: string | undefined;
  /** Services wanted, `namespace/name`; empty: all. */
  readonly services: readonly string[];
  /** Of this program. */
  readonly version: string;
}

/** Messages larger than this end the stream. */
export const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;

/** Flow-control window; the 64 KiB of HTTP/2 would make a large first answer crawl over a long way. */
const WINDOW_BYTES = 1024 * 1024;

const WRAPPER_TYPE_URL = 'type.googleapis.com/envoy.service.discovery.v3.Resource';

const CLIENT_FEATURES = [
  'xds.config.resource-in-sotw',
  // Two spellings are documented for this one.
  'xds.config.supports-resource-ttl',
  'envoy.config.supports-resource-ttl',
];

/** What happens on a stream. `onEnd` comes once and last; after `close` nothing comes. */
export interface AdsStreamEvents {
  /** The transport is connected. */
  onConnected(): void;
  onResponse(response: DeliveredResponse): void;
  onEnd(error: string): void;
}

/** An open stream. */
export interface AdsStream {
  send(request: AdsRequest): void;
  /** Gives it up at once. */
  close(): void;
}

/**
 * Opens streams to one server after another; without `credentials` in plaintext. Throws where these can't be used; no
 * event comes before it has returned.
 */
export type OpenAdsStream = (
  server: ServerAddress,
  events: AdsStreamEvents,
  credentials: ControlCredentials | undefined,
) => AdsStream;

/** Streams over grpc-js. */
export function adsStreamOpener(flavour: Flavour, node: NodeIdentity): OpenAdsStream {
  return (server, events, credentials) => {
    const security = channelSecurity(server.host, credentials);
    const facts = {
      isTls: credentials !== undefined,
      hasAuthorities: credentials?.ca !== undefined,
      hasCertificate: credentials?.certificate !== undefined,
    };
    const client = new AggregatedDiscoveryServiceClient(formatServer(server), security.credentials, {
      ...security.options,
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc-node.flow_control_window': WINDOW_BYTES,
      'grpc.keepalive_time_ms': 30_000,
      'grpc.keepalive_timeout_ms': 10_000,
      'grpc.enable_retries': 0,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.service_config_disable_resolution': 1,
      // A proxy named in the environment is the application's affair, not that of the mesh.
      'grpc.enable_http_proxy': 0,
      'grpc.primary_user_agent': `outrigger/${node.version}`,
    });
    let open = true;
    const close = (): void => {
      if (!open) return;
      open = false;
      call.cancel();
      client.close();
    };
    const end = (error: string): void => {
      if (!open) return;
      close();
      events.onEnd(error);
    };
    let first = true;
    const identity = (): Node | undefined => {
      if (!first) return undefined;
      first = false;
      return nodeMessage(node);
    };
    let send: (request: AdsRequest) => void;
    let call:
      | ClientDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>
      | ClientDuplexStream<DiscoveryRequest, DiscoveryResponse>;
    if (flavour === 'delta') {
      const stream = client.deltaAggregatedResources();
      stream.on('data', (response: DeltaDiscoveryResponse) => open && events.onResponse(fromDelta(response)));
      send = (request) => stream.write(toDelta(request, identity()));
      call = stream;
    } else {
      const stream = client.streamAggregatedResources();
      stream.on('data', (response: DiscoveryResponse) => open && events.onResponse(fromSotw(response)));
      send = (request) => stream.write(toSotw(request, identity()));
      call = stream;
    }
    // `status` tells the same and comes always; without a listener for `error` Node would throw.
    call.on('error', () => undefined);
    call.on('status', ({ code, details }) => {
      const name = grpcStatus[code] ?? String(code);
      end(code === grpcStatus.OK ? 'the control plane ended the stream' : describeStreamEnd(name, details, facts));
    });
    client.waitForReady(Infinity, (error) => {
      if (error === undefined && open) events.onConnected();
    });
    return {
      send(request) {
        if (open) send(request);
      },
      close,
    };
  };
}

function nodeMessage({ id, podIp, services, version }: NodeIdentity): Node {
  const metadata: Record<string, unknown> = {};
  if (podIp !== undefined) metadata['pod_ip'] = podIp;
  if (services.length > 0) metadata['services'] = [...services];
  return {
    id,
    cluster: '',
    metadata,
    userAgentName: 'outrigger',
    userAgentVersion: version,
    clientFeatures: CLIENT_FEATURES,
  };
}

const INVALID_ARGUMENT = 3;

function errorDetail(error: string): Status | undefined {
  return error === '' ? undefined : { code: INVALID_ARGUMENT, message: error, details: [] };
}

function toDelta(request: AdsRequest, node: Node | undefined): DeltaDiscoveryRequest {
  if (request.flavour !== 'delta') throw new Error('a state-of-the-world request on a delta stream');
  // Without a prototype: a resource may be called `__proto__`.
  const initialResourceVersions = Object.create(null) as Record<string, string>;
  for (const [name, version] of request.initialVersions) initialResourceVersions[name] = version;
  return {
    node,
    typeUrl: typeUrl(request.kind),
    resourceNamesSubscribe: [...request.subscribe],
    resourceNamesUnsubscribe: [...request.unsubscribe],
    initialResourceVersions,
    responseNonce: request.nonce,
    errorDetail: errorDetail(request.error),
  };
}

function toSotw(request: AdsRequest, node: Node | undefined): DiscoveryRequest {
  if (request.flavour !== 'sotw') throw new Error('a delta request on a state-of-the-world stream');
  return {
    versionInfo: request.version,
    node,
    resourceNames: [...request.names],
    typeUrl: typeUrl(request.kind),
    responseNonce: request.nonce,
    errorDetail: errorDetail(request.error),
  };
}

function fromDelta(response: DeltaDiscoveryResponse): DeliveredResponse {
  return {
    typeUrl: response.typeUrl,
    version: response.systemVersionInfo,
    nonce: response.nonce,
    resources: response.resources.map(fromResource),
    removed: response.removedResources,
  };
}

function fromSotw(response: DiscoveryResponse): DeliveredResponse {
  // Only for our own types: nothing else is looked into.
  const known = kindOf(response.typeUrl) !== undefined;
  return {
    typeUrl: response.typeUrl,
    version: response.versionInfo,
    nonce: response.nonce,
    resources: known ? response.resources.map(fromAny) : [],
    removed: [],
  };
}

function fromResource({ name, version, ttl, resource, aliases }: Resource): DeliveredResource {
  return {
    name,
    typeUrl: resource?.typeUrl ?? '',
    version,
    ttlMs: ttl && toMs(ttl),
    bytes: resource?.value,
    aliases,
  };
}

function fromAny({ typeUrl: type, value }: Any): DeliveredResource {
  if (type === WRAPPER_TYPE_URL) {
    try {
      return fromResource(Resource.decode(value));
    } catch {
      return { name: undefined, typeUrl: type, version: '', ttlMs: undefined, bytes: value, aliases: [] };
    }
  }
  return { name: readName(value), typeUrl: type, version: '', ttlMs: undefined, bytes: value, aliases: [] };
}

function toMs({ seconds, nanos }: Duration): number {
  return Number(seconds) * 1000 + nanos / 1e6;
}

/** Field 1 of each of our messages is its name. Undefined where the bytes are no message. */
export function readName(bytes: Uint8Array): string | undefined {
  try {
    const reader = new BinaryReader(bytes);
    let name = '';
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      if (tag === 0x0a) name = reader.string();
      else reader.skip(tag & 7, tag >>> 3);
    }
    return name;
  } catch {
    return undefined;
  }
}
