// Bytes of an upstream connection in, one answer at a time out: the mirror of request-parser.ts. Guarded by
// `npm run bench -- micro head-parse`.
import type { ResponseHead } from '../exchange.ts';
import type { WireLimits } from '../limits.ts';
import { type BodyEvents, BodyReader } from './body-reader.ts';
import { Fault, malformed } from './fault.ts';
import { FieldSection } from './field-section.ts';
import { CHUNKED, type Framing, NO_BODY, SIZED, UNTIL_CLOSE } from './framing.ts';
import { CONTENT_LENGTH, identify } from './field-name.ts';
import { BAD_STATUS_LINE, readResponseHead } from './response-head.ts';
import { FAULTY, NEED_MORE, SectionScanner } from './section-scanner.ts';

/** As of request-parser.ts. */
const USUAL_BYTES = 2048;
const QUICK_BYTES = 8192;
/** An answer begins with the H of HTTP. */
const STARTS = Uint8Array.from({ length: 256 }, (_, byte) => (byte === 0x48 ? 1 : 0));
const SWITCHING = malformed('101 to something that the request did not ask for');
const INFORMATIONAL_BODY = malformed('an informational answer that declares a body');
const TOO_MANY_INFORMATIONAL = malformed('more informational answers than the limit');

/**
 * A head is read and understood within one call, so all parsers share what it is noted in. An idle connection that had one of
 * its own would keep the text of its last head alive, and each scavenge would copy that.
 */
const section = new FieldSection('response');

/** Hears of answers. */
export interface ResponseEvents extends BodyEvents {
  /** 100 to 199 without 101, which is a final head. */
  onInformationalHead(head: ResponseHead): void;
  onResponseHead(head: ResponseHead, endStream: boolean): void;
}

/** One per connection; `begin` before each request is sent. */
export class ResponseParser {
  /** Set once and for ever. Its kind is from a request's point of view: `headers_too_large`, or anything else for a broken protocol. */
  fault: Fault | undefined = undefined;
  /** The whole answer has come. */
  done = true;
  /** The final head has come. */
  headSeen = false;
  /** After a final head: the connection may carry another request (RFC 9112 section 9.3). */
  keepAlive = false;
  /** N of `Keep-Alive: timeout=N`, seconds; -1 where the peer says nothing. */
  keepAliveTimeoutS = -1;

  private readonly limits: WireLimits;
  private readonly events: ResponseEvents;
  private readonly quickBytes: number;
  private readonly body: BodyReader;
  private scanner: SectionScanner | undefined = undefined;
  private toHead = false;
  private protocol = '';
  private informational = 0;

  constructor(limits: WireLimits, events: ResponseEvents) {
    this.limits = limits;
    this.events = events;
    this.body = new BodyReader(limits);
    this.quickBytes = Math.min(limits.responseHeadBytes, QUICK_BYTES);
  }

  /** The next bytes answer a request; `toHead` where its method was HEAD, `protocol` the upgrade it asked for or ''. */
  begin(toHead: boolean, protocol = ''): void {
    this.protocol = protocol;
    this.done = false;
    this.headSeen = false;
    this.toHead = toHead;
    this.informational = 0;
  }

  /** Reads from `bytes[at..end)` to the end of the answer at most; gives the offset after what was read. */
  execute(bytes: Buffer, at: number, end: number): number {
    while (!this.headSeen) {
      if (at >= end) return at;
      at = this.readHead(bytes, at, end);
      if (this.fault || this.events.stopped) return at;
    }
    if (this.done) return at;
    const after = this.body.read(bytes, at, end, this.events);
    this.done = this.body.done;
    if (this.body.fault) this.fault = this.body.fault;
    return after;
  }

  /** The peer has sent FIN: true if the answer is complete with that. */
  finish(): boolean {
    if (this.done) return true;
    if (!this.headSeen) return false;
    return (this.done = this.body.finish(this.events));
  }

  private readHead(bytes: Buffer, at: number, end: number): number {
    let scanner = this.scanner;
    if (!scanner || scanner.isEmpty) {
      const most = Math.min(end, at + this.quickBytes);
      let text = bytes.latin1Slice(at, Math.min(most, at + USUAL_BYTES));
      let blank = text.indexOf('\r\n\r\n');
      if (blank < 0 && text.length < most - at) {
        text = bytes.latin1Slice(at, most);
        blank = text.indexOf('\r\n\r\n', USUAL_BYTES - 3);
      }
      if (blank >= 0) {
        this.takeHead(bytes, at, text, blank + 2);
        return at + blank + 4;
      }
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
      this.takeHead(bytes, at, text, text.length - 2);
      return after;
    }
    scanner.hold(bytes, at, after);
    const held = scanner.held;
    const text = held.latin1Slice(0, scanner.heldLength);
    this.scanner = undefined;
    this.takeHead(held, 0, text, text.length - 2);
    return after;
  }

  private newScanner(): SectionScanner {
    return new SectionScanner(this.limits.responseHeadBytes, Number.MAX_SAFE_INTEGER, STARTS, BAD_STATUS_LINE);
  }

  private takeHead(bytes: Buffer, base: number, text: string, headEnd: number): void {
    section.reset();
    const head = readResponseHead(bytes, base, text, headEnd, this.limits, section);
    if (head instanceof Fault) {
      const check = this.newScanner();
      this.fault = check.scan(bytes, base, base + headEnd + 2) === FAULTY ? check.fault : head;
      return;
    }
    const declaresBody = section.transferEncoding !== undefined || section.contentLength > 0;
    if (head.status < 200) {
      const switches = this.protocol !== '' && section.minorVersion === 1 && section.upgradesTo(this.protocol);
      if (head.status === 101 && !switches) this.fault = SWITCHING;
      else if (declaresBody) this.fault = INFORMATIONAL_BODY;
      else if (++this.informational > this.limits.informationalHeads) this.fault = TOO_MANY_INFORMATIONAL;
      if (this.fault) return;
      dropLength(head);
      if (head.status !== 101) {
        this.events.onInformationalHead(head);
        return;
      }
      // A tunnel: whatever follows, to the end of the connection.
      this.headSeen = true;
      this.keepAlive = false;
      this.body.begin(UNTIL_CLOSE, -1);
      this.events.onResponseHead(head, false);
      return;
    }
    this.headSeen = true;
    this.keepAlive = !section.close && (section.minorVersion === 1 || section.keepAlive);
    this.keepAliveTimeoutS = section.keepAliveTimeoutS;
    let framing: Framing;
    if (this.toHead || head.status === 204 || head.status === 304) {
      framing = NO_BODY;
      if (head.status === 204) {
        // A 204 has no length (RFC 9110 section 8.6). One that declares a body may send it later, into the next answer.
        if (declaresBody) this.keepAlive = false;
        dropLength(head);
      }
    } else if (section.transferEncoding !== undefined) framing = CHUNKED;
    else if (head.contentLength >= 0) framing = head.contentLength > 0 ? SIZED : NO_BODY;
    else framing = UNTIL_CLOSE;
    if (framing === UNTIL_CLOSE) this.keepAlive = false;
    this.body.begin(framing, head.contentLength, section.nominated);
    this.done = framing === NO_BODY;
    this.events.onResponseHead(head, framing === NO_BODY);
  }
}

function dropLength(head: ResponseHead): void {
  if (head.contentLength < 0) return;
  head.contentLength = -1;
  const at = head.fields.findIndex((name, index) => index % 2 === 0 && identify(name) === CONTENT_LENGTH);
  if (at >= 0) head.fields.splice(at, 2);
}
