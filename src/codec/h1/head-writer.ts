// Heads out. One string per head and one latin1 write: measured at 0.27 µs for ten fields, where a write per piece
// costs 0.62. Only the writer decides framing and Connection, so such fields of the caller never pass. Guarded by
// `npm run bench -- micro head-write`.
import type { ByteSink } from '../../base/byte-sink.ts';
import type { Fields, HttpVersion, RequestHead, ResponseHead } from '../exchange.ts';
import * as name from './field-name.ts';
import { CHUNKED, type Framing, NO_BODY, SIZED, UNTIL_CLOSE } from './framing.ts';
import { statusLine } from './reason-phrase.ts';

/** How the body of a request will be framed. `endStream`: there is none. */
export function requestFraming(head: RequestHead, endStream: boolean): Framing {
  if (head.contentLength >= 0) return head.contentLength > 0 || !endStream ? SIZED : NO_BODY;
  return endStream ? NO_BODY : CHUNKED;
}

/**
 * Writes a request head for the upstream: Host first, then the fields in their order. `framing` is
 * {@link requestFraming}'s. A method that normally has a body says `content-length: 0` where it has none (RFC 9110
 * section 8.6).
 */
export function writeRequestHead(sink: ByteSink, head: RequestHead, framing: Framing): void {
  const { fields, method } = head;
  let out = `${method} ${head.path} HTTP/1.1\r\nHost: ${head.authority}\r\n`;
  let hasLength = false;
  let acceptsTrailers = false;
  let cookie = '';
  for (let i = 0; i < fields.length; i += 2) {
    const fieldName = fields[i]!;
    const id = name.identify(fieldName);
    if (id !== name.PLAIN) {
      if (id === name.CONTENT_LENGTH) {
        if (hasLength || head.contentLength < 0) continue;
        hasLength = true;
        out += `${fieldName}: ${head.contentLength}\r\n`; // the number that frames the body, however it was spelled
        continue;
      } else if (id === name.TE) {
        if (acceptsTrailers || head.protocol !== '') continue; // a tunnel has none
        acceptsTrailers = true;
        out += `${fieldName}: trailers\r\nConnection: te\r\n`;
        continue;
      } else if (id === name.COOKIE && head.version === 20) {
        // Crumbs of one cookie are one field again outside HTTP/2 (RFC 9113 section 8.2.3).
        cookie += cookie === '' ? fields[i + 1]! : `; ${fields[i + 1]!}`;
        continue;
      } else if (id !== name.EXPECT && id !== name.COOKIE) continue;
    }
    out += `${fieldName}: ${fields[i + 1]!}\r\n`;
  }
  if (cookie !== '') out += `cookie: ${cookie}\r\n`;
  if (head.protocol !== '') out += `Connection: Upgrade\r\nUpgrade: ${head.protocol}\r\n`;
  if (framing === CHUNKED) out += 'Transfer-Encoding: chunked\r\n';
  else if (!hasLength && head.contentLength >= 0) out += `Content-Length: ${head.contentLength}\r\n`;
  else if (!hasLength && (method === 'POST' || method === 'PUT' || method === 'PATCH')) out += 'Content-Length: 0\r\n';
  sink.writeLatin1(`${out}\r\n`);
}

const UNWRITABLE_TARGET = /[^\x21-\x7e]/;
const UNWRITABLE_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

const MAX_CHECKED = 128; // strings
const MAX_CHECKED_LETTERS = 256;
/** Fields of heads that could be written, by position: most fields come again where they stood in the head before. */
const checked: string[] = [];

/**
 * Whether `head` can be written as HTTP/1.1 without meaning something else there: no white space or control character
 * in the request line, none but HTAB in values. Heads that came over HTTP/1 had their fields checked on the way in.
 */
export function isWritable(head: RequestHead): boolean {
  if (UNWRITABLE_TARGET.test(head.path) || UNWRITABLE_TARGET.test(head.authority)) return false;
  if (head.path === '' || !FIELD_NAME.test(head.method)) return false;
  if (head.version !== 20) return true;
  const { fields } = head;
  for (let i = 0; i < fields.length; i += 2) {
    const fieldName = fields[i]!;
    const value = fields[i + 1]!;
    const isKnown = checked[i] === fieldName;
    if (isKnown && checked[i + 1] === value) continue;
    if ((!isKnown && !FIELD_NAME.test(fieldName)) || UNWRITABLE_VALUE.test(value)) return false;
    if (i > checked.length || i >= MAX_CHECKED || fieldName.length + value.length > MAX_CHECKED_LETTERS) continue;
    checked[i] = fieldName;
    checked[i + 1] = value;
  }
  return true;
}

/** How the body of an answer will be framed for a caller of `version`. `toHead`: the request's method was HEAD. */
export function responseFraming(
  head: ResponseHead,
  endStream: boolean,
  toHead: boolean,
  version: HttpVersion,
): Framing {
  if (head.status === 101) return UNTIL_CLOSE;
  if (toHead || head.status === 204 || head.status === 304) return NO_BODY;
  if (head.contentLength >= 0 || endStream) return SIZED;
  return version === 11 ? CHUNKED : UNTIL_CLOSE;
}

/** What the Connection field says: nothing, `close`, `keep-alive` to an HTTP/1.0 caller, or the upgrade of a 101. */
export type ConnectionOption = '' | 'close' | 'keep-alive' | 'Upgrade';

/** Writes the head of an answer; `framing` is {@link responseFraming}'s. Informational heads: NO_BODY. */
export function writeResponseHead(
  sink: ByteSink,
  head: ResponseHead,
  framing: Framing,
  connection: ConnectionOption,
): void {
  const { fields, contentLength, status } = head;
  let out = statusLine(status);
  // A 204 or informational answer has no length (RFC 9110 section 8.6); to HEAD and in a 304 it is the length a GET would have.
  const mayHaveLength = contentLength >= 0 && status >= 200 && status !== 204;
  let hasLength = !mayHaveLength;
  for (let i = 0; i < fields.length; i += 2) {
    const fieldName = fields[i]!;
    switch (name.identify(fieldName)) {
      case name.CONTENT_LENGTH:
        if (hasLength) continue;
        hasLength = true;
        out += `${fieldName}: ${contentLength}\r\n`;
        continue;
      case name.CONNECTION:
      case name.KEEP_ALIVE:
      case name.PROXY_CONNECTION:
      case name.TRANSFER_ENCODING:
      case name.UPGRADE:
        continue;
      default:
        break;
    }
    out += `${fieldName}: ${fields[i + 1]!}\r\n`;
  }
  if (framing === CHUNKED) out += 'Transfer-Encoding: chunked\r\n';
  else if (!hasLength) out += `Content-Length: ${contentLength}\r\n`;
  else if (framing === SIZED && contentLength < 0) out += 'Content-Length: 0\r\n';
  if (connection !== '') out += `Connection: ${connection}\r\n`;
  if (connection === 'Upgrade') out += 'Upgrade: websocket\r\n'; // the only one there is
  sink.writeLatin1(`${out}\r\n`);
}

/** Writes one chunk; `chunk` isn't empty, since an empty one would end the body. */
export function writeChunk(sink: ByteSink, chunk: Uint8Array): void {
  const length = chunk.length;
  sink.writeLatin1(length < SIZE_LINES.length ? SIZE_LINES[length]! : `${length.toString(16)}\r\n`);
  sink.write(chunk);
  sink.ensure(2);
  sink.buffer[sink.length++] = 0x0d;
  sink.buffer[sink.length++] = 0x0a;
}

const SIZE_LINES = Array.from({ length: 1024 }, (_, size) => `${size.toString(16)}\r\n`);
const LAST_CHUNK = '0\r\n\r\n';

/**
 * Ends a chunked body, with trailers where there are some. What no HTTP/1 trailer may be, in name or in value, is left
 * out: over HTTP/2 some of it passes, and a server that merges trailers into the head would believe it.
 */
export function writeLastChunk(sink: ByteSink, trailers: Fields | undefined): void {
  if (!trailers || trailers.length === 0) {
    sink.writeLatin1(LAST_CHUNK);
    return;
  }
  let out = '0\r\n';
  for (let i = 0; i < trailers.length; i += 2) {
    const fieldName = trailers[i]!;
    const value = trailers[i + 1]!;
    if (name.FORBIDDEN_TRAILERS.has(fieldName.toLowerCase())) continue;
    if (FIELD_NAME.test(fieldName) && !UNWRITABLE_VALUE.test(value)) out += `${fieldName}: ${value}\r\n`;
  }
  sink.writeLatin1(`${out}\r\n`);
}
