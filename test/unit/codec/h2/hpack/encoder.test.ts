import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HpackDecoder } from '../../../../../src/codec/h2/hpack/decoder.ts';
import { HpackEncoder } from '../../../../../src/codec/h2/hpack/encoder.ts';
import { httpIndexing } from '../../../../../src/codec/h2/indexing-policy.ts';

function encode(encoder: HpackEncoder, fields: readonly string[], secret = false): Buffer {
  const buffer = Buffer.alloc(65536);
  encoder.begin(buffer, 0);
  for (let i = 0; i < fields.length; i += 2) encoder.field(fields[i] ?? '', fields[i + 1] ?? '', secret);
  return Buffer.from(buffer.subarray(0, encoder.at));
}

function decode(decoder: HpackDecoder, block: Buffer): string[] {
  assert.ok(decoder.decode(block, 0, block.length, 1 << 20, 1000));
  return decoder.fields.items.slice(0, decoder.fields.length);
}

test('what repeats shrinks to indexes on its third use', () => {
  const encoder = new HpackEncoder(4096, httpIndexing);
  const decoder = new HpackDecoder(4096);
  const fields = [':method', 'POST', ':path', '/pkg.Svc/Call', 'content-type', 'application/grpc', 'x-custom', 'v'];
  const sizes: number[] = [];
  for (let i = 0; i < 3; i++) {
    const block = encode(encoder, fields);
    assert.deepEqual(decode(decoder, block), fields);
    sizes.push(block.length);
  }
  assert.equal(sizes[2], 4);
});

test('values that vary never enter the table', () => {
  const encoder = new HpackEncoder(4096, httpIndexing);
  const fields = ['content-length', '5', 'date', 'x', 'traceparent', 'y', 'x-request-id', 'z'];
  encode(encoder, fields);
  assert.equal(encode(encoder, fields).length, encode(encoder, fields).length);
  assert.ok(encode(encoder, fields).every((_, i, block) => i > 0 || (block[0] ?? 0) < 0x10));
});

test('secrets are never indexed', () => {
  const encoder = new HpackEncoder(4096, httpIndexing);
  const decoder = new HpackDecoder(4096);
  decode(decoder, encode(encoder, ['authorization', 'Basic YTpi', 'cookie', 'a=b']));
  assert.deepEqual(decoder.fields.neverIndexed, ['authorization', 'cookie']);
  decode(decoder, encode(encoder, ['cookie', 'x'.repeat(40)]));
  assert.equal(decoder.fields.neverIndexed, undefined);
  for (let i = 0; i < 3; i++) decode(decoder, encode(encoder, ['x-key', 'v'], true));
  assert.deepEqual(decoder.fields.neverIndexed, ['x-key']);
});

test('names are lowered, and what belongs to one connection is not written', () => {
  const encoder = new HpackEncoder(4096, httpIndexing);
  const decoder = new HpackDecoder(4096);
  for (let i = 0; i < 2; i++) {
    const block = encode(encoder, ['Connection', 'close', 'Host', 'a', 'TE', 'gzip', 'te', 'Trailers', 'X-Y', 'Z']);
    assert.deepEqual(decode(decoder, block), ['te', 'trailers', 'x-y', 'Z']);
  }
});

test('table size updates: the smallest, then the last', () => {
  const encoder = new HpackEncoder(4096);
  const decoder = new HpackDecoder(4096);
  for (let i = 0; i < 3; i++) decode(decoder, encode(encoder, ['a', 'b']));
  encoder.setLimit(0);
  encoder.setLimit(100);
  const block = encode(encoder, ['a', 'b']);
  assert.equal(block.subarray(0, 3).toString('hex'), '203f45');
  assert.deepEqual(decode(decoder, block), ['a', 'b']);
  for (let i = 0; i < 50; i++) {
    const fields = [`n${i % 7}`, `v${i % 3}`, `n${i % 5}`, `v${i % 2}`];
    assert.deepEqual(decode(decoder, encode(encoder, fields)), fields);
  }
  encoder.setLimit(2 ** 32 - 1);
  assert.equal(encode(encoder, []).toString('hex'), '3fe11f');
});

test('the table never grows beyond the cap, whatever comes', () => {
  const encoder = new HpackEncoder(256);
  const decoder = new HpackDecoder(4096);
  for (let i = 0; i < 2000; i++) {
    const fields = [`name-${i % 40}`, `value-${i >> 3}`, 'same', 'same', `n${i % 3}`, 'z'.repeat(i % 200)];
    assert.deepEqual(decode(decoder, encode(encoder, [...fields, ...fields])), [...fields, ...fields]);
  }
});

test('names in any order, in any spelling and without end are written as they are', () => {
  const encoder = new HpackEncoder(4096, httpIndexing);
  const decoder = new HpackDecoder(4096);
  for (let i = 0; i < 1500; i++) {
    const fields = [
      'x-a',
      '1',
      `x-${i % 7}`,
      `${i % 3}`,
      `X-New-${i}`,
      'v',
      'X-A',
      '2',
      `x-${i % 5}`,
      'w',
      `n-${i}`,
      '',
    ];
    const lower = fields.map((text, at) => (at % 2 === 0 ? text.toLowerCase() : text));
    assert.deepEqual(decode(decoder, encode(encoder, fields)), lower);
    assert.deepEqual(decode(decoder, encode(encoder, fields)), lower);
  }
});

test('addresses of callers enter the table when they come again', () => {
  const encoder = new HpackEncoder(4096, httpIndexing);
  const fields = ['x-forwarded-for', '10.1.2.3', 'x-real-ip', '10.1.2.3'];
  const sizes = [1, 2, 3].map(() => encode(encoder, fields).length);
  assert.equal(sizes[2], 2);
});
