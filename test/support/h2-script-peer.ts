// One end of an HTTP/2 connection on a real socket, played by hand: a client that writes what it likes, or a server that
// does. Frames that come are kept in order; a test takes them by waiting for what it expects. The windows that the
// other side grants are counted.
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import {
  data,
  describe,
  frame,
  PREFACE,
  ping,
  settings,
  SETTINGS_ACK,
  TYPE,
  windowUpdate,
  type SeenFrame,
} from './h2-peer.ts';
import { ScriptDecoder } from './h2-script-decoder.ts';
import { startRawServer } from './raw-server.ts';

const WAIT_MS = 8_000;
const TYPE_NAMES = Object.keys(TYPE);

/** An answer as it came to a scripted client. */
export interface ScriptAnswer {
  readonly status: string;
  readonly fields: readonly string[];
  readonly body: Buffer;
  readonly trailers: readonly string[];
  /** Code of the RST_STREAM that ended it; -1: it ended with END_STREAM. */
  readonly reset: number;
}

interface Waiter {
  readonly what: string;
  readonly test: () => boolean;
  readonly done: () => void;
  readonly failed: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** What is seldom said. */
export interface ScriptPeerOptions {
  /** Acknowledge SETTINGS and PING as they come. */
  readonly acks?: boolean;
  /** Give windows back once so many bytes of DATA have come; 0: for each frame. Left out: never. */
  readonly creditBytes?: number;
  /** Throw the payload of DATA away once it is counted. */
  readonly dropsBodies?: boolean;
}

/** One end. */
export class H2ScriptPeer {
  readonly socket: Socket;
  /** Every frame that came, in order. */
  readonly frames: SeenFrame[] = [];
  /** Called for each frame, after it is kept. */
  onFrame: ((seen: SeenFrame) => void) | undefined = undefined;
  /** The other side sent FIN, or the connection is gone. */
  ended = false;
  /** Why the connection broke, if it did. */
  error = '';
  /** Bytes of DATA that the other side still takes on the connection. */
  connectionWindow = 65_535;
  /** WINDOW_UPDATE of the connection, summed up. */
  creditedBytes = 0;
  /** DATA that was sent by `sendData`, padding and all. */
  sentDataBytes = 0;
  /** Body bytes that came. */
  bodyBytes = 0;
  /** Reads the header blocks that come. */
  readonly decoder = new ScriptDecoder();
  private readonly options: Required<ScriptPeerOptions>;
  private readonly owed = new Map<number, number>();
  private left: Buffer = Buffer.alloc(0);
  private skip: number;
  private block: { id: number; flags: number; parts: Buffer[] } | undefined = undefined;
  private waiters: Waiter[] = [];
  private from = 0;

  /** `skip`: bytes before the first frame, a client preface. */
  constructor(socket: Socket, skip: number, options: ScriptPeerOptions = {}) {
    this.socket = socket;
    this.skip = skip;
    this.options = { acks: true, creditBytes: Infinity, dropsBodies: false, ...options };
    socket.setNoDelay(true);
    socket.on('data', (bytes) => this.read(bytes));
    socket.on('end', () => this.end(''));
    socket.on('close', () => this.end(''));
    socket.on('error', (error) => this.end((error as NodeJS.ErrnoException).code ?? error.message));
  }

  send(...parts: Uint8Array[]): void {
    if (!this.socket.destroyed && this.socket.writable) this.socket.write(Buffer.concat(parts));
  }

  /** DATA that is counted against the connection's window; the caller sees to it that there is some. */
  sendData(frames: Buffer): void {
    for (let at = 0; at < frames.length;) {
      const length = frames.readUIntBE(at, 3);
      if (frames[at + 3] === TYPE.DATA) {
        this.sentDataBytes += length;
        this.connectionWindow -= length;
      }
      at += 9 + length;
    }
    this.send(frames);
  }

  /** Waits until the connection's window has `bytes`. */
  async credit(bytes: number): Promise<void> {
    await this.until(`a connection window of ${bytes}`, () => this.connectionWindow >= bytes);
  }

  /** A request body of `bytes`, as fast as the windows of connection and stream allow. */
  async upload(id: number, bytes: number): Promise<void> {
    let left = bytes;
    let granted = 65_535;
    let seenFrames = 0;
    while (left > 0) {
      const room = (): number => {
        for (; seenFrames < this.frames.length; seenFrames++) {
          const seen = this.frames[seenFrames]!;
          if (seen.type === 'WINDOW_UPDATE' && seen.id === id) granted += seen.payload.readUInt32BE(0);
        }
        return Math.min(granted, this.connectionWindow, left, 16_384);
      };
      await this.until(`room for ${left} more bytes on stream ${id}`, () => room() > 0);
      const part = room();
      granted -= part;
      left -= part;
      this.sendData(data(id, Buffer.alloc(part, 'u'), left === 0));
    }
  }

  /** Waits for a PING to come back: everything sent before has been seen by the other side, and its answers are here. */
  async roundTrip(): Promise<void> {
    const mark = this.frames.length;
    this.send(ping(0x726f, mark));
    await this.until('the PING back', () =>
      this.frames.some(
        (seen, at) =>
          at >= mark && seen.type === 'PING' && (seen.flags & 1) !== 0 && seen.payload.readUInt32BE(4) === mark,
      ),
    );
  }

  /** Waits for the next frame behind the last one waited for that `test` likes; strings are words of `describe`. */
  async next(wanted: string | ((seen: SeenFrame) => boolean), what = String(wanted)): Promise<SeenFrame> {
    let found = -1;
    const test = typeof wanted === 'string' ? (seen: SeenFrame) => describe(seen).startsWith(wanted) : wanted;
    await this.until(what, () => {
      found = this.frames.findIndex((seen, at) => at >= this.from && test(seen));
      return found >= 0;
    });
    this.from = found + 1;
    return this.frames[found]!;
  }

  /** Waits for the end of stream `id`. */
  async answer(id: number): Promise<ScriptAnswer> {
    const isEnd = ({ id: of, type, flags }: SeenFrame): boolean =>
      of === id && (type === 'RST_STREAM' || ((type === 'DATA' || type === 'HEADERS') && (flags & 1) !== 0));
    await this.until(`the end of stream ${id}`, () => this.frames.some(isEnd));
    return this.answerSoFar(id);
  }

  /** What has come on stream `id`. A reset behind its end doesn't count. */
  answerSoFar(id: number): ScriptAnswer {
    let status = '';
    let fields: readonly string[] = [];
    let trailers: readonly string[] = [];
    let reset = -1;
    const body: Buffer[] = [];
    for (const seen of this.frames) {
      if (seen.id !== id) continue;
      if (seen.type === 'RST_STREAM') reset = seen.payload.readUInt32BE(0);
      else if (seen.type === 'DATA') body.push(seen.payload);
      else if (seen.type === 'HEADERS' && status === '' && !(seen.fields[1] ?? '').startsWith('1')) {
        status = seen.fields[1] ?? '';
        fields = seen.fields.slice(2);
      } else if (seen.type === 'HEADERS' && status !== '') trailers = seen.fields;
      if (reset >= 0 || (seen.flags & 1 && seen.type !== 'RST_STREAM')) break;
    }
    return { status, fields, body: Buffer.concat(body), trailers, reset };
  }

  /** Waits until the other side has closed, and gives its GOAWAY codes. */
  async closed(): Promise<number[]> {
    await this.until('the end of the connection', () => this.ended);
    return this.goaways();
  }

  goaways(): number[] {
    return this.frames.filter(({ type }) => type === 'GOAWAY').map(({ payload }) => payload.readUInt32BE(4));
  }

  /** Words of all frames, for messages. */
  words(): string {
    const words = this.frames.map((seen) => describe(seen));
    return words.length > 40 ? [...words.slice(0, 10), '…', ...words.slice(-30)].join(', ') : words.join(', ');
  }

  /** Waits until `test` is true; looks whenever bytes come and when the connection ends. */
  until(what: string, test: () => boolean): Promise<void> {
    if (test()) return Promise.resolve();
    if (this.ended && what !== 'the end of the connection') return Promise.reject(this.lost(what));
    return new Promise((done, failed) => {
      const timer = setTimeout(() => {
        this.waiters = this.waiters.filter((other) => other !== waiter);
        failed(new Error(`no ${what} in ${WAIT_MS} ms; came: ${this.words()}`));
      }, WAIT_MS);
      const waiter: Waiter = { what, test, done, failed, timer };
      this.waiters.push(waiter);
    });
  }

  close(): void {
    this.socket.destroy();
  }

  private lost(what: string): Error {
    return new Error(`the connection ended (${this.error}) before ${what}; came: ${this.words()}`);
  }

  private look(): void {
    for (const waiter of [...this.waiters]) {
      const isMet = waiter.test();
      if (!isMet && !this.ended) continue;
      this.waiters = this.waiters.filter((other) => other !== waiter);
      clearTimeout(waiter.timer);
      if (isMet) waiter.done();
      else waiter.failed(this.lost(waiter.what));
    }
  }

  private end(error: string): void {
    if (error !== '') this.error = error;
    if (this.ended) return;
    this.ended = true;
    this.look();
  }

  private read(bytes: Buffer): void {
    const drop = Math.min(this.skip, bytes.length);
    this.skip -= drop;
    this.left = this.left.length === 0 ? bytes.subarray(drop) : Buffer.concat([this.left, bytes.subarray(drop)]);
    while (this.left.length >= 9) {
      const end = 9 + this.left.readUIntBE(0, 3);
      if (this.left.length < end) break;
      const whole = this.left.subarray(0, end);
      this.left = this.left.subarray(end);
      this.take(whole);
    }
    this.look();
  }

  private take(whole: Buffer): void {
    const type = TYPE_NAMES[whole[3] ?? 0] ?? 'UNKNOWN';
    const flags = whole[4] ?? 0;
    const id = whole.readUInt32BE(5);
    const payload = Buffer.from(whole.subarray(9));
    if (this.block) {
      assert.equal(`${type} ${id}`, `CONTINUATION ${this.block.id}`, 'a header block is contiguous');
      this.block.parts.push(payload);
      if ((flags & 4) === 0) return;
      const { parts, flags: first } = this.block;
      this.block = undefined;
      return this.keep({
        type: 'HEADERS',
        flags: first,
        id,
        payload,
        fields: this.decoder.decode(Buffer.concat(parts)),
      });
    }
    if (type === 'HEADERS') {
      if ((flags & 4) === 0) {
        this.block = { id, flags, parts: [payload] };
        return;
      }
      return this.keep({ type, flags, id, payload, fields: this.decoder.decode(payload) });
    }
    if (type === 'WINDOW_UPDATE' && id === 0) {
      this.connectionWindow += payload.readUInt32BE(0);
      this.creditedBytes += payload.readUInt32BE(0);
    }
    if (type === 'DATA') {
      this.bodyBytes += payload.length;
      this.giveBack(0, payload.length);
      if ((flags & 1) === 0) this.giveBack(id, payload.length);
    }
    if (this.options.acks && (flags & 1) === 0) {
      if (type === 'SETTINGS') this.send(SETTINGS_ACK);
      if (type === 'PING') this.send(frame(TYPE.PING, 1, 0, payload));
    }
    const isDropped = type === 'DATA' && this.options.dropsBodies;
    this.keep({ type, flags, id, payload: isDropped ? Buffer.alloc(0) : payload, fields: [] });
  }

  private giveBack(id: number, bytes: number): void {
    const owed = (this.owed.get(id) ?? 0) + bytes;
    const isDue = owed > 0 && owed >= this.options.creditBytes;
    this.owed.set(id, isDue ? 0 : owed);
    if (isDue) this.send(windowUpdate(id, owed));
  }

  private keep(seen: SeenFrame): void {
    this.frames.push(seen);
    this.onFrame?.(seen);
  }
}

/** A scripted client of `port` that has sent nothing yet. */
export async function connectBare(port: number, options?: ScriptPeerOptions): Promise<H2ScriptPeer> {
  const socket = connect({ port, host: '127.0.0.1' });
  const peer = new H2ScriptPeer(socket, 0, options);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return peer;
}

/** A scripted client of `port` that has sent its preface, with `pairs` as its settings. */
export async function connectClient(
  port: number,
  pairs: readonly number[] = [],
  options?: ScriptPeerOptions,
): Promise<H2ScriptPeer> {
  const peer = await connectBare(port, options);
  peer.send(PREFACE, settings(...pairs));
  return peer;
}

/** A scripted HTTP/2 server. */
export interface ScriptUpstream {
  readonly port: number;
  readonly peers: H2ScriptPeer[];
  close(): void;
}

/**
 * Starts a server whose every connection is a script. `onConnection` sends SETTINGS and sets `onFrame`; the client
 * preface is skipped.
 */
export async function startScriptUpstream(
  onConnection: (peer: H2ScriptPeer, index: number) => void,
  options?: ScriptPeerOptions,
): Promise<ScriptUpstream> {
  const peers: H2ScriptPeer[] = [];
  const server = await startRawServer((socket, index) => {
    const peer = new H2ScriptPeer(socket, PREFACE.length, options);
    peers.push(peer);
    onConnection(peer, index);
  });
  return { port: server.port, peers, close: () => server.close() };
}
