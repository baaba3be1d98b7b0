// gRPC written by hand, frame by frame, over real sockets with or without TLS: a caller of a listener, and an endpoint
// behind it. Both keep what they saw of each stream in order, keep to the peer's windows, and give back their own only
// for streams that a test doesn't stall.
import { connect, type Socket } from 'node:net';
import { connect as connectTls, TLSSocket, type ConnectionOptions, type SecureContextOptions } from 'node:tls';
import {
  data,
  describe,
  H2Peer,
  headers,
  ping,
  PREFACE,
  request,
  reset,
  settings,
  SETTINGS_ACK,
  valueOf,
  windowUpdate,
  type SeenFrame,
} from './h2-peer.ts';
import type { MemoryTransport } from './memory-transport.ts';
import { startRawServer } from './raw-server.ts';
import { until } from './tls-peer.ts';

const NO_BYTES = Buffer.alloc(0);
const DEFAULT_WINDOW = 65_535;
const INITIAL_WINDOW_SIZE = 0x4;

/** One length-prefixed message. */
export function message(body: Uint8Array | string, flag = 0): Buffer {
  const bytes = Buffer.from(body);
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([prefix, bytes]);
}

/** Fields of a call's head. */
export function callFields(path = '/test.Service/Call', extra: readonly string[] = []): string[] {
  return request(path, ['content-type', 'application/grpc', 'te', 'trailers', ...extra], 'POST');
}

/** The head of an answer in gRPC. */
export const ANSWER_HEAD: readonly string[] = [':status', '200', 'content-type', 'application/grpc'];

/** One stream as one end saw it. */
export class GrpcStream {
  readonly peer: GrpcPeer;
  readonly id: number;
  /** Of each HEADERS frame, in order. */
  readonly heads: string[][] = [];
  /** Each frame in a few letters: `HEADERS END`, `DATA 5`, `RST_STREAM 8`. */
  readonly words: string[] = [];
  /** Payloads of DATA. */
  readonly parts: Buffer[] = [];
  /** END_STREAM came. */
  ended = false;
  /** Code of the RST_STREAM that came; -1 without one. */
  resetCode = -1;
  /** When the last frame came, as performance.now() counts. */
  lastMs = 0;
  /** What may still be sent on it. */
  window: number;
  /** Its window isn't given back. */
  stalled = false;
  /** Bytes that came while it was stalled. */
  withheld = 0;
  /** END_STREAM came, in any frame. */
  onEnd: () => void = () => undefined;

  constructor(peer: GrpcPeer, id: number) {
    this.peer = peer;
    this.id = id;
    this.window = peer.initialWindow;
  }

  /** Path of the request. */
  get path(): string {
    return this.field(':path') ?? '';
  }

  get body(): Buffer {
    return Buffer.concat(this.parts);
  }

  get bodyBytes(): number {
    let bytes = 0;
    for (const part of this.parts) bytes += part.length;
    return bytes;
  }

  /** grpc-status, wherever it came. */
  get grpcStatus(): string | undefined {
    for (const head of this.heads) {
      const value = valueOf(head, 'grpc-status');
      if (value !== undefined) return value;
    }
    return undefined;
  }

  /** Whether nothing more can come. */
  get isOver(): boolean {
    return this.ended || this.resetCode >= 0 || this.peer.isClosed;
  }

  /** A field of the first head. */
  field(name: string): string | undefined {
    return valueOf(this.heads[0] ?? [], name);
  }

  over(): Promise<void> {
    return until(() => this.isOver, `the end of stream ${this.id}`);
  }

  send(body: Uint8Array | string, endStream = false): void {
    this.peer.send(data(this.id, body, endStream));
  }

  /** Answers whole, in three frames. */
  answer(body: Uint8Array = message('ok'), status = '0', trailers: readonly string[] = []): void {
    this.peer.send(
      headers(this.id, ANSWER_HEAD, false),
      data(this.id, body),
      headers(this.id, ['grpc-status', status, ...trailers], true),
    );
  }

  reset(code: number): void {
    this.peer.send(reset(this.id, code));
  }

  /** Gives back the window that was held, and from now on all of it. The connection's window is always given back. */
  resume(): void {
    this.stalled = false;
    const { withheld } = this;
    this.withheld = 0;
    if (withheld > 0) this.peer.send(windowUpdate(this.id, withheld));
  }
}

/** One end of a connection. */
export class GrpcPeer {
  readonly socket: Socket;
  readonly streams = new Map<number, GrpcStream>();
  /** Frames of the connection itself: `GOAWAY 2147483647 0`, `PING`. */
  readonly words: string[] = [];
  isClosed = false;
  /** Sends nothing, as a server that hasn't said SETTINGS yet. */
  isMute = false;
  initialWindow = DEFAULT_WINDOW;
  window = DEFAULT_WINDOW;
  /** A stream's first HEADERS came; of an endpoint a call. */
  onCall: (call: GrpcStream) => void = () => undefined;
  /** A frame of a stream came. */
  onFrame: (stream: GrpcStream, frame: SeenFrame) => void = () => undefined;
  /** Below TLS. */
  private readonly tcp: Socket;
  private readonly frames: H2Peer;
  private prefaceLeft: number;
  private arrived: Buffer = NO_BYTES;
  private nextId = 1;
  private readonly pours: Pour[] = [];

  constructor(role: 'client' | 'server', socket: Socket, tcp = socket) {
    this.socket = socket;
    this.tcp = tcp;
    this.prefaceLeft = role === 'server' ? PREFACE.length : 0;
    const wire = { take: (): Buffer => this.takeArrived(), feed: (bytes: Uint8Array) => this.send(bytes) };
    this.frames = new H2Peer(wire as unknown as MemoryTransport);
    const close = (): void => {
      this.isClosed = true;
    };
    socket.on('error', close).on('close', close).on('end', close);
    socket.setNoDelay(true).on('data', (bytes) => this.onBytes(bytes));
  }

  send(...frames: Uint8Array[]): void {
    if (this.socket.writable && !this.isMute) this.socket.write(Buffer.concat(frames));
  }

  /** Makes a call; without a body its HEADERS end it. */
  call(fields: readonly string[] = callFields(), body?: Uint8Array, endStream = true): GrpcStream {
    const stream = this.open();
    const head = headers(stream.id, fields, body === undefined && endStream);
    if (body === undefined) this.send(head);
    else this.send(head, data(stream.id, body, endStream));
    return stream;
  }

  /** The next stream of a caller, before anything of it is sent. */
  open(): GrpcStream {
    const stream = new GrpcStream(this, this.nextId);
    this.streams.set(this.nextId, stream);
    this.nextId += 2;
    return stream;
  }

  /** Sends `body` as the windows allow. `sent` grows. */
  pour(stream: GrpcStream, body: Uint8Array, last?: Uint8Array): Pour {
    const pour: Pour = { stream, body, last, sent: 0 };
    this.pours.push(pour);
    this.pump();
    return pour;
  }

  /** FIN or RST without a word. */
  cut(how: 'fin' | 'rst'): void {
    this.socket.removeAllListeners('data');
    if (how === 'fin') this.tcp.destroy();
    else this.tcp.resetAndDestroy();
  }

  private pump(): void {
    for (const pour of this.pours.slice()) {
      const { stream, body, last } = pour;
      while (pour.sent < body.length) {
        const part = Math.min(body.length - pour.sent, stream.window, this.window, 16_384);
        if (part <= 0) break;
        this.send(data(stream.id, body.subarray(pour.sent, pour.sent + part)));
        pour.sent += part;
        stream.window -= part;
        this.window -= part;
      }
      if (pour.sent < body.length) continue;
      this.pours.splice(this.pours.indexOf(pour), 1);
      if (last) this.send(last);
    }
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
    for (const frame of this.frames.take()) {
      if (frame.id === 0) this.onConnectionFrame(frame);
      else this.onStreamFrame(frame);
    }
  }

  private onConnectionFrame(frame: SeenFrame): void {
    const { type, flags, payload } = frame;
    this.words.push(describe(frame));
    if (type === 'SETTINGS' && (flags & 1) === 0) {
      for (let at = 0; at < payload.length; at += 6) {
        if (payload.readUInt16BE(at) === INITIAL_WINDOW_SIZE) this.setInitialWindow(payload.readUInt32BE(at + 2));
      }
      this.send(SETTINGS_ACK);
    } else if (type === 'PING' && (flags & 1) === 0) {
      this.send(ping(payload.readUInt32BE(0), payload.readUInt32BE(4), true));
    } else if (type === 'WINDOW_UPDATE') this.window += payload.readUInt32BE(0);
    this.pump();
  }

  private setInitialWindow(bytes: number): void {
    for (const stream of this.streams.values()) stream.window += bytes - this.initialWindow;
    this.initialWindow = bytes;
  }

  private onStreamFrame(frame: SeenFrame): void {
    const { type, flags, id, payload, fields } = frame;
    let stream = this.streams.get(id);
    const isNew = stream === undefined;
    if (stream === undefined) this.streams.set(id, (stream = new GrpcStream(this, id)));
    if (type === 'WINDOW_UPDATE') {
      stream.window += payload.readUInt32BE(0);
      return this.pump();
    }
    stream.lastMs = performance.now();
    stream.words.push(describe(frame).replace(` ${id}`, ''));
    if (type === 'HEADERS') stream.heads.push(fields);
    if (type === 'RST_STREAM') stream.resetCode = payload.readUInt32BE(0);
    else if ((flags & 1) !== 0) stream.ended = true;
    if (type === 'DATA' && payload.length > 0) {
      stream.parts.push(payload);
      this.send(windowUpdate(0, payload.length));
      if (stream.stalled) stream.withheld += payload.length;
      else if (!stream.ended) this.send(windowUpdate(id, payload.length));
    }
    if (isNew) this.onCall(stream);
    this.onFrame(stream, frame);
    if (type !== 'RST_STREAM' && (flags & 1) !== 0) stream.onEnd();
  }
}

/** A body on its way. */
export interface Pour {
  readonly stream: GrpcStream;
  readonly body: Uint8Array;
  /** A frame to send behind it. */
  readonly last: Uint8Array | undefined;
  sent: number;
}

/** Connects to a port of loopback; with `tls` over TLS and h2. `pairs` are its SETTINGS. */
export async function connectGrpc(
  port: number,
  pairs: readonly number[] = [],
  tls?: ConnectionOptions,
): Promise<GrpcPeer> {
  const at = { host: '127.0.0.1', port };
  const socket = tls ? connectTls({ ...at, ALPNProtocols: ['h2'], servername: 'localhost', ...tls }) : connect(at);
  const peer = new GrpcPeer('client', socket);
  await new Promise<void>((resolve, reject) => {
    socket.once(tls ? 'secureConnect' : 'connect', resolve).once('error', reject);
  });
  peer.send(PREFACE, settings(...pairs));
  return peer;
}

export interface GrpcEndpoint {
  readonly port: number;
  readonly peers: readonly GrpcPeer[];
  /** Calls over all connections, in order. */
  readonly calls: readonly GrpcStream[];
  close(): void;
}

/** What is seldom said of an endpoint. */
export interface GrpcEndpointOptions {
  /** SETTINGS. */
  readonly pairs?: readonly number[];
  readonly tls?: SecureContextOptions;
  /** Instead of sending SETTINGS. */
  readonly onConnection?: (peer: GrpcPeer, index: number) => void;
}

/** An endpoint on a free port; `onCall` plays it. */
export async function startEndpoint(
  onCall: (call: GrpcStream) => void,
  { pairs = [], tls, onConnection }: GrpcEndpointOptions = {},
): Promise<GrpcEndpoint> {
  const peers: GrpcPeer[] = [];
  const calls: GrpcStream[] = [];
  const server = await startRawServer((raw, index) => {
    const socket = tls ? new TLSSocket(raw, { isServer: true, ALPNProtocols: ['h2'], ...tls }) : raw;
    const peer = new GrpcPeer('server', socket, raw);
    peers.push(peer);
    peer.onCall = (call) => {
      calls.push(call);
      onCall(call);
    };
    if (onConnection) onConnection(peer, index);
    else peer.send(settings(...pairs));
  });
  return { port: server.port, peers, calls, close: () => server.close() };
}
