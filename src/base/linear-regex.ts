// Matches a regular expression in one walk over the text, following all ways at once (Thompson, "Regular Expression Search
// Algorithm", 1968). The texts come from callers and the expressions from users: an engine that tries one way after another
// can be made to try for hours. This one takes at most (bytes of the text × steps of the expression), both of which are
// bounded.
import { hasByte, parseRegex, type Assertion, type ByteSet, type RegexNode } from './regex-syntax.ts';

/** Steps that an expression may have, its counted repetitions written out. */
export const MAX_STEPS = 512;

/** Tells whether an expression occurs in a text. */
export interface LinearRegex {
  /** `text` is latin1, one character a byte. */
  test(text: string): boolean;
}

/** Compiles an expression, latin1 as the texts; the answer is a sentence where it can't be. */
export function compileRegex(source: string, ignoresCase: boolean): LinearRegex | string {
  const tree = parseRegex(source, ignoresCase);
  if (typeof tree === 'string') return tree;
  if (stepsOf(tree) >= MAX_STEPS) return `too large: more than ${MAX_STEPS} steps, with its repetitions written out`;
  const program = new Program();
  program.emit(tree);
  program.emitMatch();
  return new Matcher(program, isAnchored(tree));
}

/** What {@link Program.emit} makes of a node. */
function stepsOf(node: RegexNode): number {
  switch (node.kind) {
    case 'bytes':
    case 'assertion':
      return 1;
    case 'sequence':
      return node.members.reduce((sum, member) => sum + stepsOf(member), 0);
    case 'choice':
      return node.members.reduce((sum, member) => sum + stepsOf(member) + 2, -2);
    case 'repeat': {
      // What repeats nothing is written out all the same.
      const steps = Math.max(1, stepsOf(node.member));
      return node.max === Infinity ? (node.min + 1) * steps + 2 : node.max * steps + (node.max - node.min);
    }
  }
}

/** Whether a match can only be at the start. */
function isAnchored(node: RegexNode): boolean {
  switch (node.kind) {
    case 'bytes':
      return false;
    case 'assertion':
      return node.assertion === 'start';
    case 'sequence':
      return node.members.length > 0 && isAnchored(node.members[0]!);
    case 'choice':
      return node.members.every(isAnchored);
    case 'repeat':
      return node.min > 0 && isAnchored(node.member);
  }
}

const BYTES = 0;
const ASSERT = 1;
/** Goes on at both of two steps. */
const FORK = 2;
const MATCH = 3;

/** Steps, each with the step after it. */
class Program {
  readonly kinds: number[] = [];
  readonly next: number[] = [];
  /** The other way of a fork. */
  readonly other: number[] = [];
  readonly bytes: (ByteSet | undefined)[] = [];
  readonly assertions: (Assertion | undefined)[] = [];

  #add(kind: number, bytes?: ByteSet, assertion?: Assertion): number {
    const step = this.kinds.push(kind) - 1;
    this.next.push(step + 1);
    this.other.push(step + 1);
    this.bytes.push(bytes);
    this.assertions.push(assertion);
    return step;
  }

  emitMatch(): void {
    this.#add(MATCH);
  }

  /** Adds a node, which goes on at the step that is added next. */
  emit(node: RegexNode): void {
    switch (node.kind) {
      case 'bytes':
        this.#add(BYTES, node.bytes);
        return;
      case 'assertion':
        this.#add(ASSERT, undefined, node.assertion);
        return;
      case 'sequence':
        for (const member of node.members) this.emit(member);
        return;
      case 'choice':
        this.#emitChoice(node.members);
        return;
      case 'repeat':
        this.#emitRepeat(node.member, node.min, node.max);
    }
  }

  #emitChoice(members: readonly RegexNode[]): void {
    const ends: number[] = [];
    for (const [index, member] of members.entries()) {
      const isLast = index === members.length - 1;
      const fork = isLast ? -1 : this.#add(FORK);
      this.emit(member);
      if (isLast) break;
      ends.push(this.#add(FORK));
      this.other[fork] = this.kinds.length;
    }
    for (const end of ends) this.next[end] = this.other[end] = this.kinds.length;
  }

  #emitRepeat(member: RegexNode, min: number, max: number): void {
    for (let i = 0; i < min; i++) this.emit(member);
    if (max === Infinity) {
      const fork = this.#add(FORK);
      this.emit(member);
      const back = this.#add(FORK);
      this.next[back] = this.other[back] = fork;
      this.other[fork] = this.kinds.length;
      return;
    }
    const forks: number[] = [];
    for (let i = min; i < max; i++) {
      forks.push(this.#add(FORK));
      this.emit(member);
    }
    for (const fork of forks) this.other[fork] = this.kinds.length;
  }
}

class Matcher implements LinearRegex {
  readonly #program: Program;
  readonly #isAnchored: boolean;
  /** Steps that wait for the byte at hand, and for the one after it. */
  #now: Int32Array;
  #then: Int32Array;
  #count = 0;
  readonly #stack: Int32Array;
  /** The round in which a step was come to last. */
  readonly #visited: Float64Array;
  #round = 0;

  constructor(program: Program, isAnchored: boolean) {
    const steps = program.kinds.length;
    this.#program = program;
    this.#isAnchored = isAnchored;
    this.#now = new Int32Array(steps);
    this.#then = new Int32Array(steps);
    // Each step is taken from it once and puts two others on it at most.
    this.#stack = new Int32Array(2 * steps + 1);
    this.#visited = new Float64Array(steps);
  }

  test(text: string): boolean {
    const { next, bytes } = this.#program;
    let waiting = 0;
    for (let at = 0; ; at++) {
      // `#now` was filled for this place by the byte before it; a match may also begin here.
      if (at === 0) this.#begin();
      if ((at === 0 || !this.#isAnchored) && this.#follow(0, text, at)) return true;
      waiting = this.#count;
      if (at === text.length || (waiting === 0 && this.#isAnchored)) return false;
      [this.#now, this.#then] = [this.#then, this.#now];
      const code = text.charCodeAt(at);
      this.#begin();
      for (let i = 0; i < waiting; i++) {
        const step = this.#now[i]!;
        if (hasByte(bytes[step]!, code) && this.#follow(next[step]!, text, at + 1)) return true;
      }
    }
  }

  #begin(): void {
    this.#round++;
    this.#count = 0;
  }

  /** Adds all steps that wait for the byte at `at` and can be come to from `from` without one. True: a match. */
  #follow(from: number, text: string, at: number): boolean {
    const { kinds, next, other, assertions } = this.#program;
    const stack = this.#stack;
    let depth = 0;
    stack[depth++] = from;
    while (depth > 0) {
      const step = stack[--depth]!;
      if (this.#visited[step] === this.#round) continue;
      this.#visited[step] = this.#round;
      switch (kinds[step]) {
        case BYTES:
          this.#then[this.#count++] = step;
          break;
        case ASSERT:
          if (holds(assertions[step]!, text, at)) stack[depth++] = next[step]!;
          break;
        case FORK:
          stack[depth++] = next[step]!;
          stack[depth++] = other[step]!;
          break;
        default:
          return true;
      }
    }
    return false;
  }
}

function holds(assertion: Assertion, text: string, at: number): boolean {
  switch (assertion) {
    case 'start':
      return at === 0;
    case 'end':
      return at === text.length;
    case 'end or last newline':
      return at === text.length || (at === text.length - 1 && text.charCodeAt(at) === 0x0a);
    case 'boundary':
      return isWord(text, at - 1) !== isWord(text, at);
    case 'no boundary':
      return isWord(text, at - 1) === isWord(text, at);
  }
}

function isWord(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  const lower = code | 0x20;
  return (code >= 0x30 && code <= 0x39) || (lower >= 0x61 && lower <= 0x7a) || code === 0x5f;
}
