// Header blocks as common clients and servers make them: Huffman code where it is shorter, and a table entry for all that
// may repeat.
import { ENTRY_OVERHEAD } from '../../../src/codec/h2/hpack/dynamic-table.ts';
import { STATIC_ENTRIES, STATIC_NAMES, STATIC_VALUES } from '../../../src/codec/h2/hpack/static-table.ts';
import { huffmanEncode } from '../../support/fuzz-hpack-reference.ts';

const TABLE_BYTES = 4096;

/** The encoder of the other side of one connection. */
export class HpackPeer {
  /** Newest first. */
  private readonly table: (readonly [string, string])[] = [];
  private size = 0;
  private readonly isPlain: (name: string) => boolean;

  /** `isPlain`: which names never enter the table. */
  constructor(isPlain: (name: string) => boolean = () => false) {
    this.isPlain = isPlain;
  }

  /** The block of a list of names and values. */
  block(fields: readonly string[]): Buffer {
    const parts: Buffer[] = [];
    for (let i = 0; i < fields.length; i += 2) parts.push(this.field(fields[i]!, fields[i + 1]!));
    return Buffer.concat(parts);
  }

  private field(name: string, value: string): Buffer {
    const fixed = STATIC_NAMES.findIndex((known, at) => known === name && STATIC_VALUES[at] === value);
    if (fixed > 0) return integer(0x80, 0x7f, fixed);
    const found = this.table.findIndex(([known, held]) => known === name && held === value);
    if (found >= 0) return integer(0x80, 0x7f, STATIC_ENTRIES + 1 + found);
    const nameAt = this.nameIndex(name);
    const isPlain = this.isPlain(name);
    const start = isPlain ? integer(0x00, 0x0f, nameAt) : integer(0x40, 0x3f, nameAt);
    if (!isPlain) this.add(name, value);
    return Buffer.concat([start, ...(nameAt === 0 ? [text(name)] : []), text(value)]);
  }

  private nameIndex(name: string): number {
    const fixed = STATIC_NAMES.indexOf(name);
    if (fixed > 0) return fixed;
    const found = this.table.findIndex(([known]) => known === name);
    return found < 0 ? 0 : STATIC_ENTRIES + 1 + found;
  }

  private add(name: string, value: string): void {
    this.table.unshift([name, value]);
    this.size += sizeOf(name, value);
    while (this.size > TABLE_BYTES) this.size -= sizeOf(...this.table.pop()!);
  }
}

function sizeOf(name: string, value: string): number {
  return name.length + value.length + ENTRY_OVERHEAD;
}

function integer(pattern: number, mask: number, value: number): Buffer {
  if (value < mask) return Buffer.from([pattern | value]);
  const bytes = [pattern | mask];
  let rest = value - mask;
  for (; rest >= 0x80; rest >>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

function text(value: string): Buffer {
  const coded = huffmanEncode(value);
  const shorter = coded.length < value.length;
  const bytes = shorter ? coded : Buffer.from(value, 'latin1');
  return Buffer.concat([integer(shorter ? 0x80 : 0, 0x7f, bytes.length), bytes]);
}
