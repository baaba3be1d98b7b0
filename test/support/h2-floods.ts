// The HTTP/2 floods that are known by name, each as frames that either end of a connection can send, and the loop that
// sends them until the sidecar has had enough.
import { DEFAULT_LIMITS } from '../../src/codec/limits.ts';
import {
  data,
  frame,
  goaway,
  headers,
  literals,
  ping,
  request,
  reset,
  settings,
  TYPE,
  u32,
  windowUpdate,
} from './h2-peer.ts';
import type { RawH2Connection } from './h2-raw.ts';

/** Streams that a flood is about. */
export interface FloodStreams {
  readonly role: 'client' | 'server';
  /** Open when it begins: a request without its end, or the call being answered. */
  readonly open: number;
  /** One that is lost before: a client opens another for it. */
  readonly lost: number;
}

/** A flood. */
export interface Flood {
  /** What it is, as tests are named. */
  readonly name: string;
  /** Which ends can send it. */
  readonly from: 'client' | 'server' | 'both';
  /** Replies are not read. */
  readonly deaf?: boolean;
  /** Sent once before. */
  readonly before?: (streams: FloodStreams) => Uint8Array[];
  /** One abusive act, the `n`th from 0. */
  readonly act: (n: number, streams: FloodStreams) => Uint8Array[];
  /** Acts that go out together, before the sidecar gets a turn. */
  readonly slice?: number;
  /** Acts after which it must be over. */
  readonly most?: number;
  /** What is counted of it. */
  readonly kind: 'too_many_resets' | 'too_many_frames';
  /** INITIAL_WINDOW_SIZE of the attacker. */
  readonly window?: number;
  /** Path of the open request. */
  readonly path?: string;
}

/** What came of one. */
export interface FloodResult {
  /** Acts until it was over, to the end of a slice. */
  readonly acts: number;
  /** False: all of them were taken. */
  readonly over: boolean;
  readonly wallMs: number;
}

const END_STREAM = 1;
const END_HEADERS = 4;
const PADDED = 8;
const LARGEST_WINDOW = 0x7fffffff;
const FULL_FRAME = Buffer.alloc(16_384, 0x61);
const HUNDRED = FULL_FRAME.subarray(0, 100);
const SMALL = Buffer.from('u');
/** HEADER_TABLE_SIZE and INITIAL_WINDOW_SIZE, up and down. */
const MANY_SETTINGS = settings(
  ...Array.from({ length: 1365 }, (_, i) => [1, (i % 2) * 4096, 4, 65_535 - (i % 2)]).flat(),
);
/** Streams that the sidecar lets a connection have. */
const STREAM_LIMIT = DEFAULT_LIMITS.concurrentStreams;
const FRAMES_FOR_NOTHING = { kind: 'too_many_frames', from: 'both' } as const;

/** A gRPC request of an attacker. */
export function grpcRequest(path = '/hold', extra: readonly string[] = []): string[] {
  return request(path, ['content-type', 'application/grpc', 'te', 'trailers', ...extra], 'POST');
}

const GRPC_HEAD = [':status', '200', 'content-type', 'application/grpc'];

/** The `n`th stream that a client opens after the first. */
function further(n: number): number {
  return 3 + 2 * n;
}

/** A stream that the sidecar resets, since it is malformed. */
function malformed({ role, lost }: FloodStreams): Uint8Array[] {
  if (role === 'server') return [headers(lost, [':status', '099'], false)];
  return [headers(lost, grpcRequest('/hold', ['Upper', 'case']), false)];
}

/** Streams of a client that floods: it opens both. */
export const CLIENT_STREAMS: FloodStreams = { role: 'client', open: 1, lost: 3 };

function madeReset(name: string, endStream: boolean, fault: (id: number) => Uint8Array): Flood {
  return {
    name: `made you reset: ${name}`,
    from: 'client',
    kind: 'too_many_resets',
    act: (n) => [headers(further(n), grpcRequest(), endStream), fault(further(n))],
  };
}

/** All that must be cut for their number. */
export const FLOODS: readonly Flood[] = [
  {
    name: 'rapid reset',
    from: 'client',
    kind: 'too_many_resets',
    act: (n) => [headers(further(n), grpcRequest(), false), reset(further(n), 8)],
  },
  madeReset('WINDOW_UPDATE of 0', false, (id) => windowUpdate(id, 0)),
  madeReset('window overflow', false, (id) => windowUpdate(id, LARGEST_WINDOW)),
  madeReset('PRIORITY of 4 bytes', false, (id) => frame(TYPE.PRIORITY, 0, id, Buffer.alloc(4))),
  madeReset('PRIORITY on itself', false, (id) => frame(TYPE.PRIORITY, 0, id, Buffer.concat([u32(id), SMALL]))),
  madeReset('HEADERS after END_STREAM', true, (id) => headers(id, ['late', 'field'])),
  madeReset('DATA after END_STREAM', true, (id) => data(id, 'late')),
  {
    name: 'malformed requests',
    from: 'client',
    kind: 'too_many_resets',
    act: (n) => [headers(further(n), grpcRequest('/hold', ['Upper', 'case']))],
  },
  {
    name: 'trailers without END_STREAM',
    from: 'client',
    kind: 'too_many_resets',
    act: (n) => [headers(further(n), grpcRequest(), false), headers(further(n), ['late', 'field'], false)],
  },
  {
    name: 'streams beyond the limit',
    from: 'client',
    kind: 'too_many_resets',
    before: () => Array.from({ length: STREAM_LIMIT - 1 }, (_, n) => headers(further(n), grpcRequest(), false)),
    act: (n) => [headers(further(STREAM_LIMIT - 1 + n), grpcRequest(), false)],
  },
  {
    name: 'CONTINUATION, full',
    ...FRAMES_FOR_NOTHING,
    before: ({ lost }) => [frame(TYPE.HEADERS, 0, lost, literals(['a', 'b']))],
    act: (_n, { lost }) => [frame(TYPE.CONTINUATION, 0, lost, FULL_FRAME)],
    slice: 1,
    most: 16,
  },
  {
    name: 'CONTINUATION, empty',
    ...FRAMES_FOR_NOTHING,
    before: ({ lost }) => [frame(TYPE.HEADERS, 0, lost, literals(['a', 'b']))],
    act: (_n, { lost }) => [frame(TYPE.CONTINUATION, 0, lost)],
    slice: 1,
    most: 16,
  },
  { name: 'PING, replies not read', ...FRAMES_FOR_NOTHING, deaf: true, act: (n) => [ping(n, 1)] },
  { name: 'PING, replies read', ...FRAMES_FOR_NOTHING, act: (n) => [ping(n, 1)] },
  { name: 'PING ACK that nobody asked for', ...FRAMES_FOR_NOTHING, act: (n) => [ping(n, 1, true)] },
  { name: 'SETTINGS, replies not read', ...FRAMES_FOR_NOTHING, deaf: true, act: () => [settings(3, 100)] },
  { name: 'SETTINGS, replies read', ...FRAMES_FOR_NOTHING, act: () => [settings(3, 100)] },
  { name: 'SETTINGS, empty', ...FRAMES_FOR_NOTHING, act: () => [settings()] },
  {
    name: 'SETTINGS, 2,730 in a frame',
    ...FRAMES_FOR_NOTHING,
    act: () => [MANY_SETTINGS],
    slice: 8,
  },
  {
    name: 'SETTINGS ACK that nobody asked for',
    ...FRAMES_FOR_NOTHING,
    act: () => [frame(TYPE.SETTINGS, 1, 0)],
  },
  {
    name: 'DATA, empty',
    ...FRAMES_FOR_NOTHING,
    before: opened,
    act: (_n, { open }) => [data(open, '')],
    slice: 5,
    most: 20,
  },
  {
    name: 'DATA of nothing but padding',
    ...FRAMES_FOR_NOTHING,
    before: opened,
    act: (_n, { open }) => [frame(TYPE.DATA, PADDED, open, Buffer.from([3, 0, 0, 0]))],
    slice: 5,
    most: 20,
  },
  { name: 'WINDOW_UPDATE, connection', ...FRAMES_FOR_NOTHING, act: () => [windowUpdate(0, 1)] },
  { name: 'WINDOW_UPDATE, stream', ...FRAMES_FOR_NOTHING, act: (_n, { open }) => [windowUpdate(open, 1)] },
  {
    name: 'WINDOW_UPDATE, a byte of the answer each',
    ...FRAMES_FOR_NOTHING,
    from: 'client',
    window: 0,
    path: '/large',
    act: (_n, { open }) => [windowUpdate(open, 1)],
  },
  {
    name: 'SETTINGS, a byte of the answer each',
    ...FRAMES_FOR_NOTHING,
    from: 'client',
    window: 0,
    path: '/large',
    act: (n) => [settings(4, 1 + n)],
  },
  { name: 'PRIORITY', ...FRAMES_FOR_NOTHING, act: (_n, { open }) => [priority(open)] },
  { name: 'PRIORITY, idle streams', ...FRAMES_FOR_NOTHING, act: (n) => [priority(1001 + 2 * n)] },
  { name: 'unknown type, small', ...FRAMES_FOR_NOTHING, act: () => [frame(0xbb, 0, 0, SMALL)] },
  {
    name: 'unknown type, 16 KiB',
    ...FRAMES_FOR_NOTHING,
    act: (_n, { open }) => [frame(0xbb, 0, open, FULL_FRAME)],
    slice: 8,
  },
  { name: 'GOAWAY', ...FRAMES_FOR_NOTHING, act: () => [goaway(LARGEST_WINDOW, 0)] },
  {
    name: 'RST_STREAM on a closed stream',
    ...FRAMES_FOR_NOTHING,
    before: ({ role, lost }) =>
      role === 'server' ? [reset(lost, 8)] : [headers(lost, grpcRequest(), false), reset(lost, 8)],
    act: (_n, { lost }) => [reset(lost, 8)],
  },
  {
    name: 'WINDOW_UPDATE on a closed stream',
    ...FRAMES_FOR_NOTHING,
    before: malformed,
    act: (_n, { lost }) => [windowUpdate(lost, 1)],
  },
  {
    name: 'HEADERS on a stream that was reset',
    ...FRAMES_FOR_NOTHING,
    before: malformed,
    act: (_n, { lost }) => [headers(lost, ['late', 'field'], false)],
  },
  {
    name: 'DATA on a stream that was reset, empty',
    ...FRAMES_FOR_NOTHING,
    before: malformed,
    act: (_n, { lost }) => [data(lost, '')],
  },
  {
    name: 'DATA on a stream that was reset, a byte each',
    ...FRAMES_FOR_NOTHING,
    before: malformed,
    act: (_n, { lost }) => [data(lost, 'x')],
  },
  {
    name: 'DATA on a stream that was reset, beyond its window',
    ...FRAMES_FOR_NOTHING,
    before: malformed,
    act: (_n, { lost }) => [data(lost, HUNDRED)],
  },
  {
    name: 'informational heads after the call was lost',
    ...FRAMES_FOR_NOTHING,
    from: 'server',
    act: (_n, { open }) => [headers(open, [':status', '103'], false)],
  },
];

function opened({ role, open }: FloodStreams): Uint8Array[] {
  return role === 'server' ? [headers(open, GRPC_HEAD, false)] : [];
}

function priority(id: number): Uint8Array {
  return frame(TYPE.PRIORITY, 0, id, Buffer.from([0, 0, 0, 0, 16]));
}

/** A block of one field that enters the table and `references` one-byte references to it. */
export function bomb(name: string, value: string, references: number): Buffer {
  return Buffer.concat([literals([name, value], 0x40), Buffer.alloc(references, 0xbe)]);
}

/** HEADERS with a block, and CONTINUATIONs where it is long. */
export function headersOf(id: number, block: Uint8Array, endStream: boolean): Buffer {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < block.length || at === 0; at += FULL_FRAME.length) {
    const part = block.subarray(at, at + FULL_FRAME.length);
    const flags = at + part.length >= block.length ? END_HEADERS : 0;
    if (at === 0) parts.push(frame(TYPE.HEADERS, flags | (endStream ? END_STREAM : 0), id, part));
    else parts.push(frame(TYPE.CONTINUATION, flags, id, part));
  }
  return Buffer.concat(parts);
}

/** Lets the event loop turn: what was written to loopback is read by then. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Turns until `done`; rejects after `withinMs`, naming what it waited for. */
export async function until(done: () => boolean, what: string, withinMs = 5000): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!done()) {
    if (performance.now() > endMs) throw new Error(`waited in vain: ${what}`);
    await turns(1);
  }
}

/** Turns that a slice gets: the kernel hands over 64 KiB a read. */
const TURNS_EACH = 3;
/** A sidecar that has taken nothing for so many turns doesn't read. */
const TURNS_STALLED = 300;

/**
 * Sends acts of `flood` in slices until `isOver`, or `most` of them are out. What counts as a frame parsed is thus at
 * most a slice too many.
 */
export async function sendFlood(
  attacker: RawH2Connection,
  flood: Flood,
  streams: FloodStreams,
  most: number,
  isOver: () => boolean,
  onSlice: () => void = () => undefined,
): Promise<FloodResult> {
  const startMs = performance.now();
  const slice = flood.slice ?? 50;
  let acts = 0;
  while (acts < most && !isOver()) {
    const frames: Uint8Array[] = [];
    for (let i = 0; i < slice; i++) frames.push(...flood.act(acts++, streams));
    attacker.send(...frames);
    onSlice();
    await turns(TURNS_EACH);
    for (let waited = 0; attacker.unsentBytes > 0 && !isOver() && waited < TURNS_STALLED; waited++) await turns(1);
  }
  return { acts, over: isOver(), wallMs: performance.now() - startMs };
}
