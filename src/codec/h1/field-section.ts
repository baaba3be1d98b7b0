// The field lines of a head or a trailer section: syntax (RFC 9112 section 5), and the removal of what belongs to this
// connection only (RFC 9110 section 7.6.1). Bytes are classified in the buffer, strings are cut from one latin1 text
// of the whole head: cheaper than charCodeAt, and no byte is decoded twice. Guarded by
// `npm run bench -- micro head-parse`.
import type { Fields } from '../exchange.ts';
import { COLON, CR, HTAB, LF, SP, TOKEN_BYTE, VALUE_BYTE, trimSpace } from './characters.ts';
import { Fault, malformed } from './fault.ts';
import * as name from './field-name.ts';
import { readContentLength } from './framing.ts';

const NO_NAME = malformed('a field line without a name');
const FOLDED = malformed('a folded field line');
const SPACE_BEFORE_COLON = malformed('a space before the colon of a field');
const NO_COLON = malformed('a field line without a colon');
const BAD_NAME = malformed('a character that no field name may hold');
const BAD_VALUE = malformed('a character that no field value may hold');
const BAD_LENGTH = malformed('content-length is not a number');
const TWO_LENGTHS = malformed('more than one content-length');
const TWO_CODINGS = malformed('more than one transfer-encoding');
const TWO_HOSTS = malformed('more than one Host');
const TOO_MANY = new Fault('headers_too_large', 'the header section has more fields than the limit');

/** Which rules a section follows. */
export type SectionRole = 'request' | 'response' | 'trailers';

/** What one field section says. Filled by {@link readFields}; a fresh `fields` for each head, the rest is reused. */
export class FieldSection {
  readonly role: SectionRole;
  /** End-to-end fields, in order. */
  fields: Fields = [];
  /** Value of Host; undefined where there is none, or in an answer. */
  host: string | undefined = undefined;
  /** -1 where it isn't stated. */
  contentLength = -1;
  transferEncoding: string | undefined = undefined;
  /** Of an answer's version: 0 or 1. */
  minorVersion = 1;
  /** `Connection: close` came. */
  close = false;
  /** `Connection: keep-alive` came. */
  keepAlive = false;
  /** Values of Upgrade, lower case, joined by commas; undefined where there is none. */
  upgrade: string | undefined = undefined;
  /** `Connection: upgrade` came. */
  upgradeOption = false;
  /** `Expect: 100-continue` came. */
  expectsContinue = false;
  /** `Expect` with anything else came. */
  expectsOther = false;
  /** N of `Keep-Alive: timeout=N`, seconds; -1 where it isn't stated. */
  keepAliveTimeoutS = -1;
  /** Further names in Connection, lower case; of trailers: those of their head. */
  nominated: Set<string> | undefined = undefined;

  private acceptsTrailers = false;

  constructor(role: SectionRole) {
    this.role = role;
  }

  reset(): void {
    this.fields = [];
    this.host = undefined;
    this.contentLength = -1;
    this.transferEncoding = undefined;
    this.close = false;
    this.keepAlive = false;
    this.upgrade = undefined;
    this.upgradeOption = false;
    this.expectsContinue = false;
    this.expectsOther = false;
    this.keepAliveTimeoutS = -1;
    this.nominated = undefined;
    this.acceptsTrailers = false;
  }

  /** Takes a field that means something to this connection. A fault ends the message; otherwise it is kept or dropped here. */
  take(id: number, fieldName: string, value: string): Fault | undefined {
    const isRequest = this.role === 'request';
    switch (id) {
      case name.CONTENT_LENGTH:
        if (this.contentLength >= 0) return TWO_LENGTHS;
        this.contentLength = readContentLength(value);
        if (this.contentLength < 0) return BAD_LENGTH;
        break;
      case name.TRANSFER_ENCODING:
        if (this.transferEncoding !== undefined) return TWO_CODINGS;
        this.transferEncoding = value;
        return undefined;
      case name.CONNECTION:
        this.readConnection(value);
        return undefined;
      case name.KEEP_ALIVE: {
        const timeout = /(?:^|[,; \t])timeout=([0-9]{1,9})(?:$|[,; \t])/i.exec(value);
        if (timeout) this.keepAliveTimeoutS = Number(timeout[1]);
        return undefined;
      }
      case name.PROXY_CONNECTION:
        return undefined;
      case name.UPGRADE:
        this.upgrade = this.upgrade === undefined ? value.toLowerCase() : `${this.upgrade},${value.toLowerCase()}`;
        return undefined;
      case name.HOST:
        if (!isRequest) break;
        if (this.host !== undefined) return TWO_HOSTS;
        this.host = value;
        return undefined;
      case name.TE:
        if (!isRequest) break;
        if (!this.acceptsTrailers && hasTrailers(value)) {
          this.acceptsTrailers = true;
          this.fields.push(fieldName, 'trailers');
        }
        return undefined;
      case name.EXPECT:
        if (!isRequest) break;
        if (value.toLowerCase() === '100-continue') this.expectsContinue = true;
        else this.expectsOther = true;
        return undefined;
      case name.HTTP2_SETTINGS:
        if (!isRequest) break;
        return undefined;
      default:
        break;
    }
    this.fields.push(fieldName, value);
    return undefined;
  }

  /**
   * Whether a request asks for a change to `protocol`, among others or alone, or an answer changes to it and to nothing
   * else (RFC 9110 section 7.8).
   */
  upgradesTo(protocol: string): boolean {
    if (!this.upgradeOption || this.upgrade === undefined) return false;
    if (this.role === 'response') return this.upgrade === protocol;
    return this.upgrade === protocol || this.upgrade.split(',').some((token) => trimSpace(token) === protocol);
  }

  /** Removes what Connection names. */
  strip(): void {
    const { nominated, fields } = this;
    if (!nominated) return;
    const kept: Fields = [];
    for (let i = 0; i < fields.length; i += 2) {
      if (!nominated.has(fields[i]!.toLowerCase())) kept.push(fields[i]!, fields[i + 1]!);
    }
    this.fields = kept;
  }

  private readConnection(value: string): void {
    if (value === 'keep-alive') this.keepAlive = true;
    else if (value === 'close') this.close = true;
    else for (const option of value.toLowerCase().split(',')) this.readOption(trimSpace(option));
  }

  private readOption(option: string): void {
    switch (option) {
      case 'close':
        this.close = true;
        return;
      case 'keep-alive':
        this.keepAlive = true;
        return;
      case 'upgrade':
        this.upgradeOption = true;
        return;
      // Framing can't be nominated away, nor can a request's routing; its TE is reduced to `trailers` anyway.
      case '':
      case 'content-length':
      case 'transfer-encoding':
        return;
      case 'te':
      case 'host':
      // Who called, as proxies before this one have told: else a caller could take their words away.
      case 'forwarded':
      case 'via':
      case 'x-forwarded-client-cert':
      case 'x-forwarded-for':
      case 'x-forwarded-host':
      case 'x-forwarded-port':
      case 'x-forwarded-proto':
      case 'x-real-ip':
        if (this.role === 'request') return;
        break;
      default:
    }
    (this.nominated ??= new Set()).add(option);
  }
}

function hasTrailers(value: string): boolean {
  if (value === 'trailers') return true;
  return value
    .toLowerCase()
    .split(',')
    .some((coding) => trimSpace(coding) === 'trailers');
}

/**
 * Reads the field lines of `text[at..end)`, each with its CRLF, into `section`. The same bytes stand in `bytes` from
 * `base` on, followed by the blank line. `maxFields` counts lines, also those that are dropped here (RFC 6585 section 5
 * gives 431 for too many).
 */
export function readFields(
  bytes: Buffer,
  base: number,
  text: string,
  at: number,
  end: number,
  maxFields: number,
  section: FieldSection,
): Fault | undefined {
  const fields = section.fields;
  const isTrailers = section.role === 'trailers';
  let count = 0;
  while (at < end) {
    const start = base + at;
    let i = start;
    while (TOKEN_BYTE[bytes[i]!] === 1) i++;
    if (i === start || bytes[i] !== COLON) return nameFault(bytes, start, i);
    const fieldName = text.slice(at, i - base);
    do i++;
    while (bytes[i] === SP || bytes[i] === HTAB);
    const valueStart = i;
    while (VALUE_BYTE[bytes[i]!] === 1) i++;
    if (bytes[i] !== CR || bytes[i + 1] !== LF) return BAD_VALUE;
    at = i + 2 - base;
    while (i > valueStart && (bytes[i - 1] === SP || bytes[i - 1] === HTAB)) i--;
    const value = text.slice(valueStart - base, i - base);
    if (++count > maxFields) return TOO_MANY;
    if (isTrailers) {
      if (!name.FORBIDDEN_TRAILERS.has(fieldName.toLowerCase())) fields.push(fieldName, value);
      continue;
    }
    const id = name.identify(fieldName);
    if (id === name.PLAIN) {
      fields.push(fieldName, value);
      continue;
    }
    const fault = section.take(id, fieldName, value);
    if (fault) return fault;
  }
  if (section.nominated) section.strip();
  return undefined;
}

function nameFault(bytes: Buffer, start: number, at: number): Fault {
  const byte = bytes[at];
  if (byte === SP || byte === HTAB) {
    if (at === start) return FOLDED;
    let i = at;
    while (bytes[i] === SP || bytes[i] === HTAB) i++;
    return bytes[i] === COLON ? SPACE_BEFORE_COLON : BAD_NAME;
  }
  if (byte === COLON) return NO_NAME;
  return byte === CR ? NO_COLON : BAD_NAME;
}
