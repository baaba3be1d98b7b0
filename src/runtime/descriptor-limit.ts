import { readFileSync } from 'node:fs';

/** Taken where the system doesn't tell, as outside Linux: what most systems give a process at least. */
export const FALLBACK_DESCRIPTORS = 1024;

/**
 * How many files and sockets this process may have open: the soft RLIMIT_NOFILE, which Node raises to the hard one at
 * its start. Read from Linux's /proc; elsewhere {@link FALLBACK_DESCRIPTORS}.
 */
export function descriptorLimit(path = '/proc/self/limits'): number {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch {
    return FALLBACK_DESCRIPTORS;
  }
  const soft = /^Max open files +(\d+) /m.exec(text)?.[1];
  return soft === undefined ? FALLBACK_DESCRIPTORS : Number(soft);
}
