// The stories of the public hpack-test-case collection (http2jp), replayed: each block decodes to what the story says, in
// one piece and as frames of which one byte comes at a time, and what our encoder makes of it decodes to the same again.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FRAME_HEADER_BYTES } from '../../src/codec/h2/frame.ts';
import { FrameReader } from '../../src/codec/h2/frame-reader.ts';
import { HeaderAssembler } from '../../src/codec/h2/header-assembler.ts';
import { HpackDecoder } from '../../src/codec/h2/hpack/decoder.ts';
import { HpackEncoder } from '../../src/codec/h2/hpack/encoder.ts';

interface Case {
  /** Hex; missing in the raw stories, which only list fields. */
  readonly wire?: string;
  readonly headers: readonly Readonly<Record<string, string>>[];
  readonly header_table_size?: number;
}

const TABLE_BYTES = 4096;
const MAX_BYTES = 1 << 20;
const MAX_FIELDS = 1000;
const HEADERS = 1;
const CONTINUATION = 9;
const END_HEADERS = 4;
const STREAM = 1;
/** Each block comes in so many frames. */
const FRAMES = 3;

/** Paths of all stories below a folder, sorted. */
export function listStories(root: string): string[] {
  return readdirSync(root, { recursive: true })
    .map((name) => join(root, String(name)))
    .filter((name) => name.endsWith('.json'))
    .sort();
}

/** Plays one story and gives the number of its cases, 0 for a raw one. Throws an AssertionError that names the case. */
export function playStory(file: string): number {
  const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: Case[] };
  const whole = new HpackDecoder(TABLE_BYTES);
  const trickled = new HpackDecoder(TABLE_BYTES);
  const again = new HpackDecoder(TABLE_BYTES);
  const encoder = new HpackEncoder(TABLE_BYTES);
  const buffer = Buffer.alloc(1 << 16);
  for (const [index, { wire, headers, header_table_size: size }] of cases.entries()) {
    if (wire === undefined) return 0;
    const place = `${file}, case ${index}`;
    if (size !== undefined) {
      whole.setLimit(size);
      trickled.setLimit(size);
    }
    const expected = headers.flatMap((field) => Object.entries(field).flat());
    const block = Buffer.from(wire, 'hex');
    assert.deepEqual(decode(whole, block), expected, place);
    assert.deepEqual(decode(trickled, trickle(block)), expected, `${place}, one byte at a time`);
    encoder.begin(buffer, 0);
    for (let i = 0; i < expected.length; i += 2) encoder.field(expected[i] ?? '', expected[i + 1] ?? '', false);
    assert.deepEqual(decode(again, buffer.subarray(0, encoder.at)), expected, `${place}, encoded again`);
  }
  return cases.length;
}

function decode(decoder: HpackDecoder, block: Buffer): string[] | 'refused' {
  if (!decoder.decode(block, 0, block.length, MAX_BYTES, MAX_FIELDS)) return 'refused';
  return decoder.fields.items.slice(0, decoder.fields.length);
}

/** The block as our frame reader puts it together when HEADERS and CONTINUATION frames come byte by byte. */
function trickle(block: Buffer): Buffer {
  const assembler = new HeaderAssembler();
  let joined: Buffer | undefined;
  const reader = new FrameReader({
    onFrame: (type, flags, streamId, bytes, start, end) => {
      if (type === HEADERS) assembler.open(streamId, true, false, bytes, start, end);
      else assert.ok(assembler.add(bytes, start, end, FRAMES, MAX_BYTES));
      if ((flags & END_HEADERS) !== 0) joined = Buffer.from(assembler.close());
    },
    onOversizeFrame: () => assert.fail('a frame was taken for too large'),
  });
  for (const byte of framed(block)) reader.read(Buffer.of(byte), 0, 1);
  assert.ok(joined, 'the block did not end');
  return joined;
}

function framed(block: Buffer): Buffer {
  const step = Math.max(Math.ceil(block.length / FRAMES), 1);
  const frames: Buffer[] = [];
  for (let at = 0; at === 0 || at < block.length; at += step) {
    const payload = block.subarray(at, at + step);
    const head = Buffer.alloc(FRAME_HEADER_BYTES);
    head.writeUIntBE(payload.length, 0, 3);
    head[3] = at === 0 ? HEADERS : CONTINUATION;
    head[4] = at + step >= block.length ? END_HEADERS : 0;
    head.writeUInt32BE(STREAM, 5);
    frames.push(head, payload);
  }
  return Buffer.concat(frames);
}
