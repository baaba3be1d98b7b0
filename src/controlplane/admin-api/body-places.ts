// Where the fields of a body stand in its text.
import type { PlaceChild, PlaceNode } from './json-scan.ts';

/** A place in a text; both count from 1, columns in characters. */
export interface TextPlace {
  readonly line: number;
  readonly column: number;
}

/** `line 3, column 10`. */
export function placeText({ line, column }: TextPlace): string {
  return `line ${line}, column ${column}`;
}

/** Longer lines have their columns counted in UTF-16 units: nobody counts there. */
const MAX_COUNTED = 10_000;
/** Lines are counted once for each stretch of so many characters, and from there on for each place. */
const STRETCH = 65_536;

/** Finds offsets, and fields by the paths that problems name. */
export class BodyPlaces {
  private readonly text: string;
  private readonly root: PlaceNode | undefined;
  /** Line feeds before each stretch. */
  private feeds: readonly number[] | undefined;

  /** `root`: what the text holds; undefined: only offsets are looked for. */
  constructor(text: string, root: PlaceNode | undefined) {
    this.text = text;
    this.root = root;
  }

  /** The place of an offset. */
  at(offset: number): TextPlace {
    const { text } = this;
    this.feeds ??= feedsOf(text);
    const stretch = Math.floor(offset / STRETCH);
    const line = (this.feeds[stretch] ?? 0) + feedsWithin(text, stretch * STRETCH, offset) + 1;
    const start = offset === 0 ? 0 : text.lastIndexOf('\n', offset - 1) + 1;
    const length = offset - start;
    const column = length > MAX_COUNTED ? length : Array.from(text.slice(start, offset)).length;
    return { line, column: column + 1 };
  }

  /**
   * Place of a field: of its key, or of the item of a list. A field that isn't there has the place of what would hold it.
   * With `onlyPresent` undefined where not even the first word of the path is there, as the field is none of this body.
   */
  find(path: string, onlyPresent: boolean): TextPlace | undefined {
    let node = this.root;
    let rest = path;
    let offset = node?.offset;
    while (node !== undefined && rest !== '') {
      const step: Step | undefined = nextStep(node, rest);
      if (step === undefined) break;
      ({ node, rest, offset } = step);
    }
    if (offset === undefined || (onlyPresent && rest === path && path !== '')) return undefined;
    return this.at(offset);
  }
}

/**
 * The rest of a path behind the members of these names: `upstream.nodes[0]` behind upstream is `nodes[0]`. Undefined: it
 * doesn't lead there.
 */
export function pathBehind(path: string, names: readonly string[]): string | undefined {
  let rest: string | undefined = path;
  for (const name of names) rest = rest === undefined ? undefined : behindName(rest, name);
  return rest?.startsWith('.') === true ? rest.slice(1) : rest;
}

function feedsOf(text: string): number[] {
  const feeds = [0];
  for (let at = 0; at + STRETCH < text.length; at += STRETCH) {
    feeds.push((feeds.at(-1) ?? 0) + feedsWithin(text, at, at + STRETCH));
  }
  return feeds;
}

function feedsWithin(text: string, from: number, to: number): number {
  let count = 0;
  for (let i = from; i < to; i++) if (text.charCodeAt(i) === 10) count++;
  return count;
}

interface Step {
  readonly node: PlaceNode;
  readonly rest: string;
  readonly offset: number;
}

/** Goes one member or item down; `rest` begins with its name. Names may hold dots, so the longest that fits is taken. */
function nextStep({ isList, children }: PlaceNode, path: string): Step | undefined {
  if (children === undefined) return undefined;
  if (isList) {
    const [whole, digits] = /^\.?\[(\d+)\]/.exec(path) ?? [];
    const child = digits === undefined ? undefined : children[Number(digits)];
    return whole === undefined || child === undefined ? undefined : { ...child, rest: path.slice(whole.length) };
  }
  const rest = path.startsWith('.') ? path.slice(1) : path;
  let names = namesIn.get(children);
  if (names === undefined) namesIn.set(children, (names = childrenByName(children)));
  for (const [name, length] of firstNames(rest)) {
    const child = names.get(name);
    if (child !== undefined) return { ...child, rest: rest.slice(length) };
  }
  return undefined;
}

const namesIn = new WeakMap<readonly PlaceChild[], ReadonlyMap<string, PlaceChild>>();

/** By their keys as they are, and without blanks around them. */
function childrenByName(children: readonly PlaceChild[]): ReadonlyMap<string, PlaceChild> {
  const names = new Map(children.map((child) => [child.key, child]));
  for (const child of children) {
    const trimmed = child.key.trim();
    if (!names.has(trimmed)) names.set(trimmed, child);
  }
  return names;
}

/** What may be the first name of a path, and how long it is there; the longest first. */
function* firstNames(path: string): Generator<readonly [name: string, length: number]> {
  const quoted = /^\[("(?:[^"\\]|\\.)*")\]/.exec(path);
  if (quoted !== null) yield [JSON.parse(quoted[1] ?? '""') as string, quoted[0].length];
  for (let end = path.length; end > 0; end--) {
    if (end === path.length || path[end] === '.' || path[end] === '[') yield [path.slice(0, end), end];
  }
}

/** The path behind its first name; undefined: that is another one. */
function behindName(path: string, name: string): string | undefined {
  const rest = path.startsWith('.') ? path.slice(1) : path;
  for (const written of [name, `[${JSON.stringify(name)}]`]) {
    if (rest.startsWith(written) && /^($|[.[])/.test(rest.slice(written.length, written.length + 1))) {
      return rest.slice(written.length);
    }
  }
  return undefined;
}
