import type { ErrorKind } from '../base/error.ts';
import type { RequestReceiver, ResponseHead, ResponseSender } from '../codec/exchange.ts';
import type { H2Connection } from '../codec/h2/connection.ts';
import { NO_ERROR, RESET_CODES } from '../codec/h2/error-code.ts';
import { H2Stream } from '../codec/h2/stream.ts';
import type { Transport } from '../net/transport.ts';
import type { SessionContext } from './session.ts';

/** One request of an HTTP/2 session: the sender of its answer, and the way to the receiver of its body. */
export class DownstreamH2Stream extends H2Stream implements ResponseSender {
  /** Set once the handler has returned. */
  receiver: RequestReceiver | undefined = undefined;
  /** The final response head went out. */
  headSent = false;
  private readonly transport: Transport;
  private readonly context: SessionContext;
  private readonly startedMs: number;
  private readonly grpcTimeout: string | undefined;

  constructor(
    connection: H2Connection,
    transport: Transport,
    context: SessionContext,
    grpcTimeout: string | undefined,
  ) {
    super(connection);
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

  get localPort(): number {
    return this.transport.localPort;
  }

  /** The call's own deadline has come, or nearly: the caller's clock started before ours. */
  get deadlinePassed(): boolean {
    if (this.grpcTimeout === undefined) return false;
    const timeoutMs = grpcTimeoutMs(this.grpcTimeout);
    return timeoutMs >= 0 && this.context.clock.nowMs - this.startedMs >= timeoutMs * 0.9 - 10;
  }

  sendInformational(head: ResponseHead): void {
    // HTTP/2 has no 101 (RFC 9113 section 8.6).
    if (this.closed || this.headSent || head.status === 101) return;
    this.connection.headers.writeResponse(this.id, head, false, this.connection.peer.frameBytes);
  }

  sendHead(head: ResponseHead, endStream: boolean): void {
    if (this.closed || this.headSent) return;
    this.headSent = true;
    this.connection.headers.writeResponse(this.id, head, endStream, this.connection.peer.frameBytes);
    if (endStream) this.connection.localEnd(this);
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

  override failed(_errorCode: number, detail: string): void {
    this.context.onRefused('bad_request', detail, this.transport.remoteAddress);
    this.receiver?.onAbort('bad_request');
  }

  override lost(): void {
    this.receiver?.onAbort('downstream_reset');
  }

  override drained(): void {
    this.receiver?.onDrain();
  }

  /** The answer is complete before the request is: the rest of it is not wanted (RFC 9113 section 8.1). */
  override endedFirst(): void {
    this.connection.guard.streamEnded();
    this.connection.resetStream(this, NO_ERROR);
  }
}

const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000001 };

/** A grpc-timeout in ms: one to eight digits and a unit (gRPC over HTTP/2, "Timeout"); -1 where it isn't one. */
function grpcTimeoutMs(text: string): number {
  const unit = UNIT_MS[text.slice(-1)];
  const digits = text.slice(0, -1);
  if (unit === undefined || digits.length < 1 || digits.length > 8 || !/^[0-9]+$/.test(digits)) return -1;
  return Number(digits) * unit;
}
