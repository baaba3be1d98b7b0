// Any split of the bytes gives the same events, nothing throws, and what we write we read back. Seeds are fixed and
// printed by fast-check on failure; OUTRIGGER_FUZZ_RUNS multiplies the number of runs.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { MemorySink } from '../../src/base/byte-sink.ts';
import type { Fields, RequestHead } from '../../src/codec/exchange.ts';
import { DEFAULT_LIMITS } from '../../src/codec/limits.ts';
import { requestFraming, writeChunk, writeLastChunk, writeRequestHead } from '../../src/codec/h1/head-writer.ts';
import { CHUNKED } from '../../src/codec/h1/framing.ts';
import { type H1Event, eachByte, parseRequests, parseResponse } from '../support/h1-script.ts';

const FACTOR = Number(process.env['OUTRIGGER_FUZZ_RUNS'] ?? 1);
const runs = (count: number, seed: number): fc.Parameters<unknown> => ({ numRuns: count * FACTOR, seed });

/** Pieces from which nearly valid and quite invalid messages are made. */
const WORDS = [
  'GET ', 'POST ', 'HEAD ', '/', '/a?b', '*', 'http://a/', ' HTTP/1.1\r\n', ' HTTP/1.0\r\n', ' HTTP/2.0\r\n', 'HTTP/1.1 200 OK\r\n',
  'HTTP/1.1 204 \r\n', 'HTTP/1.1 103 x\r\n', 'HTTP/1.1 101 x\r\n', 'HTTP/1.0 200\r\n', 'Host: a\r\n', 'Host: b\r\n', 'Content-Length: 3\r\n',
  'Content-Length: 0\r\n', 'content-length: 03\r\n', 'Transfer-Encoding: chunked\r\n', 'Transfer-Encoding: gzip, chunked\r\n', 'Connection: close\r\n',
  'Connection: x, Content-Length\r\n', 'Expect: 100-continue\r\n', 'Expect: x\r\n', 'TE: trailers\r\n', 'X: y\r\n', 'X:\ty \r\n', ' fold\r\n', '\r\n', '\r\n\r\n',
  '\n', '\r', '\0', '\x80', ':', ' ', '\t', '0\r\n\r\n', '0\r\n', '3\r\nabc\r\n', '3;a=b\r\nabc\r\n', '3;a="\\""\r\nabc\r\n', 'ffffffffffffffff\r\n', '+3\r\n', 'abc',
] as const; // prettier-ignore

const message = fc.oneof(
  { weight: 4, arbitrary: fc.array(fc.constantFrom(...WORDS), { maxLength: 24 }).map((words) => words.join('')) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes).toString('latin1')) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        fc.array(fc.constantFrom(...WORDS.slice(15, 29)), { maxLength: 4 }),
        fc.array(fc.constantFrom(...WORDS.slice(28)), { maxLength: 8 }),
      )
      .map(([fields, body]) => `POST / HTTP/1.1\r\nHost: a\r\n${fields.join('')}\r\n${body.join('')}`),
  },
);

/** Mostly good requests, one behind the other. */
const request = fc
  .tuple(
    fc.constantFrom('GET', 'POST', 'DELETE', 'OPTIONS'),
    fc.constantFrom('/', '/a?b=c', '/%20/..', 'http://a/x'),
    fc.array(fc.constantFrom('X: y\r\n', 'X:\ty \r\n', 'Accept:\r\n', 'Cookie: a=b; c\r\n', 'TE: trailers\r\n', 'X-\u00e9: y\r\n'), { maxLength: 4 }),
    fc.constantFrom('', 'Content-Length: 0\r\n\r\n', 'Content-Length: 3\r\n\r\nabc', 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
      'Transfer-Encoding: Chunked\r\n\r\nA;x=y\r\n0123456789\r\n1\r\nz\r\n000\r\nT: 1\r\n\r\n', 'Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n'),
  )
  .map(([method, target, fields, end]) => `${method} ${target} HTTP/1.1\r\nHost: a\r\n${fields.join('')}${end || '\r\n'}`); // prettier-ignore
const pipeline = fc
  .array(fc.oneof({ weight: 6, arbitrary: request }, { weight: 1, arbitrary: message }), { minLength: 1, maxLength: 3 })
  .map((list) => list.join(''));

const cutsFor = (length: number, picks: readonly number[]): number[] =>
  picks.map((pick) => Math.floor(pick * length)).sort((a, b) => a - b);
const picks = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 });

describe('any split of the bytes gives the same events', () => {
  test('requests', () => {
    fc.assert(
      fc.property(message, picks, (text, where) => {
        const whole = parseRequests(text);
        assert.deepEqual(parseRequests(text, cutsFor(text.length, where)), whole);
        assert.deepEqual(parseRequests(text, eachByte(text.length)), whole);
      }),
      runs(2000, 0x0e11),
    );
  });

  test('requests at small limits', () => {
    const limits = {
      ...DEFAULT_LIMITS,
      requestHeadBytes: 60,
      requestLineBytes: 20,
      headFields: 3,
      trailerBytes: 12,
      trailerFields: 1,
      chunkExtensionBytes: 6,
    };
    fc.assert(
      fc.property(message, picks, (text, where) => {
        const whole = parseRequests(text, [], limits);
        assert.deepEqual(parseRequests(text, cutsFor(text.length, where), limits), whole);
        assert.deepEqual(parseRequests(text, eachByte(text.length), limits), whole);
      }),
      runs(1000, 0x0e12),
    );
  });

  test('answers', () => {
    fc.assert(
      fc.property(message, picks, fc.boolean(), fc.boolean(), (tail, where, toHead, closed) => {
        for (const text of [
          tail,
          `HTTP/1.1 200 OK\r\n${tail}`,
          `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${tail}`,
        ]) {
          const whole = parseResponse(text, { toHead, closed });
          assert.deepEqual(parseResponse(text, { toHead, closed, cuts: cutsFor(text.length, where) }), whole);
          assert.deepEqual(parseResponse(text, { toHead, closed, cuts: eachByte(text.length) }), whole);
        }
      }),
      runs(1000, 0x0e13),
    );
  });

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

/** What Node's own parser makes of `text`: its requests in full, or undefined where it refuses or waits for more. */
async function nodeRequests(port: number, seen: Map<number, string[]>, text: string): Promise<string[] | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.on('connect', () => socket.end(text, 'latin1'));
    socket.on('data', (chunk) => (answer += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    const local = (): number => socket.localPort ?? 0;
    let key = 0;
    socket.on('connect', () => (key = local()));
    socket.on('close', () => resolve(/^HTTP\/1\.1 4/m.test(answer) ? undefined : (seen.get(key) ?? [])));
  });
}

test('where we and Node’s parser both take the bytes, we see the same requests', async () => {
  const seen = new Map<number, string[]>();
  const server = createServer((request, answer) => {
    const list = seen.get(request.socket.remotePort ?? 0) ?? [];
    seen.set(request.socket.remotePort ?? 0, list);
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')));
    request.on('error', () => undefined);
    request.on('end', () => {
      list.push(`${request.method} ${request.url} ${body}`);
      answer.end();
    });
  });
  server.on('clientError', (_error, socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(pipeline, async (text) => {
        const ours = parseRequests(text);
        if (ours.length === 0 || ours.some((event) => 'fault' in event)) return;
        const list: string[] = [];
        let open = '';
        for (const event of ours) {
          if ('head' in event) {
            const head = event.head as RequestHead;
            open = `${head.method} ${head.path} `;
            if (event.endStream) list.push(open);
          } else if ('data' in event) open += event.data;
          else list.push(open);
        }
        const theirs = await nodeRequests(port, seen, text);
        if (theirs === undefined) return; // it is stricter, or waits for the rest
        compared++;
        assert.deepEqual(
          theirs.map((line) => line.replace(' http://a/', ' /')),
          list,
        );
      }),
      runs(300, 0x0e16) as fc.Parameters<[string]>,
    );
    assert.ok(compared > 60, `${compared} compared`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
