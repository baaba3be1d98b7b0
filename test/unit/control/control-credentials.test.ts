import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { silentLogger } from '../../../src/base/log.ts';
import { controlCredentials } from '../../../src/control/control-credentials.ts';
import { createCredentials } from '../../../src/identity/live-credentials.ts';
import { selfSigned, type TestCertificate } from '../../support/certificates.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const directory = mkdtempSync(join(tmpdir(), 'control-credentials-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const files = {
  caFile: join(directory, 'ca.pem'),
  certificateFile: join(directory, 'own.pem'),
  keyFile: join(directory, 'own-key.pem'),
};

function put({ certificatePem, keyPem }: TestCertificate): void {
  writeFileSync(files.certificateFile, certificatePem);
  writeFileSync(files.keyFile, keyPem, { mode: 0o600 });
}

test('each stream gets what is in force, or why there is nothing', async () => {
  const [first, second] = [await selfSigned(), await selfSigned()];
  const credentials = createCredentials({ clock: new FakeClock(), logger: silentLogger });
  after(() => credentials.stop());
  const now = controlCredentials(files, credentials);
  const whyNot = (): string => {
    const given = now();
    assert.ok(typeof given === 'string');
    return given;
  };
  assert.match(whyNot(), /own\.pem does not exist/);
  put(first);
  await credentials.poll();
  assert.match(whyNot(), /ca\.pem does not exist/);
  writeFileSync(files.caFile, first.certificatePem);
  await credentials.poll();
  const text = (bytes: Buffer | undefined): string | undefined => bytes?.toString();
  const shown = () => {
    const given = now();
    assert.ok(typeof given !== 'string');
    return [given.ca, given.certificate, given.key].map(text);
  };
  assert.deepEqual(shown(), [first.certificatePem, first.certificatePem, first.keyPem]);
  put(second);
  await credentials.poll();
  assert.deepEqual(shown(), [first.certificatePem, second.certificatePem, second.keyPem]);
  assert.deepEqual(
    credentials.list().map(({ usedBy }) => usedBy),
    [['control'], ['control']],
  );
});

test('what is not configured is left out', () => {
  const credentials = createCredentials({ clock: new FakeClock(), logger: silentLogger });
  after(() => credentials.stop());
  const none = { caFile: undefined, certificateFile: undefined, keyFile: undefined };
  assert.deepEqual(controlCredentials(none, credentials)(), { ca: undefined, certificate: undefined, key: undefined });
});
