// The first bytes of a connection that may speak HTTP/1 or HTTP/2. Whoever speaks HTTP/1, however badly, can read an
// HTTP/1 answer; an HTTP/2 client with a wrong preface can't, and would take it for frames.
import { CR, LF, SP, TOKEN_BYTE } from '../codec/h1/characters.ts';

/** Longer first lines are HTTP/1's to judge. */
const MOST_BYTES = 64;
const SLASH = 0x2f;
const STAR = 0x2a;
const COLON = 0x3a;
const VERSION = Buffer.from('HTTP/', 'latin1');

/**
 * What `bytes[0..length)`, which don't begin the preface of HTTP/2, are: `http1` where there is anything of HTTP/1 in the
 * line, `other` where its second word can be no target and its third names no HTTP version (RFC 9113 section 3.4: a wrong
 * preface), `unknown` where more bytes will tell.
 */
export function judgeFirstLine(bytes: Buffer, length: number): 'http1' | 'other' | 'unknown' {
  const end = Math.min(length, MOST_BYTES);
  const more = length < MOST_BYTES ? 'unknown' : 'http1';
  let i = 0;
  while (i < end && TOKEN_BYTE[bytes[i]!] === 1) i++;
  if (i === end) return more;
  if (i === 0 || bytes[i] !== SP) return 'http1';
  const targetAt = ++i;
  for (; i < end && bytes[i] !== SP; i++) {
    const byte = bytes[i]!;
    if (byte < SP || byte > 0x7e || byte === COLON || (i === targetAt && (byte === SLASH || byte === STAR)))
      return 'http1';
  }
  if (i === end) return more;
  const versionAt = ++i;
  for (; i < end; i++) {
    const byte = bytes[i]!;
    if (byte === CR || byte === LF || byte <= SP || byte > 0x7e) break;
    const at = i - versionAt;
    if (at < VERSION.length && (byte & 0xdf) !== (VERSION[at]! & 0xdf)) {
      // Not HTTP/…: a line of three such words and no more.
      let wordEnd = i;
      while (wordEnd < end && bytes[wordEnd]! > SP && bytes[wordEnd]! <= 0x7e) wordEnd++;
      if (wordEnd === end) return more;
      return bytes[wordEnd] === CR ? 'other' : 'http1';
    }
    if (at >= VERSION.length - 1) return 'http1';
  }
  return i === end ? more : 'http1';
}
