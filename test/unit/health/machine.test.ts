import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { ReportKind } from '../../../src/health/machine.ts';
import {
  HealthState,
  healthCount,
  healthStateName,
  holdDown,
  isUp,
  report,
  resetHealth,
  startTrial,
} from '../../../src/health/machine.ts';
import { Cells, EndpointCell } from '../../../src/model/cells.ts';

const KINDS: Readonly<Record<string, ReportKind>> = { S: 'success', H: 'http', T: 'tcp', O: 'timeout' };

function setUp(state: number = HealthState.Healthy) {
  const cells = new Cells();
  cells.allocate();
  const slot = cells.allocate(); // not 0: a forgotten slot shows
  cells.set(slot, EndpointCell.HealthState, state);
  const name = (): string => healthStateName(cells.get(slot, EndpointCell.HealthState));
  const counters = (): string =>
    Object.entries(KINDS)
      .map(([letter, kind]) => `${letter}${healthCount(cells, slot, kind)}`)
      .filter((text) => !text.endsWith('0'))
      .join(' ');
  /** Events as `H3`: kind and limit. Gives the states they led to. */
  const feed = (events: string): string[] =>
    events.split(' ').map((event) => {
      report(cells, slot, KINDS[event.charAt(0)]!, Number(event.slice(1)));
      return name();
    });
  return { cells, slot, name, counters, feed };
}

const UP = 'healthy';
const MOSTLY_UP = 'mostly_healthy';
const MOSTLY_DOWN = 'mostly_unhealthy';
const DOWN = 'unhealthy';

test('APISIX row 108, 1: healthy, three http failures of three', () => {
  const { feed, counters } = setUp();
  assert.deepEqual(feed('H3 H3 H3'), [MOSTLY_UP, MOSTLY_UP, DOWN]);
  assert.equal(counters(), 'H3');
});

test('APISIX row 108, 2: a success in between starts the failures anew', () => {
  const { feed, counters } = setUp();
  assert.deepEqual(feed('H3 H3 S2 H3 H3 H3'), [MOSTLY_UP, MOSTLY_UP, MOSTLY_UP, MOSTLY_UP, MOSTLY_UP, DOWN]);
  assert.equal(counters(), 'H3');
});

test('APISIX row 108, 3: a failure, two successes, a failure', () => {
  const { feed, counters } = setUp();
  assert.deepEqual(feed('H3 S2'), [MOSTLY_UP, MOSTLY_UP]);
  assert.equal(counters(), 'S1');
  assert.deepEqual(feed('S2'), [UP]);
  assert.equal(counters(), 'S2');
  assert.deepEqual(feed('H3'), [MOSTLY_UP]);
  assert.equal(counters(), 'H1');
});

test('APISIX row 108, 4: kinds of failures never add up', () => {
  const { feed, counters } = setUp();
  assert.deepEqual(feed('H3 T2 O3 H3 T2'), [MOSTLY_UP, MOSTLY_UP, MOSTLY_UP, MOSTLY_UP, DOWN]);
  assert.equal(counters(), 'H2 T2 O1');
});

test('APISIX row 108, 5: unhealthy, success, failure, two successes', () => {
  const { feed, counters } = setUp(HealthState.Unhealthy);
  assert.deepEqual(feed('S2 H3'), [MOSTLY_DOWN, MOSTLY_DOWN]);
  assert.equal(counters(), 'H1');
  assert.deepEqual(feed('S2 S2'), [MOSTLY_DOWN, UP]);
});

test('APISIX row 108, 6: unhealthy, one success, then failures up to the limit: down throughout', () => {
  const { feed } = setUp(HealthState.Unhealthy);
  assert.deepEqual(feed('S3 H3 H3 H3'), [MOSTLY_DOWN, MOSTLY_DOWN, MOSTLY_DOWN, DOWN]);
});

test('APISIX row 108, 7: unhealthy takes no more failures: its counters are frozen', () => {
  const { feed, counters } = setUp();
  feed('H2 H2');
  assert.equal(counters(), 'H2');
  assert.deepEqual(feed('H2 H2 T1 O1'), [DOWN, DOWN, DOWN, DOWN]);
  assert.equal(counters(), 'H2');
});

test('healthy takes no more successes: its counters stay at rest', () => {
  const { feed, counters } = setUp();
  assert.deepEqual(feed('S2 S2 S2'), [UP, UP, UP]);
  assert.equal(counters(), '');
});

test('APISIX row 108, 8: one active success wipes passive failures', () => {
  const { feed, counters } = setUp();
  feed('H3 H3');
  assert.equal(counters(), 'H2');
  assert.deepEqual(feed('S2'), [MOSTLY_UP]);
  assert.equal(counters(), 'S1');
});

test('APISIX row 107: a flip comes exactly at the limit, and limit 1 flips at once', () => {
  assert.deepEqual(setUp(HealthState.Unhealthy).feed('S4 S4 S4 S4'), [MOSTLY_DOWN, MOSTLY_DOWN, MOSTLY_DOWN, UP]);
  assert.deepEqual(setUp().feed('H3 H3 H3'), [MOSTLY_UP, MOSTLY_UP, DOWN]);
  assert.deepEqual(setUp().feed('O2 O2'), [MOSTLY_UP, DOWN]);
  assert.deepEqual(setUp().feed('T1 S1'), [DOWN, UP]);
});

test('APISIX row 107: a limit of 0 never flips and is not counted', () => {
  const { feed, counters } = setUp();
  assert.deepEqual(feed('H0 T0 O0'), [UP, UP, UP]);
  feed('H3');
  assert.deepEqual(feed('S0 T0'), [MOSTLY_UP, MOSTLY_UP]);
  assert.equal(counters(), 'H1');
});

test('counters stop at 255', () => {
  const { cells, slot, feed, counters } = setUp();
  // The largest limit is 254; state kept from flipping so that the counter is what is tested.
  for (let i = 0; i < 300; i++) report(cells, slot, 'timeout', 10_000);
  for (let i = 0; i < 300; i++) report(cells, slot, 'http', 10_000);
  assert.equal(counters(), 'H255 O255');
  assert.deepEqual(feed('S9'), [MOSTLY_UP]);
  assert.equal(counters(), 'S1');
});

test('tells only of changes between up and down', () => {
  const { cells, slot } = setUp();
  const reports: [ReportKind, number][] = [
    ['http', 2],
    ['http', 2],
    ['http', 2],
    ['success', 2],
    ['success', 2],
    ['tcp', 1],
    ['success', 1],
  ];
  const changes = reports.map(([kind, limit]) => report(cells, slot, kind, limit));
  assert.deepEqual(changes, ['none', 'down', 'none', 'none', 'up', 'down', 'up']);
});

test('on trial the first outcome decides, whatever the limits', () => {
  for (const state of [HealthState.Unhealthy, HealthState.MostlyUnhealthy]) {
    const good = setUp(state);
    assert.equal(startTrial(good.cells, good.slot), 'up');
    assert.equal(good.name(), 'trial');
    assert.ok(isUp(good.cells.get(good.slot, EndpointCell.HealthState)));
    assert.equal(report(good.cells, good.slot, 'success', 5), 'none'); // it was up already
    assert.equal(good.name(), UP);

    const bad = setUp(state);
    startTrial(bad.cells, bad.slot);
    assert.equal(report(bad.cells, bad.slot, 'timeout', 7), 'down');
    assert.equal(bad.name(), DOWN);
    assert.equal(bad.counters(), 'O1');
    assert.equal(report(bad.cells, bad.slot, 'tcp', 2), 'none');
    assert.equal(bad.counters(), 'O1');
  }
});

test('on trial a counter that is off ends nothing, except that a success is a success', () => {
  const { cells, slot, feed } = setUp(HealthState.Unhealthy);
  startTrial(cells, slot);
  assert.deepEqual(feed('H0 T0'), ['trial', 'trial']);
  assert.deepEqual(feed('S0'), [UP]);
});

test('no trial for what is up', () => {
  for (const state of [HealthState.Healthy, HealthState.MostlyHealthy, HealthState.Trial]) {
    const { cells, slot } = setUp(state);
    assert.equal(startTrial(cells, slot), 'none');
    assert.equal(cells.get(slot, EndpointCell.HealthState), state);
  }
});

test('reset is healthy with empty counters', () => {
  const { cells, slot, feed, counters, name } = setUp();
  feed('T9 H9 O1');
  resetHealth(cells, slot);
  assert.equal(name(), UP);
  assert.equal(counters(), '');
});

test('held down is unhealthy with empty counters, whatever it was', () => {
  for (const state of Object.values(HealthState)) {
    const { cells, slot, feed, counters, name } = setUp(state);
    feed('T9 S9 H9');
    holdDown(cells, slot);
    assert.equal(name(), DOWN);
    assert.equal(counters(), '');
    assert.deepEqual(feed('S2 S2'), [MOSTLY_DOWN, UP]);
  }
});

test('invariants over any sequence of reports', () => {
  const event = fc.record({
    kind: fc.constantFrom<ReportKind>('success', 'http', 'tcp', 'timeout'),
    limit: fc.integer({ min: 0, max: 4 }),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const run = (): string[] => {
        const { cells, slot, name, counters } = setUp();
        return events.map(({ kind, limit }) => {
          const before = cells.get(slot, EndpointCell.HealthState);
          const change = report(cells, slot, kind, limit);
          const after = cells.get(slot, EndpointCell.HealthState);
          assert.equal(change === 'none', isUp(before) === isUp(after));
          if (change === 'down') assert.equal(after, HealthState.Unhealthy);
          if (change === 'up') assert.equal(after, HealthState.Healthy);
          const failures = healthCount(cells, slot, 'http') + healthCount(cells, slot, 'tcp');
          if (healthCount(cells, slot, 'success') > 0) assert.equal(failures + healthCount(cells, slot, 'timeout'), 0);
          return `${change} ${name()} ${counters()}`;
        });
      };
      assert.deepEqual(run(), run());
    }),
    { seed: 19, numRuns: 200 },
  );
});
