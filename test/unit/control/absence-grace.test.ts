import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AbsenceGrace } from '../../../src/control/absence-grace.ts';
import { ABSENCE_MS } from '../../../src/control/subscription.ts';

const CONNECTED = { isConnected: true };

/** One round in which these are told; returns which of them may still come. */
function round(grace: AbsenceGrace, nowMs: number, names: readonly string[], stream = CONNECTED): string[] {
  grace.begin(stream, nowMs);
  const awaited = names.filter((name) => grace.isAwaited('Service', name));
  grace.end();
  return awaited;
}

describe('AbsenceGrace', () => {
  it('gives each name 15 s from when it was told first, and tells when the next ones end', () => {
    const grace = new AbsenceGrace();
    assert.deepEqual(round(grace, 1_000, ['a']), ['a']);
    assert.equal(grace.nextDueMs, 1_000 + ABSENCE_MS);
    assert.deepEqual(round(grace, 5_000, ['a', 'b']), ['a', 'b']);
    assert.deepEqual(round(grace, 999 + ABSENCE_MS, ['a', 'b']), ['a', 'b']);
    assert.deepEqual(round(grace, 1_000 + ABSENCE_MS, ['a', 'b']), ['b']);
    assert.equal(grace.nextDueMs, 5_000 + ABSENCE_MS);
    assert.deepEqual(round(grace, 60_000, ['a', 'b']), []);
    assert.equal(grace.nextDueMs, Infinity);
  });

  it('starts again for a name that was not told in between, and tells kinds apart', () => {
    const grace = new AbsenceGrace();
    round(grace, 0, ['a']);
    round(grace, 10_000, []);
    assert.equal(grace.nextDueMs, Infinity);
    assert.deepEqual(round(grace, 20_000, ['a']), ['a']);
    grace.begin(CONNECTED, 20_000 + ABSENCE_MS);
    assert.deepEqual([grace.isAwaited('Service', 'a'), grace.isAwaited('PluginConfig', 'a')], [false, true]);
  });

  it('runs only while the stream is connected, and starts again on another one', () => {
    const grace = new AbsenceGrace();
    round(grace, 0, ['a']);
    assert.equal(grace.isPaused, false);
    grace.begin(undefined, 10_000);
    assert.equal(grace.isAwaited('Service', 'a'), true);
    grace.end();
    assert.deepEqual([grace.isPaused, grace.nextDueMs], [true, Infinity]);
    const next = { isConnected: false };
    assert.deepEqual(round(grace, 600_000, ['a'], next), ['a']);
    assert.equal(grace.isPaused, true);
    next.isConnected = true;
    assert.deepEqual(round(grace, 700_000, ['a'], next), ['a']);
    assert.deepEqual([grace.isPaused, grace.nextDueMs], [false, 700_000 + ABSENCE_MS]);
    assert.deepEqual(round(grace, 700_000 + ABSENCE_MS, ['a'], next), []);
    assert.deepEqual(round(grace, 800_000, ['a'], { isConnected: true }), ['a']);
  });
});
