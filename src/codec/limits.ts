// Every limit of the wire, with unit and reason. Upstream's own fields rule timeouts, retries and pools (model/defaults.ts).

/** Limits that sessions and channels keep to. All have safe defaults. */
export interface WireLimits {
  /** Bytes of a request head, names, values and separators; 431 beyond. nginx and Node take 8 to 32 KiB. */
  readonly requestHeadBytes: number;
  /** Bytes of an answer's head; 502 beyond. */
  readonly responseHeadBytes: number;
  /** Fields of a head, each cookie crumb counted; 431 beyond. Envoy's figure. */
  readonly headFields: number;
  /** Bytes of an HTTP/1 request line; 414 beyond. */
  readonly requestLineBytes: number;
  /** Bytes of trailers. */
  readonly trailerBytes: number;
  /** Fields of trailers. */
  readonly trailerFields: number;
  /** Bytes of chunk extensions in one message (they are dropped). */
  readonly chunkExtensionBytes: number;
  /** Informational heads of one answer; 502 beyond. */
  readonly informationalHeads: number;
  /** Pipelined requests that wait behind the one being answered are not read: bytes of them held. */
  readonly pipelinedBytes: number;
  /** Time from the first byte of a head to its end, ms; 408. */
  readonly headTimeMs: number;
  /** Time from the first byte of a TLS handshake to its end, ms. */
  readonly handshakeMs: number;
  /** A connection without any request is closed after, ms. */
  readonly firstRequestMs: number;
  /** A connection between two requests is closed after, ms. */
  readonly idleMs: number;
  /** Streams of an HTTP/2 connection at once. */
  readonly concurrentStreams: number;
  /**
   * HTTP/2 window of a stream, bytes. Not a power of two: bodies often are, and Node's http2 server resets a stream
   * (NO_ERROR) whose window is used up by the last byte, where it should end it.
   */
  readonly streamWindowBytes: number;
  /** HTTP/2 window of a connection, bytes. */
  readonly connectionWindowBytes: number;
  /** Body bytes that one HTTP/2 connection may have received and not yet passed on before its window is held back. */
  readonly connectionHeldBytes: number;
  /** HPACK dynamic table, both ways, bytes. */
  readonly hpackTableBytes: number;
  /** CONTINUATION frames of one header block. */
  readonly continuationFrames: number;
  /** Resets by the peer: size of the bucket. */
  readonly resetBurst: number;
  /** Resets by the peer: refill per second. */
  readonly resetPerSecond: number;
  /** Control frames (PING, SETTINGS, PRIORITY, unknown…) that may be answered or ignored per second beyond a burst of the same size. */
  readonly controlFramesPerSecond: number;
  /** Bytes of control frames waiting to be written before the peer is cut. */
  readonly controlQueueFrames: number;
  /** DATA frames without a byte and without END_STREAM in a row. */
  readonly emptyDataFrames: number;
  /** Time for the peer to acknowledge SETTINGS, ms. */
  readonly settingsAckMs: number;
}

export const DEFAULT_LIMITS: WireLimits = {
  requestHeadBytes: 16 * 1024,
  responseHeadBytes: 32 * 1024,
  headFields: 100,
  requestLineBytes: 8 * 1024,
  trailerBytes: 8 * 1024,
  trailerFields: 32,
  chunkExtensionBytes: 1024,
  informationalHeads: 10,
  pipelinedBytes: 64 * 1024,
  headTimeMs: 10_000,
  handshakeMs: 10_000,
  firstRequestMs: 10_000,
  idleMs: 60_000,
  concurrentStreams: 1024,
  streamWindowBytes: 65_535,
  connectionWindowBytes: 1024 * 1024,
  connectionHeldBytes: 8 * 1024 * 1024,
  hpackTableBytes: 4096,
  continuationFrames: 8,
  resetBurst: 500,
  resetPerSecond: 33,
  controlFramesPerSecond: 1000,
  controlQueueFrames: 100,
  emptyDataFrames: 10,
  settingsAckMs: 10_000,
};
