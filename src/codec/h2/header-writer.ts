import type { ByteSink } from '../../base/byte-sink.ts';
import type { Fields, RequestHead, ResponseHead } from '../exchange.ts';
import { CONTINUATION, END_HEADERS, END_STREAM, FRAME_HEADER_BYTES, HEADERS } from './frame.ts';
import { beginFrame, putFrameHeader } from './frame-writer.ts';
import { BLOCK_OVERHEAD, FIELD_OVERHEAD, type HpackEncoder } from './hpack/encoder.ts';

const PSEUDO_BYTES = 64; // names and lengths of a request's four pseudo-fields

/**
 * Encodes header blocks straight into the sink. Small, so that both directions of both roles share it. Guarded by
 * `npm run bench -- micro hpack-encode`.
 */
export class HeaderWriter {
  readonly encoder: HpackEncoder;
  private readonly sink: ByteSink;

  constructor(sink: ByteSink, encoder: HpackEncoder) {
    this.sink = sink;
    this.encoder = encoder;
  }

  writeRequest(streamId: number, head: RequestHead, endStream: boolean, maxFrame: number): void {
    const { method, scheme, authority, path, fields } = head;
    this.begin(PSEUDO_BYTES + method.length + scheme.length + authority.length + path.length + 48, fields);
    const secrets = head.neverIndexed;
    this.encoder.field(':method', method, isSecret(secrets, ':method'));
    this.encoder.field(':scheme', scheme, isSecret(secrets, ':scheme'));
    if (authority !== '') {
      this.encoder.field(':authority', authority, isSecret(secrets, ':authority') || isSecret(secrets, 'host'));
    }
    this.encoder.field(':path', path, isSecret(secrets, ':path'));
    this.fields(fields, secrets);
    this.end(streamId, endStream, maxFrame);
  }

  writeResponse(streamId: number, head: ResponseHead, endStream: boolean, maxFrame: number): void {
    this.begin(PSEUDO_BYTES, head.fields);
    this.encoder.field(':status', statusText(head.status), isSecret(head.neverIndexed, ':status'));
    this.fields(head.fields, head.neverIndexed);
    this.end(streamId, endStream, maxFrame);
  }

  writeTrailers(streamId: number, fields: Fields, neverIndexed: readonly string[] | undefined, maxFrame: number): void {
    this.begin(0, fields);
    this.fields(fields, neverIndexed);
    this.end(streamId, true, maxFrame);
  }

  private begin(bytes: number, fields: Fields): void {
    let most = bytes + FRAME_HEADER_BYTES + BLOCK_OVERHEAD;
    for (let i = 0; i < fields.length; i += 2) most += fields[i]!.length + fields[i + 1]!.length + FIELD_OVERHEAD;
    this.sink.ensure(most);
    this.encoder.begin(this.sink.buffer, this.sink.length + FRAME_HEADER_BYTES);
  }

  private fields(fields: Fields, neverIndexed: readonly string[] | undefined): void {
    const encoder = this.encoder;
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i]!;
      encoder.field(name, fields[i + 1]!, neverIndexed !== undefined && isSecret(neverIndexed, name.toLowerCase()));
    }
  }

  private end(streamId: number, endStream: boolean, maxFrame: number): void {
    const sink = this.sink;
    const start = sink.length + FRAME_HEADER_BYTES;
    const size = this.encoder.at - start;
    const flags = endStream ? END_STREAM : 0;
    if (size <= maxFrame) {
      putFrameHeader(sink.buffer, sink.length, size, HEADERS, flags | END_HEADERS, streamId);
      sink.length = start + size;
      return;
    }
    const block = Buffer.from(sink.buffer.subarray(start, start + size));
    for (let at = 0; at < size; at += maxFrame) {
      const part = Math.min(maxFrame, size - at);
      const last = at + part === size ? END_HEADERS : 0;
      const type = at === 0 ? HEADERS : CONTINUATION;
      const target = beginFrame(sink, part, type, (at === 0 ? flags : 0) | last, streamId);
      block.copy(sink.buffer, target, at, at + part);
    }
  }
}

function isSecret(neverIndexed: readonly string[] | undefined, name: string): boolean {
  return neverIndexed !== undefined && neverIndexed.includes(name);
}

const STATUS_TEXTS: string[] = [];

function statusText(status: number): string {
  return (STATUS_TEXTS[status] ??= String(status));
}
