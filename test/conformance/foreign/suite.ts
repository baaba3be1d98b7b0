import type { Children } from '../../bench/child.ts';

/** What every suite needs to run. */
export interface Bench {
  readonly children: Children;
  /** A folder for files of the run, removed at the end. */
  readonly folder: string;
  /** A folder that `outrigger certs` filled. */
  readonly certificates: string;
  /** Smaller counts. */
  readonly quick: boolean;
  /** Tells of a step. */
  progress(step: string): void;
}

/** One figure that is held to. */
export interface Figure {
  readonly name: string;
  readonly value: string;
  readonly expected: string;
  readonly met: boolean;
}

/** What a suite found. Nothing in it may differ between two runs with the same result: no time, port or path. */
export interface Findings {
  /** Programs that took part, with their versions. */
  readonly tools: readonly string[];
  readonly figures: readonly Figure[];
  /** Rows of a table, the first its head; left out where there is none. */
  readonly table?: readonly (readonly string[])[];
  /** What didn't pass, each with what was seen. */
  readonly failures?: readonly string[];
  /** What a reader should know of the figures. */
  readonly notes?: readonly string[];
}

/** A suite that others wrote, or a client of theirs. */
export interface Suite {
  readonly name: string;
  readonly summary: string;
  /** Why it can't run here, or undefined. */
  missing(): string | undefined;
  /** Runs it. Throws where it could not be run to its end; that counts as failed. */
  run(bench: Bench): Promise<Findings>;
}

/** How a suite came out. */
export type Result =
  | { readonly kind: 'ran'; readonly suite: Suite; readonly findings: Findings }
  | { readonly kind: 'skipped'; readonly suite: Suite; readonly reason: string }
  | { readonly kind: 'broken'; readonly suite: Suite; readonly reason: string };

/** All of them have to pass, and there must be at least `least`. */
export function allPass(name: string, passed: number, total: number, least: number): Figure {
  return {
    name,
    value: `${passed} of ${total}`,
    expected: total >= least ? `${total} of ${total}` : `at least ${least}`,
    met: passed === total && total >= least,
  };
}

/** There must be none. */
export function none(name: string, count: number): Figure {
  return { name, value: String(count), expected: '0', met: count === 0 };
}

/** It has to be so. */
export function holds(name: string, met: boolean): Figure {
  return { name, value: met ? 'yes' : 'no', expected: 'yes', met };
}

/** Whether a run is good: everything that ran met its figures. */
export function isGood(result: Result): boolean {
  if (result.kind === 'skipped') return true;
  return result.kind === 'ran' && result.findings.figures.every(({ met }) => met);
}
