import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { seededRng } from '../../../src/base/rng.ts';
import { recordLatency } from '../../../src/balance/latency.ts';
import { TriedSlots } from '../../../src/balance/tried-slots.ts';
import { HealthState } from '../../../src/health/machine.ts';
import { Cells, EndpointCell } from '../../../src/model/cells.ts';
import type { BalancerPolicy, PortPolicy } from '../../../src/model/policy.ts';
import { LiveEndpoint } from '../../../src/upstream/endpoint.ts';
import { Picker } from '../../../src/upstream/picker.ts';
import { endpointAt, testPolicy } from '../../support/data-plane.ts';

/** An endpoint as it begins: weight, priority, draining. */
type Start = readonly [number, number, boolean];

/** What one endpoint turns into: its place, its health state, whether it is ejected. */
type Step = readonly [number, number, boolean];

const STATES = [HealthState.Healthy, HealthState.MostlyHealthy, HealthState.Unhealthy, HealthState.Trial];

function scene(starts: readonly Start[], policy: PortPolicy) {
  const cells = new Cells();
  const ports = new Cells();
  const live = { endpoints: cells, ports, portSlot: ports.allocate() };
  const endpoints = starts.map(([weight, priority, draining], index) => {
    const spec = { ...endpointAt(index + 1), weight, priority, draining };
    return new LiveEndpoint(spec, undefined as never, cells, 0);
  });
  const create = (): Picker => {
    const picker = new Picker(live, seededRng(1));
    picker.refresh(endpoints, policy);
    return picker;
  };
  return { cells, live, endpoints, create };
}

/** Everything that follows from the state of the endpoints. */
function stateOf(picker: Picker, endpoints: readonly LiveEndpoint[], cells: Cells): unknown {
  return {
    endpoints: endpoints.map(({ slot, id, usable, available, outReason }) => [
      ...[id, usable, available, outReason],
      ...[cells.get(slot, EndpointCell.Out), cells.get(slot, EndpointCell.Cap)],
    ]),
    levels: picker.weightedLevels(),
    standings: [...picker.standings(0, 7)].map(({ endpoint, score }) => `${endpoint.id} ${score}`),
    notes: picker.notes,
    ignoresHealth: picker.ignoresHealth,
    failsFast: picker.failsFast,
    isFull: picker.isFull,
  };
}

describe('Picker', () => {
  const draining = fc.constantFrom(false, false, false, true);
  const step = fc.tuple(fc.nat(), fc.nat(STATES.length - 1), fc.boolean());
  for (const type of ['roundrobin', 'least_conn', 'ewma', 'chash'] as const) {
    // A weight that asks for more than a schedule has; a ring of it takes long to describe.
    const weight = type === 'chash' ? fc.constantFrom(0, 1, 1, 3) : fc.constantFrom(0, 1, 1, 3, 70_000);
    const start = fc.tuple(weight, fc.constantFrom(0, 0, 1), draining);
    it(`${type}: one endpoint's change leads to the same as a look at all endpoints`, () => {
      fc.assert(
        fc.property(
          fc.array(start, { minLength: 1, maxLength: 12 }),
          fc.array(step, { maxLength: 12 }),
          fc.constantFrom<'use-all' | 'fail-fast'>('use-all', 'fail-fast'),
          fc.constantFrom(0, 50, 70),
          (starts: readonly Start[], steps: readonly Step[], allUnhealthy, panicThreshold) => {
            const base = testPolicy({ allUnhealthy, panicThreshold });
            const balancer: BalancerPolicy = { ...base.balancer, type };
            const policy = { ...base, balancer };
            const { cells, endpoints, create } = scene(starts, policy);
            const picker = create();
            for (const [at, state, ejected] of steps) {
              const endpoint = endpoints[at % endpoints.length];
              assert.ok(endpoint);
              cells.set(endpoint.slot, EndpointCell.HealthState, STATES[state] ?? 0);
              cells.set(endpoint.slot, EndpointCell.Ejected, ejected ? 1 : 0);
              picker.refreshOne(endpoint, endpoints, policy);
              const found = stateOf(picker, endpoints, cells);
              assert.deepEqual(found, stateOf(create(), endpoints, cells));
            }
          },
        ),
        { seed: 11, numRuns: 150 },
      );
    });
  }

  it('an endpoint that goes out is never picked, and has its turn again when it is back', () => {
    const policy = testPolicy({});
    const { cells, live, endpoints, create } = scene(
      [1, 2, 3].map((): Start => [1, 0, false]),
      policy,
    );
    const picker = create();
    const second = endpoints[1];
    assert.ok(second);
    const counts = (): number[] => {
      const picked = new Map<LiveEndpoint | undefined, number>();
      for (let i = 0; i < 12; i++) {
        const endpoint = picker.pick(new TriedSlots(), 0, 0);
        picked.set(endpoint, (picked.get(endpoint) ?? 0) + 1);
      }
      return endpoints.map((endpoint) => picked.get(endpoint) ?? 0);
    };
    assert.deepEqual(counts(), [4, 4, 4]);
    cells.set(second.slot, EndpointCell.HealthState, HealthState.Unhealthy);
    picker.refreshOne(second, endpoints, policy);
    assert.deepEqual(counts(), [6, 0, 6]);
    cells.set(second.slot, EndpointCell.HealthState, HealthState.Healthy);
    picker.refreshOne(second, endpoints, policy);
    assert.deepEqual(counts(), [4, 4, 4]);
    assert.equal(live.endpoints, cells);
  });

  it('an edit that leaves the algorithm as it is leaves the balancers what they know', () => {
    const policy = testPolicy({ balancer: { type: 'ewma' } });
    const { cells, endpoints, create } = scene(
      [1, 2].map((): Start => [1, 0, false]),
      policy,
    );
    const [measured, unknown] = endpoints;
    assert.ok(measured && unknown);
    const picker = create();
    recordLatency(cells, measured.slot, { failed: false, connectMs: 0, headMs: 100, totalMs: 100 }, 1);
    const others = new TriedSlots();
    others.add(unknown.slot);
    for (let i = 0; i < 200; i++) picker.pick(others, 1, 0);
    const score = picker.scoreOf(unknown, 1, 0);
    assert.equal(score, 'load 50.00 ms, not measured yet'); // half of what is typical
    picker.refresh(endpoints, { ...policy, balancer: { ...policy.balancer }, panicThreshold: 20 });
    assert.equal(picker.scoreOf(unknown, 1, 0), score);
    picker.refresh(endpoints, { ...policy, balancer: { ...policy.balancer, type: 'least_conn' } });
    picker.refresh(endpoints, policy);
    assert.notEqual(picker.scoreOf(unknown, 1, 0), score);
  });
});
