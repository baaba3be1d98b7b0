// The port of ADS: what is accepted goes to grpc-js once it is known to speak what the port speaks.
//
//   accepted ──first byte──▶ a TLS record? ──yes, on a TLS port──▶ handshake ──▶ grpc-js
//       │                        │  └─no, on a plaintext port─────────────────▶ grpc-js
//       │ silent for 10 s        └─ the other way round: closed, with a line in the log that says what to change
//       ▼
//     closed; so is a handshake that isn't done 10 s after the connection came
import { createServer, type Server, type Socket } from 'node:net';
import type { Cancel, Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { LogSampler } from '../base/log-sampler.ts';
import { HANDSHAKE_RECORD } from '../net/tls.ts';
import { type AdsTls, TlsFront } from './ads-tls.ts';

/** For the first byte, and on a TLS port for the whole handshake. */
const HANDSHAKE_MS = 10_000;
/** A peer that keeps failing in one way is told of once in this time. */
const TOLD = { count: 1, periodMs: 60_000 };

/** What a port is made of. */
export interface AdsPortOptions {
  /** Without brackets. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Undefined: plaintext. */
  readonly tls: AdsTls | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Gets each connection that may pass. */
  readonly inject: (socket: Socket) => void;
}

/** Accepts connections. */
export class AdsPort {
  private readonly options: AdsPortOptions;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  /** Connections that aren't handed on yet, with what stops their timer. */
  private readonly waiting = new Map<Socket, Cancel>();
  /** Those whose handshake has begun, by both of their ends. */
  private readonly handshakes = new Map<string, Socket>();
  private readonly told: LogSampler;
  private front: TlsFront | undefined;

  constructor(options: AdsPortOptions) {
    this.options = options;
    this.told = new LogSampler(options.clock, TOLD);
    this.server = createServer({ noDelay: true }, (socket) => this.accept(socket));
  }

  /** Binds; resolves with `host:port`. Rejects where the port or a certificate can't be had, with the fix. */
  async start(): Promise<string> {
    const { host, port, tls, logger } = this.options;
    const shown = host.includes(':') ? `[${host}]` : host;
    if (tls !== undefined) this.front = this.makeFront(tls);
    const bound = await new Promise<number>((resolve, reject) => {
      const onError = (error: Error): void =>
        reject(new Error(`can't bind the ADS address ${shown}:${port}: ${error.message}; free it or choose another`));
      this.server.once('error', onError);
      this.server.listen({ host, port }, () => {
        this.server.off('error', onError);
        this.server.on('error', (error) => logger.log('error', { error: String(error) }, 'the ADS listener failed'));
        const address = this.server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : port);
      });
    });
    return `${shown}:${bound}`;
  }

  /** Accepts nothing more and drops what isn't handed on; resolves once every connection has ended. */
  close(): Promise<void> {
    this.front?.stop();
    for (const socket of this.waiting.keys()) socket.destroy();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  /** Cuts every connection. */
  destroy(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  private makeFront(tls: AdsTls): TlsFront {
    try {
      return new TlsFront({
        tls,
        logger: this.options.logger,
        onSecure: (socket) => {
          const raw = this.handshakes.get(endsOf(socket));
          if (raw !== undefined) this.settle(raw);
          this.options.inject(socket);
        },
        onFailure: (reason, peer) => this.tell(peer, `TLS handshake of a caller failed: ${reason}`),
      });
    } catch (error) {
      throw new Error(`can't serve ADS over TLS: ${(error as Error).message}`, { cause: error });
    }
  }

  private accept(socket: Socket): void {
    const { clock } = this.options;
    const ends = endsOf(socket);
    this.sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.sockets.delete(socket);
      if (this.handshakes.get(ends) === socket) this.handshakes.delete(ends);
      this.settle(socket);
    });
    this.waiting.set(
      socket,
      clock.after(HANDSHAKE_MS, () => socket.destroy()),
    );
    const onReadable = (): void => {
      const first: unknown = socket.read();
      if (!(first instanceof Buffer)) return;
      socket.off('readable', onReadable);
      socket.off('end', onEnd);
      this.route(socket, first);
    };
    const onEnd = (): void => void socket.destroy();
    socket.on('readable', onReadable);
    socket.on('end', onEnd);
  }

  private route(socket: Socket, first: Buffer): void {
    const speaksTls = first[0] === HANDSHAKE_RECORD;
    if (speaksTls !== (this.front !== undefined)) {
      const message = speaksTls
        ? 'a caller speaks TLS to the plaintext ADS port: serve ADS over TLS with --ads-cert and --ads-key, or start the sidecar without --control-ca and --control-cert'
        : 'a caller speaks plaintext to the TLS port of ADS: start the sidecar with --control-ca (and --control-cert, --control-key), or serve ADS without --ads-cert';
      this.tell(socket.remoteAddress, message);
      // What else comes is read and dropped, so that the end arrives before a reset would; the timer cuts who stays.
      socket.resume();
      socket.end();
      return;
    }
    socket.unshift(first);
    if (this.front !== undefined) {
      this.handshakes.set(endsOf(socket), socket);
      this.front.accept(socket);
      return;
    }
    this.settle(socket);
    this.options.inject(socket);
  }

  private settle(socket: Socket): void {
    this.waiting.get(socket)?.();
    this.waiting.delete(socket);
  }

  private tell(peer = 'unknown', message: string): void {
    this.options.clock.refresh();
    if (this.told.take(`${peer} ${message}`) !== undefined) this.options.logger.log('warn', { peer }, message);
  }
}

/** Tells a connection from every other one that is open. */
function endsOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`;
}
