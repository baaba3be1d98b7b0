import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../../src/base/clock.ts';
import { fdTarget, LineWriter, type LineTarget } from '../../../src/telemetry/line-writer.ts';
import { FakeClock } from '../../support/fake-clock.ts';

type Done = Parameters<LineTarget['write']>[1];

class ScriptedTarget implements LineTarget {
  readonly writes: string[] = [];
  private waiting: { bytes: Uint8Array; done: Done } | undefined;

  write(bytes: Uint8Array, done: Done): void {
    assert.equal(this.waiting, undefined, 'one write at a time');
    this.writes.push(Buffer.from(bytes).toString());
    this.waiting = { bytes, done };
  }

  finish(error?: string, written?: number): void {
    const { waiting } = this;
    assert.ok(waiting);
    this.waiting = undefined;
    waiting.done(error ? Object.assign(new Error(error), { code: error }) : undefined, written ?? waiting.bytes.length);
  }
}

test('lines of 50 ms share a write, and lines during a write follow it', () => {
  const clock = new FakeClock();
  const target = new ScriptedTarget();
  const writer = new LineWriter(target, clock);
  writer.write('a');
  writer.write('b');
  assert.deepEqual(target.writes, []);
  clock.advance(50);
  assert.deepEqual(target.writes, ['a\nb\n']);
  writer.write('c');
  clock.advance(500);
  assert.equal(target.writes.length, 1);
  target.finish();
  assert.deepEqual(target.writes, ['a\nb\n', 'c\n']);
  target.finish();
  assert.equal(clock.waiting, 0);
});

test('16 KiB are written at once', () => {
  const target = new ScriptedTarget();
  const writer = new LineWriter(target, new FakeClock());
  writer.write('x'.repeat(16 * 1024));
  assert.equal(target.writes.length, 1);
});

test('a stuck target drops and counts beyond the bound, and what is kept comes in order', () => {
  const clock = new FakeClock();
  const target = new ScriptedTarget();
  const writer = new LineWriter(target, clock, { maxPending: 10 });
  writer.write('1');
  clock.advance(50);
  for (const line of ['222', '333', '4444', '5']) writer.write(line);
  assert.equal(writer.dropped, 1);
  target.finish();
  assert.deepEqual(target.writes, ['1\n', '222\n333\n5\n']);
  target.finish();
});

test('a partial write goes on where it stopped, EAGAIN is tried again, other errors lose what was under way', async () => {
  const clock = new FakeClock();
  const target = new ScriptedTarget();
  const writer = new LineWriter(target, clock);
  writer.write('hello');
  clock.advance(50);
  target.finish(undefined, 2);
  assert.deepEqual(target.writes, ['hello\n', 'llo\n']);
  target.finish('EAGAIN', 0);
  clock.advance(10);
  assert.deepEqual(target.writes, ['hello\n', 'llo\n', 'llo\n']);
  target.finish('EPIPE', 0);
  assert.equal(writer.dropped, 1);
  writer.write('next');
  const flushed = writer.flush(1000);
  assert.equal(target.writes.at(-1), 'next\n');
  target.finish();
  await flushed;
  assert.equal(writer.dropped, 1);
});

test('flush gives up after its time', async () => {
  const clock = new FakeClock();
  const target = new ScriptedTarget();
  const writer = new LineWriter(target, clock);
  await writer.flush(5);
  writer.write('stuck');
  const flushed = writer.flush(100);
  clock.advance(100);
  await flushed;
});

test('writes to a file descriptor', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-lines-'));
  try {
    const fd = openSync(join(folder, 'log'), 'w');
    const writer = new LineWriter(fdTarget(fd), systemClock());
    for (let i = 0; i < 2000; i++) writer.write(`line ${i} é`);
    // The clock's timers don't keep a process alive; the write does.
    await writer.flush(5000);
    closeSync(fd);
    const lines = readFileSync(join(folder, 'log'), 'utf8').split('\n');
    assert.equal(lines.length, 2001);
    assert.equal(lines[1999], 'line 1999 é');
    assert.equal(writer.dropped, 0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
