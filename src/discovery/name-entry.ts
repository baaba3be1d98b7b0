// One name and what is known of it.
//
//            ┌──────────────── time to live over / back-off over ───────────────┐
//            ▼                                                                  │
//   want ► queued ► asking ──answer──► answered (error empty, or naming a gap) ─┤
//            ▲         └─────failure──► failed (error says why; the answer of ──┘
//            └ drop: what comes later     before, if any, stays in use)
//              is not looked at
//
// `isPending` until the first of the two outcomes.
import type { Cancel, Clock } from '../base/clock.ts';
import { backoffMs, type BackoffPolicy } from '../base/backoff.ts';
import type { Logger } from '../base/log.ts';
import type { Rng } from '../base/rng.ts';
import { isSameAnswer, mergeAnswer, type Answer, type LookupResult } from './answer.ts';
import type { LookupQueue } from './lookup-queue.ts';
import { partAnswer, type OwnFamilies } from './own-families.ts';
import type { LookupQuery } from './resolver.ts';

/** Bounds of the time after which an answer is asked for again, ms. */
export const TTL_BOUNDS_MS = { min: 1_000, max: 3_600_000 } as const;
/** After a failed look-up. */
export const RETRY: BackoffPolicy = { initialMs: 1_000, maxMs: 30_000, multiplier: 2, jitter: 0.2 };
/** A look-up that lasts longer has failed, ms. */
export const LOOKUP_LIMIT_MS = 30_000;
/** Refreshes come up to this share of the time to live later, at most REFRESH_JITTER_MS, so that they spread. */
const REFRESH_JITTER = 0.05;
const REFRESH_JITTER_MS = 5_000;

/** What an entry works with. */
export interface NameEntryContext {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly logger: Logger;
  readonly lookup: (query: LookupQuery) => Promise<LookupResult>;
  /** Families this machine has. */
  readonly families: () => OwnFamilies;
  readonly queue: LookupQueue;
  /** After each look-up; `isNews`: endpoints may differ from those before it. */
  readonly onSettled: (entry: NameEntry, isNews: boolean) => void;
}

/** A name that is wanted. */
export class NameEntry {
  readonly kind: LookupQuery['kind'];
  readonly name: string;
  /** Whether it was neither answered nor has failed yet. */
  isPending = true;
  /** What is in use; another object whenever it says something else. */
  answer: Answer | undefined = undefined;
  /** Addresses that aren't, since this machine has none of their family. */
  leftOut: readonly string[] = [];
  error = '';
  /** When it was answered last. */
  resolvedWallMs: number | undefined = undefined;
  /** When it is looked up again; undefined while it is. */
  nextWallMs: number | undefined = undefined;
  /** `answer` with what is left out. */
  private known: Answer | undefined = undefined;
  private failures = 0;
  private dropped = false;
  private cancelTimer: Cancel | undefined = undefined;
  private readonly context: NameEntryContext;

  constructor(kind: LookupQuery['kind'], name: string, context: NameEntryContext) {
    this.kind = kind;
    this.name = name;
    this.context = context;
  }

  /** Begins to look it up. */
  start(): void {
    this.enqueue();
  }

  /** Nobody wants it any more. */
  drop(): void {
    this.dropped = true;
    this.cancelTimer?.();
  }

  private readonly enqueue = (): void => {
    this.cancelTimer = undefined;
    this.nextWallMs = undefined;
    this.context.queue.add(this.ask, this.failures > 0);
  };

  private readonly ask = (done: () => void): void => {
    const { clock, lookup } = this.context;
    if (this.dropped) {
      done();
      return;
    }
    let ended = false;
    const end = (result: LookupResult): void => {
      if (ended) return;
      ended = true;
      cancelLimit();
      if (!this.dropped) this.settle(result);
      done();
    };
    const cancelLimit = clock.after(LOOKUP_LIMIT_MS, () =>
      end({ failure: `no answer in ${LOOKUP_LIMIT_MS / 1000} s` }),
    );
    lookup({ kind: this.kind, name: this.name, previous: this.answer }).then(end, (error: unknown) =>
      end({ failure: error instanceof Error ? error.message : String(error) }),
    );
  };

  private settle(result: LookupResult): void {
    const wasPending = this.isPending;
    const before = this.answer;
    this.isPending = false;
    if ('answer' in result) this.succeed(result.answer);
    else this.fail(result.failure);
    this.context.onSettled(this, wasPending || this.answer !== before);
  }

  private succeed(next: Answer): void {
    const { clock, rng, logger, families } = this.context;
    const before = this.answer;
    this.known = mergeAnswer(this.known, next);
    const { used, leftOut } = partAnswer(this.known, families);
    this.leftOut = leftOut;
    if (before === undefined || !isSameAnswer(before, used)) this.answer = used;
    this.resolvedWallMs = clock.wallMs();
    if (this.failures > 0) logger.log('info', { name: this.name }, 'DNS name is found again');
    this.failures = 0;
    const [gap] = next.gaps;
    this.error = gap ? `${gap.host}${gap.family ? ` ${gap.family === 4 ? 'A' : 'AAAA'}` : ''}: ${gap.reason}` : '';
    if (this.answer !== before && logger.isOn('info')) {
      logger.log('info', { name: this.name, addresses: addressesOf(used) }, 'addresses of a DNS name');
    }
    const ttlMs = Math.min(Math.max(next.ttlMs, TTL_BOUNDS_MS.min), TTL_BOUNDS_MS.max);
    this.schedule(ttlMs + Math.min(ttlMs * REFRESH_JITTER, REFRESH_JITTER_MS) * rng.unit());
  }

  private fail(reason: string): void {
    const { logger, rng } = this.context;
    this.failures++;
    if (this.failures === 1 || this.error !== reason) {
      const inUse = this.answer ? addressesOf(this.answer) : [];
      logger.log('warn', { name: this.name, inUse }, `DNS name isn't found: ${reason}`);
    }
    this.error = reason;
    this.schedule(backoffMs(RETRY, this.failures, rng));
  }

  private schedule(delayMs: number): void {
    const { clock } = this.context;
    this.nextWallMs = clock.wallMs() + delayMs;
    this.cancelTimer = clock.after(delayMs, this.enqueue);
  }
}

/** All addresses of an answer, each once, ordered. */
export function addressesOf(answer: Answer): readonly string[] {
  return [...new Set([...answer.addresses.values()].flat())].sort();
}
