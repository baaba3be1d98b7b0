// What an endpoint answers to a gRPC call, and the gRPC form of what isn't gRPC.
import type { ResponseHead } from '../codec/exchange.ts';
import { findField } from '../codec/fields.ts';
import { encodeGrpcMessage, isGrpcContentType } from '../codec/grpc/status.ts';

/**
 * Whether a head answers in gRPC: HTTP 200 with gRPC's content-type, or a grpc-status whatever else it says. An answer
 * without trailers stays one: that is for the caller to see.
 */
export function isGrpcAnswer({ status, fields }: ResponseHead): boolean {
  if (status === 200 && isGrpcContentType(findField(fields, 'content-type') ?? '')) return true;
  return findField(fields, 'grpc-status') !== undefined;
}

/** Fields that speak of the body, which isn't passed on. */
const OF_THE_BODY: ReadonlySet<string> = new Set([
  'content-type',
  'content-length',
  'content-encoding',
  'grpc-message',
]);

/** A Trailers-Only head with `grpcStatus` in place of `head`; other fields are kept. */
export function grpcForm({ status, fields, neverIndexed }: ResponseHead, grpcStatus: number): ResponseHead {
  const kept = ['content-type', 'application/grpc'];
  for (let i = 0; i < fields.length; i += 2) {
    if (!OF_THE_BODY.has(fields[i]!.toLowerCase())) kept.push(fields[i]!, fields[i + 1]!);
  }
  const type = findField(fields, 'content-type');
  const text = `HTTP ${status} from the upstream, ${type === undefined ? 'without content-type' : `content-type ${type}`}`;
  kept.push('grpc-status', String(grpcStatus), 'grpc-message', encodeGrpcMessage(text));
  return { status: 200, fields: kept, neverIndexed, contentLength: -1 };
}
