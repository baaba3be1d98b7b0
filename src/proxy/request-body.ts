// The body of a request as far as the caller has sent it, and what of it is kept: for the first attempt while that has no
// connection, and for another one while there may be one.
import type { Fields } from '../codec/exchange.ts';
import { HeldBody } from './held-body.ts';

const NOTHING_HELD = new HeldBody();

/** Of one request. */
export class RequestBody {
  /** The caller has sent its whole request. */
  complete: boolean;
  /** Bytes that came. */
  bytes = 0;
  /** When the last of them came or could have come, monotonic ms. */
  lastMs: number;
  /** The caller is asked to wait. */
  paused = false;
  /** Trailers, kept for the attempt, and which of them are never to be indexed. */
  trailers: Fields | undefined = undefined;
  trailersNeverIndexed: readonly string[] | undefined = undefined;
  private held = NOTHING_HELD;

  constructor(complete: boolean, nowMs: number) {
    this.complete = complete;
    this.lastMs = nowMs;
  }

  /** Counts what came. */
  came(chunk: Uint8Array, endStream: boolean, nowMs: number): void {
    this.bytes += chunk.length;
    this.lastMs = nowMs;
    if (endStream) this.complete = true;
  }

  trailersCame(fields: Fields, neverIndexed: readonly string[] | undefined, nowMs: number): void {
    this.complete = true;
    this.lastMs = nowMs;
    this.trailers = fields;
    this.trailersNeverIndexed = neverIndexed;
  }

  /** The caller may go on: its silence counts from here. */
  resumed(nowMs: number): void {
    this.paused = false;
    this.lastMs = nowMs;
  }

  /** Keeps a copy. */
  hold(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    if (this.held === NOTHING_HELD) this.held = new HeldBody();
    this.held.push(chunk);
  }

  get heldBytes(): number {
    return this.held.bytes;
  }

  /** What is kept, in order. */
  heldChunks(): readonly Buffer[] {
    return this.held.chunks();
  }

  /** Keeps nothing from here on. */
  drop(): void {
    if (this.held === NOTHING_HELD) return;
    this.held.drop();
    this.held = NOTHING_HELD;
  }
}
