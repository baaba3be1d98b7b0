// Reads of a socket into a buffer of ours: Node's `onread`, which is an option of sockets of TCP. For those that speak TLS
// what that option sets is set here. That isn't a documented way, so what it needs is looked for on the first socket, and
// `data` events are the fall-back. Guarded by the bench (h1-small, tls-h1).
import type { Socket } from 'node:net';
import { READ_BUFFER, type SocketTransport } from './socket-transport.ts';

/** Node's option. */
export interface OnRead {
  /** Asked as the socket is made, and after each read; undefined: the one of before. */
  buffer(): Uint8Array;
  callback(length: number, bytes: Uint8Array): boolean;
}

/** The option for a socket that reads to `transport`, which is made around that socket. */
export function onRead(transport: () => SocketTransport | undefined): OnRead {
  return {
    buffer: () => {
      const reader = transport();
      return (reader ? reader.nextReadBuffer() : READ_BUFFER) as Uint8Array; // Node's types know no undefined
    },
    callback: (length, bytes) => {
      transport()!.read(bytes as Buffer, length);
      return true;
    },
  };
}

/** Where a socket of Node's keeps its buffer, who hears of what is in it, and who says where the next read goes. */
interface Places {
  readonly buffer: symbol;
  readonly callback: symbol;
  readonly generate: symbol;
}

let places: Places | 'unknown' | undefined;

/** From now on what `socket` reads goes to `transport`. */
export function readInto(socket: Socket, transport: SocketTransport): void {
  places ??= findPlaces(socket);
  const { _handle: handle } = socket as unknown as { _handle?: { useUserBuffer?: (buffer: Buffer) => void } | null };
  // What Node has read already, it tells as `data`.
  if (places === 'unknown' || typeof handle?.useUserBuffer !== 'function' || socket.readableLength > 0) {
    socket.on('data', (bytes: Buffer) => transport.read(bytes, bytes.length));
    return;
  }
  const { buffer, callback } = onRead(() => transport);
  const fields = socket as unknown as Record<symbol, unknown>;
  fields[places.buffer] = READ_BUFFER;
  fields[places.callback] = callback;
  fields[places.generate] = buffer;
  handle.useUserBuffer(READ_BUFFER);
}

function findPlaces(socket: Socket): Places | 'unknown' {
  const symbols = Object.getOwnPropertySymbols(socket);
  const [buffer, callback, generate] = ['kBuffer', 'kBufferCb', 'kBufferGen'].map((name) =>
    symbols.find(({ description }) => description === name),
  );
  return buffer && callback && generate ? { buffer, callback, generate } : 'unknown';
}
