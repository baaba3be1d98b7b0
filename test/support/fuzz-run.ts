// Runs one parser over many inputs. What an input is depends on the seed and its number only, so a run can be had
// again. A failure is cut down to a small input and told with everything that is needed to see it again; the run goes
// on, since the next rule that breaks is worth knowing too.
//
//   OUTRIGGER_FUZZ_INPUTS  inputs of each parser
//   OUTRIGGER_FUZZ_SEED    where they start
//   OUTRIGGER_FUZZ_HEX     instead of all that, this one input, cut in many ways
//   OUTRIGGER_FUZZ_GROW    adds inputs that reach new code to test/fuzz/corpus
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type Rng, seededRng } from '../../src/base/rng.ts';
import { BlockCoverage } from './fuzz-coverage.ts';
import type { Mutate } from './fuzz-mutator.ts';
import { FuzzWatchdog } from './fuzz-watchdog.ts';

/** One parser with its rules. */
export interface FuzzTarget {
  readonly name: string;
  readonly seeds: readonly Buffer[];
  readonly mutate: Mutate;
  /** Feeds the input in several ways, drawn from `rng`; throws where a rule is broken. */
  check(input: Buffer, rng: Rng): void;
  /** Runs so many inputs, whatever is asked for. */
  readonly inputs?: number;
}

/** A rule is broken. */
export class BrokenRule extends Error {
  /** The rule, the same for all inputs that break it. */
  readonly rule: string;

  constructor(rule: string, detail: string) {
    super(`${rule}: ${detail}`);
    this.rule = rule;
  }
}

/** Throws a {@link BrokenRule}. */
export function broken(rule: string, detail = ''): never {
  throw new BrokenRule(rule, detail);
}

const DEFAULT_INPUTS = 100_000;
const CORPUS = 'test/fuzz/corpus';
const MAX_FINDINGS = 10;
const TURN_INPUTS = 10_000;
const SHRINK_STEPS = 4000;
const SHRINK_WAYS = 12;
const REPLAY_WAYS = 2000;
/** An input, read a few times, may take so long, ms: a thousand times the usual, so that what grows too fast shows. */
const MAX_INPUT_MS = 75;
const TIME = 'no input takes long';
/** What a run may leave on the heap. */
const MAX_GROWTH_BYTES = 24 * 1024 * 1024;

/** Where inputs start, and how many there are. */
export const fuzzSettings = {
  seed: Number(process.env['OUTRIGGER_FUZZ_SEED'] ?? 1),
  inputs: Number(process.env['OUTRIGGER_FUZZ_INPUTS'] ?? DEFAULT_INPUTS),
};
const { seed, inputs } = fuzzSettings;
const hex = process.env['OUTRIGGER_FUZZ_HEX'];
const grow = process.env['OUTRIGGER_FUZZ_GROW'] === '1';

interface Finding {
  readonly number: number;
  readonly input: Buffer;
  readonly error: Error;
}

/** Runs `target`; `tell` gets a line of figures. Throws with all findings if there are any. */
export async function runFuzz(target: FuzzTarget, tell: (line: string) => void): Promise<void> {
  if (hex !== undefined) return replay(target, Buffer.from(hex, 'hex'));
  const corpus = [...target.seeds, ...readCorpus(target.name)];
  if (grow) return growCorpus(target, corpus, tell);
  const findings = new Map<string, Finding>();
  const startMs = nowMs();
  for (const [i, input] of corpus.entries()) tryInput(target, input, -1 - i, findings);
  const count = target.inputs ?? inputs;
  const warm = Math.ceil(count / 5);
  const watchdog = count >= 1000 ? new FuzzWatchdog(target.name) : undefined;
  let heapBytes = 0;
  let bytes = 0;
  let slowestMs = 0;
  for (let number = 0; number < count && findings.size < MAX_FINDINGS; number++) {
    if (number === warm) heapBytes = usedHeapBytes();
    const input = target.mutate(rngOf(number), corpus);
    bytes += input.length;
    watchdog?.working(number, input);
    slowestMs = Math.max(slowestMs, tryInput(target, input, number, findings));
    if (number % TURN_INPUTS === 0) await nextTurn(); // what Node does between turns mustn't pile up
  }
  const grownBytes = usedHeapBytes() - heapBytes;
  watchdog?.stop();
  const seconds = (nowMs() - startMs) / 1000;
  tell(
    `${target.name}: ${count} inputs, ${(bytes / 1e6).toFixed(1)} MB, seed ${seed}, ${corpus.length} in the corpus, ` +
      `${seconds.toFixed(1)} s, slowest ${slowestMs.toFixed(1)} ms, heap ${(grownBytes / 1e6).toFixed(1)} MB, ${findings.size} findings`,
  );
  if (findings.size > 0) throw new Error([...findings.values()].map((finding) => report(target, finding)).join('\n\n'));
  if (grownBytes > MAX_GROWTH_BYTES) throw new Error(`${target.name}: the heap grew by ${grownBytes} bytes`);
}

function rngOf(number: number): Rng {
  return seededRng(Math.imul(number + 1, 0x9e3779b1) ^ Math.imul(seed, 0x85ebca6b));
}

/** Another sequence than the one that made the input. */
function checkRngOf(number: number): Rng {
  return seededRng(Math.imul(number + 1, 0xc2b2ae35) ^ seed);
}

function failure(target: FuzzTarget, input: Buffer, rng: Rng): Error | undefined {
  try {
    target.check(input, rng);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function ruleOf(error: Error): string {
  return error instanceof BrokenRule ? error.rule : `${error.name}: ${error.message.split('\n', 1)[0] ?? ''}`;
}

/** Says how long it took, ms. */
function tryInput(target: FuzzTarget, input: Buffer, number: number, findings: Map<string, Finding>): number {
  const beforeMs = nowMs();
  const error = failure(target, input, checkRngOf(number));
  const tookMs = nowMs() - beforeMs;
  if (error && !findings.has(ruleOf(error))) findings.set(ruleOf(error), { number, input, error });
  if (tookMs > MAX_INPUT_MS && !findings.has(TIME)) checkTime(target, input, number, findings);
  return tookMs;
}

/** Slow once may be the machine; slow four times is the input. */
function checkTime(target: FuzzTarget, input: Buffer, number: number, findings: Map<string, Finding>): void {
  let leastMs = Infinity;
  for (let i = 0; i < 3; i++) {
    const beforeMs = nowMs();
    failure(target, input, checkRngOf(number));
    leastMs = Math.min(leastMs, nowMs() - beforeMs);
  }
  if (leastMs <= MAX_INPUT_MS) return;
  findings.set(TIME, { number, input, error: new BrokenRule(TIME, `${leastMs.toFixed(0)} ms`) });
}

/** A smaller input that breaks the same rule, found by leaving out ever smaller pieces. */
function shrink(target: FuzzTarget, { input, error, number }: Finding): { input: Buffer; error: Error } {
  const rule = ruleOf(error);
  let steps = 0;
  const breaks = (candidate: Buffer): Error | undefined => {
    for (let way = 0; way < SHRINK_WAYS; way++) {
      const found = failure(target, candidate, checkRngOf(number + way));
      if (found && ruleOf(found) === rule) return found;
    }
    return undefined;
  };
  let best = { input, error };
  for (let size = Math.max(1, input.length >> 1); size >= 1; size = size === 1 ? 0 : size >> 1) {
    for (let at = 0; at < best.input.length && steps < SHRINK_STEPS;) {
      steps++;
      const candidate = Buffer.concat([best.input.subarray(0, at), best.input.subarray(at + size)]);
      const found = breaks(candidate);
      if (found) best = { input: candidate, error: found };
      else at += size;
    }
  }
  return best;
}

function report(target: FuzzTarget, finding: Finding): string {
  const small = ruleOf(finding.error) === TIME ? finding : shrink(target, finding);
  return [
    `${target.name}: ${small.error.message.slice(0, 3000)}`,
    `  input ${finding.number} of seed ${seed}, ${finding.input.length} bytes, cut down to ${small.input.length}:`,
    `  ${JSON.stringify(small.input.toString('latin1').slice(0, 2000))}`,
    `  OUTRIGGER_FUZZ_HEX=${small.input.toString('hex').slice(0, 8000)}`,
    `  ${small.error instanceof BrokenRule ? '' : (small.error.stack ?? '')}`,
  ].join('\n');
}

function replay(target: FuzzTarget, input: Buffer): void {
  for (let way = 0; way < REPLAY_WAYS; way++) target.check(input, checkRngOf(way));
}

function corpusFile(name: string): string {
  return join(CORPUS, `${name}.txt`);
}

function readCorpus(name: string): Buffer[] {
  if (!existsSync(corpusFile(name))) return [];
  const lines = readFileSync(corpusFile(name), 'latin1').split('\n');
  return lines.filter((line) => line !== '').map((line) => Buffer.from(line, 'hex'));
}

const GROW_BATCH = 100;
const MAX_KEPT_BYTES = 1500;

/** Looks for inputs that reach blocks of code which none before reached, and keeps them. */
function growCorpus(target: FuzzTarget, corpus: Buffer[], tell: (line: string) => void): void {
  const coverage = new BlockCoverage('/src/');
  const run = (input: Buffer, number: number): void => void failure(target, input, checkRngOf(number));
  for (const [i, input] of corpus.entries()) run(input, i);
  coverage.gain();
  const kept: Buffer[] = readCorpus(target.name);
  let gained = 0;
  for (let number = 0; number < inputs; number += GROW_BATCH) {
    const batch = Array.from({ length: GROW_BATCH }, (_, i) => target.mutate(rngOf(number + i), corpus));
    for (const [i, input] of batch.entries()) run(input, number + i);
    const before = coverage.known();
    if (coverage.gain() === 0) continue;
    coverage.forget(before);
    for (const [i, input] of batch.entries()) {
      run(input, number + i);
      const more = coverage.gain();
      if (more === 0 || input.length > MAX_KEPT_BYTES) continue;
      gained += more;
      corpus.push(input);
      kept.push(input);
    }
  }
  coverage.stop();
  if (kept.length > 0)
    writeFileSync(corpusFile(target.name), kept.map((input) => `${input.toString('hex')}\n`).join(''));
  tell(`${target.name}: ${kept.length} kept, ${gained} characters of source more, of ${coverage.total} seen`);
}

function nowMs(): number {
  return performance.now();
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function usedHeapBytes(): number {
  collect();
  collect(); // what buffers hold goes one later
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
