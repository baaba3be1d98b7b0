// HTTP/2 written by hand over real sockets, as a client that attacks a listener and as a server that attacks through an
// endpoint. Frames are built and read by h2-peer.ts; here are the socket, the preface, and what the peer is told.
import { connect, type Socket } from 'node:net';
import { H2Peer, PREFACE, settings, SETTINGS_ACK, type SeenFrame } from './h2-peer.ts';
import type { MemoryTransport } from './memory-transport.ts';
import { startRawServer } from './raw-server.ts';

const NO_BYTES: Buffer = Buffer.alloc(0);

/** A GOAWAY as it came. */
export interface Goodbye {
  readonly code: number;
  readonly detail: string;
}

/** One end of a connection, of either role. */
export class RawH2Connection {
  readonly socket: Socket;
  /** Frames that came, by type. */
  readonly counts = new Map<string, number>();
  /** Streams that the peer reset, with the codes. */
  readonly resets = new Map<number, number>();
  /** The last GOAWAY. */
  goodbye: Goodbye | undefined = undefined;
  /** FIN came, or the connection broke. */
  ended = false;
  /** Resolves then. */
  readonly whenEnded: Promise<void>;
  /** Hears each frame but the peer's SETTINGS, which are acknowledged here. */
  onFrame: (frame: SeenFrame) => void = () => undefined;
  private readonly peer: H2Peer;
  private prefaceLeft: number;
  private arrived: Buffer = NO_BYTES;

  constructor(role: 'client' | 'server', socket: Socket) {
    this.socket = socket;
    this.prefaceLeft = role === 'server' ? PREFACE.length : 0;
    const wire = { take: (): Buffer => this.takeArrived(), feed: (bytes: Uint8Array) => this.send(bytes) };
    this.peer = new H2Peer(wire as unknown as MemoryTransport);
    this.whenEnded = new Promise((resolve) => {
      const end = (): void => {
        this.ended = true;
        resolve();
      };
      socket.on('error', end).on('close', end).on('end', end);
    });
    socket.setNoDelay(true).on('data', (bytes) => this.onBytes(bytes));
  }

  /** How many frames of a type came. */
  seen(type: string): number {
    return this.counts.get(type) ?? 0;
  }

  send(...frames: Uint8Array[]): void {
    if (!this.ended && this.socket.writable) this.socket.write(Buffer.concat(frames));
  }

  /** Bytes that the kernel hasn't taken: the peer doesn't read. */
  get unsentBytes(): number {
    return this.socket.writableLength;
  }

  /** What the peer sends stays in the kernel. */
  stopReading(): void {
    this.socket.pause();
  }

  readOn(): void {
    this.socket.resume();
  }

  destroy(): void {
    this.socket.destroy();
  }

  private takeArrived(): Buffer {
    const bytes = this.arrived;
    this.arrived = NO_BYTES;
    return bytes;
  }

  private onBytes(bytes: Buffer): void {
    const skipped = Math.min(this.prefaceLeft, bytes.length);
    this.prefaceLeft -= skipped;
    this.arrived = bytes.subarray(skipped);
    for (const frame of this.peer.take()) this.onSeen(frame);
  }

  private onSeen(frame: SeenFrame): void {
    this.counts.set(frame.type, this.seen(frame.type) + 1);
    if (frame.type === 'SETTINGS') {
      if ((frame.flags & 1) === 0) this.send(SETTINGS_ACK);
      return;
    }
    if (frame.type === 'RST_STREAM') this.resets.set(frame.id, frame.payload.readUInt32BE(0));
    if (frame.type === 'GOAWAY') {
      this.goodbye = { code: frame.payload.readUInt32BE(4), detail: frame.payload.toString('latin1', 8) };
    }
    this.onFrame(frame);
  }
}

/** Connects to a port of loopback and sends preface and SETTINGS; `pairs` are identifier, value, identifier, value… */
export async function connectRawH2(port: number, pairs: readonly number[] = []): Promise<RawH2Connection> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  const connection = new RawH2Connection('client', socket);
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  connection.send(PREFACE, settings(...pairs));
  return connection;
}

export interface RawH2Server {
  readonly port: number;
  /** Accepted so far. */
  readonly connections: readonly RawH2Connection[];
  close(): void;
}

/** A server on a free port that sends SETTINGS; `onConnection` does the rest, mostly by setting `onFrame`. */
export async function startRawH2Server(
  onConnection: (connection: RawH2Connection) => void,
  pairs: readonly number[] = [],
): Promise<RawH2Server> {
  const connections: RawH2Connection[] = [];
  const server = await startRawServer((socket) => {
    const connection = new RawH2Connection('server', socket);
    connections.push(connection);
    connection.send(settings(...pairs));
    onConnection(connection);
  });
  return { port: server.port, connections, close: () => server.close() };
}
