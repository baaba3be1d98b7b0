import { connect, type TLSSocket } from 'node:tls';
import type { TlsConnector } from './tls.ts';

/**
 * A TLS connection for those who need Node's own socket. The handshake is a full one, no session is resumed, and it
 * verifies nothing: `connector.refusal` must be asked at 'secureConnect', before anything is sent.
 */
export function openTlsSocket(address: string, port: number, connector: TlsConnector): TLSSocket {
  return connect({
    host: address,
    port,
    secureContext: connector.context,
    servername: connector.serverName,
    ALPNProtocols: [...connector.alpn],
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined, // `authorized` then speaks of the chain alone
  });
}
