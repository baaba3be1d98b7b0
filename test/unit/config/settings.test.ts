import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { describe, it } from 'node:test';
import { COMMANDS, flagOptions } from '../../../src/cli/usage.ts';
import { readBootstrap } from '../../../src/config/bootstrap.ts';
import { readListenFlags } from '../../../src/config/listen-flags.ts';
import type { Environment, Origin } from '../../../src/config/setting-sources.ts';
import {
  checkControlled,
  parseDurationMs,
  resolveLogLevel,
  resolveSettings,
  settingNames,
  SettingsError,
  type Resolved,
  type Settings,
  type SimpleSetting,
} from '../../../src/config/settings.ts';
import type { TlsFiles } from '../../../src/config/tls-files.ts';
import type { Bootstrap } from '../../../src/gen/outrigger/config/v1/bootstrap.ts';

function bootstrap(spec: Record<string, unknown>): Bootstrap {
  const result = readBootstrap({ apiVersion: 'outrigger.config/v1', kind: 'Bootstrap', spec });
  assert.ok(result.ok, result.ok ? '' : JSON.stringify(result.problems));
  return result.bootstrap;
}

/** Resolves as `run` does. */
function resolve(
  args: readonly string[] = [],
  environment: Environment = {},
  file?: Record<string, unknown>,
): Resolved & { origin: (name: keyof Settings) => Origin | undefined } {
  const command = COMMANDS['run'];
  assert.ok(command);
  const { values, tokens } = parseArgs({ args: [...args], options: flagOptions(command), tokens: true });
  const read = file && bootstrap(file);
  const resolved = resolveSettings(values, environment, read, 'b.yaml', readListenFlags(tokens));
  return { ...resolved, origin: (name) => resolved.origins.get(name) };
}

function failure(args: readonly string[], environment: Environment = {}, file?: Record<string, unknown>): string {
  try {
    resolve(args, environment, file);
  } catch (error) {
    assert.ok(error instanceof SettingsError, String(error));
    return error.message;
  }
  return assert.fail(`${args.join(' ')} ${JSON.stringify(environment)}: accepted`);
}

/** For each setting: a value as flag, as variable and in the file, and what they mean. */
const CASES: Record<
  SimpleSetting,
  { flag: [string, unknown]; variable: [string, unknown]; file: [string, unknown, unknown]; fallback: unknown }
> = {
  nodeId: { flag: ['f', 'f'], variable: ['v', 'v'], file: ['node_id', 'n', 'n'], fallback: hostname() },
  control: {
    flag: ['a:1, localhost:2', [host('a', 1), host('localhost', 2)]],
    variable: ['[::1]:3', [host('::1', 3)]],
    file: ['control', ['c:4', 'd:5'], [host('c', 4), host('d', 5)]],
    fallback: [],
  },
  xds: { flag: ['sotw', 'sotw'], variable: ['delta', 'delta'], file: ['xds', 'sotw', 'sotw'], fallback: 'delta' },
  gateway: {
    flag: ['1', host('127.0.0.1', 1)],
    variable: ['[::]:2', host('::', 2)],
    file: ['gateway', '0.0.0.0:3', host('0.0.0.0', 3)],
    fallback: undefined,
  },
  gatewayAdmin: { flag: ['off', false], variable: ['on', true], file: ['gateway_admin', false, false], fallback: true },
  outbound: {
    flag: ['1', host('127.0.0.1', 1)],
    variable: ['localhost:2', host('127.0.0.1', 2)],
    file: ['outbound', '3', host('127.0.0.1', 3)],
    fallback: undefined,
  },
  admin: {
    flag: ['1', host('127.0.0.1', 1)],
    variable: ['localhost:2', host('127.0.0.1', 2)],
    file: ['admin', '[::]:0', host('::', 0)],
    fallback: host('127.0.0.1', 15000),
  },
  health: {
    flag: ['0.0.0.0:1', host('0.0.0.0', 1)],
    variable: ['2', host('127.0.0.1', 2)],
    file: ['health', '3', host('127.0.0.1', 3)],
    fallback: host('127.0.0.1', 15021),
  },
  stateDir: { flag: ['/f', '/f'], variable: ['/v', '/v'], file: ['state_dir', '/n', '/n'], fallback: undefined },
  bind: {
    flag: ['::', '::'],
    variable: ['localhost', '127.0.0.1'],
    file: ['bind', '0.0.0.0', '0.0.0.0'],
    fallback: '127.0.0.1',
  },
  listenerPorts: {
    flag: ['ephemeral', 'ephemeral'],
    variable: ['service', 'service'],
    file: ['listener_ports', 'ephemeral', 'ephemeral'],
    fallback: 'service',
  },
  drainTimeoutMs: {
    flag: ['250ms', 250],
    variable: ['2m', 120_000],
    file: ['drain_timeout', 1.5, 1500],
    fallback: 30_000,
  },
  accessLog: {
    flag: ['json', 'json'],
    variable: ['text', 'text'],
    file: ['access_log', 'json', 'json'],
    fallback: 'off',
  },
  logLevel: {
    flag: ['warn', 'warn'],
    variable: ['debug', 'debug'],
    file: ['log_level', 'error', 'error'],
    fallback: 'info',
  },
  podIp: {
    flag: ['10.0.0.1', '10.0.0.1'],
    variable: ['fd00::1', 'fd00::1'],
    file: ['pod_ip', '10.0.0.3', '10.0.0.3'],
    fallback: undefined,
  },
  services: {
    flag: ['a/b,c/d', ['a/b', 'c/d']],
    variable: [' e/f ', ['e/f']],
    file: ['services', ['g/h'], ['g/h']],
    fallback: [],
  },
};

function host(name: string, port: number): { host: string; port: number } {
  return { host: name, port };
}

describe('resolveSettings', () => {
  it('flag > environment > file > default, each with its origin', () => {
    assert.deepEqual(
      settingNames().map(({ name }) => name),
      Object.keys(CASES),
    );
    for (const { name, flag, environment } of settingNames()) {
      const { flag: byFlag, variable, file, fallback } = CASES[name];
      const control = name === 'gateway' || name === 'outbound' ? ['--control', 'c:1'] : [];
      const args = [...control, `--${flag}`, byFlag[0]];
      const variables = { [environment]: variable[0] };
      const inFile = { [file[0]]: file[1] };
      for (const [from, resolved, expected] of [
        ['flag', resolve(args, variables, inFile), byFlag[1]],
        ['environment', resolve(control, variables, inFile), variable[1]],
        ['file', resolve(control, { [environment]: '' }, inFile), file[2]],
        ['default', resolve([], {}, {}), fallback],
        ['default', resolve(), fallback],
      ] as const) {
        assert.deepEqual(resolved.settings[name], expected, `${name} from ${from}`);
        assert.equal(resolved.origin(name), from, name);
      }
    }
  });

  it('a gateway and an outbound listener need a control plane, a gateway the delta flavour', () => {
    const none = { control: [], xds: 'delta', gateway: undefined, outbound: undefined } as const;
    const at = host('127.0.0.1', 1);
    checkControlled(none);
    checkControlled({ ...none, control: [at], gateway: at, outbound: at });
    checkControlled({ ...none, control: [at], xds: 'sotw', outbound: at });
    for (const [settings, reason] of [
      [{ ...none, gateway: at }, /--gateway: there is no control plane/],
      [{ ...none, outbound: at }, /--outbound: there is no control plane/],
      [{ ...none, control: [at], xds: 'sotw', gateway: at }, /--gateway: routes need --xds delta/],
    ] as const) {
      assert.throws(() => checkControlled(settings), { name: 'SettingsError', message: reason });
    }
  });

  it('the node id of a Pod is its name and namespace', () => {
    assert.equal(resolve([], { POD_NAME: 'web-0', POD_NAMESPACE: 'shop' }).settings.nodeId, 'web-0.shop');
    assert.equal(resolve([], { POD_NAME: 'web-0', POD_NAMESPACE: '' }).settings.nodeId, 'web-0.default');
    assert.equal(resolve([], { POD_NAME: '' }).settings.nodeId, hostname());
  });

  it('every bad value names its place, as flag and as variable', () => {
    const bad: [name: SimpleSetting, text: string, reason: RegExp][] = [
      ['nodeId', 'a b', /blanks/],
      ['control', 'nowhere', /'nowhere' has no port: it must be HOST:PORT/],
      ['control', 'a:1,b:99999', /port '99999' must be between 1 and 65535/],
      ['control', ',', /at least one HOST:PORT/],
      ['xds', 'delat', /'delat' is not one of delta, sotw/],
      ['admin', '70000', /between 0 and 65535/],
      ['admin', 'web.example:1', /DNS name/],
      ['health', '::1', /\[HOST:\]PORT|brackets/],
      ['gateway', '70000', /between 0 and 65535/],
      ['gatewayAdmin', 'yes', /'yes' is not one of on, off/],
      ['outbound', 'web.example:1', /DNS name/],
      ['stateDir', '', /must be a directory; leave it out/],
      ['bind', '10.0.0.256', /not an IP address/],
      ['listenerPorts', 'free', /not one of service, ephemeral/],
      ['drainTimeoutMs', '5 parsecs', /is not a duration \(30, 30s, 500ms, 2m\)/],
      ['drainTimeoutMs', '-1', /is not a duration/],
      ['drainTimeoutMs', '25h', /at most 24h/],
      ['accessLog', 'xml', /not one of off, json, text/],
      ['logLevel', 'loud', /not one of trace, debug, info, warn, error, fatal/],
      ['podIp', 'pod', /not an IP address/],
      ['services', 'a/b,web', /'web' must be namespace\/name/],
    ];
    const names = new Map(settingNames().map((setting) => [setting.name, setting]));
    for (const [name, text, reason] of bad) {
      const setting = names.get(name);
      assert.ok(setting);
      const byFlag = failure([`--${setting.flag}=${text}`]);
      assert.ok(byFlag.startsWith(`--${setting.flag}: `), byFlag);
      assert.match(byFlag, reason);
      if (text === '') continue; // an empty variable counts as none
      const byVariable = failure([], { [setting.environment]: text });
      assert.ok(byVariable.startsWith(`${setting.environment}: `), byVariable);
      assert.match(byVariable, reason);
    }
  });

  it('a bad value of the file that only shows here names file and field', () => {
    assert.equal(failure([], {}, { drain_timeout: 90_000 }), 'b.yaml: spec.drain_timeout: must be at most 24h');
  });

  it('an empty text is no value for a flag that needs one', () => {
    for (const flag of ['node-id', 'control', 'admin', 'bind', 'drain-timeout', 'pod-ip', 'state-dir']) {
      assert.match(failure([`--${flag}=`]), new RegExp(`^--${flag}: `));
    }
  });
});

describe('listeners', () => {
  const plain = { tls: undefined, toTls: undefined };
  const fromFile = { listen: host('0.0.0.0', 81), to: [host('::1', 3)], scheme: 'http', ...plain };

  it('those of the file are used where no flag gives any', () => {
    const file = { listeners: [{ listen: '0.0.0.0:81', to: ['[::1]:3'] }] };
    const byFile = resolve([], {}, file);
    assert.deepEqual(byFile.settings.listeners, [fromFile]);
    assert.equal(byFile.origin('listeners'), 'file');
    const byFlag = resolve(['--listen', '80', '--to', '10.0.0.1:1'], {}, file);
    assert.deepEqual(byFlag.settings.listeners, [
      { listen: host('127.0.0.1', 80), to: [host('10.0.0.1', 1)], scheme: 'http', ...plain },
    ]);
    assert.equal(byFlag.origin('listeners'), 'flag');
    assert.equal(resolve().origin('listeners'), 'default');
  });

  it('of the file they carry their TLS; a flag does not add to it', () => {
    const tls = { certificates: [{ certificate_file: '/c', key_file: '/k' }] };
    const toTls = { ca: { file: '/ca' }, server_name: 'web' };
    const file = { listeners: [{ listen: '81', to: ['[::1]:3'], scheme: 'grpcs', tls, to_tls: toTls }] };
    const [listener] = resolve([], {}, file).settings.listeners;
    assert.equal(listener?.scheme, 'grpcs');
    assert.equal(listener.tls?.certificates[0]?.keyFile, '/k');
    assert.equal(listener.toTls?.ca?.file, '/ca');
    assert.equal(listener.toTls.serverName, 'web');
    assert.equal(
      failure(['--tls-cert', '/c'], {}, file),
      '--tls-cert belongs to the --listen before it, and there is none',
    );
    const [plainOne] = resolve(['--listen', '80', '--to', '10.0.0.1:1'], {}, file).settings.listeners;
    assert.equal(plainOne?.tls, undefined);
  });
});

describe('TLS to the control planes', () => {
  const CONTROL = ['--control', 'a:1'];
  const file = { control: ['c:1'], control_tls: { ca_file: '/n/ca', certificate_file: '/n/c', key_file: '/n/k' } };
  const files = (caFile?: string, certificateFile?: string, keyFile?: string): TlsFiles => ({
    caFile,
    certificateFile,
    keyFile,
  });

  it('flag > environment > file > plaintext', () => {
    const variables = { OUTRIGGER_CONTROL_CA: '/v/ca', OUTRIGGER_CONTROL_CERT: '/v/c', OUTRIGGER_CONTROL_KEY: '/v/k' };
    const args = ['--control-ca', '/f/ca', '--control-cert=/f/c', '--control-key', '/f/k'];
    for (const [from, resolved, expected] of [
      ['flag', resolve(args, variables, file), files('/f/ca', '/f/c', '/f/k')],
      ['environment', resolve([], variables, file), files('/v/ca', '/v/c', '/v/k')],
      ['file', resolve([], { OUTRIGGER_CONTROL_CA: '' }, file), files('/n/ca', '/n/c', '/n/k')],
      ['default', resolve(CONTROL), undefined],
      ['default', resolve([], {}, { control: ['c:1'] }), undefined],
      ['flag', resolve([...CONTROL, '--control-ca', '/f/ca']), files('/f/ca')],
    ] as const) {
      assert.deepEqual(resolved.settings.controlTls, expected, from);
      assert.equal(resolved.origin('controlTls'), from);
    }
  });

  it('the authorities are one setting, the certificate with its key another', () => {
    const mixed = resolve(
      ['--control-ca', '/f/ca'],
      { OUTRIGGER_CONTROL_CERT: '/v/c', OUTRIGGER_CONTROL_KEY: '/v/k' },
      file,
    );
    assert.deepEqual(mixed.settings.controlTls, files('/f/ca', '/v/c', '/v/k'));
    assert.deepEqual(mixed.controlTlsPlaces, {
      caFile: { origin: 'flag', place: '--control-ca' },
      certificateFile: { origin: 'environment', place: 'OUTRIGGER_CONTROL_CERT' },
      keyFile: { origin: 'environment', place: 'OUTRIGGER_CONTROL_KEY' },
    });
    const ofFile = resolve(['--control-ca', '/f/ca'], {}, file);
    assert.deepEqual(ofFile.settings.controlTls, files('/f/ca', '/n/c', '/n/k'));
    assert.equal(ofFile.controlTlsPlaces.keyFile.place, 'b.yaml: spec.control_tls.key_file');
  });

  it('a control_tls of the file that says nothing is TLS with the authorities of the system', () => {
    const { settings, origin } = resolve([], {}, { control: ['c:1'], control_tls: {} });
    assert.deepEqual(settings.controlTls, files());
    assert.equal(origin('controlTls'), 'file');
  });

  it('half a pair, an empty path, a key in place of a path, and no control plane are refused', () => {
    const key = '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBM';
    const cases: [args: string[], environment: Environment, file: Record<string, unknown> | undefined, text: RegExp][] =
      [
        [[...CONTROL, '--control-cert', '/c'], {}, undefined, /^--control-cert: needs --control-key$/],
        [[...CONTROL, '--control-key', '/k'], {}, undefined, /^--control-key: needs --control-cert$/],
        [[...CONTROL, '--control-cert', '/c'], {}, file, /^--control-cert: needs --control-key$/],
        [
          [...CONTROL, '--control-cert', '/c'],
          { OUTRIGGER_CONTROL_KEY: '/k' },
          undefined,
          /^--control-cert: needs --control-key$/,
        ],
        [CONTROL, { OUTRIGGER_CONTROL_KEY: '/k' }, undefined, /^OUTRIGGER_CONTROL_KEY: needs OUTRIGGER_CONTROL_CERT$/],
        [[...CONTROL, '--control-ca='], {}, undefined, /^--control-ca: required: the path of a PEM file$/],
        [
          [...CONTROL, '--control-cert', '/c', `--control-key=${key}`],
          {},
          undefined,
          /^--control-key: holds PEM text; give the path of a PEM file$/,
        ],
        [['--control-ca', '/ca'], {}, undefined, /^--control-ca: there is no control plane; add --control HOST:PORT$/],
        [[], { OUTRIGGER_CONTROL_CA: '/ca' }, undefined, /^OUTRIGGER_CONTROL_CA: there is no control plane/],
        [[], {}, { control_tls: { ca_file: '/c' } }, /^b\.yaml: spec\.control_tls\.ca_file: there is no control plane/],
        [[], {}, { control_tls: {} }, /^b\.yaml: spec\.control_tls: there is no control plane/],
      ];
    for (const [args, environment, given, text] of cases) {
      const message = failure(args, environment, given);
      assert.match(message, text);
      assert.doesNotMatch(message, /MIGH/);
    }
  });
});

describe('parseDurationMs', () => {
  it('reads seconds and units', () => {
    for (const [text, expected] of [
      ['30', 30_000],
      ['0', 0],
      ['1.5s', 1500],
      ['500ms', 500],
      ['2m', 120_000],
      ['24h', 86_400_000],
      [' 1s ', 1000],
    ] as const) {
      assert.equal(parseDurationMs(text, '--for'), expected, text);
    }
  });

  it('refuses the rest with its place', () => {
    for (const text of ['', 's', '1 s', '1d', '1e3', '.5', '1.', 'NaN', 'Infinity', '9'.repeat(400)]) {
      assert.throws(() => parseDurationMs(text, '--for'), /^SettingsError: --for: /, text);
    }
  });
});

describe('resolveLogLevel', () => {
  it('flag > environment > info', () => {
    assert.equal(resolveLogLevel({ 'log-level': 'warn' }, { OUTRIGGER_LOG_LEVEL: 'debug' }), 'warn');
    assert.equal(resolveLogLevel({}, { OUTRIGGER_LOG_LEVEL: 'debug' }), 'debug');
    assert.equal(resolveLogLevel({}, { OUTRIGGER_LOG_LEVEL: '' }), 'info');
    assert.throws(() => resolveLogLevel({}, { OUTRIGGER_LOG_LEVEL: 'x' }), /OUTRIGGER_LOG_LEVEL: 'x' is not one of/);
  });
});
