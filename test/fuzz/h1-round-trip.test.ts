// What the mutator of h1-parsers.test.ts meets seldom: heads at the borders of the parser's own buffers, and messages of
// every legal byte, written and read back. Seeds are fixed and printed by fast-check on failure; OUTRIGGER_FUZZ_RUNS
// multiplies the number of runs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { MemorySink } from '../../src/base/byte-sink.ts';
import type { Fields, RequestHead } from '../../src/codec/exchange.ts';
import { requestFraming, writeChunk, writeLastChunk, writeRequestHead } from '../../src/codec/h1/head-writer.ts';
import { CHUNKED } from '../../src/codec/h1/framing.ts';
import { type H1Event, parseRequests } from '../support/h1-script.ts';

const FACTOR = Number(process.env['OUTRIGGER_FUZZ_RUNS'] ?? 1);
const runs = (count: number, seed: number): fc.Parameters<unknown> => ({ numRuns: count * FACTOR, seed });

const cutsFor = (length: number, picks: readonly number[]): number[] =>
  picks.map((pick) => Math.floor(pick * length)).sort((a, b) => a - b);
const picks = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 });

test('heads larger than the place they are first looked for in', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1900, max: 17_000 }),
      fc.constantFrom('', '\n', '\r', '\0', ' '),
      picks,
      (size, spoil, where) => {
        const text = `GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(size)}${spoil}\r\nY: z\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n`;
        assert.deepEqual(parseRequests(text, cutsFor(text.length, where)), parseRequests(text));
      },
    ),
    runs(60, 0x0e14),
  );
});

test('what is written is read back', () => {
  const token = fc.stringMatching(/^[a-zA-Z][a-z0-9!#$%&'*+.^_`|~-]{0,20}$/).map((name) => `x-${name}`);
  const value = fc.stringMatching(/^(?:[!-~\u0080-\u00ff](?:[\t -~\u0080-\u00ff]{0,30}[!-~\u0080-\u00ff])?)?$/);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(token, value), { maxLength: 12 }),
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 2000 }), { maxLength: 4 }),
      (pairs, body) => {
        const fields: Fields = pairs.flat();
        const head: RequestHead = {
        method: 'POST', scheme: 'http', authority: 'a:1', path: '/p?q', protocol: '', version: 11, fields, neverIndexed: undefined, contentLength: -1,
      }; // prettier-ignore
        const sink = new MemorySink();
        const framing = requestFraming(head, false);
        assert.equal(framing, CHUNKED);
        writeRequestHead(sink, head, framing);
        for (const chunk of body) writeChunk(sink, chunk);
        writeLastChunk(sink, ['x-t', '1']);
        const data = Buffer.concat(body).toString('latin1');
        const expected: H1Event[] = [{ head, endStream: false }];
        if (data !== '') expected.push({ data });
        expected.push({ trailers: ['x-t', '1'] });
        assert.deepEqual(parseRequests(sink.take()), expected);
      },
    ),
    runs(300, 0x0e15),
  );
});
