// An upstream HTTP/1.1 connection: one request at a time, reused only while nothing at all is in doubt.
//
//   idle ──start──► busy ──answer and request complete──► idle
//    │                │ └─101──► tunnel ──both ends said all──► closing
//    │                │  answer first, close wished, limit reached, stray bytes, fault, abort
//    │ FIN, bytes,    ▼
//    └─hint, drain──► closing ──► closed
import type { Clock } from '../base/clock.ts';
import type { ErrorKind } from '../base/error.ts';
import type { Logger } from '../base/log.ts';
import { Timer, type TimerOwner, type TimerWheel } from '../base/timer-wheel.ts';
import type { Fields, RequestHead, RequestSender, ResponseHead, ResponseReceiver } from '../codec/exchange.ts';
import { CHUNKED } from '../codec/h1/framing.ts';
import { isWritable, requestFraming, writeRequestHead } from '../codec/h1/head-writer.ts';
import { type ResponseEvents, ResponseParser } from '../codec/h1/response-parser.ts';
import type { WireLimits } from '../codec/limits.ts';
import { lateCertificateAlert } from '../net/handshake-problem.ts';
import type { Transport, TransportHandler } from '../net/transport.ts';
import type { Channel, ChannelOwner } from './channel.ts';
import { H1RequestStream, type RequestStreamOwner } from './h1-request-stream.ts';

/** What a channel needs from outside. */
export interface H1ChannelContext {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly logger: Logger;
  readonly limits: WireLimits;
  /** Requests after which the connection is closed (APISIX `keepalive_pool.requests`). */
  readonly maxRequests: number;
}

/** How long before the end of the peer's `Keep-Alive: timeout=N` a connection isn't reused any more. */
const HINT_MARGIN_MS = 1000;

/** Speaks HTTP/1.1 over `transport`; sets itself as its handler. */
export function createH1Channel(transport: Transport, owner: ChannelOwner, context: H1ChannelContext): Channel {
  const channel = new H1Channel(transport, owner, context);
  transport.handler = channel;
  return channel;
}

class H1Channel implements Channel, TransportHandler, ResponseEvents, RequestStreamOwner, TimerOwner {
  served = 0;
  idleSinceMs: number;
  draining = false;

  private readonly transport: Transport;
  private readonly owner: ChannelOwner;
  private readonly context: H1ChannelContext;
  private readonly parser: ResponseParser;
  private readonly hintTimer = new Timer(this, 0);
  private stream: H1RequestStream | undefined = undefined;
  private paused = false;
  private closed = false;

  constructor(transport: Transport, owner: ChannelOwner, context: H1ChannelContext) {
    this.transport = transport;
    this.owner = owner;
    this.context = context;
    this.idleSinceMs = context.clock.nowMs;
    this.parser = new ResponseParser(context.limits, this);
  }

  get capacity(): number {
    return this.stream || this.draining || this.closed || this.transport.isClosed ? 0 : 1;
  }

  get active(): number {
    return this.stream ? 1 : 0;
  }

  /** For the parser: no more events. */
  get stopped(): boolean {
    return this.stream === undefined;
  }

  start(head: RequestHead, endStream: boolean, receiver: ResponseReceiver): RequestSender {
    const { transport, context } = this;
    const stream = new H1RequestStream(this, transport, receiver, this.served > 0);
    if (this.capacity === 0) {
      // Closed since the lease, perhaps in this very turn. Callers hear of failures in a later one.
      context.clock.after(0, () => stream.fail('upstream_reset', 'the connection was closed before the request', -1));
      return stream;
    }
    const framing = requestFraming(head, endStream);
    if (!isWritable(head) || (endStream && head.contentLength > 0)) {
      context.clock.after(0, () => stream.fail('unsupported_bridge', 'the request cannot be written as HTTP/1.1', -1));
      return stream;
    }
    if (this.hintTimer.running) context.wheel.stop(this.hintTimer);
    this.stream = stream;
    this.served++;
    this.parser.begin(head.method === 'HEAD', head.protocol);
    stream.begin(framing === CHUNKED ? -1 : Math.max(0, head.contentLength), endStream);
    writeRequestHead(transport, head, framing);
    return stream;
  }

  drain(): void {
    if (this.stream) this.retire();
    else this.closeNow();
  }

  destroy(): void {
    if (this.closed) return;
    if (this.stream?.isTunnel) this.cutTunnel();
    this.loseStream('upstream_reset', 'the connection was closed by the sidecar');
    this.closeNow();
  }

  // --- what the connection does

  onRead(bytes: Buffer, length: number): void {
    const stream = this.stream;
    if (this.closed) return;
    if (!stream) {
      // Nobody asked: an answer to nothing would become the answer to the next request.
      const { logger } = this.context;
      if (!this.draining && logger.isOn('debug')) logger.log('debug', this.peer(), 'bytes on an idle connection');
      this.closeNow();
      return;
    }
    if (stream.isUnsent) {
      // What stands here was on its way before the request was: as above.
      this.loseStream('upstream_reset', 'bytes came before the request was sent');
      this.closeNow();
      return;
    }
    stream.answered = true;
    const parser = this.parser;
    const at = parser.execute(bytes, 0, length);
    if (this.stream !== stream) return;
    if (parser.fault) {
      const kind = parser.fault.kind === 'headers_too_large' ? 'upstream_headers_too_large' : 'upstream_protocol_error';
      this.loseStream(kind, parser.fault.detail);
      this.closeNow();
    } else if (parser.done) {
      this.complete(stream, at === length);
    }
  }

  onEnd(): void {
    const stream = this.stream;
    if (this.closed) return;
    if (!stream) {
      this.closeNow();
      return;
    }
    if (this.parser.finish()) {
      // Of a tunnel the caller may still have something to say.
      if (this.stream === stream && (!stream.isTunnel || stream.sent === 'all')) this.complete(stream, false);
      return;
    }
    this.loseStream(...this.ending(stream, 'the connection was ended'));
    this.closeNow();
  }

  onDrain(): void {
    this.stream?.drained();
  }

  onClose(error: string | undefined): void {
    this.context.wheel.stop(this.hintTimer);
    this.draining = true;
    const stream = this.stream;
    const alert = this.served === 1 && stream?.answered === false ? lateCertificateAlert(error) : undefined;
    if (alert !== undefined) this.loseStream('upstream_tls_failure', alert);
    else if (stream) this.loseStream(...this.ending(stream, error ?? 'the connection was closed'));
    if (this.closed) return;
    this.closed = true;
    this.owner.onClosed(this, alert);
  }

  /** The peer is about to close an idle connection: a request now could cross its FIN. */
  onTimer(): void {
    if (!this.stream) this.closeNow();
  }

  // --- what the parser finds

  onInformationalHead(head: ResponseHead): void {
    this.stream?.receiver.onInformational(head);
  }

  onResponseHead(head: ResponseHead, endStream: boolean): void {
    if (head.status === 101) this.stream?.openTunnel();
    this.stream?.receiver.onHead(head, endStream);
  }

  onData(chunk: Buffer, endStream: boolean): void {
    this.stream?.receiver.onData(chunk, endStream);
  }

  onTrailers(fields: Fields): void {
    this.stream?.receiver.onTrailers(fields);
  }

  // --- what the stream asks

  pauseResponse(): void {
    if (this.paused) return;
    this.paused = true;
    this.transport.pauseRead();
  }

  resumeResponse(): void {
    if (!this.paused) return;
    this.paused = false;
    this.transport.resumeRead();
  }

  onGivenUp(stream: H1RequestStream): void {
    if (this.stream !== stream) return;
    this.stream = undefined;
    if (stream.isTunnel) this.cutTunnel();
    else this.closeNow();
  }

  onTunnelEnd(stream: H1RequestStream): void {
    if (this.stream !== stream) return;
    this.transport.end();
    if (this.parser.done) this.complete(stream, false);
  }

  onUnsendable(stream: H1RequestStream, detail: string): void {
    if (this.stream !== stream) return;
    this.stream = undefined;
    this.closeNow();
    this.context.clock.after(0, () => stream.fail('bad_request', detail, -1));
  }

  // --- ends

  private complete(stream: H1RequestStream, clean: boolean): void {
    const { parser, context } = this;
    this.stream = undefined;
    stream.close();
    this.resumeResponse();
    if (stream.isTunnel) {
      this.retire();
      this.transport.endLingering(); // what the caller said last may still be on its way
      return;
    }
    const hintMs = parser.keepAliveTimeoutS < 0 ? Infinity : parser.keepAliveTimeoutS * 1000 - HINT_MARGIN_MS;
    const reusable = clean && parser.keepAlive && stream.sent === 'all' && this.served < context.maxRequests;
    if (!reusable || hintMs <= 0 || this.draining || this.closed) {
      this.closeNow();
      return;
    }
    this.idleSinceMs = context.clock.nowMs;
    if (hintMs !== Infinity) context.wheel.start(this.hintTimer, hintMs);
    this.owner.onAvailable(this);
  }

  /** Tells the owner once that nothing may be started any more. */
  private retire(): void {
    if (this.draining || this.closed) return;
    this.draining = true;
    this.owner.onDraining(this);
  }

  private closeNow(): void {
    this.context.wheel.stop(this.hintTimer);
    this.retire();
    if (!this.transport.isClosed) this.transport.destroy();
  }

  /** Not by a FIN, which in a tunnel says that all was said. */
  private cutTunnel(): void {
    this.retire();
    if (!this.transport.isClosed) this.transport.reset();
  }

  private loseStream(kind: ErrorKind, detail: string): void {
    const stream = this.stream;
    if (!stream) return;
    this.stream = undefined;
    this.retire();
    stream.fail(kind, detail, -1);
  }

  private ending(stream: H1RequestStream, detail: string): [ErrorKind, string] {
    return [stream.answered ? 'upstream_truncated' : 'upstream_reset', detail];
  }

  private peer(): Record<string, unknown> {
    return { remote: this.transport.remoteAddress, port: this.transport.remotePort };
  }
}
