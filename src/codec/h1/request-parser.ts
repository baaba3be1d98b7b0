// Bytes of one connection in, requests out: pure and incremental. Any split of the bytes gives the same events.
// A head that is whole in one read (nearly all) is cut from one latin1 string in place; only one that spans reads is
// copied, and never searched twice. Guarded by `npm run bench -- micro head-parse`.
import type { RequestHead } from '../exchange.ts';
import type { WireLimits } from '../limits.ts';
import { type BodyEvents, BodyReader } from './body-reader.ts';
import { CR, LF, TOKEN_BYTE } from './characters.ts';
import { Fault, malformed } from './fault.ts';
import { FieldSection } from './field-section.ts';
import { CHUNKED, NO_BODY, SIZED } from './framing.ts';
import { BAD_METHOD, readRequestHead } from './request-head.ts';
import { FAULTY, NEED_MORE, SectionScanner } from './section-scanner.ts';

/** Heads up to the larger one are looked for in place; up to the smaller one first, since most are no longer. */
const USUAL_BYTES = 2048;
const QUICK_BYTES = 8192;
/** Empty lines that may stand before a request line (RFC 9112 section 2.2). */
const MAX_EMPTY_LINES = 4;

const BARE_CR = malformed('a CR without LF');
const EMPTY_LINES = malformed('too many empty lines before the request line');

/** A head is read and understood within one call, so all parsers share what it is noted in. */
const section = new FieldSection('request');

/** Hears of requests. */
export interface RequestEvents extends BodyEvents {
  onRequestHead(head: RequestHead, endStream: boolean): void;
}

/** One per connection. */
export class RequestParser {
  /** Set once and for ever: the bytes from here on mean nothing. */
  fault: Fault | undefined = undefined;
  /** Of the last head: the connection may carry another request after this one (RFC 9112 section 9.3). */
  keepAlive = false;
  /** Of the last head: the caller waits for `100 Continue` before it sends the body. */
  expectsContinue = false;
  /** Of the last head: the whole body stood behind it in the same read. */
  bodyInHand = false;

  private readonly limits: WireLimits;
  private readonly scheme: 'http' | 'https';
  private readonly events: RequestEvents;
  private readonly quickBytes: number;
  /** Made for the first body. */
  private body: BodyReader | undefined = undefined;
  private scanner: SectionScanner | undefined = undefined;
  private emptyLines = 0;
  private afterCr = false;

  constructor(limits: WireLimits, scheme: 'http' | 'https', events: RequestEvents) {
    this.limits = limits;
    this.scheme = scheme;
    this.events = events;
    // Within this no limit can be passed, so that only larger heads need counting.
    this.quickBytes = Math.min(limits.requestHeadBytes, limits.requestLineBytes, QUICK_BYTES);
  }

  /** Whether a part of a head has come and its end has not. */
  get isInHead(): boolean {
    return this.afterCr || (this.scanner !== undefined && !this.scanner.isEmpty);
  }

  /**
   * Reads from `bytes[at..end)` to the end of one request at most, and gives the offset after what was read. Call again
   * with the rest for the next request. After a fault nothing more may be read.
   */
  execute(bytes: Buffer, at: number, end: number): number {
    if (!this.body || this.body.done) {
      at = this.readHead(bytes, at, end);
      if (!this.body || this.body.done || this.events.stopped) return at;
    }
    const { body } = this;
    const after = body.read(bytes, at, end, this.events);
    if (body.fault) this.fault = body.fault;
    return after;
  }

  private readHead(bytes: Buffer, start: number, end: number): number {
    let at = start;
    let scanner = this.scanner;
    if (!scanner || scanner.isEmpty) {
      at = this.skipEmptyLines(bytes, start, end);
      if (this.fault || at >= end) return at;
      const most = Math.min(end, at + this.quickBytes);
      let text = bytes.latin1Slice(at, Math.min(most, at + USUAL_BYTES));
      let blank = text.indexOf('\r\n\r\n');
      if (blank < 0 && text.length < most - at) {
        text = bytes.latin1Slice(at, most);
        blank = text.indexOf('\r\n\r\n', USUAL_BYTES - 3);
      }
      if (blank >= 0) return this.takeHead(bytes, at, text, blank + 2, at + blank + 4, end);
    }
    scanner ??= this.scanner = this.newScanner();
    const after = scanner.scan(bytes, at, end);
    if (after === NEED_MORE) {
      scanner.hold(bytes, at, end);
      return end;
    }
    if (after === FAULTY) {
      this.fault = scanner.fault;
      return at;
    }
    if (!scanner.held) {
      scanner.reset();
      const text = bytes.latin1Slice(at, after);
      return this.takeHead(bytes, at, text, text.length - 2, after, end);
    }
    scanner.hold(bytes, at, after);
    const held = scanner.held;
    const text = held.latin1Slice(0, scanner.heldLength);
    this.scanner = undefined; // a connection at rest holds no buffer
    return this.takeHead(held, 0, text, text.length - 2, after, end);
  }

  /** `headEnd` is the end of the field lines in `text`, `after` the offset in the read behind the head. */
  private takeHead(bytes: Buffer, base: number, text: string, headEnd: number, after: number, end: number): number {
    section.reset();
    this.emptyLines = 0;
    const head = readRequestHead(bytes, base, text, headEnd, this.limits, this.scheme, section);
    if (head instanceof Fault) {
      // A byte that can't be in any head comes first, as it would if the head came in pieces.
      const check = this.newScanner();
      this.fault = check.scan(bytes, base, base + headEnd + 2) === FAULTY ? check.fault : head;
      return after;
    }
    this.keepAlive = !section.close && (head.version === 11 || section.keepAlive);
    const length = section.contentLength;
    const framing = section.transferEncoding !== undefined ? CHUNKED : length > 0 ? SIZED : NO_BODY;
    const hasBody = framing !== NO_BODY;
    this.bodyInHand = framing === SIZED && length <= end - after;
    this.expectsContinue = hasBody && section.expectsContinue && head.version === 11;
    if (hasBody) (this.body ??= new BodyReader(this.limits)).begin(framing, length, section.nominated);
    this.events.onRequestHead(head, !hasBody);
    return after;
  }

  private newScanner(): SectionScanner {
    const { requestHeadBytes, requestLineBytes } = this.limits;
    return new SectionScanner(requestHeadBytes, requestLineBytes, TOKEN_BYTE, BAD_METHOD);
  }

  private skipEmptyLines(bytes: Buffer, at: number, end: number): number {
    for (; at < end; at++) {
      const byte = bytes[at];
      if (this.afterCr) {
        if (byte !== LF) this.fault = BARE_CR;
        else if (++this.emptyLines > MAX_EMPTY_LINES) this.fault = EMPTY_LINES;
        if (this.fault) return at;
        this.afterCr = false;
      } else if (byte === CR) {
        this.afterCr = true;
      } else {
        return at;
      }
    }
    return at;
  }
}
