import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../../../../src/base/rng.ts';
import { SendQueue } from '../../../../src/codec/h2/send-queue.ts';

test('what goes in comes out, whatever the sizes', () => {
  const rng = seededRng(7);
  const queue = new SendQueue();
  let next = 0;
  let expected = 0;
  const target = Buffer.alloc(20_000);
  for (let round = 0; round < 500; round++) {
    const chunk = Buffer.alloc(rng.below(rng.below(4) === 0 ? 12_000 : 50));
    for (let i = 0; i < chunk.length; i++) chunk[i] = next++ & 0xff;
    queue.push(chunk, 0);
    chunk.fill(0);
    const length = Math.min(queue.bytes, rng.below(9000));
    queue.take(target, 3, length);
    for (let i = 0; i < length; i++) assert.equal(target[3 + i], expected++ & 0xff);
  }
  assert.equal(queue.bytes, next - expected);
});

test('only the part from the given place is kept', () => {
  const queue = new SendQueue();
  queue.push(Buffer.from('abcdef'), 4);
  queue.push(Buffer.from('ghij'), 1);
  const target = Buffer.alloc(5);
  queue.take(target, 0, 5);
  assert.equal(target.toString(), 'efhij');
});
