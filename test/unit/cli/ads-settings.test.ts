import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseArgs } from 'node:util';
import { readAdsSettings, type AdsSettings } from '../../../src/cli/ads-settings.ts';
import { COMMANDS, flagOptions } from '../../../src/cli/usage.ts';
import type { Environment } from '../../../src/config/setting-sources.ts';
import { SettingsError } from '../../../src/config/settings.ts';

function read(args: readonly string[] = [], environment: Environment = {}): AdsSettings {
  const command = COMMANDS['control'];
  assert.ok(command);
  return readAdsSettings(parseArgs({ args: [...args], options: flagOptions(command) }).values, environment);
}

const PAIR = ['--ads-cert', '/f/c', '--ads-key', '/f/k'];
const VARIABLES = { OUTRIGGER_ADS_CERT: '/v/c', OUTRIGGER_ADS_KEY: '/v/k', OUTRIGGER_ADS_CLIENT_CA: '/v/ca' };

describe('readAdsSettings', () => {
  it('plaintext is on 15010, TLS on 15012, an address given stands', () => {
    const address = (args: readonly string[], environment?: Environment): unknown => read(args, environment).address;
    assert.deepEqual(address([]), { host: '127.0.0.1', port: 15010 });
    assert.deepEqual(address([], { OUTRIGGER_ADS: '' }), { host: '127.0.0.1', port: 15010 });
    assert.deepEqual(address(PAIR), { host: '127.0.0.1', port: 15012 });
    assert.deepEqual(address([], VARIABLES), { host: '127.0.0.1', port: 15012 });
    assert.deepEqual(address([...PAIR, '--ads', '0.0.0.0:7']), { host: '0.0.0.0', port: 7 });
    assert.deepEqual(address(PAIR, { OUTRIGGER_ADS: '8' }), { host: '127.0.0.1', port: 8 });
    assert.deepEqual(address(['--ads', '7'], { OUTRIGGER_ADS: '8' }), { host: '127.0.0.1', port: 7 });
  });

  it('flag > environment; the certificate and its key are one setting', () => {
    assert.equal(read().tls, undefined);
    assert.deepEqual(read(PAIR).tls, {
      certificateFile: '/f/c',
      keyFile: '/f/k',
      clientCaFile: undefined,
      bindNodeId: false,
    });
    const mixed = read([...PAIR, '--ads-bind-node-id'], VARIABLES);
    assert.deepEqual(mixed.tls, {
      certificateFile: '/f/c',
      keyFile: '/f/k',
      clientCaFile: '/v/ca',
      bindNodeId: true,
    });
    assert.equal(mixed.places.caFile.place, 'OUTRIGGER_ADS_CLIENT_CA');
    const bound = (text: string): boolean | undefined =>
      read([], { ...VARIABLES, OUTRIGGER_ADS_BIND_NODE_ID: text }).tls?.bindNodeId;
    assert.deepEqual(['true', 'false', ''].map(bound), [true, false, false]);
  });

  it('each mistake names its place and the fix', () => {
    const cases: [args: string[], environment: Environment, message: string][] = [
      [['--ads-cert', '/c'], {}, '--ads-cert: needs --ads-key'],
      [['--ads-key', '/k'], VARIABLES, '--ads-key: needs --ads-cert'],
      [[], { OUTRIGGER_ADS_CERT: '/c' }, 'OUTRIGGER_ADS_CERT: needs OUTRIGGER_ADS_KEY'],
      [['--ads-client-ca', '/ca'], {}, '--ads-client-ca needs --ads-cert FILE and --ads-key FILE'],
      [[], { OUTRIGGER_ADS_CLIENT_CA: '/ca' }, 'OUTRIGGER_ADS_CLIENT_CA needs --ads-cert FILE and --ads-key FILE'],
      [['--ads-cert=', '--ads-key', '/k'], {}, '--ads-cert: required: the path of a PEM file'],
      [
        [...PAIR, '--ads-bind-node-id'],
        {},
        '--ads-bind-node-id needs --ads-client-ca FILE, which signs the certificates of sidecars',
      ],
      [
        PAIR,
        { OUTRIGGER_ADS_BIND_NODE_ID: 'true' },
        'OUTRIGGER_ADS_BIND_NODE_ID needs --ads-client-ca FILE, which signs the certificates of sidecars',
      ],
      [[], { OUTRIGGER_ADS_BIND_NODE_ID: 'yes' }, "OUTRIGGER_ADS_BIND_NODE_ID: 'yes' is not one of true, false"],
      [['--ads', 'x'], { OUTRIGGER_ADS: '8' }, "--ads: 'x' has no port: it must be [HOST:]PORT"],
      [[], { OUTRIGGER_ADS: '99999' }, "OUTRIGGER_ADS: port '99999' must be between 0 and 65535"],
    ];
    for (const [args, environment, message] of cases) {
      assert.throws(() => read(args, environment), new SettingsError(message));
    }
  });
});
