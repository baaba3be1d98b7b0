import { MemorySink } from '../../src/base/byte-sink.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { Transport, TransportHandler } from '../../src/net/transport.ts';

const NOBODY: TransportHandler = {
  onRead: () => undefined,
  onEnd: () => undefined,
  onDrain: () => undefined,
  onClose: () => undefined,
};

/** A connection without a socket: the test feeds bytes in and takes bytes out. */
export class MemoryTransport extends MemorySink implements Transport {
  handler: TransportHandler = NOBODY;
  readonly remoteAddress = '192.0.2.1';
  readonly remotePort = 40000;
  readonly tls = undefined;
  readonly localAddress = '192.0.2.2';
  readonly localPort = 8080;
  isClosed = false;
  /** Counts the takes, and the feeds: what answers what was written must have seen it. */
  flushCount = 0;
  /** `end` was called. */
  ended = false;
  /** How it was closed by our side, if it was. */
  closedBy: 'destroy' | 'reset' | 'linger' | undefined = undefined;
  reading = true;
  /** A peer that doesn't read: bytes stay pending until `drain`. */
  blocked = false;
  private readonly clock: Clock;

  constructor(clock: Clock) {
    super();
    this.clock = clock;
  }

  get pendingBytes(): number {
    return this.blocked ? this.length : 0;
  }

  get stalledSinceMs(): number {
    return this.blocked && this.length > 0 ? this.clock.nowMs : -1;
  }

  /** Bytes from the peer. The array is overwritten afterwards, as a shared read buffer would be. */
  feed(bytes: Uint8Array | string): void {
    this.flushCount++;
    const copy = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes);
    this.handler.onRead(copy, copy.length);
    copy.fill(0xee);
  }

  override take(): Buffer {
    this.flushCount++;
    return super.take();
  }

  /** The peer's FIN. */
  feedEnd(): void {
    this.handler.onEnd();
  }

  /** The connection breaks. */
  break(error?: string): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.handler.onClose(error);
  }

  /** The peer reads again. */
  drain(): Buffer {
    this.blocked = false;
    const bytes = this.take();
    this.handler.onDrain();
    return bytes;
  }

  flush(): void {}

  pauseRead(): void {
    this.reading = false;
  }

  resumeRead(): void {
    this.reading = true;
  }

  end(): void {
    this.ended = true;
  }

  endLingering(): void {
    this.ended = true;
    this.closedBy = 'linger';
    this.handler = NOBODY;
  }

  destroy(): void {
    this.closedBy ??= 'destroy';
    this.break();
  }

  reset(): void {
    this.closedBy ??= 'reset';
    this.break();
  }
}
