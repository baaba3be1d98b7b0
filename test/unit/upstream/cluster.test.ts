import { createCredentials } from '../../../src/identity/live-credentials.ts';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NOTHING_SENT } from '../../../src/base/error.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { seededRng } from '../../../src/base/rng.ts';
import { TimerWheel } from '../../../src/base/timer-wheel.ts';
import { TriedSlots } from '../../../src/balance/tried-slots.ts';
import { DEFAULT_LIMITS } from '../../../src/codec/limits.ts';
import { Cells, EndpointCell, PortCell } from '../../../src/model/cells.ts';
import { DEFAULT_ACTIVE, DEFAULT_OUTLIER, DEFAULT_PASSIVE } from '../../../src/model/defaults.ts';
import type { ChecksPolicy, PassivePolicy, WarmUpPolicy } from '../../../src/model/policy.ts';
import type { EndpointSpec, UpstreamPort } from '../../../src/model/snapshot.ts';
import { Counters } from '../../../src/telemetry/counters.ts';
import { Cluster } from '../../../src/upstream/cluster.ts';
import type { LiveEndpoint } from '../../../src/upstream/endpoint.ts';
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
  const of = (wanted: number): LiveEndpoint => {
    const endpoint = [...cluster.list()].find(({ spec }) => spec.port === wanted);
    assert.ok(endpoint);
    return endpoint;
  };
  /** An attempt at the endpoint of a port couldn't be connected. */
  const fail = (wanted: number): void => cluster.reportAttempt(of(wanted), { ...NO_CALLS, progress: NOTHING_SENT });
  const answer = (wanted: number, httpStatus: number): void =>
    cluster.reportAttempt(of(wanted), { ...NO_CALLS, error: undefined, progress: NOTHING_SENT, httpStatus });
  return { clock, cluster, changes, picks, of, fail, answer, ...cells };
}

function passive(policy: Partial<PassivePolicy>): ChecksPolicy {
  return { active: undefined, passive: { ...DEFAULT_PASSIVE, tcpFailures: 1, ...policy } };
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

  it('backups share what a level above can’t take, also where both take turns', () => {
    const policy = { circuitBreakers: { maxRequestsPerEndpoint: 1 } };
    const { of, picks } = fixture(port([endpointAt(1, { priority: 1 }), endpointAt(2), endpointAt(3)], policy));
    const primary = of(1);
    const trials = primary.beginAttempt();
    const full = picks(1000);
    assert.ok(!full.includes(1));
    assert.ok(full.filter((picked) => picked === 2).length > 400 && full.filter((picked) => picked === 3).length > 400);
    primary.endAttempt(true, trials);
    const turns: number[] = [];
    for (let i = 0; i < 500; i++) {
      assert.deepEqual(picks(1), [1]);
      const begun = primary.beginAttempt();
      turns.push(...picks(1));
      primary.endAttempt(true, begun);
    }
    assert.ok(
      turns.filter((picked) => picked === 2).length > 200 && turns.filter((picked) => picked === 3).length > 200,
    );
  });

  it('weight 0 is the last resort of least_conn, and nothing to APISIX’s ewma', () => {
    const endpoints = [endpointAt(1), endpointAt(2, { weight: 0 })];
    for (const [balancer, hasUntried, usable] of [
      [{ type: 'roundrobin' }, false, false],
      [{ type: 'ewma' }, false, false],
      [{ type: 'least_conn' }, true, false],
      [{ type: 'ewma', ewmaFormula: 'apisix' }, true, true],
    ] as const) {
      const { cluster, of } = fixture(port(endpoints, { balancer }));
      const tried = new TriedSlots();
      tried.add(of(1).slot);
      assert.equal(cluster.hasUntried(tried, of(1).slot), hasUntried, balancer.type);
      assert.equal(cluster.pick(tried, 0, 0)?.spec.port, hasUntried ? 2 : undefined);
      assert.equal(of(2).outReason === '', usable);
    }
  });

  it('after remove nothing is picked and nothing is counted in rows that belong to others now', () => {
    const { cluster, clock, endpointCells, portCells, changes } = fixture(port([endpointAt(1)]));
    cluster.beginRequest();
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
    pools?.forHost('a');
    const [pool] = pools?.all() ?? [];
    cluster.update(port([spec], { timeout: { connectMs: 5, sendMs: 6, readMs: 7, readIsSet: true } }));
    assert.equal(endpoint?.pools, pools);
    assert.equal(pool?.options.connectTimeoutMs, 5);
    cluster.update(port([spec], { scheme: 'grpc' }));
    assert.notEqual(endpoint?.pools, pools);
    endpoint?.pools.forHost('a');
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

  for (const type of ['roundrobin', 'least_conn', 'ewma'] as const) {
    it(`${type}: a backup of weight 0 goes on with what a trial may not take`, () => {
      const checks = passive({ returnAfterMs: 1000, maxReturnAfterMs: 1000 });
      const specs = [endpointAt(1), endpointAt(2, { weight: 0 })];
      const { clock, cluster, picks, fail, of, answer } = fixture(port(specs, { checks, balancer: { type } }));
      assert.deepEqual(new Set(picks(10)), new Set([1]));
      fail(1);
      assert.deepEqual(new Set(picks(10)), new Set([2]));
      clock.advance(1100);
      const tried = new TriedSlots();
      const trial = cluster.pick(tried, clock.nowMs, 0);
      assert.equal(trial, of(1));
      assert.equal(cluster.hasUntried(tried, of(1).slot), true);
      trial?.beginAttempt();
      assert.deepEqual(
        picks(10),
        Array.from({ length: 10 }, () => 2),
      );
      assert.deepEqual([of(2).usable, of(2).outReason], [true, '']);
      trial?.endAttempt(true);
      answer(1, 200);
      assert.deepEqual(new Set(picks(10)), new Set([1]));
      assert.equal(of(2).outReason, 'weight_0');
    });
  }

  it('chash: who has no point on the ring is shown as out, with the reason', () => {
    const specs = [endpointAt(1), endpointAt(2, { weight: 0 })];
    const { cluster, picks, fail, of } = fixture(port(specs, { checks: passive({}), balancer: { type: 'chash' } }));
    fail(1);
    assert.deepEqual(picks(2), [0, 0]);
    assert.equal(cluster.whyNone().kind, 'no_endpoints');
    assert.equal(cluster.hasUntried(new TriedSlots(), of(1).slot), false);
    assert.deepEqual([of(2).usable, of(2).outReason], [false, 'weight_0']);
    cluster.update(port([endpointAt(2, { weight: 0 })], { balancer: { type: 'chash' } }));
    assert.deepEqual([of(2).usable, picks(1)], [true, [2]]);
  });

  it('a priority that carries enough is kept to, however many of another are down', () => {
    const high = [1, 2, 3, 4].map((one) => endpointAt(one, { priority: 1 }));
    const low = [11, 12, 13, 14, 15, 16].map((one) => endpointAt(one));
    const policy = { checks: passive({}), panicThreshold: 50 };
    const { cluster, picks, fail, portCells } = fixture(port([...high, ...low], policy));
    for (const down of [1, 11, 12, 13, 14, 15, 16]) fail(down);
    assert.deepEqual(new Set(picks(100)), new Set([2, 3, 4]));
    assert.equal(cluster.picker.ignoresHealth, false);
    // One of four: 35 %, and nothing below.
    for (const down of [2, 3]) fail(down);
    assert.deepEqual(new Set(picks(100)), new Set([1, 2, 3, 4]));
    assert.equal(portCells.total(cluster.slot, PortCell.PanicPicks), 100);
  });

  it('who comes back by an update starts slowly, whatever kept it out', () => {
    const warmUp: WarmUpPolicy = { windowMs: 60_000, minShare: 0.1, intervalMs: 1000, aggression: 1, graceMs: 0 };
    const outlierDetection = { ...DEFAULT_OUTLIER, consecutive5xx: 1, maxEjectionPercent: 50 };
    const specs = [1, 2, 3, 4].map((one) => endpointAt(one));
    const start = (policy: TestPolicy) => {
      const made = fixture(port(specs, { warmUp, ...policy }));
      const shares = (): number[] =>
        [...made.cluster.list()].map(({ slot }) => made.endpointCells.get(slot, EndpointCell.Share));
      const least = Math.round(0.1 * 65_536);
      return { ...made, shares, least };
    };

    const capped = start({ outlierDetection });
    capped.answer(1, 500);
    capped.clock.advance(10);
    capped.answer(2, 500);
    capped.cluster.update({ ...capped.cluster.port, endpoints: specs.slice(0, 3) }); // one of three may be out
    assert.deepEqual(capped.shares(), [capped.least, 0, 0]);

    const lower = start({ outlierDetection });
    lower.answer(1, 500);
    lower.clock.advance(10);
    lower.answer(2, 500);
    lower.cluster.update(port(specs, { warmUp, outlierDetection: { ...outlierDetection, maxEjectionPercent: 25 } }));
    assert.deepEqual(lower.shares(), [lower.least, 0, 0, 0]);

    const undetected = start({ outlierDetection });
    undetected.answer(1, 500);
    undetected.cluster.update(port(specs, { warmUp }));
    assert.deepEqual(undetected.shares(), [undetected.least, 0, 0, 0]);

    const unchecked = start({ checks: passive({}) });
    unchecked.fail(3);
    unchecked.cluster.update(port(specs, { warmUp }));
    assert.deepEqual(unchecked.shares(), [0, 0, unchecked.least, 0]);

    for (const { cluster } of [capped, lower, undetected, unchecked]) cluster.destroy();
  });

  it('a shorter interval of the slow start holds at once', () => {
    const warmUp: WarmUpPolicy = { windowMs: 600_000, minShare: 0.1, intervalMs: 300_000, aggression: 1, graceMs: 0 };
    const { clock, cluster, endpointCells, of } = fixture(port([endpointAt(1)], { warmUp }));
    clock.advance(1000);
    cluster.update(port([endpointAt(1), endpointAt(2)], { warmUp }));
    clock.advance(1000);
    cluster.update(port([endpointAt(1), endpointAt(2)], { warmUp: { ...warmUp, intervalMs: 1000 } }));
    clock.advance(199_000);
    assert.equal(endpointCells.get(of(2).slot, EndpointCell.Share), Math.round(65_536 / 3));
    cluster.destroy();
  });

  it('turns of those that stay are exact while others are replaced', () => {
    const rng = seededRng(9);
    const stayers = [10, 20, 30, 40, 50];
    let others = [15, 25, 35, 60];
    const specs = (): EndpointSpec[] => [...stayers, ...others].toSorted((a, b) => a - b).map((one) => endpointAt(one));
    const { cluster, picks } = fixture(port(specs()));
    const counts = new Map(stayers.map((one) => [one, 0]));
    for (let change = 0; change < 500; change++) {
      for (const picked of picks(rng.below(8))) {
        if (counts.has(picked)) counts.set(picked, (counts.get(picked) ?? 0) + 1);
      }
      others = [...others.slice(1), 61 + change * 7 + rng.below(7)]; // beyond all others
      if (change % 2 === 0) others[3] = [11, 22, 33, 44, 55].find((one) => !others.includes(one)) ?? 0;
      cluster.update(port(specs()));
      const all = [...counts.values()];
      assert.ok(Math.max(...all) - Math.min(...all) <= 1, `${change}: ${all.join()}`);
    }
  });

  it('many that return at one time are looked at once', () => {
    const checks = passive({ returnAfterMs: 1000, maxReturnAfterMs: 1000 });
    const specs = Array.from({ length: 50 }, (_, index) => endpointAt(index + 1));
    const { clock, cluster, fail, of } = fixture(port(specs, { checks }));
    for (let index = 1; index <= 20; index++) fail(index);
    const { refresh } = cluster.picker;
    let refreshes = 0;
    cluster.picker.refresh = (...args) => {
      refreshes++;
      refresh.apply(cluster.picker, args);
    };
    clock.advance(1100);
    assert.equal(refreshes, 1);
    assert.ok(of(1).isCappedByTrial && of(20).isCappedByTrial);
    cluster.destroy();
  });
});
