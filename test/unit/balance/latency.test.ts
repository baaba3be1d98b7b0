import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  fadingLatencyUs,
  isApisixLatencyLower,
  readApisixLatencyUs,
  readLatencyUs,
  recordApisixLatency,
  recordLatency,
  type LatencyRecorder,
} from '../../../src/balance/latency.ts';
import { seededRng } from '../../../src/base/rng.ts';
import { Cells, EndpointCell } from '../../../src/model/cells.ts';

function setUp(record: LatencyRecorder) {
  const cells = new Cells();
  const slot = cells.allocate();
  return {
    cells,
    slot,
    add: (nowMs: number, headMs: number, failed = false): number => {
      record(cells, slot, { connectMs: 0, headMs, totalMs: headMs, failed }, nowMs);
      return cells.get(slot, EndpointCell.LatencyUs);
    },
  };
}

function near(actual: number, expected: number, within: number): void {
  assert.ok(Math.abs(actual - expected) <= within, `${actual} is not ${expected} ± ${within}`);
}

test("APISIX's formula gives the values of its code", () => {
  const afterOne = setUp(recordApisixLatency);
  assert.equal(afterOne.add(0, 100), 100_000); // first sample: itself
  near(afterOne.add(1_000, 300), 119_033, 1);
  const afterTen = setUp(recordApisixLatency);
  afterTen.add(0, 100);
  near(afterTen.add(10_000, 300), 226_424, 1);
});

test("APISIX's formula: a second sample of the same instant has no weight", () => {
  const { add } = setUp(recordApisixLatency);
  add(5_000, 100);
  assert.equal(add(5_000, 9_000), 100_000);
  assert.equal(add(5_000, 1), 100_000);
});

test("APISIX's formula counts connecting twice, goes to the last byte and doesn't mind failures", () => {
  const cells = new Cells();
  const slot = cells.allocate();
  recordApisixLatency(cells, slot, { connectMs: 20, headMs: 30, totalMs: 100, failed: true }, 0);
  assert.equal(cells.get(slot, EndpointCell.LatencyUs), 120_000);
});

test("APISIX's formula decays to 0 while nothing comes and forgets after 60 s", () => {
  const { cells, slot, add } = setUp(recordApisixLatency);
  assert.equal(readApisixLatencyUs(cells, slot, 0), 0);
  add(1_000, 100);
  near(readApisixLatencyUs(cells, slot, 6_000), 60_653, 1);
  near(readApisixLatencyUs(cells, slot, 11_000), 36_788, 1);
  near(readApisixLatencyUs(cells, slot, 60_999), 248, 1);
  assert.equal(readApisixLatencyUs(cells, slot, 61_000), 0);
  assert.equal(add(61_000, 7), 7_000); // a first sample again
});

test('comparing two of them is comparing what they read', () => {
  const cells = new Cells();
  const rng = seededRng(5);
  const slots = Array.from({ length: 12 }, () => cells.allocate());
  for (const slot of slots.slice(1)) {
    const totalMs = 100 * rng.unit();
    recordApisixLatency(cells, slot, { connectMs: 0, headMs: 1, totalMs, failed: false }, rng.below(70_000));
  }
  for (const nowMs of [70_000, 90_000, 129_000, 200_000]) {
    for (const a of slots) {
      for (const b of slots) {
        const expected = readApisixLatencyUs(cells, a, nowMs) < readApisixLatencyUs(cells, b, nowMs);
        assert.equal(isApisixLatencyLower(cells, a, b, nowMs), expected);
      }
    }
  }
});

test('peak: what is above the decayed value replaces it, what is below is averaged in', () => {
  const { add } = setUp(recordLatency);
  assert.equal(add(0, 10), 10_000);
  assert.equal(add(0, 40), 40_000);
  near(add(1_000, 10), 40_000 * Math.exp(-0.1) + 10_000 * (1 - Math.exp(-0.1)), 1);
  assert.equal(add(100_000, 3), 3_000); // the old value has decayed below
});

test('peak: a steady latency is kept, a better one is believed within some ten seconds', () => {
  const { add } = setUp(recordLatency);
  for (let nowMs = 0; nowMs < 5_000; nowMs += 10) assert.equal(add(nowMs, 8), 8_000);
  let value = 0;
  for (let nowMs = 5_000; nowMs <= 35_000; nowMs += 10) value = add(nowMs, 2);
  near(value, 2_000, 400);
});

test('peak: small changes count even with a sample each millisecond', () => {
  const { add } = setUp(recordLatency);
  let value = add(0, 2);
  for (let nowMs = 1; nowMs <= 10_000; nowMs++) value = add(nowMs, 1.5);
  near(value, 1_500 + 500 * Math.exp(-1), 25);
  const apisix = setUp(recordApisixLatency);
  apisix.add(0, 2);
  for (let nowMs = 1; nowMs <= 10_000; nowMs++) value = apisix.add(nowMs, 1.5);
  near(value, 1_500 + 500 * Math.exp(-1), 25);
  for (let nowMs = 10_001; nowMs <= 20_000; nowMs++) value = apisix.add(nowMs, 2.5);
  near(value, 2_500 - (2_500 - 1_684) * Math.exp(-1), 25);
});

test('peak: a failure counts as 5 s, whatever it took, and is forgotten', () => {
  const { cells, slot, add } = setUp(recordLatency);
  add(0, 1);
  assert.equal(add(1_000, 0.2, true), 5_000_000);
  for (let i = 0; i < 100; i++) assert.equal(add(1_000, 0.2, true), 5_000_000); // one connection, many calls
  near(readLatencyUs(cells, slot, 61_000), 5_000_000 * Math.exp(-6), 1);
  assert.ok(readLatencyUs(cells, slot, 101_000) < 1_000);
  assert.equal(add(101_000, 1), 1_000);
});

test('peak: while failures go on the value grows', () => {
  const { cells, slot, add } = setUp(recordLatency);
  add(0, 1, true);
  near(add(500, 1, true), 5_000_000 * Math.exp(-0.05) * 1.5, 1);
  add(1_500, 1, true);
  assert.ok(cells.get(slot, EndpointCell.LatencyUs) < 15_000_000);
  for (let nowMs = 1_600; nowMs < 15_000; nowMs += 100) add(nowMs, 1, true);
  assert.equal(cells.get(slot, EndpointCell.LatencyUs), 1_000_000_000);
  near(add(16_000, 1_100_000, true), 1_100_000_000, 1); // it did take longer
});

test('the smallest value is 1 µs, since 0 means never measured; the largest fits its cell', () => {
  const { cells, slot, add } = setUp(recordLatency);
  assert.equal(readLatencyUs(cells, slot, 0), 0);
  assert.equal(add(0, 0), 1);
  assert.equal(add(1, 1e9), 0x7fff_ffff);
});

test('time may pass 2^31 and 2^32 ms', () => {
  for (const edge of [2 ** 31, 2 ** 32, 3 * 2 ** 32]) {
    const { cells, slot, add } = setUp(recordLatency);
    add(edge - 500, 100);
    near(readLatencyUs(cells, slot, edge + 500), 100_000 * Math.exp(-0.1), 1);
  }
});

test('a clock reading that is a little older is no age; one of 25 days ago is forgotten', () => {
  const { cells, slot, add } = setUp(recordLatency);
  add(100_000, 50);
  assert.equal(readLatencyUs(cells, slot, 99_990), 50_000);
  assert.equal(readLatencyUs(cells, slot, 100_000 + 2 ** 31 + 86_400_000), 0);
});

test('fading ends at the rest and not at 0', () => {
  const { cells, slot, add } = setUp(recordLatency);
  assert.equal(fadingLatencyUs(cells, slot, 0, 700), 700);
  add(0, 10);
  assert.equal(fadingLatencyUs(cells, slot, 0, 700), 10_000);
  assert.equal(fadingLatencyUs(cells, slot, 10_000, 700), Math.round(700 + 9_300 * Math.exp(-1)));
  assert.equal(fadingLatencyUs(cells, slot, 400_000, 700), 700);
});
