// gRPC's status in HTTP's terms and back, and the fields that carry it ("PROTOCOL-HTTP2" and "http-grpc-status-mapping").

/** gRPC status codes. */
export const GrpcStatus = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

const NAMES: readonly string[] = Object.keys(GrpcStatus);

/** HTTP status by gRPC status (Envoy's table for statistics and outlier detection). */
const HTTP_STATUS = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];

/** `UNAVAILABLE`; a code without a name is given as its number. */
export function grpcStatusName(code: number): string {
  return NAMES[code] ?? String(code);
}

/** Value of a grpc-status field; undefined if it is no non-negative decimal number of at most nine digits. */
export function parseGrpcStatus(text: string): number | undefined {
  return /^[0-9]{1,9}$/.test(text) ? Number(text) : undefined;
}

/** What a gRPC client makes of an answer that has no grpc-status. */
export function httpToGrpcStatus(httpStatus: number): number {
  switch (httpStatus) {
    case 400:
      return GrpcStatus.INTERNAL;
    case 401:
      return GrpcStatus.UNAUTHENTICATED;
    case 403:
      return GrpcStatus.PERMISSION_DENIED;
    case 404:
      return GrpcStatus.UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
      return GrpcStatus.UNAVAILABLE;
    default:
      return GrpcStatus.UNKNOWN;
  }
}

/** The HTTP status that stands for a gRPC status in statistics and health evidence; 500 for codes that gRPC doesn't know. */
export function grpcToHttpStatus(grpcStatus: number): number {
  return HTTP_STATUS[grpcStatus] ?? 500;
}

/**
 * The one status of a complete answer, for health evidence and statistics: that of its grpc-status where the HTTP status
 * is 200 and a grpc-status came, else the HTTP status.
 */
export function answerStatus(httpStatus: number, grpcStatus: number | undefined): number {
  return httpStatus === 200 && grpcStatus !== undefined ? grpcToHttpStatus(grpcStatus) : httpStatus;
}

/**
 * Whether a content-type is gRPC's: `application/grpc`, alone or followed by `+codec` or by parameters. gRPC-Web
 * (`application/grpc-web`) is another protocol. Media types don't care about case (RFC 9110 section 8.3.1).
 */
export function isGrpcContentType(value: string): boolean {
  if (value === 'application/grpc') return true;
  if (value.length < GRPC.length || value.slice(0, GRPC.length).toLowerCase() !== GRPC) return false;
  const next = value.slice(GRPC.length).trimStart();
  return next === '' || next.startsWith(';') || value.charAt(GRPC.length) === '+';
}
const GRPC = 'application/grpc';

/** Percent-encodes a message for grpc-message: UTF-8, with all but printable ASCII, and `%`, as %XX. */
export function encodeGrpcMessage(text: string): string {
  if (PLAIN.test(text)) return text;
  let encoded = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}
const PLAIN = /^[ -$&-~]*$/;

/**
 * Reads a grpc-message. The protocol forbids losing a message over bad encoding: a `%` without two hex digits stays as it
 * is, bytes that aren't UTF-8 become U+FFFD. `value` is a latin1 string, as fields are.
 */
export function decodeGrpcMessage(value: string): string {
  if (PLAIN.test(value)) return value;
  const bytes = value.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
