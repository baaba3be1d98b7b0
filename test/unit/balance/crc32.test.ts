import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import * as fc from 'fast-check';
import { crcOfWord, crcState, keyHash } from '../../../src/balance/crc32.ts';

test("keys of APISIX's tests", () => {
  const hashes: Record<string, number> = {
    '127.0.0.1': 0xd7b7e7a8,
    '10.0.0.1': 0x26fec193,
    jack: 0xa87ae9d8,
    tom: 0x7ddf7313,
    'custom-one': 0x16e315a7,
    cuscookie: 0x81f5e748,
    'custom-one-custom-two': 0x18ee629f,
    '': 0,
  };
  for (const [key, hash] of Object.entries(hashes)) assert.equal(keyHash(key), hash, key);
});

test("equals zlib's, for any latin1 text", () => {
  const latin1 = fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 40 });
  fc.assert(
    fc.property(latin1, fc.nat(0xffff_ffff), (codes, word) => {
      const bytes = Buffer.from([...codes, 0, 0, 0, 0]);
      bytes.writeUInt32LE(word, codes.length);
      const text = String.fromCharCode(...codes);
      assert.equal(keyHash(text), crc32(bytes.subarray(0, codes.length)));
      assert.equal(crcOfWord(crcState(text), word), crc32(bytes));
    }),
    { seed: 5, numRuns: 500 },
  );
});

test('the first points of 127.0.0.1:1980', () => {
  const state = crcState('127.0.0.1\x001980');
  let point = 0;
  for (const next of [0xe71dcbbf, 0xfef4f715, 0x1a84f2e5, 0x1271793e]) {
    point = crcOfWord(state, point);
    assert.equal(point, next);
  }
});
