// The life of one request, phases in order:
//
//   received -> matched -> (attempt: picked -> connected -> sent -> answered)* -> relayed -> finished
//
// Every request ends in `finish`, exactly once; counters and the access log are written there. proxy/attempt.ts is one
// try; policy/retry.ts decides whether there is another; proxy/reply.ts is what the caller sees if there isn't.
import type { Clock } from '../base/clock.ts';
import type { ErrorKind, Progress } from '../base/error.ts';
import type { Logger } from '../base/log.ts';
import type { Rng } from '../base/rng.ts';
import type { TimerOwner, TimerWheel } from '../base/timer-wheel.ts';
import {
  HIGH_WATER_BYTES,
  type Fields,
  type RequestHandler,
  type RequestHead,
  type RequestReceiver,
  type ResponseHead,
  type ResponseSender,
} from '../codec/exchange.ts';
import { findField, removeField, setField } from '../codec/fields.ts';
import { isGrpcContentType, resetToGrpcStatus } from '../codec/grpc/status.ts';
import { RESET_CODES } from '../codec/h2/error-code.ts';
import type { WireLimits } from '../codec/limits.ts';
import { REPLAY_BYTES } from '../model/defaults.ts';
import { isGrpcScheme, isSecureScheme, type TimeoutPolicy } from '../model/policy.ts';
import type { PortKey } from '../model/snapshot.ts';
import { cleanTrailers } from '../plugin/key-traces.ts';
import type { PluginAnswer } from '../plugin/plugin.ts';
import { whyNoTarget } from '../route/authority.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { LiveEndpoint } from '../upstream/endpoint.ts';
import { Attempt } from './attempt.ts';
import { CallTimers, END_TIMER, HEAD_TIMER, RETRY_TIMER } from './call-timers.ts';
import { CallDeadline } from './deadline.ts';
import { addForwardingFields, type ForwardingContext } from './forwarding.ts';
import { GatewayPassage, type LiveGateway } from './gateway.ts';
import { missingBridge } from './missing-bridge.ts';
import { ParkedAnswer } from './parked-answer.ts';
import type { AttemptRecord, RequestRecord } from './record.ts';
import { RequestBody } from './request-body.ts';
import { sendReply, type OwnReply } from './reply.ts';
import { Retries } from './retries.ts';
import { ENDS_ATTEMPT, judgeWaits, shortestMs } from './timeouts.ts';
import { setUpstreamStatus, UPSTREAM_STATUS_FIELD, upstreamStatuses } from './upstream-status.ts';

/** What the proxy needs from outside; one for the process. */
export interface ProxyContext extends ForwardingContext {
  readonly rng: Rng;
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
  /** On the gateway listener: asked in the place of `pick`. */
  readonly gateway?: LiveGateway;
  /** The caller takes this listener for its proxy: what it says to a proxy is for nobody else (RFC 9110 section 11.7.2). */
  readonly isProxy?: boolean;
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

/**
 * How long the head of a gRPC answer is held for its status while the caller hasn't said all: it may be waiting for just that
 * head before it says more.
 */
const HEAD_HELD_MS = 250;

/** How many times a call was tried before (gRFC A6). */
const PREVIOUS_ATTEMPTS_FIELD = 'grpc-previous-rpc-attempts';

/** Why an attempt failed, as the caller is told if nothing better follows. */
interface Failure {
  readonly kind: ErrorKind;
  readonly detail: string;
  /** What a gRPC caller gets instead of the kind's own; -1 for that. */
  readonly grpcStatus: number;
}

/** One request on its way. Attempts call back into it. */
export class ProxyRequest implements RequestReceiver, TimerOwner {
  readonly context: ProxyContext;
  readonly head: RequestHead;
  readonly isGrpc: boolean;
  /** `Host` or `:authority` as it came; empty for an HTTP/1.0 request without one. */
  private readonly authority: string;
  readonly body: RequestBody;
  /** The endpoint agreed to an upgrade: bytes go both ways until both have said all. */
  isTunnel = false;

  private readonly sender: ResponseSender;
  private readonly startMs: number;
  private cluster: Cluster | undefined = undefined;
  /** Undefined: it didn't come to the gateway. */
  private passage: GatewayPassage | undefined = undefined;
  private attempt: Attempt | undefined = undefined;
  private readonly attempts: AttemptRecord[] = [];
  private readonly retries: Retries;
  /** The last real answer, while another attempt may bring a better one. */
  private parked: ParkedAnswer | undefined = undefined;
  /** Of the last attempt that another was to follow. */
  private lastFailure: Failure | undefined = undefined;
  private keyHash = 0;
  /** The caller has got the head of an answer: the request is that attempt's for good. */
  private headPassedOn = false;
  private responsePaused = false;
  private done = false;
  /** Since when the upstream owes something, monotonic ms; of a tunnel either side. */
  private lastReadMs: number;
  private readonly timers: CallTimers;
  private deadline: CallDeadline | undefined = undefined;
  /** What ends the call when its time is over: its own deadline or `timeout.total`, whichever comes first. */
  private endKind: ErrorKind = 'deadline_exceeded';
  private requestId = '';
  private bytesSent = 0;
  private status = 0;

  constructor(context: ProxyContext, head: RequestHead, endStream: boolean, sender: ResponseSender) {
    this.context = context;
    this.head = head;
    this.authority = head.authority;
    this.sender = sender;
    this.startMs = this.lastReadMs = context.clock.nowMs;
    this.body = new RequestBody(endStream, this.startMs);
    this.timers = new CallTimers(context.wheel, this);
    this.isGrpc = head.method === 'POST' && isGrpcContentType(findField(head.fields, 'content-type') ?? '');
    this.retries = new Retries(head.method, head.path, this.isGrpc, context.rng);
  }

  /** received -> matched. */
  match(route: LiveRoute): void {
    const { head, sender, context } = this;
    const authority = head.authority;
    const { gateway } = route;
    if (route.isProxy === true) removeField(head.fields, 'proxy-authorization');
    const cluster = gateway === undefined ? route.pick(authority) : this.passGateway(gateway);
    // Of what the caller said, not of what is added to it on the way.
    if (typeof cluster === 'object' && cluster.hashes) this.keyHash = cluster.keyHash(head, sender, this.passage);
    const forwarded = addForwardingFields(head, sender.remoteAddress, sender.localPort, context);
    this.requestId = forwarded.requestId;
    if (forwarded.loops) return this.fail('loop_detected', '');
    if (this.passage?.answer !== undefined) return this.refuse(this.passage.answer);
    if (cluster === undefined) {
      return this.fail('no_route', whyNoTarget(authority));
    }
    if (typeof cluster === 'string') return this.fail('no_endpoints', `${cluster} is not configured yet`);
    this.cluster = cluster;
    const isAdmitted = cluster.breaker.admitsRequest();
    cluster.beginRequest();
    const { scheme, circuitBreakers } = cluster.port.policy;
    if (!isAdmitted) return this.fail('overflow', `max_requests is ${circuitBreakers.maxRequests}`);
    const gap = missingBridge(head, this.isGrpc, cluster.port.key, scheme);
    if (gap !== undefined) return this.fail('unsupported_bridge', gap);
    if (isGrpcScheme(scheme)) {
      if (findField(head.fields, 'te') === undefined) head.fields.push('te', 'trailers');
      const deadline = this.isGrpc ? CallDeadline.read(head.fields, this.startMs) : undefined;
      if (deadline === 'malformed') return this.fail('bad_request', 'grpc-timeout is malformed');
      if (deadline?.timeoutMs === 0) return this.fail('deadline_exceeded', '');
      this.deadline = deadline;
    }
    this.startEndTimer();
    this.tryNext();
  }

  private passGateway(gateway: LiveGateway): Cluster | undefined {
    const passage = (this.passage = new GatewayPassage(this.head, this.sender, gateway.hostname));
    return passage.enter(gateway);
  }

  // --- the caller's side -------------------------------------------------------------------------------------------

  onData(chunk: Uint8Array, endStream: boolean): void {
    if (this.done) return;
    const { attempt, body } = this;
    const { nowMs } = this.context.clock;
    const sending = attempt?.sending ?? false;
    if (endStream || this.isTunnel) this.lastReadMs = nowMs;
    body.came(chunk, endStream, nowMs);
    if (this.retries.bodyKept) {
      if (sending && body.heldBytes + chunk.length > REPLAY_BYTES) this.dropHeld();
      else body.hold(chunk);
    }
    if (sending) attempt!.sendData(chunk, endStream);
    if (body.paused || body.complete || !this.isFull()) return;
    body.paused = true;
    this.sender.pauseRequest();
  }

  onTrailers(fields: Fields, neverIndexed?: readonly string[]): void {
    if (this.done) return;
    // gRPC knows no trailers of a request, and some servers end the connection over them: that of other callers too.
    if (this.cluster && isGrpcScheme(this.cluster.port.policy.scheme)) return this.onData(NO_BYTES, true);
    const route = this.passage?.route;
    if (route !== undefined && route.plugins.length > 0) cleanTrailers(route, fields);
    this.lastReadMs = this.context.clock.nowMs;
    this.body.trailersCame(fields, neverIndexed, this.lastReadMs);
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
    const { cluster, retries } = this;
    const { nowMs } = this.context.clock;
    const endpoint = cluster!.pick(retries.tried, nowMs, this.keyHash);
    if (!endpoint) {
      if (this.lastFailure) return this.failForGood(this.lastFailure);
      const { kind, detail, retryAfterS } = cluster!.whyNone();
      return this.failForGood({ kind, detail, grpcStatus: -1 }, retryAfterS);
    }
    const isRetry = retries.begin(cluster!, nowMs);
    if (isRetry && this.isGrpc) setField(this.head.fields, PREVIOUS_ATTEMPTS_FIELD, String(retries.attempts - 1));
    this.responsePaused = false;
    this.lastReadMs = nowMs;
    this.attempt = new Attempt(this, endpoint, retries.staleSeen);
    if (!this.timers.isWatching) this.timers.watch(this.shortestWaitMs());
    this.attempt.start();
  }

  /** Once for each attempt, when nothing of it is left. */
  attemptEnded(attempt: Attempt): void {
    this.cluster!.attemptEnded(attempt.endpoint);
  }

  /** The attempt has a connection and has sent what was held: the caller may go on sending. */
  attemptSending(): void {
    this.lastReadMs = this.context.clock.nowMs;
    if (this.body.heldBytes > REPLAY_BYTES) this.dropHeld();
    this.resumeRequest();
  }

  /** The attempt's request buffer has room again. */
  resumeRequest(): void {
    if (!this.body.paused || this.isFull()) return;
    this.body.resumed(this.context.clock.nowMs);
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
    const grpcStatus = kind === 'upstream_reset' && resetCode >= 0 ? resetToGrpcStatus(resetCode) : -1;
    const failure = (this.lastFailure = { kind, detail, grpcStatus });
    const { nowMs } = this.context.clock;
    switch (this.retries.afterFailure(cluster, attempt.endpoint.slot, kind, progress, nowMs)) {
      case 'replay':
        return this.tryNext();
      case 'retry':
        return this.tryAgain();
      case 'final':
        this.failForGood(failure);
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
    if (waitMs <= 0) this.tryNext();
    else this.timers.retryAfter(waitMs);
  }

  /** Records an attempt that has ended, and tells the upstream port of it. Once for each attempt. */
  private report(attempt: Attempt, error: ErrorKind | undefined, progress: Progress): void {
    if (attempt.isReported) return;
    attempt.isReported = true;
    const { nowMs } = this.context.clock;
    this.attempts.push(attempt.record(error, nowMs));
    this.cluster!.reportAttempt(attempt.endpoint, attempt.report(error, progress, nowMs));
  }

  /** The last real answer, if there is one, else one of our own. */
  private failForGood({ kind, detail, grpcStatus }: Failure, retryAfterS = 0): void {
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
    else {
      attempt.unpark(this.responsePaused);
      this.resumeRequest();
    }
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
    this.retries.settle(this.cluster!);
    this.dropHeld();
    this.dropParked();
    this.status = head.status;
    if (head.status >= 500 && !this.isGrpc) {
      const last = attempt.isReported ? undefined : head.status;
      setUpstreamStatus(head.fields, upstreamStatuses(this.attempts, last));
    }
    this.passage?.addTo(head.fields);
    if (head.status === 101) {
      this.isTunnel = true;
      this.body.complete = false;
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

  /** The head waits. */
  headHeld(): void {
    if (!this.body.complete) this.timers.holdHead(HEAD_HELD_MS);
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
    if (what === HEAD_TIMER) {
      if (!this.body.complete) attempt?.passHeldHead();
      return;
    }
    const { timeout } = this;
    const { attempts } = this.cluster!.port.policy;
    const sending = attempt?.sending ?? false;
    const stalledSinceMs = sending ? attempt!.stalledSinceMs : -1;
    const maySendRest = this.isGrpc && !timeout.sendIsSet;
    const judgement = judgeWaits(
      {
        connectSinceMs: attempt && !sending ? attempt.startMs : -1,
        sendSinceMs: maySendRest ? -1 : stalledSinceMs,
        readSinceMs: sending && stalledSinceMs < 0 && this.waitsForRead() ? this.lastReadMs : -1,
        attemptSinceMs: attempt ? this.trySinceMs(attempt, nowMs) : -1,
        requestSinceMs: this.waitsForCaller() ? this.body.lastMs : -1,
        // A gRPC caller may rest while its answer is coming.
        flushSinceMs: sending && this.headPassedOn && !this.isGrpc ? this.sender.stalledSinceMs : -1,
        // Between attempts it is the sidecar that rests.
        silentSinceMs: attempt || this.headPassedOn ? Math.max(this.lastReadMs, this.body.lastMs) : -1,
      },
      timeout,
      attempts,
      this.context.limits,
      nowMs,
    );
    const { over } = judgement;
    if (over === undefined) this.timers.watch(judgement.leftMs);
    else if (this.isTunnel && over === 'read_timeout') this.abandon('idle_timeout');
    else if (over === 'connect_timeout' && attempt?.blockedBy !== undefined) this.overflow(attempt.blockedBy);
    else if (attempt && ENDS_ATTEMPT.has(over)) this.timeOut(attempt, over);
    else this.abandon(over);
  }

  /** Since when the endpoint could have answered, or opened a connection: `per_try_timeout` is its time, not others'. */
  private trySinceMs(attempt: Attempt, nowMs: number): number {
    if (attempt.status !== 0 || !this.body.complete) return -1;
    if (attempt.blockedBy !== undefined) attempt.blockedMs = nowMs;
    return Math.max(attempt.startMs, attempt.blockedMs, this.body.lastMs);
  }

  /** Whether silence is the caller's, who hasn't sent its body. Streams of gRPC may rest. */
  private waitsForCaller(): boolean {
    return !this.body.complete && !this.body.paused && !this.isGrpc && !this.headPassedOn;
  }

  /**
   * Whether silence is the upstream's: the request is sent (or the answer has begun) and nothing of ours holds it
   * back. A gRPC call may be silent for as long as its deadline allows unless somebody set `timeout.read`.
   */
  private waitsForRead(): boolean {
    if (this.isGrpc && !this.timeout.readIsSet) return false;
    if (this.isTunnel) return !this.responsePaused && !this.body.paused;
    return (this.body.complete || this.headPassedOn) && !this.responsePaused;
  }

  private get timeout(): TimeoutPolicy {
    const { timeout } = this.cluster!.port.policy;
    return this.passage === undefined ? timeout : this.passage.timeouts(timeout);
  }

  private shortestWaitMs(): number {
    return shortestMs(this.timeout, this.cluster!.port.policy.attempts.perTryTimeoutMs, this.context.limits);
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

  /** The attempt couldn't have a connection, by a limit of our own. */
  private overflow(detail: string): void {
    this.giveUp('overflow');
    this.failForGood({ kind: 'overflow', detail, grpcStatus: -1 });
  }

  /** Ends the request from our side: the attempt is given up and the caller is told. */
  private abandon(kind: ErrorKind): void {
    const { attempt } = this;
    // The whole request is there, and no answer: that is the endpoint's, whoever set the time.
    if (kind === 'total_timeout' && attempt?.sending === true && attempt.status === 0 && this.body.complete) {
      this.attempt = undefined;
      const { progress } = attempt;
      attempt.cancelQuietly();
      this.report(attempt, kind, progress);
    } else this.giveUp(kind);
    if (this.headPassedOn) {
      this.sender.abort(kind);
      this.finish(kind);
    } else this.fail(kind, '');
  }

  /** Starts the timer that ends the call, if anything does. */
  private startEndTimer(): void {
    const { totalMs } = this.timeout;
    const deadlineMs = this.deadline?.timeoutMs ?? Infinity;
    if (totalMs === 0 && deadlineMs === Infinity) return;
    const isTotal = totalMs > 0 && totalMs < deadlineMs;
    const endMs = isTotal ? totalMs : deadlineMs;
    if (isTotal) this.endKind = 'total_timeout';
    this.retries.endAt(this.startMs + endMs);
    this.timers.endAfter(endMs);
  }

  /** The host that the endpoint is to see. */
  hostFor(endpoint: LiveEndpoint): string {
    return this.cluster!.hostFor(endpoint, this.authority);
  }

  /** Makes the head one for an endpoint, with the time that is left of the call; called as each attempt is sent. */
  addressTo(host: string): void {
    this.deadline?.lower(this.head.fields, this.context.clock.nowMs);
    this.head.authority = host;
    this.head.scheme = isSecureScheme(this.cluster!.port.policy.scheme) ? 'https' : 'http';
  }

  // --- the end -----------------------------------------------------------------------------------------------------

  /** Answers for the gateway. */
  private refuse({ kind, status, fields, body, detail }: PluginAnswer): void {
    this.reply(kind, detail, { status, json: body, more: [...fields] });
    this.finish(kind);
  }

  /** Answers for the upstream; see Failure. */
  private fail(kind: ErrorKind, detail: string, grpcStatus = -1, retryAfterS = 0): void {
    const more: string[] = [];
    if (retryAfterS > 0) more.push('retry-after', String(retryAfterS));
    const statuses = this.isGrpc ? '' : upstreamStatuses(this.attempts);
    if (statuses !== '') more.push(UPSTREAM_STATUS_FIELD, statuses);
    this.reply(kind, detail, { grpcStatus, more });
    this.finish(kind, this.isGrpc ? grpcStatus : -1);
  }

  private reply(kind: ErrorKind, detail: string, answer: OwnReply & { readonly more: Fields }): void {
    this.passage?.addTo(answer.more);
    const { status, bodyBytes } = sendReply(this.sender, kind, detail, {
      ...answer,
      isGrpc: this.isGrpc,
      isHead: this.head.method === 'HEAD',
    });
    this.status = status;
    this.bytesSent = bodyBytes;
  }

  private finish(error: ErrorKind | undefined, grpcStatus = -1): void {
    if (this.done) return;
    this.done = true;
    this.timers.stop();
    this.dropParked();
    this.body.drop();
    this.head.authority = this.authority;
    const cluster = this.cluster;
    if (cluster) {
      this.retries.end(cluster);
      const ok = error === undefined && (grpcStatus >= 0 ? grpcStatus === 0 : this.status < 500);
      cluster.endRequest(ok);
    }
    this.context.onFinished({
      durationMs: this.context.clock.nowMs - this.startMs,
      head: this.head,
      isGrpc: this.isGrpc,
      cluster,
      status: this.status,
      grpcStatus,
      error,
      bytesReceived: this.body.bytes,
      bytesSent: this.bytesSent,
      remoteAddress: this.sender.remoteAddress,
      requestId: this.requestId,
      route: this.passage?.route,
      consumer: this.passage?.consumer,
      attempts: this.attempts,
    });
  }

  /** An attempt waits for room for a connection, and an unfinished answer takes some that can be spared. */
  connectionWanted(): void {
    if (this.parked?.ended === false) this.dropParked();
  }

  /** Another attempt's answer is the caller's, or nobody's. */
  private dropParked(): void {
    const { parked } = this;
    this.parked = undefined;
    parked?.attempt.dropParked();
  }

  private dropHeld(): void {
    this.retries.dropBody();
    this.body.drop();
    this.attempt?.passHeldHead(); // its status can't lead to another attempt any more
  }

  private isFull(): boolean {
    const attempt = this.attempt;
    return (attempt?.sending ? attempt.bufferedBytes : this.body.heldBytes) >= HIGH_WATER_BYTES;
  }
}
