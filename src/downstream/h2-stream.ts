import type { ErrorKind } from '../base/error.ts';
import type { Fields, RequestReceiver, ResponseHead, ResponseSender } from '../codec/exchange.ts';
import type { H2Connection } from '../codec/h2/connection.ts';
import { parseGrpcTimeout } from '../codec/grpc/timeout.ts';
import { CANCEL, ENHANCE_YOUR_CALM, NO_ERROR, RESET_CODES } from '../codec/h2/error-code.ts';
import { ENTRY_OVERHEAD } from '../codec/h2/hpack/dynamic-table.ts';
import { H2Stream } from '../codec/h2/stream.ts';
import { HIGH_PENDING_BYTES, type Transport } from '../net/transport.ts';
import type { SessionContext } from './session.ts';

/** The session's side. */
export interface DownstreamStreamOwner {
  /** An answer is complete here and some of it waits: somebody must look whether it moves. */
  watchFlush(): void;
  /** Why streams end whose connection is closed. */
  readonly lossKind: ErrorKind;
}

/**
 * A head or trailers that find this many times `writeBufferBytes` waiting end their stream instead: the caller doesn't
 * read, and the session has long stopped reading from it, but the answers to what it had asked still come.
 */
const OVERFULL = 4;
const OLD_MS = 1000;

/** One request of an HTTP/2 session: the sender of its answer, and the way to the receiver of its body. */
export class DownstreamH2Stream extends H2Stream implements ResponseSender {
  /** Set once the handler has returned. */
  receiver: RequestReceiver | undefined = undefined;
  /** The final response head went out. */
  headSent = false;
  /** `watchFlush` was called. */
  isWatched = false;
  private readonly owner: DownstreamStreamOwner;
  private readonly transport: Transport;
  private readonly context: SessionContext;
  private readonly startedMs: number;
  private readonly grpcTimeout: string | undefined;

  constructor(
    connection: H2Connection,
    owner: DownstreamStreamOwner,
    transport: Transport,
    context: SessionContext,
    grpcTimeout: string | undefined,
  ) {
    super(connection);
    this.owner = owner;
    this.transport = transport;
    this.context = context;
    this.startedMs = context.clock.nowMs;
    this.grpcTimeout = grpcTimeout;
  }

  get remoteAddress(): string {
    return this.transport.remoteAddress;
  }

  get remotePort(): number {
    return this.transport.remotePort;
  }

  get localAddress(): string {
    return this.transport.localAddress;
  }

  get localPort(): number {
    return this.transport.localPort;
  }

  /**
   * The call's own deadline has come, or nearly: the caller's clock started before ours, by up to 10 ms, or half of a
   * shorter time. A millisecond at least: a deadline that none could meet is no excuse for a flood of resets.
   */
  get deadlinePassed(): boolean {
    if (this.grpcTimeout === undefined) return false;
    const timeoutMs = parseGrpcTimeout(this.grpcTimeout);
    if (timeoutMs === undefined) return false;
    const elapsedMs = this.context.clock.nowMs - this.startedMs;
    return elapsedMs >= Math.max(1, timeoutMs * 0.5, timeoutMs * 0.9 - 10);
  }

  /** It has been open for so long that resetting it is no flood: `concurrentStreams` a second at most. */
  get isOld(): boolean {
    return this.context.clock.nowMs - this.startedMs >= OLD_MS;
  }

  sendInformational(head: ResponseHead): void {
    // HTTP/2 has no 101 (RFC 9113 section 8.6).
    if (this.closed || this.headSent || head.status === 101) return;
    if (this.isOverfull()) return;
    this.connection.headers.writeResponse(this.id, head, false, this.connection.peer.frameBytes);
  }

  sendHead(head: ResponseHead, endStream: boolean): void {
    if (this.closed || this.headSent) return;
    this.headSent = true;
    if (this.isOverfull()) return;
    this.connection.headers.writeResponse(this.id, head, endStream, this.connection.peer.frameBytes);
    if (endStream) this.connection.localEnd(this);
  }

  override sendData(chunk: Uint8Array, endStream: boolean): void {
    this.connection.scheduler.send(this, chunk, endStream);
    if (endStream && this.endQueued && !this.closed) this.watch();
  }

  override sendTrailers(fields: Fields, neverIndexed?: readonly string[]): void {
    if (this.closed || this.endQueued) return;
    if (this.bufferedBytes === 0 ? this.isOverfull() : this.isCrowded(fields)) return;
    this.connection.scheduler.sendTrailers(this, fields, neverIndexed);
    if (this.endQueued && !this.closed) this.watch();
  }

  /**
   * `resetCode`: the upstream's own code, to be passed on; -1 takes the one that fits `kind`, and so does NO_ERROR: some
   * callers would take what has come of the answer for all of it.
   */
  abort(kind: ErrorKind, resetCode = -1): void {
    this.connection.resetStream(this, resetCode > NO_ERROR ? resetCode : RESET_CODES[kind]);
  }

  pauseRequest(): void {
    this.connection.flow.pause(this);
  }

  resumeRequest(): void {
    this.connection.flow.resume(this);
  }

  override receiveData(chunk: Uint8Array, endStream: boolean): void {
    this.receiver?.onData(chunk, endStream);
  }

  override peerReset(): void {
    this.receiver?.onAbort('downstream_reset');
  }

  override failed(errorCode: number, detail: string): void {
    const kind = errorCode === ENHANCE_YOUR_CALM ? 'headers_too_large' : 'bad_request';
    this.context.onRefused(kind, detail, this.transport.remoteAddress);
    this.receiver?.onAbort(kind);
  }

  /** The caller doesn't take what waits for it: the stream is reset and its receiver told. */
  flushTimedOut(detail: string): void {
    this.connection.resetStream(this, CANCEL);
    this.context.onRefused('flush_timeout', detail, this.transport.remoteAddress);
    this.receiver?.onAbort('flush_timeout');
  }

  override lost(): void {
    this.receiver?.onAbort(this.owner.lossKind);
  }

  override drained(): void {
    this.receiver?.onDrain();
  }

  /** The answer is complete before the request is: the rest of it is not wanted (RFC 9113 section 8.1). */
  override endedFirst(): void {
    this.connection.guard.streamEnded();
    this.connection.resetStream(this, NO_ERROR);
  }

  private watch(): void {
    if (this.isWatched) return;
    this.isWatched = true;
    this.movedMs = this.context.clock.nowMs; // before the answer was complete, a caller might rest
    this.owner.watchFlush();
  }

  /** True: nothing may be written any more, and in a later turn the stream will be reset. */
  private isOverfull(): boolean {
    const most = OVERFULL * Math.max(this.context.limits.writeBufferBytes, HIGH_PENDING_BYTES);
    if (this.transport.pendingBytes < most) return false;
    this.transport.flush();
    if (this.transport.pendingBytes < most) return false;
    return this.giveUp('too much waits on its connection');
  }

  /** The same, where trailers would have to wait behind the body with too many others. */
  private isCrowded(fields: Fields): boolean {
    let bytes = 0;
    for (let i = 0; i < fields.length; i += 2) bytes += fields[i]!.length + fields[i + 1]!.length + ENTRY_OVERHEAD;
    return !this.connection.takeHeaderBytes(this, bytes) && this.giveUp('too many trailers wait on its connection');
  }

  private giveUp(detail: string): true {
    this.endQueued = true;
    this.context.clock.after(0, () => {
      if (!this.closed) this.flushTimedOut(detail);
    });
    return true;
  }
}
