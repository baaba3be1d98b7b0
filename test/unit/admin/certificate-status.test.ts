import assert from 'node:assert/strict';
import { test } from 'node:test';
import { certificateBytes, certificateStatus, withSecretProblems } from '../../../src/admin/certificate-status.ts';
import type { ResourceView } from '../../../src/admin/views.ts';
import { CertificateStatus } from '../../../src/gen/outrigger/admin/v1/admin.ts';
import { certificateView, SINCE_WALL_MS } from '../../support/fake-sidecar-view.ts';

test('what is in force is shown with the words of certificate tools', () => {
  assert.deepEqual(certificateStatus(certificateView()), {
    name: 'Secret shop/tls',
    kind: 'certificate',
    usedBy: ['Listener outbound/80'],
    subject: 'CN=cart',
    names: ['DNS:cart.shop', 'URI:spiffe://shop/cart', 'IP:10.0.0.1'],
    notBefore: new Date(SINCE_WALL_MS),
    notAfter: new Date(SINCE_WALL_MS + 86_400_000),
    fingerprint: 'ab'.repeat(32),
    error: '',
  });
});

test('one that is missing shows why, and no times', () => {
  const status = certificateStatus(certificateView({ info: undefined, error: 'no such Secret' }));
  assert.deepEqual(
    [status.error, status.notBefore, status.notAfter, status.names],
    ['no such Secret', undefined, undefined, []],
  );
});

test('of a Secret whose newest version is not in use it is told why', () => {
  const resource = (state: ResourceView['state'], error: string, name = 'shop/tls'): ResourceView => ({
    ...{ kind: 'Secret', name, version: '1', state, error, refusedVersion: '', unknownFields: 0 },
    ...{ receivedWallMs: undefined, appliedWallMs: undefined, bytes: undefined },
  });
  const errorAt = (...resources: ResourceView[]): string | undefined =>
    withSecretProblems([certificateView({ error: 'own' })], resources)[0]?.error;
  assert.equal(errorAt(resource('acked', '')), 'own');
  assert.equal(errorAt(resource('nacked', 'no', 'shop/other')), 'own');
  assert.equal(errorAt({ ...resource('nacked', 'no'), kind: 'Upstream' }), 'own');
  assert.equal(errorAt(resource('nacked', 'it is bad')), 'not up to date: it is bad (own)');
  assert.match(errorAt(resource('removed', '')) ?? '', /removed the Secret: what it held stays in use \(own\)$/);
  assert.equal(errorAt(resource('does_not_exist', 'no answer')), 'no answer (own)');
  assert.equal(errorAt(resource('does_not_exist', '')), 'own');
  const [fine] = withSecretProblems([certificateView()], [resource('nacked', 'it is bad')]);
  assert.equal(fine?.error, 'not up to date: it is bad');
});

test('long lists end with how many there are more, and sizes are never underrated', () => {
  const usedBy = Array.from({ length: 10_000 }, (_, i) => `Upstream shop/${i}`);
  const dns = Array.from({ length: 101 }, (_, i) => `cart-${i}.\u00ff`);
  const { info } = certificateView();
  assert.ok(info);
  const crowded = certificateView({ usedBy, info: { ...info, names: { dns, uris: [], ips: [] } } });
  const status = certificateStatus(crowded);
  assert.deepEqual([status.usedBy.length, status.usedBy.at(-1)], [101, 'and 9900 more']);
  assert.deepEqual([status.names.length, status.names.at(-1)], [101, 'and 1 more']);
  for (const view of [crowded, certificateView(), certificateView({ info: undefined })]) {
    const onWire = CertificateStatus.encode(certificateStatus(view)).finish().length;
    assert.ok(certificateBytes(view) >= onWire, `${certificateBytes(view)} of ${onWire}`);
  }
});
