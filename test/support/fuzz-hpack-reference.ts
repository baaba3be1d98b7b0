// A second HPACK decoder, written from RFC 7541 with nothing in mind but its text: one array for the table, one bit at
// a time for the Huffman code. What the decoder of this project says is held against it.

/** One block, decoded. */
export interface ReferenceBlock {
  /** Name, value, name, value… */
  readonly fields: string[];
  readonly neverIndexed: string[];
}

/** The symbols of appendix B by the length of their codes, each group in the order of the codes; `|` ends a group. */
const SYMBOLS_BY_LENGTH: readonly (readonly [number, readonly number[]])[] = [
  [5, [48, 49, 50, 97, 99, 101, 105, 111, 115, 116]],
  [6, [32, 37, 45, 46, 47, 51, 52, 53, 54, 55, 56, 57, 61, 65, 95, 98, 100, 102, 103, 104, 108, 109, 110, 112, 114, 117]],
  [7, [58, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 89, 106, 107, 113, 118, 119, 120, 121, 122]],
  [8, [38, 42, 44, 59, 88, 90]],
  [10, [33, 34, 40, 41, 63]],
  [11, [39, 43, 124]],
  [12, [35, 62]],
  [13, [0, 36, 64, 91, 93, 126]],
  [14, [94, 125]],
  [15, [60, 96, 123]],
  [19, [92, 195, 208]],
  [20, [128, 130, 131, 162, 184, 194, 224, 226]],
  [21, [153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230]],
  [22, [129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189, 190, 196, 198, 228, 232, 233]],
  [23, [1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174, 175, 180, 182, 183, 188, 191, 197, 231, 239]],
  [24, [9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237]],
  [25, [199, 207, 234, 235]],
  [26, [192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255]],
  [27, [203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252, 253, 254]],
  [28, [2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31, 127, 220, 249]],
  [30, [10, 13, 22, 256]],
]; // prettier-ignore

/** `1` and the bits of a code, as a number: its symbol. Codes of one length follow each other (they are canonical). */
const SYMBOL_OF = new Map<number, number>();
const CODE_OF: [number, number][] = [];
{
  let code = 0;
  let length = 5;
  for (const [bits, symbols] of SYMBOLS_BY_LENGTH) {
    code <<= bits - length;
    length = bits;
    for (const symbol of symbols) {
      SYMBOL_OF.set(2 ** length + code, symbol);
      CODE_OF[symbol] = [code, length];
      code++;
    }
  }
}
const EOS = 256;

/** Decodes a Huffman string; undefined where it is malformed. */
export function referenceHuffman(bytes: Uint8Array): string | undefined {
  let text = '';
  let read = 1;
  let sinceSymbol = 0;
  let onlyOnes = true;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      const value = (byte >> bit) & 1;
      read = read * 2 + value;
      sinceSymbol++;
      if (value === 0) onlyOnes = false;
      const symbol = SYMBOL_OF.get(read);
      if (symbol === undefined) continue;
      if (symbol === EOS) return undefined;
      text += String.fromCharCode(symbol);
      read = 1;
      sinceSymbol = 0;
      onlyOnes = true;
    }
  }
  return sinceSymbol > 7 || !onlyOnes ? undefined : text;
}

/** Encodes latin1 text, padded with ones. */
export function huffmanEncode(text: string): Buffer {
  const bytes: number[] = [];
  let held = 0;
  let bits = 0;
  for (let i = 0; i < text.length; i++) {
    const [code, length] = CODE_OF[text.charCodeAt(i)] ?? [0, 0];
    for (let bit = length - 1; bit >= 0; bit--) {
      held = (held << 1) | ((code >>> bit) & 1);
      if (++bits < 8) continue;
      bytes.push(held);
      held = bits = 0;
    }
  }
  if (bits > 0) bytes.push(((held << (8 - bits)) | (0xff >> bits)) & 0xff);
  return Buffer.from(bytes);
}

const STATIC: readonly (readonly [string, string])[] = [
  [':authority', ''], [':method', 'GET'], [':method', 'POST'], [':path', '/'], [':path', '/index.html'], [':scheme', 'http'], [':scheme', 'https'],
  [':status', '200'], [':status', '204'], [':status', '206'], [':status', '304'], [':status', '400'], [':status', '404'], [':status', '500'],
  ['accept-charset', ''], ['accept-encoding', 'gzip, deflate'], ['accept-language', ''], ['accept-ranges', ''], ['accept', ''],
  ['access-control-allow-origin', ''], ['age', ''], ['allow', ''], ['authorization', ''], ['cache-control', ''], ['content-disposition', ''],
  ['content-encoding', ''], ['content-language', ''], ['content-length', ''], ['content-location', ''], ['content-range', ''], ['content-type', ''],
  ['cookie', ''], ['date', ''], ['etag', ''], ['expect', ''], ['expires', ''], ['from', ''], ['host', ''], ['if-match', ''], ['if-modified-since', ''],
  ['if-none-match', ''], ['if-range', ''], ['if-unmodified-since', ''], ['last-modified', ''], ['link', ''], ['location', ''], ['max-forwards', ''],
  ['proxy-authenticate', ''], ['proxy-authorization', ''], ['range', ''], ['referer', ''], ['refresh', ''], ['retry-after', ''], ['server', ''],
  ['set-cookie', ''], ['strict-transport-security', ''], ['transfer-encoding', ''], ['user-agent', ''], ['vary', ''], ['via', ''], ['www-authenticate', ''],
]; // prettier-ignore

/** Integers of more than 28 bits are refused by ours, which the RFC allows (section 5.1): no honest one is so large. */
const MAX_INTEGER_BYTES = 5;
const ENTRY_OVERHEAD = 32;

/** One direction's decoder, fed block by block. */
export class ReferenceDecoder {
  /** Newest first. */
  readonly table: (readonly [string, string])[] = [];
  private capacity = 4096;
  private readonly limit: number;

  /** `limit`: SETTINGS_HEADER_TABLE_SIZE as the encoder has it. */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** Bytes of the table (section 4.1). */
  size = 0;

  /** Undefined is a decoding error, after which the decoder is of no use. */
  decode(block: Uint8Array): ReferenceBlock | undefined {
    const fields: string[] = [];
    const neverIndexed: string[] = [];
    let at = 0;
    const integer = (bits: number): number | undefined => {
      const most = 2 ** bits - 1;
      const first = block[at++];
      if (first === undefined) return undefined;
      let value = first & most;
      if (value < most) return value;
      for (let count = 1; count < MAX_INTEGER_BYTES; count++) {
        const byte = block[at++];
        if (byte === undefined) return undefined;
        value += (byte & 0x7f) * 2 ** (7 * (count - 1));
        if (byte < 0x80) return value;
      }
      return undefined;
    };
    const string = (): string | undefined => {
      const isHuffman = ((block[at] ?? 0) & 0x80) !== 0;
      const length = integer(7);
      if (length === undefined || at + length > block.length) return undefined;
      const bytes = block.subarray(at, at + length);
      at += length;
      return isHuffman ? referenceHuffman(bytes) : Buffer.from(bytes).toString('latin1');
    };
    const entry = (index: number | undefined): readonly [string, string] | undefined =>
      index === undefined || index === 0 ? undefined : (STATIC[index - 1] ?? this.table[index - 1 - STATIC.length]);
    let first = true;
    while (at < block.length) {
      const byte = block[at] ?? 0;
      if ((byte & 0xe0) === 0x20) {
        const size = integer(5);
        if (!first || size === undefined || size > this.limit) return undefined;
        this.capacity = size;
        this.evict();
        continue;
      }
      if (first && this.capacity > this.limit) return undefined;
      first = false;
      if (byte >= 0x80) {
        const found = entry(integer(7));
        if (!found) return undefined;
        fields.push(...found);
        continue;
      }
      const index = integer(byte >= 0x40 ? 6 : 4);
      const name = index === 0 ? string() : entry(index)?.[0];
      if (name === undefined) return undefined;
      const value = string();
      if (value === undefined) return undefined;
      if (byte >= 0x40) {
        this.table.unshift([name, value]);
        this.size += name.length + value.length + ENTRY_OVERHEAD;
        this.evict();
      } else if (byte >= 0x10) neverIndexed.push(name);
      fields.push(name, value);
    }
    return { fields, neverIndexed };
  }

  private evict(): void {
    while (this.size > this.capacity) {
      const [name = '', value = ''] = this.table.pop() ?? [];
      this.size -= name.length + value.length + ENTRY_OVERHEAD;
    }
  }
}
