// The proxy under test gets a core for itself; backend, load and this program share another. With one core they
// all share it, and the run says so.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Which cores the run uses. */
export interface Cores {
  readonly proxy: number;
  /** Backend and load tool. */
  readonly others: number;
  /** False without `taskset`: the kernel places processes as it likes. */
  readonly pinned: boolean;
}

/** Reads the kernel's list form, e.g. `0-3,8`. */
export function parseCoreList(text: string): number[] {
  return text
    .trim()
    .split(',')
    .flatMap((part) => {
      const [first, last] = part.split('-').map(Number);
      if (first === undefined || !Number.isInteger(first)) return [];
      return Array.from({ length: (last ?? first) - first + 1 }, (_, index) => first + index);
    });
}

/** The first two cores that this process may use; moves this process to the second. */
export function chooseCores(): Cores {
  const status = readFileSync('/proc/self/status', 'latin1');
  const allowed = parseCoreList(/^Cpus_allowed_list:\s*(.+)$/m.exec(status)?.[1] ?? '0');
  const proxy = allowed[0] ?? 0;
  const others = allowed[1] ?? proxy;
  const moved = spawnSync('taskset', ['-a', '-c', '-p', String(others), String(process.pid)]);
  return { proxy, others, pinned: moved.status === 0 };
}
