// How long a Route that was edited waits for the Service or PluginConfig that it names and that isn't here. These come
// under `*`, so there is no answer that one of them doesn't exist; the time is that of a name that is asked for. It runs
// only while the stream is connected, and starts again on another one, since nothing can come without.
import type { Kind } from '../config/resource.ts';
import { ABSENCE_MS } from './subscription.ts';

/** A stream, as far as time depends on it. */
export interface GraceStream {
  readonly isConnected: boolean;
}

/** Names that are waited for. They are told anew in each round, and forgotten where they aren't. */
export class AbsenceGrace {
  /** When the earliest wait of the last round ends, on the monotonic clock; Infinity: none does by time. */
  nextDueMs = Infinity;
  /** Monotonic time at which the wait for a name ends; Infinity while it doesn't run. */
  private readonly dueMs = new Map<string, number>();
  private readonly told = new Set<string>();
  private stream: GraceStream | undefined = undefined;
  private runs = false;
  private nowMs = 0;

  /** Something is waited for, and its time doesn't run. */
  get isPaused(): boolean {
    for (const dueMs of this.dueMs.values()) if (dueMs === Infinity) return true;
    return false;
  }

  /** A round begins. `stream`: the one that what is waited for comes by; undefined: there is none. */
  begin(stream: GraceStream | undefined, nowMs: number): void {
    const runs = stream?.isConnected === true;
    if (stream !== this.stream || runs !== this.runs) this.dueMs.clear();
    this.stream = stream;
    this.runs = runs;
    this.nowMs = nowMs;
    this.told.clear();
  }

  /** Tells that there is no such resource, and returns whether it may still come. */
  isAwaited(kind: Kind, name: string): boolean {
    const key = `${kind} ${name}`;
    this.told.add(key);
    let dueMs = this.dueMs.get(key);
    if (dueMs === undefined) {
      dueMs = this.runs ? this.nowMs + ABSENCE_MS : Infinity;
      this.dueMs.set(key, dueMs);
    }
    return this.nowMs < dueMs;
  }

  /** The round ends. */
  end(): void {
    this.nextDueMs = Infinity;
    for (const [key, dueMs] of this.dueMs) {
      if (!this.told.has(key)) this.dueMs.delete(key);
      else if (dueMs > this.nowMs) this.nextDueMs = Math.min(this.nextDueMs, dueMs);
    }
  }
}
