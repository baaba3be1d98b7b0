// The details are what grpc-js and Node say; test/integration/control/xds-tls.test.ts makes them say it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeStreamEnd } from '../../../src/control/stream-error.ts';

const TLS = { isTls: true, hasAuthorities: true, hasCertificate: false };
const MUTUAL = { ...TLS, hasCertificate: true };
const PLAINTEXT = { isTls: false, hasAuthorities: false, hasCertificate: false };

const inGrpc = (cause: string): string => `No connection established. Last error: ${cause}. Resolution note: `;
const openssl = (reason: string): string =>
  `800CADF7287F0000:error:0A00045C:SSL routines:ssl3_read_bytes:${reason}:../deps/openssl/record.c:1601:SSL alert\n`;
const SINCE = ' (2026-11-21T06:45:17.076Z)';

describe('describeStreamEnd', () => {
  it('keeps what a server says as it is', () => {
    for (const facts of [TLS, PLAINTEXT]) {
      assert.equal(describeStreamEnd('UNAVAILABLE', 'rolling over', facts), 'UNAVAILABLE: rolling over');
      assert.equal(describeStreamEnd('UNKNOWN', 'no cache for x', facts), 'UNKNOWN: no cache for x');
      assert.equal(describeStreamEnd('INTERNAL', '', facts), 'INTERNAL: ');
      // Of a stream that was open.
      assert.equal(describeStreamEnd('UNAVAILABLE', 'read ECONNRESET', facts), 'UNAVAILABLE: read ECONNRESET');
    }
  });

  it('takes the cause out of the wrapping, without the time', () => {
    const refused = inGrpc('Error: connect ECONNREFUSED 127.0.0.1:1');
    for (const facts of [TLS, PLAINTEXT]) {
      assert.equal(describeStreamEnd('UNAVAILABLE', refused, facts), 'UNAVAILABLE: connect ECONNREFUSED 127.0.0.1:1');
      const name = 'Name resolution failed for target dns:nowhere.invalid:1';
      assert.equal(describeStreamEnd('UNAVAILABLE', name, facts), `UNAVAILABLE: ${name}`);
    }
  });

  for (const [cause, facts, expected] of [
    ['Error: unable to verify the first certificate', TLS, /^UNAVAILABLE: unable to .*: check --control-ca$/],
    [
      'Error: unable to verify the first certificate; if the root CA is installed locally, try running Node.js with --use-system-ca',
      { ...TLS, hasAuthorities: false },
      /first certificate: .* trusted authority: use --control-ca, since .* that Node brings/,
    ],
    ['Error: unable to get local issuer certificate', TLS, /check --control-ca$/],
    ['Error: self-signed certificate', TLS, /check --control-ca$/],
    ['Error: self signed certificate in certificate chain', TLS, /check --control-ca$/],
    ['Error: certificate signature failure', TLS, /check --control-ca$/],
    ['Error: certificate has expired', TLS, /certificate has expired: renew the control plane's certificate/],
    ['Error: certificate is not yet valid', TLS, /not yet valid: check the clocks/],
    ['Error: unsuitable certificate purpose', TLS, /not one for servers$/],
    [
      "Error [ERR_TLS_CERT_ALTNAME_INVALID]: Hostname/IP does not match certificate's altnames: Host: localhost. is not in the cert's altnames: DNS:other.example",
      TLS,
      /^UNAVAILABLE: Hostname.*DNS:other\.example: call the control plane by a name of its certificate/,
    ],
    [
      `Error: ${openssl('wrong version number')}`,
      TLS,
      /^UNAVAILABLE: wrong version number: .*does not speak TLS there/,
    ],
    [`${openssl('tlsv13 alert certificate required')}${SINCE}`, TLS, /required: .*asks for a client certificate/],
    [`${openssl('tlsv1 alert unknown ca')}${SINCE}`, MUTUAL, /unknown ca: .*refuses our client .*--control-cert$/],
    [`${openssl('sslv3 alert certificate expired')}${SINCE}`, MUTUAL, /refuses our client certificate/],
    [`Error: ${openssl('sslv3 alert handshake failure')}`, TLS, /no agreement on TLS, or .*--control-key$/],
    [`Error: ${openssl('tlsv1 alert no application protocol')}`, TLS, /no HTTP\/2 there/],
    [`Error: ${openssl('tlsv1 alert protocol version')}`, TLS, /must speak TLS 1\.2 or 1\.3$/],
    [
      'Error: Client network socket disconnected before secure TLS connection was established',
      TLS,
      /ended in the TLS handshake/,
    ],
    [`Failed to connect${SINCE}`, MUTUAL, /^UNAVAILABLE: Failed to connect: .*may refuse our client certificate/],
    [`read ECONNRESET${SINCE}`, TLS, /^UNAVAILABLE: read ECONNRESET: .*use --control-cert and --control-key$/],
    [`Failed to connect${SINCE}`, PLAINTEXT, /Failed to connect: .*speaks TLS there, use --control-ca$/],
    [`Protocol error${SINCE}`, PLAINTEXT, /Protocol error: .*use --control-ca$/],
    [`read ECONNRESET${SINCE}`, PLAINTEXT, /use --control-ca$/],
  ] as const) {
    it(`${facts.isTls ? 'TLS' : 'plaintext'}: ${cause.split('\n', 1)[0]?.slice(0, 70)}`, () => {
      const text = describeStreamEnd('UNAVAILABLE', inGrpc(cause), facts);
      assert.match(text, expected);
      assert.doesNotMatch(text, /\n|2026|Resolution|Last error|Error:|openssl/);
    });
  }
});
