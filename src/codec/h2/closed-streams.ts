// What is remembered of streams that are gone. RFC 9113 section 5.1 asks for different answers to a late frame: one on
// a stream that we reset is ignored, one on a stream that ended is an error STREAM_CLOSED, and a HEADERS frame on an
// identifier that was skipped is PROTOCOL_ERROR. What is ignored is counted: the peer may have sent as much as the
// stream's window allowed before it heard of the reset, and no more.

const MAX_RESET = 1024;
const RECENT = 32;
const LATE_RESETS = 1024;

/** A stream that we reset and that the peer hasn't ended yet. */
export interface ResetStream {
  /** What was left of its window. */
  window: number;
  /** HEADERS and DATA frames that came since. */
  frames: number;
}

/** The memory of one connection; it costs nothing until a stream is reset by us. */
export class ClosedStreams {
  private byUs: Map<number, ResetStream> | undefined = undefined;
  private highestForgotten = 0;
  private recent: Int32Array | undefined = undefined;
  private next = 0;
  private lateResets: Int32Array | undefined = undefined;

  /** A stream ended, or the peer reset it. */
  add(id: number): void {
    this.byUs?.delete(id);
    this.recent ??= new Int32Array(RECENT);
    this.recent[this.next] = id;
    this.next = (this.next + 1) % RECENT;
  }

  /** We reset a stream; frames that the peer sent before it knew will still come, DATA of up to `window` bytes. */
  addReset(id: number, window: number): void {
    this.byUs ??= new Map();
    this.byUs.set(id, { window, frames: 0 });
    if (this.byUs.size <= MAX_RESET) return;
    for (const oldest of this.byUs.keys()) {
      this.byUs.delete(oldest);
      if (oldest > this.highestForgotten) this.highestForgotten = oldest;
      break;
    }
  }

  /** What is known of a stream that we reset; undefined where we didn't or it is forgotten. */
  reset(id: number): ResetStream | undefined {
    return this.byUs?.get(id);
  }

  /** Whether it may be one that we reset so long ago that it is forgotten. */
  isForgotten(id: number): boolean {
    return id <= this.highestForgotten;
  }

  /** Whether it ended not long ago. */
  hasEnded(id: number): boolean {
    return this.recent !== undefined && this.recent.includes(id);
  }

  /** Whether this is the first RST_STREAM on a stream that is over, of the last streams up to `newest`. */
  isFirstReset(id: number, newest: number): boolean {
    if (newest - id >= 2 * LATE_RESETS) return false;
    this.lateResets ??= new Int32Array(LATE_RESETS);
    const slot = (id >> 1) % LATE_RESETS;
    if (this.lateResets[slot] === id) return false;
    this.lateResets[slot] = id;
    return true;
  }
}
