// What is remembered of streams that are gone. RFC 9113 section 5.1 asks for different answers to a late frame: one on
// a stream that we reset is ignored, one on a stream that ended is an error STREAM_CLOSED, and a HEADERS frame on an
// identifier that was skipped is PROTOCOL_ERROR.

const MAX_RESET = 1024;
const RECENT = 32;

/** The memory of one connection; it costs nothing until a stream is reset by us. */
export class ClosedStreams {
  private byUs: Set<number> | undefined = undefined;
  private recent: Int32Array | undefined = undefined;
  private next = 0;

  /** A stream ended, or the peer reset it. */
  add(id: number): void {
    this.recent ??= new Int32Array(RECENT);
    this.recent[this.next] = id;
    this.next = (this.next + 1) % RECENT;
  }

  /** We reset a stream; frames that the peer sent before it knew will still come. */
  addReset(id: number): void {
    this.byUs ??= new Set();
    this.byUs.add(id);
    if (this.byUs.size <= MAX_RESET) return;
    for (const oldest of this.byUs) {
      this.byUs.delete(oldest);
      break;
    }
  }

  /** Whether we reset it, as far as is remembered. */
  wasReset(id: number): boolean {
    return this.byUs !== undefined && this.byUs.has(id);
  }

  /** Whether it ended not long ago. */
  hasEnded(id: number): boolean {
    return this.recent !== undefined && this.recent.includes(id);
  }
}
