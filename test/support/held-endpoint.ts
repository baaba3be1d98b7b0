// An endpoint that answers a call when the test says so, and one picture of which calls are where.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** An HTTP/1 endpoint. */
export interface HeldEndpoint {
  readonly port: number;
  /** Calls that wait for their answer, in the order in which they came. */
  readonly held: readonly ServerResponse[];
  /** Calls that came so far. */
  readonly calls: number;
  /** Answers the oldest held call, or all of them. */
  answer(all?: boolean): void;
  close(): void;
}

/** Starts one; its answers are 200 with its own port. `holds`: which calls wait; the others are answered at once. */
export async function startHeldEndpoint(
  holds: (request: IncomingMessage) => boolean = () => true,
): Promise<HeldEndpoint> {
  const held: ServerResponse[] = [];
  let calls = 0;
  const server = createServer((request, response) => {
    calls++;
    if (!holds(request)) return void response.end(String(port));
    held.push(response);
    response.on('close', () => {
      const at = held.indexOf(response);
      if (at >= 0) held.splice(at, 1);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    held,
    get calls() {
      return calls;
    },
    answer(all = false) {
      for (const response of all ? held.splice(0) : held.splice(0, 1)) response.end(String(port));
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
