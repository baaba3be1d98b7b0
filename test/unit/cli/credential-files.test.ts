import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parseArgs } from 'node:util';
import { checkRunFiles } from '../../../src/cli/credential-files.ts';
import { COMMANDS, flagOptions } from '../../../src/cli/usage.ts';
import { readBootstrap } from '../../../src/config/bootstrap.ts';
import { readListenFlags } from '../../../src/config/listen-flags.ts';
import type { Environment } from '../../../src/config/setting-sources.ts';
import { resolveSettings, SettingsError } from '../../../src/config/settings.ts';
import { issueAuthority, issueCertificate } from '../../support/certificates.ts';

let directory: string;
const file = (name: string): string => join(directory, name);

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'outrigger-credentials-'));
  const authority = await issueAuthority();
  const [one, two] = await Promise.all([issueCertificate(authority), issueCertificate(authority)]);
  const texts = {
    'ca.pem': authority.certificatePem,
    'c.pem': one.certificatePem,
    'k.pem': one.keyPem,
    'k2.pem': two.keyPem,
    'text.pem': 'nothing\n',
  };
  for (const [name, text] of Object.entries(texts)) await writeFile(file(name), text);
});

after(() => rm(directory, { recursive: true, force: true }));

/** Checks the files of what `run` would resolve; `@x` in an argument, a variable or the file is the path of x. */
function check(args: readonly string[], environment: Environment = {}, spec?: unknown): void {
  const place = (text: string): string => text.replaceAll('@', `${directory}/`);
  const command = COMMANDS['run'];
  assert.ok(command);
  const { values, tokens } = parseArgs({ args: args.map(place), options: flagOptions(command), tokens: true });
  const variables = Object.fromEntries(
    Object.entries(environment).map(([name, text]) => [name, place(text ?? '')] as const),
  );
  const document: unknown =
    spec && JSON.parse(place(JSON.stringify({ apiVersion: 'outrigger.config/v1', kind: 'Bootstrap', spec })));
  const read = document === undefined ? undefined : readBootstrap(document);
  assert.ok(read?.ok !== false);
  checkRunFiles(resolveSettings(values, variables, read?.bootstrap, 'b.yaml', readListenFlags(tokens)), 'b.yaml');
}

const ONE = ['--listen', '0', '--to', '10.0.0.1:1', '--scheme', 'https'];
const FILE_TLS = { certificates: [{ certificate_file: '@c.pem', key_file: '@k.pem' }] };

function inFile(tls: unknown, toTls: unknown): { listeners: unknown[] } {
  return { listeners: [{ listen: '0', to: ['10.0.0.1:1'], scheme: 'https', tls, to_tls: toTls }] };
}

describe('checkRunFiles', () => {
  it('files that can be used pass, and so does a sidecar without any', () => {
    const client = { certificate_file: '@c.pem', key_file: '@k.pem' };
    check([]);
    check([
      ...ONE,
      ...['--tls-cert', '@c.pem', '--tls-key', '@k.pem', '--tls-client-ca', '@ca.pem'],
      ...['--to-ca', '@ca.pem', '--to-cert', '@c.pem', '--to-key', '@k.pem'],
      ...['--control', 'a:1', '--control-ca', '@ca.pem', '--control-cert', '@c.pem', '--control-key', '@k.pem'],
    ]);
    check([], {}, inFile(FILE_TLS, { client_certificate: client, ca: { file: '@ca.pem' } }));
  });

  it('each file that cannot be used is told with its place, its path and the fix', () => {
    const gone = 'does not exist; create it or correct the path';
    const misfit = 'the private key does not fit the certificate; give the key that the certificate was issued for';
    const control = ['--control', 'a:1'];
    const cases: [args: string[], environment: Environment, spec: unknown, message: string][] = [
      [[...ONE, '--tls-cert', '@x.pem', '--tls-key', '@k.pem'], {}, undefined, `--tls-cert @x.pem: ${gone}`],
      [[...ONE, '--tls-cert', '@c.pem', '--tls-key', '@x.pem'], {}, undefined, `--tls-key @x.pem: ${gone}`],
      [
        [...ONE, '--tls-cert', '@c.pem', '--tls-key', '@k.pem', '--tls-cert', '@c.pem', '--tls-key', '@k2.pem'],
        {},
        undefined,
        `--tls-cert @c.pem, --tls-key @k2.pem: ${misfit}`,
      ],
      [
        [...ONE, '--tls-cert', '@c.pem', '--tls-key', '@k.pem', '--tls-client-ca', '@text.pem'],
        {},
        undefined,
        '--tls-client-ca @text.pem: the list of authorities is not PEM',
      ],
      [[...ONE, '--to-ca', '@x.pem'], {}, undefined, `--to-ca @x.pem: ${gone}`],
      [[...ONE, '--to-ca', '@'], {}, undefined, '--to-ca @: is a directory; name a regular file'],
      [
        [...ONE, '--to-cert', '@c.pem', '--to-key', '@k2.pem'],
        {},
        undefined,
        `--to-cert @c.pem, --to-key @k2.pem: ${misfit}`,
      ],
      [[...control, '--control-ca', '@x.pem'], {}, undefined, `--control-ca @x.pem: ${gone}`],
      [
        control,
        { OUTRIGGER_CONTROL_CERT: '@c.pem', OUTRIGGER_CONTROL_KEY: '@k2.pem' },
        undefined,
        `OUTRIGGER_CONTROL_CERT @c.pem, OUTRIGGER_CONTROL_KEY @k2.pem: ${misfit}`,
      ],
      [control, {}, { control_tls: { ca_file: '@x.pem' } }, `b.yaml: spec.control_tls.ca_file @x.pem: ${gone}`],
      [
        [],
        {},
        inFile({ certificates: [{ certificate_file: '@c.pem', key_file: '@x.pem' }] }, undefined),
        `b.yaml: spec.listeners[0].tls.certificates[0].key_file @x.pem: ${gone}`,
      ],
      [
        [],
        {},
        inFile({ ...FILE_TLS, client_certificate: 'required', client_ca: { file: '@x.pem' } }, undefined),
        `b.yaml: spec.listeners[0].tls.client_ca.file @x.pem: ${gone}`,
      ],
      [
        [],
        {},
        inFile(undefined, { client_certificate: { certificate_file: '@x.pem', key_file: '@k.pem' } }),
        `b.yaml: spec.listeners[0].to_tls.client_certificate.certificate_file @x.pem: ${gone}`,
      ],
      [
        [],
        {},
        inFile(undefined, { ca: { file: '@x.pem' } }),
        `b.yaml: spec.listeners[0].to_tls.ca.file @x.pem: ${gone}`,
      ],
    ];
    for (const [args, environment, spec, message] of cases) {
      assert.throws(
        () => check(args, environment, spec),
        (error) => {
          assert.ok(error instanceof SettingsError, String(error));
          const expected = message.replaceAll('@', `${directory}/`);
          assert.equal(error.message.slice(0, expected.length), expected);
          assert.doesNotMatch(error.message, /-----BEGIN [A-Z ]*KEY|MIG/);
          return true;
        },
      );
    }
  });
});
