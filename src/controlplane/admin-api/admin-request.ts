import type { IncomingHttpHeaders } from 'node:http';

/** A request of the Admin API, its body read. */
export interface AdminRequest {
  readonly method: string;
  /** Without the query, decoded. */
  readonly segments: readonly string[];
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly body: Uint8Array;
}
