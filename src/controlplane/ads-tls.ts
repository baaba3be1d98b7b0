// TLS of the ADS port. The certificate and the authorities come from the store of live credentials: a new pair is used
// for the next handshake, and connections that are open keep what they began with.
import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls';
import type { Cancel } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Credentials } from '../identity/credentials.ts';
import { TLS_PARAMETERS } from '../identity/tls-parameters.ts';
import { verdictOf } from '../identity/verify-code.ts';
import type { AuthoritiesMaterial, AuthoritiesSource, CertificateMaterial, CertificateSource } from '../model/tls.ts';

/** How ADS is served over TLS. */
export interface AdsTls {
  readonly credentials: Credentials;
  readonly certificate: CertificateSource;
  /** Who signs the certificates of sidecars, which they must show then; undefined: none is asked for. */
  readonly clientCa: AuthoritiesSource | undefined;
  /** Whether the node id of a sidecar must be the SPIFFE id of its certificate. Needs `clientCa`. */
  readonly bindNodeId: boolean;
}

/** What a TLS front is made of. */
export interface TlsFrontOptions {
  readonly tls: AdsTls;
  readonly logger: Logger;
  /** The handshake is done, and the caller may pass. */
  readonly onSecure: (socket: TLSSocket) => void;
  /** There is no connection. `reason` says why and what to change. */
  readonly onFailure: (reason: string, peer: string | undefined) => void;
}

/**
 * No session is resumed: ADS streams live long, so a full handshake costs nothing that counts, and each one verifies the
 * caller against the authorities of that moment.
 */
const SECURE_OPTIONS = (TLS_PARAMETERS.secureOptions ?? 0) | constants.SSL_OP_NO_TICKET;

/** Does the handshakes of accepted connections. */
export class TlsFront {
  private readonly options: TlsFrontOptions;
  private readonly server: Server;
  private readonly cancelUse: Cancel;
  private certificate: CertificateMaterial | undefined;
  private authorities: AuthoritiesMaterial | undefined;

  /** Throws where there is no certificate, or are no authorities, to begin with. */
  constructor(options: TlsFrontOptions) {
    this.options = options;
    const { credentials, certificate, clientCa } = options.tls;
    this.cancelUse = credentials.use({
      certificates: [certificate],
      authorities: clientCa === undefined ? [] : [clientCa],
      usedBy: 'ADS',
      onChange: () => this.renew(),
    });
    try {
      const missing = this.take();
      if (missing !== undefined) throw new Error(missing);
      const requestCert = clientCa !== undefined;
      this.server = createServer({
        ...this.contextOptions(),
        requestCert,
        rejectUnauthorized: requestCert,
        ALPNProtocols: ['h2'],
      });
    } catch (error) {
      this.cancelUse();
      throw error;
    }
    this.server.on('secureConnection', (socket) => this.onSecure(socket));
    this.server.on('tlsClientError', (error, socket) => {
      this.options.onFailure(failureOf(error, socket), peerOf(socket));
    });
  }

  /** Begins the handshake of a connection whose bytes nobody has taken. The caller bounds its time. */
  accept(raw: Socket): void {
    this.server.emit('connection', raw);
  }

  /** What is in force stays in force. */
  stop(): void {
    this.cancelUse();
  }

  private onSecure(socket: TLSSocket): void {
    socket.on('error', () => socket.destroy());
    if (socket.alpnProtocol === 'h2') {
      this.options.onSecure(socket);
      return;
    }
    const peer = peerOf(socket);
    socket.destroy();
    this.options.onFailure('it does not offer HTTP/2 by ALPN, which gRPC needs: use a gRPC client', peer);
  }

  /** Takes what the store has now; says why where something is missing. */
  private take(): string | undefined {
    const { credentials, certificate, clientCa } = this.options.tls;
    const pair = credentials.certificate(certificate);
    const trusted =
      clientCa === undefined || clientCa.kind === 'system' ? undefined : credentials.authorities(clientCa);
    if (pair.material === undefined) return pair.error;
    if (trusted !== undefined && trusted.material === undefined) return trusted.error;
    this.certificate = pair.material;
    this.authorities = trusted?.material;
    return undefined;
  }

  private renew(): void {
    const { logger } = this.options;
    const before = [this.certificate, this.authorities] as const;
    if (this.take() !== undefined) return;
    if (this.certificate === before[0] && this.authorities === before[1]) return;
    try {
      this.server.setSecureContext(this.contextOptions());
    } catch (error) {
      // Checked before, so this is about both together; what is in force stays.
      [this.certificate, this.authorities] = before;
      logger.log('error', { error: String(error) }, 'the new certificate of the ADS port is not used');
      return;
    }
    const { fingerprint, notAfterMs } = this.certificate?.info ?? {};
    const notAfter = notAfterMs === undefined ? undefined : new Date(notAfterMs).toISOString();
    logger.log('info', { fingerprint, notAfter }, 'the ADS port has a new certificate or new authorities');
  }

  private contextOptions(): SecureContextOptions {
    const { certificate, authorities } = this;
    return {
      ...TLS_PARAMETERS,
      secureOptions: SECURE_OPTIONS,
      ...(certificate === undefined ? {} : { cert: certificate.certificatePem, key: certificate.key.reveal() }),
      ...(authorities === undefined ? {} : { ca: authorities.pem }),
    };
  }
}

/**
 * Address of the other end. A socket that is closed knows it no more; the one that was accepted below it still does,
 * since it was asked before. Only for the log, so that a Node that keeps that one elsewhere costs an address there.
 */
function peerOf(socket: TLSSocket): string | undefined {
  return socket.remoteAddress ?? (socket as { _parent?: Socket })._parent?.remoteAddress;
}

/** OpenSSL's words for the commonest faults, in ours. */
const FAILURES: Readonly<Record<string, string>> = {
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE:
    'it shows no certificate: start the sidecar with --control-cert and --control-key',
  ERR_SSL_NO_APPLICATION_PROTOCOL: 'it does not offer HTTP/2 by ALPN, which gRPC needs: use a gRPC client',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'it speaks no TLS 1.2 or 1.3',
  ERR_SSL_NO_SHARED_CIPHER: 'it knows none of the cipher suites that are allowed here',
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA:
    "it doesn't trust the certificate of --ads-cert: start the sidecar with --control-ca and its authority",
};

function failureOf(error: NodeJS.ErrnoException, socket: TLSSocket): string {
  // Node ends a caller that isn't verified with a plain reset; the verdict stands on the socket.
  const verdict: unknown = socket.authorizationError;
  if (typeof verdict === 'string') return `its certificate is not accepted: ${verdictOf(verdict).text}`;
  const code = error.code ?? '';
  if (code === 'ECONNRESET') {
    return 'it left before it was done; a sidecar that does not accept the certificate of --ads-cert does: its log says whether --control-ca, a name or a date is wrong';
  }
  return FAILURES[code] ?? `OpenSSL says ${code === '' ? 'nothing more' : code}`;
}
