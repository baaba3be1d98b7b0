import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClosedStreams } from '../../../../src/codec/h2/closed-streams.ts';

test('a stream that we reset is known until the peer ends it', () => {
  const gone = new ClosedStreams();
  assert.deepEqual([gone.reset(1), gone.hasEnded(1), gone.isForgotten(1)], [undefined, false, false]);
  gone.addReset(1, 100);
  assert.deepEqual(gone.reset(1), { window: 100, frames: 0 });
  gone.add(1);
  assert.deepEqual([gone.reset(1), gone.hasEnded(1)], [undefined, true]);
});

test('1,024 resets are remembered, and of older ones that they may have been', () => {
  const gone = new ClosedStreams();
  for (let id = 1; id <= 2 * 1026; id += 2) gone.addReset(id, 0);
  assert.deepEqual([gone.reset(3), gone.isForgotten(3), gone.isForgotten(5)], [undefined, true, false]);
  assert.deepEqual(gone.reset(5), { window: 0, frames: 0 });
});

test('the first late RST_STREAM of each recent stream is told from the next', () => {
  const gone = new ClosedStreams();
  for (const id of [1, 3, 2001]) {
    assert.deepEqual([gone.isFirstReset(id, 2001), gone.isFirstReset(id, 2001)], [true, false]);
  }
  assert.equal(gone.isFirstReset(1, 2049), false, 'too long ago');
  assert.equal(gone.isFirstReset(3, 2049), false, 'remembered still');
  assert.equal(gone.isFirstReset(2049, 2049), true);
});
