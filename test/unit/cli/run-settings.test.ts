import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readRunSettings } from '../../../src/cli/run-settings.ts';
import { SettingsError } from '../../../src/config/settings.ts';

/** Stands for a line of a private key. */
const CANARY = 'MIGHAgEAMBMGByqGSM49';
const HEAD = `apiVersion: outrigger.config/v1
kind: Bootstrap
spec:
  listeners:
    - listen: '0'
      to: ['10.0.0.1:1']
      scheme: https
      to_tls:
`;

let file: string;

before(async () => {
  file = join(await mkdtemp(join(tmpdir(), 'outrigger-bootstrap-')), 'b.yaml');
});

after(() => rm(join(file, '..'), { recursive: true, force: true }));

/** What is said of a bootstrap file with this text. */
async function problemOf(text: string): Promise<string> {
  await writeFile(file, text);
  const flags = { config: file };
  const context = { flags, tokens: [], positionals: [], environment: {}, isTerminal: false };
  const streams = { out: () => undefined, err: () => undefined, onSignal: () => undefined };
  const failed = await readRunSettings({ ...context, ...streams }).then(
    () => assert.fail('it was read'),
    (error: unknown) => error,
  );
  assert.ok(failed instanceof SettingsError);
  return failed.message.replace(file, 'b.yaml');
}

describe('a bootstrap file that is no valid YAML', () => {
  it('shows nothing of a private key in it, but where the fault is', async () => {
    const faults: readonly (readonly [text: string, shown: RegExp])[] = [
      [`        client_key: "\n          ${CANARY}\\q"\n`, /^b\.yaml:10:\d+: is no valid YAML here \(/],
      [`        clientKey: "\n          ${CANARY}\\q"\n`, /^b\.yaml:10:\d+: is no valid YAML here \(/],
      [`        client_key: *${CANARY}\n`, /^b\.yaml: is no valid YAML: the reason isn't shown/],
      [`        client_key: @${CANARY}\n`, /^b\.yaml:9:\d+: is no valid YAML here \(/],
      [`        client_key: !<${CANARY} x\n`, /^b\.yaml:9:\d+: is no valid YAML here \(/],
    ];
    for (const [text, shown] of faults) {
      const problem = await problemOf(HEAD + text);
      assert.match(problem, shown);
      assert.ok(!problem.includes(CANARY), problem);
    }
  });

  it('is told of in the words of the parser where it holds no key', async () => {
    assert.match(await problemOf('a: *gone\n'), /^b\.yaml: is no valid YAML: Unresolved alias .*gone$/);
    assert.match(await problemOf('a: [\n'), /^b\.yaml: .* at line 2, column 1$/);
  });
});
