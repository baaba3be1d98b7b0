import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseArgs } from 'node:util';
import { COMMANDS, flagOptions } from '../../../src/cli/usage.ts';
import { listenFlagOf, readListenFlags } from '../../../src/config/listen-flags.ts';
import { SettingsError, type StaticListenerSetting } from '../../../src/config/settings.ts';
import { writeSpec } from '../../../src/config/spec-writer.ts';
import { checkStaticTls } from '../../../src/config/static.ts';
import { ProblemList } from '../../../src/config/problem-list.ts';
import { ListenerTls, UpstreamTls } from '../../../src/gen/outrigger/config/v1/tls.ts';

function read(...args: string[]): StaticListenerSetting[] {
  const command = COMMANDS['run'];
  assert.ok(command);
  return readListenFlags(parseArgs({ args, options: flagOptions(command), tokens: true }).tokens);
}

function failure(...args: string[]): string {
  try {
    read(...args);
  } catch (error) {
    assert.ok(error instanceof SettingsError, String(error));
    return error.message;
  }
  return assert.fail(`${args.join(' ')}: accepted`);
}

/** The only listener, its TLS as the bootstrap file would write it. */
function tlsOf(listener: StaticListenerSetting | undefined): { scheme: string; tls?: unknown; to_tls?: unknown } {
  assert.ok(listener);
  const { scheme, tls, toTls } = listener;
  return {
    scheme,
    ...(tls ? { tls: writeSpec('outrigger.config.v1.ListenerTls', tls) } : {}),
    ...(toTls ? { to_tls: writeSpec('outrigger.config.v1.UpstreamTls', toTls) } : {}),
  };
}

function host(name: string, port: number): { host: string; port: number } {
  return { host: name, port };
}

const ONE = ['--listen', '80', '--to', '10.0.0.1:1'];
const HTTPS = [...ONE, '--scheme', 'https'];
const CERTIFICATE = ['--tls-cert', '/c', '--tls-key', '/k'];
const KEY_TEXT = '-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBM';

describe('readListenFlags', () => {
  const plain = { tls: undefined, toTls: undefined };
  const one = {
    listen: host('127.0.0.1', 80),
    to: [host('10.0.0.1', 1), host('10.0.0.2', 2)],
    scheme: 'grpc',
    ...plain,
  };
  const two = { listen: host('0.0.0.0', 81), to: [host('::1', 3)], scheme: 'http', ...plain };

  it('what follows a --listen belongs to it', () => {
    const first = ['--listen', '80', '--to', '10.0.0.1:1,10.0.0.2:2', '--scheme', 'grpc'];
    assert.deepEqual(read(...first, '--listen=0.0.0.0:81', '--to=[::1]:3'), [one, two]);
    assert.deepEqual(
      read('--listen', '80', '--scheme', 'grpc', '--to', '10.0.0.1:1', '--to', '10.0.0.2:2', '--admin', '0'),
      [one],
    );
    assert.deepEqual(read('--admin', '0', '--control', 'a:1'), []);
  });

  it('endpoints may be DNS names; localhost is 127.0.0.1', () => {
    assert.deepEqual(read('--listen', '80', '--to', 'web.example:1,localhost:2,[::1]:3,Web:4')[0]?.to, [
      host('web.example', 1),
      host('127.0.0.1', 2),
      host('::1', 3),
      host('Web', 4),
    ]);
  });

  it('several listeners, each with TLS of its own', () => {
    const listeners = read(
      ...[
        '--listen',
        '443',
        '--to=10.0.0.1:1',
        '--tls-cert',
        '/a',
        '--tls-key=/ak',
        '--tls-cert=/b',
        '--tls-key',
        '/bk',
      ],
      ...['--listen', '444', '--tls-client-ca', '/ca', '--tls-client-name', 'spiffe://d/a', '--tls-client-name=b.d'],
      ...['--to', '10.0.0.2:2', ...CERTIFICATE],
      ...['--listen', '445', '--to', '10.0.0.3:3', ...CERTIFICATE, '--tls-client-optional', '--tls-client-ca=/ca'],
      ...[
        '--listen',
        '446',
        '--to-ca',
        '/ca',
        '--to',
        '10.0.0.4:4',
        '--scheme',
        'grpcs',
        '--to-key=/k',
        '--to-cert',
        '/c',
      ],
      ...['--listen', '447', '--to', '10.0.0.5:5', '--scheme=https', '--to-insecure', '--to-name', 'web.example'],
      ...['--listen', '448', '--to', '10.0.0.6:6', '--scheme=https', '--to-allow', 'spiffe://d/b', '--to-allow=c.d'],
      ...['--listen', '449', '--to', '10.0.0.7:7', '--scheme=grpcs'],
    );
    const certificates = [{ certificate_file: '/c', key_file: '/k' }];
    const ca = { file: '/ca' };
    assert.deepEqual(listeners.map(tlsOf), [
      {
        scheme: 'http',
        tls: {
          certificates: [
            { certificate_file: '/a', key_file: '/ak' },
            { certificate_file: '/b', key_file: '/bk' },
          ],
        },
      },
      {
        scheme: 'http',
        tls: {
          certificates,
          client_certificate: 'required',
          client_ca: ca,
          client_names: [{ uri: 'spiffe://d/a' }, { dns: 'b.d' }],
        },
      },
      { scheme: 'http', tls: { certificates, client_certificate: 'optional', client_ca: ca } },
      { scheme: 'grpcs', to_tls: { ca, client_certificate: certificates[0] } },
      { scheme: 'https', to_tls: { verify: false, server_name: 'web.example' } },
      { scheme: 'https', to_tls: { server_names: [{ uri: 'spiffe://d/b' }, { dns: 'c.d' }] } },
      { scheme: 'grpcs' },
    ]);
  });

  it('each mistake names the flag and the fix', () => {
    const none = (flag: string): string => `--${flag} belongs to the --listen before it, and there is none`;
    const cases: [args: string[], message: string | RegExp][] = [
      [['--to', '10.0.0.1:1'], none('to')],
      [['--scheme', 'grpc', ...ONE], none('scheme')],
      [['--tls-cert', '/c', ...ONE], none('tls-cert')],
      [['--tls-key', '/c', ...ONE], none('tls-key')],
      [['--tls-client-ca', '/c', ...ONE], none('tls-client-ca')],
      [['--tls-client-name', 'a', ...ONE], none('tls-client-name')],
      [['--tls-client-optional', ...ONE], none('tls-client-optional')],
      [['--to-ca', '/c', ...ONE], none('to-ca')],
      [['--to-cert', '/c', ...ONE], none('to-cert')],
      [['--to-key', '/c', ...ONE], none('to-key')],
      [['--to-name', 'a', ...ONE], none('to-name')],
      [['--to-allow', 'a', ...ONE], none('to-allow')],
      [['--to-insecure', ...ONE], none('to-insecure')],
      [['--listen', '80', '--listen', '81', '--to', '10.0.0.1:1'], '--listen 80 needs --to HOST:PORT'],
      [['--listen', 'x'], /^--listen: 'x'/],
      [['--listen', 'web:80', '--to', '10.0.0.1:1'], /^--listen: 'web' is a DNS name/],
      [['--listen', '80', '--to', '10.0.0.1'], /^--to: '10.0.0.1' has no port/],
      [['--listen', '80', '--to', '10.0.0.1:0'], /^--to: port '0' must be between 1 and 65535/],
      [['--listen', '80', '--to', '1.2.3:80'], /^--to: '1\.2\.3' is no IP address and no DNS name$/],
      [['--listen', '80', '--to', 'a..b:80'], /^--to: 'a\.\.b' is no DNS name: its labels/],
      [['--listen', '80', '--to', '::1:1980'], '--to: an IPv6 address stands in brackets: [::1]:1980, or [::1:1980]'],
      [[...ONE, '--scheme', 'grcp'], "--scheme: 'grcp' is none of http, https, grpc, grpcs: did you mean 'grpc'?"],
      [[...ONE, '--tls-cert', '/c'], '--tls-cert /c needs --tls-key FILE after it'],
      [[...ONE, '--tls-cert', '/a', ...CERTIFICATE], '--tls-cert /a needs --tls-key FILE after it'],
      [[...ONE, '--tls-key', '/k'], '--tls-key belongs to the --tls-cert before it, and there is none'],
      [[...ONE, '--tls-key', '/k', '--tls-cert', '/c'], /^--tls-key belongs to the --tls-cert before it/],
      [[...ONE, ...CERTIFICATE, '--tls-key', '/k2'], /^--tls-key belongs to the --tls-cert before it/],
      [[...ONE, '--tls-client-ca', '/ca'], '--tls-client-ca needs --tls-cert FILE and --tls-key FILE'],
      [
        [...ONE, ...CERTIFICATE, '--tls-client-name', 'a'],
        '--tls-client-name needs --tls-client-ca FILE, which signs the certificates of callers',
      ],
      [[...ONE, ...CERTIFICATE, '--tls-client-optional'], '--tls-client-optional needs --tls-client-ca FILE'],
      [
        [...ONE, ...CERTIFICATE, '--tls-client-ca', '/ca', '--tls-client-optional', '--tls-client-name', 'a'],
        '--tls-client-name is not possible with --tls-client-optional: a caller without a certificate has no name',
      ],
      [[...ONE, '--to-ca', '/ca'], "--to-ca needs --scheme https or grpcs, not 'http'"],
      [[...ONE, '--scheme', 'grpc', '--to-cert', '/c', '--to-key', '/k'], /^--to-cert needs --scheme https or grpcs/],
      [[...ONE, '--to-name', 'a'], /^--to-name needs --scheme https or grpcs/],
      [[...ONE, '--to-allow', 'a'], /^--to-allow needs --scheme https or grpcs/],
      [[...ONE, '--to-insecure'], /^--to-insecure needs --scheme https or grpcs/],
      [[...HTTPS, '--to-cert', '/c'], '--to-cert needs --to-key FILE'],
      [[...HTTPS, '--to-key', '/k'], '--to-key needs --to-cert FILE'],
      [
        [...HTTPS, '--to-insecure', '--to-ca', '/ca'],
        '--to-insecure takes any certificate, so --to-ca has no effect; leave one of them',
      ],
      [[...HTTPS, '--to-insecure', '--to-allow', 'a'], /^--to-insecure takes any certificate, so --to-allow/],
      [[...HTTPS, '--to-ca', '/a', '--to-ca', '/b'], '--to-ca stands twice for --listen 80; leave one'],
      [[...HTTPS, '--to-name', 'a', '--to-name', 'b'], '--to-name stands twice for --listen 80; leave one'],
      [[...HTTPS, '--to-name='], '--to-name: must be a server name'],
      [[...HTTPS, '--to-name', 'a:443'], /^--to-name: 'a:443' is no DNS name and no IP address; no port/],
      [[...HTTPS, '--to-allow='], '--to-allow: must be a name of a certificate: a URI or a DNS name'],
      [[...HTTPS, '--to-allow', '*.example'], /^--to-allow: /],
      [[...HTTPS, '--to-allow', 'spiffe://'], /^--to-allow: /],
      [[...HTTPS, '--to-allow', 'a', '--to-allow', 'a'], '--to-allow: is server_names[0] already'],
      [[...ONE, ...CERTIFICATE, '--tls-client-ca', '/ca', '--tls-client-name', '*'], /^--tls-client-name: /],
      [[...ONE, '--tls-cert='], '--tls-cert: required: the path of a PEM file'],
      [[...HTTPS, '--to-ca='], '--to-ca: required: the path of a PEM file'],
    ];
    for (const [args, message] of cases) {
      if (typeof message === 'string') assert.equal(failure(...args), message);
      else assert.match(failure(...args), message);
    }
  });

  it('a key in place of a path is refused and not repeated', () => {
    for (const args of [
      [...ONE, '--tls-cert', '/c', `--tls-key=${KEY_TEXT}`],
      [...ONE, `--tls-cert=${KEY_TEXT}`],
      [...HTTPS, `--to-key=${KEY_TEXT}`],
    ]) {
      const message = failure(...args);
      assert.match(message, /^--(tls-cert|tls-key|to-key): holds PEM text; give the path of a PEM file$/);
    }
  });
});

describe('listenFlagOf', () => {
  it('names the flag for each field that a check can complain of', () => {
    const problems = new ProblemList();
    const tls = ListenerTls.fromPartial({
      certificates: [{ certificateFile: '', keyFile: '' }],
      clientCertificate: 'x',
      clientCa: { file: '' },
      clientNames: [{ dns: '' }],
    });
    const toTls = UpstreamTls.fromPartial({
      ca: { file: '' },
      clientCertificate: { certificateFile: '', keyFile: '' },
      serverName: '',
      serverNames: [{ uri: '' }],
    });
    checkStaticTls({ scheme: 'http', tls, toTls }, problems, 'listeners[3]');
    const flags = problems.list().map(({ path }) => [path, listenFlagOf(path)]);
    assert.deepEqual(flags, [
      ['listeners[3].tls.certificates[0].certificate_file', '--tls-cert'],
      ['listeners[3].tls.certificates[0].key_file', '--tls-key'],
      ['listeners[3].tls.client_certificate', '--tls-client-optional'],
      ['listeners[3].tls.client_ca.file', '--tls-client-ca'],
      ['listeners[3].tls.client_names[0].dns', '--tls-client-name'],
      ['listeners[3].to_tls.client_certificate.certificate_file', '--to-cert'],
      ['listeners[3].to_tls.client_certificate.key_file', '--to-key'],
      ['listeners[3].to_tls.ca.file', '--to-ca'],
      ['listeners[3].to_tls.server_name', '--to-name'],
      ['listeners[3].to_tls.server_names[0].uri', '--to-allow'],
      ['listeners[3].to_tls', '--to-ca'],
    ]);
  });
});
