import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import type { TlsConnector } from './tls.ts';

/** What every TLS connection is opened with. It verifies nothing: the connector judges, with more to go by than a name. */
export function connectOptions(connector: TlsConnector): ConnectionOptions {
  return {
    secureContext: connector.context,
    servername: connector.serverName,
    ALPNProtocols: [...connector.alpn],
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined, // `authorized` then speaks of the chain alone
  };
}

/**
 * A TLS connection for those who need Node's own socket. The handshake is a full one, no session is resumed;
 * `connector.refusal` must be asked at 'secureConnect', before anything is sent.
 */
export function openTlsSocket(address: string, port: number, connector: TlsConnector): TLSSocket {
  return connect({ ...connectOptions(connector), host: address, port });
}
