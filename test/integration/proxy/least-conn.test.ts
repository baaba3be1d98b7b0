// least_conn through the whole data plane: what counts as a call in flight, from wherever it came and for however long it
// lasts, and that the numbers return to nothing.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { EndpointCell, PortCell } from '../../../src/model/cells.ts';
import type { Cluster } from '../../../src/upstream/cluster.ts';
import { endpointAt, startDataPlane, type TestDataPlane } from '../../support/data-plane.ts';
import {
  ANSWER_HEAD,
  callFields,
  connectGrpc,
  startEndpoint,
  type GrpcEndpoint,
  type GrpcPeer,
  type GrpcStream,
} from '../../support/grpc-peer.ts';
import { headers } from '../../support/h2-peer.ts';
import { startHeldEndpoint, type HeldEndpoint } from '../../support/held-endpoint.ts';
import { httpCall, type HttpAnswer } from '../../support/http-call.ts';
import { addListener, addUpstreamPort, FIRST_PORT } from '../../support/port-table.ts';
import { until } from '../../support/tls-peer.ts';
import {
  openWebSocket,
  startWebSocketEndpoint,
  type WebSocketCall,
  type WebSocketEndpoint,
} from '../../support/websocket-peer.ts';

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers.reverse()) close();
});

const LEAST_CONN = { balancer: { type: 'least_conn' } } as const;

async function plane(...args: Parameters<typeof startDataPlane>): Promise<TestDataPlane> {
  const started = await startDataPlane(...args);
  closers.push(() => started.close());
  return started;
}

/** Attempts in flight by port of the endpoint. */
function levels(cluster: Cluster): Record<number, number> {
  const found: Record<number, number> = {};
  for (const { spec, slot } of cluster.list())
    found[spec.port] = cluster.live.endpoints.get(slot, EndpointCell.InFlight);
  return found;
}

/** Waits until nothing is in flight, at the endpoints and at the port, and sees that nothing sank below. */
async function settled(cluster: Cluster): Promise<void> {
  await until(() => cluster.inFlight === 0, 'no call in flight');
  for (const [port, level] of Object.entries(levels(cluster))) assert.equal(level, 0, `endpoint ${port}`);
  assert.equal(cluster.level(PortCell.RetriesInFlight), 0);
  assert.equal(cluster.level(PortCell.Pending), 0);
}

describe('least_conn over several ways in', () => {
  async function pair(): Promise<[HeldEndpoint, HeldEndpoint]> {
    const both = await Promise.all([startHeldEndpoint(), startHeldEndpoint()] as const);
    closers.push(() => {
      for (const one of both) one.close();
    });
    return both;
  }

  it('APISIX row 29: two listeners and two hosts of a third share the counters of one upstream port', async () => {
    const [a, b] = await pair();
    const started = await plane([endpointAt(a.port, { weight: 3 }), endpointAt(b.port, { weight: 2 })], LEAST_CONN);
    const second = await addListener(started, 'outbound/81', [[FIRST_PORT]]);
    const byHost = await addListener(started, 'outbound/82', [
      [FIRST_PORT, '1.com'],
      [FIRST_PORT, '2.com'],
    ]);
    const ways: readonly (readonly [port: number, host: string])[] = [
      [byHost, '1.com'],
      [byHost, '2.com'],
      [started.port, 'x'],
      [second, 'x'],
    ];
    const answers: Promise<HttpAnswer>[] = [];
    let order = '';
    for (let i = 0; i < 10; i++) {
      const before = a.calls;
      const [port, host] = ways[i % ways.length]!;
      answers.push(httpCall(port, { headers: { host } }));
      await until(() => a.calls + b.calls === i + 1, `call ${i}`);
      order += a.calls > before ? 'A' : 'B';
    }
    assert.equal(order, 'ABAABABAAB');
    assert.deepEqual(levels(started.cluster), { [a.port]: 6, [b.port]: 4 });
    // An answer frees a place, whichever way its call came.
    b.answer(true);
    await until(() => levels(started.cluster)[b.port] === 0, 'B is free');
    for (let i = 0; i < 3; i++) {
      answers.push(httpCall(ways[i]![0], { headers: { host: ways[i]![1] } }));
      await until(() => b.held.length === i + 1, 'B takes it');
    }
    a.answer(true);
    b.answer(true);
    for (const answer of await Promise.all(answers)) assert.equal(answer.status, 200);
    await settled(started.cluster);
  });

  it('another upstream with the same endpoints counts for itself', async () => {
    const [a, b] = await pair();
    const endpoints = [endpointAt(a.port, { weight: 3 }), endpointAt(b.port, { weight: 2 })];
    const started = await plane(endpoints, LEAST_CONN);
    const other = await addUpstreamPort(started, 'test/other', endpoints, LEAST_CONN);
    const port = await addListener(started, 'outbound/81', [[other.port.key]]);
    const answers = [httpCall(started.port)];
    await until(() => a.calls === 1, 'the first at A');
    answers.push(httpCall(port));
    await until(() => a.calls === 2, 'the first of the other too');
    assert.equal(b.calls, 0);
    a.answer(true);
    await Promise.all(answers);
    await settled(started.cluster);
    await settled(other);
  });
});

describe('least_conn and WebSockets', () => {
  async function three(): Promise<WebSocketEndpoint[]> {
    const all = await Promise.all([1, 2, 3].map(() => startWebSocketEndpoint()));
    closers.push(() => {
      for (const one of all) one.close();
    });
    return all;
  }

  /** The endpoint that has one more than before after `act`. */
  async function grown(endpoints: readonly WebSocketEndpoint[], act: () => Promise<unknown>): Promise<number> {
    const before = endpoints.map(({ requests }) => requests.length);
    await act();
    return endpoints.findIndex(({ requests }, at) => requests.length > before[at]!);
  }

  it('an endpoint that holds an open one gets no other call while another holds none', async () => {
    const [one, two] = await three();
    const both = [one!, two!];
    const started = await plane(
      both.map(({ port }) => port),
      LEAST_CONN,
    );
    let call: WebSocketCall | undefined;
    const holder = await grown(both, async () => (call = await openWebSocket(started.port)));
    assert.equal(call?.status, 101);
    for (let i = 0; i < 6; i++) {
      assert.equal(await grown(both, () => httpCall(started.port)), 1 - holder);
    }
    await call.say('still open');
    assert.deepEqual(call.echoed, ['still open']);
    await call.end();
    await settled(started.cluster);
  });

  it('levels return to 0 however they end: by the closing handshake, or cut by either side', async () => {
    const [one, two] = await three();
    const both = [one!, two!];
    const started = await plane(
      both.map(({ port }) => port),
      LEAST_CONN,
    );
    const ends: readonly (readonly [string, (call: WebSocketCall) => unknown])[] = [
      ['closing handshake', (call) => call.end()],
      ['cut by the caller', (call) => call.cut()],
      [
        'cut by the endpoint',
        () => {
          for (const { open } of both) for (const socket of open) socket.destroy();
        },
      ],
      [
        'reset by the endpoint',
        () => {
          for (const { open } of both) for (const socket of open) socket.resetAndDestroy();
        },
      ],
    ];
    for (const [what, end] of ends) {
      const calls: WebSocketCall[] = [];
      for (let i = 0; i < 4; i++) {
        calls.push(await openWebSocket(started.port));
        await calls[i]!.say(`${what} ${i}`);
      }
      assert.deepEqual(Object.values(levels(started.cluster)), [2, 2], what);
      for (const call of calls) await end(call);
      await settled(started.cluster);
      await until(() => both.every(({ open }) => open.size === 0), `${what}: the endpoints hear of it`);
    }
  });

  it('APISIX row 30: with four open, both of the next two go to an endpoint that is added', async () => {
    const all = await three();
    const ports = all.map(({ port }) => port);
    const started = await plane(ports.slice(0, 2), LEAST_CONN);
    const calls: WebSocketCall[] = [];
    for (let i = 0; i < 4; i++) calls.push(await openWebSocket(started.port));
    assert.deepEqual(
      all.map(({ open }) => open.size),
      [2, 2, 0],
    );
    await started.update(ports);
    for (let i = 0; i < 2; i++) calls.push(await openWebSocket(started.port));
    assert.deepEqual(
      all.map(({ open }) => open.size),
      [2, 2, 2],
    );
    // Its removal leaves those that are open, and their ends count for nobody.
    await started.update(ports.slice(1));
    await calls[0]!.say('after the removal');
    await started.update(ports);
    for (const call of calls) await call.end();
    await settled(started.cluster);
  });
});

describe('least_conn and gRPC streams', () => {
  /** Keeps calls of `/test.Watch/Open` open and answers all others. */
  async function endpoints(count: number): Promise<GrpcEndpoint[]> {
    const all = await Promise.all(
      Array.from({ length: count }, () =>
        startEndpoint((call) => {
          if (call.path === WATCH) call.peer.send(headers(call.id, ANSWER_HEAD, false));
          else call.onEnd = () => call.answer();
        }),
      ),
    );
    closers.push(() => {
      for (const one of all) one.close();
    });
    return all;
  }

  const WATCH = '/test.Watch/Open';

  async function callerOf({ port }: TestDataPlane): Promise<GrpcPeer> {
    const caller = await connectGrpc(port);
    closers.push(() => caller.socket.destroy());
    return caller;
  }

  /** Opens a stream that stays; resolves when its answer has begun. */
  async function watch(caller: GrpcPeer, extra: readonly string[] = []): Promise<GrpcStream> {
    const stream = caller.call(callFields(WATCH, extra), Buffer.from([0, 0, 0, 0, 0]), false);
    await until(() => stream.heads.length > 0, 'the head of the answer');
    return stream;
  }

  const opened = ({ calls }: GrpcEndpoint): GrpcStream[] => calls.filter(({ path }) => path === WATCH);

  it('an endpoint that holds one gets no unary call while another holds none', async () => {
    const both = await endpoints(2);
    const started = await plane(
      both.map(({ port }) => port),
      { ...LEAST_CONN, scheme: 'grpc' },
    );
    const caller = await callerOf(started);
    const stream = await watch(caller);
    const holder = both.findIndex((one) => opened(one).length === 1);
    for (let i = 0; i < 6; i++) {
      const unary = caller.call(callFields(), Buffer.from([0, 0, 0, 0, 0]));
      await unary.over();
      assert.equal(unary.grpcStatus, '0');
    }
    assert.deepEqual([both[holder]?.calls.length, both[1 - holder]?.calls.length], [1, 6]);
    opened(both[holder]!)[0]!.peer.send(headers(opened(both[holder]!)[0]!.id, ['grpc-status', '0'], true));
    await stream.over();
    stream.send('', true);
    await settled(started.cluster);
  });

  it('streams spread by weight, over one connection of the caller, and levels return to 0 however they end', async () => {
    const both = await endpoints(2);
    const started = await plane([endpointAt(both[0]!.port, { weight: 3 }), endpointAt(both[1]!.port)], {
      ...LEAST_CONN,
      scheme: 'grpc',
    });
    const ends: readonly (readonly [string, (stream: GrpcStream, caller: GrpcPeer, index: number) => unknown])[] = [
      ['reset by the caller', (stream) => stream.reset(8)],
      ['the caller hangs up', (_stream, caller, index) => index === 0 && caller.cut('fin')],
      [
        'reset by the endpoint',
        (_stream, _caller, index) => {
          if (index > 0) return;
          for (const one of both) for (const call of opened(one)) if (call.resetCode < 0) call.reset(2);
        },
      ],
      [
        'a lost connection to the endpoint',
        (_stream, _caller, index) => {
          if (index === 0) for (const one of both) for (const peer of one.peers) peer.cut('rst');
        },
      ],
    ];
    for (const [what, end] of ends) {
      const before = both.map((one) => opened(one).length);
      const caller = await callerOf(started);
      const streams: GrpcStream[] = [];
      for (let i = 0; i < 8; i++) streams.push(await watch(caller));
      assert.deepEqual(
        both.map((one, at) => opened(one).length - before[at]!),
        [6, 2],
        what,
      );
      assert.deepEqual(levels(started.cluster), { [both[0]!.port]: 6, [both[1]!.port]: 2 });
      for (const [index, stream] of streams.entries()) await end(stream, caller, index);
      await settled(started.cluster);
      for (const stream of streams) if (!what.includes('caller')) await stream.over();
    }
  });

  it('a deadline frees the place too', async () => {
    const both = await endpoints(2);
    const started = await plane(
      both.map(({ port }) => port),
      { ...LEAST_CONN, scheme: 'grpc' },
    );
    const caller = await callerOf(started);
    const streams = [await watch(caller, ['grpc-timeout', '300m']), await watch(caller, ['grpc-timeout', '300m'])];
    assert.deepEqual(Object.values(levels(started.cluster)), [1, 1]);
    for (const stream of streams) await stream.over();
    await settled(started.cluster);
    assert.deepEqual(
      started.records.map(({ error }) => error),
      ['deadline_exceeded', 'deadline_exceeded'],
    );
  });
});
