import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FloodGuard } from '../../../../src/codec/h2/flood-guard.ts';
import { DEFAULT_LIMITS } from '../../../../src/codec/limits.ts';

const limits = {
  ...DEFAULT_LIMITS,
  resetBurst: 3,
  resetPerSecond: 2,
  controlBurst: 4,
  controlPerSecond: 4,
  emptyDataFrames: 2,
};

function count(take: () => boolean): number {
  let taken = 0;
  while (taken < 100 && take()) taken++;
  return taken;
}

test('resets: a burst, then a rate, never above the burst', () => {
  const guard = new FloodGuard(limits, 0);
  assert.equal(
    count(() => guard.takeReset(0)),
    3,
  );
  assert.equal(
    count(() => guard.takeReset(1000)),
    1,
  ); // one token of the two pays for the refused one
  assert.equal(
    count(() => guard.takeReset(100_000)),
    3,
  );
});

test('calls that end well fill the bucket up to the burst', () => {
  const guard = new FloodGuard(limits, 0);
  for (let i = 0; i < 50; i++) guard.streamEnded();
  assert.equal(
    count(() => guard.takeReset(0)),
    3,
  );
});

test('control frames: the credit is used first, rare ones have none', () => {
  const guard = new FloodGuard(limits, 0);
  guard.streamOpened();
  guard.dataSent(10, false);
  guard.dataSent(10, true);
  guard.dataSent(1024, true);
  assert.equal(
    count(() => guard.takeControl(0)),
    34,
  );
  guard.streamOpened();
  assert.equal(
    count(() => guard.takeRare(0)),
    0,
  );
  assert.equal(
    count(() => guard.takeControl(0)),
    10,
  );
});

test('a clock that stands still or goes back gives nothing', () => {
  const guard = new FloodGuard(limits, 1000);
  assert.equal(
    count(() => guard.takeRare(500)),
    4,
  );
  assert.equal(
    count(() => guard.takeRare(1000)),
    0,
  );
});

test('replies and empty DATA', () => {
  const guard = new FloodGuard({ ...limits, controlQueueFrames: 5 }, 0);
  assert.equal(
    count(() => guard.takeReply(true)),
    5,
  );
  assert.equal(guard.takeReply(false), true);
  assert.equal(
    count(() => guard.takeReply(true)),
    5,
  );
  assert.equal(
    count(() => guard.takeEmptyData()),
    2,
  );
  guard.dataReceived();
  assert.equal(
    count(() => guard.takeEmptyData()),
    2,
  );
});
