import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createServer, createSecureContext, connect } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { handshakeProblem, lateCertificateAlert } from '../../../src/net/handshake-problem.ts';
import { issueAuthority, issueCertificate } from '../../support/certificates.ts';

function problem(code: string | undefined, side: 'client' | 'server', message = 'the message'): string {
  return handshakeProblem(Object.assign(new Error(message), code === undefined ? {} : { code }), side);
}

describe('handshakeProblem', () => {
  it('says what the peer did and what to change', () => {
    for (const [side, code, words] of [
      ['server', 'ERR_SSL_UNSUPPORTED_PROTOCOL', /raise its versions/],
      ['server', 'ERR_SSL_VERSION_TOO_LOW', /raise its versions/],
      ['server', 'ERR_SSL_NO_SHARED_CIPHER', /no cipher suite in common/],
      ['server', 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE', /this listener requires one/],
      ['server', 'ERR_SSL_NO_APPLICATION_PROTOCOL', /neither h2 nor http\/1\.1 by ALPN/],
      ['server', 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', /doesn't trust the authority of this listener's certificate/],
      ['server', 'ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN', /didn't accept this listener's certificate/],
      ['client', 'ERR_SSL_WRONG_VERSION_NUMBER', /answered without TLS/],
      ['client', 'ERR_SSL_PACKET_LENGTH_TOO_LONG', /answered without TLS/],
      ['client', 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', /neither TLS 1\.2 nor 1\.3/],
      ['client', 'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE', /or requires a client certificate/],
      ['client', 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL', /grpcs needs HTTP\/2/],
      [
        'client',
        'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
        /didn't accept the client certificate: it doesn't trust its authority/,
      ],
      ['client', 'ERR_SSL_UNSUPPORTED_PROTOCOL', /no TLS version in common/],
      ['client', 'ECONNRESET', /closed during the handshake/],
      ['server', 'EPIPE', /closed during the handshake/],
    ] as const) {
      assert.match(problem(code, side), words, `${side} ${code}`);
    }
  });

  it('knows the alerts of SSL 3 by both of their names', () => {
    for (const alert of [
      'HANDSHAKE_FAILURE',
      'BAD_CERTIFICATE',
      'UNSUPPORTED_CERTIFICATE',
      'CERTIFICATE_REVOKED',
      'CERTIFICATE_EXPIRED',
      'CERTIFICATE_UNKNOWN',
    ]) {
      const [older, newer] = [`ERR_SSL_SSLV3_ALERT_${alert}`, `ERR_SSL_SSL/TLS_ALERT_${alert}`];
      assert.doesNotMatch(problem(older, 'client'), /OpenSSL says/, alert);
      assert.equal(problem(newer, 'client'), problem(older, 'client'), alert);
      assert.equal(lateCertificateAlert(newer), lateCertificateAlert(older), alert);
    }
  });

  it('tells any other as it is', () => {
    assert.equal(problem('ERR_SSL_SOMETHING_NEW', 'client'), 'OpenSSL says ERR_SSL_SOMETHING_NEW');
    assert.equal(problem(undefined, 'server', 'Callback was called twice'), 'Callback was called twice');
  });

  it('knows what this version of Node says', async () => {
    const authority = await issueAuthority();
    const { chain, keyPem } = await issueCertificate(authority);
    const identity = { cert: chain, key: keyPem };
    /** What the client and the server of a failed handshake are told. */
    const told = (server: object, client: object): Promise<[string, string]> =>
      new Promise((resolve) => {
        let ofServer = '';
        const listener = createServer({ ...identity, ...server }).on('tlsClientError', (error) => {
          ofServer = handshakeProblem(error, 'server');
        });
        listener.listen(0, '127.0.0.1', () => {
          const { port } = listener.address() as AddressInfo;
          const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...client });
          let ofClient = '';
          socket.on('error', (error) => (ofClient ||= handshakeProblem(error, 'client')));
          socket.resume();
          socket.on('close', () => {
            listener.close(() => resolve([ofClient, ofServer]));
          });
        });
      });
    const suites = await told(
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' },
      { ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' },
    );
    assert.match(suites[0], /no TLS version or cipher suite in common/);
    assert.match(suites[1], /no cipher suite in common/);
    const required = { requestCert: true, rejectUnauthorized: true, ca: authority.certificatePem };
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
      const [ofClient, ofServer] = await told({ ...required, maxVersion }, {});
      assert.match(ofClient, /requires a client certificate/, maxVersion);
      assert.match(ofServer, /this listener requires one/, maxVersion);
    }
    const distrust = await told({}, { rejectUnauthorized: true });
    assert.doesNotMatch(distrust[1], /OpenSSL says/);
    const secureContext = createSecureContext({ minVersion: 'TLSv1.3' });
    const versions = await told({ maxVersion: 'TLSv1.2' }, { secureContext });
    assert.match(versions[0], /neither TLS 1\.2 nor 1\.3|no TLS version in common/);
    assert.match(versions[1], /neither TLS 1\.2 nor 1\.3/);
  });
});

describe('lateCertificateAlert', () => {
  it('knows refusals of the certificate, and nothing else', () => {
    assert.match(
      lateCertificateAlert('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED') ?? '',
      /requires a client certificate: give tls\.client_cert, or a Secret with one/,
    );
    assert.match(lateCertificateAlert('ERR_SSL_TLSV1_ALERT_UNKNOWN_CA') ?? '', /doesn't trust its authority/);
    assert.match(lateCertificateAlert('ERR_SSL_TLSV1_ALERT_ACCESS_DENIED') ?? '', /may not pass there/);
    for (const code of [undefined, '', 'ECONNRESET', 'ERR_SSL_SSLV3_ALERT_BAD_RECORD_MAC']) {
      assert.equal(lateCertificateAlert(code), undefined, code);
    }
  });
});
