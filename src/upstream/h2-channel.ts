// An upstream HTTP/2 connection: carries many requests at once. Its life:
//
//   open ----GOAWAY came, drain(), maxRequests, no ids left----> draining ----no stream----> closed
//     |  FIN, error, the peer broke the rules, no answer to PING, destroy() ------------------^
//
// With streams in flight and no byte from the peer for pingAfterMs, a PING asks whether it lives. Servers of gRPC count
// the PINGs that come less than five minutes after another while they have sent neither HEADERS nor DATA, and go away at
// the third (gRFC A8). So in the same silence the next PING waits for pingAgainMs.
//
// One stream is started before the peer's SETTINGS are known, as RFC 9113 section 3.4 allows: a single call needn't wait
// for them, and of many at once a peer with a low limit would refuse most.
import { NOTHING_SENT, type ErrorKind } from '../base/error.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { Timer, type TimerOwner, type TimerWheel } from '../base/timer-wheel.ts';
import type { Fields, RequestHead, RequestSender, ResponseHead, ResponseReceiver } from '../codec/exchange.ts';
import { BlockCache } from '../codec/h2/block-cache.ts';
import { H2Connection, type ConnectionOwner } from '../codec/h2/connection.ts';
import * as code from '../codec/h2/error-code.ts';
import { CLIENT_PREFACE, MAX_31_BITS } from '../codec/h2/frame.ts';
import { writePing } from '../codec/h2/frame-writer.ts';
import { copyResponseHead, readResponseHead } from '../codec/h2/response-head.ts';
import * as setting from '../codec/h2/settings.ts';
import type { H2Stream } from '../codec/h2/stream.ts';
import { readTrailers } from '../codec/h2/trailers.ts';
import type { WireLimits } from '../codec/limits.ts';
import { lateCertificateAlert } from '../net/handshake-problem.ts';
import type { Transport, TransportHandler } from '../net/transport.ts';
import type { Channel, ChannelOwner } from './channel.ts';
import { UpstreamH2Stream } from './h2-stream.ts';

/** What a channel needs from outside. */
export interface H2ChannelContext {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly logger: Logger;
  readonly limits: WireLimits;
  /** Requests after which it drains. */
  readonly maxRequests: number;
  /** Instead of the limit of this name, where the peer has found our PINGs too many. */
  readonly pingAgainMs?: number;
  /** First stream identifier, odd; 1 unless a test wants to see the last ones. */
  readonly firstStreamId?: number;
}

/** Takes an open connection over and sends the client preface. */
export function createH2Channel(transport: Transport, owner: ChannelOwner, context: H2ChannelContext): Channel {
  const channel = new H2Channel(transport, owner, context);
  transport.handler = channel;
  return channel;
}

const STREAMS_BEFORE_SETTINGS = 1;
/** Early PINGs that a server of gRPC forgives between two messages; it ends the connection over the third. */
const FORGIVEN_PINGS = 2;
const KEEPALIVE_PING = 0x616c6976;
const HTTP1_PLAIN =
  'the upstream answered in HTTP/1: it does not speak HTTP/2 over plaintext (h2c) here; set scheme http';
const HTTP1_TLS = 'the upstream answered in HTTP/1: it does not speak HTTP/2 here; set scheme https';

class H2Channel implements Channel, TransportHandler, ConnectionOwner, TimerOwner {
  draining = false;
  streamLimit = -1;
  served = 0;
  idleSinceMs: number;
  private readonly transport: Transport;
  private readonly owner: ChannelOwner;
  private readonly context: H2ChannelContext;
  private readonly connection: H2Connection;
  private readonly heads = new BlockCache<ResponseHead>();
  private readonly trailers = new BlockCache<Fields>();
  private readonly pingTimer = new Timer(this, 0);
  /** When the PING was sent that the peer hasn't answered; -1: none is out. */
  private pingOutMs = -1;
  private lastPingMs = -Infinity;
  /** messageFrames of the connection as the last PING was sent. */
  private framesAtPing = 0;
  private servedAtPing = 0;
  /** PINGs of this silence that a server of gRPC counts as strikes. */
  private earlyPings = 0;
  /** The last byte from the peer, or the first stream after a rest. */
  private heardMs = 0;
  private nextId: number;
  private drainTold = false;
  private closedTold = false;

  constructor(transport: Transport, owner: ChannelOwner, context: H2ChannelContext) {
    this.transport = transport;
    this.owner = owner;
    this.context = context;
    this.idleSinceMs = context.clock.nowMs;
    this.nextId = context.firstStreamId ?? 1;
    const { clock, wheel } = context;
    const http1Detail = transport.tls ? HTTP1_TLS : HTTP1_PLAIN;
    this.connection = new H2Connection('client', transport, this, {
      clock,
      wheel,
      limits: context.limits,
      http1Detail,
    });
    const { limits } = context;
    transport.write(CLIENT_PREFACE);
    const settings = [
      setting.ENABLE_PUSH,
      0,
      setting.INITIAL_WINDOW_SIZE,
      limits.streamWindowBytes,
      setting.MAX_HEADER_LIST_SIZE,
      limits.responseHeadBytes,
    ];
    if (limits.hpackTableBytes !== 4096) settings.push(setting.HEADER_TABLE_SIZE, limits.hpackTableBytes);
    this.connection.start(settings);
  }

  get active(): number {
    return this.connection.streams.size;
  }

  get capacity(): number {
    if (this.draining || this.connection.shut) return 0;
    // Callers that don't read hold its window: new calls shouldn't wait behind them.
    if (this.connection.flow.heldBytes > this.context.limits.connectionHeldBytes) return 0;
    const limit = this.streamLimit < 0 ? STREAMS_BEFORE_SETTINGS : this.streamLimit;
    return Math.max(0, limit - this.connection.streams.size);
  }

  start(head: RequestHead, endStream: boolean, receiver: ResponseReceiver): RequestSender {
    const { connection } = this;
    const stream = new UpstreamH2Stream(connection, receiver, head.method === 'HEAD', this.served > 0);
    if (head.protocol !== '' || head.method === 'CONNECT') {
      return this.failLater(stream, 'unsupported_bridge', 'an upgrade has no HTTP/2 form');
    }
    if (this.capacity === 0) return this.failLater(stream, 'upstream_refused', 'the connection takes no more streams');
    const id = this.nextId;
    this.nextId += 2;
    if (this.active === 0) this.heardMs = this.context.clock.nowMs;
    connection.lastStreamId = id;
    connection.add(stream, id);
    connection.headers.writeRequest(id, head, endStream, connection.peer.frameBytes);
    if (endStream) connection.localEnd(stream);
    this.served++;
    if (!this.pingTimer.running) this.startPingTimer();
    if (this.served >= this.context.maxRequests || this.nextId > MAX_31_BITS) {
      // No capacity from here on; the pool, which may be in the middle of picking, hears of it in a later turn.
      this.draining = true;
      this.context.clock.after(0, () => this.tellDraining());
    }
    return stream;
  }

  drain(): void {
    this.draining = true;
    this.tellDraining();
  }

  destroy(): void {
    this.fail('upstream_reset', 'closed by this side');
    this.transport.destroy();
  }

  // ---------------------------------------------------------------- from the transport

  onRead(bytes: Buffer, length: number): void {
    if (this.connection.shut) return;
    this.heardMs = this.context.clock.nowMs;
    this.connection.read(bytes, 0, length);
  }

  onDrain(): void {
    if (!this.connection.shut) this.connection.scheduler.pump();
  }

  onEnd(): void {
    this.fail('upstream_reset', 'the upstream closed the connection');
    this.transport.destroy();
  }

  onClose(error: string | undefined): void {
    const alert = this.streamLimit < 0 ? lateCertificateAlert(error) : undefined;
    if (alert !== undefined) this.fail('upstream_tls_failure', alert);
    else this.fail('upstream_reset', error ?? 'the connection closed');
  }

  onTimer(_what: number, nowMs: number): void {
    if (this.connection.shut) return;
    // Any byte is a sign of life: behind a long answer, that to the PING comes late.
    if (this.pingOutMs >= 0 && this.heardMs > this.pingOutMs) this.pingOutMs = -1;
    if (this.pingOutMs >= 0) {
      if (nowMs - this.pingOutMs >= this.context.limits.pingAckMs) {
        this.fail('upstream_reset', 'the upstream did not answer a PING');
        return this.transport.destroy();
      }
    } else if (this.active === 0) return;
    else if (nowMs >= this.pingDueMs()) {
      if (this.connection.messageFrames !== this.framesAtPing) this.earlyPings = 0;
      else if (nowMs < this.lastPingMs + this.pingAgainMs) this.earlyPings++;
      this.pingOutMs = this.lastPingMs = nowMs;
      this.framesAtPing = this.connection.messageFrames;
      this.servedAtPing = this.served;
      writePing(this.transport, 0, KEEPALIVE_PING, KEEPALIVE_PING);
    }
    this.startPingTimer();
  }

  private startPingTimer(): void {
    const { clock, limits, wheel } = this.context;
    const out = this.pingOutMs >= 0;
    const leftMs = (out ? this.pingOutMs + limits.pingAckMs : this.pingDueMs()) - clock.nowMs;
    // HEADERS or DATA may end a long wait at any time.
    wheel.start(this.pingTimer, out ? leftMs : Math.min(leftMs, limits.pingAfterMs));
  }

  /** When the next PING may be sent, if the peer is silent until then. */
  private pingDueMs(): number {
    const dueMs = this.heardMs + this.context.limits.pingAfterMs;
    if (this.connection.messageFrames !== this.framesAtPing) return dueMs;
    // Further calls that stay without an answer are worth the strikes that a server forgives.
    if (this.served !== this.servedAtPing && this.earlyPings < FORGIVEN_PINGS) return dueMs;
    return Math.max(dueMs, this.lastPingMs + this.pingAgainMs);
  }

  private get pingAgainMs(): number {
    return this.context.pingAgainMs ?? this.context.limits.pingAgainMs;
  }

  // ---------------------------------------------------------------- from the connection

  onHeaderBlock(
    stream: H2Stream | undefined,
    _id: number,
    endStream: boolean,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    const answer = stream as UpstreamH2Stream; // the dispatcher lets servers open no stream
    if (answer.headSeen) this.onTrailers(answer, endStream, bytes, start, end);
    else this.onHead(answer, endStream, bytes, start, end);
  }

  onMalformedRequest(): void {} // servers open no stream

  onStreamClosed(): void {
    if (this.connection.shut) return;
    if (this.active === 0) {
      this.idleSinceMs = this.context.clock.nowMs;
      if (this.drainTold) return this.leave();
    }
    if (this.capacity > 0) this.owner.onAvailable(this);
  }

  onPeerReset(): void {}

  onPeerSettings(): void {
    const before = this.streamLimit < 0 ? -1 : this.capacity;
    this.streamLimit = Math.min(this.connection.peer.concurrentStreams, this.context.limits.concurrentStreams);
    if (this.capacity > before) this.owner.onAvailable(this);
  }

  onGoaway(lastStreamId: number, errorCode: number, detail: string): void {
    const reason = `GOAWAY ${code.errorCodeName(errorCode)}${detail === '' ? '' : `: ${detail}`}`;
    if (errorCode === code.ENHANCE_YOUR_CALM && detail.startsWith('too_many_pings')) this.owner.onTooManyPings?.();
    if (errorCode !== code.NO_ERROR) {
      const { remoteAddress, remotePort } = this.transport;
      this.context.logger.log('info', { upstream: `${remoteAddress}:${remotePort}`, reason }, 'upstream goes away');
    }
    this.draining = true;
    for (const stream of [...this.connection.streams.values()]) {
      if (stream.id <= lastStreamId || stream.closed) continue;
      this.connection.discard(stream);
      (stream as UpstreamH2Stream).refused(reason);
    }
    this.tellDraining();
    if (this.active === 0 && !this.connection.shut) this.leave(); // a second GOAWAY may have taken the last
  }

  onPingAck(high: number, low: number): void {
    if (this.pingOutMs < 0 || high !== KEEPALIVE_PING || low !== KEEPALIVE_PING) return;
    this.pingOutMs = -1;
    this.startPingTimer();
  }

  onConnectionError(errorCode: number, detail: string): void {
    const isHttp1 = detail === HTTP1_PLAIN || detail === HTTP1_TLS;
    this.fail('upstream_protocol_error', isHttp1 ? detail : `${code.errorCodeName(errorCode)}: ${detail}`);
  }

  // ---------------------------------------------------------------- answers

  private onHead(stream: UpstreamH2Stream, endStream: boolean, bytes: Buffer, start: number, end: number): void {
    const { connection } = this;
    const { decoder } = connection;
    const { limits } = this.context;
    let head = this.heads.get(bytes, start, end, decoder.generation);
    if (head === undefined) {
      if (!decoder.decode(bytes, start, end, limits.responseHeadBytes, limits.headFields + 1)) {
        return connection.compressionError();
      }
      if (decoder.fields.tooLarge) return this.tooLarge(stream, 'too large a head');
      const read = readResponseHead(decoder.fields);
      if (typeof read === 'string') return connection.streamError(stream, code.PROTOCOL_ERROR, read);
      head = read;
      if (decoder.isRepeatable) this.heads.set(bytes, start, end, decoder.generation, head);
    }
    const { status } = head;
    if (status < 200) {
      if (status === 101 || endStream || ++stream.informationals > limits.informationalHeads) {
        return connection.streamError(stream, code.PROTOCOL_ERROR, `an informational head ${status} out of place`);
      }
      stream.answered = true;
      return stream.receiver.onInformational(copyResponseHead(head));
    }
    const hasNoBody = stream.isHead || status === 204 || status === 304;
    if (endStream && !hasNoBody && head.contentLength > 0) {
      return connection.streamError(stream, code.PROTOCOL_ERROR, 'END_STREAM where content-length promises a body');
    }
    stream.answered = true;
    stream.headSeen = true;
    stream.bodyLeft = hasNoBody ? 0 : head.contentLength;
    stream.remoteEnded = endStream;
    stream.receiver.onHead(copyResponseHead(head), endStream);
    if (endStream) connection.finish(stream);
  }

  private onTrailers(stream: UpstreamH2Stream, endStream: boolean, bytes: Buffer, start: number, end: number): void {
    const { connection } = this;
    const { decoder } = connection;
    const { responseHeadBytes, headFields } = this.context.limits;
    let fields = this.trailers.get(bytes, start, end, decoder.generation);
    let neverIndexed: readonly string[] | undefined;
    if (fields === undefined) {
      if (!decoder.decode(bytes, start, end, responseHeadBytes, headFields)) return connection.compressionError();
      if (decoder.fields.tooLarge) return this.tooLarge(stream, 'too large trailers');
      const read = readTrailers(decoder.fields);
      if (typeof read === 'string') return connection.streamError(stream, code.PROTOCOL_ERROR, read);
      fields = read;
      ({ neverIndexed } = decoder.fields);
      if (decoder.isRepeatable) this.trailers.set(bytes, start, end, decoder.generation, fields);
    }
    if (!endStream) return connection.streamError(stream, code.PROTOCOL_ERROR, 'trailers without END_STREAM');
    if (stream.bodyLeft > 0) {
      return connection.streamError(stream, code.PROTOCOL_ERROR, 'the body is shorter than content-length says');
    }
    stream.remoteEnded = true;
    stream.receiver.onTrailers(fields.slice(), neverIndexed);
    connection.finish(stream);
  }

  private tooLarge(stream: UpstreamH2Stream, detail: string): void {
    stream.failure = 'upstream_headers_too_large';
    this.connection.streamError(stream, code.ENHANCE_YOUR_CALM, detail);
  }

  // ---------------------------------------------------------------- the end

  /** A sender that never sends; its receiver hears why in a later turn. */
  private failLater(stream: UpstreamH2Stream, kind: ErrorKind, detail: string): RequestSender {
    stream.closed = true;
    this.context.clock.after(0, () => {
      if (!stream.aborted) stream.receiver.onAbort(kind, NOTHING_SENT, detail, -1);
    });
    return stream;
  }

  private tellDraining(): void {
    if (this.drainTold || this.connection.shut) return;
    this.drainTold = true;
    this.owner.onDraining(this);
    if (this.active === 0 && !this.connection.shut) this.leave();
  }

  private leave(): void {
    this.connection.goaway(code.NO_ERROR, '');
    this.fail('upstream_reset', '');
    this.transport.endLingering();
  }

  /** The connection is of no use any more: whoever waits for it hears of `kind`. */
  private fail(kind: ErrorKind, detail: string): void {
    this.connection.stop();
    this.draining = true;
    this.context.wheel.stop(this.pingTimer);
    for (const stream of this.connection.streams.values()) (stream as UpstreamH2Stream).failure = kind;
    this.connection.loseStreams(detail);
    if (this.closedTold) return;
    this.closedTold = true;
    this.owner.onClosed(this, kind === 'upstream_tls_failure' ? detail : undefined);
  }
}
