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
  /**
   * Bytes of trailers; 431, or a broken answer. Those of an answer over HTTP/2, where gRPC's status details stand, may be as
   * large as its head.
   */
  readonly trailerBytes: number;
  /** Fields of trailers. */
  readonly trailerFields: number;
  /** Bytes of chunk extensions in one message (they are dropped); 413 beyond, as Node answers. */
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
  /**
   * A request body of which nothing comes for so long, before the answer's head, ends in 408, ms. Not for gRPC, whose
   * streams may rest.
   */
  readonly requestIdleMs: number;
  /**
   * A caller that takes no byte of its answer for so long loses it, ms; of a gRPC call only once the whole answer waits
   * here (Envoy's `stream_flush_timeout`).
   */
  readonly flushMs: number;
  /** Requests of a downstream connection; then it is drained. */
  readonly requestsPerConnection: number;
  /** Age at which a downstream connection is drained, ms, give or take a tenth so that they don't leave together. */
  readonly connectionAgeMs: number;
  /** Downstream connections, as a share of the process's file descriptors; one more is answered 503 and closed. */
  readonly connectionShare: number;
  /**
   * Bytes that wait to be written on an HTTP/2 connection before no more is read from it; a head or trailers that find four
   * times as much end their stream.
   */
  readonly writeBufferBytes: number;
  /** Streams of an HTTP/2 connection at once. */
  readonly concurrentStreams: number;
  /**
   * HTTP/2 window of a stream, bytes. Not a power of two: bodies often are, and Node's http2 server resets a stream
   * (NO_ERROR) whose window is used up by the last byte, where it should end it. Up to eight times as much, and an odd
   * number, where the receiver keeps up; all streams of a connection share a quarter of `connectionHeldBytes` for that.
   */
  readonly streamWindowBytes: number;
  /** HTTP/2 window of a connection, bytes. */
  readonly connectionWindowBytes: number;
  /** Body bytes that one HTTP/2 connection may have received and not yet passed on before its window is held back. */
  readonly connectionHeldBytes: number;
  /**
   * Decoded header bytes that the unfinished streams of one connection may hold beyond `streamHeaderBytes` each: what is
   * spelled out, and 32 for each field; entries of the HPACK tables are shared and count as 32. One more is refused.
   */
  readonly connectionHeaderBytes: number;
  /** Decoded header bytes of a stream that don't count: an ordinary head. */
  readonly streamHeaderBytes: number;
  /** HPACK dynamic table, both ways, bytes. */
  readonly hpackTableBytes: number;
  /** CONTINUATION frames of one header block. */
  readonly continuationFrames: number;
  /** Resets by the peer: size of the bucket. */
  readonly resetBurst: number;
  /** Resets by the peer: refill per second. */
  readonly resetPerSecond: number;
  /** Control frames (PING, SETTINGS, unknown…) that traffic doesn't earn: size of the bucket. */
  readonly controlBurst: number;
  /** The same: refill per second. */
  readonly controlPerSecond: number;
  /** Replies to control frames that wait to be written before the peer is cut. */
  readonly controlQueueFrames: number;
  /** PRIORITY frames that a stream earns (Envoy's figure). */
  readonly priorityPerStream: number;
  /** WINDOW_UPDATE frames that a DATA frame earns (Envoy's figure). */
  readonly windowUpdatesPerData: number;
  /** DATA frames without a byte and without END_STREAM in a row. */
  readonly emptyDataFrames: number;
  /** Framing bytes of small DATA frames beyond what their payload and large frames earn (as hyperium/h2). */
  readonly tinyDataBytes: number;
  /** With streams in flight and no byte from the upstream for so long, a PING asks whether it lives, ms. */
  readonly pingAfterMs: number;
  /** Further PINGs of the same silence come no sooner than this, ms: grpc servers count more as strikes (gRFC A8). */
  readonly pingAgainMs: number;
  /** Time for the answer to a PING, ms. */
  readonly pingAckMs: number;
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
  requestIdleMs: 30_000,
  flushMs: 30_000,
  requestsPerConnection: 1_000_000,
  connectionAgeMs: 3_600_000,
  connectionShare: 0.45,
  writeBufferBytes: 1024 * 1024,
  concurrentStreams: 1024,
  streamWindowBytes: 65_535,
  connectionWindowBytes: 1024 * 1024,
  connectionHeldBytes: 8 * 1024 * 1024,
  connectionHeaderBytes: 256 * 1024,
  streamHeaderBytes: 512,
  hpackTableBytes: 4096,
  continuationFrames: 8,
  resetBurst: 500,
  resetPerSecond: 33,
  controlBurst: 500,
  controlPerSecond: 500,
  controlQueueFrames: 100,
  priorityPerStream: 100,
  windowUpdatesPerData: 10,
  emptyDataFrames: 10,
  tinyDataBytes: 25_600,
  pingAfterMs: 20_000,
  pingAgainMs: 310_000,
  pingAckMs: 20_000,
  settingsAckMs: 10_000,
};
