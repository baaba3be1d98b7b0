// Random and cut bytes against the HTTP/2 side. Seeds are fixed; FC_RUNS raises the number of inputs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { silentLogger } from '../../src/base/log.ts';
import { TimerWheel } from '../../src/base/timer-wheel.ts';
import { HpackDecoder } from '../../src/codec/h2/hpack/decoder.ts';
import { HpackEncoder } from '../../src/codec/h2/hpack/encoder.ts';
import { decodeHuffman } from '../../src/codec/h2/hpack/huffman.ts';
import { DEFAULT_LIMITS } from '../../src/codec/limits.ts';
import { createH2Session } from '../../src/downstream/h2-session.ts';
import { createH2Channel } from '../../src/upstream/h2-channel.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { data, frame, headers, PREFACE, request, settings, SETTINGS_ACK } from '../support/h2-peer.ts';
import { MemoryTransport } from '../support/memory-transport.ts';

const options = (numRuns: number, seed: number): { numRuns: number; seed: number } => ({
  numRuns: Number(process.env['FC_RUNS'] ?? numRuns),
  seed,
});

/** Runs a session over the parts and tells everything that it handed over and wrote. */
function serve(parts: readonly Uint8Array[]): string[] {
  const events: string[] = [];
  const clock = new FakeClock();
  const transport = new MemoryTransport(clock);
  createH2Session(transport, {
    clock,
    wheel: new TimerWheel(clock),
    logger: silentLogger,
    limits: { ...DEFAULT_LIMITS, resetBurst: 5, controlBurst: 5, controlPerSecond: 5 },
    scheme: 'http',
    onRefused: (kind, detail) => events.push(`refused ${kind} ${detail}`),
    handle(head, endStream, sender) {
      const name = `${head.method} ${head.path}`;
      events.push(`${name} ${endStream} ${head.fields.join('|')}`);
      if (endStream) sender.sendHead({ status: 200, fields: [], neverIndexed: undefined, contentLength: -1 }, true);
      return {
        onData: (chunk, end) => events.push(`${name} data ${Buffer.from(chunk).toString('hex')} ${end}`),
        onTrailers: (fields) => events.push(`${name} trailers ${fields.join('|')}`),
        onAbort: (kind) => events.push(`${name} abort ${kind}`),
        onDrain: () => events.push(`${name} drain`),
      };
    },
  });
  for (const part of parts) transport.feed(part);
  events.push(transport.take().toString('hex'), String(transport.closedBy));
  return events;
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((from, i) => bytes.subarray(from, at[i] ?? bytes.length));
}

const id = fc.constantFrom(0, 1, 3, 5, 2);
const anyFrame = fc.oneof(
  fc
    .record({ type: fc.nat(10), flags: fc.nat(255), id, payload: fc.uint8Array({ maxLength: 40 }) })
    .map((random) => frame(random.type, random.flags, random.id, random.payload)),
  fc
    .record({ id, end: fc.boolean(), extra: fc.constantFrom(['a', 'b'], ['X', 'y'], ['content-length', '3'], []) })
    .map((random) => headers(random.id, request('/', random.extra, 'POST'), random.end)),
  fc
    .record({ id, end: fc.boolean(), body: fc.constantFrom('', 'abc', 'ab') })
    .map((random) => data(random.id, random.body, random.end)),
);

test('any cut of the bytes gives the same events and the same answer', () => {
  fc.assert(
    fc.property(fc.array(anyFrame, { maxLength: 12 }), fc.array(fc.nat(2000), { maxLength: 12 }), (frames, places) => {
      const bytes = Buffer.concat([PREFACE, settings(), SETTINGS_ACK, ...frames]);
      assert.deepEqual(serve(cut(bytes, places)), serve([bytes]));
    }),
    options(400, 1),
  );
});

test('a byte at a time is the same', () => {
  fc.assert(
    fc.property(fc.array(anyFrame, { maxLength: 6 }), (frames) => {
      const bytes = Buffer.concat([PREFACE, settings(), ...frames]);
      assert.deepEqual(serve([...bytes].map((byte) => Buffer.from([byte]))), serve([bytes]));
    }),
    options(100, 2),
  );
});

test('random bytes never throw, as a client or as a server', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }), fc.boolean(), (parts, proper) => {
      serve(proper ? [PREFACE, settings(), ...parts] : parts);
      const clock = new FakeClock();
      const transport = new MemoryTransport(clock);
      const owner = { onAvailable: () => undefined, onDraining: () => undefined, onClosed: () => undefined };
      const wheel = new TimerWheel(clock);
      const context = { clock, wheel, logger: silentLogger, limits: DEFAULT_LIMITS, maxRequests: 10 };
      createH2Channel(transport, owner, context);
      for (const part of proper ? [settings(), ...parts] : parts) transport.feed(part);
    }),
    options(400, 3),
  );
});

test('random blocks decode or don’t, within the bounds', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (blocks) => {
      const decoder = new HpackDecoder(4096);
      for (const block of blocks) {
        const bytes = Buffer.from(block);
        if (!decoder.decode(bytes, 0, bytes.length, 500, 5)) return;
        assert.ok(decoder.fields.length <= 10);
        decodeHuffman(bytes, 0, bytes.length);
      }
    }),
    options(2000, 4),
  );
});

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
    options(1000, 5),
  );
});
