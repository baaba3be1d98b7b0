import { existsSync } from 'node:fs';
import { lint } from '../controlplane/lint.ts';
import type { CommandContext } from './command.ts';
import { UsageError } from './usage.ts';

/** `outrigger lint`: findings on stdout; 1 if there are errors. */
export function lintCommand(context: CommandContext): number {
  const [path, extra] = context.positionals;
  if (path === undefined || extra !== undefined) throw new UsageError('outrigger lint DIR|FILE');
  if (!existsSync(path)) throw new UsageError(`${path}: there is no such file or directory`);
  const { text, exitCode } = lint(path);
  context.out(text);
  return exitCode;
}
