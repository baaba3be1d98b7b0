// The waist of the data plane. A downstream session (HTTP/1 or HTTP/2) and an upstream channel (HTTP/1 or HTTP/2) speak
// to proxy/ only through these types, so every pairing of versions is the same code. Rules:
//
//   * Order of one message: informational heads*, head, data*, then one end (endStream on head or data, or trailers).
//     Abort may come at any time, also before the head, and twice. After the end or an abort comes nothing.
//   * A chunk is borrowed for the length of the call: who keeps it copies it.
//   * An upgrade is a request without a body (endStream) whose head names a `protocol`. A final head of 101 makes a tunnel
//     of the exchange: both directions then carry data* and each its own end (endStream), with no trailers. Any other
//     final head is an ordinary answer.
//   * Calls don't re-enter: `start`, `onHead`… are never answered by a synchronous `onAbort` of the same stream from
//     inside a sender's method; senders report failures in a later turn.
//   * Back-pressure counts bytes not yet taken by the kernel or by the HTTP/2 window. Who sends looks at
//     `bufferedBytes`: at HIGH_WATER_BYTES it pauses its source, at `onDrain` (LOW_WATER_BYTES) it resumes it.
//   * Fields of an exchange are end-to-end only: the receiving codec has removed hop-by-hop fields and what
//     `Connection` names, and has checked framing. `te: trailers` stays. `content-length` stays, checked and single.

import type { ErrorKind, Progress } from '../base/error.ts';

/** Stop reading the source when this many bytes wait in the sender. */
export const HIGH_WATER_BYTES = 64 * 1024;
/** Go on reading when no more than this many bytes wait. */
export const LOW_WATER_BYTES = 32 * 1024;

/**
 * A flat list of latin1 strings: name, value, name, value… Names are lower case when they came over HTTP/2; over
 * HTTP/1 they keep the case that came (and HTTP/2 writers lower it). Pseudo-fields and `Host` live in the head.
 */
export type Fields = string[];

/** HTTP version as major times ten plus minor. */
export type HttpVersion = 10 | 11 | 20;

/** Head of a request. */
export interface RequestHead {
  method: string;
  /** `http` or `https`. */
  scheme: string;
  /** `Host` or `:authority`, as received; empty where an HTTP/1.0 request has none. */
  authority: string;
  /** Path and query, starting with `/`; `*` for OPTIONS. */
  path: string;
  /** Token of an upgrade, `websocket`; empty otherwise. */
  protocol: string;
  version: HttpVersion;
  fields: Fields;
  /** Lower-case names of fields that must never enter an HPACK table (RFC 7541 section 6.2.3). */
  neverIndexed: readonly string[] | undefined;
  /** Value of content-length; -1 where it isn't stated. */
  contentLength: number;
}

/** Head of an answer, also of an informational one. */
export interface ResponseHead {
  status: number;
  fields: Fields;
  neverIndexed: readonly string[] | undefined;
  /** Value of content-length; -1 where it isn't stated. */
  contentLength: number;
}

/** Common to both directions: a message on its way out. */
export interface BodySender {
  /** `endStream` ends the message; an empty chunk with it is fine. */
  sendData(chunk: Uint8Array, endStream: boolean): void;
  /**
   * Ends the message. Where the version can't carry trailers (HTTP/1 without chunked) they are dropped. `neverIndexed` as
   * of a head.
   */
  sendTrailers(fields: Fields, neverIndexed?: readonly string[]): void;
  /** Body bytes that neither the kernel nor the HTTP/2 window has taken. */
  readonly bufferedBytes: number;
  /** Monotonic ms since when waiting bytes haven't moved; -1 while none wait. The send timeout looks at it. */
  readonly stalledSinceMs: number;
}

/** The sending half of a downstream stream: the session's side, used by proxy/. */
export interface ResponseSender extends BodySender {
  sendInformational(head: ResponseHead): void;
  sendHead(head: ResponseHead, endStream: boolean): void;
  /**
   * Ends the stream without a clean end: RST_STREAM with the code that fits `kind` (codec/h2/error-code.ts), or the
   * HTTP/1 connection is cut. Nothing is called back afterwards. `resetCode` is the code that an HTTP/2 upstream reset
   * its stream with: it is passed on as it is, except NO_ERROR. -1 or left out: none came.
   */
  abort(kind: ErrorKind, resetCode?: number): void;
  /** The request body: stop and go on. */
  pauseRequest(): void;
  resumeRequest(): void;
  /** Both ends of the connection, for X-Forwarded-For, hash keys and logs. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** The receiving half of a request: proxy/'s side, called by the downstream session. */
export interface RequestReceiver {
  onData(chunk: Uint8Array, endStream: boolean): void;
  onTrailers(fields: Fields, neverIndexed?: readonly string[]): void;
  /** The caller went away or broke the protocol; nothing follows and nothing may be sent. */
  onAbort(kind: ErrorKind): void;
  /** The response's bufferedBytes fell to LOW_WATER_BYTES after they had reached HIGH_WATER_BYTES. */
  onDrain(): void;
}

/**
 * Called by a downstream session for each request. May answer at once. `head` and its fields belong to the callee.
 */
export type RequestHandler = (head: RequestHead, endStream: boolean, sender: ResponseSender) => RequestReceiver;

/** The sending half of an upstream stream: the channel's side, used by proxy/. */
export interface RequestSender extends BodySender {
  /** Gives the stream up: RST_STREAM (CANCEL) in the same turn, or the HTTP/1 connection is closed. Nothing is called back. */
  abort(): void;
  /** The answer's body: stop and go on. */
  pauseResponse(): void;
  resumeResponse(): void;
  /** How far it got, as of now. */
  readonly progress: Progress;
}

/** The receiving half of an answer: proxy/'s side, called by the upstream channel. */
export interface ResponseReceiver {
  /** 100 to 199 except 101. */
  onInformational(head: ResponseHead): void;
  onHead(head: ResponseHead, endStream: boolean): void;
  onData(chunk: Uint8Array, endStream: boolean): void;
  onTrailers(fields: Fields, neverIndexed?: readonly string[]): void;
  /** The stream failed; `detail` is for logs. Nothing follows. `resetCode` is the HTTP/2 error code where one came, else -1. */
  onAbort(kind: ErrorKind, progress: Progress, detail: string, resetCode: number): void;
  /** The request's bufferedBytes fell to LOW_WATER_BYTES after they had reached HIGH_WATER_BYTES. */
  onDrain(): void;
}
