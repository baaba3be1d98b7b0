// The connecting side with a real store of credentials, and made-up handshakes. Real ones are in
// test/integration/proxy/tls-upstream.test.ts.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { silentLogger } from '../../../src/base/log.ts';
import { ClientTls, type SessionSlot } from '../../../src/identity/client-tls.ts';
import { createCredentials } from '../../../src/identity/live-credentials.ts';
import type { SecretSpec, UpstreamTlsPolicy } from '../../../src/model/tls.ts';
import type { TlsConnector, TlsRefusal } from '../../../src/net/tls.ts';
import {
  issueAuthority,
  issueCertificate,
  type TestAuthority,
  type TestCertificate,
} from '../../support/certificates.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { secrets, upstreamTls } from '../../support/tls-peer.ts';

const HOUR_MS = 3_600_000;
const NOW_MS = new FakeClock().wallMs();
const VALIDITY = { notBeforeMs: NOW_MS - HOUR_MS, notAfterMs: NOW_MS + HOUR_MS };
const OWN = { kind: 'secret', name: 'shop/own' } as const;
const CA = { kind: 'secret', name: 'shop/ca' } as const;

let authority: TestAuthority;
let certificate: TestCertificate;

before(async () => {
  authority = await issueAuthority(VALIDITY);
  certificate = await issueCertificate(authority, { ...VALIDITY, dns: ['web.example', '*.b.example'], ips: ['::1'] });
});

interface Fixture {
  readonly tls: ClientTls;
  readonly clock: FakeClock;
  /** How often the identity became another one. */
  changes(): number;
  setSecrets(secrets: ReadonlyMap<string, SecretSpec>): void;
  /** Users of credentials. */
  used(): readonly string[];
}

function start(overrides: Partial<UpstreamTlsPolicy> = {}): Fixture {
  const clock = new FakeClock();
  const credentials = createCredentials({ clock, logger: silentLogger });
  let changes = 0;
  const tls = new ClientTls(upstreamTls(authority, overrides), {
    credentials,
    clock,
    usedBy: 'Upstream shop/web',
    alpn: ['h2', 'http/1.1'],
    onChange: () => changes++,
  });
  return {
    tls,
    clock,
    changes: () => changes,
    setSecrets(next) {
      credentials.setSecrets(next);
      clock.advance(0);
    },
    used: () => credentials.list().map(({ name }) => name),
  };
}

function connectorOf(result: TlsConnector | TlsRefusal): TlsConnector {
  assert.ok(!('kind' in result), 'kind' in result ? result.detail : '');
  return result;
}

function connect({ tls }: Fixture, name: string, slot: SessionSlot = { session: undefined }): TlsConnector {
  return connectorOf(tls.connector(name, slot));
}

/** A full handshake in which the endpoint showed this, with OpenSSL's verdict on it. */
function handshake(shown: TestCertificate = certificate, verdict?: string): Parameters<TlsConnector['refusal']> {
  const x509 = new X509Certificate(shown.certificatePem);
  return [{ alpn: 'h2', version: 'TLSv1.3', resumed: false, certificate: x509 }, verdict];
}

describe('names', () => {
  it('are those of the host, without port, case and final dot', () => {
    const { tls } = start();
    for (const [host, name] of [
      ['web.example', 'web.example'],
      ['Web.Example:8443', 'web.example'],
      ['web.example.', 'web.example'],
      ['web.example.:80', 'web.example'],
      ['10.0.0.1:80', '10.0.0.1'],
      ['[::1]:80', '::1'],
      ['[::1]', '::1'],
      ['[FE80::A]:1', 'fe80::a'],
      ['::1', '::1'],
      ['', ''],
      [':80', ''],
      ['.', ''],
      ['[', '['],
    ] as const) {
      assert.equal(tls.nameOf(host), name, host);
    }
  });

  it('are the configured one wherever there is one', () => {
    const { tls } = start({ serverName: 'web.example' });
    for (const host of ['a', '[::1]:80', '']) assert.equal(tls.nameOf(host), 'web.example');
  });

  it('are sent unless they are addresses', () => {
    const fixture = start();
    assert.equal(connect(fixture, 'web.example').serverName, 'web.example');
    assert.equal(connect(fixture, 'a_b-c.1x').serverName, 'a_b-c.1x');
    for (const address of ['10.0.0.1', '::1', 'fe80::a']) assert.equal(connect(fixture, address).serverName, '');
    assert.deepEqual(connect(fixture, 'web.example').alpn, ['h2', 'http/1.1']);
  });

  it('that can be none are refused, or left out where nothing is verified', () => {
    const odd = [
      '',
      'a..b',
      '.a',
      'a b',
      'a/b',
      'a\0b',
      'é.example',
      'x'.repeat(64),
      'a.'.repeat(127) + 'a',
      '[',
      'a:b',
    ];
    const verifying = start();
    const trusting = start({ verify: false });
    for (const name of odd) {
      const refusal = verifying.tls.connector(name, { session: undefined });
      assert.ok('kind' in refusal, name);
      assert.equal(refusal.kind, 'upstream_certificate_name_mismatch');
      assert.match(refusal.detail, /is no server name: set tls\.server_name/);
      assert.ok(refusal.detail.length < 250 && !refusal.detail.includes('\0'), 'short, and safe to log');
      assert.equal(connect(trusting, name).serverName, '');
    }
  });
});

describe('the identity', () => {
  it('is missing until all of it is there', async () => {
    const fixture = start({ clientCertificate: OWN, ca: CA });
    const { tls, setSecrets, changes } = fixture;
    assert.deepEqual(fixture.used(), ['Secret shop/ca', 'Secret shop/own']);
    const own = await issueCertificate(authority, VALIDITY);
    const refusal = tls.connector('web.example', { session: undefined });
    assert.deepEqual(refusal, { kind: 'secret_missing', detail: tls.error });
    assert.match(tls.error, /shop\/own/);
    setSecrets(secrets({ name: OWN.name, certificate: own }));
    assert.match(tls.error, /shop\/ca/);
    assert.equal(changes(), 0);
    assert.equal(tls.notAfterMs, VALIDITY.notAfterMs);
    setSecrets(secrets({ name: OWN.name, certificate: own }, { name: CA.name, authorities: [authority] }));
    assert.equal(tls.error, '');
    assert.equal(changes(), 1);
    connect(fixture, 'web.example');
    setSecrets(new Map());
    assert.equal(changes(), 1, 'what was there stays in force');
    assert.equal(tls.error, '');
    connect(fixture, 'web.example');
  });

  it('needs no authorities where nothing is verified, but takes them for probes that do', () => {
    const fixture = start({ verify: false, ca: CA });
    assert.equal(fixture.tls.error, '');
    const before = connect(fixture, 'web.example').context;
    fixture.setSecrets(secrets({ name: CA.name, authorities: [authority] }));
    assert.notEqual(connect(fixture, 'web.example').context, before);
    const probe = connectorOf(fixture.tls.connector('web.example', { session: undefined }, true));
    assert.equal(probe.refusal(...handshake(certificate, 'CERT_HAS_EXPIRED'))?.kind, 'upstream_certificate_expired');
  });

  it('of the system needs nothing', () => {
    const fixture = start({ ca: { kind: 'system' } });
    assert.deepEqual(fixture.used(), []);
    assert.equal(fixture.tls.notAfterMs, undefined);
    connect(fixture, 'web.example');
  });

  it('that is not used any more is not renewed', async () => {
    const fixture = start({ clientCertificate: OWN });
    fixture.tls.stop();
    fixture.setSecrets(secrets({ name: OWN.name, certificate: await issueCertificate(authority, VALIDITY) }));
    assert.equal(fixture.changes(), 0);
    assert.deepEqual(fixture.used(), []);
    assert.equal(fixture.clock.waiting, 0);
  });
});

describe('sessions', () => {
  const SESSION = Buffer.from('a session');

  /** Connects under `slot`, is accepted, and keeps a session. */
  function acceptedOnce(fixture: Fixture, slot: SessionSlot, shown?: TestCertificate): void {
    const connector = connect(fixture, 'web.example', slot);
    assert.equal(connector.refusal(...handshake(shown)), undefined);
    connector.keepSession(SESSION);
  }

  it('are kept for the next connection', () => {
    const fixture = start();
    const slot: SessionSlot = { session: undefined };
    assert.equal(connect(fixture, 'web.example', slot).session, undefined);
    acceptedOnce(fixture, slot);
    assert.equal(connect(fixture, 'web.example', slot).session, SESSION);
    assert.equal(connect(fixture, 'web.example').session, undefined, 'of this slot alone');
  });

  it('may come before the handshake is judged', () => {
    const fixture = start();
    const slot: SessionSlot = { session: undefined };
    const connector = connect(fixture, 'web.example', slot);
    connector.keepSession(SESSION);
    assert.equal(connect(fixture, 'web.example', slot).session, undefined, 'not judged yet');
    connector.refusal(...handshake());
    assert.equal(connect(fixture, 'web.example', slot).session, SESSION);
  });

  it('of a connection that was refused are none, whenever they come', () => {
    const fixture = start();
    for (const early of [true, false]) {
      const slot: SessionSlot = { session: undefined };
      const connector = connect(fixture, 'web.example', slot);
      if (early) connector.keepSession(SESSION);
      assert.ok(connector.refusal(...handshake(certificate, 'CERT_HAS_EXPIRED')));
      if (!early) connector.keepSession(SESSION);
      assert.equal(connect(fixture, 'web.example', slot).session, undefined);
      acceptedOnce(fixture, slot);
      assert.equal(connect(fixture, 'web.example', slot).session, SESSION, 'a later one is kept');
    }
  });

  it('that an endpoint can not resume are given up, after the first that fails', () => {
    const fixture = start();
    const slot: SessionSlot = { session: undefined };
    connect(fixture, 'web.example', slot).forgetSession();
    acceptedOnce(fixture, slot);
    const failing = connect(fixture, 'web.example', slot);
    assert.equal(failing.session, SESSION, 'a failure without a session says nothing of sessions');
    failing.forgetSession();
    acceptedOnce(fixture, slot);
    assert.equal(connect(fixture, 'web.example', slot).session, undefined);
  });

  it('of an endpoint that has resumed one are offered again after a failure', () => {
    const fixture = start();
    const slot: SessionSlot = { session: undefined };
    acceptedOnce(fixture, slot);
    const [facts] = handshake();
    const resumed = connect(fixture, 'web.example', slot);
    const failing = connect(fixture, 'web.example', slot);
    assert.equal(resumed.refusal({ ...facts, resumed: true, certificate: undefined }, undefined), undefined);
    resumed.keepSession(Buffer.from('next'));
    failing.forgetSession();
    assert.equal(
      connect(fixture, 'web.example', slot).session?.toString(),
      'next',
      'another one than that which failed',
    );
    connect(fixture, 'web.example', slot).forgetSession();
    assert.equal(connect(fixture, 'web.example', slot).session, undefined);
    acceptedOnce(fixture, slot);
    assert.equal(connect(fixture, 'web.example', slot).session, SESSION);
  });

  it('end with the certificate that they were made under', async () => {
    const fixture = start();
    const slot: SessionSlot = { session: undefined };
    const soon = await issueCertificate(authority, { ...VALIDITY, notAfterMs: NOW_MS + 60_000, dns: ['web.example'] });
    acceptedOnce(fixture, slot, soon);
    fixture.clock.advance(58_000);
    assert.equal(connect(fixture, 'web.example', slot).session, SESSION);
    fixture.clock.advance(2_000);
    assert.equal(connect(fixture, 'web.example', slot).session, undefined);
  });

  it('end with the identity that they were made under, also in a slot that is still in use', async () => {
    const fixture = start({ clientCertificate: OWN });
    const [old, next] = await Promise.all([
      issueCertificate(authority, VALIDITY),
      issueCertificate(authority, VALIDITY),
    ]);
    fixture.setSecrets(secrets({ name: OWN.name, certificate: old }));
    const slot: SessionSlot = { session: undefined };
    const connector = connect(fixture, 'web.example', slot);
    connector.refusal(...handshake());
    connector.keepSession(SESSION);
    fixture.setSecrets(secrets({ name: OWN.name, certificate: next }));
    assert.equal(connect(fixture, 'web.example', slot).session, undefined);
    connector.keepSession(Buffer.from('a late one of the old identity'));
    assert.equal(connect(fixture, 'web.example', slot).session, undefined);
    acceptedOnce(fixture, slot);
    assert.equal(connect(fixture, 'web.example', slot).session, SESSION);
  });
});

describe('the verdict', () => {
  const refusalOf = (fixture: Fixture, name: string, told: ReturnType<typeof handshake>): string | undefined => {
    const refusal = connect(fixture, name).refusal(...told);
    return refusal && `${refusal.kind}: ${refusal.detail}`;
  };

  it('goes by the name asked for', () => {
    const fixture = start();
    for (const name of ['web.example', 'WEB.example', 'x.b.example', '::1', '0:0:0:0:0:0:0:1']) {
      assert.equal(refusalOf(fixture, name, handshake()), undefined, name);
    }
    for (const name of ['b.example', 'x.y.b.example', 'example', '::2', '127.0.0.1', 'xweb.example']) {
      assert.match(
        refusalOf(fixture, name, handshake()) ?? '',
        /^upstream_certificate_name_mismatch: it is for "web\.example", "\*\.b\.example", "::1", not for /,
        name,
      );
    }
  });

  it('never goes by the common name', async () => {
    const named = await issueCertificate(authority, { ...VALIDITY, commonName: 'web.example' });
    assert.match(refusalOf(start(), 'web.example', handshake(named)) ?? '', /it is for no name at all/);
  });

  it('goes by server_names instead, where there are any', async () => {
    const uri = 'spiffe://mesh/web';
    const fixture = start({ serverNames: [{ type: 'uri', value: uri }] });
    const svid = await issueCertificate(authority, { ...VALIDITY, uris: [uri] });
    assert.equal(refusalOf(fixture, 'anything.example', handshake(svid)), undefined);
    assert.match(
      refusalOf(fixture, 'web.example', handshake()) ?? '',
      /it has none of tls\.server_names; it is for "web\.ex/,
    );
    assert.match(
      refusalOf(fixture, 'web.example', handshake(svid, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE')) ?? '',
      /^upstream_certificate_untrusted/,
      'but first by who signed it',
    );
  });

  it('tells what OpenSSL found in words', () => {
    const fixture = start();
    for (const [code, told] of [
      [
        'CERT_HAS_EXPIRED',
        /^upstream_certificate_expired: the endpoint's certificate \(CN=test certificate\) .*renew it/,
      ],
      ['CERT_NOT_YET_VALID', /^upstream_certificate_expired: .*check the clocks/],
      ['SELF_SIGNED_CERT_IN_CHAIN', /^upstream_certificate_untrusted: .*add that authority/],
      ['SOMETHING_ELSE', /^upstream_certificate_untrusted: .*OpenSSL says SOMETHING_ELSE/],
    ] as const) {
      assert.match(refusalOf(fixture, 'web.example', handshake(certificate, code)) ?? '', told);
    }
    const [facts] = handshake();
    assert.match(
      refusalOf(fixture, 'web.example', [{ ...facts, certificate: undefined }, undefined]) ?? '',
      /the endpoint showed no certificate/,
    );
  });

  it('is none where nothing is verified, and a probe may ask for one or do without', () => {
    const bad = handshake(certificate, 'CERT_HAS_EXPIRED');
    const trusting = start({ verify: false });
    assert.equal(refusalOf(trusting, 'other.example', bad), undefined);
    const slot = { session: undefined };
    assert.ok(connectorOf(trusting.tls.connector('web.example', slot, true)).refusal(...bad));
    assert.equal(connectorOf(start().tls.connector('web.example', slot, false)).refusal(...bad), undefined);
  });
});
