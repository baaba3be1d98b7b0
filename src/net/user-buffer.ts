// Reads of a socket into a buffer of ours: Node's `onread`, which is an option of sockets that connect. For others, accepted
// ones and those that speak TLS, what that option sets is set here. That isn't a documented way, so what it needs is
// looked for on the first socket, and `data` events are the fall-back. Guarded by the bench (tls-h1).
import type { Socket } from 'node:net';
import { READ_BUFFER, type SocketTransport } from './socket-transport.ts';

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
  const fields = socket as unknown as Record<symbol, unknown>;
  fields[places.buffer] = READ_BUFFER;
  fields[places.callback] = (length: number, bytes: Buffer): boolean => {
    transport.read(bytes, length);
    return true;
  };
  fields[places.generate] = (): Buffer | undefined => transport.nextReadBuffer();
  handle.useUserBuffer(READ_BUFFER);
}

function findPlaces(socket: Socket): Places | 'unknown' {
  const symbols = Object.getOwnPropertySymbols(socket);
  const [buffer, callback, generate] = ['kBuffer', 'kBufferCb', 'kBufferGen'].map((name) =>
    symbols.find(({ description }) => description === name),
  );
  return buffer && callback && generate ? { buffer, callback, generate } : 'unknown';
}
