// One stream of a connection, from either side. Its state is two flags and how it left the table:
//
//              HEADERS sent or received
//     idle ------------------------------> open
//                                           |  \
//             remoteEnded (END_STREAM came) |   \ localEnded (END_STREAM written)
//                                           v    v
//                       half-closed (remote)      half-closed (local)
//                                           |    |
//                    the other END_STREAM,  v    v  or RST_STREAM either way, at any time
//                                          closed
//
// (RFC 9113 section 5.1 without the reserved states: nobody pushes here.) What comes on a stream that is closed is
// decided in connection.ts with closed-streams.ts.
import type { BodySender, Fields } from '../exchange.ts';
import type { H2Connection } from './connection.ts';
import type { SendQueue } from './send-queue.ts';

/** What both roles keep of a stream. The session's and the channel's streams extend it with their receivers. */
export abstract class H2Stream implements BodySender {
  readonly connection: H2Connection;
  /** 0 until it is opened. */
  id = 0;
  /** Our END_STREAM stands in the transport. */
  localEnded = false;
  /** The peer's END_STREAM came. */
  remoteEnded = false;
  /** It left the table; nothing is written or called back any more. */
  closed = false;

  /** What we may send; below 0 after the peer lowered its setting (RFC 9113 section 6.9.2). */
  sendWindow: number;
  /** What the peer may send. */
  receiveWindow: number;
  /** Received bytes for which no window was given back. */
  owed = 0;
  /** What the peer was granted beyond the ordinary window; receive-flow.ts owns it and the next. */
  extraWindow = 0;
  /** How often its window was given back since it was last widened or paused. */
  steadyHalves = 0;
  /** The receiver takes no more for now. */
  paused = false;
  /** Decoded header bytes that it holds; connection.ts counts them. */
  headerBytes = 0;
  /** DATA frames without a byte in a row. */
  emptyRun = 0;
  /** Body bytes that content-length still promises; -1 where it promises nothing. */
  bodyLeft = -1;

  /** Bytes that wait to be sent; see send-scheduler.ts, which owns these eight. */
  queue: SendQueue | undefined = undefined;
  endQueued = false;
  trailersQueued: Fields | undefined = undefined;
  trailersNeverIndexed: readonly string[] | undefined = undefined;
  nextReady: H2Stream | undefined = undefined;
  ready = false;
  highReached = false;
  movedMs = -1;

  constructor(connection: H2Connection) {
    this.connection = connection;
    this.sendWindow = connection.peer.initialWindowBytes;
    this.receiveWindow = connection.flow.streamWindow;
  }

  get bufferedBytes(): number {
    return this.queue === undefined ? 0 : this.queue.bytes;
  }

  get stalledSinceMs(): number {
    return this.bufferedBytes === 0 ? -1 : this.movedMs;
  }

  sendData(chunk: Uint8Array, endStream: boolean): void {
    this.connection.scheduler.send(this, chunk, endStream);
  }

  sendTrailers(fields: Fields, neverIndexed?: readonly string[]): void {
    this.connection.scheduler.sendTrailers(this, fields, neverIndexed);
  }

  /** Body bytes came. */
  abstract receiveData(chunk: Uint8Array, endStream: boolean): void;
  /** The peer reset the stream, which is closed already. */
  abstract peerReset(code: number): void;
  /** The peer broke a rule of this stream: it was reset with `code` and is closed. */
  abstract failed(code: number, detail: string): void;
  /** The connection is gone. */
  abstract lost(detail: string): void;
  /** bufferedBytes fell to the low-water mark. */
  abstract drained(): void;
  /** Our END_STREAM was written while the peer's hasn't come. */
  abstract endedFirst(): void;
}
