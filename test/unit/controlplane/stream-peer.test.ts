import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { before, test } from 'node:test';
import { maySendSecrets, nodeIdProblem, readPeer, type StreamPeer } from '../../../src/controlplane/stream-peer.ts';
import { issueAuthority, issueCertificate, type TestAuthority } from '../../support/certificates.ts';

const ID = 'spiffe://example.org/ns/default/sa/web';

let authority: TestAuthority;
before(async () => {
  authority = await issueAuthority();
});

/** The peer of a call whose certificate has these URIs; undefined: it showed none. */
async function peer(uris: readonly string[] | undefined): Promise<StreamPeer> {
  const issued = uris && (await issueCertificate(authority, { uris }));
  const raw = issued && new X509Certificate(issued.certificatePem).raw;
  const context = raw === undefined ? {} : { transportSecurityType: 'ssl', sslPeerCertificate: { raw } };
  type Call = Parameters<typeof readPeer>[0];
  return readPeer({ getPeer: () => '10.0.0.9:1234', getAuthContext: () => context } as unknown as Call, true);
}

test('the node id is the SPIFFE id byte by byte, or refused with both named', async () => {
  const web = await peer([ID]);
  assert.equal(web.spiffeId, ID);
  assert.equal(nodeIdProblem(ID, web), undefined);
  for (const nodeId of ['', 'web', `${ID}/`, ID.toUpperCase(), `${ID}\0`, ID.replace('web', 'w%65b'), ` ${ID}`]) {
    const problem = nodeIdProblem(nodeId, web) ?? '';
    assert.ok(problem.includes(JSON.stringify(nodeId)) && problem.includes(JSON.stringify(ID)), problem);
    assert.match(problem, /--node-id$/);
  }
});

test('a certificate without exactly one SPIFFE id has none', async () => {
  const cases: [readonly string[] | undefined, RegExp][] = [
    [undefined, /no client certificate was shown/],
    [[], /has no SPIFFE id/],
    [[ID, 'spiffe://example.org/other'], /several URI names/],
    [[ID, 'https://example.org/'], /several URI names/],
    [['https://example.org/'], /is no SPIFFE id/],
    [['spiffe://'], /SPIFFE id/],
  ];
  for (const [uris, expected] of cases) {
    const read = await peer(uris);
    assert.equal(read.spiffeId, undefined);
    assert.match(nodeIdProblem(ID, read) ?? '', expected);
    assert.match(nodeIdProblem('', read) ?? '', expected);
  }
});

test('a long node id makes a short answer that a status message can hold', async () => {
  const problem = nodeIdProblem(`${'a'.repeat(255)}😀${'b'.repeat(100_000)}`, await peer([ID])) ?? '';
  assert.ok(problem.length < 1_000);
  assert.doesNotThrow(() => encodeURIComponent(problem));
});

test('secrets go over TLS and over loopback, and nowhere else', () => {
  const may = (address: string, tls = false): boolean =>
    maySendSecrets({ address, tls, spiffeId: undefined, noSpiffeId: '' });
  for (const address of ['127.0.0.1:1', '127.8.9.10:65535', '::1:1234', '::ffff:127.0.0.1:1234', '::ffff:7f00:1:99']) {
    assert.equal(may(address), true, address);
  }
  const others = ['10.0.0.1:1', '128.0.0.1:127', '::2:1', '::1', 'unknown', '', '/run/ads.sock', '::ffff:10.0.0.1:1'];
  for (const address of [...others, '127.0.0.1', '127.evil.example:80', 'fe80::1:1', '::127.0.0.1:80']) {
    assert.equal(may(address), false, address);
    assert.equal(may(address, true), true, address);
  }
});
