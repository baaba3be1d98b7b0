#!/usr/bin/env -S node --max-semi-space-size=16
// The program: picks the command, turns its errors into one line and an exit status, and hands signals on.
// Status: 0 after a clean end, 2 for bad usage or configuration, 1 otherwise (`lint`: 1 if it found errors; `explain`: 1
// if the request would be refused, 2 for everything that keeps it from telling).
import { parseArgs } from 'node:util';
import type { CommandContext } from './cli/command.ts';
import { COMMANDS, commandPage, flagOptions, helpPage, UsageError } from './cli/usage.ts';
import { SettingsError } from './config/settings.ts';

async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(helpPage());
    return name === undefined ? 2 : 0;
  }
  if (name === '--version') {
    const { VERSION } = await import('./runtime/version.ts');
    process.stdout.write(`outrigger ${VERSION}\n`);
    return 0;
  }
  const command = COMMANDS[name];
  if (!command) throw new UsageError(`unknown command '${name}'; commands: ${Object.keys(COMMANDS).join(', ')}`);
  let parsed;
  try {
    parsed = parseArgs({ args: rest, options: flagOptions(command), allowPositionals: true, tokens: true });
  } catch (cause) {
    throw new UsageError(`${cause instanceof Error ? cause.message : String(cause)} (see outrigger ${name} --help)`);
  }
  if (parsed.values['help'] === true) {
    process.stdout.write(commandPage(command));
    return 0;
  }
  const context: CommandContext = {
    flags: parsed.values,
    tokens: parsed.tokens,
    positionals: parsed.positionals,
    environment: process.env,
    out: (text) => process.stdout.write(text),
    err: (text) => process.stderr.write(text),
    isTerminal: process.stdout.isTTY,
    onSignal: (handler) => {
      process.on('SIGTERM', handler);
      process.on('SIGINT', handler);
    },
  };
  // Each command is loaded when it is asked for: a plain sidecar needs neither yaml nor the demo.
  switch (name) {
    case 'run':
      return (await import('./cli/run.ts')).run(context);
    case 'control':
      return (await import('./cli/control.ts')).control(context);
    case 'demo':
      return (await import('./demo/demo.ts')).demo(context);
    case 'explain':
      return (await import('./cli/explain.ts')).explainCommand(context);
    case 'status':
      return (await import('./cli/status.ts')).statusCommand(context);
    case 'lint':
      return (await import('./cli/lint.ts')).lintCommand(context);
    case 'certs':
      return (await import('./cli/certs.ts')).certs(context);
    default:
      return (await import('./cli/config-show.ts')).configShow(context);
  }
}

process.on('uncaughtException', (error) => {
  process.stderr.write(`outrigger: bug: ${error.stack ?? String(error)}\n`);
  process.exit(1);
});

// A reader that went away (`outrigger lint DIR | head`) is no fault of ours, and nobody is left to be told.
let isOutputLost = false;
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE' || isOutputLost) return;
  isOutputLost = true;
  process.stderr.write(`outrigger: stdout: ${error.message}\n`);
});

/** Ends the process once all that was said is out: a pipe takes it piece by piece. */
function end(status: number): void {
  const exit = (): void => process.exit(isOutputLost ? 1 : status);
  // The event of a failed write comes after its callback.
  process.stdout.write('', () => setImmediate(() => process.stderr.write('', exit)));
}

main(process.argv.slice(2)).then(end, (error: unknown) => {
  if (error instanceof UsageError || error instanceof SettingsError) {
    process.stderr.write(`outrigger: ${error.message}\n`);
    end(2);
    return;
  }
  // A plain Error is a condition somebody foresaw, and its message says it all; any other class is a bug.
  const foreseen = error instanceof Error && error.constructor === Error;
  const text = error instanceof Error ? (foreseen ? error.message : (error.stack ?? error.message)) : String(error);
  process.stderr.write(`outrigger: ${text}\n`);
  end(1);
});
