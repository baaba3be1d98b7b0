// A caller that writes bytes and reads bytes, over a real socket.
import { connect, type Socket } from 'node:net';

/** One connection. */
export interface RawCaller {
  readonly socket: Socket;
  /** All that has come so far, as latin1 text. */
  readonly text: string;
  readonly bytes: number;
  send(bytes: string | Uint8Array): void;
  /** Resolves once `text` holds `part`, or fails when the connection ends without it. */
  until(part: string): Promise<void>;
  /** Resolves when the peer has sent FIN or reset; true for a clean end. */
  ended(): Promise<boolean>;
  close(): void;
}

/** Connects to loopback; half-open, so that ending one side leaves the other. */
export async function rawCaller(port: number): Promise<RawCaller> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  let text = '';
  let bytes = 0;
  let over: boolean | undefined;
  let waiters: (() => void)[] = [];
  const wake = (): void => {
    const woken = waiters;
    waiters = [];
    for (const waiter of woken) waiter();
  };
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    bytes += chunk.length;
    wake();
  });
  socket.on('end', () => {
    over ??= true;
    wake();
  });
  socket.on('error', () => {
    over ??= false;
    wake();
  });
  socket.on('close', () => {
    over ??= false;
    wake();
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return {
    socket,
    get text() {
      return text;
    },
    get bytes() {
      return bytes;
    },
    send: (out) => void socket.write(out),
    async until(part) {
      while (!text.includes(part)) {
        if (over !== undefined) throw new Error(`ended without ${JSON.stringify(part)}: ${JSON.stringify(text)}`);
        await new Promise<void>((resolve) => waiters.push(resolve));
      }
    },
    async ended() {
      while (over === undefined) await new Promise<void>((resolve) => waiters.push(resolve));
      return over;
    },
    close: () => void socket.destroy(),
  };
}
