// What a process has used, read from /proc: the kernel's own account, so that nothing has to be built into the program
// under test. The time on a core of each thread is there in nanoseconds; user and system time of the process, also of
// threads and children that have ended, only in ticks of 10 ms. So the first counts as long as it tells all.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** What a process and its descendants have used so far. */
export interface Usage {
  /** Nanoseconds on a core of each thread that lives; empty where the kernel doesn't tell. */
  readonly threadNs: ReadonlyMap<string, number>;
  /** User and system time of all threads and processes, also of those that have ended, in microseconds. */
  readonly tickUs: number;
  /** The part of `tickUs` that is of children that have ended. */
  readonly endedChildrenUs: number;
  /** Resident memory. Pages that processes share are counted in each. */
  readonly rssBytes: number;
}

/** One line of /proc/PID/stat, as far as it is needed here. */
export interface ProcessStat {
  readonly parent: number;
  /** User and system time in clock ticks. */
  readonly ownTicks: number;
  /** The same of children that have ended. */
  readonly childTicks: number;
  readonly rssPages: number;
}

/** Ticks are cut off, twice in a process; what differs by less is no thread that came and went. */
const TICK_ERROR_US = 40_000;

/** Reads a line of /proc/PID/stat (proc(5)). The program's name may hold spaces and brackets: the last `)` ends it. */
export function parseProcessStat(line: string): ProcessStat {
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  const number = (field: number): number => {
    const value = Number(fields[field - 3]);
    if (!Number.isInteger(value)) throw new Error(`/proc/PID/stat: field ${field} is no number: ${line}`);
    return value;
  };
  return {
    parent: number(4),
    ownTicks: number(14) + number(15),
    childTicks: number(16) + number(17),
    rssPages: number(24),
  };
}

let ticksPerSecond = 0;
let pageBytes = 0;

/** The usage of a process and all its descendants now. Throws if the process is gone. */
export function readUsage(pid: number): Usage {
  if (ticksPerSecond === 0) {
    ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
    pageBytes = Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' }));
  }
  const threadNs = new Map<string, number>();
  let ownTicks = 0;
  let childTicks = 0;
  let pages = 0;
  for (const [id, stat] of processTree(pid)) {
    ownTicks += stat.ownTicks;
    childTicks += stat.childTicks;
    pages += stat.rssPages;
    readThreads(id, threadNs);
  }
  const us = 1_000_000 / ticksPerSecond;
  return {
    threadNs,
    tickUs: (ownTicks + childTicks) * us,
    endedChildrenUs: childTicks * us,
    rssBytes: pages * pageBytes,
  };
}

/**
 * Microseconds of CPU between two readings: of the threads, to the nanosecond, if none of them and no child has ended
 * in between; else by ticks.
 */
export function cpuUsBetween(before: Usage, after: Usage): number {
  const tickUs = after.tickUs - before.tickUs;
  if (after.threadNs.size === 0 || after.endedChildrenUs !== before.endedChildrenUs) return tickUs;
  let ns = 0;
  for (const [thread, used] of after.threadNs) ns += used - (before.threadNs.get(thread) ?? 0);
  for (const thread of before.threadNs.keys()) if (!after.threadNs.has(thread)) return tickUs;
  const us = ns / 1000;
  return tickUs > us + TICK_ERROR_US ? tickUs : us;
}

/**
 * Memory that this process and its descendants have written to and don't share, in bytes: each further copy of the
 * program needs as much again, while it shares the pages of the program's file. Throws if the process is gone.
 */
export function readPrivateBytes(pid: number): number {
  let kib = 0;
  for (const id of processTree(pid).keys()) {
    const text = readFileSync(`/proc/${id}/smaps_rollup`, 'latin1');
    for (const [, amount] of text.matchAll(/^Private_Dirty: +(\d+) kB$/gm)) kib += Number(amount);
  }
  return kib * 1024;
}

/** A process and its descendants. */
function processTree(pid: number): Map<number, ProcessStat> {
  const all = new Map<number, ProcessStat>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      all.set(Number(name), parseProcessStat(readFileSync(`/proc/${name}/stat`, 'latin1')));
    } catch (error) {
      // A process may end between the listing and the reading.
      if (Number(name) === pid || !isGone(error)) throw error;
    }
  }
  if (!all.has(pid)) throw new Error(`process ${pid} is gone`);
  return new Map([...all].filter(([id]) => descendsFrom(id, pid, all)));
}

function readThreads(pid: number, threadNs: Map<string, number>): void {
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const [ns] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ');
      threadNs.set(`${pid}/${thread}`, Number(ns));
    }
  } catch (error) {
    // A kernel without schedstat, or a thread that has just ended.
    if (!isGone(error)) throw error;
  }
}

function descendsFrom(id: number, ancestor: number, all: ReadonlyMap<number, ProcessStat>): boolean {
  for (let at = id; at !== 0;) {
    if (at === ancestor) return true;
    at = all.get(at)?.parent ?? 0;
  }
  return false;
}

function isGone(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'ENOENT' || code === 'ESRCH';
}
