// One try of a request at one endpoint: get a connection, send, and hand the answer on as it comes.
import { NOTHING_SENT, type ErrorKind, type Progress } from '../base/error.ts';
import type { Fields, RequestSender, ResponseHead, ResponseReceiver } from '../codec/exchange.ts';
import { findField } from '../codec/fields.ts';
import { httpToGrpcStatus, parseGrpcStatus } from '../codec/grpc/status.ts';
import type { Channel } from '../upstream/channel.ts';
import type { LiveEndpoint } from '../upstream/endpoint.ts';
import type { EndpointPool, LeaseWaiter } from '../upstream/pool.ts';
import { grpcForm, isGrpcAnswer } from './grpc-answer.ts';
import type { ProxyRequest } from './handle.ts';
import type { AttemptRecord } from './record.ts';

/** What an answer without a readable grpc-status counts as; never OK. */
const GRPC_UNKNOWN = 2;

/** Lives from the pick to the end of the answer. */
export class Attempt implements LeaseWaiter, ResponseReceiver {
  readonly endpoint: LiveEndpoint;
  private readonly request: ProxyRequest;
  /** Monotonic ms at which it began. */
  readonly startMs: number;
  readonly fresh: boolean;
  /** Host sent to the endpoint. */
  private host = '';
  private pool: EndpointPool | undefined = undefined;
  private sender: RequestSender | undefined = undefined;
  private over = false;
  /** The caller got the gRPC form of an answer that was none. */
  isTranslated = false;
  /** HTTP status of the endpoint's answer; 0 before it. */
  status = 0;
  private grpcStatus = -1;
  /** The endpoint's end of a tunnel has said all. */
  private tunnelEnded = false;
  private headMs = -1;

  /** `fresh`: see LeaseWaiter. */
  constructor(request: ProxyRequest, endpoint: LiveEndpoint, fresh: boolean) {
    this.request = request;
    this.endpoint = endpoint;
    this.fresh = fresh;
    this.startMs = request.context.clock.nowMs;
  }

  /** Whether the request is being sent: body bytes go straight through. */
  get sending(): boolean {
    return this.sender !== undefined;
  }

  get bufferedBytes(): number {
    return this.sender?.bufferedBytes ?? 0;
  }

  get stalledSinceMs(): number {
    return this.sender?.stalledSinceMs ?? -1;
  }

  get progress(): Progress {
    return this.sender?.progress ?? NOTHING_SENT;
  }

  /** picked -> connected. */
  start(): void {
    this.endpoint.beginAttempt();
    this.host = this.request.hostFor(this.endpoint);
    const { pools } = this.endpoint;
    const pool = this.request.head.protocol === '' ? pools.forHost(this.host) : pools.forUpgrade(this.host);
    if ('kind' in pool) return this.onLeaseFailed(pool.kind, pool.detail);
    this.pool = pool;
    pool.lease(this);
  }

  // connected -> sent
  onLease(channel: Channel): void {
    const request = this.request;
    request.lowerDeadline();
    request.addressTo(this.host);
    const held = request.held.chunks();
    const trailers = request.requestComplete ? request.trailers : undefined;
    const endNow = request.requestComplete && trailers === undefined;
    const sender = channel.start(request.head, endNow && held.length === 0, this);
    this.sender = sender;
    for (let i = 0; i < held.length; i++) sender.sendData(held[i]!, endNow && i === held.length - 1);
    if (trailers) sender.sendTrailers(trailers, request.trailersNeverIndexed);
    request.attemptSending();
  }

  onLeaseFailed(kind: ErrorKind, detail: string): void {
    if (this.over) return;
    this.end(false);
    this.request.attemptFailed(this, kind, NOTHING_SENT, detail);
  }

  sendData(chunk: Uint8Array, endStream: boolean): void {
    this.sender?.sendData(chunk, endStream);
    if (endStream && this.tunnelEnded) this.succeed();
  }

  sendTrailers(fields: Fields, neverIndexed: readonly string[] | undefined): void {
    this.sender?.sendTrailers(fields, neverIndexed);
  }

  pauseResponse(): void {
    this.sender?.pauseResponse();
  }

  resumeResponse(): void {
    this.sender?.resumeResponse();
  }

  /** Gives the attempt up because the caller did; it counts neither way. */
  cancel(): void {
    if (this.over) return;
    this.stop();
    this.end(undefined);
  }

  /** Gives the attempt up because it failed in our eyes (a timeout); the caller of this reports it. */
  cancelQuietly(): void {
    if (this.over) return;
    this.stop();
    this.end(false);
  }

  // --- the answer --------------------------------------------------------------------------------------------------

  onInformational(head: ResponseHead): void {
    if (!this.over) this.request.informational(head);
  }

  onHead(head: ResponseHead, endStream: boolean): void {
    if (this.over) return;
    this.status = head.status;
    this.headMs = this.request.context.clock.nowMs - this.startMs;
    if (this.request.isGrpc) {
      if (!isGrpcAnswer(head)) return this.translate(head, endStream);
      if (endStream) this.readGrpcStatus(head.fields);
    }
    this.request.answered(head, endStream);
    if (endStream) this.succeed();
  }

  onData(chunk: Uint8Array, endStream: boolean): void {
    if (this.over) return;
    const { request } = this;
    request.answerData(this, chunk, endStream);
    if (!endStream) return;
    if (request.isTunnel && !request.requestComplete) this.tunnelEnded = true;
    else this.succeed();
  }

  onTrailers(fields: Fields, neverIndexed?: readonly string[]): void {
    if (this.over) return;
    if (this.request.isGrpc) this.readGrpcStatus(fields);
    this.request.answerTrailers(fields, neverIndexed);
    this.succeed();
  }

  onAbort(kind: ErrorKind, progress: Progress, detail: string, resetCode: number): void {
    if (this.over) return;
    const overdue = this.request.isOverdue(kind, resetCode);
    this.end(overdue ? undefined : false);
    this.request.attemptFailed(this, overdue ? 'deadline_exceeded' : kind, progress, detail, resetCode);
  }

  onDrain(): void {
    if (!this.over) this.request.resumeRequest();
  }

  record(error: ErrorKind | undefined, nowMs: number): AttemptRecord {
    const { endpoint, status, headMs, startMs } = this;
    return { endpoint, error, status, headMs, durationMs: nowMs - startMs };
  }

  /**
   * A gRPC caller gets a gRPC answer, also where a server or a proxy on the way spoke plain HTTP: some clients would read
   * its page as a message. The status is what they make of an HTTP status (gRPC, "HTTP to gRPC status code mapping").
   */
  private translate(head: ResponseHead, endStream: boolean): void {
    this.isTranslated = true;
    this.grpcStatus = httpToGrpcStatus(head.status);
    this.request.answered(grpcForm(head, this.grpcStatus), true);
    if (!endStream || !this.request.requestComplete) this.sender?.abort();
    this.end(false);
    this.request.attemptSucceeded(this, this.grpcStatus);
  }

  private succeed(): void {
    if (this.request.isGrpc && this.grpcStatus < 0) this.grpcStatus = GRPC_UNKNOWN;
    const ok = this.request.isGrpc ? this.grpcStatus === 0 : this.status < 500;
    // The server has ended first: what the caller still sends would go nowhere.
    if (!this.request.requestComplete) this.sender?.abort();
    this.end(ok);
    this.request.attemptSucceeded(this, this.grpcStatus);
  }

  private readGrpcStatus(fields: Fields): void {
    const value = findField(fields, 'grpc-status');
    this.grpcStatus = (value === undefined ? undefined : parseGrpcStatus(value)) ?? GRPC_UNKNOWN;
  }

  private stop(): void {
    if (this.sender) this.sender.abort();
    else this.pool?.cancel(this);
  }

  private end(success: boolean | undefined): void {
    this.over = true;
    this.endpoint.endAttempt(success);
  }
}
