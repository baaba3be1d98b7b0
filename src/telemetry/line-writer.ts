// Lines to stderr without ever waiting for the reader. `process.stderr` writes to a pipe synchronously, so a stuck log
// collector would stop the proxy; here one asynchronous write is under way at a time, lines gather meanwhile up to a
// bound, and beyond it they are dropped and counted.
import { write } from 'node:fs';
import type { Cancel, Clock } from '../base/clock.ts';

/** Where bytes go. `done` is called once, in a later turn, with how many were taken. */
export interface LineTarget {
  write(bytes: Uint8Array, done: (error: NodeJS.ErrnoException | undefined, written: number) => void): void;
}

/** A file descriptor: 1 is stdout, 2 stderr. */
export function fdTarget(fd: number): LineTarget {
  return {
    write: (bytes, done) => write(fd, bytes, 0, bytes.length, (error, written) => done(error ?? undefined, written)),
  };
}

/** Bounds of a LineWriter. */
export interface LineWriterOptions {
  /** Characters kept while the target doesn't take them. Default 1 MiB. */
  readonly maxPending?: number;
  /** A line waits this long for others to share its write, ms. Default 50. */
  readonly delayMs?: number;
}

/** Enough for a write of its own. */
const BATCH = 16 * 1024;
/** Pause after EAGAIN: a pipe that doesn't block and is full. */
const RETRY_MS = 10;

/** Gathers lines and writes them in order. */
export class LineWriter {
  /** Lines that were lost: no room while the target was stuck, or the target failed. */
  dropped = 0;
  private readonly target: LineTarget;
  private readonly clock: Clock;
  private readonly maxPending: number;
  private readonly delayMs: number;
  private pending = '';
  private pendingLines = 0;
  private writing: Uint8Array | undefined = undefined;
  private writingLines = 0;
  private cancelTimer: Cancel | undefined = undefined;
  private flushed: (() => void)[] = [];

  constructor(target: LineTarget, clock: Clock, options: LineWriterOptions = {}) {
    this.target = target;
    this.clock = clock;
    this.maxPending = options.maxPending ?? 1024 * 1024;
    this.delayMs = options.delayMs ?? 50;
  }

  /** Takes a line without its line end. */
  write(line: string): void {
    if (this.pending.length + line.length + 1 > this.maxPending) {
      this.dropped++;
      return;
    }
    this.pending += line + '\n';
    this.pendingLines++;
    if (this.writing) return;
    if (this.pending.length >= BATCH) this.startWrite();
    else this.cancelTimer ??= this.clock.after(this.delayMs, this.startWrite);
  }

  /** Resolves when all lines taken so far are written or lost, or after `timeoutMs` (the reader may be stuck for ever). */
  flush(timeoutMs: number): Promise<void> {
    if (!this.writing && this.pending === '') return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.clock.after(timeoutMs, resolve);
      this.flushed.push(() => {
        cancel();
        resolve();
      });
      if (!this.writing) this.startWrite();
    });
  }

  private readonly startWrite = (): void => {
    this.cancelTimer?.();
    this.cancelTimer = undefined;
    this.writing = Buffer.from(this.pending, 'utf8');
    this.writingLines = this.pendingLines;
    this.pending = '';
    this.pendingLines = 0;
    this.target.write(this.writing, this.onWritten);
  };

  private readonly onWritten = (error: NodeJS.ErrnoException | undefined, written: number): void => {
    const bytes = this.writing;
    if (!bytes) return;
    if (error?.code === 'EAGAIN' || error?.code === 'EINTR') {
      this.clock.after(RETRY_MS, () => this.target.write(bytes, this.onWritten));
      return;
    }
    if (error) {
      this.dropped += this.writingLines;
    } else if (written < bytes.length) {
      this.writing = bytes.subarray(written);
      this.target.write(this.writing, this.onWritten);
      return;
    }
    this.writing = undefined;
    if (this.pending !== '') {
      // Lines that came during the write have waited long enough.
      this.startWrite();
      return;
    }
    const flushed = this.flushed;
    this.flushed = [];
    for (const resolve of flushed) resolve();
  };
}
