// Work grows with the bytes and not with their square: inputs of a mebibyte, one byte at a time, with the limits out of
// the way. A reader that looks at earlier bytes again would take hours.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RequestParser } from '../../src/codec/h1/request-parser.ts';
import { ResponseParser } from '../../src/codec/h1/response-parser.ts';
import { FrameReader } from '../../src/codec/h2/frame-reader.ts';
import { HpackDecoder } from '../../src/codec/h2/hpack/decoder.ts';
import { decodeHuffman } from '../../src/codec/h2/hpack/huffman.ts';
import { DEFAULT_LIMITS, type WireLimits } from '../../src/codec/limits.ts';
import { normalizePath } from '../../src/codec/path.ts';
import { encodeGrpcMessage } from '../../src/codec/grpc/status.ts';
import { readSubjectAltNames } from '../../src/identity/names.ts';
import { H1Log } from '../support/fuzz-h1-log.ts';
import { forEachPiece } from '../support/fuzz-pieces.ts';

const BYTES = 1 << 20;
const MANY = 4 * BYTES;
const NO_LIMITS: WireLimits = {
  ...DEFAULT_LIMITS,
  requestHeadBytes: MANY,
  responseHeadBytes: MANY,
  requestLineBytes: MANY,
  headFields: MANY,
  trailerBytes: MANY,
  trailerFields: MANY,
  chunkExtensionBytes: MANY,
  informationalHeads: MANY,
};
/** Twenty times what they take on a slow machine. */
const MAX_MS = 3000;

function fill(text: string): string {
  return text.repeat(Math.ceil(BYTES / text.length));
}

function inTime(work: () => void): void {
  const beforeMs = performance.now();
  work();
  const tookMs = performance.now() - beforeMs;
  assert.ok(tookMs < MAX_MS, `${tookMs.toFixed(0)} ms`);
}

/** Quadratic work over a mebibyte would take minutes; over this it shows soon enough. */
const SPACES = ' '.repeat(BYTES / 8);
const CHUNKED = 'Transfer-Encoding: chunked\r\n\r\n';
const MESSAGES: Readonly<Record<string, string>> = {
  'one long field': `X: ${fill('a')}\r\n\r\n`,
  'one long name': `${fill('a')}: x\r\n\r\n`,
  'one field of spaces': `X:${fill(' ')}\r\n\r\n`,
  'one field of spaces between letters': `X: ${fill('a     ')}\r\n\r\n`,
  'many fields': `${fill('X: y\r\n')}\r\n`,
  'spaces within Connection': `Connection: a${SPACES}b\r\n\r\n`,
  'spaces within TE': `TE: a${SPACES}b\r\n\r\n`,
  'spaces within Transfer-Encoding': `Transfer-Encoding: a${SPACES}b\r\n\r\n`,
  'spaces within Upgrade': `Connection: Upgrade\r\nUpgrade: a${SPACES}b\r\n\r\n`,
  'spaces within Keep-Alive': `Keep-Alive: a${SPACES}b\r\n\r\n`,
  'many options of Connection': `Connection: ${fill('x, ')}x\r\n\r\n`,
  'many codings': `Transfer-Encoding: ${fill('x,')}chunked\r\n\r\n`,
  'many protocols to upgrade to': `Connection: Upgrade\r\n${fill('Upgrade: x\r\n')}\r\n`,
  'chunks of a byte': `${CHUNKED}${fill('1\r\na\r\n')}0\r\n\r\n`,
  'a chunk size of zeros': `${CHUNKED}${fill('0')}\r\n\r\n`,
  'one long chunk extension': `${CHUNKED}1;${fill('a')}\r\nx\r\n0\r\n\r\n`,
  'a quoted chunk extension': `${CHUNKED}1;a="${fill('\\"')}"\r\nx\r\n0\r\n\r\n`,
  'many trailers': `${CHUNKED}0\r\n${fill('x: y\r\n')}\r\n`,
};

describe('HTTP/1, one byte at a time', () => {
  for (const [name, rest] of Object.entries(MESSAGES)) {
    test(`request with ${name}`, () => {
      const parser = new RequestParser(NO_LIMITS, 'http', new H1Log(false));
      inTime(() => {
        forEachPiece(Buffer.from(`POST / HTTP/1.1\r\nHost: a\r\n${rest}`), 'each byte', (bytes, start, end) => {
          parser.execute(bytes, start, end);
          return parser.fault === undefined;
        });
      });
    });
    test(`answer with ${name}`, () => {
      const parser = new ResponseParser(NO_LIMITS, new H1Log(true));
      parser.begin(false);
      inTime(() => {
        forEachPiece(Buffer.from(`HTTP/1.1 200 OK\r\n${rest}`), 'each byte', (bytes, start, end) => {
          parser.execute(bytes, start, end);
          return parser.fault === undefined && !parser.done;
        });
      });
    });
  }
  test('informational answers', () => {
    const parser = new ResponseParser(NO_LIMITS, new H1Log(true));
    parser.begin(false);
    inTime(() => {
      forEachPiece(Buffer.from(fill('HTTP/1.1 103 x\r\n\r\n')), 'each byte', (bytes, start, end) => {
        parser.execute(bytes, start, end);
        return parser.fault === undefined;
      });
    });
    assert.equal(parser.fault, undefined);
  });
});

describe('HTTP/2', () => {
  test('empty frames and large ones, one byte at a time', () => {
    for (const size of [0, 1, 16_384]) {
      const frame = Buffer.alloc(9 + size);
      frame.writeUIntBE(size, 0, 3);
      const bytes = Buffer.concat(Array.from({ length: Math.ceil(BYTES / frame.length) }, () => frame));
      let frames = 0;
      const reader = new FrameReader({ onFrame: () => frames++, onOversizeFrame: () => assert.fail() });
      inTime(() => {
        forEachPiece(bytes, 'each byte', (part, start, end) => {
          reader.read(part, start, end);
          return true;
        });
      });
      assert.equal(frames, bytes.length / frame.length);
    }
  });

  test('header blocks of indexes, of table size updates and of one string', () => {
    for (const block of [
      Buffer.alloc(BYTES, 0x82),
      Buffer.alloc(BYTES, 0x20),
      Buffer.alloc(BYTES, Buffer.from('400161ff', 'hex')),
      Buffer.alloc(BYTES, 0xff),
    ]) {
      inTime(() => new HpackDecoder(4096).decode(block, 0, block.length, MANY, MANY));
      inTime(() => decodeHuffman(block, 0, block.length));
    }
  });
});

test('texts and certificates', () => {
  for (const part of ['/', '/.', '/..', '/a/..', '%41', '%2e', '%', 'a/', '?', '/a/../..']) {
    inTime(() => normalizePath(`/${fill(part)}`));
    inTime(() => encodeGrpcMessage(fill(part)));
  }
  for (const part of ['3000', '3080', '8200', '30', '3082ffff']) {
    inTime(() => readSubjectAltNames(Buffer.alloc(65_536, Buffer.from(part, 'hex'))));
  }
});
