// The request line, the target and Host (RFC 9112 section 3). What two readers could understand differently is
// refused here and never repaired: the next hop sees one meaning only. Guarded by `npm run bench -- micro head-parse`.
import type { WireLimits } from '../limits.ts';
import type { Fields, HttpVersion, RequestHead } from '../exchange.ts';
import { CR, ESCAPE, HTAB, LF, SLASH, SP, TARGET_BYTE, TOKEN_BYTE } from './characters.ts';
import { isAuthority } from '../authority.ts';
import { Fault, malformed } from './fault.ts';
import { type FieldSection, readFields } from './field-section.ts';
import { checkTransferEncoding } from './framing.ts';
import { PATH_FAULTS, normalizePath } from '../path.ts';

export const BAD_METHOD = malformed('the method is not a token');
const BAD_LINE = malformed('the request line is not "METHOD target HTTP/1.1"');
const FRAGMENT = malformed('the target has a fragment');
const BAD_TARGET = malformed('a character that no target may hold');
const NO_VERSION = malformed('the request line has no HTTP version');
const STAR = malformed('the target * is for OPTIONS only');
const BAD_FORM = malformed('the target is neither a path nor an http URI');
const BAD_AUTHORITY = malformed('the authority of the target is not a host with an optional port');
const NO_HOST = malformed('Host is missing');
const EMPTY_HOST = malformed('Host is empty');
const BAD_HOST = malformed('Host is not a host with an optional port');
const OTHER_HOST = malformed('Host differs from the authority of the target');
const CODING_IN_10 = malformed('transfer-encoding in an HTTP/1.0 request');
const LENGTH_AND_CODING = malformed('content-length and transfer-encoding together');
const OTHER_VERSION = new Fault('version_not_supported', 'only HTTP/1.0 and HTTP/1.1 are spoken here');
const NO_CONNECT = new Fault('method_not_allowed', 'CONNECT is not served');
const NO_TRACE = new Fault('method_not_allowed', 'TRACE is not served');
const UPGRADE_BODY = malformed('an upgrade with a body');
const NO_WEBSOCKET_KEY = malformed('an upgrade to websocket without one valid sec-websocket-key');
const BAD_PATH = PATH_FAULTS.map(malformed);
const EXPECTATION = new Fault('expectation_failed', 'only the expectation 100-continue is supported');

/** The only upgrade that is served; others, h2c among them, are dropped and the request is an ordinary one. */
const WEBSOCKET = 'websocket';
const WEBSOCKET_KEY = /^[A-Za-z0-9+/]{21}[AQgw]==$/;

/**
 * Reads a whole request head. `text` is the latin1 text of `bytes` from `base` on; `end` is the offset in it after the
 * last field line (where the blank line begins). Fills `section`, which was reset.
 */
export function readRequestHead(
  bytes: Buffer,
  base: number,
  text: string,
  end: number,
  limits: WireLimits,
  scheme: 'http' | 'https',
  section: FieldSection,
): RequestHead | Fault {
  let i = base;
  while (TOKEN_BYTE[bytes[i]!] === 1) i++;
  if (i === base || bytes[i] !== SP) return bytes[i] === CR ? BAD_LINE : BAD_METHOD;
  const method = text.slice(0, i - base);
  const targetStart = ++i;
  let mayDiffer = false;
  for (let mark; (mark = TARGET_BYTE[bytes[i]!]!) > 0; i++) {
    if (mark > 1 && (mark === ESCAPE || bytes[i - 1] === SLASH)) mayDiffer = true;
  }
  if (bytes[i] !== SP || i === targetStart) return targetFault(bytes[i]!);
  const target = text.slice(targetStart - base, i - base);
  const versionAt = ++i - base;
  if (!text.startsWith('HTTP/', versionAt)) return BAD_LINE;
  i += 8;
  if (bytes[i] !== CR || bytes[i + 1] !== LF || bytes[i - 2] !== 0x2e) return BAD_LINE;
  const major = bytes[i - 3]! - 0x30;
  const minor = bytes[i - 1]! - 0x30;
  if (major < 0 || major > 9 || minor < 0 || minor > 9) return BAD_LINE;
  if (method === 'CONNECT') return NO_CONNECT;
  if (method === 'TRACE') return NO_TRACE;

  let path = target;
  let targetAuthority: string | undefined;
  if (target.charCodeAt(0) !== 0x2f) {
    if (target === '*') {
      if (method !== 'OPTIONS') return STAR;
    } else {
      const schemeLength = /^https?:\/\//i.exec(target)?.[0].length;
      if (schemeLength === undefined) return BAD_FORM;
      const stop = target.slice(schemeLength).search(/[/?]/);
      const pathAt = stop < 0 ? target.length : schemeLength + stop;
      targetAuthority = target.slice(schemeLength, pathAt);
      if (!isAuthority(targetAuthority)) return BAD_AUTHORITY;
      path = target.slice(pathAt);
      if (path === '') path = method === 'OPTIONS' ? '*' : '/';
      else if (path.charCodeAt(0) !== 0x2f) path = `/${path}`;
    }
  }
  if (major !== 1 || minor > 1) return OTHER_VERSION;
  if (mayDiffer) {
    const normal = normalizePath(path);
    if (typeof normal === 'number') return BAD_PATH[normal]!;
    path = normal;
  }
  const version: HttpVersion = minor === 1 ? 11 : 10;

  const fault = readFields(bytes, base, text, i + 2 - base, end, limits.headFields, section);
  if (fault) return fault;
  const host = section.host;
  if (host === undefined) {
    if (version === 11) return NO_HOST;
  } else {
    if (host === '') return EMPTY_HOST;
    if (!isAuthority(host)) return BAD_HOST;
    if (targetAuthority !== undefined && !sameAuthority(host, targetAuthority, scheme)) return OTHER_HOST;
  }
  if (section.transferEncoding !== undefined) {
    if (version === 10) return CODING_IN_10;
    if (section.contentLength >= 0) return LENGTH_AND_CODING;
    const coding = checkTransferEncoding(section.transferEncoding);
    if (coding) return coding;
  }
  // RFC 9110 section 10.1.1: an HTTP/1.0 caller's expectation is ignored.
  if (section.expectsOther && version === 11) return EXPECTATION;
  let protocol = '';
  if (section.upgrade !== undefined && version === 11 && method === 'GET' && section.upgradesTo(WEBSOCKET)) {
    if (section.transferEncoding !== undefined || section.contentLength > 0) return UPGRADE_BODY;
    if (!hasWebSocketKey(section.fields)) return NO_WEBSOCKET_KEY;
    protocol = WEBSOCKET;
  }
  return {
    method,
    scheme,
    authority: host ?? targetAuthority ?? '',
    path,
    protocol,
    version,
    fields: section.fields,
    neverIndexed: undefined,
    contentLength: section.contentLength,
  };
}

/** RFC 6455 section 4.2.1: one key, the base64 of sixteen bytes. */
function hasWebSocketKey(fields: Fields): boolean {
  let keys = 0;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]!.length !== 17 || fields[i]!.toLowerCase() !== 'sec-websocket-key') continue;
    if (++keys > 1 || !WEBSOCKET_KEY.test(fields[i + 1]!)) return false;
  }
  return keys === 1;
}

function targetFault(byte: number): Fault {
  if (byte === 0x23) return FRAGMENT;
  if (byte === CR) return NO_VERSION;
  if (byte === SP || byte === HTAB) return BAD_LINE;
  return BAD_TARGET;
}

/** Equal but for case and for the scheme's default port. */
function sameAuthority(a: string, b: string, scheme: 'http' | 'https'): boolean {
  if (a === b) return true;
  const defaultPort = scheme === 'https' ? /:(?:443)?$/ : /:(?:80)?$/;
  return a.toLowerCase().replace(defaultPort, '') === b.toLowerCase().replace(defaultPort, '');
}
