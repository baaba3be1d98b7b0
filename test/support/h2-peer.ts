import assert from 'node:assert/strict';
import { STATIC_NAMES, STATIC_VALUES } from '../../src/codec/h2/hpack/static-table.ts';
import type { MemoryTransport } from './memory-transport.ts';

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** Types by name, for scripts that read like the RFC. */
export const TYPE = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

const TYPE_NAMES = Object.keys(TYPE);

/** A frame as the peer read it. */
export interface SeenFrame {
  readonly type: string;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
  /** Of HEADERS: the fields, decoded. */
  readonly fields: string[];
}

// ---------------------------------------------------------------- what it sends

export function frame(type: number, flags: number, id: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(id, 5);
  return Buffer.concat([header, payload]);
}

function lengthPrefixed(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const rest = bytes.length - 127;
  const prefix =
    rest < 128
      ? [127, rest]
      : [127, (rest & 127) | 128, ...(rest >> 7 < 128 ? [rest >> 7] : [((rest >> 7) & 127) | 128, rest >> 14])];
  return Buffer.concat([Buffer.from(prefix), bytes]);
}

/** A header block of literals without indexing, names spelt out: nothing of the project's encoder is in it. */
export function literals(fields: readonly string[], pattern = 0x00): Buffer {
  const parts: Buffer[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    parts.push(Buffer.from([pattern]), lengthPrefixed(fields[i] ?? ''), lengthPrefixed(fields[i + 1] ?? ''));
  }
  return Buffer.concat(parts);
}

/** A HEADERS frame with END_HEADERS. */
export function headers(id: number, fields: readonly string[], endStream = true): Buffer {
  return frame(TYPE.HEADERS, 0x4 | (endStream ? 0x1 : 0), id, literals(fields));
}

export function request(path = '/', extra: readonly string[] = [], method = 'GET'): string[] {
  return [':method', method, ':scheme', 'http', ':authority', 'svc:80', ':path', path, ...extra];
}

export function data(id: number, body: Uint8Array | string, endStream = false): Buffer {
  return frame(TYPE.DATA, endStream ? 1 : 0, id, typeof body === 'string' ? Buffer.from(body) : body);
}

export function u32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => bytes.writeUInt32BE(value, i * 4));
  return bytes;
}

export function settings(...pairs: number[]): Buffer {
  const payload = Buffer.alloc(pairs.length * 3);
  for (let i = 0; i < pairs.length; i += 2) {
    payload.writeUInt16BE(pairs[i] ?? 0, i * 3);
    payload.writeUInt32BE(pairs[i + 1] ?? 0, i * 3 + 2);
  }
  return frame(TYPE.SETTINGS, 0, 0, payload);
}

export const SETTINGS_ACK = frame(TYPE.SETTINGS, 1, 0);

export function reset(id: number, code: number): Buffer {
  return frame(TYPE.RST_STREAM, 0, id, u32(code));
}

export function windowUpdate(id: number, increment: number): Buffer {
  return frame(TYPE.WINDOW_UPDATE, 0, id, u32(increment));
}

export function ping(high = 1, low = 2, ack = false): Buffer {
  return frame(TYPE.PING, ack ? 1 : 0, 0, u32(high, low));
}

export function goaway(lastId: number, code: number, detail = ''): Buffer {
  return frame(TYPE.GOAWAY, 0, 0, Buffer.concat([u32(lastId, code), Buffer.from(detail)]));
}

// ---------------------------------------------------------------- what it reads

/** A scripted peer at the other end of a MemoryTransport. */
export class H2Peer {
  private readonly transport: MemoryTransport;
  private readonly table: [string, string][] = [];
  private left = Buffer.alloc(0);

  constructor(transport: MemoryTransport) {
    this.transport = transport;
  }

  send(...frames: Uint8Array[]): void {
    this.transport.feed(Buffer.concat(frames));
  }

  /** All frames written since the last call. `skip` bytes (a client preface) are thrown away first. */
  take(skip = 0): SeenFrame[] {
    let bytes = Buffer.concat([this.left, this.transport.take()]).subarray(skip);
    const seen: SeenFrame[] = [];
    while (bytes.length >= 9) {
      const end = 9 + bytes.readUIntBE(0, 3);
      if (bytes.length < end) break;
      const payload = Buffer.from(bytes.subarray(9, end));
      const type = TYPE_NAMES[bytes[3] ?? 0] ?? 'UNKNOWN';
      const flags = bytes[4] ?? 0;
      if (type === 'HEADERS') assert.ok(flags & 0x4, 'the peer reads whole blocks only');
      const fields = type === 'HEADERS' ? this.decode(payload) : [];
      seen.push({ type, flags, id: bytes.readUInt32BE(5), payload, fields });
      bytes = bytes.subarray(end);
    }
    this.left = Buffer.from(bytes);
    return seen;
  }

  /** Frames as short words: `HEADERS 1 END`, `RST_STREAM 3 CANCEL`-like numbers, `DATA 1 5`. */
  takeWords(skip = 0): string[] {
    return this.take(skip).map((seen) => describe(seen));
  }

  private decode(block: Buffer): string[] {
    const fields: string[] = [];
    let at = 0;
    const integer = (mask: number): number => {
      let value = (block[at++] ?? 0) & mask;
      if (value < mask) return value;
      for (let shift = 0; ; shift += 7) {
        const byte = block[at++] ?? 0;
        value += (byte & 0x7f) << shift;
        if (byte < 0x80) return value;
      }
    };
    const text = (): string => {
      assert.ok((block[at] ?? 0) < 0x80, 'the encoder writes no Huffman code');
      const length = integer(0x7f);
      at += length;
      return block.toString('latin1', at - length, at);
    };
    const entry = (index: number): [string, string] => {
      assert.notEqual(index, 0);
      if (index <= 61) return [STATIC_NAMES[index] ?? '', STATIC_VALUES[index] ?? ''];
      const found = this.table[index - 62];
      assert.ok(found, `entry ${index} of ${this.table.length} dynamic ones`);
      return found;
    };
    while (at < block.length) {
      const first = block[at] ?? 0;
      if (first >= 0x80) fields.push(...entry(integer(0x7f)));
      else if ((first & 0xe0) === 0x20) {
        if (integer(0x1f) === 0) this.table.length = 0;
      } else {
        const index = integer(first >= 0x40 ? 0x3f : 0x0f);
        const name = index === 0 ? text() : entry(index)[0];
        const value = text();
        if (first >= 0x40) this.table.unshift([name, value]);
        fields.push(name, value);
      }
    }
    return fields;
  }
}

export function describe(seen: SeenFrame): string {
  const { type, flags, id, payload } = seen;
  const end = flags & 1 ? ' END' : '';
  switch (type) {
    case 'DATA':
      return `DATA ${id} ${payload.length}${end}`;
    case 'HEADERS':
      return `HEADERS ${id}${end}`;
    case 'RST_STREAM':
      return `RST_STREAM ${id} ${payload.readUInt32BE(0)}`;
    case 'GOAWAY':
      return `GOAWAY ${payload.readUInt32BE(0)} ${payload.readUInt32BE(4)}`;
    case 'WINDOW_UPDATE':
      return `WINDOW_UPDATE ${id} ${payload.readUInt32BE(0)}`;
    case 'SETTINGS':
    case 'PING':
      return flags & 1 ? `${type} ACK` : type;
    default:
      return `${type} ${id}`;
  }
}

/** The value of a field in a flat list. */
export function valueOf(fields: readonly string[], name: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1];
  return undefined;
}
