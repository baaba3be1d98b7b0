import { connect as connectSocket } from 'node:net';
import { READ_BUFFER, SocketTransport } from './socket-transport.ts';
import type { NetContext, Transport, TransportHandler } from './transport.ts';

/** What became of a connect. Exactly one is called. */
export interface ConnectHandler extends TransportHandler {
  onConnect(transport: Transport): void;
  /** `code` is Node's error code (`ECONNREFUSED`…), `ETIMEDOUT` also for our own timeout. */
  onConnectError(code: string): void;
}

/** Opens a connection; `cancel` gives it up silently while it is still opening. */
export function connect(
  address: string,
  port: number,
  timeoutMs: number,
  handler: ConnectHandler,
  context: NetContext,
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
    onread: {
      buffer: READ_BUFFER,
      callback: (length: number, bytes: Uint8Array) => {
        transport!.read(bytes as Buffer, length);
        return true;
      },
    },
  });
  const fail = (code: string): void => {
    if (settled) return;
    settled = true;
    stopTimer();
    socket.destroy();
    context.clock.refresh();
    handler.onConnectError(code);
  };
  const onError = (error: NodeJS.ErrnoException): void => fail(error.code ?? error.message);
  socket.on('error', onError);
  const stopTimer = context.clock.after(timeoutMs, () => fail('ETIMEDOUT'));
  socket.once('connect', () => {
    if (settled) return;
    settled = true;
    stopTimer();
    socket.removeListener('error', onError);
    context.clock.refresh();
    transport = new SocketTransport(socket, handler, context);
    handler.onConnect(transport);
  });
  return {
    cancel() {
      settled = true;
      stopTimer();
      socket.destroy();
    },
  };
}
