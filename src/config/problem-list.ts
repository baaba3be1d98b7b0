// Problems are collected, not thrown: who wrote a resource hears of everything that is wrong with it at once.
import type { Problem } from './resource.ts';

/** Problems told of one resource; more than these are counted only, so that a broken resource makes no huge answer. */
const MAX_PROBLEMS = 100;

/** The lines that stand for problems beyond those told, with their number. */
const BEYOND = new WeakMap<Problem, number>();

/** How many problems a line stands for that says that there are further ones; 0: it is a problem itself. */
export function furtherCount(problem: Problem): number {
  return BEYOND.get(problem) ?? 0;
}

/** Collects the problems of one resource or document. */
export class ProblemList {
  private readonly noun: string;
  private readonly told: Problem[] = [];
  private count = 0;

  /** `noun`: what many of them are called. */
  constructor(noun = 'problems') {
    this.noun = noun;
  }

  /** Adds one; `path` is a field path, empty for the whole. */
  add(path: string, reason: string): void {
    this.count++;
    if (this.told.length < MAX_PROBLEMS) this.told.push({ path, reason });
  }

  /** Adds a number of those that aren't told. */
  addUntold(count: number): void {
    this.count += count;
  }

  /** How many were added. */
  get size(): number {
    return this.count;
  }

  /** The first hundred, and how many there are beyond. */
  list(): readonly Problem[] {
    const beyond = this.count - this.told.length;
    if (beyond === 0) return this.told;
    const noun = beyond === 1 ? this.noun.replace(/s$/, '') : this.noun;
    const line = { path: '', reason: `and ${beyond} further ${noun}` };
    BEYOND.set(line, beyond);
    return [...this.told, line];
  }
}

/** Path of a member: `checks` + `active` → `checks.active`. */
export function member(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

/** Path of an entry of a list: `nodes` + 2 → `nodes[2]`. */
export function entry(path: string, index: number): string {
  return `${path}[${index}]`;
}

/** Path of an entry of a map: `labels` + `app` → `labels["app"]`. PEM text isn't shown. */
export function keyed(path: string, key: string): string {
  return `${path}[${JSON.stringify(isPem(key) ? PEM_TEXT : key)}]`;
}

/** What stands for PEM text in a message: where it is out of place it may be a private key. */
const PEM_TEXT = 'PEM text';

function isPem(word: string): boolean {
  return word.includes('-----BEGIN');
}

/** A word as it stands in a message: quoted, cut after 60 characters. PEM text isn't shown. */
export function quote(word: string): string {
  return isPem(word) ? PEM_TEXT : `'${printable(word, 60)}'`;
}

/** A word on one line: cut after `max` characters, with escapes for control characters. PEM text isn't shown. */
export function printable(word: string, max: number): string {
  if (isPem(word)) return PEM_TEXT;
  const cut = word.length > max ? `${word.slice(0, max)}…` : word;
  return cut.replace(/[\u0000-\u001f\u007f]/g, (char) => JSON.stringify(char).slice(1, -1));
}
