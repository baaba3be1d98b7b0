import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FloodGuard } from '../../../../src/codec/h2/flood-guard.ts';
import { DEFAULT_LIMITS, type WireLimits } from '../../../../src/codec/limits.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

const LIMITS = {
  ...DEFAULT_LIMITS,
  resetBurst: 3,
  resetPerSecond: 2,
  controlBurst: 4,
  controlPerSecond: 4,
  emptyDataFrames: 2,
  concurrentStreams: 7,
};

interface Guarded {
  readonly guard: FloodGuard;
  readonly clock: FakeClock;
  readonly told: string[];
}

function guarded(limits: Partial<WireLimits> = {}, isServer = true): Guarded {
  const clock = new FakeClock();
  const told: string[] = [];
  const owner = { onFlood: (detail: string, kind: string) => void told.push(`${kind}: ${detail}`) };
  return { guard: new FloodGuard({ ...LIMITS, ...limits }, isServer, clock, owner), clock, told };
}

function count(take: () => boolean, most = 10_000): number {
  let taken = 0;
  while (taken < most && take()) taken++;
  return taken;
}

test('resets: a burst, then a rate, never above the burst', () => {
  const { guard, clock, told } = guarded();
  const takeReset = (): boolean => guard.takeReset();
  assert.equal(count(takeReset), 3);
  assert.deepEqual(told, ['too_many_resets: too many resets']);
  clock.advance(1000);
  assert.equal(count(takeReset), 1); // one token of the two pays for the refused one
  clock.advance(100_000);
  assert.equal(count(takeReset), 3);
});

test('calls that end well fill the bucket up to the burst', () => {
  const { guard } = guarded();
  for (let i = 0; i < 50; i++) guard.streamEnded();
  assert.equal(
    count(() => guard.takeReset()),
    3,
  );
});

test('control frames: a burst and a rate, which a long rest does not double', () => {
  const { guard, clock, told } = guarded();
  const takeControl = (): boolean => guard.takeControl();
  assert.equal(takeControl(), true);
  clock.advance(3_600_000);
  assert.equal(count(takeControl), 4);
  assert.deepEqual(told, ['too_many_frames: too many control frames']);
  clock.nowMs -= 500;
  assert.equal(count(takeControl), 0, 'a clock that goes back gives nothing');
});

test('WINDOW_UPDATE and PING are earned by DATA sent, ten a frame; a cut frame earns by the KiB', () => {
  const { guard } = guarded({ controlBurst: 0, controlPerSecond: 0 });
  guard.dataSent(10, false);
  assert.equal(
    count(() => guard.takeWindowUpdate()),
    10,
  );
  guard.dataSent(1024, true);
  assert.equal(
    count(() => guard.takePing()),
    10,
  );
  for (let i = 0; i < 1023; i++) guard.dataSent(1, true);
  assert.equal(guard.takeWindowUpdate(), false);
  guard.dataSent(1, true);
  guard.dataSent(511, true);
  guard.dataSent(512, true);
  assert.equal(
    count(() => guard.takeWindowUpdate()),
    10,
  );
});

test('a stream earns a few of each kind, and no kind pays for another', () => {
  const { guard } = guarded({ controlBurst: 0, controlPerSecond: 0, priorityPerStream: 5 });
  guard.streamOpened();
  for (const [take, earned] of [
    [() => guard.takePing(), 0],
    [() => guard.takeControl(), 0],
    [() => guard.takePriority(), 5],
    [() => guard.takeWindowUpdate(), 2],
    [() => guard.takeLateReset(), 1],
    [() => guard.takeEmptyData(1), 1],
  ] as const) {
    assert.equal(count(take), earned);
  }
});

test('what streams earn is kept up to a stock', () => {
  const { guard } = guarded({ controlBurst: 0, controlPerSecond: 0 });
  for (let i = 0; i < 10_000; i++) guard.streamOpened();
  assert.equal(
    count(() => guard.takePriority()),
    400,
  );
  assert.equal(
    count(() => guard.takeWindowUpdate()),
    400,
  );
  assert.equal(
    count(() => guard.takeEmptyData(1)),
    400,
  );
  assert.equal(
    count(() => guard.takeLateReset()),
    7,
  );
});

test('towards an upstream, which opens no streams, calls earn it no PRIORITY', () => {
  const { guard } = guarded({ controlBurst: 0, controlPerSecond: 0 }, false);
  for (let i = 0; i < 20; i++) guard.streamOpened();
  assert.equal(guard.takePriority(), false);
  assert.equal(
    count(() => guard.takeEmptyData(1)),
    7,
    'one for each call that can be in flight',
  );
});

test('empty DATA frames in a row', () => {
  const { guard, told } = guarded({ controlBurst: 100 });
  assert.deepEqual([guard.takeEmptyData(2), guard.takeEmptyData(3)], [true, false]);
  assert.deepEqual(told, ['too_many_frames: too many empty DATA frames']);
});

test('tiny DATA frames that are not taken spend 32 bytes less their payload', () => {
  for (const [bytes, most] of [
    [1, 25_600 / 31],
    [4, 25_600 / 28],
  ] as const) {
    const { guard, told } = guarded();
    assert.equal(
      count(() => guard.takeData(bytes, false)),
      Math.floor(most),
    );
    assert.deepEqual(told, ['too_many_frames: too many tiny DATA frames']);
  }
});

test('small messages that are not taken, and tiny frames that are, spend nothing', () => {
  const { guard } = guarded();
  assert.equal(
    count(() => guard.takeData(5, false), 200_000),
    200_000,
  );
  assert.equal(
    count(() => guard.takeData(1, true), 200_000),
    200_000,
  );
});

test('what tiny frames spent comes back by frames that are taken and by large ones, up to the budget', () => {
  for (const [bytes, taken] of [
    [1, true],
    [25, true],
    [256, false],
  ] as const) {
    const { guard } = guarded({ tinyDataBytes: 31 * 10 });
    assert.equal(
      count(() => guard.takeData(1, false), 10),
      10,
    );
    for (let i = 0; i < 100; i++) guard.takeData(bytes, taken);
    const again = count(() => guard.takeData(1, false));
    assert.ok(again === 10 || again === 11, String(again));
  }
});

test('replies: bounded while the kernel takes nothing, however much it has taken before', () => {
  const { guard, told } = guarded({ controlQueueFrames: 5 });
  assert.equal(
    count(() => guard.takeReply(100)),
    5,
  );
  assert.deepEqual(told, ['too_many_frames: replies are not read']);
  assert.equal(guard.takeReply(-1), true);
  assert.equal(
    count(() => guard.takeReply(100)),
    5,
  );
  // Something always waits during a long download, but it moves.
  for (let ms = 101; ms < 1000; ms++) assert.equal(guard.takeReply(ms), true);
});
