// The HPACK decoder (RFC 7541). The size of what comes out is counted while decoding: past the bounds nothing more is
// kept, but the rest is still read so that the dynamic table stays the peer's. A block that puts nothing into the table
// means the same whenever its bytes come again, until `generation` changes; block-cache.ts builds on that.
// Guarded by `npm run bench -- micro hpack-decode`.
import { decodeHuffman } from './huffman.ts';
import { DynamicTable, ENTRY_OVERHEAD } from './dynamic-table.ts';
import { STATIC_ENTRIES, STATIC_NAMES, STATIC_VALUES } from './static-table.ts';

/** What one block held. One list serves every decoder: it is read out before the next block is decoded. */
export interface DecodedFields {
  /** Name, value, name, value…; only the first `length` strings count. */
  items: string[];
  length: number;
  /** Names that came as never-indexed literals. */
  neverIndexed: string[] | undefined;
  /** The bounds were passed; `items` holds what came before, and content-type also where it came later. */
  tooLarge: boolean;
  /** Bytes that the fields cost who keeps them: what was spelled out, and 32 each. Entries of the tables are shared. */
  heldBytes: number;
}

const DECODED: DecodedFields = { items: [], length: 0, neverIndexed: undefined, tooLarge: false, heldBytes: 0 };

const CONTENT_TYPE = 'content-type';

/** The table's size until the peer's encoder says otherwise (RFC 9113 section 6.5.2), whatever it may use. */
const INITIAL_TABLE_BYTES = 4096;

/** One direction's decoder. After an error it must not be used again. */
export class HpackDecoder {
  /** Changes whenever the dynamic table does. */
  generation = 0;
  /** The last block left the table as it was, and had no secret in it: its bytes and their meaning may be kept. */
  isRepeatable = false;
  readonly fields: DecodedFields = DECODED;
  private readonly table: DynamicTable;
  /** SETTINGS_HEADER_TABLE_SIZE as the peer has it. */
  private limit: number;
  private bytes: Uint8Array & { latin1Slice(start: number, end: number): string } = Buffer.alloc(0);
  private at = 0;
  private end = 0;

  /** `tableBytes`: what the peer may use, SETTINGS_HEADER_TABLE_SIZE. */
  constructor(tableBytes: number) {
    this.limit = tableBytes;
    this.table = new DynamicTable(INITIAL_TABLE_BYTES);
  }

  /**
   * The peer has acknowledged another table size. One below the size in use must be followed by a size update
   * (RFC 7541 section 4.2), which `decode` checks.
   */
  setLimit(tableBytes: number): void {
    this.limit = tableBytes;
  }

  /**
   * Decodes bytes[start..end), at most `maxBytes` of names, values and 32 a field, and `maxFields` fields, into
   * `fields`. False is a COMPRESSION_ERROR of the connection.
   */
  decode(bytes: Buffer, start: number, end: number, maxBytes: number, maxFields: number): boolean {
    const out = this.fields;
    out.length = 0;
    out.neverIndexed = undefined;
    out.tooLarge = false;
    let heldBytes = 0;
    let lateType = false;
    this.bytes = bytes;
    this.at = start;
    this.end = end;
    this.isRepeatable = true;
    let left = maxBytes;
    let fieldsLeft = maxFields;
    let updatesAllowed = true;
    while (this.at < end) {
      const first = bytes[this.at]!;
      if ((first & 0xe0) === 0x20) {
        if (!updatesAllowed || !this.updateSize()) return false;
        continue;
      }
      if (updatesAllowed) {
        if (this.table.capacity > this.limit) return false;
        updatesAllowed = false;
      }
      let name: string;
      let value: string;
      if (first >= 0x80) {
        const index = first < 0xff ? first & 0x7f : this.integer(0x7f);
        if (first < 0xff) this.at++;
        if (index <= 0) return false;
        if (index <= STATIC_ENTRIES) {
          name = STATIC_NAMES[index]!;
          value = STATIC_VALUES[index]!;
        } else {
          const dynamic = index - STATIC_ENTRIES - 1;
          if (dynamic >= this.table.count) return false;
          name = this.table.name(dynamic);
          value = this.table.value(dynamic);
        }
      } else {
        const indexing = first >= 0x40;
        const never = !indexing && (first & 0x10) !== 0;
        if (indexing || never) this.isRepeatable = false;
        // Past the bounds, only what enters the table is still of interest, and content-type.
        const keep = indexing || !out.tooLarge;
        const nameAt = this.at;
        const literalName = this.literalName(indexing ? 0x3f : 0x0f, keep);
        if (literalName === undefined) return false;
        const isNameSpelt = (bytes[nameAt]! & (indexing ? 0x3f : 0x0f)) === 0;
        const literalValue = this.string(keep || literalName === CONTENT_TYPE);
        if (literalValue === undefined) return false;
        name = literalName;
        value = literalValue;
        heldBytes += value.length + (isNameSpelt ? name.length : 0);
        if (indexing) {
          this.table.add(name, value);
          this.generation++;
        }
        if (never && keep) (out.neverIndexed ??= []).push(name);
      }
      left -= name.length + value.length + ENTRY_OVERHEAD;
      if (out.tooLarge || left < 0 || --fieldsLeft < 0) {
        out.tooLarge = true;
        // The answer to a call of gRPC has another form, and some clients name the type behind the caller's own fields.
        if (lateType || name !== CONTENT_TYPE) continue;
        lateType = true;
      }
      heldBytes += ENTRY_OVERHEAD;
      out.items[out.length++] = name;
      out.items[out.length++] = value;
    }
    out.heldBytes = heldBytes;
    return true;
  }

  private updateSize(): boolean {
    const size = this.integer(0x1f);
    if (size < 0 || size > this.limit) return false;
    this.table.resize(size);
    this.generation++;
    this.isRepeatable = false;
    return true;
  }

  private literalName(mask: number, keep: boolean): string | undefined {
    const index = this.integer(mask);
    if (index === 0) return this.string(keep || (this.bytes[this.at]! & 0x7f) <= CONTENT_TYPE.length);
    if (index < 0) return undefined;
    if (index <= STATIC_ENTRIES) return STATIC_NAMES[index];
    const dynamic = index - STATIC_ENTRIES - 1;
    return dynamic < this.table.count ? this.table.name(dynamic) : undefined;
  }

  /** An integer with a prefix (RFC 7541 section 5.1); -1 where it is cut or needs more than 28 bits. */
  private integer(mask: number): number {
    if (this.at >= this.end) return -1;
    let value = this.bytes[this.at++]! & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.at >= this.end) return -1;
      const byte = this.bytes[this.at++]!;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return -1;
  }

  private string(keep: boolean): string | undefined {
    if (this.at >= this.end) return undefined;
    const huffman = this.bytes[this.at]! >= 0x80;
    const length = this.integer(0x7f);
    const start = this.at;
    if (length < 0 || length > this.end - start) return undefined;
    this.at = start + length;
    if (!keep) return '';
    if (huffman) return decodeHuffman(this.bytes, start, this.at);
    return length === 0 ? '' : this.bytes.latin1Slice(start, this.at);
  }
}
