// The parts of a message where most smuggling lies, chunked bodies and field lines, each against a second reader that
// is written from the grammar and knows no state machine.
import { MemorySink } from '../../../src/base/byte-sink.ts';
import type { Rng } from '../../../src/base/rng.ts';
import { FORBIDDEN_TRAILERS } from '../../../src/codec/h1/field-name.ts';
import { writeChunk, writeLastChunk } from '../../../src/codec/h1/head-writer.ts';
import { RequestParser } from '../../../src/codec/h1/request-parser.ts';
import { DEFAULT_LIMITS, type WireLimits } from '../../../src/codec/limits.ts';
import { checkCaps, H1Log } from '../../support/fuzz-h1-log.ts';
import { ByteMutator } from '../../support/fuzz-mutator.ts';
import { type Cuts, forEachPiece, randomCuts, WHOLE } from '../../support/fuzz-pieces.ts';
import { broken, type FuzzTarget } from '../../support/fuzz-run.ts';
import { CHUNKS, FIELD_LINES, H1_WORDS, latin1 } from './h1-words.ts';

const NO_LIMITS: WireLimits = {
  ...DEFAULT_LIMITS,
  trailerBytes: 1 << 20,
  trailerFields: 1 << 20,
  chunkExtensionBytes: 1 << 20,
  requestHeadBytes: 1 << 20,
  headFields: 1 << 20,
};
const SMALL: WireLimits = { ...DEFAULT_LIMITS, trailerBytes: 30, trailerFields: 2, chunkExtensionBytes: 8 };

const CHUNKED_HEAD = latin1('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
const FIELDS_HEAD = latin1('GET / HTTP/1.0\r\n');

interface Outcome {
  readonly log: H1Log;
  readonly faulty: boolean;
  /** Bytes read of the input when the first message had ended. */
  readonly read: number;
}

/** Runs one request whose head begins with `head`, which always comes in one piece. */
function run(head: Buffer, input: Buffer, cuts: Cuts, limits: WireLimits): Outcome {
  const log = new H1Log(false);
  const parser = new RequestParser(limits, 'http', log);
  log.parser = parser;
  let read = parser.execute(head, 0, head.length) - head.length;
  forEachPiece(input, cuts, (bytes, start, end) => {
    for (let at = start; at < end && log.ended[0] !== true;) {
      const after = parser.execute(bytes, at, end);
      if (parser.fault) return false;
      if (after <= at || after > end) broken('each call takes some bytes');
      read += after - at;
      at = after;
    }
    return log.ended[0] !== true;
  });
  log.last(
    parser.fault ? `${parser.fault.kind} ${parser.fault.detail}` : `${read} read, in a head: ${parser.isInHead}`,
  );
  return { log, faulty: parser.fault !== undefined, read };
}

function runBoth(head: Buffer, input: Buffer, rng: Rng, limits: WireLimits): Outcome {
  const whole = run(head, input, WHOLE, limits);
  const cuts = randomCuts(rng, input.length);
  const cut = run(head, input, cuts, limits);
  if (cut.log.text !== whole.log.text) {
    broken('any split gives the same', `${whole.log.text}\n--- cut at ${String(cuts)}\n${cut.log.text}`);
  }
  for (const fields of whole.log.trailers) checkCaps(fields, limits.trailerFields, limits.trailerBytes);
  return whole;
}

// ---------------------------------------------------------------- the second reader

const TCHAR = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const QUOTED = '"(?:[\\t\\x20!\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t\\x20-\\x7e\\x80-\\xff])*"';
const SIZE_LINE = new RegExp(`([0-9a-fA-F]{1,16})((?:;${TCHAR}(?:=(?:${TCHAR}|${QUOTED}))?)*)\\r\\n`, 'y');
const FIELD_LINE = new RegExp(`^(${TCHAR}):([\\t\\x20-\\x7e\\x80-\\xff]*)$`);

/** The field lines of a section up to and with its blank line; undefined where it isn't whole or isn't well-formed. */
function readLines(text: string): { fields: [string, string][]; length: number } | undefined {
  if (text.startsWith('\r\n')) return { fields: [], length: 2 };
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const fields: [string, string][] = [];
  for (const line of text.slice(0, end).split('\r\n')) {
    const [, name, value] = FIELD_LINE.exec(line) ?? [];
    if (name === undefined || value === undefined) return undefined;
    fields.push([name, value.replace(/^[\t ]+|[\t ]+$/g, '')]);
  }
  return { fields, length: end + 4 };
}

/** A chunked body that is whole and well-formed; undefined for any other. */
function readChunked(text: string): { data: string; trailers: [string, string][]; length: number } | undefined {
  let data = '';
  for (let at = 0; ;) {
    SIZE_LINE.lastIndex = at;
    const match = SIZE_LINE.exec(text);
    if (!match) return undefined;
    at = SIZE_LINE.lastIndex;
    const size = Number.parseInt(match[1] ?? '', 16);
    if (size > Number.MAX_SAFE_INTEGER) return undefined;
    if (size === 0) {
      const section = readLines(text.slice(at));
      return section && { data, trailers: section.fields, length: at + section.length };
    }
    if (text.slice(at + size, at + size + 2) !== '\r\n') return undefined;
    data += text.slice(at, at + size);
    at += size + 2;
  }
}

// ---------------------------------------------------------------- the comparisons

function checkChunked(input: Buffer, rng: Rng): void {
  if (rng.below(4) === 0) return void runBoth(CHUNKED_HEAD, input, rng, SMALL);
  const { log, faulty, read } = runBoth(CHUNKED_HEAD, input, rng, NO_LIMITS);
  const expected = readChunked(input.latin1Slice(0, input.length));
  const done = log.ended[0] === true;
  if (done !== (expected !== undefined)) {
    broken(
      'the grammar decides what a body is',
      `done ${done}, faulty ${faulty}, by the grammar ${JSON.stringify(expected)}`,
    );
  }
  if (!expected) return;
  if (log.bodies[0] !== expected.data)
    broken('the data is what the grammar says', `${log.bodies[0]}, ${expected.data}`);
  if (read !== expected.length) broken('the body ends where the grammar says', `${read}, ${expected.length}`);
  const trailers = expected.trailers.filter(([name]) => !FORBIDDEN_TRAILERS.has(name.toLowerCase())).flat();
  const ours = log.trailers[0] ?? [];
  if (ours.join('\n') !== trailers.join('\n'))
    broken('the trailers are what the grammar says', `${ours.join()} ${trailers.join()}`);
  checkWritten(log.bodies[0] ?? '', ours, rng);
}

const sink = new MemorySink();

/** A body written for the other side, in chunks of any size, is read back as it was. */
function checkWritten(data: string, trailers: string[], rng: Rng): void {
  for (let at = 0; at < data.length;) {
    const size = 1 + rng.below(data.length - at);
    writeChunk(sink, latin1(data.slice(at, at + size)));
    at += size;
  }
  writeLastChunk(sink, trailers);
  const { log, read } = run(CHUNKED_HEAD, sink.buffer.subarray(0, sink.length), WHOLE, NO_LIMITS);
  if (log.bodies[0] !== data || (log.trailers[0] ?? []).join('\n') !== trailers.join('\n')) {
    broken('a body that is written is read back', log.text);
  }
  if (read !== sink.length) broken('a body that is written ends where it ends', String(read));
  sink.length = 0;
}

/** Names that a head treats on its own; all others must come through as they are. */
const TREATED =
  /^(?:host|te|upgrade|expect|connection|keep-alive|content-length|http2-settings|proxy-connection|transfer-encoding)$/i;

function checkFields(input: Buffer, rng: Rng): void {
  const { log, read } = runBoth(FIELDS_HEAD, input, rng, NO_LIMITS);
  const head = log.heads[0];
  const expected = readLines(input.latin1Slice(0, input.length));
  if (!expected) {
    if (head) broken('the grammar decides what a section is', log.text);
    return;
  }
  const names = expected.fields.map(([name]) => name);
  const isPlain = !names.some((name) => TREATED.test(name));
  if (!head) {
    if (isPlain) broken('a well-formed section is taken', log.text);
    return;
  }
  const connection = expected.fields.filter(([name]) => name.toLowerCase() === 'connection').map(([, value]) => value);
  const nominated = new Set(
    connection
      .flatMap((value) => value.toLowerCase().split(','))
      .map((option) => option.replace(/^[\t ]*([^\t ]*)[\t ]*$/, '$1')),
  );
  const ours: string[] = [];
  for (let i = 0; i < head.fields.length; i += 2) {
    if (!TREATED.test(head.fields[i] ?? '')) ours.push(`${head.fields[i]}: ${head.fields[i + 1]}`);
  }
  const theirs = expected.fields
    .filter(([name]) => !TREATED.test(name) && !nominated.has(name.toLowerCase()))
    .map(([name, value]) => `${name}: ${value}`);
  if (ours.join('\n') !== theirs.join('\n'))
    broken('the fields are what the grammar says', `${ours.join()}\n${theirs.join()}`);
  if (head.contentLength <= 0 && read !== expected.length) broken('the section ends where the grammar says', `${read}`);
}

const CHUNKED_SEEDS = [
  ...CHUNKS, '3\r\nabc\r\n5;x\r\nhello\r\n0\r\n\r\n', 'a\r\n0123456789\r\n0;e="q\\"";f=g\r\nx-a: 1\r\nx-b: \x80 2\r\n\r\nGET', '1\r\na\r\n1\r\nb\r\n1\r\nc\r\n00\r\n\r\n',
].map(latin1); // prettier-ignore

export const H1_CHUNKED: FuzzTarget = {
  name: 'h1-chunked',
  seeds: CHUNKED_SEEDS,
  mutate: new ByteMutator([...CHUNKS, ...FIELD_LINES.slice(30), '\r\n', '\n', '\r', ';', '"', '\\', '=', '\t', '\0', '\x80'].map(latin1), 12_000).mutate,
  check: checkChunked,
}; // prettier-ignore

const FIELD_SEEDS = [
  ...FIELD_LINES.map((line) => `${line}\r\n`), 'X: y\r\nZ:  w\t\r\nx: \r\n\r\n', 'Connection: x-y, close\r\nX-Y: 1\r\nx-y: 2\r\nX-Z: 3\r\n\r\n', 'A: b\r\nC: d\r\n', '\r\n',
].map(latin1); // prettier-ignore

export const H1_FIELDS: FuzzTarget = {
  name: 'h1-fields',
  seeds: FIELD_SEEDS,
  mutate: new ByteMutator(H1_WORDS, 6000).mutate,
  check: checkFields,
};
