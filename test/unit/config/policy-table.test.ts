import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectivePolicy } from '../../../src/config/effective-policy.ts';
import { PolicyTable } from '../../../src/config/policy-table.ts';
import type { Messages } from '../../../src/config/resource.ts';
import { issueAuthority, issueCertificate } from '../../support/certificates.ts';
import { type DeepPartial, resource } from '../../support/resources.ts';

type Spec = DeepPartial<Messages['Upstream']>;

test('upstreams that differ in names and nodes alone share policy and provenance', () => {
  const timeout = { read: 5 };
  const policy = (name: string, spec: Spec): unknown => effectivePolicy(resource('Upstream', name, spec), 0);
  const first = policy('a', { timeout, nodes: [{ host: '10.0.0.1' }], labels: { a: 'b' }, desc: 'x' });
  assert.equal(policy('b', { timeout, nodes: [{ host: '10.0.0.2' }] }), first);
  assert.notEqual(policy('c', { timeout: { read: 6 } }), first);
  const ports = { portLevelSettings: [{ port: 80, scheme: 'grpc' }] };
  const [one, other] = [resource('Upstream', 'd', ports), resource('Upstream', 'e', ports)];
  assert.equal(effectivePolicy(one, 80), effectivePolicy(other, 80));
  assert.equal(effectivePolicy(one, 81), effectivePolicy(other, 82));
  assert.notEqual(effectivePolicy(one, 80), effectivePolicy(one, 81));
});

test('a private key comes into no table, and its policy names its owner', async () => {
  const authority = await issueAuthority();
  const pair = await issueCertificate(authority, { dns: ['client.example'] });
  const tls = { clientCert: pair.certificatePem, clientKey: pair.keyPem };
  const table = new PolicyTable<object>();
  for (const spec of [
    { tls },
    { portLevelSettings: [{ port: 1, tls }] },
    { tls: { caCerts: [authority.certificatePem] } },
  ] satisfies Spec[]) {
    const { message } = resource('Upstream', 'a', { scheme: 'https', ...spec });
    assert.notEqual(
      table.share(message, () => ({})),
      table.share(message, () => ({})),
    );
  }
  assert.equal(table.size, 0);
  const { message } = resource('Upstream', 'a', { scheme: 'https', tls: { verify: false, clientCertId: 'a/b' } });
  assert.equal(
    table.share(message, () => ({})),
    table.share(message, () => ({})),
  );
  assert.equal(table.size, 1);
});
