import type { Bench } from './suite.ts';

/** How a program came out, whatever its exit code. */
export interface ToolOutcome {
  /** Undefined: it was ended because it took too long, or by a signal. */
  readonly code: number | undefined;
  readonly stdout: string;
  /** The last 4 KiB. */
  readonly stderr: string;
}

/** Runs a program to its end, at most for `timeoutMs`. */
export async function runTool(
  bench: Bench,
  program: string,
  args: readonly string[],
  timeoutMs: number,
): Promise<ToolOutcome> {
  const child = await bench.children.start('others', program, args);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    void bench.children.stop(child);
  }, timeoutMs);
  const code = await child.ended;
  clearTimeout(timer);
  return { code: late ? undefined : code, stdout: child.stdout(), stderr: child.stderr() };
}

/** Terminal output without colours and cursor movements. */
export function plainText(text: string): string {
  return text.replace(/\u001b\[[0-9;]*[A-Za-z]/g, '').replaceAll('\r', '');
}

/** The last line that isn't empty. */
export function lastLine(text: string): string {
  return plainText(text).trim().split('\n').at(-1)?.trim() ?? '';
}
