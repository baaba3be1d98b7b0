import { TimerWheel } from '../../../src/base/timer-wheel.ts';
import { H2Connection, type ConnectionOwner } from '../../../src/codec/h2/connection.ts';
import * as frame from '../../../src/codec/h2/frame.ts';
import { FrameReader, type FrameHandler } from '../../../src/codec/h2/frame-reader.ts';
import { put32, putFrameHeader } from '../../../src/codec/h2/frame-writer.ts';
import { H2Stream } from '../../../src/codec/h2/stream.ts';
import { DEFAULT_LIMITS } from '../../../src/codec/limits.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryTransport } from '../../support/memory-transport.ts';
import type { MicroCase, MicroGroup } from './measure.ts';

/** Frames of one read. */
const FRAMES = 64;
/** Reads of one run. */
const READS = 16;
const DATA_BYTES = 64;
const HEAD_BYTES = 12;
/** Stream identifiers end at 2^31. */
const LAST_USED = 0x7000_0000;

/** Frames of HTTP/2 in: a read to the calls of a connection's owner. Header blocks are handed on and not decoded. */
export const frameLoop: MicroGroup = {
  name: 'frame-loop',
  operation: 'frame',
  cases: () => [
    calls('server', 'of calls: HEADERS, DATA'),
    calls('client', 'of answers: HEADERS, DATA, HEADERS'),
    stream(),
    cutting(),
  ],
};

/** Frames to be put into a read; the identifiers are stamped in later. */
interface Shape {
  readonly type: number;
  readonly flags: number;
  readonly bytes: number;
}

const HEAD: Shape = { type: frame.HEADERS, flags: frame.END_HEADERS, bytes: HEAD_BYTES };
const LAST_HEAD: Shape = { type: frame.HEADERS, flags: frame.END_HEADERS | frame.END_STREAM, bytes: HEAD_BYTES };
const DATA: Shape = { type: frame.DATA, flags: 0, bytes: DATA_BYTES };
const LAST_DATA: Shape = { type: frame.DATA, flags: frame.END_STREAM, bytes: DATA_BYTES };

/** A read in which streams take turns: the first frame of each, then the second… */
class Read {
  readonly bytes: Buffer;
  readonly streams: number;
  private readonly places: (readonly [place: number, stream: number])[] = [];

  constructor(shapes: readonly Shape[]) {
    this.streams = Math.floor(FRAMES / shapes.length);
    const frames = shapes.flatMap((shape) => Array.from({ length: this.streams }, (_, stream) => ({ shape, stream })));
    this.bytes = Buffer.alloc(
      frames.reduce((sum, { shape }) => sum + frame.FRAME_HEADER_BYTES + shape.bytes, 0),
      0x82,
    );
    let at = 0;
    for (const { shape, stream } of frames) {
      putFrameHeader(this.bytes, at, shape.bytes, shape.type, shape.flags, 0);
      this.places.push([at + 5, stream]);
      at += frame.FRAME_HEADER_BYTES + shape.bytes;
    }
  }

  get frames(): number {
    return this.places.length;
  }

  /** Gives the streams their identifiers, from `first` on. */
  stamp(first: number): void {
    for (const [place, stream] of this.places) put32(this.bytes, place, first + 2 * stream);
  }
}

class CountingStream extends H2Stream {
  received = 0;

  receiveData(chunk: Uint8Array): void {
    this.received += chunk.length;
  }

  peerReset(): void {}
  failed(_code: number, detail: string): void {
    throw new Error(detail);
  }
  lost(): void {}
  drained(): void {}
  endedFirst(): void {}
}

/** A session or a channel that only counts. */
class CountingOwner implements ConnectionOwner {
  connection: H2Connection;
  blocks = 0;
  closed = 0;
  nextId = 1;

  constructor(role: 'server' | 'client') {
    const clock = new FakeClock();
    const transport = new MemoryTransport(clock);
    this.connection = new H2Connection(role, transport, this, {
      clock,
      wheel: new TimerWheel(clock),
      limits: DEFAULT_LIMITS,
    });
    this.connection.start([]);
    this.read(Buffer.from([0, 0, 0, frame.SETTINGS, 0, 0, 0, 0, 0]));
    this.read(Buffer.from([0, 0, 0, frame.SETTINGS, frame.ACK, 0, 0, 0, 0]));
  }

  /** Reads, and throws away what is answered. */
  read(bytes: Buffer): void {
    this.connection.read(bytes, 0, bytes.length);
    this.connection.sink.length = 0;
  }

  /** A stream whose own side has ended. */
  open(id: number): void {
    const stream = new CountingStream(this.connection);
    this.connection.add(stream, id);
    this.connection.lastStreamId = id;
    stream.localEnded = true;
  }

  onHeaderBlock(
    stream: H2Stream | undefined,
    id: number,
    endStream: boolean,
    _: Buffer,
    start: number,
    end: number,
  ): void {
    this.blocks += end - start;
    if (stream === undefined) this.open(id);
    else if (endStream) {
      stream.remoteEnded = true;
      this.connection.finish(stream);
    }
  }

  onStreamClosed(): void {
    this.closed++;
  }

  onMalformedRequest(_: number, detail: string): void {
    throw new Error(detail);
  }

  onConnectionError(_: number, detail: string): void {
    throw new Error(detail);
  }

  onPeerReset(): void {}
  onPeerSettings(): void {}
  onGoaway(): void {}
  onPingAck(): void {}
}

/** Streams that are opened and end within each read. */
function calls(role: 'server' | 'client', name: string): MicroCase {
  const shapes = role === 'server' ? [HEAD, LAST_DATA] : [HEAD, DATA, LAST_HEAD];
  const reads = Array.from({ length: READS }, () => new Read(shapes));
  let owner = new CountingOwner(role);
  return {
    name,
    operations: READS * reads[0]!.frames,
    prepare() {
      if (owner.nextId > LAST_USED) owner = new CountingOwner(role);
      for (const read of reads) {
        read.stamp(owner.nextId);
        owner.nextId += 2 * read.streams;
      }
    },
    run() {
      const before = owner.closed;
      let id = owner.nextId - 2 * READS * reads[0]!.streams;
      for (const read of reads) {
        for (let i = 0; i < read.streams; i++, id += 2) if (role === 'client') owner.open(id);
        owner.read(read.bytes);
      }
      const ended = owner.closed - before;
      if (ended !== READS * reads[0]!.streams) throw new Error(`${name}: streams have not ended`);
      return owner.blocks + ended;
    },
  };
}

/** One stream of small messages. */
function stream(): MicroCase {
  const owner = new CountingOwner('server');
  owner.open(1);
  const read = new Read(Array.from({ length: FRAMES }, () => DATA));
  read.stamp(1);
  const [opened] = owner.connection.streams.values();
  const counting = opened as CountingStream;
  return {
    name: 'of a stream: DATA of 64 bytes',
    operations: READS * FRAMES,
    run() {
      const before = counting.received;
      for (let i = 0; i < READS; i++) owner.read(read.bytes);
      const received = counting.received - before;
      if (received !== READS * FRAMES * DATA_BYTES) throw new Error('messages are missing');
      return received;
    },
  };
}

/** The reader by itself. */
function cutting(): MicroCase {
  let sum = 0;
  const handler: FrameHandler = {
    onFrame(type, flags, streamId, _bytes, start, end) {
      sum += type + flags + streamId + end - start;
    },
    onOversizeFrame() {
      throw new Error('a frame is too large');
    },
  };
  const reader = new FrameReader(handler);
  const read = new Read([HEAD, LAST_DATA]);
  read.stamp(1);
  return {
    name: 'cut only',
    operations: READS * FRAMES,
    run() {
      const before = sum;
      for (let i = 0; i < READS; i++) reader.read(read.bytes, 0, read.bytes.length);
      return sum - before;
    },
  };
}
