// One request on an HTTP/1 upstream connection: the sender that proxy/ gets. A fresh object for each request, deaf once
// it has ended.
import type { ErrorKind, Progress } from '../base/error.ts';
import { type Fields, HIGH_WATER_BYTES, type RequestSender, type ResponseReceiver } from '../codec/exchange.ts';
import { writeChunk, writeLastChunk } from '../codec/h1/head-writer.ts';
import type { Transport } from '../net/transport.ts';

/** What a stream asks of its channel. */
export interface RequestStreamOwner {
  pauseResponse(): void;
  resumeResponse(): void;
  /** The proxy gave it up. */
  onGivenUp(stream: H1RequestStream): void;
  /** The caller's end of a tunnel has said all. */
  onTunnelEnd(stream: H1RequestStream): void;
  /** The body isn't what its head said; the connection is of no use any more. */
  onUnsendable(stream: H1RequestStream, detail: string): void;
}

/** See RequestSender. */
export class H1RequestStream implements RequestSender {
  readonly receiver: ResponseReceiver;
  sent: Progress['sent'] = 'nothing';
  /** A byte of the answer came. */
  answered = false;
  /** The answer was a 101: bytes go through as they are. */
  isTunnel = false;

  private readonly owner: RequestStreamOwner;
  private readonly transport: Transport;
  private readonly reusedConnection: boolean;
  /** Nothing is sent and nothing is told any more. */
  private ended = false;
  /** The body broke its own promise; `fail` follows in a later turn. */
  private broken = false;
  /** Bytes that a stated length still allows; -1 for a chunked body. */
  private remaining = -1;
  /** The transport's count as the head was written: until it moves, not a byte has left. */
  private flushesBefore = 0;

  constructor(owner: RequestStreamOwner, transport: Transport, receiver: ResponseReceiver, reusedConnection: boolean) {
    this.owner = owner;
    this.transport = transport;
    this.receiver = receiver;
    this.reusedConnection = reusedConnection;
  }

  get progress(): Progress {
    return {
      sent: this.sent,
      reusedConnection: this.reusedConnection,
      refusedByPeer: false,
      answered: this.answered,
    };
  }

  get bufferedBytes(): number {
    return this.isSending ? this.transport.pendingBytes : 0;
  }

  get stalledSinceMs(): number {
    return this.isSending ? this.transport.stalledSinceMs : -1;
  }

  /** Not a byte of it has left: whatever comes can't be its answer. */
  get isUnsent(): boolean {
    return this.transport.flushCount === this.flushesBefore;
  }

  /** The head was written. `bodyBytes`: -1 for a chunked body. */
  begin(bodyBytes: number, endStream: boolean): void {
    this.remaining = bodyBytes;
    this.flushesBefore = this.transport.flushCount;
    this.sent = endStream ? 'all' : 'some';
  }

  sendData(chunk: Uint8Array, endStream: boolean): void {
    if (this.sent !== 'some' || this.ended || this.broken) return;
    const length = chunk.length;
    if (length > 0) {
      if (this.isTunnel) this.transport.write(chunk);
      else if (this.remaining < 0) writeChunk(this.transport, chunk);
      else {
        if (length > this.remaining) return this.unsendable('the request body is longer than its content-length');
        this.remaining -= length;
        this.transport.write(chunk);
      }
      // At once, so that `onDrain` is sure to come: the transport counts what the kernel has refused.
      if (this.transport.pendingBytes >= HIGH_WATER_BYTES) this.transport.flush();
    }
    if (endStream) this.finish(undefined);
  }

  sendTrailers(fields: Fields): void {
    if (this.sent === 'some' && !this.ended && !this.broken) this.finish(fields);
  }

  /** The endpoint agreed to the upgrade: the request, which had no body, goes on as a tunnel. */
  openTunnel(): void {
    this.isTunnel = true;
    this.sent = 'some';
  }

  abort(): void {
    if (this.ended) return;
    this.ended = true;
    this.owner.onGivenUp(this);
  }

  pauseResponse(): void {
    if (!this.ended) this.owner.pauseResponse();
  }

  resumeResponse(): void {
    if (!this.ended) this.owner.resumeResponse();
  }

  /** The kernel took what was pending. */
  drained(): void {
    if (this.sent === 'some' && !this.ended) this.receiver.onDrain();
  }

  /** The answer is complete. */
  close(): void {
    this.ended = true;
  }

  /** Tells the receiver once, unless the stream has ended. */
  fail(kind: ErrorKind, detail: string, resetCode: number): void {
    if (this.ended) return;
    this.ended = true;
    // Lost in the turn that it was written in: the connection was closed before anything left.
    if (this.sent !== 'nothing' && this.isUnsent) this.sent = 'nothing';
    this.receiver.onAbort(kind, this.progress, detail, resetCode);
  }

  private get isSending(): boolean {
    return this.sent !== 'nothing' && !this.ended;
  }

  private finish(trailers: Fields | undefined): void {
    if (this.isTunnel) {
      this.sent = 'all';
      return this.owner.onTunnelEnd(this);
    }
    if (this.remaining > 0) return this.unsendable('the request body is shorter than its content-length');
    if (this.remaining < 0) writeLastChunk(this.transport, trailers);
    this.sent = 'all';
  }

  private unsendable(detail: string): void {
    this.broken = true;
    this.owner.onUnsendable(this, detail);
  }
}
