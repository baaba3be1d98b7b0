// Calls at a steady rate, whether or not earlier ones were answered: GET and POST over HTTP/1.1 with kept connections and
// unary calls over HTTP/2, in turn. Every call has an id of its own, which the answer must bring back. Nothing is retried.
import { Agent, request } from 'node:http';
import { connect, type ClientHttp2Session } from 'node:http2';
import { grpcMessage, grpcText, LEDGER_METHOD, type CallKind } from './ledger-endpoint.ts';

const KINDS = ['GET', 'POST', 'gRPC'] as const;
/** How often calls that are due are started. */
const TICK_MS = 4;
/** A call that takes longer has failed. */
const PATIENCE_MS = 10_000;
const CONNECTIONS = 64;
const SESSIONS = 2;

/** A call that is over. */
export interface CallRecord {
  readonly kind: CallKind;
  readonly id: string;
  /** Empty for success, else what came instead. */
  readonly failure: string;
  readonly durationMs: number;
}

/** A steady stream of calls to one HTTP and one gRPC port of loopback. */
export class OpenLoop {
  /** Calls that are over. */
  readonly records: CallRecord[] = [];
  private readonly ports: { readonly http: number; readonly grpc: number };
  private readonly callsPerMs: number;
  private readonly agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS, maxFreeSockets: CONNECTIONS });
  private readonly sessions: ClientHttp2Session[] = [];
  private readonly startMs = performance.now();
  private readonly ticker: NodeJS.Timeout;
  private started = 0;
  private stopping: (() => void) | undefined = undefined;
  private readonly waiting: { readonly calls: number; readonly resolve: () => void }[] = [];

  constructor(ports: { readonly http: number; readonly grpc: number }, callsPerSecond: number) {
    this.ports = ports;
    this.callsPerMs = callsPerSecond / 1000;
    for (let i = 0; i < SESSIONS; i++) {
      const session = connect(`http://127.0.0.1:${ports.grpc}`);
      session.on('error', () => undefined);
      this.sessions.push(session);
    }
    this.ticker = setInterval(() => this.tick(), TICK_MS);
  }

  /** Since the first call. */
  get elapsedMs(): number {
    return performance.now() - this.startMs;
  }

  /** Those that failed. */
  get failures(): readonly CallRecord[] {
    return this.records.filter(({ failure }) => failure !== '');
  }

  /** Resolves when so many further calls are over. */
  further(calls: number): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.push({ calls: this.records.length + calls, resolve });
    });
  }

  /** Starts no further call; resolves when all are over. */
  async stop(): Promise<void> {
    clearInterval(this.ticker);
    if (this.records.length < this.started) await new Promise<void>((resolve) => (this.stopping = resolve));
    this.agent.destroy();
    for (const session of this.sessions) session.close();
  }

  private tick(): void {
    const due = Math.floor(this.elapsedMs * this.callsPerMs);
    while (this.started < due) this.call(this.started++);
  }

  private call(number: number): void {
    const id = String(number);
    const kind = KINDS[number % KINDS.length] ?? 'GET';
    const fromMs = performance.now();
    let isOver = false;
    const done = (failure: string): void => {
      if (isOver) return;
      isOver = true;
      this.finish({ kind, id, failure, durationMs: performance.now() - fromMs });
    };
    if (kind === 'gRPC') this.callGrpc(id, done);
    else this.callHttp(kind, id, done);
  }

  private callHttp(kind: 'GET' | 'POST', id: string, done: (failure: string) => void): void {
    const { agent } = this;
    const path = kind === 'GET' ? `/${id}` : '/';
    const call = request({ host: '127.0.0.1', port: this.ports.http, method: kind, path, agent }, (response) => {
      let body = '';
      response.setEncoding('latin1').on('data', (text: string) => (body += text));
      response.on('error', (error) => done(`answer: ${error.message}`));
      response.on('end', () => {
        const { statusCode, headers } = response;
        const isGood = statusCode === 200 && body === id;
        done(isGood ? '' : `${statusCode} ${String(headers['x-outrigger-reason'])} ${body}`);
      });
    });
    call.setTimeout(PATIENCE_MS, () => call.destroy(new Error('no answer in time')));
    call.on('error', (error) => done(error.message));
    call.end(kind === 'POST' ? id : undefined);
  }

  private callGrpc(id: string, done: (failure: string) => void): void {
    const session = this.sessions[Number(id) % SESSIONS];
    if (!session || session.closed) return done('the connection to the sidecar is gone');
    const stream = session.request({
      ':method': 'POST',
      ':path': LEDGER_METHOD,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const chunks: Buffer[] = [];
    let status = '';
    const take = (fields: Record<string, unknown>): void => {
      const code = fields['grpc-status'];
      const message = fields['grpc-message'];
      if (typeof code === 'string') status = typeof message === 'string' ? `${code} ${message}` : code;
    };
    stream.on('response', take);
    stream.on('trailers', take);
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', (error) => done(error.message));
    stream.on('close', () => {
      const isGood = status === '0' && grpcText(Buffer.concat(chunks)) === id;
      done(isGood ? '' : `grpc-status ${status}, reset ${stream.rstCode}`);
    });
    stream.setTimeout(PATIENCE_MS, () => stream.destroy(new Error('no answer in time')));
    stream.end(grpcMessage(id));
  }

  private finish(record: CallRecord): void {
    this.records.push(record);
    const { waiting, records } = this;
    for (let i = waiting.length - 1; i >= 0; i--) {
      if ((waiting[i]?.calls ?? 0) <= records.length) waiting.splice(i, 1)[0]?.resolve();
    }
    if (records.length >= this.started) this.stopping?.();
  }
}
