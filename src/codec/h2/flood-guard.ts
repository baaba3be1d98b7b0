// Bounds on what a peer can make us do for nothing. Two token buckets over time, one for streams that are reset and one
// for frames that carry nothing, and credits that honest traffic earns and that are spent first:
//
//   a DATA frame sent       windowUpdatesPerData for WINDOW_UPDATE, and for PING: gRPC measures its bandwidth with one a
//                           round trip
//   a stream opened         priorityPerStream for PRIORITY, which servers have no use for, two for WINDOW_UPDATE (some raise a new stream's window), one
//                           for a late RST_STREAM, and one for an empty DATA frame (some end a body so, before trailers)
//
// What streams earn is kept only up to a stock, so that a flood after a long honest life is cut as soon as any other.
import type { Clock } from '../../base/clock.ts';
import type { ErrorKind } from '../../base/error.ts';
import type { WireLimits } from '../limits.ts';

/** WINDOW_UPDATE and PING frames that may be saved up: a peer with large windows acknowledges in bursts. */
const MAX_DATA_CREDIT = 1_000_000;
/** A DATA frame that the window cut short earns by its share of this: else a peer could dribble credit (CVE-2019-9511). */
const WHOLE_FRAME_BYTES = 1024;
/** What a peer that opens streams may save up of each kind. */
const STREAM_STOCK = 400;
const UPDATES_PER_STREAM = 2;

/** The smallest message of gRPC. A DATA frame that carries less, and doesn't end its stream, is tiny. */
const TINY_BYTES = 5;
/** What a tiny frame is charged, less its payload, and what it or a larger one earns when it is taken. */
const FRAME_COST_BYTES = 32;
/** A frame this large earns whether or not it is taken. */
const LARGE_FRAME_BYTES = 256;

/** Ends a connection whose peer went too far: ENHANCE_YOUR_CALM. */
export interface FloodOwner {
  onFlood(detail: string, kind: ErrorKind): void;
}

/** The flood guard of one connection. Each `take…` says whether it may go on; false: the owner has been told. */
export class FloodGuard {
  private readonly limits: WireLimits;
  private readonly clock: Clock;
  private readonly owner: FloodOwner;
  private readonly isServer: boolean;
  private readonly emptyStock: number;
  private resets: number;
  private controls: number;
  private refilledMs: number;
  private dataCredit = 0;
  private cutBytes = 0;
  private updateCredit = 0;
  private priorityCredit = 0;
  private lateResetCredit = 0;
  private emptyCredit = 0;
  private tinyLeft: number;
  private repliesWaiting = 0;
  private repliesSinceMs = -1;

  /** `isServer`: the peer opens the streams, so what they earn is bounded. */
  constructor(limits: WireLimits, isServer: boolean, clock: Clock, owner: FloodOwner) {
    this.limits = limits;
    this.clock = clock;
    this.owner = owner;
    this.isServer = isServer;
    this.emptyStock = isServer ? STREAM_STOCK : limits.concurrentStreams;
    this.resets = limits.resetBurst;
    this.controls = limits.controlBurst;
    this.refilledMs = clock.nowMs;
    this.tinyLeft = limits.tinyDataBytes;
  }

  /** A stream was reset by the peer for nothing, or by us for the peer's fault. */
  takeReset(): boolean {
    this.refill();
    if (--this.resets >= 0) return true;
    this.owner.onFlood('too many resets', 'too_many_resets');
    return false;
  }

  /** A stream ended as it should. */
  streamEnded(): void {
    if (this.resets < this.limits.resetBurst) this.resets++;
  }

  streamOpened(): void {
    if (this.updateCredit < STREAM_STOCK) this.updateCredit += UPDATES_PER_STREAM;
    if (this.isServer && this.priorityCredit < STREAM_STOCK) this.priorityCredit += this.limits.priorityPerStream;
    // As many calls as there may be at once can end here just as their callers give them up: at one deadline.
    if (this.lateResetCredit < this.limits.concurrentStreams) this.lateResetCredit++;
    if (this.emptyCredit < this.emptyStock) this.emptyCredit++;
  }

  /** `cut`: the window, not the message, made the frame as small as it is. */
  dataSent(bytes: number, cut: boolean): void {
    if (this.dataCredit >= MAX_DATA_CREDIT) return;
    if (cut && bytes < WHOLE_FRAME_BYTES) {
      this.cutBytes += bytes;
      if (this.cutBytes < WHOLE_FRAME_BYTES) return;
      this.cutBytes -= WHOLE_FRAME_BYTES;
    }
    this.dataCredit += this.limits.windowUpdatesPerData;
  }

  takeWindowUpdate(): boolean {
    if (this.dataCredit > 0) this.dataCredit--;
    else if (this.updateCredit > 0) this.updateCredit--;
    else return this.takeControl();
    return true;
  }

  /** A PING came that asks for an answer. */
  takePing(): boolean {
    if (this.dataCredit <= 0) return this.takeControl();
    this.dataCredit--;
    return true;
  }

  takePriority(): boolean {
    if (this.priorityCredit <= 0) return this.takeControl();
    this.priorityCredit = Math.min(this.priorityCredit, STREAM_STOCK) - 1;
    return true;
  }

  /** The first RST_STREAM came on a stream that is over: it crossed our end of the stream. */
  takeLateReset(): boolean {
    if (this.lateResetCredit <= 0) return this.takeControl();
    this.lateResetCredit--;
    return true;
  }

  /** A DATA frame without a byte and without END_STREAM came, `run` of them in a row on its stream. */
  takeEmptyData(run: number): boolean {
    if (run > this.limits.emptyDataFrames) return this.flood('too many empty DATA frames');
    if (this.emptyCredit <= 0) return this.takeControl();
    this.emptyCredit--;
    return true;
  }

  /** A SETTINGS, GOAWAY or unknown frame came, or one more for a stream that is gone: no traffic earns those. */
  takeControl(): boolean {
    this.refill();
    return --this.controls >= 0 || this.flood('too many control frames');
  }

  /**
   * A DATA frame came with `bytes` of payload, which is above 0, and without END_STREAM. A tiny one that isn't `taken`
   * (its receiver has paused, or its stream was reset) spends 32 bytes less its payload of `tinyDataBytes`; each frame
   * that is taken, and each large one, earns 32 back. So small messages to a receiver that keeps up are free however
   * many they are, messages of gRPC are free always, and what is cut is a peer that fills the window of a receiver that
   * doesn't read with hundreds of frames of a few bytes. As hyperium/h2 counts since 0.4.16, but by what the frame
   * carries, since frames of 5 to 255 bytes that wait are gathered here and cost no more than larger ones.
   */
  takeData(bytes: number, taken: boolean): boolean {
    if (taken && this.tinyLeft >= this.limits.tinyDataBytes) return true;
    if (taken || bytes >= LARGE_FRAME_BYTES) {
      if (this.tinyLeft < this.limits.tinyDataBytes) this.tinyLeft += FRAME_COST_BYTES;
      return true;
    }
    if (bytes >= TINY_BYTES) return true;
    this.tinyLeft -= FRAME_COST_BYTES - bytes;
    return this.tinyLeft >= 0 || this.flood('too many tiny DATA frames');
  }

  /** A reply to a control frame is about to be written. `stalledSinceMs`: since when the kernel takes nothing, or -1. */
  takeReply(stalledSinceMs: number): boolean {
    if (stalledSinceMs < 0 || stalledSinceMs !== this.repliesSinceMs) {
      this.repliesSinceMs = stalledSinceMs;
      this.repliesWaiting = 0;
    }
    if (stalledSinceMs < 0 || ++this.repliesWaiting <= this.limits.controlQueueFrames) return true;
    return this.flood('replies are not read');
  }

  private flood(detail: string): false {
    this.owner.onFlood(detail, 'too_many_frames');
    return false;
  }

  private refill(): void {
    const { nowMs } = this.clock;
    const seconds = (nowMs - this.refilledMs) / 1000;
    if (seconds <= 0) return;
    this.refilledMs = nowMs;
    this.resets = Math.min(this.limits.resetBurst, this.resets + seconds * this.limits.resetPerSecond);
    this.controls = Math.min(this.limits.controlBurst, this.controls + seconds * this.limits.controlPerSecond);
  }
}
