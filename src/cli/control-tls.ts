// TLS towards one control plane, for a command that asks it once: the same flags and variables as `run` has them.
import type { Environment, Flags } from '../config/setting-sources.ts';
import { SettingsError } from '../config/settings.ts';
import { readTlsFiles } from '../config/tls-files.ts';
import type { ControlCredentials } from '../control/channel-security.ts';
import { checkAuthoritiesFile, checkCertificateFiles } from './credential-files.ts';

/** What the files hold; undefined: plaintext. Throws {@link SettingsError} with place, file and reason. */
export function readControlTls(flags: Flags, environment: Environment): ControlCredentials | undefined {
  const read = readTlsFiles('control', flags, environment);
  if (!read.ok) throw new SettingsError(read.reason);
  const { files, places } = read;
  if (files === undefined) return undefined;
  const { caFile, certificateFile, keyFile } = files;
  const ca = caFile === undefined ? undefined : checkAuthoritiesFile(places.caFile.place, caFile);
  const own =
    certificateFile === undefined || keyFile === undefined
      ? undefined
      : checkCertificateFiles(places.certificateFile.place, certificateFile, places.keyFile.place, keyFile);
  return {
    ca: ca && Buffer.from(ca.pem),
    certificate: own && Buffer.from(own.certificatePem),
    key: own && Buffer.from(own.key.reveal()),
  };
}
