// Types that a control plane may not know. Some servers end the whole stream when asked for such a one, so it is asked
// for last, and is parked where that happens again and again: the others must live. When a stream on which it wasn't
// asked for ends, the server may have become a newer one: the next stream asks once more.
import type { Kind } from '../config/resource.ts';

/** Those types. */
export const OPTIONAL_KINDS: ReadonlySet<Kind> = new Set(['Secret']);

/** A stream that ends within this time of asking for one, without an answer to it, counts against it, ms. */
const BLAME_MS = 5_000;
/** So many such streams in a row park the type. */
const STRIKES = 3;

const NONE: ReadonlySet<Kind> = new Set();

/** How a stream ended. */
export interface StreamEnd {
  /** The transport was connected, so the server has heard of what was asked. */
  readonly connected: boolean;
  /** Since an optional type was asked for, ms; undefined: none was, or it was answered. */
  readonly askedForMs: number | undefined;
  readonly error: string;
}

/** What is parked at which server. */
export class ParkedTypes {
  private readonly strikes = new Map<number, number>();

  /** Types not to ask the server with that index for. */
  at(index: number): ReadonlySet<Kind> {
    return (this.strikes.get(index) ?? 0) >= STRIKES ? OPTIONAL_KINDS : NONE;
  }

  /** The server answered for an optional type. */
  answered(index: number): void {
    this.strikes.delete(index);
  }

  /** A stream ended. Returns whether that parked the types. */
  ended(index: number, { connected, askedForMs, error }: StreamEnd): boolean {
    if (!connected) return false;
    if (askedForMs === undefined) {
      if (this.at(index).size > 0) this.strikes.set(index, STRIKES - 1);
      return false;
    }
    if (askedForMs > BLAME_MS) {
      // It bore the question.
      this.strikes.delete(index);
      return false;
    }
    // A server that goes away doesn't mean this type.
    if (error.startsWith('UNAVAILABLE')) return false;
    const strikes = (this.strikes.get(index) ?? 0) + 1;
    this.strikes.set(index, strikes);
    return strikes === STRIKES;
  }
}
