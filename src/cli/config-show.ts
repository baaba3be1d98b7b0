import type { HostPort } from '../config/host-port.ts';
import { settingNames, type Settings, type SimpleSetting, type StaticListenerSetting } from '../config/settings.ts';
import { TLS_FILE_FLAGS, variableOf } from '../config/tls-files.ts';
import type { SubjectAltName } from '../gen/outrigger/config/v1/tls.ts';
import type { CommandContext } from './command.ts';
import { readRunSettings } from './run-settings.ts';
import { UsageError } from './usage.ts';

/** `outrigger config show`: each setting of `run`, resolved, and where it came from. Of keys only the files are told. */
export async function configShow(context: CommandContext): Promise<number> {
  const [verb, ...positionals] = context.positionals;
  if (verb !== 'show') throw new UsageError('usage: outrigger config show [FLAGS OF run]');
  const { settings, origins, controlTlsPlaces } = await readRunSettings({ ...context, positionals });
  const rows = [['SETTING', 'VALUE', 'FROM', 'ENVIRONMENT']];
  for (const { name, flag, environment } of settingNames()) {
    rows.push([`--${flag}`, show(name, settings), origins.get(name) ?? 'default', environment]);
    if (name !== 'control') continue;
    for (const member of ['caFile', 'certificateFile', 'keyFile'] as const) {
      const tlsFlag = TLS_FILE_FLAGS.control[member];
      const file = settings.controlTls?.[member] ?? (member === 'caFile' && settings.controlTls ? 'system' : '-');
      rows.push([`--${tlsFlag}`, file, controlTlsPlaces[member].origin, variableOf(tlsFlag)]);
    }
  }
  rows.push(['--listen', list(settings.listeners.map(showListener)), origins.get('listeners') ?? 'default', '-']);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows) {
    context.out(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd() + '\n',
    );
  }
  return 0;
}

function show(name: SimpleSetting, settings: Settings): string {
  switch (name) {
    case 'admin':
    case 'health':
      return address(settings[name]);
    case 'gateway':
    case 'outbound': {
      const at = settings[name];
      return at === undefined ? '-' : address(at);
    }
    case 'gatewayAdmin':
      return settings.gatewayAdmin ? 'on' : 'off';
    case 'control':
      return list(settings.control.map(address));
    case 'services':
      return list(settings.services);
    case 'drainTimeoutMs':
      return `${settings.drainTimeoutMs}ms`;
    default:
      return settings[name] ?? '-';
  }
}

/** `127.0.0.1:80->http:10.0.0.1:1`, with what is set of TLS on either side in braces. */
function showListener({ listen, to, scheme, tls, toTls }: StaticListenerSetting): string {
  const callers = braces([
    ...(tls?.certificates ?? []).map(({ certificateFile, keyFile }) => `cert=${certificateFile},key=${keyFile}`),
    tls?.clientCertificate === undefined ? undefined : `client=${tls.clientCertificate}`,
    tls?.clientCa?.file === undefined ? undefined : `client-ca=${tls.clientCa.file}`,
    ...(tls?.clientNames ?? []).map((name) => `client-name=${nameText(name)}`),
  ]);
  const { certificateFile, keyFile } = toTls?.clientCertificate ?? {};
  const endpoints = braces([
    toTls?.ca?.file === undefined ? undefined : `ca=${toTls.ca.file}`,
    ...(toTls?.caCerts ?? []).map(() => 'ca=inline'),
    certificateFile === undefined ? undefined : `cert=${certificateFile},key=${keyFile}`,
    toTls?.clientCert === undefined ? undefined : 'cert=inline,key=[redacted]',
    toTls?.serverName === undefined ? undefined : `name=${toTls.serverName}`,
    ...(toTls?.serverNames ?? []).map((name) => `allow=${nameText(name)}`),
    toTls?.verify === undefined ? undefined : `verify=${toTls.verify}`,
    toTls?.off === undefined ? undefined : `off=${toTls.off}`,
  ]);
  return `${address(listen)}${callers}->${scheme}:${to.map(address).join(',')}${endpoints}`;
}

function braces(parts: readonly (string | undefined)[]): string {
  const given = parts.filter((part) => part !== undefined);
  return given.length === 0 ? '' : `{${given.join(',')}}`;
}

function nameText({ uri, dns }: SubjectAltName): string {
  return uri ?? dns ?? '';
}

function list(words: readonly string[]): string {
  return words.length === 0 ? '-' : words.join(' ');
}

function address({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
