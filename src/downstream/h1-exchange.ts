// One request of an HTTP/1 connection and the sending of its answer. A fresh object for each request, so what a proxy
// still holds of an earlier one can't write into a later one: once ended, it is deaf.
//
//   waiting ──sendHead──► sending ──end──► ended
//      │ └────────abort / cut / caller gone──┘
//      └──101──► tunnel: either side may end first, `ended` says that ours has
import type { ErrorKind } from '../base/error.ts';
import {
  type Fields,
  HIGH_WATER_BYTES,
  type HttpVersion,
  type RequestReceiver,
  type ResponseHead,
  type ResponseSender,
} from '../codec/exchange.ts';
import { CHUNKED, type Framing, NO_BODY, SIZED, UNTIL_CLOSE } from '../codec/h1/framing.ts';
import { responseFraming, writeChunk, writeLastChunk, writeResponseHead } from '../codec/h1/head-writer.ts';
import type { Transport } from '../net/transport.ts';

/** What an exchange asks of its session. */
export interface ExchangeOwner {
  /** The next head written says `Connection: close`. */
  readonly draining: boolean;
  /** A 101 went out: what comes from the caller now isn't HTTP any more. */
  onTunnel(exchange: H1Exchange): void;
  /** The answer is complete. */
  onResponseEnd(exchange: H1Exchange): void;
  /** The answer can't be completed: the caller must not take it for whole. `begun`: its head went out. */
  onCut(exchange: H1Exchange, begun: boolean): void;
  pauseRequest(): void;
  resumeRequest(): void;
}

/** Stands in until the handler has given its receiver, and after the end. */
export const NO_RECEIVER: RequestReceiver = {
  onData: () => undefined,
  onTrailers: () => undefined,
  onAbort: () => undefined,
  onDrain: () => undefined,
};

/** The sender that proxy/ gets. */
export class H1Exchange implements ResponseSender {
  receiver: RequestReceiver = NO_RECEIVER;
  /** The whole request has come. */
  requestEnded: boolean;
  /** Nothing may be written any more: the answer is complete, or the exchange was cut. */
  ended = false;
  /** The final head went out. */
  headSent = false;
  /** The caller went away while the handler was still running. */
  lost = false;
  /** A 101 went out. */
  isTunnel = false;
  /** The connection ends with this exchange. */
  closes: boolean;

  private readonly owner: ExchangeOwner;
  private readonly transport: Transport;
  private readonly version: HttpVersion;
  private readonly toHead: boolean;
  /** The rest of the request stands in the read that is being parsed, so answering now isn't early. */
  private readonly bodyInHand: boolean;
  private framing: Framing = NO_BODY;
  private remaining = 0;

  constructor(
    owner: ExchangeOwner,
    transport: Transport,
    version: HttpVersion,
    toHead: boolean,
    keepAlive: boolean,
    requestEnded: boolean,
    bodyInHand: boolean,
  ) {
    this.owner = owner;
    this.transport = transport;
    this.version = version;
    this.toHead = toHead;
    this.closes = !keepAlive;
    this.requestEnded = requestEnded;
    this.bodyInHand = bodyInHand;
  }

  get remoteAddress(): string {
    return this.transport.remoteAddress;
  }

  get remotePort(): number {
    return this.transport.remotePort;
  }

  get localAddress(): string {
    return this.transport.localAddress;
  }

  get localPort(): number {
    return this.transport.localPort;
  }

  get bufferedBytes(): number {
    return this.ended ? 0 : this.transport.pendingBytes;
  }

  get stalledSinceMs(): number {
    return this.ended ? -1 : this.transport.stalledSinceMs;
  }

  /** HTTP/1.0 callers know no informational answers; 100 is the session's own to send, 101 no informational one. */
  sendInformational(head: ResponseHead): void {
    if (this.ended || this.headSent || this.version !== 11) return;
    if (head.status < 102 || head.status > 199) return;
    writeResponseHead(this.transport, head, NO_BODY, '');
  }

  sendHead(head: ResponseHead, endStream: boolean): void {
    if (this.ended || this.headSent) return;
    this.headSent = true;
    const framing = responseFraming(head, endStream, this.toHead, this.version);
    this.framing = framing;
    this.remaining = framing === SIZED && head.contentLength > 0 ? head.contentLength : 0;
    if (head.status === 101) {
      this.isTunnel = this.closes = true;
      this.requestEnded = false;
      writeResponseHead(this.transport, head, framing, 'Upgrade');
      return this.owner.onTunnel(this);
    }
    const isEarly = !this.requestEnded && !this.bodyInHand;
    if (framing === UNTIL_CLOSE || isEarly || this.owner.draining) this.closes = true;
    const connection = this.closes ? 'close' : this.version === 10 ? 'keep-alive' : '';
    writeResponseHead(this.transport, head, framing, connection);
    if (endStream) this.finish(undefined);
  }

  sendData(chunk: Uint8Array, endStream: boolean): void {
    if (this.ended || !this.headSent) return;
    const length = chunk.length;
    if (length > 0 && this.framing !== NO_BODY) {
      if (this.framing === CHUNKED) writeChunk(this.transport, chunk);
      else {
        if (this.framing === SIZED && (this.remaining -= length) < 0) return this.cut();
        this.transport.write(chunk);
      }
      // At once, so that `onDrain` is sure to come: the transport counts what the kernel has refused.
      if (this.transport.pendingBytes >= HIGH_WATER_BYTES) this.transport.flush();
    }
    if (endStream) this.finish(undefined);
  }

  sendTrailers(fields: Fields): void {
    if (this.ended || !this.headSent) return;
    this.finish(fields);
  }

  abort(_kind: ErrorKind): void {
    if (this.isOpen) this.cut();
  }

  pauseRequest(): void {
    if (this.isOpen && !this.requestEnded) this.owner.pauseRequest();
  }

  resumeRequest(): void {
    if (this.isOpen && !this.requestEnded) this.owner.resumeRequest();
  }

  /** The caller is still to be heard: of a tunnel also once our side has ended. */
  get isOpen(): boolean {
    return !this.ended || (this.isTunnel && !this.requestEnded);
  }

  private finish(trailers: Fields | undefined): void {
    if (this.framing === CHUNKED) writeLastChunk(this.transport, trailers);
    else if (this.framing === SIZED && this.remaining > 0) return this.cut(); // shorter than its head said
    this.ended = true;
    this.owner.onResponseEnd(this);
  }

  private cut(): void {
    this.ended = true;
    this.owner.onCut(this, this.headSent);
  }
}
