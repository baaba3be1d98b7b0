// Sizes of what comes behind a head: trailers, chunk extensions, the next request.
import { data, headers, request } from '../../support/h2-peer.ts';
import { amountRow, type LimitRow } from '../../support/limit-rows.ts';
import {
  answerWords,
  block,
  call1,
  call2,
  inScene,
  openCaller1,
  manyFields,
  manyLines,
  padLines,
  padList,
  says2,
  type Script,
} from '../../support/limit-scene.ts';
import { sessionBench } from '../../support/session-bench.ts';

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const POST = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n';
const GRPC = ['content-type', 'application/grpc', 'te', 'trailers'];
const CALL = request('/a/B', GRPC, 'POST');
const GRPC_HEAD = [':status', '200', 'content-type', 'application/grpc'];

const posts1 = (rest: string) => inScene({}, (scene) => call1(scene, POST + rest));
const posts2 = (trailers: string[]) =>
  inScene({}, (scene) => call2(scene, headers(1, request('/', [], 'POST'), false), data(1, 'x'), block(1, trailers)));
/** The rest comes when the caller has seen the beginning. */
const answers1 = (rest: string) => {
  let more: (bytes: string) => void = () => undefined;
  const script: Script = {
    version: 1,
    onRequest: (write) => {
      more = write;
      write(CHUNKED);
    },
  };
  return inScene({ script }, async (scene) => {
    const caller = await openCaller1(scene);
    caller.send(GET);
    await caller.until('\r\nok\r\n');
    more(rest);
    return answerWords(caller, scene);
  });
};
/** From an HTTP/2 upstream to a gRPC caller. */
const answers2 = (trailers: string[]) =>
  inScene({ script: says2((id) => Buffer.concat([headers(id, GRPC_HEAD, false), block(id, trailers)])) }, (scene) =>
    call2(scene, block(1, CALL)),
  );

/** A trailer section of so many bytes, its blank line counted. */
const trailerLines = (bytes: number): string => padLines('', bytes);
const STATUS_OK = ['grpc-status', '0'];

const TOO_LARGE = ['200', '200', '431 (headers_too_large)'] as const;
/** Over HTTP/2 the answer hasn't begun, but the request has: the stream is reset as gRPC reads RESOURCE_EXHAUSTED. */
const RESET = ['200', '200', 'RST_STREAM ENHANCE_YOUR_CALM (headers_too_large)'] as const;
const CUT = ['200', '200', '200, cut (upstream_headers_too_large)'] as const;
const RESET_LATE = ['grpc 0', 'grpc 0', '200, RST_STREAM ENHANCE_YOUR_CALM (upstream_headers_too_large)'] as const;

/** An HTTP/1 session by itself: whether it goes on reading with so many bytes of later requests held, and answers all. */
function pipelined(bytes: number): string {
  const session = sessionBench('http1');
  session.transport.feed(GET);
  const whole = Math.floor(bytes / GET.length) - 2;
  session.transport.feed(GET.repeat(whole));
  session.transport.feed(padLines('GET / HTTP/1.1\r\nHost: a\r\n', bytes - whole * GET.length));
  const reads = session.transport.reading;
  return `${reads ? 'reads on' : 'rests'}${session.counted()}`;
}

export const rows: readonly LimitRow[] = [
  amountRow('trailerBytes', 'an HTTP/1 request', TOO_LARGE, (bytes) => posts1(`1\r\nx\r\n0\r\n${trailerLines(bytes)}`)),
  amountRow('trailerBytes', 'an HTTP/2 request', RESET, (bytes) => posts2(padList([], bytes))),
  amountRow('trailerBytes', 'an HTTP/1 answer', CUT, (bytes) => answers1(`0\r\n${trailerLines(bytes)}`)),
  amountRow(
    'responseHeadBytes',
    'the trailers of an HTTP/2 answer',
    ['200', '200', 'closed (upstream_headers_too_large)'],
    (bytes) =>
      inScene(
        {
          script: says2((id) => Buffer.concat([headers(id, [':status', '200'], false), block(id, padList([], bytes))])),
        },
        (scene) => call1(scene, GET),
      ),
  ),
  amountRow('trailerFields', 'an HTTP/1 request', TOO_LARGE, (count) =>
    posts1(`1\r\nx\r\n0\r\n${manyLines(count)}\r\n`),
  ),
  amountRow('trailerFields', 'an HTTP/2 request', RESET, (count) => posts2(manyFields(count))),
  amountRow('trailerFields', 'an HTTP/1 answer', CUT, (count) => answers1(`0\r\n${manyLines(count)}\r\n`)),
  amountRow('headFields', 'the trailers of an HTTP/2 answer', RESET_LATE, (count) =>
    answers2([...STATUS_OK, ...manyFields(count - 1)]),
  ),
  amountRow('pipelinedBytes', 'requests behind one that waits', ['reads on', 'rests', 'rests'], pipelined),
  amountRow(
    'chunkExtensionBytes',
    'an HTTP/1 request, all its chunks together',
    ['200', '200', '413 (content_too_large)'],
    (bytes) => posts1(`1;${'e'.repeat(99)}\r\nx\r\n0;${'e'.repeat(bytes - 101)}\r\n\r\n`),
  ),
  amountRow('chunkExtensionBytes', 'an HTTP/1 answer', ['200', '200', '200, cut (upstream_protocol_error)'], (bytes) =>
    answers1(`0;${'e'.repeat(bytes - 1)}\r\n\r\n`),
  ),
];
