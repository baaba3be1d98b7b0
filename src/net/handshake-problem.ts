// Errors of OpenSSL during a handshake in words: what the peer did and what to change.

/** Words for an error of a handshake; `side` is ours. */
export function handshakeProblem(error: NodeJS.ErrnoException, side: 'client' | 'server'): string {
  const code = nameOf(error.code);
  const words = (side === 'server' ? SERVER[code] : CLIENT[code]) ?? BOTH[code];
  if (words !== undefined) return words;
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'the connection was closed during the handshake';
  return code === '' ? error.message : `OpenSSL says ${code}`;
}

/**
 * Words for an error after the handshake that says that the peer didn't accept our certificate; undefined for any other.
 * In TLS 1.3 a client learns it that late, and the peer has looked at nothing that was sent before (RFC 8446 section 4.4.2.4).
 */
export function lateCertificateAlert(code: string | undefined): string | undefined {
  return CLIENT_CERTIFICATE_ALERTS[nameOf(code)];
}

/** One name for each: OpenSSL 3.2 renamed the alerts that came with SSL 3 (`ssl/tls alert bad certificate`). */
function nameOf(code = ''): string {
  return code.replace('ERR_SSL_SSL/TLS_ALERT_', 'ERR_SSL_SSLV3_ALERT_');
}

const REFUSED = "the endpoint didn't accept the client certificate";

const CLIENT_CERTIFICATE_ALERTS: Readonly<Record<string, string>> = {
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    'the endpoint requires a client certificate: give tls.client_cert, or a Secret with one',
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: `${REFUSED}, or requires one that it wasn't shown`, // Java's word for none
  ERR_SSL_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE: `${REFUSED}: it is of a kind that it doesn't take`,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_REVOKED: `${REFUSED}: it was revoked`,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: `${REFUSED}: it has expired`,
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: REFUSED,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: `${REFUSED}: it doesn't trust its authority`,
  ERR_SSL_TLSV1_ALERT_ACCESS_DENIED: `${REFUSED}: it may not pass there`,
};

const CLIENT: Readonly<Record<string, string>> = {
  ...CLIENT_CERTIFICATE_ALERTS,
  ERR_SSL_WRONG_VERSION_NUMBER: 'the endpoint answered without TLS: set scheme http or grpc, or give the endpoint TLS',
  ERR_SSL_PACKET_LENGTH_TOO_LONG:
    'the endpoint answered without TLS: set scheme http or grpc, or give the endpoint TLS',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'the endpoint speaks neither TLS 1.2 nor 1.3: raise its versions',
  ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE:
    'the endpoint has no TLS version or cipher suite in common, or requires a client certificate',
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
    'the endpoint has no protocol in common (ALPN): grpcs needs HTTP/2; set scheme https for HTTP/1.1',
  ERR_SSL_TLSV1_UNRECOGNIZED_NAME: 'the endpoint has no certificate for the server name: set tls.server_name',
};

const SERVER: Readonly<Record<string, string>> = {
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'the caller speaks neither TLS 1.2 nor 1.3: raise its versions',
  ERR_SSL_VERSION_TOO_LOW: 'the caller speaks neither TLS 1.2 nor 1.3: raise its versions',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the caller sent no TLS that can be read',
  ERR_SSL_NO_SHARED_CIPHER: 'the caller has no cipher suite in common: TLS 1.2 needs ECDHE with AES-GCM or ChaCha20',
  ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM: "the caller can't verify a certificate of this kind of key",
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: 'the caller showed no certificate, and this listener requires one',
  ERR_SSL_NO_APPLICATION_PROTOCOL:
    'the caller offers neither h2 nor http/1.1 by ALPN, as far as this listener takes them',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: "the caller doesn't trust the authority of this listener's certificate",
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN: "the caller didn't accept this listener's certificate",
  ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE: "the caller didn't accept this listener's certificate",
  ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: "the caller found this listener's certificate expired",
  ERR_SSL_HTTP_REQUEST: 'the caller sent plain HTTP',
};

const BOTH: Readonly<Record<string, string>> = {
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'there is no TLS version in common: 1.2 and 1.3 are spoken here',
  ERR_SSL_UNEXPECTED_EOF_WHILE_READING: 'the connection was closed during the handshake',
};
