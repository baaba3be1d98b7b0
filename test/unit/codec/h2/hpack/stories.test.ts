// The stories of the public hpack-test-case collection, where the fixtures are at hand: each block decodes to what the
// story says, in one piece, and what our encoder makes of it decodes to the same again.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { HpackDecoder } from '../../../../../src/codec/h2/hpack/decoder.ts';
import { HpackEncoder } from '../../../../../src/codec/h2/hpack/encoder.ts';

const root = join(process.env['OUTRIGGER_FIXTURES'] ?? join(process.cwd(), '..', 'shared', 'fixtures'), 'hpack');
const found = existsSync(root);

interface Case {
  readonly wire: string;
  readonly headers: readonly Readonly<Record<string, string>>[];
  readonly header_table_size?: number;
}

function play(file: string): void {
  const story = JSON.parse(readFileSync(file, 'utf8')) as { cases: Case[] };
  const decoder = new HpackDecoder(4096);
  const encoder = new HpackEncoder(4096);
  const again = new HpackDecoder(4096);
  const buffer = Buffer.alloc(1 << 16);
  for (const { wire, headers, header_table_size: size } of story.cases) {
    if (size !== undefined) decoder.setLimit(size);
    const expected = headers.flatMap((field) => Object.entries(field).flat());
    const block = Buffer.from(wire, 'hex');
    assert.ok(decoder.decode(block, 0, block.length, 1 << 20, 1000), file);
    assert.deepEqual(decoder.fields.items.slice(0, decoder.fields.length), expected, file);
    encoder.begin(buffer, 0);
    for (let i = 0; i < expected.length; i += 2) encoder.field(expected[i] ?? '', expected[i + 1] ?? '', false);
    assert.ok(again.decode(buffer, 0, encoder.at, 1 << 20, 1000), file);
    assert.deepEqual(again.fields.items.slice(0, again.fields.length), expected, file);
  }
}

test('HPACK stories decode, and survive our encoder', { skip: found ? false : `no fixtures at ${root}` }, () => {
  let stories = 0;
  for (const folder of readdirSync(root)) {
    for (const name of readdirSync(join(root, folder))) {
      if (!name.endsWith('.json')) continue;
      play(join(root, folder, name));
      stories++;
    }
  }
  assert.ok(stories > 0);
});
