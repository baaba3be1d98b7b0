import type { Indexing } from './hpack/encoder.ts';

const BY_NAME = new Map<string, Indexing>();

function all(indexing: Indexing, names: string): void {
  for (const name of names.split(' ')) BY_NAME.set(name, indexing);
}

// Of one HTTP/1 connection, or said by :authority (RFC 9113 sections 8.2.2 and 8.3.1).
all('skip', 'connection keep-alive proxy-connection transfer-encoding upgrade http2-settings host');
all('te', 'te');
// Short secrets can be guessed through a shared table (RFC 7541 section 7.1.3).
all('never_if_short', 'authorization proxy-authorization cookie set-cookie x-api-key');
// Different in nearly every message: they would only push out what repeats.
all('plain', 'content-length date age etag last-modified expires if-none-match if-modified-since range content-range');
all('plain', 'location referer x-request-id traceparent tracestate b3 x-b3-traceid x-b3-spanid x-b3-parentspanid');
all('plain', 'grpc-timeout grpc-message grpc-status-details-bin grpc-trace-bin grpc-tags-bin');
all('plain', 'x-envoy-upstream-service-time x-envoy-expected-rq-timeout-ms x-response-time server-timing');

/** How this program writes HTTP/2 fields; for HpackEncoder. */
export function httpIndexing(name: string): Indexing {
  return BY_NAME.get(name) ?? 'index';
}
