// One connection as sessions and channels see it. net/socket-transport.ts is the real one, test/support/memory-transport.ts
// the scripted one of tests.
import type { X509Certificate } from 'node:crypto';
import type { ByteSink } from '../base/byte-sink.ts';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';

/** What sockets share: time and the log. */
export interface NetContext {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Hears of one connection. */
export interface TransportHandler {
  /** `bytes[0..length)` are borrowed for the length of the call. */
  onRead(bytes: Buffer, length: number): void;
  /** The peer has sent FIN; writing is still possible. */
  onEnd(): void;
  /** pendingBytes fell to nothing after they had reached HIGH_PENDING_BYTES. */
  onDrain(): void;
  /** The connection is gone; called once, nothing follows. `error` is Node's code or message where there was one. */
  onClose(error: string | undefined): void;
}

/** What a TLS handshake settled. */
export interface TlsFacts {
  /** Protocol chosen by ALPN; empty where none was. */
  readonly alpn: string;
  /** `TLSv1.3` or `TLSv1.2`. */
  readonly version: string;
  /** An earlier session was resumed. */
  readonly resumed: boolean;
  /** The peer's certificate; undefined where it showed none. */
  readonly certificate: X509Certificate | undefined;
}

/** A writer should stop at this many pending bytes. */
export const HIGH_PENDING_BYTES = 64 * 1024;

/**
 * An open connection. What is written through the ByteSink leaves in one write at the end of the event loop's turn.
 */
export interface Transport extends ByteSink {
  /** Who hears of bytes; replaced when the protocol has been sniffed. */
  handler: TransportHandler;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** What the TLS handshake settled; undefined: plaintext. */
  readonly tls: TlsFacts | undefined;
  /** Bytes written but not yet taken by the kernel. */
  readonly pendingBytes: number;
  /** How often gathered bytes were handed to the kernel: what was written since the last time hasn't left at all. */
  readonly flushCount: number;
  /** Since when pending bytes haven't moved, monotonic ms; -1 while none are pending. */
  readonly stalledSinceMs: number;
  /** Whether onClose was called. */
  readonly isClosed: boolean;
  /** Hands what was gathered to the kernel now; done anyway at the end of the turn. */
  flush(): void;
  /** Stops reading: the kernel's buffer fills and the peer slows down. */
  pauseRead(): void;
  resumeRead(): void;
  /** Writes what is pending, then FIN. Reading goes on. */
  end(): void;
  /**
   * The lingering close: writes what is pending, sends FIN and throws away what the peer still sends, so that it can
   * read the answer before its own write fails. Cut `lingerMs` (default 1000) after the last pending byte has left, or
   * once the peer takes nothing for 30 s. The handler hears only onClose.
   */
  endLingering(lingerMs?: number): void;
  /** Closes at once; what is pending is lost. onClose follows. */
  destroy(): void;
  /** Closes at once with a TCP reset, so that the peer can't take what it has for a clean end. onClose follows. */
  reset(): void;
}
