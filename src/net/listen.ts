// Listening sockets. An accepted socket takes Node's `onread` (one shared read buffer, no slab per read) only when it is
// made around its handle with that option, which Node's server doesn't do. So plaintext connections are taken where
// that server takes them, one step before it makes a socket of its own. That isn't a documented way: where it isn't
// there, and under TLS, Node's sockets and their `data` events are taken. Worth 1.5 µs a request (bench h1-small) and a
// second socket for each connection (bench churn).
import { createServer, Socket, type Server, type SocketConstructorOpts } from 'node:net';
import { acceptTls, type HandshakeHandler } from './accept-tls.ts';
import { plainAddress, SocketTransport } from './socket-transport.ts';
import type { TlsAcceptor } from './tls.ts';
import type { NetContext, Transport, TransportHandler } from './transport.ts';
import { type OnRead, onRead } from './user-buffer.ts';

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

/** Of each connection. */
const SOCKET_OPTIONS = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 };

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
      { ...SOCKET_OPTIONS, allowHalfOpen: true, pauseOnConnect: true },
      (accepted) => {
        const handler = owner.accept();
        const { acceptor, handshakeMs } = tls;
        if (!handler) refuse(accepted, owner, acceptor !== undefined, context);
        else if (acceptor) handler.onHandshake(acceptTls(accepted, acceptor, handshakeMs, handler, context));
        else attach(onData(accepted, handler, context), handler);
      },
    );
    server.once('error', reject);
    server.listen({ host: address, port, backlog: 1024 }, () => {
      server.removeListener('error', reject);
      server.on('error', (error) => context.logger.log('error', { err: error, address, port }, 'listener failed'));
      const bound = server.address();
      if (bound === null || typeof bound === 'string') return reject(new Error('no address'));
      takeHandles(server, owner, context, tls);
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

/** A handle of Node's as far as it is used here. Undocumented: each member is looked for. */
interface TcpHandle {
  /** Called by Node's own code with each connection of a listening handle. */
  onconnection?: (this: TcpHandle, error: number, accepted: TcpHandle | undefined) => void;
  /** Takes the buffer of `onread`. */
  useUserBuffer?: unknown;
  setNoDelay?: (on: boolean) => unknown;
  setKeepAlive?: (on: boolean, delayS: number) => unknown;
}

/** Takes plaintext connections before Node's server makes a socket of each, where this Node allows it. */
function takeHandles(server: Server, owner: ListenOwner, context: NetContext, tls: ListenTls): void {
  const listening = (server as unknown as { _handle?: TcpHandle | null })._handle;
  const makeSocket = listening?.onconnection;
  if (!listening || typeof makeSocket !== 'function') return;
  // Linux gives accepted sockets the options of the listening one; elsewhere each is told: five system calls.
  const inherits = process.platform === 'linux' && setOptions(listening);
  listening.onconnection = (error, handle) => {
    if (error !== 0 || tls.acceptor || !handle?.useUserBuffer || !(inherits || setOptions(handle))) {
      makeSocket.call(listening, error, handle);
      return;
    }
    const handler = owner.accept();
    if (handler) attach(around(handle, handler, context), handler);
    else refuse(new Socket(socketOptions({ handle, allowHalfOpen: true, pauseOnCreate: true })), owner, false, context);
  };
}

/** False where Node's server must do it. */
function setOptions(handle: TcpHandle): boolean {
  if (typeof handle.setNoDelay !== 'function' || typeof handle.setKeepAlive !== 'function') return false;
  handle.setNoDelay(true);
  handle.setKeepAlive(true, SOCKET_OPTIONS.keepAliveInitialDelay / 1000);
  return true;
}

/** These options are missing in Node's types. */
function socketOptions(
  options: SocketConstructorOpts & { handle: TcpHandle; pauseOnCreate?: boolean; onread?: OnRead },
): SocketConstructorOpts {
  return options;
}

function refuse(accepted: Socket, owner: ListenOwner, secure: boolean, context: NetContext): void {
  context.clock.refresh();
  const surplus = owner.refuse(plainAddress(accepted.remoteAddress), secure);
  if (surplus && !secure) attach(onData(accepted, surplus, context), surplus);
  else accepted.on('error', () => undefined).resetAndDestroy();
}

function attach(transport: SocketTransport, handler: SurplusHandler): void {
  transport.run(() => handler.attach(transport));
}

function around(handle: TcpHandle, handler: TransportHandler, context: NetContext): SocketTransport {
  let transport: SocketTransport | undefined;
  const socket = new Socket(socketOptions({ handle, allowHalfOpen: true, onread: onRead(() => transport) }));
  transport = new SocketTransport(socket, handler, context);
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
