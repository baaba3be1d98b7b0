// The process settings: flag > environment (OUTRIGGER_*) > file > default, each with where it came from.
import { hostname } from 'node:os';
import type { Bootstrap } from '../gen/outrigger/config/v1/bootstrap.ts';
import type { ListenerTls, UpstreamTls } from '../gen/outrigger/config/v1/tls.ts';
import { checkWord, ipProblem, nameProblem } from './decode/values.ts';
import { endpointHostProblem } from './dns-name.ts';
import { canonicalIp } from '../base/ip-address.ts';
import { CONNECT_RULES, LISTEN_RULES, parseHostPort, type HostPort, type HostPortRules } from './host-port.ts';
import { ProblemList } from './problem-list.ts';
import type { Environment, Flags, Origin } from './setting-sources.ts';
import { STATIC_SCHEMES } from './static.ts';
import { readTlsFiles, type TlsFilePlaces, type TlsFiles } from './tls-files.ts';

/** A listener given by flags or the file. */
export interface StaticListenerSetting {
  readonly listen: HostPort;
  readonly to: readonly HostPort[];
  readonly scheme: string;
  /** TLS towards callers, its certificates in files; undefined: plaintext. */
  readonly tls: ListenerTls | undefined;
  /** TLS towards the endpoints; undefined: the defaults of an Upstream of that scheme. */
  readonly toTls: UpstreamTls | undefined;
}

/** Everything that `outrigger run` goes by. Defaults are stated in `SETTINGS`. */
export interface Settings {
  nodeId: string;
  control: readonly HostPort[];
  /** TLS towards the control planes; undefined: plaintext. Without `caFile` those that Node brings are trusted. */
  controlTls: TlsFiles | undefined;
  xds: 'delta' | 'sotw';
  /** Undefined: off, unless the Sidecar resource turns it on. */
  gateway: HostPort | undefined;
  gatewayAdmin: boolean;
  /** Undefined: off. */
  outbound: HostPort | undefined;
  admin: HostPort;
  health: HostPort;
  stateDir: string | undefined;
  bind: string;
  listenerPorts: 'service' | 'ephemeral';
  drainTimeoutMs: number;
  accessLog: 'off' | 'json' | 'text';
  logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';
  podIp: string | undefined;
  services: readonly string[];
  listeners: readonly StaticListenerSetting[];
}

/** A resolved value and its origin, for `config show`. */
export interface Resolved {
  readonly settings: Settings;
  readonly origins: ReadonlyMap<keyof Settings, Origin>;
  /** Where each file of `controlTls` was written. */
  readonly controlTlsPlaces: TlsFilePlaces;
}

/** What is wrong with a setting: the place and the fix. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
}

interface Setting<K extends keyof Settings> {
  /** Flag without dashes. */
  readonly flag: string;
  readonly environment: string;
  /** Reads a text from a flag or the environment. `place` names it in errors. */
  readonly parse: (text: string, place: string) => Settings[K];
  /** Takes the value from the file; undefined where it isn't set. */
  readonly fromFile: (file: Bootstrap, place: string) => Settings[K] | undefined;
  readonly fallback: (environment: Environment) => Settings[K];
}

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

function oneOf<T extends string>(words: readonly T[]) {
  return (text: string, place: string): T => {
    const word = words.find((candidate) => candidate === text);
    if (word === undefined) throw new SettingsError(`${place}: '${text}' is not one of ${words.join(', ')}`);
    return word;
  };
}

/** Throws `reason`, where there is one, with its place. */
function check(place: string, reason: string | undefined): void {
  if (reason !== undefined) throw new SettingsError(`${place}: ${reason}`);
}

function readHostPort(text: string, place: string, rules: HostPortRules): HostPort {
  const result = parseHostPort(text.trim(), rules);
  if (!result.ok) throw new SettingsError(`${place}: ${result.reason}`);
  return { host: result.host, port: result.port };
}

/** An address to listen on: its host must be an IP address or `localhost`. */
export function readAddress(text: string, place: string): HostPort {
  const { host, port } = readHostPort(text, place, LISTEN_RULES);
  const address = host === 'localhost' ? '127.0.0.1' : host;
  check(place, ipProblem(address));
  return { host: address, port };
}

function readIp(text: string, place: string): string {
  const address = text === 'localhost' ? '127.0.0.1' : canonicalIp(text.replace(/^\[|\]$/g, ''));
  if (address === undefined) throw new SettingsError(`${place}: '${text}' is not an IP address`);
  return address;
}

function parseList(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** Endpoints of a static listener, `HOST:PORT[,…]`: a host is an IP address, `localhost` (127.0.0.1) or a DNS name. */
export function readTargets(text: string, place: string): HostPort[] {
  const parts = parseList(text);
  if (parts.length === 0) throw new SettingsError(`${place}: at least one HOST:PORT is needed`);
  return parts.map((part) => {
    const { host, port } = readHostPort(part, place, CONNECT_RULES);
    const endpoint = host === 'localhost' ? '127.0.0.1' : host;
    check(place, endpointHostProblem(endpoint));
    return { host: endpoint, port };
  });
}

/** Control planes: these may have names, `localhost` too, which their certificates are held against. */
function parseControl(text: string, place: string): HostPort[] {
  const parts = parseList(text);
  if (parts.length === 0) throw new SettingsError(`${place}: at least one HOST:PORT is needed`);
  return parts.map((part) => readHostPort(part, place, CONNECT_RULES));
}

function parseServices(text: string, place: string): string[] {
  const services = parseList(text);
  const bad = services.find((service) => !/^[^/\s]+\/[^/\s]+$/.test(service));
  if (bad !== undefined) throw new SettingsError(`${place}: '${bad}' must be namespace/name`);
  return services;
}

function readNodeId(text: string, place: string): string {
  check(place, nameProblem(text));
  return text;
}

function readStateDir(text: string, place: string): string {
  check(place, text === '' ? 'must be a directory; leave it out to keep nothing' : undefined);
  return text;
}

/** Scheme of a static listener. */
export function readScheme(text: string, place: string): string {
  const problems = new ProblemList();
  checkWord(problems, place, text, STATIC_SCHEMES);
  for (const { path, reason } of problems.list()) check(path, reason);
  return text;
}

/** Longest duration; a timer of Node's can't be set for more than 24 days. */
const MAX_DURATION_MS = 24 * 3_600_000;

/** Seconds with an optional unit, at most a day: `30`, `30s`, `500ms`, `2m`. */
export function parseDurationMs(text: string, place: string): number {
  const match = /^(\d{1,15}(?:\.\d{1,9})?)(ms|s|m|h)?$/.exec(text.trim());
  if (!match) throw new SettingsError(`${place}: '${text}' is not a duration (30, 30s, 500ms, 2m)`);
  const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] ?? 's'] ?? 1000;
  return atMostADay(Number(match[1]) * unitMs, place);
}

function atMostADay(durationMs: number, place: string): number {
  check(place, durationMs > MAX_DURATION_MS ? 'must be at most 24h' : undefined);
  return durationMs;
}

/** Settings that one flag, variable or field gives; listeners and TLS take several flags. */
export type SimpleSetting = Exclude<keyof Settings, 'listeners' | 'controlTls'>;

const SETTINGS: { readonly [K in SimpleSetting]: Setting<K> } = {
  nodeId: {
    flag: 'node-id',
    environment: 'OUTRIGGER_NODE_ID',
    parse: readNodeId,
    fromFile: (file) => file.nodeId,
    fallback: (environment) =>
      environment['POD_NAME'] // an empty variable counts as none
        ? `${environment['POD_NAME']}.${environment['POD_NAMESPACE'] || 'default'}`
        : hostname(),
  },
  control: {
    flag: 'control',
    environment: 'OUTRIGGER_CONTROL',
    parse: parseControl,
    fromFile: (file, place) =>
      file.control.length > 0 ? parseControl(file.control.join(','), `${place}.control`) : undefined,
    fallback: () => [],
  },
  xds: {
    flag: 'xds',
    environment: 'OUTRIGGER_XDS',
    parse: oneOf(['delta', 'sotw']),
    fromFile: (file, place) =>
      file.xds === undefined ? undefined : oneOf(['delta', 'sotw'])(file.xds, `${place}.xds`),
    fallback: () => 'delta',
  },
  gateway: {
    flag: 'gateway',
    environment: 'OUTRIGGER_GATEWAY',
    parse: (text, place) => readAddress(text, place),
    fromFile: (file, place) => (file.gateway === undefined ? undefined : readAddress(file.gateway, `${place}.gateway`)),
    fallback: () => undefined,
  },
  gatewayAdmin: {
    flag: 'gateway-admin',
    environment: 'OUTRIGGER_GATEWAY_ADMIN',
    parse: (text, place) => oneOf(['on', 'off'])(text, place) === 'on',
    fromFile: (file) => file.gatewayAdmin,
    fallback: () => true,
  },
  outbound: {
    flag: 'outbound',
    environment: 'OUTRIGGER_OUTBOUND',
    parse: (text, place) => readAddress(text, place),
    fromFile: (file, place) =>
      file.outbound === undefined ? undefined : readAddress(file.outbound, `${place}.outbound`),
    fallback: () => undefined,
  },
  admin: {
    flag: 'admin',
    environment: 'OUTRIGGER_ADMIN',
    parse: (text, place) => readAddress(text, place),
    fromFile: (file, place) => (file.admin === undefined ? undefined : readAddress(file.admin, `${place}.admin`)),
    fallback: () => ({ host: '127.0.0.1', port: 15000 }),
  },
  health: {
    flag: 'health',
    environment: 'OUTRIGGER_HEALTH',
    parse: (text, place) => readAddress(text, place),
    fromFile: (file, place) => (file.health === undefined ? undefined : readAddress(file.health, `${place}.health`)),
    fallback: () => ({ host: '127.0.0.1', port: 15021 }),
  },
  stateDir: {
    flag: 'state-dir',
    environment: 'OUTRIGGER_STATE_DIR',
    parse: readStateDir,
    fromFile: (file) => file.stateDir,
    fallback: () => undefined,
  },
  bind: {
    flag: 'bind',
    environment: 'OUTRIGGER_BIND',
    parse: readIp,
    fromFile: (file, place) => (file.bind === undefined ? undefined : readIp(file.bind, `${place}.bind`)),
    fallback: () => '127.0.0.1',
  },
  listenerPorts: {
    flag: 'listener-ports',
    environment: 'OUTRIGGER_LISTENER_PORTS',
    parse: oneOf(['service', 'ephemeral']),
    fromFile: (file, place) =>
      file.listenerPorts === undefined
        ? undefined
        : oneOf(['service', 'ephemeral'])(file.listenerPorts, `${place}.listener_ports`),
    fallback: () => 'service',
  },
  drainTimeoutMs: {
    flag: 'drain-timeout',
    environment: 'OUTRIGGER_DRAIN_TIMEOUT',
    parse: parseDurationMs,
    fromFile: (file, place) =>
      file.drainTimeout === undefined ? undefined : atMostADay(file.drainTimeout * 1000, `${place}.drain_timeout`),
    fallback: () => 30_000,
  },
  accessLog: {
    flag: 'access-log',
    environment: 'OUTRIGGER_ACCESS_LOG',
    parse: oneOf(['off', 'json', 'text']),
    fromFile: (file, place) =>
      file.accessLog === undefined ? undefined : oneOf(['off', 'json', 'text'])(file.accessLog, `${place}.access_log`),
    fallback: () => 'off',
  },
  logLevel: {
    flag: 'log-level',
    environment: 'OUTRIGGER_LOG_LEVEL',
    parse: oneOf(LEVELS),
    fromFile: (file, place) =>
      file.logLevel === undefined ? undefined : oneOf(LEVELS)(file.logLevel, `${place}.log_level`),
    fallback: () => 'info',
  },
  podIp: {
    flag: 'pod-ip',
    environment: 'POD_IP',
    parse: readIp,
    fromFile: (file, place) => (file.podIp === undefined ? undefined : readIp(file.podIp, `${place}.pod_ip`)),
    fallback: () => undefined,
  },
  services: {
    flag: 'services',
    environment: 'OUTRIGGER_SERVICES',
    parse: parseServices,
    fromFile: (file) => (file.services.length > 0 ? file.services : undefined),
    fallback: () => [],
  },
};

/** Names of the settings that one flag gives, in the order `config show` prints them, with flag and environment variable. */
export function settingNames(): { name: SimpleSetting; flag: string; environment: string }[] {
  return Object.entries(SETTINGS).map(([name, setting]) => ({
    name: name as SimpleSetting,
    flag: setting.flag,
    environment: setting.environment,
  }));
}

/**
 * Resolves every setting. Throws {@link SettingsError} with the place of the first bad value.
 */
export function resolveSettings(
  flags: Flags,
  environment: Environment,
  file: Bootstrap | undefined,
  fileName: string,
  flagListeners: readonly StaticListenerSetting[],
): Resolved {
  const origins = new Map<keyof Settings, Origin>();
  const settings: Partial<Settings> = {};
  const resolve = <K extends SimpleSetting>(name: K, setting: Setting<K>): void => {
    const flag = flags[setting.flag];
    const variable = environment[setting.environment];
    if (typeof flag === 'string') {
      settings[name] = setting.parse(flag, `--${setting.flag}`);
      origins.set(name, 'flag');
    } else if (variable !== undefined && variable !== '') {
      settings[name] = setting.parse(variable, setting.environment);
      origins.set(name, 'environment');
    } else {
      const fromFile = file && setting.fromFile(file, `${fileName}: spec`);
      settings[name] = fromFile ?? setting.fallback(environment);
      origins.set(name, fromFile === undefined ? 'default' : 'file');
    }
  };
  for (const name of Object.keys(SETTINGS) as SimpleSetting[]) resolve(name, SETTINGS[name] as Setting<SimpleSetting>);
  const fromFile = (file?.listeners ?? []).map((listener, index) => ({
    listen: readAddress(listener.listen, `${fileName}: spec.listeners[${index}].listen`),
    to: readTargets(listener.to.join(','), `${fileName}: spec.listeners[${index}].to`),
    scheme: readScheme(listener.scheme ?? 'http', `${fileName}: spec.listeners[${index}].scheme`),
    tls: listener.tls,
    toTls: listener.toTls,
  }));
  settings.listeners = flagListeners.length > 0 ? flagListeners : fromFile;
  origins.set('listeners', flagListeners.length > 0 ? 'flag' : fromFile.length > 0 ? 'file' : 'default');
  const { files, places } = resolveControlTls(flags, environment, file, fileName);
  settings.controlTls = files;
  const given = Object.values(places).find(({ origin }) => origin !== 'default');
  const inFile = file?.controlTls === undefined ? undefined : `${fileName}: spec.control_tls`;
  if (files !== undefined && settings.control?.length === 0) {
    throw new SettingsError(`${given?.place ?? inFile}: there is no control plane; add --control HOST:PORT`);
  }
  origins.set('controlTls', given?.origin ?? (inFile === undefined ? 'default' : 'file'));
  return { settings: settings as Settings, origins, controlTlsPlaces: places };
}

/**
 * What the gateway and the outbound listener carry comes from a control plane. Throws {@link SettingsError} where none that
 * could tell is asked for.
 */
export function checkControlled({
  control,
  xds,
  gateway,
  outbound,
}: Pick<Settings, 'control' | 'xds' | 'gateway' | 'outbound'>): void {
  for (const [flag, address] of Object.entries({ gateway, outbound })) {
    if (address === undefined || control.length > 0) continue;
    throw new SettingsError(`--${flag}: there is no control plane to tell what it carries; add --control HOST:PORT`);
  }
  if (gateway === undefined || xds === 'delta') return;
  throw new SettingsError('--gateway: routes need --xds delta, since state-of-the-world can tell of no deletion');
}

function resolveControlTls(
  flags: Flags,
  environment: Environment,
  file: Bootstrap | undefined,
  fileName: string,
): { readonly files: TlsFiles | undefined; readonly places: TlsFilePlaces } {
  const message = file?.controlTls;
  const inFile = message && { message, place: `${fileName}: spec.control_tls` };
  const result = readTlsFiles('control', flags, environment, inFile);
  if (!result.ok) throw new SettingsError(result.reason);
  return result;
}

/** The log level of commands that have no other setting of `run`. */
export function resolveLogLevel(flags: Flags, environment: Environment): Settings['logLevel'] {
  const { flag, environment: variable, parse } = SETTINGS.logLevel;
  const given = flags[flag];
  if (typeof given === 'string') return parse(given, `--${flag}`);
  const text = environment[variable];
  return text === undefined || text === '' ? 'info' : parse(text, variable);
}
