// `outrigger lint` and `outrigger control` say the same about the same files.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLogger } from '../../../src/base/log.ts';
import { createControlPlane } from '../../../src/controlplane/control-plane.ts';
import { formatFinding } from '../../../src/controlplane/finding.ts';
import { lint } from '../../../src/controlplane/lint.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const FILES = {
  'a.yaml': `apiVersion: apisix.apache.org/v2
kind: ApisixUpstream
metadata: {name: foo}
spec:
  subsets: [{name: blue, labels: {a: b}}]
  externalNodes: [{type: Service, name: bar}, {type: Domain, name: a.example}]
  healthCheck: {active: {}, passive: {unhealthy: {timeout: 5s}}}
  portLevelSettings: [{port: 5432, scheme: tcp}]
---
apiVersion: apisix.apache.org/v2
kind: ApisixUpstream
metadata: {name: refused}
spec: {discovery: {type: nacos, serviceName: a}}
`,
  'b.yaml': 'apiVersion: v1\nkind: Service\nmetadata: {name: bar}\nspec: {ports: [{port: 80, appProtocol: gprc}]}\n',
};

test('lint and control report the same', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'outrigger-findings-'));
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(directory, name), text);
  const controlPlane = createControlPlane({
    dirs: [directory],
    ads: { host: '127.0.0.1', port: 0 },
    clock: new FakeClock(),
    logger: silentLogger,
  });
  try {
    await controlPlane.start();
    const ofControl = controlPlane.findings().map(formatFinding);
    const { findings, exitCode } = lint(directory);
    assert.deepEqual(findings.map(formatFinding), ofControl);
    assert.equal(exitCode, 1);
    for (const severity of ['error', 'warning', 'note']) assert.ok(findings.some((one) => one.severity === severity));
    for (const word of ['subsets', 'nacos', 'ExternalName', 'tcp', 'gprc', '5s']) {
      assert.ok(
        ofControl.some((text) => text.includes(word)),
        `${word}\n${ofControl.join('\n')}`,
      );
    }
  } finally {
    await controlPlane.stop();
    rmSync(directory, { recursive: true });
  }
});
