import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLogger } from '../../../src/base/log.ts';
import { NOTHING_SENT, type ErrorKind } from '../../../src/base/error.ts';
import type { Rng } from '../../../src/base/rng.ts';
import type { ProbeOutcome } from '../../../src/health/evidence.ts';
import { HealthState, healthCount, healthStateName } from '../../../src/health/machine.ts';
import { Cells, EndpointCell } from '../../../src/model/cells.ts';
import { DEFAULT_ACTIVE, DEFAULT_PASSIVE, TRANSPORT_ONLY_PASSIVE } from '../../../src/model/defaults.ts';
import type { ActivePolicy, ChecksPolicy, PassivePolicy, Scheme } from '../../../src/model/policy.ts';
import type { TlsRefusal } from '../../../src/net/tls.ts';
import { LiveEndpoint } from '../../../src/upstream/endpoint.ts';
import { PortHealth } from '../../../src/upstream/health.ts';
import type { PoolSet } from '../../../src/upstream/pool-set.ts';
import type { ProbeTarget } from '../../../src/upstream/prober.ts';
import { endpointAt } from '../../support/data-plane.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const NO_JITTER: Rng = { unit: () => 0, below: () => 0 };
const OK: ProbeOutcome = { kind: 'answered', status: 200 };
const BUSY: ProbeOutcome = { kind: 'answered', status: 503 };

interface SentProbe {
  readonly port: number;
  readonly atMs: number;
  readonly target: ProbeTarget;
  readonly policy: ActivePolicy;
  readonly end: (outcome: ProbeOutcome) => void;
  cancelled: boolean;
}

/** A port's health whose probes a test ends by hand, on a clock that it moves; time starts at 0. */
class Scene {
  readonly clock = new FakeClock(0);
  readonly cells = new Cells();
  readonly sent: SentProbe[] = [];
  readonly changes: [port: number, useChanged: boolean][] = [];
  /** Times that changes were told of. */
  tellings = 0;
  readonly successes: number[] = [];
  readonly health: PortHealth;
  endpoints: LiveEndpoint[] = [];
  private added: LiveEndpoint[] = [];
  refusal: TlsRefusal | undefined = undefined;

  constructor(ports: readonly number[] = []) {
    this.health = new PortHealth(
      {
        clock: this.clock,
        logger: silentLogger,
        rng: NO_JITTER,
        endpointCells: this.cells,
        probeChannels: { createHttp1: () => assert.fail(), createHttp2: () => assert.fail() },
        probeConnector: () => this.refusal,
        onActiveSuccess: ({ spec }) => this.successes.push(spec.port),
      },
      (endpoints, useChanged) => {
        for (const { spec } of endpoints) this.changes.push([spec.port, useChanged]);
        this.tellings++;
      },
      (target, policy, _channels, { clock }, end) => {
        const probe: SentProbe = { port: target.port, atMs: clock.nowMs, target, policy, end, cancelled: false };
        this.sent.push(probe);
        return () => (probe.cancelled = true);
      },
    );
    for (const port of ports) this.add(port);
  }

  add(port: number, host = ''): LiveEndpoint {
    const pools = { drain: () => undefined } as unknown as PoolSet;
    const endpoint = new LiveEndpoint(endpointAt(port, { host }), pools, this.cells, this.clock.wallMs());
    this.endpoints.push(endpoint);
    this.added.push(endpoint);
    return endpoint;
  }

  remove(port: number): void {
    for (const endpoint of this.endpoints) if (endpoint.spec.port === port) endpoint.remove();
    this.endpoints = this.endpoints.filter(({ spec }) => spec.port !== port);
  }

  update(
    checks: { active?: Partial<ActivePolicy>; passive?: Partial<PassivePolicy> } | undefined,
    scheme: Scheme = 'http',
  ): void {
    const policy: ChecksPolicy | undefined = checks && {
      active: checks.active && { ...DEFAULT_ACTIVE, ...checks.active },
      passive: checks.passive
        ? { ...DEFAULT_PASSIVE, ...checks.passive }
        : checks.active
          ? TRANSPORT_ONLY_PASSIVE
          : undefined,
    };
    this.health.update(policy, scheme, this.endpoints, this.added);
    this.added = [];
  }

  of(port: number): LiveEndpoint {
    const endpoint = this.endpoints.find(({ spec }) => spec.port === port);
    assert.ok(endpoint);
    return endpoint;
  }

  state(port: number): string {
    return healthStateName(this.cells.get(this.of(port).slot, EndpointCell.HealthState));
  }

  /** Ends the probes in flight, of one port or of all. */
  end(outcome: ProbeOutcome, port?: number): void {
    for (const probe of this.sent.splice(0)) {
      if (port !== undefined && probe.port !== port) this.sent.push(probe);
      else if (!probe.cancelled) probe.end(outcome);
    }
  }

  answered(port: number, httpStatus: number, grpcStatus = -1): void {
    this.health.reportAttempt(this.of(port), { error: undefined, progress: NOTHING_SENT, httpStatus, grpcStatus });
  }

  failed(port: number, error: ErrorKind): void {
    this.health.reportAttempt(this.of(port), { error, progress: NOTHING_SENT, httpStatus: 0, grpcStatus: -1 });
  }

  /** Ports probed since the last look. */
  probes(): number[] {
    return this.sent.splice(0).map(({ port }) => port);
  }
}

describe('active checks', () => {
  it('are sent at once, with the endpoint as it is known, and then at the pace of its state', () => {
    const scene = new Scene([1]);
    scene.add(2, 'two.example');
    scene.update({ active: { healthy: { ...DEFAULT_ACTIVE.healthy, intervalMs: 5000 } } }, 'grpc');
    assert.deepEqual(
      scene.sent.map(({ target }) => target),
      [1, 2].map((port) => ({
        address: '127.0.0.1',
        port,
        host: port === 2 ? 'two.example' : '',
        scheme: 'grpc',
        connector: undefined,
      })),
    );
    scene.end({ kind: 'failed' }, 1);
    scene.end(OK, 2);
    scene.clock.advance(4999);
    assert.deepEqual(scene.probes(), []);
    scene.clock.advance(1);
    assert.deepEqual(scene.probes(), [1, 2]);
  });

  it('are sent to an endpoint at the pace of its state at once when calls took it out', () => {
    const scene = new Scene([1, 2]);
    scene.update({ active: { healthy: { ...DEFAULT_ACTIVE.healthy, intervalMs: 60_000 } } });
    scene.end(OK);
    scene.clock.advance(3000);
    scene.failed(1, 'connect_failure');
    scene.failed(1, 'connect_failure');
    assert.equal(scene.state(1), 'unhealthy');
    assert.deepEqual(scene.probes(), [1]); // it is due since 1,000
    scene.clock.advance(56_000);
    assert.deepEqual(scene.probes(), []); // one is in flight
  });

  it('tell of each success of an endpoint that is up, and of no failure', () => {
    const scene = new Scene([1]);
    scene.update({ active: {} });
    for (const outcome of [OK, BUSY, { kind: 'answered', status: 418 } as const, OK]) {
      scene.end(outcome);
      scene.clock.advance(1000);
    }
    assert.deepEqual(scene.successes, [1, 1]);
  });

  it('are judged by the policy that they were asked under', () => {
    const scene = new Scene([1]);
    scene.update({ active: {} });
    const [probe] = scene.sent;
    scene.update({ active: { healthy: { ...DEFAULT_ACTIVE.healthy, statuses: [404] } } });
    assert.equal(probe?.cancelled, false);
    probe?.end({ kind: 'answered', status: 404 });
    assert.equal(scene.of(1).cause, 'active http: status 404 (1 of 5)');
  });

  it('are sent no more than concurrency at once, and the next as soon as one ends', () => {
    const scene = new Scene([1, 2, 3]);
    scene.update({ active: { concurrency: 2 } });
    assert.deepEqual(
      scene.sent.map(({ port }) => port),
      [1, 2],
    );
    const [first, second] = scene.sent.splice(0);
    second?.end(OK);
    assert.deepEqual(scene.probes(), [3]);
    first?.end(OK);
    scene.clock.advance(999);
    assert.deepEqual(scene.probes(), []);
  });

  it('are not sent while TLS for them is missing, and the state stays', () => {
    const scene = new Scene([1]);
    scene.refusal = { kind: 'secret_missing', detail: 'Secret a/b is missing' };
    scene.update({ active: { type: 'https' } });
    scene.clock.advance(3000);
    assert.deepEqual([scene.probes(), scene.state(1), scene.of(1).cause], [[], 'healthy', '']);
    scene.refusal = undefined;
    scene.clock.advance(1000);
    assert.deepEqual(scene.probes(), [1]);
  });

  it('of an endpoint that went are cancelled', () => {
    const scene = new Scene([1, 2]);
    scene.update({ active: {} });
    const [gone, stays] = scene.sent;
    scene.remove(1);
    scene.update({ active: {} });
    assert.deepEqual([gone?.cancelled, stays?.cancelled], [true, false]);
    scene.health.stop();
    assert.equal(stays?.cancelled, true);
    assert.equal(scene.clock.waiting, 0);
  });
});

describe('an edit', () => {
  it('APISIX row 98: of other endpoints leaves the state of one that is down, and its schedule', () => {
    const scene = new Scene([1970, 1980]);
    const checks = { active: { unhealthy: { ...DEFAULT_ACTIVE.unhealthy, tcpFailures: 1 } } };
    scene.update(checks);
    scene.end({ kind: 'failed' }, 1970);
    scene.clock.advance(500);
    scene.add(1981);
    scene.sent.length = 0;
    scene.update(checks);
    assert.deepEqual([scene.state(1970), scene.probes()], ['unhealthy', [1981]]);
    scene.remove(1980);
    scene.update(checks);
    assert.equal(scene.state(1970), 'unhealthy');
    scene.clock.advance(500);
    assert.deepEqual(scene.probes(), [1970]);
  });

  it('APISIX row 99: of the checks keeps states, counters and probes of all endpoints', () => {
    const scene = new Scene([1, 2]);
    scene.update({ active: {} });
    scene.end(BUSY, 1);
    assert.deepEqual([scene.state(1), scene.state(2)], ['mostly_healthy', 'healthy']);
    scene.update({ active: { httpPath: '/other', unhealthy: { ...DEFAULT_ACTIVE.unhealthy, httpFailures: 2 } } });
    assert.equal(healthCount(scene.cells, scene.of(1).slot, 'http'), 1);
    scene.sent.length = 0;
    scene.clock.advance(1000);
    assert.deepEqual(
      scene.sent.map(({ port, policy }) => [port, policy.httpPath]),
      [[1, '/other']], // that of 2 was never ended: it is in flight still
    );
    scene.end(BUSY);
    assert.equal(scene.state(1), 'unhealthy');
  });

  it('APISIX rows 101 and 102: an endpoint that went is probed no more; with none left nothing is', () => {
    const scene = new Scene([1, 2]);
    scene.update({ active: {} });
    scene.end(OK);
    scene.remove(2);
    scene.update({ active: { httpPath: '/other' } });
    for (let i = 0; i < 15; i++) {
      scene.clock.advance(1000);
      assert.deepEqual(
        scene.sent.map(({ port }) => port),
        [1],
      );
      scene.end(OK);
    }
    scene.remove(1);
    scene.update({ active: { httpPath: '/other' } });
    assert.equal(scene.clock.waiting, 0);
    assert.deepEqual(scene.probes(), []);
  });

  it('that takes the checks away leaves no state', () => {
    const scene = new Scene([1]);
    scene.update({ active: {} });
    scene.failed(1, 'connect_failure');
    scene.failed(1, 'connect_failure');
    scene.changes.length = 0;
    scene.update(undefined);
    assert.deepEqual([scene.state(1), scene.of(1).cause, scene.clock.waiting], ['healthy', '', 0]);
    assert.deepEqual(scene.changes, [[1, false]]);
    scene.failed(1, 'connect_failure');
    assert.equal(scene.of(1).cause, '');
    scene.update(undefined);
    assert.equal(scene.changes.length, 1);
  });
});

const START: Partial<ActivePolicy> = { start: 'unhealthy' };

describe('start: unhealthy', () => {
  it('holds an endpoint down until its probes succeeded, from the first moment on', () => {
    const scene = new Scene([1]);
    scene.update({ active: START });
    assert.deepEqual([scene.state(1), scene.of(1).cause], ['unhealthy', 'active http: not probed yet']);
    assert.deepEqual(scene.changes, []); // it was never seen otherwise
    scene.end(OK);
    assert.equal(scene.state(1), 'mostly_unhealthy');
    scene.clock.advance(1000);
    scene.end(OK);
    assert.deepEqual([scene.state(1), scene.of(1).cause], ['healthy', 'active http: status 200 (2 of 2)']);
    assert.deepEqual(scene.changes, [
      [1, false],
      [1, true],
    ]);
  });

  it('says what the last probe came to, also of one that is down already', () => {
    const scene = new Scene([1]);
    scene.update({ active: START });
    const causes: string[] = [];
    for (const outcome of [
      { kind: 'answered', status: 503 },
      { kind: 'answered', status: 503 },
      { kind: 'failed', detail: 'ECONNREFUSED' },
      { kind: 'failed', detail: 'ECONNREFUSED' },
      { kind: 'failed', detail: 'self-signed' },
    ] as const) {
      scene.end(outcome);
      scene.clock.advance(1000);
      causes.push(scene.of(1).cause);
    }
    assert.deepEqual(causes, [
      'active http: status 503',
      'active http: status 503',
      'active http: connection failed: ECONNREFUSED',
      'active http: connection failed: ECONNREFUSED',
      'active http: connection failed: self-signed',
    ]);
    assert.equal(scene.changes.length, 3);
  });

  it('is asked of endpoints that appear later, and only once of each', () => {
    const scene = new Scene([1]);
    const checks = { active: { ...START, healthy: { ...DEFAULT_ACTIVE.healthy, successes: 1 } } };
    scene.update(checks);
    scene.end(OK);
    assert.equal(scene.state(1), 'healthy');
    scene.add(2);
    scene.update(checks);
    assert.deepEqual([scene.state(1), scene.state(2)], ['healthy', 'unhealthy']);
    scene.update({ active: { ...checks.active, httpPath: '/x' } });
    assert.deepEqual([scene.state(1), scene.state(2)], ['healthy', 'unhealthy']);
    scene.end(OK, 2);
    assert.equal(scene.state(2), 'healthy');
    scene.update(undefined);
    scene.update(checks); // both have been probed before
    assert.deepEqual([scene.state(1), scene.state(2)], ['healthy', 'healthy']);
  });

  it('set later holds for endpoints that were never probed, and is taken back from those', () => {
    const scene = new Scene([1, 2]);
    scene.update({ active: {} });
    scene.end(OK, 1);
    scene.update({ active: START });
    assert.deepEqual([scene.state(1), scene.state(2)], ['healthy', 'unhealthy']);
    assert.deepEqual(scene.changes, [[2, false]]);
    scene.update({ active: {} });
    assert.deepEqual([scene.state(2), scene.of(2).cause], ['healthy', '']);
    scene.update({ active: START });
    scene.update({ passive: {} });
    assert.equal(scene.state(2), 'healthy');
  });

  it('is not shortened by calls that succeed, which an endpoint gets where none is up', () => {
    const scene = new Scene([1]);
    scene.update({ active: START, passive: { successes: 1 } });
    scene.answered(1, 200);
    assert.deepEqual([scene.state(1), scene.of(1).cause], ['unhealthy', 'active http: not probed yet']);
    scene.end(OK);
    scene.failed(1, 'connect_failure');
    assert.equal(healthCount(scene.cells, scene.of(1).slot, 'success'), 0);
    for (let i = 0; i < 2; i++) {
      scene.clock.advance(1000);
      scene.end(OK);
    }
    assert.equal(scene.state(1), 'healthy');
    scene.failed(1, 'connect_failure');
    scene.answered(1, 200);
    assert.equal(scene.of(1).cause, 'passive: status 200 (1 of 1)');
  });

  it('a success is told of once the endpoint is up', () => {
    const scene = new Scene([1]);
    scene.update({ active: { ...START, healthy: { ...DEFAULT_ACTIVE.healthy, successes: 3 } } });
    for (const told of [0, 0, 1, 2]) {
      scene.clock.advance(1000);
      scene.end(OK);
      assert.equal(scene.successes.length, told);
    }
  });

  it('says what holds it up where no evidence does', () => {
    const scene = new Scene([1]);
    scene.refusal = { kind: 'secret_missing', detail: 'Secret a/b is missing' };
    scene.update({ active: { ...START, type: 'https' } });
    assert.equal(scene.of(1).cause, 'active https: not probed yet: Secret a/b is missing');
    scene.refusal = undefined;
    scene.clock.advance(1000);
    scene.changes.length = 0;
    for (let i = 0; i < 2; i++) {
      scene.end({ kind: 'answered', status: 401 });
      scene.clock.advance(1000);
    }
    assert.equal(scene.of(1).cause, 'active https: status 401, which counts for nothing');
    assert.deepEqual(scene.changes, [[1, false]]);
    assert.equal(scene.state(1), 'unhealthy');
  });
});

const PASSIVE: Partial<PassivePolicy> = { tcpFailures: 1, returnAfterMs: 1000, maxReturnAfterMs: 5000 };

describe('passive checks alone', () => {
  it('let an endpoint come back on trial; each failed trial doubles the absence, a success ends that', () => {
    const scene = new Scene([1, 2]);
    scene.update({ passive: PASSIVE });
    scene.failed(1, 'connect_failure');
    const absences: number[] = [];
    for (let i = 0; i < 5; i++) {
      const from = scene.clock.nowMs;
      while (scene.state(1) !== 'trial') scene.clock.advance(10);
      absences.push(scene.clock.nowMs - from);
      scene.failed(1, 'connect_failure');
      assert.deepEqual([scene.state(1), scene.of(1).cause], ['unhealthy', 'passive: connect_failure (on trial)']);
    }
    assert.deepEqual(absences, [1000, 2000, 4000, 5000, 5000]);
    scene.clock.advance(5000);
    scene.answered(1, 200);
    assert.deepEqual([scene.state(1), scene.of(1).cause], ['healthy', 'passive: status 200 (on trial)']);
    scene.failed(1, 'connect_failure');
    scene.clock.advance(999);
    assert.equal(scene.state(1), 'unhealthy');
    scene.clock.advance(1);
    assert.equal(scene.state(1), 'trial');
  });

  it('tell of each change into and out of a trial', () => {
    const scene = new Scene([1]);
    scene.update({ passive: PASSIVE });
    const changesBy = (act: () => void): [number, boolean][] => {
      scene.changes.length = 0;
      act();
      return scene.changes;
    };
    scene.failed(1, 'upstream_reset');
    assert.deepEqual(
      changesBy(() => scene.clock.advance(1000)),
      [[1, true]],
    );
    assert.deepEqual(
      changesBy(() => scene.failed(1, 'upstream_reset')),
      [[1, true]],
    );
    assert.deepEqual(
      changesBy(() => scene.clock.advance(2000)),
      [[1, true]],
    );
    assert.deepEqual(
      changesBy(() => scene.answered(1, 200)),
      [[1, true]],
    );
    scene.failed(1, 'upstream_reset');
    scene.clock.advance(1000);
    assert.equal(scene.state(1), 'trial');
    assert.deepEqual(
      changesBy(() => scene.update(undefined)),
      [[1, false]],
    );
  });

  it('leave a trial open while nothing is said of the endpoint', () => {
    const scene = new Scene([1]);
    scene.update({ passive: PASSIVE });
    scene.failed(1, 'connect_failure');
    scene.clock.advance(1000);
    for (const kind of ['downstream_reset', 'deadline_exceeded', 'upstream_refused', 'overflow'] as const) {
      scene.failed(1, kind);
    }
    scene.clock.advance(60_000);
    assert.equal(scene.state(1), 'trial');
    scene.answered(1, 503);
    assert.equal(scene.state(1), 'unhealthy');
  });

  it('take a status from 500 on that neither list has as a failed trial, unless no status counts', () => {
    for (const [policy, state] of [
      [PASSIVE, 'unhealthy'],
      [{ ...PASSIVE, httpFailures: 0 }, 'healthy'],
    ] as const) {
      const scene = new Scene([1]);
      scene.update({ passive: policy });
      scene.failed(1, 'connect_failure');
      scene.answered(1, 502);
      assert.equal(scene.state(1), 'unhealthy'); // down it says nothing
      scene.clock.advance(1000);
      scene.answered(1, 502);
      assert.equal(scene.state(1), state);
    }
  });

  it('decide a trial by attempts that began in it', () => {
    const scene = new Scene([1]);
    scene.update({ passive: PASSIVE });
    const endpoint = scene.of(1);
    const report = (trials: number, error?: ErrorKind): void => {
      const answer = { progress: NOTHING_SENT, httpStatus: error ? 0 : 200, grpcStatus: -1 };
      scene.health.reportAttempt(endpoint, { error, trials, ...answer });
    };
    const before = endpoint.beginAttempt();
    report(endpoint.beginAttempt(), 'connect_failure');
    scene.clock.advance(1000);
    report(before);
    report(before, 'upstream_reset');
    assert.equal(scene.state(1), 'trial');
    const first = endpoint.beginAttempt();
    report(first, 'connect_failure');
    assert.equal(scene.state(1), 'unhealthy');
    scene.clock.advance(2000);
    report(first);
    assert.equal(scene.state(1), 'trial');
    report(endpoint.beginAttempt());
    assert.equal(scene.state(1), 'healthy');
  });

  it('tell at once of all whose time is over at once', () => {
    const scene = new Scene([1, 2, 3]);
    scene.update({ passive: PASSIVE });
    for (const port of [1, 2, 3]) scene.failed(port, 'connect_failure');
    scene.changes.length = 0;
    scene.tellings = 0;
    scene.clock.advance(1000);
    assert.deepEqual(scene.changes, [
      [1, true],
      [2, true],
      [3, true],
    ]);
    assert.equal(scene.tellings, 1);
  });

  it('switched off, know nothing of endpoints, whose rows may be others’ by now', () => {
    const scene = new Scene([1, 2]);
    scene.update({ passive: PASSIVE });
    scene.update(undefined);
    const { slot } = scene.of(1);
    scene.remove(1);
    scene.update(undefined);
    assert.equal(scene.cells.allocate(), slot);
    scene.cells.set(slot, EndpointCell.HealthState, HealthState.Trial); // of another port
    assert.equal(scene.health.nextReturnMs(scene.clock.nowMs), Infinity);
    // Switched on again, they tell of those that were there all the time.
    scene.changes.length = 0;
    scene.add(3);
    scene.update({ active: START });
    assert.deepEqual(scene.changes, [[2, false]]);
  });

  it('take any complete answer below 500 that is no failure as the end of a trial', () => {
    const scene = new Scene([1]);
    scene.update({ passive: { ...PASSIVE, successes: 0 } });
    for (const [status, state] of [
      [404, 'healthy'],
      [200, 'healthy'],
      [429, 'unhealthy'],
    ] as const) {
      scene.failed(1, 'connect_failure');
      scene.clock.advance(1000);
      scene.answered(1, status);
      assert.equal(scene.state(1), state, String(status));
    }
    scene.clock.advance(2000);
    scene.answered(1, 200, 14); // UNAVAILABLE stands for 503
    assert.deepEqual([scene.state(1), scene.of(1).cause], ['unhealthy', 'passive: grpc-status 14 (on trial)']);
  });

  it('keep absences and failed trials over edits', () => {
    const scene = new Scene([1]);
    scene.update({ passive: PASSIVE });
    scene.failed(1, 'connect_failure');
    scene.clock.advance(1000);
    scene.failed(1, 'connect_failure');
    scene.clock.advance(1500);
    scene.add(2);
    scene.update({ passive: { ...PASSIVE, timeouts: 3 } });
    scene.clock.advance(499);
    assert.equal(scene.state(1), 'unhealthy');
    scene.clock.advance(1);
    assert.equal(scene.state(1), 'trial');
    scene.update({ passive: PASSIVE });
    assert.equal(scene.state(1), 'trial');
  });

  it('take over what active checks took out, and hand over to them', () => {
    const scene = new Scene([1]);
    scene.update({ active: {} });
    scene.failed(1, 'connect_failure');
    scene.failed(1, 'connect_failure');
    scene.update({ passive: PASSIVE });
    scene.clock.advance(1000);
    assert.equal(scene.state(1), 'trial');
    scene.sent.length = 0;
    scene.update({ active: {}, passive: PASSIVE });
    scene.end({ kind: 'timeout' });
    assert.equal(scene.state(1), 'unhealthy');
    scene.clock.advance(1000);
    assert.deepEqual([scene.state(1), scene.probes()], ['unhealthy', [1]]);
  });

  it('count every attempt once, as it ended', () => {
    const scene = new Scene([1]);
    scene.update({ passive: {} });
    scene.failed(1, 'connect_failure');
    scene.failed(1, 'read_timeout');
    scene.answered(1, 500);
    const { slot } = scene.of(1);
    const counts = (['success', 'http', 'tcp', 'timeout'] as const).map((kind) => healthCount(scene.cells, slot, kind));
    assert.deepEqual(counts, [0, 1, 1, 1]);
    scene.answered(1, 200);
    assert.equal(healthCount(scene.cells, slot, 'success'), 1);
  });

  it('say nothing of an endpoint whose row is another one’s by now', () => {
    const scene = new Scene([1]);
    scene.update({ passive: PASSIVE });
    const gone = scene.of(1);
    scene.remove(1);
    const next = scene.add(2);
    assert.equal(next.slot, gone.slot);
    scene.update({ passive: PASSIVE });
    const outcome = { error: 'connect_failure', progress: NOTHING_SENT, httpStatus: 0, grpcStatus: -1 } as const;
    scene.health.reportAttempt(gone, outcome);
    assert.equal(scene.state(2), 'healthy');
  });
});

describe('the time until an endpoint may be back', () => {
  it('is that of the next probe of one that is down', () => {
    const scene = new Scene([1, 2]);
    const nextMs = (): number => scene.health.nextReturnMs(scene.clock.nowMs);
    const unhealthy = { ...DEFAULT_ACTIVE.unhealthy, intervalMs: 7000, tcpFailures: 1 };
    scene.update({ active: { unhealthy } });
    scene.end(OK);
    assert.equal(nextMs(), Infinity);
    scene.failed(1, 'connect_failure');
    scene.failed(1, 'connect_failure');
    assert.equal(nextMs(), 7000);
    scene.clock.advance(2500);
    assert.equal(nextMs(), 4500);
    scene.clock.advance(4499);
    assert.equal(nextMs(), 1000); // never less
    scene.clock.advance(1);
    assert.equal(nextMs(), 1000); // one is in flight
  });

  it('is that of the next timed return, or now where a trial goes on', () => {
    const scene = new Scene([1, 2]);
    const nextMs = (): number => scene.health.nextReturnMs(scene.clock.nowMs);
    assert.equal(nextMs(), Infinity);
    scene.update({ passive: { ...PASSIVE, returnAfterMs: 30_000 } });
    scene.failed(1, 'connect_failure');
    scene.clock.advance(10_000);
    scene.failed(2, 'connect_failure');
    assert.equal(nextMs(), 20_000);
    scene.clock.advance(20_000);
    assert.equal(nextMs(), 1000);
    assert.equal(scene.cells.get(scene.of(1).slot, EndpointCell.HealthState), HealthState.Trial);
  });

  it('is not that of one that drains', () => {
    const scene = new Scene([1]);
    scene.update({ active: { start: 'unhealthy' } });
    assert.equal(scene.health.nextReturnMs(0), 1000);
    const endpoint = scene.of(1);
    endpoint.spec = { ...endpoint.spec, draining: true };
    scene.update({ active: { start: 'unhealthy' } });
    assert.equal(scene.health.nextReturnMs(0), Infinity);
  });
});
