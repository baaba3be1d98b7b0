import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { spawnSync } from 'node:child_process';

/** Where programs stand that aren't on everybody's PATH: servers, and the tools of this project. */
const ALSO = [
  '/usr/sbin',
  '/usr/local/sbin',
  join(process.env['OUTRIGGER_TOOLS'] ?? join(homedir(), '.cache', 'outrigger-tools'), 'bin'),
];

/** The path of an installed program, or undefined. */
export function findProgram(name: string): string | undefined {
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), ...ALSO]) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      continue;
    }
  }
  return undefined;
}

/** The first match of `pattern` in what the program prints about its version; `unknown` if there is none. */
export function readVersion(program: string, args: readonly string[], pattern: RegExp): string {
  const run = spawnSync(program, args, { encoding: 'utf8' });
  return pattern.exec(`${run.stdout}${run.stderr}`)?.[1] ?? 'unknown';
}
