// What llhttp, the parser inside Node, makes of the same bytes: an independent reader, in its strict mode. Node hands it
// out under a name that is not documented; where it is gone, nothing is compared.
import { createRequire } from 'node:module';

/** One message as llhttp saw it. */
export interface LlhttpMessage {
  /** `METHOD target`, or the status. */
  readonly start: string;
  readonly body: string;
  readonly complete: boolean;
}

/** What came of the bytes. */
export interface LlhttpVerdict {
  readonly messages: LlhttpMessage[];
  /** Why it stopped; empty where it didn't. */
  readonly error: string;
}

interface Parser {
  initialize(kind: number, resource: object, maxHeaderBytes: number, lenient: number): void;
  /** Tells async_hooks, which test runners listen to, that this use of it is over. */
  free?(): void;
  execute(bytes: Buffer): number | (Error & { code?: string; reason?: string });
  [slot: number]: unknown;
}

interface ParserClass {
  new (): Parser;
  readonly REQUEST: number;
  readonly RESPONSE: number;
  readonly kOnHeaders: number;
  readonly kOnHeadersComplete: number;
  readonly kOnBody: number;
  readonly kOnMessageComplete: number;
}

const require = createRequire(import.meta.url);
const common = require('_http_common') as { HTTPParser?: ParserClass; methods?: readonly string[] };
const parserClass = common.HTTPParser;
const allMethods = common.methods ?? [];
const MAX_HEADER_BYTES = 1 << 20;

/** Whether this Node has the parser where it always was. */
export const hasLlhttp = parserClass !== undefined && allMethods.length > 0;

/** llhttp takes no other methods than those that it knows. */
export function llhttpKnows(method: string): boolean {
  return allMethods.includes(method);
}

const TRAILER = String.raw`\n0+(?:;[^\n]*)?\r\n(?:[^\r\n]+\r\n)*`;

/**
 * Why llhttp refuses what we take, or reads something else; each is a decision of ours, and what we write for the next
 * reader has none of it.
 */
const KNOWN_DIFFERENCES: readonly (readonly [string, RegExp])[] = [
  // It takes HTAB for white space before a number or a coding, but not behind it. Both are OWS (RFC 9110 section 5.6.3).
  ['HPE_INVALID_CONTENT_LENGTH', /content-length:[\t ]*[0-9]+[\t ]*\t/i],
  ['', /transfer-encoding:[\t ]*chunked[\t ]*\t/i],
  ['HPE_INVALID_TRANSFER_ENCODING', /transfer-encoding:[\t ]*chunked[\t ]*\t/i],
  // It reads the fields of framing and of the connection in trailers too. We drop them (RFC 9110 section 6.5.1).
  ['HPE_INVALID_TRANSFER_ENCODING', new RegExp(`${TRAILER}transfer-encoding:`, 'i')],
  ['HPE_INVALID_CONTENT_LENGTH', new RegExp(`${TRAILER}content-length:`, 'i')],
  ['HPE_UNEXPECTED_CONTENT_LENGTH', new RegExp(`${TRAILER}content-length:`, 'i')],
  ['HPE_CLOSED_CONNECTION', new RegExp(`${TRAILER}(?:proxy-)?connection:`, 'i')],
  // To it HTAB belongs to the option before it.
  ['HPE_CLOSED_CONNECTION', /connection:[^\r\n]*[a-z]\t/i],
  // To it an informational head of HTTP/1.0 ends the connection.
  ['HPE_CLOSED_CONNECTION', /HTTP\/1\.0 1/],
  ['HPE_CLOSED_CONNECTION', /HTTP\/1\.[01] 1[^\r]*\r\n(?:[^\r\n]+\r\n)*(?:proxy-)?connection:/i],
];

/** Whether llhttp's refusal of these bytes is a difference that is known and meant. */
export function isKnownDifference(error: string, bytes: Buffer): boolean {
  const text = bytes.latin1Slice(0, bytes.length);
  return KNOWN_DIFFERENCES.some(([code, pattern]) => code === error && pattern.test(text));
}

let messages: { start: string; body: string; complete: boolean }[] = [];
let url = '';
let kindNow: 'request' | 'response' = 'request';
let noBodyNow = false;
const parser = parserClass && new parserClass();
if (parserClass && parser) {
  parser[parserClass.kOnHeaders] = (_fields: string[], part: string) => {
    url += part;
  };
  parser[parserClass.kOnHeadersComplete] = (
    _major: number,
    _minor: number,
    _fields: string[] | undefined,
    method: number | undefined,
    target: string | undefined,
    status: number | undefined,
  ) => {
    const start =
      kindNow === 'request'
        ? `${allMethods[method ?? -1] ?? '?'} ${target === undefined ? url : target}`
        : String(status);
    url = '';
    messages.push({ start, body: '', complete: false });
    return noBodyNow ? 1 : 0;
  };
  parser[parserClass.kOnBody] = (chunk: Buffer) => {
    const last = messages.at(-1);
    if (last) last.body += chunk.latin1Slice(0, chunk.length);
  };
  parser[parserClass.kOnMessageComplete] = () => {
    const last = messages.at(-1);
    if (last) last.complete = true;
    url = ''; // handed on again with trailers
  };
}

/** Reads `bytes` to the end or to the first error. `noBody`: answers are to HEAD. */
export function llhttp(kind: 'request' | 'response', bytes: Buffer, noBody = false): LlhttpVerdict {
  if (!parserClass || !parser) throw new Error('this Node hands out no parser');
  messages = [];
  url = '';
  kindNow = kind;
  noBodyNow = noBody;
  parser.initialize(kind === 'request' ? parserClass.REQUEST : parserClass.RESPONSE, {}, MAX_HEADER_BYTES, 0);
  let error = '';
  for (let rest = bytes; rest.length > 0;) {
    const read = parser.execute(rest);
    if (typeof read !== 'number') {
      error = read.code ?? read.message;
      break;
    }
    if (read <= 0) break; // it stops where an upgrade is asked for, and goes on when asked again
    rest = rest.subarray(read);
  }
  parser.free?.();
  return { messages, error };
}
