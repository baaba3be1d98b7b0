// The request parser: a connection's bytes, with several requests behind each other.
import { MemorySink } from '../../../src/base/byte-sink.ts';
import type { Rng } from '../../../src/base/rng.ts';
import type { RequestHead } from '../../../src/codec/exchange.ts';
import { isWritable, requestFraming, writeRequestHead } from '../../../src/codec/h1/head-writer.ts';
import { RequestParser } from '../../../src/codec/h1/request-parser.ts';
import { DEFAULT_LIMITS, type WireLimits } from '../../../src/codec/limits.ts';
import { normalizePath } from '../../../src/codec/path.ts';
import { checkCaps, H1Log } from '../../support/fuzz-h1-log.ts';
import { hasLlhttp, isKnownDifference, llhttp, llhttpKnows } from '../../support/fuzz-llhttp.ts';
import { ByteMutator } from '../../support/fuzz-mutator.ts';
import { type Cuts, forEachPiece, randomCuts, WHOLE } from '../../support/fuzz-pieces.ts';
import { broken, type FuzzTarget } from '../../support/fuzz-run.ts';
import { H1_WORDS, latin1 } from './h1-words.ts';

/** At which most inputs meet some limit. */
const SMALL: WireLimits = {
  ...DEFAULT_LIMITS,
  requestHeadBytes: 90,
  requestLineBytes: 30,
  headFields: 4,
  trailerBytes: 24,
  trailerFields: 2,
  chunkExtensionBytes: 6,
};
/** Empty lines before a request may be held besides a head. */
const SLACK_BYTES = 16;

/** A log of requests, with what the parser says of each besides its head. */
class RequestLog extends H1Log {
  readonly keepAlive: boolean[] = [];
  readonly awaitsContinue: boolean[] = [];
}

function run(input: Buffer, cuts: Cuts, limits: WireLimits, scheme: 'http' | 'https'): RequestLog {
  const log = new RequestLog(false);
  const parser = new RequestParser(limits, scheme, log);
  log.parser = parser;
  let heldBytes = 0;
  let heads = 0;
  forEachPiece(input, cuts, (bytes, start, end) => {
    for (let at = start; at < end;) {
      const after = parser.execute(bytes, at, end);
      if (after > end) broken('nothing is read behind the end');
      if (log.heads.length > heads) {
        // What a head says of its request must not depend on the split either.
        heads = log.heads.length;
        log.keepAlive.push(parser.keepAlive);
        log.awaitsContinue.push(parser.expectsContinue);
      }
      if (parser.fault) return false;
      if (after <= at) broken('each call takes some bytes');
      heldBytes = parser.isInHead ? heldBytes + after - at : 0;
      if (heldBytes > limits.requestHeadBytes + SLACK_BYTES) broken('no more than a head is held', String(heldBytes));
      at = after;
    }
    return true;
  });
  log.last(`keep-alive ${log.keepAlive.join()}, continue ${log.awaitsContinue.join()}\n`);
  log.last(parser.fault ? `${parser.fault.kind} ${parser.fault.detail}` : `in a head: ${parser.isInHead}`);
  return log;
}

function check(input: Buffer, rng: Rng): void {
  const limits = rng.below(4) === 0 ? SMALL : DEFAULT_LIMITS;
  const scheme = rng.below(8) === 0 ? 'https' : 'http';
  const whole = run(input, WHOLE, limits, scheme);
  const cuts = randomCuts(rng, input.length);
  const cut = run(input, cuts, limits, scheme);
  if (cut.text !== whole.text)
    broken('any split gives the same', `${whole.text}\n--- cut at ${String(cuts)}\n${cut.text}`);
  for (const fields of whole.trailers) checkCaps(fields, limits.trailerFields, limits.trailerBytes);
  for (const head of whole.heads) {
    checkCaps(head.fields, limits.headFields, limits.requestHeadBytes);
    if ((head as RequestHead).path.length > limits.requestLineBytes)
      broken('no longer target comes through than the limit');
    checkWritten(head as RequestHead, limits, true);
    if (head.contentLength < 0) checkWritten(head as RequestHead, limits, false);
  }
  if (limits === DEFAULT_LIMITS && hasLlhttp) compareWithLlhttp(input, whole);
}

const sink = new MemorySink();

/** What is written for the upstream is read back as the same request, and written again is the same bytes. */
function checkWritten(head: RequestHead, limits: WireLimits, endStream: boolean): void {
  // An HTTP/1.0 request may have no Host. What is written then is right, but we'd refuse it.
  if (head.authority === '' || limits !== DEFAULT_LIMITS || !isWritable(head)) return;
  if (head.protocol !== '' && !endStream) return; // an upgrade has no body
  const wire = write(head, endStream);
  const { headFields, requestHeadBytes } = DEFAULT_LIMITS;
  if (head.fields.length / 2 > headFields - 4 || wire.length > requestHeadBytes) return; // the writer may add a few
  const log = new H1Log(false);
  const parser = new RequestParser(DEFAULT_LIMITS, 'http', log);
  parser.execute(wire, 0, wire.length);
  const again = log.heads[0] as RequestHead | undefined;
  if (!again || parser.fault)
    broken('what is written is read back', `${parser.fault?.detail}\n${wire.toString('latin1')}`);
  if (again.method !== head.method || again.path !== head.path || again.authority !== head.authority) {
    broken('the request line is read back as it was', wire.toString('latin1'));
  }
  if (again.protocol !== head.protocol) broken('the upgrade is read back as it was', wire.toString('latin1'));
  const twice = write(again, endStream);
  if (!twice.equals(wire))
    broken('writing again gives the same', `${wire.toString('latin1')}---\n${twice.toString('latin1')}`);
  const more = again.fields.filter((_, i) => i % 2 === 0).length - head.fields.length / 2;
  // A tunnel has no trailers, so `te` is left out.
  if ((more < 0 && head.protocol === '') || more > 1)
    broken('no field gets lost', `${head.fields.join('|')} ${again.fields.join('|')}`);
}

function write(head: RequestHead, endStream: boolean): Buffer {
  writeRequestHead(sink, head, requestFraming(head, endStream && head.contentLength <= 0));
  return sink.take();
}

/**
 * Where we take a request, llhttp must take it, and see the same one: method, target and body, up to where we refuse or
 * the connection ends. What it refuses beyond that are methods that it doesn't know, and isKnownDifference.
 */
function compareWithLlhttp(input: Buffer, log: RequestLog): void {
  const last = log.keepAlive.indexOf(false);
  const count = last < 0 ? log.heads.length : last + 1;
  if (count === 0) return;
  const theirs = llhttp('request', input);
  for (let i = 0; i < count; i++) {
    const head = log.heads[i] as RequestHead;
    if (!llhttpKnows(head.method)) return;
    const message = theirs.messages[i];
    const ours = `${head.method} ${head.path}`;
    if (message?.complete !== true && isKnownDifference(theirs.error, input)) return;
    if (!message) broken('llhttp takes what we take', `${theirs.error} at request ${i} "${ours}"`);
    const same = normalTarget(message.start);
    if (same !== ours) broken('llhttp sees the same request', `"${same}", not "${ours}"`);
    const body = log.bodies[i] ?? '';
    if (log.ended[i] === true) {
      if (!message.complete)
        broken('llhttp takes the bodies that we take', `${theirs.error} in the body of request ${i} "${ours}"`);
      if (message.body !== body) broken('llhttp sees the same body', `"${message.body}", not "${body}"`);
    } else if (!message.body.startsWith(body) && !body.startsWith(message.body)) {
      broken('llhttp sees the same beginning of a body', `"${message.body}", not "${body}"`);
    }
  }
}

/** `METHOD target` with the absolute form as a path, and the path in its normal form, as we give it. */
function normalTarget(start: string): string {
  const [, method = '', origin = '', rest = ''] = /^(\S+) (https?:\/\/[^/?]*)?(.*)$/i.exec(start) ?? [];
  if (origin !== '' && rest === '') return `${method} ${method === 'OPTIONS' ? '*' : '/'}`;
  return `${method} ${normalizePath(rest.startsWith('?') ? `/${rest}` : rest)}`;
}

const SEEDS = [
  'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET /a?b=c HTTP/1.1\r\nHost: a:80\r\nX: y\r\nAccept:\r\nCookie: a=b; c\r\nTE: trailers\r\nX-\xe9: y\r\n\r\n'.replace('X-\xe9', 'X-e'),
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\nA;x=y\r\n0123456789\r\n1\r\nz\r\n000\r\nT: 1\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n',
  '\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n\r\nOPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET http://a:80/x?y HTTP/1.1\r\nHost: A\r\nConnection: x-y, keep-alive\r\nX-Y: z\r\n\r\n',
  'GET /old HTTP/1.0\r\n\r\n', 'POST /old HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nxGET / HTTP/1.0\r\n\r\n',
  'GET /w HTTP/1.1\r\nHost: [::1]:8080\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x81\x00',
  'PUT /c HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhelloGET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  `GET /${'a'.repeat(2100)} HTTP/1.1\r\nHost: a\r\nX: ${'b'.repeat(300)}\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n`,
  `GET / HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(98)}\r\n`, `GET / HTTP/1.1\r\nHost: a\r\nX: ${'c'.repeat(16_300)}\r\n\r\n`,
].map(latin1); // prettier-ignore

export const H1_REQUESTS: FuzzTarget = {
  name: 'h1-requests',
  seeds: SEEDS,
  mutate: new ByteMutator(H1_WORDS, 20_000).mutate,
  check,
};
