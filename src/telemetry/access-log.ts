// One line a request, after it has ended: `json`, or `text` in the layout that Envoy's access log has by default, so
// that tools which read one read the other. What is missing is `-` in text and left out in JSON. Guarded by
// `npm run bench -- micro access-log`.
import { isUtf8 } from 'node:buffer';
import { isoTime } from './iso-time.ts';

/** How lines look. */
export type AccessLogFormat = 'off' | 'json' | 'text';

/** One attempt of a request. */
export interface AttemptRecord {
  /** `ADDRESS:PORT`; undefined where no endpoint was picked. */
  readonly endpoint: string | undefined;
  /** HTTP status, or the kind of the failure. */
  readonly outcome: string;
  /** From its start to its end, ms. */
  readonly durationMs: number;
}

/** What is known of a request when it has ended. Strings from the wire are latin1, as they came. */
export interface AccessRecord {
  /** Start, ms since 1970. */
  readonly startWallMs: number;
  readonly method: string | undefined;
  readonly path: string | undefined;
  /** Downstream HTTP version: major times ten plus minor. */
  readonly version: 10 | 11 | 20 | undefined;
  readonly authority: string | undefined;
  /** HTTP status sent; undefined where the caller got none. */
  readonly status: number | undefined;
  /** gRPC status sent; undefined for other traffic. */
  readonly grpcStatus: number | undefined;
  /** Response flag (model/error-table.ts); `-` or undefined: none. */
  readonly flags: string | undefined;
  /** Body bytes from the caller. */
  readonly bytesReceived: number;
  /** Body bytes to the caller. */
  readonly bytesSent: number;
  /** From the request's head to the end of the answer, ms. */
  readonly durationMs: number;
  /** From the last attempt's start to the head of its answer, ms; undefined where none came. */
  readonly upstreamServiceMs: number | undefined;
  /** Address of the caller. */
  readonly remoteAddress: string | undefined;
  /** X-Forwarded-For as received. */
  readonly forwardedFor: string | undefined;
  readonly userAgent: string | undefined;
  readonly requestId: string | undefined;
  /** Route of the gateway, and name of the consumer; undefined where there is none. */
  readonly route?: string | undefined;
  readonly consumer?: string | undefined;
  /** `namespace/service`; undefined where none was found. */
  readonly upstream: string | undefined;
  readonly servicePort: number | undefined;
  /** `ADDRESS:PORT` of the last attempt. */
  readonly endpoint: string | undefined;
  /** All attempts in order; may be empty. */
  readonly attempts: readonly AttemptRecord[];
  /** The ErrorKind where the sidecar itself answered or cut. */
  readonly reason: string | undefined;
}

/** The line of a record, without line end; undefined for `off`. Never throws. */
export function formatAccess(format: AccessLogFormat, record: AccessRecord): string | undefined {
  if (format === 'off') return undefined;
  return format === 'json' ? jsonLine(record) : textLine(record);
}

function textLine(record: AccessRecord): string {
  return (
    `[${isoTime(record.startWallMs)}] "${quoted(record.method)} ${quoted(record.path)} ${protocol(record.version)}" ` +
    `${record.status ?? '-'} ${record.flags ?? '-'} ${whole(record.bytesReceived)} ${whole(record.bytesSent)} ` +
    `${whole(record.durationMs)} ${record.upstreamServiceMs === undefined ? '-' : whole(record.upstreamServiceMs)} ` +
    `"${quoted(record.forwardedFor)}" "${quoted(record.userAgent)}" "${quoted(record.requestId)}" ` +
    `"${quoted(record.authority)}" "${quoted(record.endpoint)}"`
  );
}

function jsonLine(record: AccessRecord): string {
  const flags = record.flags === '-' ? undefined : record.flags;
  // JSON.stringify leaves undefined members out and writes non-finite numbers as null.
  return JSON.stringify({
    start_time: isoTime(record.startWallMs),
    method: decoded(record.method),
    path: decoded(record.path),
    protocol: record.version === undefined ? undefined : protocol(record.version),
    authority: decoded(record.authority),
    status: record.status,
    grpc_status: record.grpcStatus,
    flags,
    reason: record.reason,
    bytes_received: record.bytesReceived,
    bytes_sent: record.bytesSent,
    duration_ms: rounded(record.durationMs),
    upstream_service_ms: record.upstreamServiceMs === undefined ? undefined : rounded(record.upstreamServiceMs),
    remote_address: record.remoteAddress,
    forwarded_for: decoded(record.forwardedFor),
    user_agent: decoded(record.userAgent),
    request_id: decoded(record.requestId),
    route: record.route,
    consumer: record.consumer,
    upstream: record.upstream,
    port: record.servicePort,
    endpoint: record.endpoint,
    attempts: record.attempts.map((attempt) => ({
      endpoint: attempt.endpoint,
      outcome: attempt.outcome,
      duration_ms: rounded(attempt.durationMs),
    })),
  });
}

function protocol(version: 10 | 11 | 20 | undefined): string {
  if (version === undefined) return '-';
  if (version === 20) return 'HTTP/2';
  return version === 11 ? 'HTTP/1.1' : 'HTTP/1.0';
}

function whole(value: number): number | '-' {
  return Number.isFinite(value) ? Math.round(value) : '-';
}

function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}

// oxlint-disable-next-line no-control-regex
const UNSAFE = /["\\\x00-\x1f\x7f-\uffff]/g;

function quoted(value: string | undefined): string {
  if (value === undefined || value === '') return '-';
  return value.replaceAll(UNSAFE, escaped);
}

function escaped(character: string): string {
  if (character === '"' || character === '\\') return `\\${character}`;
  const code = character.charCodeAt(0);
  return code > 0xff ? `\\u${code.toString(16).padStart(4, '0')}` : `\\x${code.toString(16).padStart(2, '0')}`;
}

const NOT_ASCII = /[\x80-\xff]/;

/** Bytes that are UTF-8 read as such; others stay one character a byte. */
function decoded(value: string | undefined): string | undefined {
  if (value === undefined || !NOT_ASCII.test(value)) return value;
  const bytes = Buffer.from(value, 'latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : value;
}
