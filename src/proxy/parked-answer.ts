// The answer of an attempt that is being followed by another: the caller gets it after all when the attempts that follow
// bring nothing better. Until then its stream rests, and what had come of it is kept.
import type { Fields, ResponseHead } from '../codec/exchange.ts';
import type { Attempt } from './attempt.ts';
import { HeldBody } from './held-body.ts';

/** An answer that is kept back. */
export class ParkedAnswer {
  readonly attempt: Attempt;
  readonly head: ResponseHead;
  /** The whole answer is here. */
  ended: boolean;
  readonly body = new HeldBody();
  trailers: Fields | undefined = undefined;
  trailersNeverIndexed: readonly string[] | undefined = undefined;
  /** Its stream broke off: it can't be given any more. */
  lost = false;

  constructor(attempt: Attempt, head: ResponseHead, ended: boolean) {
    this.attempt = attempt;
    this.head = head;
    this.ended = ended;
  }

  data(chunk: Uint8Array, endStream: boolean): void {
    this.body.push(chunk);
    if (endStream) this.ended = true;
  }

  trailersCame(fields: Fields, neverIndexed: readonly string[] | undefined): void {
    this.trailers = fields;
    this.trailersNeverIndexed = neverIndexed;
    this.ended = true;
  }
}
