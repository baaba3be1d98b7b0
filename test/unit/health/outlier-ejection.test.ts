import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../../../src/base/rng.ts';
import { eject, ejectionLeftMs, ejectionLimit, ejectionMs } from '../../../src/health/outlier-ejection.ts';
import { Cells } from '../../../src/model/cells.ts';
import { DEFAULT_OUTLIER } from '../../../src/model/defaults.ts';

test('how many may be ejected: Envoy’s cap with a floor of one, and never the only one', () => {
  const rows: readonly (readonly [endpoints: number, percent: number, limit: number])[] = [
    [0, 100, 0],
    [1, 10, 0],
    [1, 100, 0],
    [2, 10, 1],
    [5, 0, 1],
    [9, 10, 1], // Envoy: none
    [10, 10, 1],
    [19, 10, 1],
    [20, 10, 2],
    [100, 10, 10],
    [3, 34, 1],
    [3, 66, 1],
    [3, 67, 2],
    [4, 50, 2],
    [5, 100, 5],
  ];
  for (const [endpoints, percent, limit] of rows) {
    assert.equal(ejectionLimit(endpoints, percent), limit, `${endpoints} at ${percent} %`);
  }
});

test('the cap is Envoy’s 100 × (ejected + 1) / hosts ≤ percent, above the floor', () => {
  for (let hosts = 2; hosts <= 40; hosts++) {
    for (let percent = 0; percent <= 100; percent++) {
      let ejected = 0;
      while (ejected === 0 || (100 * (ejected + 1)) / hosts <= percent) ejected++;
      assert.equal(ejectionLimit(hosts, percent), ejected, `${hosts} at ${percent} %`);
    }
  }
});

test('the time that is left', () => {
  const cells = new Cells();
  const slot = cells.allocate();
  assert.equal(ejectionLeftMs(cells, slot, DEFAULT_OUTLIER, 50), 0);
  eject(cells, slot, DEFAULT_OUTLIER, 1000.75, seededRng(1));
  assert.equal(ejectionMs(cells, slot, DEFAULT_OUTLIER), 30_000);
  assert.equal(ejectionLeftMs(cells, slot, DEFAULT_OUTLIER, 1000.9), 30_000);
  assert.equal(ejectionLeftMs(cells, slot, DEFAULT_OUTLIER, 11_000), 20_000);
  assert.equal(ejectionLeftMs(cells, slot, DEFAULT_OUTLIER, 31_000), 0);
  assert.equal(ejectionLeftMs(cells, slot, DEFAULT_OUTLIER, 99_000), 0);
});

test('lengths that a row can’t measure are cut to what it can', () => {
  const cells = new Cells();
  const slot = cells.allocate();
  const policy = { ...DEFAULT_OUTLIER, baseEjectionMs: 1e12, maxEjectionMs: 1e12, maxEjectionJitterMs: 1e12 };
  eject(cells, slot, policy, 0, seededRng(1));
  assert.equal(ejectionMs(cells, slot, policy), 0x7fff_ffff);
});
