// Which code an input reaches, by V8's own block coverage.
import { type Profiler, Session } from 'node:inspector';

/** Characters of source that were executed, by file. */
export type Covered = ReadonlyMap<string, Uint8Array>;

/** Counts what is reached in files whose address has `folder` in it. Slows everything down while it runs. */
export class BlockCoverage {
  private readonly session = new Session();
  private readonly folder: string;
  private seen = new Map<string, Uint8Array>();

  constructor(folder: string) {
    this.folder = folder;
    this.session.connect();
    this.session.post('Profiler.enable');
    this.session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** How many characters of source were executed since the last call that never were before. */
  gain(): number {
    let gained = 0;
    this.session.post('Profiler.takePreciseCoverage', (error, taken) => {
      if (error) throw error;
      for (const script of taken.result) if (script.url.includes(this.folder)) gained += this.add(script);
    });
    return gained;
  }

  /** What was executed so far. */
  known(): Covered {
    return new Map([...this.seen].map(([url, marks]) => [url, marks.slice()]));
  }

  /** Goes back to what was known then. */
  forget(known: Covered): void {
    this.seen = new Map([...known].map(([url, marks]) => [url, marks.slice()]));
  }

  /** Characters seen so far, in all files. */
  get total(): number {
    let total = 0;
    for (const marks of this.seen.values()) for (const mark of marks) total += mark;
    return total;
  }

  stop(): void {
    this.session.post('Profiler.stopPreciseCoverage');
    this.session.disconnect();
  }

  /** Ranges are nested, outer before inner, functions too: the innermost one that holds a character decides. */
  private add(script: Profiler.ScriptCoverage): number {
    let length = 0;
    for (const { ranges } of script.functions) for (const { endOffset } of ranges) length = Math.max(length, endOffset);
    const now = new Uint8Array(length);
    for (const { ranges } of script.functions) {
      for (const { startOffset, endOffset, count } of ranges) now.fill(count > 0 ? 1 : 0, startOffset, endOffset);
    }
    let marks = this.seen.get(script.url);
    if (!marks || marks.length < length) {
      const larger = new Uint8Array(length);
      if (marks) larger.set(marks);
      this.seen.set(script.url, (marks = larger));
    }
    let gained = 0;
    for (let i = 0; i < length; i++) {
      if (now[i] === 0 || marks[i] === 1) continue;
      marks[i] = 1;
      gained++;
    }
    return gained;
  }
}
