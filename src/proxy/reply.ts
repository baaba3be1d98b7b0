// Answers that the sidecar makes itself: an HTTP answer for an HTTP caller, a Trailers-Only gRPC answer for a gRPC
// caller, from one table. Each carries `x-outrigger-reason`.
import type { ErrorKind } from '../base/error.ts';
import type { Fields, ResponseHead, ResponseSender } from '../codec/exchange.ts';
import { encodeGrpcMessage } from '../codec/grpc/status.ts';
import { ERROR_TABLE } from '../model/error-table.ts';

/** Field that says why the sidecar answered itself; its value is an {@link ErrorKind}. */
export const REASON_FIELD = 'x-outrigger-reason';

/** What of an answer is said by its maker. */
export interface OwnReply {
  /** gRPC status; -1 or left out: that of the kind. */
  readonly grpcStatus?: number;
  /** HTTP status; 0 or left out: that of the kind. */
  readonly status?: number;
  /** Takes the place of the text for HTTP callers. */
  readonly json?: string | undefined;
  /** Further fields, flat. */
  readonly more?: Fields;
}

/** What was sent, for the log. */
export interface SentReply {
  readonly status: number;
  readonly bodyBytes: number;
}

/** Sends the answer for `kind`. `detail` goes into the text. HEAD gets no body. */
export function sendReply(
  sender: ResponseSender,
  kind: ErrorKind,
  detail: string,
  caller: OwnReply & { readonly isGrpc: boolean; readonly isHead: boolean },
): SentReply {
  const entry = ERROR_TABLE[kind];
  const text = detail === '' ? entry.text : `${entry.text}: ${detail}`;
  if (caller.isGrpc) {
    sender.sendHead(
      head(200, [
        'content-type',
        'application/grpc',
        'grpc-status',
        String(caller.grpcStatus === undefined || caller.grpcStatus < 0 ? entry.grpcStatus : caller.grpcStatus),
        'grpc-message',
        encodeGrpcMessage(text),
        REASON_FIELD,
        kind,
        ...(caller.more ?? []),
      ]),
      true,
    );
    return { status: 200, bodyBytes: 0 };
  }
  const { json } = caller;
  const status = caller.status === undefined || caller.status === 0 ? entry.httpStatus : caller.status;
  // RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5: these have no content.
  const isEmpty = status === 204 || status === 205 || status === 304;
  const body = Buffer.from(isEmpty ? '' : (json ?? text + '\n'), 'utf8');
  sender.sendHead(
    head(
      status,
      [
        'content-type',
        json === undefined ? 'text/plain; charset=utf-8' : 'application/json',
        ...(isEmpty ? [] : ['content-length', String(body.length)]),
        REASON_FIELD,
        kind,
        ...(caller.more ?? []),
      ],
      isEmpty ? -1 : body.length,
    ),
    caller.isHead || isEmpty,
  );
  if (caller.isHead || isEmpty) return { status, bodyBytes: 0 };
  sender.sendData(body, true);
  return { status, bodyBytes: body.length };
}

function head(status: number, fields: Fields, contentLength = -1): ResponseHead {
  return { status, fields, neverIndexed: undefined, contentLength };
}
