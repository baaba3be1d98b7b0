import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { verdictOf } from '../../../src/identity/verify-code.ts';

describe('verdictOf', () => {
  it('tells time from trust', () => {
    for (const code of ['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']) assert.equal(verdictOf(code).kind, 'expired', code);
    for (const code of [
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      'SELF_SIGNED_CERT_IN_CHAIN',
      'UNABLE_TO_GET_ISSUER_CERT',
      'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      'CERT_SIGNATURE_FAILURE',
      'CERT_CHAIN_TOO_LONG',
      'INVALID_CA',
      'INVALID_PURPOSE',
      'CERT_REVOKED',
      'UNSPECIFIED',
    ]) {
      const { kind, text } = verdictOf(code);
      assert.equal(kind, 'untrusted', code);
      assert.doesNotMatch(text, new RegExp(code), 'in words');
    }
  });

  it('says what to change', () => {
    assert.match(verdictOf('CERT_HAS_EXPIRED').text, /renew/);
    assert.match(verdictOf('CERT_NOT_YET_VALID').text, /clocks/);
    assert.match(verdictOf('SELF_SIGNED_CERT_IN_CHAIN').text, /add that authority/);
    assert.match(verdictOf('UNABLE_TO_GET_ISSUER_CERT_LOCALLY').text, /send the whole chain/);
    assert.match(verdictOf('INVALID_PURPOSE').text, /clientAuth for a client and serverAuth for a server/);
  });

  it('an unknown code is no trust, and told as it is', () => {
    for (const code of ['HOSTNAME_MISMATCH', '', 'X']) {
      const verdict = verdictOf(code);
      assert.equal(verdict.kind, 'untrusted', code);
      assert.equal(verdict.text, `OpenSSL says ${code}`);
    }
  });
});
