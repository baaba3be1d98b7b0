import { lint } from '../controlplane/lint.ts';
import type { CommandContext } from './command.ts';
import { UsageError } from './usage.ts';

/** `outrigger lint`: findings on stdout; 1 if there are errors. */
export async function lintCommand(context: CommandContext): Promise<number> {
  const [path, extra] = context.positionals;
  if (path === undefined || extra !== undefined) throw new UsageError('outrigger lint DIR|FILE');
  const { text, exitCode } = await lint(path);
  context.out(text);
  return exitCode;
}
