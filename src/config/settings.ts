// The process settings: flag > environment (OUTRIGGER_*) > file > default, each with where it came from.
import { hostname } from 'node:os';
import type { Bootstrap } from '../gen/outrigger/config/v1/bootstrap.ts';
import { CONNECT_RULES, LISTEN_RULES, parseHostPort, type HostPort, type HostPortRules } from './host-port.ts';

/** A listener given by flags or the file. */
export interface StaticListenerSetting {
  readonly listen: HostPort;
  readonly to: readonly HostPort[];
  readonly scheme: string;
}

/** Everything that `outrigger run` goes by. Defaults are stated in `SETTINGS`. */
export interface Settings {
  nodeId: string;
  control: readonly HostPort[];
  xds: 'delta' | 'sotw';
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

/** Where a value came from. */
export type Origin = 'flag' | 'environment' | 'file' | 'default';

/** A resolved value and its origin, for `config show`. */
export interface Resolved {
  readonly settings: Settings;
  readonly origins: ReadonlyMap<keyof Settings, Origin>;
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

/** Environment variables, handed in by main.ts. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Flag values by name, as node:util's parseArgs gives them. */
export type Flags = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

function oneOf<T extends string>(words: readonly T[]) {
  return (text: string, place: string): T => {
    const word = words.find((candidate) => candidate === text);
    if (word === undefined) throw new SettingsError(`${place}: '${text}' is not one of ${words.join(', ')}`);
    return word;
  };
}

function readHostPort(text: string, place: string, rules: HostPortRules = LISTEN_RULES): HostPort {
  const result = parseHostPort(text.trim(), rules);
  if (!result.ok) throw new SettingsError(`${place}: ${result.reason}`);
  return { host: result.host === 'localhost' ? '127.0.0.1' : result.host, port: result.port };
}

function parseList(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function parseTargets(text: string, place: string): HostPort[] {
  const parts = parseList(text);
  if (parts.length === 0) throw new SettingsError(`${place}: at least one HOST:PORT is needed`);
  return parts.map((part) => readHostPort(part, place, CONNECT_RULES));
}

/** Seconds with an optional unit: `30`, `30s`, `500ms`, `2m`. */
export function parseDurationMs(text: string, place: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text.trim());
  if (!match) throw new SettingsError(`${place}: '${text}' is not a duration (30, 30s, 500ms, 2m)`);
  const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] ?? 's'] ?? 1000;
  return Number(match[1]) * unitMs;
}

const SETTINGS: { readonly [K in Exclude<keyof Settings, 'listeners'>]: Setting<K> } = {
  nodeId: {
    flag: 'node-id',
    environment: 'OUTRIGGER_NODE_ID',
    parse: (text) => text,
    fromFile: (file) => file.nodeId,
    fallback: (environment) =>
      environment['POD_NAME'] !== undefined
        ? `${environment['POD_NAME']}.${environment['POD_NAMESPACE'] ?? 'default'}`
        : hostname(),
  },
  control: {
    flag: 'control',
    environment: 'OUTRIGGER_CONTROL',
    parse: (text, place) => parseTargets(text, place),
    fromFile: (file, place) =>
      file.control.length > 0 ? parseTargets(file.control.join(','), `${place}.control`) : undefined,
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
  admin: {
    flag: 'admin',
    environment: 'OUTRIGGER_ADMIN',
    parse: (text, place) => readHostPort(text, place),
    fromFile: (file, place) => (file.admin === undefined ? undefined : readHostPort(file.admin, `${place}.admin`)),
    fallback: () => ({ host: '127.0.0.1', port: 15000 }),
  },
  health: {
    flag: 'health',
    environment: 'OUTRIGGER_HEALTH',
    parse: (text, place) => readHostPort(text, place),
    fromFile: (file, place) => (file.health === undefined ? undefined : readHostPort(file.health, `${place}.health`)),
    fallback: () => ({ host: '127.0.0.1', port: 15021 }),
  },
  stateDir: {
    flag: 'state-dir',
    environment: 'OUTRIGGER_STATE_DIR',
    parse: (text) => text,
    fromFile: (file) => file.stateDir,
    fallback: () => undefined,
  },
  bind: {
    flag: 'bind',
    environment: 'OUTRIGGER_BIND',
    parse: (text) => text,
    fromFile: (file) => file.bind,
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
    fromFile: (file) => (file.drainTimeout === undefined ? undefined : file.drainTimeout * 1000),
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
    parse: (text) => text,
    fromFile: (file) => file.podIp,
    fallback: () => undefined,
  },
  services: {
    flag: 'services',
    environment: 'OUTRIGGER_SERVICES',
    parse: parseList,
    fromFile: (file) => (file.services.length > 0 ? file.services : undefined),
    fallback: () => [],
  },
};

/** Names of the settings in the order `config show` prints them, with flag and environment variable. */
export function settingNames(): { name: keyof Settings; flag: string; environment: string }[] {
  return Object.entries(SETTINGS).map(([name, setting]) => ({
    name: name as keyof Settings,
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
  const resolve = <K extends Exclude<keyof Settings, 'listeners'>>(name: K): void => {
    const setting: Setting<K> = SETTINGS[name];
    const flag = flags[setting.flag];
    const variable = environment[setting.environment];
    if (typeof flag === 'string') {
      settings[name] = setting.parse(flag, `--${setting.flag}`);
      origins.set(name, 'flag');
    } else if (variable !== undefined && variable !== '') {
      settings[name] = setting.parse(variable, setting.environment);
      origins.set(name, 'environment');
    } else {
      const fromFile = file && setting.fromFile(file, fileName);
      settings[name] = fromFile ?? setting.fallback(environment);
      origins.set(name, fromFile === undefined ? 'default' : 'file');
    }
  };
  for (const { name } of settingNames()) resolve(name as Exclude<keyof Settings, 'listeners'>);
  const fromFile = (file?.listeners ?? []).map((listener, index) => ({
    listen: readHostPort(listener.listen, `${fileName}: listeners[${index}].listen`),
    to: parseTargets(listener.to.join(','), `${fileName}: listeners[${index}].to`),
    scheme: listener.scheme ?? 'http',
  }));
  settings.listeners = flagListeners.length > 0 ? flagListeners : fromFile;
  origins.set('listeners', flagListeners.length > 0 ? 'flag' : fromFile.length > 0 ? 'file' : 'default');
  return { settings: settings as Settings, origins };
}

/** The log level of commands that have no other setting of `run`. */
export function resolveLogLevel(flags: Flags, environment: Environment): Settings['logLevel'] {
  const { flag, environment: variable, parse } = SETTINGS.logLevel;
  const given = flags[flag];
  if (typeof given === 'string') return parse(given, `--${flag}`);
  const text = environment[variable];
  return text === undefined || text === '' ? 'info' : parse(text, variable);
}

/** `--listen`, `--to` and `--scheme` in the order they came: what follows a `--listen` belongs to it. */
export function readListenFlags(
  tokens: readonly { readonly kind: string; readonly name?: string; readonly value?: string | undefined }[],
): StaticListenerSetting[] {
  const listeners: { listen: HostPort; to: HostPort[]; scheme: string; text: string }[] = [];
  for (const token of tokens) {
    if (token.kind !== 'option' || token.value === undefined) continue;
    if (token.name === 'listen') {
      listeners.push({ listen: readHostPort(token.value, '--listen'), to: [], scheme: 'http', text: token.value });
      continue;
    }
    if (token.name !== 'to' && token.name !== 'scheme') continue;
    const last = listeners.at(-1);
    if (!last) throw new SettingsError(`--${token.name} belongs to the --listen before it, and there is none`);
    if (token.name === 'to') last.to.push(...parseTargets(token.value, '--to'));
    else last.scheme = token.value;
  }
  for (const listener of listeners) {
    if (listener.to.length === 0) throw new SettingsError(`--listen ${listener.text} needs --to HOST:PORT`);
  }
  return listeners;
}
