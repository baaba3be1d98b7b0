import { statSync } from 'node:fs';
import { systemClock } from '../base/clock.ts';
import { resolveLogLevel } from '../config/settings.ts';
import type { Logger } from '../base/log.ts';
import { keptKey } from '../controlplane/admin-api/api-key.ts';
import { type AdminApiSettings, createControlPlane } from '../controlplane/control-plane.ts';
import { FileStore } from '../controlplane/store/file-store.ts';
import { createLogger } from '../runtime/pino-logger.ts';
import { readAdminApiSettings, type AdminApiPlaces } from './admin-api-settings.ts';
import { readAdsSettings } from './ads-settings.ts';
import { untilSignal, type CommandContext } from './command.ts';
import { checkAuthoritiesFile, checkCertificateFiles } from './credential-files.ts';
import { UsageError } from './usage.ts';

/** What APISIX had as its default. */
const PUBLISHED_KEY = 'edd1c9f034335f136f87ad84b625c8f1';

/** `outrigger control`: the reference control plane, until it is told to go. */
export async function control(context: CommandContext): Promise<number> {
  const { flags, environment } = context;
  if (context.positionals.length > 0) throw new UsageError(`unexpected argument '${context.positionals[0]}'`);
  const given = flags['dir'] ?? environment['OUTRIGGER_DIR'];
  const dirs = (Array.isArray(given) ? given : [given]).filter((dir): dir is string => typeof dir === 'string');
  const adminApi = readAdminApiSettings(flags, environment);
  if (dirs.length === 0 && adminApi === undefined) {
    throw new UsageError('--dir DIR or --admin-api [HOST:]PORT is needed: where the configuration comes from');
  }
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
    adminApi: adminApi && makeAdminApi(adminApi, context, logger),
    clock: systemClock(),
    logger,
  });
  const signal = untilSignal(context, () => process.exit(1));
  const { adsAddress, adminApiAddress } = await controlPlane.start();
  context.out(JSON.stringify({ ready: true, ads: adsAddress, adminApi: adminApiAddress }) + '\n');
  await signal;
  await controlPlane.stop();
  return 0;
}

/** Opens the store, and has a key made where none was given. */
function makeAdminApi(
  { address, key, storeDirectory }: AdminApiPlaces,
  context: CommandContext,
  logger: Logger,
): AdminApiSettings {
  const onNotice = (level: 'info' | 'warn' | 'error', message: string): void => logger.log(level, {}, message);
  const store = new FileStore({ directory: storeDirectory, onNotice });
  if (key === PUBLISHED_KEY) {
    onNotice('warn', "the admin key is the one that stands in APISIX's documents: everybody knows it");
  }
  if (key !== undefined) return { ...address, key, store };
  const kept = keptKey(storeDirectory);
  if (kept.isNew) {
    const told = `Made a key for the Admin API: ${kept.key}\nCallers send it in the field X-API-KEY. It is kept in ${kept.file} and won't be shown again.\n`;
    context.err(told);
  }
  return { ...address, key: kept.key, store };
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
