// How the length of a body is known (RFC 9112 section 6), and the strict reading of the two fields that say it.
import { trimSpace } from './characters.ts';
import { Fault, malformed } from './fault.ts';

/** The ways a body ends. */
export const NO_BODY = 0;
export const SIZED = 1;
export const CHUNKED = 2;
export const UNTIL_CLOSE = 3;
export type Framing = typeof NO_BODY | typeof SIZED | typeof CHUNKED | typeof UNTIL_CLOSE;

/**
 * The value of content-length; -1 where it isn't 1*DIGIT. Refused too: leading zeros, since some readers take them for
 * octal, and values above 2^53 - 1, which a double can't hold.
 */
export function readContentLength(text: string): number {
  const length = text.length;
  if (length === 0 || length > 16 || (length > 1 && text.charCodeAt(0) === 0x30)) return -1;
  let value = 0;
  for (let i = 0; i < length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value <= Number.MAX_SAFE_INTEGER ? value : -1;
}

const NOT_CHUNKED = malformed('transfer-encoding does not end in chunked');
const BAD_CODING = malformed('transfer-encoding is not a list of codings');
const OTHER_CODING = new Fault('not_implemented', 'only the transfer coding chunked is supported');
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * Checks the value of transfer-encoding. Only `chunked` alone is served (RFC 9112 section 6.1): another coding before
 * it is a coding that we don't speak, anything that leaves the length open is malformed.
 */
export function checkTransferEncoding(value: string): Fault | undefined {
  if (value === 'chunked') return undefined;
  const codings = value
    .toLowerCase()
    .split(',')
    .map((coding) => trimSpace(coding));
  if (codings.length === 1 && codings[0] === 'chunked') return undefined;
  if (!codings.every((coding) => TOKEN.test(coding))) return BAD_CODING;
  if (codings.indexOf('chunked') !== codings.length - 1) return NOT_CHUNKED;
  return OTHER_CODING;
}
