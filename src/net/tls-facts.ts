import type { TLSSocket } from 'node:tls';
import type { Logger } from '../base/log.ts';
import type { TlsRefusal } from './tls.ts';
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

/** What `judge` says of a connection. If it throws, which is a bug, that connection is refused and no other harmed. */
export function verdict(judge: () => TlsRefusal | undefined, logger: Logger): TlsRefusal | undefined {
  try {
    return judge();
  } catch (error) {
    logger.log('error', { err: error }, 'connection refused by a bug');
    return { kind: 'internal', detail: 'its certificate could not be judged' };
  }
}
