import { createSidecar } from '../app.ts';
import { systemClock } from '../base/clock.ts';
import { createLogger } from '../runtime/pino-logger.ts';
import { untilSignal, type CommandContext } from './command.ts';
import { checkRunFiles } from './credential-files.ts';
import { readRunSettings } from './run-settings.ts';

/** `outrigger run`: the sidecar, until it is told to go. */
export async function run(context: CommandContext): Promise<number> {
  const resolved = await readRunSettings(context);
  checkRunFiles(resolved, String(context.flags['config']));
  const { settings } = resolved;
  const logger = createLogger(settings.logLevel);
  const [major] = process.versions.node.split('.');
  if (Number(major) < 22)
    logger.log('warn', { node: process.versions.node }, 'Node 20 is past its end of life; 24 is recommended');
  let exitRequested: () => void = () => undefined;
  const exit = new Promise<void>((resolve) => {
    exitRequested = resolve;
  });
  const signal = untilSignal(context, () => process.exit(1));
  const sidecar = await createSidecar({ settings, logger, clock: systemClock(), onExitRequested: exitRequested });
  const started = sidecar.start();
  const first = await Promise.race([started, signal.then(() => undefined), exit.then(() => undefined)]);
  if (first) {
    context.out(JSON.stringify(first) + '\n');
    await Promise.race([signal, exit]);
  } else {
    started.catch(() => undefined); // it was told to go before it was ready
  }
  const clean = await sidecar.drain();
  await sidecar.stop();
  return clean ? 0 : 1;
}
