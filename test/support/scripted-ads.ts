// An ADS server that does what a test says, both flavours, over real grpc-js. Its messages go through proto-loader, so it
// shares no encoding, no type list and no protocol logic with src/. Field names are those of the protos, in snake_case.
import assert from 'node:assert/strict';
import type { GrpcObject, ServerDuplexStream, ServiceClientConstructor } from '@grpc/grpc-js';
import { loadPackageDefinition, Server, ServerCredentials, status } from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';
import { loadSync } from '@grpc/proto-loader';

const PREFIX = 'type.googleapis.com/outrigger.config.v1.';
const WRAPPER = 'type.googleapis.com/envoy.service.discovery.v3.Resource';
/** An expectation that isn't met by then fails the test, ms. */
const PATIENCE_MS = 5_000;

const definition = loadSync(
  [
    'envoy/service/discovery/v3/ads.proto',
    ...['sidecar', 'listener', 'gateway', 'upstream', 'endpoints', 'secret'].map(
      (file) => `outrigger/config/v1/${file}.proto`,
    ),
  ],
  { includeDirs: ['proto'], keepCase: true, defaults: true, longs: Number },
);
const discovery = ['envoy', 'service', 'discovery', 'v3'].reduce(
  (packages, name) => packages[name] as GrpcObject,
  loadPackageDefinition(definition),
);
const { service } = discovery['AggregatedDiscoveryService'] as ServiceClientConstructor;

function serialize(type: string, message: object): Buffer {
  return (definition[type] as MessageTypeDefinition<object, object>).serialize(message);
}

/** Bytes of one of our resources. */
export function encodeResource(kind: string, message: object): Buffer {
  return serialize(`outrigger.config.v1.${kind}`, message);
}

/** A request of either flavour; the fields of the other one are undefined. */
export interface AdsRequestMessage {
  readonly type_url: string;
  readonly response_nonce: string;
  readonly error_detail: { readonly code: number; readonly message: string } | null;
  readonly node: {
    readonly id: string;
    readonly user_agent_name: string;
    readonly client_features: readonly string[];
    readonly metadata: { readonly fields: Record<string, unknown> } | null;
  } | null;
  /** Delta. */
  readonly resource_names_subscribe: readonly string[];
  readonly resource_names_unsubscribe: readonly string[];
  readonly initial_resource_versions: Readonly<Record<string, string>>;
  /** State of the world. */
  readonly version_info: string;
  readonly resource_names: readonly string[];
}

/** What is pushed. Either a message in proto JSON with snake_case names, or bytes as they are. */
export interface Push {
  readonly name: string;
  /** Of the resource; delta, or wrapped. */
  readonly version?: string;
  readonly message?: object;
  readonly bytes?: Uint8Array;
  readonly ttlSeconds?: number;
  /** State of the world: within `envoy.service.discovery.v3.Resource`. */
  readonly wrapped?: boolean;
}

type Call = ServerDuplexStream<AdsRequestMessage, object>;

/** One stream that a client opened. */
export class ScriptedStream {
  readonly flavour: 'delta' | 'sotw';
  /** Every request of the stream. */
  readonly requests: AdsRequestMessage[] = [];
  /** The client went away. */
  cancelled = false;
  private readonly call: Call;
  private readonly unread: AdsRequestMessage[] = [];
  private readonly waiting: (() => void)[] = [];
  private nonces = 0;

  constructor(call: Call, flavour: 'delta' | 'sotw') {
    this.call = call;
    this.flavour = flavour;
    call.on('data', (request: AdsRequestMessage) => {
      this.requests.push(request);
      this.unread.push(request);
      this.wake();
    });
    call.on('error', () => undefined);
    call.on('cancelled', () => {
      this.cancelled = true;
      this.wake();
    });
    call.on('end', () => call.end());
  }

  /** The first request of that kind, not expected before, that fulfils `matches`; waits for it. */
  async expect(
    kind: string,
    what = 'a request',
    matches: (request: AdsRequestMessage) => boolean = () => true,
  ): Promise<AdsRequestMessage> {
    let found = -1;
    await this.until(`${what} for ${kind}`, () => {
      found = this.unread.findIndex((request) => request.type_url === PREFIX + kind && matches(request));
      return found >= 0;
    });
    const [request] = this.unread.splice(found, 1);
    assert.ok(request);
    return request;
  }

  /** The answer to a nonce, which must be an ACK. */
  async expectAck(kind: string, nonce: string): Promise<AdsRequestMessage> {
    const answer = await this.expect(kind, `an answer to ${nonce}`, (request) => request.response_nonce === nonce);
    assert.equal(answer.error_detail, null, `${nonce}: ${answer.error_detail?.message}`);
    return answer;
  }

  /** The answer to a nonce, which must be a NACK. */
  async expectNack(kind: string, nonce: string): Promise<AdsRequestMessage & { readonly error: string }> {
    const answer = await this.expect(kind, `an answer to ${nonce}`, (request) => request.response_nonce === nonce);
    assert.ok(answer.error_detail, `${nonce} was not refused`);
    assert.equal(answer.error_detail.code, status.INVALID_ARGUMENT);
    return { ...answer, error: answer.error_detail.message };
  }

  /** Waits until the client has gone away. */
  async gone(): Promise<void> {
    await this.until('the end of the stream', () => this.cancelled);
  }

  /** Requests that carried this nonce. */
  answersTo(nonce: string): number {
    return this.requests.filter((request) => request.response_nonce === nonce).length;
  }

  /** Sends a response; returns its nonce. */
  push(kind: string, resources: readonly Push[], more: { removed?: readonly string[]; version?: string } = {}): string {
    const nonce = `${kind}-${++this.nonces}`;
    const common = { type_url: PREFIX + kind, nonce, control_plane: { identifier: 'scripted' } };
    if (this.flavour === 'delta') {
      const removed_resources = [...(more.removed ?? [])];
      this.call.write({ ...common, resources: resources.map((each) => wrap(kind, each)), removed_resources });
    } else {
      const anys = resources.map((each) =>
        each.wrapped === true
          ? { type_url: WRAPPER, value: serialize('envoy.service.discovery.v3.Resource', wrap(kind, each)) }
          : payload(kind, each),
      );
      this.call.write({ ...common, version_info: more.version ?? `${this.nonces}`, resources: anys });
    }
    return nonce;
  }

  /** Ends the stream with OK. */
  end(): void {
    this.call.end();
  }

  /** Ends the stream with a status. */
  fail(code: number, details: string): void {
    this.call.emit('error', { code, details });
  }

  private wake(): void {
    for (const check of [...this.waiting]) check();
  }

  private until(what: string, done: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.waiting.splice(this.waiting.indexOf(check), 1);
      };
      const check = (): void => {
        if (!done()) return;
        finish();
        resolve();
      };
      const timer = setTimeout(() => {
        finish();
        const got = this.requests.map((request) => JSON.stringify(request)).join('\n');
        reject(new Error(`waited ${PATIENCE_MS} ms for ${what}; so far:\n${got}`));
      }, PATIENCE_MS);
      this.waiting.push(check);
      check();
    });
  }
}

function payload(kind: string, { name, message, bytes }: Push): { type_url: string; value: Uint8Array } {
  return { type_url: PREFIX + kind, value: bytes ?? encodeResource(kind, { name, ...message }) };
}

function wrap(kind: string, push: Push): object {
  const { name, version = '1', ttlSeconds } = push;
  const isHeartbeat = push.message === undefined && push.bytes === undefined;
  return {
    name,
    version,
    ...(isHeartbeat ? {} : { resource: payload(kind, push) }),
    ...(ttlSeconds === undefined ? {} : { ttl: { seconds: ttlSeconds, nanos: 0 } }),
  };
}

/** The server. */
export class ScriptedAds {
  readonly port: number;
  private readonly server: Server;
  private readonly arrived: ScriptedStream[];
  private readonly waiting: ((stream: ScriptedStream) => void)[];

  private constructor(
    server: Server,
    port: number,
    arrived: ScriptedStream[],
    waiting: ((stream: ScriptedStream) => void)[],
  ) {
    this.server = server;
    this.port = port;
    this.arrived = arrived;
    this.waiting = waiting;
  }

  /** Listens on loopback; port 0 takes a free one. Without credentials in plaintext. */
  static async start(port = 0, credentials = ServerCredentials.createInsecure()): Promise<ScriptedAds> {
    const arrived: ScriptedStream[] = [];
    const waiting: ((stream: ScriptedStream) => void)[] = [];
    const accept =
      (flavour: 'delta' | 'sotw') =>
      (call: Call): void => {
        const stream = new ScriptedStream(call, flavour);
        const next = waiting.shift();
        if (next) next(stream);
        else arrived.push(stream);
      };
    const server = new Server({ 'grpc.max_send_message_length': -1 });
    server.addService(service, {
      DeltaAggregatedResources: accept('delta'),
      StreamAggregatedResources: accept('sotw'),
    });
    const bound = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${port}`, credentials, (error, at) => (error ? reject(error) : resolve(at)));
    });
    return new ScriptedAds(server, bound, arrived, waiting);
  }

  get address(): { host: string; port: number } {
    return { host: '127.0.0.1', port: this.port };
  }

  /** The next stream that a client opens. */
  stream(): Promise<ScriptedStream> {
    const stream = this.arrived.shift();
    if (stream) return Promise.resolve(stream);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no stream within ${PATIENCE_MS} ms`)), PATIENCE_MS);
      this.waiting.push((arrived) => {
        clearTimeout(timer);
        resolve(arrived);
      });
    });
  }

  /** Dies: connections break, the port is free. */
  kill(): void {
    this.server.forceShutdown();
  }
}
