// What sockets need from those who know certificates (identity/): parameters before a handshake, a verdict after it.
// The handshake and the records are Node's.
import type { SecureContext } from 'node:tls';
import type { ErrorKind } from '../base/error.ts';
import type { TlsFacts } from './transport.ts';

/** First byte of a TLS record that carries a handshake message (RFC 8446 section 5.1). No HTTP begins so. */
export const HANDSHAKE_RECORD = 0x16;

/** Why a connection isn't used. */
export interface TlsRefusal {
  readonly kind: ErrorKind;
  /** What is wrong and what to change; for logs and answers, without secrets. */
  readonly detail: string;
}

/** The accepting side of TLS. Asked anew for each connection, so that a rotated certificate is used at once. */
export interface TlsAcceptor {
  /** Protocols offered by ALPN, the preferred first. */
  readonly alpn: readonly string[];
  /** Certificate and key in force; undefined while there is none. */
  readonly context: SecureContext | undefined;
  /** Why there is no context, or why one of several is missing; empty if all is well. */
  readonly error: string;
  /** The context for a server name; undefined where one certificate serves all. Never throws. */
  readonly contextFor: ((serverName: string) => SecureContext) | undefined;
  /** Whether the caller is asked for a certificate. */
  readonly requestsCertificate: boolean;
  /** Whether a handshake without a certificate fails. */
  readonly requiresCertificate: boolean;
  /**
   * Why the caller may not pass, once the handshake is done; undefined: it may. `verifyCode` is OpenSSL's verdict on the
   * caller's chain, `CERT_HAS_EXPIRED` for example; undefined where it is good.
   */
  refusal(facts: TlsFacts, verifyCode: string | undefined): TlsRefusal | undefined;
}

/** The connecting side of TLS, for one server name of one upstream port. */
export interface TlsConnector {
  readonly context: SecureContext;
  /** Sent as SNI; empty: none, as for an IP address (RFC 6066 section 3). */
  readonly serverName: string;
  /** Protocols offered by ALPN, the preferred first. */
  readonly alpn: readonly string[];
  /** A session to resume; undefined: none is kept. */
  readonly session: Buffer | undefined;
  /** A session that may be resumed by later connections. */
  keepSession(session: Buffer): void;
  /** The handshake failed over which `session` was to be resumed: it may be the reason, and is not offered again. */
  forgetSession(): void;
  /**
   * Why the endpoint may not be used, once the handshake is done; undefined: it may. `verifyCode` is OpenSSL's verdict on
   * the endpoint's chain; undefined where it is good.
   */
  refusal(facts: TlsFacts, verifyCode: string | undefined): TlsRefusal | undefined;
}
