// Transport over a socket: bytes in through one callback with a shared read buffer, bytes out through a gather
// buffer that leaves in one write per turn of the event loop. Guarded by test/bench (h1-small, grpc-unary).
import type { Socket } from 'node:net';
import type { Cancel } from '../base/clock.ts';
import {
  HIGH_PENDING_BYTES,
  type NetContext,
  type TlsFacts,
  type Transport,
  type TransportHandler,
} from './transport.ts';

/** Bytes read at once; one buffer for all connections, since each read is consumed before the next. */
export const READ_BUFFER_BYTES = 64 * 1024;
export const READ_BUFFER = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
/**
 * The same of a connection that fills it, in a buffer of its own: a long body costs half in eight times fewer system
 * calls and where it needn't be copied (bench bulk).
 */
const LARGE_READ_BYTES = 512 * 1024;
/** Connections that read so much at once: their buffers, and what peers haven't taken, are 8 MiB at most. */
const MAX_LARGE_READERS = 8;
/** What is at least so long is written from where it was read. */
const PASSED_BYTES = 32 * 1024;

const GATHER_BYTES = 16 * 1024;
/** A long body: a whole read and its framing, or what HTTP/2 gathers before it looks for room. */
const LARGE_BYTES = 96 * 1024;
const NO_BUFFER = Buffer.alloc(0);
/** Gather buffers between two uses; an idle connection holds none. */
const spare: Buffer[] = [];
const MAX_SPARE = 256;
const spareLarge: Buffer[] = [];
const MAX_SPARE_LARGE = 32;
const spareReads: Buffer[] = [];
const MAX_SPARE_READS = 2;
/** A peer that takes nothing of its last bytes for so long is cut. */
const STALLED_MS = 30_000;

let largeReaders = 0;
/** The buffer of the large read at hand; undefined outside of one, and once a pending write has it. */
let lent: Buffer | undefined;
let dirty: SocketTransport[] = [];
let flushScheduled = false;

function flushAll(): void {
  flushScheduled = false;
  const batch = dirty;
  dirty = [];
  for (const transport of batch) transport.flushTurn();
}

/** A socket that speaks TLS over another, and what its handshake settled. */
export interface TlsLayer {
  /** The TCP socket below. */
  readonly raw: Socket;
  readonly facts: TlsFacts;
}

/** Made by net/listen.ts and net/connect.ts. */
export class SocketTransport implements Transport {
  buffer: Buffer = NO_BUFFER;
  length = 0;
  flushCount = 0;
  /** Replaced when the protocol has been sniffed. */
  handler: TransportHandler;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** Monotonic ms at which the kernel last took bytes. */
  lastSentMs: number;

  readonly tls: TlsFacts | undefined;

  private readonly socket: Socket;
  /** The TCP socket: `socket` itself, or the one below it. */
  private readonly raw: Socket;
  private readonly context: NetContext;
  private queued = false; // stands in `dirty`
  private highReached = false;
  private closed = false;
  private ended = false;
  /** Buffers of pending writes, where `drain` will tell that the kernel has taken them. */
  private inFlight: Buffer[] | undefined = undefined;
  private queuedBytes = 0; // of the kernel's own queue when it was last looked at
  private cancelLinger: Cancel | undefined = undefined;
  /** Where large reads go. */
  private largeBuffer: Buffer | undefined = undefined;
  private readBuffer: Buffer | undefined = undefined; // until Node has been told of it

  constructor(socket: Socket, handler: TransportHandler, context: NetContext, tls?: TlsLayer) {
    this.socket = socket;
    this.raw = tls?.raw ?? socket;
    this.tls = tls?.facts;
    this.handler = handler;
    this.context = context;
    this.lastSentMs = context.clock.nowMs;
    this.remoteAddress = plainAddress(socket.remoteAddress);
    this.remotePort = socket.remotePort ?? 0;
    this.localAddress = plainAddress(socket.localAddress);
    this.localPort = socket.localPort ?? 0;
    let error: string | undefined;
    socket.on('error', (cause: NodeJS.ErrnoException) => {
      error ??= cause.code ?? cause.message; // others follow from the first
      // Of an alert, or of bytes that can't be decrypted, a TLS socket tells and stays open.
      if (this.tls) this.destroy();
    });
    socket.on('end', () => {
      // A reset can read as an end: libuv says so where bytes came right before it, and Node where what failed was a
      // write of the TLS handshake's (session tickets), after which every later write of the connection waits for ever.
      if (!this.socket.writableFinished && isDisconnected(this.raw)) {
        error ??= 'ECONNRESET';
        this.destroy();
      } else this.run(() => this.handler.onEnd());
    });
    socket.on('drain', () => {
      this.lastSentMs = this.context.clock.refresh();
      if (this.inFlight && this.socket.writableLength === 0) {
        for (const buffer of this.inFlight) recycle(buffer);
        this.inFlight = undefined;
      }
      if (!this.highReached) return;
      // What was gathered meanwhile goes out first: only what the kernel refuses of it brings another `drain`.
      this.flush();
      if (this.pendingBytes >= HIGH_PENDING_BYTES) return;
      this.highReached = false;
      this.run(() => this.handler.onDrain());
    });
    socket.on('close', () => {
      if (this.closed) return;
      this.closed = true;
      if (this.largeBuffer) this.sizeReads(false);
      this.cancelLinger?.();
      this.dropBuffer();
      this.run(() => this.handler.onClose(error));
    });
  }

  /** Bytes written but not yet taken by the kernel. */
  get pendingBytes(): number {
    return this.length + this.socket.writableLength;
  }

  /** Since when pending bytes haven't moved, ms; -1 while none are pending. */
  get stalledSinceMs(): number {
    if (this.socket.writableLength === 0) return -1;
    // A write that the kernel takes bit by bit is no event of Node's, but its queue can be looked at.
    const queuedBytes = queueSize(this.raw);
    if (queuedBytes !== this.queuedBytes) {
      this.queuedBytes = queuedBytes;
      this.lastSentMs = this.context.clock.nowMs;
    }
    return this.lastSentMs;
  }

  get isClosed(): boolean {
    return this.closed;
  }

  ensure(bytes: number): void {
    const need = this.length + bytes;
    if (need > this.buffer.length) this.grow(need);
    if (!this.queued && !this.closed) {
      this.queued = true;
      dirty.push(this);
      if (!flushScheduled) {
        flushScheduled = true;
        setImmediate(flushAll);
      }
    }
  }

  write(bytes: Uint8Array): void {
    if (bytes.length >= PASSED_BYTES && lent?.buffer === bytes.buffer) return this.pass(bytes);
    this.ensure(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  writeLatin1(text: string): void {
    this.ensure(text.length);
    this.length += this.buffer.latin1Write(text, this.length);
  }

  /** The flush at the end of the turn. A writer may have stopped at what was gathered: it hears when all is taken. */
  flushTurn(): void {
    const wasHigh = this.length >= HIGH_PENDING_BYTES;
    this.flush();
    if (wasHigh && !this.closed && this.pendingBytes === 0) this.run(() => this.handler.onDrain());
  }

  /** Hands what was gathered to the kernel now. Called at the end of each turn; earlier calls are harmless. */
  flush(): void {
    this.queued = false;
    const length = this.length;
    if (length === 0 || this.closed || this.ended) return;
    const buffer = this.buffer;
    this.length = 0;
    this.buffer = NO_BUFFER;
    if (this.handOver(length === buffer.length ? buffer : buffer.subarray(0, length), buffer)) recycle(buffer);
  }

  /** Writes what another connection has just read from where it lies. */
  private pass(bytes: Uint8Array): void {
    this.flush();
    if (!this.closed && !this.ended && !this.handOver(bytes, lent!)) lent = undefined;
  }

  /** Hands `bytes`, a part of `buffer`, to the kernel. False: the buffer belongs to the pending write now. */
  private handOver(bytes: Uint8Array, buffer: Buffer): boolean {
    const wasPending = this.socket.writableLength > 0;
    this.flushCount++;
    this.socket.write(bytes);
    const isTaken = this.socket.writableLength === 0;
    if (isTaken || !wasPending) this.lastSentMs = this.context.clock.nowMs;
    if (isTaken) return true;
    this.queuedBytes = queueSize(this.raw);
    if (this.pendingBytes >= HIGH_PENDING_BYTES) this.highReached = true;
    // TLS has encrypted it elsewhere, which it does within the call unless an earlier write is pending.
    if (this.tls !== undefined && !wasPending) return true;
    if (this.socket.writableNeedDrain) (this.inFlight ??= []).push(buffer);
    return false;
  }

  /** Stops reading: the kernel's buffer fills and the peer slows down. */
  pauseRead(): void {
    this.socket.pause();
  }

  resumeRead(): void {
    this.socket.resume();
  }

  /** Writes what is pending, then FIN. Reading goes on. */
  end(): void {
    if (this.closed || this.ended) return;
    this.flush();
    this.ended = true;
    this.socket.end();
  }

  /**
   * The lingering close: writes what is pending, sends FIN and throws away what the peer still sends, so that it can
   * read the answer before its own write fails. Cut `lingerMs` after the last pending byte has left, or once the peer
   * takes nothing for STALLED_MS. The handler hears nothing more but onClose.
   */
  endLingering(lingerMs = 1000): void {
    const last = this.handler;
    this.handler = {
      onRead: () => undefined,
      // With both ends finished the socket closes by itself as soon as nothing is pending.
      onEnd: () => undefined,
      onDrain: () => undefined,
      onClose: (error) => last.onClose(error),
    };
    this.end();
    this.socket.resume();
    this.linger(lingerMs, this.pendingBytes === 0);
  }

  private linger(lingerMs: number, wasSent: boolean): void {
    if (this.closed) return;
    this.cancelLinger = this.context.clock.after(lingerMs, () => {
      const since = this.stalledSinceMs;
      const stalled = since >= 0 && this.context.clock.nowMs - since >= STALLED_MS;
      if (wasSent || stalled) this.destroy();
      else this.linger(lingerMs, since < 0);
    });
  }

  /** Closes at once; what is pending is lost. */
  destroy(): void {
    this.dropBuffer();
    this.socket.destroy();
  }

  /** Closes at once with a TCP reset, so that the peer can't take what it has for a clean end. */
  reset(): void {
    this.dropBuffer();
    if (!this.closed) this.raw.resetAndDestroy();
  }

  /** Called with each read; a throw in the handler is a bug and costs this connection only. */
  read(bytes: Buffer, length: number): void {
    this.context.clock.refresh();
    lent = this.largeBuffer;
    try {
      this.handler.onRead(bytes, length);
    } catch (error) {
      this.fail(error);
    }
    if (this.largeBuffer !== lent) this.largeBuffer = this.readBuffer = newLargeBuffer();
    lent = undefined;
    if (length >= READ_BUFFER_BYTES !== (this.largeBuffer !== undefined)) this.sizeReads(!this.largeBuffer);
  }

  /** Where the next read goes, asked after each; undefined: where the last one went. */
  nextReadBuffer(): Buffer | undefined {
    const buffer = this.readBuffer;
    this.readBuffer = undefined;
    return buffer;
  }

  /** More at once while the reads are full, as far as others leave room for it. */
  private sizeReads(large: boolean): void {
    if (large && (largeReaders >= MAX_LARGE_READERS || this.closed)) return;
    largeReaders += large ? 1 : -1;
    if (this.largeBuffer) recycle(this.largeBuffer);
    this.largeBuffer = large ? newLargeBuffer() : undefined;
    this.readBuffer = this.largeBuffer ?? READ_BUFFER;
  }

  /** Calls a handler of this connection: a throw is a bug and costs this connection only. */
  run(call: () => void): void {
    this.context.clock.refresh();
    try {
      call();
    } catch (error) {
      this.fail(error);
    }
  }

  private fail(error: unknown): void {
    this.context.logger.log('error', { err: error, remote: this.remoteAddress }, 'connection closed by a bug');
    this.destroy();
  }

  private grow(need: number): void {
    let larger: Buffer;
    if (need <= GATHER_BYTES) larger = spare.pop() ?? Buffer.allocUnsafeSlow(GATHER_BYTES);
    else if (need <= LARGE_BYTES) larger = spareLarge.pop() ?? Buffer.allocUnsafeSlow(LARGE_BYTES);
    else larger = Buffer.allocUnsafeSlow(Math.max(need, Math.min(this.buffer.length * 2, 1 << 20)));
    if (this.length > 0) this.buffer.copy(larger, 0, 0, this.length);
    recycle(this.buffer);
    this.buffer = larger;
  }

  private dropBuffer(): void {
    this.length = 0;
    this.buffer = NO_BUFFER;
    this.inFlight = undefined; // the kernel may still read them
  }
}

function newLargeBuffer(): Buffer {
  return spareReads.pop() ?? Buffer.allocUnsafeSlow(LARGE_READ_BYTES);
}

function recycle(buffer: Buffer): void {
  if (buffer.length === GATHER_BYTES) {
    if (spare.length < MAX_SPARE) spare.push(buffer);
  } else if (buffer.length === LARGE_BYTES) {
    if (spareLarge.length < MAX_SPARE_LARGE) spareLarge.push(buffer);
  } else if (buffer.length === LARGE_READ_BYTES && spareReads.length < MAX_SPARE_READS) spareReads.push(buffer);
}

/** Bytes that libuv still holds; 0 where Node doesn't say, which only makes a slow write look like a stalled one. */
function queueSize(socket: Socket): number {
  return (socket as unknown as { _handle?: { writeQueueSize?: number } | null })._handle?.writeQueueSize ?? 0;
}

/** Whether the kernel has no peer for this socket any more: after a reset, or a FIN each way, unlike after the peer's FIN. */
function isDisconnected(socket: Socket): boolean {
  const handle = (socket as unknown as { _handle?: { getpeername?: (out: object) => number } | null })._handle;
  return typeof handle?.getpeername === 'function' && handle.getpeername({}) !== 0;
}

/** An IPv4 address that came over an IPv6 socket is shown as IPv4. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return '';
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
