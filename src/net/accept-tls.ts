// From an accepted socket to a TLS connection: the first byte tells whether the caller speaks TLS at all, then Node does
// the handshake.
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { handshakeProblem } from './handshake-problem.ts';
import { SocketTransport } from './socket-transport.ts';
import { tlsFacts, verdict } from './tls-facts.ts';
import { readInto } from './user-buffer.ts';
import { HANDSHAKE_RECORD, type TlsAcceptor, type TlsRefusal } from './tls.ts';
import type { NetContext, Transport, TransportHandler } from './transport.ts';

/** What becomes of an accepted connection that is to speak TLS. */
export interface HandshakeHandler extends TransportHandler {
  /** The handshake is done and the caller may pass. */
  attach(transport: Transport): void;
  /** The caller speaks no TLS. `transport` is the plain connection, what the caller sent is thrown away; the handler ends it. */
  attachPlaintext(transport: Transport): void;
  /** There is no connection: why not, for the log. onClose follows. Not called where the caller just went away. */
  onHandshakeRefused(refusal: TlsRefusal, remoteAddress: string): void;
}

/** Takes `raw`, which nobody reads yet, through the handshake. The returned function gives it up. */
export function acceptTls(
  raw: Socket,
  acceptor: TlsAcceptor,
  handshakeMs: number,
  handler: HandshakeHandler,
  context: NetContext,
): () => void {
  const remoteAddress = raw.remoteAddress ?? '';
  let settled = false;
  let refusal: TlsRefusal | undefined;
  const stopTimer = context.clock.after(handshakeMs, () => {
    refusal = { kind: 'tls_handshake_failure', detail: `it was not done after ${handshakeMs / 1000} s` };
    raw.destroy();
  });
  /** Whatever ends the connection before it is handed on ends here, once. */
  const fail = (cause: TlsRefusal | undefined): void => {
    if (settled) return;
    settled = true;
    stopTimer();
    raw.destroy();
    context.clock.refresh();
    const told = refusal ?? cause;
    if (told) handler.onHandshakeRefused(told, remoteAddress);
    handler.onClose(undefined);
  };
  raw.on('error', () => undefined); // `close` follows
  const onClose = (): void => fail(undefined);
  const onEnd = (): unknown => raw.destroy();
  raw.once('close', onClose);
  raw.once('end', onEnd);
  raw.once('data', (first: Buffer) => {
    if (settled) return;
    raw.removeListener('end', onEnd);
    raw.pause();
    if (first[0] !== HANDSHAKE_RECORD) {
      settled = true;
      stopTimer();
      raw.removeListener('close', onClose);
      const transport = new SocketTransport(raw, handler, context);
      raw.on('data', (bytes: Buffer) => transport.read(bytes, bytes.length));
      transport.run(() => handler.attachPlaintext(transport));
      raw.resume();
      return;
    }
    const secureContext = acceptor.context;
    if (secureContext === undefined) {
      fail({ kind: 'tls_handshake_failure', detail: acceptor.error });
      return;
    }
    raw.unshift(first);
    const { contextFor } = acceptor;
    const socket = new TLSSocket(raw, {
      isServer: true,
      secureContext,
      ALPNProtocols: [...acceptor.alpn],
      requestCert: acceptor.requestsCertificate,
      rejectUnauthorized: acceptor.requiresCertificate,
      ...(contextFor ? { SNICallback: (name, done) => done(null, contextFor(name)) } : {}),
    });
    const onError = (error: NodeJS.ErrnoException): void =>
      fail({ kind: 'tls_handshake_failure', detail: handshakeProblem(error, 'server') });
    socket.on('error', onError);
    socket.once('close', onClose);
    // A FIN in the middle shows only where somebody reads. Nothing is lost: data comes after 'secure'.
    socket.once('end', onEnd);
    socket.resume();
    socket.once('secure', () => {
      if (settled) return;
      const facts = tlsFacts(socket);
      const refused = verdict(() => acceptor.refusal(facts, verifyCode(socket)), context.logger);
      if (refused) {
        fail(refused);
        return;
      }
      settled = true;
      stopTimer();
      // Only our own: Node closes the TLS socket when the one below it closes.
      raw.removeListener('close', onClose);
      socket.removeListener('close', onClose);
      socket.removeListener('end', onEnd);
      socket.removeListener('error', onError);
      const transport = new SocketTransport(socket, handler, context, { raw, facts });
      // Of what goes wrong from here on Node tells only whoever took the socket from a `tls.Server`: to others it says
      // '_tlsError', and the connection would stay open with nothing to be read from it.
      socket.on('_tlsError', (error: Error) => socket.destroy(error));
      readInto(socket, transport);
      transport.run(() => handler.attach(transport));
    });
  });
  raw.resume();
  return () => raw.destroy();
}

/**
 * OpenSSL's verdict on the caller's chain. Node gives it to `tls.Server` only; without one it is asked for at the place
 * where that server asks. If a version of Node had it elsewhere, nobody would pass.
 */
function verifyCode(socket: TLSSocket): string | undefined {
  const { ssl } = socket as unknown as { ssl?: { verifyError?: () => (Error & { code?: string }) | null | undefined } };
  if (typeof ssl?.verifyError !== 'function') return 'UNKNOWN';
  const error = ssl.verifyError();
  return error ? (error.code ?? error.message) : undefined;
}
