// Regular expressions as APISIX users write them (PCRE, on bytes), as far as they are regular in the strict sense:
// what can be matched in one walk over the text (linear-regex.ts). What PCRE has beyond that, or reads differently from
// what most people know, is refused by name, never guessed at.

/** 256 bits: the bytes that a place takes. */
export type ByteSet = Uint32Array;

/** What a place demands without taking a byte. */
export type Assertion = 'start' | 'end' | 'end or last newline' | 'boundary' | 'no boundary';

/** An expression as a tree, no deeper than {@link MAX_DEPTH}. */
export type RegexNode =
  | { readonly kind: 'bytes'; readonly bytes: ByteSet }
  | { readonly kind: 'assertion'; readonly assertion: Assertion }
  | { readonly kind: 'sequence'; readonly members: readonly RegexNode[] }
  | { readonly kind: 'choice'; readonly members: readonly RegexNode[] }
  /** `max` may be Infinity. */
  | { readonly kind: 'repeat'; readonly member: RegexNode; readonly min: number; readonly max: number };

/** Groups within groups. */
const MAX_DEPTH = 50;
/** Largest number in a quantifier, as for PCRE. */
const MAX_REPEAT = 65_535;
/** Characters of an expression. */
const MAX_LENGTH = 4_096;

/** Why an expression isn't taken; the message is for the user and says where. */
class RegexFault extends Error {}

/**
 * Reads an expression: latin1, one character a byte. The answer is a sentence where it isn't one, or has what isn't
 * supported: look-around, back references, atomic groups, possessive quantifiers.
 */
export function parseRegex(source: string, ignoresCase: boolean): RegexNode | string {
  if (source.length > MAX_LENGTH) return `longer than ${MAX_LENGTH} bytes`;
  try {
    return new Parser(source, ignoresCase).parse();
  } catch (error) {
    if (error instanceof RegexFault) return error.message;
    throw error;
  }
}

/** Bytes by ranges: two characters each. */
function bytesOf(ranges: string): ByteSet {
  const set = new Uint32Array(8);
  for (let i = 0; i < ranges.length; i += 2) addRange(set, ranges.charCodeAt(i), ranges.charCodeAt(i + 1));
  return set;
}

function addRange(set: ByteSet, first: number, last: number): void {
  for (let byte = first; byte <= last; byte++) set[byte >>> 5]! |= 1 << (byte & 31);
}

/** Whether a byte is in a set; what is no byte is in none. */
export function hasByte(set: ByteSet, byte: number): boolean {
  return byte < 256 && (set[byte >>> 5]! & (1 << (byte & 31))) !== 0;
}

function inverse(set: ByteSet): ByteSet {
  return set.map((word) => ~word);
}

const CLASSES: ReadonlyMap<string, ByteSet> = new Map([
  ['d', bytesOf('09')],
  ['w', bytesOf('09AZ__az')],
  ['s', bytesOf('\t\r  ')],
  ['h', bytesOf('\t\t  \u00a0\u00a0')],
  ['v', bytesOf('\n\r\u0085\u0085')],
]);

const POSIX_CLASSES: ReadonlyMap<string, ByteSet> = new Map([
  ['alpha', bytesOf('AZaz')],
  ['digit', bytesOf('09')],
  ['alnum', bytesOf('09AZaz')],
  ['upper', bytesOf('AZ')],
  ['lower', bytesOf('az')],
  ['space', bytesOf('\t\r  ')],
  ['blank', bytesOf('\t\t  ')],
  ['punct', bytesOf('!/:@[`{~')],
  ['xdigit', bytesOf('09AFaf')],
  ['word', bytesOf('09AZ__az')],
  ['cntrl', bytesOf('\0\u001f\u007f\u007f')],
  ['print', bytesOf(' ~')],
  ['graph', bytesOf('!~')],
  ['ascii', bytesOf('\0\u007f')],
]);

const ASSERTIONS: ReadonlyMap<string, Assertion> = new Map<string, Assertion>([
  ['A', 'start'],
  ['z', 'end'],
  ['Z', 'end or last newline'],
  ['b', 'boundary'],
  ['B', 'no boundary'],
]);

const CONTROLS: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['f', '\f'],
  ['e', '\u001b'],
  ['a', '\u0007'],
]);

const QUANTIFIER = /[*+?]|\{(\d+)(,(\d*))?\}/y;
const FLAGS = /\(\?([is]*)(?:-([is]+))?([:)])/y;
const NAMED_GROUP = /\(\?P?<[A-Za-z_]\w*>|\(\?'[A-Za-z_]\w*'/y;
const POSIX_CLASS = /\[:(\^?)([a-z]+):\]/y;
const HEX = /x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,2})\})/y;

class Parser {
  readonly #source: string;
  #at = 0;
  #depth = 0;
  #ignoresCase: boolean;
  #dotTakesNewline = false;

  constructor(source: string, ignoresCase: boolean) {
    this.#source = source;
    this.#ignoresCase = ignoresCase;
  }

  parse(): RegexNode {
    const whole = this.#choice();
    if (this.#at < this.#source.length) throw this.#fault('a ) without its (');
    return whole;
  }

  /** Up to the end or the bracket that closes the group. Flags that are set inside end with it. */
  #choice(): RegexNode {
    if (++this.#depth > MAX_DEPTH) throw this.#fault(`more than ${MAX_DEPTH} groups within each other`);
    const [ignoresCase, dotTakesNewline] = [this.#ignoresCase, this.#dotTakesNewline];
    const members = [this.#sequence()];
    while (this.#takes('|')) members.push(this.#sequence());
    [this.#ignoresCase, this.#dotTakesNewline] = [ignoresCase, dotTakesNewline];
    this.#depth--;
    return members.length === 1 ? members[0]! : { kind: 'choice', members };
  }

  #sequence(): RegexNode {
    const members: RegexNode[] = [];
    for (let next = this.#peek(); next !== '' && next !== '|' && next !== ')'; next = this.#peek()) {
      const atom = this.#atom();
      if (atom !== undefined) members.push(this.#quantified(atom));
    }
    return { kind: 'sequence', members };
  }

  #quantified(member: RegexNode): RegexNode {
    const match = this.#match(QUANTIFIER);
    if (match === undefined) return member;
    const [sign, least, comma, most] = match;
    const min = sign === '+' ? 1 : Number(least ?? 0);
    const max = sign === '?' ? 1 : least === undefined || (comma && !most) ? Infinity : Number(most ?? least);
    if (min > MAX_REPEAT || (max > MAX_REPEAT && most)) {
      throw this.#fault(`too large: a quantifier of more than ${MAX_REPEAT}`);
    }
    if (max < min) throw this.#fault('a quantifier whose bounds are the wrong way round');
    // Whether as little as possible is taken makes no difference to whether there is a match at all.
    if (!this.#takes('?') && this.#peek() === '+') throw this.#fault('possessive quantifiers are not supported');
    return { kind: 'repeat', member, min, max };
  }

  /** Undefined: flags, which are no place in the text. */
  #atom(): RegexNode | undefined {
    const next = this.#peek();
    if (next === '(') return this.#group();
    if (this.#match(QUANTIFIER) !== undefined) throw this.#fault('a quantifier with nothing before it to repeat');
    this.#at++;
    switch (next) {
      case '[':
        return this.#class();
      case '.':
        return { kind: 'bytes', bytes: this.#dotTakesNewline ? bytesOf('\0\u00ff') : inverse(bytesOf('\n\n')) };
      case '^':
        return { kind: 'assertion', assertion: 'start' };
      case '$':
        return { kind: 'assertion', assertion: 'end or last newline' };
      case '\\': {
        const assertion = ASSERTIONS.get(this.#peek());
        if (assertion === undefined) return this.#bytes(this.#escape());
        this.#at++;
        return { kind: 'assertion', assertion };
      }
      default:
        return this.#bytes(bytesOf(next + next));
    }
  }

  #group(): RegexNode | undefined {
    const flags = this.#match(FLAGS);
    if (flags !== undefined) {
      const [, on = '', off = '', end] = flags;
      const before = [this.#ignoresCase, this.#dotTakesNewline] as const;
      this.#ignoresCase = (this.#ignoresCase || on.includes('i')) && !off.includes('i');
      this.#dotTakesNewline = (this.#dotTakesNewline || on.includes('s')) && !off.includes('s');
      if (end === ')') return undefined;
      const inner = this.#closed();
      [this.#ignoresCase, this.#dotTakesNewline] = before;
      return inner;
    }
    if (this.#match(NAMED_GROUP) === undefined) {
      this.#at++;
      const [first, second] = [this.#peek(), this.#source[this.#at + 1]];
      const third = this.#source[this.#at + 2];
      if (first === '*') throw this.#fault('verbs such as (*SKIP) are not supported');
      if (first === '?' && (second === '=' || second === '!' || (second === '<' && (third === '=' || third === '!')))) {
        throw this.#fault('look-around is not supported; use a further condition, with "!" for a negative one');
      }
      if (first === '?') throw this.#fault(`groups that begin with (?${second ?? ''} are not supported`);
    }
    return this.#closed();
  }

  #closed(): RegexNode {
    const inner = this.#choice();
    if (!this.#takes(')')) throw this.#fault('a ( without its )');
    return inner;
  }

  /** A class, whose `[` is read. */
  #class(): RegexNode {
    const set = new Uint32Array(8);
    const isInverse = this.#takes('^');
    for (let isFirst = true; isFirst || this.#peek() !== ']'; isFirst = false) {
      const posix = this.#match(POSIX_CLASS);
      if (posix !== undefined) {
        const named = POSIX_CLASSES.get(posix[2] ?? '');
        if (named === undefined) throw this.#fault(`there is no class ${posix[0]}`);
        addAll(set, posix[1] === '^' ? inverse(named) : named);
        continue;
      }
      const from = this.#member();
      const first = onlyByte(from);
      // A hyphen at the end, or behind what is a class by itself, is a hyphen.
      if (first < 0 || this.#peek() !== '-' || this.#source[this.#at + 1] === ']') {
        addAll(set, from);
        continue;
      }
      this.#at++;
      const last = onlyByte(this.#member());
      if (last < first) throw this.#fault('a range in a class that is none');
      addRange(set, first, last);
    }
    this.#at++;
    // Case first: `[^a]` takes neither `a` nor `A`.
    const bytes = this.#ignoresCase ? withBothCases(set) : set;
    return { kind: 'bytes', bytes: isInverse ? inverse(bytes) : bytes };
  }

  /** A character or an escape in a class. */
  #member(): ByteSet {
    const next = this.#peek();
    if (next === '') throw this.#fault('a [ without its ]');
    this.#at++;
    if (next !== '\\') return bytesOf(next + next);
    if (this.#takes('b')) return bytesOf('\b\b');
    return this.#escape();
  }

  /** What stands behind a backslash. */
  #escape(): ByteSet {
    const hex = this.#match(HEX);
    if (hex !== undefined) {
      const byte = Number.parseInt(hex[1] ?? hex[2] ?? '', 16);
      const set = new Uint32Array(8);
      addRange(set, byte, byte);
      return set;
    }
    const next = this.#peek();
    if (next === '') throw this.#fault('a backslash at the end');
    this.#at++;
    const named = CLASSES.get(next.toLowerCase());
    if (named !== undefined) return next === next.toLowerCase() ? named : inverse(named);
    const control = CONTROLS.get(next);
    if (control !== undefined) return bytesOf(control + control);
    if (/[1-9]/.test(next)) throw this.#fault('back references are not supported');
    if (/[A-Za-z0]/.test(next)) throw this.#fault(`\\${next} is not supported`);
    return bytesOf(next + next);
  }

  #bytes(set: ByteSet): RegexNode {
    return { kind: 'bytes', bytes: this.#ignoresCase ? withBothCases(set) : set };
  }

  #peek(): string {
    return this.#source[this.#at] ?? '';
  }

  #takes(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at++;
    return true;
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#source) ?? undefined;
    if (match !== undefined) this.#at = pattern.lastIndex;
    return match;
  }

  #fault(what: string): RegexFault {
    return new RegexFault(`${what} (at character ${Math.min(this.#at + 1, this.#source.length)})`);
  }
}

function addAll(set: ByteSet, more: ByteSet): void {
  for (let i = 0; i < 8; i++) set[i]! |= more[i]!;
}

/** The byte of a set that has one; -1 for others. */
function onlyByte(set: ByteSet): number {
  let only = -1;
  for (let byte = 0; byte < 256; byte++) {
    if (!hasByte(set, byte)) continue;
    if (only >= 0) return -1;
    only = byte;
  }
  return only;
}

/** Only of ASCII: letters beyond it are several bytes. */
function withBothCases(set: ByteSet): ByteSet {
  const both = set.slice();
  for (let upper = 0x41; upper <= 0x5a; upper++) {
    if (!hasByte(set, upper) && !hasByte(set, upper | 0x20)) continue;
    addRange(both, upper, upper);
    addRange(both, upper | 0x20, upper | 0x20);
  }
  return both;
}
