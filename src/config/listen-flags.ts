// `--listen` and the flags that belong to it: `--to`, `--scheme`, and those of TLS on either side. What follows a
// `--listen` is its own, up to the next. They make the same messages as `listeners` of the bootstrap file.
import { ListenerTls, type SubjectAltName, UpstreamTls } from '../gen/outrigger/config/v1/tls.ts';
import { checkPath } from './decode/tls.ts';
import { ProblemList, quote } from './problem-list.ts';
import { describeProblems } from './resource.ts';
import { readAddress, readScheme, readTargets, SettingsError, type StaticListenerSetting } from './settings.ts';
import { checkStaticTls, TLS_SCHEMES } from './static.ts';
import type { HostPort } from './host-port.ts';

/** Flags in the order they came, as node:util's parseArgs gives them; a switch has no value. */
export type FlagTokens = readonly {
  readonly kind: string;
  readonly name?: string;
  readonly value?: string | undefined;
}[];

/** A listener while its flags are read. */
interface Draft {
  readonly text: string;
  readonly listen: HostPort;
  readonly to: HostPort[];
  scheme: string;
  readonly certificates: { readonly certificateFile: string; keyFile: string | undefined }[];
  readonly clientNames: SubjectAltName[];
  readonly allowed: SubjectAltName[];
  /** Flags that may stand once: the value, empty for a switch. */
  readonly once: Map<string, string>;
}

/** Flags with a file or a name, one each for a `--listen`. */
const ONCE = ['tls-client-ca', 'to-ca', 'to-cert', 'to-key', 'to-name'];
const SWITCHES = ['tls-client-optional', 'to-insecure'];
/** Flags that ask for TLS towards the endpoints. */
const TO_TLS = ['to-ca', 'to-cert', 'to-key', 'to-name', 'to-allow', 'to-insecure'];

/** Reads them in the order they came. Throws {@link SettingsError} that names the flag and the fix. */
export function readListenFlags(tokens: FlagTokens): StaticListenerSetting[] {
  const drafts: Draft[] = [];
  for (const { kind, name, value } of tokens) {
    if (kind !== 'option' || name === undefined) continue;
    if (name === 'listen') drafts.push(newDraft(value ?? ''));
    else if (isListenFlag(name)) {
      const draft = drafts.at(-1);
      if (!draft) throw new SettingsError(`--${name} belongs to the --listen before it, and there is none`);
      take(draft, name, value ?? '');
    }
  }
  return drafts.map(finish);
}

function isListenFlag(name: string): boolean {
  return ['to', 'scheme', 'tls-cert', 'tls-key', 'tls-client-name', 'to-allow', ...ONCE, ...SWITCHES].includes(name);
}

function newDraft(text: string): Draft {
  return {
    text,
    listen: readAddress(text, '--listen'),
    to: [],
    scheme: 'http',
    certificates: [],
    clientNames: [],
    allowed: [],
    once: new Map(),
  };
}

function take(draft: Draft, name: string, value: string): void {
  switch (name) {
    case 'to':
      draft.to.push(...readTargets(value, '--to'));
      return;
    case 'scheme':
      draft.scheme = readScheme(value, '--scheme');
      return;
    case 'tls-cert':
      draft.certificates.push({ certificateFile: needFile(value, name), keyFile: undefined });
      return;
    case 'tls-key': {
      const last = draft.certificates.at(-1);
      if (!last || last.keyFile !== undefined) {
        throw new SettingsError('--tls-key belongs to the --tls-cert before it, and there is none');
      }
      last.keyFile = needFile(value, name);
      return;
    }
    case 'tls-client-name':
      draft.clientNames.push(readName(value, name));
      return;
    case 'to-allow':
      draft.allowed.push(readName(value, name));
      return;
    default:
      if (draft.once.has(name) && !SWITCHES.includes(name)) {
        throw new SettingsError(`--${name} stands twice for --listen ${draft.text}; leave one`);
      }
      if (ONCE.includes(name) && name !== 'to-name') needFile(value, name);
      if (name === 'to-name' && value === '') throw new SettingsError('--to-name: must be a server name');
      draft.once.set(name, value);
  }
}

/** A path. What is none, a key itself perhaps, is not printed. */
function needFile(value: string, name: string): string {
  const problems = new ProblemList();
  checkPath(value, problems, `--${name}`);
  if (problems.size > 0) throw new SettingsError(describeProblems(problems.list()));
  return value;
}

/** `spiffe://…` and the like are URIs, the rest DNS names. */
function readName(value: string, name: string): SubjectAltName {
  if (value === '') throw new SettingsError(`--${name}: must be a name of a certificate: a URI or a DNS name`);
  return value.includes('://') ? { uri: value } : { dns: value };
}

function finish(draft: Draft): StaticListenerSetting {
  const { text, listen, to, scheme } = draft;
  if (to.length === 0) throw new SettingsError(`--listen ${text} needs --to HOST:PORT`);
  const setting = { listen, to, scheme, tls: listenerTls(draft), toTls: upstreamTls(draft) };
  const problems = new ProblemList();
  checkStaticTls(setting, problems, '');
  const [first] = problems.list();
  if (first) throw new SettingsError(`${listenFlagOf(first.path)}: ${first.reason}`);
  return setting;
}

function listenerTls({ certificates, clientNames, once }: Draft): ListenerTls | undefined {
  const needs = (flag: string, other: string): never => {
    throw new SettingsError(`--${flag} needs --${other}`);
  };
  for (const { certificateFile, keyFile } of certificates) {
    if (keyFile === undefined) needs(`tls-cert ${certificateFile}`, 'tls-key FILE after it');
  }
  const ca = once.get('tls-client-ca');
  if (ca === undefined) {
    if (clientNames.length > 0) needs('tls-client-name', 'tls-client-ca FILE, which signs the certificates of callers');
    if (once.has('tls-client-optional')) needs('tls-client-optional', 'tls-client-ca FILE');
  } else if (certificates.length === 0) needs('tls-client-ca', 'tls-cert FILE and --tls-key FILE');
  else if (clientNames.length > 0 && once.has('tls-client-optional')) {
    throw new SettingsError(
      '--tls-client-name is not possible with --tls-client-optional: a caller without a certificate has no name',
    );
  }
  if (certificates.length === 0) return undefined;
  return ListenerTls.fromPartial({
    certificates,
    ...(ca === undefined
      ? {}
      : { clientCertificate: once.has('tls-client-optional') ? 'optional' : 'required', clientCa: { file: ca } }),
    clientNames,
  });
}

function upstreamTls({ scheme, allowed, once }: Draft): UpstreamTls | undefined {
  const given = TO_TLS.filter((flag) => once.has(flag) || (flag === 'to-allow' && allowed.length > 0));
  if (given.length === 0) return undefined;
  if (!TLS_SCHEMES.includes(scheme)) {
    throw new SettingsError(`--${given[0]} needs --scheme ${TLS_SCHEMES.join(' or ')}, not ${quote(scheme)}`);
  }
  const [certificateFile, keyFile] = [once.get('to-cert'), once.get('to-key')];
  if (certificateFile !== undefined && keyFile === undefined) throw new SettingsError('--to-cert needs --to-key FILE');
  if (certificateFile === undefined && keyFile !== undefined) throw new SettingsError('--to-key needs --to-cert FILE');
  const ca = once.get('to-ca');
  if (once.has('to-insecure')) {
    const other = ca === undefined ? (allowed.length > 0 ? 'to-allow' : undefined) : 'to-ca';
    if (other !== undefined) {
      throw new SettingsError(`--to-insecure takes any certificate, so --${other} has no effect; leave one of them`);
    }
  }
  return UpstreamTls.fromPartial({
    ...(once.has('to-insecure') ? { verify: false } : {}),
    ...(ca === undefined ? {} : { ca: { file: ca } }),
    ...(certificateFile === undefined ? {} : { clientCertificate: { certificateFile, keyFile } }),
    ...(once.has('to-name') ? { serverName: once.get('to-name') } : {}),
    serverNames: allowed,
  });
}

/** Field of a static listener → flag that sets it; the first pattern that fits. */
const FLAG_OF_FIELD: readonly (readonly [field: RegExp, flag: string])[] = [
  [/^tls\.certificates\[\d+\]\.key_file/, 'tls-key'],
  [/^tls\.client_ca/, 'tls-client-ca'],
  [/^tls\.client_names/, 'tls-client-name'],
  [/^tls\.client_certificate/, 'tls-client-optional'],
  [/^tls/, 'tls-cert'],
  [/^to_tls\.ca/, 'to-ca'],
  [/^to_tls\.client_certificate\.key_file/, 'to-key'],
  [/^to_tls\.client_certificate/, 'to-cert'],
  [/^to_tls\.server_names/, 'to-allow'],
  [/^to_tls\.server_name/, 'to-name'],
  [/^to_tls\.verify/, 'to-insecure'],
  [/^to_tls/, 'to-ca'],
  [/^to/, 'to'],
  [/^scheme/, 'scheme'],
];

/** The flag that set a field of a static listener: `--tls-key` for `listeners[0].tls.certificates[0].key_file`. */
export function listenFlagOf(path: string): string {
  const field = path.replace(/^listeners\[\d+\]\./, '');
  return `--${FLAG_OF_FIELD.find(([pattern]) => pattern.test(field))?.[1] ?? 'listen'}`;
}
