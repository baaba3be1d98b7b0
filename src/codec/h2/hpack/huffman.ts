// The Huffman code of RFC 7541 appendix B. The code is canonical (codes of one length are consecutive, in the order of
// their symbols), so the 257 lengths say it all and both tables are built from them. Decoding walks tables of 256
// entries, a byte a step. Guarded by `npm run bench -- micro hpack-decode`.

/** Length in bits of each symbol's code; 256 is EOS. */
// prettier-ignore
const CODE_LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12,
  10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5,
  6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22,
  23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22,
  22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26,
  26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27,
  27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27,
  27, 27, 27, 27, 26, 30,
];

const EOS = 256;
const LEAF = 1 << 16; // an entry is LEAF | bits used of this byte << 9 | symbol, or the offset of the next table
const tables: number[] = [];

function newTable(): number {
  const offset = tables.length;
  for (let i = 0; i < 256; i++) tables.push(0);
  return offset;
}

function addCode(root: number, symbol: number, code: number, length: number): void {
  let table = root;
  let left = length;
  while (left > 8) {
    const slot = table + ((code >>> (left - 8)) & 0xff);
    if (tables[slot] === 0) tables[slot] = newTable();
    table = tables[slot] ?? 0;
    left -= 8;
  }
  const first = (code << (8 - left)) & 0xff;
  for (let i = 0; i < 1 << (8 - left); i++) tables[table + first + i] = LEAF | (left << 9) | symbol;
}

function build(): Int32Array {
  const root = newTable();
  let code = 0;
  for (let length = 1; length <= 30; length++) {
    for (let symbol = 0; symbol <= EOS; symbol++) {
      if (CODE_LENGTHS[symbol] !== length) continue;
      addCode(root, symbol, code, length);
      code++;
    }
    code <<= 1;
  }
  return Int32Array.from(tables);
}

let decodeTable: Int32Array | undefined; // built with the first use, since it takes a part of the start
let scratch = Buffer.allocUnsafe(4096);

/**
 * Decodes bytes[start..end) into a latin1 string; undefined where it contains EOS or is not padded with one bits, less
 * than eight of them (RFC 7541 section 5.2).
 */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number): string | undefined {
  const most = (((end - start) * 8) / 5) | 0;
  if (most > scratch.length) scratch = Buffer.allocUnsafe(most * 2);
  const out = scratch;
  const decode = (decodeTable ??= build());
  let length = 0;
  let bits = 0; // the last `held` of these are not used up
  let held = 0;
  let table = 0;
  let sinceSymbol = 0;
  for (let at = start; at < end; at++) {
    bits = (bits << 8) | bytes[at]!;
    held += 8;
    sinceSymbol += 8;
    while (held >= 8) {
      const entry = decode[table + ((bits >>> (held - 8)) & 0xff)]!;
      if (entry >= LEAF) {
        const symbol = entry & 0x1ff;
        if (symbol === EOS) return undefined;
        out[length++] = symbol;
        held -= (entry >>> 9) & 0x7f;
        table = 0;
        sinceSymbol = held;
      } else {
        table = entry;
        held -= 8;
      }
    }
  }
  while (held > 0) {
    const entry = decode[table + ((bits << (8 - held)) & 0xff)]!;
    const used = (entry >>> 9) & 0x7f;
    if (entry < LEAF || used > held) break;
    if ((entry & 0x1ff) === EOS) return undefined;
    out[length++] = entry & 0x1ff;
    held -= used;
    table = 0;
    sinceSymbol = held;
  }
  if (sinceSymbol > 7) return undefined;
  const mask = (1 << held) - 1;
  if ((bits & mask) !== mask) return undefined;
  return out.latin1Slice(0, length);
}
