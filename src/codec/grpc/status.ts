// gRPC's status in HTTP's terms and back, and the fields that carry it ("PROTOCOL-HTTP2" and "http-grpc-status-mapping").
import { CANCEL, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY, REFUSED_STREAM } from '../h2/error-code.ts';

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

/** HTTP status by gRPC status (Envoy's table for statistics and outlier detection). */
const HTTP_STATUS = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];

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

/** What a gRPC client makes of a stream that was reset with an HTTP/2 error code ("PROTOCOL-HTTP2", Errors). */
export function resetToGrpcStatus(errorCode: number): number {
  switch (errorCode) {
    case REFUSED_STREAM:
      return GrpcStatus.UNAVAILABLE;
    case CANCEL:
      return GrpcStatus.CANCELLED;
    case ENHANCE_YOUR_CALM:
      return GrpcStatus.RESOURCE_EXHAUSTED;
    case INADEQUATE_SECURITY:
      return GrpcStatus.PERMISSION_DENIED;
    default:
      return GrpcStatus.INTERNAL;
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
  return value === 'application/grpc' || GRPC.test(value);
}
const GRPC = /^application\/grpc(\+|[ \t]*(;|$))/i;

/**
 * Percent-encodes a message for grpc-message: UTF-8, with all but printable ASCII, and `%`, as %XX. So is a space at
 * either end, which a field's value can't have (RFC 9113 section 8.2.1).
 */
export function encodeGrpcMessage(text: string): string {
  if (PLAIN.test(text)) return text;
  const bytes = Buffer.from(text, 'utf8');
  const last = bytes.length - 1;
  let encoded = '';
  for (let i = 0; i <= last; i++) {
    const byte = bytes[i]!;
    const plain = (byte > 0x20 && byte <= 0x7e && byte !== 0x25) || (byte === 0x20 && i > 0 && i < last);
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}
const PLAIN = /^(?! )[ -$&-~]*(?<! )$/;
