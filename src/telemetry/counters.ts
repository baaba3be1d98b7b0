// What the hot path counts for the whole process: two 32-bit words a counter in one typed array, so that worker threads
// can share them later. Nothing here allocates; names and labels are put to the cells only when somebody scrapes
// (telemetry/prometheus.ts). Numbers of a single upstream port or endpoint stand in model/cells.ts. Guarded by
// `npm run bench -- micro counters`.
import type { ErrorKind } from '../base/error.ts';
import { ERROR_TABLE } from '../model/error-table.ts';

/** Index of each counter, for {@link Counters.count} and {@link Counters.add}. */
export const CounterCell = {
  /** Downstream connections that began to speak HTTP/1, HTTP/2, and those of them that ended. */
  Http1Opened: 0,
  Http1Closed: 1,
  Http2Opened: 2,
  Http2Closed: 3,
  /** Downstream connections that were closed before they spoke: too many of them, or a drain. */
  ConnectionsRefused: 4,
  /** Requests handed to the proxy, by version. */
  RequestsHttp10: 5,
  RequestsHttp11: 6,
  RequestsHttp2: 7,
  /** Final answers to the caller, by class of their HTTP status. 101 counts as 1xx. */
  Responses1xx: 8,
  Responses2xx: 9,
  Responses3xx: 10,
  Responses4xx: 11,
  Responses5xx: 12,
  /** gRPC answers whose status was OK, and all others. */
  GrpcOk: 13,
  GrpcFailed: 14,
  /** Requests and connections that a session refused before the proxy saw them. */
  SessionRefused: 15,
  /** Streams reset by the caller, and requests whose connection broke. */
  DownstreamResets: 16,
  /** Attempts that ended in a reset or a broken connection. */
  UpstreamResets: 17,
  /** Body and head bytes. */
  DownstreamBytesReceived: 18,
  DownstreamBytesSent: 19,
  UpstreamBytesReceived: 20,
  UpstreamBytesSent: 21,
  /** Upstream connections that were opened, that ended, and tries to open one that failed. */
  UpstreamOpened: 22,
  UpstreamClosed: 23,
  UpstreamConnectFailed: 24,
  /** TLS handshakes with callers: complete ones that were full, that resumed a session, and those that failed. */
  DownstreamHandshakes: 25,
  DownstreamHandshakesResumed: 26,
  DownstreamHandshakesFailed: 27,
  /** The same with endpoints. */
  UpstreamHandshakes: 28,
  UpstreamHandshakesResumed: 29,
  UpstreamHandshakesFailed: 30,
} as const;

const FIRST_LOCAL_REPLY = 32;

/** Every ErrorKind, in the order of the error table. */
export const ERROR_KINDS = Object.keys(ERROR_TABLE) as readonly ErrorKind[];

/** Index of the counter of answers (and cuts) that the sidecar itself made, by kind. */
export const LOCAL_REPLY_CELL: Readonly<Record<ErrorKind, number>> = Object.fromEntries(
  ERROR_KINDS.map((kind, position) => [kind, FIRST_LOCAL_REPLY + position]),
) as Record<ErrorKind, number>;

/** Index of the counter of a request's version (major times ten plus minor). */
export function requestCell(version: 10 | 11 | 20): number {
  if (version === 20) return CounterCell.RequestsHttp2;
  return version === 11 ? CounterCell.RequestsHttp11 : CounterCell.RequestsHttp10;
}

/** Index of the counter of a status's class; a status out of 100 to 599 counts as 5xx. */
export function responseCell(status: number): number {
  const responseClass = status >= 100 && status < 600 ? (status / 100) | 0 : 5;
  return CounterCell.Responses1xx - 1 + responseClass;
}

/** The process's counters. One instance, made by app.ts. */
export class Counters {
  readonly words = new Int32Array(2 * (FIRST_LOCAL_REPLY + ERROR_KINDS.length));

  /** Adds one. */
  count(cell: number): void {
    const at = cell * 2;
    if ((this.words[at] = (this.words[at]! + 1) | 0) === 0) this.words[at + 1]!++;
  }

  /** Adds `amount`, an integer from 0 to 2^31 - 1. */
  add(cell: number, amount: number): void {
    const at = cell * 2;
    const low = (this.words[at]! >>> 0) + amount;
    this.words[at] = low | 0;
    if (low > 0xffffffff) this.words[at + 1]!++;
  }

  /** Reads a counter, exactly up to 2^53. */
  total(cell: number): number {
    const at = cell * 2;
    return (this.words[at]! >>> 0) + this.words[at + 1]! * 4294967296;
  }
}
