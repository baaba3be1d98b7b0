import { statSync } from 'node:fs';
import { systemClock } from '../base/clock.ts';
import { resolveLogLevel } from '../config/settings.ts';
import { createControlPlane } from '../controlplane/control-plane.ts';
import { createLogger } from '../runtime/pino-logger.ts';
import { readAdsSettings } from './ads-settings.ts';
import { untilSignal, type CommandContext } from './command.ts';
import { checkAuthoritiesFile, checkCertificateFiles } from './credential-files.ts';
import { UsageError } from './usage.ts';

/** `outrigger control`: the reference control plane, until it is told to go. */
export async function control(context: CommandContext): Promise<number> {
  const { flags, environment } = context;
  if (context.positionals.length > 0) throw new UsageError(`unexpected argument '${context.positionals[0]}'`);
  const given = flags['dir'] ?? environment['OUTRIGGER_DIR'];
  const dirs = (Array.isArray(given) ? given : [given]).filter((dir): dir is string => typeof dir === 'string');
  if (dirs.length === 0) throw new UsageError('--dir DIR is needed: the directory with the configuration');
  for (const dir of dirs) {
    if (!isDirectory(dir)) throw new UsageError(`--dir ${dir}: there is no such directory`);
  }
  const { address, tls, places } = readAdsSettings(flags, environment);
  if (tls) {
    checkCertificateFiles(places.certificateFile.place, tls.certificateFile, places.keyFile.place, tls.keyFile);
    if (tls.clientCaFile !== undefined) checkAuthoritiesFile(places.caFile.place, tls.clientCaFile);
  }
  const logger = createLogger(resolveLogLevel(flags, environment));
  const controlPlane = createControlPlane({
    dirs,
    ads: address,
    adsTls: tls,
    clock: systemClock(),
    logger,
  });
  const signal = untilSignal(context, () => process.exit(1));
  const { adsAddress } = await controlPlane.start();
  context.out(JSON.stringify({ ready: true, ads: adsAddress }) + '\n');
  await signal;
  await controlPlane.stop();
  return 0;
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
