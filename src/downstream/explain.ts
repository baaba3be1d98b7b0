// What a session would make of a request that nobody has sent: written as a caller writes it, and read by the codec's own
// readers under the limits of the wire. Nothing is counted. h1-session.ts and h2-session.ts are what this foretells.
import type { RequestHead } from '../codec/exchange.ts';
import { Fault, malformed } from '../codec/h1/fault.ts';
import { RequestParser } from '../codec/h1/request-parser.ts';
import { ENTRY_OVERHEAD } from '../codec/h2/hpack/dynamic-table.ts';
import { readRequestHead } from '../codec/h2/request-head.ts';
import type { WireLimits } from '../codec/limits.ts';

/** A request as somebody would write it: text, which goes out as UTF-8. */
export interface WrittenRequest {
  /** It comes over HTTP/2; else over HTTP/1.1. */
  readonly http2: boolean;
  /** Of the listener. */
  readonly scheme: 'http' | 'https';
  readonly method: string;
  /** Path with query. */
  readonly path: string;
  /** `Host` or `:authority`. */
  readonly authority: string;
  /** Flat list of names in lower case and values. */
  readonly fields: readonly string[];
}

const LINE_BREAK = malformed('a CR or LF within a line');

/** The head that the proxy would get to see, in latin1 as heads are; or why the session would refuse it. */
export function foreseeHead(request: WrittenRequest, limits: WireLimits): RequestHead | Fault {
  return request.http2 ? overHttp2(request, limits) : overHttp1(request, limits);
}

function overHttp1(request: WrittenRequest, limits: WireLimits): RequestHead | Fault {
  const { method, path, authority, fields, scheme } = request;
  // On the wire it would be two lines, so another request than the one that is meant.
  if ([method, path, authority, ...fields].some((text) => /[\r\n]/.test(text))) return LINE_BREAK;
  let head = `${method} ${path} HTTP/1.1\r\nHost: ${authority}\r\n`;
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
  const bytes = Buffer.from(`${head}\r\n`, 'utf8');
  const read: RequestHead[] = [];
  const parser = new RequestParser(limits, scheme, {
    stopped: false,
    onRequestHead: (one) => read.push(one),
    onData: () => undefined,
    onTrailers: () => undefined,
  });
  parser.execute(bytes, 0, bytes.length);
  return parser.fault ?? read[0] ?? malformed('it is no whole head');
}

function overHttp2(request: WrittenRequest, limits: WireLimits): RequestHead | Fault {
  const { method, path, authority, fields, scheme } = request;
  const target = method === 'CONNECT' ? [] : [':scheme', scheme, ':path', path];
  const items = [':method', method, ':authority', authority, ...target, ...fields].map(toLatin1);
  let bytes = 0;
  for (const text of items) bytes += text.length + ENTRY_OVERHEAD / 2;
  if (bytes > limits.requestHeadBytes) {
    return new Fault(
      'headers_too_large',
      `more than ${limits.requestHeadBytes} bytes, with ${ENTRY_OVERHEAD} for each field`,
    );
  }
  const decoded = { items, length: items.length, neverIndexed: undefined, tooLarge: false, heldBytes: bytes };
  const read = readRequestHead(decoded, scheme);
  if (typeof read === 'string') return malformed(read);
  if (read.fieldCount > limits.headFields) {
    return new Fault('headers_too_large', `more than ${limits.headFields} fields`);
  }
  if (read.namesNoMethod) return malformed(':path names no method');
  if (read.isConnect || read.head.method === 'TRACE') {
    return new Fault('method_not_allowed', `${read.head.method} is not served`);
  }
  if (read.head.path.length > limits.requestLineBytes) {
    return new Fault('uri_too_long', `a path of more than ${limits.requestLineBytes} bytes`);
  }
  return read.head;
}

function toLatin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
