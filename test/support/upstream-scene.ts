// The whole data plane over real sockets under time that a test moves, in front of endpoints whose answers a test gives by
// hand; beside it what the admin service shows: ListEndpoints, GetSnapshot, metrics and Explain.
import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import type { Socket } from 'node:net';
import { endpointStatus } from '../../src/admin/endpoint-status.ts';
import { explain } from '../../src/admin/explain.ts';
import { upstreamPorts } from '../../src/admin/port-status.ts';
import type { SidecarView } from '../../src/admin/views.ts';
import type {
  EndpointStatus,
  ExplainRequest,
  ExplainResponse,
  UpstreamPortStatus,
} from '../../src/gen/outrigger/admin/v1/admin.ts';
import { EndpointCell, PortCell } from '../../src/model/cells.ts';
import type { EndpointSpec } from '../../src/model/snapshot.ts';
import { explainRequest } from '../../src/sidecar-explain.ts';
import { createSidecarView } from '../../src/sidecar-view.ts';
import { createExposition } from '../../src/telemetry/prometheus.ts';
import { startDataPlane, type TestDataPlane, type TestDataPlaneOptions, type TestPolicy } from './data-plane.ts';
import { FakeClock } from './fake-clock.ts';
import { httpCall, type HttpAnswer } from './http-call.ts';
import { rawCaller, type RawCaller } from './raw-caller.ts';
import { startRawServer } from './raw-server.ts';

/** A request that came to an endpoint. */
export interface HeldCall {
  readonly socket: Socket;
  /** Head, and what came with it. */
  readonly text: string;
  /** Answers with the endpoint's port as body, unless another is given. A second time it does nothing. */
  reply(status: number, fields?: string, body?: string): void;
}

/** An endpoint over HTTP/1. */
export interface PlayedEndpoint {
  readonly port: number;
  /** `address:port`. */
  readonly id: string;
  /** All requests that came, in order. */
  readonly calls: HeldCall[];
  /** Connections that came. */
  readonly connections: readonly Socket[];
  /** What it does with the next request; a number answers with that status. */
  play: number | ((call: HeldCall) => void);
}

/** What every level of a port says, and of its endpoints together. */
export interface Levels {
  readonly requests: number;
  readonly pending: number;
  readonly connections: number;
  readonly retries: number;
  readonly attempts: number;
}

/** Nothing is going on. */
export const AT_REST: Levels = { requests: 0, pending: 0, connections: 0, retries: 0, attempts: 0 };

/** Cuts a connection by RST alone: Node's own resetAndDestroy sends a FIN first, which is a half-close. */
export function cut(socket: Socket | undefined): void {
  if (!socket) return;
  const { _handle } = socket as unknown as { readonly _handle: { reset(done: () => void): void } | null };
  _handle?.reset(() => undefined);
  socket.destroy();
}

/** A data plane, and what is shown of it. */
export class ScenePlane {
  readonly plane: TestDataPlane;
  readonly clock: FakeClock;
  readonly view: SidecarView;
  private readonly agent = new Agent({ keepAlive: false });
  private exposition: ReturnType<typeof createExposition> | undefined = undefined;

  constructor(plane: TestDataPlane, clock: FakeClock) {
    this.plane = plane;
    this.clock = clock;
    this.view = createSidecarView({
      nodeId: 'test',
      counters: plane.counters,
      endpointCells: plane.cluster.live.endpoints,
      config: plane.config,
      quota: plane.quota,
      control: () => ({ state: 'none' }) as never,
      resources: () => [],
      certificates: () => [],
      ready: () => ({ ready: true }) as never,
      names: () => [],
      explain: (query, viewOf) => explainRequest(plane.config, query, clock.nowMs, viewOf),
      drain: () => 0,
      setLogLevel: (level) => level,
    });
  }

  /** As ListEndpoints has it, by port. */
  endpoint({ port }: { readonly port: number }): EndpointStatus {
    for (const one of this.view.ports()) {
      for (const endpoint of one.endpoints()) if (endpoint.port === port) return endpointStatus(one, endpoint);
    }
    throw new Error(`no endpoint ${port}`);
  }

  /** As GetSnapshot has it. */
  status(): UpstreamPortStatus {
    const [status] = upstreamPorts(this.view, '');
    assert.ok(status);
    return status;
  }

  explain(request: Partial<ExplainRequest> = {}): ExplainResponse {
    return explain(this.view, {
      port: this.plane.port,
      authority: '',
      method: '',
      path: '',
      httpMethod: '',
      headers: [],
      remoteAddress: '',
      ...request,
    });
  }

  /** Whether Explain says that an endpoint is in, and why it is or isn't. */
  standing({ port }: { readonly port: number }, request: Partial<ExplainRequest> = {}): [boolean, string] {
    const found = this.explain(request).endpoints.find(({ endpoint }) => endpoint === `127.0.0.1:${port}`);
    assert.ok(found);
    return [found.usable, found.reason];
  }

  /** A sample of the exposition, by the start of its line, for example `outrigger_upstream_ejections_total{`. */
  async metric(start: string): Promise<number> {
    const { render } = await (this.exposition ??= createExposition(this.view));
    const lines = (await render()).split('\n').filter((line) => line.startsWith(start));
    assert.equal(lines.length, 1, `${start}: ${lines.join(' ')}`);
    return Number(lines[0]?.split(' ').at(-1));
  }

  get levels(): Levels {
    const { cluster } = this.plane;
    let attempts = 0;
    for (const { slot } of cluster.list()) attempts += cluster.live.endpoints.get(slot, EndpointCell.InFlight);
    return {
      requests: cluster.inFlight,
      pending: cluster.level(PortCell.Pending),
      connections: cluster.level(PortCell.Connections),
      retries: cluster.level(PortCell.RetriesInFlight),
      attempts,
    };
  }

  /** Waits for events of sockets, while time stands, until `done`. */
  async until(done: () => boolean, what: string): Promise<void> {
    const startMs = performance.now();
    while (!done()) {
      if (performance.now() - startMs > 10_000) assert.fail(`in vain: ${what}; ${JSON.stringify(this.levels)}`);
      this.clock.advance(0); // what the code puts off to a later turn
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Until the levels are these. */
  async reaches(levels: Partial<Levels>): Promise<void> {
    const wanted = Object.entries(levels);
    const at = (): Levels => this.levels;
    await this.until(
      () => wanted.every(([name, value]) => at()[name as keyof Levels] === value),
      JSON.stringify(levels),
    );
  }

  /** Until nothing is in flight; kept connections are closed, and then all levels are exactly 0, also as shown. */
  async comesToRest(): Promise<void> {
    await this.reaches({ requests: 0, pending: 0, retries: 0, attempts: 0 });
    // A connection that was being opened may fall idle later.
    const closeIdle = (): void => {
      for (const { pools } of this.plane.cluster.list()) for (const pool of pools.all()) while (pool.closeOneIdle());
    };
    await this.until(() => {
      closeIdle();
      return this.levels.connections === 0;
    }, 'no connections');
    assert.deepEqual(this.levels, AT_REST);
    const { inFlight, pending, connections, retriesInFlight } = this.status();
    assert.deepEqual([inFlight, pending, connections, retriesInFlight], [0, 0, 0, 0]);
    for (const name of ['requests_in_flight', 'pending_requests', 'port_connections', 'retries_in_flight']) {
      assert.equal(await this.metric(`outrigger_upstream_${name}{`), 0, name);
    }
    for (const { slot, pools } of this.plane.cluster.list()) {
      assert.equal(pools.connections, 0);
      assert.equal(this.plane.cluster.live.endpoints.get(slot, EndpointCell.InFlight), 0);
    }
  }

  /** A call on a connection of its own: time that is moved closes those that are kept. */
  call(options: Parameters<typeof httpCall>[1] = {}): Promise<HttpAnswer> {
    return httpCall(this.plane.port, { ...options, agent: this.agent });
  }

  /** `count` calls after each other: how many each body, the port of an endpoint, answered. */
  async shares(count: number): Promise<Map<number, number>> {
    const shares = new Map<number, number>();
    for (let i = 0; i < count; i++) {
      const port = Number((await this.call()).body.toString());
      shares.set(port, (shares.get(port) ?? 0) + 1);
    }
    return shares;
  }

  /** Explain names the endpoint, or the refusal, that the next call then gets. Returns that call's answer. */
  async callAsExplained(): Promise<HttpAnswer> {
    const { pick, refused } = this.explain();
    const answer = await this.call();
    if (pick === '') assert.equal(answer.headers['x-outrigger-reason'], refused);
    else assert.equal(`127.0.0.1:${answer.body.toString()}`, pick);
    return answer;
  }
}

/** What the tests of one file start, closed together at its end. */
export class UpstreamScene {
  /** Called by `close`; push what else has to end. */
  readonly closers: (() => void)[] = [];

  close(): void {
    for (const close of this.closers.splice(0).reverse()) close();
  }

  async plane(
    endpoints: readonly (number | EndpointSpec | PlayedEndpoint)[],
    policy: TestPolicy = {},
    options: TestDataPlaneOptions = {},
  ): Promise<ScenePlane> {
    const clock = new FakeClock();
    const specs = endpoints.map((one) => (typeof one === 'object' && 'calls' in one ? one.port : one));
    const plane = await startDataPlane(specs, policy, undefined, { clock, ...options });
    this.closers.push(() => plane.close());
    return new ScenePlane(plane, clock);
  }

  /** An endpoint that answers 200 until it is told to do something else. */
  async endpoint(play: PlayedEndpoint['play'] = 200): Promise<PlayedEndpoint> {
    const calls: HeldCall[] = [];
    const server = await startRawServer((socket) => {
      let arrived = '';
      socket.on('end', () => socket.destroy());
      socket.on('data', (bytes: Buffer) => {
        arrived += bytes.toString('latin1');
        const head = arrived.indexOf('\r\n\r\n');
        if (head < 0 || !/^[A-Z]+ \S+ HTTP\/1\.1\r\n/.test(arrived)) return;
        let isReplied = false;
        const call: HeldCall = {
          socket,
          text: arrived,
          reply(status, fields = '', body = String(server.port)) {
            if (isReplied || !socket.writable) return;
            isReplied = true;
            socket.write(`HTTP/1.1 ${status} X\r\ncontent-length: ${body.length}\r\n${fields}\r\n${body}`);
          },
        };
        arrived = '';
        calls.push(call);
        if (typeof endpoint.play === 'number') call.reply(endpoint.play);
        else endpoint.play(call);
      });
    });
    this.closers.push(() => server.close());
    const endpoint: PlayedEndpoint = {
      port: server.port,
      id: `127.0.0.1:${server.port}`,
      calls,
      connections: server.connections,
      play,
    };
    return endpoint;
  }

  endpoints(count: number, play: PlayedEndpoint['play'] = 200): Promise<PlayedEndpoint[]> {
    return Promise.all(Array.from({ length: count }, () => this.endpoint(play)));
  }

  /** A caller that has sent a GET, or `text`. */
  async caller({ plane }: ScenePlane, text = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'): Promise<RawCaller> {
    const caller = await rawCaller(plane.port);
    this.closers.push(() => caller.close());
    caller.send(text);
    return caller;
  }
}
