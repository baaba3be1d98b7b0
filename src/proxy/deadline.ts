// The deadline of a gRPC call: enforced here, and passed on with each attempt, less the time already spent.
import type { ErrorKind } from '../base/error.ts';
import type { Fields } from '../codec/exchange.ts';
import { parseGrpcTimeout, remainingGrpcTimeout } from '../codec/grpc/timeout.ts';
import { CANCEL } from '../codec/h2/error-code.ts';

/** What rounding may take off a deadline that is passed on. */
const UNIT_MS = 1;

/** Of one call. */
export class CallDeadline {
  /** From the start of the call. */
  readonly timeoutMs: number;
  private readonly startMs: number;
  /** Index of grpc-timeout's value in the fields. */
  private readonly index: number;

  private constructor(timeoutMs: number, startMs: number, index: number) {
    this.timeoutMs = timeoutMs;
    this.startMs = startMs;
    this.index = index;
  }

  /** Reads grpc-timeout; undefined where there is none. Two of them would mean two things to two readers. */
  static read(fields: Fields, startMs: number): CallDeadline | 'malformed' | undefined {
    let read: CallDeadline | undefined;
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] !== 'grpc-timeout' && fields[i]!.toLowerCase() !== 'grpc-timeout') continue;
      const timeoutMs = parseGrpcTimeout(fields[i + 1]!);
      if (timeoutMs === undefined || read !== undefined) return 'malformed';
      read = new CallDeadline(timeoutMs, startMs, i + 1);
    }
    return read;
  }

  /** Lowers the field, in the fields that were read, by the time spent. */
  lower(fields: Fields, nowMs: number): void {
    fields[this.index] = remainingGrpcTimeout(this.timeoutMs, nowMs - this.startMs);
  }

  /**
   * Whether a reset says that the call's time is over. A server that keeps the deadline that it was given cancels the
   * stream at the same moment as our timer, and often hears its own first.
   */
  explains(kind: ErrorKind, resetCode: number, nowMs: number): boolean {
    return kind === 'upstream_reset' && resetCode === CANCEL && nowMs + UNIT_MS >= this.startMs + this.timeoutMs;
  }
}
