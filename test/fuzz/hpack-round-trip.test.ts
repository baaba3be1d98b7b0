// Field lists of every byte through our encoder and decoder, with table sizes that change on the way. Seeds are fixed;
// OUTRIGGER_FUZZ_RUNS multiplies the number of runs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HpackDecoder } from '../../src/codec/h2/hpack/decoder.ts';
import { HpackEncoder } from '../../src/codec/h2/hpack/encoder.ts';

const FACTOR = Number(process.env['OUTRIGGER_FUZZ_RUNS'] ?? 1);

const latin1 = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 40,
});
const name = fc.oneof(
  fc.constantFrom(':path', 'cookie', 'a', 'b', 'content-type', '__proto__'),
  fc.stringMatching(/^[a-z-]{1,30}$/),
);
const fieldList = fc.array(fc.tuple(name, fc.oneof(fc.constantFrom('1', '2', ''), latin1)), { maxLength: 12 });

test('what is encoded decodes to the same, block after block, whatever the table', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fieldList, fc.option(fc.constantFrom(0, 50, 100, 300, 4096, 65_536))), { maxLength: 12 }),
      (blocks) => {
        const encoder = new HpackEncoder(4096);
        const decoder = new HpackDecoder(4096);
        const buffer = Buffer.alloc(8192);
        for (const [list, limit] of blocks) {
          if (limit !== null) encoder.setLimit(limit);
          const flat = list.flat();
          encoder.begin(buffer, 0);
          for (let i = 0; i < flat.length; i += 2) encoder.field(flat[i] ?? '', flat[i + 1] ?? '', false);
          assert.ok(decoder.decode(buffer, 0, encoder.at, 1 << 20, 100));
          assert.deepEqual(decoder.fields.items.slice(0, decoder.fields.length), flat);
        }
      },
    ),
    { numRuns: 1000 * FACTOR, seed: 5 },
  );
});
