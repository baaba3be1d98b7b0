// Floods that an endpoint sends back through its connection, over real sockets against the whole data plane. Each costs
// that connection within 1,000 frames and the calls on it, nothing else: calls to another endpoint of the same port, and
// to another port, all succeed meanwhile.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENHANCE_YOUR_CALM } from '../../src/codec/h2/error-code.ts';
import { portKey } from '../../src/model/snapshot.ts';
import { CounterCell } from '../../src/telemetry/counters.ts';
import { endpointAt, startDataPlane, testPolicy, type TestDataPlane } from '../support/data-plane.ts';
import { FLOODS, sendFlood, turns, until, type Flood } from '../support/h2-floods.ts';
import { GRPC_OK, GrpcCaller, startHonestServer, type CallOutcome, type HonestServer } from '../support/h2-honest.ts';
import { headers } from '../support/h2-peer.ts';
import { startRawH2Server, type RawH2Server } from '../support/h2-raw.ts';

const MOST = 1000;

/** Holds what comes on its first connection, answers what comes on others. */
function startBadServer(): Promise<RawH2Server & { readonly held: () => number[] }> {
  const held: number[] = [];
  let first = true;
  return startRawH2Server((connection) => {
    const holds = first;
    first = false;
    connection.onFrame = ({ type, id }) => {
      if (type !== 'HEADERS') return;
      if (holds) held.push(id);
      else connection.send(headers(id, GRPC_OK));
    };
  }).then((server) => ({ ...server, held: () => held }));
}

/** Puts a second upstream port, with a listener of its own, beside the one that is there; returns its port. */
async function addPort(plane: TestDataPlane, endpoint: number): Promise<number> {
  const { snapshot } = plane.config;
  assert.ok(snapshot);
  const key = portKey('test/other', 80);
  const listener = { address: undefined, port: 0, protocols: 'auto', tls: undefined } as const;
  const policy = testPolicy({ scheme: 'grpc' });
  const port = {
    key,
    upstream: 'test/other',
    servicePort: 80,
    policy,
    provenance: new Map(),
    endpoints: [endpointAt(endpoint)],
    names: [],
  };
  await plane.config.apply({
    ...snapshot,
    number: snapshot.number + 1,
    listeners: new Map([
      ...snapshot.listeners,
      ['outbound/81', { ...listener, name: 'outbound/81', targets: [{ port: key, authorities: [] }] }],
    ]),
    ports: new Map([...snapshot.ports, [key, port]]),
  });
  const bound = plane.config.listeners.get('outbound/81')?.bound;
  assert.ok(bound);
  return bound.port;
}

test('floods from an endpoint', async (t) => {
  for (const flood of FLOODS.filter(({ from }) => from !== 'client')) {
    await t.test(flood.name, async (t) => {
      const [bad, good, other] = await Promise.all([startBadServer(), startHonestServer(), startHonestServer()]);
      const plane = await startDataPlane([bad.port, good.port], { scheme: 'grpc', attempts: { maxAttempts: 1 } });
      try {
        t.diagnostic(await attack(flood, plane, bad, other));
      } finally {
        plane.close();
        for (const server of [bad, good, other]) server.close();
      }
    });
  }
});

async function attack(
  flood: Flood,
  plane: TestDataPlane,
  bad: RawH2Server & { readonly held: () => number[] },
  other: HonestServer,
): Promise<string> {
  const caller = new GrpcCaller(plane.port);
  const neighbour = new GrpcCaller(await addPort(plane, other.port));
  const calls: Promise<CallOutcome>[] = [];
  const others: Promise<CallOutcome>[] = [];
  const callBoth = (): void => {
    calls.push(caller.call('/call'));
    others.push(neighbour.call('/call'));
  };
  callBoth();
  callBoth();
  await until(() => bad.held().length === 1, 'the call that is attacked');
  const attacker = bad.connections[0];
  const stream = bad.held()[0];
  assert.ok(attacker && stream !== undefined);
  const streams = { role: 'server', open: stream, lost: stream } as const;

  if (flood.deaf) attacker.stopReading();
  attacker.send(...(flood.before?.(streams) ?? []));
  await turns(5);
  const most = flood.most ?? MOST;
  const isOver = (): boolean => plane.counters.total(CounterCell.UpstreamClosed) > 0;
  const { acts, over, wallMs } = await sendFlood(attacker, flood, streams, 3 * most, isOver, callBoth);
  assert.ok(over, `never cut in ${acts}`);
  assert.ok(acts <= most + Math.max(0, wallMs - 500) / 2, `cut after ${acts}`);
  if (flood.deaf) attacker.readOn();
  await attacker.whenEnded;
  assert.equal(attacker.goodbye?.code, ENHANCE_YOUR_CALM, `GOAWAY ${JSON.stringify(attacker.goodbye)}`);
  attacker.destroy();

  callBoth();
  callBoth();
  for (const { grpcStatus } of await Promise.all(others)) assert.equal(grpcStatus, 0, 'another port noticed');
  const outcomes = await Promise.all(calls);
  const failed = plane.records.filter(({ error }) => error !== undefined);
  for (const { attempts } of failed) {
    assert.deepEqual(
      attempts.map(({ endpoint }) => endpoint.spec.port),
      [bad.port],
      'a call to another endpoint failed',
    );
  }
  assert.equal(outcomes.filter(({ grpcStatus }) => grpcStatus !== 0).length, failed.length);
  assert.ok(failed.length > 0 && outcomes.length - failed.length > 0);
  // What the call that was attacked before lost it by itself, say by a malformed answer, isn't the flood's.
  const words = new Set(failed.map(({ error }) => error));
  const told = outcomes.filter(({ message }) => message.includes('ENHANCE_YOUR_CALM'));
  if (flood.before === undefined) {
    assert.deepEqual([...words], ['upstream_protocol_error']);
    assert.ok(
      told.length > 0 && told.every(({ reason }) => reason === 'upstream_protocol_error'),
      JSON.stringify(outcomes),
    );
  }
  caller.close();
  neighbour.close();
  await until(() => plane.config.active === 0, 'no call is left');
  await until(
    () => [...plane.config.listeners.values()].every(({ bound }) => bound?.connectionCount === 0),
    'connections are gone',
  );
  assert.equal(plane.cluster.inFlight, 0);
  assert.equal(other.open.size, 0);
  const said = told[0]?.message ?? [...words].join();
  return `${acts} until cut, ${wallMs.toFixed(1)} ms, ${failed.length} of ${outcomes.length} calls lost; ${said}`;
}
