// The ADS server: grpc-js around one DeltaStream per sidecar.
import { Server, ServerCredentials, status, type ServerDuplexStream } from '@grpc/grpc-js';
import type { Cancel, Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { AggregatedDiscoveryServiceService } from '../gen/envoy/service/discovery/v3/ads.ts';
import type { AggregatedDiscoveryServiceServer } from '../gen/envoy/service/discovery/v3/ads.ts';
import type { DeltaDiscoveryRequest, DeltaDiscoveryResponse } from '../gen/envoy/service/discovery/v3/discovery.ts';
import { DeltaStream, type Nack, type TypeStatus } from './delta-stream.ts';
import type { SnapshotCache } from './snapshot-cache.ts';

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
  readonly cache: SnapshotCache;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** One connected sidecar, for display. */
export interface StreamStatus {
  readonly nodeId: string;
  /** `address:port` of its end. */
  readonly peer: string;
  readonly types: readonly TypeStatus[];
}

/** Serves the cache to any number of sidecars. */
export class AdsServer {
  private readonly options: AdsServerOptions;
  private readonly server: Server;
  private readonly streams = new Map<Call, DeltaStream>();
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
  }

  /** Binds; resolves with `host:port`. Rejects where the port is taken, naming it. */
  async start(): Promise<string> {
    const { host, port, cache } = this.options;
    const shown = host.includes(':') ? `[${host}]` : host;
    const bound = await new Promise<number>((resolve, reject) => {
      this.server.bindAsync(`${shown}:${port}`, ServerCredentials.createInsecure(), (error, at) => {
        if (error === null) resolve(at);
        else
          reject(new Error(`can't bind the ADS address ${shown}:${port}: ${error.message}; free it or choose another`));
      });
    });
    this.unsubscribe = cache.subscribe(() => {
      for (const [call, stream] of this.streams) this.guard(call, () => stream.onSnapshot());
    });
    return `${shown}:${bound}`;
  }

  /** Ends all streams and the server. */
  async stop(): Promise<void> {
    this.unsubscribe();
    for (const call of this.streams.keys()) call.end();
    await new Promise<void>((resolve) => {
      const cancel = this.options.clock.after(STOP_GRACE_MS, () => {
        this.server.forceShutdown();
        resolve();
      });
      this.server.tryShutdown(() => {
        cancel();
        resolve();
      });
    });
  }

  /** The sidecars that are connected. */
  status(): StreamStatus[] {
    return [...this.streams].map(([call, stream]) => ({
      nodeId: stream.nodeId,
      peer: call.getPeer(),
      types: stream.status(),
    }));
  }

  private accept(call: Call): void {
    const { cache, logger } = this.options;
    const stream = new DeltaStream({
      viewOf: (node) => cache.viewOf(node),
      send: (response) => void call.write(response),
      onNack: (nack) => this.logNack(nack, call.getPeer()),
    });
    this.streams.set(call, stream);
    const leave = (): void => {
      if (!this.streams.delete(call)) return;
      logger.log('info', { node: stream.nodeId, peer: call.getPeer() }, 'sidecar disconnected');
    };
    call.on('data', (request: DeltaDiscoveryRequest) => {
      const isFirst = stream.nodeId === '';
      this.guard(call, () => stream.onRequest(request));
      if (isFirst && stream.nodeId !== '') {
        logger.log('info', { node: stream.nodeId, peer: call.getPeer() }, 'sidecar connected');
        const services = cache.missingServices(request.node);
        if (services.length > 0) {
          logger.log('warn', { node: stream.nodeId, services }, 'sidecar lists services that are not there');
        }
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

  private logNack(nack: Nack, peer: string): void {
    const { nodeId, typeUrl, nonce, reason } = nack;
    this.options.logger.log('warn', { node: nodeId, peer, type: typeUrl, nonce, reason }, 'sidecar refused resources');
  }

  /** A bug in one stream ends that stream only. */
  private guard(call: Call, step: () => void): void {
    try {
      step();
    } catch (error) {
      this.streams.delete(call);
      this.options.logger.log('error', { error: String(error) }, 'ADS stream failed');
      call.emit('error', { code: status.INTERNAL, details: 'internal error of the control plane' });
    }
  }
}
