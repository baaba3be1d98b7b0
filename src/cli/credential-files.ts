// Certificate files that flags, environment or the bootstrap file name are tried before anything starts: later a file
// that can't be used leaves the one before it in force, and at the start there is none.
import { listenFlagOf } from '../config/listen-flags.ts';
import { SettingsError, type Resolved } from '../config/settings.ts';
import { parseAuthorities, parseCertificate } from '../identity/certificate.ts';
import { readCertificateFile } from '../identity/certificate-file.ts';
import type { AuthoritiesMaterial, CertificateMaterial } from '../model/tls.ts';

/** What the files hold. Throws {@link SettingsError} if the certificate or its key can't be used: place, file and reason. */
export function checkCertificateFiles(
  certificatePlace: string,
  certificateFile: string,
  keyPlace: string,
  keyFile: string,
): CertificateMaterial {
  const parsed = parseCertificate(readFile(certificatePlace, certificateFile), readFile(keyPlace, keyFile));
  if (!parsed.ok) {
    throw new SettingsError(`${certificatePlace} ${certificateFile}, ${keyPlace} ${keyFile}: ${parsed.reason}`);
  }
  return parsed.material;
}

/** What the file holds. Throws {@link SettingsError} if the authorities can't be used: place, file and reason. */
export function checkAuthoritiesFile(place: string, file: string): AuthoritiesMaterial {
  const parsed = parseAuthorities(readFile(place, file));
  if (!parsed.ok) throw new SettingsError(`${place} ${file}: ${parsed.reason}`);
  return parsed.material;
}

/** Checks each file that `run` needs. `configFile` is the bootstrap file, for messages. */
export function checkRunFiles({ settings, origins, controlTlsPlaces }: Resolved, configFile: string): void {
  const placeOf = (path: string): string =>
    origins.get('listeners') === 'flag' ? listenFlagOf(path) : `${configFile}: spec.${path}`;
  const pair = (path: string, certificateFile: string | undefined, keyFile: string | undefined): void => {
    if (certificateFile === undefined || keyFile === undefined) return;
    checkCertificateFiles(placeOf(`${path}.certificate_file`), certificateFile, placeOf(`${path}.key_file`), keyFile);
  };
  const authorities = (path: string, file: string | undefined): void => {
    if (file !== undefined) checkAuthoritiesFile(placeOf(`${path}.file`), file);
  };
  for (const [i, { tls, toTls }] of settings.listeners.entries()) {
    for (const [j, { certificateFile, keyFile }] of (tls?.certificates ?? []).entries()) {
      pair(`listeners[${i}].tls.certificates[${j}]`, certificateFile, keyFile);
    }
    authorities(`listeners[${i}].tls.client_ca`, tls?.clientCa?.file);
    const { certificateFile, keyFile } = toTls?.clientCertificate ?? {};
    pair(`listeners[${i}].to_tls.client_certificate`, certificateFile, keyFile);
    authorities(`listeners[${i}].to_tls.ca`, toTls?.ca?.file);
  }
  const { caFile, certificateFile, keyFile } = settings.controlTls ?? {};
  if (caFile !== undefined) checkAuthoritiesFile(controlTlsPlaces.caFile.place, caFile);
  if (certificateFile !== undefined && keyFile !== undefined) {
    const places = controlTlsPlaces;
    checkCertificateFiles(places.certificateFile.place, certificateFile, places.keyFile.place, keyFile);
  }
}

function readFile(place: string, file: string): string {
  const { problem, text } = readCertificateFile(file);
  if (problem !== '') throw new SettingsError(`${place} ${file}: ${problem}`);
  return text;
}
