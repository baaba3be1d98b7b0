// The machine of one HTTP/2 connection, shared by both roles: frames in, checked in the order of RFC 9113, and what the
// protocol itself answers out. What a header block means, and what a lost stream means to anyone, is the owner's:
// downstream/h2-session.ts and upstream/h2-channel.ts hold one of these each.
//
// An error of a stream costs the stream (RST_STREAM), one of the connection costs the connection (GOAWAY, then close).
// A frame too many of a kind that costs us more than the peer is one of the connection, ENHANCE_YOUR_CALM.
import type { ByteSink } from '../../base/byte-sink.ts';
import type { Clock } from '../../base/clock.ts';
import type { ErrorKind } from '../../base/error.ts';
import type { TimerWheel } from '../../base/timer-wheel.ts';
import type { Fields } from '../exchange.ts';
import type { WireLimits } from '../limits.ts';
import { ClosedStreams } from './closed-streams.ts';
import * as code from './error-code.ts';
import { FloodGuard, type FloodOwner } from './flood-guard.ts';
import { MAX_31_BITS } from './frame.ts';
import { FrameDispatcher } from './frame-dispatcher.ts';
import { FrameReader } from './frame-reader.ts';
import { writeGoaway, writeReset } from './frame-writer.ts';
import { HeaderWriter } from './header-writer.ts';
import { HpackDecoder } from './hpack/decoder.ts';
import { HpackEncoder } from './hpack/encoder.ts';
import { httpIndexing } from './indexing-policy.ts';
import { ReceiveFlow } from './receive-flow.ts';
import { SendScheduler } from './send-scheduler.ts';
import { initialPeerSettings, writeSettings } from './settings.ts';
import type { H2Stream } from './stream.ts';

/** What the machine needs of a connection; a Transport (net/transport.ts) is one. */
export interface ConnectionSink extends ByteSink {
  readonly pendingBytes: number;
  readonly stalledSinceMs: number;
  readonly flushCount: number;
  flush(): void;
  endLingering(): void;
}

/** The role's side. */
export interface ConnectionOwner {
  /**
   * A whole header block, still encoded, which the owner must hand to `decoder` in this call. `stream` is undefined
   * for a request that opens stream `id`.
   */
  onHeaderBlock(
    stream: H2Stream | undefined,
    id: number,
    endStream: boolean,
    bytes: Buffer,
    start: number,
    end: number,
  ): void;
  /** The HEADERS frame that would have opened stream `id` was at fault: the owner is to refuse it. */
  onMalformedRequest(id: number, detail: string): void;
  /** A stream left the table; its receiver has been told. */
  onStreamClosed(stream: H2Stream): void;
  /** The peer reset a stream, which is out of the table; its receiver hasn't been told yet. */
  onPeerReset(stream: H2Stream): void;
  /** The peer's SETTINGS were applied. */
  onPeerSettings(): void;
  onGoaway(lastStreamId: number, errorCode: number, detail: string): void;
  onPingAck(high: number, low: number): void;
  /**
   * The peer broke the connection's rules. GOAWAY is written; the streams are still in the table. `kind` names the fault
   * as a caller's; of an upstream each is a protocol error.
   */
  onConnectionError(errorCode: number, detail: string, kind: ErrorKind): void;
}

/** What both roles are handed. */
export interface ConnectionContext {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly limits: WireLimits;
  /** What to say of a server that answers the client preface with an HTTP/1 status line. */
  readonly http1Detail?: string;
}

/** One connection. */
export class H2Connection implements FloodOwner {
  readonly clock: Clock;
  readonly sink: ConnectionSink;
  readonly limits: WireLimits;
  readonly guard: FloodGuard;
  readonly decoder: HpackDecoder;
  readonly headers: HeaderWriter;
  readonly scheduler: SendScheduler;
  readonly flow: ReceiveFlow;
  /** The peer's settings. */
  readonly peer = initialPeerSettings();
  readonly streams = new Map<number, H2Stream>();
  /** Streams gone by; the session asks it about late requests. */
  readonly gone = new ClosedStreams();
  /** Highest stream that the peer opened (session), or that we opened (channel). */
  lastStreamId = 0;
  /** Requests above it are ignored, since a GOAWAY has said so. */
  lastTaken = MAX_31_BITS;
  /** Nothing is read or written any more. */
  shut = false;
  /** HEADERS and DATA frames that came. */
  messageFrames = 0;

  private readonly isServer: boolean;
  private readonly owner: ConnectionOwner;
  /** Decoded header bytes that streams hold beyond what each holds freely. */
  private headerBytes = 0;
  private readonly dispatcher: FrameDispatcher;
  private readonly reader: FrameReader;

  constructor(role: 'server' | 'client', sink: ConnectionSink, owner: ConnectionOwner, context: ConnectionContext) {
    this.isServer = role === 'server';
    this.sink = sink;
    this.owner = owner;
    this.clock = context.clock;
    this.limits = context.limits;
    this.guard = new FloodGuard(context.limits, this.isServer, context.clock, this);
    this.decoder = new HpackDecoder(Math.max(4096, context.limits.hpackTableBytes));
    this.headers = new HeaderWriter(sink, new HpackEncoder(context.limits.hpackTableBytes, httpIndexing));
    this.scheduler = new SendScheduler(this, context.wheel);
    this.flow = new ReceiveFlow(sink, context.limits);
    this.dispatcher = new FrameDispatcher(this, owner, this.isServer, context);
    this.reader = new FrameReader(this.dispatcher);
  }

  /** Sends our SETTINGS, as identifier, value, identifier, value…, and opens the connection's window. */
  start(settings: readonly number[]): void {
    writeSettings(this.sink, settings);
    this.flow.open();
    this.dispatcher.expectAck();
  }

  /** Reads bytes[start..length). */
  read(bytes: Buffer, start: number, length: number): void {
    this.reader.read(bytes, start, length);
    // What came may have opened windows, and the transport may have taken all at once without ever saying that it drained.
    if (this.scheduler.waiting && !this.shut) this.scheduler.pump();
  }

  // ---------------------------------------------------------------- what owners and streams do

  /** Puts a new stream into the table. */
  add(stream: H2Stream, id: number): void {
    stream.id = id;
    this.streams.set(id, stream);
    this.guard.streamOpened();
  }

  /** Whether `bytes` of a decoded head would fit a new stream: an ordinary head always does. */
  hasHeaderRoom(bytes: number): boolean {
    const { streamHeaderBytes, connectionHeaderBytes } = this.limits;
    return bytes <= streamHeaderBytes || this.headerBytes + bytes - streamHeaderBytes <= connectionHeaderBytes;
  }

  /** Counts `bytes` of decoded head or trailers until the stream is gone. False: the connection would hold too many. */
  takeHeaderBytes(stream: H2Stream, bytes: number): boolean {
    const free = this.limits.streamHeaderBytes;
    const held = stream.headerBytes;
    const total = held + bytes;
    if (total > free) {
      const more = held > free ? bytes : total - free;
      if (this.headerBytes + more > this.limits.connectionHeaderBytes) return false;
      this.headerBytes += more;
    }
    stream.headerBytes = total;
    return true;
  }

  /** Gives a stream up: RST_STREAM now, nothing is called back but onStreamClosed. */
  resetStream(stream: H2Stream, errorCode: number): void {
    if (stream.closed) return;
    this.remove(stream);
    this.rememberReset(stream);
    if (!this.shut) writeReset(this.sink, stream.id, errorCode);
    this.owner.onStreamClosed(stream);
  }

  /** Refuses a stream that never entered the table; it counts as a reset of the peer's doing. False: the connection is shut. */
  refuseStream(id: number, errorCode: number): boolean {
    if (!this.takeReset()) return false;
    this.ignore(id);
    writeReset(this.sink, id, errorCode);
    return true;
  }

  /** What comes on this stream, which never entered the table, is to be ignored. */
  ignore(id: number): void {
    this.gone.addReset(id, this.flow.streamWindow);
  }

  /** RST_STREAM came. */
  peerReset(stream: H2Stream, errorCode: number): void {
    this.remove(stream);
    this.gone.add(stream.id);
    this.owner.onPeerReset(stream);
    stream.peerReset(errorCode);
    this.owner.onStreamClosed(stream);
  }

  /** Takes a stream out of the table without a word to the peer, which said that it won't process it. */
  discard(stream: H2Stream): void {
    this.remove(stream);
    this.rememberReset(stream);
  }

  /** The peer broke a rule of `stream`, which costs the stream. */
  streamError(stream: H2Stream, errorCode: number, detail: string): void {
    if (stream.closed || (this.isServer && !this.takeReset())) return;
    this.remove(stream);
    this.rememberReset(stream);
    writeReset(this.sink, stream.id, errorCode);
    stream.failed(errorCode, detail);
    this.owner.onStreamClosed(stream);
  }

  /** The peer broke a rule of the connection, which costs the connection. */
  connectionError(errorCode: number, detail: string, kind: ErrorKind = 'bad_request'): void {
    if (this.shut) return;
    this.goaway(errorCode, detail);
    this.stop();
    this.owner.onConnectionError(errorCode, detail, kind);
    this.sink.endLingering();
  }

  /** Says goodbye, and up to which of the peer's streams we acted; never more than an earlier GOAWAY said. */
  goaway(errorCode: number, detail: string): void {
    const last = this.isServer ? Math.min(this.lastTaken, this.lastStreamId) : 0;
    writeGoaway(this.sink, last, errorCode, detail);
  }

  /** Takes a token for a reset that is the peer's doing. False: there was none, and the connection is shut. */
  takeReset(): boolean {
    return this.guard.takeReset();
  }

  onFlood(detail: string, kind: ErrorKind): void {
    this.connectionError(code.ENHANCE_YOUR_CALM, detail, kind);
  }

  /** Our END_STREAM stands in the transport. */
  localEnd(stream: H2Stream): void {
    stream.localEnded = true;
    if (stream.remoteEnded) this.endStream(stream);
    else stream.endedFirst();
  }

  writeTrailers(stream: H2Stream, fields: Fields, neverIndexed: readonly string[] | undefined): void {
    this.headers.writeTrailers(stream.id, fields, neverIndexed, this.peer.frameBytes);
    this.localEnd(stream);
  }

  /** The receiver has seen the peer's END_STREAM; `remoteEnded` was set before. */
  finish(stream: H2Stream): void {
    if (stream.localEnded && !stream.closed) this.endStream(stream);
  }

  /** Decodes a block whose meaning nobody wants, to stay in step with the peer's table. */
  skipBlock(bytes: Buffer, start: number, end: number): void {
    if (!this.decoder.decode(bytes, start, end, 0, 0)) this.compressionError();
  }

  compressionError(): void {
    this.connectionError(code.COMPRESSION_ERROR, 'bad header block');
  }

  /** Stops reading and writing without a word. Streams stay for the owner to end. */
  stop(): void {
    this.shut = true;
    this.reader.stop();
    this.dispatcher.stop();
    this.scheduler.stop();
  }

  /** Empties the table: each stream hears that the connection is gone. */
  loseStreams(detail: string): void {
    for (const stream of [...this.streams.values()]) {
      if (stream.closed) continue;
      this.remove(stream);
      stream.lost(detail);
    }
  }

  private endStream(stream: H2Stream): void {
    this.remove(stream);
    this.gone.add(stream.id);
    this.guard.streamEnded();
    this.owner.onStreamClosed(stream);
  }

  private remove(stream: H2Stream): void {
    stream.closed = true;
    stream.queue = undefined;
    const free = this.limits.streamHeaderBytes;
    if (stream.headerBytes > free) this.headerBytes -= stream.headerBytes - free;
    this.streams.delete(stream.id);
    // The connection's window may have been held back for what this stream held.
    if (this.flow.forget(stream) && !this.shut) this.flow.settleConnection();
  }

  /** A peer that has ended its side has nothing more to send, so what still comes is not late but wrong. */
  private rememberReset(stream: H2Stream): void {
    if (stream.remoteEnded) this.gone.add(stream.id);
    else this.gone.addReset(stream.id, stream.receiveWindow);
  }
}
