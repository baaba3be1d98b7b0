import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HeldBody } from '../../../src/proxy/held-body.ts';

test('gives back what it was given, in order, however it came', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 6000 }), { maxLength: 30 }), fc.nat(), (lengths, seed) => {
      const held = new HeldBody();
      const given: Buffer[] = [];
      lengths.forEach((length, i) => {
        const chunk = Buffer.alloc(length, (seed + i) & 0xff);
        given.push(Buffer.from(chunk));
        held.push(chunk);
        chunk.fill(0); // chunks are borrowed
        if (i % 7 === 3) held.chunks();
      });
      const whole = Buffer.concat(given);
      assert.equal(held.bytes, whole.length);
      assert.deepEqual(Buffer.concat(held.chunks()), whole);
      assert.deepEqual(Buffer.concat(held.chunks()), whole);
    }),
    { seed: 5 },
  );
});

test('small chunks share blocks', () => {
  const held = new HeldBody();
  for (let i = 0; i < 65_536; i++) held.push(Buffer.from([i & 0xff]));
  assert.equal(held.bytes, 65_536);
  assert.ok(held.chunks().length <= 18, String(held.chunks().length));
});

test('what is dropped is forgotten, and its blocks are used again by one body only', () => {
  const first = new HeldBody();
  first.push(Buffer.alloc(4096, 'a'));
  const [block] = first.chunks();
  first.drop();
  first.drop();
  assert.deepEqual([first.bytes, first.chunks()], [0, []]);
  const [second, third] = [new HeldBody(), new HeldBody()];
  second.push(Buffer.alloc(2000, 'b'));
  third.push(Buffer.alloc(2000, 'c'));
  assert.equal(second.chunks()[0]?.buffer, block?.buffer);
  assert.deepEqual(Buffer.concat(second.chunks()), Buffer.alloc(2000, 'b'));
  assert.deepEqual(Buffer.concat(third.chunks()), Buffer.alloc(2000, 'c'));
});
