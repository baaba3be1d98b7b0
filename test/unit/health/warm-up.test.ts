import assert from 'node:assert/strict';
import { test } from 'node:test';
import { warmShare, WarmUp } from '../../../src/health/warm-up.ts';
import { Cells, EndpointCell } from '../../../src/model/cells.ts';
import type { WarmUpPolicy } from '../../../src/model/policy.ts';

const MINUTE: WarmUpPolicy = { windowMs: 60_000, minShare: 0.1, intervalMs: 1000, aggression: 1, graceMs: 0 };

const part = (share: number): number => Math.round((share * 1000) / 65_536) / 1000;

function scene(endpoints: number, policy: WarmUpPolicy | undefined = MINUTE) {
  const cells = new Cells();
  cells.allocate();
  const slots = Array.from({ length: endpoints }, () => cells.allocate());
  const warmUp = new WarmUp(policy, 0);
  const level = slots.map((slot) => ({ slot, weight: 1 }));
  const step = (nowMs: number): void => warmUp.step(cells, [level], nowMs);
  /** Thousandths of the weight, 1 for all of it. */
  const shares = (): readonly number[] => slots.map((slot) => part(cells.get(slot, EndpointCell.Share)) || 1);
  return { cells, slots, warmUp, level, step, shares };
}

test('the curve of a window of 60 s: a tenth at 3 s, a quarter at 15 s, half at 30 s', () => {
  const at = (seconds: number, aggression = 1): number => part(warmShare({ ...MINUTE, aggression }, seconds * 1000));
  assert.deepEqual(
    [0, 3, 6, 15, 30, 45, 59].map((s) => at(s)),
    [0.1, 0.1, 0.1, 0.25, 0.5, 0.75, 0.983],
  );
  assert.deepEqual(
    [3, 15, 30].map((s) => at(s, 2)),
    [0.224, 0.5, 0.707],
  ); // steeper at first
  assert.deepEqual(
    [15, 30, 45].map((s) => at(s, 0.5)),
    [0.1, 0.25, 0.563],
  );
  assert.equal(warmShare(MINUTE, 15_000), 16_384);
  assert.equal(warmShare(MINUTE, 60_000), 0);
  assert.equal(warmShare(MINUTE, 1e9), 0);
});

test('elapsed time is at least a second, so a window of a second is none', () => {
  const steep = { ...MINUTE, minShare: 0.001, windowMs: 10_000 };
  assert.equal(warmShare(steep, 0), warmShare(steep, 1000));
  assert.equal(part(warmShare(steep, 0)), 0.1);
  assert.equal(warmShare({ ...MINUTE, windowMs: 1000 }, 0), 0);
});

test('a share is a word above 0 and below the whole', () => {
  const tiny = { ...MINUTE, minShare: 1e-9, aggression: 0.01 };
  assert.equal(warmShare(tiny, 1000), 1);
  for (let ms = 0; ms < 60_000; ms += 100) {
    const share = warmShare(MINUTE, ms);
    assert.ok(share >= 1 && share <= 65_535);
  }
  assert.equal(warmShare({ ...MINUTE, minShare: 1 }, 0), 0);
});

test('an endpoint that begins has its least share at once, grows by steps and ends', () => {
  const { cells, slots, warmUp, step, shares } = scene(3);
  assert.equal(warmUp.nextMs, Infinity);
  warmUp.begin(cells, slots[1]!, 100_000);
  assert.deepEqual(shares(), [1, 0.1, 1]);
  assert.equal(warmUp.nextMs, 101_000);
  step(115_000);
  assert.deepEqual(shares(), [1, 0.25, 1]);
  assert.equal(warmUp.nextMs, 116_000);
  step(115_500); // the endpoints changed: that doesn't put off the next step
  assert.equal(warmUp.nextMs, 116_000);
  step(159_999);
  assert.equal(warmUp.size, 1);
  step(160_000);
  assert.deepEqual(shares(), [1, 1, 1]);
  assert.deepEqual([warmUp.size, warmUp.nextMs], [0, Infinity]);
});

test('what the port begins with, and what comes within the grace time, has its whole weight at once', () => {
  for (const [graceMs, nowMs, warms] of [
    [0, 0, false],
    [0, 0.5, true],
    [5000, 5000, false],
    [5000, 5001, true],
  ] as const) {
    const { cells, slots, warmUp, shares } = scene(2, { ...MINUTE, graceMs });
    warmUp.appeared(cells, slots[1]!, nowMs);
    assert.deepEqual(shares(), [1, warms ? 0.1 : 1], `${nowMs} ms, grace ${graceMs}`);
  }
});

test('a check that fails ends it; coming back begins anew', () => {
  const { cells, slots, warmUp, step, shares } = scene(3);
  warmUp.begin(cells, slots[0]!, 0);
  step(30_000);
  assert.deepEqual(shares(), [0.5, 1, 1]);
  warmUp.end(cells, slots[0]!);
  assert.deepEqual([shares(), warmUp.nextMs], [[1, 1, 1], Infinity]);
  warmUp.end(cells, slots[0]!);
  warmUp.begin(cells, slots[0]!, 40_000);
  assert.deepEqual(shares(), [0.1, 1, 1]);
});

test('where all are warming, the furthest has all of its weight', () => {
  const { cells, slots, warmUp, step, shares } = scene(3);
  for (const slot of slots) warmUp.begin(cells, slot, 0);
  step(0);
  assert.deepEqual(shares(), [1, 1, 1]);
  step(30_000);
  assert.deepEqual(shares(), [1, 1, 1]);
  warmUp.begin(cells, slots[2]!, 30_000); // restarted: a tenth beside halves
  step(30_000);
  assert.deepEqual(shares(), [1, 1, 0.2]);
  step(60_000);
  assert.deepEqual(shares(), [1, 1, 0.5]);
  assert.equal(warmUp.size, 1);
});

test('where nearly all are warming, the rest carries at most four times its part', () => {
  const { cells, slots, warmUp, step, shares } = scene(13);
  for (const slot of slots.slice(1)) warmUp.begin(cells, slot, 0);
  step(0);
  const [warm, ...cold] = shares();
  assert.ok(Math.abs(warm! / [warm!, ...cold].reduce((a, b) => a + b) - 4 / 13) < 0.001);
  assert.equal(new Set(cold).size, 1);
  step(30_000); // from some share on the curve alone rules
  assert.deepEqual(new Set(shares()), new Set([1, 0.5]));
});

test('each priority is put in relation by itself, and weight 0 tells nothing', () => {
  const { cells, slots, warmUp, shares } = scene(4);
  for (const slot of slots.slice(0, 3)) warmUp.begin(cells, slot, 0);
  const level = (...indexes: readonly number[]) => indexes.map((index) => ({ slot: slots[index]!, weight: 1 }));
  warmUp.step(cells, [level(0, 1), level(2, 3)], 0);
  assert.deepEqual(shares(), [1, 1, 0.1, 1]);
  warmUp.step(cells, [level(0), [...level(1, 2), { slot: slots[3]!, weight: 0 }]], 0);
  assert.deepEqual(shares(), [1, 1, 1, 1]);
});

test('removed endpoints are forgotten and their rows left alone', () => {
  const { cells, slots, warmUp, step } = scene(3);
  warmUp.begin(cells, slots[0]!, 0);
  warmUp.begin(cells, slots[1]!, 0);
  cells.release(slots[0]!);
  cells.release(slots[1]!);
  assert.equal(cells.allocate(), slots[1]); // another endpoint
  step(1000);
  assert.equal(cells.get(slots[1]!, EndpointCell.Share), 0);
  assert.deepEqual([warmUp.size, warmUp.nextMs], [0, Infinity]);
});

test('a new policy changes the curve; without one all have their whole weight', () => {
  const { cells, slots, warmUp, step, shares } = scene(3);
  warmUp.begin(cells, slots[0]!, 0);
  warmUp.setPolicy(cells, { ...MINUTE, windowMs: 20_000 }, 0);
  step(10_000);
  assert.deepEqual(shares(), [0.5, 1, 1]);
  warmUp.setPolicy(cells, undefined, 10_000);
  assert.deepEqual([shares(), warmUp.nextMs], [[1, 1, 1], Infinity]);
  warmUp.begin(cells, slots[0]!, 0);
  warmUp.appeared(cells, slots[0]!, 9e9);
  assert.deepEqual(shares(), [1, 1, 1]);
});

test('a shorter interval holds at once, a longer one from the next step on', () => {
  const { cells, slots, warmUp, step } = scene(2, { ...MINUTE, intervalMs: 30_000 });
  warmUp.begin(cells, slots[0]!, 0);
  warmUp.setPolicy(cells, { ...MINUTE, intervalMs: 1000 }, 5000);
  assert.equal(warmUp.nextMs, 6000);
  step(6000);
  assert.equal(warmUp.nextMs, 7000);
  warmUp.setPolicy(cells, { ...MINUTE, intervalMs: 10_000 }, 6500);
  assert.equal(warmUp.nextMs, 7000);
  step(7000);
  assert.equal(warmUp.nextMs, 17_000);
});
