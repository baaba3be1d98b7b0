import type { TLSSocket } from 'node:tls';
import type { TlsFacts } from './transport.ts';

/**
 * What a finished handshake settled. Asked once for a connection: on the connecting side Node gives the certificate to the
 * first who asks, and none to the next.
 */
export function tlsFacts(socket: TLSSocket): TlsFacts {
  return {
    alpn: typeof socket.alpnProtocol === 'string' ? socket.alpnProtocol : '',
    version: socket.getProtocol() ?? '',
    resumed: socket.isSessionReused(),
    certificate: socket.getPeerX509Certificate(),
  };
}

/** OpenSSL's verdict on the endpoint's chain, where we connect; undefined: it is good. */
export function connectVerifyCode(socket: TLSSocket): string | undefined {
  // Node gives the code, whatever its types say.
  return socket.authorized ? undefined : String(socket.authorizationError);
}
