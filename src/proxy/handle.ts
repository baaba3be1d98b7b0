// The life of one request, phases in order:
//
//   received -> matched -> (attempt: picked -> connected -> sent -> answered)* -> relayed -> finished
//
// Every request ends in `finish`, exactly once; counters and the access log are written there. proxy/attempt.ts is one
// try; policy/retry.ts decides whether there is another; proxy/reply.ts is what the caller sees if there isn't.
import type { Clock } from '../base/clock.ts';
import type { ErrorKind, Progress } from '../base/error.ts';
import type { Logger } from '../base/log.ts';
import { Timer, type TimerOwner, type TimerWheel } from '../base/timer-wheel.ts';
import {
  HIGH_WATER_BYTES,
  type Fields,
  type RequestHandler,
  type RequestHead,
  type RequestReceiver,
  type ResponseHead,
  type ResponseSender,
} from '../codec/exchange.ts';
import { findField, setField } from '../codec/fields.ts';
import { isGrpcContentType, resetToGrpcStatus } from '../codec/grpc/status.ts';
import { RESET_CODES } from '../codec/h2/error-code.ts';
import type { WireLimits } from '../codec/limits.ts';
import { REPLAY_BYTES } from '../model/defaults.ts';
import { isGrpcScheme, isSecureScheme } from '../model/policy.ts';
import type { PortKey } from '../model/snapshot.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { LiveEndpoint } from '../upstream/endpoint.ts';
import { Attempt } from './attempt.ts';
import { CallDeadline } from './deadline.ts';
import { addForwardingFields, type ForwardingContext } from './forwarding.ts';
import { HeldBody } from './held-body.ts';
import { ParkedAnswer } from './parked-answer.ts';
import type { AttemptRecord, RequestRecord } from './record.ts';
import { sendReply } from './reply.ts';
import { Retries } from './retries.ts';
import { ENDS_ATTEMPT, judgeWaits, shortestMs } from './timeouts.ts';
import { UPSTREAM_STATUS_FIELD, upstreamStatuses } from './upstream-status.ts';

/** What the proxy needs from outside; one for the process. */
export interface ProxyContext extends ForwardingContext {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly logger: Logger;
  readonly limits: WireLimits;
  /** Every request, once, when it is over. */
  readonly onFinished: (record: RequestRecord) => void;
}

/** Where the requests of a listener go; swapped whole when the configuration changes. */
export interface LiveRoute {
  /** The upstream port for an authority, its key where it isn't configured yet; undefined: no target has it. */
  pick(authority: string): Cluster | PortKey | undefined;
}

/** Makes the handler of a listener. `route` is asked anew for each request. */
export function createRequestHandler(context: ProxyContext, route: () => LiveRoute): RequestHandler {
  return (head, endStream, sender) => {
    const request = new ProxyRequest(context, head, endStream, sender);
    request.match(route());
    return request;
  };
}

const NO_BYTES = Buffer.alloc(0);
const NOTHING_HELD = new HeldBody();

/** Timers of a request. */
const IO_TIMER = 0;
const END_TIMER = 1;
const RETRY_TIMER = 2;

/** How many times a call was tried before (gRFC A6). */
const PREVIOUS_ATTEMPTS_FIELD = 'grpc-previous-rpc-attempts';

/** One request on its way. Attempts call back into it. */
export class ProxyRequest implements RequestReceiver, TimerOwner {
  readonly context: ProxyContext;
  readonly head: RequestHead;
  readonly isGrpc: boolean;
  /** `Host` or `:authority` as it came; empty for an HTTP/1.0 request without one. */
  private readonly authority: string;
  /** The caller has sent its whole request. */
  requestComplete: boolean;
  /** Request trailers, kept for the attempt, and which of them are never to be indexed. */
  trailers: Fields | undefined = undefined;
  trailersNeverIndexed: readonly string[] | undefined = undefined;
  /** Request body kept for another attempt, or for the first while it has no connection. */
  held = NOTHING_HELD;
  /** The endpoint agreed to an upgrade: bytes go both ways until both have said all. */
  isTunnel = false;

  private readonly sender: ResponseSender;
  private readonly startMs: number;
  private readonly startWallMs: number;
  private cluster: Cluster | undefined = undefined;
  private attempt: Attempt | undefined = undefined;
  private readonly attempts: AttemptRecord[] = [];
  private readonly retries: Retries;
  /** The last real answer, while another attempt may bring a better one. */
  private parked: ParkedAnswer | undefined = undefined;
  private keyHash = 0;
  /** The caller has got the head of an answer: the request is that attempt's for good. */
  private headPassedOn = false;
  private requestPaused = false;
  private responsePaused = false;
  private done = false;
  /** Since when the upstream owes something, monotonic ms; of a tunnel either side. */
  private lastReadMs: number;
  /** When the last byte of the request came. */
  private lastRequestMs: number;
  private readonly ioTimer: Timer;
  private deadline: CallDeadline | undefined = undefined;
  /** Ends the call: its own deadline or `timeout.total`, whichever comes first. */
  private endTimer: Timer | undefined = undefined;
  private endKind: ErrorKind = 'deadline_exceeded';
  private retryTimer: Timer | undefined = undefined;
  private requestId = '';
  private bytesReceived = 0;
  private bytesSent = 0;
  private status = 0;

  constructor(context: ProxyContext, head: RequestHead, endStream: boolean, sender: ResponseSender) {
    this.context = context;
    this.head = head;
    this.authority = head.authority;
    this.requestComplete = endStream;
    this.sender = sender;
    this.startMs = this.lastReadMs = this.lastRequestMs = context.clock.nowMs;
    this.startWallMs = context.clock.wallMs();
    this.ioTimer = new Timer(this, IO_TIMER);
    this.isGrpc = head.method === 'POST' && isGrpcContentType(findField(head.fields, 'content-type') ?? '');
    this.retries = new Retries(head.method, head.path, this.isGrpc, context.rng);
  }

  /** received -> matched. */
  match(route: LiveRoute): void {
    const { head, sender, context } = this;
    const authority = head.authority;
    const cluster = route.pick(authority);
    // Of what the caller said, not of what is added to it on the way.
    if (typeof cluster === 'object' && cluster.hashes) this.keyHash = cluster.keyHash(head, sender);
    const forwarded = addForwardingFields(head, sender.remoteAddress, sender.localPort, context);
    this.requestId = forwarded.requestId;
    if (forwarded.loops) return this.fail('loop_detected', '');
    if (cluster === undefined) {
      return this.fail('no_route', authority === '' ? 'the request has no authority' : authority);
    }
    if (typeof cluster === 'string') return this.fail('no_endpoints', `${cluster} is not configured yet`);
    this.cluster = cluster;
    const isAdmitted = cluster.breaker.admitsRequest();
    cluster.beginRequest(context.clock.nowMs);
    const { scheme, circuitBreakers } = cluster.port.policy;
    if (!isAdmitted) return this.fail('overflow', `max_requests is ${circuitBreakers.maxRequests}`);
    if (head.protocol !== '' && isGrpcScheme(scheme)) {
      return this.fail('unsupported_bridge', `an upgrade came to ${cluster.port.key}, whose scheme is ${scheme}`);
    }
    if (this.isGrpc && head.version === 10) {
      return this.fail('unsupported_bridge', 'HTTP/1.0 has no trailers, where gRPC says how a call ended');
    }
    if (isGrpcScheme(scheme)) {
      if (findField(head.fields, 'te') === undefined) head.fields.push('te', 'trailers');
      if (this.isGrpc && !this.readDeadline()) return;
    } else if (this.isGrpc) {
      return this.fail('unsupported_bridge', `a gRPC call came to ${cluster.port.key}, whose scheme is ${scheme}`);
    }
    this.startEndTimer();
    this.tryNext();
  }

  // --- the caller's side -------------------------------------------------------------------------------------------

  onData(chunk: Uint8Array, endStream: boolean): void {
    if (this.done) return;
    const { nowMs } = this.context.clock;
    this.bytesReceived += chunk.length;
    this.lastRequestMs = nowMs;
    if (endStream) this.requestComplete = true;
    if (endStream || this.isTunnel) this.lastReadMs = nowMs;
    const attempt = this.attempt;
    const sending = attempt?.sending ?? false;
    if (this.retries.bodyKept) {
      if (sending && this.held.bytes + chunk.length > REPLAY_BYTES) this.dropHeld();
      else if (chunk.length > 0) {
        if (this.held === NOTHING_HELD) this.held = new HeldBody();
        this.held.push(chunk);
      }
    }
    if (sending) attempt!.sendData(chunk, endStream);
    this.pauseRequestIfFull();
  }

  onTrailers(fields: Fields, neverIndexed?: readonly string[]): void {
    if (this.done) return;
    // gRPC knows no trailers of a request, and some servers end the connection over them: that of other callers too.
    if (this.cluster && isGrpcScheme(this.cluster.port.policy.scheme)) return this.onData(NO_BYTES, true);
    this.requestComplete = true;
    this.trailers = fields;
    this.trailersNeverIndexed = neverIndexed;
    this.lastReadMs = this.context.clock.nowMs;
    if (this.attempt?.sending) this.attempt.sendTrailers(fields, neverIndexed);
  }

  onAbort(kind: ErrorKind): void {
    if (this.done) return;
    this.giveUp(kind);
    this.finish(kind);
  }

  onDrain(): void {
    if (!this.responsePaused) return;
    this.responsePaused = false;
    this.lastReadMs = this.context.clock.nowMs;
    this.attempt?.resumeResponse();
  }

  // --- attempts ----------------------------------------------------------------------------------------------------

  /** matched -> attempt, or an earlier attempt -> the next. */
  private tryNext(): void {
    const { cluster, context, retries } = this;
    const { nowMs } = context.clock;
    const endpoint = cluster!.pick(retries.tried, nowMs, this.keyHash);
    if (!endpoint) {
      const { kind, detail, retryAfterS } = cluster!.whyNone();
      return this.failForGood(kind, detail, -1, retryAfterS);
    }
    const isRetry = retries.begin(cluster!, nowMs);
    if (isRetry) {
      cluster!.breaker.moveRetries(1);
      if (this.isGrpc) setField(this.head.fields, PREVIOUS_ATTEMPTS_FIELD, String(retries.attempts - 1));
    }
    this.responsePaused = false;
    this.attempt = new Attempt(this, endpoint, retries.staleSeen, isRetry);
    if (!this.ioTimer.running) context.wheel.start(this.ioTimer, this.shortestWaitMs());
    this.attempt.start();
  }

  /** Once for each attempt, when nothing of it is left. */
  attemptEnded(attempt: Attempt): void {
    if (attempt.isRetry) this.cluster!.breaker.moveRetries(-1);
    this.cluster!.attemptEnded(attempt.endpoint);
  }

  /** The attempt has a connection and has sent what was held: the caller may go on sending. */
  attemptSending(): void {
    this.lastReadMs = this.context.clock.nowMs;
    if (this.held.bytes > REPLAY_BYTES) this.dropHeld();
    this.resumeRequest();
  }

  /** The attempt's request buffer has room again. */
  resumeRequest(): void {
    if (!this.requestPaused || this.isFull()) return;
    this.requestPaused = false;
    this.lastRequestMs = this.context.clock.nowMs;
    this.sender.resumeRequest();
  }

  /** An attempt failed before it had an answer, or in the middle of one. */
  attemptFailed(attempt: Attempt, kind: ErrorKind, progress: Progress, detail: string, resetCode = -1): void {
    const { cluster } = this;
    if (!cluster) return;
    this.attempt = undefined;
    this.report(attempt, kind, progress);
    if (this.headPassedOn) {
      this.sender.abort(kind, resetCode);
      return this.finish(kind, this.isGrpc ? resetToGrpcStatus(resetCode > 0 ? resetCode : RESET_CODES[kind]) : -1);
    }
    const { nowMs } = this.context.clock;
    switch (this.retries.afterFailure(cluster, attempt.endpoint.slot, kind, progress, nowMs)) {
      case 'replay':
        return this.tryNext();
      case 'retry':
        return this.tryAgain();
      case 'final': {
        const status = kind === 'upstream_reset' && resetCode >= 0 ? resetToGrpcStatus(resetCode) : -1;
        this.failForGood(kind, detail, status);
      }
    }
  }

  /**
   * Whether the answer that `attempt` has got is followed by another attempt. It is kept back then, since it is the last
   * real one. `ended`: nothing but `trailers` follows the head.
   */
  retriesAnswer(
    attempt: Attempt,
    head: ResponseHead,
    ended: boolean,
    trailers?: Fields,
    trailersNeverIndexed?: readonly string[],
  ): boolean {
    if (this.isTunnel) return false;
    const { status, grpcStatus, endpoint } = attempt;
    const { clock } = this.context;
    const fields = trailers ?? head.fields;
    const { slot } = endpoint;
    if (!this.retries.afterAnswer(this.cluster!, slot, status, grpcStatus, fields, clock.nowMs, clock.wallMs())) {
      return false;
    }
    this.report(attempt, undefined, attempt.progress);
    this.attempt = undefined;
    this.dropParked();
    const parked = new ParkedAnswer(attempt, head, ended);
    if (trailers) parked.trailersCame(trailers, trailersNeverIndexed);
    this.parked = parked;
    attempt.park(parked);
    this.tryAgain();
    return true;
  }

  /** An attempt -> the next one, after a wait. */
  private tryAgain(): void {
    const { waitMs } = this.retries;
    if (waitMs <= 0) return this.tryNext();
    this.retryTimer ??= new Timer(this, RETRY_TIMER);
    this.context.wheel.start(this.retryTimer, waitMs);
  }

  /** Records an attempt that has ended, and tells the upstream port of it. Once for each attempt. */
  private report(attempt: Attempt, error: ErrorKind | undefined, progress: Progress): void {
    if (attempt.isReported) return;
    attempt.isReported = true;
    const record = attempt.record(error, this.context.clock.nowMs);
    this.attempts.push(record);
    this.cluster!.reportAttempt(attempt.endpoint, {
      error,
      progress,
      httpStatus: error === undefined ? attempt.status : 0,
      grpcStatus: error === undefined && !attempt.isTranslated ? attempt.grpcStatus : -1,
      connectMs: attempt.connectMs,
      headMs: attempt.headMs,
      totalMs: record.durationMs,
      failed: false,
    });
  }

  /** The last real answer, if there is one, else one of our own. */
  private failForGood(kind: ErrorKind, detail: string, grpcStatus = -1, retryAfterS = 0): void {
    const { parked } = this;
    this.parked = undefined;
    if (parked && !parked.lost) this.giveParked(parked);
    else this.fail(kind, detail, grpcStatus, retryAfterS);
  }

  private giveParked(parked: ParkedAnswer): void {
    const { attempt, head, body, trailers, ended } = parked;
    const chunks = body.chunks();
    this.attempt = ended ? undefined : attempt;
    this.answered(attempt, head, ended && !trailers && chunks.length === 0);
    for (let i = 0; i < chunks.length; i++) {
      this.answerData(attempt, chunks[i]!, ended && !trailers && i === chunks.length - 1);
    }
    if (trailers) this.answerTrailers(trailers, parked.trailersNeverIndexed);
    if (ended) this.finish(undefined, attempt.grpcStatus);
    else attempt.unpark(this.responsePaused);
  }

  // --- the answer --------------------------------------------------------------------------------------------------

  informational(head: ResponseHead): void {
    if (this.done || this.head.version === 10) return;
    this.lastReadMs = this.context.clock.nowMs;
    this.sender.sendInformational(head);
  }

  answered(attempt: Attempt, head: ResponseHead, endStream: boolean): void {
    this.lastReadMs = this.context.clock.nowMs;
    this.headPassedOn = true;
    this.retries.settle();
    this.dropHeld();
    this.dropParked();
    this.status = head.status;
    if (head.status >= 500 && !this.isGrpc) {
      const last = attempt.isReported ? undefined : head.status;
      head.fields.push(UPSTREAM_STATUS_FIELD, upstreamStatuses(this.attempts, last));
    }
    if (head.status === 101) {
      this.isTunnel = true;
      this.requestComplete = false;
    }
    this.sender.sendHead(head, endStream);
  }

  answerData(attempt: Attempt, chunk: Uint8Array, endStream: boolean): void {
    this.lastReadMs = this.context.clock.nowMs;
    this.bytesSent += chunk.length;
    this.sender.sendData(chunk, endStream);
    if (!endStream && !this.responsePaused && this.sender.bufferedBytes >= HIGH_WATER_BYTES) {
      this.responsePaused = true;
      attempt.pauseResponse();
    }
  }

  answerTrailers(fields: Fields, neverIndexed: readonly string[] | undefined): void {
    this.sender.sendTrailers(fields, neverIndexed);
  }

  /** Whether the head of a gRPC answer waits for the status, which trailers may bring. */
  awaitsStatus(attempt: Attempt): boolean {
    return this.retries.awaitsStatus(this.cluster!, attempt.endpoint.slot);
  }

  /** The answer is complete and was handed on. */
  attemptSucceeded(attempt: Attempt, grpcStatus: number): void {
    this.attempt = undefined;
    this.report(attempt, undefined, attempt.progress);
    this.finish(undefined, grpcStatus);
  }

  // --- time --------------------------------------------------------------------------------------------------------

  onTimer(what: number, nowMs: number): void {
    if (this.done) return;
    if (what === END_TIMER) return this.abandon(this.endKind);
    if (what === RETRY_TIMER) return this.tryNext();
    const { attempt } = this;
    const { timeout, attempts } = this.cluster!.port.policy;
    const sending = attempt?.sending ?? false;
    const stalledSinceMs = sending ? attempt!.stalledSinceMs : -1;
    const judgement = judgeWaits(
      {
        connectSinceMs: attempt && !sending ? attempt.startMs : -1,
        sendSinceMs: stalledSinceMs,
        readSinceMs: sending && stalledSinceMs < 0 && this.waitsForRead() ? this.lastReadMs : -1,
        attemptSinceMs: attempt?.status === 0 ? attempt.startMs : -1,
        requestSinceMs: this.waitsForCaller() ? this.lastRequestMs : -1,
        // A gRPC caller may rest while its answer is coming.
        flushSinceMs: sending && this.headPassedOn && !this.isGrpc ? this.sender.stalledSinceMs : -1,
        silentSinceMs: Math.max(this.lastReadMs, this.lastRequestMs),
      },
      timeout,
      attempts,
      this.context.limits,
      nowMs,
    );
    const { over } = judgement;
    if (over === undefined) this.context.wheel.start(this.ioTimer, judgement.leftMs);
    else if (this.isTunnel && over === 'read_timeout') this.abandon('idle_timeout');
    else if (attempt && ENDS_ATTEMPT.has(over)) this.timeOut(attempt, over);
    else this.abandon(over);
  }

  /** Whether silence is the caller's, who hasn't sent its body. Streams of gRPC may rest. */
  private waitsForCaller(): boolean {
    return !this.requestComplete && !this.requestPaused && !this.isGrpc && !this.headPassedOn;
  }

  /**
   * Whether silence is the upstream's: the request is sent (or the answer has begun) and nothing of ours holds it
   * back. A gRPC call may be silent for as long as its deadline allows unless somebody set `timeout.read`.
   */
  private waitsForRead(): boolean {
    if (this.isGrpc && !this.cluster!.port.policy.timeout.readIsSet) return false;
    if (this.isTunnel) return !this.responsePaused && !this.requestPaused;
    return (this.requestComplete || this.headPassedOn) && !this.responsePaused;
  }

  private shortestWaitMs(): number {
    const { timeout, attempts } = this.cluster!.port.policy;
    return shortestMs(timeout, attempts.perTryTimeoutMs, this.context.limits);
  }

  private timeOut(attempt: Attempt, kind: ErrorKind): void {
    const progress = attempt.progress;
    attempt.cancelQuietly();
    this.attemptFailed(attempt, kind, progress, '');
  }

  /** Whether the failure of an attempt says that the call's time is over. */
  isOverdue(kind: ErrorKind, resetCode: number): boolean {
    return this.deadline?.explains(kind, resetCode, this.context.clock.nowMs) ?? false;
  }

  /** Ends the attempt for a reason that isn't its endpoint's. */
  private giveUp(kind: ErrorKind): void {
    const attempt = this.attempt;
    if (!attempt) return;
    this.attempt = undefined;
    if (!attempt.isReported) this.attempts.push(attempt.record(kind, this.context.clock.nowMs));
    attempt.cancel();
  }

  /** Ends the request from our side: the attempt is given up and the caller is told. */
  private abandon(kind: ErrorKind): void {
    this.giveUp(kind);
    if (this.headPassedOn) {
      this.sender.abort(kind);
      this.finish(kind);
    } else this.fail(kind, '');
  }

  /** Reads grpc-timeout; false where the request ended over it. */
  private readDeadline(): boolean {
    const deadline = CallDeadline.read(this.head.fields, this.startMs);
    if (deadline === 'malformed') {
      this.fail('bad_request', 'grpc-timeout is malformed');
      return false;
    }
    this.deadline = deadline;
    return true;
  }

  /** Starts the timer that ends the call, if anything does. */
  private startEndTimer(): void {
    const { totalMs } = this.cluster!.port.policy.timeout;
    const deadlineMs = this.deadline?.timeoutMs ?? Infinity;
    if (totalMs === 0 && deadlineMs === Infinity) return;
    const isTotal = totalMs > 0 && totalMs < deadlineMs;
    const endMs = isTotal ? totalMs : deadlineMs;
    if (isTotal) this.endKind = 'total_timeout';
    this.retries.endAt(this.startMs + endMs);
    this.endTimer = new Timer(this, END_TIMER);
    this.context.wheel.start(this.endTimer, endMs);
  }

  /** The host that the endpoint is to see. */
  hostFor(endpoint: LiveEndpoint): string {
    return this.cluster!.hostFor(endpoint, this.authority);
  }

  /** Makes the head one for an endpoint; called as each attempt is sent. */
  addressTo(host: string): void {
    this.head.authority = host;
    this.head.scheme = isSecureScheme(this.cluster!.port.policy.scheme) ? 'https' : 'http';
  }

  /** Lowers grpc-timeout by the time already spent; called as each attempt is sent. */
  lowerDeadline(): void {
    this.deadline?.lower(this.head.fields, this.context.clock.nowMs);
  }

  // --- the end -----------------------------------------------------------------------------------------------------

  /** Answers for the upstream. `grpcStatus`: what a gRPC caller gets instead of the kind's own; -1 for that. */
  private fail(kind: ErrorKind, detail: string, grpcStatus = -1, retryAfterS = 0): void {
    const isHead = this.head.method === 'HEAD';
    const more: string[] = [];
    if (retryAfterS > 0) more.push('retry-after', String(retryAfterS));
    if (this.attempts.length > 0 && !this.isGrpc) more.push(UPSTREAM_STATUS_FIELD, upstreamStatuses(this.attempts));
    const sent = sendReply(this.sender, kind, detail, { isGrpc: this.isGrpc, isHead, grpcStatus, more });
    this.status = sent.status;
    this.bytesSent = sent.bodyBytes;
    this.finish(kind, this.isGrpc ? grpcStatus : -1);
  }

  private finish(error: ErrorKind | undefined, grpcStatus = -1): void {
    if (this.done) return;
    this.done = true;
    const { wheel, clock } = this.context;
    wheel.stop(this.ioTimer);
    if (this.endTimer) wheel.stop(this.endTimer);
    if (this.retryTimer) wheel.stop(this.retryTimer);
    this.dropParked();
    this.held = NOTHING_HELD;
    this.head.authority = this.authority;
    const cluster = this.cluster;
    if (cluster) {
      const ok = error === undefined && (grpcStatus >= 0 ? grpcStatus === 0 : this.status < 500);
      cluster.endRequest(ok);
    }
    this.context.onFinished({
      startWallMs: this.startWallMs,
      durationMs: clock.nowMs - this.startMs,
      head: this.head,
      isGrpc: this.isGrpc,
      cluster,
      status: this.status,
      grpcStatus,
      error,
      bytesReceived: this.bytesReceived,
      bytesSent: this.bytesSent,
      remoteAddress: this.sender.remoteAddress,
      requestId: this.requestId,
      attempts: this.attempts,
    });
  }

  private dropParked(): void {
    const { parked } = this;
    this.parked = undefined;
    parked?.attempt.dropParked();
  }

  private dropHeld(): void {
    this.retries.dropBody();
    this.held = NOTHING_HELD;
  }

  private isFull(): boolean {
    const attempt = this.attempt;
    return (attempt?.sending ? attempt.bufferedBytes : this.held.bytes) >= HIGH_WATER_BYTES;
  }

  private pauseRequestIfFull(): void {
    if (this.requestPaused || this.requestComplete || !this.isFull()) return;
    this.requestPaused = true;
    this.sender.pauseRequest();
  }
}
