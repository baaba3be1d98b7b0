// The commands and their help: one table, from which `--help` is printed and flags are parsed.
import type { ParseArgsConfig } from 'node:util';

/** Wrong flags or arguments: exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

interface Flag {
  /** Placeholder of the value; undefined for a switch. */
  readonly value?: string;
  readonly text: string;
  readonly many?: boolean;
  readonly short?: string;
}

export interface CommandHelp {
  readonly usage: string;
  readonly summary: string;
  readonly flags: Readonly<Record<string, Flag>>;
}

const LOG_LEVEL: Flag = { value: 'LEVEL', text: 'trace, debug, info (default), warn, error or fatal' };

const RUN_FLAGS: Readonly<Record<string, Flag>> = {
  config: { short: 'c', value: 'FILE', text: 'bootstrap file (kind Bootstrap, docs/configuration.md)' },
  control: { value: 'HOST:PORT[,…]', text: 'control planes, tried in order; the first is returned to when it is back' },
  xds: { value: 'delta|sotw', text: 'xDS flavour; default delta' },
  'node-id': { value: 'ID', text: "node id; default the Pod's name and namespace, else the machine's name" },
  listen: { value: '[HOST:]PORT', text: 'static listener; --to and --scheme after it belong to it', many: true },
  to: { value: 'HOST:PORT[,…]', text: 'its endpoints', many: true },
  scheme: { value: 'http|grpc', text: 'what its endpoints speak; default http', many: true },
  admin: { value: '[HOST:]PORT', text: 'admin, gRPC and HTTP; default 127.0.0.1:15000' },
  health: { value: '[HOST:]PORT', text: '/ready and /live; default 127.0.0.1:15021' },
  'state-dir': { value: 'DIR', text: 'keeps the last good configuration; default nothing is kept on disk' },
  bind: { value: 'ADDR', text: 'address of listeners that the control plane gives; default 127.0.0.1' },
  'listener-ports': {
    value: 'service|ephemeral',
    text: 'ephemeral gives each listener a free port instead of its own; default service',
  },
  'drain-timeout': { value: 'DURATION', text: 'longest drain on SIGTERM; default 30s' },
  'access-log': { value: 'off|json|text', text: 'access log on stderr; default off' },
  'log-level': LOG_LEVEL,
  'pod-ip': { value: 'ADDR', text: 'address of the own Pod: services that it backs get no listener; default $POD_IP' },
  services: { value: 'NS/NAME[,…]', text: 'services wanted; default all but those that the own Pod backs' },
};

export const COMMANDS: Readonly<Record<string, CommandHelp>> = {
  run: {
    usage:
      'outrigger run [-c FILE] [--control HOST:PORT] [--listen [HOST:]PORT --to HOST:PORT[,…] [--scheme http|grpc]]…',
    summary: 'the sidecar',
    flags: RUN_FLAGS,
  },
  control: {
    usage: 'outrigger control --dir DIR [--ads [HOST:]PORT]',
    summary: 'the reference control plane: reads configuration, serves it to sidecars over ADS',
    flags: {
      dir: { value: 'DIR', text: 'directory of YAML and JSON files, watched; may be given more than once', many: true },
      ads: { value: '[HOST:]PORT', text: 'delta ADS over gRPC; default 127.0.0.1:15010' },
      'log-level': LOG_LEVEL,
    },
  },
  demo: {
    usage: 'outrigger demo [--for DURATION] [--fault planted|none]',
    summary: 'control plane, backends with a planted fault, a sidecar and light traffic; `npm start`',
    flags: {
      for: { value: 'DURATION', text: 'ends by itself with one line of JSON; default runs until Ctrl-C' },
      fault: { value: 'planted|none', text: 'none plants no fault, so that nothing is ejected and the status is 1' },
      'log-level': LOG_LEVEL,
    },
  },
  lint: {
    usage: 'outrigger lint DIR|FILE',
    summary: 'prints what is wrong with configuration files; status 1 if there are errors',
    flags: {},
  },
  config: {
    usage: 'outrigger config show [FLAGS OF run]',
    summary: 'prints each resolved setting of `run` and where it came from',
    flags: RUN_FLAGS,
  },
};

/** The page of `outrigger --help`. */
export function helpPage(): string {
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`);
  return `Usage: outrigger COMMAND [FLAGS]\n\n${lines.join('\n')}\n\nFlag > environment (OUTRIGGER_*) > file > default. \`outrigger COMMAND --help\` lists the flags.\n`;
}

/** The page of `outrigger COMMAND --help`. */
export function commandPage(command: CommandHelp): string {
  const lines = Object.entries(command.flags).map(([name, flag]) => {
    const left = `  ${flag.short === undefined ? '' : `-${flag.short}, `}--${name}${flag.value === undefined ? '' : ` ${flag.value}`}`;
    return `${left.padEnd(34)} ${flag.text}`;
  });
  return `Usage: ${command.usage}\n\n${command.summary}\n${lines.length > 0 ? `\n${lines.join('\n')}\n` : ''}`;
}

/** The flags of a command for node:util's parseArgs. */
export function flagOptions(command: CommandHelp): NonNullable<ParseArgsConfig['options']> {
  const options: NonNullable<ParseArgsConfig['options']> = { help: { type: 'boolean', short: 'h' } };
  for (const [name, flag] of Object.entries(command.flags)) {
    options[name] = {
      type: flag.value === undefined ? 'boolean' : 'string',
      ...(flag.short === undefined ? {} : { short: flag.short }),
      ...(flag.many ? { multiple: true } : {}),
    };
  }
  return options;
}
