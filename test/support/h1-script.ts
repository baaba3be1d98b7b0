// What an HTTP/1 parser makes of bytes, as a list that tests compare. Neighbouring chunks are joined, since where a
// read ends is no event.
import type { Fields, RequestHead, ResponseHead } from '../../src/codec/exchange.ts';
import { DEFAULT_LIMITS, type WireLimits } from '../../src/codec/limits.ts';
import { RequestParser } from '../../src/codec/h1/request-parser.ts';
import { ResponseParser } from '../../src/codec/h1/response-parser.ts';

export type H1Event =
  | { head: RequestHead | ResponseHead; endStream: boolean; keepAlive?: boolean }
  | { informational: number }
  | { data: string }
  | { end: true }
  | { trailers: Fields }
  | { fault: string; detail: string };

/** Collects events; never stops the parser. */
export class H1Recorder {
  readonly events: H1Event[] = [];
  readonly stopped = false;

  onRequestHead(head: RequestHead, endStream: boolean): void {
    this.events.push({ head, endStream });
  }

  onResponseHead(head: ResponseHead, endStream: boolean): void {
    this.events.push({ head, endStream });
  }

  onInformationalHead(head: ResponseHead): void {
    this.events.push({ informational: head.status });
  }

  onData(chunk: Buffer, endStream: boolean): void {
    const text = chunk.toString('latin1');
    const last = this.events.at(-1);
    if (last && 'data' in last) last.data += text;
    else if (text !== '') this.events.push({ data: text });
    if (endStream) this.events.push({ end: true });
  }

  onTrailers(fields: Fields): void {
    this.events.push({ trailers: fields });
  }
}

/** Cuts `bytes` at the given offsets. Each piece is a buffer of its own with rubbish around it. */
export function* pieces(
  bytes: Buffer,
  cuts: readonly number[],
): Generator<{ bytes: Buffer; start: number; end: number }> {
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    const to = Math.min(cut, bytes.length);
    if (to <= from) continue;
    const padded = Buffer.alloc(to - from + 6, '\r\n\r\n');
    bytes.copy(padded, 3, from, to);
    yield { bytes: padded, start: 3, end: 3 + to - from };
    from = to;
  }
}

/** Every byte on its own. */
export function eachByte(length: number): number[] {
  return Array.from({ length }, (_, index) => index);
}

export function parseRequests(
  input: string | Buffer,
  cuts: readonly number[] = [],
  limits: WireLimits = DEFAULT_LIMITS,
): H1Event[] {
  const bytes = typeof input === 'string' ? Buffer.from(input, 'latin1') : input;
  const recorder = new H1Recorder();
  const parser = new RequestParser(limits, 'http', recorder);
  for (const piece of pieces(bytes, cuts)) {
    let at = piece.start;
    while (at < piece.end && !parser.fault) {
      const after = parser.execute(piece.bytes, at, piece.end);
      if (after <= at && !parser.fault) throw new Error(`no progress at ${at}`);
      at = after;
    }
    piece.bytes.fill(0xee); // borrowed: nothing may point here any more
    if (parser.fault) break;
  }
  if (parser.fault) recorder.events.push({ fault: parser.fault.kind, detail: parser.fault.detail });
  return recorder.events;
}

/** Parses one answer; `closed`: FIN follows the bytes. */
export function parseResponse(
  input: string | Buffer,
  options: {
    cuts?: readonly number[];
    toHead?: boolean;
    protocol?: string;
    closed?: boolean;
    limits?: WireLimits;
  } = {},
): { events: H1Event[]; done: boolean; keepAlive: boolean; rest: number } {
  const bytes = typeof input === 'string' ? Buffer.from(input, 'latin1') : input;
  const recorder = new H1Recorder();
  const parser = new ResponseParser(options.limits ?? DEFAULT_LIMITS, recorder);
  parser.begin(options.toHead ?? false, options.protocol ?? '');
  let read = 0;
  for (const piece of pieces(bytes, options.cuts ?? [])) {
    read += parser.execute(piece.bytes, piece.start, piece.end) - piece.start;
    piece.bytes.fill(0xee);
    if (parser.fault || parser.done) break;
  }
  if (options.closed && !parser.fault) parser.finish();
  if (parser.fault) recorder.events.push({ fault: parser.fault.kind, detail: parser.fault.detail });
  // How far a fault was looked for says nothing.
  const rest = parser.fault ? -1 : bytes.length - read;
  return { events: recorder.events, done: parser.done, keepAlive: parser.keepAlive, rest };
}
