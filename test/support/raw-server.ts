// A TCP server whose every connection is a script: for peers that misbehave.
import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

export interface RawServer {
  readonly port: number;
  /** Connections accepted so far. */
  readonly connections: Socket[];
  close(): void;
}

/** Starts one on a free port; `onConnection` gets each socket and its number, from 0. */
export async function startRawServer(onConnection: (socket: Socket, index: number) => void): Promise<RawServer> {
  const connections: Socket[] = [];
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    connections.push(socket);
    onConnection(socket, connections.length - 1);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    connections,
    close() {
      server.close();
      for (const socket of connections) socket.destroy();
    },
  };
}

/** A port of loopback that refuses connections. */
export async function closedPort(): Promise<number> {
  const server = await startRawServer(() => undefined);
  server.close();
  return server.port;
}
