// CRC-32 as zlib computes it (IEEE 802.3, reflected): the hash of keys and of the points of `chash`. Table driven, since
// keys are short and a call into zlib costs more than they do.

/** The reversed polynomial. */
const POLYNOMIAL = 0xedb8_8320;
/** Four tables of 256, flat: table k holds what a byte does to the state k bytes later. */
const TABLES = createTables();

function createTables(): Int32Array {
  const tables = new Int32Array(4 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let state = byte;
    for (let bit = 0; bit < 8; bit++) state = (state & 1) === 0 ? state >>> 1 : (state >>> 1) ^ POLYNOMIAL;
    tables[byte] = state;
  }
  for (let at = 256; at < tables.length; at++) {
    const before = tables[at - 256]!;
    tables[at] = (before >>> 8) ^ tables[before & 0xff]!;
  }
  return tables;
}

/** Hash of a request's key for `chash` (APISIX): CRC-32 of its latin1 bytes, unsigned. The empty key has 0. */
export function keyHash(key: string): number {
  return ~crcState(key) >>> 0;
}

/** State of the CRC after the latin1 bytes of `text`, before the final inversion. */
export function crcState(text: string): number {
  let state = -1;
  for (let i = 0; i < text.length; i++) state = TABLES[(state ^ text.charCodeAt(i)) & 0xff]! ^ (state >>> 8);
  return state;
}

/** CRC-32, unsigned, of what led to `state` and four more bytes: `word`, little-endian. */
export function crcOfWord(state: number, word: number): number {
  const x = state ^ word;
  const ahead = TABLES[768 + (x & 0xff)]! ^ TABLES[512 + ((x >>> 8) & 0xff)]!;
  return ~(ahead ^ TABLES[256 + ((x >>> 16) & 0xff)]! ^ TABLES[x >>> 24]!) >>> 0;
}
