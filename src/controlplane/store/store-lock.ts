// One process at a time uses a store: a file names it by its pid and by when it started, since a pid alone comes back (in
// a container every program is pid 1). What a process that is gone left behind is taken over.
import { closeSync, fstatSync, linkSync, openSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { createExclusive } from './exclusive-file.ts';

/** A lock that is held. */
export interface StoreLock {
  /** False: somebody took or removed the file, and another process may write. */
  isHeld(): boolean;
  release(): void;
}

interface Holder {
  readonly pid: number;
  /** Of the machine's start and the process's; undefined where the machine doesn't tell. */
  readonly started: string | undefined;
}

/** Two processes that start at once may take away from each other what a third left behind. */
const ATTEMPTS = 5;

/** Takes the lock. Throws with the holder and the fix where another process has it. */
export function lockStore(path: string): StoreLock {
  const own = JSON.stringify({ pid: process.pid, started: startOf(process.pid) }) + '\n';
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (createExclusive(path, own)) return held(path, own);
    const text = readIfThere(path);
    if (text === undefined) continue;
    const holder = readHolder(text);
    if (holder === undefined) {
      throw new Error(`the lock ${path} can't be read; delete it if no other control plane uses this directory`);
    }
    if (isRunning(holder)) {
      throw new Error(`the store is in use by process ${holder.pid} (${path}); stop it, or name another with --store`);
    }
    takeAway(path, text);
  }
  throw new Error(`the lock ${path} can't be had: other processes keep taking it; start one control plane only`);
}

function held(path: string, own: string): StoreLock {
  // While it is open its inode isn't given to another file.
  const file = openSync(path, 'r');
  const { ino } = fstatSync(file);
  let isOpen = true;
  const isHeld = (): boolean => isOpen && statSync(path, { throwIfNoEntry: false })?.ino === ino;
  return {
    isHeld,
    release: () => {
      if (isHeld() && readIfThere(path) === own) rmSync(path, { force: true });
      if (isOpen) closeSync(file);
      isOpen = false;
    },
  };
}

/** Removes what a dead process left, unless another lock stands there by now. */
function takeAway(path: string, stale: string): void {
  const aside = `${path}.${process.pid}.stale`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (readIfThere(aside) !== stale) {
    try {
      linkSync(aside, path);
    } catch {
      // Somebody else has it by now; who lost it sees that before it writes again.
    }
  }
  rmSync(aside, { force: true });
}

function readHolder(text: string): Holder | undefined {
  try {
    const { pid, started } = JSON.parse(text) as { pid?: unknown; started?: unknown };
    if (typeof pid !== 'number' || !Number.isInteger(pid) || pid < 1) return undefined;
    return { pid, started: typeof started === 'string' ? started : undefined };
  } catch {
    return undefined;
  }
}

function isRunning({ pid, started }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const now = startOf(pid);
  return started === undefined || now === undefined || started === now;
}

/** When a process started, as Linux tells it: the boot, and ticks since then (proc(5), field 22 of stat). */
function startOf(pid: number): string | undefined {
  const stat = readIfThere(`/proc/${pid}/stat`);
  const boot = readIfThere('/proc/sys/kernel/random/boot_id');
  if (stat === undefined || boot === undefined) return undefined;
  // The name of the program, field 2, may hold blanks and brackets.
  const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return ticks === undefined ? undefined : `${boot.trim()} ${ticks}`;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
