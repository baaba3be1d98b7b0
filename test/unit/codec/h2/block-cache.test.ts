import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlockCache } from '../../../../src/codec/h2/block-cache.ts';

function get(cache: BlockCache<string>, block: string, generation = 0): string | undefined {
  const bytes = Buffer.from(`..${block}.`, 'latin1');
  return cache.get(bytes, 2, bytes.length - 1, generation);
}

function set(cache: BlockCache<string>, block: string, meaning: string, generation = 0): void {
  const bytes = Buffer.from(`..${block}.`, 'latin1');
  cache.set(bytes, 2, bytes.length - 1, generation, meaning);
  bytes.fill(0); // it was only lent
}

test('blocks of indexes are remembered, up to 64 of them', () => {
  const cache = new BlockCache<string>();
  const block = (i: number): string => String.fromCharCode(0x82, 0x84 + i);
  for (let i = 0; i < 64; i++) set(cache, block(i), `meaning ${i}`);
  for (let i = 0; i < 64; i++) assert.equal(get(cache, block(i)), `meaning ${i}`);
  set(cache, block(64), 'one more');
  assert.equal(get(cache, block(0)), undefined);
  assert.equal(get(cache, block(64)), 'one more');
});

test('of blocks with literals the last is remembered, to the byte', () => {
  const cache = new BlockCache<string>();
  set(cache, '\x88\0\x01a\x01b', 'b');
  assert.equal(get(cache, '\x88\0\x01a\x01b'), 'b');
  for (const other of ['\x88\0\x01a\x01c', '\x88\0\x01a\x01', '\x88\0\x01a\x01b\x88', '\x89\0\x01a\x01b', '']) {
    assert.equal(get(cache, other), undefined, JSON.stringify(other));
  }
  set(cache, '\x88\0\x01a\x01c', 'c');
  assert.equal(get(cache, '\x88\0\x01a\x01c'), 'c');
  assert.equal(get(cache, '\x88\0\x01a\x01b'), undefined);
});

test('with the table the meaning of every block is gone', () => {
  const cache = new BlockCache<string>();
  set(cache, '\x88\0\x01a\x01b', 'b');
  set(cache, '\x88', '200');
  assert.equal(get(cache, '\x88', 1), undefined);
  assert.equal(get(cache, '\x88\0\x01a\x01b', 1), undefined);
  set(cache, '\x88', 'late', 0);
  assert.equal(get(cache, '\x88', 1), undefined);
});

test('blocks that vary are hardly ever remembered, until one comes again', () => {
  const cache = new BlockCache<string>();
  const block = (i: number): string => `\0\x01a\x04${String(i).padStart(4, '0')}`;
  for (let i = 0; i < 1000; i++) set(cache, block(i), `${i}`);
  for (let i = 1000; i < 1007; i++) {
    set(cache, block(i), `${i}`);
    assert.equal(get(cache, block(i)), undefined);
  }
  set(cache, block(1007), 'the eighth');
  assert.equal(get(cache, block(1007)), 'the eighth');
  set(cache, block(1008), 'at once');
  assert.equal(get(cache, block(1008)), 'at once');
});

test('a long block is not kept', () => {
  const cache = new BlockCache<string>();
  for (const block of ['\x88'.repeat(257), '\0'.repeat(257)]) {
    set(cache, block, 'long');
    assert.equal(get(cache, block), undefined);
  }
});
