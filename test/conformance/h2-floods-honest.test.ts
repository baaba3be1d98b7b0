// Honest traffic that looks like a flood: the guards must let it through. What is honest here is what gRPC libraries do:
// small messages in frames of their own, a WINDOW_UPDATE for each 16 KiB, a PING a round trip, cancelled streams.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { DEFAULT_KEEPALIVE } from '../../src/model/defaults.ts';
import { startDataPlane, type TestDataPlane } from '../support/data-plane.ts';
import { grpcRequest, turns, until } from '../support/h2-floods.ts';
import { GRPC_HEAD, GRPC_OK } from '../support/h2-honest.ts';
import { data, frame, headers, ping, reset, TYPE, windowUpdate } from '../support/h2-peer.ts';
import { connectRawH2, startRawH2Server, type RawH2Connection } from '../support/h2-raw.ts';

const MIB = 1024 * 1024;
const DEFAULT_WINDOW = 65_535;
const INITIAL_WINDOW_SIZE = 4;
const CANCEL = 8;
/** A gRPC message of 20 bytes. */
const MESSAGE = Buffer.concat([Buffer.from([0, 0, 0, 0, 20]), Buffer.alloc(20, 0x6d)]);

/** Sends frames on one stream as the peer's windows allow, and gives window back for what comes. */
class Flow {
  sentFrames = 0;
  receivedBytes = 0;
  receivedFrames = 0;
  /** Holds back what it would give. */
  resting = false;
  private wanted = 0;
  /** The sidecar opens its connections that far before any stream. */
  private window = MIB;
  private streamWindow: number;
  private owed = 0;
  private readonly connection: RawH2Connection;
  private readonly id: number;
  private readonly frame: Buffer;
  private readonly giveEach: number;

  /** `giveEach`: bytes for which a WINDOW_UPDATE is due. */
  constructor(connection: RawH2Connection, id: number, payload: Buffer, giveEach = 16_384, window = DEFAULT_WINDOW) {
    this.connection = connection;
    this.id = id;
    this.frame = data(id, payload);
    this.giveEach = giveEach;
    this.streamWindow = window;
  }

  /** Sends `count` more frames. */
  send(count: number): void {
    this.wanted += count;
    this.pump();
  }

  /** Sends back as many whole frames as have come. */
  echo(): void {
    this.wanted = Math.floor(this.receivedBytes / (this.frame.length - 9));
    this.pump();
  }

  opened(id: number, bytes: number): void {
    if (id === 0) this.window += bytes;
    else if (id === this.id) this.streamWindow += bytes;
    this.pump();
  }

  received(bytes: number): void {
    this.receivedBytes += bytes;
    this.receivedFrames++;
    this.owed += bytes;
    this.give();
  }

  give(): void {
    if (this.resting || this.owed < this.giveEach) return;
    this.connection.send(windowUpdate(0, this.owed), windowUpdate(this.id, this.owed));
    this.owed = 0;
  }

  private pump(): void {
    const bytes = this.frame.length - 9;
    const room = Math.floor(Math.min(this.window, this.streamWindow) / bytes);
    const now = Math.min(this.wanted - this.sentFrames, room);
    if (now <= 0) return;
    this.sentFrames += now;
    this.window -= now * bytes;
    this.streamWindow -= now * bytes;
    this.connection.send(...Array.from<Buffer>({ length: now }).fill(this.frame));
  }
}

interface Scene {
  readonly plane: TestDataPlane;
  readonly client: RawH2Connection;
  readonly servers: RawH2Connection[];
}

/** A caller and an endpoint with the sidecar between; afterwards neither has been told to go away. */
async function withScene(
  t: TestContext,
  onServer: (connection: RawH2Connection) => void,
  run: (scene: Scene) => Promise<string>,
  clientPairs: readonly number[] = [],
): Promise<void> {
  const servers: RawH2Connection[] = [];
  const upstream = await startRawH2Server(
    (connection) => {
      servers.push(connection);
      onServer(connection);
    },
    [INITIAL_WINDOW_SIZE, DEFAULT_WINDOW],
  );
  const plane = await startDataPlane([upstream.port], {
    scheme: 'grpc',
    attempts: { maxAttempts: 1 },
    keepalivePool: { ...DEFAULT_KEEPALIVE, requests: 100_000 },
  });
  const client = await connectRawH2(plane.port, clientPairs);
  try {
    await until(() => client.seen('SETTINGS') > 0, 'SETTINGS');
    const started = process.hrtime.bigint();
    const said = await run({ plane, client, servers });
    t.diagnostic(`${Number((process.hrtime.bigint() - started) / 1_000_000n)} ms; ${said}`);
    assert.deepEqual(plane.refusals, []);
    assert.ok(!client.ended && client.goodbye === undefined, JSON.stringify(client.goodbye));
    assert.equal(servers.length, 1);
    assert.ok(!servers[0]?.ended && servers[0]?.goodbye === undefined, JSON.stringify(servers[0]?.goodbye));
  } finally {
    client.destroy();
    plane.close();
    upstream.close();
  }
}

/** A server that sends each frame back, one for one. */
function echo(connection: RawH2Connection, flows: Map<number, Flow>): void {
  connection.onFrame = ({ type, id, flags, payload }) => {
    if (type === 'WINDOW_UPDATE') for (const flow of flows.values()) flow.opened(id, payload.readUInt32BE(0));
    if (type === 'HEADERS') {
      flows.set(id, new Flow(connection, id, MESSAGE));
      connection.send(headers(id, GRPC_HEAD, false));
    }
    const flow = flows.get(id);
    if (type !== 'DATA' || !flow) return;
    if (payload.length > 0) {
      flow.received(payload.length);
      flow.echo();
    }
    if ((flags & 1) !== 0) connection.send(headers(id, ['grpc-status', '0']));
  };
}

test('100,000 messages of 20 bytes each way on one stream', async (t) => {
  const count = 100_000;
  await withScene(
    t,
    (connection) => echo(connection, new Map()),
    async ({ client }) => {
      const flow = new Flow(client, 1, MESSAGE);
      let ended = false;
      client.onFrame = ({ type, id, flags, payload }) => {
        if (type === 'WINDOW_UPDATE') flow.opened(id, payload.readUInt32BE(0));
        if (type === 'DATA') flow.received(payload.length);
        if (type === 'HEADERS' && (flags & 1) !== 0) ended = true;
      };
      client.send(headers(1, grpcRequest('/echo'), false));
      flow.send(count);
      await until(() => flow.receivedBytes === count * MESSAGE.length || client.ended, 'all echoes', 20_000);
      client.send(data(1, '', true));
      await until(() => ended || client.ended, 'the trailers');
      assert.equal(flow.receivedBytes, count * MESSAGE.length);
      return `${flow.receivedFrames} frames came back`;
    },
  );
});

for (const streams of [1, 10]) {
  test(`messages of 20 bytes fill the windows of ${streams} streams while the endpoint rests`, async (t) => {
    const each = 10_000;
    const flows = new Map<number, Flow>();
    await withScene(
      t,
      (connection) => {
        connection.send(windowUpdate(0, 16 * MIB));
        connection.onFrame = ({ type, id, payload }) => {
          if (type === 'HEADERS') {
            const flow = new Flow(connection, id, MESSAGE);
            flow.resting = true;
            flows.set(id, flow);
          } else if (type === 'DATA') flows.get(id)?.received(payload.length);
        };
      },
      async ({ client }) => {
        const sending = Array.from({ length: streams }, (_, n) => new Flow(client, 1 + 2 * n, MESSAGE));
        // One window of the connection for all of them: the last frames of each take turns.
        client.onFrame = ({ type, id, payload }) => {
          if (type !== 'WINDOW_UPDATE') return;
          for (const flow of sending) flow.opened(id, payload.readUInt32BE(0));
        };
        for (const [n, flow] of sending.entries()) {
          client.send(headers(1 + 2 * n, grpcRequest('/rest'), false));
          await turns(5);
          flow.send(each);
        }
        await turns(200);
        const held = sending.reduce((sum, flow) => sum + flow.sentFrames, 0);
        assert.ok(!client.ended, `cut after ${held}: ${JSON.stringify(client.goodbye)}`);
        for (const flow of flows.values()) {
          flow.resting = false;
          flow.give();
        }
        const got = (): number => [...flows.values()].reduce((sum, flow) => sum + flow.receivedBytes, 0);
        await until(() => got() === each * streams * MESSAGE.length || client.ended, 'all messages', 20_000);
        return `${held} frames waited`;
      },
    );
  });
}

test('256 MiB with a WINDOW_UPDATE for each 16 KiB, on stream and connection', async (t) => {
  const count = 256 * 64;
  await withScene(
    t,
    (connection) => {
      let flow: Flow | undefined;
      connection.onFrame = ({ type, id, payload }) => {
        if (type === 'WINDOW_UPDATE') flow?.opened(id, payload.readUInt32BE(0));
        if (type !== 'HEADERS') return;
        flow = new Flow(connection, id, Buffer.alloc(16_384, 0x64));
        connection.send(headers(id, GRPC_HEAD, false));
        flow.send(count);
      };
    },
    async ({ client }) => {
      client.send(windowUpdate(0, MIB - DEFAULT_WINDOW));
      const flow = new Flow(client, 1, MESSAGE, 16_384);
      client.onFrame = ({ type, payload }) => void (type === 'DATA' && flow.received(payload.length));
      client.send(headers(1, grpcRequest('/download'), true));
      await until(() => flow.receivedBytes === count * 16_384 || client.ended, 'all of it', 30_000);
      assert.equal(flow.receivedBytes, count * 16_384);
      return `${flow.receivedFrames} frames came`;
    },
    [INITIAL_WINDOW_SIZE, MIB],
  );
});

test('a PING for each of 20,000 messages, from both ends', async (t) => {
  const count = 20_000;
  let server: Flow | undefined;
  await withScene(
    t,
    (connection) => {
      connection.onFrame = ({ type, id, flags, payload }) => {
        if (type === 'WINDOW_UPDATE') server?.opened(id, payload.readUInt32BE(0));
        if (type === 'HEADERS') {
          server = new Flow(connection, id, MESSAGE);
          connection.send(headers(id, GRPC_HEAD, false));
        }
        if (type === 'DATA' && payload.length > 0) {
          server?.received(payload.length);
          server?.echo();
          connection.send(ping(3, 4));
        }
        if (type === 'PING' && (flags & 1) === 0) connection.send(ping(0, 0, true));
      };
    },
    async ({ client }) => {
      const flow = new Flow(client, 1, MESSAGE);
      client.onFrame = ({ type, id, payload }) => {
        if (type === 'WINDOW_UPDATE') flow.opened(id, payload.readUInt32BE(0));
        if (type !== 'DATA') return;
        flow.received(payload.length);
        client.send(ping(1, 2));
      };
      client.send(headers(1, grpcRequest('/echo'), false));
      for (let sent = 0; sent < count && !client.ended; sent += 100) {
        flow.send(100);
        await turns(1);
      }
      await until(() => flow.receivedBytes === count * MESSAGE.length || client.ended, 'all echoes', 20_000);
      return `${client.seen('PING')} PINGs answered`;
    },
  );
});

test('2,000 streams that the caller cancels after their first message', async (t) => {
  await withScene(
    t,
    (connection) => {
      connection.onFrame = ({ type, id }) => {
        if (type === 'HEADERS') connection.send(headers(id, GRPC_HEAD, false), data(id, MESSAGE));
      };
    },
    async ({ client, servers }) => {
      let cancelled = 0;
      client.onFrame = ({ type, id }) => {
        if (type !== 'DATA') return;
        client.send(reset(id, CANCEL));
        cancelled++;
      };
      for (let n = 0; n < 2000 && !client.ended; n++) {
        client.send(headers(1 + 2 * n, grpcRequest('/watch')));
        if (n % 20 === 19) await until(() => cancelled === n + 1 || client.ended, 'messages');
      }
      await until(() => servers[0]?.resets.size === 2000 || client.ended, 'the endpoint hears of each');
      return `${cancelled} cancelled`;
    },
  );
});

test('2,000 resets that cross the end of their answers', async (t) => {
  await withScene(
    t,
    (connection) => {
      connection.onFrame = ({ type, id }) => void (type === 'HEADERS' && connection.send(headers(id, GRPC_OK)));
    },
    async ({ client }) => {
      client.onFrame = ({ type, id }) => void (type === 'HEADERS' && client.send(reset(id, CANCEL)));
      for (let n = 0; n < 2000 && !client.ended; n++) {
        client.send(headers(1 + 2 * n, grpcRequest('/call')));
        if (n % 100 === 99) await until(() => client.seen('HEADERS') === n + 1 || client.ended, 'answers');
      }
      await turns(20);
      return `${client.seen('HEADERS')} answered`;
    },
  );
});

test('2,000 calls that the endpoint resets', async (t) => {
  await withScene(
    t,
    (connection) => {
      connection.onFrame = ({ type, id }) => void (type === 'HEADERS' && connection.send(reset(id, 2)));
    },
    async ({ client }) => {
      for (let n = 0; n < 2000 && !client.ended; n++) {
        client.send(headers(1 + 2 * n, grpcRequest('/fails')));
        if (n % 20 === 19) await until(() => client.seen('HEADERS') === n + 1 || client.ended, 'answers');
      }
      return `${client.seen('HEADERS')} answered`;
    },
  );
});

test('an answer that comes early, with a window of 20-byte messages on their way', async (t) => {
  await withScene(
    t,
    (connection) => {
      connection.onFrame = ({ type, id }) => void (type === 'HEADERS' && connection.send(headers(id, GRPC_OK)));
    },
    async ({ client }) => {
      client.send(headers(1, grpcRequest('/early'), false));
      await until(() => client.seen('HEADERS') === 1, 'the answer');
      const late = Math.floor(DEFAULT_WINDOW / MESSAGE.length);
      client.send(...Array.from<Buffer>({ length: late }).fill(data(1, MESSAGE)));
      await turns(50);
      client.send(headers(3, grpcRequest('/next')));
      await until(() => client.seen('HEADERS') === 2 || client.ended, 'the next answer');
      return `${late} frames came late`;
    },
  );
});

test('1,000 uploads answered early, each with four frames on their way', async (t) => {
  await withScene(
    t,
    (connection) => {
      connection.onFrame = ({ type, id }) => void (type === 'HEADERS' && connection.send(headers(id, GRPC_OK)));
    },
    async ({ client }) => {
      const body = Buffer.alloc(4096);
      for (let n = 0; n < 1000 && !client.ended; n++) {
        const id = 1 + 2 * n;
        client.send(headers(id, grpcRequest('/early'), false), data(id, body), data(id, body));
        await until(() => client.seen('HEADERS') === n + 1 || client.ended, 'the answer');
        client.send(data(id, body), data(id, body, true));
      }
      return `${client.seen('HEADERS')} answered`;
    },
  );
});

test('unknown frames and PRIORITY, a few a second and a few a stream', async (t) => {
  await withScene(
    t,
    (connection) => {
      connection.onFrame = ({ type, id }) => void (type === 'HEADERS' && connection.send(headers(id, GRPC_OK)));
    },
    async ({ client }) => {
      client.send(...Array.from<Buffer>({ length: 50 }).fill(frame(0x10, 0, 0, Buffer.alloc(8))));
      for (let n = 0; n < 2000 && !client.ended; n++) {
        const id = 1 + 2 * n;
        const priority = frame(TYPE.PRIORITY, 0, id, Buffer.from([0, 0, 0, 0, 16]));
        client.send(priority, headers(id, grpcRequest('/call')), priority, windowUpdate(id, 100));
        if (n % 50 === 49) await until(() => client.seen('HEADERS') === n + 1 || client.ended, 'answers');
      }
      return `${client.seen('HEADERS')} answered`;
    },
  );
});
