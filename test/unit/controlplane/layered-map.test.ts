import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { LayeredMap } from '../../../src/controlplane/layered-map.ts';

test('whatever changes: each version is what a map would be, and stays so', () => {
  const change = fc.array(fc.tuple(fc.integer({ min: 0, max: 300 }), fc.option(fc.nat(), { nil: undefined })));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), (steps) => {
      const versions: [LayeredMap<number, number>, Map<number, number>][] = [[LayeredMap.empty(), new Map()]];
      for (const step of steps) {
        const [last, model] = versions.at(-1) ?? [LayeredMap.empty<number, number>(), new Map<number, number>()];
        const next = new Map(model);
        for (const [key, value] of step) {
          if (value === undefined) next.delete(key);
          else next.set(key, value);
        }
        versions.push([last.with(new Map(step)), next]);
      }
      for (const [layered, model] of versions) {
        assert.equal(layered.size, model.size);
        assert.deepEqual(
          [...layered].sort(([a], [b]) => a - b),
          [...model].sort(([a], [b]) => a - b),
        );
        for (let key = 0; key <= 300; key += 7) assert.equal(layered.get(key), model.get(key));
      }
    }),
    { seed: 7, numRuns: 200 },
  );
});

test('a large map with many changes, one at a time', () => {
  let layered = LayeredMap.empty<string, number>().with(
    new Map(Array.from({ length: 10_000 }, (_, i) => [`k${i}`, i] as const)),
  );
  for (let i = 0; i < 1_000; i++) layered = layered.with(new Map([[`k${i * 3}`, i % 2 === 0 ? undefined : -i]]));
  assert.equal(layered.size, 9_500);
  assert.equal(layered.get('k3'), -1);
  assert.equal(layered.get('k6'), undefined);
  assert.equal(layered.has('k6'), false);
  assert.equal([...layered.values()].length, 9_500);
});

test('no change is the same map', () => {
  const map = LayeredMap.empty<string, number>();
  assert.equal(map.with(new Map()), map);
});
