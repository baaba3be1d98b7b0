// The receiving side of flow control (RFC 9113 section 5.2). The connection's window is given back at once, so that a
// stream whose receiver is slow doesn't hold up the others, unless too much is held in all. A stream's window is given
// back only while its receiver takes more. Both are given back in halves, to save frames.
import type { ByteSink } from '../../base/byte-sink.ts';
import type { WireLimits } from '../limits.ts';
import { DEFAULT_WINDOW_BYTES } from './frame.ts';
import { writeWindowUpdate } from './frame-writer.ts';
import type { H2Stream } from './stream.ts';

/** The windows that we grant on one connection. */
export class ReceiveFlow {
  /** What a new stream may send. Until the peer knows our setting, the RFC's value if that is larger. */
  streamWindow: number;
  private readonly sink: ByteSink;
  private readonly limits: WireLimits;
  private window = DEFAULT_WINDOW_BYTES;
  private owed = 0;
  private held = 0;

  constructor(sink: ByteSink, limits: WireLimits) {
    this.sink = sink;
    this.limits = limits;
    this.streamWindow = Math.max(limits.streamWindowBytes, DEFAULT_WINDOW_BYTES);
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
    else if (!stream.remoteEnded && stream.owed >= this.streamWindow >> 1) this.giveBack(stream);
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
    this.held += stream.owed;
  }

  resume(stream: H2Stream): void {
    if (!stream.paused || stream.closed) return;
    stream.paused = false;
    this.held -= stream.owed;
    if (!stream.remoteEnded && stream.owed > 0) this.giveBack(stream);
    this.settleConnection();
  }

  /** The stream is gone. True: bytes were held for it that no longer are. */
  forget(stream: H2Stream): boolean {
    if (!stream.paused) return false;
    stream.paused = false;
    this.held -= stream.owed;
    return stream.owed > 0;
  }

  private giveBack(stream: H2Stream): void {
    writeWindowUpdate(this.sink, stream.id, stream.owed);
    stream.receiveWindow += stream.owed;
    stream.owed = 0;
  }
}
