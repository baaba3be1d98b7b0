// Decides which stream's DATA goes out next. A chunk is written at once while its stream, the connection and the
// transport have room. What has none is copied into the stream's queue; queues that only wait for the connection or the
// transport stand in a ring and send one frame each in turn, so a large answer doesn't hold up small ones. A queue
// that waits for its own window is outside the ring until its WINDOW_UPDATE comes.
//
// A window with little room left isn't used up to the last byte while more is on its way: a peer that gives back each
// frame's bytes at once would be sent ever smaller frames (the silly window of RFC 9293 section 3.8.6.2.1). A peer that
// waits for that last byte gets it a little later.
import { Timer, type TimerOwner, type TimerWheel } from '../../base/timer-wheel.ts';
import { HIGH_WATER_BYTES, LOW_WATER_BYTES, type Fields } from '../exchange.ts';
import { DATA, DEFAULT_WINDOW_BYTES, END_STREAM } from './frame.ts';
import { beginFrame } from './frame-writer.ts';
import type { H2Connection } from './connection.ts';
import { SendQueue } from './send-queue.ts';
import type { H2Stream } from './stream.ts';

const MAX_DATA_BYTES = 16_384; // even where the peer takes larger frames: other streams get their turn

/**
 * DATA is gathered up to here before it is handed to the kernel: the fewest writes that still stay in the processor's
 * cache. No less than the transport's HIGH_PENDING_BYTES, since only from there on it tells of its drain.
 */
const FULL_BYTES = 80 * 1024;

/** A frame isn't cut shorter than this by a window that could stand more, until NUDGE_MS have passed. */
const SHORT_BYTES = 1024;
const NUDGE_MS = 20;

/** The sending side of one connection. */
export class SendScheduler implements TimerOwner {
  /** The connection's window; only DATA counts. */
  window = DEFAULT_WINDOW_BYTES;
  private readonly connection: H2Connection;
  private first: H2Stream | undefined = undefined;
  private last: H2Stream | undefined = undefined;
  private readonly wheel: TimerWheel;
  private nudgeTimer: Timer | undefined = undefined;
  private nudged = false;

  constructor(connection: H2Connection, wheel: TimerWheel) {
    this.connection = connection;
    this.wheel = wheel;
  }

  /** Whether some stream waits for the connection's window or the transport. */
  get waiting(): boolean {
    return this.first !== undefined;
  }

  send(stream: H2Stream, chunk: Uint8Array, endStream: boolean): void {
    if (stream.closed || stream.localEnded || stream.endQueued) return;
    const length = chunk.length;
    let at = 0;
    if (stream.bufferedBytes === 0) {
      if (length === 0) {
        if (endStream) this.writeEnd(stream);
        return;
      }
      if (this.first === undefined) {
        at = this.writeNow(stream, chunk, endStream);
        if (at === length) return;
      }
    }
    if (at < length) {
      const queue = (stream.queue ??= new SendQueue());
      if (queue.bytes === 0) stream.movedMs = this.connection.clock.nowMs;
      queue.push(chunk, at);
      if (queue.bytes >= HIGH_WATER_BYTES) stream.highReached = true;
    }
    if (endStream) stream.endQueued = true;
    this.enter(stream);
  }

  /** Trailers go out behind the bytes that wait. */
  sendTrailers(stream: H2Stream, fields: Fields, neverIndexed: readonly string[] | undefined): void {
    if (stream.closed || stream.localEnded || stream.endQueued) return;
    if (stream.bufferedBytes === 0) return this.connection.writeTrailers(stream, fields, neverIndexed);
    stream.trailersQueued = fields;
    stream.trailersNeverIndexed = neverIndexed;
    stream.endQueued = true;
  }

  /** The stream's window grew. */
  opened(stream: H2Stream): void {
    if (stream.bufferedBytes > 0) this.enter(stream);
  }

  /** Sends what can be sent. Called when a window grew or the transport has room. */
  pump(): void {
    for (;;) {
      const stream = this.first;
      if (stream === undefined) return;
      if (stream.closed || stream.bufferedBytes === 0 || stream.sendWindow <= 0) {
        this.leave(stream);
        continue;
      }
      const room = Math.min(stream.sendWindow, this.window);
      if (room <= 0) return;
      if (room < SHORT_BYTES && room < stream.bufferedBytes && this.isShort(room)) {
        this.nudgeLater();
        if (room === this.window) return;
        this.leave(stream);
        continue;
      }
      if (!this.hasRoom()) return;
      this.leave(stream);
      this.sendQueued(stream, stream.queue!);
    }
  }

  /** The connection is over. */
  stop(): void {
    if (this.nudgeTimer) this.wheel.stop(this.nudgeTimer);
  }

  onTimer(): void {
    for (const stream of this.connection.streams.values()) this.opened(stream);
    this.nudged = true;
    this.pump();
    this.nudged = false;
  }

  private sendQueued(stream: H2Stream, queue: SendQueue): void {
    const length = Math.min(queue.bytes, stream.sendWindow, this.window, MAX_DATA_BYTES);
    const empties = length === queue.bytes;
    const ends = empties && stream.endQueued && stream.trailersQueued === undefined;
    const sink = this.connection.sink;
    const at = beginFrame(sink, length, DATA, ends ? END_STREAM : 0, stream.id);
    queue.take(sink.buffer, at, length);
    this.took(stream, length, !empties && length < MAX_DATA_BYTES);
    stream.movedMs = empties ? -1 : this.connection.clock.nowMs;
    if (ends) return this.connection.localEnd(stream);
    if (empties && stream.trailersQueued !== undefined) {
      this.connection.writeTrailers(stream, stream.trailersQueued, stream.trailersNeverIndexed);
      return;
    }
    if (!empties) this.enter(stream);
    if (stream.highReached && !stream.endQueued && queue.bytes <= LOW_WATER_BYTES) {
      stream.highReached = false;
      stream.drained();
    }
  }

  /** Writes frames of `chunk` while there is room; returns how much went. */
  private writeNow(stream: H2Stream, chunk: Uint8Array, endStream: boolean): number {
    const length = chunk.length;
    const sink = this.connection.sink;
    let done = 0;
    while (done < length) {
      const room = Math.min(stream.sendWindow, this.window);
      if (room <= 0) return done;
      if (room < SHORT_BYTES && room < length - done && this.isShort(room)) {
        this.nudgeLater();
        return done;
      }
      if (!this.hasRoom()) return done;
      const part = Math.min(length - done, room, MAX_DATA_BYTES);
      const ends = endStream && done + part === length;
      const at = beginFrame(sink, part, DATA, ends ? END_STREAM : 0, stream.id);
      sink.buffer.set(part === length ? chunk : chunk.subarray(done, done + part), at);
      done += part;
      this.took(stream, part, done < length && part < MAX_DATA_BYTES);
      if (ends) this.connection.localEnd(stream);
    }
    return done;
  }

  private writeEnd(stream: H2Stream): void {
    beginFrame(this.connection.sink, 0, DATA, END_STREAM, stream.id);
    this.connection.localEnd(stream);
  }

  private took(stream: H2Stream, bytes: number, cut: boolean): void {
    stream.sendWindow -= bytes;
    this.window -= bytes;
    this.connection.guard.dataSent(bytes, cut);
  }

  /** Gathered bytes are handed to the kernel first: only what it doesn't take counts as full. */
  private hasRoom(): boolean {
    const sink = this.connection.sink;
    if (sink.pendingBytes < FULL_BYTES) return true;
    sink.flush();
    return sink.pendingBytes < FULL_BYTES;
  }

  /** Whether a frame of `room` bytes would be cut too short: windows were, or may be, twice as large. */
  private isShort(room: number): boolean {
    if (this.nudged) return false;
    return room === this.window || room < this.connection.peer.initialWindowBytes >> 1;
  }

  private nudgeLater(): void {
    this.nudgeTimer ??= new Timer(this, 0);
    if (!this.nudgeTimer.running) this.wheel.start(this.nudgeTimer, NUDGE_MS);
  }

  private enter(stream: H2Stream): void {
    if (stream.ready || stream.sendWindow <= 0) return;
    stream.ready = true;
    if (this.last) this.last.nextReady = stream;
    else this.first = stream;
    this.last = stream;
  }

  /** Takes the first stream out. */
  private leave(stream: H2Stream): void {
    this.first = stream.nextReady;
    if (this.first === undefined) this.last = undefined;
    stream.nextReady = undefined;
    stream.ready = false;
  }
}
