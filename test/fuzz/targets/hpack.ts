// HPACK: header blocks one behind the other, as one connection's decoder sees them, and Huffman strings. An input is a
// sequence of blocks, each behind two bytes of length.
import type { Rng } from '../../../src/base/rng.ts';
import { HpackDecoder } from '../../../src/codec/h2/hpack/decoder.ts';
import { HpackEncoder } from '../../../src/codec/h2/hpack/encoder.ts';
import { decodeHuffman } from '../../../src/codec/h2/hpack/huffman.ts';
import { huffmanEncode, ReferenceDecoder, referenceHuffman } from '../../support/fuzz-hpack-reference.ts';
import { ByteMutator, partsMutate, pick } from '../../support/fuzz-mutator.ts';
import { broken, type FuzzTarget } from '../../support/fuzz-run.ts';

const MAX_BYTES = 8000;
const ENTRY_OVERHEAD = 32;

/** The blocks of an input. */
export function splitBlocks(input: Buffer): Buffer[] {
  const blocks: Buffer[] = [];
  for (let at = 0; at + 2 <= input.length;) {
    const length = Math.min(input.readUInt16BE(at) & 0xfff, input.length - at - 2);
    blocks.push(input.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return blocks;
}

/** The block with its length. */
export function blockPart(block: Buffer): Buffer {
  const part = Buffer.alloc(2 + block.length);
  part.writeUInt16BE(block.length & 0xfff);
  block.copy(part, 2);
  return part;
}

// ---------------------------------------------------------------- the decoder

const encodeBuffer = Buffer.alloc(1 << 16);

function checkBlocks(input: Buffer, rng: Rng): void {
  const limit = pick(rng, [4096, 4096, 4096, 65_536, 8192, 200, 64, 0]);
  const maxBytes = pick(rng, [16_384, 16_384, 500, 100, 0]);
  const maxFields = pick(rng, [105, 105, 5, 1, 0]);
  const decoder = new HpackDecoder(limit);
  const reference = new ReferenceDecoder(limit);
  const encoder = new HpackEncoder(pick(rng, [4096, 4096, 300, 100, 0]));
  const reader = new ReferenceDecoder(4096);
  for (const block of splitBlocks(input)) {
    const borrowed = Buffer.from(block);
    const generation = decoder.generation;
    const decoded = decoder.decode(borrowed, 0, borrowed.length, maxBytes, maxFields);
    borrowed.fill(0xee);
    const expected = reference.decode(block);
    if (decoded !== (expected !== undefined)) {
      // Past the bounds ours doesn't unpack what it won't keep; such a block is refused as too large anyway.
      if (decoded && decoder.fields.tooLarge) return;
      broken('blocks are decoded as RFC 7541 says', `decoded ${decoded}, expected ${JSON.stringify(expected)}`);
    }
    if (!expected) return;
    if (reference.size > limit && reference.size > 4096) broken('the table keeps its bound', String(reference.size));
    compareFields(decoder, expected.fields, maxBytes, maxFields);
    const never = decoder.fields.neverIndexed ?? [];
    if (!decoder.fields.tooLarge && never.join('\n') !== expected.neverIndexed.join('\n')) {
      broken('never-indexed names are told', `${never.join()} instead of ${expected.neverIndexed.join()}`);
    }
    if (decoder.isRepeatable) checkRepeat(decoder, block, generation, maxBytes, maxFields);
    if (rng.below(4) === 0) encoder.setLimit(pick(rng, [4096, 0, 40, 90, 250, 65_536]));
    if (!decoder.fields.tooLarge) checkEncoder(encoder, reader, decoder.fields.items.slice(0, decoder.fields.length));
  }
}

/** All fields while they are within the bounds, else those before. */
function compareFields(decoder: HpackDecoder, expected: string[], maxBytes: number, maxFields: number): void {
  const { items, length, tooLarge } = decoder.fields;
  let bytes = 0;
  let count = 0;
  for (; count < expected.length; count += 2) {
    bytes += (expected[count] ?? '').length + (expected[count + 1] ?? '').length + ENTRY_OVERHEAD;
    if (bytes > maxBytes || count / 2 >= maxFields) break;
  }
  if (tooLarge !== count < expected.length)
    broken('the bounds are kept', `${tooLarge} after ${count / 2} fields, ${bytes} bytes`);
  // A content-type is kept even behind the bounds, since it says what form a refusal has.
  const isLateType =
    length === count + 2 && items[count] === 'content-type' && expected.indexOf('content-type', count) >= 0;
  if (length !== count && !isLateType) {
    broken('what is within the bounds is kept', `${length / 2} instead of ${count / 2} fields`);
  }
  for (let i = 0; i < count; i++) {
    if (items[i] !== expected[i])
      broken('fields are decoded as RFC 7541 says', JSON.stringify([items[i], expected[i]]));
  }
}

/** A repeatable block changes nothing and means the same again: remembered blocks rest on that. */
function checkRepeat(
  decoder: HpackDecoder,
  block: Buffer,
  generation: number,
  maxBytes: number,
  maxFields: number,
): void {
  if (decoder.generation !== generation) broken('a repeatable block leaves the table as it is');
  const before = decoder.fields.items.slice(0, decoder.fields.length).join('\n');
  const again = decoder.decode(block, 0, block.length, maxBytes, maxFields);
  if (!again || decoder.fields.items.slice(0, decoder.fields.length).join('\n') !== before) {
    broken('a repeatable block means the same again');
  }
}

/** What was decoded, encoded by ours and decoded by another, is the same in lower case. */
function checkEncoder(encoder: HpackEncoder, reader: ReferenceDecoder, items: readonly string[]): void {
  // A field enters the table when it is seen again: the third time it is an index.
  for (let time = 0; time < 3; time++) {
    encoder.begin(encodeBuffer, 0);
    for (let i = 0; i < items.length; i += 2) encoder.field(items[i] ?? '', items[i + 1] ?? '', false);
    const read = reader.decode(encodeBuffer.subarray(0, encoder.at));
    const wanted = items.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text));
    if (read?.fields.join('\n') !== wanted.join('\n')) {
      broken('what is encoded is decoded to the same', JSON.stringify([read?.fields, wanted]));
    }
  }
}

// ---------------------------------------------------------------- what inputs are made of

function integer(pattern: number, bits: number, value: number): number[] {
  const most = 2 ** bits - 1;
  if (value < most) return [pattern | value];
  const bytes = [pattern | most];
  for (let rest = value - most; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) | 128);
  }
}

function plain(text: string): number[] {
  return [...integer(0, 7, text.length), ...Buffer.from(text, 'latin1')];
}

function packed(text: string): number[] {
  const bytes = huffmanEncode(text);
  return [...integer(0x80, 7, bytes.length), ...bytes];
}

const FIELDS: readonly number[][] = [
  ...[1, 2, 4, 7, 8, 14, 16, 61, 62, 63, 64, 70, 100, 127, 200, 0].map((index) => integer(0x80, 7, index)),
  ...[0, 31, 64, 200, 4096, 4097, 65_536].map((size) => integer(0x20, 5, size)),
  [0x40, ...plain('a'), ...plain('1')], [0x40, ...packed('custom-key'), ...packed('custom-value')], [0x00, ...plain('b'), ...plain('')], [0x10, ...plain('secret'), ...packed('x')],
  [...integer(0x40, 6, 4), ...packed('/index/of/all')], [...integer(0x40, 6, 62), ...plain('again')], [...integer(0x40, 6, 62), ...plain('v'.repeat(200))],
  [...integer(0, 4, 58), ...packed('agent \xff\x00\t')], [...integer(0x10, 4, 23), ...plain('Basic YTpi')], [...integer(0, 4, 63), ...plain('z')],
  [0x40, ...plain('large'), ...plain('w'.repeat(5000))], [0x40, ...plain('n'.repeat(130)), ...packed('m'.repeat(300))], [0x40, ...plain(''), ...plain('')],
  [0x40, 0x7f, 0x80, 0x80, 0x80, 0x80, 0x01], [0x00, 0x81, 0x00, 0x00], [0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00], [0xff, 0x80, 0x00], [0x3f, 0x80, 0x80, 0x80, 0x00], [0x3f, 0x80, 0x80, 0x80, 0x80, 0x00], [0x1f, 0x80, 0x80, 0x80, 0x80, 0x00, ...plain('y')], [0x1f, 0x00, ...plain('x')],
]; // prettier-ignore

/** Words for mutation of header blocks, also within HTTP/2 frames. */
export const HPACK_WORDS: readonly Buffer[] = FIELDS.map((field) => Buffer.from(field));

const bytesOfBlocks = new ByteMutator(HPACK_WORDS, 4000);

function randomBlock(rng: Rng): Buffer {
  const fields: Buffer[] = [];
  for (let left = rng.below(6); left >= 0; left--) fields.push(pick(rng, HPACK_WORDS));
  return Buffer.concat(fields).subarray(0, 0xfff);
}

const SEEDS: readonly Buffer[] = [
  HPACK_WORDS.slice(23, 33), HPACK_WORDS.slice(1, 9), [...HPACK_WORDS.slice(23, 27), ...HPACK_WORDS.slice(8, 12)],
].map((words) => Buffer.concat(words.map((word) => blockPart(word)))); // prettier-ignore

export const HPACK: FuzzTarget = {
  name: 'hpack',
  seeds: [...SEEDS, ...HPACK_WORDS.map(blockPart)],
  mutate: partsMutate(
    {
      split: (input) => splitBlocks(input).map(blockPart),
      samples: HPACK_WORDS.map(blockPart),
      change: (rng, part, corpus) =>
        blockPart(
          rng.below(4) === 0
            ? randomBlock(rng)
            : bytesOfBlocks.change(rng, part.subarray(2), corpus).subarray(0, 0xfff),
        ),
    },
    bytesOfBlocks,
    MAX_BYTES,
  ),
  check: checkBlocks,
};

// ---------------------------------------------------------------- the Huffman code

/** What decodes is what another reader decodes; and since the code leaves no choice, encoding gives the bytes back. */
function checkHuffman(input: Buffer, rng: Rng): void {
  const start = rng.below(4);
  const within = Buffer.alloc(start + input.length + 4, 0xff);
  input.copy(within, start);
  const decoded = decodeHuffman(within, start, start + input.length);
  const expected = referenceHuffman(input);
  if (decoded !== expected)
    broken('Huffman strings are decoded as appendix B says', JSON.stringify([decoded, expected]));
  if (decoded !== undefined && !huffmanEncode(decoded).equals(input)) {
    broken('Huffman strings have one form', JSON.stringify(decoded));
  }
}

const TEXTS = [
  '', '0', 'a', '/', 'www.example.com', 'no-cache', 'Mon, 21 Oct 2013 20:13:21 GMT', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1', '\xff', '\0',
  '\r\n', '\x16\x0a', '~{}|^`<>\\', '\x80\x81\x82\x83\xc3\xd0\xe0\xf9', 'x'.repeat(300), '\x0a'.repeat(40), 'aceiost012',
]; // prettier-ignore
const HUFFMAN_SEEDS = [
  ...TEXTS.map(huffmanEncode),
  ...['ff', 'ffff', 'ffffffff', 'fffffffc', '00', '1fff', 'fffffffffc'].map((hex) => Buffer.from(hex, 'hex')),
];

export const HUFFMAN: FuzzTarget = {
  name: 'huffman',
  seeds: HUFFMAN_SEEDS,
  mutate: new ByteMutator(HUFFMAN_SEEDS, 2000).mutate,
  check: checkHuffman,
};
