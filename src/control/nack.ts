// Saying no: the text of a NACK, and its pace. A state-of-the-world server that only compares versions answers a NACK at
// once with the same bad response; so the same content refused again is answered later and later.
import type { BackoffPolicy } from '../base/backoff.ts';
import { backoffMs } from '../base/backoff.ts';
import type { Rng } from '../base/rng.ts';
import type { Kind } from '../config/resource.ts';
import type { Refused } from './subscription.ts';

/** Most bytes of an error_detail message. */
export const NACK_MAX_BYTES = 4_000;

/** Between NACKs of the same content: at least 1 s at first, at most 60 s. */
const PACE: BackoffPolicy = { initialMs: 1_250, maxMs: 60_000, multiplier: 2, jitter: 0.2 };

/** `Upstream default/foo: problem; Upstream default/bar: problem`, cut with the number of those left out. */
export function nackMessage(kind: Kind, refused: readonly Refused[]): string {
  const room = NACK_MAX_BYTES - 40; // for `; and N more resources`
  let text = '';
  for (const [index, { name, error }] of refused.entries()) {
    const piece = `${index === 0 ? '' : '; '}${kind} ${name}: ${error}`;
    if (Buffer.byteLength(text) + Buffer.byteLength(piece) <= room) {
      text += piece;
      continue;
    }
    if (index === 0) text = cutToBytes(piece, room - 8) + ' (cut)';
    const left = refused.length - Math.max(1, index);
    return left === 0 ? text : `${text}; and ${left} more resource${left === 1 ? '' : 's'}`;
  }
  return text;
}

function cutToBytes(text: string, maxBytes: number): string {
  // A character that is cut in half becomes U+FFFD, which is taken off again.
  return Buffer.from(text)
    .subarray(0, maxBytes)
    .toString()
    .replace(/\uFFFD$/u, '');
}

/** An answer that is due. */
export interface Nack {
  readonly nonce: string;
  readonly error: string;
}

/** Decides when a NACK is sent. */
export class NackPace {
  private readonly rng: Rng;
  private digest = '';
  private repeats = 0;
  private delayed: Nack[] = [];
  /** When `take` has something; Infinity: nothing waits. */
  nextDueMs = Infinity;

  constructor(rng: Rng) {
    this.rng = rng;
  }

  /** A response of that content was refused. Returns what to send now, in order. */
  refuse(digest: string, nack: Nack, nowMs: number): Nack[] {
    if (digest !== this.digest) {
      this.digest = digest;
      this.repeats = 0;
      return [...this.flush(), nack];
    }
    this.repeats++;
    // What comes while one waits joins it: a server that doesn't wait for answers can't push the date out.
    if (this.delayed.length === 0) this.nextDueMs = nowMs + backoffMs(PACE, this.repeats, this.rng);
    this.delayed.push(nack);
    return [];
  }

  /** A response was accepted that said something: what was refused before is over. Returns what to send first. */
  accept(): Nack[] {
    this.digest = '';
    this.repeats = 0;
    return this.flush();
  }

  /** Everything that waits, whether due or not. */
  flush(): Nack[] {
    const nacks = this.delayed;
    this.delayed = [];
    this.nextDueMs = Infinity;
    return nacks;
  }

  /** What is due. */
  take(nowMs: number): Nack[] {
    return nowMs >= this.nextDueMs ? this.flush() : [];
  }
}
