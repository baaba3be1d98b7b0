// HPACK against nghttp2, the codec inside Node: the same header blocks on one connection of its server and to our
// decoder. Both must decode them to the same fields, or refuse the same one.
import assert from 'node:assert/strict';
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import { connect, type AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { seededRng } from '../../src/base/rng.ts';
import { HpackDecoder } from '../../src/codec/h2/hpack/decoder.ts';
import { fuzzSettings } from '../support/fuzz-run.ts';
import { frame, ping, PREFACE, settings, TYPE } from '../support/h2-peer.ts';
import { HPACK, splitBlocks } from './targets/hpack.ts';

const COMPRESSION_ERROR = 9;
const MAX_BLOCKS = 20;
const MAX_BYTES = 60_000;
/** The pseudo-fields that a request needs. */
const PSEUDO = Buffer.from([0x82, 0x86, 0x84, 0x01, 0x01, 0x61]);

let server: Http2Server;
/** Raw header lists of the connection that is being looked at, by stream. */
let seen = new Map<number, string[]>();

before(async () => {
  server = createServer({ maxSessionMemory: 100, maxHeaderListPairs: 1000, settings: { maxHeaderListSize: 65_535 } });
  server.on('stream', (stream: ServerHttp2Stream, _headers: unknown, _flags: number, raw: string[]) => {
    stream.on('error', () => undefined);
    seen.set(stream.id ?? 0, raw);
  });
  server.on('sessionError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
after(() => server.close());

/** The block with pseudo-fields behind its table size updates, which must come first. */
function toRequest(block: Buffer): Buffer {
  let at = 0;
  while (at < block.length && ((block[at] ?? 0) & 0xe0) === 0x20) {
    const isLong = ((block[at++] ?? 0) & 0x1f) === 0x1f;
    while (isLong && at < block.length && (block[at++] ?? 0) >= 0x80);
  }
  return Buffer.concat([block.subarray(0, at), PSEUDO, block.subarray(at)]);
}

interface Verdict {
  /** Error code of its GOAWAY; 0 where none came. */
  goaway: number;
  /** Streams that it reset: their fields mean nothing to it, but were decoded. */
  readonly reset: Set<number>;
  readonly streams: Map<number, string[]>;
}

/** Sends the blocks, each as a request, and waits until all of them were looked at. */
async function nghttp2(blocks: readonly Buffer[]): Promise<Verdict> {
  seen = new Map();
  const verdict: Verdict = { goaway: 0, reset: new Set(), streams: seen };
  const { port } = server.address() as AddressInfo;
  const requests = blocks.map((block, i) => frame(TYPE.HEADERS, 0x5, 2 * i + 1, block));
  await new Promise<void>((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let bytes = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('close', () => resolve());
    socket.on('data', (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
      while (bytes.length >= 9 && bytes.length >= 9 + bytes.readUIntBE(0, 3)) {
        const end = 9 + bytes.readUIntBE(0, 3);
        const type = bytes[3];
        if (type === TYPE.RST_STREAM) verdict.reset.add(bytes.readUInt32BE(5));
        if (type === TYPE.GOAWAY) verdict.goaway ||= bytes.readUInt32BE(13);
        if (type === TYPE.GOAWAY || (type === TYPE.PING && ((bytes[4] ?? 0) & 1) === 1)) socket.destroy();
        bytes = bytes.subarray(end);
      }
    });
    socket.write(Buffer.concat([PREFACE, settings(), ...requests, ping()]));
  });
  return verdict;
}

/** Without those that HTTP/2 forbids: nghttp2 leaves some of them out where it doesn't reset the stream. */
function cleanFields(fields: readonly string[]): string[] {
  const clean: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const [name = '', value = ''] = fields.slice(i, i + 2);
    if (/^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name) && /^(?! )[\t\x20-\x7e\x80-\xff]*(?<![\t ])$/.test(value))
      clean.push(name, value);
  }
  return clean;
}

test('nghttp2 decodes the same blocks to the same fields, and refuses the same', async (context) => {
  const count = Math.ceil(Math.min(fuzzSettings.inputs / 200, 20_000));
  let compared = 0;
  let refused = 0;
  for (let number = 0; number < count; number++) {
    const rng = seededRng(Math.imul(number + 1, 0x9e3779b1) ^ fuzzSettings.seed);
    const blocks = splitBlocks(HPACK.mutate(rng, HPACK.seeds)).slice(0, MAX_BLOCKS).map(toRequest);
    if (blocks.length === 0) continue;
    const decoder = new HpackDecoder(4096);
    const ours: (string[] | undefined)[] = [];
    for (const block of blocks) {
      const decoded = decoder.decode(block, 0, block.length, MAX_BYTES, 1000);
      ours.push(decoded ? decoder.fields.items.slice(0, decoder.fields.length) : undefined);
      if (!decoded) break;
    }
    const theirs = await nghttp2(blocks);
    const hex = blocks.map((block) => block.toString('hex')).join(' ');
    const weRefuse = ours.at(-1) === undefined;
    // Integers of more bytes than 28 bits need are refused by ours only, zeros in front too: RFC 7541 section 5.1 allows both.
    const isLongInteger = /[\x80-\xff]{4}/.test(blocks[ours.length - 1]?.toString('latin1') ?? '');
    if (weRefuse && theirs.goaway !== COMPRESSION_ERROR && isLongInteger) continue;
    assert.equal(
      theirs.goaway === COMPRESSION_ERROR,
      weRefuse,
      `GOAWAY ${theirs.goaway}, ours ${weRefuse ? 'refuses' : 'decodes'}: ${hex}`,
    );
    if (weRefuse) refused++;
    for (const [i, fields] of ours.entries()) {
      const their = theirs.streams.get(2 * i + 1);
      if (!fields || !their || theirs.reset.has(2 * i + 1)) continue; // what it finds malformed it resets
      compared++;
      assert.deepEqual(cleanFields(their), cleanFields(fields), hex);
    }
  }
  context.diagnostic(`${count} connections, ${compared} blocks the same, ${refused} refused by both`);
  assert.ok(compared > count / 10 && refused > count / 20);
});
