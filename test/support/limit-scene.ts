// The stage of the table of limits: a data plane between a scripted caller and a scripted upstream, and what both see in
// words that a table can hold.
import { errorCodeName } from '../../src/codec/h2/error-code.ts';
import type { ListenerTlsSpec } from '../../src/model/tls.ts';
import { startDataPlane, type TestDataPlane, type TestDataPlaneOptions } from './data-plane.ts';
import { FakeClock } from './fake-clock.ts';
import { frame, literals, TYPE, valueOf, type SeenFrame } from './h2-peer.ts';
import { connectRawH2, startRawH2Server, type RawH2Connection } from './h2-raw.ts';
import { rawCaller, type RawCaller } from './raw-caller.ts';
import { startRawServer } from './raw-server.ts';

/** What plays the upstream; `onRequest` is called once a request has come whole. */
export type Script =
  | { readonly version: 1; readonly onRequest: (write: (bytes: string) => void) => void }
  | { readonly version: 2; readonly onRequest: (connection: RawH2Connection, id: number) => void };

export const OK_1 = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** Answers 200 over HTTP/1. */
export const ANSWERS: Script = { version: 1, onRequest: (write) => write(OK_1) };
/** Never answers. */
export const SILENT: Script = { version: 1, onRequest: () => undefined };
/** The same over HTTP/2. */
export const SILENT_2: Script = { version: 2, onRequest: () => undefined };

/** Answers with these bytes. */
export function says1(bytes: string): Script {
  return { version: 1, onRequest: (write) => write(bytes) };
}

/** Answers with these frames over HTTP/2. */
export function says2(frames: (id: number) => Uint8Array): Script {
  return { version: 2, onRequest: (connection, id) => connection.send(frames(id)) };
}

export interface Scene {
  readonly plane: TestDataPlane;
  readonly clock: FakeClock;
  /** Connections that the upstream sees. */
  readonly upstreams: () => number;
  /** Requests that came to it whole. */
  readonly requests: () => number;
  /** The kinds counted so far, in parentheses; empty without any. */
  counted(): string;
  /** Called by `close`. */
  readonly closers: (() => void)[];
  close(): void;
}

const open = new Set<Scene>();

/** Clears away what failed rows have left. */
export function closeScenes(): void {
  for (const scene of open) scene.close();
}

export interface SceneOptions extends Omit<TestDataPlaneOptions, 'clock'> {
  readonly script?: Script;
  /** Undefined: plaintext. */
  readonly tls?: ListenerTlsSpec;
}

/** SETTINGS of the HTTP/2 upstream: it takes a large head in one frame. */
const LARGE_FRAMES = [5, 1 << 20];

/** Sets one up. Time stands still unless a row moves it; what came over sockets is real. */
export async function openScene({ script = ANSWERS, tls, ...options }: SceneOptions = {}): Promise<Scene> {
  let requests = 0;
  const server =
    script.version === 1
      ? await startRawServer((socket) => {
          let text = '';
          socket.setEncoding('latin1').on('data', (part: string) => {
            text += part;
            if (!isWhole(text)) return;
            text = '';
            requests++;
            script.onRequest((bytes) => void socket.write(bytes, 'latin1'));
          });
        })
      : await startRawH2Server((connection) => {
          connection.onFrame = ({ type, flags, id }) => {
            if ((type !== 'HEADERS' && type !== 'DATA') || (flags & 1) === 0) return;
            requests++;
            script.onRequest(connection, id);
          };
        }, LARGE_FRAMES);
  const clock = new FakeClock();
  const plane = await startDataPlane([server.port], { scheme: script.version === 1 ? 'http' : 'grpc' }, tls, {
    ...options,
    clock,
  });
  const scene: Scene = {
    plane,
    clock,
    closers: [],
    upstreams: () => server.connections.length,
    requests: () => requests,
    counted() {
      const kinds = new Set<string>(plane.refusals.map(([kind]) => kind));
      for (const { error } of plane.records) if (error !== undefined) kinds.add(error);
      return kinds.size === 0 ? '' : ` (${[...kinds].join(', ')})`;
    },
    close() {
      open.delete(scene);
      for (const close of scene.closers) close();
      plane.close();
      server.close();
    },
  };
  open.add(scene);
  return scene;
}

/** Sets a scene, plays `act` in it and clears it away. */
export async function inScene<T>(options: SceneOptions, act: (scene: Scene) => Promise<T>): Promise<T> {
  const scene = await openScene(options);
  try {
    return await act(scene);
  } finally {
    scene.close();
  }
}

/** Whether an HTTP/1 request, of which the body is chunked or none, has come whole. */
function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return false;
  return !/transfer-encoding/i.test(text.slice(0, end)) || /\r\n0\r\n(?:[^\r]+\r\n)*\r\n$/.test(text);
}

// ---------------------------------------------------------------- callers

/** A connection that speaks HTTP/1. */
export async function openCaller1(scene: Scene): Promise<RawCaller> {
  const caller = await rawCaller(scene.plane.port);
  scene.closers.push(() => caller.close());
  return caller;
}

/** What an HTTP/1 caller sees of one answer: its status, then `, cut` where its end is missing. */
export async function answerWords(caller: RawCaller, scene: Scene): Promise<string> {
  for (;;) {
    const seen = readAnswer(caller.text);
    if (seen.whole) return told(seen.status, seen.reason, scene);
    const length = caller.bytes;
    const more = await Promise.race([moreThan(caller, length), caller.ended().then(() => false)]);
    if (more || caller.bytes > length) continue;
    return `${seen.status === 0 ? 'closed' : `${seen.status}, cut`}${scene.counted()}`;
  }
}

async function moreThan(caller: RawCaller, length: number): Promise<true> {
  while (caller.bytes <= length) await new Promise((resolve) => caller.socket.once('data', resolve));
  return true;
}

/** Reason and count must agree: the reason is said only where they don't. */
function told(status: number | string, reason: string, scene: Scene): string {
  const counted = scene.counted();
  const agrees = reason === '' || counted === ` (${reason})`;
  return `${status}${agrees ? '' : ` but says ${reason}`}${counted}`;
}

interface ReadAnswer {
  readonly status: number;
  readonly reason: string;
  readonly whole: boolean;
}

function readAnswer(text: string): ReadAnswer {
  let at = 0;
  for (;;) {
    const end = text.indexOf('\r\n\r\n', at);
    if (end < 0) return { status: 0, reason: '', whole: false };
    const head = text.slice(at, end + 2);
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1] ?? 0);
    at = end + 4;
    if (status >= 100 && status < 200) continue;
    const reason = /\r\nx-outrigger-reason: (\w+)\r\n/i.exec(head)?.[1] ?? '';
    const length = /\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1];
    const whole =
      length === undefined ? /\r\n0\r\n(?:[^\r]+\r\n)*\r\n$/.test(text) : text.length - at >= Number(length);
    return { status, reason, whole };
  }
}

/** One HTTP/1 call: what its caller sees. */
export async function call1(scene: Scene, bytes: string): Promise<string> {
  const caller = await openCaller1(scene);
  caller.send(Buffer.from(bytes, 'latin1'));
  return answerWords(caller, scene);
}

/** What a caller over HTTP/2 sees of its streams and of the connection. */
export class Caller2 {
  readonly connection: RawH2Connection;
  private readonly scene: Scene;
  private readonly words = new Map<number, string>();
  private readonly statuses = new Map<number, string>();
  private wake: () => void = () => undefined;

  constructor(connection: RawH2Connection, scene: Scene) {
    this.connection = connection;
    this.scene = scene;
    connection.onFrame = (seen) => this.onFrame(seen);
  }

  send(...frames: Uint8Array[]): void {
    this.connection.send(...frames);
  }

  /** What stream `id` ended with; what ended the connection, if that came first. */
  async ended(id: number): Promise<string> {
    for (;;) {
      const words = this.wordsOf(id);
      if (words !== '') return words;
      await this.news();
    }
  }

  /** The same as of now; empty while it goes on. A GOAWAY that says goodbye doesn't end it. */
  wordsOf(id: number): string {
    const words = this.words.get(id);
    if (words !== undefined) return words;
    return this.connection.goodbye?.code === 0 && !this.connection.ended ? '' : this.goodbye();
  }

  /** Status of stream `id`; empty before its head. */
  status(id: number): string {
    return this.statuses.get(id) ?? '';
  }

  /** `GOAWAY` and its error; empty while the connection goes on. */
  goodbye(): string {
    const { goodbye, ended } = this.connection;
    if (goodbye) return `GOAWAY ${errorCodeName(goodbye.code)}${this.scene.counted()}`;
    return ended ? `closed${this.scene.counted()}` : '';
  }

  /** Waits for a frame, or for the end. */
  async news(): Promise<void> {
    await Promise.race([
      this.connection.whenEnded,
      new Promise<void>((resolve) => {
        this.wake = resolve;
      }),
    ]);
  }

  /** Sends a PING and waits for the answer: everything before it has been read. Words where the connection ends first. */
  async roundTrip(): Promise<string> {
    const before = this.connection.seen('PING');
    this.send(frame(TYPE.PING, 0, 0, Buffer.alloc(8, 7)));
    while (this.connection.seen('PING') === before) {
      const words = this.goodbye();
      if (words !== '') return words;
      await this.news();
    }
    return this.goodbye();
  }

  private onFrame({ type, id, flags, payload, fields }: SeenFrame): void {
    const end = (flags & 1) === 1;
    if (type === 'HEADERS') {
      const status = valueOf(fields, ':status');
      const grpc = valueOf(fields, 'grpc-status');
      if (status !== undefined) this.statuses.set(id, status);
      if (end) {
        const reason = valueOf(fields, 'x-outrigger-reason') ?? '';
        this.words.set(
          id,
          told(grpc === undefined ? (this.statuses.get(id) ?? '') : `grpc ${grpc}`, reason, this.scene),
        );
      }
    } else if (type === 'DATA' && end) this.words.set(id, `${this.statuses.get(id)}${this.scene.counted()}`);
    else if (type === 'RST_STREAM' && !this.words.has(id)) {
      const status = this.statuses.get(id);
      const name = errorCodeName(payload.readUInt32BE(0));
      this.words.set(id, `${status === undefined ? '' : `${status}, `}RST_STREAM ${name}${this.scene.counted()}`);
    }
    this.wake();
  }
}

export async function caller2(scene: Scene): Promise<Caller2> {
  const connection = await connectRawH2(scene.plane.port);
  scene.closers.push(() => connection.destroy());
  return new Caller2(connection, scene);
}

/** One call over HTTP/2, as stream 1. */
export async function call2(scene: Scene, ...frames: Uint8Array[]): Promise<string> {
  const caller = await caller2(scene);
  caller.send(...frames);
  return caller.ended(1);
}

// ---------------------------------------------------------------- messages of a given size

/** Bytes of a header list as HTTP/2 counts them (RFC 9113 section 6.5.2). */
export function listBytes(fields: readonly string[]): number {
  return fields.reduce((sum, text) => sum + text.length, 0) + 32 * (fields.length / 2);
}

/** `fields` and one more that makes the list `bytes` long. */
export function padList(fields: readonly string[], bytes: number, name = 'x-pad'): string[] {
  return [...fields, name, 'p'.repeat(bytes - listBytes([...fields, name, '']))];
}

/** `text` with one field line more, which makes it, with the blank line, `bytes` long. */
export function padLines(text: string, bytes: number): string {
  return `${text}X-Pad: ${'p'.repeat(bytes - text.length - 'X-Pad: \r\n\r\n'.length)}\r\n\r\n`;
}

/** Numbered fields. */
export function manyFields(count: number, name = 'x-f'): string[] {
  return Array.from({ length: count }, (_, i) => [`${name}${i}`, 'v']).flat();
}

/** The same as HTTP/1 lines. */
export function manyLines(count: number): string {
  return Array.from({ length: count }, (_, i) => `X-F${i}: v\r\n`).join('');
}

/** A header block in as many frames as it takes, each of `chunk` bytes at most. */
export function block(id: number, fields: readonly string[], endStream = true, chunk = 16_384): Buffer {
  const bytes = literals(fields);
  const parts: Buffer[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += chunk) {
    const flags = (at + chunk >= bytes.length ? 4 : 0) | (at === 0 && endStream ? 1 : 0);
    parts.push(frame(at === 0 ? TYPE.HEADERS : TYPE.CONTINUATION, flags, id, bytes.subarray(at, at + chunk)));
  }
  return Buffer.concat(parts);
}

/** Some turns of the event loop: what was written over loopback has been read. */
export async function turns(count = 10): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
