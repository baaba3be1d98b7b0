// A downstream HTTP/2 connection: turns header blocks into requests and answers those that no handler may see. Its life:
//
//   preface ----> open ----drain()----> draining ----PING acknowledged, or 1 s----> final ----no stream----> closed
//                  |  GOAWAY came                                                               ^
//                  |-------------------------> (last stream gone) ------------------------------|
//                  |  nothing asked for firstRequestMs, or no stream for idleMs ----------------|
//                  |  requestsPerConnection or connectionAgeMs reached, or no ids left: drain()
//                  |  the peer broke the connection's rules, FIN, or destroy() -----------------|
//
// The first GOAWAY names 2^31-1, since requests may be on their way; after a round trip the second names the last one
// that was taken (RFC 9113 section 6.8).
//
// A caller that doesn't read what it is sent isn't read from either, from `writeBufferBytes` until all has left.
import { Timer, type TimerOwner } from '../base/timer-wheel.ts';
import type { ErrorKind } from '../base/error.ts';
import type { Fields } from '../codec/exchange.ts';
import { encodeGrpcMessage, GrpcStatus, isGrpcContentType } from '../codec/grpc/status.ts';
import { BlockCache } from '../codec/h2/block-cache.ts';
import { H2Connection, type ConnectionOwner } from '../codec/h2/connection.ts';
import * as code from '../codec/h2/error-code.ts';
import { CLIENT_PREFACE, MAX_31_BITS } from '../codec/h2/frame.ts';
import { writeGoaway, writePing } from '../codec/h2/frame-writer.ts';
import { copyRequestHead, readRequestHead, type ReceivedRequest } from '../codec/h2/request-head.ts';
import * as setting from '../codec/h2/settings.ts';
import type { H2Stream } from '../codec/h2/stream.ts';
import { readTrailers } from '../codec/h2/trailers.ts';
import { ERROR_TABLE } from '../model/error-table.ts';
import { HIGH_PENDING_BYTES, type Transport } from '../net/transport.ts';
import { DownstreamH2Stream, type DownstreamStreamOwner } from './h2-stream.ts';
import { retireAtMs, type Session, type SessionContext } from './session.ts';

/** Takes an open connection over; it must hand on all bytes from the client preface on. */
export function createH2Session(transport: Transport, context: SessionContext): Session {
  const session = new H2Session(transport, context);
  transport.handler = session;
  return session;
}

const LIFE_TIMER = 0;
const DRAIN_TIMER = 1;
const FLUSH_TIMER = 2;
const DRAIN_GRACE_MS = 1000;
const DRAIN_PING = 0x6f757472; // any eight bytes that no other PING of ours has
const PSEUDO_FIELDS = 5;

class H2Session implements Session, ConnectionOwner, DownstreamStreamOwner, TimerOwner {
  private readonly transport: Transport;
  private readonly context: SessionContext;
  private readonly connection: H2Connection;
  private readonly heads = new BlockCache<ReceivedRequest>();
  private readonly lifeTimer = new Timer(this, LIFE_TIMER);
  private drainTimer: Timer | undefined = undefined;
  private flushTimer: Timer | undefined = undefined;
  /** Streams that have an answer waiting which is complete here. */
  private flushing = 0;
  /** This many pending bytes stop reading. Transport tells of its drain only from HIGH_PENDING_BYTES on. */
  private readonly writeLimit: number;
  private readPaused = false;
  private readonly retireMs: number;
  private served = 0;
  private prefaceSeen = 0; // bytes
  private idleSinceMs: number;
  private draining = false;
  /** For the streams: why they end with the connection. */
  lossKind: ErrorKind = 'downstream_reset';
  private peerLeaves = false;

  constructor(transport: Transport, context: SessionContext) {
    this.transport = transport;
    this.context = context;
    this.idleSinceMs = context.clock.nowMs;
    this.connection = new H2Connection('server', transport, this, context);
    const { limits } = context;
    const settings = [
      setting.MAX_CONCURRENT_STREAMS,
      limits.concurrentStreams,
      setting.INITIAL_WINDOW_SIZE,
      limits.streamWindowBytes,
      setting.MAX_HEADER_LIST_SIZE,
      limits.requestHeadBytes,
      setting.NO_RFC7540_PRIORITIES,
      1,
    ];
    if (limits.hpackTableBytes !== 4096) settings.push(setting.HEADER_TABLE_SIZE, limits.hpackTableBytes);
    this.connection.start(settings);
    this.writeLimit = Math.max(limits.writeBufferBytes, HIGH_PENDING_BYTES);
    this.retireMs = retireAtMs(context, transport);
    this.startLifeTimer(limits.firstRequestMs);
  }

  private get remoteAddress(): string {
    return this.transport.remoteAddress;
  }

  get active(): number {
    return this.connection.streams.size;
  }

  onRead(bytes: Buffer, length: number): void {
    if (this.connection.shut) return;
    let at = 0;
    while (this.prefaceSeen < CLIENT_PREFACE.length && at < length) {
      if (bytes[at++] === CLIENT_PREFACE[this.prefaceSeen]) this.prefaceSeen++;
      else return this.connection.connectionError(code.PROTOCOL_ERROR, 'bad client preface');
    }
    if (at < length) this.connection.read(bytes, at, length);
    if (this.transport.pendingBytes < this.writeLimit || this.readPaused || this.connection.shut) return;
    this.transport.flush(); // only what the kernel refuses counts, and only that brings a drain
    if (this.transport.pendingBytes < this.writeLimit) return;
    this.readPaused = true;
    this.transport.pauseRead();
  }

  onDrain(): void {
    if (this.connection.shut) return;
    if (this.readPaused) {
      this.readPaused = false;
      this.transport.resumeRead();
    }
    this.connection.scheduler.pump();
  }

  onEnd(): void {
    if (this.connection.shut) return;
    this.finish('the caller closed the connection');
    this.transport.endLingering();
  }

  onClose(error: string | undefined): void {
    if (!this.connection.shut) this.finish(error ?? 'the connection closed');
  }

  drain(): void {
    if (this.draining || this.connection.shut) return;
    this.draining = true;
    writeGoaway(this.transport, MAX_31_BITS, code.NO_ERROR, '');
    writePing(this.transport, 0, DRAIN_PING, DRAIN_PING);
    this.drainTimer = new Timer(this, DRAIN_TIMER);
    this.context.wheel.start(this.drainTimer, DRAIN_GRACE_MS);
  }

  destroy(): void {
    if (this.draining) this.lossKind = 'draining';
    if (!this.connection.shut) this.finish('closed by this side');
    this.transport.destroy();
  }

  onTimer(what: number, nowMs: number): void {
    if (what === DRAIN_TIMER) return this.finalGoaway();
    if (what === FLUSH_TIMER) return this.resetStalled(nowMs);
    if (this.draining) return;
    if (nowMs >= this.retireMs) return this.drain();
    const { limits } = this.context;
    const sinceMs = this.active > 0 ? nowMs : this.idleSinceMs;
    // Before its first request a connection has less time, and has had it from its beginning.
    const leftMs = sinceMs + (this.connection.lastStreamId > 0 ? limits.idleMs : limits.firstRequestMs) - nowMs;
    if (leftMs <= 0) return this.leave();
    this.startLifeTimer(leftMs);
  }

  private startLifeTimer(delayMs: number): void {
    this.context.wheel.start(this.lifeTimer, Math.min(delayMs, this.retireMs - this.context.clock.nowMs));
  }

  // ---------------------------------------------------------------- from the connection

  onHeaderBlock(
    stream: H2Stream | undefined,
    id: number,
    endStream: boolean,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    if (stream !== undefined) this.onTrailers(stream as DownstreamH2Stream, endStream, bytes, start, end);
    else if (id > this.connection.lastTaken) {
      if (!this.connection.guard.takeControl()) return;
      this.connection.ignore(id);
      this.connection.skipBlock(bytes, start, end);
    } else this.onRequest(id, endStream, bytes, start, end);
  }

  onStreamClosed(stream: H2Stream): void {
    if ((stream as DownstreamH2Stream).isWatched && --this.flushing === 0 && this.flushTimer) {
      this.context.wheel.stop(this.flushTimer);
    }
    if (this.active > 0 || this.connection.shut) return;
    this.idleSinceMs = this.context.clock.nowMs;
    if (this.connection.lastTaken !== MAX_31_BITS || this.peerLeaves) this.leave();
  }

  /** A reset is free once the caller has got a head, when its deadline ran out, or after a second: then it did nothing odd. */
  onPeerReset(stream: H2Stream): void {
    const request = stream as DownstreamH2Stream;
    if (!request.headSent && !request.deadlinePassed && !request.isOld) this.connection.takeReset();
  }

  onPeerSettings(): void {}

  onGoaway(): void {
    this.peerLeaves = true;
    if (this.active === 0) this.leave();
  }

  onPingAck(high: number, low: number): void {
    if (high === DRAIN_PING && low === DRAIN_PING && this.drainTimer?.running === true) this.finalGoaway();
  }

  onConnectionError(errorCode: number, detail: string, kind: ErrorKind): void {
    this.context.onRefused(kind, `${code.errorCodeName(errorCode)}: ${detail}`, this.remoteAddress);
    this.finish(detail);
  }

  // ---------------------------------------------------------------- requests

  private onRequest(id: number, endStream: boolean, bytes: Buffer, start: number, end: number): void {
    const { connection, context } = this;
    const { decoder } = connection;
    const { limits } = context;
    this.idleSinceMs = context.clock.nowMs;
    let request = this.heads.get(bytes, start, end, decoder.generation);
    if (request === undefined) {
      if (!decoder.decode(bytes, start, end, limits.requestHeadBytes, limits.headFields + PSEUDO_FIELDS)) {
        return connection.compressionError();
      }
      if (decoder.fields.tooLarge) {
        const isGrpc = namesGrpc(decoder.fields.items, decoder.fields.length);
        return this.answer(id, endStream, 'headers_too_large', isGrpc);
      }
      const read = readRequestHead(decoder.fields, context.scheme);
      if (typeof read === 'string') return this.refuse(id, read);
      if (read.fieldCount > limits.headFields) {
        return this.answer(id, endStream, 'headers_too_large', namesGrpc(read.head.fields, read.head.fields.length));
      }
      request = read;
      if (decoder.isRepeatable) this.heads.set(bytes, start, end, decoder.generation, request);
    }
    const { head } = request;
    if (endStream && head.contentLength > 0) return this.refuse(id, 'END_STREAM where content-length promises a body');
    if (this.active >= limits.concurrentStreams) {
      context.onRefused('overflow', 'more streams at once than SETTINGS allow', this.remoteAddress);
      connection.refuseStream(id, code.REFUSED_STREAM);
      return;
    }
    if (request.namesNoMethod) {
      return this.answer(id, endStream, 'bad_request', true, GrpcStatus.UNIMPLEMENTED, ':path names no method');
    }
    if (request.isConnect || head.method === 'TRACE') return this.answer(id, endStream, 'method_not_allowed', false);
    if (head.path.length > limits.requestLineBytes) {
      return this.answer(id, endStream, 'uri_too_long', namesGrpc(head.fields, head.fields.length));
    }
    if (!connection.hasHeaderRoom(request.heldBytes)) {
      context.onRefused('headers_too_large', 'all the streams together hold too many fields', this.remoteAddress);
      connection.refuseStream(id, code.REFUSED_STREAM);
      return;
    }
    const stream = new DownstreamH2Stream(connection, this, this.transport, context, request.grpcTimeout);
    stream.remoteEnded = endStream;
    stream.bodyLeft = head.contentLength;
    connection.add(stream, id);
    connection.takeHeaderBytes(stream, request.heldBytes);
    stream.receiver = context.handle(copyRequestHead(head), endStream, stream);
    if (++this.served >= limits.requestsPerConnection || id === MAX_31_BITS) this.drain();
  }

  private onTrailers(stream: DownstreamH2Stream, endStream: boolean, bytes: Buffer, start: number, end: number): void {
    const { connection } = this;
    const { decoder } = connection;
    const { trailerBytes, trailerFields } = this.context.limits;
    if (!decoder.decode(bytes, start, end, trailerBytes, trailerFields)) return connection.compressionError();
    if (!endStream) return connection.streamError(stream, code.PROTOCOL_ERROR, 'trailers without END_STREAM');
    if (decoder.fields.tooLarge) return connection.streamError(stream, code.ENHANCE_YOUR_CALM, 'too large trailers');
    const { neverIndexed, heldBytes } = decoder.fields;
    const read = readTrailers(decoder.fields);
    if (typeof read === 'string') return connection.streamError(stream, code.PROTOCOL_ERROR, read);
    if (stream.bodyLeft > 0) {
      return connection.streamError(stream, code.PROTOCOL_ERROR, 'the body is shorter than content-length says');
    }
    if (!connection.takeHeaderBytes(stream, heldBytes)) {
      return connection.streamError(stream, code.ENHANCE_YOUR_CALM, 'all the streams together hold too many fields');
    }
    stream.remoteEnded = true;
    stream.receiver?.onTrailers(read, neverIndexed);
    connection.finish(stream);
  }

  onMalformedRequest(id: number, detail: string): void {
    this.refuse(id, detail);
  }

  /** A malformed request costs its stream (RFC 9113 section 8.1.1). */
  private refuse(id: number, detail: string): void {
    this.context.onRefused('bad_request', detail, this.remoteAddress);
    this.connection.refuseStream(id, code.PROTOCOL_ERROR);
  }

  /** Answers a request that no handler may see. */
  private answer(
    id: number,
    endStream: boolean,
    kind: ErrorKind,
    isGrpc: boolean,
    grpcStatus: number = ERROR_TABLE[kind].grpcStatus,
    text = ERROR_TABLE[kind].text,
  ): void {
    const { connection } = this;
    const { httpStatus } = ERROR_TABLE[kind];
    this.context.onRefused(kind, text, this.remoteAddress);
    const message = encodeGrpcMessage(text);
    const fields: Fields = isGrpc
      ? ['content-type', 'application/grpc', 'grpc-status', String(grpcStatus), 'grpc-message', message]
      : ['content-length', '0'];
    fields.push('x-outrigger-reason', kind);
    const head = { status: isGrpc ? 200 : httpStatus, fields, neverIndexed: undefined, contentLength: -1 };
    connection.headers.writeResponse(id, head, true, connection.peer.frameBytes);
    if (endStream) connection.gone.add(id);
    else connection.refuseStream(id, code.NO_ERROR);
  }

  // ---------------------------------------------------------------- answers that wait

  watchFlush(): void {
    this.flushing++;
    this.flushTimer ??= new Timer(this, FLUSH_TIMER);
    if (!this.flushTimer.running) this.context.wheel.start(this.flushTimer, this.context.limits.flushMs);
  }

  /** Gives up the complete answers of which the caller has taken nothing for too long. */
  private resetStalled(nowMs: number): void {
    const { limits, wheel } = this.context;
    let nextMs = Infinity;
    for (const stream of [...this.connection.streams.values()] as DownstreamH2Stream[]) {
      if (!stream.isWatched || stream.closed) continue;
      const leftMs = stream.stalledSinceMs + limits.flushMs - nowMs;
      if (leftMs > 0) nextMs = Math.min(nextMs, leftMs);
      else stream.flushTimedOut('the answer is complete and is not taken');
      if (this.connection.shut) return;
    }
    if (nextMs < Infinity && this.flushTimer) wheel.start(this.flushTimer, nextMs);
  }

  // ---------------------------------------------------------------- the end

  private finalGoaway(): void {
    if (this.connection.shut) return;
    if (this.drainTimer) this.context.wheel.stop(this.drainTimer);
    this.connection.lastTaken = this.connection.lastStreamId;
    if (this.active === 0) return this.leave();
    this.connection.goaway(code.NO_ERROR, '');
  }

  /** Says goodbye and closes. */
  private leave(): void {
    this.connection.goaway(code.NO_ERROR, '');
    this.finish('');
    this.transport.endLingering();
  }

  private finish(detail: string): void {
    this.connection.stop();
    this.context.wheel.stop(this.lifeTimer);
    if (this.drainTimer) this.context.wheel.stop(this.drainTimer);
    if (this.flushTimer) this.context.wheel.stop(this.flushTimer);
    this.connection.loseStreams(detail);
  }
}

function namesGrpc(items: readonly string[], length: number): boolean {
  for (let i = 0; i < length; i += 2) {
    if (items[i] === 'content-type') return isGrpcContentType(items[i + 1]!);
  }
  return false;
}
