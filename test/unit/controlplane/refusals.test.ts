import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readObjects } from '../../../src/controlplane/read/objects.ts';
import { refusals } from '../../../src/controlplane/refusals.ts';
import { Translator } from '../../../src/controlplane/translate/translator.ts';
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

function notesOf(type: string): string[] {
  const { objects } = readObjects(FILE.replace('TYPE', type), 'foo.yaml');
  return refusals(new Translator().translate(objects)).map(
    ({ severity, object, path }) => `${severity} ${object} ${path}`,
  );
}

describe('refusals', () => {
  it('notes what sidecars of this version refuse, with the object and the field', () => {
    assert.deepEqual(notesOf('ewma'), ['note Upstream default/foo type']);
  });

  it('says nothing about what they take', () => {
    assert.deepEqual(notesOf('roundrobin'), []);
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
