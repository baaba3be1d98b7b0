// The receiving side of flow control (RFC 9113 section 5.2). The connection's window is given back at once, so that a
// stream whose receiver is slow doesn't hold up the others, unless too much is held in all. A stream's window is given
// back only while its receiver takes more. Both are given back in halves, to save frames.
//
// A long body costs a wake-up, a read and a frame for each half of its window. So the window of a stream is doubled
// whenever its receiver has kept up for eight halves, up to eight times of what it was; it shrinks by half of that when
// the receiver falls back. All streams of a connection share what is granted so, a quarter of what the connection may
// hold. Guarded by `npm run bench -- bulk-h2 grpc-stream`.
import type { ByteSink } from '../../base/byte-sink.ts';
import type { WireLimits } from '../limits.ts';
import { DEFAULT_WINDOW_BYTES } from './frame.ts';
import { writeWindowUpdate } from './frame-writer.ts';
import type { H2Stream } from './stream.ts';

/** How many times the ordinary window a stream may be granted. */
const WIDEST = 8;

/** Halves in a row that a receiver must have kept up for. */
const STEADY_HALVES = 8;

/** The windows that we grant on one connection. */
export class ReceiveFlow {
  /** What a new stream may send. Until the peer knows our setting, the RFC's value if that is larger. */
  streamWindow: number;
  private readonly sink: ByteSink;
  private readonly limits: WireLimits;
  private window = DEFAULT_WINDOW_BYTES;
  private owed = 0;
  private held = 0;
  /** What all the streams together may still be granted beyond their ordinary windows. */
  private extraLeft: number;

  constructor(sink: ByteSink, limits: WireLimits) {
    this.sink = sink;
    this.limits = limits;
    this.streamWindow = Math.max(limits.streamWindowBytes, DEFAULT_WINDOW_BYTES);
    this.extraLeft = limits.connectionHeldBytes >> 2;
  }

  /** Bytes that receivers have been given but that their streams' windows were not given back for. */
  get heldBytes(): number {
    return this.held;
  }

  /** Raises the connection's window from the RFC's value to ours. Written behind SETTINGS. */
  open(): void {
    const more = this.limits.connectionWindowBytes - DEFAULT_WINDOW_BYTES;
    if (more <= 0) return;
    writeWindowUpdate(this.sink, 0, more);
    this.window += more;
  }

  /** A DATA frame of `bytes`, padding and all, came. False: more than the connection's window. */
  takeConnection(bytes: number): boolean {
    if (bytes > this.window) return false;
    this.window -= bytes;
    this.owed += bytes;
    return true;
  }

  /** Settles with the stream after its receiver has seen the frame; `bytes` were taken off its window. */
  settle(stream: H2Stream, bytes: number): void {
    stream.owed += bytes;
    if (stream.paused) this.held += bytes;
    else if (!stream.remoteEnded && stream.owed >= (this.streamWindow + stream.extraWindow) >> 1) {
      this.giveBack(stream, this.widen(stream));
    }
  }

  /** Gives the connection's window back when half of it is owed and not too much is held. */
  settleConnection(): void {
    if (this.owed === 0 || this.owed < this.limits.connectionWindowBytes >> 1) return;
    if (this.held > this.limits.connectionHeldBytes) return;
    writeWindowUpdate(this.sink, 0, this.owed);
    this.window += this.owed;
    this.owed = 0;
  }

  pause(stream: H2Stream): void {
    if (stream.paused || stream.closed) return;
    stream.paused = true;
    stream.steadyHalves = 0;
    this.held += stream.owed;
  }

  resume(stream: H2Stream): void {
    if (!stream.paused || stream.closed) return;
    stream.paused = false;
    this.held -= stream.owed;
    this.narrow(stream);
    if (!stream.remoteEnded && stream.owed > 0) this.giveBack(stream, 0);
    this.settleConnection();
  }

  /** The stream is gone. True: bytes were held for it that no longer are. */
  forget(stream: H2Stream): boolean {
    this.extraLeft += stream.extraWindow;
    stream.extraWindow = 0;
    if (!stream.paused) return false;
    stream.paused = false;
    this.held -= stream.owed;
    return stream.owed > 0;
  }

  private giveBack(stream: H2Stream, more: number): void {
    const increment = stream.owed + more;
    writeWindowUpdate(this.sink, stream.id, increment);
    stream.receiveWindow += increment;
    stream.owed = 0;
  }

  /** By how much a window grows: to twice and one, so that an odd window stays odd (limits.ts, `streamWindowBytes`). */
  private widen(stream: H2Stream): number {
    if (++stream.steadyHalves < STEADY_HALVES) return 0;
    stream.steadyHalves = 0;
    const window = this.streamWindow + stream.extraWindow;
    const more = window + 1;
    if (window >= this.streamWindow * WIDEST || more > this.extraLeft) return 0;
    this.extraLeft -= more;
    stream.extraWindow += more;
    return more;
  }

  /** Takes back half of what a window was widened by, as far as that has been used up. */
  private narrow(stream: H2Stream): void {
    const less = Math.min((stream.extraWindow + 1) >> 1, stream.owed);
    stream.owed -= less;
    stream.extraWindow -= less;
    this.extraLeft += less;
  }
}
