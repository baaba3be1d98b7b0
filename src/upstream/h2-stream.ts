import type { ErrorKind, Progress } from '../base/error.ts';
import type { RequestSender, ResponseReceiver } from '../codec/exchange.ts';
import type { H2Connection } from '../codec/h2/connection.ts';
import { CANCEL, errorCodeName, PROTOCOL_ERROR, REFUSED_STREAM } from '../codec/h2/error-code.ts';
import { H2Stream } from '../codec/h2/stream.ts';

/** One request to an HTTP/2 upstream: the sender of it, and the way to the receiver of its answer. */
export class UpstreamH2Stream extends H2Stream implements RequestSender {
  /** The final head came. */
  headSeen = false;
  /** A head came, also an informational one. */
  answered = false;
  /** Informational heads so far. */
  informationals = 0;
  /** The caller gave it up; it hears nothing more. */
  aborted = false;
  /** What a failure of this stream, or its connection, is called. */
  failure: ErrorKind = 'upstream_protocol_error';
  /** No body follows whatever content-length says: the answer to a HEAD. */
  readonly isHead: boolean;
  readonly receiver: ResponseReceiver;
  private readonly reusedConnection: boolean;
  /** The transport's count as the stream was made: until it moves, not a byte of it has left. */
  private readonly flushesBefore: number;

  constructor(connection: H2Connection, receiver: ResponseReceiver, isHead: boolean, reusedConnection: boolean) {
    super(connection);
    this.receiver = receiver;
    this.isHead = isHead;
    this.reusedConnection = reusedConnection;
    this.flushesBefore = connection.sink.flushCount;
  }

  get progress(): Progress {
    return this.progressNow(false);
  }

  abort(): void {
    this.aborted = true;
    this.connection.resetStream(this, CANCEL);
  }

  pauseResponse(): void {
    this.connection.flow.pause(this);
  }

  resumeResponse(): void {
    this.connection.flow.resume(this);
  }

  /** The peer won't process it (GOAWAY with a lower last stream id). The stream is out of the table. */
  refused(detail: string): void {
    if (this.answered) this.end('upstream_reset', false, detail, -1);
    else this.end('upstream_refused', true, detail, -1);
  }

  override receiveData(chunk: Uint8Array, endStream: boolean): void {
    if (this.headSeen) return this.receiver.onData(chunk, endStream);
    this.remoteEnded = false;
    this.connection.streamError(this, PROTOCOL_ERROR, 'DATA before the head');
  }

  override peerReset(errorCode: number): void {
    const refused = errorCode === REFUSED_STREAM && !this.answered;
    this.end(
      refused ? 'upstream_refused' : 'upstream_reset',
      refused,
      `RST_STREAM ${errorCodeName(errorCode)}`,
      errorCode,
    );
  }

  override failed(_errorCode: number, detail: string): void {
    this.end(this.failure, false, detail, -1);
  }

  override lost(detail: string): void {
    const unsent = this.connection.sink.flushCount === this.flushesBefore;
    this.end(this.failure, false, detail, -1, unsent);
  }

  override drained(): void {
    this.receiver.onDrain();
  }

  override endedFirst(): void {}

  /** An answer that is complete stays so, whatever becomes of the rest of the request. */
  private end(kind: ErrorKind, refusedByPeer: boolean, detail: string, resetCode: number, unsent = false): void {
    if (this.aborted || this.remoteEnded) return;
    const progress = this.progressNow(refusedByPeer);
    this.receiver.onAbort(kind, unsent ? { ...progress, sent: 'nothing' } : progress, detail, resetCode);
  }

  private progressNow(refusedByPeer: boolean): Progress {
    return {
      sent: this.localEnded ? 'all' : this.id > 0 ? 'some' : 'nothing',
      reusedConnection: this.reusedConnection,
      refusedByPeer,
      answered: this.answered,
    };
  }
}
