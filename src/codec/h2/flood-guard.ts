// Bounds on what a peer can make us do for nothing. Two token buckets over time, and one credit that honest traffic
// earns: a peer that is sent much DATA, or opens many streams, rightly sends many WINDOW_UPDATE and PING frames
// (gRPC measures its bandwidth with a PING a round trip), one that isn't has no reason to.
import type { WireLimits } from '../limits.ts';

/** Control frames earned by a DATA frame sent, and by a stream opened. */
const CREDIT_EACH = 10;
const MAX_CREDIT = 1_000_000;
/** A DATA frame this large earns credit also where the window cut it; smaller ones would let a peer dribble credit. */
const CREDIT_FRAME_BYTES = 1024;

/** The flood guard of one connection. Each `take…` says whether it may go on; false means ENHANCE_YOUR_CALM. */
export class FloodGuard {
  private readonly limits: WireLimits;
  private resets: number;
  private controls: number;
  private credit = 0;
  private refilledMs: number;
  private emptyRun = 0;
  private repliesWaiting = 0;

  constructor(limits: WireLimits, nowMs: number) {
    this.limits = limits;
    this.resets = limits.resetBurst;
    this.controls = limits.controlBurst;
    this.refilledMs = nowMs;
  }

  /** A stream was reset by the peer for nothing, or by us for the peer's fault. */
  takeReset(nowMs: number): boolean {
    this.refill(nowMs);
    return --this.resets >= 0;
  }

  /** A stream ended as it should. */
  streamEnded(): void {
    if (this.resets < this.limits.resetBurst) this.resets++;
  }

  streamOpened(): void {
    if (this.credit < MAX_CREDIT) this.credit += CREDIT_EACH;
  }

  /** `cut`: the window, not the message, made the frame as small as it is. */
  dataSent(bytes: number, cut: boolean): void {
    if (this.credit < MAX_CREDIT && (!cut || bytes >= CREDIT_FRAME_BYTES)) this.credit += CREDIT_EACH;
  }

  /** A PING, WINDOW_UPDATE or PRIORITY came. */
  takeControl(nowMs: number): boolean {
    if (this.credit > 0) {
      this.credit--;
      return true;
    }
    return this.takeRare(nowMs);
  }

  /** A SETTINGS or unknown frame came, or one for a stream that is gone: no traffic earns those. */
  takeRare(nowMs: number): boolean {
    if (this.controls >= 1) {
      this.controls--;
      return true;
    }
    this.refill(nowMs);
    return --this.controls >= 0;
  }

  /** A reply to a control frame is about to be written; `waiting`: the kernel takes nothing at present. */
  takeReply(waiting: boolean): boolean {
    if (!waiting) {
      this.repliesWaiting = 0;
      return true;
    }
    return ++this.repliesWaiting <= this.limits.controlQueueFrames;
  }

  /** A DATA frame without a byte and without END_STREAM came. */
  takeEmptyData(): boolean {
    return ++this.emptyRun <= this.limits.emptyDataFrames;
  }

  /** A DATA frame that carries something came. */
  dataReceived(): void {
    this.emptyRun = 0;
  }

  private refill(nowMs: number): void {
    const seconds = (nowMs - this.refilledMs) / 1000;
    if (seconds <= 0) return;
    this.refilledMs = nowMs;
    this.resets = Math.min(this.limits.resetBurst, this.resets + seconds * this.limits.resetPerSecond);
    this.controls = Math.min(this.limits.controlBurst, this.controls + seconds * this.limits.controlPerSecond);
  }
}
