// OpenSSL's verdicts on a certificate chain (the `code` of Node's verify errors) in words: what is wrong and what to
// change.

/** What a verdict means. */
export interface Verdict {
  readonly kind: 'untrusted' | 'expired';
  readonly text: string;
}

const VERDICTS: Readonly<Record<string, Verdict>> = {
  CERT_HAS_EXPIRED: { kind: 'expired', text: 'it has expired: renew it' },
  CERT_NOT_YET_VALID: { kind: 'expired', text: 'it is not valid yet: check the clocks' },
  DEPTH_ZERO_SELF_SIGNED_CERT: {
    kind: 'untrusted',
    text: 'it is self-signed: trust it, or use one that a trusted authority signed',
  },
  SELF_SIGNED_CERT_IN_CHAIN: {
    kind: 'untrusted',
    text: 'its authority is not among the trusted ones: add that authority',
  },
  UNABLE_TO_GET_ISSUER_CERT: {
    kind: 'untrusted',
    text: 'its issuer is not among the trusted authorities: add that authority, or send the whole chain',
  },
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: {
    kind: 'untrusted',
    text: 'its issuer is not among the trusted authorities: add that authority, or send the whole chain',
  },
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: {
    kind: 'untrusted',
    text: 'its issuer is not among the trusted authorities: add that authority, or send the whole chain',
  },
  CERT_SIGNATURE_FAILURE: {
    kind: 'untrusted',
    text: 'its signature is wrong: a trusted authority of that name has another key',
  },
  CERT_CHAIN_TOO_LONG: { kind: 'untrusted', text: 'its chain is too long' },
  INVALID_CA: { kind: 'untrusted', text: 'a certificate in its chain is no authority' },
  INVALID_PURPOSE: {
    kind: 'untrusted',
    text: 'its extended key usage is for another purpose: it needs clientAuth for a client and serverAuth for a server',
  },
  // Node has no name for these.
  UNSPECIFIED: {
    kind: 'untrusted',
    text: 'a certificate in its chain is no authority, may not sign for its names, or has too weak a key',
  },
  CERT_REVOKED: { kind: 'untrusted', text: 'it was revoked' },
};

/** The words for a code; one that isn't known is told as it is. */
export function verdictOf(code: string): Verdict {
  return VERDICTS[code] ?? { kind: 'untrusted', text: `OpenSSL says ${code}` };
}
