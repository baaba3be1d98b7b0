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

/** TLS to a control plane. */
const CONTROL_TLS_FLAGS: Readonly<Record<string, Flag>> = {
  'control-ca': {
    value: 'FILE',
    text: "TLS to the control planes: PEM authorities; default none, with --control-cert Node's own",
  },
  'control-cert': {
    value: 'FILE',
    text: 'TLS to the control planes: own PEM chain; default none, and without --control-ca plaintext',
  },
  'control-key': { value: 'FILE', text: 'PEM private key of --control-cert' },
};

const RUN_FLAGS: Readonly<Record<string, Flag>> = {
  config: { short: 'c', value: 'FILE', text: 'bootstrap file (kind Bootstrap, docs/configuration.md)' },
  control: { value: 'HOST:PORT[,…]', text: 'control planes, tried in order; the first is returned to when it is back' },
  xds: { value: 'delta|sotw', text: 'xDS flavour; default delta' },
  'node-id': { value: 'ID', text: "node id; default the Pod's name and namespace, else the machine's name" },
  listen: {
    value: '[HOST:]PORT',
    text: 'static listener; the --to, --scheme, --tls-* and --to-* after it belong to it',
    many: true,
  },
  to: { value: 'HOST:PORT[,…]', text: 'its endpoints; needed', many: true },
  scheme: { value: 'http|https|grpc|grpcs', text: 'what its endpoints speak; default http', many: true },
  gateway: {
    value: '[HOST:]PORT',
    text: 'gateway listener: the routes of the control plane (9080); default off',
  },
  'gateway-admin': {
    value: 'on|off',
    text: 'whether the gateway carries /apisix/admin/* of loopback callers to the Admin API; default on',
  },
  outbound: {
    value: '[HOST:]PORT',
    text: 'outbound listener: every service port by authority, and a forward proxy (15001); default off',
  },
  admin: { value: '[HOST:]PORT', text: 'admin, gRPC and HTTP; default 127.0.0.1:15000' },
  health: { value: '[HOST:]PORT', text: '/ready and /live; default 127.0.0.1:15021' },
  'state-dir': { value: 'DIR', text: 'keeps the last good configuration; default nothing is kept on disk' },
  bind: { value: 'ADDR', text: 'address of listeners that the control plane gives; default 127.0.0.1' },
  'listener-ports': {
    value: 'service|ephemeral',
    text: 'ephemeral gives each listener a free port instead of its own; default service',
  },
  'tls-cert': {
    value: 'FILE',
    text: 'TLS towards callers: PEM chain, leaf first; again for further server names; default plaintext',
    many: true,
  },
  'tls-key': { value: 'FILE', text: 'PEM private key of the --tls-cert before it', many: true },
  'tls-client-ca': {
    value: 'FILE',
    text: 'PEM authorities: callers must show a certificate of theirs; default none is asked for',
    many: true,
  },
  'tls-client-name': {
    value: 'NAME',
    text: "URI or DNS name that a caller's certificate must have; again for others; default any name",
    many: true,
  },
  'tls-client-optional': { text: 'callers may come without a certificate; default it is required' },
  'to-ca': { value: 'FILE', text: 'PEM authorities of its endpoints; default those that Node brings', many: true },
  'to-cert': { value: 'FILE', text: 'PEM chain shown to its endpoints; default none', many: true },
  'to-key': { value: 'FILE', text: 'PEM private key of --to-cert', many: true },
  'to-name': {
    value: 'NAME',
    text: 'server name that its endpoints are asked for and must have; default the host of the call',
    many: true,
  },
  'to-allow': {
    value: 'NAME',
    text: 'URI or DNS name that its endpoints must have; again for others; default the server name',
    many: true,
  },
  'to-insecure': { text: 'takes any certificate of its endpoints; default each is verified' },
  ...CONTROL_TLS_FLAGS,
  'drain-timeout': { value: 'DURATION', text: 'longest drain on SIGTERM; default 30s' },
  'access-log': { value: 'off|json|text', text: 'access log on stderr; default off' },
  'log-level': LOG_LEVEL,
  'pod-ip': { value: 'ADDR', text: 'address of the own Pod: services that it backs get no listener; default $POD_IP' },
  services: { value: 'NS/NAME[,…]', text: 'services wanted; default all but those that the own Pod backs' },
};

export const COMMANDS: Readonly<Record<string, CommandHelp>> = {
  run: {
    usage: [
      'outrigger run [-c FILE] [--control HOST:PORT[,…]] [--xds delta|sotw] [--node-id ID]',
      '[--listen [HOST:]PORT --to HOST:PORT[,…] [--scheme http|https|grpc|grpcs]]…',
      '[--gateway [HOST:]PORT] [--outbound [HOST:]PORT]',
      '[--admin [HOST:]PORT] [--health [HOST:]PORT] [--state-dir DIR] [--bind ADDR] [--listener-ports service|ephemeral]',
      '[--tls-cert FILE --tls-key FILE [--tls-client-ca FILE]] [--to-ca FILE] [--to-cert FILE --to-key FILE] [--to-insecure]',
      '[--control-ca FILE] [--control-cert FILE --control-key FILE]',
    ].join('\n           '),
    summary: 'the sidecar',
    flags: RUN_FLAGS,
  },
  control: {
    usage: [
      'outrigger control [--dir DIR]… [--ads [HOST:]PORT [--ads-cert FILE --ads-key FILE [--ads-client-ca FILE]]]',
      '[--admin-api [HOST:]PORT [--admin-key KEY] [--store DIR]]',
    ].join('\n           '),
    summary: 'the reference control plane: reads configuration, serves it to sidecars over ADS',
    flags: {
      dir: { value: 'DIR', text: 'directory of YAML and JSON files, watched; may be given more than once', many: true },
      ads: { value: '[HOST:]PORT', text: 'delta ADS over gRPC; default 127.0.0.1:15010, over TLS 127.0.0.1:15012' },
      'ads-cert': { value: 'FILE', text: 'ADS over TLS: PEM chain, leaf first; default plaintext' },
      'ads-key': { value: 'FILE', text: 'PEM private key of --ads-cert' },
      'ads-client-ca': {
        value: 'FILE',
        text: 'PEM authorities: sidecars must show a certificate of theirs; default none is asked for',
      },
      'ads-bind-node-id': {
        text: "node ids must be the SPIFFE id of the sidecar's certificate; default any; needs --ads-client-ca",
      },
      'admin-api': { value: '[HOST:]PORT', text: "APISIX's Admin API over HTTP, by convention 9180; default off" },
      'admin-key': {
        value: 'KEY',
        text: 'what X-API-KEY must hold; default one that is made at the first start and printed once',
      },
      store: { value: 'DIR', text: 'where the objects of the Admin API are kept; default ./outrigger-store' },
      'log-level': LOG_LEVEL,
    },
  },
  demo: {
    usage: 'outrigger demo [--for DURATION] [--tls] [--fault planted|none]',
    summary: 'control plane, backends with a planted fault, a sidecar and light traffic; `npm start`',
    flags: {
      for: { value: 'DURATION', text: 'ends by itself with one line of JSON; default runs until Ctrl-C' },
      tls: { text: 'mTLS everywhere: callers, backends and control plane, with certificates made for the run' },
      fault: { value: 'planted|none', text: 'none plants no fault, so that nothing is ejected and the status is 1' },
      'log-level': LOG_LEVEL,
    },
  },
  status: {
    usage: [
      'outrigger status [--control HOST:PORT [--control-ca FILE] [--control-cert FILE --control-key FILE]]',
      '[--admin [HOST:]PORT] [--json]',
    ].join('\n           '),
    summary: 'whether a sidecar is well; with --control the sidecars of a control plane, and what they refused',
    flags: {
      control: { value: 'HOST:PORT', text: 'ADS address of a control plane, over loopback' },
      ...CONTROL_TLS_FLAGS,
      admin: { value: '[HOST:]PORT', text: 'admin address of a sidecar; default 127.0.0.1:15000' },
      json: { text: 'prints the answer as JSON' },
    },
  },
  explain: {
    usage: [
      'outrigger explain --port PORT [--method /pkg.Service/Method | --path PATH [--http-method METHOD]]',
      '[-H NAME=VALUE]… [--authority HOST] [--from ADDR] [--admin [HOST:]PORT] [--json]',
    ].join('\n           '),
    summary:
      "why a running sidecar would send a request where; sends nothing; status 1 if it would be refused, 2 if that can't be told",
    flags: {
      port: { value: 'PORT', text: 'port of the listener; needed' },
      method: { value: '/PKG.SERVICE/METHOD', text: 'a gRPC call of this method' },
      path: { value: 'PATH', text: 'path with query of an HTTP request; default /' },
      'http-method': { value: 'METHOD', text: 'its method; default GET' },
      header: { short: 'H', value: 'NAME=VALUE', text: 'a field of the request; again for others', many: true },
      authority: { value: 'HOST', text: 'Host or :authority; default that of -H host=HOST, else localhost:PORT' },
      from: { value: 'ADDR', text: 'IP address of the caller; default 127.0.0.1' },
      admin: { value: '[HOST:]PORT', text: 'admin address of the sidecar; default 127.0.0.1:15000' },
      json: { text: 'prints the answer as JSON' },
    },
  },
  lint: {
    usage: 'outrigger lint DIR|FILE',
    summary: 'prints what is wrong with configuration files; status 1 if there are errors',
    flags: {},
  },
  certs: {
    usage: 'outrigger certs DIR',
    summary: 'makes certificates for tests: an authority, a server, a client and a SPIFFE workload',
    flags: {
      days: { value: 'N', text: 'how long they are valid; default 90' },
      dns: { value: 'NAME', text: 'further name of server.pem; may be given more than once', many: true },
      ip: { value: 'ADDR', text: 'further address of server.pem; may be given more than once', many: true },
      'spiffe-id': { value: 'URI', text: 'of spiffe.pem; default spiffe://outrigger.test/ns/default/sa/default' },
      force: { text: 'replaces files that are there' },
      'keep-ca-key': { text: 'keeps ca-key.pem; with --force, issues from the one that is there' },
    },
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
