// How many look-ups run at the same time. First come, first served, but names whose last look-up failed never take more
// than half of the places: a dead zone, whose every look-up lasts until its timeouts, doesn't hold up the others.

/** Look-ups in flight. */
export const MAX_LOOKUPS = 64;

/** Work that waits for its turn; calls `done` once when it has ended. */
export type Job = (done: () => void) => void;

/** Runs jobs, some at a time. */
export class LookupQueue {
  private readonly usual: Job[] = [];
  private readonly doubtful: Job[] = [];
  private running = 0;
  private runningDoubtful = 0;

  /** Runs `job` when it is its turn, maybe at once. `isDoubtful`: the last look-up failed. */
  add(job: Job, isDoubtful: boolean): void {
    (isDoubtful ? this.doubtful : this.usual).push(job);
    this.fill();
  }

  /** Forgets what waits. */
  clear(): void {
    this.usual.length = this.doubtful.length = 0;
  }

  private fill(): void {
    while (this.running < MAX_LOOKUPS) {
      const usual = this.usual.shift();
      if (usual) {
        this.start(usual, false);
        continue;
      }
      if (this.doubtful.length === 0 || this.runningDoubtful >= MAX_LOOKUPS / 2) return;
      const doubtful = this.doubtful.shift();
      if (doubtful) this.start(doubtful, true);
    }
  }

  private start(job: Job, isDoubtful: boolean): void {
    this.running++;
    if (isDoubtful) this.runningDoubtful++;
    job(() => {
      this.running--;
      if (isDoubtful) this.runningDoubtful--;
      this.fill();
    });
  }
}
