// One strict look at a JSON text (RFC 8259): the first thing that is wrong with it, in words, and where everything stands.
// It stops there, and where there is more than any object may have, so that no text keeps it busy.
import { MAX_DEPTH, MAX_VALUES } from '../apisix/tidy-object.ts';
import { joinTokens, shownToken, tokensBehind } from './syntax-excerpt.ts';

/** A value of the text by its place. */
export interface PlaceNode {
  readonly offset: number;
  /** Values of an object, with their keys, or of a list; undefined: it is neither. */
  readonly children: readonly PlaceChild[] | undefined;
  readonly isList: boolean;
}

/** A value in another one. */
export interface PlaceChild {
  /** Empty in lists. */
  readonly key: string;
  /** Of the key, in lists of the value. */
  readonly offset: number;
  readonly node: PlaceNode;
}

/** A key that stands twice in one object. */
export interface RepeatedKey {
  readonly key: string;
  readonly offset: number;
  readonly earlier: number;
}

/** What is wrong with a text. */
export interface ScanProblem {
  readonly offset: number;
  /** With the tokens around it, texts left out: they may be secrets. */
  readonly reason: string;
}

/** What a look gives. */
export type Scan =
  | { readonly ok: true; readonly root: PlaceNode; readonly repeats: readonly RepeatedKey[] }
  | { readonly ok: false; readonly problem: ScanProblem };

/** Keys that stand twice are told up to this number. */
const MAX_REPEATS = 20;
/** Longest key; none of ours has a tenth of it, and messages repeat them. */
const MAX_KEY_CHARS = 1024;
/** Tokens shown before the place. */
const KEPT_TOKENS = 8;

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /[^\s{}[\],:"]+/y;
const LITERALS: ReadonlySet<string> = new Set(['true', 'false', 'null']);
/** Words of other languages. */
const MEANT: ReadonlyMap<string, string> = new Map([
  ...['True', 'TRUE'].map((word) => [word, 'true'] as const),
  ...['False', 'FALSE'].map((word) => [word, 'false'] as const),
  ...['None', 'nil', 'Null', 'NULL', 'undefined'].map((word) => [word, 'null'] as const),
]);

class SyntaxProblem extends Error {
  readonly offset: number;

  constructor(offset: number, reason: string) {
    super(reason);
    this.offset = offset;
  }
}

/** Looks at a whole text. Never throws. */
export function scanJson(text: string): Scan {
  const scanner = new JsonScanner(text);
  try {
    return { ok: true, root: scanner.scan(), repeats: scanner.repeats };
  } catch (error) {
    if (!(error instanceof SyntaxProblem)) throw error;
    return { ok: false, problem: { offset: error.offset, reason: error.message } };
  }
}

class JsonScanner {
  readonly repeats: RepeatedKey[] = [];
  private readonly text: string;
  /** Where the next token begins, or the blanks before it. */
  private at = 0;
  /** End of the last token. */
  private end = 0;
  /** Without the whole. */
  private values = -1;
  /** Where the last tokens begin and end, in turns, and whether they are names. */
  private readonly starts: number[] = [];
  private readonly ends: number[] = [];
  private readonly areNames: boolean[] = [];
  private tokens = 0;

  constructor(text: string) {
    this.text = text;
  }

  scan(): PlaceNode {
    const root = this.value(0);
    const char = this.next();
    if (char === '/') this.fail('JSON has no comments');
    if (char !== '') this.fail('nothing may follow the end of the object');
    return root;
  }

  /** The character that the next token begins with; empty: the text ends. */
  private next(): string {
    const { text } = this;
    let { at } = this;
    for (let code = text.charCodeAt(at); code === 32 || code === 10 || code === 13 || code === 9;) {
      code = text.charCodeAt(++at);
    }
    this.at = at;
    return text.charAt(at);
  }

  /** Takes a token of this length. */
  private take(length: number, isName = false): void {
    const slot = this.tokens++ % KEPT_TOKENS;
    this.starts[slot] = this.at;
    this.at += length;
    this.end = this.at;
    this.ends[slot] = this.end;
    this.areNames[slot] = isName;
  }

  private value(depth: number): PlaceNode {
    const char = this.next();
    const offset = this.at;
    if (++this.values > MAX_VALUES)
      throw new SyntaxProblem(offset, `more than ${MAX_VALUES} values, no object has as many`);
    if (char === '{' || char === '[') {
      if (depth >= MAX_DEPTH) throw new SyntaxProblem(offset, `nested more than ${MAX_DEPTH} levels deep`);
      this.take(1);
      return char === '{' ? this.members(offset, depth + 1) : this.items(offset, depth + 1);
    }
    if (char === '"') this.string();
    else if (char === '-' || (char >= '0' && char <= '9')) this.number();
    else this.word(char);
    return { offset, children: undefined, isList: false };
  }

  private members(offset: number, depth: number): PlaceNode {
    const children: PlaceChild[] = [];
    const offsets = new Map<string, number>();
    for (let isFirst = true; ; isFirst = false) {
      const char = this.next();
      if (char === '}' && isFirst) break;
      if (char !== '"') this.failName(char, isFirst);
      const at = this.at;
      const key = this.string(true);
      if (key.length > MAX_KEY_CHARS)
        throw new SyntaxProblem(at, `a key of ${key.length} characters, no field has as many`);
      const earlier = offsets.get(key);
      if (earlier === undefined) offsets.set(key, at);
      else if (this.repeats.length < MAX_REPEATS) this.repeats.push({ key, offset: at, earlier });
      if (this.next() !== ':') {
        // It may be a text that stands where a name belongs.
        this.areNames[(this.tokens - 1) % KEPT_TOKENS] = false;
        this.failBehind('a colon is missing');
      }
      this.take(1);
      children.push({ key, offset: at, node: this.value(depth) });
      if (this.isLast('}')) return { offset, children, isList: false };
    }
    this.take(1);
    return { offset, children, isList: false };
  }

  private items(offset: number, depth: number): PlaceNode {
    const children: PlaceChild[] = [];
    if (this.next() === ']') {
      this.take(1);
      return { offset, children, isList: true };
    }
    if (this.text[this.at] === '}') this.failBehind('a closing ] is missing');
    for (;;) {
      const node = this.value(depth);
      children.push({ key: '', offset: node.offset, node });
      if (this.isLast(']')) return { offset, children, isList: true };
    }
  }

  /** Takes what stands behind a member or item: a comma, or the end of its object or list. */
  private isLast(closing: string): boolean {
    const char = this.next();
    if (char === ',' || char === closing) {
      this.take(1);
      return char === closing;
    }
    if (char === '' || char === '}' || char === ']') this.failBehind(`a closing ${closing} is missing`);
    if (char === '/') this.fail('JSON has no comments');
    if (char === ':') this.fail('this colon is one too many, or a name is missing before it');
    if (/["{[\w-]/.test(char)) this.failBehind('a comma is missing');
    return this.fail(unknownCharacter(char));
  }

  /** Takes a text; gives its value. */
  private string(isName = false): string {
    const { text } = this;
    const start = this.at;
    let at = start + 1;
    let hasEscape = false;
    for (let code = text.charCodeAt(at); code !== 34; code = text.charCodeAt(at)) {
      if (code === 92) {
        const length = escapeLength(text, at);
        if (length === 0) this.failInside(at, 'this text has an escape that JSON does not know');
        hasEscape = true;
        at += length;
      } else if (code >= 32) at++;
      else if (at >= text.length) this.failInside(start, 'the closing double quote of this text is missing');
      else if (code === 10 || code === 13) {
        this.failInside(start, 'the closing double quote of this text is missing; write a line break in it as \\n');
      } else this.failInside(at, 'this text holds a control character: write \\t or \\u00xx');
    }
    this.take(at + 1 - start, isName);
    return hasEscape ? (JSON.parse(text.slice(start, at + 1)) as string) : text.slice(start + 1, at);
  }

  private number(): void {
    const { text, at } = this;
    NUMBER.lastIndex = at;
    const number = NUMBER.exec(text)?.[0];
    WORD.lastIndex = at;
    const word = WORD.exec(text)?.[0] ?? '';
    if (number !== word) {
      if (/^-?0\d/.test(word)) this.fail('a number has no leading zeros');
      if (/^-?(?:\d+\.?|\d*\.?\d+[eE][+-]?)?$/.test(word)) this.fail('this number is not complete');
      if (word.startsWith(`${number}/`)) {
        this.at += number?.length ?? 0;
        this.fail('JSON has no comments');
      }
      this.fail('this is no number: a text stands in double quotes');
    }
    // What is so large becomes infinite.
    if (!Number.isFinite(Number(number))) this.fail('this number is too large');
    this.take(word.length);
  }

  /** A literal, or what stands where a value must. */
  private word(char: string): void {
    const last = this.lastToken();
    if (char === ',') this.fail(last === ':' ? 'a value is missing' : 'this comma is one too many');
    if (char === '}' || char === ']') {
      this.fail(last === ',' ? 'a value is missing, or the comma before is one too many' : 'a value is missing');
    }
    if (char === '') this.fail('a value is missing');
    if (char === '/') this.fail('JSON has no comments');
    if (char === ':') this.fail('this colon is one too many');
    if (/['‘’“”`]/.test(char)) this.fail('names and texts stand in double quotes, "');
    if (char === '+') this.fail('a number has no + before it');
    if (char === '.') this.fail('a number begins with a digit');
    WORD.lastIndex = this.at;
    const word = WORD.exec(this.text)?.[0] ?? '';
    if (LITERALS.has(word)) return this.take(word.length);
    const meant = MEANT.get(word);
    if (meant !== undefined) this.fail(`write ${meant}, not ${word}`);
    if (/[\p{L}\p{N}_$]/u.test(char)) this.fail('this is no JSON value: a text stands in double quotes');
    return this.fail(unknownCharacter(char));
  }

  private failName(char: string, isFirst: boolean): never {
    if (char === '' || char === ']') this.failBehind('a closing } is missing');
    if (char === ',') this.fail('this comma is one too many');
    if (char === '}') this.fail('a name is missing, or the comma before is one too many');
    if (char === '/') this.fail('JSON has no comments');
    if (/['‘’“”`]/.test(char)) this.fail('names and texts stand in double quotes, "');
    return this.fail(
      isFirst ? 'a name in double quotes is missing, or a closing }' : 'a name in double quotes is missing',
    );
  }

  private lastToken(): string {
    const start = this.starts[(this.tokens - 1) % KEPT_TOKENS];
    return start === undefined ? '' : this.text.charAt(start);
  }

  /** The next token is wrong. */
  private fail(reason: string): never {
    throw this.problem(this.at, reason);
  }

  /** What is missing belongs behind what stands before, not where the next thing begins. */
  private failBehind(reason: string): never {
    throw this.problem(this.end, reason);
  }

  /** Something inside a text: nothing of that is shown. */
  private failInside(offset: number, reason: string): never {
    throw new SyntaxProblem(offset, `${reason}${this.shownBefore()}`);
  }

  private problem(offset: number, reason: string): SyntaxProblem {
    const behind = tokensBehind(this.text, this.at);
    const place = behind === '' ? ', at the end of the body' : `, before ${behind}`;
    return new SyntaxProblem(offset, `${reason}${this.shownBefore()}${place}`);
  }

  private shownBefore(): string {
    const shown: string[] = [];
    for (let i = Math.max(0, this.tokens - KEPT_TOKENS); i < this.tokens; i++) {
      const slot = i % KEPT_TOKENS;
      const isName = this.areNames[slot] === true;
      shown.push(shownToken(this.text.slice(this.starts[slot], this.ends[slot]), isName));
    }
    return shown.length === 0 ? '' : `, after ${joinTokens(shown)}`;
  }
}

/** Length of the escape at an offset; 0: it is none. */
function escapeLength(text: string, at: number): number {
  if (text[at + 1] !== 'u') return '"\\/bfnrt'.includes(text[at + 1] ?? ' ') ? 2 : 0;
  for (let i = at + 2; i < at + 6; i++) if (!isHexDigit(text.charCodeAt(i))) return 0;
  return 6;
}

function isHexDigit(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 65 && code <= 70) || (code >= 97 && code <= 102);
}

function unknownCharacter(char: string): string {
  const code = `U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
  return /[\s\uFEFF\u200B]/.test(char)
    ? `JSON does not know this blank, ${code}`
    : `this character, ${code}, has no place here`;
}
