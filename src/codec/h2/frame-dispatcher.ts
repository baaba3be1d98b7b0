// What each frame means to the connection, in the order of checks of RFC 9113 section 6: the receiving half of
// connection.ts. Holds what only frames that span frames need: an open header block and the SETTINGS not yet
// acknowledged. Guarded by `npm run bench -- micro frame-loop`.
import type { ErrorKind } from '../../base/error.ts';
import { Timer, type TimerOwner, type TimerWheel } from '../../base/timer-wheel.ts';
import type { ConnectionContext, ConnectionOwner, H2Connection } from './connection.ts';
import * as code from './error-code.ts';
import type { FloodGuard } from './flood-guard.ts';
import * as frame from './frame.ts';
import type { FrameHandler } from './frame-reader.ts';
import { beginFrame, writePing } from './frame-writer.ts';
import { HeaderAssembler } from './header-assembler.ts';
import { readSettings } from './settings.ts';
import type { H2Stream } from './stream.ts';

const SETTINGS_ACK_TIMER = 0;
const HEADER_TIMER = 1;

/** `HTTP`, which an HTTP/1 server answers first, read as length and type of a frame. */
const HTTP_LENGTH = 0x485454;
const HTTP_TYPE = 0x50;

/** HEADERS and small DATA frames that may have been on their way when we reset their stream: a short answer. */
const LATE_FRAMES = 4;

/** An encoded block may be this many times the decoded bound, which a poor encoder could still mean honestly. */
const BLOCK_SLACK = 4;

/** Takes the frames of one connection. */
export class FrameDispatcher implements FrameHandler, TimerOwner {
  private readonly connection: H2Connection;
  private readonly owner: ConnectionOwner;
  private readonly isServer: boolean;
  private readonly wheel: TimerWheel;
  private readonly guard: FloodGuard;
  private readonly http1Detail: string | undefined;
  private readonly block = new HeaderAssembler();
  private readonly settingsTimer: Timer;
  private headerTimer: Timer | undefined = undefined;
  private settingsSeen = false;
  private ackPending = false;

  constructor(connection: H2Connection, owner: ConnectionOwner, isServer: boolean, context: ConnectionContext) {
    this.connection = connection;
    this.guard = connection.guard;
    this.owner = owner;
    this.isServer = isServer;
    this.wheel = context.wheel;
    this.http1Detail = context.http1Detail;
    this.settingsTimer = new Timer(this, SETTINGS_ACK_TIMER);
  }

  /** Our SETTINGS were written: the peer has some time to acknowledge them. */
  expectAck(): void {
    this.ackPending = true;
    this.wheel.start(this.settingsTimer, this.connection.limits.settingsAckMs);
  }

  /** The connection is over. */
  stop(): void {
    this.wheel.stop(this.settingsTimer);
    if (this.headerTimer) this.wheel.stop(this.headerTimer);
  }

  onFrame(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (this.connection.shut) return;
    if (this.block.streamId !== 0 && (type !== frame.CONTINUATION || id !== this.block.streamId)) {
      return this.fail(code.PROTOCOL_ERROR, 'a frame within a header block');
    }
    if (!this.settingsSeen && (type !== frame.SETTINGS || (flags & frame.ACK) !== 0)) {
      return this.fail(code.PROTOCOL_ERROR, 'the first frame must be SETTINGS');
    }
    switch (type) {
      case frame.DATA:
        return this.onData(flags, id, bytes, start, end);
      case frame.HEADERS:
        return this.onHeaders(flags, id, bytes, start, end);
      case frame.CONTINUATION:
        return this.onContinuation(flags, id, bytes, start, end);
      case frame.WINDOW_UPDATE:
        return this.onWindowUpdate(id, bytes, start, end);
      case frame.RST_STREAM:
        return this.onReset(id, bytes, start, end);
      case frame.PING:
        return this.onPing(flags, id, bytes, start, end);
      case frame.SETTINGS:
        return this.onSettings(flags, id, bytes, start, end);
      case frame.PRIORITY:
        return this.onPriority(id, bytes, start, end);
      case frame.GOAWAY:
        if (id !== 0) return this.fail(code.PROTOCOL_ERROR, 'GOAWAY on a stream');
        if (end - start < 8) return this.fail(code.FRAME_SIZE_ERROR, 'short GOAWAY');
        if (!this.guard.takeControl()) return;
        return this.owner.onGoaway(
          read31(bytes, start),
          bytes.readUInt32BE(start + 4),
          bytes.latin1Slice(start + 8, Math.min(end, start + 264)),
        );
      case frame.PUSH_PROMISE:
        return this.fail(code.PROTOCOL_ERROR, 'PUSH_PROMISE');
      case frame.PRIORITY_UPDATE:
        if (this.isServer) this.guard.takePriority();
        else this.guard.takeControl();
        return;
      default:
        this.guard.takeControl();
    }
  }

  onOversizeFrame(type: number, length: number): void {
    if (!this.settingsSeen && length === HTTP_LENGTH && type === HTTP_TYPE && this.http1Detail !== undefined) {
      return this.fail(code.PROTOCOL_ERROR, this.http1Detail);
    }
    this.fail(code.FRAME_SIZE_ERROR, `frame of type ${type} with ${length} bytes`);
  }

  private onData(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    const size = end - start;
    this.connection.messageFrames++;
    if (this.isIdle(id)) return this.fail(code.PROTOCOL_ERROR, 'DATA on an idle stream');
    if (!this.connection.flow.takeConnection(size)) {
      return this.fail(code.FLOW_CONTROL_ERROR, "DATA beyond the connection's window");
    }
    let from = start;
    let to = end;
    if ((flags & frame.PADDED) !== 0) {
      if (size === 0) return this.fail(code.FRAME_SIZE_ERROR, 'no pad length');
      to -= bytes[from++]!;
      if (to < from) return this.fail(code.PROTOCOL_ERROR, 'more padding than frame');
    }
    const stream = this.connection.streams.get(id);
    const endStream = (flags & frame.END_STREAM) !== 0;
    const length = to - from;
    if (stream === undefined) return this.onLateData(id, size, length, endStream);
    if (stream.remoteEnded) this.failStream(stream, code.STREAM_CLOSED, 'DATA after END_STREAM');
    else if (size > stream.receiveWindow) {
      this.failStream(stream, code.FLOW_CONTROL_ERROR, "DATA beyond the stream's window");
    } else {
      stream.receiveWindow -= size;
      if (length > 0) stream.emptyRun = 0;
      else if (!endStream && !this.guard.takeEmptyData(++stream.emptyRun)) return;
      if (stream.bodyLeft >= 0) {
        stream.bodyLeft -= length;
        if (stream.bodyLeft < 0 || (endStream && stream.bodyLeft > 0)) {
          this.failStream(stream, code.PROTOCOL_ERROR, 'the body is not as long as content-length says');
          return this.connection.shut ? undefined : this.connection.flow.settleConnection();
        }
      }
      // Set first, so that an answer given from within the call finds the request complete.
      if (endStream) stream.remoteEnded = true;
      if (length > 0 || endStream) {
        // Not `subarray`, which makes a Buffer: that takes up to twice as long.
        stream.receiveData(new Uint8Array(bytes.buffer, bytes.byteOffset + from, length), endStream);
      }
      if (this.connection.shut) return;
      if (length > 0 && !endStream && !this.guard.takeData(length, !stream.paused)) return;
      if (!stream.closed) {
        this.connection.flow.settle(stream, size);
        if (endStream) this.connection.finish(stream);
      }
    }
    if (!this.connection.shut) this.connection.flow.settleConnection();
  }

  /** DATA on a stream that isn't in the table: thrown away if it may have been sent before the peer heard of our reset. */
  private onLateData(id: number, size: number, length: number, endStream: boolean): void {
    const { gone, flow } = this.connection;
    const { guard } = this;
    const late = gone.reset(id);
    if (late === undefined) {
      if (!gone.isForgotten(id)) return this.fail(code.STREAM_CLOSED, 'DATA on a closed stream');
      if (!guard.takeControl()) return;
    } else {
      late.window -= size;
      if (late.window < 0) return this.connection.onFlood('DATA goes on after its stream was reset', 'too_many_frames');
      if (endStream) gone.add(id);
      else if (++late.frames > LATE_FRAMES) {
        if (length === 0 ? !guard.takeEmptyData(1) : !guard.takeData(length, false)) return;
      }
    }
    flow.settleConnection();
  }

  private onHeaders(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    this.connection.messageFrames++;
    let from = start;
    let to = end;
    if ((flags & frame.PADDED) !== 0) {
      if (from === end) return this.fail(code.FRAME_SIZE_ERROR, 'no pad length');
      to -= bytes[from++]!;
    }
    let selfDependent = false;
    if ((flags & frame.PRIORITY_FLAG) !== 0) {
      if (end - from < 5) return this.fail(code.FRAME_SIZE_ERROR, 'no priority');
      selfDependent = read31(bytes, from) === id;
      from += 5;
    }
    if (to < from) return this.fail(code.PROTOCOL_ERROR, 'more padding than frame');
    if (id === 0) return this.fail(code.PROTOCOL_ERROR, 'HEADERS on stream 0');
    const endStream = (flags & frame.END_STREAM) !== 0;
    if ((flags & frame.END_HEADERS) !== 0) return this.onBlock(id, endStream, selfDependent, bytes, from, to);
    this.block.open(id, endStream, selfDependent, bytes, from, to);
    this.headerTimer ??= new Timer(this, HEADER_TIMER);
    this.wheel.start(this.headerTimer, this.connection.limits.headTimeMs);
  }

  private onContinuation(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (this.block.streamId === 0) return this.fail(code.PROTOCOL_ERROR, 'CONTINUATION without HEADERS');
    if (start === end && !this.guard.takeControl()) return;
    const { continuationFrames, requestHeadBytes, responseHeadBytes } = this.connection.limits;
    const most = BLOCK_SLACK * (this.isServer ? requestHeadBytes : responseHeadBytes);
    if (!this.block.add(bytes, start, end, continuationFrames, most)) {
      return this.connection.onFlood('too large a header block', 'too_many_frames');
    }
    if ((flags & frame.END_HEADERS) === 0) return;
    if (this.headerTimer) this.wheel.stop(this.headerTimer);
    const { endStream, selfDependent } = this.block;
    const block = this.block.close();
    this.onBlock(id, endStream, selfDependent, block, 0, block.length);
  }

  private onBlock(
    id: number,
    endStream: boolean,
    selfDependent: boolean,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    const stream = this.connection.streams.get(id);
    if (stream !== undefined) {
      if (!stream.remoteEnded && !selfDependent) {
        return this.owner.onHeaderBlock(stream, id, endStream, bytes, start, end);
      }
      this.connection.skipBlock(bytes, start, end);
      if (this.connection.shut) return;
      if (selfDependent) return this.failStream(stream, code.PROTOCOL_ERROR, 'the stream depends on itself');
      return this.failStream(stream, code.STREAM_CLOSED, 'HEADERS after END_STREAM');
    }
    if (this.isIdle(id)) {
      if (!this.isServer || (id & 1) === 0) {
        return this.fail(code.PROTOCOL_ERROR, 'HEADERS on an idle stream');
      }
      this.connection.lastStreamId = id;
      if (!selfDependent) return this.owner.onHeaderBlock(undefined, id, endStream, bytes, start, end);
      this.connection.skipBlock(bytes, start, end);
      if (!this.connection.shut) this.owner.onMalformedRequest(id, 'the stream depends on itself');
      return;
    }
    const { gone } = this.connection;
    const late = gone.reset(id);
    if (late !== undefined || gone.isForgotten(id)) {
      if (late !== undefined && endStream) gone.add(id);
      else if ((late === undefined || ++late.frames > LATE_FRAMES) && !this.guard.takeControl()) return;
      return this.connection.skipBlock(bytes, start, end);
    }
    // A server's answer can cross our own end of the stream only by a reset, which was handled above.
    const known = !this.isServer || gone.hasEnded(id);
    this.fail(known ? code.STREAM_CLOSED : code.PROTOCOL_ERROR, 'HEADERS on a stream that is over');
  }

  private onWindowUpdate(id: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) return this.fail(code.FRAME_SIZE_ERROR, 'WINDOW_UPDATE not of 4 bytes');
    if (!this.guard.takeWindowUpdate()) return;
    const increment = read31(bytes, start);
    if (id === 0) {
      if (increment === 0) return this.fail(code.PROTOCOL_ERROR, 'WINDOW_UPDATE of 0');
      if (this.connection.scheduler.window + increment > frame.MAX_31_BITS) {
        return this.fail(code.FLOW_CONTROL_ERROR, 'the window is too large');
      }
      this.connection.scheduler.window += increment;
      return;
    }
    const stream = this.connection.streams.get(id);
    if (stream === undefined) {
      if (this.isIdle(id)) this.fail(code.PROTOCOL_ERROR, 'WINDOW_UPDATE on an idle stream');
      return;
    }
    if (increment === 0) return this.failStream(stream, code.PROTOCOL_ERROR, 'WINDOW_UPDATE of 0');
    if (stream.sendWindow + increment > frame.MAX_31_BITS) {
      return this.failStream(stream, code.FLOW_CONTROL_ERROR, 'the window is too large');
    }
    stream.sendWindow += increment;
    this.connection.scheduler.opened(stream);
  }

  private onReset(id: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) return this.fail(code.FRAME_SIZE_ERROR, 'RST_STREAM not of 4 bytes');
    const stream = this.connection.streams.get(id);
    if (stream === undefined) {
      if (this.isIdle(id)) return this.fail(code.PROTOCOL_ERROR, 'RST_STREAM on an idle stream');
      const { gone, lastStreamId } = this.connection;
      if (gone.reset(id) !== undefined) gone.add(id);
      else if (gone.isFirstReset(id, lastStreamId)) this.guard.takeLateReset();
      else this.guard.takeControl();
      return;
    }
    this.connection.peerReset(stream, bytes.readUInt32BE(start));
  }

  private onPing(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) return this.fail(code.PROTOCOL_ERROR, 'PING on a stream');
    if (end - start !== 8) return this.fail(code.FRAME_SIZE_ERROR, 'PING not of 8 bytes');
    const high = bytes.readUInt32BE(start);
    const low = bytes.readUInt32BE(start + 4);
    if ((flags & frame.ACK) !== 0) {
      if (this.guard.takeControl()) this.owner.onPingAck(high, low);
      return;
    }
    if (!this.guard.takePing()) return;
    if (this.guard.takeReply(this.connection.sink.stalledSinceMs))
      writePing(this.connection.sink, frame.ACK, high, low);
  }

  private onSettings(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) return this.fail(code.PROTOCOL_ERROR, 'SETTINGS on a stream');
    const size = end - start;
    if ((flags & frame.ACK) !== 0) {
      if (size !== 0) return this.fail(code.FRAME_SIZE_ERROR, 'SETTINGS ACK with a payload');
      return this.onSettingsAck();
    }
    if (size % 6 !== 0) return this.fail(code.FRAME_SIZE_ERROR, 'SETTINGS not of 6 bytes each');
    if (!this.guard.takeControl()) return;
    const windowBefore = this.connection.peer.initialWindowBytes;
    const errorCode = readSettings(bytes, start, end, this.connection.peer, !this.isServer);
    if (errorCode !== code.NO_ERROR) return this.fail(errorCode, 'a setting out of its range');
    this.settingsSeen = true;
    this.connection.headers.encoder.setLimit(this.connection.peer.smallestHeaderTableBytes);
    this.connection.headers.encoder.setLimit(this.connection.peer.headerTableBytes);
    const more = this.connection.peer.initialWindowBytes - windowBefore;
    if (more !== 0 && !this.moveWindows(more)) return;
    if (!this.guard.takeReply(this.connection.sink.stalledSinceMs)) return;
    beginFrame(this.connection.sink, 0, frame.SETTINGS, frame.ACK, 0);
    this.owner.onPeerSettings();
  }

  /** The peer changed its initial window, which moves that of each stream (RFC 9113 section 6.9.2). */
  private moveWindows(more: number): boolean {
    for (const stream of this.connection.streams.values()) {
      if (stream.sendWindow + more > frame.MAX_31_BITS) {
        this.fail(code.FLOW_CONTROL_ERROR, 'the window is too large');
        return false;
      }
      stream.sendWindow += more;
      if (more > 0) this.connection.scheduler.opened(stream);
    }
    return true;
  }

  private onSettingsAck(): void {
    if (!this.ackPending) {
      this.guard.takeControl();
      return;
    }
    this.ackPending = false;
    this.wheel.stop(this.settingsTimer);
    const less = this.connection.flow.streamWindow - this.connection.limits.streamWindowBytes;
    this.connection.flow.streamWindow = this.connection.limits.streamWindowBytes;
    if (less > 0) for (const stream of this.connection.streams.values()) stream.receiveWindow -= less;
    if (this.connection.limits.hpackTableBytes < 4096)
      this.connection.decoder.setLimit(this.connection.limits.hpackTableBytes);
  }

  private onPriority(id: number, bytes: Buffer, start: number, end: number): void {
    if (id === 0) return this.fail(code.PROTOCOL_ERROR, 'PRIORITY on stream 0');
    if (!this.guard.takePriority()) return;
    const short = end - start !== 5;
    if (!short && read31(bytes, start) !== id) return;
    const errorCode = short ? code.FRAME_SIZE_ERROR : code.PROTOCOL_ERROR;
    const detail = short ? 'PRIORITY not of 5 bytes' : 'the stream depends on itself';
    const stream = this.connection.streams.get(id);
    // No RST_STREAM on an idle stream (RFC 9113 section 6.4) and little use of one on a closed stream: those errors
    // cost the connection.
    if (stream !== undefined) this.failStream(stream, errorCode, detail);
    else this.fail(errorCode, detail);
  }

  private isIdle(id: number): boolean {
    return (id & 1) === 0 || id > this.connection.lastStreamId;
  }

  private fail(errorCode: number, detail: string, kind?: ErrorKind): void {
    this.connection.connectionError(errorCode, detail, kind);
  }

  private failStream(stream: H2Stream, errorCode: number, detail: string): void {
    this.connection.streamError(stream, errorCode, detail);
  }

  onTimer(what: number): void {
    if (what === SETTINGS_ACK_TIMER) {
      this.fail(code.SETTINGS_TIMEOUT, 'SETTINGS not acknowledged');
    } else this.fail(code.ENHANCE_YOUR_CALM, 'the header block did not arrive in time', 'request_timeout');
  }
}

function read31(bytes: Buffer, at: number): number {
  return ((bytes[at]! & 0x7f) << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}
