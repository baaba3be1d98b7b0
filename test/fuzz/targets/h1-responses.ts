// The response parser: the bytes that come behind one request.
import { MemorySink } from '../../../src/base/byte-sink.ts';
import type { Rng } from '../../../src/base/rng.ts';
import type { ResponseHead } from '../../../src/codec/exchange.ts';
import { responseFraming, writeResponseHead } from '../../../src/codec/h1/head-writer.ts';
import { ResponseParser } from '../../../src/codec/h1/response-parser.ts';
import { DEFAULT_LIMITS, type WireLimits } from '../../../src/codec/limits.ts';
import { checkCaps, H1Log } from '../../support/fuzz-h1-log.ts';
import { hasLlhttp, isKnownDifference, llhttp } from '../../support/fuzz-llhttp.ts';
import { ByteMutator } from '../../support/fuzz-mutator.ts';
import { type Cuts, forEachPiece, randomCuts, WHOLE } from '../../support/fuzz-pieces.ts';
import { broken, type FuzzTarget } from '../../support/fuzz-run.ts';
import { H1_WORDS, latin1 } from './h1-words.ts';

const SMALL: WireLimits = {
  ...DEFAULT_LIMITS,
  responseHeadBytes: 90,
  headFields: 3,
  trailerBytes: 24,
  trailerFields: 2,
  chunkExtensionBytes: 6,
  informationalHeads: 2,
};

/** How the answer is asked for, and whether FIN follows the bytes. */
interface Asked {
  readonly toHead: boolean;
  readonly protocol: string;
  readonly closed: boolean;
  readonly limits: WireLimits;
}

interface Outcome {
  readonly log: H1Log;
  readonly done: boolean;
  readonly faulty: boolean;
}

function run(input: Buffer, cuts: Cuts, asked: Asked): Outcome {
  const log = new H1Log(true);
  const parser = new ResponseParser(asked.limits, log);
  log.parser = parser;
  parser.begin(asked.toHead, asked.protocol);
  let read = 0;
  forEachPiece(input, cuts, (bytes, start, end) => {
    const after = parser.execute(bytes, start, end);
    if (after > end || after < start) broken('what is read is part of what was given');
    read += after - start;
    if (!parser.fault && !parser.done && after < end) broken('all bytes of an unfinished answer are taken');
    if (!parser.fault && !parser.headSeen && log.heads.length > 0) broken('headSeen says that the head has come');
    return !parser.fault && !parser.done;
  });
  if (asked.closed && !parser.fault) log.last(`finish: ${parser.finish()}\n`);
  if (parser.done && parser.fault) broken('an answer is done or faulty');
  if (parser.done && log.ended[0] !== true) broken('an answer that is done has ended', log.text);
  // Where a fault was found is no event.
  const state = `done ${parser.done}, keep-alive ${parser.keepAlive} ${parser.keepAliveTimeoutS}, ${input.length - read} left`;
  log.last(parser.fault ? `${parser.fault.kind} ${parser.fault.detail}` : state);
  return { log, done: parser.done, faulty: parser.fault !== undefined };
}

function check(input: Buffer, rng: Rng): void {
  const asked: Asked = {
    toHead: rng.below(6) === 0,
    protocol: rng.below(4) === 0 ? 'websocket' : '',
    closed: rng.below(2) === 0,
    limits: rng.below(4) === 0 ? SMALL : DEFAULT_LIMITS,
  };
  const whole = run(input, WHOLE, asked);
  const cuts = randomCuts(rng, input.length);
  const cut = run(input, cuts, asked);
  if (cut.log.text !== whole.log.text) {
    broken('any split gives the same', `${whole.log.text}\n--- cut at ${String(cuts)}\n${cut.log.text}`);
  }
  const { limits } = asked;
  for (const fields of whole.log.trailers) checkCaps(fields, limits.trailerFields, limits.trailerBytes);
  const head = whole.log.heads[0] as ResponseHead | undefined;
  if (!head) return;
  checkCaps(head.fields, limits.headFields, limits.responseHeadBytes);
  checkWritten(head, asked);
  if (hasLlhttp && asked.limits === DEFAULT_LIMITS && whole.done) compareWithLlhttp(input, whole, head, asked);
}

const sink = new MemorySink();

/** What is written for the caller is read back with the same status and fields, and written again is the same bytes. */
function checkWritten(head: ResponseHead, { toHead, protocol }: Asked): void {
  const isUpgrade = head.status === 101;
  // The writer may add a few.
  if (head.fields.length / 2 > DEFAULT_LIMITS.headFields - 4) return;
  const endStream = head.contentLength <= 0 && !isUpgrade;
  const write = (from: ResponseHead): Buffer => {
    writeResponseHead(sink, from, responseFraming(from, endStream, toHead, 11), isUpgrade ? 'Upgrade' : 'close');
    return sink.take();
  };
  const wire = write(head);
  if (wire.length > DEFAULT_LIMITS.responseHeadBytes) return;
  const log = new H1Log(true);
  const parser = new ResponseParser(DEFAULT_LIMITS, log);
  parser.begin(toHead, protocol);
  parser.execute(wire, 0, wire.length);
  const again = log.heads[0] as ResponseHead | undefined;
  if (!again || parser.fault)
    broken('what is written is read back', `${parser.fault?.detail}\n${wire.toString('latin1')}`);
  if (again.status !== head.status) broken('the status is read back as it was', wire.toString('latin1'));
  const twice = write(again);
  if (!twice.equals(wire))
    broken('writing again gives the same', `${wire.toString('latin1')}---\n${twice.toString('latin1')}`);
}

/** Of an answer that we take to its end, llhttp sees the same status and the same body. */
function compareWithLlhttp(input: Buffer, { log }: Outcome, head: ResponseHead, { toHead }: Asked): void {
  if (head.status === 101) return;
  const theirs = llhttp('response', input, toHead);
  // Informational heads are messages of their own to it; it takes a 101 without a request for an end.
  const message = theirs.messages.find(({ start }) => start === '101' || Number(start) >= 200);
  if (isKnownDifference(theirs.error, input)) return;
  if (!message) broken('llhttp takes what we take', `${theirs.error} of ${head.status}`);
  if (message.start !== String(head.status))
    broken('llhttp sees the same status', `${message.start}, not ${head.status}`);
  const body = log.bodies[0] ?? '';
  if (message.body !== body) broken('llhttp sees the same body', `"${message.body}", not "${body}"`);
}

const SEEDS = [
  'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\ngrpc-status: 0\r\nx-t: 1\r\n\r\n', 'HTTP/1.1 200 OK\r\n\r\nto the end',
  'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx', 'HTTP/1.1 204 No Content\r\n\r\n', 'HTTP/1.1 304 \r\nContent-Length: 5\r\nETag: "x"\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n\x81\x00',
  'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd',
  'HTTP/1.1 500\r\nKeep-Alive: timeout=5, max=3\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nno', 'HTTP/1.1 200 OK\r\nConnection: close, x\r\nX: y\r\n\r\n',
  `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(2100)}\r\nContent-Length: 1\r\n\r\nz`, 'ICY 200 OK\r\n\r\n', `HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(99)}\r\n`,
].map(latin1); // prettier-ignore

export const H1_RESPONSES: FuzzTarget = {
  name: 'h1-responses',
  seeds: SEEDS,
  mutate: new ByteMutator(H1_WORDS, 36_000).mutate,
  check,
};
