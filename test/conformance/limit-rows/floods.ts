// What a peer may make an HTTP/2 session do for nothing. Time stands still, so that no bucket fills.
import {
  data,
  frame,
  headers,
  ping,
  PREFACE,
  request,
  reset,
  settings,
  SETTINGS_ACK,
  TYPE,
  u32,
  windowUpdate,
} from '../../support/h2-peer.ts';
import { amountRow, type LimitRow } from '../../support/limit-rows.ts';
import { block, call1, inScene, says2 } from '../../support/limit-scene.ts';
import { answerHead, sessionBench, type SessionBench } from '../../support/session-bench.ts';
import { DEFAULT_LIMITS, type WireLimits } from '../../../src/codec/limits.ts';

/** A session whose prefaces are exchanged: one control frame, the SETTINGS, is spent. */
function opened(limits: Partial<WireLimits> = {}): SessionBench {
  const bench = sessionBench('http2', limits);
  bench.peer.send(PREFACE, settings(), SETTINGS_ACK);
  bench.frames();
  return bench;
}

/** Only what traffic earns is left: the SETTINGS take the one control frame. */
const EARNED_ONLY: Partial<WireLimits> = { controlBurst: 1 };
const CALM = ['open', 'open', 'GOAWAY ENHANCE_YOUR_CALM (too_many_frames)'] as const;
const POST = headers(1, request('/', [], 'POST'), false);
const UNKNOWN = frame(0xfa, 0, 0, Buffer.alloc(4));

function repeat(count: number, bytes: Uint8Array): Buffer {
  return Buffer.concat(Array.from({ length: count }, () => bytes));
}

/** Opens `count` streams from `first` on and resets each. */
function rapidResets(bench: SessionBench, count: number, first = 1): void {
  for (let i = 0; i < count; i++) bench.peer.send(headers(first + 2 * i, request(), false), reset(first + 2 * i, 8));
}

/** A head in a HEADERS frame and `count` CONTINUATION frames. */
function continued(count: number, id = 1, fields = request()): Buffer {
  const whole = block(id, [...fields, 'x-long', 'v'.repeat(1000)], true, 2000).subarray(9);
  const step = Math.floor(whole.length / (count + 1));
  return Buffer.concat(
    Array.from({ length: count + 1 }, (_, i) =>
      frame(
        i === 0 ? TYPE.HEADERS : TYPE.CONTINUATION,
        (i === count ? 4 : 0) | (i === 0 ? 1 : 0),
        id,
        whole.subarray(i * step, i === count ? undefined : (i + 1) * step),
      ),
    ),
  );
}

/** DATA frames of one and two bytes which together are charged `bytes`: 32 less the payload, each. */
function tinyFrames(bytes: number): Buffer {
  const ones = bytes % 30;
  const twos = (bytes - 31 * ones) / 30;
  return Buffer.concat([repeat(ones, data(1, 'x')), repeat(twos, data(1, 'xx'))]);
}

/** Holds `bytes` of heads on as many streams as it takes, beyond what each may hold freely. The last stream's words. */
function heldHeads(bytes: number): string {
  const bench = opened();
  const { requestHeadBytes, streamHeaderBytes } = DEFAULT_LIMITS;
  const each = requestHeadBytes - streamHeaderBytes;
  let id = -1;
  for (let left = bytes; left > 0; left -= each) {
    id += 2;
    bench.peer.send(heldHead(id, streamHeaderBytes + Math.min(left, each)));
  }
  return bench.state(id);
}

/** A request whose head counts `bytes`: all is spelled out. */
function heldHead(id: number, bytes: number): Buffer {
  const fields = request('/', ['x-pad', ''], 'POST');
  const base = fields.reduce((sum, text) => sum + text.length, 0) + 32 * (fields.length / 2);
  fields[fields.length - 1] = 'p'.repeat(bytes - base);
  return headers(id, fields, false);
}

/** An empty request with a dynamic table size update of `bytes` in front of its head (RFC 7541 section 6.3). */
function resizedTable(bytes: number): Buffer {
  const rest = bytes - 31;
  const update = Buffer.from([0x3f, (rest & 0x7f) | 0x80, rest >> 7]);
  return frame(TYPE.HEADERS, 5, 1, Buffer.concat([update, block(1, request()).subarray(9)]));
}

export const rows: readonly LimitRow[] = [
  amountRow('continuationFrames', 'a request', CALM, (count) => {
    const bench = opened();
    bench.peer.send(continued(count));
    return bench.state(1);
  }),
  amountRow('continuationFrames', 'an answer', ['200', '200', '502 (upstream_protocol_error)'], (count) =>
    inScene({ script: says2((id) => continued(count, id, [':status', '200'])) }, (scene) =>
      call1(scene, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
    ),
  ),
  amountRow(
    'hpackTableBytes',
    "the caller's encoder",
    ['open', 'open', 'GOAWAY COMPRESSION_ERROR (bad_request)'],
    (bytes) => {
      const bench = opened();
      bench.peer.send(resizedTable(bytes));
      return bench.state(1);
    },
  ),
  amountRow(
    'connectionHeaderBytes',
    'requests that are not over',
    ['open', 'open', 'RST_STREAM REFUSED_STREAM (headers_too_large)'],
    heldHeads,
  ),
  amountRow(
    'streamHeaderBytes',
    'one request, where all others hold what they may',
    ['open', 'open', 'RST_STREAM REFUSED_STREAM (headers_too_large)'],
    (bytes) => {
      const bench = opened({ connectionHeaderBytes: 0 });
      bench.peer.send(heldHead(1, bytes));
      return bench.state(1);
    },
  ),
  amountRow(
    'resetBurst',
    'resets by the caller',
    ['open', 'open', 'GOAWAY ENHANCE_YOUR_CALM (too_many_resets)'],
    (count) => {
      const bench = opened();
      rapidResets(bench, count);
      return bench.state(0);
    },
  ),
  amountRow(
    'resetPerSecond',
    'resets a second later',
    ['open', 'open', 'GOAWAY ENHANCE_YOUR_CALM (too_many_resets)'],
    (count) => {
      const bench = opened();
      rapidResets(bench, DEFAULT_LIMITS.resetBurst);
      bench.clock.advance(1000);
      rapidResets(bench, count, 2 * DEFAULT_LIMITS.resetBurst + 1);
      return bench.state(0);
    },
  ),
  amountRow('controlBurst', 'SETTINGS and unknown frames', CALM, (count) => {
    const bench = opened();
    bench.peer.send(repeat(count - 1, UNKNOWN));
    return bench.state(0);
  }),
  amountRow('controlPerSecond', 'unknown frames a second later', CALM, (count) => {
    const bench = opened({ controlBurst: 600 });
    bench.peer.send(repeat(599, UNKNOWN));
    bench.clock.advance(1000);
    bench.peer.send(repeat(count, UNKNOWN));
    return bench.state(0);
  }),
  amountRow('controlQueueFrames', 'PING, to a session whose caller reads nothing', CALM, (count) => {
    const bench = opened();
    bench.transport.blocked = true;
    bench.peer.send(headers(1, request()));
    bench.requests[0]?.sender.sendHead(answerHead(), true);
    bench.peer.send(repeat(count, ping()));
    bench.transport.blocked = false;
    return bench.state(0);
  }),
  amountRow('priorityPerStream', 'PRIORITY, with one stream opened', CALM, (count) => {
    const bench = opened(EARNED_ONLY);
    bench.peer.send(POST, repeat(count, frame(TYPE.PRIORITY, 0, 1, Buffer.concat([u32(0), Buffer.from([9])]))));
    return bench.state(1);
  }),
  amountRow('windowUpdatesPerData', 'WINDOW_UPDATE, with one DATA frame sent', CALM, (count) => {
    const bench = opened(EARNED_ONLY);
    bench.peer.send(POST);
    bench.requests[0]?.sender.sendHead(answerHead(), false);
    bench.requests[0]?.sender.sendData(Buffer.from('x'), false);
    // The stream itself earns two.
    bench.peer.send(repeat(2 + count, windowUpdate(1, 1)));
    return bench.state(1);
  }),
  amountRow('emptyDataFrames', 'in a row', CALM, (count) => {
    const bench = opened();
    bench.peer.send(POST, repeat(count, data(1, '')));
    return bench.state(1);
  }),
  amountRow('tinyDataBytes', 'to a receiver that has paused', CALM, (bytes) => {
    const bench = opened();
    bench.peer.send(POST);
    bench.requests[0]?.sender.pauseRequest();
    bench.peer.send(tinyFrames(bytes));
    return bench.state(1);
  }),
];
