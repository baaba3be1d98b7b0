import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { formatFinding } from '../../../../src/controlplane/finding.ts';
import { readObjects } from '../../../../src/controlplane/read/objects.ts';
import { Translator } from '../../../../src/controlplane/translate/translator.ts';
import { Upstream } from '../../../../src/gen/outrigger/config/v1/upstream.ts';
import { issueAuthority, issueCertificate } from '../../../support/certificates.ts';

let pair = '';
let authorities = '';

before(async () => {
  const authority = await issueAuthority();
  const { certificatePem, keyPem } = await issueCertificate(authority);
  const data = (fields: Record<string, string>) =>
    JSON.stringify(Object.fromEntries(Object.entries(fields).map(([key, text]) => [key, btoa(text)])));
  pair = data({ 'tls.crt': certificatePem, 'tls.key': keyPem });
  authorities = data({ 'ca.crt': authority.certificatePem });
});

const service = '{apiVersion: v1, kind: Service, metadata: {name: foo}, spec: {ports: [{port: 80}, {port: 443}]}}';
const secret = (name: string, data: string): string =>
  `{apiVersion: v1, kind: Secret, metadata: {name: ${name}}, data: ${data}}`;
const upstream = (outer: string, port: string): string =>
  `apiVersion: apisix.apache.org/v2
kind: ApisixUpstream
metadata: {name: foo}
spec:
  scheme: https
  tlsSecret: {name: ${outer}, namespace: default}
  portLevelSettings:
  - port: 443
    tlsSecret: {name: ${port}, namespace: default}
`;

function translate(...texts: string[]): { upstream: Upstream; findings: string[] } {
  const objects = texts.flatMap((text, i) => {
    const content = readObjects(text, `${i}.yaml`);
    assert.deepEqual(content.findings, []);
    return content.objects;
  });
  const { services, others, findings } = new Translator().translate(objects);
  const resources = [...services.flatMap((one) => one.resources), ...others];
  const bytes = resources.find(({ kind }) => kind === 'Upstream')?.bytes;
  return { upstream: Upstream.decode(bytes ?? new Uint8Array()), findings: findings.map(formatFinding) };
}

test('tlsSecret names the client certificate, at both levels', () => {
  const { upstream: made, findings } = translate(service, secret('a', pair), secret('b', pair), upstream('a', 'b'));
  assert.equal(made.tls?.clientCertId, 'default/a');
  assert.equal(made.portLevelSettings[0]?.tls?.clientCertId, 'default/b');
  assert.deepEqual(
    findings.filter((finding) => !finding.includes('no EndpointSlice')),
    [],
  );
});

test('a Secret that is missing, or of no use, is told where it is named', () => {
  const { findings } = translate(service, secret('roots', authorities), upstream('none', 'roots'));
  assert.deepEqual(
    findings.filter((finding) => finding.includes('warning')),
    [
      '2.yaml:6:14: warning: ApisixUpstream default/foo: spec.tlsSecret: no Secret default/none is there: what needs it fails until it comes; add the Secret, or correct name and namespace',
      '2.yaml:9:16: warning: ApisixUpstream default/foo: spec.portLevelSettings[0].tlsSecret: the Secret default/roots has no certificate with a key; give it the keys tls.crt and tls.key',
    ],
  );
});

test('so are those that native resources name', () => {
  const listener =
    '{apiVersion: outrigger.config/v1, kind: Listener, metadata: {name: outbound/80}, spec: {port: 80, targets: [{upstream: default/foo, service_port: 80}], tls: {certificates: [{secret: default/none}], client_certificate: required, client_ca: {secret: default/web}}}}';
  const { findings } = translate(secret('web', pair), listener);
  assert.deepEqual(
    findings.map((finding) => finding.replace(/^.*warning: /, '')),
    [
      'Listener outbound/80: spec.tls.certificates[0].secret: no Secret default/none is there: what needs it fails until it comes; add the Secret, or correct name and namespace',
      'Listener outbound/80: spec.tls.client_ca.secret: the Secret default/web has no authorities; give it the key ca.crt',
    ],
  );
});
