// What listening does with connections, the way through Node's handle and the one without it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect as connectSocket, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { silentLogger } from '../../../src/base/log.ts';
import { listen, type AcceptHandler } from '../../../src/net/listen.ts';
import type { Transport } from '../../../src/net/transport.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

const ignore = (): void => undefined;

/** Gives back what comes, upper case, and ends after the caller has. */
class Echo implements AcceptHandler {
  onHandshake = ignore;
  attachPlaintext = ignore;
  onHandshakeRefused = ignore;
  onDrain = ignore;
  onClose = ignore;
  private transport: Transport | undefined = undefined;

  attach(transport: Transport): void {
    this.transport = transport;
  }

  onRead(bytes: Buffer, length: number): void {
    this.transport?.writeLatin1(bytes.latin1Slice(0, length).toUpperCase());
  }

  onEnd(): void {
    this.transport?.end();
  }
}

async function serve(accept: () => AcceptHandler | undefined, refused: string[] = []): Promise<number> {
  const owner = {
    accept,
    refuse: (remoteAddress: string) => {
      refused.push(remoteAddress);
      return undefined;
    },
  };
  const bound = await listen('127.0.0.1', 0, owner, { clock: new FakeClock(), logger: silentLogger });
  closers.push(() => bound.close());
  return bound.port;
}

async function open(port: number): Promise<Socket> {
  const socket = connectSocket({ host: '127.0.0.1', port });
  closers.push(() => socket.destroy());
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket;
}

/** Sends `text`, then FIN; gives the whole answer. */
async function ask(socket: Socket, text: string): Promise<string> {
  let answer = '';
  socket.setEncoding('latin1').on('data', (part: string) => (answer += part));
  socket.end(text, 'latin1');
  await new Promise((resolve) => socket.once('close', resolve));
  return answer;
}

/** What ends a connection before anything is said. */
function endOf(port: number): Promise<string> {
  const socket = connectSocket({ host: '127.0.0.1', port });
  closers.push(() => socket.destroy());
  return new Promise((resolve) => {
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    socket.on('close', () => resolve('closed'));
    socket.resume();
  });
}

describe('listen', () => {
  it('serves connections, and ends them when both sides have ended', async () => {
    const port = await serve(() => new Echo());
    const answers = await Promise.all(['a', 'b', 'c'].map(async (text) => ask(await open(port), text)));
    assert.deepEqual(answers, ['A', 'B', 'C']);
  });

  it('the same where Node’s handles are others', async () => {
    const port = await serve(() => new Echo());
    const socket = await open(port);
    const { _handle: handle } = socket as unknown as { _handle: object };
    const kind = Object.getPrototypeOf(handle) as { useUserBuffer?: unknown };
    kind.useUserBuffer = undefined; // stands before the one that it inherits
    try {
      const answers = await Promise.all(['a', 'b'].map(async (text) => ask(await open(port), text)));
      assert.deepEqual(answers, ['A', 'B']);
    } finally {
      delete kind.useUserBuffer;
    }
  });

  it('resets a connection that nobody takes, and tells whose it was', async () => {
    const refused: string[] = [];
    const port = await serve(() => undefined, refused);
    assert.equal(await endOf(port), 'ECONNRESET');
    assert.deepEqual(refused, ['127.0.0.1']);
  });

  it('has the kernel look after quiet callers', { skip: process.platform !== 'linux' }, async () => {
    let taken: () => void = ignore;
    const isTaken = new Promise<void>((resolve) => {
      taken = resolve;
    });
    const port = await serve(() => {
      setImmediate(() => taken());
      return new Echo();
    });
    await open(port);
    await isTaken;
    const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
    const ESTABLISHED = '01';
    const lines = readFileSync('/proc/net/tcp', 'latin1').trim().split('\n').slice(1);
    const fields = lines.map((line) => line.trim().split(/\s+/));
    const accepted = fields.find((field) => field[1] === local && field[3] === ESTABLISHED);
    const [timer, when = ''] = (accepted?.[5] ?? '').split(':');
    assert.equal(timer, '02'); // keepalive
    const seconds = parseInt(when, 16) / 100; // of USER_HZ
    assert.ok(seconds > 20 && seconds <= 31, `${seconds}`);
  });
});
