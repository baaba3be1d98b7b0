// What every TLS connection of the sidecar speaks, on either side.
import { constants } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';

/**
 * Before OpenSSL 3.5 its own list has the finite field groups up to ffdhe8192, of which one handshake costs a server 100 ms of
 * its core and a caller nothing (CVE-2002-20001). Since then it ends at ffdhe3072, and begins with a post-quantum group
 * that older ones don't know.
 */
const GROUPS: SecureContextOptions = olderThan(3, 5) ? { ecdhCurve: 'X25519:P-256:X448:P-521:P-384' } : {};

function olderThan(major: number, minor: number): boolean {
  const [ownMajor = 0, ownMinor = 0] = process.versions.openssl.split('.').map(Number);
  return ownMajor < major || (ownMajor === major && ownMinor < minor);
}

/**
 * TLS 1.2 and 1.3; of 1.2 only forward-secret AEAD suites, all of which HTTP/2 allows (RFC 9113 section 9.2.2); no
 * renegotiation.
 */
export const TLS_PARAMETERS: SecureContextOptions = {
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
  honorCipherOrder: true,
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  ...GROUPS,
};
