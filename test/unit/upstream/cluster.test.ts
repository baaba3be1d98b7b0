import { createCredentials } from '../../../src/identity/live-credentials.ts';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLogger } from '../../../src/base/log.ts';
import { seededRng } from '../../../src/base/rng.ts';
import { TimerWheel } from '../../../src/base/timer-wheel.ts';
import { TriedSlots } from '../../../src/balance/tried-slots.ts';
import { DEFAULT_LIMITS } from '../../../src/codec/limits.ts';
import { Cells, PortCell } from '../../../src/model/cells.ts';
import { DEFAULT_ACTIVE, DEFAULT_PASSIVE } from '../../../src/model/defaults.ts';
import type { EndpointSpec, UpstreamPort } from '../../../src/model/snapshot.ts';
import { Counters } from '../../../src/telemetry/counters.ts';
import { Cluster } from '../../../src/upstream/cluster.ts';
import { endpointAt, testPolicy, type TestPolicy } from '../../support/data-plane.ts';
import { FakeClock } from '../../support/fake-clock.ts';

function port(endpoints: readonly EndpointSpec[], policy: TestPolicy = {}): UpstreamPort {
  return {
    key: 'ns/svc/80',
    upstream: 'ns/svc',
    servicePort: 80,
    policy: testPolicy(policy),
    provenance: new Map(),
    endpoints,
    names: [],
  };
}

function fixture(initial: UpstreamPort) {
  const clock = new FakeClock();
  const changes: string[] = [];
  const cells = { endpointCells: new Cells(), portCells: new Cells() };
  const cluster = new Cluster(initial, {
    clock,
    wheel: new TimerWheel(clock),
    rng: seededRng(3),
    logger: silentLogger,
    limits: DEFAULT_LIMITS,
    counters: new Counters(),
    ...cells,
    credentials: createCredentials({ clock, logger: silentLogger }),
    hostname: 'here',
    onNotes: () => undefined,
    onConnectFailed: () => undefined,
    onEndpointChange: (change, _, endpoint) => changes.push(`${change} ${endpoint.id}`),
  });
  const picks = (count: number): number[] =>
    Array.from({ length: count }, () => cluster.pick(new TriedSlots(), clock.nowMs, 0)?.spec.port ?? 0);
  return { clock, cluster, changes, picks, ...cells };
}

const NO_CALLS = {
  error: 'connect_failure',
  progress: undefined as never,
  httpStatus: 0,
  grpcStatus: -1,
  connectMs: -1,
  headMs: -1,
  totalMs: 1,
  failed: false,
} as const;

describe('Cluster', () => {
  it('remove leaves no timer, whatever was checked', () => {
    const active = { ...DEFAULT_ACTIVE, type: 'tcp' as const };
    for (const checks of [
      undefined,
      { active, passive: undefined },
      { active: undefined, passive: DEFAULT_PASSIVE },
      { active, passive: DEFAULT_PASSIVE },
    ]) {
      const { clock, cluster } = fixture(port([endpointAt(9), endpointAt(10)], { checks }));
      clock.advance(10); // probes have started
      const [endpoint] = cluster.list();
      assert.ok(endpoint);
      const progress = { sent: 'nothing', reusedConnection: false, refusedByPeer: false, answered: false } as const;
      for (let i = 0; i < 2; i++) cluster.reportAttempt(endpoint, { ...NO_CALLS, progress });
      assert.equal(clock.waiting > 0, checks !== undefined);
      cluster.remove();
      assert.equal(clock.waiting, 0);
      cluster.reportAttempt(endpoint, { ...NO_CALLS, progress }); // an attempt that outlived it
      assert.equal(clock.waiting, 0);
      cluster.destroy();
      assert.equal(clock.waiting, 0);
    }
  });

  it('after remove nothing is picked and nothing is counted in rows that belong to others now', () => {
    const { cluster, clock, endpointCells, portCells, changes } = fixture(port([endpointAt(1)]));
    cluster.beginRequest(clock.nowMs);
    const endpoint = cluster.pick(new TriedSlots(), clock.nowMs, 0);
    assert.ok(endpoint);
    endpoint.beginAttempt();
    cluster.remove();
    const [endpointSlot, portSlot] = [endpointCells.allocate(), portCells.allocate()];
    endpoint.endAttempt(true);
    cluster.endRequest(true);
    cluster.count(PortCell.Retries);
    for (const [cells, slot] of [
      [endpointCells, endpointSlot],
      [portCells, portSlot],
    ] as const) {
      assert.ok(cells.words.subarray(cells.at(slot, 0), cells.at(slot + 1, 0)).every((word) => word === 0));
    }
    assert.equal(cluster.pick(new TriedSlots(), clock.nowMs, 0), undefined);
    assert.equal(cluster.inFlight, 0);
    assert.deepEqual(changes, ['added 127.0.0.1:1', 'removed 127.0.0.1:1']);
  });

  it('an update keeps what stays and tells of what changes', () => {
    const { cluster, changes } = fixture(port([endpointAt(1), endpointAt(2)]));
    const before = new Map([...cluster.list()].map((endpoint) => [endpoint.id, endpoint]));
    changes.length = 0;
    cluster.update(port([endpointAt(2, { weight: 5 }), endpointAt(3)]));
    const now = new Map([...cluster.list()].map((endpoint) => [endpoint.id, endpoint]));
    assert.equal(now.get('127.0.0.1:2'), before.get('127.0.0.1:2'));
    assert.equal(now.get('127.0.0.1:2')?.spec.weight, 5);
    assert.deepEqual(changes, ['removed 127.0.0.1:1', 'added 127.0.0.1:3', 'updated 127.0.0.1:2']);
  });

  it('another scheme gives each endpoint new connections, another policy does not', () => {
    const spec = endpointAt(1);
    const { cluster } = fixture(port([spec]));
    const [endpoint] = cluster.list();
    const pools = endpoint?.pools;
    const [pool] = pools?.all() ?? [];
    cluster.update(port([spec], { timeout: { connectMs: 5, sendMs: 6, readMs: 7, readIsSet: true } }));
    assert.equal(endpoint?.pools, pools);
    assert.equal(pool?.options.connectTimeoutMs, 5);
    cluster.update(port([spec], { scheme: 'grpc' }));
    assert.notEqual(endpoint?.pools, pools);
    const [next] = endpoint?.pools.all() ?? [];
    assert.ok((next?.options.expectedCapacity ?? 0) > 1);
  });

  it('draining endpoints are used only where there is no other', () => {
    const draining = endpointAt(1, { draining: true });
    const { cluster, picks } = fixture(port([draining, endpointAt(2), endpointAt(3)]));
    assert.deepEqual(new Set(picks(10)), new Set([2, 3]));
    cluster.update(port([draining]));
    assert.deepEqual(picks(2), [1, 1]);
    assert.equal(cluster.attemptLimit(), 1);
  });

  it('knows whether an untried endpoint is left', () => {
    const { cluster, clock } = fixture(port([endpointAt(1), endpointAt(2), endpointAt(3, { weight: 0 })]));
    const tried = new TriedSlots();
    const first = cluster.pick(tried, clock.nowMs, 0);
    assert.ok(first);
    assert.equal(cluster.hasUntried(tried, first.slot), true);
    tried.add(first.slot);
    const second = cluster.pick(tried, clock.nowMs, 0);
    assert.ok(second && second !== first);
    assert.equal(cluster.hasUntried(tried, second.slot), false, 'weight 0 is no endpoint to try');
    tried.add(second.slot);
    assert.equal(cluster.pick(tried, clock.nowMs, 0), undefined);
  });
});
