// The chunked transfer coding, read (RFC 9112 section 7.1). Extensions are checked, counted and dropped.
//
//   size ──► extension ──► LF ──► data ──► CR ──► LF ──┐
//    ▲          (optional)   └─(size 0)──► trailers ──►│ done
//    └─────────────────────────────────────────────────┘
import type { BodyEvents } from './body-reader.ts';
import type { WireLimits } from '../limits.ts';
import { CR, HEX_VALUE, LF, TOKEN_BYTE, VALUE_BYTE } from './characters.ts';
import { Fault, malformed } from './fault.ts';
import { FieldSection, readFields } from './field-section.ts';
import { FAULTY, NEED_MORE, SectionScanner } from './section-scanner.ts';

const NO_SIZE = malformed('a chunk without a size');
const BAD_SIZE = malformed('a chunk size is not a hexadecimal number');
const HUGE_CHUNK = malformed('a chunk size is too large');
const BAD_LINE_END = malformed('a chunk size line does not end in CRLF');
const BAD_EXTENSION = malformed('a malformed chunk extension');
const LONG_EXTENSIONS = new Fault(
  'content_too_large',
  'the chunk extensions of a message have more bytes than the limit',
);
const NO_DATA_END = malformed('chunk data is not followed by CRLF');
const TRAILERS_TOO_LARGE = new Fault('headers_too_large', 'the trailer section has more bytes than the limit');
const TOO_MANY_TRAILERS = new Fault('headers_too_large', 'the trailer section has more fields than the limit');

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MAX_SIZE_DIGITS = 16;
const EMPTY = Buffer.alloc(0);

const SIZE = 0;
const EXTENSION_NAME_START = 1;
const EXTENSION_NAME = 2;
const EXTENSION_VALUE_START = 3;
const EXTENSION_VALUE = 4;
const EXTENSION_QUOTED = 5;
const EXTENSION_ESCAPED = 6;
const EXTENSION_END = 7;
const SIZE_LF = 8;
const DATA = 9;
const DATA_CR = 10;
const DATA_LF = 11;
const TRAILERS = 12;

/** Reads one chunked body after another; `reset` before each. */
export class ChunkedReader {
  fault: Fault | undefined = undefined;
  done = false;

  private readonly limits: WireLimits;
  private readonly scanner: SectionScanner;
  private state = SIZE;
  /** Of the chunk: its size while the size line is read, then the bytes to come. */
  private remaining = 0;
  private digits = 0;
  /** From each semicolon to the CR, which isn't counted. */
  private extensionBytes = 0;
  private nominated: Set<string> | undefined = undefined;

  constructor(limits: WireLimits) {
    this.limits = limits;
    this.scanner = new SectionScanner(limits.trailerBytes, Number.MAX_SAFE_INTEGER);
  }

  /** `nominated`: names, lower case, that the head's Connection takes off the trailers too (RFC 9110 section 7.6.1). */
  reset(nominated: Set<string> | undefined): void {
    this.nominated = nominated;
    this.fault = undefined;
    this.done = false;
    this.state = SIZE;
    this.remaining = 0;
    this.digits = 0;
    this.extensionBytes = 0;
    this.scanner.reset();
  }

  /** Reads from `bytes[at..end)` until the body ends, a fault shows or `events` wants no more. Gives the offset after what was read. */
  read(bytes: Buffer, at: number, end: number, events: BodyEvents): number {
    while (at < end) {
      if (this.state === DATA) {
        const stop = Math.min(end, at + this.remaining);
        this.remaining -= stop - at;
        if (this.remaining === 0) this.state = DATA_CR;
        events.onData(bytes.subarray(at, stop), false);
        at = stop;
        if (events.stopped) return at;
      } else if (this.state === TRAILERS) {
        return this.readTrailers(bytes, at, end, events);
      } else if (!this.step(bytes[at++]!)) {
        return at;
      }
    }
    return at;
  }

  /** One byte of anything but data and trailers; false after a fault. */
  private step(byte: number): boolean {
    switch (this.state) {
      case SIZE:
        return this.stepSize(byte);
      case SIZE_LF:
        if (byte !== LF) return this.fail(BAD_LINE_END);
        this.state = this.remaining > 0 ? DATA : TRAILERS;
        this.digits = 0;
        return true;
      case DATA_CR:
        this.state = DATA_LF;
        return byte === CR || this.fail(NO_DATA_END);
      case DATA_LF:
        this.state = SIZE;
        return byte === LF || this.fail(NO_DATA_END);
      default:
        if (!this.stepExtension(byte)) return this.fail(BAD_EXTENSION);
        return byte === CR || this.countExtension();
    }
  }

  private stepSize(byte: number): boolean {
    const digit = HEX_VALUE[byte]!;
    if (digit < 16) {
      this.remaining = this.remaining * 16 + digit;
      if (++this.digits > MAX_SIZE_DIGITS || this.remaining > Number.MAX_SAFE_INTEGER) return this.fail(HUGE_CHUNK);
      return true;
    }
    if (this.digits === 0) return this.fail(NO_SIZE);
    if (byte === CR) this.state = SIZE_LF;
    else if (byte === SEMICOLON) {
      this.state = EXTENSION_NAME_START;
      return this.countExtension();
    } else return this.fail(byte === LF ? BAD_LINE_END : BAD_SIZE);
    return true;
  }

  private countExtension(): boolean {
    return ++this.extensionBytes <= this.limits.chunkExtensionBytes || this.fail(LONG_EXTENSIONS);
  }

  /** chunk-ext = *( ";" token [ "=" ( token / quoted-string ) ] ), without white space. False where it is none. */
  private stepExtension(byte: number): boolean {
    const isToken = TOKEN_BYTE[byte] === 1;
    switch (this.state) {
      case EXTENSION_NAME_START:
        this.state = EXTENSION_NAME;
        return isToken;
      case EXTENSION_NAME:
        if (isToken) return true;
        if (byte === EQUALS) this.state = EXTENSION_VALUE_START;
        else return this.endExtension(byte);
        return true;
      case EXTENSION_VALUE_START:
        this.state = byte === QUOTE ? EXTENSION_QUOTED : EXTENSION_VALUE;
        return isToken || byte === QUOTE;
      case EXTENSION_VALUE:
        return isToken || this.endExtension(byte);
      case EXTENSION_QUOTED:
        if (byte === QUOTE) this.state = EXTENSION_END;
        else if (byte === BACKSLASH) this.state = EXTENSION_ESCAPED;
        return VALUE_BYTE[byte] === 1;
      case EXTENSION_ESCAPED:
        this.state = EXTENSION_QUOTED;
        return VALUE_BYTE[byte] === 1;
      default:
        return this.endExtension(byte);
    }
  }

  private endExtension(byte: number): boolean {
    this.state = byte === CR ? SIZE_LF : EXTENSION_NAME_START;
    return byte === CR || byte === SEMICOLON;
  }

  private readTrailers(bytes: Buffer, at: number, end: number, events: BodyEvents): number {
    const scanner = this.scanner;
    const after = scanner.scan(bytes, at, end);
    if (after === NEED_MORE) {
      scanner.hold(bytes, at, end);
      return end;
    }
    if (after === FAULTY) {
      this.fault = scanner.fault?.kind === 'headers_too_large' ? TRAILERS_TOO_LARGE : scanner.fault;
      return at;
    }
    let section = bytes;
    let base = at;
    let sectionEnd = after;
    if (scanner.held) {
      scanner.hold(bytes, at, after);
      section = scanner.held;
      base = 0;
      sectionEnd = scanner.heldLength;
    }
    if (sectionEnd - base === 2) {
      this.done = true;
      events.onData(EMPTY, true);
      return after;
    }
    const text = section.latin1Slice(base, sectionEnd);
    const trailers = new FieldSection('trailers');
    trailers.nominated = this.nominated;
    const fault = readFields(section, base, text, 0, text.length - 2, this.limits.trailerFields, trailers);
    if (fault) {
      this.fault = fault.kind === 'headers_too_large' ? TOO_MANY_TRAILERS : fault;
      return at;
    }
    this.done = true;
    if (trailers.fields.length > 0) events.onTrailers(trailers.fields);
    else events.onData(EMPTY, true);
    return after;
  }

  private fail(fault: Fault): false {
    this.fault = fault;
    return false;
  }
}
