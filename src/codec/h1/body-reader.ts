// The body of one message after another, however it is framed.
import type { Fields } from '../exchange.ts';
import type { WireLimits } from '../limits.ts';
import { ChunkedReader } from './chunked-reader.ts';
import type { Fault } from './fault.ts';
import { CHUNKED, type Framing, NO_BODY, SIZED, UNTIL_CLOSE } from './framing.ts';

const EMPTY = Buffer.alloc(0);

/** Hears of a body. A chunk is borrowed for the length of the call. */
export interface BodyEvents {
  onData(chunk: Buffer, endStream: boolean): void;
  /** Ends the body. Not empty; forbidden names are gone. */
  onTrailers(fields: Fields): void;
  /** Looked at after each call: true where no more events are wanted. */
  readonly stopped: boolean;
}

/** `begin` before each body. */
export class BodyReader {
  framing: Framing = NO_BODY;
  /** Bytes of a sized body that are still to come. */
  remaining = 0;
  done = true;
  fault: Fault | undefined = undefined;

  private readonly limits: WireLimits;
  private chunked: ChunkedReader | undefined = undefined;

  constructor(limits: WireLimits) {
    this.limits = limits;
  }

  /** `length` counts for SIZED, where it is more than nothing; `nominated` for CHUNKED: see ChunkedReader.reset. */
  begin(framing: Framing, length: number, nominated?: Set<string>): void {
    this.framing = framing;
    this.remaining = length;
    this.done = framing === NO_BODY;
    this.fault = undefined;
    if (framing === CHUNKED) (this.chunked ??= new ChunkedReader(this.limits)).reset(nominated);
  }

  /** Reads `bytes[at..end)`; gives the offset after what belongs to the body. */
  read(bytes: Buffer, at: number, end: number, events: BodyEvents): number {
    if (at >= end) return at;
    if (this.framing === SIZED) {
      const stop = Math.min(end, at + this.remaining);
      this.remaining -= stop - at;
      this.done = this.remaining === 0;
      events.onData(bytes.subarray(at, stop), this.done);
      return stop;
    }
    if (this.framing === CHUNKED && this.chunked) {
      const after = this.chunked.read(bytes, at, end, events);
      this.done = this.chunked.done;
      this.fault = this.chunked.fault;
      return after;
    }
    if (this.framing === UNTIL_CLOSE) events.onData(bytes.subarray(at, end), false);
    return end;
  }

  /** The peer has sent FIN: true if that ends the body well. */
  finish(events: BodyEvents): boolean {
    if (this.done) return true;
    if (this.framing !== UNTIL_CLOSE) return false;
    this.done = true;
    events.onData(EMPTY, true);
    return true;
  }
}
