// Where `outrigger control` serves ADS, and with which certificates: flag > environment > default.
import { type HostPort, LISTEN_RULES, parseHostPort } from '../config/host-port.ts';
import type { Environment, Flags } from '../config/setting-sources.ts';
import { SettingsError } from '../config/settings.ts';
import { readTlsFiles, type TlsFilePlaces, variableOf } from '../config/tls-files.ts';
import type { AdsTlsFiles } from '../controlplane/control-plane.ts';

/** What is resolved; `tls` undefined: plaintext. */
export interface AdsSettings {
  readonly address: HostPort;
  readonly tls: AdsTlsFiles | undefined;
  /** Where each file was written. */
  readonly places: TlsFilePlaces;
}

const PLAINTEXT_PORT = 15010;
const TLS_PORT = 15012;
const BIND_NODE_ID = 'ads-bind-node-id';

/** Resolves them. Throws {@link SettingsError} with the place and the fix. */
export function readAdsSettings(flags: Flags, environment: Environment): AdsSettings {
  const read = readTlsFiles('ads', flags, environment);
  if (!read.ok) throw new SettingsError(read.reason);
  const { files, places } = read;
  const { certificateFile, keyFile, caFile } = files ?? {};
  if (caFile !== undefined && certificateFile === undefined) {
    throw new SettingsError(`${places.caFile.place} needs --ads-cert FILE and --ads-key FILE`);
  }
  const bind = readSwitch(BIND_NODE_ID, flags, environment);
  if (bind.on && caFile === undefined) {
    throw new SettingsError(`${bind.place} needs --ads-client-ca FILE, which signs the certificates of sidecars`);
  }
  const tls =
    certificateFile === undefined || keyFile === undefined
      ? undefined
      : { certificateFile, keyFile, clientCaFile: caFile, bindNodeId: bind.on };
  return { address: readAddress(flags, environment, tls ? TLS_PORT : PLAINTEXT_PORT), tls, places };
}

function readAddress(flags: Flags, environment: Environment, defaultPort: number): HostPort {
  const flag = flags['ads'];
  const text = typeof flag === 'string' ? flag : environment['OUTRIGGER_ADS'] || String(defaultPort);
  const address = parseHostPort(text, LISTEN_RULES);
  if (!address.ok) {
    throw new SettingsError(`${typeof flag === 'string' ? '--ads' : 'OUTRIGGER_ADS'}: ${address.reason}`);
  }
  return { host: address.host, port: address.port };
}

function readSwitch(flag: string, flags: Flags, environment: Environment): { on: boolean; place: string } {
  if (flags[flag] === true) return { on: true, place: `--${flag}` };
  const place = variableOf(flag);
  const text = environment[place] || 'false'; // an empty variable counts as none
  if (text !== 'true' && text !== 'false') throw new SettingsError(`${place}: '${text}' is not one of true, false`);
  return { on: text === 'true', place };
}
