// An endpoint that writes down what it executes, over HTTP/1.1 and gRPC (plaintext HTTP/2), and that can leave as a good
// server does. It is built on Node's own servers and shares no code with src/.
//
//   open ──drain──► draining: takes no connection, says `Connection: close` and GOAWAY, finishes what it has
//                      └──leave──► gone, once the caller's connections are
//
// A line of the ledger is written before the answer, by a system call of its own: what was executed is in the file even
// if the process is killed in the next instant.
import { writeSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { Server as NetServer, type AddressInfo, type Socket } from 'node:net';

/** What a call is, as the ledger names it. */
export type CallKind = 'GET' | 'POST' | 'gRPC';

/** The method that gRPC calls name; its messages are an id in ASCII. */
export const LEDGER_METHOD = '/test.Ledger/Execute';
/** Bytes before a message of gRPC: a flag and a length. */
const PREFIX_BYTES = 5;
/** Nothing is idle for so long while a test runs. */
const KEEP_ALIVE_MS = 600_000;
/** GOAWAY on stream 0 with NO_ERROR and the highest stream id there is. */
const GOAWAY_NOTICE = Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);

/** A message of gRPC, as it is on the wire. */
export function grpcMessage(text: string): Buffer {
  const message = Buffer.alloc(PREFIX_BYTES + text.length);
  message.writeUInt32BE(text.length, 1);
  message.write(text, PREFIX_BYTES, 'latin1');
  return message;
}

/** The text of a single message of gRPC; empty for anything else. */
export function grpcText(bytes: Buffer): string {
  const isWhole = bytes.length >= PREFIX_BYTES && bytes.readUInt32BE(1) === bytes.length - PREFIX_BYTES;
  return isWhole ? bytes.toString('latin1', PREFIX_BYTES) : '';
}

/** One endpoint, with a port for each protocol. */
export class LedgerEndpoint {
  /** Calls that were executed and not answered. */
  readonly held: Record<CallKind, number> = { GET: 0, POST: 0, gRPC: 0 };
  private draining = false;
  private goesAtOnce = false;
  /** Answers wait in `withheld`. */
  private withholds = false;
  private readonly withheld: (() => void)[] = [];
  /** Called for each call that was executed. */
  private onHeld: () => void = () => undefined;
  private closesIdle = false;
  private onEmpty: () => void = () => undefined;
  private readonly ledger: number;
  private readonly answerAfterMs: number;
  private readonly http: Server;
  private readonly grpc = createHttp2Server();
  private readonly sockets = new Set<Socket>();
  /** Connections on which `Connection: close` was said. */
  private readonly closed = new WeakSet<Socket>();
  private readonly sessions = new Map<ServerHttp2Session, Socket>();

  /** `ledger`: a file descriptor. `/health` on the HTTP port answers with `healthStatus` and isn't written down. */
  constructor(ledger: number, answerAfterMs: number, healthStatus: number) {
    this.ledger = ledger;
    this.answerAfterMs = answerAfterMs;
    this.http = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
      if (request.url === '/health') response.writeHead(healthStatus).end();
      else this.serveHttp(request, response);
    });
    this.http.on('connection', (socket) => {
      this.keep(socket);
      // After `Connection: close` the peer is to close; a request that comes nonetheless is lost (see serveHttp).
      socket.destroySoon = () => this.closed.add(socket);
    });
    let connected: Socket | undefined;
    this.grpc.prependListener('connection', (socket: Socket) => {
      this.keep(socket);
      connected = socket; // the server makes its session next
    });
    this.grpc.on('session', (session) => {
      if (!connected) throw new Error('a session without a connection');
      this.sessions.set(session, connected);
      session.on('close', () => this.sessions.delete(session));
      session.on('error', () => undefined);
      if (this.draining) this.sayGoodbye(session, connected);
    });
    this.grpc.on('stream', (stream) => this.serveGrpc(stream));
  }

  /** Listens on free ports of loopback. */
  async open(): Promise<{ http: number; grpc: number }> {
    return { http: await listen(this.http), grpc: await listen(this.grpc) };
  }

  /**
   * Takes no new connection; says on those there are that they end. `atOnce`: over HTTP/2 with a single GOAWAY that refuses
   * what is on its way, as Node's own servers do.
   */
  drain(atOnce: boolean): void {
    if (this.draining) return;
    this.draining = true;
    this.goesAtOnce = atOnce;
    // Not the close of an HTTP server, which ends idle connections under requests that are on their way.
    for (const server of [this.http, this.grpc]) NetServer.prototype.close.call(server);
    for (const [session, socket] of this.sessions) this.sayGoodbye(session, socket);
  }

  /** Answers no more, and resolves once a call of each kind was executed and not answered. */
  holdAll(): Promise<void> {
    this.withholds = true;
    return new Promise((resolve) => {
      this.onHeld = () => {
        if (Object.values(this.held).every((count) => count > 0)) resolve();
      };
    });
  }

  /**
   * Drains, answers what it holds, and resolves when the last connection is gone. `closesIdle`: ends those over HTTP/1 once
   * nothing is held.
   */
  async leave(closesIdle: boolean): Promise<void> {
    this.drain(false);
    this.closesIdle = closesIdle;
    this.withholds = false;
    for (const answer of this.withheld.splice(0)) answer();
    this.closeIdle();
    if (this.sockets.size > 0) await new Promise<void>((resolve) => (this.onEmpty = resolve));
  }

  private closeIdle(): void {
    if (!this.closesIdle || this.held.GET + this.held.POST > 0) return;
    this.http.closeIdleConnections();
    // For Node a connection without a request yet isn't idle.
    for (const socket of this.sockets) if (socket.bytesRead === 0) socket.end();
  }

  private sayGoodbye(session: ServerHttp2Session, socket: Socket): void {
    if (this.goesAtOnce) session.close();
    else goAway(session, socket);
  }

  private keep(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.sockets.delete(socket);
      if (this.sockets.size === 0) this.onEmpty();
    });
  }

  private serveHttp(request: IncomingMessage, response: ServerResponse): void {
    if (this.closed.has(request.socket)) return void request.socket.destroy();
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const isGet = request.method === 'GET';
      const id = isGet ? (request.url ?? '').slice(1) : Buffer.concat(chunks).toString('latin1');
      this.execute(isGet ? 'GET' : 'POST', id, () => {
        if (this.draining) response.setHeader('connection', 'close');
        response.end(id, () => this.closeIdle());
      });
    });
  }

  private serveGrpc(stream: ServerHttp2Stream): void {
    const chunks: Buffer[] = [];
    stream.on('error', () => undefined);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      const id = grpcText(Buffer.concat(chunks));
      this.execute('gRPC', id, () => {
        if (stream.destroyed) return;
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
        stream.end(grpcMessage(id));
      });
    });
  }

  private execute(kind: CallKind, id: string, answer: () => void): void {
    writeSync(this.ledger, `${kind} ${id}\n`);
    this.held[kind]++;
    this.onHeld();
    const finish = (): void => {
      this.held[kind]--;
      answer();
    };
    setTimeout(() => (this.withholds ? this.withheld.push(finish) : finish()), this.answerAfterMs);
  }
}

/**
 * As RFC 9113 section 6.8 wants it: first a GOAWAY that refuses nothing, and the true one once the peer has seen that. Node
 * can't say the first: after a GOAWAY of its own it reads no further stream. So the frame goes past it.
 */
function goAway(session: ServerHttp2Session, socket: Socket): void {
  if (session.destroyed || session.closed) return;
  socket.write(GOAWAY_NOTICE);
  session.ping(() => session.close());
}

async function listen(server: NetServer): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
