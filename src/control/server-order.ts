// Which control plane is tried next, and when. A pure machine: it is told how a try ended and says what comes.
//
//   failed, another one left     ► the next in order, at once (a little jitter)
//   failed, it was the last      ► the first, after a back-off that grows with each round: 500 ms … 30 s
//   ended after it had answered  ► the same, after at least 100 ms; more if streams keep being short-lived
import type { BackoffPolicy } from '../base/backoff.ts';
import { backoffMs } from '../base/backoff.ts';
import type { Rng } from '../base/rng.ts';

const ROUNDS: BackoffPolicy = { initialMs: 500, maxMs: 30_000, multiplier: 2, jitter: 0.5 };
/** 100 to 200 ms at first. A stream that ends after an answer is no failure (gRFC A57), but must not make us spin. */
const ENDED: BackoffPolicy = { initialMs: 200, maxMs: 30_000, multiplier: 2, jitter: 0.5 };
const SHORT_LIVED_MS = 10_000;
/** Between two servers of a round, ms, at most. */
const NEXT_MS = 50;

/** Order and pace of tries. */
export class ServerOrder {
  /** Index of the server to try next, or in use. */
  index = 0;
  private readonly count: number;
  private readonly rng: Rng;
  private rounds = 0;
  private shortLived = 0;

  constructor(count: number, rng: Rng) {
    this.count = count;
    this.rng = rng;
  }

  /** A server answered. */
  answered(): void {
    this.rounds = 0;
  }

  /** No answer came. Returns the delay before the next try, ms. */
  failed(): number {
    this.index = (this.index + 1) % this.count;
    if (this.index !== 0) return this.rng.unit() * NEXT_MS;
    this.rounds++;
    return backoffMs(ROUNDS, this.rounds, this.rng);
  }

  /** A stream that had answered ended. Returns the delay before the next try, ms. */
  ended(livedMs: number): number {
    this.shortLived = livedMs < SHORT_LIVED_MS ? this.shortLived + 1 : 1;
    return backoffMs(ENDED, this.shortLived, this.rng);
  }
}
