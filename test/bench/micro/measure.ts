// How a micro-benchmark is timed. A case does its work some hundred times in one `run`, over inputs that differ. `prepare`
// makes inputs anew where a use spoils them, and isn't in the figure. The clock is read around each run; runs are added up
// to batches, and a figure is the median of batches. What a run gives back depends on all that it did, so that no
// compiler can drop the work.
import { performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { spreadOf, type Spread } from '../statistics.ts';

/** One thing that is measured. */
export interface MicroCase {
  readonly name: string;
  /** Operations of one `run`. */
  readonly operations: number;
  prepare?(): void;
  /** Does them all. The number depends on each of them, and isn't NaN. */
  run(): number;
}

/** Cases about one part of the program; a file each. */
export interface MicroGroup {
  readonly name: string;
  /** What one operation is. */
  readonly operation: string;
  /** Makes the cases, with inputs of their own. */
  cases(): readonly MicroCase[];
}

/** How long a case may take. */
export interface MicroBudget {
  readonly warmUpMs: number;
  readonly batches: number;
  /** Time within `run` that makes a batch. */
  readonly batchMs: number;
}

/** What was measured of a case. */
export interface MicroFigure {
  readonly group: string;
  readonly name: string;
  /** ns of an operation, over the batches. */
  readonly ns: Spread;
  /** Bytes of heap that an operation takes; buffers, which stand outside of it, don't count. */
  readonly heapBytes: number;
}

const HEAP_RUNS = 15;
/** How many times the time of a batch it may take, with what isn't counted, before it makes do with what it has. */
const PATIENCE = 5;

/**
 * Measures all cases of `groups`. Each round takes a batch of each, so that a slow spell of the machine is in a few batches
 * of all and not in most of one's. Throws where a case gives NaN, which would be work gone wrong.
 */
export function measureGroups(groups: readonly MicroGroup[], budget: MicroBudget): readonly MicroFigure[] {
  const all = groups.flatMap((group) => group.cases().map((each) => ({ group, each, batches: [] as number[] })));
  for (const { each } of all) warmUp(each, budget.warmUpMs);
  for (let round = 0; round < budget.batches; round++) {
    for (const { each, batches } of all) batches.push(batchNs(each, budget.batchMs));
  }
  return all.map(({ group, each, batches }) => ({
    group: group.name,
    name: each.name,
    ns: spreadOf(batches),
    heapBytes: heapBytes(each),
  }));
}

function warmUp(each: MicroCase, forMs: number): void {
  const untilMs = performance.now() + forMs;
  do timedRun(each);
  while (performance.now() < untilMs);
}

/** ns of an operation. Runs in which the machine did something else first don't count, if there are others. */
function batchNs(each: MicroCase, batchMs: number): number {
  const patienceMs = performance.now() + PATIENCE * batchMs;
  let ms = 0;
  let runs = 0;
  let disturbedMs = 0;
  let disturbedRuns = 0;
  do {
    const before = process.resourceUsage().involuntaryContextSwitches;
    const runMs = timedRun(each);
    if (process.resourceUsage().involuntaryContextSwitches === before) {
      ms += runMs;
      runs++;
    } else {
      disturbedMs += runMs;
      disturbedRuns++;
    }
  } while (ms < batchMs && (ms + disturbedMs < batchMs || performance.now() < patienceMs));
  return runs > 0 ? (ms * 1e6) / (runs * each.operations) : (disturbedMs * 1e6) / (disturbedRuns * each.operations);
}

/** Bytes of heap that an operation takes. */
function heapBytes(each: MicroCase): number {
  const runs = Array.from({ length: HEAP_RUNS }, () => heapOfRun(each)).filter((bytes) => bytes >= 0);
  return runs.length === 0 ? 0 : spreadOf(runs).median / each.operations;
}

/** ms of a run. */
function timedRun(each: MicroCase): number {
  each.prepare?.();
  const begin = performance.now();
  const result = each.run();
  const ms = performance.now() - begin;
  check(each, result);
  return ms;
}

/** Growth of the heap; below 0 where garbage was collected meanwhile. */
function heapOfRun(each: MicroCase): number {
  each.prepare?.();
  const before = getHeapStatistics().used_heap_size;
  check(each, each.run());
  return getHeapStatistics().used_heap_size - before;
}

function check({ name }: MicroCase, result: number): void {
  if (Number.isNaN(result)) throw new Error(`${name}: the work gave NaN`);
}
