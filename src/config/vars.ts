// `vars` of a Route: JSON text → a tree of conditions. The language is that of APISIX (lua-resty-expr):
//
//   condition    [variable, operator, value] · [variable, "!", operator, value] · [variable, value], which means `==`
//   several      ["OR", condition, condition, …], and with AND, !AND and !OR; a list of lists is an AND
//
// The whole is a list of conditions, or one of several; a single condition must be wrapped in brackets. Operators and words
// may be written in any case. A comparison that can never hold is refused: turned round it would always hold, and what it was
// to keep out would come in.
import { regexProblem } from '../base/regex-problem.ts';
import type { VarsExpression, VarsOperator, VarsValue } from '../model/vars.ts';
import { variableProblem } from './decode/gateway-values.ts';
import { blockProblem } from './decode/values.ts';
import { describeType } from './envelope.ts';
import { canonicalBlock } from '../base/ip-address.ts';
import { entry, printable, ProblemList, quote } from './problem-list.ts';
import type { Problem } from './resource.ts';
import { didYouMean } from './suggest.ts';

/** Longest text, characters. */
const MAX_TEXT = 65_536;
/** Deepest nesting of lists. */
const MAX_DEPTH = 16;
/** Most conditions and lists of conditions in one text. */
const MAX_NODES = 1000;

const OPERATORS: readonly VarsOperator[] = ['==', '~=', '>', '<', '>=', '<=', '~~', '~*', 'in', 'has', 'ipmatch'];
/** Words that look like one of ours, from other languages. */
const MEANT: ReadonlyMap<string, VarsOperator> = new Map<string, VarsOperator>([
  ['=', '=='],
  ['===', '=='],
  ['!=', '~='],
  ['<>', '~='],
  ['=~', '~~'],
  ['~', '~~'],
]);
const WORDS = ['AND', 'OR', '!AND', '!OR'];

/** What reading gives: the conditions (undefined: there are none, so they always hold), or what is wrong with them. */
export type VarsResult =
  | { readonly ok: true; readonly expression: VarsExpression | undefined }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Reads the text of `vars`. `path` is that of the field; those of problems go on from it: `vars[0][1]`. */
export function parseVars(text: string, path: string): VarsResult {
  const problems = new ProblemList();
  const expression = read(text, path, problems);
  return problems.size === 0 ? { ok: true, expression } : { ok: false, problems: problems.list() };
}

function read(text: string, path: string, problems: ProblemList): VarsExpression | undefined {
  if (text.length > MAX_TEXT) {
    problems.add(path, `must have at most ${MAX_TEXT} characters`);
    return undefined;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    problems.add(path, `is no JSON: ${printable((error as Error).message, 200)}`);
    return undefined;
  }
  if (!Array.isArray(value)) {
    problems.add(path, `must be a list of conditions, [[variable, operator, value]], not ${describeType(value)}`);
    return undefined;
  }
  const list: readonly unknown[] = value;
  if (list.length === 0) return undefined;
  if (!Array.isArray(list[0]) && !(isWord(list[0]) && Array.isArray(list[1]))) {
    problems.add(path, 'must be a list of conditions: wrap the one in brackets, [[variable, operator, value]]');
    return undefined;
  }
  return new VarsReader(problems).readRule(list, path, 1);
}

function isWord(value: unknown): value is string {
  return typeof value === 'string' && WORDS.includes(value.toUpperCase());
}

class VarsReader {
  private readonly problems: ProblemList;
  private nodes = 0;

  constructor(problems: ProblemList) {
    this.problems = problems;
  }

  /** Undefined: there is a problem. */
  readRule(value: unknown, path: string, depth: number): VarsExpression | undefined {
    if (!Array.isArray(value)) return this.wrong(path, `must be a list, not ${describeType(value)}`);
    const list: readonly unknown[] = value;
    if (++this.nodes === MAX_NODES + 1) return this.wrong('', `vars must have at most ${MAX_NODES} conditions`);
    if (this.nodes > MAX_NODES) return undefined;
    if (depth > MAX_DEPTH) return this.wrong(path, `lists must be nested at most ${MAX_DEPTH} deep`);
    const [first] = list;
    if (first === undefined) return this.wrong(path, 'is an empty list: leave it out');
    if (Array.isArray(first)) return this.readMembers('AND', list, 0, path, depth);
    // A list behind the word tells it from a variable of that name.
    if (isWord(first) && Array.isArray(list[1])) {
      if (list.length < 3) return this.wrong(path, `needs at least two conditions behind ${quote(first)}`);
      return this.readMembers(first.toUpperCase(), list, 1, path, depth);
    }
    if (typeof first === 'string' && Array.isArray(list[1]) && list.slice(1).every((one) => Array.isArray(one))) {
      return this.wrong(entry(path, 0), `${quote(first)} is none of ${WORDS.join(', ')}${didYouMean(first, WORDS)}`);
    }
    return this.readCondition(list, path);
  }

  private readMembers(
    word: string,
    list: readonly unknown[],
    from: number,
    path: string,
    depth: number,
  ): VarsExpression | undefined {
    const members: VarsExpression[] = [];
    for (let i = from; i < list.length; i++) {
      const member = this.readRule(list[i], entry(path, i), depth + 1);
      if (member !== undefined) members.push(member);
    }
    return { kind: word.endsWith('OR') ? 'or' : 'and', not: word.startsWith('!'), members };
  }

  private readCondition(list: readonly unknown[], path: string): VarsExpression | undefined {
    const [variable] = list;
    if (typeof variable !== 'string') {
      return this.wrong(entry(path, 0), `must be the name of a variable, not ${describeType(variable)}`);
    }
    const reason = variableProblem(variable);
    if (reason !== undefined) return this.wrong(entry(path, 0), reason);
    if (list.length < 2 || list.length > 4) {
      return this.wrong(path, 'must be [variable, operator, value] or [variable, "!", operator, value]');
    }
    const not = list.length === 4;
    if (not && list[1] !== '!') return this.wrong(entry(path, 1), `must be '!' where four stand in a list`);
    const isShort = list.length === 2;
    const operatorAt = not ? 2 : 1;
    const operator = isShort ? '==' : this.readOperator(list[operatorAt], entry(path, operatorAt));
    if (operator === undefined) return undefined;
    const valueAt = list.length - 1;
    const word: unknown = list[valueAt];
    if (isShort && typeof word === 'string' && OPERATORS.some((known) => known === word)) {
      return this.wrong(path, `needs a value behind ${quote(word)}`);
    }
    const value = this.readValue(operator, word, entry(path, valueAt));
    return value === undefined ? undefined : { kind: 'compare', variable, not, operator, value };
  }

  private readOperator(value: unknown, path: string): VarsOperator | undefined {
    if (typeof value !== 'string') return this.wrong(path, `must be an operator, not ${describeType(value)}`);
    const operator = OPERATORS.find((known) => known === value.toLowerCase());
    if (operator !== undefined) return operator;
    const meant = MEANT.get(value);
    const hint = meant === undefined ? didYouMean(value, OPERATORS) : `: did you mean '${meant}'?`;
    return this.wrong(path, `${quote(value)} is none of ${OPERATORS.join(', ')}${hint}`);
  }

  private readValue(operator: VarsOperator, value: unknown, path: string): VarsValue | undefined {
    switch (operator) {
      case '==':
      case '~=':
        if (typeof value === 'boolean') return this.wrong(path, neverText(value));
        return value === null || this.isScalar(value, path) ? value : undefined;
      case '>':
      case '<':
      case '>=':
      case '<=': {
        const number = typeof value === 'string' && NUMBER.test(value) ? Number(value) : value;
        if (typeof number === 'number' && Number.isFinite(number)) return number;
        return this.wrong(path, `must be a number behind ${operator}, not ${describe(value)}`);
      }
      case '~~':
      case '~*': {
        if (typeof value !== 'string') {
          return this.wrong(path, `must be a regular expression behind ${operator}, not ${describeType(value)}`);
        }
        const reason = regexProblem(value);
        return reason === undefined
          ? value
          : this.wrong(path, `${quote(value)} can't be used as a regular expression: ${reason}`);
      }
      case 'in':
        return this.readList(value, path);
      case 'has':
        return this.wrong(path, 'has asks of a list, and every variable here is text: use ==, in or ~~');
      case 'ipmatch':
        return this.readBlocks(value, path);
    }
  }

  private isScalar(value: unknown, path: string): value is string | number {
    if (typeof value === 'string') return true;
    if (typeof value === 'number' && Number.isFinite(value)) return true;
    this.wrong(path, `must be a string or a number, not ${describe(value)}`);
    return false;
  }

  /** Of a list: APISIX doesn't take a number in it for its text either. */
  private isText(value: unknown, path: string): value is string {
    if (typeof value === 'string') return true;
    const isScalar = typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value));
    this.wrong(path, isScalar ? neverText(value) : `must be a string, not ${describe(value)}`);
    return false;
  }

  private readList(value: unknown, path: string): VarsValue | undefined {
    if (!Array.isArray(value)) return this.wrong(path, `must be a list behind in, not ${describeType(value)}`);
    const list: readonly unknown[] = value;
    if (list.length === 0) return this.wrong(path, 'needs at least one text');
    const read = list.filter((one, i) => this.isText(one, entry(path, i)));
    return read.length === list.length ? read : undefined;
  }

  private readBlocks(value: unknown, path: string): VarsValue | undefined {
    if (typeof value === 'string') return this.readBlock(value, path);
    if (!Array.isArray(value)) {
      return this.wrong(path, `must be an IP address, a CIDR block or a list of them, not ${describeType(value)}`);
    }
    const list: readonly unknown[] = value;
    if (list.length === 0) return this.wrong(path, 'needs at least one IP address or CIDR block');
    const blocks = list.map((one, i) => this.readBlock(one, entry(path, i))).filter((one) => one !== undefined);
    return blocks.length === list.length ? blocks : undefined;
  }

  private readBlock(value: unknown, path: string): string | undefined {
    if (typeof value !== 'string') return this.wrong(path, `must be a string, not ${describeType(value)}`);
    const reason = blockProblem(value);
    return reason === undefined ? canonicalBlock(value) : this.wrong(path, reason);
  }

  private wrong(path: string, reason: string): undefined {
    this.problems.add(path, reason);
    return undefined;
  }
}

/** What Lua takes for a decimal number. */
const NUMBER = /^\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*$/;

function neverText(value: string | number | boolean): string {
  return `a variable is text, and ${value} is none: write "${value}"`;
}

function describe(value: unknown): string {
  if (typeof value === 'number') return 'a number that is too large';
  return typeof value === 'string' ? quote(value) : describeType(value);
}
