import { connect, createServer } from 'node:net';
import type { Child } from './child.ts';

/** How long a program may take until it serves. */
const READY_TIMEOUT_MS = 30_000;
const POLL_MS = 2;

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening, failed) => {
    server.once('error', failed);
    server.listen(0, '127.0.0.1', listening);
  });
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  if (address === null || typeof address === 'string') throw new Error('a TCP server has no port');
  return address.port;
}

/** Waits until the child accepts connections on a port of 127.0.0.1. */
export async function awaitPort(child: Child, name: string, port: number): Promise<void> {
  await poll(child, name, () => accepts(port));
}

/** Waits for a whole line of JSON on the child's stdout and gives it. */
export async function awaitReadyLine(child: Child, name: string): Promise<unknown> {
  await poll(child, name, () => Promise.resolve(child.stdout().includes('\n')));
  const line = child.stdout().slice(0, child.stdout().indexOf('\n'));
  try {
    return JSON.parse(line);
  } catch {
    throw new Error(`${name} printed something else than its line of JSON: ${line}`);
  }
}

async function poll(child: Child, name: string, isReady: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + READY_TIMEOUT_MS;
  while (!(await isReady())) {
    if (child.hasEnded())
      throw new Error(`${name} ended before it was ready: ${child.stderr() || 'nothing on stderr'}`);
    if (Date.now() > deadline) throw new Error(`${name} is not ready after ${READY_TIMEOUT_MS} ms: ${child.stderr()}`);
    await new Promise((resume) => setTimeout(resume, POLL_MS));
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const answer = (yes: boolean): void => {
      socket.destroy();
      resolve(yes);
    };
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
  });
}
