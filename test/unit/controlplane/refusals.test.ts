import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readObjects } from '../../../src/controlplane/read/objects.ts';
import { refusals } from '../../../src/controlplane/refusals.ts';
import { Translator } from '../../../src/controlplane/translate/translator.ts';
import { versioned } from '../../../src/controlplane/versioned-resource.ts';
import { Upstream } from '../../../src/gen/outrigger/config/v1/upstream.ts';

const FILE = `apiVersion: apisix.apache.org/v2
kind: ApisixUpstream
metadata: {name: foo}
spec: {loadbalancer: {type: TYPE}}
---
apiVersion: v1
kind: Service
metadata: {name: foo}
spec: {ports: [{port: 80}]}
`;

describe('refusals', () => {
  it('are errors that name the object and the field', () => {
    const message = Upstream.fromPartial({ name: 'default/foo', scheme: 'kafka' });
    const resources = [versioned('Upstream', message, { file: 'foo.yaml', line: 1, column: 1 }, undefined)];
    const found = refusals({ services: [], others: resources, findings: [] });
    assert.deepEqual(
      found.map(({ severity, file, object, path }) => `${severity} ${file} ${object} ${path}`),
      ['error foo.yaml Upstream default/foo scheme'],
    );
  });

  it('says nothing about TLS towards endpoints and about probes over it', () => {
    const spec = `{scheme: SCHEME, passHost: rewrite, upstreamHost: web.example, tlsSecret: {name: a, namespace: b},
  healthCheck: {active: {type: https, strictTLS: false, host: web.example, unhealthy: {timeout: 3}}},
  portLevelSettings: [{port: 80, scheme: grpcs, tlsSecret: {name: c, namespace: d}}]}`;
    for (const scheme of ['https', 'grpcs']) {
      const text = FILE.replace('{loadbalancer: {type: TYPE}}', spec.replace('SCHEME', scheme));
      const { objects, findings } = readObjects(text, 'foo.yaml');
      assert.deepEqual(findings, []);
      const translation = new Translator().translate(objects);
      assert.deepEqual(refusals(translation), []);
      const bytes = translation.services[0]?.resources.find(({ kind }) => kind === 'Upstream')?.bytes;
      const upstream = Upstream.decode(bytes ?? new Uint8Array());
      assert.equal(upstream.checks?.active?.httpsVerifyCertificate, false);
      assert.deepEqual([upstream.tls?.clientCertId, upstream.portLevelSettings[0]?.tls?.clientCertId], ['b/a', 'd/c']);
    }
  });
});
