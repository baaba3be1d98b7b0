// Which session a connection resumes. Handshakes are told to the connectors by hand, in the order of TLS 1.3 (the session
// after the verdict) or 1.2 (before it).
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, it } from 'node:test';
import { silentLogger } from '../../../src/base/log.ts';
import { ClientTls, type SessionSlot } from '../../../src/identity/client-tls.ts';
import { createCredentials } from '../../../src/identity/live-credentials.ts';
import type { TlsConnector } from '../../../src/net/tls.ts';
import { issueAuthority, issueCertificate } from '../../support/certificates.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { upstreamTls } from '../../support/tls-peer.ts';

const HOUR_MS = 3_600_000;
const startMs = new FakeClock().wallMs();
const authority = await issueAuthority({ notBeforeMs: startMs - HOUR_MS, notAfterMs: startMs + 100 * HOUR_MS });

/** The certificate of an endpoint that is valid for so long from now on. */
async function certificate(hours: number): Promise<X509Certificate> {
  const validity = { notBeforeMs: startMs - HOUR_MS, notAfterMs: startMs + hours * HOUR_MS };
  return new X509Certificate((await issueCertificate(authority, { dns: ['web.example'], ...validity })).certificatePem);
}
const short = await certificate(1);
const long = await certificate(10);

/** Connections that share a name, one at each call. */
function setUp(): { readonly clock: FakeClock; readonly connect: () => TlsConnector } {
  const clock = new FakeClock();
  const tls = new ClientTls(upstreamTls(authority), {
    credentials: createCredentials({ clock, logger: silentLogger }),
    clock,
    usedBy: 'Upstream default/web',
    alpn: ['h2'],
    onChange: () => assert.fail('nothing changes'),
  });
  const slot: SessionSlot = { session: undefined };
  const connect = (): TlsConnector => {
    const connector = tls.connector('web.example', slot);
    assert.ok(!('kind' in connector), 'refused');
    return connector;
  };
  return { clock, connect };
}

function handshake(connector: TlsConnector, shown: X509Certificate | undefined, resumed = false): string | undefined {
  return connector.refusal({ alpn: 'h2', version: 'TLSv1.3', resumed, certificate: shown }, undefined)?.kind;
}

describe('sessions of an endpoint', () => {
  it('are resumed until the certificate that they began with expires, also through those that follow', () => {
    const { clock, connect } = setUp();
    const first = connect();
    assert.equal(first.session, undefined);
    assert.equal(handshake(first, short), undefined);
    first.keepSession(Buffer.from('one'));
    const second = connect();
    assert.equal(second.session?.toString(), 'one');
    assert.equal(handshake(second, undefined, true), undefined);
    second.keepSession(Buffer.from('two'));
    assert.equal(connect().session?.toString(), 'two');
    clock.advance(HOUR_MS);
    assert.equal(connect().session, undefined);
  });

  it('keep the time of their own certificate where another connection ends its handshake in between', () => {
    for (const order of ['1.3', '1.2']) {
      const { clock, connect } = setUp();
      const [mine, others] = [connect(), connect()];
      if (order === '1.2') mine.keepSession(Buffer.from('mine'));
      handshake(mine, short);
      handshake(others, long);
      if (order === '1.3') mine.keepSession(Buffer.from('mine'));
      assert.equal(connect().session?.toString(), 'mine', order);
      clock.advance(HOUR_MS);
      assert.equal(connect().session, undefined, order);
    }
  });
});
