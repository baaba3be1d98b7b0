// The status line and the framing fields of an answer (RFC 9112 sections 4 and 6), as strict as for requests: an
// upstream that is misread can answer one caller with another's bytes. Guarded by `npm run bench -- micro head-parse`.
import type { ResponseHead } from '../exchange.ts';
import type { WireLimits } from '../limits.ts';
import { CR, LF, SP, VALUE_BYTE } from './characters.ts';
import { type Fault, malformed } from './fault.ts';
import { type FieldSection, readFields } from './field-section.ts';
import { checkTransferEncoding } from './framing.ts';

export const BAD_STATUS_LINE = malformed('the status line is not "HTTP/1.1 200 OK"');
const OTHER_VERSION = malformed('the answer is neither HTTP/1.0 nor HTTP/1.1');
const BAD_REASON = malformed('a character that no reason phrase may hold');
const CODING_IN_10 = malformed('transfer-encoding in an HTTP/1.0 answer');
const LENGTH_AND_CODING = malformed('content-length and transfer-encoding together');

/** As readRequestHead, for an answer. */
export function readResponseHead(
  bytes: Buffer,
  base: number,
  text: string,
  end: number,
  limits: WireLimits,
  section: FieldSection,
): ResponseHead | Fault {
  // HTTP/1.1 200 OK
  // 0    5   9
  if (!text.startsWith('HTTP/') || bytes[base + 6] !== 0x2e || bytes[base + 8] !== SP) return BAD_STATUS_LINE;
  if (bytes[base + 5] !== 0x31) return OTHER_VERSION;
  const minor = bytes[base + 7]! - 0x30;
  if (minor !== 0 && minor !== 1) return OTHER_VERSION;
  let status = 0;
  let i = base + 9;
  for (; i < base + 12; i++) {
    const digit = bytes[i]! - 0x30;
    if (digit < 0 || digit > 9) return BAD_STATUS_LINE;
    status = status * 10 + digit;
  }
  if (status < 100) return BAD_STATUS_LINE;
  if (bytes[i] === SP) while (VALUE_BYTE[bytes[i]!] === 1) i++;
  else if (bytes[i] !== CR) return BAD_STATUS_LINE;
  if (bytes[i] !== CR || bytes[i + 1] !== LF) return BAD_REASON;

  section.minorVersion = minor;
  const fault = readFields(bytes, base, text, i + 2 - base, end, limits.headFields, section);
  if (fault) return fault;
  if (section.transferEncoding !== undefined) {
    if (minor === 0) return CODING_IN_10;
    if (section.contentLength >= 0) return LENGTH_AND_CODING;
    const coding = checkTransferEncoding(section.transferEncoding);
    if (coding) return coding;
  }
  return { status, fields: section.fields, neverIndexed: undefined, contentLength: section.contentLength };
}
