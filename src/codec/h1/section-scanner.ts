// Finds the end of a head or of a trailer section that came in several reads, and refuses on the way what can never
// become one: control bytes, a CR or LF alone, too much. Each byte is looked at once, so a head that comes one byte at
// a time costs no more than one that comes whole. Guarded by `npm run bench -- micro head-parse`.
import { CR, LF, VALUE_BYTE } from './characters.ts';
import { Fault, malformed } from './fault.ts';

/** `scan` wants more bytes. */
export const NEED_MORE = -1;
/** `scan` found a fault; it is in `fault`. */
export const FAULTY = -2;

const BARE_CR = malformed('a CR without LF');
const BARE_LF = malformed('an LF without CR');
const CONTROL = malformed('a control character');
const LONG_LINE = new Fault('uri_too_long', 'the request line is longer than the limit');
const TOO_LARGE = new Fault('headers_too_large', 'the header section has more bytes than the limit');
const FIRST_HELD_BYTES = 512;

/** One section at a time; `reset` before the next. */
export class SectionScanner {
  fault: Fault | undefined = undefined;
  /** Bytes kept from earlier reads are `held[0..heldLength)`. */
  held: Buffer | undefined = undefined;
  heldLength = 0;

  private readonly maxBytes: number;
  private readonly maxFirstLineBytes: number;
  private readonly starts: Uint8Array | undefined;
  private readonly badStart: Fault | undefined;
  private total = 0;
  private lineLength = 0;
  private afterCr = false;
  private inFirstLine = true;

  /**
   * `maxBytes` counts from the first byte to the blank line's CRLF, `maxFirstLineBytes` without CRLF. `starts`: 1 for each
   * byte that a section may begin with, `badStart` what it is where it doesn't: garbage without a line end isn't waited
   * for. Left out: not looked at.
   */
  constructor(maxBytes: number, maxFirstLineBytes: number, starts?: Uint8Array, badStart?: Fault) {
    this.maxBytes = maxBytes;
    this.maxFirstLineBytes = maxFirstLineBytes;
    this.starts = starts;
    this.badStart = badStart;
  }

  /** Whether no byte of a section has come yet. */
  get isEmpty(): boolean {
    return this.total === 0;
  }

  /** Looks at `bytes[start..end)`, which follow what was seen before. Gives the offset after the blank line, NEED_MORE or FAULTY. */
  scan(bytes: Buffer, start: number, end: number): number {
    let { total, lineLength, afterCr } = this;
    const maxBytes = this.maxBytes;
    if (total === 0 && start < end && this.badStart && this.starts) {
      const first = bytes[start]!;
      if (this.starts[first] === 0 && VALUE_BYTE[first] === 1) return this.fail(this.badStart);
    }
    for (let i = start; i < end; i++) {
      const byte = bytes[i]!;
      if (++total > maxBytes) return this.fail(TOO_LARGE);
      if (afterCr) {
        if (byte !== LF) return this.fail(BARE_CR);
        if (lineLength === 0) {
          this.total = total;
          return i + 1;
        }
        afterCr = false;
        lineLength = 0;
        this.inFirstLine = false;
      } else if (byte === CR) {
        afterCr = true;
      } else if (VALUE_BYTE[byte] === 0) {
        return this.fail(byte === LF ? BARE_LF : CONTROL);
      } else if (++lineLength > this.maxFirstLineBytes && this.inFirstLine) {
        return this.fail(LONG_LINE);
      }
    }
    this.total = total;
    this.lineLength = lineLength;
    this.afterCr = afterCr;
    return NEED_MORE;
  }

  /** Keeps a copy of `bytes[start..end)`; never more than the limit, since `scan` has counted them. */
  hold(bytes: Buffer, start: number, end: number): void {
    const need = this.heldLength + end - start;
    if (!this.held || this.held.length < need) {
      const larger = Buffer.allocUnsafeSlow(Math.max(need, FIRST_HELD_BYTES, this.heldLength * 2));
      this.held?.copy(larger, 0, 0, this.heldLength);
      this.held = larger;
    }
    bytes.copy(this.held, this.heldLength, start, end);
    this.heldLength = need;
  }

  /** Forgets everything; the next section may start. */
  reset(): void {
    this.fault = undefined;
    this.held = undefined;
    this.heldLength = 0;
    this.total = 0;
    this.lineLength = 0;
    this.afterCr = false;
    this.inFirstLine = true;
  }

  private fail(fault: Fault): typeof FAULTY {
    this.fault = fault;
    return FAULTY;
  }
}
