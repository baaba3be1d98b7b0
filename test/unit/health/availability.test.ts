import assert from 'node:assert/strict';
import { test } from 'node:test';
import { availability, type AvailabilityPolicy, type EndpointFacts } from '../../../src/health/availability.ts';
import { HealthState, isUp, report, startTrial } from '../../../src/health/machine.ts';
import { Cells, EndpointCell } from '../../../src/model/cells.ts';

const USE_ALL: AvailabilityPolicy = {
  allUnhealthy: 'use-all',
  panicThreshold: 0,
  balancer: { type: 'roundrobin' },
};
const FAIL_FAST: AvailabilityPolicy = { ...USE_ALL, allUnhealthy: 'fail-fast' };

/**
 * Endpoints in words: `up`, `down`, `trial`, `ejected` (it is up) with `draining`, `p-1` (priority) and `w0` (weight) as
 * wanted, parted by commas.
 */
function endpoints(text: string): EndpointFacts[] {
  return text.split(', ').map((one) => {
    const words = one.split(' ');
    const figure = (letter: string): number | undefined => {
      const word = words.find((word) => new RegExp(`^${letter}-?[0-9]`).test(word));
      return word === undefined ? undefined : Number(word.slice(1));
    };
    return {
      priority: figure('p') ?? 0,
      weight: figure('w') ?? 1,
      draining: words.includes('draining'),
      up: words[0] === 'up' || words[0] === 'ejected',
      trial: words[0] === 'trial',
      ejected: words.includes('ejected'),
    };
  });
}

/** Levels and reasons in words: `0 1 | 2` and `ok ok lower_priority`, with marks for what else holds. */
function judge(text: string, policy: AvailabilityPolicy = USE_ALL): string {
  const { levels, outReason, ignoring, failsFast } = availability(endpoints(text), policy);
  const reasons = outReason.map((reason) => reason || 'ok').join(' ');
  const marks = [ignoring.size > 0 ? ' (ignores health)' : '', failsFast ? ' (fails fast)' : ''].join('');
  return `${levels.map(({ members }) => members.join(' ')).join(' | ')}: ${reasons}${marks}`;
}

test('who is up, not ejected and not draining is picked', () => {
  assert.equal(judge('up, up'), '0 1: ok ok');
  assert.equal(judge('up, down, ejected, up draining'), '0: ok unhealthy ejected draining');
  assert.equal(judge('down ejected, up'), '1: unhealthy ok');
  assert.equal(judge('down draining, up'), '1: draining ok');
});

test('levels of descending priority, in the order of the endpoints', () => {
  assert.equal(judge('up p-1, up p1, up, up p1'), '1 3 | 2 | 0: lower_priority ok lower_priority ok');
});

test('a level without anybody disappears', () => {
  assert.equal(judge('down p1, ejected p1, up, up p-1'), '2 | 3: unhealthy ejected ok lower_priority');
  assert.equal(judge('up p1 draining, up'), '1: draining ok');
});

test('weight 0 gets calls only where all that are left in its level have it', () => {
  assert.equal(judge('up w5, up w0'), '0 1: ok weight_0');
  assert.equal(judge('up w0, up w0'), '0 1: ok ok');
  assert.equal(judge('down w5, up w0'), '1: unhealthy ok');
  assert.equal(judge('up p1 w0, up w3'), '0 | 1: ok lower_priority'); // APISIX: the level comes first
  assert.equal(judge('up p1, up w3, up w0'), '0 | 1 2: ok lower_priority weight_0');
});

test('an endpoint on trial is picked and does not count as available', () => {
  assert.equal(judge('trial, up'), '0 1: ok ok');
  assert.equal(judge('trial ejected, up'), '1: ejected ok');
  assert.deepEqual(availability(endpoints('trial, up'), USE_ALL).health.get(0), { candidates: 2, available: 1 });
  // It takes one call at a time; the others go to the next level.
  assert.equal(judge('trial p1, down p1, up, up p-1'), '0 | 2 | 3: ok unhealthy ok lower_priority');
  assert.equal(judge('trial, down'), '0 1: ok ok (ignores health)');
});

test('weight 0 is a level of its own where all that have a weight are on trial', () => {
  assert.equal(judge('trial, up w0'), '0 | 1: ok ok');
  assert.equal(judge('trial, down, up w0, trial w0, up p-1'), '0 | 2 3 | 4: ok unhealthy ok ok lower_priority');
  assert.equal(judge('up p1, trial, up w0'), '0 | 1 | 2: ok lower_priority lower_priority');
  // Nobody is available in either, so the next level isn't covered.
  assert.equal(judge('trial, trial w0, up p-1'), '0 | 1 | 2: ok ok ok');
  assert.equal(judge('trial, up, up w0'), '0 1 2: ok ok weight_0');
  assert.equal(judge('trial, down w0', FAIL_FAST), '0: ok unhealthy');
  assert.equal(judge('trial, down w0'), '0 1: ok weight_0 (ignores health)');
});

test('chash: weight 0 has no place on the ring, except that a single endpoint needs none', () => {
  const ring: AvailabilityPolicy = { ...USE_ALL, balancer: { type: 'chash' } };
  assert.equal(judge('up, up w0', ring), '0: ok weight_0');
  assert.equal(judge('down, up w0', ring), ': unhealthy weight_0');
  assert.equal(judge('trial, up w0', ring), '0: ok weight_0');
  assert.equal(judge('up w0, up w0', ring), ': weight_0 weight_0');
  assert.equal(judge('down, down w0', ring), '0: ok weight_0 (ignores health)');
  assert.equal(judge('down w0, down w0', { ...ring, allUnhealthy: 'fail-fast' }), ': unhealthy unhealthy (fails fast)');
  // The calls go to the next priority, so that doesn't count as covered.
  assert.equal(judge('up p1 w0, up', ring), '1: weight_0 ok');
  assert.equal(judge('down p1, up p1 w0, up', ring), '2: unhealthy weight_0 ok');
  assert.equal(judge('up w0', ring), '0: ok');
});

test('panic_threshold judges each priority by itself, and none while they have enough together', () => {
  const half: AvailabilityPolicy = { ...USE_ALL, panicThreshold: 50 };
  // 75 % are trusted with everything, whatever the lower priority is like.
  assert.equal(
    judge('up p1, up p1, up p1, down p1, down, down, down, down, down, down', half),
    `0 1 2: ok ok ok ${'unhealthy '.repeat(7).trim()}`,
  );
  // 56 % and 0 %: the first is not below the threshold, the second has nobody.
  assert.equal(judge('up p1, up p1, down p1, down p1, down, down', half).split(':')[0], '0 1');
  // 46.7 % and 46.7 %.
  assert.equal(
    judge('up p1, down p1, down p1, up, down, down', half),
    '0 1 2 | 3 4 5: ok ok ok lower_priority lower_priority lower_priority (ignores health)',
  );
  // 46.7 % and 70 % are enough.
  assert.equal(
    judge('up p1, down p1, down p1, up, down', half),
    '0 | 3: ok unhealthy unhealthy lower_priority unhealthy',
  );
  // 35 % and 46.7 %: each has its own say.
  const third: AvailabilityPolicy = { ...USE_ALL, panicThreshold: 30 };
  assert.equal(
    judge('up p1, down p1, down p1, down p1, up, down, down', third),
    '0 1 2 3 | 4: ok ok ok ok lower_priority unhealthy unhealthy (ignores health)',
  );
  // Nobody of the first, and a few of the second: calls go there, as they do without a threshold.
  assert.equal(judge('down p1, down p1, up, down, down', half), '2 3 4: unhealthy unhealthy ok ok ok (ignores health)');
  assert.equal(judge('down p1, down', half), '0 | 1: ok lower_priority (ignores health)');
});

test('use-all: health is ignored where nobody is available, priorities are not', () => {
  assert.equal(judge('down, ejected, down p-1'), '0 1 | 2: ok ok lower_priority (ignores health)');
  assert.equal(judge('down, ejected, up draining'), '0 1: ok ok draining (ignores health)');
  assert.equal(judge('down w5, down w0'), '0 1: ok weight_0 (ignores health)');
});

test('fail-fast: only who is on trial, and nobody otherwise', () => {
  assert.equal(judge('down, ejected', FAIL_FAST), ': unhealthy ejected (fails fast)');
  assert.equal(judge('down, trial, trial p-1', FAIL_FAST), '1 | 2: unhealthy ok ok');
  assert.equal(judge('down, trial ejected', FAIL_FAST), ': unhealthy ejected (fails fast)');
  assert.equal(judge('up, down', FAIL_FAST), '0: ok unhealthy');
});

test('P-013 all endpoints unhealthy: panic_threshold comes before all_unhealthy', () => {
  for (const allUnhealthy of ['use-all', 'fail-fast'] as const) {
    const half: AvailabilityPolicy = { ...USE_ALL, allUnhealthy, panicThreshold: 50 };
    assert.equal(judge('up, down', half), '0: ok unhealthy'); // 50 % is not below 50 %
    assert.equal(judge('up, down, ejected', half), '0 1 2: ok ok ok (ignores health)');
    assert.equal(judge('down, down', half), '0 1: ok ok (ignores health)');
    assert.equal(judge('up, trial, trial', half), '0 1 2: ok ok ok (ignores health)');
    // Draining ones are neither counted nor used.
    assert.equal(judge('up, down, down draining, up draining', half), '0: ok unhealthy draining draining');
    assert.equal(judge('up, up', { ...half, panicThreshold: 100 }), '0 1: ok ok');
    assert.equal(judge('up, up, down', { ...half, panicThreshold: 100 }), '0 1 2: ok ok ok (ignores health)');
  }
  assert.equal(judge('down, down'), '0 1: ok ok (ignores health)');
  assert.equal(judge('down, down', FAIL_FAST), ': unhealthy unhealthy (fails fast)');
});

test('draining ones are used where the port has no others, by the same rules', () => {
  assert.equal(judge('up draining, down draining'), '0: ok unhealthy');
  assert.equal(judge('down draining, down draining'), '0 1: ok ok (ignores health)');
  assert.equal(judge('down draining', FAIL_FAST), ': unhealthy (fails fast)');
});

test('without endpoints nothing is ignored and nothing fails fast', () => {
  for (const policy of [USE_ALL, FAIL_FAST, { ...USE_ALL, panicThreshold: 100 }]) {
    assert.deepEqual(availability([], policy), {
      levels: [],
      outReason: [],
      health: new Map(),
      ignoring: new Set(),
      failsFast: false,
    });
  }
});

test('APISIX row 42: priorities 1 and -1 are two levels, tried from the top', () => {
  assert.equal(
    judge('up p1 w1000, up p1 w1, up p-1 w1000, up p-1 w1'),
    '0 1 | 2 3: ok ok lower_priority lower_priority',
  );
  assert.equal(judge('down p1 w1000, down p1 w1, down p-1 w1000, down p-1 w1').split(':')[0], '0 1 | 2 3');
});

test('APISIX row 44: three endpoints on priorities 1, 0 and -1 are tried in that order', () => {
  assert.equal(judge('up p0, up p-1, up p1').split(':')[0], '2 | 0 | 1');
});

test('APISIX row 45: the dead first level gets calls until its checks have failed, then the second does', () => {
  const cells = new Cells();
  const slot = cells.allocate();
  const facts = (): readonly EndpointFacts[] => {
    const state = cells.get(slot, EndpointCell.HealthState);
    const trial = state === HealthState.Trial;
    const first = { priority: 0, weight: 2000, draining: false, up: isUp(state), trial, ejected: false };
    return [first, { priority: -1, weight: 1, draining: false, up: true, trial: false, ejected: false }];
  };
  const levels = (): readonly (readonly number[])[] =>
    availability(facts(), USE_ALL).levels.map(({ members }) => members);
  assert.deepEqual(levels(), [[0], [1]]);
  report(cells, slot, 'tcp', 2); // the attempt of the first request
  assert.deepEqual(levels(), [[0], [1]]);
  report(cells, slot, 'tcp', 2);
  assert.deepEqual(levels(), [[1]]);
  startTrial(cells, slot);
  assert.deepEqual(levels(), [[0], [1]]);
});

test('APISIX row 90: two nodes whose shared check target is dead go down together, and all are used', () => {
  const cells = new Cells();
  const slots = [cells.allocate(), cells.allocate()];
  const facts = (): readonly EndpointFacts[] =>
    slots.map((slot) => {
      const up = isUp(cells.get(slot, EndpointCell.HealthState));
      return { priority: 0, weight: 1, draining: false, up, trial: false, ejected: false };
    });
  for (let probe = 0; probe < 2; probe++) for (const slot of slots) report(cells, slot, 'tcp', 2);
  assert.ok(facts().every(({ up }) => !up));
  const { levels, ignoring, outReason } = availability(facts(), USE_ALL);
  assert.deepEqual([levels.map(({ members }) => members), [...ignoring], outReason], [[[0, 1]], [0], ['', '']]);
});
