// Light traffic through the sidecar: real callers over real sockets, at a steady rate, each call counted.
import { Agent, get } from 'node:http';
import { Agent as SecureAgent, get as getSecure } from 'node:https';
import { credentials, type Client, type ClientReadableStream, type ServiceError } from '@grpc/grpc-js';
import type { Cancel, Clock } from '../base/clock.ts';
import { greeterService } from './backends.ts';
import type { DemoIdentity } from './identity.ts';

/** One finished call. */
export interface CallResult {
  readonly port: number;
  readonly ok: boolean;
  /** Backend that answered; empty for a failed call. */
  readonly backend: string;
  readonly latencyMs: number;
  /** What went wrong; empty if nothing did. */
  readonly error: string;
}

const PERIOD_MS = 40; // 25 calls a second and port
const STREAM_EVERY = 5;
const CALL_TIMEOUT_MS = 10_000;

/** Calls `onResult` for each call until it is stopped; `stop` resolves when no call is in flight. */
export interface Traffic {
  stop(): Promise<void>;
}

/** GETs at a steady rate; with an identity over mTLS. */
export function startHttpTraffic(
  port: number,
  clock: Clock,
  onResult: (result: CallResult) => void,
  identity?: DemoIdentity,
): Traffic {
  const pool = { keepAlive: true, maxSockets: 8 };
  const agent = identity
    ? new SecureAgent({ ...pool, ca: identity.ca, cert: identity.certificate, key: identity.key })
    : new Agent(pool);
  const send = identity ? getSecure : get;
  return startTraffic(
    port,
    clock,
    onResult,
    () => agent.destroy(),
    (done) => {
      const request = send(
        {
          host: '127.0.0.1',
          servername: 'localhost',
          port,
          path: '/',
          agent,
          timeout: CALL_TIMEOUT_MS,
          headers: { host: 'foo' },
        },
        (response) => {
          response.resume();
          response.on('end', () => {
            const ok = response.statusCode === 200;
            const reason = String(response.headers['x-outrigger-reason'] ?? '');
            done(ok ? '' : `${response.statusCode} ${reason}`, String(response.headers['x-backend'] ?? ''));
          });
          response.on('error', (error) => done(error.message, ''));
        },
      );
      request.on('timeout', () => request.destroy(new Error('timeout')));
      request.on('error', (error) => done(error.message, ''));
    },
  );
}

interface GreeterClient extends Client {
  greet(
    request: object,
    options: { deadline: number },
    done: (error: ServiceError | null, response?: { backend: string }) => void,
  ): void;
  count(request: object, options: { deadline: number }): ClientReadableStream<{ backend: string }>;
}

/** Unary calls, and every fifth a stream, at a steady rate; with an identity over mTLS. */
export function startGrpcTraffic(
  port: number,
  clock: Clock,
  onResult: (result: CallResult) => void,
  identity?: DemoIdentity,
): Traffic {
  const Greeter = greeterService();
  const channel = identity
    ? credentials.createSsl(Buffer.from(identity.ca), Buffer.from(identity.key), Buffer.from(identity.certificate))
    : credentials.createInsecure();
  const client = new Greeter(`127.0.0.1:${port}`, channel, {
    // Over TLS the authority is the name that the certificate is checked for, too.
    'grpc.default_authority': identity ? 'localhost' : 'foo',
    ...(identity ? { 'grpc.ssl_target_name_override': 'localhost' } : {}),
    'grpc.enable_retries': 0, // what is retried here is the sidecar's doing
  }) as unknown as GreeterClient;
  let calls = 0;
  return startTraffic(
    port,
    clock,
    onResult,
    () => client.close(),
    (done) => {
      const options = { deadline: clock.wallMs() + CALL_TIMEOUT_MS };
      if (++calls % STREAM_EVERY !== 0) {
        client.greet({ name: 'demo' }, options, (error, response) =>
          done(error?.message ?? '', response?.backend ?? ''),
        );
        return;
      }
      let backend = '';
      const stream = client.count({ to: 3 }, options);
      stream.on('data', (message) => {
        backend = (message as { backend: string }).backend;
      });
      stream.on('end', () => done('', backend));
      stream.on('error', (error) => done(error.message, ''));
    },
  );
}

function startTraffic(
  port: number,
  clock: Clock,
  onResult: (result: CallResult) => void,
  close: () => void,
  call: (done: (error: string, backend: string) => void) => void,
): Traffic {
  let inFlight = 0;
  let stopped = false;
  let idle: (() => void) | undefined;
  let cancel: Cancel = () => undefined;
  const tick = (): void => {
    if (stopped) return;
    cancel = clock.after(PERIOD_MS, tick);
    const startMs = clock.refresh();
    let ended = false;
    inFlight++;
    call((error, backend) => {
      if (ended) return;
      ended = true;
      inFlight--;
      onResult({ port, ok: error === '', backend, latencyMs: clock.refresh() - startMs, error });
      if (stopped && inFlight === 0) idle?.();
    });
  };
  tick();
  return {
    async stop() {
      stopped = true;
      cancel();
      if (inFlight > 0) await new Promise<void>((resolve) => (idle = resolve));
      close();
    },
  };
}
