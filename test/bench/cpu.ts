// What a process has used, read from /proc: the kernel's own account of user and system time, so that nothing has to
// be built into the program under test. Linux counts in ticks of 10 ms: over 3 s of a busy core that is 0.3 %.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** What a process and its descendants have used so far. */
export interface Usage {
  /** User and system time of all threads and processes, also of children that have ended, in microseconds. */
  readonly cpuUs: number;
  /** Resident memory. Pages that processes share are counted in each. */
  readonly rssBytes: number;
}

/** One line of /proc/PID/stat, as far as it is needed here. */
export interface ProcessStat {
  readonly parent: number;
  /** User and system time, own and of ended children, in clock ticks. */
  readonly ticks: number;
  readonly rssPages: number;
}

/** Reads a line of /proc/PID/stat (proc(5)). The program's name may hold spaces and brackets: the last `)` ends it. */
export function parseProcessStat(line: string): ProcessStat {
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  const number = (field: number): number => {
    const value = Number(fields[field - 3]);
    if (!Number.isInteger(value)) throw new Error(`/proc/PID/stat: field ${field} is no number: ${line}`);
    return value;
  };
  return { parent: number(4), ticks: number(14) + number(15) + number(16) + number(17), rssPages: number(24) };
}

let ticksPerSecond = 0;
let pageBytes = 0;

/** The usage of a process and all its descendants now. Throws if the process is gone. */
export function readUsage(pid: number): Usage {
  if (ticksPerSecond === 0) {
    ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
    pageBytes = Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' }));
  }
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
  let ticks = 0;
  let pages = 0;
  for (const [id, stat] of all) {
    if (!descendsFrom(id, pid, all)) continue;
    ticks += stat.ticks;
    pages += stat.rssPages;
  }
  return { cpuUs: (ticks * 1_000_000) / ticksPerSecond, rssBytes: pages * pageBytes };
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
