// One try of a request at one endpoint: get a connection, send, and hand the answer on as it comes.
//
//   picked ─► waits for a connection ─► sends ─┬─ head ────────────────────► passed on ─► over
//                                              ├─ gRPC: the status may lead  ▲ │first message,
//                                              │  to another attempt ─► held ┴─┘or nobody to follow
//                                              │                         │ trailers
//                                              └─ the status leads to ───┴──► parked ─► passed on, if nothing better follows,
//                                                 another attempt                       else dropped
//
// A failure ends it from any of these. What is parked reads on (64 KiB), and what the caller still sends isn't its any more.
import { LOCAL_REFUSALS, NOTHING_SENT, type ErrorKind, type Progress } from '../base/error.ts';
import {
  HIGH_WATER_BYTES,
  type Fields,
  type RequestSender,
  type ResponseHead,
  type ResponseReceiver,
} from '../codec/exchange.ts';
import { findField } from '../codec/fields.ts';
import { httpToGrpcStatus, parseGrpcStatus } from '../codec/grpc/status.ts';
import type { Channel } from '../upstream/channel.ts';
import type { AttemptReport } from '../upstream/cluster.ts';
import type { LiveEndpoint } from '../upstream/endpoint.ts';
import type { EndpointPool, LeaseWaiter } from '../upstream/pool.ts';
import { grpcForm, isGrpcAnswer } from './grpc-answer.ts';
import type { ProxyRequest } from './handle.ts';
import type { ParkedAnswer } from './parked-answer.ts';
import type { AttemptRecord } from './record.ts';

/** Number of no trial. */
const NO_TRIAL = -1;
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
  /** Of the endpoint, when it began. */
  private trials = 0;
  /** The same for as long as it takes a trial's place. */
  private trialPlace = 0;
  /** The caller got the gRPC form of an answer that was none. */
  private isTranslated = false;
  /** HTTP status of the endpoint's answer; 0 before it. */
  status = 0;
  /** Status of a gRPC call; -1 before it is known. */
  grpcStatus = -1;
  /** The endpoint's end of a tunnel has said all. */
  private tunnelEnded = false;
  /** When `max_connections` was last seen to keep a connection from it, monotonic ms; -1: never. */
  blockedMs = -1;
  /** Time to a connection and to the answer's head, ms; -1 before. */
  private connectMs = -1;
  private headMs = -1;
  /** It was recorded and reported: an answer that is kept back, or was. */
  isReported = false;
  /** Where its answer goes while it is kept back. */
  private parked: ParkedAnswer | undefined = undefined;
  /** Another attempt gets the rest of the request, which wasn't wholly sent here: no more of it is, and the stream is reset. */
  private cutOff = false;
  /** The head of a gRPC answer whose status may come in trailers, and lead to another attempt. */
  private heldHead: ResponseHead | undefined = undefined;

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
    return this.cutOff ? 0 : (this.sender?.bufferedBytes ?? 0);
  }

  get stalledSinceMs(): number {
    return this.cutOff ? -1 : (this.sender?.stalledSinceMs ?? -1);
  }

  /** The limit of our own that keeps it from a connection; undefined: there is none. */
  get blockedBy(): string | undefined {
    return this.sender ? undefined : this.pool?.blockedBy;
  }

  get progress(): Progress {
    return this.sender?.progress ?? NOTHING_SENT;
  }

  /** picked -> connected. */
  start(): void {
    this.trials = this.trialPlace = this.endpoint.beginAttempt();
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
    this.connectMs = request.context.clock.nowMs - this.startMs;
    request.addressTo(this.host);
    const { body } = request;
    const held = body.heldChunks();
    const trailers = body.complete ? body.trailers : undefined;
    const endNow = body.complete && trailers === undefined;
    const sender = channel.start(request.head, endNow && held.length === 0, this);
    this.sender = sender;
    for (let i = 0; i < held.length; i++) sender.sendData(held[i]!, endNow && i === held.length - 1);
    if (trailers) sender.sendTrailers(trailers, body.trailersNeverIndexed);
    request.attemptSending();
  }

  onLeaseFailed(kind: ErrorKind, detail: string): void {
    if (this.over) return;
    this.end(LOCAL_REFUSALS.has(kind) ? undefined : false);
    this.request.attemptFailed(this, kind, NOTHING_SENT, detail);
  }

  /** Its endpoint may open no connection now (`max_connections`); the request may have one that it can do without. */
  onBlocked(): void {
    this.blockedMs = this.request.context.clock.nowMs;
    this.request.connectionWanted();
  }

  sendData(chunk: Uint8Array, endStream: boolean): void {
    if (this.cutOff) return;
    this.sender?.sendData(chunk, endStream);
    if (endStream && this.tunnelEnded) this.succeed();
  }

  sendTrailers(fields: Fields, neverIndexed: readonly string[] | undefined): void {
    if (!this.cutOff) this.sender?.sendTrailers(fields, neverIndexed);
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
    const { request } = this;
    this.status = head.status;
    this.headMs = request.context.clock.nowMs - this.startMs;
    if (request.isGrpc) {
      if (!isGrpcAnswer(head)) return this.translate(head, endStream);
      if (endStream) this.readGrpcStatus(head.fields);
      else if (request.awaitsStatus(this)) {
        this.heldHead = head;
        return request.headHeld();
      }
    }
    if (request.retriesAnswer(this, head, endStream)) return;
    if (head.status < 400 && this.endpoint.answerBegan(this.trialPlace)) this.trialPlace = NO_TRIAL;
    request.answered(this, head, endStream);
    if (endStream) this.succeed();
  }

  onData(chunk: Uint8Array, endStream: boolean): void {
    if (this.over) return;
    const { request } = this;
    if (this.parked) {
      this.parked.data(chunk, endStream);
      if (endStream) this.endParked();
      else if (this.parked.body.bytes >= HIGH_WATER_BYTES) this.pauseResponse();
      return;
    }
    if (this.heldHead && chunk.length === 0) {
      if (endStream) this.endWithoutTrailers(this.heldHead);
      return;
    }
    // The first message: from here on the call is this attempt's.
    this.passHeldHead();
    request.answerData(this, chunk, endStream);
    if (!endStream) return;
    if (request.isTunnel && !request.body.complete) this.tunnelEnded = true;
    else this.succeed();
  }

  onTrailers(fields: Fields, neverIndexed?: readonly string[]): void {
    if (this.over) return;
    if (this.parked) {
      this.parked.trailersCame(fields, neverIndexed);
      return this.endParked();
    }
    if (this.request.isGrpc) this.readGrpcStatus(fields);
    if (this.heldHead) {
      const head = this.heldHead;
      this.heldHead = undefined;
      if (this.request.retriesAnswer(this, head, true, fields, neverIndexed)) return;
      this.request.answered(this, head, false);
    }
    this.request.answerTrailers(fields, neverIndexed);
    this.succeed();
  }

  onAbort(kind: ErrorKind, progress: Progress, detail: string, resetCode: number): void {
    if (this.over) return;
    if (this.parked) {
      this.parked.lost = true;
      return this.endParked();
    }
    const overdue = this.request.isOverdue(kind, resetCode);
    this.end(overdue ? undefined : false);
    this.request.attemptFailed(this, overdue ? 'deadline_exceeded' : kind, progress, detail, resetCode);
  }

  // --- an answer that is kept back while another attempt is made

  /** Its answer rests; `parked` hears what still comes of it. */
  park(parked: ParkedAnswer): void {
    this.parked = parked;
    this.cutOff = !this.request.body.complete;
    if (parked.ended) this.endParked();
  }

  /** The caller gets the answer after all; `paused`: it can't take more at present. */
  unpark(paused: boolean): void {
    this.parked = undefined;
    if (!paused) this.sender?.resumeResponse();
  }

  /** Another answer was better: the stream is given up. */
  dropParked(): void {
    if (this.over) return;
    this.stop();
    this.endParked();
  }

  private endParked(): void {
    if (this.cutOff && !this.over) this.sender?.abort();
    this.end(false);
  }

  onDrain(): void {
    if (!this.over) this.request.resumeRequest();
  }

  record(error: ErrorKind | undefined, nowMs: number): AttemptRecord {
    const { endpoint, status, headMs, startMs } = this;
    return { endpoint, error, status, headMs, durationMs: nowMs - startMs };
  }

  /** What the upstream port hears of it. */
  report(error: ErrorKind | undefined, progress: Progress, nowMs: number): AttemptReport {
    const ended = error === undefined;
    return {
      error,
      progress,
      httpStatus: ended ? this.status : 0,
      grpcStatus: ended && !this.isTranslated ? this.grpcStatus : -1,
      connectMs: Math.max(0, this.connectMs),
      headMs: this.headMs,
      totalMs: nowMs - this.startMs,
      trials: this.trials,
      failed: false,
    };
  }

  /**
   * A gRPC caller gets a gRPC answer, also where a server or a proxy on the way spoke plain HTTP: some clients would read
   * its page as a message. The status is what they make of an HTTP status (gRPC, "HTTP to gRPC status code mapping").
   */
  private translate(head: ResponseHead, endStream: boolean): void {
    const { request } = this;
    this.isTranslated = true;
    this.grpcStatus = httpToGrpcStatus(head.status);
    const answer = grpcForm(head, this.grpcStatus);
    if (!endStream) this.sender?.abort();
    if (request.retriesAnswer(this, answer, true)) return;
    request.answered(this, answer, true);
    if (endStream && !request.body.complete) this.sender?.abort();
    this.end(false);
    request.attemptSucceeded(this, this.grpcStatus);
  }

  /** Hands the head of a gRPC answer on that was held for its trailers, if there is one. */
  passHeldHead(): void {
    const head = this.heldHead;
    if (!head) return;
    this.heldHead = undefined;
    this.request.answered(this, head, false);
  }

  /** A gRPC answer of a head alone, which didn't say so: what status it has stands there, if anywhere. */
  private endWithoutTrailers(head: ResponseHead): void {
    this.heldHead = undefined;
    this.readGrpcStatus(head.fields);
    if (this.request.retriesAnswer(this, head, true)) return;
    this.request.answered(this, head, true);
    this.succeed();
  }

  private succeed(): void {
    if (this.request.isGrpc && this.grpcStatus < 0) this.grpcStatus = GRPC_UNKNOWN;
    const ok = this.request.isGrpc ? this.grpcStatus === 0 : this.status < 500;
    // The server has ended first: what the caller still sends would go nowhere.
    if (this.cutOff || !this.request.body.complete) this.sender?.abort();
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
    if (this.over) return;
    this.over = true;
    this.endpoint.endAttempt(success, this.trialPlace);
    this.request.attemptEnded(this);
  }
}
