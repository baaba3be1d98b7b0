// Makes bad inputs out of good ones. Everything it does is drawn from the generator handed in, so an input is known by
// its seed.
import type { Rng } from '../../src/base/rng.ts';

/** Makes one input. `corpus` holds what inputs are made of; it is never empty. */
export type Mutate = (rng: Rng, corpus: readonly Buffer[]) => Buffer;

/** Bytes at which parsers turn: line ends, blanks, separators, the ends of ASCII and of a byte. */
const EDGE_BYTES = [0x00, 0x09, 0x0a, 0x0d, 0x20, 0x22, 0x2c, 0x2e, 0x2f, 0x3a, 0x3b, 0x3d, 0x5c, 0x7f, 0x80, 0xff];
/** Numbers at which readers of numbers turn. */
const EDGE_NUMBERS = [
  '', '0', '1', '00', '007', '+1', '-1', '0x5', '1e3', '1_0', '7f', '80', 'ff', '100', '255', '256', '999', '1000', '65535', '65536', '99999999',
  '100000000', '2147483647', '2147483648', '4294967295', '4294967296', '9007199254740991', '9007199254740992', '1fffffffffffff', '20000000000000',
  'ffffffffffffffff', '10000000000000000', '18446744073709551616',
].map((text) => Buffer.from(text)); // prettier-ignore
const LINE_ENDS = ['\r\n', '\n', '\r', '\n\r', '\r\r\n', '\r\n\r\n', ' \r\n', '\r\n '].map((text) => Buffer.from(text));

/** Changes bytes; `words` is the dictionary, and no input grows past `maxBytes`. */
export class ByteMutator {
  private readonly words: readonly Buffer[];
  private readonly maxBytes: number;

  constructor(words: readonly Buffer[], maxBytes: number) {
    this.words = words;
    this.maxBytes = maxBytes;
  }

  /** A corpus item, changed once to several times. */
  readonly mutate: Mutate = (rng, corpus) => {
    let bytes = pick(rng, corpus);
    let rounds = 1;
    while (rounds < 8 && rng.below(5) < 2) rounds++;
    for (let i = 0; i < rounds; i++) bytes = this.change(rng, bytes, corpus);
    return bytes;
  };

  /** One change. The buffer handed in stays as it is. */
  change(rng: Rng, bytes: Buffer, corpus: readonly Buffer[]): Buffer {
    const at = rng.below(bytes.length + 1);
    const length = Math.min(bytes.length - at, 1 + rng.below(rng.below(4) === 0 ? 64 : 6));
    switch (rng.below(14)) {
      case 0:
        return this.replaced(bytes, at, Math.min(1, length), oneByte((bytes[at] ?? 0) ^ (1 << rng.below(8))));
      case 1:
        return this.replaced(bytes, at, Math.min(1, length), oneByte(pick(rng, EDGE_BYTES)));
      case 2:
        return this.replaced(bytes, at, 0, oneByte(rng.below(4) === 0 ? rng.below(256) : pick(rng, EDGE_BYTES)));
      case 3:
      case 4:
        return this.replaced(bytes, at, 0, pick(rng, this.words));
      case 5: {
        const word = pick(rng, this.words);
        return this.replaced(bytes, at, Math.min(word.length, bytes.length - at), word);
      }
      case 6:
        return this.replaced(bytes, at, length, NOTHING);
      case 7:
        return this.replaced(bytes, at, 0, bytes.subarray(at, at + length));
      case 8:
        return bytes.subarray(0, at);
      case 9: {
        const other = pick(rng, corpus);
        return this.replaced(bytes, at, bytes.length - at, other.subarray(rng.below(other.length + 1)));
      }
      case 10:
        return this.number(rng, bytes, at);
      case 11:
        return this.lineEnd(rng, bytes, at);
      case 12: {
        const byte = bytes[at] ?? 0;
        const isLetter = (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a;
        return this.replaced(bytes, at, Math.min(1, length), oneByte(isLetter ? byte ^ 0x20 : rng.below(256)));
      }
      default: {
        // Much of the same, where limits and quadratic costs are found.
        const times = rng.below(8) === 0 ? 1 + rng.below(this.maxBytes) : 1 + rng.below(40);
        return this.replaced(
          bytes,
          at,
          0,
          Buffer.alloc(times, bytes.subarray(at, at + length).toString('latin1'), 'latin1'),
        );
      }
    }
  }

  /** Puts an edge in place of the number at or behind `at`. */
  private number(rng: Rng, bytes: Buffer, at: number): Buffer {
    let start = at;
    while (start < bytes.length && !isDigit(bytes[start] ?? 0)) start++;
    let end = start;
    while (end < bytes.length && isDigit(bytes[end] ?? 0)) end++;
    return this.replaced(bytes, start, end - start, pick(rng, EDGE_NUMBERS));
  }

  /** Puts another kind of line end in place of the one at or behind `at`. */
  private lineEnd(rng: Rng, bytes: Buffer, at: number): Buffer {
    let start = at;
    while (start < bytes.length && bytes[start] !== 0x0d && bytes[start] !== 0x0a) start++;
    let end = start;
    while (end < bytes.length && end < start + 2 && (bytes[end] === 0x0d || bytes[end] === 0x0a)) end++;
    return this.replaced(bytes, start, end - start, pick(rng, LINE_ENDS));
  }

  private replaced(bytes: Buffer, at: number, removed: number, put: Buffer): Buffer {
    const fits = Math.max(0, Math.min(put.length, this.maxBytes - bytes.length + removed));
    const made = Buffer.allocUnsafe(bytes.length - removed + fits);
    bytes.copy(made, 0, 0, at);
    put.copy(made, at, 0, fits);
    bytes.copy(made, at + fits, at + removed);
    return made;
  }
}

const NOTHING = Buffer.alloc(0);
const ONE_BYTE = Array.from({ length: 256 }, (_, byte) => Buffer.from([byte]));

function oneByte(byte: number): Buffer {
  return ONE_BYTE[byte & 0xff] ?? NOTHING;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

/** One of `list`, which isn't empty. */
export function pick<T>(rng: Rng, list: readonly T[]): T {
  const item = list[rng.below(list.length)];
  if (item === undefined) throw new Error('nothing to pick from');
  return item;
}

/** How an input that is a sequence of parts (frames, header blocks) is taken apart and put together. */
export interface PartsFormat {
  split(bytes: Buffer): Buffer[];
  /** Parts to insert. */
  readonly samples: readonly Buffer[];
  /** A changed copy of one part, again a whole one in most cases. */
  change(rng: Rng, part: Buffer, corpus: readonly Buffer[]): Buffer;
}

/** Changes the order and the contents of parts; one input in eight is changed as plain bytes too. */
export function partsMutate(format: PartsFormat, bytes: ByteMutator, maxBytes: number): Mutate {
  return (rng, corpus) => {
    const parts = format.split(pick(rng, corpus));
    let rounds = 1;
    while (rounds < 10 && rng.below(3) > 0) rounds++;
    for (let i = 0; i < rounds; i++) changeParts(rng, parts, format, corpus);
    let made = Buffer.concat(parts);
    if (rng.below(8) === 0) made = Buffer.from(bytes.change(rng, made, corpus));
    return made.length > maxBytes ? made.subarray(0, maxBytes) : made;
  };
}

function changeParts(rng: Rng, parts: Buffer[], format: PartsFormat, corpus: readonly Buffer[]): void {
  const at = rng.below(parts.length + 1);
  const part = parts[at];
  const what = rng.below(10);
  if (part === undefined || what < 3) parts.splice(at, 0, pick(rng, format.samples));
  else if (what < 7) parts[at] = format.change(rng, part, corpus);
  else if (what === 7) parts.splice(at, 1);
  else if (what === 8) {
    const times = rng.below(16) === 0 ? 40 : 1;
    for (let i = 0; i < times; i++) parts.splice(at, 0, part);
  } else {
    const other = format.split(pick(rng, corpus));
    parts.splice(at, parts.length, ...other.slice(rng.below(other.length + 1)));
  }
}
