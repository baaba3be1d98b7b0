// How many downstream connections the process takes, over all its listeners. A process out of file descriptors can't
// reach its upstreams, and Node doesn't even say that it could not accept: so callers get a share of them, and those
// beyond it an answer instead of silence.

/** Of the quota, the part that may at once be on its way out with an answer. */
const TURNING_AWAY_SHARE = 1 / 8;
const MAX_TURNING_AWAY = 256;

/** The process's count of downstream connections. One for all listeners. */
export class ConnectionQuota {
  /** Most connections open at once. */
  readonly limit: number;
  /** Why one more is refused, for the log. */
  readonly reason: string;
  /** Connections open now; those that are being turned away don't count. */
  open = 0;
  /** Connections beyond the limit that are being told so. */
  turningAway = 0;
  private readonly maxTurningAway: number;

  /** `share` (0 to 1) of `descriptors`, the process's limit of open files; 1 connection at least. */
  constructor(descriptors: number, share: number) {
    this.limit = Math.max(1, Math.floor(descriptors * share));
    this.maxTurningAway = Math.max(1, Math.min(MAX_TURNING_AWAY, Math.floor(this.limit * TURNING_AWAY_SHARE)));
    const percent = Math.round(share * 1000) / 10;
    this.reason = `${this.limit} connections are open, ${percent} % of the ${descriptors} files that this process may open`;
  }

  /** Takes a place; false where none is left. */
  take(): boolean {
    if (this.open >= this.limit) return false;
    this.open++;
    return true;
  }

  /** Gives a place back. */
  release(): void {
    this.open--;
  }

  /** Whether one more may be told why it is refused; false: there are so many of them that it is closed at once. */
  takeFarewell(): boolean {
    if (this.turningAway >= this.maxTurningAway) return false;
    this.turningAway++;
    return true;
  }

  /** One that was told is gone. */
  releaseFarewell(): void {
    this.turningAway--;
  }
}
