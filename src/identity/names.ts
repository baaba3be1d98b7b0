// The names of a certificate, read from its bytes. Formatted lists of names can be forged: a URI may hold the text
// `, DNS:good.example`, a name may hold a NUL. Here each name is the bytes that stand in the certificate, with its type,
// and two names are the same only if type and bytes are.
import type { AllowedName, SubjectAltNames } from '../model/tls.ts';
import { DER_TAG, derContents, type DerElement, DerError, readDer, readDerChildren } from './der.ts';

/** Certificates longer than this have no names here, bytes. */
const MAX_CERTIFICATE_BYTES = 64 * 1024;
/** Certificates with more names than this, of whatever type, have none here. */
const MAX_NAMES = 1_000;
/** Certificates with more extensions than this have no names here. */
const MAX_EXTENSIONS = 100;

/** No names. */
const NONE: SubjectAltNames = { dns: [], uris: [], ips: [] };

/** Explicit `[3] extensions` of a TBSCertificate (RFC 5280 section 4.1). */
const EXTENSIONS_TAG = 0xa3;
/** 2.5.29.17, the contents of its OID. */
const SUBJECT_ALT_NAME = '\x55\x1d\x11';

/** GeneralName (RFC 5280 section 4.2.1.6), by identifier octet. The others of the CHOICE are passed over. */
const GENERAL_NAME = { dns: 0x82, uri: 0x86, ip: 0x87 } as const;
const OTHER_GENERAL_NAMES: ReadonlySet<number> = new Set([0xa0, 0x81, 0xa3, 0xa4, 0xa5, 0x88]);

/**
 * The names of a certificate given as DER: those of its subjectAltName extension (RFC 5280 section 4.2.1.6) of the types
 * dNSName, uniformResourceIdentifier and iPAddress. The subject's common name is none of them. IP addresses that are not
 * 4 or 16 bytes long are left out. Bytes that are no certificate, or one with two such extensions, over 64 KiB or with
 * over 1,000 names, have no names at all. Never throws.
 */
export function readSubjectAltNames(der: Uint8Array): SubjectAltNames {
  if (der.length > MAX_CERTIFICATE_BYTES) return NONE;
  try {
    const extension = findExtension(der);
    return extension ? readGeneralNames(readDer(extension)) : NONE;
  } catch (error) {
    if (error instanceof DerError) return NONE;
    throw error;
  }
}

/** The contents of `extnValue` of the subjectAltName extension. */
function findExtension(der: Uint8Array): Uint8Array | undefined {
  const [tbs] = readDerChildren(expect(readDer(der), DER_TAG.sequence), 3);
  const fields = readDerChildren(expect(tbs, DER_TAG.sequence), 10);
  // Extensions are the last field; version, serial number, algorithm, issuer, validity, subject and key come before.
  const last = fields.at(-1);
  if (last?.tag !== EXTENSIONS_TAG) return undefined;
  const [list, ...more] = readDerChildren(last, 2);
  if (more.length > 0) throw new DerError('two lists of extensions');
  let found: Uint8Array | undefined;
  for (const extension of readDerChildren(expect(list, DER_TAG.sequence), MAX_EXTENSIONS)) {
    const parts = readDerChildren(expect(extension, DER_TAG.sequence), 3);
    const id = expect(parts[0], DER_TAG.oid);
    if (parts.length === 3) expect(parts[1], DER_TAG.boolean);
    const value = expect(parts.length > 1 ? parts.at(-1) : undefined, DER_TAG.octetString);
    if (text(id) !== SUBJECT_ALT_NAME) continue;
    // RFC 5280 section 4.2: one instance of an extension at most. Which of two would OpenSSL have looked at?
    if (found) throw new DerError('two subjectAltName extensions');
    found = derContents(value);
  }
  return found;
}

function readGeneralNames(list: DerElement): SubjectAltNames {
  const dns: string[] = [];
  const uris: string[] = [];
  const ips: string[] = [];
  for (const name of readDerChildren(expect(list, DER_TAG.sequence), MAX_NAMES)) {
    if (name.tag === GENERAL_NAME.dns) dns.push(text(name));
    else if (name.tag === GENERAL_NAME.uri) uris.push(text(name));
    else if (name.tag === GENERAL_NAME.ip) {
      const ip = ipText(derContents(name));
      if (ip !== undefined) ips.push(ip);
    } else if (!OTHER_GENERAL_NAMES.has(name.tag)) throw new DerError('a type of name that RFC 5280 does not have');
  }
  return { dns, uris, ips };
}

function expect(element: DerElement | undefined, tag: number): DerElement {
  if (element?.tag !== tag) throw new DerError('another element is expected');
  return element;
}

/** The contents, a character for each byte. */
function text(element: DerElement): string {
  return Buffer.from(element.bytes.buffer, element.bytes.byteOffset).toString('latin1', element.start, element.end);
}

/** As configuration writes addresses: IPv6 as in RFC 5952, but an IPv4-mapped one in hexadecimal too. */
function ipText(bytes: Uint8Array): string | undefined {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) return undefined;
  const words: string[] = [];
  for (let i = 0; i < 16; i += 2) words.push(((bytes[i] ?? 0) * 256 + (bytes[i + 1] ?? 0)).toString(16));
  // The URL parser writes IPv6 that way, in brackets (WHATWG URL section 3.5).
  return new URL(`http://[${words.join(':')}]/`).hostname.slice(1, -1);
}

/**
 * Whether one of these names is allowed: of the same type and equal byte by byte. Nothing is folded, decoded or taken as
 * a pattern. A `spiffe:` name equals none of a certificate with several URIs, since that is no SPIFFE certificate
 * (X.509-SVID section 2).
 */
export function hasAllowedName(names: SubjectAltNames, allowed: readonly AllowedName[]): boolean {
  return allowed.some(({ type, value }) => {
    if (type === 'dns') return names.dns.includes(value);
    if (names.uris.length !== 1 && isSpiffe(value)) return false;
    return names.uris.includes(value);
  });
}

function isSpiffe(uri: string): boolean {
  return /^spiffe:/i.test(uri);
}

/** SPIFFE ID section 2.3: no longer ones, bytes. */
const MAX_URI_LENGTH = 2048;
/** SPIFFE ID section 2.1. */
const MAX_TRUST_DOMAIN_LENGTH = 255;
/** RFC 1035 section 2.3.4. */
const MAX_DNS_LENGTH = 253;

/**
 * Why a name can't be allowed: it is malformed, or no proper certificate could have it. What is wrong and what to write
 * instead, without the name itself; undefined for a name that can.
 */
export function allowedNameProblem(name: AllowedName): string | undefined {
  const { value } = name;
  if (value === '') return 'is empty; give the name as it stands in the certificate';
  if (/[\x00-\x1f\x7f]/.test(value)) return 'holds a control character; names have none, remove it';
  if (/[^\x20-\x7e]/.test(value)) {
    return name.type === 'dns'
      ? 'holds characters outside of ASCII; write it as certificates do, in its xn-- form (RFC 5891)'
      : 'holds characters outside of ASCII; write it as certificates do, percent-encoded (RFC 3986 section 2.1)';
  }
  if (value.includes('*'))
    return 'holds a `*`; names are compared as they are, without wildcards, so list each of them';
  return name.type === 'dns' ? dnsProblem(value) : uriProblem(value);
}

function dnsProblem(value: string): string | undefined {
  if (value.includes('://')) return 'is a URI; give it as `uri`';
  if (/^\[?[\da-f]*:[\da-f:.]*\]?$/i.test(value) || /^\d+(\.\d+){3}$/.test(value)) {
    return 'is an IP address, which certificates hold as another type of name; give a DNS name or a URI';
  }
  if (value.includes(':')) return 'holds a `:`; a DNS name has no port, remove it';
  if (value.endsWith('.'))
    return 'ends with a dot; DNS names in certificates have none (RFC 5280 section 4.2.1.6), remove it';
  if (value.length > MAX_DNS_LENGTH) return `is longer than the ${MAX_DNS_LENGTH} characters of a DNS name; shorten it`;
  for (const label of value.split('.')) {
    if (label === '') return 'has an empty label; a DNS name has text before, between and after its dots';
    if (label.length > 63) return 'has a label of more than 63 characters (RFC 1035 section 2.3.4); shorten it';
    // Underscores are no host name's, but do occur.
    if (!/^[A-Za-z\d_-]+$/.test(label)) return 'is no DNS name; use letters, digits, `-`, `_` and dots';
  }
  return undefined;
}

function uriProblem(value: string): string | undefined {
  if (value.length > MAX_URI_LENGTH) return `is longer than ${MAX_URI_LENGTH} bytes; shorten it`;
  if (!/^[A-Za-z][A-Za-z\d+.-]*:/.test(value)) {
    return 'has no scheme; write it whole, for example `spiffe://example.org/ns/default/sa/web`';
  }
  if (!/^[^:]*:./.test(value)) return 'has nothing after its scheme; write it whole';
  if (isSpiffe(value)) return spiffeProblem(value);
  if (!/^(%[\da-fA-F]{2}|[\w.~:/?#[\]@!$&'()+,;=-])*$/.test(value)) {
    return 'holds a character that a URI does not have; percent-encode it (RFC 3986 section 2.1)';
  }
  return undefined;
}

/** SPIFFE ID section 2: what a certificate may not have as its SPIFFE id would match nothing, or a forged one. */
function spiffeProblem(value: string): string | undefined {
  const match = /^spiffe:\/\/([^/?#]*)([^?#]*)(.?)/.exec(value);
  if (!match) return 'is no SPIFFE id; it begins with `spiffe://`, in lower case';
  const [, domain = '', path = '', rest = ''] = match;
  if (rest === '?') return 'is no SPIFFE id: it has a query; remove the `?` and what follows';
  if (rest === '#') return 'is no SPIFFE id: it has a fragment; remove the `#` and what follows';
  if (domain === '') return 'is no SPIFFE id: its trust domain is empty; write `spiffe://TRUST-DOMAIN/PATH`';
  if (domain.includes('@')) return 'is no SPIFFE id: it has user information; remove it, up to the `@`';
  if (domain.includes(':')) return 'is no SPIFFE id: a trust domain has no port; remove it';
  if (/[A-Z]/.test(domain)) return 'is no SPIFFE id: a trust domain is in lower case; write it so';
  if (!/^[a-z\d._-]+$/.test(domain)) return 'is no SPIFFE id: a trust domain has only a-z, 0-9, `.`, `-` and `_`';
  if (domain.length > MAX_TRUST_DOMAIN_LENGTH) {
    return `is no SPIFFE id: its trust domain is longer than ${MAX_TRUST_DOMAIN_LENGTH} bytes; shorten it`;
  }
  if (path.endsWith('/')) return 'is no SPIFFE id: it ends with a slash; remove it';
  for (const segment of path.split('/').slice(1)) {
    if (segment === '') return 'is no SPIFFE id: its path has an empty segment; write single slashes';
    if (segment === '.' || segment === '..')
      return 'is no SPIFFE id: its path has a `.` or `..`; write the path itself';
    if (segment.includes('%'))
      return 'is no SPIFFE id: it has no percent-encoding; use a-z, A-Z, 0-9, `.`, `-` and `_`';
    if (!/^[\w.-]+$/.test(segment)) return 'is no SPIFFE id: its path has only a-z, A-Z, 0-9, `.`, `-` and `_`';
  }
  return undefined;
}
