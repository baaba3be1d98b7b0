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
import { findField } from '../codec/fields.ts';
import { isGrpcContentType, resetToGrpcStatus } from '../codec/grpc/status.ts';
import { RESET_CODES } from '../codec/h2/error-code.ts';
import type { WireLimits } from '../codec/limits.ts';
import { REPLAY_BYTES } from '../model/defaults.ts';
import { PortCell } from '../model/cells.ts';
import { isGrpcScheme, isSecureScheme } from '../model/policy.ts';
import { TriedSlots } from '../balance/tried-slots.ts';
import { isIdempotent, mayRetry, type RetryFacts } from '../policy/retry.ts';
import type { PortKey } from '../model/snapshot.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { LiveEndpoint } from '../upstream/endpoint.ts';
import { Attempt } from './attempt.ts';
import { CallDeadline } from './deadline.ts';
import { addForwardingFields, type ForwardingContext } from './forwarding.ts';
import { HeldBody } from './held-body.ts';
import type { AttemptRecord, RequestRecord } from './record.ts';
import { sendReply } from './reply.ts';

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
const DEADLINE_TIMER = 1;

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
  private readonly tried = new TriedSlots();
  private readonly facts: RetryFacts;
  /** A kept connection was closed under this request: what is tried next gets a new one. */
  private staleSeen = false;
  private requestPaused = false;
  private responsePaused = false;
  private done = false;
  /** Since when the upstream owes something, monotonic ms; of a tunnel either side. */
  private lastReadMs: number;
  /** When the last byte of the request came. */
  private lastRequestMs: number;
  private readonly ioTimer: Timer;
  private deadline: CallDeadline | undefined = undefined;
  private deadlineTimer: Timer | undefined = undefined;
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
    this.facts = {
      idempotent: isIdempotent(head.method),
      bodyKept: true,
      headPassedOn: false,
      attempts: 0,
      maxAttempts: 1,
      endpointLeft: false,
      replays: 0,
      refusals: 0,
    };
    this.isGrpc = head.method === 'POST' && isGrpcContentType(findField(head.fields, 'content-type') ?? '');
  }

  /** received -> matched. */
  match(route: LiveRoute): void {
    const { head, sender, context } = this;
    const authority = head.authority;
    const forwarded = addForwardingFields(head, sender.remoteAddress, sender.localPort, context);
    this.requestId = forwarded.requestId;
    if (forwarded.loops) return this.fail('loop_detected', '');
    const cluster = route.pick(authority);
    if (cluster === undefined) {
      return this.fail('no_route', authority === '' ? 'the request has no authority' : authority);
    }
    if (typeof cluster === 'string') return this.fail('no_endpoints', `${cluster} is not configured yet`);
    this.cluster = cluster;
    cluster.beginRequest(context.clock.nowMs);
    const { scheme } = cluster.port.policy;
    if (head.protocol !== '' && isGrpcScheme(scheme)) {
      return this.fail('unsupported_bridge', `an upgrade came to ${cluster.port.key}, whose scheme is ${scheme}`);
    }
    if (this.isGrpc && head.version === 10) {
      return this.fail('unsupported_bridge', 'HTTP/1.0 has no trailers, where gRPC says how a call ended');
    }
    if (isGrpcScheme(scheme)) {
      if (findField(head.fields, 'te') === undefined) head.fields.push('te', 'trailers');
      if (this.isGrpc && !this.startDeadline()) return;
    } else if (this.isGrpc) {
      return this.fail('unsupported_bridge', `a gRPC call came to ${cluster.port.key}, whose scheme is ${scheme}`);
    }
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
    if (this.facts.bodyKept) {
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
    const cluster = this.cluster!;
    const endpoint = cluster.pick(this.tried, this.context.clock.nowMs);
    if (!endpoint) return this.fail('no_endpoints', cluster.port.key);
    this.facts.attempts++;
    this.responsePaused = false;
    this.attempt = new Attempt(this, endpoint, this.staleSeen);
    if (!this.ioTimer.running) this.context.wheel.start(this.ioTimer, this.ioPeriodMs());
    this.attempt.start();
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
    const { cluster, facts, tried } = this;
    const nowMs = this.context.clock.nowMs;
    if (!cluster) return;
    this.attempt = undefined;
    this.attempts.push(attempt.record(kind, nowMs));
    cluster.reportAttempt(attempt.endpoint, { error: kind, progress, httpStatus: 0, grpcStatus: -1 });
    if (facts.headPassedOn) {
      this.sender.abort(kind, resetCode);
      return this.finish(kind, this.isGrpc ? resetToGrpcStatus(resetCode > 0 ? resetCode : RESET_CODES[kind]) : -1);
    }
    const slot = attempt.endpoint.slot;
    facts.maxAttempts = cluster.attemptLimit();
    facts.endpointLeft = cluster.hasUntried(tried, slot);
    if (kind === 'upstream_reset' && progress.reusedConnection) this.staleSeen = true;
    const decision = mayRetry(kind, progress, facts, cluster.budget, nowMs);
    switch (decision.kind) {
      case 'final':
        if (decision.reason === 'budget_exhausted') cluster.count(PortCell.RetriesRefused);
        return this.fail(kind, detail, kind === 'upstream_reset' && resetCode >= 0 ? resetToGrpcStatus(resetCode) : -1);
      case 'replay':
        // The same attempt once more: this endpoint may take it too, but rather one that hasn't refused it.
        if (decision.reason === 'refused_by_peer') {
          facts.refusals++;
          if (facts.endpointLeft) tried.add(slot);
        }
        facts.replays++;
        facts.attempts--;
        return this.tryNext();
      case 'retry':
        // Where there is only one endpoint it may be tried again; cluster.pick knows.
        tried.add(slot);
        cluster.count(PortCell.Retries);
        return this.tryNext();
    }
  }

  // --- the answer --------------------------------------------------------------------------------------------------

  informational(head: ResponseHead): void {
    if (this.done || this.head.version === 10) return;
    this.lastReadMs = this.context.clock.nowMs;
    this.sender.sendInformational(head);
  }

  answered(head: ResponseHead, endStream: boolean): void {
    this.lastReadMs = this.context.clock.nowMs;
    this.facts.headPassedOn = true;
    this.dropHeld();
    this.status = head.status;
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

  /** The answer is complete and was handed on. */
  attemptSucceeded(attempt: Attempt, grpcStatus: number): void {
    this.attempt = undefined;
    this.attempts.push(attempt.record(undefined, this.context.clock.nowMs));
    this.cluster!.reportAttempt(attempt.endpoint, {
      error: undefined,
      progress: attempt.progress,
      httpStatus: attempt.status,
      grpcStatus: attempt.isTranslated ? -1 : grpcStatus,
    });
    this.finish(undefined, grpcStatus);
  }

  // --- time --------------------------------------------------------------------------------------------------------

  onTimer(what: number, nowMs: number): void {
    if (this.done) return;
    if (what === DEADLINE_TIMER) return this.abandon('deadline_exceeded');
    const attempt = this.attempt;
    const timeout = this.cluster!.port.policy.timeout;
    let nextMs = this.ioPeriodMs();
    if (attempt?.sending) {
      const stalledSinceMs = attempt.stalledSinceMs;
      if (stalledSinceMs >= 0) {
        const leftMs = stalledSinceMs + timeout.sendMs - nowMs;
        if (leftMs <= 0) return this.timeOut(attempt, 'send_timeout');
        nextMs = Math.min(nextMs, leftMs);
      } else if (this.waitsForRead()) {
        const leftMs = this.lastReadMs + timeout.readMs - nowMs;
        if (leftMs <= 0) return this.isTunnel ? this.abandon('idle_timeout') : this.timeOut(attempt, 'read_timeout');
        nextMs = Math.min(nextMs, leftMs);
      }
      if (this.facts.headPassedOn) {
        const leftMs = this.flushLeftMs(nowMs);
        if (leftMs <= 0) return this.abandon('flush_timeout');
        nextMs = Math.min(nextMs, leftMs);
      }
    } else if (attempt) {
      // A connection that is opening has a timer of its own; behind busy ones only this one ends the wait.
      const leftMs = attempt.startMs + timeout.connectMs - nowMs;
      if (leftMs <= 0) return this.timeOut(attempt, 'connect_timeout');
      nextMs = Math.min(nextMs, leftMs);
    }
    if (this.waitsForCaller()) {
      const leftMs = this.lastRequestMs + this.context.limits.requestIdleMs - nowMs;
      if (leftMs <= 0) return this.abandon('request_timeout');
      nextMs = Math.min(nextMs, leftMs);
    }
    this.context.wheel.start(this.ioTimer, nextMs);
  }

  /** Whether silence is the caller's, who hasn't sent its body. Streams of gRPC may rest. */
  private waitsForCaller(): boolean {
    return !this.requestComplete && !this.requestPaused && !this.isGrpc && !this.facts.headPassedOn;
  }

  /** Time for the caller to take something of what waits for it. A gRPC caller may rest while its answer is coming. */
  private flushLeftMs(nowMs: number): number {
    const sinceMs = this.isGrpc ? -1 : this.sender.stalledSinceMs;
    return sinceMs < 0 ? Infinity : sinceMs + this.context.limits.flushMs - nowMs;
  }

  /**
   * Whether silence is the upstream's: the request is sent (or the answer has begun) and nothing of ours holds it
   * back. A gRPC call may be silent for as long as its deadline allows unless somebody set `timeout.read`.
   */
  private waitsForRead(): boolean {
    if (this.isGrpc && !this.cluster!.port.policy.timeout.readIsSet) return false;
    if (this.isTunnel) return !this.responsePaused && !this.requestPaused;
    return (this.requestComplete || this.facts.headPassedOn) && !this.responsePaused;
  }

  private ioPeriodMs(): number {
    const timeout = this.cluster!.port.policy.timeout;
    const { requestIdleMs, flushMs } = this.context.limits;
    return Math.min(timeout.connectMs, timeout.sendMs, timeout.readMs, requestIdleMs, flushMs);
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
    this.attempts.push(attempt.record(kind, this.context.clock.nowMs));
    attempt.cancel();
  }

  /** Ends the request from our side: the attempt is given up and the caller is told. */
  private abandon(kind: ErrorKind): void {
    this.giveUp(kind);
    if (this.facts.headPassedOn) {
      this.sender.abort(kind);
      this.finish(kind);
    } else this.fail(kind, '');
  }

  /** Reads grpc-timeout and starts the deadline; false where the request ended over it. */
  private startDeadline(): boolean {
    const deadline = CallDeadline.read(this.head.fields, this.startMs);
    if (deadline === 'malformed') {
      this.fail('bad_request', 'grpc-timeout is malformed');
      return false;
    }
    if (!deadline) return true;
    this.deadline = deadline;
    this.deadlineTimer = new Timer(this, DEADLINE_TIMER);
    this.context.wheel.start(this.deadlineTimer, deadline.timeoutMs);
    return true;
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
  private fail(kind: ErrorKind, detail: string, grpcStatus = -1): void {
    const isHead = this.head.method === 'HEAD';
    const sent = sendReply(this.sender, kind, detail, { isGrpc: this.isGrpc, isHead, grpcStatus });
    this.status = sent.status;
    this.bytesSent = sent.bodyBytes;
    this.finish(kind, this.isGrpc ? grpcStatus : -1);
  }

  private finish(error: ErrorKind | undefined, grpcStatus = -1): void {
    if (this.done) return;
    this.done = true;
    const { wheel, clock } = this.context;
    wheel.stop(this.ioTimer);
    if (this.deadlineTimer) wheel.stop(this.deadlineTimer);
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

  private dropHeld(): void {
    this.facts.bodyKept = false;
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
