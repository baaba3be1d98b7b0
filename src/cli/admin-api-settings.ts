// Where `outrigger control` serves the Admin API: flag > environment > default.
import { type HostPort, LISTEN_RULES, parseHostPort } from '../config/host-port.ts';
import type { Environment, Flags } from '../config/setting-sources.ts';
import { SettingsError } from '../config/settings.ts';
import { keyProblem } from '../controlplane/admin-api/api-key.ts';

/** What is resolved. */
export interface AdminApiPlaces {
  readonly address: HostPort;
  /** Undefined: the one that is kept in the store. */
  readonly key: string | undefined;
  readonly storeDirectory: string;
}

const DEFAULT_STORE = './outrigger-store';

/** Resolves them; undefined: the Admin API is off. Throws {@link SettingsError} with the place and the fix. */
export function readAdminApiSettings(flags: Flags, environment: Environment): AdminApiPlaces | undefined {
  const given = read('admin-api', 'OUTRIGGER_ADMIN_API', flags, environment);
  if (given === undefined) {
    for (const flag of ['admin-key', 'store']) {
      if (flags[flag] !== undefined) throw new SettingsError(`--${flag} needs --admin-api [HOST:]PORT`);
    }
    return undefined;
  }
  const address = parseHostPort(given.text, LISTEN_RULES);
  if (!address.ok) throw new SettingsError(`${given.place}: ${address.reason}`);
  const key = read('admin-key', 'OUTRIGGER_ADMIN_KEY', flags, environment);
  const problem = key && keyProblem(key.text);
  if (problem !== undefined) throw new SettingsError(`${key?.place}: ${problem}`);
  const store = read('store', 'OUTRIGGER_STORE', flags, environment);
  if (store?.text === '') throw new SettingsError(`${store.place}: a directory is needed`);
  return {
    address: { host: address.host, port: address.port },
    key: key?.text,
    storeDirectory: store?.text ?? DEFAULT_STORE,
  };
}

function read(
  flag: string,
  variable: string,
  flags: Flags,
  environment: Environment,
): { readonly text: string; readonly place: string } | undefined {
  const value = flags[flag];
  if (typeof value === 'string') return { text: value, place: `--${flag}` };
  const text = environment[variable] || undefined; // an empty variable counts as none
  return text === undefined ? undefined : { text, place: variable };
}
