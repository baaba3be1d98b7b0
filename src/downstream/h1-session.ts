// A downstream HTTP/1 connection: one exchange at a time, in order.
//
//              ┌────────── request and answer complete, keep-alive ──────────┐
//              ▼                                                             │
//   open ── idle ──first byte──► head ──handle()──► exchange ────────────────┤
//              │                  │                   │   └─101──► tunnel ───┤ close, or answered early
//              │ timeout, FIN     │ fault, 408        │ fault, abort         ▼
//              └─────────────────►└──────────────────►└──────────────► lingering ──► closed
//
// Bytes that come while an answer is awaited belong to later requests (or to the tunnel, if the answer is a 101): they
// are held, unread, up to a bound. After a fault or an early answer no byte is ever parsed as a request again.
import type { ErrorKind } from '../base/error.ts';
import { Timer, type TimerOwner } from '../base/timer-wheel.ts';
import { type Fields, HIGH_WATER_BYTES, type RequestHead } from '../codec/exchange.ts';
import { Fault } from '../codec/h1/fault.ts';
import { type RequestEvents, RequestParser } from '../codec/h1/request-parser.ts';
import { statusLine } from '../codec/h1/reason-phrase.ts';
import { ERROR_TABLE } from '../model/error-table.ts';
import type { Transport } from '../net/transport.ts';
import { type ExchangeOwner, H1Exchange, NO_RECEIVER } from './h1-exchange.ts';
import { DRAIN_IDLE_MS, retireAtMs, type Session, type SessionContext } from './session.ts';

/** What is thrown away of a body whose answer went out early, before reading stops. */
const LINGER_BYTES = 64 * 1024;
/** How long such a caller gets to read its answer, once it is sent. */
const LINGER_MS = 1000;

const NOTHING = Buffer.alloc(0);
const HEAD_TIMEOUT = new Fault('request_timeout', 'the head was not complete in time');
const ENDED_IN_HEAD = new Fault('bad_request', 'the connection ended inside the head');

type Phase = 'open' | 'lingering' | 'closed';

const FIRST = 0;
const IDLE = 1;
const HEAD = 2;
const LINGER = 3;
const CLOGGED = 4;

/** Speaks HTTP/1.0 and 1.1 over `transport`; sets itself as its handler. */
export function createH1Session(transport: Transport, context: SessionContext): Session {
  const session = new H1Session(transport, context);
  transport.handler = session;
  return session;
}

class H1Session implements Session, RequestEvents, ExchangeOwner, TimerOwner {
  draining = false;
  /** For the parser: no more events. */
  stopped = false;

  private readonly transport: Transport;
  private readonly context: SessionContext;
  private readonly parser: RequestParser;
  /** Measures what `timing` says; one at a time. */
  private readonly timer = new Timer(this, 0);
  private timing = FIRST;
  /** Monotonic ms since when no request has been there. */
  private idleSinceMs: number;
  private phase: Phase = 'open';
  private exchange: H1Exchange | undefined = undefined;
  private peerEnded = false;
  private parsing = false;
  private resumeScheduled = false;
  private requestPaused = false;
  /** Unparsed bytes of later requests: `held[heldStart..heldEnd)`. */
  private held: Buffer | undefined = undefined;
  private heldStart = 0;
  private heldEnd = 0;
  private heldPaused = false;
  private lingeredBytes = 0;
  private requests = 0;
  private readonly retireAtMs: number;
  private wasPending = false;

  constructor(transport: Transport, context: SessionContext) {
    this.transport = transport;
    this.context = context;
    this.idleSinceMs = context.clock.nowMs;
    this.retireAtMs = retireAtMs(context, transport);
    this.parser = new RequestParser(context.limits, context.scheme, this);
    context.wheel.start(this.timer, context.limits.firstRequestMs);
  }

  get active(): number {
    return this.exchange ? 1 : 0;
  }

  // --- what the connection does

  onRead(bytes: Buffer, length: number): void {
    if (this.phase !== 'open') {
      this.lingeredBytes += length;
      if (this.lingeredBytes > LINGER_BYTES) this.transport.pauseRead();
    } else if (this.held || this.exchange?.requestEnded) {
      this.hold(bytes, 0, length);
    } else if (this.exchange?.isTunnel) {
      this.exchange.receiver.onData(bytes.subarray(0, length), false);
    } else {
      this.parse(bytes, 0, length);
    }
  }

  onEnd(): void {
    if (this.phase === 'closed') return;
    if (this.phase === 'lingering') {
      if (this.transport.pendingBytes === 0) this.transport.destroy();
      return;
    }
    this.peerEnded = true;
    const exchange = this.exchange;
    if (exchange) {
      if (exchange.isTunnel) {
        if (!this.held) this.endTunnel(exchange);
      } else if (!exchange.requestEnded) {
        this.loseCaller();
        this.transport.destroy();
      }
    } else if (!this.held) this.atRest();
  }

  onDrain(): void {
    if (!this.exchange && this.held) this.scheduleResume();
    else if (this.exchange && !this.exchange.ended) this.exchange.receiver.onDrain();
  }

  onClose(): void {
    this.close();
    this.loseCaller();
  }

  onTimer(): void {
    if (this.phase === 'closed') return;
    switch (this.timing) {
      case HEAD:
        this.refuse(HEAD_TIMEOUT);
        return;
      case LINGER:
        this.linger();
        return;
      case CLOGGED:
        if (this.isStalled()) this.refuseToFlush();
        else this.time(CLOGGED, LINGER_MS);
        return;
      default:
        this.finish(true);
    }
  }

  // --- what the runtime asks

  drain(): void {
    if (this.draining) return;
    this.draining = true;
    if (this.phase !== 'open' || this.exchange || this.held || this.parser.isInHead) return;
    const leftMs = this.idleSinceMs + DRAIN_IDLE_MS - this.context.clock.nowMs;
    if (leftMs > 0 && !this.peerEnded) this.time(IDLE, leftMs);
    else this.finish(true);
  }

  destroy(): void {
    if (this.phase === 'closed') return;
    const isBegun = this.exchange?.headSent === true;
    this.close();
    this.loseCaller(this.draining ? 'draining' : 'downstream_reset');
    // An answer, or a tunnel, that is cut must not look complete.
    if (isBegun) this.transport.reset();
    else this.transport.destroy();
  }

  // --- what the parser finds

  onRequestHead(head: RequestHead, endStream: boolean): void {
    const { parser, context } = this;
    if (this.timer.running) context.wheel.stop(this.timer);
    const isHead = head.method === 'HEAD';
    const inHand = parser.bodyInHand;
    const keepAlive =
      parser.keepAlive &&
      ++this.requests < context.limits.requestsPerConnection &&
      context.clock.nowMs < this.retireAtMs;
    const exchange = new H1Exchange(this, this.transport, head.version, isHead, keepAlive, endStream, inHand);
    this.exchange = exchange;
    const expectsContinue = parser.expectsContinue;
    const receiver = context.handle(head, endStream, exchange);
    if (!exchange.ended) {
      exchange.receiver = receiver;
      // The proxy takes every body as it comes, so the caller may start; not if it was answered or has started already.
      if (expectsContinue && !exchange.headSent && !inHand) this.transport.writeLatin1(statusLine(100) + '\r\n');
    } else if (exchange.lost) {
      receiver.onAbort('downstream_reset');
    }
  }

  onData(chunk: Buffer, endStream: boolean): void {
    const exchange = this.exchange;
    if (!exchange) return;
    if (endStream) this.endRequest(exchange);
    if (!exchange.ended) exchange.receiver.onData(chunk, endStream);
    else if (endStream) this.complete(exchange);
  }

  onTrailers(fields: Fields): void {
    const exchange = this.exchange;
    if (!exchange) return;
    this.endRequest(exchange);
    exchange.receiver.onTrailers(fields);
  }

  // --- what the exchange asks

  onTunnel(): void {
    if (this.held || this.peerEnded) this.scheduleResume();
  }

  onResponseEnd(exchange: H1Exchange): void {
    if (exchange.isTunnel && !exchange.requestEnded) {
      this.transport.end(); // the caller may still have something to say
      return;
    }
    exchange.receiver = NO_RECEIVER;
    if (exchange.requestEnded) this.complete(exchange);
    else if (exchange.closes) {
      this.exchange = undefined;
      this.finish(false);
    }
    // Otherwise the rest of the request is in the read at hand: it is passed over, then the exchange is complete.
  }

  onCut(exchange: H1Exchange, begun: boolean): void {
    exchange.receiver = NO_RECEIVER;
    this.exchange = undefined;
    if (begun) {
      this.close();
      this.transport.reset();
    } else this.finish(exchange.requestEnded);
  }

  pauseRequest(): void {
    if (this.requestPaused || this.phase !== 'open') return;
    this.requestPaused = true;
    this.transport.pauseRead();
  }

  resumeRequest(): void {
    if (!this.requestPaused || this.phase !== 'open') return;
    this.requestPaused = false;
    this.transport.resumeRead();
  }

  // --- requests, one after another

  private parse(bytes: Buffer, at: number, end: number): void {
    this.parsing = true;
    while (at < end && !this.stopped && !this.exchange?.requestEnded && !this.isClogged()) {
      at = this.parser.execute(bytes, at, end);
      if (this.parser.fault) {
        this.parsing = false;
        if (!this.stopped) this.refuse(this.parser.fault);
        return;
      }
    }
    this.parsing = false;
    if (this.stopped) return;
    if (bytes === this.held) {
      this.heldStart = at;
      if (at >= end) this.releaseHeld();
    } else if (at < end) this.hold(bytes, at, end);
    if (this.exchange) return;
    if (!this.held) this.atRest();
    else if (!this.timer.running) this.time(CLOGGED, this.context.limits.flushMs);
  }

  private endRequest(exchange: H1Exchange): void {
    exchange.requestEnded = true;
    this.resumeRequest();
  }

  /** Request and answer are complete. */
  private complete(exchange: H1Exchange): void {
    this.exchange = undefined;
    if (exchange.closes || this.draining) this.finish(true);
    else if (!this.parsing) {
      if (this.held) this.scheduleResume();
      else this.atRest();
    }
  }

  /** Whether a request would only add to answers that the caller doesn't read. */
  private isClogged(): boolean {
    const { transport } = this;
    if (this.exchange || transport.pendingBytes < HIGH_WATER_BYTES) return false;
    transport.flush(); // only what the kernel refuses counts
    return transport.pendingBytes >= HIGH_WATER_BYTES;
  }

  /** What came before the 101 was ours to send. */
  private openTunnel(exchange: H1Exchange): void {
    const bytes = this.held?.subarray(this.heldStart, this.heldEnd);
    this.releaseHeld();
    if (bytes) exchange.receiver.onData(bytes, false);
    if (this.peerEnded && this.exchange === exchange) this.endTunnel(exchange);
  }

  /** The caller has said all. */
  private endTunnel(exchange: H1Exchange): void {
    if (exchange.requestEnded) return;
    exchange.requestEnded = true;
    exchange.receiver.onData(NOTHING, true);
    if (exchange.ended) this.complete(exchange);
  }

  /** No exchange, nothing held: what is waited for now? */
  private atRest(): void {
    if (this.parser.isInHead) {
      if (this.peerEnded) this.refuse(ENDED_IN_HEAD);
      else if (this.timing !== HEAD || !this.timer.running) this.time(HEAD, this.context.limits.headTimeMs);
    } else if (this.peerEnded || this.draining) {
      this.finish(true);
    } else if (!this.timer.running || this.timing === CLOGGED) {
      this.idleSinceMs = this.context.clock.nowMs;
      this.time(IDLE, this.context.limits.idleMs);
    }
  }

  private time(timing: number, delayMs: number): void {
    this.timing = timing;
    this.context.wheel.start(this.timer, delayMs);
  }

  // --- held bytes

  private hold(bytes: Buffer, start: number, end: number): void {
    const kept = this.heldEnd - this.heldStart;
    const need = kept + end - start;
    const held = this.held;
    if (!held || held.length - this.heldEnd < end - start) {
      const larger = Buffer.allocUnsafeSlow(held ? Math.max(need, 2 * kept) : need);
      held?.copy(larger, 0, this.heldStart, this.heldEnd);
      this.held = larger;
      this.heldStart = 0;
      this.heldEnd = kept;
    }
    bytes.copy(this.held!, this.heldEnd, start, end);
    this.heldEnd += end - start;
    if (need < this.context.limits.pipelinedBytes) return;
    this.heldPaused = true;
    this.transport.pauseRead();
  }

  private releaseHeld(): void {
    this.held = undefined;
    this.heldStart = this.heldEnd = 0;
    if (!this.heldPaused) return;
    this.heldPaused = false;
    if (!this.requestPaused) this.transport.resumeRead();
  }

  /** In a later turn: the answer that has just ended is still being sent by a caller further up the stack. */
  private scheduleResume(): void {
    if (this.resumeScheduled) return;
    this.resumeScheduled = true;
    queueMicrotask(() => {
      this.resumeScheduled = false;
      if (this.stopped) return;
      try {
        if (this.exchange?.isTunnel) this.openTunnel(this.exchange);
        else if (!this.exchange && this.held) this.parse(this.held, this.heldStart, this.heldEnd);
      } catch (error) {
        this.context.logger.log(
          'error',
          { err: error, remote: this.transport.remoteAddress },
          'connection closed by a bug',
        );
        this.destroy();
      }
    });
  }

  // --- ends

  /** The request can't be understood, or came too slowly: the answer is ours. */
  private refuse(fault: Fault): void {
    const exchange = this.exchange;
    if (exchange) {
      const { receiver, ended, headSent } = exchange;
      this.exchange = undefined;
      exchange.ended = true;
      exchange.receiver = NO_RECEIVER;
      if (!ended) receiver.onAbort(fault.kind);
      if (this.stopped) return;
      if (headSent) {
        this.close();
        this.transport.reset();
        return;
      }
    } else {
      this.context.onRefused(fault.kind, fault.detail, this.transport.remoteAddress);
    }
    const { httpStatus, text } = ERROR_TABLE[fault.kind];
    const body = `${text}\n${fault.detail}\n`;
    this.transport.writeLatin1(
      `${statusLine(httpStatus)}content-type: text/plain\r\nx-outrigger-reason: ${fault.kind}\r\n` +
        `content-length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    );
    this.finish(true);
  }

  /** Nothing is to be written after what is pending. `requestDone`: no body that nobody wants is on its way. */
  private finish(requestDone: boolean): void {
    if (this.phase !== 'open') return;
    this.close();
    const transport = this.transport;
    transport.flush();
    if (requestDone && transport.pendingBytes === 0) {
      transport.endLingering();
      return;
    }
    // Not endLingering: its time is too short for a slow reader's last answer, and an unwanted body is read up to a bound.
    this.phase = 'lingering';
    transport.resumeRead();
    transport.end();
    this.time(LINGER, LINGER_MS);
  }

  private linger(): void {
    const { transport } = this;
    if (transport.pendingBytes > 0) {
      if (this.isStalled()) return this.refuseToFlush();
      this.wasPending = true;
    } else if (this.wasPending) {
      this.wasPending = false;
    } else {
      this.close();
      transport.destroy();
      return;
    }
    this.time(LINGER, LINGER_MS);
  }

  /** Whether the caller has taken nothing of what waits for it for too long. */
  private isStalled(): boolean {
    const since = this.transport.stalledSinceMs;
    return since >= 0 && this.context.clock.nowMs - since >= this.context.limits.flushMs;
  }

  private refuseToFlush(): void {
    this.context.onRefused('flush_timeout', 'complete answers wait', this.transport.remoteAddress);
    this.close();
    this.transport.reset();
  }

  private close(): void {
    this.phase = 'closed';
    this.stopped = true;
    this.held = undefined;
    this.context.wheel.stop(this.timer);
  }

  private loseCaller(kind: ErrorKind = 'downstream_reset'): void {
    const exchange = this.exchange;
    if (!exchange) return;
    const { receiver, isOpen } = exchange;
    this.exchange = undefined;
    exchange.ended = true;
    exchange.receiver = NO_RECEIVER;
    if (!isOpen) return;
    exchange.lost = true;
    receiver.onAbort(kind);
  }
}
