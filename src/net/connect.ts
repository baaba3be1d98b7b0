import { connect as connectSocket, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ErrorKind } from '../base/error.ts';
import { handshakeProblem } from './handshake-problem.ts';
import { SocketTransport } from './socket-transport.ts';
import { connectVerifyCode, tlsFacts, verdict } from './tls-facts.ts';
import type { TlsConnector } from './tls.ts';
import { connectOptions } from './tls-socket.ts';
import type { NetContext, Transport, TransportHandler } from './transport.ts';
import { onRead, readInto } from './user-buffer.ts';

/** The endpoint says by an alert that it has no certificate for the name that it was asked for (RFC 6066 section 3). */
const NAME_REFUSED = 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME';

/** What this machine, not the endpoint, is out of. */
const EXHAUSTED: Readonly<Record<string, string>> = {
  EMFILE: 'EMFILE: this process has no file descriptor left (ulimit -n)',
  ENFILE: 'ENFILE: this machine has no file descriptor left',
  EADDRNOTAVAIL: 'EADDRNOTAVAIL: this machine has no local port left for that endpoint, or no such address',
};

/** What became of a connect. Exactly one is called. */
export interface ConnectHandler extends TransportHandler {
  onConnect(transport: Transport): void;
  /** `kind` is one of the kinds of failed connects; `detail` says what happened, Node's code (`ECONNREFUSED`) or words. */
  onConnectError(kind: ErrorKind, detail: string): void;
}

/**
 * Opens a connection, over TLS where there is a connector; `timeoutMs` includes the handshake. `cancel` gives it up
 * silently while it is still opening.
 */
export function connect(
  address: string,
  port: number,
  timeoutMs: number,
  handler: ConnectHandler,
  context: NetContext,
  connector?: TlsConnector,
): { cancel(): void } {
  let settled = false;
  let transport: SocketTransport | undefined;
  const socket = connectSocket({
    host: address,
    port,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
    allowHalfOpen: true,
    ...(connector ? {} : { onread: onRead(() => transport) }),
  });
  const fail = (kind: ErrorKind, detail: string): void => {
    if (settled) return;
    settled = true;
    stopTimer();
    socket.destroy();
    context.clock.refresh();
    handler.onConnectError(kind, detail);
  };
  const onError = (error: NodeJS.ErrnoException): void => {
    const code = error.code ?? error.message;
    fail(code === 'ETIMEDOUT' ? 'connect_timeout' : 'connect_failure', EXHAUSTED[code] ?? code);
  };
  socket.on('error', onError);
  const stopTimer = context.clock.after(timeoutMs, () =>
    fail('connect_timeout', socket.connecting ? 'ETIMEDOUT' : 'the endpoint left the TLS handshake unfinished'),
  );
  const succeed = (made: SocketTransport): void => {
    settled = true;
    stopTimer();
    socket.removeListener('error', onError);
    made.run(() => handler.onConnect(made));
  };
  socket.once('connect', () => {
    if (settled) return;
    if (connector) {
      socket.removeListener('error', onError);
      socket.on('error', () => undefined); // the TLS socket tells
      handshake(socket, connector, context, handler, fail, succeed);
    } else succeed((transport = new SocketTransport(socket, handler, context)));
  });
  return {
    cancel() {
      settled = true;
      stopTimer();
      socket.destroy();
    },
  };
}

function handshake(
  raw: Socket,
  connector: TlsConnector,
  context: NetContext,
  handler: TransportHandler,
  fail: (kind: ErrorKind, detail: string) => void,
  succeed: (made: SocketTransport) => void,
): void {
  const socket = connectTls({ ...connectOptions(connector), socket: raw, session: connector.session });
  const onError = (error: NodeJS.ErrnoException): void => {
    connector.forgetSession();
    fail(
      error.code === NAME_REFUSED ? 'upstream_certificate_name_mismatch' : 'upstream_tls_failure',
      handshakeProblem(error, 'client'),
    );
  };
  const onClose = (): void => {
    connector.forgetSession();
    fail('upstream_tls_failure', 'the connection was closed during the handshake');
  };
  socket.on('error', onError);
  socket.once('close', onClose);
  socket.on('session', (session: Buffer) => connector.keepSession(session));
  socket.once('secureConnect', () => {
    const facts = tlsFacts(socket);
    const refusal = verdict(() => connector.refusal(facts, connectVerifyCode(socket)), context.logger);
    if (refusal) return fail(refusal.kind, refusal.detail);
    socket.removeListener('error', onError);
    socket.removeListener('close', onClose);
    const transport = new SocketTransport(socket, handler, context, { raw, facts });
    // Read from the next turn on, as without TLS: the new handler is set by then.
    readInto(socket, transport);
    succeed(transport);
  });
}
