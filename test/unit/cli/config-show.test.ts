import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseArgs } from 'node:util';
import { configShow } from '../../../src/cli/config-show.ts';
import { COMMANDS, flagOptions } from '../../../src/cli/usage.ts';
import type { Environment } from '../../../src/config/setting-sources.ts';
import { issueAuthority, issueCertificate } from '../../support/certificates.ts';

/** Rows of what is printed, by the flag: value and origin. */
async function show(args: readonly string[], environment: Environment = {}): Promise<Map<string, string[]>> {
  const command = COMMANDS['config'];
  assert.ok(command);
  const options = flagOptions(command);
  const parsed = parseArgs({ args: ['show', ...args], options, tokens: true, allowPositionals: true });
  let out = '';
  await configShow({
    flags: parsed.values,
    tokens: parsed.tokens,
    positionals: parsed.positionals,
    environment,
    out: (text) => (out += text),
    err: () => undefined,
    isTerminal: false,
    onSignal: () => undefined,
  });
  return new Map(out.split('\n').map((line) => [line.split(/ {2,}/)[0] ?? '', line.split(/ {2,}/).slice(1)]));
}

test('TLS to the control planes: each file and where it came from', async () => {
  const rows = await show(['--control', 'a:1', '--control-cert', '/c', '--control-key', '/k'], {
    OUTRIGGER_CONTROL_CA: '/v',
  });
  assert.deepEqual(rows.get('--control-ca'), ['/v', 'environment', 'OUTRIGGER_CONTROL_CA']);
  assert.deepEqual(rows.get('--control-cert'), ['/c', 'flag', 'OUTRIGGER_CONTROL_CERT']);
  assert.deepEqual(rows.get('--control-key'), ['/k', 'flag', 'OUTRIGGER_CONTROL_KEY']);
  const system = await show(['--control', 'a:1', '--control-cert', '/c', '--control-key', '/k']);
  assert.deepEqual(system.get('--control-ca'), ['system', 'default', 'OUTRIGGER_CONTROL_CA']);
  const plain = await show(['--control', 'a:1']);
  assert.deepEqual(plain.get('--control-ca')?.slice(0, 2), ['-', 'default']);
});

test('listeners with the TLS of either side', async () => {
  const rows = await show([
    ...['--listen', '80', '--to', '10.0.0.1:1'],
    ...['--listen', '443', '--to', '10.0.0.2:2', '--scheme', 'grpcs', '--tls-cert', '/c', '--tls-key', '/k'],
    ...['--tls-client-ca', '/ca', '--tls-client-name', 'spiffe://d/a', '--to-ca=/ca2', '--to-name', 'web'],
    ...['--to-cert', '/c2', '--to-key', '/k2', '--to-allow', 'b.d'],
    ...['--listen', '444', '--to', '10.0.0.3:3', '--scheme', 'https', '--to-insecure'],
  ]);
  assert.deepEqual(rows.get('--listen')?.[0]?.split(' '), [
    '127.0.0.1:80->http:10.0.0.1:1',
    '127.0.0.1:443{cert=/c,key=/k,client=required,client-ca=/ca,client-name=spiffe://d/a}' +
      '->grpcs:10.0.0.2:2{ca=/ca2,cert=/c2,key=/k2,name=web,allow=b.d}',
    '127.0.0.1:444->https:10.0.0.3:3{verify=false}',
  ]);
});

test('a key that stands in the bootstrap file is not shown', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'outrigger-show-'));
  const authority = await issueAuthority();
  const { certificatePem, keyPem } = await issueCertificate(authority);
  const toTls = { client_cert: certificatePem, client_key: keyPem, ca_certs: [authority.certificatePem] };
  const listeners = [{ listen: '80', to: ['10.0.0.1:1'], scheme: 'https', to_tls: toTls }];
  const file = join(directory, 'b.yaml');
  await writeFile(file, JSON.stringify({ apiVersion: 'outrigger.config/v1', kind: 'Bootstrap', spec: { listeners } }));
  const rows = await show(['-c', file]);
  assert.deepEqual(rows.get('--listen')?.slice(0, 2), [
    '127.0.0.1:80->https:10.0.0.1:1{ca=inline,cert=inline,key=[redacted]}',
    'file',
  ]);
  await rm(directory, { recursive: true });
});
