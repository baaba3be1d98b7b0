// The ADS server: grpc-js around one DeltaStream per sidecar, behind a port of its own (AdsPort).
import { type ConnectionInjector, Server, ServerCredentials, status, type ServerDuplexStream } from '@grpc/grpc-js';
import type { Cancel, Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { AggregatedDiscoveryServiceService } from '../gen/envoy/service/discovery/v3/ads.ts';
import type { AggregatedDiscoveryServiceServer } from '../gen/envoy/service/discovery/v3/ads.ts';
import type { DeltaDiscoveryRequest, DeltaDiscoveryResponse } from '../gen/envoy/service/discovery/v3/discovery.ts';
import { AdsPort } from './ads-port.ts';
import type { AdsTls } from './ads-tls.ts';
import { type Applied, AppliedWaits, type ResourceName } from './applied.ts';
import { DeltaStream, type Nack } from './delta-stream.ts';
import { addControlPlaneService, type StreamStatus } from './list-sidecars.ts';
import type { SnapshotCache } from './snapshot-cache.ts';
import { maySendSecrets, nodeIdProblem, readPeer, type StreamPeer } from './stream-peer.ts';
import { decodeMessage, type VersionedResource } from './versioned-resource.ts';
import type { View } from './views.ts';
import { withheldView } from './withheld-view.ts';

/** Largest message either way. */
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;
/** A ping each so often finds sidecars that went without a word. */
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
/** Streams that don't end by themselves after a stop are cut after this. */
const STOP_GRACE_MS = 500;

type Call = ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

/** What an ADS server needs. */
export interface AdsServerOptions {
  /** Address to bind; without brackets. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Undefined: plaintext. */
  readonly tls?: AdsTls | undefined;
  readonly cache: SnapshotCache;
  readonly clock: Clock;
  readonly logger: Logger;
}

export type { StreamStatus };

/** A stream with its other end. */
interface Sidecar {
  readonly stream: DeltaStream;
  readonly peer: StreamPeer;
  readonly sinceWallMs: number;
  readonly serial: number;
}

/** Serves the cache to any number of sidecars. */
export class AdsServer {
  private readonly options: AdsServerOptions;
  private readonly server: Server;
  private readonly injector: ConnectionInjector;
  private readonly port: AdsPort;
  private readonly sidecars = new Map<Call, Sidecar>();
  private readonly waits: AppliedWaits;
  private lastSerial = 0;
  private unsubscribe: Cancel = () => undefined;

  constructor(options: AdsServerOptions) {
    this.options = options;
    this.server = new Server({
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    });
    const service: AggregatedDiscoveryServiceServer = {
      deltaAggregatedResources: (call) => this.accept(call),
      streamAggregatedResources: (call) => {
        const details = 'this control plane serves the incremental protocol only: use --xds delta';
        call.emit('error', { code: status.UNIMPLEMENTED, details });
      },
    };
    this.server.addService(AggregatedDiscoveryServiceService, service);
    addControlPlaneService(this.server, () => this.status());
    // What TLS there is was spoken before grpc-js gets the connection.
    this.injector = this.server.createConnectionInjector(ServerCredentials.createInsecure());
    const { host, port, tls, clock, logger } = options;
    this.waits = new AppliedWaits(clock);
    this.port = new AdsPort({
      host,
      port,
      tls,
      clock,
      logger,
      inject: (socket) => this.injector.injectConnection(socket),
    });
  }

  /** Binds; resolves with `host:port`. Rejects where the port is taken or the certificate can't be used, with the fix. */
  async start(): Promise<string> {
    const { tls, cache } = this.options;
    if (tls?.bindNodeId === true && tls.clientCa === undefined) {
      throw new Error(
        'node ids can only be bound to client certificates: give their authorities too (--ads-client-ca)',
      );
    }
    const address = await this.port.start();
    this.unsubscribe = cache.subscribe(() => {
      for (const [call, { stream }] of this.sidecars) this.guard(call, stream, () => stream.onSnapshot());
    });
    return address;
  }

  /** Ends all streams and the server. */
  async stop(): Promise<void> {
    this.unsubscribe();
    this.waits.stop();
    const closed = this.port.close();
    for (const call of this.sidecars.keys()) call.end();
    // GOAWAY; a connection ends with its last stream.
    this.injector.destroy();
    const cancel = this.options.clock.after(STOP_GRACE_MS, () => this.port.destroy());
    await closed;
    cancel();
    this.server.forceShutdown();
  }

  /** The sidecars that are connected. */
  status(): StreamStatus[] {
    return Array.from(this.sidecars.values(), ({ stream, peer, sinceWallMs, serial }) => ({
      nodeId: stream.nodeId,
      program: stream.program,
      peer: peer.address,
      sinceWallMs,
      serial,
      tls: peer.tls,
      spiffeId: peer.spiffeId,
      types: stream.status(),
    }));
  }

  /**
   * Waits until each connected sidecar that is concerned has acknowledged these resources as the cache has them now, or
   * that they are gone, or has refused one; for `timeoutMs` at most. Upstreams that a Route or Service among them names
   * concern also those that have all Routes: they are about to ask. Called after the change is in the cache.
   */
  awaitApplied(resources: readonly ResourceName[], timeoutMs: number): Promise<Applied> {
    const { cache } = this.options;
    const soonAsked = new Set<string>();
    for (const { kind, name } of resources) {
      const resource = kind === 'Route' || kind === 'Service' ? cache.get(kind, name) : undefined;
      // A Route that is off asks for nothing.
      const isOff = resource?.kind === 'Route' && decodeMessage('Route', resource.bytes).status === 0;
      for (const upstream of isOff ? [] : (resource?.references.upstreams ?? [])) soonAsked.add(upstream);
    }
    const streams = Array.from(this.sidecars.values(), ({ stream }) => stream);
    return this.waits.wait(streams, resources, soonAsked, timeoutMs);
  }

  private accept(call: Call): void {
    const { cache, logger, tls } = this.options;
    const peer = readPeer(call, tls !== undefined);
    const stream = new DeltaStream({
      viewOf: this.viewsFor(peer, () => stream.nodeId),
      ...(!maySendSecrets(peer) && { fullViewOf: (node) => cache.viewOf(node) }),
      send: (response) => void call.write(response),
      onNack: (nack) => this.logNack(nack, peer.address),
      wallMs: () => this.options.clock.wallMs(),
    });
    const sinceWallMs = this.options.clock.wallMs();
    this.sidecars.set(call, { stream, peer, sinceWallMs, serial: ++this.lastSerial });
    let isFirst = true;
    const leave = (): void => {
      if (!this.sidecars.delete(call)) return;
      this.waits.leave(stream);
      logger.log('info', { node: stream.nodeId, peer: peer.address }, 'sidecar disconnected');
    };
    call.on('data', (request: DeltaDiscoveryRequest) => {
      if (!this.sidecars.has(call)) return;
      // The first request says who it is; what later ones say of that isn't looked at.
      if (isFirst && !this.admit(call, request, peer)) return;
      isFirst = false;
      const wasKnown = stream.nodeId !== '';
      this.guard(call, stream, () => stream.onRequest(request));
      if (wasKnown || stream.nodeId === '') return;
      const { address, spiffeId } = peer;
      logger.log('info', { node: stream.nodeId, peer: address, tls: peer.tls, spiffeId }, 'sidecar connected');
      const services = cache.missingServices(request.node);
      if (services.length > 0) {
        logger.log('warn', { node: stream.nodeId, services }, 'sidecar lists services that are not there');
      }
    });
    call.on('end', () => {
      leave();
      call.end();
    });
    call.on('error', leave);
    call.on('cancelled', leave);
    call.on('close', leave);
  }

  /** Whether a stream may bear the node id of its first request; ends it where it may not. */
  private admit(call: Call, request: DeltaDiscoveryRequest, peer: StreamPeer): boolean {
    if (this.options.tls?.bindNodeId !== true) return true;
    const details = nodeIdProblem(request.node?.id ?? '', peer);
    if (details === undefined) return true;
    this.sidecars.delete(call);
    this.options.logger.log('warn', { peer: peer.address, reason: details }, 'sidecar refused');
    call.emit('error', { code: status.PERMISSION_DENIED, details });
    return false;
  }

  /** What a stream may see. */
  private viewsFor(peer: StreamPeer, nodeId: () => string): (node: DeltaDiscoveryRequest['node']) => View {
    const { cache, logger } = this.options;
    if (maySendSecrets(peer)) return (node) => cache.viewOf(node);
    let told = false;
    const tell = ({ kind, name }: VersionedResource): void => {
      if (told) return;
      told = true;
      const message =
        'a resource with secrets is not sent to a sidecar on another machine over plaintext, nor is any further one: serve ADS over TLS (--ads-cert, --ads-key)';
      logger.log('warn', { node: nodeId(), peer: peer.address, resource: `${kind} ${name}` }, message);
    };
    return (node) => withheldView(cache.viewOf(node), tell);
  }

  private logNack(nack: Nack, peer: string): void {
    const { nodeId, typeUrl, nonce, reason } = nack;
    this.options.logger.log('warn', { node: nodeId, peer, type: typeUrl, nonce, reason }, 'sidecar refused resources');
  }

  /** A bug in one stream ends that stream only. */
  private guard(call: Call, stream: DeltaStream, step: () => void): void {
    try {
      step();
      this.waits.check(stream);
    } catch (error) {
      this.sidecars.delete(call);
      this.waits.leave(stream);
      this.options.logger.log('error', { error: String(error) }, 'ADS stream failed');
      call.emit('error', { code: status.INTERNAL, details: 'internal error of the control plane' });
    }
  }
}
