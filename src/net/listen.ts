// Listening sockets. An accepted socket takes Node's `onread` (one shared read buffer, no slab per read) only when it
// is made anew around its handle; that isn't a documented way, so it is tried once at start-up and `data` events are the
// fall-back. Worth 1.5 µs a request (bench h1-small).
import { createServer, Socket, type Server } from 'node:net';
import { acceptTls, type HandshakeHandler } from './accept-tls.ts';
import { plainAddress, READ_BUFFER, SocketTransport } from './socket-transport.ts';
import type { TlsAcceptor } from './tls.ts';
import type { NetContext, Transport, TransportHandler } from './transport.ts';

/** A bound port. */
export interface BoundListener {
  /** The address as bound. */
  readonly address: string;
  readonly port: number;
  /** Stops accepting; open connections stay. */
  close(): void;
}

/** The handler of a new connection; it gets its transport through `attach`. */
export interface AcceptHandler extends HandshakeHandler {
  /** There will be a transport once the TLS handshake is done; `abort` gives it up, and onClose follows. */
  onHandshake(abort: () => void): void;
}

/** Hears of a connection that is only to be told that it isn't served, in plaintext. */
export interface SurplusHandler extends TransportHandler {
  attach(transport: Transport): void;
}

/** Decides what becomes of new connections. */
export interface ListenOwner {
  /** The handler of a new connection; undefined where there are too many: `refuse` follows. */
  accept(): AcceptHandler | undefined;
  /** One too many came. Undefined: it is closed at once, as it is always on a port that speaks TLS (`secure`). */
  refuse(remoteAddress: string, secure: boolean): SurplusHandler | undefined;
}

/** TLS for the connections of a listener; asked for each, so that it may change while the port is bound. */
export interface ListenTls {
  /** Undefined: plaintext. */
  readonly acceptor: TlsAcceptor | undefined;
  /** Longest handshake, ms. */
  readonly handshakeMs: number;
}

const PLAINTEXT: ListenTls = { acceptor: undefined, handshakeMs: 0 };

/**
 * Binds `address`:`port` (0: a free one). `owner` is asked for each connection. Rejects with Node's error when the port
 * can't be bound; `describeBindError` says it in words.
 */
export function listen(
  address: string,
  port: number,
  owner: ListenOwner,
  context: NetContext,
  tls: ListenTls = PLAINTEXT,
): Promise<BoundListener> {
  return new Promise((resolve, reject) => {
    const server: Server = createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000, pauseOnConnect: true },
      (accepted) => {
        const handler = owner.accept();
        const { acceptor, handshakeMs } = tls;
        if (!handler) {
          context.clock.refresh();
          const surplus = owner.refuse(plainAddress(accepted.remoteAddress), acceptor !== undefined);
          if (surplus && !acceptor) attach(accepted, surplus, context);
          else accepted.on('error', () => undefined).resetAndDestroy();
        } else if (acceptor) handler.onHandshake(acceptTls(accepted, acceptor, handshakeMs, handler, context));
        else attach(accepted, handler, context);
      },
    );
    server.once('error', reject);
    server.listen({ host: address, port, backlog: 1024 }, () => {
      server.removeListener('error', reject);
      server.on('error', (error) => context.logger.log('error', { err: error, address, port }, 'listener failed'));
      const bound = server.address();
      if (bound === null || typeof bound === 'string') return reject(new Error('no address'));
      resolve({ address: bound.address, port: bound.port, close: () => server.close() });
    });
  });
}

/** A bind error as one clear line. */
export function describeBindError(error: NodeJS.ErrnoException, address: string, port: number): string {
  const where = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  if (error.code === 'EADDRINUSE') return `${where} is already in use`;
  if (error.code === 'EADDRNOTAVAIL') return `${where}: this machine doesn't have that address`;
  if (error.code === 'EACCES') return `${where}: not permitted (ports below 1024 need a privilege)`;
  return `${where}: ${error.code ?? error.message}`;
}

interface HandleSocket {
  _handle: Record<symbol, unknown> | null;
}

let ownerSymbol: symbol | undefined | 'unavailable';

function attach(accepted: Socket, handler: SurplusHandler, context: NetContext): void {
  const transport = adopt(accepted, handler, context);
  transport.run(() => handler.attach(transport));
}

function adopt(accepted: Socket, handler: TransportHandler, context: NetContext): SocketTransport {
  const inner = accepted as unknown as HandleSocket;
  const handle = inner._handle;
  if (ownerSymbol === undefined) {
    ownerSymbol =
      (handle && Object.getOwnPropertySymbols(handle).find((s) => s.description === 'owner_symbol')) ?? 'unavailable';
  }
  if (ownerSymbol === 'unavailable' || !handle) return onData(accepted, handler, context);
  inner._handle = null;
  let transport: SocketTransport | undefined;
  const socket = new Socket({
    handle,
    allowHalfOpen: true,
    onread: {
      // Asked at once, before there is a transport, and then after each read.
      buffer: () => (transport ? transport.nextReadBuffer() : READ_BUFFER),
      callback: (length: number, bytes: Buffer) => {
        transport!.read(bytes, length);
        return true;
      },
    },
  } as unknown as ConstructorParameters<typeof Socket>[0]);
  handle[ownerSymbol] = socket;
  transport = new SocketTransport(socket, handler, context);
  socket.resume();
  return transport;
}

function onData(socket: Socket, handler: TransportHandler, context: NetContext): SocketTransport {
  const transport = new SocketTransport(socket, handler, context);
  socket.on('data', (bytes: Buffer) => transport.read(bytes, bytes.length));
  socket.resume();
  return transport;
}

/** Whether `address`:`port` could be bound right now. */
export function isFree(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: address, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
