import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isoTime } from '../../../src/telemetry/iso-time.ts';

test('agrees with Date for the years 0 to 9999', () => {
  fc.assert(
    fc.property(fc.integer({ min: -62_167_219_200_000, max: 253_402_300_799_999 }), (wallMs) => {
      assert.equal(isoTime(wallMs), new Date(wallMs).toISOString());
    }),
    { seed: 5, numRuns: 2000 },
  );
  for (const text of ['2000-02-29T23:59:59.999Z', '1900-03-01T00:00:00.000Z', '2024-12-31T12:00:00.001Z']) {
    assert.equal(isoTime(Date.parse(text)), text);
  }
});

test('what is not a time is a dash, and the next time is right again', () => {
  assert.equal(isoTime(Number.NaN), '-');
  assert.equal(isoTime(Number.POSITIVE_INFINITY), '-');
  assert.equal(isoTime(1e17), '-');
  assert.equal(isoTime(0), '1970-01-01T00:00:00.000Z');
  assert.equal(isoTime(0.9), '1970-01-01T00:00:00.000Z');
});
