import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HpackDecoder } from '../../../../../src/codec/h2/hpack/decoder.ts';

function decode(decoder: HpackDecoder, hex: string, maxBytes = 1 << 20, maxFields = 1000): string[] | 'error' {
  const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  if (!decoder.decode(bytes, 0, bytes.length, maxBytes, maxFields)) return 'error';
  return decoder.fields.items.slice(0, decoder.fields.length);
}

test('examples of RFC 7541 appendix C.3: requests without Huffman', () => {
  const decoder = new HpackDecoder(4096);
  assert.deepEqual(decode(decoder, '828684410f7777772e6578616d706c652e636f6d'), [
    ...[':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com'],
  ]);
  assert.equal(decoder.isRepeatable, false);
  assert.deepEqual(decode(decoder, '828684be58086e6f2d6361636865').slice(6), [
    ...[':authority', 'www.example.com', 'cache-control', 'no-cache'],
  ]);
  assert.deepEqual(decode(decoder, '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565').slice(4), [
    ...[':path', '/index.html', ':authority', 'www.example.com', 'custom-key', 'custom-value'],
  ]);
});

test('examples of RFC 7541 appendix C.6: answers with Huffman and eviction', () => {
  const decoder = new HpackDecoder(4096);
  const first = decode(
    decoder,
    '3fe101 488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
  );
  assert.deepEqual(first, [
    ...[':status', '302', 'cache-control', 'private', 'date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ...['location', 'https://www.example.com'],
  ]);
  assert.deepEqual(decode(decoder, '4883640effc1c0bf').slice(0, 2), [':status', '307']);
  const third = decode(
    decoder,
    '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672' +
      'c1ab270fb5291f9587316065c003ed4ee5b1063d5007',
  );
  assert.deepEqual(third.slice(-2), ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1']);
});

const BAD: readonly (readonly [string, string])[] = [
  ['index 0', '80'],
  ['an index beyond the tables', 'be'],
  ['a name index beyond the tables', '7e 01 61'],
  ['an integer without end', 'ff ffffffffffffffff'],
  ['an integer that is padded to overflow', 'ff 808080808000'],
  ['a literal cut off', '00 05 6162'],
  ['a table update behind a field', '82 20'],
  ['a table update above the limit', '3f e2 1f 82'],
  ['Huffman padding of zeros', '00 81 18 01 61'],
  ['Huffman padding of more than seven bits', '00 82 1f ff 01 61'],
  ['EOS in a Huffman string', '00 84 ff ff ff ff 01 61'],
];

for (const [what, hex] of BAD) {
  test(`a block with ${what} is an error`, () => {
    assert.equal(decode(new HpackDecoder(4096), hex), 'error');
  });
}

test('past the bounds the table stays in step', () => {
  const decoder = new HpackDecoder(4096);
  const block = '40 01 61 01 62 40 01 63 01 64'; // a: b, c: d, both indexed
  decode(decoder, block, 34, 10);
  assert.equal(decoder.fields.tooLarge, true);
  assert.equal(decoder.fields.length, 2);
  assert.deepEqual(decode(decoder, 'bfbe'), ['a', 'b', 'c', 'd']);
  decode(decoder, 'bebebe', 1000, 2);
  assert.equal(decoder.fields.tooLarge, true);
});

test('generation moves with the table, and repeatable blocks are known', () => {
  const decoder = new HpackDecoder(4096);
  decode(decoder, '4001610162');
  const { generation } = decoder;
  decode(decoder, '82be');
  assert.equal(decoder.isRepeatable, true);
  assert.equal(decoder.generation, generation);
  decode(decoder, '820001610162');
  assert.equal(decoder.isRepeatable, true);
  assert.equal(decoder.generation, generation);
  decode(decoder, '1001610162');
  assert.equal(decoder.isRepeatable, false);
  assert.deepEqual(decoder.fields.neverIndexed, ['a']);
  decode(decoder, '2082');
  assert.notEqual(decoder.generation, generation);
  assert.equal(decoder.isRepeatable, false);
});

test('a lowered limit must be followed by an update', () => {
  const decoder = new HpackDecoder(4096);
  decoder.setLimit(100);
  assert.equal(decode(decoder, '82'), 'error');
  const other = new HpackDecoder(4096);
  other.setLimit(100);
  assert.deepEqual(decode(other, '3f4582'), [':method', 'GET']);
});

test('what fields cost who keeps them: 32 each, and what was spelt out', () => {
  const decoder = new HpackDecoder(4096);
  const held = (hex: string): number => {
    assert.notEqual(decode(decoder, hex), 'error');
    return decoder.fields.heldBytes;
  };
  assert.equal(held('82 84'), 64);
  assert.equal(held('00 01 61 03 626364'), 32 + 4);
  assert.equal(held('0f 27 03 626364'), 32 + 3, 'the name stands in the static table');
  assert.equal(held('40 01 61 03 626364'), 32 + 4);
  assert.equal(held('be be'), 64, 'the entry is shared');
  assert.equal(held('7e 02 6364'), 32 + 2);
  assert.equal(held('00 86 a8eb10649cbf 86 a8eb10649cbf'), 32 + 16, 'as decoded: no-cache, no-cache');
});

test('past the bounds nothing is kept but content-type, once', () => {
  const decoder = new HpackDecoder(4096);
  for (const type of ['0f 10 01 74', '00 0c 636f6e74656e742d74797065 01 74', '5f 01 74']) {
    const some = '00 01 61 01 62'.repeat(3);
    assert.deepEqual(decode(decoder, some + type + some + type, 10_000, 2), ['a', 'b', 'a', 'b', 'content-type', 't']);
    assert.equal(decoder.fields.tooLarge, true);
  }
  assert.deepEqual(decode(decoder, '00 01 61 7f 01'.padEnd(18, ' ') + '62'.repeat(128) + '5f 01 74', 50, 9), [
    'content-type',
    't',
  ]);
});
